-- The documents of a message, as its author's statement names them.
CREATE TABLE file (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    file BLOB NOT NULL,           -- as in the statement, its key too
    PRIMARY KEY (log, message_id, position)
) STRICT, WITHOUT ROWID;

-- Documents on their way to the server. `leaves` are there once the source was read through.
CREATE TABLE upload (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    intent INTEGER NOT NULL,
    source TEXT NOT NULL,
    leaves BLOB,
    PRIMARY KEY (log, message_id)
) STRICT, WITHOUT ROWID;

-- Documents on this phone, each in a file of its own under a key of its own; `id` names the file and
-- is never used again.
CREATE TABLE file_copy (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    key BLOB NOT NULL,
    size INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    UNIQUE (log, message_id, position)
) STRICT;
CREATE INDEX file_copy_used ON file_copy (used_ms);
