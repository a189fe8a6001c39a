//! Who is typing, who is there, who was last there: hints, which nobody stores, and only where the company's
//! policy lets people see it.

use hauspost_core::account::{self, Trace};

use crate::error::HauspostError;
use crate::rules::Rules;
use crate::runtime;
use crate::timeline::Timeline;

/// What is known of the people of a conversation now.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Presence {
    /// Who is writing something, who began first foremost.
    pub typing: Vec<String>,
    /// Whether the other person of a direct conversation is there, or when he last was; null if it is not known, or
    /// not to be seen.
    pub last_seen: Option<LastSeen>,
}

/// When somebody was last there, as his own phone said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct LastSeen {
    /// When: Unix time in milliseconds, never ahead of this phone's clock.
    pub time_ms: i64,
    /// Whether he is there still.
    pub here: bool,
}

#[uniffi::export]
impl Timeline {
    /// The person presses a key in this conversation; to be called at every key. The others see that he is writing,
    /// where the policy lets them and he does not withhold it; one hint goes out in four seconds at most.
    pub fn typing(&self) {
        self.core().typing(self.log());
    }

    /// Who is writing here, and when the other person of a direct conversation was last there. `Change.Presence`
    /// says when to look again.
    pub async fn presence(&self) -> Result<Presence, HauspostError> {
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.presence(log).await?.into()) }).await
    }
}

#[uniffi::export]
impl Rules {
    /// Whether this person does not show that he is writing; then he does not see it of others either.
    pub async fn withholds_typing(&self) -> Result<bool, HauspostError> {
        self.withholds(Trace::Typing).await
    }

    /// Shows nobody that this person is writing, or does again; on all of his devices.
    pub async fn withhold_typing(&self, withheld: bool) -> Result<(), HauspostError> {
        self.withhold(Trace::Typing, withheld).await
    }

    /// Whether this person does not show when he was last there; then he does not see it of others either.
    pub async fn withholds_last_seen(&self) -> Result<bool, HauspostError> {
        self.withholds(Trace::LastSeen).await
    }

    /// Shows nobody when this person was last there, or does again; on all of his devices.
    pub async fn withhold_last_seen(&self, withheld: bool) -> Result<(), HauspostError> {
        self.withhold(Trace::LastSeen, withheld).await
    }
}

impl Rules {
    async fn withholds(&self, trace: Trace) -> Result<bool, HauspostError> {
        let core = self.core();
        runtime::run(async move { Ok(core.withholds(trace).await?) }).await
    }

    async fn withhold(&self, trace: Trace, withheld: bool) -> Result<(), HauspostError> {
        let core = self.core();
        runtime::run(async move { Ok(core.withhold(trace, withheld).await?) }).await
    }
}

impl From<account::Presence> for Presence {
    fn from(presence: account::Presence) -> Self {
        let account::Presence { typing, last_seen } = presence;
        Self {
            typing: typing.iter().map(ToString::to_string).collect(),
            last_seen: last_seen.map(|account::LastSeen { t_ms, is_here }| LastSeen {
                time_ms: i64::try_from(t_ms).unwrap_or(i64::MAX),
                here: is_here,
            }),
        }
    }
}
