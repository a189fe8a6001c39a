//! How far the past of a conversation is on a device that came later, or lost its way.

use rusqlite::Connection;

use crate::store::StoreError;
use crate::store::rows::history;
use crate::store::rows::log::LocalLog;

/// How far the past of a conversation is on this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Records that are not readable here yet.
    pub missing: u64,
    /// How many they were when they were first asked for; 0 if nobody could be asked.
    pub asked: u64,
}

impl History {
    /// How many have come of those that were asked for.
    pub fn came(&self) -> u64 {
        self.asked.saturating_sub(self.missing)
    }

    /// Of a conversation.
    pub(crate) fn of(conn: &Connection, log: LocalLog) -> Result<Self, StoreError> {
        let asking = history::asking(conn, log)?;
        let missing = history::count_unread(conn, log)?;
        Ok(Self { missing, asked: asking.map_or(0, |asking| asking.total) })
    }

    /// The same, if something was asked for: else nothing is counted.
    pub(super) fn asked(conn: &Connection, log: LocalLog) -> Result<Option<Self>, StoreError> {
        match history::asking(conn, log)?.filter(|asking| asking.total > 0) {
            Some(_) => Self::of(conn, log).map(Some),
            None => Ok(None),
        }
    }
}
