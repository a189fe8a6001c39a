//! Quiet hours: a weekly plan by the company's clock (legal.md L-34).

use super::zone::{Clock, Zone};
use crate::array_item;
use crate::encoding::{FormError, Item, Reader, Writer};
use crate::ids::TimeMs;

/// Stretches of a plan, at most.
const SPANS: usize = 64;
/// Minutes of a day.
pub const DAY_MINUTES: u64 = 24 * 60;
/// How far ahead the end of quiet hours is looked for.
const LOOK_AHEAD_MINUTES: u64 = 8 * DAY_MINUTES;
const MINUTE_MS: TimeMs = 60_000;

array_item! {
    /// A stretch of quiet hours that begins on each of some days of the week.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct QuietSpan {
        /// The days: bit 0 = Monday … bit 6 = Sunday.
        pub days: u64,
        /// The minute of the day at which it begins, 0 to 1,439.
        pub from_minute: u64,
        /// The minute at which it ends, 0 to 1,440: on the same day if it is later than the beginning, else
        /// on the day after.
        pub to_minute: u64,
    }
}

impl QuietSpan {
    /// Every day of the week.
    pub const EVERY_DAY: u64 = 0b111_1111;

    /// Whether it is a stretch at all.
    pub fn fits(&self) -> bool {
        (1..=Self::EVERY_DAY).contains(&self.days)
            && self.from_minute < DAY_MINUTES
            && self.to_minute <= DAY_MINUTES
    }

    fn covers(&self, weekday: u64, minute: u64) -> bool {
        let begins_on = |weekday: u64| self.days >> weekday & 1 == 1;
        if self.from_minute < self.to_minute {
            return begins_on(weekday) && (self.from_minute..self.to_minute).contains(&minute);
        }
        let yesterday = (weekday + 6) % 7;
        begins_on(weekday) && minute >= self.from_minute
            || begins_on(yesterday) && minute < self.to_minute
    }
}

/// The hours in which a phone stays silent, but for alarms. Empty: none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuietPlan(pub Vec<QuietSpan>);

impl QuietPlan {
    /// Whether it is quiet at this time by this clock.
    pub fn is_quiet(&self, zone: &Zone, t_ms: TimeMs) -> bool {
        !self.0.is_empty() && self.covers(&zone.clock(), t_ms)
    }

    /// When the quiet hours of this moment end; none if it is not quiet, or for longer than a week.
    pub fn ends(&self, zone: &Zone, t_ms: TimeMs) -> Option<TimeMs> {
        let clock = zone.clock();
        if !self.covers(&clock, t_ms) {
            return None;
        }
        let minute = t_ms - t_ms % MINUTE_MS;
        (1..=LOOK_AHEAD_MINUTES)
            .map(|ahead| minute.saturating_add(ahead * MINUTE_MS))
            .find(|t_ms| !self.covers(&clock, *t_ms))
    }

    /// Whether every stretch is one, and there are not too many.
    pub fn fits(&self) -> bool {
        self.0.len() <= SPANS && self.0.iter().all(QuietSpan::fits)
    }

    fn covers(&self, clock: &Clock, t_ms: TimeMs) -> bool {
        let local = clock.local(t_ms);
        let weekday = local.weekday();
        self.0.iter().any(|span| span.covers(weekday, local.minute))
    }
}

impl Item for QuietPlan {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Vec::read(from).map(Self)
    }
}
