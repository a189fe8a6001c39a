//! Marks: what somebody says about a message, and is no line of the timeline itself: changes,
//! deletions, reactions, pins, confirmations.
//!
//! A mark is kept at its place in the log, like a message. What it does to the message is worked out
//! anew from all marks in the log's order whenever one comes, moves or fails, so that all phones
//! agree, in whatever order they came to know of them:
//!
//! - A text is changed by its author's last change, until he takes it back or an owner hides it, whichever
//!   comes first; after that nothing changes it.
//! - A reaction counts from the mark that makes it to the one that takes it back, once for each person
//!   and emoji, and [`REACTIONS`] different ones of one person at most.
//! - A poll's votes count until its author or an owner closes it, of each person the last one; see
//!   [`poll`].
//! - A message is pinned if the last mark about that says so.
//! - A message that asks for it is confirmed by the first mark of each person that says so
//!   ([`confirmation`]).
//!
//! A mark about something that this phone does not have waits for it and shows nothing.

use hauspost_protocol::content::{Choice, Control};
use hauspost_protocol::encoding::decode;
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::ids::{DeviceId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::log::LocalLog;
use super::message::{self, MessageState, Place, Saying};
use super::{confirmation, key, poll, reaction};
use crate::store::cell::{C, cell, code_cell};
use crate::store::{StoreError, Tx};

pub use super::reaction::REACTIONS;

#[cfg(test)]
mod tests;

code_cell! {
    /// What a mark does.
    pub enum MarkKind {
        /// Changes the text.
        Edit = 0,
        /// Takes the message back.
        Deletion = 1,
        /// Hides the message, as an owner.
        Redaction = 2,
        /// Reacts by an emoji.
        Reaction = 3,
        /// Takes a reaction back.
        Unreaction = 4,
        /// Pins the message.
        Pin = 5,
        /// Takes the pin off.
        Unpin = 6,
        /// Chooses options of a poll, or none.
        Vote = 7,
        /// Closes a poll.
        ClosePoll = 8,
        /// Confirms that its author took note of the message.
        Acknowledgement = 9,
    }
}

/// A mark to be added.
#[derive(Debug, Clone)]
pub struct NewMark {
    /// Where it stands.
    pub place: Place,
    /// Its id.
    pub message_id: MessageId,
    /// What it names: a message, an earlier change of it, or a reaction.
    pub about: MessageId,
    /// What it does.
    pub kind: MarkKind,
    /// Whether its author may do that at this place in the log, as far as the conversation says so; to
    /// close a poll, whether he is an owner. Whether it is his own message is decided here.
    pub valid: bool,
    /// Its author.
    pub author: UserId,
    /// The author's device.
    pub device: DeviceId,
    /// How far it is.
    pub state: MessageState,
    /// The log's time; the phone's own while pending.
    pub t_ms: TimeMs,
    /// The author's time.
    pub sent_ms: TimeMs,
    /// An edit's text, a reaction's emoji.
    pub text: Option<String>,
    /// What else an edit says.
    pub saying: Saying,
    /// The content's bytes.
    pub content: Vec<u8>,
    /// K, kept until the mark is erased, for grants.
    pub record_key: Option<RecordKey>,
}

/// A mark as it is stored.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The row's key.
    pub key: i64,
    /// Its id.
    pub message_id: MessageId,
    /// The message that it is about.
    pub target: MessageId,
    /// Whether this phone does not have what it names.
    pub waits: bool,
    /// What it does.
    pub kind: MarkKind,
    /// Its author.
    pub author: UserId,
    /// How far it is.
    pub state: MessageState,
    /// The log's time.
    pub t_ms: TimeMs,
    /// An edit's text, a reaction's emoji.
    pub text: Option<String>,
    /// What an edit's text was written as.
    pub markdown: Option<String>,
    /// What a vote chooses.
    pub choice: Option<Choice>,
}

const COLUMNS: &str = "key, message_id, target, waits, kind, author, state, t_ms, text, markdown,
    choice";

fn read(row: &Row<'_>) -> rusqlite::Result<Mark> {
    Ok(Mark {
        key: row.get(0)?,
        message_id: cell(row, 1)?,
        target: cell(row, 2)?,
        waits: cell(row, 3)?,
        kind: cell(row, 4)?,
        author: cell(row, 5)?,
        state: cell(row, 6)?,
        t_ms: cell(row, 7)?,
        text: row.get(8)?,
        markdown: row.get(9)?,
        choice: row.get::<_, Option<u16>>(10)?.map(Choice::from_bits),
    })
}

/// What a vote chooses, by its content.
fn choice(kind: MarkKind, content: &[u8]) -> Option<Choice> {
    match decode(content) {
        Ok(Control::Vote(_, choice)) if kind == MarkKind::Vote => Some(choice),
        _ => None,
    }
}

