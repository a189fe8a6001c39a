//! What simulation breaks: a process that is killed at a chosen write.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::StoreError;

/// Where in a write the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Everything was done but the commit: nothing of it is there afterwards.
    BeforeCommit,
    /// The commit is done, and nobody heard of it.
    AfterCommit,
}

#[derive(Default)]
pub(super) struct Faults {
    writes: AtomicU64,
    armed: Mutex<Option<(u64, FaultPoint)>>,
    dead: AtomicBool,
}

impl Faults {
    pub(super) fn arm(&self, nth: u64, point: FaultPoint) {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        *armed = Some((self.writes.load(Ordering::SeqCst) + nth, point));
    }

    /// Refuses everything after the fault.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.dead.load(Ordering::SeqCst) { Err(StoreError::Fault) } else { Ok(()) }
    }

    /// Counts a write that began, and says where it is to be killed.
    pub(super) fn begin(&self) -> Result<Option<FaultPoint>, StoreError> {
        self.check()?;
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(armed.filter(|(at, _)| *at == number).map(|(_, point)| point))
    }

    /// Kills the store if this is the point.
    pub(super) fn reach(
        &self,
        here: FaultPoint,
        fault: Option<FaultPoint>,
    ) -> Result<(), StoreError> {
        if fault == Some(here) {
            self.dead.store(true, Ordering::SeqCst);
            return Err(StoreError::Fault);
        }
        Ok(())
    }
}
