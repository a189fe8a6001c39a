-- What is sent touches fewer pages: each costs as much to encrypt as all of a statement.

-- The outbox without a counter beside it (`discard` keeps the newest number) and with indices of what
-- is under way only, not of all that was ever sent.
CREATE TABLE outbox_slim (
    id INTEGER PRIMARY KEY,
    log BLOB NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    message_id BLOB,
    body BLOB NOT NULL,           -- what is to be said or done, before sealing
    gen INTEGER,
    epoch INTEGER,
    leaf_index INTEGER,
    dctr INTEGER,
    core BLOB,
    head BLOB,
    payload BLOB,
    seq INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    reason INTEGER,
    made_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO outbox_slim SELECT * FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_slim RENAME TO outbox;
CREATE INDEX outbox_by_log ON outbox (log, state, id) WHERE state <> 3;
-- Sealed bytes are found among the few of their log until the server has ordered them.
CREATE INDEX outbox_core ON outbox (core) WHERE core IS NOT NULL AND state <> 1;
CREATE INDEX outbox_failed ON outbox (message_id) WHERE state = 4;

-- The time that a row of the list shows. `order_ms` follows it, but not at once while the row stands on
-- top: whoever writes in one conversation does not move it in the index with each message.
ALTER TABLE conversation ADD COLUMN last_ms INTEGER NOT NULL DEFAULT 0;
UPDATE conversation SET last_ms = order_ms;