/// What a mark turns out to be about.
struct About {
    target: MessageId,
    kind: MarkKind,
    emoji: Option<String>,
    waits: bool,
    valid: bool,
    /// Whether its author may do that, whatever the conversation says: it is his own.
    own: bool,
}

impl About {
    fn of(target: MessageId, kind: MarkKind) -> Self {
        Self { target, kind, emoji: None, waits: false, valid: true, own: false }
    }
}

/// What a mark of this author is about, as far as this phone knows.
fn about(
    conn: &Connection,
    log: LocalLog,
    named: MessageId,
    kind: MarkKind,
    author: UserId,
    choice: Option<Choice>,
) -> Result<About, StoreError> {
    let about = About::of(named, kind);
    if message::is_text(conn, log, named)? {
        let poll = match kind {
            MarkKind::Vote | MarkKind::ClosePoll => message::poll_of(conn, log, named)?,
            _ => return Ok(about),
        };
        return Ok(match (poll, choice) {
            (None, _) => About { valid: false, ..about },
            (Some((poll, _)), Some(choice)) => About { valid: poll.takes(choice), ..about },
            (Some(_), None) if kind == MarkKind::Vote => About { valid: false, ..about },
            (Some((_, asker)), None) => About { own: asker == author, ..about },
        });
    }
    let Some(mark) = find(conn, log, named)? else {
        // A line about the conversation is no message; its id can be guessed, a message's cannot.
        let is_line = named.0[0] == 0;
        return Ok(About { waits: !is_line, valid: !is_line, ..about });
    };
    match (mark.kind, kind) {
        // What is said about a change is said about the message; a change names no other change.
        (MarkKind::Edit | MarkKind::Deletion, _) => {
            self::about(conn, log, mark.target, kind, author, choice)
        }
        (MarkKind::Reaction | MarkKind::Unreaction, MarkKind::Deletion) => Ok(About {
            emoji: mark.text,
            waits: mark.waits,
            valid: mark.author == author,
            ..About::of(mark.target, MarkKind::Unreaction)
        }),
        _ => Ok(About { valid: false, ..about }),
    }
}

/// Adds a mark and lets it take effect; `false` if its log has one of this id already.
pub fn insert(tx: &Tx<'_>, log: LocalLog, mark: &NewMark) -> Result<bool, StoreError> {
    let choice = choice(mark.kind, &mark.content);
    let about = about(tx, log, mark.about, mark.kind, mark.author, choice)?;
    let valid = about.valid && (about.own || mark.valid);
    let mut insert = tx.prepare_cached(
        "INSERT INTO mark (key, message_id, target, waits, kind, valid, author, device, state, t_ms,
             sent_ms, text, markdown, mentions, content, record_key, choice)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (key >> 40, message_id) DO NOTHING",
    )?;
    let key = mark.place.key(log);
    let text = about.emoji.as_ref().or(mark.text.as_ref());
    let inserted = insert.execute(params![
        key,
        C(mark.message_id),
        C(about.target),
        about.waits,
        C(about.kind),
        valid,
        C(mark.author),
        C(mark.device),
        C(mark.state),
        C(mark.t_ms),
        C(mark.sent_ms),
        text,
        mark.saying.markdown,
        mark.saying.mentions_blob(),
        mark.content,
        C(mark.record_key.as_ref()),
        choice.map(Choice::bits),
    ])?;
    if inserted == 0 {
        return Ok(false);
    }
    tx.refresh(log, 0);
    if about.waits {
        tx.mark_waits(log);
    }
    if !about.waits && valid {
        let (target, author) = (about.target, mark.author);
        match (about.kind, text) {
            (MarkKind::Reaction | MarkKind::Unreaction, Some(emoji)) => {
                let made = about.kind == MarkKind::Reaction;
                reaction::add(tx, log, (target, author), key, made.then_some(emoji), emoji)?;
            }
            (kind, _) => apply(tx, log, target, kind, author)?,
        }
    }
    arrived(tx, log, mark.message_id)?;
    Ok(true)
}

/// Whether any mark of a log waits for what it names.
pub(in crate::store) fn any_waits(conn: &Connection, log: LocalLog) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM mark WHERE key >> 40 = ?1 AND waits = 1)";
    Ok(conn.prepare_cached(sql)?.query_row([log.number], |row| row.get(0))?)
}

