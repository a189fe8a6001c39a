//! One conversation: its timeline a page at a time, and what a person does in it.

use std::sync::Arc;

use hauspost_core::account::Account as Core;
use hauspost_core::read::{self, WantedChange, Window};
use hauspost_core::store::rows::file::ShownFile;
use hauspost_core::store::rows::message::{Event, Fate, Message, MessageKind, MessageState};
use hauspost_protocol::ids::{LogId, Seq, UserId};

use crate::cards::{Contact, Place, Poll, Voice};
use crate::error::{Failure, HauspostError};
use crate::previews::PreviewState;
use crate::rules::Reach;
use crate::talk::Talk;
use crate::{ids, runtime};

/// What a line of a timeline is.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum Line {
    /// A message.
    Text {
        /// What it says.
        text: String,
    },
    /// The conversation was created.
    Created,
    /// People joined.
    Joined {
        /// Who.
        people: Vec<String>,
    },
    /// People were removed.
    Removed {
        /// Who.
        people: Vec<String>,
    },
    /// People left by themselves.
    Left {
        /// Who.
        people: Vec<String>,
    },
    /// The conversation's keys were made anew with everybody in it, by the row's author.
    Reset,
    /// The row's author made a person an owner.
    MadeOwner {
        /// Whom.
        person: String,
    },
    /// The row's author let a person be no owner any more.
    NoOwner {
        /// Whom.
        person: String,
    },
    /// The row's author gave the conversation this name, or took it away if that is empty.
    Titled {
        /// The name.
        title: String,
    },
    /// The row's author gave the conversation a picture, or took it away.
    Pictured {
        /// Whether there is one.
        set: bool,
    },
    /// What one person had said and read here was handed over to another, as the company's HR, and the works
    /// council unless the policy says otherwise, signed it.
    HandedOver {
        /// The leaver.
        from: String,
        /// The successor.
        to: String,
        /// When it was signed: Unix time in milliseconds.
        time_ms: i64,
    },
    /// Something that could not be opened or is not valid. It stays visible, and is never skipped silently.
    Gap,
    /// Messages whose keys this device does not have yet; `missing` of the line says how many.
    Unreadable,
    /// A message that a rule of retention erased.
    Erased,
    /// A message that its author took back.
    TakenBack,
    /// A message that an owner of the group hid.
    Hidden,
    /// A place.
    Place {
        /// Where.
        place: Place,
    },
    /// A contact.
    Contact {
        /// Whose.
        contact: Contact,
    },
    /// A poll, as it stands.
    Poll {
        /// What is asked, and what was chosen.
        poll: Poll,
    },
    /// Something that only a newer app can show.
    UpdateApp,
}

/// How far a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LineState {
    /// Somebody else's, as it came.
    Received,
    /// Our own, waiting for the server.
    Waiting,
    /// Our own, taken by the server.
    Sent,
    /// Our own, covered by a signed checkpoint: it cannot disappear unnoticed any more.
    Secured,
    /// Our own, not sent, with a reason in `failure`.
    Failed,
}

/// A line of a timeline.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct TimelineRow {
    /// Orders the timeline; changes once, when the server takes the message.
    pub key: i64,
    /// The message's id; it never changes.
    pub message_id: String,
    /// Its number, once the server took it.
    pub seq: Option<u64>,
    /// Who wrote it.
    pub author: String,
    /// Whether that is the person of this phone.
    pub mine: bool,
    /// When: Unix time in milliseconds, by the server, or by this phone while it waits.
    pub time_ms: i64,
    /// How many messages of the same phone are missing right before it.
    pub missing: u64,
    /// What it is.
    pub line: Line,
    /// How far it is.
    pub state: LineState,
    /// Whether it is an alarm, by somebody whom the policy lets send them.
    pub alarm: bool,
    /// How far it has come to the others, of a message of our own that the server took.
    pub reach: Option<Reach>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// The documents that it brings.
    pub documents: Vec<Document>,
    /// How long it is and how it looks, if it is a voice message; its sound is its one document.
    pub voice: Option<Voice>,
    /// What its text was written as, if it is formatted.
    pub markdown: Option<String>,
    /// What people say about it, and how it looks; null for what nobody wrote and for what is hidden.
    pub talk: Option<Talk>,
}

