//! Messages, and what else a timeline shows: events, and gaps where something could not be read.

use std::ops::Range;

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::ids::{DeviceId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::file::{self, ShownFile};
use super::index;
use super::log::LocalLog;
use super::{PENDING, key, key_seq, seq_key};
use crate::store::cell::{C, cell, code_cell};
use crate::store::{StoreError, Tx};

code_cell! {
    /// What a row of a timeline is.
    pub enum MessageKind {
        /// A text.
        Text = 0,
        /// Content that this build cannot show: "update the app".
        Unknown = 1,
        /// Something that happened to the conversation; the content is an [`Event`].
        Event = 2,
        /// A record that could not be opened or accepted.
        Gap = 3,
        /// A stretch of records whose keys this device does not have yet; `missing` says how many.
        Unreadable = 4,
        /// A text with documents; the text is the first one's name if nothing else was said.
        File = 5,
    }
}

code_cell! {
    /// How far a message is.
    pub enum MessageState {
        /// Somebody else's, as it came.
        Received = 0,
        /// Our own, not yet at the server.
        Queued = 1,
        /// Our own, ordered by the server.
        Sent = 2,
        /// Our own, covered by a checkpoint.
        Secured = 3,
        /// Our own, ended with a reason; see the outbox.
        Failed = 4,
        /// Erased by a rule of retention.
        Erased = 5,
    }
}

/// Where a message stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the server put it.
    At(Seq),
    /// Behind all others, in the order of the outbox' numbers.
    Pending(i64),
}

impl Place {
    fn key(self, log: LocalLog) -> i64 {
        match self {
            Self::At(seq) => seq_key(log, seq),
            Self::Pending(outbox) => key(log, PENDING + outbox.clamp(0, PENDING - 1)),
        }
    }
}

/// A message to be added.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Where it stands.
    pub place: Place,
    /// Its id.
    pub message_id: MessageId,
    /// Its author.
    pub author: UserId,
    /// The author's device.
    pub device: DeviceId,
    /// What it is.
    pub kind: MessageKind,
    /// How far it is.
    pub state: MessageState,
    /// The log's time; the phone's own while pending.
    pub t_ms: TimeMs,
    /// The author's time.
    pub sent_ms: TimeMs,
    /// Records of this device that are missing before this one.
    pub missing: u64,
    /// What people read and search.
    pub text: Option<String>,
    /// The content's bytes.
    pub content: Option<Vec<u8>>,
    /// K, kept until the message is erased, for grants.
    pub record_key: Option<RecordKey>,
    /// Whether it makes the conversation unread: another person's text, not an event.
    pub unread: bool,
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The row's key; it orders the timeline, and changes when the server orders the message.
    pub key: i64,
    /// Its number in the log, once the server ordered it.
    pub seq: Option<Seq>,
    /// Its id.
    pub message_id: MessageId,
    /// Its author.
    pub author: UserId,
    /// The author's device.
    pub device: DeviceId,
    /// What it is.
    pub kind: MessageKind,
    /// How far it is.
    pub state: MessageState,
    /// The log's time; the phone's own while pending.
    pub t_ms: TimeMs,
    /// The author's time.
    pub sent_ms: TimeMs,
    /// Records of this device that are missing before this one.
    pub missing: u64,
    /// What people read and search.
    pub text: Option<String>,
    /// The content's bytes.
    pub content: Option<Vec<u8>>,
    /// Why it failed, if it did; an outcome's code.
    pub reason: Option<u64>,
    /// Its documents, of a row that a timeline returned.
    pub files: Vec<ShownFile>,
}

/// The columns of [`read`].
pub(crate) const COLUMNS: &str = "m.key, m.message_id, m.author, m.device, m.kind, m.state, m.t_ms,
    m.sent_ms, m.missing, m.text, m.content,
    CASE WHEN m.state = 4 THEN (SELECT reason FROM outbox o WHERE o.message_id = m.message_id) END";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Message> {
    let key = row.get(0)?;
    Ok(Message {
        key,
        seq: key_seq(key),
        message_id: cell(row, 1)?,
        author: cell(row, 2)?,
        device: cell(row, 3)?,
        kind: cell(row, 4)?,
        state: cell(row, 5)?,
        t_ms: cell(row, 6)?,
        sent_ms: cell(row, 7)?,
        missing: cell(row, 8)?,
        text: cell(row, 9)?,
        content: cell(row, 10)?,
        reason: cell(row, 11)?,
        files: Vec::new(),
    })
}

