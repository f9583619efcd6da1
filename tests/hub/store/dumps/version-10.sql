-- A store as schema version 10 left it, by sqlite3's iterdump. Header: application_id 1196181570, user_version 10.
BEGIN TRANSACTION;
CREATE TABLE account (
    name TEXT PRIMARY KEY,
    display TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'operator', 'responsible', 'attendant', 'auditor')),
    password TEXT,              -- argon2id in PHC form; NULL until its first link was used
    totp TEXT,                  -- base32 secret; NULL: none
    totp_step INTEGER NOT NULL DEFAULT 0, -- of the last code that was taken: none is good twice
    enabled INTEGER NOT NULL DEFAULT 1,
    added_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE account_scope (
    account TEXT NOT NULL REFERENCES account (name),
    place TEXT NOT NULL REFERENCES place (id),
    gate TEXT NOT NULL,         -- empty: the whole place
    PRIMARY KEY (account, place, gate)
) STRICT, WITHOUT ROWID;
CREATE TABLE alert (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,         -- `red`, or a trouble such as `device.offline`
    about TEXT NOT NULL,        -- what it is about: of each at most one stands
    place TEXT NOT NULL,        -- empty: the whole site
    gate TEXT NOT NULL,
    device BLOB,
    row_id INTEGER,             -- the newest check-in in it
    slip TEXT NOT NULL,
    detail TEXT NOT NULL,
    at_ms INTEGER NOT NULL,     -- of the check-in, by the gate's clock; of a trouble, when it was seen
    raised_ms INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL,
    times INTEGER NOT NULL,
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 3), -- community, regulator, headquarters
    level_ms INTEGER NOT NULL,  -- since when
    acknowledged_ms INTEGER,
    acknowledged_by TEXT NOT NULL DEFAULT '',
    ended_ms INTEGER            -- a red is over when it is acknowledged, a trouble when it is no more
) STRICT;
CREATE TABLE alert_channel (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: old deliveries name it
    name TEXT NOT NULL,
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 3),
    place TEXT NOT NULL,        -- empty: every place
    region TEXT NOT NULL,       -- how the place's region begins; empty: every region
    reds INTEGER NOT NULL,
    troubles INTEGER NOT NULL,
    language TEXT NOT NULL CHECK (language IN ('zh', 'en')),
    url TEXT NOT NULL,          -- a secret: whoever has it can write there
    enabled INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE alert_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO "alert_cursor" VALUES(1,0);
