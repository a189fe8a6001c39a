-- What successors are given: by which entry of the company log, beside what devices ask for themselves.
ALTER TABLE asked RENAME TO asked_before;
CREATE TABLE asked (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    handover INTEGER NOT NULL,    -- the company entry; 0: the device asks
    ranges BLOB NOT NULL,
    due_ms INTEGER NOT NULL,      -- 0: to be drawn
    PRIMARY KEY (log, device, handover)
) STRICT, WITHOUT ROWID;
INSERT INTO asked SELECT log, device, 0, ranges, due_ms FROM asked_before;
DROP TABLE asked_before;

-- For which devices of successors this phone has looked what it can give.
CREATE TABLE handover_looked (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    handover INTEGER NOT NULL,
    device BLOB NOT NULL,
    PRIMARY KEY (log, handover, device)
) STRICT, WITHOUT ROWID;

-- What was given to devices of successors, by whomever.
CREATE TABLE handover_given (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    handover INTEGER NOT NULL,
    device BLOB NOT NULL,
    ranges BLOB NOT NULL,
    PRIMARY KEY (log, seq)
) STRICT, WITHOUT ROWID;

-- Conversations that this person reads because somebody's past in them was handed over to him.
CREATE TABLE handed (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    from_user BLOB NOT NULL,
    with_user BLOB,               -- the other one of a pair
    t_ms INTEGER NOT NULL
) STRICT;
