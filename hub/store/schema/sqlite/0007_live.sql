-- Version 7: counts that last, how full a place may be, and who is told of what. Times as in version 1.

-- What `count_minute` becomes after two days. The place comes first: pages ask for one place over many days.
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
CREATE INDEX count_hour_hour ON count_hour (hour);

-- Minutes and hours as one: whoever asks by the hour need not know how old it is. An hour may be in both.
CREATE VIEW counted (place, hour, gate, colour, verdict, direction, n) AS
SELECT place, hour, gate, colour, verdict, direction, n FROM count_hour
UNION ALL
SELECT place, minute / 60, gate, colour, verdict, direction, n FROM count_minute;

-- Of the counted, those whose own time could not be believed: they count when they were received.
CREATE TABLE count_untimed (
    hour INTEGER NOT NULL,
    place TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (hour, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE place_live (
    place TEXT PRIMARY KEY REFERENCES place (id),
    people_most INTEGER CHECK (people_most > 0), -- NULL: no limit
    day_begins_h INTEGER NOT NULL CHECK (day_begins_h BETWEEN 0 AND 23), -- when the place is empty
    escalate_min INTEGER NOT NULL CHECK (escalate_min BETWEEN 1 AND 1440)
) STRICT, WITHOUT ROWID;

-- Rows up to here have been looked at. It moves with what they raise, so that none raises anything twice.
CREATE TABLE alert_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last_id INTEGER NOT NULL
) STRICT;
-- What was stored before there were alerts raises none.
INSERT INTO alert_cursor (one, last_id) SELECT 1, coalesce(max(id), 0) FROM checkin;

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
CREATE UNIQUE INDEX alert_stands ON alert (kind, about) WHERE ended_ms IS NULL;
CREATE INDEX alert_open ON alert (level_ms) WHERE ended_ms IS NULL AND acknowledged_ms IS NULL;

CREATE TABLE alert_event (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alert (id),
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,          -- an account, or `hub`
    what TEXT NOT NULL CHECK (what IN ('raised', 'again', 'escalated', 'acknowledged', 'ended')),
    note TEXT NOT NULL
) STRICT;
CREATE INDEX alert_event_alert ON alert_event (alert);

CREATE TRIGGER alert_event_keeps_rows BEFORE DELETE ON alert_event
BEGIN
    SELECT RAISE(ABORT, 'what happened to an alert is never deleted');
END;

CREATE TRIGGER alert_event_keeps_facts BEFORE UPDATE ON alert_event
BEGIN
    SELECT RAISE(ABORT, 'what happened to an alert is never changed');
END;

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
CREATE INDEX alert_delivery_due ON alert_delivery (next_try_ms) WHERE state = 'waiting';
