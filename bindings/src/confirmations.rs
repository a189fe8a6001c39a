//! Messages that everybody is to confirm: who has, who has not, and how the rest are reminded.

use hauspost_core::account::{Announced, Announcement as CoreAnnouncement, ToConfirm as Due};
use hauspost_core::read::{self, Confirming as Person};
use hauspost_core::store::rows::confirmation::Asking as Asked;

use crate::error::HauspostError;
use crate::timeline::{LineState, Timeline};
use crate::{ids, runtime};

/// That a message asks to be confirmed, and how far that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Asking {
    /// Whether the person of this phone is asked and has not: show a button that calls `confirm`.
    pub due: bool,
    /// Whether he has.
    pub mine: bool,
    /// Whether that has not reached the server yet.
    pub waiting: bool,
    /// How many people are asked. Show both numbers to the author and to owners only.
    pub asked: u64,
    /// How many of them have confirmed.
    pub confirmed: u64,
}

impl From<Asked> for Asking {
    fn from(asking: Asked) -> Self {
        let Asked { asked, confirmed, is_due, is_mine, is_waiting } = asking;
        Self { due: is_due, mine: is_mine, waiting: is_waiting, asked, confirmed }
    }
}

/// A message that the person has still to confirm.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ToConfirm {
    /// The conversation.
    pub conversation: String,
    /// The message.
    pub message_id: String,
    /// Its number, to jump there by `TimelinePart.Around`.
    pub seq: u64,
    /// Who wrote it.
    pub author: String,
    /// The beginning of what it says.
    pub text: Option<String>,
    /// When it was written, by the server: Unix time in milliseconds.
    pub time_ms: i64,
    /// When to remind the person the next time; after quiet hours, if that is in them.
    pub remind_ms: i64,
}

impl From<Due> for ToConfirm {
    fn from(due: Due) -> Self {
        let Due { message, remind_ms } = due;
        Self {
            conversation: message.log.to_string(),
            message_id: message.message_id.to_string(),
            seq: message.seq.0,
            author: message.author.to_string(),
            text: message.text,
            time_ms: message.t_ms as i64,
            remind_ms: remind_ms as i64,
        }
    }
}

/// A person who is asked to confirm a message, or came later.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Confirming {
    /// Who.
    pub person: String,
    /// The name, if the directory knows it.
    pub name: Option<String>,
    /// Whether that one was there when it was asked. Who came later was not.
    pub asked: bool,
    /// Whether that one is still there.
    pub here: bool,
    /// When that one confirmed, by the server: Unix time in milliseconds; null if not yet.
    pub confirmed_ms: Option<i64>,
    /// By which device.
    pub device: Option<String>,
    /// Whether an earlier text was confirmed: the message was changed since.
    pub before_change: bool,
}

impl From<&Person> for Confirming {
    fn from(person: &Person) -> Self {
        let confirmed = person.confirmed;
        Self {
            person: person.user.to_string(),
            name: person.name.clone(),
            asked: person.was_asked,
            here: person.is_here,
            confirmed_ms: confirmed.map(|confirmed| confirmed.t_ms as i64),
            device: confirmed.map(|confirmed| confirmed.device.to_string()),
            before_change: confirmed.is_some_and(|confirmed| confirmed.before_change),
        }
    }
}

/// Who was asked to confirm a message, and who has.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Confirmations {
    /// How many people are asked.
    pub asked: u64,
    /// How many of them have confirmed.
    pub confirmed: u64,
    /// The people, those first who have not.
    pub people: Vec<Confirming>,
    /// The list as a table for spreadsheets, in UTF-8.
    pub csv: String,
    /// The list as JSON.
    pub json: String,
}

impl From<read::Confirmations> for Confirmations {
    fn from(list: read::Confirmations) -> Self {
        Self {
            asked: list.asked() as u64,
            confirmed: list.confirmed() as u64,
            people: list.people.iter().map(Confirming::from).collect(),
            csv: list.to_csv(),
            json: list.to_json(),
        }
    }
}

/// An announcement in one of its rooms.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AnnouncedIn {
    /// The room.
    pub conversation: String,
    /// The message there.
    pub message_id: String,
    /// How far it is there.
    pub state: LineState,
    /// Why it failed there, if it did; an outcome's code.
    pub reason: Option<u64>,
}

/// An announcement of this person, as it stands in its rooms.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Announcement {
    /// The rooms.
    pub rooms: Vec<AnnouncedIn>,
    /// How many people are asked to confirm it, each counted once.
    pub asked: u64,
    /// How many of them have, in whichever room.
    pub confirmed: u64,
}

impl From<Announced> for AnnouncedIn {
    fn from(room: Announced) -> Self {
        Self {
            conversation: room.log.to_string(),
            message_id: room.message_id.to_string(),
            state: room.state.into(),
            reason: room.reason,
        }
    }
}

impl From<CoreAnnouncement> for Announcement {
    fn from(standing: CoreAnnouncement) -> Self {
        let rooms = standing.rooms.into_iter().map(AnnouncedIn::from).collect();
        Self { rooms, asked: standing.asked, confirmed: standing.confirmed }
    }
}

#[uniffi::export]
impl Timeline {
    /// Writes a text as it was typed that everybody who is there is to confirm, and gives its id. In groups and
    /// among announcements; for one with documents see `Documents.ask`.
    pub async fn ask(&self, text: String) -> Result<String, HauspostError> {
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            Ok(core.send_to_be_confirmed(log, &text, Vec::new()).await?.to_string())
        })
        .await
    }

    /// How an announcement of this person's stands in each of its rooms; null of a message that is none.
    pub async fn announcement(
        &self,
        message_id: String,
    ) -> Result<Option<Announcement>, HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(
            async move { Ok(core.announcement(log, message).await?.map(Announcement::from)) },
        )
        .await
    }

    /// Sends an announcement once more into each room in which it failed.
    pub async fn announce_again(&self, message_id: String) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.announce_again(log, message).await?) }).await
    }

    /// The person has taken note of a message that asks for it. Nobody can take that back.
    pub async fn confirm(&self, message_id: String) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.confirm(log, message).await?) }).await
    }

    /// Who was asked to confirm a message and who has, for its author and the owners.
    pub async fn confirmations(&self, message_id: String) -> Result<Confirmations, HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.confirmations(log, message).await?.into()) }).await
    }

    /// Reminds those who were asked, are still there and have not confirmed: an answer to the message with this
    /// text that mentions them. Gives its id.
    pub async fn remind(&self, message_id: String, text: String) -> Result<String, HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.remind(log, message, &text).await?.to_string()) }).await
    }
}
