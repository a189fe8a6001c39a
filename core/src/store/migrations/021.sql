-- Words are looked up by lists of other beginnings: of two, four and seven letters. The lengths between have
-- no need of lists of their own, since few of the next longer ones make up each. The index holds no text that it
-- could be made from again: the build fills it anew (schema.rs).
DROP TABLE search;
CREATE VIRTUAL TABLE search USING fts5 (
    words, content = '', columnsize = 0, detail = none, prefix = '2 4 7', tokenize = 'unicode61 remove_diacritics 0'
);
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
