//! An announcement to several rooms at once: written once, one message in each, shown as one (docs/attacks.md 42).
//!
//! A company of more than a thousand devices needs several rooms, since a conversation has a thousand leaves at
//! most. Its author's phone writes one message for each, all in one transaction and under one id of the
//! announcement; what is changed, taken back, confirmed or reminded of goes the same way. Each room fails, and is
//! tried again, by itself.

use std::collections::BTreeSet;

use hauspost_protocol::body::LogType;
use hauspost_protocol::content::{AnnouncementId, TextForm};
use hauspost_protocol::ids::{LogId, MessageId};
use rand::Rng as _;

use super::about::Draft;
use super::talk::writable;
use super::{Account, AccountError};
use crate::read;
use crate::store::StoreError;
use crate::store::rows::log::{self, LogState};
use crate::store::rows::message::{
    self, Message, MessageKind, MessageState, NewMessage, Place, Twin,
};
use crate::store::rows::outbox::{self, NewIntent};

/// The rooms of one announcement at most.
pub const ANNOUNCED_ROOMS: usize = 64;

/// A room for announcements in which this person may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRoom {
    /// The room.
    pub log: LogId,
    /// Its name, if it has one.
    pub title: Option<String>,
}

/// An announcement of this person, as it stands in its rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The rooms, by their ids.
    pub rooms: Vec<Announced>,
    /// How many people are asked to confirm it, each counted once.
    pub asked: u64,
    /// How many of them have, in whichever room.
    pub confirmed: u64,
}

/// An announcement in one of its rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The room.
    pub log: LogId,
    /// The message there.
    pub message_id: MessageId,
    /// How far it is there.
    pub state: MessageState,
    /// Why it failed there, if it did; an outcome's code.
    pub reason: Option<u64>,
}

/// What is written into one room.
struct Written {
    log: LogId,
    message: NewMessage,
}

