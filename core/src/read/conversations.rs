//! The list of conversations: favourites in their order, then the others, newest first, one small row
//! each; what the person put away is a list of its own.

use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{LogId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::PAGE_ROWS;
use crate::store::StoreError;
use crate::store::cell::{C, cell};
use crate::store::rows::handover::Handed;
use crate::store::rows::log::LogState;
use crate::store::rows::message::{Event, Fate, MessageKind, MessageState};

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
    /// The name: a group's own, or that of a dm's other person, of one handed over too; `None` if neither is
    /// known.
    pub title: Option<String>,
    /// Whose past it is, if it is one that was handed over to this person.
    pub handed: Option<Handed>,
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
    /// How many messages the person has still to confirm, read or not.
    pub to_confirm: u64,
    /// The record that set the picture that is shown, if there is one: another number, another picture.
    pub picture: Option<Seq>,
    /// The newest entry that was read.
    pub read_seq: Option<Seq>,
    /// Until when it makes no sound, if it is muted; [`FOR_EVER`](hauspost_protocol::content::FOR_EVER)
    /// may be.
    pub muted_until: Option<TimeMs>,
    /// Whether it is put away.
    pub archived: bool,
    /// Its place among the favourites, if it is one.
    pub favourite: Option<u64>,
    /// What the person began to write.
    pub draft: Option<String>,
    /// Counts changes of the draft by other devices of the person; names what a text was made from.
    pub draft_version: u64,
}

impl ConversationRow {
    /// Whether it makes no sound now.
    pub fn is_muted(&self, now_ms: TimeMs) -> bool {
        self.muted_until.is_some_and(|until_ms| until_ms > now_ms)
    }
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
    /// What happened to the conversation, if the line says that.
    pub event: Option<Event>,
}

/// A row's place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConversationCursor {
    /// The time by which the row is ordered; of the first row it may be older than what it shows.
    pub order_ms: TimeMs,
    /// Its number in this database; it tells rows of one time apart.
    pub number: i64,
    /// Whether it stands among the favourites, before all others.
    pub is_favourite: bool,
}

/// The parts of the list, as the database numbers them.
const FAVOURITES: i64 = 0;
const OTHERS: i64 = 1;
const ARCHIVED: i64 = 2;

const SELECT: &str =
    "SELECT c.order_ms, c.log, l.log, l.type, l.state, coalesce(c.title, p.name, w.name),
        l.peer, c.last_author, c.last_kind, c.last_state, c.last_text, c.unread,
        nullif(max(ifnull(c.read_seq, -1), ifnull(c.skip_seq, -1)), -1), c.muted_until, c.draft,
        coalesce(c.last_fate, 0), c.unread_mentions, c.last_ms, c.archived, c.favourite,
        c.draft_version, c.section,
        (SELECT count(*) FROM message m WHERE m.to_confirm = 1
             AND m.key BETWEEN c.log << 40 AND (c.log << 40) + 1099511627775),
        (SELECT p.seq FROM picture p WHERE p.log = c.log AND p.state = 1),
        (SELECT m.content FROM message m WHERE m.key = c.last_key AND c.last_kind = 2),
        h.from_user, h.with_user, h.t_ms
    FROM conversation c
    CROSS JOIN log l ON l.id = c.log
    LEFT JOIN person p ON p.user = l.peer
    LEFT JOIN handed h ON h.log = c.log AND l.state = 4
    LEFT JOIN person w ON w.user = h.with_user";

fn read(row: &Row<'_>) -> rusqlite::Result<ConversationRow> {
    let last = match cell::<Option<UserId>>(row, 7)? {
        None => None,
        Some(author) => Some(LastLine {
            author,
            kind: cell(row, 8)?,
            state: cell(row, 9)?,
            text: cell(row, 10)?,
            fate: cell(row, 15)?,
            event: cell::<Option<Vec<u8>>>(row, 24)?.map(|content| Event::from_content(&content)),
        }),
    };
    let handed = match cell::<Option<UserId>>(row, 25)? {
        None => None,
        Some(from) => Some(Handed { from, with: cell(row, 26)?, t_ms: cell(row, 27)? }),
    };
    Ok(ConversationRow {
        handed,
        cursor: ConversationCursor {
            order_ms: cell(row, 0)?,
            number: row.get(1)?,
            is_favourite: row.get::<_, i64>(21)? == FAVOURITES,
        },
        log: cell(row, 2)?,
        r#type: cell(row, 3)?,
        state: cell(row, 4)?,
        title: cell(row, 5)?,
        peer: cell(row, 6)?,
        last,
        unread: cell(row, 11)?,
        read_seq: cell(row, 12)?,
        muted_until: cell(row, 13)?,
        draft: cell(row, 14)?,
        unread_mentions: cell(row, 16)?,
        last_ms: cell(row, 17)?,
        archived: row.get(18)?,
        favourite: cell(row, 19)?,
        draft_version: cell(row, 20)?,
        to_confirm: cell(row, 22)?,
        picture: cell(row, 23)?,
    })
}

