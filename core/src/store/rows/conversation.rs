//! The list of conversations, one small row each, kept up to date with every message.

use hauspost_protocol::ids::{LogId, Seq, TimeMs};
use rusqlite::{Connection, OptionalExtension, params};

use super::log::LocalLog;
use super::message::{SAID, recount_others};
use super::{PENDING, key, own, seq_key};
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// The part of the list where a conversation stands that is neither a favourite nor put away.
const OTHERS: i64 = 1;
/// Characters of the last message that the list shows.
const PREVIEW_CHARS: u32 = 160;

/// Brings a conversation's row up to date after its messages changed.
pub(in crate::store) fn refresh(
    conn: &Connection,
    log: LocalLog,
    more_unread: u32,
) -> Result<(), StoreError> {
    let mut update = conn.prepare_cached(
        "UPDATE conversation
         SET last_key = m.key, last_author = m.author, last_kind = m.kind, last_state = m.state,
             last_text = substr(m.text, 1, ?4), last_fate = m.fate, last_ms = m.t_ms,
             unread = unread + ?5
         FROM (SELECT key, author, kind, state, text, fate, t_ms FROM message
               WHERE key BETWEEN ?2 AND ?3 ORDER BY key DESC LIMIT 1) m
         WHERE log = ?1",
    )?;
    let found = update.execute(params![
        log.number,
        key(log, 0),
        key(log, (PENDING << 1) - 1),
        PREVIEW_CHARS,
        more_unread,
    ])?;
    if found == 0 {
        // Its last message was taken back.
        conn.prepare_cached(
            "UPDATE conversation SET last_key = NULL, last_author = NULL, last_kind = NULL,
                 last_state = NULL, last_text = NULL, last_fate = NULL
             WHERE log = ?1",
        )?
        .execute([log.number])?;
    }
    own::message_came(conn, log)?;
    // Apart from what changes with each message: it moves the row in the index.
    conn.prepare_cached(&format!(
        "UPDATE conversation SET hidden = 0
         WHERE log = ?1 AND hidden = 1 AND last_kind IN {SAID}",
    ))?
    .execute([log.number])?;
    move_to_its_place(conn, log)
}

