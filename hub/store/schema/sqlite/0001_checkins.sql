-- Version 1. Ids, epochs, hashes and keys are raw bytes; times are milliseconds since 1970 UTC.
-- Enumerations hold the numbers of PROTOCOL §5 and §7.

-- One row for each check-in, in order of arrival, never deleted. There is no index on (device, epoch, seq): the
-- head makes it unnecessary, and each insert into such an index would dirty a page of its own.
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

-- How far each spool is stored; moved in the transaction that stores the rows.
CREATE TABLE head (
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB,                  -- NULL after a noted gap
    row_id INTEGER,             -- the newest row of this spool; NULL while there is none
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;

-- Every 512th check-in of a spool: with `prev_id` an old check-in is found in at most 512 steps.
CREATE TABLE waypoint (
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    row_id INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) STRICT, WITHOUT ROWID;

-- The minute comes first, so that the rows being counted now lie together.
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
CREATE INDEX quarantine_device ON quarantine (device) WHERE data IS NOT NULL;

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

CREATE TABLE place (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    region TEXT NOT NULL,
    responsible TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE gate (
    place TEXT NOT NULL REFERENCES place (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (place, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    id BLOB PRIMARY KEY,
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    direction INTEGER,          -- NULL: both
    name TEXT NOT NULL,
    cose_key BLOB NOT NULL,
    kid BLOB NOT NULL UNIQUE,   -- a key is one device's, for ever
    state TEXT NOT NULL CHECK (state IN ('active', 'quarantined', 'revoked')),
    reason TEXT NOT NULL,
    added_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    FOREIGN KEY (place, gate) REFERENCES gate (place, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never deleted');
END;

CREATE TRIGGER audit_keeps_facts BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never changed');
END;

-- The outbox is a cursor over the rows: everything after it is in no batch yet.
CREATE TABLE forward_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_id INTEGER NOT NULL
) STRICT;
INSERT INTO forward_cursor (one, last_id) VALUES (1, 0);

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
CREATE INDEX batch_pending ON batch (next_try_ms) WHERE state IN ('open', 'refused');
CREATE INDEX batch_personal ON batch (first_id) WHERE state = 'receipted' AND forgotten = 0;

-- Batches that the platform has still to sign for. The columns stand in the order in which they are read.
CREATE VIEW pending_batch AS
SELECT id, first_id, last_id, n, state, attempts, next_try_ms, made_ms FROM batch WHERE state IN ('open', 'refused');

-- Rows left out of their batch for ever, written when the batch is fixed.
CREATE TABLE batch_skip (
    row_id INTEGER PRIMARY KEY REFERENCES checkin (id)
) STRICT;
