//! The skeleton of each log, and the entries held for a server that may lose them.

use hauspost_protocol::ids::{CoreHash, EntryHash, Seq, TimeMs};
use rusqlite::{Connection, OptionalExtension, params};

use super::log::LocalLog;
use super::{key, key_seq, seq_key};
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// An entry without head and payload: what a chain is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRow {
    /// Its number.
    pub seq: Seq,
    /// Its kind's number, also one that this build does not know.
    pub kind: u64,
    /// The server's time.
    pub t_ms: TimeMs,
    /// The size of the company log.
    pub co: u64,
    /// The hash of the sender's half.
    pub core: CoreHash,
    /// Its hash; the next one's `prev`.
    pub hash: EntryHash,
}

/// Adds an entry, and holds its head and payload until [`release`].
pub fn append(
    tx: &Tx<'_>,
    log: LocalLog,
    entry: &EntryRow,
    held: Option<(&[u8], &[u8])>,
) -> Result<(), StoreError> {
    let key = seq_key(log, entry.seq);
    let mut insert = tx.prepare_cached(
        "INSERT INTO entry (key, kind, t_ms, co, core, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![
        key,
        C(entry.kind),
        C(entry.t_ms),
        C(entry.co),
        C(entry.core),
        C(entry.hash),
    ])?;
    if let Some((head, payload)) = held {
        tx.prepare_cached("INSERT INTO held_entry (key, head, payload) VALUES (?1, ?2, ?3)")?
            .execute(params![key, head, payload])?;
    }
    Ok(())
}

/// The hash of the entry with this number.
pub fn hash_at(
    conn: &Connection,
    log: LocalLog,
    seq: Seq,
) -> Result<Option<EntryHash>, StoreError> {
    let mut select = conn.prepare_cached("SELECT hash FROM entry WHERE key = ?1")?;
    Ok(select.query_row([seq_key(log, seq)], |row| cell(row, 0)).optional()?)
}

/// The server's time of one entry.
pub fn time_at(conn: &Connection, log: LocalLog, seq: Seq) -> Result<Option<TimeMs>, StoreError> {
    let mut select = conn.prepare_cached("SELECT t_ms FROM entry WHERE key = ?1")?;
    Ok(select.query_row([seq_key(log, seq)], |row| cell(row, 0)).optional()?)
}

/// Whether an entry of any kind but record has this core; a core covers the log, so one is enough.
pub fn has_core(conn: &Connection, core: CoreHash) -> Result<bool, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM entry WHERE core = ?1 AND kind <> 3)")?;
    Ok(select.query_row([C(core)], |row| row.get(0))?)
}

/// The entries from `from` on, at most `limit`, in order.
pub fn skeleton(
    conn: &Connection,
    log: LocalLog,
    from: Seq,
    limit: u32,
) -> Result<Vec<EntryRow>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT key, kind, t_ms, co, core, hash FROM entry
         WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3",
    )?;
    let rows = select.query_map(params![seq_key(log, from), last_key(log), limit], |row| {
        Ok(EntryRow {
            seq: key_seq(row.get(0)?).unwrap_or_default(),
            kind: cell(row, 1)?,
            t_ms: cell(row, 2)?,
            co: cell(row, 3)?,
            core: cell(row, 4)?,
            hash: cell(row, 5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Head and payload, as transmitted.
pub type Held = (Vec<u8>, Vec<u8>);

/// The commits of a log, in order.
pub fn commits(conn: &Connection, log: LocalLog) -> Result<Vec<EntryRow>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT key, kind, t_ms, co, core, hash FROM entry
         WHERE key BETWEEN ?1 AND ?2 AND kind = 1 ORDER BY key",
    )?;
    let rows = select.query_map(params![seq_key(log, Seq(0)), last_key(log)], |row| {
        Ok(EntryRow {
            seq: key_seq(row.get(0)?).unwrap_or_default(),
            kind: cell(row, 1)?,
            t_ms: cell(row, 2)?,
            co: cell(row, 3)?,
            core: cell(row, 4)?,
            hash: cell(row, 5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Head and payload of a held entry.
pub fn held(conn: &Connection, log: LocalLog, seq: Seq) -> Result<Option<Held>, StoreError> {
    let mut select = conn.prepare_cached("SELECT head, payload FROM held_entry WHERE key = ?1")?;
    let found =
        select.query_row([seq_key(log, seq)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found)
}

/// Lets go of heads and payloads below `below`, which a durable checkpoint covers. Commits stay as
/// long as the log: rosters are replayed from them.
pub fn release(tx: &Tx<'_>, log: LocalLog, below: Seq) -> Result<(), StoreError> {
    tx.prepare_cached(
        "DELETE FROM held_entry WHERE key >= ?1 AND key < ?2
             AND key NOT IN (SELECT key FROM entry WHERE kind = 1 AND key >= ?1 AND key < ?2)",
    )?
    .execute([key(log, 0), seq_key(log, below)])?;
    Ok(())
}

fn last_key(log: LocalLog) -> i64 {
    seq_key(log, Seq(u64::MAX))
}
