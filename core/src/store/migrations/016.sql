-- The words of a document, in pieces of a database page, so that a word is found without reading them all.
-- key = file_text.id << 16 | piece; sorted and folded, a line each with the part that has it first.
CREATE TABLE file_word (
    key INTEGER PRIMARY KEY,
    words TEXT NOT NULL
) STRICT;
INSERT INTO file_word (key, words)
WITH RECURSIVE cut (id, piece, words, rest) AS (
    SELECT id, -1, '', words FROM file_text WHERE words <> ''
    UNION ALL
    SELECT id, piece + 1,
        substr(rest, 1, CASE WHEN length(rest) <= 2000 THEN length(rest) ELSE 1999 + instr(substr(rest, 2000), char(10)) END),
        substr(rest, 1 + CASE WHEN length(rest) <= 2000 THEN length(rest) ELSE 1999 + instr(substr(rest, 2000), char(10)) END)
    FROM cut WHERE rest <> ''
)
SELECT id << 16 | piece, words FROM cut WHERE piece >= 0;
-- The first word of each piece, a line each.
ALTER TABLE file_text ADD COLUMN pieces TEXT NOT NULL DEFAULT '';
UPDATE file_text SET pieces = coalesce((
    SELECT group_concat(substr(w.words, 1, instr(w.words, ' ') - 1) || char(10), '' ORDER BY w.key)
    FROM file_word w WHERE w.key >= file_text.id << 16 AND w.key < (file_text.id + 1) << 16
), '');
ALTER TABLE file_text DROP COLUMN words;

-- How often each device asked for its past: whoever asks again and again is given it ever more rarely.
CREATE TABLE asked_often (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    count INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (log, device)
) STRICT, WITHOUT ROWID;
