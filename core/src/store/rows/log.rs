//! Conversations as the protocol sees them: cursor, epoch, own counters, and larger parts.

use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{
    EntryHash, Epoch, Gen, LeafIndex, LogId, LogNo, RecordIndex, Seq, TimeMs, UserId,
};
use rusqlite::types::{FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{conversation, own};
use crate::observe::Change;
use crate::store::cell::{C, Cell, cell, code_cell};
use crate::store::{StoreError, Tx};

/// A log by its number in this database, which is never used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalLog {
    /// The number; it heads the keys of the log's entries and messages.
    pub(crate) number: i64,
    /// The log's id.
    pub id: LogId,
}

code_cell! {
    /// Whether the log goes on.
    pub enum LogState {
        /// It does.
        Active = 0,
        /// This person left or was removed; the history stays.
        Left = 1,
        /// A fork, or a server that broke a rule: nothing more is believed. See `stop_code`.
        Stopped = 2,
        /// Nobody can process the newest commit; a resync or reset is due.
        Broken = 3,
        /// Somebody's past that was handed over to this person, who is not in it: read only.
        HandedOver = 4,
    }
}

code_cell! {
    /// The larger parts of a log's state, each stored by itself.
    pub enum LogPart {
        /// The genesis body.
        Genesis = 0,
        /// What the rules know of the conversation.
        Conversation = 1,
        /// The roster of the epoch in force.
        Roster = 2,
        /// The public group that follows the log's commits.
        Follower = 3,
        /// The right capsule entries of the epoch in force.
        Capsules = 4,
        /// When this phone looked at the GroupInfos of which epoch.
        WayIn = 5,
    }
}

impl Cell for LogType {
    fn put(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self as i64))
    }
    fn take(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let all = [Self::Dm, Self::Group, Self::Announce, Self::SelfNotes];
        let code = value.as_i64()?;
        let found = all.into_iter().find(|log_type| *log_type as i64 == code);
        found.ok_or(rusqlite::types::FromSqlError::OutOfRange(code))
    }
}

/// The small state of a log; all of it changes with every entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its number in this database; 0 until it is inserted.
    pub local: LocalLog,
    /// Its number in the company.
    pub log_no: Option<LogNo>,
    /// What kind of conversation it is.
    pub r#type: LogType,
    /// The other person of a dm.
    pub peer: Option<UserId>,
    /// Whether it goes on.
    pub state: LogState,
    /// Why it stopped, if it did; a code of the rules.
    pub stop_code: Option<u64>,
    /// Where it stopped.
    pub stop_seq: Option<Seq>,
    /// The cursor: the next entry's number.
    pub next_seq: Seq,
    /// The newest entry's hash.
    pub last_hash: EntryHash,
    /// The newest entry's time.
    pub last_t_ms: TimeMs,
    /// The newest entry's size of the company log.
    pub last_co: u64,
    /// The generation in force.
    pub r#gen: Gen,
    /// The epoch in force; 0 if none is.
    pub epoch: Epoch,
    /// The commit that began it.
    pub epoch_seq: Option<Seq>,
    /// This device's leaf in it.
    pub own_leaf: Option<LeafIndex>,
    /// The lowest index of this device that the server has not accepted.
    pub own_index: RecordIndex,
    /// The running number of this device's next record.
    pub own_dctr: u64,
}

impl Log {
    /// A log of which nothing is known yet.
    pub fn new(id: LogId, r#type: LogType) -> Self {
        Self {
            local: LocalLog { number: 0, id },
            log_no: None,
            r#type,
            peer: None,
            state: LogState::Active,
            stop_code: None,
            stop_seq: None,
            next_seq: Seq(0),
            last_hash: EntryHash::ZERO,
            last_t_ms: 0,
            last_co: 0,
            r#gen: Gen(0),
            epoch: Epoch(0),
            epoch_seq: None,
            own_leaf: None,
            own_index: RecordIndex(0),
            own_dctr: 0,
        }
    }
}

const COLUMNS: &str =
    "id, log, log_no, type, peer, state, stop_code, stop_seq, next_seq, last_hash,
    last_t_ms, last_co, gen, epoch, epoch_seq, own_leaf, own_index, own_dctr";

fn read(row: &Row<'_>) -> rusqlite::Result<Log> {
    Ok(Log {
        local: LocalLog { number: row.get(0)?, id: cell(row, 1)? },
        log_no: cell(row, 2)?,
        r#type: cell(row, 3)?,
        peer: cell(row, 4)?,
        state: cell(row, 5)?,
        stop_code: cell(row, 6)?,
        stop_seq: cell(row, 7)?,
        next_seq: cell(row, 8)?,
        last_hash: cell(row, 9)?,
        last_t_ms: cell(row, 10)?,
        last_co: cell(row, 11)?,
        r#gen: cell(row, 12)?,
        epoch: cell(row, 13)?,
        epoch_seq: cell(row, 14)?,
        own_leaf: cell(row, 15)?,
        own_index: cell(row, 16)?,
        own_dctr: cell(row, 17)?,
    })
}

