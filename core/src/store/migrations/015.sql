-- What the devices of one person agree on (docs/protocol.md §6, "Own state"): each fact under what it
-- is about, whether or not this phone has the conversation yet. `log` is empty for a setting, `name` is
-- the message or the setting's name.
CREATE TABLE own_state (
    log BLOB NOT NULL,
    kind INTEGER NOT NULL,
    name BLOB NOT NULL,
    fact BLOB NOT NULL,           -- as a record says it
    place INTEGER NOT NULL,       -- the entry that said it; 0 if none did yet
    waits INTEGER,                -- the intent that is to say it
    mine INTEGER NOT NULL,        -- whether this device said it
    open INTEGER NOT NULL DEFAULT 0,  -- whether it waits for its message to come
    PRIMARY KEY (log, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX own_state_waits ON own_state (waits) WHERE waits IS NOT NULL;
CREATE INDEX own_state_open ON own_state (log) WHERE open = 1;
CREATE INDEX log_own ON log (id) WHERE type = 3;

-- What was not readable here is nothing new, until another device says how far the person has read.
ALTER TABLE conversation ADD COLUMN skip_seq INTEGER;
ALTER TABLE conversation ADD COLUMN muted_until INTEGER;
UPDATE conversation SET muted_until = 9223372036854775807 WHERE muted = 1;
ALTER TABLE conversation DROP COLUMN muted;
-- Counts changes of the draft that another device made.
ALTER TABLE conversation ADD COLUMN draft_version INTEGER NOT NULL DEFAULT 0;
-- What is being written here was made from this version, and no other device was told of it.
ALTER TABLE conversation ADD COLUMN draft_based INTEGER;
ALTER TABLE conversation ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN favourite INTEGER;
-- The person's own log, until there is something to see in it.
ALTER TABLE conversation ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
-- Which part of the list a row stands in: favourites, all others, what is put away, nowhere.
ALTER TABLE conversation ADD COLUMN section INTEGER AS (
    CASE WHEN hidden THEN 3 WHEN archived THEN 2 WHEN favourite IS NULL THEN 1 ELSE 0 END
) VIRTUAL;
DROP INDEX conversation_order;
CREATE INDEX conversation_order ON conversation (section, order_ms DESC, log DESC);
