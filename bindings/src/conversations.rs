//! The list of conversations.

use std::sync::Arc;

use hauspost_core::account::{Account as Core, NewRoom, OwnRoom};
use hauspost_core::env::Clock as _;
use hauspost_core::env::system::SystemClock;
use hauspost_core::read::{self, ConversationCursor};
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::{Fate, MessageKind, MessageState};
use hauspost_protocol::body::{HistoryRule, LogType};

use crate::confirmations::ToConfirm;
use crate::error::HauspostError;
use crate::timeline::{Line, LineState};
use crate::{ids, runtime};

/// What kind of conversation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ConversationKind {
    /// Two people.
    Direct,
    /// A group; every member may invite.
    Group,
    /// Announcements: owners write, the others acknowledge.
    Announcements,
    /// A person's own devices among themselves.
    Notes,
}

/// Whether a conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ConversationState {
    /// It does.
    Active,
    /// This person left or was removed; the history stays.
    Left,
    /// Something about it cannot be believed; nothing is sent or shown of it any more, and the admin is told.
    Stopped,
    /// It is being mended; what is written now is sent afterwards.
    Mending,
    /// What somebody left behind, handed over to this person, who is not in it: to be read only.
    HandedOver,
    /// Something that only a newer app knows.
    UpdateApp,
}

/// A row of the list.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// What kind it is.
    pub kind: ConversationKind,
    /// Whether it goes on.
    pub state: ConversationState,
    /// A group's name, or that of the other person; null if neither is known.
    pub title: Option<String>,
    /// Whose past it is, if it was handed over to this person.
    pub handed_over_from: Option<String>,
    /// When that was signed: Unix time in milliseconds.
    pub handed_over_ms: Option<i64>,
    /// The other person of a direct one.
    pub peer: Option<String>,
    /// The newest line of its timeline.
    pub last: Option<LastLine>,
    /// When it last changed: Unix time in milliseconds.
    pub time_ms: i64,
    /// Messages of others that were not read.
    pub unread: u64,
    /// How many of them mention the person; shown for a muted conversation too.
    pub unread_mentions: u64,
    /// How many messages the person has still to confirm, read or not.
    pub to_confirm: u64,
    /// Names the picture of a group or of announcements, if it has one: another number, another picture.
    pub picture: Option<u64>,
    /// The newest entry that was read.
    pub read_seq: Option<u64>,
    /// Whether it makes no sound now.
    pub muted: bool,
    /// Until when it makes no sound, if that was set: Unix time in milliseconds, the largest number for ever.
    pub muted_until_ms: Option<i64>,
    /// Whether the person put it away.
    pub archived: bool,
    /// Whether it stands on top of the list.
    pub favourite: bool,
    /// What the person began to write.
    pub draft: Option<String>,
    /// Which draft it is, for `set_draft_from`: it changes when another device of the person changes the draft.
    pub draft_version: u64,
}

/// A room for announcements in which the person may write.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AnnouncementRoom {
    /// Its id.
    pub id: String,
    /// Its name, if it has one.
    pub title: Option<String>,
}

/// A conversation of several people that is to begin.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RoomToBegin {
    /// Its name. The server never learns it.
    pub title: String,
    /// Who is to be in it.
    pub people: Vec<String>,
    /// Whether only owners write, and the others confirm.
    pub announcements: bool,
    /// Whether those who come later get what was said before. It never changes.
    pub newcomers_see_past: bool,
}

/// What the newest line of a timeline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LastLineKind {
    /// A message.
    Text,
    /// Something happened to the conversation; `event` says what.
    Event,
    /// Something that could not be opened or is not valid.
    Gap,
    /// Messages whose keys this device does not have yet.
    Unreadable,
    /// A message that a rule of retention erased.
    Erased,
    /// A message that its author took back.
    TakenBack,
    /// A message that an owner of the group hid.
    Hidden,
    /// A place; the text is its name and where it is.
    Place,
    /// A contact; the first line of the text is its name.
    Contact,
    /// A poll; the first line of the text is the question.
    Poll,
    /// Something that only a newer app can show.
    UpdateApp,
}

