-- What is said about messages: answers, changes, reactions, mentions, pins, stars.

-- fate: 0 as it was written · 1 changed · 2 taken back by its author · 3 hidden by an owner.
ALTER TABLE message ADD COLUMN fate INTEGER NOT NULL DEFAULT 0;
-- mark.key of the mark that its fate comes from.
ALTER TABLE message ADD COLUMN change_key INTEGER;
ALTER TABLE message ADD COLUMN reply_to BLOB;
ALTER TABLE message ADD COLUMN markdown TEXT;         -- what `text` was written as, if it is formatted
ALTER TABLE message ADD COLUMN origin BLOB;           -- who wrote it elsewhere
ALTER TABLE message ADD COLUMN mentions BLOB;         -- user ids, one after another
ALTER TABLE message ADD COLUMN mentions_me INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN reacted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN pin_key INTEGER;       -- mark.key of the pin in force
ALTER TABLE message ADD COLUMN starred_ms INTEGER;
CREATE INDEX message_pinned ON message (key) WHERE pin_key IS NOT NULL;
CREATE INDEX message_starred ON message (starred_ms) WHERE starred_ms IS NOT NULL;

ALTER TABLE conversation ADD COLUMN last_fate INTEGER;
ALTER TABLE conversation ADD COLUMN unread_mentions INTEGER NOT NULL DEFAULT 0;

-- What somebody says about a message, and is no line of the timeline itself. key as in message.
CREATE TABLE mark (
    key INTEGER PRIMARY KEY,
    message_id BLOB NOT NULL,
    target BLOB NOT NULL,         -- the message that it is about, once that is known
    waits INTEGER NOT NULL,       -- whether this phone does not have what it names
    kind INTEGER NOT NULL,
    valid INTEGER NOT NULL,       -- whether its author might say so at its place in the log
    author BLOB NOT NULL,
    device BLOB NOT NULL,
    state INTEGER NOT NULL,       -- as of a message
    t_ms INTEGER NOT NULL,
    sent_ms INTEGER NOT NULL,
    text TEXT,                    -- an edit's text, a reaction's emoji
    markdown TEXT,
    mentions BLOB,
    content BLOB,
    record_key BLOB
) STRICT;
CREATE UNIQUE INDEX mark_by_id ON mark (key >> 40, message_id);
CREATE INDEX mark_by_target ON mark (key >> 40, target, kind, author);
CREATE INDEX mark_waiting ON mark (key >> 40, target) WHERE waits = 1;

-- Reactions in force, one row for each person and emoji. `key` is the mark's.
CREATE TABLE reaction (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    author BLOB NOT NULL,
    emoji TEXT NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (log, target, author, emoji)
) STRICT, WITHOUT ROWID;

-- How many people react by which emoji: what a page of a timeline shows without counting.
CREATE TABLE reaction_tally (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    emoji TEXT NOT NULL,
    count INTEGER NOT NULL,
    mine INTEGER,                 -- mark.key of the own reaction
    PRIMARY KEY (log, target, emoji)
) STRICT, WITHOUT ROWID;
