-- The previews of documents, as this phone encoded them after it had looked at what came. One for
-- each document; `position` is the document's.
CREATE TABLE preview (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    file INTEGER NOT NULL,        -- the preview's own place among the message's documents
    state INTEGER NOT NULL,
    reason INTEGER,               -- why it is not shown
    tries INTEGER NOT NULL,       -- how often looking at it began
    width INTEGER,
    height INTEGER,
    media_type TEXT,
    picture BLOB,
    UNIQUE (log, message_id, position)
) STRICT;
CREATE INDEX preview_waiting ON preview (id) WHERE state = 0;
