-- Version 11: firmware. Rings, rollouts, and what became of each device in one. Times as in version 1.

-- What a device says of the release that it was to take and does not run: both NULL where there is none.
ALTER TABLE device_health ADD COLUMN update_failed INTEGER;  -- 1002003 is version 1.2.3
ALTER TABLE device_health ADD COLUMN update_failure INTEGER;

-- Which devices get a release first. One without a row here is in ring 1.
CREATE TABLE device_ring (
    device BLOB PRIMARY KEY REFERENCES device (id),
    ring INTEGER NOT NULL CHECK (ring BETWEEN 0 AND 9)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollout (
    id INTEGER PRIMARY KEY,
    release INTEGER NOT NULL,
    place TEXT NOT NULL,        -- empty: every place
    soak_min INTEGER NOT NULL,
    failures_max INTEGER NOT NULL,
    patience_min INTEGER NOT NULL,
    who TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'halted', 'done', 'cancelled')),
    reason TEXT NOT NULL,       -- why it was halted
    ring INTEGER NOT NULL,      -- devices of this ring and those before it are told; 10: of all
    soak_from_ms INTEGER,       -- since when every device of the ring that can be reached runs the release
    moved_ms INTEGER NOT NULL   -- when its state changed last
) STRICT;
CREATE UNIQUE INDEX rollout_one ON rollout ((1)) WHERE state IN ('running', 'halted');

CREATE TRIGGER rollout_keeps_rows BEFORE DELETE ON rollout
BEGIN
    SELECT RAISE(ABORT, 'rollouts are never deleted');
END;

CREATE TRIGGER rollout_keeps_facts BEFORE UPDATE OF id, release, place, who, made_ms ON rollout
BEGIN
    SELECT RAISE(ABORT, 'what was staged is never changed');
END;

CREATE TRIGGER rollout_ends_once BEFORE UPDATE ON rollout WHEN OLD.state = 'cancelled'
BEGIN
    SELECT RAISE(ABORT, 'a cancelled rollout stays as it is');
END;

-- A device that was told. The command is written after this row: one that is not there was never sent.
CREATE TABLE rollout_device (
    rollout INTEGER NOT NULL REFERENCES rollout (id),
    device BLOB NOT NULL,
    command BLOB NOT NULL,
    tries INTEGER NOT NULL,
    was_failing INTEGER NOT NULL, -- it said that this very release had failed already when it was told
    told_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('told', 'updated', 'failed', 'unable')),
    reason TEXT NOT NULL,
    outcome_ms INTEGER NOT NULL,
    PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;
