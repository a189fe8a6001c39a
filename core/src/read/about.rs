//! What was said about messages: their versions, who reacts, what is pinned and starred.

use hauspost_protocol::content::Choice;
use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, params};

use super::PAGE_ROWS;
use crate::store::StoreError;
use crate::store::cell::cell;
use crate::store::rows::log::{self, LocalLog};
use crate::store::rows::message::{self, COLUMNS, Message, as_written, read};
use crate::store::rows::{key_seq, keys, mark, poll, reaction};

/// Pinned messages that are shown.
const PINS: u32 = 100;

/// What a message said at a time.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number in the log; `None` while it is not sent.
    pub seq: Option<Seq>,
    /// The log's time.
    pub t_ms: TimeMs,
    /// What it said; `None` if only a newer app shows it.
    pub text: Option<String>,
    /// What the text was written as, if it is formatted.
    pub markdown: Option<String>,
}

/// Content is not for logs.
impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Version({:?})", self.seq)
    }
}

/// The versions of a message, the first one first; none if it was taken back, hidden or erased.
pub fn versions(
    conn: &Connection,
    log: LogId,
    message_id: MessageId,
) -> Result<Vec<Version>, StoreError> {
    let log = local(conn, log)?;
    let Some(message) = message::find(conn, log, message_id)? else { return Ok(Vec::new()) };
    if message.fate.is_hidden() || message.state == message::MessageState::Erased {
        return Ok(Vec::new());
    }
    let (text, markdown) = as_written(conn, &message)?;
    let first = Version { seq: message.seq, t_ms: message.t_ms, text, markdown };
    if message.kind.is_card() {
        return Ok(vec![first]);
    }
    let edits = mark::edits(conn, log, message_id, message.author, PAGE_ROWS)?;
    let edits = edits.into_iter().map(|edit| Version {
        seq: key_seq(edit.key),
        t_ms: edit.t_ms,
        text: edit.text,
        markdown: edit.markdown,
    });
    Ok(std::iter::once(first).chain(edits).collect())
}

/// Who chose what in a poll, in the order of their votes.
pub fn voters(
    conn: &Connection,
    log: LogId,
    message_id: MessageId,
    limit: u32,
) -> Result<Vec<(UserId, Choice)>, StoreError> {
    let log = local(conn, log)?;
    poll::people(conn, log, message_id, limit.min(10 * PAGE_ROWS))
}

/// Who reacts to a message and by what, the earliest first.
pub fn reactions(
    conn: &Connection,
    log: LogId,
    message_id: MessageId,
    limit: u32,
) -> Result<Vec<(UserId, String)>, StoreError> {
    let log = local(conn, log)?;
    reaction::people(conn, log, message_id, limit.min(10 * PAGE_ROWS))
}

/// The pinned messages of a conversation, in the log's order.
pub fn pinned(conn: &Connection, log: LogId) -> Result<Vec<Message>, StoreError> {
    let (first, last) = keys(local(conn, log)?);
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message m
         WHERE m.pin_key IS NOT NULL AND m.key BETWEEN ?1 AND ?2 AND m.fate < 2
         ORDER BY m.key LIMIT ?3"
    ))?;
    let rows = select.query_map(params![first, last, PINS], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The messages that this person starred, the last one first.
pub fn starred(conn: &Connection, limit: u32) -> Result<Vec<(LogId, Message)>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, (SELECT log FROM log WHERE id = m.key >> 40) FROM message m
         WHERE m.starred_ms IS NOT NULL ORDER BY m.starred_ms DESC LIMIT ?1"
    ))?;
    let rows = select.query_map([limit.min(PAGE_ROWS)], |row| {
        Ok((cell(row, row.as_ref().column_count() - 1)?, read(row)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn local(conn: &Connection, log: LogId) -> Result<LocalLog, StoreError> {
    log::local(conn, log)?.ok_or(StoreError::Missing("conversation"))
}
