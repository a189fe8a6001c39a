//! An announcement to several rooms at once: written once, one message in each, shown as one (docs/attacks.md 42).
//!
//! A company of more than a thousand devices needs several rooms, since a conversation has a thousand leaves at
//! most. Its author's phone writes one message for each, all in one transaction and under one id of the
//! announcement; what is changed, taken back, confirmed, reminded of, tried again or put aside goes the same way
//! (`places`). Each room fails by itself.

use std::collections::BTreeSet;

use hauspost_protocol::body::LogType;
use hauspost_protocol::content::AnnouncementId;
use hauspost_protocol::ids::{LogId, MessageId};
use rand::Rng as _;

use super::about::Draft;
use super::talk::writable;
use super::{Account, AccountError};
use crate::read;
use crate::store::StoreError;
use crate::store::rows::log::{self, LogState};
use crate::store::rows::message::{self, Message, MessageState};

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
            if self.core.known(*log).await?.1 != LogType::Announce {
                return Err(AccountError::NotHere);
            }
            // Who is mentioned there is the room's.
            let (text, form) = self.typed(*log, text).await?;
            let plain = Draft::plain(&text);
            let draft = Draft { form, asks, announcement: Some(AnnouncementId(id)), ..plain };
            written.push(self.written(*log, draft, Vec::new()).await?);
        }
        self.store_written(written).await
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

    /// Sends an announcement once more into each room in which it failed and this person still is.
    pub async fn announce_again(&self, log: LogId, message: MessageId) -> Result<(), AccountError> {
        self.announcement(log, message).await?.ok_or(AccountError::NoMessage)?;
        let mut failed = self.failed_places(log, message).await?;
        let read = self.core.store.read(move |conn| {
            failed.retain(|(log, _)| writable(conn, *log).is_ok());
            Ok::<_, AccountError>(failed)
        });
        self.retry_in(read.await?).await
    }
}
