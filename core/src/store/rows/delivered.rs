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