/// The newest line of a timeline, as the list shows it.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct LastLine {
    /// Who wrote it.
    pub author: String,
    /// What it is.
    pub kind: LastLineKind,
    /// The beginning of a message.
    pub text: Option<String>,
    /// How far it is.
    pub state: LineState,
    /// What happened to the conversation, if the line says that.
    pub event: Option<Line>,
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ConversationPage {
    /// The rows: favourites in their order, then the newest first.
    pub rows: Vec<Conversation>,
    /// What to ask the next page with; null at the end.
    pub next: Option<PageEnd>,
}

/// Where a page ended. It means nothing to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct PageEnd {
    /// The last row's time.
    pub order_ms: u64,
    /// The last row's number.
    pub number: i64,
    /// Whether it is a favourite.
    pub is_favourite: bool,
}

impl From<PageEnd> for ConversationCursor {
    fn from(end: PageEnd) -> Self {
        let PageEnd { order_ms, number, is_favourite } = end;
        Self { order_ms, number, is_favourite }
    }
}

impl From<ConversationCursor> for PageEnd {
    fn from(end: ConversationCursor) -> Self {
        let ConversationCursor { order_ms, number, is_favourite } = end;
        Self { order_ms, number, is_favourite }
    }
}

impl ConversationPage {
    pub(crate) fn of(rows: Vec<read::ConversationRow>, limit: u32) -> Self {
        let is_last = rows.len() < limit.clamp(1, read::PAGE_ROWS) as usize;
        let end = rows.last().filter(|_| !is_last).map(|row| row.cursor.into());
        Self { rows: rows.into_iter().map(Conversation::from).collect(), next: end }
    }
}

/// The list of conversations, and how new ones begin.
#[derive(uniffi::Object)]
pub struct Conversations(Core);

impl Conversations {
    pub(crate) fn new(core: Core) -> Arc<Self> {
        Arc::new(Self(core))
    }

    pub(crate) fn core(&self) -> Core {
        self.0.clone()
    }
}

#[uniffi::export]
impl Conversations {
    /// At most `limit` conversations (500 at most) after those of the page before: favourites, then the newest. Those that
    /// are put away are a list of their own.
    pub async fn page(
        &self,
        after: Option<PageEnd>,
        limit: u32,
    ) -> Result<ConversationPage, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            let rows = core.conversations(after.map(Into::into), limit).await?;
            Ok(ConversationPage::of(rows, limit))
        })
        .await
    }

    /// One conversation; null if this phone does not have it.
    pub async fn find(&self, id: String) -> Result<Option<Conversation>, HauspostError> {
        let log = ids::conversation(&id)?;
        let core = self.0.clone();
        runtime::run(async move { Ok(core.conversation(log).await?.map(Conversation::from)) }).await
    }

    /// The conversation with this person; begins one if there is none. Works offline.
    pub async fn create_direct(&self, person: String) -> Result<String, HauspostError> {
        let person = ids::user(&person)?;
        let core = self.0.clone();
        runtime::run(async move { Ok(core.create_dm(person).await?.to_string()) }).await
    }

    /// Begins a group with these people. Works offline. The server never learns the title.
    pub async fn create_group(
        &self,
        title: String,
        people: Vec<String>,
    ) -> Result<String, HauspostError> {
        let people = ids::users(&people)?;
        let core = self.0.clone();
        runtime::run(async move { Ok(core.create_group(Some(&title), people).await?.to_string()) })
            .await
    }

    /// Begins a group, or a room for announcements in which only owners write. Works offline.
    pub async fn create_room(&self, room: RoomToBegin) -> Result<String, HauspostError> {
        let RoomToBegin { title, people, announcements, newcomers_see_past } = room;
        let people = ids::users(&people)?;
        let history = if newcomers_see_past { HistoryRule::Members } else { HistoryRule::None };
        let room = NewRoom { title: Some(title), people, announces: announcements, history };
        let core = self.0.clone();
        runtime::run(async move { Ok(core.create_room(room).await?.to_string()) }).await
    }

    /// The rooms for announcements in which the person may write, by name.
    pub async fn announcement_rooms(&self) -> Result<Vec<AnnouncementRoom>, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            let rooms = core.announcement_rooms().await?.into_iter();
            let named =
                |room: OwnRoom| AnnouncementRoom { id: room.log.to_string(), title: room.title };
            Ok(rooms.map(named).collect())
        })
        .await
    }

    /// Writes a text as it was typed into several rooms for announcements, as one announcement, and gives the messages'
    /// ids in the order of the rooms. Works offline. What is changed, taken back or reminded of then goes to all of
    /// them, and `Timeline.confirmations` shows its author all rooms as one.
    pub async fn announce(
        &self,
        rooms: Vec<String>,
        text: String,
        to_be_confirmed: bool,
    ) -> Result<Vec<String>, HauspostError> {
        let rooms =
            rooms.iter().map(|room| ids::conversation(room)).collect::<Result<Vec<_>, _>>()?;
        let core = self.0.clone();
        runtime::run(async move {
            let said = core.announce(&rooms, &text, to_be_confirmed).await?;
            Ok(said.into_iter().map(|id| id.to_string()).collect())
        })
        .await
    }

    /// The messages of all conversations that the person has still to confirm, the longest known first. An app
    /// sets a local notification for each at its `remind_ms`, and asks again after `Change.Conversations`.
    pub async fn to_confirm(&self) -> Result<Vec<ToConfirm>, HauspostError> {
        let core = self.0.clone();
        runtime::run(async move {
            Ok(core.to_confirm().await?.into_iter().map(ToConfirm::from).collect())
        })
        .await
    }

    /// Unread messages of all conversations, for the app's badge.
    pub async fn unread_total(&self) -> Result<u64, HauspostError> {
        let store = self.0.store().clone();
        runtime::run(async move { Ok(store.read(read::unread_total).await?) }).await
    }
}