/// Adds a message; `false` if its log has one of this id already, and nothing is changed (rule C5).
///
/// The conversation's row follows: order, last line, unread count.
pub fn insert(tx: &Tx<'_>, log: LocalLog, message: &NewMessage) -> Result<bool, StoreError> {
    let search_id = match &message.text {
        Some(_) => Some(next_search_id(tx, message.t_ms)?),
        None => None,
    };
    let mut insert = tx.prepare_cached(
        "INSERT INTO message (key, message_id, author, device, kind, state, t_ms, sent_ms, missing,
             search_id, text, content, record_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (key >> 40, message_id) DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        message.place.key(log),
        C(message.message_id),
        C(message.author),
        C(message.device),
        C(message.kind),
        C(message.state),
        C(message.t_ms),
        C(message.sent_ms),
        C(message.missing),
        search_id,
        message.text,
        message.content,
        C(message.record_key.as_ref()),
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    if let (Some(search_id), Some(text)) = (search_id, &message.text) {
        tx.index(search_id, index::words(log, message.author, message.kind, text, &[]));
    }
    tx.refresh(log, u32::from(message.unread));
    Ok(true)
}

/// Bits of a row of the full-text index that number the messages of one millisecond.
const SEARCH_NUMBERS: u32 = 20;

/// The rows of the full-text index of a period of the log's clock. A message of ours may stand up to a
/// minute beside its time.
pub(crate) fn search_ids(from_ms: Option<TimeMs>, before_ms: Option<TimeMs>) -> Range<i64> {
    let from = from_ms.map_or(0, first_search_id);
    from..before_ms.map_or(i64::MAX, first_search_id)
}

fn first_search_id(t_ms: TimeMs) -> i64 {
    // 43 bits of milliseconds reach beyond the year 2200; a clock that is further off sorts there.
    i64::try_from(t_ms).unwrap_or(i64::MAX).min((1 << 43) - 2) << SEARCH_NUMBERS
}

/// The next row of the full-text index for a message of this time: rows ascend with time, so that
/// the newest hits come first without sorting.
fn next_search_id(conn: &Connection, t_ms: TimeMs) -> Result<i64, StoreError> {
    let first = first_search_id(t_ms);
    let mut select = conn.prepare_cached(
        "SELECT max(search_id) FROM message WHERE search_id >= ?1 AND search_id < ?2",
    )?;
    let newest: Option<i64> =
        select.query_row([first, first + (1 << SEARCH_NUMBERS)], |row| row.get(0))?;
    Ok(newest.map_or(first, |id| id + 1))
}

/// The server ordered a message of ours, or took that back (a restore): it moves to this place.
pub fn place(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    place: Place,
    t_ms: TimeMs,
    state: MessageState,
) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE message SET key = ?3, t_ms = ?4, state = ?5
         WHERE key >> 40 = ?1 AND message_id = ?2",
    )?;
    let moved =
        update.execute(params![log.number, C(message_id), place.key(log), C(t_ms), C(state)])?;
    if moved == 0 {
        return Err(StoreError::Missing("message"));
    }
    index_anew(tx, log, place.key(log), t_ms)?;
    tx.refresh(log, 0);
    Ok(())
}

/// Moves a message in the full-text index when the phone's clock, by which it was put there, was far
/// from the log's: hits are ordered by time.
fn index_anew(tx: &Tx<'_>, log: LocalLog, key: i64, t_ms: TimeMs) -> Result<(), StoreError> {
    const NEAR_MS: u64 = 60_000;
    let Some(indexed) = index::find(tx, log, key)? else { return Ok(()) };
    let search_id = indexed.search_id;
    if (search_id >> SEARCH_NUMBERS).unsigned_abs().abs_diff(t_ms) <= NEAR_MS {
        return Ok(());
    }
    index::remove(tx, Some(indexed))?;
    let search_id = next_search_id(tx, t_ms)?;
    tx.prepare_cached("UPDATE message SET search_id = ?2 WHERE key = ?1")?
        .execute([key, search_id])?;
    if let Some(indexed) = index::find(tx, log, key)? {
        tx.index(search_id, indexed.words);
    }
    Ok(())
}

/// How far a message of ours is.
pub fn set_state(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    state: MessageState,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE message SET state = ?3 WHERE key >> 40 = ?1 AND message_id = ?2")?
        .execute(params![log.number, C(message_id), C(state)])?;
    tx.refresh(log, 0);
    Ok(())
}

/// Gives a message that waits the id that it has in another log.
pub fn rename(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    new: MessageId,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE message SET message_id = ?3 WHERE key >> 40 = ?1 AND message_id = ?2",
    )?
    .execute(params![log.number, C(message_id), C(new)])?;
    file::rename(tx, log, message_id, new)?;
    tx.refresh(log, 0);
    Ok(())
}

/// Sets the K of a message of ours, once it is sealed and accepted.
pub fn set_record_key(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    record_key: &RecordKey,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE message SET record_key = ?3 WHERE key >> 40 = ?1 AND message_id = ?2",
    )?
    .execute(params![log.number, C(message_id), C(record_key)])?;
    Ok(())
}

/// All messages of ours below `below` are covered by a checkpoint.
pub fn secure(tx: &Tx<'_>, log: LocalLog, below: Seq) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE message SET state = 3 WHERE key >= ?1 AND key < ?2 AND state = 2",
    )?;
    if update.execute([key(log, 0), seq_key(log, below)])? > 0 {
        tx.refresh(log, 0);
    }
    Ok(())
}

