//! How many of the others have a message of ours, as the server says: a hint, and shown as one.

use hauspost_protocol::ids::Seq;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::log::LocalLog;
use super::{PENDING, key, key_seq, seq_key};
use crate::observe::Change;
use crate::store::{StoreError, Tx};

/// Notes how far a message has come. It does not go back; the number of people may.
pub fn note(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    (count, total): (u64, u64),
) -> Result<(), StoreError> {
    let changed = tx
        .prepare_cached(
            "INSERT INTO delivered (key, count, total)
             SELECT key, ?2, ?3 FROM message
                 WHERE key = ?1 AND author = (SELECT user FROM account)
             ON CONFLICT (key) DO UPDATE
                 SET count = max(count, excluded.count), total = excluded.total
                 WHERE count < excluded.count OR total <> excluded.total",
        )?
        .execute(params![
            seq_key(log, seq),
            i64::try_from(count.min(total)).unwrap_or(i64::MAX),
            i64::try_from(total).unwrap_or(i64::MAX),
        ])?;
    if changed > 0 {
        tx.touch(Change::Log(log.id));
    }
    Ok(())
}

/// How many of how many people have a message of ours.
pub fn of(conn: &Connection, key: i64) -> Result<Option<(u64, u64)>, StoreError> {
    let mut select = conn.prepare_cached("SELECT count, total FROM delivered WHERE key = ?1")?;
    let found = select.query_row([key], |row| {
        let (count, total): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((count.unsigned_abs(), total.unsigned_abs()))
    });
    Ok(found.optional()?)
}

/// Messages of ours that have not reached everybody, as far as this phone knows, the newest first.
pub fn under_way(conn: &Connection, log: LocalLog, limit: u32) -> Result<Vec<Seq>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT key FROM (
             SELECT m.key, d.count, d.total FROM message m LEFT JOIN delivered d ON d.key = m.key
             WHERE m.key >= ?1 AND m.key < ?2 AND m.author = (SELECT user FROM account)
                 AND m.kind NOT IN (2, 3, 4)
             ORDER BY m.key DESC LIMIT ?3)
         WHERE count IS NULL OR count < total",
    )?;
    let rows = select
        .query_map(params![key(log, 0), key(log, PENDING), limit], |row| row.get::<_, i64>(0))?;
    let keys: Vec<i64> = rows.collect::<Result<_, _>>()?;
    Ok(keys.into_iter().filter_map(key_seq).collect())
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::ids::DeviceId;

    use super::*;
    use crate::store::Store;
    use crate::store::fixture::{ME, enrolled, group, text};
    use crate::store::rows::message::{self, NewMessage};

    /// Anna's text 1, and my texts 2 to 5.
    async fn conversation(store: &Store) -> LocalLog {
        let log = group(store, 1, "Lager").await;
        let insert = move |tx: &Tx<'_>| {
            message::insert(tx, log, &text(1, "von Anna"))?;
            for seq in 2..=5 {
                let mine = NewMessage { author: ME, device: DeviceId([1; 16]), ..text(seq, "x") };
                message::insert(tx, log, &mine)?;
            }
            Ok::<_, StoreError>(())
        };
        store.write(insert).await.unwrap();
        log
    }

    async fn noted(store: &Store, log: LocalLog, seq: u64, told: (u64, u64)) -> Option<(u64, u64)> {
        let note = move |tx: &Tx<'_>| {
            note(tx, log, Seq(seq), told)?;
            of(tx, seq_key(log, Seq(seq)))
        };
        store.write::<_, StoreError, _>(note).await.unwrap()
    }

    #[tokio::test]
    async fn how_far_a_message_has_come_does_not_go_back_and_is_of_ones_own_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = conversation(&store).await;
        assert_eq!(noted(&store, log, 1, (1, 2)).await, None, "Anna's is her business");
        for (told, expected) in [
            ((2, 3), (2, 3)),
            ((1, 3), (2, 3)),
            ((1, 4), (2, 4)),
            ((9, 4), (4, 4)),
            ((4, 5), (4, 5)),
        ] {
            assert_eq!(noted(&store, log, 2, told).await, Some(expected), "{told:?}");
        }
    }

    #[tokio::test]
    async fn asked_is_about_the_newest_that_have_not_reached_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = conversation(&store).await;
        noted(&store, log, 4, (2, 2)).await;
        noted(&store, log, 3, (1, 2)).await;
        for (limit, expected) in [(1, &[5][..]), (3, &[5, 3]), (9, &[5, 3, 2])] {
            let read = move |conn: &_| under_way(conn, log, limit);
            let found = store.read::<_, StoreError, _>(read).await.unwrap();
            assert_eq!(found.iter().map(|seq| seq.0).collect::<Vec<_>>(), expected, "{limit}");
        }
    }
}