impl From<read::ConversationRow> for Conversation {
    fn from(row: read::ConversationRow) -> Self {
        let muted = row.is_muted(SystemClock.now_ms());
        Self {
            id: row.log.to_string(),
            kind: match row.r#type {
                LogType::Dm => ConversationKind::Direct,
                LogType::Group => ConversationKind::Group,
                LogType::Announce => ConversationKind::Announcements,
                LogType::SelfNotes => ConversationKind::Notes,
            },
            state: match row.state {
                LogState::Active => ConversationState::Active,
                LogState::Left => ConversationState::Left,
                LogState::Stopped => ConversationState::Stopped,
                LogState::Broken => ConversationState::Mending,
                LogState::HandedOver => ConversationState::HandedOver,
                LogState::Newer => ConversationState::UpdateApp,
            },
            title: row.title,
            handed_over_from: row.handed.map(|handed| handed.from.to_string()),
            handed_over_ms: row.handed.map(|handed| handed.t_ms as i64),
            peer: row.peer.map(|user| user.to_string()),
            last: row.last.map(LastLine::from),
            time_ms: row.last_ms as i64,
            unread: row.unread,
            unread_mentions: row.unread_mentions,
            to_confirm: row.to_confirm,
            picture: row.picture.map(|seq| seq.0),
            read_seq: row.read_seq.map(|seq| seq.0),
            muted,
            muted_until_ms: row.muted_until.map(|until_ms| until_ms as i64),
            archived: row.archived,
            favourite: row.favourite.is_some(),
            draft: row.draft,
            draft_version: row.draft_version,
        }
    }
}

impl From<read::LastLine> for LastLine {
    fn from(last: read::LastLine) -> Self {
        Self {
            author: last.author.to_string(),
            kind: match (last.kind, last.state) {
                (_, MessageState::Erased) => LastLineKind::Erased,
                _ if last.fate == Fate::Deleted => LastLineKind::TakenBack,
                _ if last.fate == Fate::Redacted => LastLineKind::Hidden,
                (MessageKind::Text | MessageKind::File, _) => LastLineKind::Text,
                (MessageKind::Place, _) => LastLineKind::Place,
                (MessageKind::Contact, _) => LastLineKind::Contact,
                (MessageKind::Poll, _) => LastLineKind::Poll,
                (MessageKind::Event, _) => LastLineKind::Event,
                (MessageKind::Gap, _) => LastLineKind::Gap,
                (MessageKind::Unreadable, _) => LastLineKind::Unreadable,
                (MessageKind::Unknown | MessageKind::Newer, _) => LastLineKind::UpdateApp,
            },
            text: last.text,
            state: last.state.into(),
            event: last.event.map(Line::from),
        }
    }
}