/// Moves a conversation to its place in its part of the list. The one on top may show a later time than
/// the one by which it is ordered, until another one comes near: it stays on top all the same.
fn move_to_its_place(conn: &Connection, log: LocalLog) -> Result<(), StoreError> {
    let mut select =
        conn.prepare_cached("SELECT order_ms, last_ms, section FROM conversation WHERE log = ?1")?;
    let place = select.query_row([log.number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let place: Option<(i64, i64, i64)> = place.optional()?;
    let place = place.filter(|(order_ms, last_ms, _)| order_ms != last_ms);
    let Some((order_ms, last_ms, section)) = place else { return Ok(()) };
    let Some((top, top_ms)) = top_of(conn, section)? else { return Ok(()) };
    if top == log.number && last_ms > order_ms {
        return Ok(());
    }
    if last_ms >= top_ms {
        settle(conn, top)?;
    }
    settle(conn, log.number)
}

/// The first row of a part of the list, and the time by which it is ordered.
fn top_of(conn: &Connection, section: i64) -> Result<Option<(i64, i64)>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT log, order_ms FROM conversation WHERE section = ?1
         ORDER BY order_ms DESC, log DESC LIMIT 1",
    )?;
    Ok(select.query_row([section], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Orders a conversation by the time that it shows.
fn settle(conn: &Connection, number: i64) -> Result<(), StoreError> {
    conn.prepare_cached(
        "UPDATE conversation SET order_ms = last_ms WHERE log = ?1 AND order_ms <> last_ms",
    )?
    .execute([number])?;
    Ok(())
}

/// Adds the row of a new conversation; `order_ms` is its first place in the list.
pub(super) fn insert(
    tx: &Tx<'_>,
    log: LocalLog,
    title: Option<&str>,
    order_ms: TimeMs,
) -> Result<(), StoreError> {
    if let Some((top, _)) = top_of(tx, OTHERS)? {
        settle(tx, top)?;
    }
    let row = "INSERT INTO conversation (log, title, order_ms, last_ms, hidden)
               VALUES (?1, ?2, ?3, ?3, (SELECT type = 3 FROM log WHERE id = ?1))";
    tx.prepare_cached(row)?.execute(params![log.number, title, C(order_ms)])?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// The person read everything up to this entry; whether that is more than before.
pub fn mark_read(tx: &Tx<'_>, log: LocalLog, up_to: Seq) -> Result<bool, StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE conversation SET read_seq = ?2
         WHERE log = ?1 AND max(ifnull(read_seq, -1), ifnull(skip_seq, -1)) < ?2",
    )?;
    let moved = update.execute(params![log.number, C(up_to)])? > 0;
    if moved {
        recount(tx, log)?;
        recount_others(tx, log)?;
        tx.touch(Change::Conversations);
    }
    Ok(moved)
}

/// Another device of the person says that all entries below this one are read. What this phone had taken
/// for nothing new counts again: that one knows better.
pub fn read_elsewhere(tx: &Tx<'_>, log: LocalLog, below: Seq) -> Result<(), StoreError> {
    let read = below.0.checked_sub(1);
    tx.prepare_cached(
        "UPDATE conversation SET skip_seq = NULL,
             read_seq = nullif(max(ifnull(read_seq, -1), ifnull(?2, -1)), -1)
         WHERE log = ?1",
    )?
    .execute(params![log.number, C(read)])?;
    recount(tx, log)?;
    recount_others(tx, log)?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// Counts what others wrote since the newest entry that was read, and how much of it mentions the
/// person. What was taken back meanwhile is nothing to read.
pub(in crate::store) fn recount(conn: &Connection, log: LocalLog) -> Result<(), StoreError> {
    let mut read = conn.prepare_cached(
        "SELECT nullif(max(ifnull(read_seq, -1), ifnull(skip_seq, -1)), -1)
         FROM conversation WHERE log = ?1",
    )?;
    let read: Option<Option<Seq>> = read.query_row([log.number], |row| cell(row, 0)).optional()?;
    let after = read.flatten().map_or(key(log, 0) - 1, |seq| seq_key(log, seq));
    conn.prepare_cached(&format!(
        "UPDATE conversation SET (unread, unread_mentions) =
             (SELECT count(*), coalesce(sum(mentions_me), 0) FROM message
              WHERE key > ?2 AND key < ?3 AND kind IN {SAID} AND fate < 2 AND again = 0
                  AND handed = 0
                  AND (announcement IS NULL OR NOT EXISTS (
                      SELECT 1 FROM message t JOIN conversation c ON c.log = t.key >> 40
                      WHERE t.announcement = message.announcement AND t.author = message.author
                          AND t.again = 1 AND t.handed = 0 AND t.key <= (t.key >> 40 << 40)
                              + max(ifnull(c.read_seq, -1), ifnull(c.skip_seq, -1))))
                  AND author <> (SELECT user FROM account))
         WHERE log = ?1",
    ))?
    .execute(params![log.number, after, key(log, PENDING)])?;
    Ok(())
}

/// What this device cannot read yet, up to this entry, is nothing new to the person when it becomes
/// readable; if anything else is unread, nothing changes.
pub fn skip_unreadable(tx: &Tx<'_>, log: LocalLog, up_to: Seq) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE conversation SET skip_seq = ?2
         WHERE log = ?1 AND unread = 0
             AND max(ifnull(read_seq, -1), ifnull(skip_seq, -1)) < ?2",
    )?
    .execute(params![log.number, C(up_to)])?;
    Ok(())
}

/// What is being written in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRow {
    /// The text.
    pub text: Option<String>,
    /// How often another device of the person changed it.
    pub version: u64,
    /// The version that it was made from, if no other device was told of it yet.
    pub based: Option<u64>,
}

/// What is being written.
pub fn draft(conn: &Connection, log: LocalLog) -> Result<DraftRow, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT draft, draft_version, draft_based FROM conversation WHERE log = ?1",
    )?;
    Ok(select.query_row([log.number], |row| {
        Ok(DraftRow { text: row.get(0)?, version: cell(row, 1)?, based: cell(row, 2)? })
    })?)
}

/// Keeps what the person began to write, made from this version, or `None` once everybody was told;
/// nothing but space is nothing.
pub fn set_draft(
    tx: &Tx<'_>,
    log: LocalLog,
    text: Option<&str>,
    based: Option<u64>,
    now_ms: TimeMs,
) -> Result<(), StoreError> {
    let text = text.filter(|text| !text.trim().is_empty());
    tx.prepare_cached(
        "UPDATE conversation SET draft = ?2, draft_ms = ?3, draft_based = ?4 WHERE log = ?1",
    )?
    .execute(params![log.number, text, C(text.map(|_| now_ms)), C(based)])?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// Another device changed what was begun to be written. What is being written here stays until it is
/// told.
pub fn draft_elsewhere(
    tx: &Tx<'_>,
    log: LocalLog,
    text: Option<&str>,
    now_ms: TimeMs,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE conversation SET draft_version = draft_version + 1,
             draft = CASE WHEN draft_based IS NULL THEN ?2 ELSE draft END,
             draft_ms = CASE WHEN draft_based IS NULL THEN ?3 ELSE draft_ms END
         WHERE log = ?1",
    )?
    .execute(params![log.number, text, C(text.map(|_| now_ms))])?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// The conversations with something written that no other device was told of.
pub fn untold_drafts(conn: &Connection) -> Result<Vec<LogId>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.log FROM conversation c CROSS JOIN log l ON l.id = c.log
         WHERE c.draft_based IS NOT NULL",
    )?;
    let rows = select.query_map([], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A group's name; `seq` is the record that gives it, or none while that waits. One that is read
/// later and is older than the one that holds changes nothing.
pub fn set_title(
    tx: &Tx<'_>,
    log: LocalLog,
    title: Option<&str>,
    seq: Option<Seq>,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE conversation SET title = ?2, title_seq = ifnull(?3, title_seq)
         WHERE log = ?1 AND (?3 IS NULL OR ifnull(title_seq, -1) <= ?3)",
    )?
    .execute(params![log.number, title, C(seq)])?;
    tx.touch(Change::Log(log.id));
    tx.touch(Change::Conversations);
    Ok(())
}

