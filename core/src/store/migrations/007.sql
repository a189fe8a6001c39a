-- What is known of the inside of documents: whether their text was read, and which words it has.
CREATE TABLE file_text (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    state INTEGER NOT NULL,
    reason INTEGER,               -- why it cannot be read
    tries INTEGER NOT NULL,       -- how often reading began
    pages INTEGER,
    words TEXT NOT NULL,          -- sorted and folded, each with the part that has it first
    UNIQUE (log, message_id, position)
) STRICT;

-- The text, in parts of a database page. key = file_text.id << 16 | part
CREATE TABLE file_text_part (
    key INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