/// A document of a message.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Document {
    /// Its place among the message's documents.
    pub position: u32,
    /// Its name, as the author's phone had it: not safe for a file system.
    pub name: String,
    /// Its media type, as the author's phone named it.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether all of it lies on this phone.
    pub is_here: bool,
    /// How many pages it has, if it is known to have pages: before it is fetched as its author's phone said.
    pub pages: Option<u32>,
    /// How far its preview is, if it has one.
    pub preview: Option<PreviewState>,
}

impl From<ShownFile> for Document {
    fn from(file: ShownFile) -> Self {
        let ShownFile { position, name, media_type, size, is_here, pages, preview, .. } = file;
        let preview = preview.map(PreviewState::from);
        Self { position, name, media_type, size, is_here, pages, preview }
    }
}

/// Which part of a timeline is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TimelinePart {
    /// The end of it.
    Newest,
    /// What stands right before this row.
    Before {
        /// The row's key.
        key: i64,
    },
    /// What stands right after this row.
    After {
        /// The row's key.
        key: i64,
    },
    /// Half of it before this entry and half from it on: a search's hit, or the first unread one.
    Around {
        /// The entry's number.
        seq: u64,
    },
}

/// A page of a timeline.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct TimelinePage {
    /// The rows, oldest first.
    pub rows: Vec<TimelineRow>,
    /// Whether older rows stand before the first.
    pub more_before: bool,
    /// Whether newer rows stand after the last.
    pub more_after: bool,
    /// How much of the past of the conversation has come of what this device asked for: "history is
    /// coming: n of m". Null when nothing is on its way.
    pub history: Option<HistoryProgress>,
}

/// How much of a conversation's past has come to a device that came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct HistoryProgress {
    /// So many messages have come.
    pub came: u64,
    /// Of so many that were asked for.
    pub asked: u64,
}

/// What this person wanted to change.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ChangeWanted {
    /// To begin the conversation.
    Create {
        /// With whom.
        people: Vec<String>,
    },
    /// To add people.
    Add {
        /// Whom.
        people: Vec<String>,
    },
    /// To remove a person.
    Remove {
        /// Whom.
        person: String,
    },
    /// To leave.
    Leave,
    /// To give it another name.
    Rename {
        /// Which.
        title: String,
    },
    /// To make a person an owner, or not any more.
    Owner {
        /// Whom.
        person: String,
        /// Whether he is to be one.
        named: bool,
    },
    /// To say something about a message: to change it, take it back, react to it.
    About {
        /// Which.
        message_id: String,
    },
    /// Something else.
    Other,
}

/// A change that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FailedChange {
    /// Names it when it is dismissed or tried again.
    pub id: i64,
    /// What was wanted.
    pub wanted: ChangeWanted,
    /// When it was wanted, by this phone: Unix time in milliseconds.
    pub time_ms: i64,
    /// Why it failed.
    pub failure: Failure,
}

/// One conversation.
#[derive(uniffi::Object)]
pub struct Timeline {
    pub(crate) core: Core,
    pub(crate) log: LogId,
}

impl Timeline {
    pub(crate) fn new(core: Core, log: LogId) -> Arc<Self> {
        Arc::new(Self { core, log })
    }

    pub(crate) fn core(&self) -> Core {
        self.core.clone()
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }
}

#[uniffi::export]
impl Timeline {
    /// The conversation's id.
    pub fn conversation(&self) -> String {
        self.log.to_string()
    }