/// Until when this conversation makes no sound; `None` for sound.
pub fn set_muted(tx: &Tx<'_>, log: LocalLog, until_ms: Option<TimeMs>) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE conversation SET muted_until = ?2 WHERE log = ?1")?
        .execute(params![log.number, C(until_ms)])?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// Puts a conversation away, or takes it back into the list.
pub fn set_archived(tx: &Tx<'_>, log: LocalLog, archived: bool) -> Result<(), StoreError> {
    move_by(tx, log, "UPDATE conversation SET archived = ?2 WHERE log = ?1", archived)
}

/// Puts a conversation on top of the list, in the ascending order of ranks, or takes it from there.
pub fn set_favourite(tx: &Tx<'_>, log: LocalLog, rank: Option<u64>) -> Result<(), StoreError> {
    move_by(tx, log, "UPDATE conversation SET favourite = ?2 WHERE log = ?1", C(rank))
}

/// Lets the person's own log be seen in the list.
pub fn show(tx: &Tx<'_>, log: LocalLog) -> Result<(), StoreError> {
    move_by(tx, log, "UPDATE conversation SET hidden = ?2 WHERE log = ?1", false)
}

/// Changes in which part of the list a row stands. In each part only the first row may be ordered by
/// another time than it shows.
fn move_by(
    tx: &Tx<'_>,
    log: LocalLog,
    sql: &str,
    value: impl rusqlite::ToSql,
) -> Result<(), StoreError> {
    settle(tx, log.number)?;
    tx.prepare_cached(sql)?.execute(params![log.number, value])?;
    let mut select = tx.prepare_cached("SELECT section FROM conversation WHERE log = ?1")?;
    let section: Option<i64> = select.query_row([log.number], |row| row.get(0)).optional()?;
    tx.prepare_cached(
        "UPDATE conversation SET order_ms = last_ms
         WHERE section = ?1 AND order_ms <> last_ms",
    )?
    .execute([section])?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// The favourites in their order: the log and its rank.
pub fn favourites(conn: &Connection) -> Result<Vec<(LogId, u64)>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.log, c.favourite FROM conversation c CROSS JOIN log l ON l.id = c.log
         WHERE c.section IN (0, 2) AND c.favourite IS NOT NULL ORDER BY c.favourite, l.log",
    )?;
    let rows = select.query_map([], |row| Ok((cell(row, 0)?, cell(row, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use crate::read::conversations;
    use crate::store::fixture::{enrolled, group, text};
    use crate::store::rows::message;

    /// The list's order and the times that it shows.
    async fn list(store: &crate::store::Store) -> Vec<(i64, u64)> {
        let rows = store.read(|conn| conversations(conn, None, 10)).await.unwrap();
        rows.iter().map(|row| (row.cursor.number, row.last_ms)).collect()
    }

    #[tokio::test]
    async fn the_list_is_ordered_by_its_newest_messages_whoever_is_written_to_in_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let (a, b) = (group(&store, 1, "Lager").await, group(&store, 2, "Baustelle").await);
        let said = [(a, 1, 100), (a, 2, 200), (a, 3, 300), (b, 1, 250), (b, 2, 400), (a, 4, 350)];
        let mut newest = std::collections::BTreeMap::new();
        for (log, seq, t_ms) in said {
            let mut message = text(seq, "Morgen");
            message.t_ms = t_ms;
            store.write(move |tx| message::insert(tx, log, &message).map(|_| ())).await.unwrap();
            newest.insert(log.number, t_ms);
            let mut wanted: Vec<_> = newest.iter().map(|(log, t_ms)| (*log, *t_ms)).collect();
            wanted.sort_by_key(|(_, t_ms)| std::cmp::Reverse(*t_ms));
            let found = list(&store).await;
            assert_eq!(found[..wanted.len()], wanted, "after {t_ms}");
        }
    }
}
