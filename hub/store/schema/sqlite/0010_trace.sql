-- Version 10: traces, which the platform asks for. What was asked is never changed; only how far the answer has come.
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
    first_id INTEGER NOT NULL,  -- where the rows begin that were received since shortly before the window
    last_id INTEGER NOT NULL,   -- the newest row when the query was accepted
    due INTEGER NOT NULL,       -- rows of the place in the window's minutes, by their counts
    looked_back INTEGER NOT NULL DEFAULT 0, -- 1: the rows before first_id are looked through too
    next_id INTEGER NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0,  -- of `due`
    pages INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0,
    bare INTEGER NOT NULL DEFAULT 0,  -- of those told: without their signed bytes
    head BLOB NOT NULL,         -- SHA-256 of the page told last
    finished_ms INTEGER
) STRICT;
CREATE INDEX trace_open ON trace (id) WHERE state IN ('answering', 'refusing');
CREATE UNIQUE INDEX trace_query ON trace (query_id) WHERE kid IS NOT NULL AND reason <> 'other_content';

CREATE TRIGGER trace_keeps_rows BEFORE DELETE ON trace
BEGIN
    SELECT RAISE(ABORT, 'traces are never deleted');
END;

CREATE TRIGGER trace_keeps_facts
BEFORE UPDATE OF id, query_id, kid, issuer, place, gate, from_ms, to_ms, why, expires_ms, query_hash, heard_ms, first_id,
    last_id, due ON trace
BEGIN
    SELECT RAISE(ABORT, 'what was asked is never changed');
END;

CREATE TRIGGER trace_ends_once BEFORE UPDATE ON trace WHEN OLD.state IN ('answered', 'ended', 'refused')
BEGIN
    SELECT RAISE(ABORT, 'a trace that is over stays as it is');
END;
