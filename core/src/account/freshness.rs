//! Whether the server shows this phone the present (C10): the newest checkpoint is at most ten
//! minutes old while the server answers.
//!
//! The phone's clock may be off by years, or jump, and must then not alarm for ever. So it is never
//! compared with the server's. Two things are asked instead, and each alone suffices:
//!
//! - **Silence.** The server answers and answers, and no newer checkpoint comes for ten minutes of the
//!   phone's own time. Counted is the time between two answers, two minutes at most for each: while
//!   nobody asks, nothing is late, and a clock that jumps by a year costs two minutes.
//! - **Contradiction.** By the server's own clock, in its answers and on its entries, the newest
//!   checkpoint is older than ten minutes, and stays so for two minutes. They are the grace of a
//!   server that has just come back.
//!
//! A server that shows one phone the past at the right pace contradicts itself in neither. It shows
//! by what colleagues saw: their checkpoints have to be proven within a day (`super::gossip`).

use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::limits::CHECKPOINT_AGE_MS;

/// What the time between two answers counts at most.
const GAP_MS: u64 = 2 * 60_000;
/// How long a server that has come back may take for its first checkpoint.
const GRACE_MS: u64 = 2 * 60_000;

/// How long the server has shown nothing newer, and the past.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Freshness {
    answered_ms: Option<TimeMs>,
    silent_ms: u64,
    stale_ms: u64,
    told: bool,
}

impl Freshness {
    /// The server answered at this time of the phone's clock, with or without a newer checkpoint that
    /// is believed; `age_ms` is the newest one's age by the server's own clock. Whether that is
    /// alarming, told once until all is well again.
    pub(super) fn answered(&mut self, now_ms: TimeMs, newer: bool, age_ms: Option<u64>) -> bool {
        let since = self.answered_ms.map_or(0, |before| now_ms.saturating_sub(before));
        let since = since.min(GAP_MS);
        self.answered_ms = Some(now_ms);
        let stale = age_ms.is_some_and(|age| age > CHECKPOINT_AGE_MS);
        self.silent_ms = if newer { 0 } else { self.silent_ms + since };
        self.stale_ms = if stale { self.stale_ms + since } else { 0 };
        let alarming = self.silent_ms > CHECKPOINT_AGE_MS || self.stale_ms > GRACE_MS;
        if newer && !stale {
            self.told = false;
        }
        alarming && !std::mem::replace(&mut self.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const YEAR: u64 = 365 * 24 * 60 * MINUTE;

    /// Answers a minute apart from `start`, none with a newer checkpoint; how many alarms.
    fn minutes(fresh: &mut Freshness, start: u64, count: u64, age: Option<u64>) -> usize {
        (0..count).filter(|minute| fresh.answered(start + minute * MINUTE, false, age)).count()
    }

    #[test]
    fn ten_minutes_of_answers_without_a_newer_checkpoint_are_alarming_once() {
        let mut fresh = Freshness::default();
        assert_eq!(minutes(&mut fresh, 0, 11, Some(0)), 0);
        assert!(fresh.answered(11 * MINUTE, false, Some(0)));
        assert_eq!(minutes(&mut fresh, 12 * MINUTE, 1_000, Some(0)), 0, "told once");
        assert!(!fresh.answered(1_012 * MINUTE, true, Some(0)));
        assert_eq!(minutes(&mut fresh, 1_013 * MINUTE, 20, Some(0)), 1, "and again when it is new");
    }

    #[test]
    fn a_checkpoint_every_five_minutes_is_never_alarming() {
        let mut fresh = Freshness::default();
        let told = |minute: u64, fresh: &mut Freshness| {
            fresh.answered(minute * MINUTE, minute.is_multiple_of(5), Some(minute % 5 * MINUTE))
        };
        assert!((0..10_000).all(|minute| !told(minute, &mut fresh)));
    }

    #[test]
    fn time_without_answers_and_a_clock_that_jumps_count_next_to_nothing() {
        let mut fresh = Freshness::default();
        // Offline for a year, then back, then the clock set right, then far ahead.
        for now_ms in [0, YEAR, 10, 30 * YEAR] {
            assert!(!fresh.answered(now_ms, false, Some(0)));
        }
        assert_eq!(minutes(&mut fresh, 30 * YEAR, 6, Some(0)), 0);
        assert!(!fresh.answered(30 * YEAR + 7 * MINUTE, true, Some(0)));
    }

    #[test]
    fn a_clock_that_is_off_by_years_does_not_matter() {
        for start in [0, 3 * YEAR, 80 * YEAR] {
            let mut fresh = Freshness::default();
            let minute = |minute: u64| start + minute * MINUTE;
            assert!((0..100).all(|at| !fresh.answered(
                minute(at),
                at.is_multiple_of(5),
                Some(MINUTE)
            )));
        }
    }

    #[test]
    fn a_server_whose_own_clock_says_that_its_checkpoint_is_old_gets_two_minutes() {
        let old = Some(11 * MINUTE);
        let mut fresh = Freshness::default();
        assert_eq!(minutes(&mut fresh, 0, 3, old), 0, "it has just come back");
        assert!(!fresh.answered(3 * MINUTE, true, Some(0)), "and makes one");
        // Newer ones that are as old do not help.
        let told = (4..20).filter(|at| fresh.answered(at * MINUTE, true, old)).count();
        assert_eq!(told, 1);
    }
}
