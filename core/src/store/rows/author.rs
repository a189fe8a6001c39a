//! What each device of a log said last, for the order of its records (rule C4).

use hauspost_protocol::ids::{DeviceId, Seq};
use rusqlite::{Connection, params};

use super::log::LocalLog;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A device's running number and view, as its newest record claimed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Author {
    /// The device.
    pub device: DeviceId,
    /// The running number that its next record must carry.
    pub next_dctr: u64,
    /// The newest entry that it had seen.
    pub seen_seq: Seq,
}

/// All devices that wrote in a log.
pub fn all(conn: &Connection, log: LocalLog) -> Result<Vec<Author>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT device, next_dctr, seen_seq FROM author WHERE log = ?1")?;
    let rows = select.query_map([log.number], |row| {
        Ok(Author { device: cell(row, 0)?, next_dctr: cell(row, 1)?, seen_seq: cell(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stores what these devices said last.
pub fn put(tx: &Tx<'_>, log: LocalLog, authors: &[Author]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO author (log, device, next_dctr, seen_seq) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (log, device) DO UPDATE
             SET next_dctr = excluded.next_dctr, seen_seq = excluded.seen_seq",
    )?;
    for author in authors {
        insert.execute(params![
            log.number,
            C(author.device),
            C(author.next_dctr),
            C(author.seen_seq)
        ])?;
    }
    Ok(())
}
