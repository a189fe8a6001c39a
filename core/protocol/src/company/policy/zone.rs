//! The company's clock: one time zone for days, years and quiet hours.
//!
//! The policy carries the rule itself, as POSIX writes it, beside the zone's name. So a phone with old
//! time zone data, a server and a verifier ten years later all see the same day, and a change of the law
//! is a new version of the policy.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::array_item;
use crate::ids::TimeMs;

/// A zone's name or rule, in bytes.
const TEXT_BYTES: usize = 64;

array_item! {
    /// A time zone.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Zone {
        /// Its name for people, such as `Europe/Berlin`.
        pub name: String,
        /// Its rule as POSIX writes it, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
        pub rule: String,
    }
}

/// A moment on the company's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    /// The calendar day, counted from 1 January 1970.
    pub day: i64,
    /// Minutes since midnight by the clock on the wall, 0 to 1,439.
    pub minute: u64,
}

impl LocalTime {
    /// The day of the week, Monday = 0.
    pub fn weekday(self) -> u64 {
        // 1 January 1970 was a Thursday.
        (self.day + 3).rem_euclid(7) as u64
    }
}

/// A clock that was read once and is asked often.
#[derive(Debug, Clone)]
pub struct Clock(TimeZone);

impl Clock {
    /// What the clock on the wall shows.
    pub fn local(&self, t_ms: TimeMs) -> LocalTime {
        // A time that no calendar holds is read as UTC.
        let stamp = i64::try_from(t_ms).ok().and_then(|t| Timestamp::from_millisecond(t).ok());
        let offset = stamp.map_or(0, |stamp| i64::from(self.0.to_offset(stamp).seconds()));
        let seconds = (t_ms / 1_000) as i64 + offset;
        LocalTime {
            day: seconds.div_euclid(86_400),
            minute: (seconds.rem_euclid(86_400) / 60) as u64,
        }
    }
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> &'static Self {
        static UTC: LazyLock<Zone> = LazyLock::new(|| Zone::new("UTC", "UTC0"));
        &UTC
    }

    /// Central Europe, as the law stands.
    pub fn berlin() -> Self {
        Self::new("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3")
    }

    fn new(name: &str, rule: &str) -> Self {
        Self { name: name.to_owned(), rule: rule.to_owned() }
    }

    /// The zone's clock; of a rule that cannot be read, that of UTC.
    pub fn clock(&self) -> Clock {
        Clock(self.parse().unwrap_or(TimeZone::UTC))
    }

    /// What the clock on the wall shows.
    pub fn local(&self, t_ms: TimeMs) -> LocalTime {
        self.clock().local(t_ms)
    }

    /// Whether it can be read, and shown.
    pub fn fits(&self) -> bool {
        let plain = |text: &str| {
            !text.is_empty()
                && text.len() <= TEXT_BYTES
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        plain(&self.name) && plain(&self.rule) && self.parse().is_some()
    }

    fn parse(&self) -> Option<TimeZone> {
        if self.rule.len() > TEXT_BYTES { None } else { TimeZone::posix(&self.rule).ok() }
    }
}