/// What waited for this message, or mark, is about it from now on.
pub(super) fn arrived(tx: &Tx<'_>, log: LocalLog, id: MessageId) -> Result<(), StoreError> {
    if !tx.has_waiting_marks(log)? {
        return Ok(());
    }
    let waiting: Vec<Mark> = {
        let mut select = tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM mark WHERE key >> 40 = ?1 AND target = ?2 AND waits = 1
             ORDER BY key"
        ))?;
        let rows = select.query_map(params![log.number, C(id)], read)?;
        rows.collect::<Result<_, _>>()?
    };
    for mark in waiting {
        let about = about(tx, log, id, mark.kind, mark.author, mark.choice)?;
        tx.prepare_cached(
            "UPDATE mark SET target = ?2, waits = ?3, kind = ?4, text = coalesce(?5, text),
                 valid = (valid OR ?7) AND ?6
             WHERE key = ?1",
        )?
        .execute(params![
            mark.key,
            C(about.target),
            about.waits,
            C(about.kind),
            about.emoji,
            about.valid,
            about.own,
        ])?;
        if !about.waits {
            apply(tx, log, about.target, about.kind, mark.author)?;
        }
    }
    Ok(())
}

/// Works out anew what marks of this kind, and of this author, do to a message.
fn apply(
    tx: &Tx<'_>,
    log: LocalLog,
    target: MessageId,
    kind: MarkKind,
    author: UserId,
) -> Result<(), StoreError> {
    match kind {
        MarkKind::Edit | MarkKind::Deletion | MarkKind::Redaction => {
            message::set_fate(tx, log, target)?;
        }
        MarkKind::Reaction | MarkKind::Unreaction => reaction::count_anew(tx, log, target, author)?,
        MarkKind::Pin | MarkKind::Unpin => {
            let mut select = tx.prepare_cached(
                "SELECT CASE kind WHEN 5 THEN key END FROM mark
                 WHERE key >> 40 = ?1 AND target = ?2 AND kind IN (5, 6) AND valid = 1
                     AND waits = 0 AND state <> 4
                 ORDER BY key DESC LIMIT 1",
            )?;
            let pin: Option<Option<i64>> =
                select.query_row(params![log.number, C(target)], |row| row.get(0)).optional()?;
            tx.prepare_cached(
                "UPDATE message SET pin_key = ?3 WHERE key >> 40 = ?1 AND message_id = ?2",
            )?
            .execute(params![log.number, C(target), pin.flatten()])?;
        }
        MarkKind::Vote => poll::count_anew(tx, log, target, author)?,
        MarkKind::ClosePoll => poll::close_anew(tx, log, target)?,
        MarkKind::Acknowledgement => confirmation::count_anew(tx, log, target, author)?,
        MarkKind::Newer => {}
    }
    tx.refresh(log, 0);
    Ok(())
}

/// The change that a message's fate comes from, if any.
pub(crate) struct Change {
    pub key: i64,
    pub kind: MarkKind,
    pub text: Option<String>,
    pub markdown: Option<String>,
    pub mentions: Option<Vec<u8>>,
}

/// The change in force of a message of this author: its deletion, or else its last edit.
pub(crate) fn change_in_force(
    conn: &Connection,
    log: LocalLog,
    target: MessageId,
    author: UserId,
) -> Result<Option<Change>, StoreError> {
    let found = |order: &str, kinds: &str| {
        let mut select = conn.prepare_cached(&format!(
            "SELECT key, kind, text, markdown, mentions FROM mark
             WHERE key >> 40 = ?1 AND target = ?2 AND {kinds} AND valid = 1 AND waits = 0
                 AND state <> 4
             ORDER BY key {order} LIMIT 1"
        ))?;
        let row = select.query_row(params![log.number, C(target), C(author)], |row| {
            Ok(Change {
                key: row.get(0)?,
                kind: cell(row, 1)?,
                text: row.get(2)?,
                markdown: row.get(3)?,
                mentions: row.get(4)?,
            })
        });
        Ok::<_, StoreError>(row.optional()?)
    };
    let own = found("", "kind = 1 AND author = ?3")?;
    let hidden = found("", "kind = 2 AND ?3 = ?3")?;
    let ended = match (own, hidden) {
        (Some(own), Some(hidden)) => Some(if own.key < hidden.key { own } else { hidden }),
        (own, hidden) => own.or(hidden),
    };
    match ended {
        Some(ended) => Ok(Some(ended)),
        None => found("DESC", "kind = 0 AND author = ?3"),
    }
}

/// The edits of a message by its author, in their order.
pub fn edits(
    conn: &Connection,
    log: LocalLog,
    target: MessageId,
    author: UserId,
    limit: u32,
) -> Result<Vec<Mark>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM mark
         WHERE key >> 40 = ?1 AND target = ?2 AND kind = 0 AND author = ?3 AND valid = 1
             AND waits = 0 AND state <> 4
         ORDER BY key LIMIT ?4"
    ))?;
    let rows = select.query_map(params![log.number, C(target), C(author), limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The mark of this id.
pub fn find(conn: &Connection, log: LocalLog, id: MessageId) -> Result<Option<Mark>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM mark WHERE key >> 40 = ?1 AND message_id = ?2"
    ))?;
    Ok(select.query_row(params![log.number, C(id)], read).optional()?)
}

