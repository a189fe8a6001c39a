//! Whether a new message makes a sound: one pure function of what it is and what the person wants.
//!
//! Apps ask for what is new ([`Account::take_notifications`](crate::account::Account::take_notifications))
//! and show it as told; they decide nothing.

use hauspost_protocol::company::policy::{QuietPlan, Zone};
use hauspost_protocol::ids::{LogId, TimeMs};

use crate::store::rows::message::Message;

/// How a person hears of a new message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Not at all: it is counted in the list, and that is all.
    Counted,
    /// It is shown, without a sound.
    Silent,
    /// It is shown, with a sound.
    Loud,
    /// It rings, in quiet hours and in a conversation that makes no sound too.
    Alarm,
}

/// What a new message is to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occasion {
    /// An alarm by somebody whom the policy lets send them.
    pub alarm: bool,
    /// It mentions the person, or everybody.
    pub mentions_me: bool,
    /// The conversation makes no sound.
    pub muted: bool,
    /// It is the person's quiet hours now.
    pub quiet: bool,
}

impl Occasion {
    /// How the person hears of it.
    pub fn loudness(self) -> Loudness {
        match self {
            Self { alarm: true, .. } => Loudness::Alarm,
            Self { muted: true, mentions_me: false, .. } => Loudness::Counted,
            Self { quiet: true, .. } | Self { muted: true, .. } => Loudness::Silent,
            _ => Loudness::Loud,
        }
    }
}

/// A new message, and how the person hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The conversation.
    pub log: LogId,
    /// The message.
    pub message: Message,
    /// How.
    pub loudness: Loudness,
}

/// The quiet hours of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    /// The person's own; none while those of the policy hold.
    pub own: Option<QuietPlan>,
    /// Those of the policy.
    pub by_policy: QuietPlan,
    /// The clock that they go by.
    pub zone: Zone,
}

impl QuietHours {
    /// Those that hold.
    pub fn plan(&self) -> &QuietPlan {
        self.own.as_ref().unwrap_or(&self.by_policy)
    }

    /// Whether it is quiet at this time.
    pub fn is_quiet(&self, t_ms: TimeMs) -> bool {
        self.plan().is_quiet(&self.zone, t_ms)
    }

    /// When the quiet hours of this time end.
    pub fn end_ms(&self, t_ms: TimeMs) -> Option<TimeMs> {
        self.plan().ends(&self.zone, t_ms)
    }
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::company::policy::QuietSpan;

    use super::*;

    #[test]
    fn what_rings_and_what_does_not_is_one_table() {
        let occasion = |alarm, mentions_me, muted, quiet| {
            Occasion { alarm, mentions_me, muted, quiet }.loudness()
        };
        for (alarm, mentions_me, muted, quiet, expected) in [
            (false, false, false, false, Loudness::Loud),
            (false, true, false, false, Loudness::Loud),
            (false, false, true, false, Loudness::Counted),
            (false, true, true, false, Loudness::Silent),
            (false, false, false, true, Loudness::Silent),
            (false, true, false, true, Loudness::Silent),
            (false, false, true, true, Loudness::Counted),
            (false, true, true, true, Loudness::Silent),
        ] {
            assert_eq!(occasion(alarm, mentions_me, muted, quiet), expected);
            assert_eq!(occasion(true, mentions_me, muted, quiet), Loudness::Alarm);
        }
    }

    #[test]
    fn own_quiet_hours_take_the_place_of_the_policys_even_if_there_are_none() {
        let always =
            QuietPlan(vec![QuietSpan { days: QuietSpan::EVERY_DAY, from_minute: 0, to_minute: 0 }]);
        let mut hours = QuietHours { own: None, by_policy: always, zone: Zone::berlin() };
        assert!(hours.is_quiet(1_000));
        hours.own = Some(QuietPlan::default());
        assert!(!hours.is_quiet(1_000));
        assert_eq!(hours.end_ms(1_000), None);
    }
}
