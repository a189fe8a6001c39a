-- One account's database. Times are Unix milliseconds, ids and hashes raw bytes, codes the numbers
-- of the enumerations in core/src/store/rows. A number that a newer build wrote is left alone.

-- Who this phone is. One row, made at enrolment and filled when the server answered.
CREATE TABLE account (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    company BLOB NOT NULL,
    user BLOB NOT NULL,
    device BLOB NOT NULL,
    server TEXT NOT NULL,
    trust BLOB NOT NULL,
    pin BLOB NOT NULL,
    signing_seed BLOB NOT NULL,
    history_seed BLOB NOT NULL,
    state INTEGER NOT NULL,
    enrolment BLOB,          -- the request, sent again until it is answered
    certificate BLOB,
    made_ms INTEGER NOT NULL
) STRICT;

-- Small facts by name: the directory's version, a session, a cursor.
CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The company log, whole; its cursor is the newest seq + 1.
CREATE TABLE company_entry (
    seq INTEGER PRIMARY KEY,
    t_ms INTEGER NOT NULL,
    core BLOB NOT NULL,
    hash BLOB NOT NULL,
    head BLOB NOT NULL,
    payload BLOB
) STRICT;

-- Conversations, as far as the protocol is concerned. `id` is the log's number in this database:
-- it heads the keys of entries and messages and is never used again.
CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log BLOB NOT NULL UNIQUE,
    log_no INTEGER,
    type INTEGER NOT NULL,
    peer BLOB,               -- of a dm
    state INTEGER NOT NULL,
    stop_code INTEGER,
    stop_seq INTEGER,
    next_seq INTEGER NOT NULL,
    last_hash BLOB NOT NULL,
    last_t_ms INTEGER NOT NULL,
    last_co INTEGER NOT NULL,
    gen INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    epoch_seq INTEGER,       -- the commit that began it
    own_leaf INTEGER,
    own_index INTEGER NOT NULL,
    own_dctr INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_peer ON log (peer) WHERE peer IS NOT NULL;

-- Larger state of a log, each part a row of its own, so that the small row above stays cheap.
CREATE TABLE log_part (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (log, part)
) STRICT;

-- What a person sees of a log in the list: one row read, whatever the size of the conversation.
CREATE TABLE conversation (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    title TEXT,
    order_ms INTEGER NOT NULL,
    last_key INTEGER,        -- message.key of what the row shows
    last_author BLOB,
    last_kind INTEGER,
    last_text TEXT,
    last_state INTEGER,
    unread INTEGER NOT NULL DEFAULT 0,
    read_seq INTEGER,        -- the newest entry that was read
    muted INTEGER NOT NULL DEFAULT 0,
    draft TEXT,
    draft_ms INTEGER
) STRICT;
CREATE INDEX conversation_order ON conversation (order_ms DESC, log DESC);

