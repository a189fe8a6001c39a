//! Our key packages: which are at the server, and how old they are.

use hauspost_protocol::ids::TimeMs;
use rusqlite::{Connection, params};

use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A key package of ours. Its private half lies in the MLS state under the same reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageRow {
    /// Its hash reference (RFC 9420 §5.2).
    pub reference: Vec<u8>,
    /// Whether it may be used many times, when no other is left.
    pub last_resort: bool,
    /// Whether the server has it.
    pub uploaded: bool,
    /// When it was made.
    pub made_ms: TimeMs,
}

/// Stores a key package, over the row that is there.
pub fn put(tx: &Tx<'_>, package: &KeyPackageRow) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO key_package (reference, last_resort, uploaded, made_ms)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    insert.execute(params![
        package.reference,
        package.last_resort,
        package.uploaded,
        C(package.made_ms)
    ])?;
    Ok(())
}

/// All key packages, oldest first.
pub fn all(conn: &Connection) -> Result<Vec<KeyPackageRow>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT reference, last_resort, uploaded, made_ms FROM key_package ORDER BY made_ms",
    )?;
    let rows = select.query_map([], |row| {
        Ok(KeyPackageRow {
            reference: row.get(0)?,
            last_resort: row.get(1)?,
            uploaded: row.get(2)?,
            made_ms: cell(row, 3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets a key package that was used or is too old.
pub fn delete(tx: &Tx<'_>, reference: &[u8]) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM key_package WHERE reference = ?1")?.execute([reference])?;
    Ok(())
}
