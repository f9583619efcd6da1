-- Version 9: finding check-ins by time and by slip number; deletion of a register. Times as in version 1.

-- Which spans of 4,096 rows hold a check-in of which hour. The hub enters a span some seconds after its rows, never with
-- them, so commits of check-ins cost what they did. Rows beyond the last whole span are in no entry: there are few.
CREATE TABLE checkin_hour (
    hour INTEGER NOT NULL,      -- of `at_ms`, since 1970
    span INTEGER NOT NULL,      -- its rows are span * 4096 + 1 to span * 4096 + 4096
    PRIMARY KEY (hour, span)
) STRICT, WITHOUT ROWID;

-- The slip numbers of those who were not admitted; nobody else is told one.
CREATE TABLE slip (
    number INTEGER NOT NULL,    -- the first 40 bits of the check-in's hash
    row_id INTEGER NOT NULL,
    PRIMARY KEY (number, row_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE entered_spans (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    n INTEGER NOT NULL          -- so many spans, from the first, are in the two tables above
) STRICT;
INSERT INTO entered_spans (one, n) VALUES (1, 0);

-- Somebody wants the personal fields of a place and time gone. Rows without the platform's receipt wait for it.
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
CREATE INDEX erasure_place ON erasure (place, id);

-- What is still to be looked through for it: ranges of row ids.
CREATE TABLE erasure_part (
    erasure INTEGER NOT NULL REFERENCES erasure (id),
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,   -- look again then
    PRIMARY KEY (erasure, first_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX erasure_part_due ON erasure_part (next_ms, erasure, first_id);
