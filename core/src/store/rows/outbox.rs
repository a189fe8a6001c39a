//! What the person wants said and done, until it is secured or failed.
//!
//! `Queued → Sealed → Accepted → Secured`, or `Failed` with a reason; back to `Queued` when what was
//! sealed cannot be sent any more. The sealed bytes are stored before they are sent, and kept until a
//! checkpoint covers the entry.

use hauspost_protocol::ids::{CoreHash, Epoch, Gen, LogId, MessageId, RecordIndex, Seq, TimeMs};
use hauspost_protocol::statement::File;
use rusqlite::{Connection, OptionalExtension, Row, params};
use zeroize::Zeroizing;

use crate::observe::Change;
use crate::store::cell::{C, cell, code_cell};
use crate::store::{StoreError, Tx};

code_cell! {
    /// What is to be done.
    pub enum IntentKind {
        /// Send a record.
        Record = 0,
        /// Create a conversation.
        Create = 1,
        /// Add people.
        Add = 2,
        /// Remove people or devices.
        Remove = 3,
        /// Leave.
        Leave = 4,
        /// Renew the own leaf.
        Update = 5,
        /// Make the group anew in the suite that fits its size.
        Migrate = 6,
        /// Say what the devices of the person are to agree on: a record that is filled until it is
        /// sealed. Nobody waits for it, and what it says is said again rather than lost.
        OwnState = 7,
        /// Name an owner, or withdraw one.
        Owner = 8,
    }
}

impl IntentKind {
    /// Whether it is sealed as a record.
    pub fn is_record(self) -> bool {
        matches!(self, Self::Record | Self::OwnState)
    }
}

code_cell! {
    /// How far it is.
    pub enum IntentState {
        /// To be sealed.
        Queued = 0,
        /// Its bytes are stored and may have been sent.
        Sealed = 1,
        /// The server ordered it.
        Accepted = 2,
        /// A checkpoint covers it, or the person took it back.
        Secured = 3,
        /// It ended, with a reason.
        Failed = 4,
        /// Its document is on its way to the server; nothing waits behind it.
        Uploading = 5,
    }
}

impl IntentState {
    /// Whether the server ordered it.
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::Accepted | Self::Secured)
    }
}

/// An intent to be added.
#[derive(Debug, Clone)]
pub struct NewIntent {
    /// The conversation.
    pub log: LogId,
    /// What is to be done.
    pub kind: IntentKind,
    /// The message, of a record.
    pub message_id: Option<MessageId>,
    /// What is to be said or done, as the outbox encodes it; empty for a message, which holds that.
    pub body: Vec<u8>,
    /// When the person wanted it, by the phone's clock.
    pub made_ms: TimeMs,
}

impl NewIntent {
    /// A message to be said.
    pub fn message(log: LogId, message_id: MessageId, made_ms: TimeMs) -> Self {
        let (kind, message_id, body) = (IntentKind::Record, Some(message_id), Vec::new());
        Self { log, kind, message_id, body, made_ms }
    }

    /// Something else to be said, as the outbox encodes it; with an id if it stands in the dialog.
    pub fn saying(
        log: LogId,
        message_id: Option<MessageId>,
        body: Vec<u8>,
        made_ms: TimeMs,
    ) -> Self {
        Self { log, kind: IntentKind::Record, message_id, body, made_ms }
    }
}

/// What sealing made of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Generation of the epoch that it was sealed for.
    pub r#gen: Gen,
    /// That epoch.
    pub epoch: Epoch,
    /// The index in the own chain.
    pub leaf_index: RecordIndex,
    /// The device's running number.
    pub dctr: u64,
    /// The core.
    pub core: CoreHash,
    /// The head's bytes.
    pub head: Vec<u8>,
    /// The payload's bytes.
    pub payload: Vec<u8>,
}

