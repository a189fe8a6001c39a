//! The embedded store: one SQLite database, one for the shred keys, one writer, a few readers.
//!
//! One thread owns the write connections. It takes as many waiting jobs as there are into one
//! transaction, each within a savepoint of its own, syncs once, and only then answers them all
//! (group commit). Readers see the last committed state and never wait for the writer (WAL).
//!
//! Shred keys are committed before the payloads that they seal. A crash between the two leaves keys
//! without a payload, which the next entry at that place replaces; never a payload without its key.

mod blobs;
mod grants;
mod payload;
mod reads;
mod schema;
mod threads;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::StdRng;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Params, Row};

use super::{ReadJob, Store, StoreError, WriteJob};
use threads::{Readers, Writer};

const MAIN_FILE: &str = "hauspost.db";
const SHRED_FILE: &str = "shred.db";
/// Connections that answer reads.
const READERS: usize = 3;

/// The embedded store.
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
    folder: PathBuf,
}

impl SqliteStore {
    /// Opens the store in a folder, or creates it there. `rng` draws the shred keys.
    pub fn open(folder: &Path, rng: StdRng) -> Result<Self, StoreError> {
        let writing = Connections::open(folder)?;
        writing.migrate()?;
        let reading = (0..READERS).map(|_| Connections::open(folder)).collect::<Result<_, _>>()?;
        Ok(Self {
            writer: Writer::start(writing, rng),
            readers: Readers::start(reading),
            folder: folder.to_owned(),
        })
    }
}

impl Store for SqliteStore {
    fn submit_write(&self, job: Box<dyn WriteJob>) {
        self.writer.submit(job);
    }

    fn submit_read(&self, job: Box<dyn ReadJob>) {
        self.readers.submit(job);
    }

    fn close(&self) {
        // The writer last: it moves the write-ahead logs into the databases when nobody reads.
        self.readers.close();
        self.writer.close();
    }

    fn size_bytes(&self) -> u64 {
        let files = [MAIN_FILE, SHRED_FILE, "hauspost.db-wal", "shred.db-wal"];
        let size = |name| std::fs::metadata(self.folder.join(name)).map_or(0, |file| file.len());
        files.into_iter().map(size).sum()
    }
}

/// A connection to each of the two databases.
struct Connections {
    main: Connection,
    shred: Connection,
}

impl Connections {
    fn open(folder: &Path) -> Result<Self, StoreError> {
        let main = open_one(&folder.join(MAIN_FILE))?;
        let shred = open_one(&folder.join(SHRED_FILE))?;
        // A shred key that was deleted shall not be found in a free page.
        shred.pragma_update(None, "secure_delete", "ON").map_err(backend("open the shred keys"))?;
        Ok(Self { main, shred })
    }

    fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.main, schema::MAIN)?;
        schema::migrate(&self.shred, schema::SHRED)
    }

    /// Whether both databases are in a transaction.
    fn are_writing(&self) -> bool {
        !self.main.is_autocommit() && !self.shred.is_autocommit()
    }

    /// Ends what transactions there are, and keeps nothing of them.
    fn roll_back(&self) {
        for connection in [&self.main, &self.shred] {
            if !connection.is_autocommit() {
                // What fails here is undone when the connection closes.
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
    }

    fn both(&self, action: &'static str, sql: &str) -> Result<(), StoreError> {
        self.shred.execute_batch(sql).map_err(backend(action))?;
        self.main.execute_batch(sql).map_err(backend(action))
    }
}

fn open_one(path: &Path) -> Result<Connection, StoreError> {
    let failed = backend("open the database");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&failed)?;
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 10000;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16000;",
        )
        .map_err(&failed)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Names what failed.
fn backend(action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        _ => StoreError::Backend { action, source: Arc::new(source) },
    }
}

/// One transaction over the two databases; `R` is the randomness that a writing one needs.
struct SqliteTx<'a, R> {
    main: &'a Connection,
    shred: &'a Connection,
    rng: R,
}

/// One row, or none.
fn one<T>(
    connection: &Connection,
    action: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(params, read).optional())
        .map_err(backend(action))
}

/// All rows.
fn all<T>(
    connection: &Connection,
    action: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map(params, read)?.collect())
        .map_err(backend(action))
}

/// A change; returns the number of rows that it touched.
fn change(
    connection: &Connection,
    action: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<usize, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params))
        .map_err(backend(action))
}

/// Numbers of ours are below 2⁶³, so that SQLite's integers hold them.
fn int(number: u64) -> i64 {
    i64::try_from(number).expect("a number of ours is below 2^63")
}

fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

#[cfg(test)]
mod tests;
