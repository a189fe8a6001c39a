//! The schema and its versions.
//!
//! Version n is what migration n made of version n − 1, in one transaction with its number. A
//! version that left the house is never edited; the next migration changes it.

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;
use super::rows::index;

pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/001.sql"),
    include_str!("migrations/002.sql"),
    include_str!("migrations/003.sql"),
    include_str!("migrations/004.sql"),
    include_str!("migrations/005.sql"),
    include_str!("migrations/006.sql"),
    include_str!("migrations/007.sql"),
    include_str!("migrations/008.sql"),
    include_str!("migrations/009.sql"),
    include_str!("migrations/010.sql"),
    include_str!("migrations/011.sql"),
    include_str!("migrations/012.sql"),
    include_str!("migrations/013.sql"),
    include_str!("migrations/014.sql"),
    include_str!("migrations/015.sql"),
    include_str!("migrations/016.sql"),
    include_str!("migrations/017.sql"),
    include_str!("migrations/018.sql"),
    include_str!("migrations/019.sql"),
    include_str!("migrations/020.sql"),
    include_str!("migrations/021.sql"),
    include_str!("migrations/022.sql"),
];

/// The last version whose migration emptied the full-text index, to be filled with other words: not here,
/// where an app waits for its first screen, but in pieces afterwards.
pub(super) const INDEX_EMPTIED: u32 = 21;

/// The schema's version of this build.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// Brings a database to this build's version; a newer one is left untouched.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    if version(conn)? == VERSION {
        return Ok(());
    }
    conn.execute_batch("PRAGMA journal_mode = WAL")?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Read again: another process may have migrated while this one waited for the lock.
    let found = version(&tx)?;
    for migration in &MIGRATIONS[found as usize..] {
        tx.execute_batch(migration)?;
    }
    if found < INDEX_EMPTIED {
        index::emptied(&tx)?;
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(())
}

/// The version of this database, if this build knows it.
pub(super) fn version(conn: &Connection) -> Result<u32, StoreError> {
    let found = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        return Err(StoreError::NewerVersion { found, known: VERSION });
    }
    Ok(found)
}
