-- The stand-in platform's tables. Rows are only ever added, but for places that open again.
CREATE TABLE IF NOT EXISTS batches (
    batch_id BLOB PRIMARY KEY,
    hub BLOB NOT NULL,
    content_hash BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    answer BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS checkins (
    id INTEGER PRIMARY KEY,
    batch_id BLOB NOT NULL,
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    prev BLOB NOT NULL,
    hash BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    direction INTEGER NOT NULL,
    colour INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    issuer_kid BLOB,
    person INTEGER,
    sealed BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    UNIQUE (device, epoch, seq)
);

-- A check-in that came once more in another batch. Kept apart, so that rows count people's showings.
CREATE TABLE IF NOT EXISTS again (
    id INTEGER PRIMARY KEY,
    batch_id BLOB NOT NULL,
    device BLOB NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    received_ms INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY,
    batch_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    sealed BLOB NOT NULL,
    received_ms INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS people (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- What hubs said of their devices. A device that changed its key has several.
CREATE TABLE IF NOT EXISTS device_keys (
    kid BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    cose_key BLOB NOT NULL,
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    from_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS closed_places (
    place TEXT PRIMARY KEY,
    why TEXT NOT NULL
) WITHOUT ROWID;

-- What attendants asked at their desks, with the answer that each has for ever. `ask`: 0 a visit, 1 a look-up.
CREATE TABLE IF NOT EXISTS desk_questions (
    id BLOB PRIMARY KEY,
    ask INTEGER NOT NULL,
    hub BLOB NOT NULL,
    place TEXT NOT NULL,
    gate TEXT NOT NULL,
    direction INTEGER,
    scheme INTEGER NOT NULL,
    phone TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    answer BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS desk_people (
    question BLOB NOT NULL REFERENCES desk_questions (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    number TEXT NOT NULL,
    colour INTEGER NOT NULL,
    PRIMARY KEY (question, position)
) WITHOUT ROWID;