impl Account {
    /// The rooms for announcements in which this person may write, by name.
    pub async fn announcement_rooms(&self) -> Result<Vec<OwnRoom>, AccountError> {
        let read = self.core.store.read(|conn| {
            let rows = log::all(conn)?
                .into_iter()
                .filter(|row| row.r#type == LogType::Announce && row.state == LogState::Active);
            let rooms = rows.map(|row| {
                let title = read::conversation(conn, row.local.id)?.and_then(|row| row.title);
                Ok::<_, StoreError>(OwnRoom { log: row.local.id, title })
            });
            Ok::<_, AccountError>(rooms.collect::<Result<Vec<_>, _>>()?)
        });
        let mut own = Vec::new();
        for room in read.await? {
            match self.core.check_may_write(room.log).await {
                Ok(()) => own.push(room),
                Err(AccountError::MayNotWrite) => {}
                Err(error) => return Err(error),
            }
        }
        own.sort_by_cached_key(|room| {
            (room.title.as_deref().unwrap_or_default().to_lowercase(), room.log)
        });
        Ok(own)
    }

    /// Writes a text as it was typed into several rooms for announcements, as one announcement. Returns the messages,
    /// in the order of the rooms, when all of them are stored on this phone, or none is.
    pub async fn announce(
        &self,
        rooms: &[LogId],
        text: &str,
        asks: bool,
    ) -> Result<Vec<MessageId>, AccountError> {
        let distinct: BTreeSet<_> = rooms.iter().collect();
        let fits = (1..=ANNOUNCED_ROOMS).contains(&rooms.len()) && distinct.len() == rooms.len();
        if text.trim().is_empty() || !fits {
            return Err(AccountError::Message);
        }
        let mut id = [0; 16];
        self.core.env.randomness.rng().fill_bytes(&mut id);
        let mut written = Vec::with_capacity(rooms.len());
        for log in rooms {
            written.push(self.announced_in(*log, text, asks, AnnouncementId(id)).await?);
        }
        let ids = written.iter().map(|written| written.message.message_id).collect();
        let now_ms = self.core.env.clock.now_ms();
        self.core
            .store
            .write(move |tx| {
                for Written { log, mut message } in written {
                    let local = writable(tx, log)?;
                    let intent = NewIntent::message(log, message.message_id, now_ms);
                    message.place = Place::Pending(outbox::insert(tx, &intent)?);
                    message::insert(tx, local, &message)?;
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        self.core.to_send.notify_one();
        Ok(ids)
    }

    /// What is written into one room: who is mentioned there is the room's.
    async fn announced_in(
        &self,
        log: LogId,
        text: &str,
        asks: bool,
        id: AnnouncementId,
    ) -> Result<Written, AccountError> {
        if self.core.known(log).await?.1 != LogType::Announce {
            return Err(AccountError::NotHere);
        }
        self.core.check_may_write(log).await?;
        let (text, form): (String, TextForm) = self.typed(log, text).await?;
        let plain = Draft::plain(&text);
        let draft = Draft { form, asks, announcement: Some(id), ..plain };
        let mut salt = [0; 16];
        self.core.env.randomness.rng().fill_bytes(&mut salt);
        let me = self.core.me.clone();
        let content = draft.message(salt, me.company);
        let bytes = content.to_bytes().map_err(|_| AccountError::Message)?;
        let message_id = content.id(&bytes, me.company, me.user, log);
        let (shown, saying) = self.saying(log, draft).await?;
        let now_ms = self.core.env.clock.now_ms();
        let message = NewMessage {
            place: Place::Pending(0),
            message_id,
            author: me.user,
            device: me.device,
            kind: MessageKind::Text,
            state: MessageState::Queued,
            t_ms: now_ms,
            sent_ms: now_ms,
            missing: 0,
            text: Some(shown.unwrap_or_default()),
            content: Some(bytes),
            record_key: None,
            unread: false,
            saying,
        };
        Ok(Written { log, message })
    }

    /// How an announcement of this person's stands in each of its rooms, and how many have confirmed it; `None` of a
    /// message that is none.
    pub async fn announcement(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Option<Announcement>, AccountError> {
        let me = self.user();
        self.core
            .store
            .read(move |conn| {
                let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
                let found = message::find(conn, local, message)?;
                let found = found.filter(|found| found.author == me);
                let id = found.as_ref().and_then(|found| found.saying.announcement);
                let Some((found, id)) = found.zip(id) else { return Ok(None) };
                let mut rooms = Vec::new();
                for twin in message::twins(conn, me, id)? {
                    let there = message::find(conn, twin.log, twin.message_id)?;
                    rooms.extend(there.map(|there: Message| Announced {
                        log: twin.log.id,
                        message_id: there.message_id,
                        state: there.state,
                        reason: there.reason,
                    }));
                }
                let list = match found.asking {
                    Some(_) => read::confirmations_of(conn, me, log, message)?,
                    None => None,
                };
                let count = |count: Option<usize>| count.unwrap_or_default() as u64;
                Ok(Some(Announcement {
                    rooms,
                    asked: count(list.as_ref().map(read::Confirmations::asked)),
                    confirmed: count(list.as_ref().map(read::Confirmations::confirmed)),
                }))
            })
            .await
    }

    /// Sends an announcement once more into each room in which it failed.
    pub async fn announce_again(&self, log: LogId, message: MessageId) -> Result<(), AccountError> {
        let standing = self.announcement(log, message).await?.ok_or(AccountError::NoMessage)?;
        let failed = standing.rooms.iter().filter(|room| room.state == MessageState::Failed);
        for room in failed {
            self.retry(room.log, room.message_id).await?;
        }
        Ok(())
    }

    /// A message of this person's in all rooms in which it is one announcement; any other one where it is.
    pub(super) async fn own_places(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Vec<(LogId, MessageId)>, AccountError> {
        let me = self.user();
        self.places(log, message, move |found| found.author == me).await
    }

    /// A message that is to be confirmed in all rooms in which it is one announcement, whosever it is.
    pub(super) async fn places_to_confirm(
        &self,
        log: LogId,
        message: MessageId,
    ) -> Result<Vec<(LogId, MessageId)>, AccountError> {
        self.places(log, message, |found| found.asking.is_some()).await
    }

    /// A message, and those that are one announcement with it if it `fits`.
    async fn places(
        &self,
        log: LogId,
        message: MessageId,
        fits: impl Fn(&Message) -> bool + Send + 'static,
    ) -> Result<Vec<(LogId, MessageId)>, AccountError> {
        self.core
            .store
            .read(move |conn| {
                let Some(local) = log::local(conn, log)? else { return Ok(vec![(log, message)]) };
                let found = message::find(conn, local, message)?.filter(|found| fits(found));
                let id = found.as_ref().and_then(|found| found.saying.announcement);
                let Some((found, id)) = found.zip(id) else { return Ok(vec![(log, message)]) };
                let twins = message::twins(conn, found.author, id)?.into_iter();
                Ok::<_, AccountError>(
                    twins.map(|Twin { log, message_id, .. }| (log.id, message_id)).collect(),
                )
            })
            .await
    }
}
