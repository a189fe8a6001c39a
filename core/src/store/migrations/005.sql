-- A message has several documents, each on its way to the server by itself. Its plaintext is the file
-- at `source`, or the document of another message named by `origin` (log, message id, position), or,
-- where both are null, the copy that lies on this phone already.
CREATE TABLE upload_each (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    intent INTEGER NOT NULL,
    source TEXT,
    origin BLOB,
    leaves BLOB,             -- once the plaintext was read through
    arrived INTEGER NOT NULL DEFAULT 0,
    anyway INTEGER NOT NULL DEFAULT 0,  -- over a metered network too: the person said so
    PRIMARY KEY (log, message_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO upload_each (log, message_id, position, intent, source, leaves)
    SELECT log, message_id, 0, intent, source, leaves FROM upload;
DROP TABLE upload;
ALTER TABLE upload_each RENAME TO upload;

-- The documents of a conversation, newest first.
CREATE INDEX message_documents ON message (key) WHERE kind = 5;
