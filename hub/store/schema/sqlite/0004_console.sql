-- Version 4: who may use the console; an audit log that is a chain. Times as in version 1.

-- One link for each entry: SHA-256 over the hash before it and the entry. `audit_link` is a function of our own, which
-- a plain connection does not have: whoever writes an entry writes its link, or neither.
CREATE TABLE audit_chain (
    id INTEGER PRIMARY KEY REFERENCES audit (id),
    hash BLOB NOT NULL
) STRICT;

INSERT INTO audit_chain (id, hash)
WITH RECURSIVE chain (id, hash) AS (
    SELECT 0, zeroblob(32)
    UNION ALL
    SELECT audit.id, audit_link(chain.hash, audit.id, at_ms, who, action, detail)
    FROM chain JOIN audit ON audit.id = chain.id + 1)
SELECT id, hash FROM chain WHERE id > 0;

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

-- What a responsible person (places) or an attendant (gates) may see. Other roles see everything that theirs allows.
CREATE TABLE account_scope (
    account TEXT NOT NULL REFERENCES account (name),
    place TEXT NOT NULL REFERENCES place (id),
    gate TEXT NOT NULL,         -- empty: the whole place
    PRIMARY KEY (account, place, gate)
) STRICT, WITHOUT ROWID;

-- A link by which somebody sets a password once. The token itself is never stored.
CREATE TABLE invitation (
    hash BLOB PRIMARY KEY,      -- SHA-256 of the token
    account TEXT REFERENCES account (name), -- NULL: for the first administrator, who is made by it
    who TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER
) STRICT, WITHOUT ROWID;

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
CREATE INDEX session_account ON session (account);

-- What the console asks of the hub, which alone holds keys and speaks with the platform.
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
CREATE INDEX errand_asked ON errand (made_ms) WHERE state = 'asked';
