-- One row for ever: where the chain stands, and how far a receipt has allowed to forget.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL CHECK (length(epoch) = 8),
    head_seq INTEGER NOT NULL,
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32),
    receipted_seq INTEGER NOT NULL CHECK (receipted_seq BETWEEN 0 AND head_seq),
    receipted_hash BLOB NOT NULL CHECK (length(receipted_hash) = 32)
);

-- The sealed check-ins receipted_seq + 1 to head_seq, without a gap, byte for byte as they go to the platform.
CREATE TABLE sealed (
    seq INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

-- Codes that have been used at this gate: one code, one person, also after a restart.
CREATE TABLE used (
    code BLOB PRIMARY KEY,
    until_ms INTEGER NOT NULL
) WITHOUT ROWID;
