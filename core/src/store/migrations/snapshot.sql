-- version 22
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
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log BLOB,
    code INTEGER NOT NULL,
    seq INTEGER,
    evidence BLOB,
    t_ms INTEGER NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0
, acknowledged INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE asked (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    handover INTEGER NOT NULL,    -- the company entry; 0: the device asks
    ranges BLOB NOT NULL,
    due_ms INTEGER NOT NULL,      -- 0: to be drawn
    PRIMARY KEY (log, device, handover)
) STRICT, WITHOUT ROWID;
CREATE TABLE asked_often (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    count INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (log, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE asking (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    total INTEGER NOT NULL,       -- how much was not readable when it began
    attempts INTEGER NOT NULL,
    next_ms INTEGER NOT NULL      -- not asked again before
) STRICT;
CREATE TABLE attempt (
    log BLOB NOT NULL,
    kind INTEGER NOT NULL,
    count INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    PRIMARY KEY (log, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE author (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    device BLOB NOT NULL,
    next_dctr INTEGER NOT NULL,
    seen_seq INTEGER NOT NULL,
    PRIMARY KEY (log, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE chain (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    leaf INTEGER NOT NULL,
    chain BLOB NOT NULL,          -- index and secret, as the protocol encodes them
    PRIMARY KEY (log, leaf)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE company_entry (
    seq INTEGER PRIMARY KEY,
    t_ms INTEGER NOT NULL,
    core BLOB NOT NULL,
    hash BLOB NOT NULL,
    head BLOB NOT NULL,
    payload BLOB
) STRICT;
CREATE TABLE confirmation (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    author BLOB NOT NULL,
    key INTEGER NOT NULL,         -- mark.key
    asked INTEGER NOT NULL,       -- whether that one was there when it was asked
    PRIMARY KEY (log, target, author)
) STRICT, WITHOUT ROWID;
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
    draft TEXT,
    draft_ms INTEGER
, last_fate INTEGER, unread_mentions INTEGER NOT NULL DEFAULT 0, title_seq INTEGER, last_ms INTEGER NOT NULL DEFAULT 0, skip_seq INTEGER, muted_until INTEGER, draft_version INTEGER NOT NULL DEFAULT 0, draft_based INTEGER, archived INTEGER NOT NULL DEFAULT 0, favourite INTEGER, hidden INTEGER NOT NULL DEFAULT 0, section INTEGER AS (
    CASE WHEN hidden THEN 3 WHEN archived THEN 2 WHEN favourite IS NULL THEN 1 ELSE 0 END
) VIRTUAL) STRICT;
CREATE TABLE delivered (
    key INTEGER PRIMARY KEY,      -- message.key
    count INTEGER NOT NULL,
    total INTEGER NOT NULL
) STRICT;
CREATE TABLE entry (
    key INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    t_ms INTEGER NOT NULL,
    co INTEGER NOT NULL,
    core BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TABLE epoch (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    gen INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    capsule_hash BLOB NOT NULL,   -- SHA-256 of the body that this phone computed
    capsule_body BLOB,            -- the body itself, until an equal one stands in the log
    capsule_seq INTEGER           -- where an equal one stands
, hint_key BLOB) STRICT;
CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE file (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    file BLOB NOT NULL,           -- as in the statement, its key too
    PRIMARY KEY (log, message_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE file_copy (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    key BLOB NOT NULL,
    size INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    UNIQUE (log, message_id, position)
) STRICT;
CREATE TABLE file_text (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    state INTEGER NOT NULL,
    reason INTEGER,               -- why it cannot be read
    tries INTEGER NOT NULL,       -- how often reading began
    pages INTEGER,
    pieces TEXT NOT NULL DEFAULT '',          -- sorted and folded, each with the part that has it first
    UNIQUE (log, message_id, position)
) STRICT;
CREATE TABLE file_text_part (
    key INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE file_word (
    key INTEGER PRIMARY KEY,
    words TEXT NOT NULL
) STRICT;
CREATE TABLE grant_waiting (
    key INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE handed (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    from_user BLOB NOT NULL,
    with_user BLOB,               -- the other one of a pair
    t_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE handover_given (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    handover INTEGER NOT NULL,
    device BLOB NOT NULL,
    ranges BLOB NOT NULL,
    PRIMARY KEY (log, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE handover_looked (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    handover INTEGER NOT NULL,
    device BLOB NOT NULL, up_to INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (log, handover, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE held_entry (
    key INTEGER PRIMARY KEY,
    head BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE kept_key (
    key INTEGER PRIMARY KEY,
    record_key BLOB NOT NULL
) STRICT;
CREATE TABLE key_package (
    reference BLOB PRIMARY KEY,
    last_resort INTEGER NOT NULL,
    uploaded INTEGER NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE last_seen (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    t_ms INTEGER NOT NULL
) STRICT;
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
CREATE TABLE log_part (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (log, part)
) STRICT;
CREATE TABLE mark (
    key INTEGER PRIMARY KEY,
    message_id BLOB NOT NULL,
    target BLOB NOT NULL,         -- the message that it is about, once that is known
    waits INTEGER NOT NULL,       -- whether this phone does not have what it names
    kind INTEGER NOT NULL,
    valid INTEGER NOT NULL,       -- whether its author might say so at its place in the log
    author BLOB NOT NULL,
    device BLOB NOT NULL,
    state INTEGER NOT NULL,       -- as of a message
    t_ms INTEGER NOT NULL,
    sent_ms INTEGER NOT NULL,
    text TEXT,                    -- an edit's text, a reaction's emoji
    markdown TEXT,
    mentions BLOB,
    content BLOB,
    record_key BLOB
, choice INTEGER) STRICT;
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
, fate INTEGER NOT NULL DEFAULT 0, change_key INTEGER, reply_to BLOB, markdown TEXT, origin BLOB, mentions BLOB, mentions_me INTEGER NOT NULL DEFAULT 0, reacted INTEGER NOT NULL DEFAULT 0, pin_key INTEGER, starred_ms INTEGER, alarm INTEGER NOT NULL DEFAULT 0, asked INTEGER, confirmed INTEGER NOT NULL DEFAULT 0, confirmed_key INTEGER, to_confirm INTEGER NOT NULL DEFAULT 0, announcement BLOB, again INTEGER NOT NULL DEFAULT 0, handed INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE mls_state (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
CREATE TABLE notified (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    key INTEGER NOT NULL
) STRICT;
CREATE TABLE "outbox" (
    id INTEGER PRIMARY KEY,
    log BLOB NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    message_id BLOB,
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
CREATE TABLE own_state (
    log BLOB NOT NULL,
    kind INTEGER NOT NULL,
    name BLOB NOT NULL,
    fact BLOB NOT NULL,           -- as a record says it
    place INTEGER NOT NULL,       -- the entry that said it; 0 if none did yet
    waits INTEGER,                -- the intent that is to say it
    mine INTEGER NOT NULL,        -- whether this device said it
    open INTEGER NOT NULL DEFAULT 0,  -- whether it waits for its message to come
    PRIMARY KEY (log, kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE passed (
    key INTEGER PRIMARY KEY,
    device BLOB NOT NULL,         -- whose leaf it stands under, in its epoch
    may_write INTEGER NOT NULL,   -- whether that one wrote there more than answers
    owned INTEGER NOT NULL        -- whether that one was an owner there
) STRICT;
CREATE TABLE pending_commit (
    log BLOB PRIMARY KEY,
    outbox INTEGER,
    core BLOB NOT NULL,           -- of the commit
    batch BLOB NOT NULL,
    group_info BLOB NOT NULL,
    welcome BLOB,
    after BLOB NOT NULL,          -- what merging stores: chains, expected capsule, roster
    made_ms INTEGER NOT NULL
, scratch BLOB) STRICT;
CREATE TABLE person (
    user BLOB PRIMARY KEY,
    handle TEXT NOT NULL,
    name TEXT,
    folded TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE picture (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,         -- the record that sets it
    message_id BLOB,              -- the line that has its file; none if there is no picture any more
    state INTEGER NOT NULL,       -- as of a preview
    reason INTEGER,
    tries INTEGER NOT NULL,
    width INTEGER,
    height INTEGER,
    media_type TEXT,
    picture BLOB
) STRICT;
CREATE TABLE poll (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    voters INTEGER NOT NULL,
    counts BLOB NOT NULL,         -- how many chose each option, as u32
    closed_key INTEGER,           -- mark.key of the close in force
    closed_by BLOB,
    PRIMARY KEY (log, target)
) STRICT, WITHOUT ROWID;
CREATE TABLE preview (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    file INTEGER NOT NULL,        -- the preview's own place among the message's documents
    state INTEGER NOT NULL,
    reason INTEGER,               -- why it is not shown
    tries INTEGER NOT NULL,       -- how often looking at it began
    width INTEGER,
    height INTEGER,
    media_type TEXT,
    picture BLOB,
    UNIQUE (log, message_id, position)
) STRICT;
CREATE TABLE quarantine (
    key INTEGER PRIMARY KEY,
    code INTEGER NOT NULL,
    device BLOB,
    detail TEXT,
    t_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE reaction (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    author BLOB NOT NULL,
    emoji TEXT NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (log, target, author, emoji)
) STRICT, WITHOUT ROWID;
CREATE TABLE reaction_tally (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    emoji TEXT NOT NULL,
    count INTEGER NOT NULL,
    mine INTEGER,                 -- mark.key of the own reaction
    PRIMARY KEY (log, target, emoji)
) STRICT, WITHOUT ROWID;
CREATE TABLE read_up_to (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    user BLOB NOT NULL,
    key INTEGER NOT NULL,         -- message.key of the newest message that was read
    t_ms INTEGER NOT NULL,        -- the log's time of the receipt
    PRIMARY KEY (log, user)
) STRICT, WITHOUT ROWID;
CREATE TABLE receipt (
    log INTEGER PRIMARY KEY REFERENCES log (id) ON DELETE CASCADE,
    wanted INTEGER NOT NULL,      -- message.key of the newest message of others that was read
    said INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE sealed_key (
    intent INTEGER PRIMARY KEY,
    record_key BLOB NOT NULL
) STRICT;
CREATE VIRTUAL TABLE search USING fts5 (
    words, content = '', columnsize = 0, detail = none, prefix = '2 4 7', tokenize = 'unicode61 remove_diacritics 0'
);
CREATE TABLE 'search_config'(k PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE 'search_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE sqlite_sequence(name,seq);
CREATE TABLE stay (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    user BLOB NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq INTEGER,               -- the entry by which that one left or was removed
    PRIMARY KEY (log, user, from_seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE unread (
    key INTEGER PRIMARY KEY,
    device BLOB NOT NULL,         -- whose leaf it stands under, in its epoch
    may_write INTEGER NOT NULL,   -- whether that one wrote there more than answers
    owned INTEGER NOT NULL,       -- whether that one was an owner there
    record_key BLOB,              -- K, as a grant gave it
    granted INTEGER               -- the grant's number in the log
, handed INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE "upload" (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    message_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    intent INTEGER NOT NULL,
    source TEXT,
    origin BLOB,
    leaves BLOB,             -- once the plaintext was read through
    arrived INTEGER NOT NULL DEFAULT 0,
    anyway INTEGER NOT NULL DEFAULT 0,  -- over a metered network too: the person said so
    PRIMARY KEY (log, message_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE vote (
    log INTEGER NOT NULL REFERENCES log (id) ON DELETE CASCADE,
    target BLOB NOT NULL,
    author BLOB NOT NULL,
    key INTEGER NOT NULL,
    choice INTEGER NOT NULL,
    PRIMARY KEY (log, target, author)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_order ON conversation (section, order_ms DESC, log DESC);
CREATE INDEX entry_core ON entry (core) WHERE kind <> 3;
CREATE INDEX file_copy_used ON file_copy (used_ms);
CREATE INDEX log_own ON log (id) WHERE type = 3;
CREATE UNIQUE INDEX log_peer ON log (peer) WHERE peer IS NOT NULL;
CREATE UNIQUE INDEX mark_by_id ON mark (key >> 40, message_id);
CREATE INDEX mark_by_target ON mark (key >> 40, target, kind, author);
CREATE INDEX mark_waiting ON mark (key >> 40, target) WHERE waits = 1;
CREATE INDEX message_announcement ON message (announcement, author) WHERE announcement IS NOT NULL;
CREATE UNIQUE INDEX message_by_id ON message (key >> 40, message_id);
CREATE INDEX message_documents ON message (key) WHERE kind = 5;
CREATE INDEX message_pinned ON message (key) WHERE pin_key IS NOT NULL;
CREATE INDEX message_starred ON message (starred_ms) WHERE starred_ms IS NOT NULL;
CREATE INDEX message_to_confirm ON message (key) WHERE to_confirm = 1;
CREATE INDEX message_unreadable ON message (key) WHERE kind = 4;
CREATE INDEX outbox_by_log ON outbox (log, state, id) WHERE state <> 3;
CREATE INDEX outbox_core ON outbox (core) WHERE core IS NOT NULL AND state <> 1;
CREATE INDEX outbox_failed ON outbox (message_id) WHERE state = 4;
CREATE INDEX own_state_open ON own_state (log) WHERE open = 1;
CREATE INDEX own_state_waits ON own_state (waits) WHERE waits IS NOT NULL;
CREATE INDEX person_folded ON person (folded);
CREATE INDEX picture_waiting ON picture (log) WHERE state = 0;
CREATE INDEX preview_waiting ON preview (id) WHERE state = 0;
CREATE INDEX read_up_to_age ON read_up_to (t_ms);
CREATE INDEX unread_granted ON unread (key) WHERE record_key IS NOT NULL;
