//! What a person must hear of: alarms, those of one kind in one place as one row.

use hauspost_protocol::ids::{LogId, TimeMs};
use rusqlite::{Connection, params};

use super::PAGE_ROWS;
use crate::inbound::{Code, report_code};
use crate::store::StoreError;
use crate::store::cell::{C, cell};

/// What an alarm means to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The server shows different people, or one person at different times, different histories.
    TwoHistories,
    /// What the server signs of its logs is not to be believed.
    Checkpoint,
    /// The server shows the past, or holds back what it has.
    Past,
    /// This phone was set back or copied.
    Copied,
    /// Somebody put into the company log what nobody signed who may.
    CompanyLog,
    /// The server let something through that it has to refuse.
    BrokenRule,
    /// What a colleague's device made does not fit. It heals by itself.
    Colleague,
    /// This phone made a group anew because nobody could follow it any more.
    Reset,
    /// Only a newer version of the app can tell.
    Newer,
}

impl AlarmKind {
    /// Of a code of the rules.
    pub fn of(code: u64) -> Self {
        const KINDS: [(Code, AlarmKind); 15] = [
            (Code::Fork, AlarmKind::TwoHistories),
            (Code::Gossip, AlarmKind::TwoHistories),
            (Code::Checkpoint, AlarmKind::Checkpoint),
            (Code::CheckpointAge, AlarmKind::Past),
            (Code::Uncovered, AlarmKind::Past),
            (Code::Missing, AlarmKind::Past),
            (Code::Absent, AlarmKind::Past),
            (Code::Payload, AlarmKind::Past),
            (Code::Rollback, AlarmKind::Copied),
            (Code::Company, AlarmKind::CompanyLog),
            (Code::Mls, AlarmKind::Colleague),
            (Code::Welcome, AlarmKind::Colleague),
            (Code::Grant, AlarmKind::Colleague),
            (Code::Class, AlarmKind::Colleague),
            (Code::Reset, AlarmKind::Reset),
        ];
        if code == Code::Newer as u64 {
            return Self::Newer;
        }
        let known = KINDS.into_iter().find(|(known, _)| *known as u64 == code);
        known.map_or(Self::BrokenRule, |(_, kind)| kind)
    }
}

/// Whether an admin hears of an alarm, by an entry of the company log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmReport {
    /// The company log has it.
    Made,
    /// Not yet; the server that is accused may be what stands in its way.
    Waits,
    /// It says nothing against the server and is not reported.
    None,
}

/// Alarms of one code in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmRow {
    /// The number of the newest; up to it alarms are acknowledged.
    pub number: i64,
    /// The conversation, or the company log, that they concern.
    pub log: Option<LogId>,
    /// What they mean.
    pub kind: AlarmKind,
    /// Their code, for a report to those who know the protocol.
    pub code: u64,
    /// How many they are.
    pub count: u64,
    /// When the first was raised, by the phone's clock.
    pub first_ms: TimeMs,
    /// When the newest was.
    pub last_ms: TimeMs,
    /// Whether an admin hears of them.
    pub report: AlarmReport,
    /// Whether the person has said that they were seen.
    pub is_acknowledged: bool,
}

/// At most so many rows: first what was not acknowledged, then the newest. Of a reset its conversation
/// shows a line, and an admin hears of it (R4): nobody has to acknowledge it.
pub fn alarms(conn: &Connection, limit: u32) -> Result<Vec<AlarmRow>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT max(id), log, code, count(*), min(t_ms), max(t_ms), min(reported),
             (acknowledged OR code = ?2) AS known
         FROM alarm GROUP BY known, log, code ORDER BY known, max(id) DESC LIMIT ?1",
    )?;
    let reset = Code::Reset as u64;
    let rows = select.query_map(params![limit.min(PAGE_ROWS), C(reset)], |row| {
        let code: u64 = cell(row, 2)?;
        Ok(AlarmRow {
            number: row.get(0)?,
            log: cell(row, 1)?,
            kind: AlarmKind::of(code),
            code,
            count: cell(row, 3)?,
            first_ms: cell(row, 4)?,
            last_ms: cell(row, 5)?,
            report: match (report_code(code), row.get(6)?) {
                (None, _) => AlarmReport::None,
                (Some(_), true) => AlarmReport::Made,
                (Some(_), false) => AlarmReport::Waits,
            },
            is_acknowledged: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
