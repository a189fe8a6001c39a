//! What became of a message since it was written, and what it says besides its text.

use hauspost_protocol::content::AnnouncementId;
use hauspost_protocol::ids::{MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::announcement::is_again;
use super::{
    COLUMNS, Message, MessageKind, MessageState, SAID, as_written, find, next_search_id, read,
};
use crate::observe::Change;
use crate::store::cell::{C, cell, code_cell};
use crate::store::rows::log::LocalLog;
use crate::store::rows::mark::{self, MarkKind};
use crate::store::rows::{PENDING, confirmation, file, index, key, key_seq, keys};
use crate::store::{StoreError, Tx};

code_cell! {
    /// What became of a message since it was written.
    pub enum Fate {
        /// It stands as it was written.
        Stands = 0,
        /// Its author changed it.
        Edited = 1,
        /// Its author took it back.
        Deleted = 2,
        /// An owner of the conversation hid it.
        Redacted = 3,
    }
}

impl Fate {
    /// Whether people see a tombstone in its place.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Deleted | Self::Redacted)
    }
}

/// What a message says besides its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saying {
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// What the text was written as, if it is formatted.
    pub markdown: Option<String>,
    /// Who wrote it elsewhere, if it is passed on.
    pub origin: Option<UserId>,
    /// The members of the conversation that it mentions; [`EVERYBODY`] for all of them.
    pub mentions: Vec<UserId>,
    /// Whether it is an alarm, by somebody whom the policy lets send them.
    pub alarm: bool,
    /// Whether everybody who is there is to confirm it.
    pub asks: bool,
    /// Under which id it is one announcement with its author's in other rooms.
    pub announcement: Option<AnnouncementId>,
}

/// Stands for all members among those who are mentioned.
pub const EVERYBODY: UserId = UserId([0xff; 16]);

impl Saying {
    /// The mentions as they lie in a column.
    pub(in super::super) fn mentions_blob(&self) -> Option<Vec<u8>> {
        let ids = self.mentions.iter().flat_map(|user| user.0);
        (!self.mentions.is_empty()).then(|| ids.collect())
    }
}

pub(super) fn mentioned(blob: Option<Vec<u8>>) -> Vec<UserId> {
    let blob = blob.unwrap_or_default();
    blob.as_chunks::<16>().0.iter().map(|id| UserId(*id)).collect()
}

/// A message that another one answers, from this phone's own store: what is erased is erased in every
/// quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quote {
    /// It is here.
    Known {
        /// Its id.
        message_id: MessageId,
        /// Its number, to jump there; `None` while it is not sent.
        seq: Option<Seq>,
        /// Its author.
        author: UserId,
        /// The beginning of what it says now; `None` if it is nothing that this build shows.
        text: Option<String>,
    },
    /// It was taken back, hidden or erased.
    Gone,
    /// This phone does not have it.
    Unknown,
}

/// Characters of a message that a quote shows.
const QUOTE_CHARS: u32 = 160;

/// Whether a message of this author that mentions these, as an answer to another one or by itself, mentions the
/// person of this phone.
pub(super) fn mentions_reader(
    conn: &Connection,
    log: LocalLog,
    (author, reply_to): (UserId, Option<MessageId>),
    mentions: &[UserId],
) -> Result<bool, StoreError> {
    if mentions.is_empty() {
        return Ok(false);
    }
    let me: UserId = conn
        .prepare_cached("SELECT user FROM account")?
        .query_row([], |row| cell(row, 0))
        .optional()?
        .ok_or(StoreError::Missing("account"))?;
    if author == me || mentions.contains(&me) || !mentions.contains(&EVERYBODY) {
        return Ok(author != me && mentions.contains(&me));
    }
    // To a message that is to be confirmed it is a reminder, and not for who has.
    let is_due = reply_to.map_or(Ok(None), |asks| confirmation::is_due(conn, log, asks))?;
    Ok(is_due.unwrap_or(true))
}

/// Whether a message of this id is here that something can be said about: not a line about the
/// conversation, and not one that could not be read.
pub(in super::super) fn is_text(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<bool, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT 1 FROM message WHERE key >> 40 = ?1 AND message_id = ?2 AND kind IN {SAID}",
    ))?;
    Ok(select.query_row(params![log.number, C(message_id)], |_| Ok(())).optional()?.is_some())
}