/// Erases text, content and key of one message, and its words from the index. The row stays.
pub fn erase(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<(), StoreError> {
    let key = seq_key(log, seq);
    index::remove(tx, index::find(tx, log, key)?)?;
    let mut select = tx.prepare_cached("SELECT message_id FROM message WHERE key = ?1")?;
    if let Some(message_id) = select.query_row([key], |row| cell(row, 0)).optional()? {
        file::forget(tx, log.number, message_id)?;
    }
    tx.prepare_cached(
        "UPDATE message SET state = 5, text = NULL, content = NULL, record_key = NULL,
             search_id = NULL
         WHERE key = ?1",
    )?
    .execute([key])?;
    tx.refresh(log, 0);
    Ok(())
}

/// Takes a message of ours back that never reached the server.
pub fn discard(tx: &Tx<'_>, log: LocalLog, message_id: MessageId) -> Result<(), StoreError> {
    let Some(message) = find(tx, log, message_id)? else { return Ok(()) };
    index::remove(tx, index::find(tx, log, message.key)?)?;
    file::forget(tx, log.number, message_id)?;
    tx.prepare_cached("DELETE FROM message WHERE key = ?1")?.execute([message.key])?;
    tx.refresh(log, 0);
    Ok(())
}

/// The message of this id.
pub fn find(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message m WHERE m.key >> 40 = ?1 AND m.message_id = ?2",
    ))?;
    Ok(select.query_row(params![log.number, C(message_id)], read).optional()?)
}

/// What happened to a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was created.
    Created,
    /// People joined.
    Joined(Vec<UserId>),
    /// People were removed.
    Removed(Vec<UserId>),
    /// People left by themselves.
    Left(Vec<UserId>),
    /// Its group was made anew: nobody could go on in the old one, an admin ordered it, or it grew.
    Reset,
    /// Something that a newer build wrote.
    Newer,
}

impl Event {
    fn to_content(&self) -> Option<Vec<u8>> {
        let (code, who) = match self {
            Self::Created => (0, Vec::new()),
            Self::Joined(who) => (1, who.clone()),
            Self::Removed(who) => (2, who.clone()),
            Self::Left(who) => (3, who.clone()),
            Self::Reset => (4, Vec::new()),
            Self::Newer => return None,
        };
        Some(encode(&(code as u64, who)))
    }

    /// Reads the content of a row of kind [`MessageKind::Event`].
    pub fn from_content(content: &[u8]) -> Self {
        match decode::<(u64, Vec<UserId>)>(content) {
            Ok((0, _)) => Self::Created,
            Ok((1, who)) => Self::Joined(who),
            Ok((2, who)) => Self::Removed(who),
            Ok((3, who)) => Self::Left(who),
            Ok((4, _)) => Self::Reset,
            _ => Self::Newer,
        }
    }
}

/// Adds a line to the timeline that says what happened at an entry.
pub fn event(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    event: &Event,
    by: (UserId, DeviceId),
    t_ms: TimeMs,
) -> Result<(), StoreError> {
    insert(tx, log, &line(seq, MessageKind::Event, event.to_content(), by, t_ms)).map(|_| ())
}

/// Adds a line to the timeline that says that something is there and could not be read.
pub fn gap(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    by: (UserId, DeviceId),
    t_ms: TimeMs,
) -> Result<(), StoreError> {
    insert(tx, log, &line(seq, MessageKind::Gap, None, by, t_ms)).map(|_| ())
}

/// Says in the timeline that so many records from here on are not readable on this device yet. They
/// are added to the line before, if nothing came in between.
pub fn unreadable(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    count: u64,
    t_ms: TimeMs,
) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE message SET missing = missing + ?3
         WHERE kind = 4 AND key = (SELECT max(key) FROM message WHERE key BETWEEN ?1 AND ?2)",
    )?;
    let ordered = (key(log, 0), seq_key(log, seq));
    if update.execute(params![ordered.0, ordered.1, C(count)])? > 0 {
        tx.refresh(log, 0);
        return Ok(());
    }
    let nobody = (UserId([0; 16]), DeviceId([0; 16]));
    let line = line(seq, MessageKind::Unreadable, None, nobody, t_ms);
    insert(tx, log, &NewMessage { missing: count, ..line }).map(|_| ())
}

fn line(
    seq: Seq,
    kind: MessageKind,
    content: Option<Vec<u8>>,
    (author, device): (UserId, DeviceId),
    t_ms: TimeMs,
) -> NewMessage {
    // A message's id begins with 0x01, so that a line's, which is its seq, is never one.
    let mut id = [0; 32];
    id[24..].copy_from_slice(&seq.0.to_be_bytes());
    NewMessage {
        place: Place::At(seq),
        message_id: MessageId(id),
        author,
        device,
        kind,
        state: MessageState::Received,
        t_ms,
        sent_ms: t_ms,
        missing: 0,
        text: None,
        content,
        record_key: None,
        unread: false,
    }
}
