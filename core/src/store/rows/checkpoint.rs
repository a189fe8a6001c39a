//! Checkpoints: the newest verified one, and those that others named and that are yet to be proven.

use hauspost_protocol::ids::{Digest, TimeMs};
use hauspost_protocol::tree::checkpoint::TreeHead;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Its era.
    pub era: u64,
    /// Size of the outer tree.
    pub size: u64,
    /// Root of the outer tree.
    pub root: Digest,
    /// Whether this phone verified it; otherwise somebody named it.
    pub verified: bool,
    /// The signed note, of the newest verified one.
    pub note: Option<String>,
    /// Size of the company log that it covers, of a verified one.
    pub company_size: Option<u64>,
    /// Its durable size, if it names one.
    pub durable: Option<u64>,
    /// The newest outer leaf's time; of one that is not verified, that of the entry which named it.
    pub t_ms: TimeMs,
}

/// How far back roots of verified checkpoints are kept, in sizes of the outer tree.
const ROOTS: u64 = 4_096;
/// Checkpoints of colleagues that wait for their proofs.
const NAMED: u64 = 256;

const COLUMNS: &str = "era, size, root, verified, note, company_size, durable, t_ms";

fn read(row: &Row<'_>) -> rusqlite::Result<CheckpointRow> {
    Ok(CheckpointRow {
        era: cell(row, 0)?,
        size: cell(row, 1)?,
        root: cell(row, 2)?,
        verified: cell(row, 3)?,
        note: cell(row, 4)?,
        company_size: cell(row, 5)?,
        durable: cell(row, 6)?,
        t_ms: cell(row, 7)?,
    })
}

/// Stores a checkpoint; a verified one is not replaced by the mere mention of it.
pub fn put(tx: &Tx<'_>, checkpoint: &CheckpointRow) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(&format!(
        "INSERT INTO checkpoint ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (era, size, root) DO UPDATE
             SET verified = 1, note = excluded.note, company_size = excluded.company_size,
                 durable = excluded.durable, t_ms = excluded.t_ms
             WHERE excluded.verified = 1",
    ))?;
    insert.execute(params![
        C(checkpoint.era),
        C(checkpoint.size),
        C(checkpoint.root),
        checkpoint.verified,
        checkpoint.note,
        C(checkpoint.company_size),
        C(checkpoint.durable),
        C(checkpoint.t_ms),
    ])?;
    Ok(())
}

/// The newest verified checkpoint.
pub fn newest(conn: &Connection) -> Result<Option<CheckpointRow>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM checkpoint WHERE verified = 1 ORDER BY era DESC, size DESC LIMIT 1",
    ))?;
    Ok(select.query_row([], read).optional()?)
}

/// The checkpoints that others named and that are not proven yet.
pub fn unproven(conn: &Connection) -> Result<Vec<CheckpointRow>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM checkpoint WHERE verified = 0 ORDER BY era, size",
    ))?;
    let rows = select.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets a checkpoint that was named and is proven to lie behind the verified one.
pub fn forget(tx: &Tx<'_>, era: u64, size: u64, root: Digest) -> Result<(), StoreError> {
    tx.prepare_cached(
        "DELETE FROM checkpoint WHERE era = ?1 AND size = ?2 AND root = ?3 AND verified = 0",
    )?
    .execute(params![C(era), C(size), C(root)])?;
    Ok(())
}

/// Of verified checkpoints older than this one only the newest roots are kept, without their notes: what
/// a colleague names is mostly one of them, and so proven already.
pub fn prune(tx: &Tx<'_>, era: u64, size: u64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE checkpoint SET note = NULL
         WHERE verified = 1 AND note IS NOT NULL AND (era, size) < (?1, ?2)",
    )?
    .execute(params![C(era), C(size)])?;
    tx.prepare_cached("DELETE FROM checkpoint WHERE verified = 1 AND (era, size) < (?1, ?2)")?
        .execute(params![C(era), C(size.saturating_sub(ROOTS))])?;
    Ok(())
}

/// Notes a checkpoint that a colleague named at this time of the server's. So many wait for their proofs;
/// more are not listened to.
pub fn note(tx: &Tx<'_>, tree: &TreeHead, t_ms: TimeMs) -> Result<(), StoreError> {
    let waiting: u64 = tx
        .prepare_cached("SELECT count(*) FROM checkpoint WHERE verified = 0")?
        .query_row([], |row| cell(row, 0))?;
    if waiting >= NAMED {
        return Ok(());
    }
    let TreeHead { era, size, root } = *tree;
    let (verified, note, company_size, durable) = (false, None, None, None);
    put(tx, &CheckpointRow { era, size, root, verified, note, company_size, durable, t_ms })
}
