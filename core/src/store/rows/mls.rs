//! OpenMLS' own state: bytes under bytes, in the same transaction as everything else.

use hauspost_protocol::mls::storage::Backend;
use rusqlite::{Connection, OptionalExtension, params};

use crate::store::{StoreError, Tx};

/// The value under this key.
pub fn get(conn: &Connection, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select = conn.prepare_cached("SELECT value FROM mls_state WHERE key = ?1")?;
    Ok(select.query_row([key], |row| row.get(0)).optional()?)
}

/// Puts a value under this key, over the one that is there.
pub fn put(tx: &Tx<'_>, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO mls_state (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?;
    insert.execute(params![key, value])?;
    Ok(())
}

/// Removes the value under this key, if there is one.
pub fn delete(tx: &Tx<'_>, key: &[u8]) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM mls_state WHERE key = ?1")?.execute([key])?;
    Ok(())
}

/// The table as OpenMLS sees it in a running transaction.
pub struct MlsTable<'t, 'c>(pub &'t Tx<'c>);

impl Backend for MlsTable<'_, '_> {
    type Error = StoreError;
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(self.0, key)
    }
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        put(self.0, key, value)
    }
    fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        delete(self.0, key)
    }
}
