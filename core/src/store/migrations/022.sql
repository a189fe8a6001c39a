-- Records that this device could not open when they came and that were not its person's past: should they be
-- handed over to him, they are read as others are. What passed before this version was not noted. key as in entry
CREATE TABLE passed (
    key INTEGER PRIMARY KEY,
    device BLOB NOT NULL,         -- whose leaf it stands under, in its epoch
    may_write INTEGER NOT NULL,   -- whether that one wrote there more than answers
    owned INTEGER NOT NULL        -- whether that one was an owner there
) STRICT;

-- Somebody else's past, which was handed over to this person: it was never new to him.
ALTER TABLE unread ADD COLUMN handed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN handed INTEGER NOT NULL DEFAULT 0;

-- Up to which entry this phone has looked what it can give to a device of a successor.
ALTER TABLE handover_looked ADD COLUMN up_to INTEGER NOT NULL DEFAULT 0;