/// An intent.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Its number, in the order of wanting; never used again.
    pub id: i64,
    /// The conversation.
    pub log: LogId,
    /// What is to be done.
    pub kind: IntentKind,
    /// How far it is.
    pub state: IntentState,
    /// The message, of a record.
    pub message_id: Option<MessageId>,
    /// What is to be said or done; empty for a message, which holds that.
    pub body: Vec<u8>,
    /// The bytes to send, from `Sealed` until `Secured`.
    pub sealed: Option<Sealed>,
    /// Where the server put it.
    pub seq: Option<Seq>,
    /// How often it was sealed in vain.
    pub attempt: u32,
    /// Why it failed; an outcome's code.
    pub reason: Option<u64>,
    /// When the person wanted it.
    pub made_ms: TimeMs,
    /// Not before this time.
    pub next_ms: TimeMs,
    /// The documents that the record names, where they were asked for.
    pub files: Vec<File>,
}

const COLUMNS: &str = "id, log, kind, state, message_id, body, gen, epoch, leaf_index, dctr, core,
    head, payload, seq, attempt, reason, made_ms, next_ms";

fn read(row: &Row<'_>) -> rusqlite::Result<Intent> {
    let sealed = match cell::<Option<Vec<u8>>>(row, 12)? {
        None => None,
        Some(payload) => Some(Sealed {
            r#gen: cell(row, 6)?,
            epoch: cell(row, 7)?,
            leaf_index: cell(row, 8)?,
            dctr: cell(row, 9)?,
            core: cell(row, 10)?,
            head: cell(row, 11)?,
            payload,
        }),
    };
    Ok(Intent {
        id: row.get(0)?,
        log: cell(row, 1)?,
        kind: cell(row, 2)?,
        state: cell(row, 3)?,
        message_id: cell(row, 4)?,
        body: cell(row, 5)?,
        sealed,
        seq: cell(row, 13)?,
        attempt: cell(row, 14)?,
        reason: cell(row, 15)?,
        made_ms: cell(row, 16)?,
        next_ms: cell(row, 17)?,
        files: Vec::new(),
    })
}

/// Adds an intent and gives its number.
pub fn insert(tx: &Tx<'_>, intent: &NewIntent) -> Result<i64, StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO outbox (log, kind, state, message_id, body, made_ms)
         VALUES (?1, ?2, 0, ?3, ?4, ?5)",
    )?;
    insert.execute(params![
        C(intent.log),
        C(intent.kind),
        C(intent.message_id),
        intent.body,
        C(intent.made_ms),
    ])?;
    tx.touch(Change::Outbox);
    Ok(tx.last_insert_rowid())
}

/// The newest intent's number; 0 if there was none yet.
pub fn newest(conn: &Connection) -> Result<i64, StoreError> {
    let mut select = conn.prepare_cached("SELECT coalesce(max(id), 0) FROM outbox")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// One intent.
pub fn find(conn: &Connection, id: i64) -> Result<Option<Intent>, StoreError> {
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1"))?;
    Ok(select.query_row([id], read).optional()?)
}

/// What every question about what is under way says, so that its index answers: all that was ever
/// sent is much more.
const UNDER_WAY: &str = "state <> 3";

/// The intents of a log that are to be sealed or sent, in order.
pub fn open(conn: &Connection, log: LogId, limit: u32) -> Result<Vec<Intent>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE log = ?1 AND state IN (0, 1) AND {UNDER_WAY}
         ORDER BY id LIMIT ?2",
    ))?;
    let rows = select.query_map(params![C(log), limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The intents of a log that nothing was sent of, in order; those that wait for a document too.
pub fn unsent(conn: &Connection, log: LogId, limit: u32) -> Result<Vec<Intent>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE log = ?1 AND state IN (0, 1, 5) AND {UNDER_WAY}
         ORDER BY id LIMIT ?2",
    ))?;
    let rows = select.query_map(params![C(log), limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Queued, Sealed or Failed → Uploading: its document has to reach the server first.
pub fn wait_for_upload(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    change(tx, &format!("{UNSEAL}, reason = NULL WHERE id = ?1"), [id])?;
    change(tx, "UPDATE outbox SET state = 5 WHERE id = ?1", [id])
}

/// Uploading → Queued: its document is there.
pub fn uploaded(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    change(tx, "UPDATE outbox SET state = 0 WHERE id = ?1 AND state = 5", [id])
}

/// An intent that is put off for longer was so by a clock that was wrong, then or now.
pub const LONGEST_MS: TimeMs = 3_600_000;

/// The logs that have something to be sealed or sent, oldest intent first. One intent that is not
/// put off is enough.
pub fn logs_with_work(conn: &Connection, now_ms: TimeMs) -> Result<Vec<LogId>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT log FROM outbox WHERE state IN (0, 1) AND {UNDER_WAY}
         GROUP BY log HAVING min(next_ms) <= ?1 OR max(next_ms) > ?2 ORDER BY min(id)",
    ))?;
    let far_ms = now_ms.saturating_add(LONGEST_MS);
    let rows = select.query_map([C(now_ms), C(far_ms)], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The intents of a log that failed and are no messages in its timeline, in order.
pub fn failed_changes(conn: &Connection, log: LogId) -> Result<Vec<Intent>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox
         WHERE log = ?1 AND state = 4 AND {UNDER_WAY} AND (message_id IS NULL OR EXISTS (
             SELECT 1 FROM mark m WHERE m.key >> 40 = (SELECT id FROM log WHERE log = ?1)
                 AND m.message_id = outbox.message_id))
         ORDER BY id",
    ))?;
    let rows = select.query_map([C(log)], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next intent is due that is put off until after this time.
pub fn next_due(conn: &Connection, after_ms: TimeMs) -> Result<Option<TimeMs>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT min(next_ms) FROM outbox
         WHERE state IN (0, 1) AND {UNDER_WAY} AND next_ms > ?1",
    ))?;
    Ok(select.query_row([C(after_ms)], |row| cell(row, 0))?)
}

