//! Changes of a conversation that this person wanted and that could not be made.

use hauspost_protocol::content::{Content, Control};
use hauspost_protocol::encoding::decode;
use hauspost_protocol::ids::{LogId, MessageId, TimeMs, UserId};
use rusqlite::Connection;

use crate::inbound::marks;
use crate::outbox::intent::{Add, Create, Own, Remove, Say};
use crate::store::StoreError;
use crate::store::rows::mark::MarkKind;
use crate::store::rows::outbox::{self, Intent, IntentKind};

/// A change that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedChange {
    /// Its number; names it when it is dismissed or tried again.
    pub id: i64,
    /// What was wanted.
    pub wanted: WantedChange,
    /// Why it failed: an outcome's code, or one of [`outbox`](crate::outbox).
    pub reason: u64,
    /// When it was wanted, by the phone's clock.
    pub made_ms: TimeMs,
}

/// What was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedChange {
    /// The conversation itself, with these people.
    Create(Vec<UserId>),
    /// These people in it.
    Add(Vec<UserId>),
    /// This person out of it.
    Remove(UserId),
    /// To leave.
    Leave,
    /// New keys.
    Renew,
    /// The cipher suite that fits the group's size.
    ChangeSuite,
    /// Another name.
    Rename(String),
    /// This person as an owner, or not any more.
    Owner(UserId, bool),
    /// To say something about this message: to change it, to react to it.
    About(MessageId, MarkKind),
    /// Something that a newer build wanted.
    Newer,
}

/// The failed changes of a conversation, oldest first.
pub fn failed_changes(conn: &Connection, log: LogId) -> Result<Vec<FailedChange>, StoreError> {
    let failed = outbox::failed_changes(conn, log)?;
    Ok(failed.into_iter().map(FailedChange::from).collect())
}

impl From<Intent> for FailedChange {
    fn from(intent: Intent) -> Self {
        Self {
            id: intent.id,
            wanted: WantedChange::of(intent.kind, &intent.body).unwrap_or(WantedChange::Newer),
            reason: intent.reason.unwrap_or_default(),
            made_ms: intent.made_ms,
        }
    }
}

impl WantedChange {
    fn about((message, kind): (MessageId, MarkKind)) -> Self {
        Self::About(message, kind)
    }

    fn of(kind: IntentKind, body: &[u8]) -> Option<Self> {
        Some(match kind {
            IntentKind::Create => Self::Create(decode::<Create>(body).ok()?.members),
            IntentKind::Add => Self::Add(decode::<Add>(body).ok()?.users),
            IntentKind::Remove => Self::Remove(decode::<Remove>(body).ok()?.user),
            IntentKind::Leave => Self::Leave,
            IntentKind::Update => Self::Renew,
            IntentKind::Migrate => Self::ChangeSuite,
            IntentKind::Owner => {
                let Own { user, named } = decode(body).ok()?;
                Self::Owner(user, named)
            }
            IntentKind::Record => {
                let say: Say = decode(body).ok()?;
                match Content::read(say.ptype, &say.content) {
                    Content::Control(Control::Title(title)) => Self::Rename(title),
                    Content::Control(control) => Self::about(marks(&control.act()?)?),
                    Content::Message(message) => Self::about(marks(&message.act())?),
                    _ => return None,
                }
            }
            IntentKind::OwnState | IntentKind::Newer => return None,
        })
    }
}
