-- An external commit is built beside the group's state: what it changes there once the commit stands
-- in the log. Null for every other commit, which pends in the group itself.
ALTER TABLE pending_commit ADD COLUMN scratch BLOB;