/// Adds a log and its row in the list of conversations, and gives it its number here.
///
/// `title` is a group's name; a dm shows its peer's. `order_ms` is its first place in the list.
pub fn insert(
    tx: &Tx<'_>,
    log: &Log,
    title: Option<&str>,
    order_ms: TimeMs,
) -> Result<LocalLog, StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO log (log, log_no, type, peer, state, stop_code, stop_seq, next_seq, last_hash,
             last_t_ms, last_co, gen, epoch, epoch_seq, own_leaf, own_index, own_dctr)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         RETURNING id",
    )?;
    let number = insert.query_row(
        params![
            C(log.local.id),
            C(log.log_no),
            C(log.r#type),
            C(log.peer),
            C(log.state),
            C(log.stop_code),
            C(log.stop_seq),
            C(log.next_seq),
            C(log.last_hash),
            C(log.last_t_ms),
            C(log.last_co),
            C(log.r#gen),
            C(log.epoch),
            C(log.epoch_seq),
            C(log.own_leaf),
            C(log.own_index),
            C(log.own_dctr),
        ],
        |row| row.get(0),
    )?;
    let local = LocalLog { number, id: log.local.id };
    conversation::insert(tx, local, title, order_ms)?;
    own::conversation_came(tx, local)?;
    tx.touch(Change::Log(local.id));
    Ok(local)
}

/// Stores the small state of a log that was read before.
pub fn update(tx: &Tx<'_>, log: &Log) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE log SET log_no = ?2, state = ?3, stop_code = ?4, stop_seq = ?5, next_seq = ?6,
             last_hash = ?7, last_t_ms = ?8, last_co = ?9, gen = ?10, epoch = ?11, epoch_seq = ?12,
             own_leaf = ?13, own_index = ?14, own_dctr = ?15
         WHERE id = ?1",
    )?;
    let changed = update.execute(params![
        log.local.number,
        C(log.log_no),
        C(log.state),
        C(log.stop_code),
        C(log.stop_seq),
        C(log.next_seq),
        C(log.last_hash),
        C(log.last_t_ms),
        C(log.last_co),
        C(log.r#gen),
        C(log.epoch),
        C(log.epoch_seq),
        C(log.own_leaf),
        C(log.own_index),
        C(log.own_dctr),
    ])?;
    if changed == 0 {
        return Err(StoreError::Missing("log"));
    }
    tx.touch(Change::Log(log.local.id));
    Ok(())
}

/// Lets the place of a conversation that never began be taken by another log: messages that wait in
/// it keep their places.
pub fn take_over(tx: &Tx<'_>, log: LocalLog, id: LogId) -> Result<LocalLog, StoreError> {
    tx.execute("UPDATE log SET log = ?2 WHERE id = ?1", params![log.number, C(id)])?;
    tx.touch(Change::Conversations);
    Ok(LocalLog { number: log.number, id })
}

/// The log of this id.
pub fn find(conn: &Connection, id: LogId) -> Result<Option<Log>, StoreError> {
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM log WHERE log = ?1"))?;
    Ok(select.query_row([C(id)], read).optional()?)
}

/// The number in this database of the log of this id.
pub fn local(conn: &Connection, id: LogId) -> Result<Option<LocalLog>, StoreError> {
    let mut select = conn.prepare_cached("SELECT id FROM log WHERE log = ?1")?;
    let number = select.query_row([C(id)], |row| row.get(0)).optional()?;
    Ok(number.map(|number| LocalLog { number, id }))
}

/// The dm with this person.
pub fn dm_with(conn: &Connection, peer: UserId) -> Result<Option<Log>, StoreError> {
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM log WHERE peer = ?1"))?;
    Ok(select.query_row([C(peer)], read).optional()?)
}

/// The log of the person's own devices; the first, should the server show several.
pub fn own(conn: &Connection) -> Result<Option<Log>, StoreError> {
    let mut select = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM log WHERE type = 3 ORDER BY id LIMIT 1"))?;
    Ok(select.query_row([], read).optional()?)
}

/// All logs, those with the newest messages first: the order in which a sync asks.
pub fn all(conn: &Connection) -> Result<Vec<Log>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM conversation c CROSS JOIN log l ON l.id = c.log
         ORDER BY c.order_ms DESC, c.log DESC",
        COLUMNS = COLUMNS.replacen("id, log,", "l.id, l.log,", 1),
    ))?;
    let logs = select.query_map([], read)?.collect::<Result<_, _>>()?;
    Ok(logs)
}

/// How many logs there are.
pub fn count(conn: &Connection) -> Result<u64, StoreError> {
    Ok(conn.prepare_cached("SELECT count(*) FROM log")?.query_row([], |row| cell(row, 0))?)
}

/// The logs that this device may have to enter: it lost the way in them, or never had a leaf. Those
/// with the newest messages first.
pub fn to_enter(conn: &Connection) -> Result<Vec<LogId>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.log FROM conversation c CROSS JOIN log l ON l.id = c.log
         WHERE l.state = 3 OR (l.state = 0 AND l.own_leaf IS NULL AND l.epoch > 0)
         ORDER BY c.order_ms DESC, c.log DESC",
    )?;
    let rows = select.query_map([], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A larger part of a log's state.
pub fn part(
    conn: &Connection,
    log: LocalLog,
    part: LogPart,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT value FROM log_part WHERE log = ?1 AND part = ?2")?;
    Ok(select.query_row(params![log.number, C(part)], |row| row.get(0)).optional()?)
}

/// Stores a larger part of a log's state, over the one that is there.
pub fn put_part(tx: &Tx<'_>, log: LocalLog, part: LogPart, value: &[u8]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO log_part (log, part, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (log, part) DO UPDATE SET value = excluded.value",
    )?;
    insert.execute(params![log.number, C(part), value])?;
    Ok(())
}