CREATE TABLE alert_delivery (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alert (id),
    channel INTEGER NOT NULL,   -- which may be gone since
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given_up')),
    attempts INTEGER NOT NULL DEFAULT 0,
    made_ms INTEGER NOT NULL,
    next_try_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    UNIQUE (alert, channel)
) STRICT;
CREATE TABLE alert_event (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alert (id),
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,          -- an account, or `hub`
    what TEXT NOT NULL CHECK (what IN ('raised', 'again', 'escalated', 'acknowledged', 'ended')),
    note TEXT NOT NULL
) STRICT;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1789000000000,'wang','place.add','mall: 商场');
INSERT INTO "audit" VALUES(2,1789000000001,'wang','command.send','6465766963652d41: locate');
CREATE TABLE audit_chain (
    id INTEGER PRIMARY KEY REFERENCES audit (id),
    hash BLOB NOT NULL
) STRICT;
INSERT INTO "audit_chain" VALUES(1,X'9031BB86F92A5473D131776B752356D25870B7E2730009B86FF7EF6EA636BD72');
INSERT INTO "audit_chain" VALUES(2,X'CA9BB5E82A355EC916A232106DAEA777B126EDB606752DE3DB9700331181C3BE');
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
CREATE TABLE checkin_hour (
    hour INTEGER NOT NULL,      -- of `at_ms`, since 1970
    span INTEGER NOT NULL,      -- its rows are span * 4096 + 1 to span * 4096 + 4096
    PRIMARY KEY (hour, span)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "command" VALUES(X'000102030405060708090A0B0C0D0E0F',X'6465766963652D41','locate','{"seconds": 10}',1789000000,1789000060,'wang','done',NULL,'',NULL,1789000000100,1789000000200);
CREATE TABLE count_hour (
    place TEXT NOT NULL,
    hour INTEGER NOT NULL,
    gate TEXT NOT NULL,
    colour INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (place, hour, gate, colour, verdict, direction)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE count_untimed (
    hour INTEGER NOT NULL,
    place TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (hour, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE desk_asking (
    account TEXT NOT NULL,
    ask TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE desk_visit (
    id BLOB PRIMARY KEY,        -- a hash over what was typed, with a nonce in it
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    who TEXT NOT NULL,          -- the attendant's account
    kept_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'stored', 'refused')),
    reason TEXT NOT NULL DEFAULT '', -- why the platform refused it
    next_try_ms INTEGER NOT NULL,
    closed_ms INTEGER,
    sealed BLOB                 -- NULL after the receipt; of a refused one, after the retention of quarantine
) STRICT, WITHOUT ROWID;
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
INSERT INTO "device" VALUES(X'6465766963652D41','mall','north',0,'','active','',1789000000000,1789000000000);
INSERT INTO "device" VALUES(X'6465766963652D42','mall','north',0,'','revoked','',1789000000000,1789000000000);
CREATE TABLE device_health (
    device BLOB PRIMARY KEY,
    heard_ms INTEGER NOT NULL,  -- by the hub's clock
    at_ms INTEGER NOT NULL,     -- by the device's
    state INTEGER NOT NULL,
    clock_trusted INTEGER NOT NULL,
    clock_source INTEGER,
    enabled INTEGER,
    spool INTEGER NOT NULL,
    unsent_s INTEGER,
    frames INTEGER NOT NULL,
    frames_dropped INTEGER NOT NULL,
    scans INTEGER NOT NULL,
    unreadable INTEGER NOT NULL, -- `foreign` on the wire: texts that were no codes
    decoder_restarts INTEGER NOT NULL,
    camera_restarts INTEGER NOT NULL,
    lists INTEGER NOT NULL,     -- status lists that it has
    lists_stale INTEGER,
    trust_days INTEGER,
    thermometer_ok INTEGER,
    refused INTEGER,
    provisioning INTEGER,
    board_cc INTEGER,
    supply INTEGER,
    disk_free_mib INTEGER,
    disk_mib INTEGER,
    frame_rate_c INTEGER,       -- frames in 100 s, between its last two messages
    decode_us INTEGER           -- mean of a frame, as above
) STRICT, WITHOUT ROWID;
INSERT INTO "device_health" VALUES(X'6465766963652D41',101,102,1,1,1,1,107,108,109,110,111,112,113,114,115,116,117,1,119,120,121,1,123,124,125,126);
CREATE TABLE device_key (
    kid BLOB PRIMARY KEY,       -- a key is one device's, for ever
    device BLOB NOT NULL,
    cose_key BLOB NOT NULL,
    from_ms INTEGER NOT NULL,
    until_ms INTEGER,           -- when its successor was first used; NULL: it may sign
    announced_ms INTEGER        -- NULL: the platform has still to be told
) STRICT, WITHOUT ROWID;
INSERT INTO "device_key" VALUES(X'01565176601C895C',X'6465766963652D42',X'A3010120062158208139770EA87D175F56A35466C34C7ECCCB8D8A91B4EE37A25DF60F5B8FC9B394',1789000000000,NULL,NULL);
INSERT INTO "device_key" VALUES(X'DD2FB4E18B5E1CE3',X'6465766963652D41',X'A3010120062158208A88E3DD7409F195FD52DB2D3CBA5D72CA6709BF1D94121BF3748801B40F6F5C',1789000000000,NULL,NULL);
CREATE TABLE device_sample (
    slot INTEGER NOT NULL,      -- five minutes since 1970
    device BLOB NOT NULL,
    scans INTEGER NOT NULL,     -- in them
    spool INTEGER NOT NULL,     -- at their end, and so the temperature
    board_cc INTEGER,
    frame_rate_c INTEGER,
    decode_us INTEGER,
    PRIMARY KEY (slot, device)
) STRICT, WITHOUT ROWID;
INSERT INTO "device_sample" VALUES(5963333,X'6465766963652D41',5,7,5512,1480,6400);
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
INSERT INTO "device_seen" VALUES(X'6465766963652D41',1789000060000,1,'0.1.0',3,4,0,1,7);
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
CREATE TABLE entered_spans (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n INTEGER NOT NULL          -- so many spans, from the first, are in the two tables above
) STRICT;
INSERT INTO "entered_spans" VALUES(1,0);
CREATE TABLE erasure (
    id INTEGER PRIMARY KEY,
    place TEXT NOT NULL REFERENCES place (id),
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    why TEXT NOT NULL,
    who TEXT NOT NULL,
    asked_ms INTEGER NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0,
    finished_ms INTEGER
) STRICT;
CREATE TABLE erasure_part (
    erasure INTEGER NOT NULL REFERENCES erasure (id),
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,   -- look again then
    PRIMARY KEY (erasure, first_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE errand (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    args TEXT NOT NULL,         -- JSON object
    data BLOB NOT NULL,         -- what is handed on as it is, such as sealed bytes; empty: nothing
    who TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('asked', 'done', 'failed')),
    reason TEXT NOT NULL DEFAULT '', -- stable, why it failed
    answer BLOB NOT NULL DEFAULT x'', -- what came of it; a sentence where it failed
    finished_ms INTEGER
) STRICT;
CREATE TABLE forward_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO "forward_cursor" VALUES(1,0);
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
CREATE TABLE gate (
    place TEXT NOT NULL REFERENCES place (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (place, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "gate" VALUES('mall','north','北门');
CREATE TABLE head (
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB,                  -- NULL after a noted gap
    row_id INTEGER,             -- the newest row of this spool; NULL while there is none
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE invitation (
    hash BLOB PRIMARY KEY,      -- SHA-256 of the token
    account TEXT REFERENCES account (name), -- NULL: for the first administrator, who is made by it
    who TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER
) STRICT, WITHOUT ROWID;
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
INSERT INTO "place" VALUES('mall','商场','5001','王');
CREATE TABLE place_application (
    id BLOB PRIMARY KEY,
    place TEXT,                 -- NULL: a new one, until the platform has named it
    state TEXT NOT NULL CHECK (state IN ('asked', 'issued', 'refused')),
    said TEXT NOT NULL,         -- JSON object
    commitment TEXT NOT NULL,   -- word for word, as it was ticked
    who TEXT NOT NULL,          -- the account that ticked it
    made_ms INTEGER NOT NULL,
    request BLOB,               -- as signed for the platform; NULL once there is an answer
    refusals TEXT NOT NULL DEFAULT '[]', -- JSON array of [field, reason]
    answered_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE place_closed (
    place TEXT NOT NULL,        -- the platform may name one that is not registered here yet
    source TEXT NOT NULL CHECK (source IN ('platform', 'operator')),
    why TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (place, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE place_code (
    place TEXT NOT NULL REFERENCES place (id),
    serial INTEGER NOT NULL CHECK (serial >= 1),
    code TEXT NOT NULL,         -- the text of its QR
    issued_s INTEGER NOT NULL,
    request BLOB NOT NULL,      -- the id of what it answers
    who TEXT NOT NULL,
    why TEXT NOT NULL,          -- of a reissue; empty for the first
    PRIMARY KEY (place, serial)
) STRICT, WITHOUT ROWID;
CREATE TABLE place_live (
    place TEXT PRIMARY KEY REFERENCES place (id),
    people_most INTEGER CHECK (people_most > 0), -- NULL: no limit
    day_begins_h INTEGER NOT NULL CHECK (day_begins_h BETWEEN 0 AND 23), -- when the place is empty
    escalate_min INTEGER NOT NULL CHECK (escalate_min BETWEEN 1 AND 1440)
) STRICT, WITHOUT ROWID;
CREATE TABLE policy (
    place TEXT NOT NULL REFERENCES place (id),
    version INTEGER NOT NULL CHECK (version >= 1),
    rules TEXT NOT NULL,        -- JSON object
    who TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (place, version)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE session (
    id BLOB PRIMARY KEY,        -- how it is called in lists; not what lets anybody in
    hash BLOB NOT NULL UNIQUE,  -- SHA-256 of the cookie, or of the API token
    account TEXT NOT NULL REFERENCES account (name),
    kind TEXT NOT NULL CHECK (kind IN ('browser', 'api')),
    label TEXT NOT NULL,        -- the browser's name for itself, or what an API token is for
    address TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE slip (
    number INTEGER NOT NULL,    -- the first 40 bits of the check-in's hash
    row_id INTEGER NOT NULL,
    PRIMARY KEY (number, row_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE trace (
    id INTEGER PRIMARY KEY,
    query_id BLOB,              -- this and the next seven: NULL where nobody is known to have signed
    kid BLOB,
    issuer TEXT,
    place TEXT,
    gate TEXT,                  -- NULL: every gate
    from_ms INTEGER,
    to_ms INTEGER,
    why TEXT,
    expires_ms INTEGER,
    query_hash BLOB NOT NULL UNIQUE, -- SHA-256 of the signed query
    heard_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('answering', 'answered', 'ended', 'refusing', 'refused')),
    reason TEXT NOT NULL,       -- why it was refused or ended
    last_id INTEGER NOT NULL,   -- the newest row that could be in the window when the query was accepted
    next_id INTEGER NOT NULL,   -- all rows before it have been looked through
    pages INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0,
    bare INTEGER NOT NULL DEFAULT 0,  -- of those told: without their signed bytes
    head BLOB NOT NULL,         -- SHA-256 of the page told last
    finished_ms INTEGER
) STRICT;
INSERT INTO "trace" VALUES(1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'7171717171717171717171717171717171717171717171717171717171717171',1789000000000,'refused','unknown_key',0,0,0,0,0,X'0000000000000000000000000000000000000000000000000000000000000000',NULL);
CREATE TABLE trust_change (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n INTEGER NOT NULL
) STRICT;
INSERT INTO "trust_change" VALUES(1,5);
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
CREATE TRIGGER audit_is_chained AFTER INSERT ON audit
BEGIN
    INSERT INTO audit_chain (id, hash) VALUES (NEW.id, audit_link(
        coalesce((SELECT hash FROM audit_chain WHERE id = NEW.id - 1), zeroblob(32)),
        NEW.id, NEW.at_ms, NEW.who, NEW.action, NEW.detail));
END;
CREATE TRIGGER audit_chain_keeps_rows BEFORE DELETE ON audit_chain
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never deleted');
END;
CREATE TRIGGER audit_chain_keeps_facts BEFORE UPDATE ON audit_chain
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never changed');
END;
CREATE INDEX session_account ON session (account);
CREATE INDEX errand_asked ON errand (made_ms) WHERE state = 'asked';
CREATE INDEX place_application_place ON place_application (place, made_ms) WHERE state = 'issued';
CREATE TRIGGER place_application_keeps_rows BEFORE DELETE ON place_application
BEGIN
    SELECT RAISE(ABORT, 'applications are never deleted');
END;
CREATE TRIGGER place_application_keeps_facts BEFORE UPDATE OF id, said, commitment, who, made_ms ON place_application
BEGIN
    SELECT RAISE(ABORT, 'applications are never changed');
END;
CREATE TRIGGER place_application_is_answered_once BEFORE UPDATE ON place_application WHEN OLD.state <> 'asked'
BEGIN
    SELECT RAISE(ABORT, 'this application has its answer');
END;
CREATE TRIGGER place_code_keeps_rows BEFORE DELETE ON place_code
BEGIN
    SELECT RAISE(ABORT, 'place codes are never deleted');
END;
CREATE TRIGGER place_code_keeps_facts BEFORE UPDATE ON place_code
BEGIN
    SELECT RAISE(ABORT, 'place codes are never changed');
END;
CREATE TRIGGER place_code_only_grows BEFORE INSERT ON place_code
WHEN NEW.serial <= (SELECT max(serial) FROM place_code WHERE place = NEW.place)
BEGIN
    SELECT RAISE(ABORT, 'a serial never goes back');
END;
CREATE INDEX command_device ON command (device, issued_s);
CREATE INDEX count_hour_hour ON count_hour (hour);
CREATE VIEW counted (place, hour, gate, colour, verdict, direction, n) AS
SELECT place, hour, gate, colour, verdict, direction, n FROM count_hour
UNION ALL
SELECT place, minute / 60, gate, colour, verdict, direction, n FROM count_minute;
CREATE UNIQUE INDEX alert_stands ON alert (kind, about) WHERE ended_ms IS NULL;
CREATE INDEX alert_open ON alert (level_ms) WHERE ended_ms IS NULL AND acknowledged_ms IS NULL;
CREATE INDEX alert_event_alert ON alert_event (alert);
CREATE TRIGGER alert_event_keeps_rows BEFORE DELETE ON alert_event
BEGIN
    SELECT RAISE(ABORT, 'what happened to an alert is never deleted');
END;
CREATE TRIGGER alert_event_keeps_facts BEFORE UPDATE ON alert_event
BEGIN
    SELECT RAISE(ABORT, 'what happened to an alert is never changed');
END;
CREATE INDEX alert_delivery_due ON alert_delivery (next_try_ms) WHERE state = 'waiting';
CREATE INDEX desk_waiting ON desk_visit (next_try_ms) WHERE state = 'waiting';
CREATE INDEX desk_refused ON desk_visit (closed_ms) WHERE state = 'refused' AND sealed IS NOT NULL;
CREATE INDEX desk_asking_account ON desk_asking (account, ask, at_ms);
CREATE INDEX erasure_place ON erasure (place, id);
CREATE INDEX erasure_part_due ON erasure_part (next_ms, erasure, first_id);
CREATE INDEX trace_open ON trace (id) WHERE state IN ('answering', 'refusing');
CREATE UNIQUE INDEX trace_query ON trace (query_id) WHERE kid IS NOT NULL AND reason <> 'other_content';
CREATE TRIGGER trace_keeps_rows BEFORE DELETE ON trace
BEGIN
    SELECT RAISE(ABORT, 'traces are never deleted');
END;
CREATE TRIGGER trace_keeps_facts
BEFORE UPDATE OF id, query_id, kid, issuer, place, gate, from_ms, to_ms, why, expires_ms, query_hash, heard_ms, last_id
    ON trace
BEGIN
    SELECT RAISE(ABORT, 'what was asked is never changed');
END;
CREATE TRIGGER trace_ends_once BEFORE UPDATE ON trace WHEN OLD.state IN ('answered', 'ended', 'refused')
BEGIN
    SELECT RAISE(ABORT, 'a trace that is over stays as it is');
END;
DELETE FROM "sqlite_sequence";
COMMIT;
PRAGMA application_id = 1196181570;
PRAGMA user_version = 10;