-- The skeleton of each log: what chains, proofs and "seen" are checked against.
-- key = log.id << 40 | seq
CREATE TABLE entry (
    key INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    t_ms INTEGER NOT NULL,
    co INTEGER NOT NULL,
    core BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
-- A core occurs once; records are caught by their slot, and are too many to index.
CREATE INDEX entry_core ON entry (core) WHERE kind <> 3;

-- Heads and payloads until a durable checkpoint covers them, for a server that lost them.
-- key as in entry
CREATE TABLE held_entry (
    key INTEGER PRIMARY KEY,
    head BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;

-- The epoch in force of each log.
CREATE TABLE epoch (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    gen INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    capsule_hash BLOB NOT NULL,   -- SHA-256 of the body that this phone computed
    capsule_body BLOB,            -- the body itself, until an equal one stands in the log
    capsule_seq INTEGER           -- where an equal one stands
) STRICT;

-- Chain heads of the epoch in force, one for each leaf.
CREATE TABLE chain (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    leaf INTEGER NOT NULL,
    chain BLOB NOT NULL,          -- index and secret, as the protocol encodes them
    PRIMARY KEY (log, leaf)
) STRICT, WITHOUT ROWID;

-- What each device of a log said last: its running number and what it had seen.
CREATE TABLE author (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    next_dctr INTEGER NOT NULL,
    seen_seq INTEGER NOT NULL,
    PRIMARY KEY (log, device)
) STRICT, WITHOUT ROWID;

-- OpenMLS' own state, by its keys.
CREATE TABLE mls_state (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Messages, clustered by conversation and place, so that a page of a timeline is a few database pages.
-- key = log.id << 40 | place; place = seq once the server ordered it, before that 2^39 + outbox id.
CREATE TABLE message (
    key INTEGER PRIMARY KEY,
    message_id BLOB NOT NULL,
    author BLOB NOT NULL,
    device BLOB NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    t_ms INTEGER NOT NULL,        -- the log's time; the phone's own while pending
    sent_ms INTEGER NOT NULL,     -- the author's time
    missing INTEGER NOT NULL DEFAULT 0,  -- records of this device that are missing before this one
    search_id INTEGER UNIQUE,     -- t_ms << 20 | n: the row of the full-text index
    text TEXT,
    content BLOB,
    record_key BLOB
) STRICT;
CREATE UNIQUE INDEX message_by_id ON message (key >> 40, message_id);

-- Full text over folded words. It holds no text: snippets come from message.text. The first letters
-- have lists of their own, or a search while typing would join the lists of thousands of words.
CREATE VIRTUAL TABLE search USING fts5 (
    words, content = '', columnsize = 0, detail = none, prefix = '1 2 3', tokenize = 'unicode61 remove_diacritics 0'
);
-- What is erased leaves the index at once, not at some later merge.
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);

-- Entries that could not be accepted, and why. key as in entry
CREATE TABLE quarantine (
    key INTEGER PRIMARY KEY,
    code INTEGER NOT NULL,
    device BLOB,
    detail TEXT,
    t_ms INTEGER NOT NULL
) STRICT;

-- What a person or an admin must hear of: forks, rollbacks, a server that broke a rule.
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log BLOB,
    code INTEGER NOT NULL,
    seq INTEGER,
    evidence BLOB,
    t_ms INTEGER NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What the person wants done. An intent ends secured or failed, with a reason.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log BLOB NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    message_id BLOB UNIQUE,
    body BLOB NOT NULL,           -- what is to be said or done, before sealing
    gen INTEGER,
    epoch INTEGER,
    leaf_index INTEGER,
    dctr INTEGER,
    core BLOB,
    head BLOB,
    payload BLOB,
    seq INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    reason INTEGER,
    made_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_by_log ON outbox (log, state, id);
CREATE INDEX outbox_core ON outbox (core) WHERE core IS NOT NULL;

-- A commit of ours that the server has not answered: everything that is needed to send it again.
CREATE TABLE pending_commit (
    log BLOB PRIMARY KEY,
    outbox INTEGER,
    core BLOB NOT NULL,           -- of the commit
    batch BLOB NOT NULL,
    group_info BLOB NOT NULL,
    welcome BLOB,
    after BLOB NOT NULL,          -- what merging stores: chains, expected capsule, roster
    made_ms INTEGER NOT NULL
) STRICT;

-- Our key packages. The private halves lie in mls_state under the reference.
CREATE TABLE key_package (
    reference BLOB PRIMARY KEY,
    last_resort INTEGER NOT NULL,
    uploaded INTEGER NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Checkpoints that this phone verified, and those that others named and that are yet to be proven.
CREATE TABLE checkpoint (
    era INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    verified INTEGER NOT NULL,
    note TEXT,
    company_size INTEGER,
    durable INTEGER,
    t_ms INTEGER NOT NULL,
    PRIMARY KEY (era, size, root)
) STRICT, WITHOUT ROWID;

-- The directory: the only place with names, and it can forget.
CREATE TABLE person (
    user BLOB PRIMARY KEY,
    handle TEXT NOT NULL,
    name TEXT,
    folded TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX person_folded ON person (folded);
