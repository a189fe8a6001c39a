//! The list of conversations: newest first, one small row each.

use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{LogId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::PAGE_ROWS;
use crate::store::StoreError;
use crate::store::cell::{C, cell};
use crate::store::rows::log::LogState;
use crate::store::rows::message::{Fate, MessageKind, MessageState};

/// A conversation as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Where the row stands; the next page begins after it.
    pub cursor: ConversationCursor,
    /// The conversation.
    pub log: LogId,
    /// What kind it is.
    pub r#type: LogType,
    /// Whether it goes on.
    pub state: LogState,
    /// The name: a group's own, or that of a dm's other person; `None` if neither is known.
    pub title: Option<String>,
    /// The other person of a dm.
    pub peer: Option<UserId>,
    /// The time that a view shows beside it: of its newest line, or of its beginning.
    pub last_ms: TimeMs,
    /// The newest line of its timeline.
    pub last: Option<LastLine>,
    /// Messages of others that were not read.
    pub unread: u64,
    /// How many of them mention this person. They are shown for a muted conversation too.
    pub unread_mentions: u64,
    /// The newest entry that was read.
    pub read_seq: Option<Seq>,
    /// Whether it makes no sound.
    pub muted: bool,
    /// What the person began to write.
    pub draft: Option<String>,
}

/// The newest line of a timeline, as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastLine {
    /// Who wrote it.
    pub author: UserId,
    /// What it is.
    pub kind: MessageKind,
    /// How far it is.
    pub state: MessageState,
    /// Its beginning.
    pub text: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// A row's place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConversationCursor {
    /// The time by which the row is ordered; of the first row it may be older than what it shows.
    pub order_ms: TimeMs,
    /// Its number in this database; it tells rows of one time apart.
    pub number: i64,
}

const SELECT: &str = "SELECT c.order_ms, c.log, l.log, l.type, l.state, coalesce(c.title, p.name),
        l.peer, c.last_author, c.last_kind, c.last_state, c.last_text, c.unread, c.read_seq,
        c.muted, c.draft, coalesce(c.last_fate, 0), c.unread_mentions, c.last_ms
    FROM conversation c
    CROSS JOIN log l ON l.id = c.log
    LEFT JOIN person p ON p.user = l.peer";

fn read(row: &Row<'_>) -> rusqlite::Result<ConversationRow> {
    let last = match cell::<Option<UserId>>(row, 7)? {
        None => None,
        Some(author) => Some(LastLine {
            author,
            kind: cell(row, 8)?,
            state: cell(row, 9)?,
            text: cell(row, 10)?,
            fate: cell(row, 15)?,
        }),
    };
    Ok(ConversationRow {
        cursor: ConversationCursor { order_ms: cell(row, 0)?, number: row.get(1)? },
        log: cell(row, 2)?,
        r#type: cell(row, 3)?,
        state: cell(row, 4)?,
        title: cell(row, 5)?,
        peer: cell(row, 6)?,
        last,
        unread: cell(row, 11)?,
        read_seq: cell(row, 12)?,
        muted: cell(row, 13)?,
        draft: cell(row, 14)?,
        unread_mentions: cell(row, 16)?,
        last_ms: cell(row, 17)?,
    })
}

/// The conversations after `after`, newest first; from the top if `None`.
pub fn conversations(
    conn: &Connection,
    after: Option<ConversationCursor>,
    limit: u32,
) -> Result<Vec<ConversationRow>, StoreError> {
    let after = after.unwrap_or(ConversationCursor { order_ms: i64::MAX as u64, number: i64::MAX });
    let mut select = conn.prepare_cached(&format!(
        "{SELECT} WHERE (c.order_ms, c.log) < (?1, ?2)
         ORDER BY c.order_ms DESC, c.log DESC LIMIT ?3",
    ))?;
    let rows =
        select.query_map(params![C(after.order_ms), after.number, limit.min(PAGE_ROWS)], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One conversation.
pub fn conversation(conn: &Connection, log: LogId) -> Result<Option<ConversationRow>, StoreError> {
    let mut select = conn
        .prepare_cached(&format!("{SELECT} WHERE c.log = (SELECT id FROM log WHERE log = ?1)"))?;
    Ok(select.query_row([C(log)], read).optional()?)
}

/// Unread messages of all conversations, for the badge of the app.
pub fn unread_total(conn: &Connection) -> Result<u64, StoreError> {
    let mut select = conn.prepare_cached("SELECT coalesce(sum(unread), 0) FROM conversation")?;
    Ok(select.query_row([], |row| cell(row, 0))?)
}