    /// At most `limit` rows (500 at most; 50 are a screen and more).
    pub async fn page(
        &self,
        part: TimelinePart,
        limit: u32,
    ) -> Result<TimelinePage, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        let window = match part {
            TimelinePart::Newest => Window::Newest,
            TimelinePart::Before { key } => Window::Before(key),
            TimelinePart::After { key } => Window::After(key),
            TimelinePart::Around { seq } => Window::Around(Seq(seq)),
        };
        runtime::run(async move {
            let (page, me) = (core.timeline(log, window, limit).await?, core.user());
            Ok(TimelinePage {
                rows: page.rows.into_iter().map(|row| TimelineRow::new(row, me)).collect(),
                more_before: page.more_before,
                more_after: page.more_after,
                history: page
                    .history
                    .map(|history| HistoryProgress { came: history.came(), asked: history.asked }),
            })
        })
        .await
    }

    /// Writes a message and gives its id. It is stored when this returns, and is sent as soon as the server can
    /// be reached, also after the app was killed.
    pub async fn send_text(&self, text: String) -> Result<String, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.send_text(log, &text).await?.to_string()) }).await
    }

    /// Writes a message that answers another one.
    pub async fn reply(&self, text: String, to: String) -> Result<String, HauspostError> {
        let to = ids::message(&to)?;
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.reply(log, &text, to).await?.to_string()) }).await
    }

    /// The person read everything up to this entry. Never goes back.
    pub async fn mark_read(&self, up_to_seq: u64) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.mark_read(log, Seq(up_to_seq)).await?) }).await
    }

    /// Keeps what the person began to write; null or nothing but space forgets it.
    pub async fn set_draft(&self, text: Option<String>) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.set_draft(log, text).await?) }).await
    }

    /// Asks other devices for what is not readable here at the next occasion, also if none answered before.
    pub async fn ask_again(&self) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.ask_again(log).await?) }).await
    }

    /// The people of the conversation, as far as the server has taken the changes.
    pub async fn members(&self) -> Result<Vec<String>, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move {
            Ok(core.members(log).await?.iter().map(ToString::to_string).collect())
        })
        .await
    }

    /// Adds people. Those who cannot be added yet are left out.
    pub async fn add(&self, people: Vec<String>) -> Result<(), HauspostError> {
        let people = ids::users(&people)?;
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.add_members(log, people).await?) }).await
    }

    /// Removes a person with all their phones.
    pub async fn remove(&self, person: String) -> Result<(), HauspostError> {
        let person = ids::user(&person)?;
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.remove_member(log, person).await?) }).await
    }

    /// Makes the group's keys anew in the cipher suite that fits its size, once; an owner does so when
    /// it grew past a hundred devices. Everybody sees a line about it.
    pub async fn change_suite(&self) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.change_suite(log).await?) }).await
    }

    /// Sends a text as an alarm, which rings in everybody's quiet hours. Only whom the company's policy names may.
    pub async fn send_alarm(&self, text: String) -> Result<String, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.send_alarm(log, &text).await?.to_string()) }).await
    }

    /// Gives the conversation another name. The server never learns it.
    pub async fn rename(&self, title: String) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.rename(log, &title).await?) }).await
    }

    /// Whether the conversation makes no sound, on all devices of the person.
    pub async fn set_muted(&self, muted: bool) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.set_muted(log, muted).await?) }).await
    }

    /// The changes that this person wanted here and that could not be made, oldest first. `Change.Outbox` says
    /// when to look again.
    pub async fn failed_changes(&self) -> Result<Vec<FailedChange>, HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move {
            let failed = core.failed_changes(log).await?;
            Ok(failed.into_iter().map(FailedChange::from).collect())
        })
        .await
    }

    /// The person knows that a change failed; it is not shown any more.
    pub async fn dismiss(&self, id: i64) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.dismiss(log, id).await?) }).await
    }

    /// Tries a change once more that failed.
    pub async fn try_again(&self, id: i64) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.try_again(log, id).await?) }).await
    }

    /// Leaves the conversation. Its history stays on this phone.
    pub async fn leave(&self) -> Result<(), HauspostError> {
        let (core, log) = (self.core.clone(), self.log);
        runtime::run(async move { Ok(core.leave(log).await?) }).await
    }
}

