//! What the company decided for everybody, what it can see, and what a person decides: quiet hours, receipts, and
//! how loud a new message is.

use std::sync::Arc;

use hauspost_core::account::{Account as Core, HandoverInForce, PolicyInForce};
use hauspost_core::notify::{self, QuietHours};
use hauspost_core::store::rows::message;
use hauspost_protocol::company::policy::{QuietPlan, QuietSpan, WhoMayCallAll};

use crate::error::HauspostError;
use crate::runtime;

/// New messages of a conversation that are told at once.
const NOTIFICATIONS: u32 = 100;

/// The signed policy, for a page "What my company can see".
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct CompanyPolicy {
    /// Its version; null while there is none, and the rest is what holds without one.
    pub version: Option<u64>,
    /// SHA-256 of the signed document, hexadecimal.
    pub fingerprint: String,
    /// The same of the part that the works council signs. It changes only when the council was asked.
    pub council_fingerprint: String,
    /// The entry of the company log.
    pub entry: Option<u64>,
    /// Whether people see that their messages were read.
    pub read_receipts: bool,
    /// Whether showing that somebody is writing is allowed.
    pub typing: bool,
    /// Whether showing when somebody was last there is allowed.
    pub last_seen: bool,
    /// Whether anything may be counted for single people.
    pub statistics: bool,
    /// For how many days phones keep receipts.
    pub behaviour_days: u64,
    /// Whether anybody may send alarms that ring in quiet hours.
    pub alarms: bool,
    /// Whether whoever joins a conversation may read what was written before, whatever the conversation says.
    pub history_for_members: bool,
    /// Whether a handover to a successor needs the works council.
    pub handover_council: bool,
    /// The handovers in force that concern this person.
    pub handovers: Vec<Handover>,
    /// Who may call everybody by @all.
    pub at_all: WhoCallsAll,
    /// The largest document that may be sent, in bytes.
    pub document_bytes: u64,
    /// The company's time zone.
    pub zone: String,
    /// How many compliance officers there are; two of them open the archive, with the works council.
    pub officers: u64,
    /// How many members of the works council can; one of them is needed.
    pub council_members: u64,
    /// How often the archive was opened so far.
    pub openings: u64,
}

/// Who may call everybody in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum WhoCallsAll {
    /// Every member.
    Everyone,
    /// Owners.
    Owners,
    /// Nobody.
    Nobody,
}

/// What somebody had in conversations, and who has it now, by an entry that HR signed, and the works council
/// unless the policy says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Handover {
    /// The leaver.
    pub from: String,
    /// The successor.
    pub to: String,
    /// When it was signed: Unix time in milliseconds.
    pub time_ms: i64,
    /// Whether it is about all conversations of the leaver, and all of their past.
    pub whole: bool,
}

/// A stretch of quiet hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct QuietStretch {
    /// On which days it begins: bit 0 is Monday, bit 6 Sunday.
    pub days: u8,
    /// The minute of the day at which it begins, 0 to 1439.
    pub from_minute: u32,
    /// The minute at which it ends, 0 to 1440; on the day after, unless it is later than the beginning.
    pub to_minute: u32,
}

/// When this person's phone stays silent.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Quiet {
    /// The person's own hours; null while those of the company hold. An empty list is none at all.
    pub own: Option<Vec<QuietStretch>>,
    /// Those of the company.
    pub by_company: Vec<QuietStretch>,
    /// The clock that they go by.
    pub zone: String,
}

/// How a person hears of a new message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Loudness {
    /// Not at all; it is counted in the list.
    Counted,
    /// Shown, without a sound.
    Silent,
    /// Shown, with a sound.
    Loud,
    /// It rings, whatever the person has set.
    Alarm,
}

/// A new message to tell the person of.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Notification {
    /// The conversation.
    pub conversation: String,
    /// The message.
    pub message_id: String,
    /// Who wrote it.
    pub author: String,
    /// What it says; null if only a newer app can show it.
    pub text: Option<String>,
    /// How loud it is.
    pub loudness: Loudness,
}

/// How far a message of one's own has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Reach {
    /// How many other people are in the conversation.
    pub of: u64,
    /// How many of them have it on a phone.
    pub delivered: u64,
    /// How many of them have read it; null where nobody says so.
    pub read: Option<u64>,
}

/// What the company and the person have decided.
#[derive(uniffi::Object)]
pub struct Rules(Core);

impl Rules {
    pub(crate) fn new(core: Core) -> Arc<Self> {
        Arc::new(Self(core))
    }

    pub(crate) fn core(&self) -> Core {
        self.0.clone()
    }
}

