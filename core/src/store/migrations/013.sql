-- How far others have read (read receipts, ptype 2): one row for each person and conversation, since who
-- read a message read what stands before it.
CREATE TABLE read_up_to (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    user BLOB NOT NULL,
    key INTEGER NOT NULL,         -- message.key of the newest message that was read
    t_ms INTEGER NOT NULL,        -- the log's time of the receipt
    PRIMARY KEY (log, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX read_up_to_age ON read_up_to (t_ms);

-- The own receipts: what was read, and what of it was said.
CREATE TABLE receipt (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    wanted INTEGER NOT NULL,      -- message.key of the newest message of others that was read
    said INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL
) STRICT;

-- How many of the others have a message of ours, as the server says.
CREATE TABLE delivered (
    key INTEGER PRIMARY KEY,      -- message.key
    count INTEGER NOT NULL,
    total INTEGER NOT NULL
) STRICT;

-- The newest message of a conversation that the person was notified of.
CREATE TABLE notified (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    key INTEGER NOT NULL
) STRICT;

-- Whether a message is an alarm, by somebody whom the policy lets send them.
ALTER TABLE message ADD COLUMN alarm INTEGER NOT NULL DEFAULT 0;
