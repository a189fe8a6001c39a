//! The company log, whole.

use hauspost_protocol::ids::{CoreHash, EntryHash, Seq, TimeMs};
use rusqlite::{Connection, OptionalExtension, params};

use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// An entry of the company log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanyEntry {
    /// Its number, and so its `co`.
    pub seq: Seq,
    /// The server's time.
    pub t_ms: TimeMs,
    /// The hash of the sender's half.
    pub core: CoreHash,
    /// Its hash; the next one's `prev`.
    pub hash: EntryHash,
    /// The head's bytes as transmitted.
    pub head: Vec<u8>,
    /// The payload as transmitted; `None` if it was erased.
    pub payload: Option<Vec<u8>>,
}

/// Adds the next entry.
pub fn insert(tx: &Tx<'_>, entry: &CompanyEntry) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO company_entry (seq, t_ms, core, hash, head, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![
        C(entry.seq),
        C(entry.t_ms),
        C(entry.core),
        C(entry.hash),
        entry.head,
        entry.payload,
    ])?;
    tx.touch(Change::Company);
    Ok(())
}

/// The number that the next entry will have, and the hash of the newest one.
pub fn cursor(conn: &Connection) -> Result<(Seq, EntryHash), StoreError> {
    let mut select =
        conn.prepare_cached("SELECT seq, hash FROM company_entry ORDER BY seq DESC LIMIT 1")?;
    let newest = select
        .query_row([], |row| Ok((cell::<Seq>(row, 0)?, cell::<EntryHash>(row, 1)?)))
        .optional()?;
    Ok(newest.map_or((Seq(0), EntryHash::ZERO), |(seq, hash)| (seq.next(), hash)))
}

/// The entries from `from` on, in order.
pub fn entries(conn: &Connection, from: Seq) -> Result<Vec<CompanyEntry>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT seq, t_ms, core, hash, head, payload FROM company_entry WHERE seq >= ?1 ORDER BY seq",
    )?;
    let rows = select.query_map([C(from)], |row| {
        Ok(CompanyEntry {
            seq: cell(row, 0)?,
            t_ms: cell(row, 1)?,
            core: cell(row, 2)?,
            hash: cell(row, 3)?,
            head: cell(row, 4)?,
            payload: cell(row, 5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The hash of one entry.
pub fn hash(conn: &Connection, seq: Seq) -> Result<Option<EntryHash>, StoreError> {
    let mut select = conn.prepare_cached("SELECT hash FROM company_entry WHERE seq = ?1")?;
    Ok(select.query_row([C(seq)], |row| cell(row, 0)).optional()?)
}
