-- How often a group was tried to be entered (kind 0) or made anew (kind 1), and when the next attempt is
-- due: a phone that is killed again and again waits all the same.
CREATE TABLE attempt (
    log BLOB NOT NULL,
    kind INTEGER NOT NULL,
    count INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    PRIMARY KEY (log, kind)
) STRICT, WITHOUT ROWID;