/// Works out anew what a message says, from what it was written as and the change in force.
pub(in super::super) fn set_fate(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
) -> Result<(), StoreError> {
    let Some(message) = find(tx, log, message_id)? else { return Ok(()) };
    if message.state == MessageState::Erased {
        return Ok(());
    }
    // What was asked or shown by a card stays as it was.
    let counts = |change: &mark::Change| !message.kind.is_card() || change.kind != MarkKind::Edit;
    let change = mark::change_in_force(tx, log, message_id, message.author)?.filter(counts);
    let fate = match change.as_ref().map(|change| change.kind) {
        None => Fate::Stands,
        Some(MarkKind::Deletion) => Fate::Deleted,
        Some(MarkKind::Redaction) => Fate::Redacted,
        Some(_) => Fate::Edited,
    };
    let change_key = change.as_ref().map(|change| change.key);
    let (text, markdown, mentions) = match (fate, change) {
        (Fate::Edited, Some(edit)) => {
            let text = edit.text.map(|text| named(tx, log, &message, text)).transpose()?;
            (text, edit.markdown, mentioned(edit.mentions))
        }
        (Fate::Stands, _) => {
            let (text, markdown) = as_written(tx, &message)?;
            let text = text.map(|text| named(tx, log, &message, text)).transpose()?;
            (text, markdown, message.saying.mentions.clone())
        }
        _ => (None, None, message.saying.mentions.clone()),
    };
    let said = (message.author, message.saying.reply_to);
    let mentions_me = !fate.is_hidden() && mentions_reader(tx, log, said, &mentions)?;
    index::remove(tx, index::find(tx, log, message.key)?)?;
    let search_id = match &text {
        Some(_) if !is_again(tx, &message)? => Some(next_search_id(tx, message.t_ms)?),
        _ => None,
    };
    let mentions = Saying { mentions, ..Saying::default() }.mentions_blob();
    tx.prepare_cached(
        "UPDATE message SET fate = ?2, change_key = ?3, text = ?4, markdown = ?5, mentions = ?6,
             mentions_me = ?7, search_id = ?8
         WHERE key = ?1",
    )?
    .execute(params![
        message.key,
        C(fate),
        change_key,
        text,
        markdown,
        mentions,
        mentions_me,
        search_id,
    ])?;
    if let Some(indexed) = index::find(tx, log, message.key)? {
        tx.index(indexed.search_id, indexed.words);
    }
    if message.asking.is_some() {
        confirmation::settle(tx, log, message.key)?;
    }
    tx.refresh(log, 0);
    if fate.is_hidden() || mentions_me || message.mentions_me || message.fate.is_hidden() {
        tx.recount(log);
    }
    Ok(())
}

/// A message of ours that was not sent says something else from now on, under another id.
pub fn rewrite(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, new): (MessageId, MessageId),
    text: &str,
    saying: &Saying,
    content: &[u8],
) -> Result<(), StoreError> {
    super::rename(tx, log, message_id, new)?;
    index::anew(tx, log, new, || {
        tx.prepare_cached(
            "UPDATE message SET text = ?3, markdown = ?4, mentions = ?5, content = ?6,
                 record_key = NULL
             WHERE key >> 40 = ?1 AND message_id = ?2",
        )?
        .execute(params![
            log.number,
            C(new),
            text,
            saying.markdown,
            saying.mentions_blob(),
            content,
        ])?;
        Ok(())
    })
}

/// Messages of ours that were not sent and answer this one.
pub fn unsent_answers(
    conn: &Connection,
    log: LocalLog,
    to: MessageId,
) -> Result<Vec<Message>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message m
         WHERE m.key BETWEEN ?1 AND ?2 AND m.reply_to = ?3 ORDER BY m.key",
    ))?;
    let unsent = params![key(log, PENDING), keys(log).1, C(to)];
    let rows = select.query_map(unsent, read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A message of ours that was not sent answers this one from now on, under another id.
pub fn answer(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, new): (MessageId, MessageId),
    to: MessageId,
    content: &[u8],
) -> Result<(), StoreError> {
    super::rename(tx, log, message_id, new)?;
    tx.prepare_cached(
        "UPDATE message SET reply_to = ?3, content = ?4, record_key = NULL
         WHERE key >> 40 = ?1 AND message_id = ?2",
    )?
    .execute(params![log.number, C(new), C(to), content])?;
    Ok(())
}

/// A message with documents that says nothing goes by the first one's name.
fn named(
    conn: &Connection,
    log: LocalLog,
    message: &Message,
    text: String,
) -> Result<String, StoreError> {
    if message.kind != MessageKind::File || !text.trim().is_empty() {
        return Ok(text);
    }
    let files = file::of_message(conn, log.number, message.message_id)?;
    Ok(files.into_iter().next().map_or(text, |file| file.name))
}

/// The message that another one answers, as it is shown there.
pub(crate) fn quote(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Quote, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT key, author, substr(text, 1, ?3), fate IN (2, 3) OR state = 5 FROM message
         WHERE key >> 40 = ?1 AND message_id = ?2 AND kind IN {SAID}",
    ))?;
    let found = select.query_row(params![log.number, C(message_id), QUOTE_CHARS], |row| {
        Ok(match row.get(3)? {
            true => Quote::Gone,
            false => Quote::Known {
                message_id,
                seq: key_seq(row.get(0)?),
                author: cell(row, 1)?,
                text: row.get(2)?,
            },
        })
    });
    Ok(found.optional()?.unwrap_or(Quote::Unknown))
}

/// Marks a message as one to come back to, or not any more.
pub fn set_starred(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    starred_ms: Option<TimeMs>,
) -> Result<bool, StoreError> {
    let mut update = tx.prepare_cached(&format!(
        "UPDATE message SET starred_ms = ?3
         WHERE key >> 40 = ?1 AND message_id = ?2 AND kind IN {SAID}",
    ))?;
    let changed = update.execute(params![log.number, C(message_id), C(starred_ms)])? > 0;
    tx.touch(Change::Log(log.id));
    Ok(changed)
}
