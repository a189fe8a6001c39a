//! Attempts to enter groups, or to make them anew, that did not lead anywhere yet.

use hauspost_protocol::ids::{LogId, TimeMs};
use rusqlite::{Connection, params};

use crate::store::cell::{C, cell, code_cell};
use crate::store::{StoreError, Tx};

code_cell! {
    /// What was tried.
    pub enum AttemptKind {
        /// To enter the group by an external commit.
        Enter = 0,
        /// To make the group anew.
        Reset = 1,
    }
}

/// The attempts for one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// When the last one was, by the phone's clock.
    pub last_ms: TimeMs,
    /// When the next one is due.
    pub not_before_ms: TimeMs,
}

/// All attempts of this kind.
pub fn all(conn: &Connection, kind: AttemptKind) -> Result<Vec<(LogId, Attempts)>, StoreError> {
    let mut select = conn
        .prepare_cached("SELECT log, count, last_ms, not_before_ms FROM attempt WHERE kind = ?1")?;
    let rows = select.query_map([C(kind)], |row| {
        let attempts =
            Attempts { count: row.get(1)?, last_ms: cell(row, 2)?, not_before_ms: cell(row, 3)? };
        Ok((cell(row, 0)?, attempts))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps the attempts for a log, and lets go of what was tried more than `forget_ms` before.
pub fn put(
    tx: &Tx<'_>,
    log: LogId,
    kind: AttemptKind,
    attempts: &Attempts,
    forget_ms: TimeMs,
) -> Result<(), StoreError> {
    let old = "DELETE FROM attempt WHERE kind = ?1 AND last_ms < ?2";
    let before_ms = attempts.last_ms.saturating_sub(forget_ms);
    tx.prepare_cached(old)?.execute(params![C(kind), C(before_ms)])?;
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO attempt (log, kind, count, last_ms, not_before_ms)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    insert.execute(params![
        C(log),
        C(kind),
        attempts.count,
        C(attempts.last_ms),
        C(attempts.not_before_ms),
    ])?;
    Ok(())
}
