//! A page of a conversation's timeline: messages, events and gaps in the log's one order, and behind
//! them what is not sent yet.

use hauspost_protocol::ids::{LogId, Seq};
use rusqlite::{Connection, params};

use super::reach::Reaches;
use super::{History, PAGE_ROWS};
use crate::store::StoreError;
use crate::store::rows::log::{self, LocalLog};
use crate::store::rows::message::{COLUMNS, Message, MessageKind, read};
use crate::store::rows::{file, message, reaction};
use crate::store::rows::{keys, seq_key};

/// Which part of a timeline is asked for. Keys are those of [`Message::key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The end of it.
    Newest,
    /// What stands right before this row.
    Before(i64),
    /// What stands right after this row.
    After(i64),
    /// Half of it before this entry and half from it on: a hit of a search, the first unread one.
    Around(Seq),
}

/// A page of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePage {
    /// The rows, oldest first.
    pub rows: Vec<Message>,
    /// Whether older rows stand before the first.
    pub more_before: bool,
    /// Whether newer rows stand after the last.
    pub more_after: bool,
    /// How far the past of the conversation is that was asked for; none when nothing is on its way.
    pub history: Option<History>,
}

/// At most `limit` rows of a conversation's timeline.
pub fn timeline(
    conn: &Connection,
    log: LogId,
    window: Window,
    limit: u32,
) -> Result<TimelinePage, StoreError> {
    let log = log::local(conn, log)?.ok_or(StoreError::Missing("conversation"))?;
    let limit = limit.min(PAGE_ROWS);
    let (first, last) = keys(log);
    match window {
        Window::Newest => page(conn, log, last + 1, limit, 0),
        Window::Before(key) => page(conn, log, key.clamp(first, last + 1), limit, 0),
        Window::After(key) => page(conn, log, key.clamp(first - 1, last) + 1, 0, limit),
        Window::Around(seq) => page(conn, log, seq_key(log, seq), limit / 2, limit.div_ceil(2)),
    }
}

/// `before` rows below the key `at` and `after` rows from it on.
fn page(
    conn: &Connection,
    log: LocalLog,
    at: i64,
    before: u32,
    after: u32,
) -> Result<TimelinePage, StoreError> {
    let (first, last) = keys(log);
    // One row more than asked for says whether there are more.
    let mut rows = if before > 0 {
        select(conn, "key >= ?1 AND key < ?2 ORDER BY key DESC", first, at, before + 1)?
    } else {
        Vec::new()
    };
    let mut more_before = rows.len() > before as usize;
    rows.truncate(before as usize);
    rows.reverse();
    let mut newer = if after > 0 {
        select(conn, "key >= ?1 AND key <= ?2 ORDER BY key", at, last, after + 1)?
    } else {
        Vec::new()
    };
    let mut more_after = newer.len() > after as usize;
    newer.truncate(after as usize);
    rows.append(&mut newer);
    if before == 0 {
        more_before = exists(conn, first, at - 1)?;
    }
    if after == 0 {
        more_after = exists(conn, at, last)?;
    }
    let mut reaches = Reaches::of(conn, log)?;
    for row in rows.iter_mut().filter(|row| !row.fate.is_hidden()) {
        row.reach = reaches.reach(conn, row)?;
        if row.kind == MessageKind::File {
            row.files = file::shown(conn, log.number, row.message_id)?;
            row.voice = message::voice(row);
        }
        if row.kind.is_card() {
            row.card = message::shown_card(conn, log.number, row)?;
        }
        if let Some(answered) = row.saying.reply_to {
            row.quote = Some(message::quote(conn, log, answered)?);
        }
        if row.reacted {
            row.reactions = reaction::tallies(conn, log.number, row.message_id)?;
        }
    }
    Ok(TimelinePage { rows, more_before, more_after, history: History::asked(conn, log)? })
}

fn select(
    conn: &Connection,
    range: &str,
    from: i64,
    to: i64,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    let mut select =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM message m WHERE {range} LIMIT ?3"))?;
    let rows = select.query_map(params![from, to, limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn exists(conn: &Connection, from: i64, to: i64) -> Result<bool, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM message WHERE key BETWEEN ?1 AND ?2)")?;
    Ok(select.query_row([from, to], |row| row.get(0))?)
}
