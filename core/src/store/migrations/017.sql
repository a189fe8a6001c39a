-- Who belongs to a conversation, from which entry to which: whom a message asks to confirm it, and who
-- came later or has left.
CREATE TABLE stay (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    user BLOB NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq INTEGER,               -- the entry by which that one left or was removed
    PRIMARY KEY (log, user, from_seq)
) STRICT, WITHOUT ROWID;

-- How many people a message asks to confirm it; none if it does not ask.
ALTER TABLE message ADD COLUMN asked INTEGER;
-- How many of them have.
ALTER TABLE message ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;
-- mark.key of the own confirmation.
ALTER TABLE message ADD COLUMN confirmed_key INTEGER;
-- Whether this person is asked and has not confirmed.
ALTER TABLE message ADD COLUMN to_confirm INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_to_confirm ON message (key) WHERE to_confirm = 1;

-- The confirmations that count: the first one of each person.
CREATE TABLE confirmation (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    author BLOB NOT NULL,
    key INTEGER NOT NULL,         -- mark.key
    asked INTEGER NOT NULL,       -- whether that one was there when it was asked
    PRIMARY KEY (log, target, author)
) STRICT, WITHOUT ROWID;

-- The pictures of conversations, as this phone encoded them after it had looked at what came.
CREATE TABLE picture (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,         -- the record that sets it
    message_id BLOB,              -- the line that has its file; none if there is no picture any more
    state INTEGER NOT NULL,       -- as of a preview
    reason INTEGER,
    tries INTEGER NOT NULL,
    width INTEGER,
    height INTEGER,
    media_type TEXT,
    picture BLOB
) STRICT;
CREATE INDEX picture_waiting ON picture (log) WHERE state = 0;
