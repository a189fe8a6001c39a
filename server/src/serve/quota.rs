//! What one device may append, and of how many others it may ask how far they are: so much at once, and so much
//! a day in the long run (S3).
//!
//! A defect in an app, or a phone in the wrong hands, must not fill the disk. What a device has appended is
//! paid off at an even rate, so all that is kept of it is when it will be paid off (the generic cell rate
//! algorithm of ITU-T I.371); nothing is counted by calendar days, and a refusal says when to come again.

use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::limits::{BATCH_BYTES, BATCH_ENTRIES, DAY_MS};

use crate::store::Usage;

/// The quotas of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Entries.
    pub entries: Allowance,
    /// Bytes of heads, payloads, GroupInfos and Welcomes.
    pub bytes: Allowance,
    /// Devices of others and entries of its own that are looked up for it, when it asks how far its messages have
    /// come. This is kept in memory only.
    pub looks: Allowance,
}

/// How much of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// At once, by a device that was quiet before; never less than a batch.
    pub at_once: u64,
    /// A day, in the long run.
    pub a_day: u64,
}

impl Default for Quotas {
    /// Far above what people write, and far below what fills a disk within a day.
    fn default() -> Self {
        Self {
            entries: Allowance { at_once: 20_000, a_day: 100_000 },
            bytes: Allowance { at_once: 512 << 20, a_day: 1 << 30 },
            // A hundred a second, and a minute's worth of a room of a thousand whose members look on.
            looks: Allowance { at_once: 60_000, a_day: 8_640_000 },
        }
    }
}

impl Quotas {
    /// What stands for a device after it appended so many entries with so many bytes, or when it may.
    pub fn take(
        &self,
        usage: Usage,
        entries: u64,
        bytes: u64,
        now_ms: TimeMs,
    ) -> Result<Usage, TimeMs> {
        let entries = self.entries.take(usage.entries_ms, entries, BATCH_ENTRIES as u64, now_ms);
        let bytes = self.bytes.take(usage.bytes_ms, bytes, BATCH_BYTES as u64, now_ms);
        match (entries, bytes) {
            (Ok(entries_ms), Ok(bytes_ms)) => Ok(Usage { entries_ms, bytes_ms }),
            (entries, bytes) => Err(entries.err().max(bytes.err()).unwrap_or(now_ms)),
        }
    }
}

impl Quotas {
    /// When so many looks will be paid off, or when they may be made. No request is too large for ever.
    pub fn look(&self, paid_off_ms: TimeMs, looks: u64, now_ms: TimeMs) -> Result<TimeMs, TimeMs> {
        self.looks.take(paid_off_ms, looks.min(self.looks.at_once), 0, now_ms)
    }
}

impl Allowance {
    /// When this much more will be paid off, or when it may be taken.
    fn take(
        self,
        paid_off_ms: TimeMs,
        amount: u64,
        least: u64,
        now_ms: TimeMs,
    ) -> Result<TimeMs, TimeMs> {
        let paid_off_ms = paid_off_ms.max(now_ms).saturating_add(self.ms_of(amount));
        let not_before_ms = paid_off_ms.saturating_sub(self.ms_of(self.at_once.max(least)));
        if not_before_ms <= now_ms { Ok(paid_off_ms) } else { Err(not_before_ms) }
    }

    /// How long it takes to pay this much off.
    fn ms_of(self, amount: u64) -> TimeMs {
        let ms = u128::from(amount) * u128::from(DAY_MS) / u128::from(self.a_day.max(1));
        // A hundred years are as good as for ever.
        u64::try_from(ms).unwrap_or(u64::MAX).min(36_525 * DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = 1_800_000_000_000;
    const QUOTAS: Quotas = Quotas {
        entries: Allowance { at_once: 100, a_day: 2_400 },
        bytes: Allowance { at_once: 10 << 20, a_day: 24 << 20 },
        looks: Allowance { at_once: 10, a_day: 86_400 },
    };

    fn use_up(mut usage: Usage, now_ms: TimeMs) -> (u64, TimeMs) {
        for taken in 0.. {
            match QUOTAS.take(usage, 1, 100, now_ms) {
                Ok(next) => usage = next,
                Err(not_before) => return (taken, not_before),
            }
        }
        unreachable!()
    }

    #[test]
    fn a_quiet_device_may_append_so_much_at_once_and_hears_when_it_may_again() {
        let (taken, not_before) = use_up(Usage::default(), NOW);
        assert_eq!((taken, not_before), (100, NOW + 36_000));
    }

    #[test]
    fn in_the_long_run_it_may_append_so_much_a_day() {
        let (mut usage, mut now_ms, mut taken) = (Usage::default(), NOW, 0);
        while now_ms < NOW + DAY_MS {
            match QUOTAS.take(usage, 1, 100, now_ms) {
                Ok(next) => (usage, taken) = (next, taken + 1),
                Err(not_before) => now_ms = not_before,
            }
        }
        assert_eq!(taken, 100 + 2_400 - 1);
    }

    #[test]
    fn bytes_count_by_themselves_and_a_batch_at_the_limit_is_taken_by_whoever_was_quiet() {
        let usage = QUOTAS.take(Usage::default(), 2, 9 << 20, NOW).unwrap();
        let not_before = QUOTAS.take(usage, 2, 2 << 20, NOW).unwrap_err();
        assert_eq!(not_before, NOW + 3_600_000);
        assert!(QUOTAS.take(usage, 2, 2 << 20, not_before).is_ok());
        let nothing = Allowance { at_once: 0, a_day: 1 };
        let strict = Quotas { entries: nothing, bytes: nothing, looks: nothing };
        let batch = (BATCH_ENTRIES as u64, BATCH_BYTES as u64);
        let usage = strict.take(Usage::default(), batch.0, batch.1, NOW).unwrap();
        assert!(strict.take(usage, 1, 1, NOW).is_err());
    }

    #[test]
    fn looks_are_paid_off_evenly_and_what_is_more_than_all_of_them_at_once_is_made_by_whoever_was_quiet()
     {
        let paid_off_ms = QUOTAS.look(0, 4, NOW).unwrap();
        assert_eq!(paid_off_ms, NOW + 4_000);
        assert_eq!(QUOTAS.look(paid_off_ms, 7, NOW), Err(NOW + 1_000));
        assert_eq!(QUOTAS.look(paid_off_ms, 6, NOW), Ok(NOW + 10_000));
        assert_eq!(QUOTAS.look(0, 1_000, NOW), Ok(NOW + 10_000));
        assert_eq!(QUOTAS.look(NOW + 10_000, 1_000, NOW), Err(NOW + 10_000));
    }

    #[test]
    fn a_clock_that_was_set_back_takes_nothing_away_that_was_paid_off_before() {
        let usage = QUOTAS.take(Usage::default(), 100, 100, NOW).unwrap();
        assert!(QUOTAS.take(usage, 1, 1, NOW - 1_000).is_err());
        assert!(QUOTAS.take(usage, 100, 100, NOW + DAY_MS).is_ok());
    }
}
