//! Who belongs to a conversation, by the log's order: from the entry by which a person came in to the one
//! by which he left or was removed.
//!
//! It is about people, not devices, and about rights, not keys: a reset of the group, or a device more
//! or less, ends nobody's stay.

use hauspost_protocol::ids::{Seq, UserId};
use rusqlite::{Connection, params};

use super::log::LocalLog;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A person came in, or is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The entry.
    pub seq: Seq,
    /// Who.
    pub user: UserId,
    /// Whether he came in.
    pub is_in: bool,
}

/// A person's stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// Who.
    pub user: UserId,
    /// The entry by which he came in.
    pub from: Seq,
    /// The entry by which he left or was removed.
    pub to: Option<Seq>,
}

impl Stay {
    /// Whether he was there just before the entry of this number.
    pub fn covers(&self, seq: Seq) -> bool {
        self.from <= seq && self.to.is_none_or(|to| to > seq)
    }
}

/// Notes moves, in the log's order. Who is in comes in nowhere, and who is out is not put out again.
pub fn note(tx: &Tx<'_>, log: LocalLog, moves: &[Move]) -> Result<(), StoreError> {
    for Move { seq, user, is_in } in moves {
        if *is_in {
            come(tx, log, *user, *seq)?;
            continue;
        }
        let sql = "UPDATE stay SET to_seq = ?3 WHERE log = ?1 AND user = ?2 AND to_seq IS NULL";
        let went = tx.prepare_cached(sql)?.execute(params![log.number, C(*user), C(*seq)])?;
        if went == 0 && !was_ever(tx, log, *user)? {
            // He was there before this database kept stays.
            let sql = "INSERT INTO stay (log, user, from_seq, to_seq) VALUES (?1, ?2, 0, ?3)";
            tx.prepare_cached(sql)?.execute(params![log.number, C(*user), C(*seq)])?;
        }
    }
    Ok(())
}

/// Those who are in a conversation whose stays this database did not keep from the beginning.
pub fn begin(
    tx: &Tx<'_>,
    log: LocalLog,
    people: impl Iterator<Item = (UserId, Seq)>,
) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM stay WHERE log = ?1)";
    if tx.prepare_cached(sql)?.query_row([log.number], |row| row.get(0))? {
        return Ok(());
    }
    people.into_iter().try_for_each(|(user, seq)| come(tx, log, user, seq))
}

fn come(tx: &Tx<'_>, log: LocalLog, user: UserId, seq: Seq) -> Result<(), StoreError> {
    let sql = "INSERT INTO stay (log, user, from_seq)
               SELECT ?1, ?2, ?3 WHERE NOT EXISTS (
                   SELECT 1 FROM stay WHERE log = ?1 AND user = ?2 AND to_seq IS NULL)
               ON CONFLICT (log, user, from_seq) DO UPDATE SET to_seq = NULL";
    tx.prepare_cached(sql)?.execute(params![log.number, C(user), C(seq)])?;
    Ok(())
}

fn was_ever(conn: &Connection, log: LocalLog, user: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM stay WHERE log = ?1 AND user = ?2)";
    Ok(conn.prepare_cached(sql)?.query_row(params![log.number, C(user)], |row| row.get(0))?)
}

/// Whether a person was there just before this entry.
pub(crate) fn is_there(
    conn: &Connection,
    log: LocalLog,
    user: UserId,
    seq: Seq,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (
                   SELECT 1 FROM stay WHERE log = ?1 AND user = ?2 AND from_seq <= ?3
                       AND (to_seq IS NULL OR to_seq > ?3))";
    let row = params![log.number, C(user), C(seq)];
    Ok(conn.prepare_cached(sql)?.query_row(row, |row| row.get(0))?)
}

/// All stays in a conversation, by person and in their order.
pub fn all(conn: &Connection, log: LocalLog) -> Result<Vec<Stay>, StoreError> {
    let sql = "SELECT user, from_seq, to_seq FROM stay WHERE log = ?1 ORDER BY user, from_seq";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([log.number], |row| {
        Ok(Stay { user: cell(row, 0)?, from: cell(row, 1)?, to: cell(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
