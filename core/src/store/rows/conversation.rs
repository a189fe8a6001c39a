//! The list of conversations, one small row each, kept up to date with every message.

use hauspost_protocol::ids::{Seq, TimeMs};
use rusqlite::{Connection, OptionalExtension, params};

use super::log::LocalLog;
use super::message::SAID;
use super::{PENDING, key, seq_key};
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

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
    move_to_its_place(conn, log)
}

/// Moves a conversation to its place in the list. The one on top may show a later time than the one by
/// which it is ordered, until another one comes near: it stays on top all the same.
fn move_to_its_place(conn: &Connection, log: LocalLog) -> Result<(), StoreError> {
    let mut select =
        conn.prepare_cached("SELECT order_ms, last_ms FROM conversation WHERE log = ?1")?;
    let place = select.query_row([log.number], |row| Ok((row.get(0)?, row.get(1)?)));
    let place: Option<(i64, i64)> = place.optional()?;
    let Some((order_ms, last_ms)) = place.filter(|(order_ms, last_ms)| order_ms != last_ms) else {
        return Ok(());
    };
    let mut select = conn.prepare_cached(
        "SELECT log, order_ms FROM conversation ORDER BY order_ms DESC, log DESC LIMIT 1",
    )?;
    let (top, top_ms): (i64, i64) = select.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if top == log.number && last_ms > order_ms {
        return Ok(());
    }
    if last_ms >= top_ms {
        settle(conn, top)?;
    }
    settle(conn, log.number)
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
    let top = "SELECT log FROM conversation ORDER BY order_ms DESC, log DESC LIMIT 1";
    if let Some(top) = tx.query_row(top, [], |row| row.get(0)).optional()? {
        settle(tx, top)?;
    }
    let row = "INSERT INTO conversation (log, title, order_ms, last_ms) VALUES (?1, ?2, ?3, ?3)";
    tx.prepare_cached(row)?.execute(params![log.number, title, C(order_ms)])?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// The person read everything up to this entry.
pub fn mark_read(tx: &Tx<'_>, log: LocalLog, up_to: Seq) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE conversation SET read_seq = ?2
         WHERE log = ?1 AND (read_seq IS NULL OR read_seq < ?2)",
    )?;
    if update.execute(params![log.number, C(up_to)])? > 0 {
        recount(tx, log)?;
        tx.touch(Change::Conversations);
    }
    Ok(())
}

/// Counts what others wrote since the newest entry that was read, and how much of it mentions the
/// person. What was taken back meanwhile is nothing to read.
pub(in crate::store) fn recount(conn: &Connection, log: LocalLog) -> Result<(), StoreError> {
    let mut read = conn.prepare_cached("SELECT read_seq FROM conversation WHERE log = ?1")?;
    let read: Option<Option<Seq>> = read.query_row([log.number], |row| cell(row, 0)).optional()?;
    let after = read.flatten().map_or(key(log, 0) - 1, |seq| seq_key(log, seq));
    conn.prepare_cached(&format!(
        "UPDATE conversation SET (unread, unread_mentions) =
             (SELECT count(*), coalesce(sum(mentions_me), 0) FROM message
              WHERE key > ?2 AND key < ?3 AND kind IN {SAID} AND fate < 2
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
        "UPDATE conversation SET read_seq = ?2
         WHERE log = ?1 AND unread = 0 AND ifnull(read_seq, -1) < ?2",
    )?
    .execute(params![log.number, C(up_to)])?;
    Ok(())
}

/// Keeps what the person began to write; `None` or nothing but space forgets it.
pub fn set_draft(
    tx: &Tx<'_>,
    log: LocalLog,
    text: Option<&str>,
    now_ms: TimeMs,
) -> Result<(), StoreError> {
    let text = text.filter(|text| !text.trim().is_empty());
    tx.prepare_cached("UPDATE conversation SET draft = ?2, draft_ms = ?3 WHERE log = ?1")?
        .execute(params![log.number, text, C(text.map(|_| now_ms))])?;
    tx.touch(Change::Conversations);
    Ok(())
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

/// Whether this conversation makes no sound.
pub fn set_muted(tx: &Tx<'_>, log: LocalLog, muted: bool) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE conversation SET muted = ?2 WHERE log = ?1")?
        .execute(params![log.number, muted])?;
    tx.touch(Change::Conversations);
    Ok(())
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
