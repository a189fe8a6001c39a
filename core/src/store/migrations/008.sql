-- Records that this device could not open when they came, until a grant opens them. key as in entry
CREATE TABLE unread (
    key INTEGER PRIMARY KEY,
    device BLOB NOT NULL,         -- whose leaf it stands under, in its epoch
    may_write INTEGER NOT NULL,   -- whether that one wrote there more than answers
    owned INTEGER NOT NULL,       -- whether that one was an owner there
    record_key BLOB,              -- K, as a grant gave it
    granted INTEGER               -- the grant's number in the log
) STRICT;
CREATE INDEX unread_granted ON unread (key) WHERE record_key IS NOT NULL;

-- K of records that are neither message nor mark: names, what came twice, and own ones in other bytes. A later
-- device of the person is to read them too. key as in entry
CREATE TABLE kept_key (
    key INTEGER PRIMARY KEY,
    record_key BLOB NOT NULL
) STRICT;

-- K of own records that are no message, from sealing until they stand in the log.
CREATE TABLE sealed_key (
    intent INTEGER PRIMARY KEY,
    record_key BLOB NOT NULL
) STRICT;

-- Grants to this device whose keys were not fetched yet. key as in entry
CREATE TABLE grant_waiting (
    key INTEGER PRIMARY KEY
) STRICT;

-- What this device asked for in a log.
CREATE TABLE asking (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    total INTEGER NOT NULL,       -- how much was not readable when it began
    attempts INTEGER NOT NULL,
    next_ms INTEGER NOT NULL      -- not asked again before
) STRICT;

-- What other devices ask for and this phone may give.
CREATE TABLE asked (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    ranges BLOB NOT NULL,
    due_ms INTEGER NOT NULL,      -- 0: to be drawn
    PRIMARY KEY (log, device)
) STRICT, WITHOUT ROWID;

-- Lines that say what is not readable, since each record that becomes so counts one less.
CREATE INDEX message_unreadable ON message (key) WHERE kind = 4;

-- The record that gave a conversation its name: an older one that is read later does not.
ALTER TABLE conversation ADD COLUMN title_seq INTEGER;
