//! Messages, and what else a timeline shows: events, and gaps where something could not be read.

use std::ops::Range;

use hauspost_protocol::content::Voice;
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::ids::{DeviceId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::confirmation::{self, Asking};
use super::file::{self, ShownFile};
use super::index;
use super::log::LocalLog;
use super::mark;
use super::reaction::Tally;
use super::{PENDING, key, key_seq, seq_key};
use crate::store::cell::{C, cell, code_cell};
use crate::store::{StoreError, Tx};

mod announcement;
mod card;
mod fate;
mod line;

pub use announcement::{Twin, recount_others, twins};
pub use card::ShownCard;
pub(super) use card::poll_of;
pub(crate) use card::{as_written, card, shown as shown_card, voice, words_of};
pub(crate) use fate::quote;
pub use fate::{EVERYBODY, Fate, Quote, Saying, answer, rewrite, set_starred, unsent_answers};
pub(super) use fate::{is_text, set_fate};
use fate::{mentioned, mentions_reader};
pub(super) use line::count_readable;
pub use line::{Event, event, gap, unreadable};

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
        /// A place; the text is its name and where it is.
        Place = 6,
        /// Somebody; the text is what there is to know.
        Contact = 7,
        /// A poll; the text is the question and the options.
        Poll = 8,
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
    pub(super) fn key(self, log: LocalLog) -> i64 {
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
    /// Whether it is somebody else's past, handed over to this person: it is never new to him.
    pub handed: bool,
    /// What it says besides its text.
    pub saying: Saying,
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
    /// What became of it.
    pub fate: Fate,
    /// Whether what became of it has not reached the server yet.
    pub is_changing: bool,
    /// What it says besides its text.
    pub saying: Saying,
    /// Whether it mentions this person.
    pub mentions_me: bool,
    /// Whether it is pinned in the conversation.
    pub is_pinned: bool,
    /// Whether this person starred it.
    pub is_starred: bool,
    /// The message that it answers, of a row that a timeline returned.
    pub quote: Option<Quote>,
    /// The reactions to it, of a row that a timeline returned.
    pub reactions: Vec<Tally>,
    /// Whether anybody ever reacted to it.
    pub reacted: bool,
    /// That it asks to be confirmed, if it does.
    pub asking: Option<Asking>,
    /// How far a message of this person's has come, of a row that a timeline returned.
    pub reach: Option<Reach>,
    /// The card that it shows, of a row that a timeline returned.
    pub card: Option<ShownCard>,
    /// What it says of its sound, of a row that a timeline returned, if its document was spoken.
    pub voice: Option<Voice>,
}

/// How far a message of one's own has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// How many other people are in the conversation.
    pub of: u64,
    /// How many of them have it on a phone: the server's word, or a colleague's own.
    pub delivered: u64,
    /// How many of them have read it; none where nobody says so.
    pub read: Option<u64>,
}

impl Message {
    /// Whether somebody wrote it, and something can be said about it: no line about the conversation,
    /// and none that could not be read.
    pub fn is_said(&self) -> bool {
        let is_text =
            matches!(self.kind, MessageKind::Text | MessageKind::Unknown | MessageKind::File);
        is_text || self.kind.is_card()
    }
}

/// The kinds of [`Message::is_said`], for a condition.
pub(crate) const SAID: &str = "(0, 1, 5, 6, 7, 8)";

/// The columns of [`read`].
pub(crate) const COLUMNS: &str = "m.key, m.message_id, m.author, m.device, m.kind, m.state, m.t_ms,
    m.sent_ms, m.missing, m.text, m.content,
    CASE WHEN m.state = 4 THEN (
        SELECT reason FROM outbox o WHERE o.message_id = m.message_id AND o.state = 4
    ) END,
    m.fate, m.change_key, m.reply_to, m.markdown, m.origin, m.mentions, m.mentions_me, m.pin_key,
    m.starred_ms, m.reacted, m.alarm, m.asked, m.confirmed, m.confirmed_key, m.to_confirm,
    m.announcement";

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
        fate: cell(row, 12)?,
        is_changing: row.get::<_, Option<i64>>(13)?.is_some_and(|key| key_seq(key).is_none()),
        saying: Saying {
            reply_to: cell(row, 14)?,
            markdown: row.get(15)?,
            origin: cell(row, 16)?,
            mentions: mentioned(row.get(17)?),
            alarm: row.get(22)?,
            asks: cell::<Option<u64>>(row, 23)?.is_some(),
            announcement: cell(row, 27)?,
        },
        mentions_me: row.get(18)?,
        is_pinned: row.get::<_, Option<i64>>(19)?.is_some(),
        is_starred: row.get::<_, Option<i64>>(20)?.is_some(),
        quote: None,
        reactions: Vec::new(),
        reacted: row.get(21)?,
        reach: None,
        card: None,
        voice: None,
        asking: confirmation::read(row, 23)?,
    })
}

