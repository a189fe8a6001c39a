-- The index has more words of each message: who wrote it, what it holds, what its documents are
-- called. It is emptied here and filled anew by the build (schema.rs).
INSERT INTO search (search) VALUES ('delete-all');
