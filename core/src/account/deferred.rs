//! Logs that the server takes nothing of before a time that it named (S3).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hauspost_protocol::ids::{LogId, TimeMs};

/// However far off the named time is, the server is asked again after so long: its clock, or this
/// phone's, may have been set meanwhile.
const LONGEST_MS: TimeMs = 3_600_000;

/// When each of them is due, by the phone's clock. Nothing of it is stored: who asks too early hears the
/// time again, and it costs nothing.
#[derive(Default)]
pub(super) struct Deferred(Mutex<HashMap<LogId, TimeMs>>);

impl Deferred {
    /// Puts a log off until this time of the server's clock, which shows `server_ms` now.
    pub(super) fn put_off(&self, log: LogId, from: TimeMs, server_ms: TimeMs, now_ms: TimeMs) {
        let wait_ms = from.saturating_sub(server_ms).clamp(1, LONGEST_MS);
        self.logs().insert(log, now_ms.saturating_add(wait_ms));
    }

    /// Whether a log may be tried, also when the phone's clock was set back meanwhile.
    pub(super) fn is_due(&self, log: LogId, now_ms: TimeMs) -> bool {
        let mut logs = self.logs();
        let waits = |due: &TimeMs| *due > now_ms && *due - now_ms <= LONGEST_MS;
        let is_due = !logs.get(&log).is_some_and(waits);
        if is_due {
            logs.remove(&log);
        }
        is_due
    }

    /// When the next one is due that was not at this time.
    pub(super) fn next_due(&self, after_ms: TimeMs) -> Option<TimeMs> {
        self.logs().values().copied().filter(|due| *due > after_ms).min()
    }

    fn logs(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, TimeMs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId([1; 16]);

    #[test]
    fn a_log_is_tried_at_the_time_that_the_server_named_by_its_own_clock() {
        let deferred = Deferred::default();
        assert!(deferred.is_due(LOG, 1_000) && deferred.next_due(0).is_none());
        // The phone's clock is years behind the server's.
        deferred.put_off(LOG, 9_000_000_500, 9_000_000_000, 1_000);
        assert!(!deferred.is_due(LOG, 1_499));
        assert_eq!(deferred.next_due(1_000), Some(1_500));
        assert!(deferred.is_due(LOG, 1_500));
        assert_eq!(deferred.next_due(1_000), None);
    }

    #[test]
    fn no_time_that_a_server_names_and_no_clock_holds_a_log_up_for_more_than_an_hour() {
        let deferred = Deferred::default();
        deferred.put_off(LOG, TimeMs::MAX, 5, 1_000);
        assert_eq!(deferred.next_due(0), Some(1_000 + LONGEST_MS));
        assert!(deferred.is_due(LOG, 999), "the phone's clock was set back");
    }

    #[test]
    fn a_time_that_is_over_is_waited_for_no_longer_than_a_moment() {
        let deferred = Deferred::default();
        deferred.put_off(LOG, 5, 9, 1_000);
        assert!(!deferred.is_due(LOG, 1_000) && deferred.is_due(LOG, 1_001));
    }
}