/// The conversations after `after`: favourites first, then the newest; from the top if `None`. What is
/// put away is not among them.
pub fn conversations(
    conn: &Connection,
    after: Option<ConversationCursor>,
    limit: u32,
) -> Result<Vec<ConversationRow>, StoreError> {
    let limit = limit.min(PAGE_ROWS);
    let mut rows = match after {
        Some(after) if !after.is_favourite => return page(conn, OTHERS, Some(after), limit),
        _ => favourites(conn)?,
    };
    if let Some(after) = after {
        let at = rows.iter().position(|row| row.cursor.number == after.number);
        rows.drain(..at.map_or(0, |at| at + 1));
    }
    rows.truncate(limit as usize);
    let rest = limit - rows.len() as u32;
    if rest > 0 {
        rows.extend(page(conn, OTHERS, None, rest)?);
    }
    Ok(rows)
}

/// The conversations that the person put away, newest first, after `after`; from the top if `None`.
pub fn archived(
    conn: &Connection,
    after: Option<ConversationCursor>,
    limit: u32,
) -> Result<Vec<ConversationRow>, StoreError> {
    page(conn, ARCHIVED, after, limit.min(PAGE_ROWS))
}

/// All favourites, in the same order on all devices of the person.
fn favourites(conn: &Connection) -> Result<Vec<ConversationRow>, StoreError> {
    let mut select =
        conn.prepare_cached(&format!("{SELECT} WHERE c.section = ?1 ORDER BY c.favourite, l.log"))?;
    let rows = select.query_map([FAVOURITES], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn page(
    conn: &Connection,
    section: i64,
    after: Option<ConversationCursor>,
    limit: u32,
) -> Result<Vec<ConversationRow>, StoreError> {
    let (order_ms, number) =
        after.map_or((i64::MAX as u64, i64::MAX), |after| (after.order_ms, after.number));
    let mut select = conn.prepare_cached(&format!(
        "{SELECT} WHERE c.section = ?1 AND (c.order_ms, c.log) < (?2, ?3)
         ORDER BY c.order_ms DESC, c.log DESC LIMIT ?4",
    ))?;
    let rows = select.query_map(params![section, C(order_ms), number, limit], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One conversation.
pub fn conversation(conn: &Connection, log: LogId) -> Result<Option<ConversationRow>, StoreError> {
    let mut select = conn
        .prepare_cached(&format!("{SELECT} WHERE c.log = (SELECT id FROM log WHERE log = ?1)"))?;
    Ok(select.query_row([C(log)], read).optional()?)
}

/// Unread messages of all conversations but those put away, for the badge of the app.
pub fn unread_total(conn: &Connection) -> Result<u64, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT coalesce(sum(unread), 0) FROM conversation WHERE section < 2")?;
    Ok(select.query_row([], |row| cell(row, 0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{enrolled, group};

    /// However much is put away, a page of the list is a few rows of its index.
    #[tokio::test]
    async fn a_page_is_read_from_the_index_of_its_part_of_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        group(&store, 1, "Lager").await;
        let plan = store.read(|conn| {
            let page = format!(
                "EXPLAIN QUERY PLAN {SELECT} WHERE c.section = 1 AND (c.order_ms, c.log) < (5, 5)
                 ORDER BY c.order_ms DESC, c.log DESC LIMIT 50"
            );
            let mut select = conn.prepare(&page)?;
            let rows = select.query_map([], |row| row.get::<_, String>(3))?;
            Ok::<_, StoreError>(rows.collect::<Result<Vec<_>, _>>()?.join("\n"))
        });
        let plan = plan.await.unwrap();
        assert!(plan.contains("conversation_order (section=? AND order_ms<?"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