/// Adds a message; `false` if its log has one of this id already, and nothing is changed (rule C5).
///
/// The conversation's row follows: order, last line, unread count.
pub fn insert(tx: &Tx<'_>, log: LocalLog, message: &NewMessage) -> Result<bool, StoreError> {
    let text = card::words(tx, message)?;
    let again = announcement::stands_elsewhere(tx, log, message)?;
    let search_id = match &text {
        Some(_) if !again => Some(next_search_id(tx, message.t_ms)?),
        _ => None,
    };
    let said = (message.author, message.saying.reply_to);
    let mentions_me = mentions_reader(tx, log, said, &message.saying.mentions)?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO message (key, message_id, author, device, kind, state, t_ms, sent_ms, missing,
             search_id, text, content, record_key, reply_to, markdown, origin, mentions,
             mentions_me, alarm, asked, announcement, again, handed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22, ?23)
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
        text,
        message.content,
        C(message.record_key.as_ref()),
        C(message.saying.reply_to),
        message.saying.markdown,
        C(message.saying.origin),
        message.saying.mentions_blob(),
        mentions_me,
        message.saying.alarm,
        message.saying.asks.then_some(0),
        C(message.saying.announcement),
        again,
        message.handed,
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    if message.saying.asks {
        confirmation::ask(tx, log, message.place.key(log))?;
    }
    if let (Some(search_id), Some(text)) = (search_id, &text) {
        tx.index(search_id, index::words(log, message.author, message.kind, text, &[]));
    }
    tx.refresh(log, u32::from(message.unread && !again));
    if message.saying.announcement.is_some() {
        announcement::settle(tx, log, message)?;
    }
    if mentions_me {
        tx.recount(log);
    }
    if matches!(message.place, Place::At(_)) {
        mark::arrived(tx, log, message.message_id)?;
    }
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
         WHERE key >> 40 = ?1 AND message_id = ?2 RETURNING asked IS NOT NULL",
    )?;
    let to = params![log.number, C(message_id), place.key(log), C(t_ms), C(state)];
    let moved: Option<bool> = update.query_row(to, |row| row.get(0)).optional()?;
    let Some(asks) = moved else {
        return match mark::place(tx, log, message_id, place, t_ms, state)? {
            true => Ok(()),
            false => Err(StoreError::Missing("message")),
        };
    };
    index_anew(tx, log, place.key(log), t_ms)?;
    if asks {
        confirmation::ask(tx, log, place.key(log))?;
    }
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
    let mut update = tx
        .prepare_cached("UPDATE message SET state = ?3 WHERE key >> 40 = ?1 AND message_id = ?2")?;
    if update.execute(params![log.number, C(message_id), C(state)])? == 0 {
        mark::set_state(tx, log, message_id, state)?;
    }
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

/// Sets the K of a message of ours, once it is sealed; whether there is such a message.
pub fn set_record_key(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    record_key: &RecordKey,
) -> Result<bool, StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE message SET record_key = ?3 WHERE key >> 40 = ?1 AND message_id = ?2",
    )?;
    if update.execute(params![log.number, C(message_id), C(record_key)])? > 0 {
        return Ok(true);
    }
    mark::set_record_key(tx, log, message_id, record_key)
}

/// All messages of ours below `below` are covered by a checkpoint.
pub fn secure(tx: &Tx<'_>, log: LocalLog, below: Seq) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE message SET state = 3 WHERE key >= ?1 AND key < ?2 AND state = 2",
    )?;
    if update.execute([key(log, 0), seq_key(log, below)])? > 0 {
        tx.refresh(log, 0);
    }
    mark::secure(tx, log, below)
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
        "UPDATE message SET state = 5, text = NULL, markdown = NULL, mentions = NULL,
             mentions_me = 0, content = NULL, record_key = NULL, search_id = NULL
         WHERE key = ?1",
    )?
    .execute([key])?;
    confirmation::settle(tx, log, key)?;
    mark::erase(tx, log, seq)?;
    tx.refresh(log, 0);
    Ok(())
}

/// Takes a message of ours back that never reached the server.
pub fn discard(tx: &Tx<'_>, log: LocalLog, message_id: MessageId) -> Result<(), StoreError> {
    let Some(message) = find(tx, log, message_id)? else {
        return mark::discard(tx, log, message_id);
    };
    index::remove(tx, index::find(tx, log, message.key)?)?;
    file::forget(tx, log.number, message_id)?;
    tx.prepare_cached("DELETE FROM message WHERE key = ?1")?.execute([message.key])?;
    tx.refresh(log, 0);
    if let Some(id) = message.saying.announcement {
        announcement::left(tx, message.author, id)?;
    }
    Ok(())
}

/// The content's bytes of a message.
pub fn content(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT content FROM message WHERE key >> 40 = ?1 AND message_id = ?2";
    let found = conn
        .prepare_cached(sql)?
        .query_row(params![log.number, C(message_id)], |row| row.get(0))
        .optional()?;
    Ok(found.flatten())
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
