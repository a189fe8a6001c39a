-- Polls: the options that a vote chooses, one bit for each.
ALTER TABLE mark ADD COLUMN choice INTEGER;

-- Votes in force, one row for each person who chose anything. `key` is the mark's.
CREATE TABLE vote (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    author BLOB NOT NULL,
    key INTEGER NOT NULL,
    choice INTEGER NOT NULL,
    PRIMARY KEY (log, target, author)
) STRICT, WITHOUT ROWID;

-- What a page of a timeline shows of a poll without counting.
CREATE TABLE poll (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    voters INTEGER NOT NULL,
    counts BLOB NOT NULL,         -- how many chose each option, as u32
    closed_key INTEGER,           -- mark.key of the close in force
    closed_by BLOB,
    PRIMARY KEY (log, target)
) STRICT, WITHOUT ROWID;
