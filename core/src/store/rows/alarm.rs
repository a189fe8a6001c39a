//! What a person or an admin must hear of: forks, rollbacks, a server that broke a rule.

use hauspost_protocol::ids::{LogId, Seq, TimeMs};
use rusqlite::{Connection, params};

use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The log that it concerns.
    pub log: Option<LogId>,
    /// A code of the rules.
    pub code: u64,
    /// The entry that it concerns.
    pub seq: Option<Seq>,
    /// What proves it: entries, signatures.
    pub evidence: Option<Vec<u8>>,
    /// When, by the phone's clock.
    pub t_ms: TimeMs,
}

/// Raises an alarm.
pub fn raise(tx: &Tx<'_>, alarm: &Alarm) -> Result<i64, StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO alarm (log, code, seq, evidence, t_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    insert.execute(params![
        C(alarm.log),
        C(alarm.code),
        C(alarm.seq),
        alarm.evidence,
        C(alarm.t_ms),
    ])?;
    tx.touch(Change::Alarms);
    Ok(tx.last_insert_rowid())
}

/// Raises an alarm, unless the same is known of the same entry.
pub fn raise_once(tx: &Tx<'_>, alarm: &Alarm) -> Result<(), StoreError> {
    let known: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM alarm WHERE log IS ?1 AND code = ?2 AND seq IS ?3)",
        )?
        .query_row(params![C(alarm.log), C(alarm.code), C(alarm.seq)], |row| row.get(0))?;
    if known { Ok(()) } else { raise(tx, alarm).map(|_| ()) }
}

/// All alarms with their numbers, oldest first.
pub fn all(conn: &Connection) -> Result<Vec<(i64, Alarm)>, StoreError> {
    select(conn, "SELECT id, log, code, seq, evidence, t_ms FROM alarm ORDER BY id")
}

/// The alarms that no company entry reported yet, with their numbers, oldest first.
pub fn unreported(conn: &Connection) -> Result<Vec<(i64, Alarm)>, StoreError> {
    select(
        conn,
        "SELECT id, log, code, seq, evidence, t_ms FROM alarm WHERE reported = 0 ORDER BY id",
    )
}

/// The person has seen every alarm up to this number.
pub fn acknowledge(tx: &Tx<'_>, up_to: i64) -> Result<(), StoreError> {
    let seen = tx
        .prepare_cached("UPDATE alarm SET acknowledged = 1 WHERE id <= ?1 AND acknowledged = 0")?
        .execute([up_to])?;
    if seen > 0 {
        tx.touch(Change::Alarms);
    }
    Ok(())
}

fn select(conn: &Connection, query: &str) -> Result<Vec<(i64, Alarm)>, StoreError> {
    let mut select = conn.prepare_cached(query)?;
    let rows = select.query_map([], |row| {
        let alarm = Alarm {
            log: cell(row, 1)?,
            code: cell(row, 2)?,
            seq: cell(row, 3)?,
            evidence: cell(row, 4)?,
            t_ms: cell(row, 5)?,
        };
        Ok((row.get(0)?, alarm))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An alarm was reported to the company log.
pub fn reported(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE alarm SET reported = 1 WHERE id = ?1")?.execute([id])?;
    tx.touch(Change::Alarms);
    Ok(())
}
