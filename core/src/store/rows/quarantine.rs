//! Entries that could not be accepted, and why. Their place in the timeline shows a gap.

use hauspost_protocol::ids::{DeviceId, Seq, TimeMs};
use rusqlite::{Connection, params};

use super::log::LocalLog;
use super::{key_seq, seq_key};
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// An entry that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number.
    pub seq: Seq,
    /// Why; a code of the rules.
    pub code: u64,
    /// Whose it claims to be.
    pub device: Option<DeviceId>,
    /// The log's time.
    pub t_ms: TimeMs,
}

/// Puts an entry aside. The gap in the timeline is a message of kind `Gap`, added beside it.
pub fn insert(tx: &Tx<'_>, log: LocalLog, entry: &Quarantined) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO quarantine (key, code, device, t_ms) VALUES (?1, ?2, ?3, ?4)",
    )?;
    insert.execute(params![
        seq_key(log, entry.seq),
        C(entry.code),
        C(entry.device),
        C(entry.t_ms)
    ])?;
    Ok(())
}

/// All entries of a log that were put aside, in order.
pub fn all(conn: &Connection, log: LocalLog) -> Result<Vec<Quarantined>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT key, code, device, t_ms FROM quarantine WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let range = [seq_key(log, Seq(0)), seq_key(log, Seq(u64::MAX))];
    let rows = select.query_map(range, |row| {
        Ok(Quarantined {
            seq: key_seq(row.get(0)?).unwrap_or_default(),
            code: cell(row, 1)?,
            device: cell(row, 2)?,
            t_ms: cell(row, 3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
