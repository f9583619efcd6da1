-- A store as schema version 3 left it, by sqlite3's iterdump. Header: application_id 1196181570, user_version 3.
BEGIN TRANSACTION;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1789000000000,'wang','place.add','mall: 商场');
INSERT INTO "audit" VALUES(2,1789000600000,'wang','device.revoked','stolen');
INSERT INTO "audit" VALUES(3,1789000700000,'wang','policy.set','mall: 1');
CREATE TABLE batch (
    id BLOB PRIMARY KEY,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    n INTEGER NOT NULL,         -- rows in it, skipped ones not counted
    state TEXT NOT NULL CHECK (state IN ('open', 'receipted', 'refused', 'split')),
    attempts INTEGER NOT NULL,
    next_try_ms INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    closed_ms INTEGER,
    newest_ms INTEGER NOT NULL, -- the newest `received_ms` in it: its retention counts from there
    receipt BLOB,
    detail TEXT NOT NULL,
    forgotten INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "batch" VALUES(X'000102030405060708090A0B0C0D0E0F',1,1,1,'open',2,1789000200000,1789000150000,NULL,1789000100050,NULL,'',0);
CREATE TABLE batch_skip (
    row_id INTEGER PRIMARY KEY REFERENCES checkin (id)
) STRICT;
CREATE TABLE believed (
    kind TEXT NOT NULL CHECK (kind IN ('trust', 'list')),
    name TEXT NOT NULL,         -- a list's address; empty for the trust bundle
    version INTEGER NOT NULL,
    issued_s INTEGER NOT NULL,
    kept_ms INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;
CREATE TABLE certificate (
    serial BLOB PRIMARY KEY,
    device BLOB REFERENCES device (id), -- NULL: a server's, or the hub's own
    name TEXT NOT NULL,         -- its common name
    key BLOB NOT NULL,          -- SHA-256 of its public key info
    der BLOB NOT NULL,
    issued_ms INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE checkin (
    id INTEGER PRIMARY KEY,
    prev_id INTEGER,            -- the row before this one of the same (device, epoch); NULL for the first
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    direction INTEGER NOT NULL,
    colour INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    code BLOB NOT NULL,
    subject BLOB,               -- this and the next two are personal: NULL after their retention
    masked TEXT,                -- JSON array of the parts a register may show
    sealed BLOB                 -- the device's signed bytes, as they go to the platform
) STRICT;
INSERT INTO "checkin" VALUES(1,NULL,X'6465766963652D41',X'65706F63682D2D31',1,X'6B86B273FF34FCE19D6B804EFF5A3F5747ADA4EAA22F1D49C01E52DDB7875B4B',1789000100000,1789000100050,'mall','north',0,0,0,0,1,X'00000000000000000000000000000000',X'7365616C65642D7375626A6563742D2D','["张","11","23"]',X'7365616C65642D636865636B2D696E');
CREATE TABLE command (
    id BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    name TEXT NOT NULL,
    args TEXT NOT NULL,         -- JSON object
    issued_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL,
    who TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'done', 'failed', 'expired')),
    sealed BLOB,                -- the signed bytes; NULL until the hub has made them
    detail TEXT NOT NULL DEFAULT '',
    proof BLOB,                 -- of a wipe, signed by the device
    sent_ms INTEGER,
    finished_ms INTEGER
) STRICT;
INSERT INTO "command" VALUES(X'00112233445566778899AABBCCDDEEFF',X'6465766963652D41','locate','{}',1789000720,1789000780,'wang','done',NULL,'',NULL,NULL,NULL);
CREATE TABLE count_minute (
    minute INTEGER NOT NULL,
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    colour INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (minute, place, gate, colour, verdict, direction)
) STRICT, WITHOUT ROWID;
INSERT INTO "count_minute" VALUES(29816668,'mall','north',0,0,0,1);
CREATE TABLE device (
    id BLOB PRIMARY KEY,
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    direction INTEGER,          -- NULL: both
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'quarantined', 'revoked')),
    reason TEXT NOT NULL,
    added_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    FOREIGN KEY (place, gate) REFERENCES gate (place, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "device" VALUES(X'6465766963652D41','mall','north',0,'北门','active','',1789000000000,1789000000000);
INSERT INTO "device" VALUES(X'6465766963652D42','mall','south',NULL,'','quarantined','fork: stored with another hash',1789000000001,1789000500000);
INSERT INTO "device" VALUES(X'6465766963652D43','station','G1',1,'出口','revoked','stolen',1789000000002,1789000600000);
CREATE TABLE device_key (
    kid BLOB PRIMARY KEY,       -- a key is one device's, for ever
    device BLOB NOT NULL,
    cose_key BLOB NOT NULL,
    from_ms INTEGER NOT NULL,
    until_ms INTEGER,           -- when its successor was first used; NULL: it may sign
    announced_ms INTEGER        -- NULL: the platform has still to be told
) STRICT, WITHOUT ROWID;
INSERT INTO "device_key" VALUES(X'01565176601C895C',X'6465766963652D42',X'A3010120062158208139770EA87D175F56A35466C34C7ECCCB8D8A91B4EE37A25DF60F5B8FC9B394',1789000000001,NULL,NULL);
INSERT INTO "device_key" VALUES(X'72D16FAFC7E54976',X'6465766963652D43',X'A301012006215820ED4928C628D1C2C6EAE90338905995612959273A5C63F93636C14614AC8737D1',1789000000002,NULL,NULL);
INSERT INTO "device_key" VALUES(X'DD2FB4E18B5E1CE3',X'6465766963652D41',X'A3010120062158208A88E3DD7409F195FD52DB2D3CBA5D72CA6709BF1D94121BF3748801B40F6F5C',1789000000000,NULL,NULL);
CREATE TABLE device_seen (
    device BLOB PRIMARY KEY,
    seen_ms INTEGER NOT NULL,
    online INTEGER NOT NULL,
    firmware TEXT NOT NULL,
    trust_version INTEGER NOT NULL,
    policy_version INTEGER NOT NULL,
    state INTEGER,              -- this and the next two from its health; NULL before the first
    clock_trusted INTEGER,
    spool INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "device_seen" VALUES(X'6465766963652D41',1789000730000,1,'1.0',2,1,0,1,0);
CREATE TABLE enrol_token (
    hash BLOB PRIMARY KEY,      -- SHA-256 of the token
    place TEXT NOT NULL REFERENCES place (id),
    gate TEXT,                  -- NULL: chosen or numbered at approval
    direction INTEGER NOT NULL,
    devices INTEGER NOT NULL CHECK (devices > 0),
    used INTEGER NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND devices), -- enrolments that were not refused
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    FOREIGN KEY (place, gate) REFERENCES gate (place, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE enrolment (
    id BLOB PRIMARY KEY,
    token BLOB NOT NULL REFERENCES enrol_token (hash),
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- waiting, approved, refused
    kid BLOB NOT NULL,
    cose_key BLOB NOT NULL,
    csr BLOB NOT NULL,
    tls_key BLOB NOT NULL,      -- SHA-256 of the public key info in the request for a certificate
    serial TEXT NOT NULL,
    model TEXT NOT NULL,
    firmware TEXT NOT NULL,
    address TEXT NOT NULL,      -- where it asked from
    asked_ms INTEGER NOT NULL,
    decided_ms INTEGER,
    who TEXT,                   -- who decided
    reason TEXT NOT NULL,       -- why it was refused
    device BLOB REFERENCES device (id),
    certificate BLOB REFERENCES certificate (serial)
) STRICT, WITHOUT ROWID;
CREATE TABLE forward_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO "forward_cursor" VALUES(1,1);
CREATE TABLE gap (
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq INTEGER NOT NULL,
    noted_ms INTEGER NOT NULL,
    why TEXT NOT NULL,
    UNIQUE (device, epoch, from_seq, to_seq)
) STRICT;
INSERT INTO "gap" VALUES(1,X'6465766963652D42',X'65706F63682D2D32',1,9,1789000100070,'the device no longer holds them');
CREATE TABLE gate (
    place TEXT NOT NULL REFERENCES place (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (place, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "gate" VALUES('mall','north','北门');
INSERT INTO "gate" VALUES('mall','south','');
INSERT INTO "gate" VALUES('station','G1','');
CREATE TABLE head (
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB,                  -- NULL after a noted gap
    row_id INTEGER,             -- the newest row of this spool; NULL while there is none
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;
INSERT INTO "head" VALUES(X'6465766963652D41',X'65706F63682D2D31',1,X'6B86B273FF34FCE19D6B804EFF5A3F5747ADA4EAA22F1D49C01E52DDB7875B4B',1,1789000100050);
CREATE TABLE issued_policy (
    device BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL,       -- of everything in it but version and time: unchanged means nothing to sign
    sealed BLOB NOT NULL,
    issued_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE list_fresh (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    issued_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE place (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    responsible TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "place" VALUES('mall','商场','110105','王五');
INSERT INTO "place" VALUES('station','车站','','');
CREATE TABLE place_closed (
    place TEXT NOT NULL,        -- the platform may name one that is not registered here yet
    source TEXT NOT NULL CHECK (source IN ('platform', 'operator')),
    why TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (place, source)
) STRICT, WITHOUT ROWID;
INSERT INTO "place_closed" VALUES('station','operator','water',1789000710000);
CREATE TABLE policy (
    place TEXT NOT NULL REFERENCES place (id),
    version INTEGER NOT NULL CHECK (version >= 1),
    rules TEXT NOT NULL,        -- JSON object
    who TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (place, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "policy" VALUES('mall',1,'{"yellow": "refuse"}','wang',1789000700000,'stricter');
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    device BLOB,
    epoch BLOB,
    seq INTEGER,
    received_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    data BLOB,                  -- the beginning of the bytes; NULL after its retention
    digest BLOB NOT NULL UNIQUE -- SHA-256 of all of them with whose, where and why: a resend adds nothing
) STRICT;
INSERT INTO "quarantine" VALUES(1,X'6465766963652D42',NULL,NULL,1789000100060,'malformed','odd',X'3F',X'8E35C2CD3BF6641BDB0E2050B76932CBB2E6034A0DDACC1D9BEA82A6BA57F7CF');
CREATE TABLE trust_change (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n INTEGER NOT NULL
) STRICT;
INSERT INTO "trust_change" VALUES(1,3);
CREATE TABLE waypoint (
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    row_id INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER checkin_keeps_rows BEFORE DELETE ON checkin
BEGIN
    SELECT RAISE(ABORT, 'check-ins are never deleted');
END;
CREATE TRIGGER checkin_keeps_facts
BEFORE UPDATE OF id, prev_id, device, epoch, seq, hash, at_ms, received_ms, place, gate, direction, colour, verdict,
    reason, clock, code ON checkin
BEGIN
    SELECT RAISE(ABORT, 'check-ins are never changed');
END;
CREATE INDEX quarantine_device ON quarantine (device) WHERE data IS NOT NULL;
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never deleted');
END;
CREATE TRIGGER audit_keeps_facts BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never changed');
END;
CREATE INDEX batch_pending ON batch (next_try_ms) WHERE state IN ('open', 'refused');
CREATE INDEX batch_personal ON batch (first_id) WHERE state = 'receipted' AND forgotten = 0;
CREATE VIEW pending_batch AS
SELECT id, first_id, last_id, n, state, attempts, next_try_ms, made_ms FROM batch WHERE state IN ('open', 'refused');
CREATE INDEX device_key_device ON device_key (device, from_ms);
CREATE INDEX device_key_unannounced ON device_key (from_ms) WHERE announced_ms IS NULL;
CREATE UNIQUE INDEX enrolment_asked ON enrolment (token, kid);
CREATE INDEX enrolment_key ON enrolment (kid);
CREATE INDEX enrolment_tls_key ON enrolment (tls_key);
CREATE INDEX enrolment_waiting ON enrolment (asked_ms) WHERE state = 0;
CREATE INDEX certificate_device ON certificate (device, issued_ms);
CREATE INDEX certificate_key ON certificate (key);
CREATE TRIGGER believed_never_goes_back BEFORE UPDATE ON believed WHEN NEW.version < OLD.version
BEGIN
    SELECT RAISE(ABORT, 'a version never goes back');
END;
CREATE TRIGGER policy_keeps_rows BEFORE DELETE ON policy
BEGIN
    SELECT RAISE(ABORT, 'policies are never deleted');
END;
CREATE TRIGGER policy_keeps_facts BEFORE UPDATE ON policy
BEGIN
    SELECT RAISE(ABORT, 'policies are never changed');
END;
CREATE TRIGGER issued_policy_only_grows BEFORE UPDATE ON issued_policy WHEN NEW.version <= OLD.version
BEGIN
    SELECT RAISE(ABORT, 'a version never goes back');
END;
CREATE INDEX command_open ON command (device) WHERE state IN ('queued', 'sent');
CREATE TRIGGER change_by_policy AFTER INSERT ON policy
BEGIN
    UPDATE trust_change SET n = n + 1;
END;
CREATE TRIGGER change_by_closing AFTER INSERT ON place_closed
BEGIN
    UPDATE trust_change SET n = n + 1;
END;
CREATE TRIGGER change_by_opening AFTER DELETE ON place_closed
BEGIN
    UPDATE trust_change SET n = n + 1;
END;
CREATE TRIGGER change_by_command AFTER INSERT ON command
BEGIN
    UPDATE trust_change SET n = n + 1;
END;
CREATE TRIGGER change_by_new_device AFTER INSERT ON device
BEGIN
    UPDATE trust_change SET n = n + 1;
END;
CREATE TRIGGER change_by_device AFTER UPDATE ON device
BEGIN
    UPDATE trust_change SET n = n + 1;
END;
CREATE TRIGGER change_by_key AFTER INSERT ON device_key
BEGIN
    UPDATE trust_change SET n = n + 1;
END;
COMMIT;
PRAGMA application_id = 1196181570;
PRAGMA user_version = 3;
