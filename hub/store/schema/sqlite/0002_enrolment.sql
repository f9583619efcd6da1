-- Version 2: how devices come to be registered, several keys for each over time, and the certificates given out.

-- A device's keys leave its row: it has another one after each rotation. Nothing refers to this table by name.
CREATE TABLE device_key (
    kid BLOB PRIMARY KEY,       -- a key is one device's, for ever
    device BLOB NOT NULL,
    cose_key BLOB NOT NULL,
    from_ms INTEGER NOT NULL,
    until_ms INTEGER,           -- when its successor was first used; NULL: it may sign
    announced_ms INTEGER        -- NULL: the platform has still to be told
) STRICT, WITHOUT ROWID;
CREATE INDEX device_key_device ON device_key (device, from_ms);
CREATE INDEX device_key_unannounced ON device_key (from_ms) WHERE announced_ms IS NULL;
INSERT INTO device_key (kid, device, cose_key, from_ms) SELECT kid, id, cose_key, added_ms FROM device;

ALTER TABLE device RENAME TO device_1;
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
INSERT INTO device SELECT id, place, gate, direction, name, state, reason, added_ms, changed_ms FROM device_1;
DROP TABLE device_1;

-- What a provisioning code carries. The token itself is never stored.
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
-- Asking again with the same key and code finds the same enrolment.
CREATE UNIQUE INDEX enrolment_asked ON enrolment (token, kid);
CREATE INDEX enrolment_key ON enrolment (kid);
CREATE INDEX enrolment_tls_key ON enrolment (tls_key);
CREATE INDEX enrolment_waiting ON enrolment (asked_ms) WHERE state = 0;

-- Every certificate that the hub's authority has signed.
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
CREATE INDEX certificate_device ON certificate (device, issued_ms);
CREATE INDEX certificate_key ON certificate (key);
