-- A person says that an alarm was seen; it stays, as what was raised and reported.
ALTER TABLE alarm ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 0;
