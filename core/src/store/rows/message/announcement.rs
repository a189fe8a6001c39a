//! One announcement in several rooms: whoever is in several of them has it several times, and is told of it
//! once.
//!
//! It counts in the room with the lowest id among those that are here, so that all devices of a person agree; in
//! the others it stands, and is neither new, nor told of, nor found once more. Read in one room it is read.
//! Where it was handed over to the person it counts only if he has it nowhere else.

use hauspost_protocol::content::AnnouncementId;
use hauspost_protocol::ids::{LogId, MessageId, Seq, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fate::set_fate;
use super::{Message, NewMessage, SAID};
use crate::store::cell::{C, cell};
use crate::store::rows::log::LocalLog;
use crate::store::rows::{index, key_seq};
use crate::store::{StoreError, Tx};

/// A message of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twin {
    /// The room.
    pub log: LocalLog,
    /// The message there.
    pub message_id: MessageId,
    /// Its number there; `None` while it is not sent.
    pub seq: Option<Seq>,
    pub(super) key: i64,
    /// Whether it is somebody else's past there.
    handed: bool,
}

/// All messages of an announcement that are here, by the ids of their rooms, those last that were handed over.
pub fn twins(
    conn: &Connection,
    author: UserId,
    id: AnnouncementId,
) -> Result<Vec<Twin>, StoreError> {
    let sql = format!(
        "SELECT l.id, l.log, m.message_id, m.key, m.handed FROM message m JOIN log l ON l.id = m.key >> 40
         WHERE m.announcement = ?1 AND m.author = ?2 AND m.kind IN {SAID}
         ORDER BY m.handed, l.log, m.key"
    );
    let mut select = conn.prepare_cached(&sql)?;
    let rows = select.query_map(params![C(id), C(author)], |row| {
        let log = LocalLog { number: row.get(0)?, id: cell::<LogId>(row, 1)? };
        let key = row.get(3)?;
        let (message_id, handed) = (cell(row, 2)?, row.get(4)?);
        Ok(Twin { log, message_id, seq: key_seq(key), key, handed })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a message that comes counts in another room that is here already.
pub(super) fn stands_elsewhere(
    conn: &Connection,
    log: LocalLog,
    message: &NewMessage,
) -> Result<bool, StoreError> {
    let Some(id) = message.saying.announcement else { return Ok(false) };
    let first = twins(conn, message.author, id)?.into_iter().next();
    Ok(first.is_some_and(|first| (first.handed, first.log.id) <= (message.handed, log.id)))
}

/// Whether a message that is here counts in another room.
pub(super) fn is_again(conn: &Connection, message: &Message) -> Result<bool, StoreError> {
    if message.saying.announcement.is_none() {
        return Ok(false);
    }
    let sql = "SELECT again FROM message WHERE key = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([message.key], |row| row.get(0))?)
}

/// A message of an announcement came: where it counts now, and where it does not any more.
pub(super) fn settle(tx: &Tx<'_>, log: LocalLog, message: &NewMessage) -> Result<(), StoreError> {
    let Some(id) = message.saying.announcement else { return Ok(()) };
    let twins = twins(tx, message.author, id)?;
    for (place, twin) in twins.iter().enumerate() {
        tx.recount(twin.log);
        let again = place > 0;
        let sql = "UPDATE message SET again = ?2 WHERE key = ?1 AND again <> ?2";
        let changed = tx.prepare_cached(sql)?.execute(params![twin.key, again])? > 0;
        if changed && again {
            index::remove(tx, index::find(tx, twin.log, twin.key)?)?;
            let sql = "UPDATE message SET search_id = NULL WHERE key = ?1";
            tx.prepare_cached(sql)?.execute([twin.key])?;
        }
        if twin.log != log {
            tx.touch(crate::observe::Change::Conversations);
        }
    }
    Ok(())
}

/// A message of an announcement is gone: the first that is left of it counts now.
pub(super) fn left(tx: &Tx<'_>, author: UserId, id: AnnouncementId) -> Result<(), StoreError> {
    let Some(first) = twins(tx, author, id)?.into_iter().next() else { return Ok(()) };
    let sql = "UPDATE message SET again = 0 WHERE key = ?1 AND again = 1";
    if tx.prepare_cached(sql)?.execute([first.key])? > 0 {
        set_fate(tx, first.log, first.message_id)?;
        tx.recount(first.log);
        tx.touch(crate::observe::Change::Conversations);
    }
    Ok(())
}

/// Something was read in a conversation: what stands there and in others is read in those too.
pub fn recount_others(tx: &Tx<'_>, log: LocalLog) -> Result<(), StoreError> {
    let sql = "SELECT DISTINCT l.id, l.log FROM message m
                   JOIN message t ON t.announcement = m.announcement AND t.author = m.author
                   JOIN log l ON l.id = t.key >> 40
               WHERE m.announcement IS NOT NULL AND m.key >> 40 = ?1 AND l.id <> ?1";
    let type_of = "SELECT type = 2 FROM log WHERE id = ?1";
    let announces: Option<bool> =
        tx.prepare_cached(type_of)?.query_row([log.number], |row| row.get(0)).optional()?;
    if announces != Some(true) {
        return Ok(());
    }
    let mut select = tx.prepare_cached(sql)?;
    let others = select.query_map([log.number], |row| {
        Ok(LocalLog { number: row.get(0)?, id: cell::<LogId>(row, 1)? })
    })?;
    for other in others {
        tx.recount(other?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{SearchQuery, conversations, search, unread_total};
    use crate::store::fixture::{ANNA, enrolled, group, text};
    use crate::store::rows::{conversation, message, notified};
    use crate::store::{Store, rows::log};

    const ID: AnnouncementId = AnnouncementId([7; 16]);

    /// The announcement as it stands in one room.
    fn announced(seq: u64) -> NewMessage {
        let mut message = text(seq, "Betriebsversammlung");
        message.saying.announcement = Some(ID);
        message
    }

    async fn room(store: &Store, id: u8) -> LocalLog {
        let log = group(store, id, "Halle").await;
        let typed = move |tx: &Tx<'_>| {
            tx.execute("UPDATE log SET type = 2 WHERE id = ?1", [log.number])?;
            Ok::<_, StoreError>(())
        };
        store.write(typed).await.unwrap();
        log
    }

    async fn unread(store: &Store) -> (u64, usize, usize) {
        store
            .read(|conn| {
                let total = unread_total(conn)?;
                let told = notified::new(conn, 0, 9)?.len();
                let hits = search(conn, &SearchQuery::words("betriebs"), None, 9)?.hits.len();
                Ok::<_, StoreError>((total, told, hits))
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn in_whatever_order_it_comes_it_is_new_told_of_and_found_once_and_where_all_devices_say()
    {
        for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
            let folder = tempfile::tempdir().unwrap();
            let store = enrolled(folder.path()).await;
            for id in order {
                let log = room(&store, id).await;
                let came = move |tx: &Tx<'_>| message::insert(tx, log, &announced(5)).map(|_| ());
                store.write(came).await.unwrap();
                assert_eq!(unread(&store).await, (1, 1, 1), "{order:?}");
            }
            let rows = store.read(|conn| conversations(conn, None, 9)).await.unwrap();
            let counts: Vec<_> =
                rows.iter().filter(|row| row.unread > 0).map(|row| row.log.0[0]).collect();
            assert_eq!(counts, [1], "the lowest room's, {order:?}");
            // Read in another room it is read.
            let third = store.read(|conn| log::local(conn, LogId([3; 16])));
            let third = third.await.unwrap().unwrap();
            let read = move |tx: &Tx<'_>| conversation::mark_read(tx, third, Seq(5)).map(|_| ());
            store.write(read).await.unwrap();
            assert_eq!(unread(&store).await.0, 0, "{order:?}");
        }
    }

    #[tokio::test]
    async fn where_it_was_handed_over_it_takes_no_other_room_s_place_and_is_never_new() {
        for order in [[1, 2, 3], [3, 2, 1], [2, 1, 3]] {
            let folder = tempfile::tempdir().unwrap();
            let store = enrolled(folder.path()).await;
            for id in order {
                let log = room(&store, id).await;
                // Of three rooms the person is in the second.
                let here = NewMessage { handed: id != 2, unread: id == 2, ..announced(5) };
                let came = move |tx: &Tx<'_>| {
                    message::insert(tx, log, &here)?;
                    tx.recount(log);
                    Ok::<_, StoreError>(())
                };
                store.write(came).await.unwrap();
                let has_it = order.iter().position(|room| *room == 2)
                    <= order.iter().position(|room| *room == id);
                let new = u64::from(has_it);
                assert_eq!(unread(&store).await, (new, new as usize, 1), "{order:?}");
            }
            // In another one it was read by those who were there.
            let first = store.read(|conn| log::local(conn, LogId([1; 16])));
            let first = first.await.unwrap().unwrap();
            let read = move |tx: &Tx<'_>| conversation::mark_read(tx, first, Seq(9)).map(|_| ());
            store.write(read).await.unwrap();
            assert_eq!(unread(&store).await, (1, 1, 1), "{order:?}");
        }
    }

    #[tokio::test]
    async fn what_another_person_calls_by_the_same_id_is_another_announcement() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let (one, other) = (room(&store, 1).await, room(&store, 2).await);
        let came = move |tx: &Tx<'_>| {
            message::insert(tx, one, &announced(5))?;
            let theirs = NewMessage { author: UserId([9; 16]), ..announced(5) };
            message::insert(tx, other, &theirs)?;
            Ok::<_, StoreError>(twins(tx, ANNA, ID)?.len())
        };
        assert_eq!(store.write(came).await.unwrap(), 1);
        assert_eq!(unread(&store).await, (2, 2, 2));
    }
}
