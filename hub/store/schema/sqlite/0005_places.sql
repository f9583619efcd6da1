-- Version 5: place codes: what was applied for, and what was issued. Times as in version 1; `_s` are seconds.

-- Every application as it was made. Of the applicant's numbers only what may be shown; the numbers themselves stand
-- sealed in `request`, for the platform alone.
CREATE TABLE place_application (
    id BLOB PRIMARY KEY,
    place TEXT,                 -- NULL: a new one, until the platform has named it
    state TEXT NOT NULL CHECK (state IN ('asked', 'issued', 'refused')),
    said TEXT NOT NULL,         -- JSON object
    commitment TEXT NOT NULL,   -- word for word, as it was ticked
    who TEXT NOT NULL,          -- the account that ticked it
    made_ms INTEGER NOT NULL,
    request BLOB,               -- as signed for the platform; NULL once there is an answer
    refusals TEXT NOT NULL DEFAULT '[]', -- JSON array of [field, reason]
    answered_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX place_application_place ON place_application (place, made_ms) WHERE state = 'issued';

CREATE TRIGGER place_application_keeps_rows BEFORE DELETE ON place_application
BEGIN
    SELECT RAISE(ABORT, 'applications are never deleted');
END;

CREATE TRIGGER place_application_keeps_facts BEFORE UPDATE OF id, said, commitment, who, made_ms ON place_application
BEGIN
    SELECT RAISE(ABORT, 'applications are never changed');
END;

CREATE TRIGGER place_application_is_answered_once BEFORE UPDATE ON place_application WHEN OLD.state <> 'asked'
BEGIN
    SELECT RAISE(ABORT, 'this application has its answer');
END;

-- Every code of a place. The one with the highest serial is in force; the others are dead.
CREATE TABLE place_code (
    place TEXT NOT NULL REFERENCES place (id),
    serial INTEGER NOT NULL CHECK (serial >= 1),
    code TEXT NOT NULL,         -- the text of its QR
    issued_s INTEGER NOT NULL,
    request BLOB NOT NULL,      -- the id of what it answers
    who TEXT NOT NULL,
    why TEXT NOT NULL,          -- of a reissue; empty for the first
    PRIMARY KEY (place, serial)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER place_code_keeps_rows BEFORE DELETE ON place_code
BEGIN
    SELECT RAISE(ABORT, 'place codes are never deleted');
END;

CREATE TRIGGER place_code_keeps_facts BEFORE UPDATE ON place_code
BEGIN
    SELECT RAISE(ABORT, 'place codes are never changed');
END;

CREATE TRIGGER place_code_only_grows BEFORE INSERT ON place_code
WHEN NEW.serial <= (SELECT max(serial) FROM place_code WHERE place = NEW.place)
BEGIN
    SELECT RAISE(ABORT, 'a serial never goes back');
END;