impl From<read::FailedChange> for FailedChange {
    fn from(failed: read::FailedChange) -> Self {
        let names = |people: Vec<UserId>| people.iter().map(UserId::to_string).collect();
        Self {
            id: failed.id,
            wanted: match failed.wanted {
                WantedChange::Create(people) => ChangeWanted::Create { people: names(people) },
                WantedChange::Add(people) => ChangeWanted::Add { people: names(people) },
                WantedChange::Remove(user) => ChangeWanted::Remove { person: user.to_string() },
                WantedChange::Leave => ChangeWanted::Leave,
                WantedChange::Rename(title) => ChangeWanted::Rename { title },
                WantedChange::Owner(user, named) => {
                    ChangeWanted::Owner { person: user.to_string(), named }
                }
                WantedChange::About(message, _) => {
                    ChangeWanted::About { message_id: message.to_string() }
                }
                WantedChange::Renew | WantedChange::ChangeSuite | WantedChange::Newer => {
                    ChangeWanted::Other
                }
            },
            time_ms: failed.made_ms as i64,
            failure: Failure::of(Some(failed.reason)),
        }
    }
}

impl TimelineRow {
    fn new(row: Message, me: UserId) -> Self {
        let talk = Talk::of(&row);
        Self {
            talk,
            voice: row.voice.as_ref().map(Voice::of),
            markdown: row.saying.markdown,
            key: row.key,
            message_id: row.message_id.to_string(),
            seq: row.seq.map(|seq| seq.0),
            author: row.author.to_string(),
            mine: row.author == me,
            time_ms: row.t_ms as i64,
            missing: row.missing,
            line: match row.fate {
                Fate::Deleted => Line::TakenBack,
                Fate::Redacted => Line::Hidden,
                _ if let Some(shown) = row.card.clone() => Line::of_card(shown),
                _ => Line::new(row.kind, row.state, row.text, row.content.as_deref()),
            },
            state: row.state.into(),
            alarm: row.saying.alarm,
            reach: row.reach.map(Reach::from),
            failure: (row.state == MessageState::Failed).then(|| Failure::of(row.reason)),
            documents: row.files.into_iter().map(Document::from).collect(),
        }
    }
}

impl Line {
    pub(crate) fn new(
        kind: MessageKind,
        state: MessageState,
        text: Option<String>,
        content: Option<&[u8]>,
    ) -> Self {
        match (kind, state) {
            (_, MessageState::Erased) => Self::Erased,
            (MessageKind::Text | MessageKind::File, _) => match text {
                Some(text) => Self::Text { text },
                None => Self::UpdateApp,
            },
            (MessageKind::Gap, _) => Self::Gap,
            (MessageKind::Unreadable, _) => Self::Unreadable,
            (MessageKind::Event, _) => Event::from_content(content.unwrap_or_default()).into(),
            // Those that show their card are not asked here.
            (MessageKind::Place | MessageKind::Contact | MessageKind::Poll, _)
            | (MessageKind::Unknown | MessageKind::Newer, _) => Self::UpdateApp,
        }
    }
}

impl From<Event> for Line {
    fn from(event: Event) -> Self {
        let names = |people: Vec<UserId>| people.iter().map(UserId::to_string).collect();
        match event {
            Event::Created => Self::Created,
            Event::Joined(people) => Self::Joined { people: names(people) },
            Event::Removed(people) => Self::Removed { people: names(people) },
            Event::Left(people) => Self::Left { people: names(people) },
            Event::Reset => Self::Reset,
            Event::Owner(user) => Self::MadeOwner { person: user.to_string() },
            Event::NoOwner(user) => Self::NoOwner { person: user.to_string() },
            Event::Titled(title) => Self::Titled { title },
            Event::Pictured(set) => Self::Pictured { set },
            Event::HandedOver { from, to, at_ms } => Self::HandedOver {
                from: from.to_string(),
                to: to.to_string(),
                time_ms: at_ms as i64,
            },
            Event::Newer => Self::UpdateApp,
        }
    }
}

impl From<MessageState> for LineState {
    fn from(state: MessageState) -> Self {
        match state {
            MessageState::Received | MessageState::Erased | MessageState::Newer => Self::Received,
            MessageState::Queued => Self::Waiting,
            MessageState::Sent => Self::Sent,
            MessageState::Secured => Self::Secured,
            MessageState::Failed => Self::Failed,
        }
    }
}