/// Puts an intent off, until this time or until something else of its log is to be done.
pub fn put_off(tx: &Tx<'_>, id: i64, until_ms: TimeMs) -> Result<(), StoreError> {
    change(tx, "UPDATE outbox SET next_ms = ?2 WHERE id = ?1", params![id, C(until_ms)])
}

/// The intent to send this message, as long as it is under way.
pub fn by_message(
    conn: &Connection,
    log: LogId,
    message_id: MessageId,
) -> Result<Option<Intent>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE log = ?2 AND {UNDER_WAY} AND message_id = ?1",
    ))?;
    Ok(select.query_row(params![C(message_id), C(log)], read).optional()?)
}

/// The intent whose sealed bytes have this core, whatever its state.
pub fn by_core(
    conn: &Connection,
    log: LogId,
    core: CoreHash,
) -> Result<Option<Intent>, StoreError> {
    let ordered = "core = ?1 AND log = ?2 AND state <> 1".to_owned();
    let sealed = format!("log = ?2 AND state = 1 AND {UNDER_WAY} AND core = ?1");
    for which in [ordered, sealed] {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE {which}");
        let mut select = conn.prepare_cached(&sql)?;
        if let Some(found) = select.query_row(params![C(core), C(log)], read).optional()? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The intents of a log that the server ordered and no checkpoint covers yet.
pub fn accepted(conn: &Connection, log: LogId) -> Result<Vec<(i64, Seq)>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT id, seq FROM outbox
         WHERE log = ?1 AND state = 2 AND {UNDER_WAY} AND seq IS NOT NULL ORDER BY id",
    ))?;
    let rows = select.query_map([C(log)], |row| Ok((row.get(0)?, cell(row, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Replaces what is to be said or done.
pub fn set_body(tx: &Tx<'_>, id: i64, body: &[u8]) -> Result<(), StoreError> {
    change(tx, "UPDATE outbox SET body = ?2 WHERE id = ?1", params![id, body])
}

/// Queued → Sealed.
pub fn seal(tx: &Tx<'_>, id: i64, sealed: &Sealed) -> Result<(), StoreError> {
    tx.flush();
    change(
        tx,
        "UPDATE outbox SET state = 1, gen = ?2, epoch = ?3, leaf_index = ?4, dctr = ?5, core = ?6,
             head = ?7, payload = ?8
         WHERE id = ?1",
        params![
            id,
            C(sealed.r#gen),
            C(sealed.epoch),
            C(sealed.leaf_index),
            C(sealed.dctr),
            C(sealed.core),
            sealed.head,
            sealed.payload,
        ],
    )
}

const UNSEAL: &str = "UPDATE outbox SET state = CASE state WHEN 5 THEN 5 ELSE 0 END, gen = NULL, epoch = NULL, leaf_index = NULL,
    dctr = NULL, core = NULL, head = NULL, payload = NULL, seq = NULL, attempt = attempt + 1";

/// Sealed → Queued: its bytes will not be sent again.
pub fn unseal(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    change(tx, &format!("{UNSEAL} WHERE id = ?1"), [id])
}

/// All sealed records of a log go back to Queued, since their epoch ended.
pub fn unseal_log(tx: &Tx<'_>, log: LogId) -> Result<(), StoreError> {
    let which = format!("log = ?1 AND state = 1 AND {UNDER_WAY} AND kind IN (0, 7)");
    change(tx, &format!("{UNSEAL} WHERE {which}"), [C(log)])
}

/// The sealed records of a log from this index of the own chain on: their numbers and cores.
pub fn sealed_from(
    conn: &Connection,
    log: LogId,
    index: RecordIndex,
) -> Result<Vec<(i64, CoreHash)>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT id, core FROM outbox
         WHERE log = ?1 AND state = 1 AND {UNDER_WAY} AND kind IN (0, 7)
             AND leaf_index >= ?2",
    ))?;
    let rows =
        select.query_map(params![C(log), C(index)], |row| Ok((row.get(0)?, cell(row, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A record that was not sent says something else from now on, under another message id.
pub fn rewrite(tx: &Tx<'_>, id: i64, message_id: MessageId) -> Result<(), StoreError> {
    let row = params![id, C(message_id)];
    change(tx, "UPDATE outbox SET message_id = ?2, body = x'' WHERE id = ?1", row)
}

/// Sealed → Accepted.
pub fn accept(tx: &Tx<'_>, id: i64, seq: Seq) -> Result<(), StoreError> {
    change(
        tx,
        "UPDATE outbox SET state = 2, seq = ?2, reason = NULL WHERE id = ?1",
        params![id, C(seq)],
    )
}

/// Accepted → Sealed: the server did not keep what it had accepted, so the same bytes are sent again.
pub fn reopen(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    change(tx, "UPDATE outbox SET state = 1, seq = NULL WHERE id = ?1 AND state = 2", [id])
}

/// Accepted → Secured for entries below `below`: the sealed bytes are let go. Which records those were; the
/// messages follow by [`message::secure`](super::message::secure).
pub fn secure(tx: &Tx<'_>, log: LogId, below: Seq) -> Result<Vec<CoreHash>, StoreError> {
    let mut update = tx.prepare_cached(&format!(
        "UPDATE outbox SET state = 3, head = NULL, payload = NULL,
             body = CASE kind WHEN 7 THEN x'' ELSE body END
         WHERE log = ?1 AND state = 2 AND {UNDER_WAY} AND seq < ?2 RETURNING core"
    ))?;
    let rows = update.query_map(params![C(log), C(below)], |row| cell(row, 0))?;
    let secured: Vec<Option<CoreHash>> = rows.collect::<Result<_, _>>()?;
    tx.touch(Change::Outbox);
    Ok(secured.into_iter().flatten().collect())
}

/// Ends an intent with a reason that the person sees.
pub fn fail(tx: &Tx<'_>, id: i64, reason: u64) -> Result<(), StoreError> {
    change(
        tx,
        "UPDATE outbox SET state = 4, reason = ?2, head = NULL, payload = NULL WHERE id = ?1",
        params![id, C(reason)],
    )
}

/// Failed → Queued, because the person asked for it.
pub fn retry(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    change(tx, &format!("{UNSEAL}, reason = NULL, next_ms = 0 WHERE id = ?1 AND state = 4"), [id])
}

/// Counts the time that an intent has waited from now on.
pub fn set_made(tx: &Tx<'_>, id: i64, now_ms: TimeMs) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE outbox SET made_ms = ?2 WHERE id = ?1")?
        .execute(params![id, C(now_ms)])?;
    Ok(())
}

/// Messages that wait since before this time and were never sealed.
pub fn overdue(conn: &Connection, before_ms: TimeMs) -> Result<Vec<i64>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT id FROM outbox
         WHERE state = 0 AND kind = 0 AND message_id IS NOT NULL AND made_ms < ?1",
    )?;
    let rows = select.query_map([C(before_ms)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Moves a record to another log, under another message id; it is as it was when it was made.
pub fn redirect(
    tx: &Tx<'_>,
    id: i64,
    log: LogId,
    message_id: Option<MessageId>,
) -> Result<(), StoreError> {
    change(
        tx,
        &format!("{UNSEAL}, log = ?2, message_id = ?3 WHERE id = ?1"),
        params![id, C(log), C(message_id)],
    )
}

/// Forgets an intent: the person took it back. Of the newest one its number stays, which is never used
/// again.
pub fn discard(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    change(tx, "DELETE FROM outbox WHERE id = ?1 AND id < (SELECT max(id) FROM outbox)", [id])?;
    change(tx, &format!("{UNSEAL}, message_id = NULL, body = x'' WHERE id = ?1"), [id])?;
    change(tx, "UPDATE outbox SET state = 3 WHERE id = ?1", [id])
}

fn change(tx: &Tx<'_>, sql: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
    tx.prepare_cached(sql)?.execute(params)?;
    tx.touch(Change::Outbox);
    Ok(())
}

/// A commit of ours that the server has not answered: all that is needed to send it again, and what
/// to store when it is taken.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingCommit {
    /// The conversation.
    pub log: LogId,
    /// The intent behind it, if a person wanted it.
    pub outbox: Option<i64>,
    /// The commit entry's core.
    pub core: CoreHash,
    /// The entries of the batch, as the group encodes them.
    pub batch: Vec<u8>,
    /// The GroupInfo that goes with them.
    pub group_info: Vec<u8>,
    /// The Welcome, if anybody is added.
    pub welcome: Option<Vec<u8>>,
    /// What merging stores: chains, expected capsule, roster.
    pub after: Vec<u8>,
    /// Of an external commit, what it changes of the group's state when it is merged.
    pub scratch: Option<Zeroizing<Vec<u8>>>,
    /// When it was made.
    pub made_ms: TimeMs,
}

impl std::fmt::Debug for PendingCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingCommit({}, {})", self.log, self.core)
    }
}

/// The commit of this log that is under way.
pub fn pending(conn: &Connection, log: LogId) -> Result<Option<PendingCommit>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT log, outbox, core, batch, group_info, welcome, after, made_ms, scratch
         FROM pending_commit WHERE log = ?1",
    )?;
    let found = select.query_row([C(log)], |row| {
        Ok(PendingCommit {
            log: cell(row, 0)?,
            outbox: row.get(1)?,
            core: cell(row, 2)?,
            batch: row.get(3)?,
            group_info: row.get(4)?,
            welcome: row.get(5)?,
            after: row.get(6)?,
            made_ms: cell(row, 7)?,
            scratch: row.get::<_, Option<Vec<u8>>>(8)?.map(Zeroizing::new),
        })
    });
    Ok(found.optional()?)
}

/// The logs with a commit under way.
pub fn logs_pending(conn: &Connection) -> Result<Vec<LogId>, StoreError> {
    let mut select = conn.prepare_cached("SELECT log FROM pending_commit")?;
    let rows = select.query_map([], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stores the commit of a log before it is sent. There is one at a time.
pub fn put_pending(tx: &Tx<'_>, commit: &PendingCommit) -> Result<(), StoreError> {
    tx.flush();
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO pending_commit
             (log, outbox, core, batch, group_info, welcome, after, made_ms, scratch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    insert.execute(params![
        C(commit.log),
        commit.outbox,
        C(commit.core),
        commit.batch,
        commit.group_info,
        commit.welcome,
        commit.after,
        C(commit.made_ms),
        commit.scratch.as_ref().map(|scratch| &scratch[..]),
    ])?;
    Ok(())
}

/// The commit was taken, or lost its race.
pub fn delete_pending(tx: &Tx<'_>, log: LogId) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM pending_commit WHERE log = ?1")?.execute([C(log)])?;
    Ok(())
}
