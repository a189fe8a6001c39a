//! What a person must hear of: a server that breaks its promises, a phone that was set back or copied.

use hauspost_core::read::{self, AlarmReport};

/// What an alarm means to a person. An app says it in the person's words, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum AlarmKind {
    /// The server shows different histories to different people, or at different times. Nothing confidential
    /// should be written; the works council or the admin should hear of it in another way than by this app.
    TwoHistories,
    /// What the server signs of its logs is not to be believed. As `TwoHistories`.
    Checkpoint,
    /// The server shows the past, or holds back what it has. Passes by itself after an outage.
    Past,
    /// This phone was set back or copied. If its person did not do so, it has to be revoked at once.
    Copied,
    /// The company log holds what nobody signed who may. It was not obeyed.
    CompanyLog,
    /// The server took what it has to refuse. A conversation may show a gap.
    BrokenRule,
    /// What a colleague's device made does not fit. It heals by itself.
    Colleague,
    /// This phone made a group anew because nobody could follow it any more. Nothing is lost.
    Reset,
    /// Only a newer app can tell.
    UpdateApp,
}

/// Whether an admin hears of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum AlarmStanding {
    /// The company log has it.
    Reported,
    /// Not yet; the server that is accused may stand in the way. The person should tell an admin.
    NotReportedYet,
    /// It says nothing against the server and is not reported.
    NotForAdmins,
}

/// Alarms of one kind in one place.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Alarm {
    /// The number of the newest of them, for `acknowledge_alarms`.
    pub number: i64,
    /// The conversation that they concern; null if it is all of them.
    pub conversation: Option<String>,
    /// What they mean.
    pub kind: AlarmKind,
    /// The rule's code, for whoever looks into it.
    pub code: u64,
    /// How many they are.
    pub count: u64,
    /// When the first was raised, by this phone's clock, in Unix milliseconds.
    pub first_ms: u64,
    /// When the newest was.
    pub last_ms: u64,
    /// Whether an admin hears of them.
    pub standing: AlarmStanding,
    /// Whether the person said that they were seen.
    pub acknowledged: bool,
}

impl From<read::AlarmRow> for Alarm {
    fn from(row: read::AlarmRow) -> Self {
        Self {
            number: row.number,
            conversation: row.log.map(|log| log.to_string()),
            kind: row.kind.into(),
            code: row.code,
            count: row.count,
            first_ms: row.first_ms,
            last_ms: row.last_ms,
            standing: match row.report {
                AlarmReport::Made => AlarmStanding::Reported,
                AlarmReport::Waits => AlarmStanding::NotReportedYet,
                AlarmReport::None => AlarmStanding::NotForAdmins,
            },
            acknowledged: row.is_acknowledged,
        }
    }
}

impl From<read::AlarmKind> for AlarmKind {
    fn from(kind: read::AlarmKind) -> Self {
        match kind {
            read::AlarmKind::TwoHistories => Self::TwoHistories,
            read::AlarmKind::Checkpoint => Self::Checkpoint,
            read::AlarmKind::Past => Self::Past,
            read::AlarmKind::Copied => Self::Copied,
            read::AlarmKind::CompanyLog => Self::CompanyLog,
            read::AlarmKind::BrokenRule => Self::BrokenRule,
            read::AlarmKind::Colleague => Self::Colleague,
            read::AlarmKind::Reset => Self::Reset,
            read::AlarmKind::Newer => Self::UpdateApp,
        }
    }
}
