-- Version 3: what flows from platform and operator to the gates. Times as in version 1; `_s` are seconds.

-- The platform's objects, signed, as they are handed on: a hub that starts without the platform still has them.
CREATE TABLE believed (
    kind TEXT NOT NULL CHECK (kind IN ('trust', 'list')),
    name TEXT NOT NULL,         -- a list's address; empty for the trust bundle
    version INTEGER NOT NULL,
    issued_s INTEGER NOT NULL,
    kept_ms INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;

CREATE TRIGGER believed_never_goes_back BEFORE UPDATE ON believed WHEN NEW.version < OLD.version
BEGIN
    SELECT RAISE(ABORT, 'a version never goes back');
END;

-- The newest delta or heartbeat of each list. Apart, so that the list itself is not written again for it.
CREATE TABLE list_fresh (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    issued_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every version of each place's policy. Going back to an old one makes a new one with the same rules.
CREATE TABLE policy (
    place TEXT NOT NULL REFERENCES place (id),
    version INTEGER NOT NULL CHECK (version >= 1),
    rules TEXT NOT NULL,        -- JSON object
    who TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (place, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER policy_keeps_rows BEFORE DELETE ON policy
BEGIN
    SELECT RAISE(ABORT, 'policies are never deleted');
END;

CREATE TRIGGER policy_keeps_facts BEFORE UPDATE ON policy
BEGIN
    SELECT RAISE(ABORT, 'policies are never changed');
END;

-- Who closed a place, and why. It is open when nobody keeps it closed.
CREATE TABLE place_closed (
    place TEXT NOT NULL,        -- the platform may name one that is not registered here yet
    source TEXT NOT NULL CHECK (source IN ('platform', 'operator')),
    why TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (place, source)
) STRICT, WITHOUT ROWID;

-- The newest policy signed for each device. Its version only grows.
CREATE TABLE issued_policy (
    device BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL,       -- of everything in it but version and time: unchanged means nothing to sign
    sealed BLOB NOT NULL,
    issued_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER issued_policy_only_grows BEFORE UPDATE ON issued_policy WHEN NEW.version <= OLD.version
BEGIN
    SELECT RAISE(ABORT, 'a version never goes back');
END;

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
CREATE INDEX command_open ON command (device) WHERE state IN ('queued', 'sent');

-- When each device was last heard, and what it said then.
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

-- Grows with each change that gates must hear of, whoever makes it: cheap to look at five times a second.
CREATE TABLE trust_change (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n INTEGER NOT NULL
) STRICT;
INSERT INTO trust_change (one, n) VALUES (1, 0);

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
