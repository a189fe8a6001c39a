-- What seals the hints of the epoch in force: who is typing, who is there. It is no key of a record, and
-- none that an archive reaches. None in an epoch that began before this version.
ALTER TABLE epoch ADD COLUMN hint_key BLOB;

-- When the other person of a dm was last there, as his own phone said; only while the policy lets people
-- see it.
CREATE TABLE last_seen (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    t_ms INTEGER NOT NULL
) STRICT;
