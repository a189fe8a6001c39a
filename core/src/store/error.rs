//! What can go wrong in the database, named so that a caller knows what to do.

use rusqlite::ErrorCode;

/// Why the store did not do what it was asked to. Whatever it was, nothing was done by halves.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store of this process, has the database open for writing.
    #[error("the database is in use by another process")]
    InUse,
    /// The key does not fit, or the first page is damaged: the cipher cannot tell which. Nothing was
    /// changed or deleted.
    #[error(
        "the key does not open the database, or its first page is damaged; nothing was changed"
    )]
    WrongKey,
    /// A page does not hold what was written there. Nothing was changed or deleted.
    #[error("the database is damaged ({0}); nothing was changed")]
    Damaged(String),
    /// A newer build made or changed this database. Update the app; nothing was changed.
    #[error("the database has version {found}, this build knows versions up to {known}")]
    NewerVersion {
        /// The version of the file.
        found: u32,
        /// The newest version that this build knows.
        known: u32,
    },
    /// The store is suspended or closed; resume it first.
    #[error("the store is suspended")]
    Suspended,
    /// The disk is full. What was to be written was not; free some space and repeat.
    #[error("the disk is full")]
    Full,
    /// The job panicked and was rolled back. The store goes on.
    #[error("a job on the database panicked and was rolled back")]
    Panicked,
    /// A row that should be there is not.
    #[error("no such {0}")]
    Missing(&'static str),
    /// A stored value is not of the form that this build wrote.
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    /// The simulation asked for a fault at this write; the store is dead like a killed process.
    #[error("the simulation stopped the store here")]
    Fault,
    /// The database's folder or lock file cannot be used.
    #[error("the database's files cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// Anything else that SQLite says.
    #[error("the database refused: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::WrongKey,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            Some(ErrorCode::DiskFull) => Self::Full,
            // Only the closing store interrupts.
            Some(ErrorCode::OperationInterrupted) => Self::Suspended,
            _ => Self::Sqlite(error),
        }
    }
}
