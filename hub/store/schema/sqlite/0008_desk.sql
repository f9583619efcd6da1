-- Version 8: the attendant's desk. Nothing in these tables says who stood at it. Times as in version 1.

-- A visit that was registered at a desk. What was typed is in `sealed`, which only the platform can read; its receipt
-- erases it, and nothing else does while the visit waits.
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
CREATE INDEX desk_waiting ON desk_visit (next_try_ms) WHERE state = 'waiting';
CREATE INDEX desk_refused ON desk_visit (closed_ms) WHERE state = 'refused' AND sealed IS NOT NULL;

-- When an account asked, so that nobody tries identity numbers one after the other. Older ones than an hour are erased.
CREATE TABLE desk_asking (
    account TEXT NOT NULL,
    ask TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX desk_asking_account ON desk_asking (account, ask, at_ms);