/// The last reaction of this person to a message by this emoji, if it was not taken back.
pub fn reaction_of(
    conn: &Connection,
    log: LocalLog,
    target: MessageId,
    (author, emoji): (UserId, &str),
) -> Result<Option<Mark>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM mark
         WHERE key >> 40 = ?1 AND target = ?2 AND kind IN (3, 4) AND author = ?3 AND text = ?4
             AND waits = 0 AND state <> 4
         ORDER BY key DESC LIMIT 1"
    ))?;
    let found = select.query_row(params![log.number, C(target), C(author), emoji], read);
    Ok(found.optional()?.filter(|mark| mark.kind == MarkKind::Reaction))
}

/// The server ordered a mark of ours, or took that back. `false` if there is none of this id.
pub(super) fn place(
    tx: &Tx<'_>,
    log: LocalLog,
    id: MessageId,
    place: Place,
    t_ms: TimeMs,
    state: MessageState,
) -> Result<bool, StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE mark SET key = ?3, t_ms = ?4, state = ?5 WHERE key >> 40 = ?1 AND message_id = ?2",
    )?;
    update.execute(params![log.number, C(id), place.key(log), C(t_ms), C(state)])?;
    apply_again(tx, log, id)
}

/// How far a mark of ours is.
pub(super) fn set_state(
    tx: &Tx<'_>,
    log: LocalLog,
    id: MessageId,
    state: MessageState,
) -> Result<bool, StoreError> {
    let mut update =
        tx.prepare_cached("UPDATE mark SET state = ?3 WHERE key >> 40 = ?1 AND message_id = ?2")?;
    update.execute(params![log.number, C(id), C(state)])?;
    apply_again(tx, log, id)
}

fn apply_again(tx: &Tx<'_>, log: LocalLog, id: MessageId) -> Result<bool, StoreError> {
    let Some(mark) = find(tx, log, id)? else { return Ok(false) };
    if !mark.waits {
        apply(tx, log, mark.target, mark.kind, mark.author)?;
    }
    Ok(true)
}

/// At its place in the log its author might not say so.
pub fn set_void(tx: &Tx<'_>, log: LocalLog, id: MessageId) -> Result<(), StoreError> {
    let Some(mark) = find(tx, log, id)? else { return Ok(()) };
    let about = about(tx, log, mark.target, mark.kind, mark.author, mark.choice)?;
    tx.prepare_cached("UPDATE mark SET valid = ?3 WHERE key >> 40 = ?1 AND message_id = ?2")?
        .execute(params![log.number, C(id), about.own])?;
    apply_again(tx, log, id).map(|_| ())
}

/// Sets the K of a mark of ours.
pub(super) fn set_record_key(
    tx: &Tx<'_>,
    log: LocalLog,
    id: MessageId,
    record_key: &RecordKey,
) -> Result<bool, StoreError> {
    let set = tx
        .prepare_cached("UPDATE mark SET record_key = ?3 WHERE key >> 40 = ?1 AND message_id = ?2")?
        .execute(params![log.number, C(id), C(record_key)])?;
    Ok(set > 0)
}

/// All marks of ours below `below` are covered by a checkpoint.
pub(super) fn secure(tx: &Tx<'_>, log: LocalLog, below: Seq) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE mark SET state = 3 WHERE key >= ?1 AND key < ?2 AND state = 2")?
        .execute([key(log, 0), super::seq_key(log, below)])?;
    Ok(())
}

/// Takes a mark of ours back that never reached the server.
pub fn discard(tx: &Tx<'_>, log: LocalLog, id: MessageId) -> Result<(), StoreError> {
    let Some(mark) = find(tx, log, id)? else { return Ok(()) };
    tx.prepare_cached("DELETE FROM mark WHERE key = ?1")?.execute([mark.key])?;
    if !mark.waits {
        apply(tx, log, mark.target, mark.kind, mark.author)?;
    }
    Ok(())
}

/// Erases text, content and key of a mark, as of a message. It stays, without effect.
pub(super) fn erase(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<(), StoreError> {
    let key = super::seq_key(log, seq);
    let mut select = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM mark WHERE key = ?1"))?;
    let Some(mark) = select.query_row([key], read).optional()? else { return Ok(()) };
    tx.prepare_cached(
        "UPDATE mark SET state = 5, text = NULL, markdown = NULL, mentions = NULL, content = NULL,
             record_key = NULL, choice = NULL
         WHERE key = ?1",
    )?
    .execute([key])?;
    if !mark.waits {
        apply(tx, log, mark.target, mark.kind, mark.author)?;
    }
    Ok(())
}
