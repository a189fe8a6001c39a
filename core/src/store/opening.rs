//! The one place where connections are opened: key first, then the cipher's settings, then ours.
//!
//! SQLCipher with a raw 32-byte key and salt, HMAC-SHA256 and pages of 4,096 bytes. The first 32
//! bytes stay readable, because iOS lets a suspended app keep a file in a shared folder only if it
//! recognises it as a database; the salt, which would stand there, is kept with the key. Temporary
//! tables stay in memory, since SQLite would write them unencrypted. `cipher_memory_security` is off:
//! it locks and wipes each allocation, and costs half of the ingest. The cipher's own log is off: it
//! writes to standard error, and what it would say comes back as an error.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use super::error::StoreError;
use super::search;
use crate::env::DatabaseKey;

/// How many statements a connection keeps prepared.
const STATEMENTS: usize = 160;
/// How long a connection waits for another process's checkpoint or recovery.
const BUSY: Duration = Duration::from_secs(5);

/// The writer's page cache and how far its write-ahead log grows before it is moved: a catch-up
/// changes the same pages many times, and each move syncs the disk.
const WRITER: &str = "PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 4000";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The only connection that writes; makes the file if it is not there.
    Write,
    /// Never changes the file.
    Read,
}

/// Opens a connection and proves that the key fits by reading the schema.
pub(super) fn open(
    path: &Path,
    key: &DatabaseKey,
    purpose: Purpose,
) -> Result<Connection, StoreError> {
    let flags = match purpose {
        Purpose::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Purpose::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.key(None::<&str>, key_spec(key).as_bytes(), false)?;
    conn.execute_batch(
        "PRAGMA cipher_log_level = NONE;
         PRAGMA cipher_page_size = 4096;
         PRAGMA cipher_hmac_algorithm = HMAC_SHA256;
         PRAGMA cipher_kdf_algorithm = PBKDF2_HMAC_SHA256;
         PRAGMA cipher_plaintext_header_size = 32;
         PRAGMA cipher_memory_security = OFF;
         PRAGMA temp_store = MEMORY;",
    )?;
    // Plans that follow the values bound last are made anew with each other value: with a partial index
    // in sight, every run of a statement would parse and plan it again, which takes longer than the run.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.busy_timeout(BUSY)?;
    // The first read is the first use of the key.
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    conn.execute_batch(
        "PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA synchronous = NORMAL;
         PRAGMA secure_delete = ON;",
    )?;
    search::attach_words(&conn)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    if purpose == Purpose::Write {
        conn.execute_batch(WRITER)?;
    }
    Ok(conn)
}

/// `x'<key><salt>'` in hexadecimal: SQLCipher's form of a raw key with its salt.
fn key_spec(key: &DatabaseKey) -> Zeroizing<String> {
    let mut spec = Zeroizing::new(String::with_capacity(99));
    spec.push_str("x'");
    for byte in key.key.expose().iter().chain(&key.salt) {
        for nibble in [byte >> 4, byte & 15] {
            spec.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16"));
        }
    }
    spec.push('\'');
    spec
}
