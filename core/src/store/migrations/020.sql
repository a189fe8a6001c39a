-- What is one announcement in several rooms: its author's id for it; and whether it stands here once more, while
-- another room is the one in which it counts.
ALTER TABLE message ADD COLUMN announcement BLOB;
ALTER TABLE message ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_announcement ON message (announcement, author) WHERE announcement IS NOT NULL;