#[uniffi::export]
impl Rules {
    /// The signed policy in force.
    pub async fn policy(&self) -> Result<CompanyPolicy, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.policy().await?.into()) }).await
    }

    /// When this person's phone stays silent.
    pub async fn quiet(&self) -> Result<Quiet, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.quiet_hours().await?.into()) }).await
    }

    /// Sets hours of the person's own; null lets those of the company hold.
    pub async fn set_quiet(&self, own: Option<Vec<QuietStretch>>) -> Result<(), HauspostError> {
        let core = self.0.clone();
        let plan = own.map(|own| QuietPlan(own.into_iter().map(QuietSpan::from).collect()));
        runtime::run(async move { Ok(core.set_quiet_hours(plan).await?) }).await
    }

    /// Whether this person withholds what he reads; then he does not see what others read either.
    pub async fn withholds_receipts(&self) -> Result<bool, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.withholds_receipts().await?) }).await
    }

    /// Withholds what this person reads, or does not any more.
    pub async fn withhold_receipts(&self, withheld: bool) -> Result<(), HauspostError> {
        let core = self.0.clone();
        runtime::run(async move { Ok(core.withhold_receipts(withheld).await?) }).await
    }

    /// The new messages that the person was not told of, the newest first, and how loud each is. Each is given once:
    /// to be asked for at every change of a conversation.
    pub async fn take_notifications(&self) -> Result<Vec<Notification>, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            let told = core.take_notifications(NOTIFICATIONS).await?;
            Ok(told.into_iter().map(Notification::from).collect())
        })
        .await
    }
}

impl From<HandoverInForce> for Handover {
    fn from(known: HandoverInForce) -> Self {
        Self {
            from: known.from.to_string(),
            to: known.to.to_string(),
            time_ms: known.t_ms as i64,
            whole: known.is_whole,
        }
    }
}

impl From<PolicyInForce> for CompanyPolicy {
    fn from(policy: PolicyInForce) -> Self {
        let (council, general) = (policy.terms.council, policy.terms.general);
        Self {
            version: policy.version,
            fingerprint: policy.fingerprint.to_string(),
            council_fingerprint: policy.council_fingerprint.to_string(),
            entry: policy.entry.map(|entry| entry.0),
            read_receipts: council.read_receipts,
            typing: council.typing,
            last_seen: council.last_seen,
            statistics: council.statistics,
            behaviour_days: council.behaviour_days,
            alarms: !council.alarms.is_empty(),
            history_for_members: council.history_for_members,
            handover_council: council.handover_council,
            handovers: policy.handovers.into_iter().map(Handover::from).collect(),
            at_all: match general.at_all {
                WhoMayCallAll::Everyone => WhoCallsAll::Everyone,
                WhoMayCallAll::Owners => WhoCallsAll::Owners,
                WhoMayCallAll::Nobody => WhoCallsAll::Nobody,
            },
            document_bytes: general.document_bytes,
            zone: general.zone().name.clone(),
            officers: policy.officers,
            council_members: policy.council,
            openings: policy.openings,
        }
    }
}

impl From<QuietHours> for Quiet {
    fn from(hours: QuietHours) -> Self {
        let stretches = |plan: QuietPlan| plan.0.into_iter().map(QuietStretch::from).collect();
        Self {
            own: hours.own.map(stretches),
            by_company: stretches(hours.by_policy),
            zone: hours.zone.name,
        }
    }
}

impl From<QuietSpan> for QuietStretch {
    fn from(span: QuietSpan) -> Self {
        // A span that fits has seven days and at most 1,440 minutes; others are not stored.
        let minute = |minute| u32::try_from(minute).unwrap_or_default();
        Self {
            days: u8::try_from(span.days).unwrap_or_default(),
            from_minute: minute(span.from_minute),
            to_minute: minute(span.to_minute),
        }
    }
}

impl From<QuietStretch> for QuietSpan {
    fn from(stretch: QuietStretch) -> Self {
        Self {
            days: u64::from(stretch.days),
            from_minute: u64::from(stretch.from_minute),
            to_minute: u64::from(stretch.to_minute),
        }
    }
}

impl From<notify::Notification> for Notification {
    fn from(told: notify::Notification) -> Self {
        let notify::Notification { log, message, loudness } = told;
        Self {
            conversation: log.to_string(),
            message_id: message.message_id.to_string(),
            author: message.author.to_string(),
            text: message.text,
            loudness: match loudness {
                notify::Loudness::Counted => Loudness::Counted,
                notify::Loudness::Silent => Loudness::Silent,
                notify::Loudness::Loud => Loudness::Loud,
                notify::Loudness::Alarm => Loudness::Alarm,
            },
        }
    }
}

impl From<message::Reach> for Reach {
    fn from(reach: message::Reach) -> Self {
        let message::Reach { of, delivered, read } = reach;
        Self { of, delivered, read }
    }
}
