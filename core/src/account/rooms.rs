//! Conversations of several people: how they begin, who owns them, who writes, what they look like.
//!
//! An owner is what people call a group's admin (docs/protocol.md §3): the creator, whom an owner names, and
//! while no owner has an active device every member. Among announcements only owners write.

use std::collections::BTreeMap;
use std::path::Path;

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::content::Control;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{LogId, UserId};
use hauspost_protocol::limits::NAME_BYTES;
use hauspost_protocol::statement::{FileRole, PayloadType};

use super::about::conversation;
use super::documents::{Attachment, DocumentOrigin, attach, lock};
use super::engine::Core;
use super::talk::writable;
use super::{Account, AccountError};
use crate::file::preview::Bounds;
use crate::inbound::is_room;
use crate::outbox::intent::{Own, Say, id_of_this_phone};
use crate::store::rows::log;
use crate::store::rows::message::{
    self, Event, MessageKind, MessageState, NewMessage, Place, Saying,
};
use crate::store::rows::outbox::{self, IntentKind, NewIntent};
use crate::store::rows::picture::{self, RoomPicture};

/// A conversation of several people that is to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// Its name, 255 bytes at most. It travels sealed; the server never knows it.
    pub title: Option<String>,
    /// Who is to be in it besides its creator.
    pub people: Vec<UserId>,
    /// Whether only owners write in it, and the others confirm.
    pub announces: bool,
    /// Whether those who come later get what was said before. It never changes.
    pub history: HistoryRule,
}

/// What a person is in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Adds and removes people, names owners, hides messages, writes announcements.
    Owner,
    /// Everybody else.
    Member,
}

/// What the person of this phone may do in a conversation, as far as the phone knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether he is in it.
    pub is_member: bool,
    /// Whether he is an owner.
    pub is_owner: bool,
    /// Whether he writes, and does not only confirm.
    pub may_write: bool,
    /// Whether he may add people.
    pub may_add: bool,
}

impl Account {
    /// Begins a group or a room for announcements. Works offline.
    pub async fn create_room(&self, room: NewRoom) -> Result<LogId, AccountError> {
        let NewRoom { title, people, announces, history } = room;
        if title.as_ref().is_some_and(|title| title.len() > NAME_BYTES) {
            return Err(AccountError::Message);
        }
        let r#type = if announces { LogType::Announce } else { LogType::Group };
        self.core.create(r#type, people, title, history).await
    }

    /// What the person of this phone may do in a conversation now.
    pub async fn standing(&self, log: LogId) -> Result<Standing, AccountError> {
        let me = self.user();
        let (known, r#type, company) = self.core.known(log).await?;
        let Some(known) = known else {
            // It is his own, and has not begun.
            let is_owner = matches!(r#type, LogType::Group | LogType::Announce);
            return Ok(Standing { is_member: true, is_owner, may_write: true, may_add: is_owner });
        };
        let now = company.now();
        Ok(Standing {
            is_member: known.is_member(me),
            is_owner: known.is_owner(me, &now),
            may_write: known.may_write(me, &now),
            may_add: known.may_invite(me, &now),
        })
    }

    /// The people of a conversation and what each is, as far as the server has taken the changes.
    pub async fn roles(&self, log: LogId) -> Result<Vec<(UserId, Role)>, AccountError> {
        let (known, _, company) = self.core.known(log).await?;
        let Some(known) = known else { return Ok(Vec::new()) };
        let now = company.now();
        let here = known.roster.iter().map(|(_, member)| member.user);
        let mut people = BTreeMap::new();
        for user in here.filter(|user| known.is_member(*user)) {
            let is_owner = known.is_owner(user, &now);
            people.insert(user, if is_owner { Role::Owner } else { Role::Member });
        }
        Ok(people.into_iter().collect())
    }

    /// Names an owner, or withdraws one: as an owner, whomever; also oneself. Everybody sees a line about it.
    /// While no owner is left, each member is one.
    pub async fn set_owner(
        &self,
        log: LogId,
        user: UserId,
        named: bool,
    ) -> Result<(), AccountError> {
        let (known, _, company) = self.core.known(log).await?;
        let known = known.filter(is_room).ok_or(AccountError::NotHere)?;
        if !known.is_owner(self.user(), &company.now()) {
            return Err(AccountError::NotAllowed);
        }
        if named && !known.may_enter(user) {
            return Err(AccountError::NotThere);
        }
        if known.person(user).owner == named {
            return Ok(());
        }
        self.want(log, IntentKind::Owner, encode(&Own { user, named })).await
    }

    /// Gives a conversation a picture, made small of the one at this path, or takes it away. It travels
    /// sealed, and stands in the timeline as a line like any change.
    pub async fn set_picture(&self, log: LogId, path: Option<&Path>) -> Result<(), AccountError> {
        self.core.check_is_room(log).await?;
        self.core.check_may_write(log).await?;
        let attached = match path {
            None => Vec::new(),
            Some(path) => {
                let small = self.core.made_small(path, Bounds::PICTURE).await;
                let small = small?.ok_or(AccountError::Picture)?;
                let picture = Attachment {
                    origin: DocumentOrigin::Bytes(small.picture),
                    name: PICTURE_NAME.to_owned(),
                    media_type: Some(small.media_type.to_owned()),
                    role: FileRole::Original,
                    of: None,
                };
                self.core.attached(vec![picture]).await?
            }
        };
        let message_id = id_of_this_phone(&mut self.core.env.randomness.rng());
        let (me, now_ms) = (self.core.me.clone(), self.core.env.clock.now_ms());
        let vault = self.core.documents.vault.clone();
        self.core
            .say(log, move |tx| {
                let local = writable(tx, log)?;
                let content = encode(&Control::Picture);
                let say = Say { ptype: PayloadType::Control, content: Bytes(content) };
                let intent = NewIntent::saying(log, Some(message_id), encode(&say), now_ms);
                let id = outbox::insert(tx, &intent)?;
                let line = NewMessage {
                    place: Place::Pending(id),
                    message_id,
                    author: me.user,
                    device: me.device,
                    kind: MessageKind::Event,
                    state: MessageState::Queued,
                    t_ms: now_ms,
                    sent_ms: now_ms,
                    missing: 0,
                    text: None,
                    content: Event::Pictured(!attached.is_empty()).to_content(),
                    record_key: None,
                    unread: false,
                    handed: false,
                    saying: Saying::default(),
                };
                message::insert(tx, local, &line)?;
                if !attached.is_empty() {
                    attach(tx, &vault, (local, message_id), id, attached, now_ms)?;
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        self.core.to_send.notify_one();
        self.core.documents.to_upload.notify_one();
        Ok(())
    }

    /// The picture of a conversation, if it has one.
    pub async fn picture(&self, log: LogId) -> Result<Option<RoomPicture>, AccountError> {
        self.core
            .store
            .read(move |conn| {
                let local = log::local(conn, log)?.ok_or(AccountError::NoConversation)?;
                Ok::<_, AccountError>(picture::find(conn, local)?)
            })
            .await
    }
}

/// What a picture's file is called: its name says nothing to anybody.
const PICTURE_NAME: &str = "picture";

/// What is known of a conversation, its type, and the company.
type Known = (Option<Conversation>, LogType, std::sync::Arc<Company>);

impl Core {
    /// A conversation as it is known, once it has begun, and the company to judge it by.
    pub(super) async fn known(&self, log: LogId) -> Result<Known, AccountError> {
        let company = {
            let mut engine = self.engine.lock().await;
            self.company(&mut engine).await?
        };
        let read = self.store.read(move |conn| {
            let row = log::find(conn, log)?.ok_or(AccountError::NoConversation)?;
            Ok::<_, AccountError>((conversation(conn, log)?, row.r#type))
        });
        let (known, r#type) = read.await?;
        Ok((known, r#type, company))
    }

    /// Whether the person may say more than answers here: among announcements an owner.
    pub(super) async fn check_may_write(&self, log: LogId) -> Result<(), AccountError> {
        if self.type_of(log).await? != LogType::Announce {
            return Ok(());
        }
        let (known, _, company) = self.known(log).await?;
        let may = known.is_none_or(|known| known.may_write(self.me.user, &company.now()));
        if may { Ok(()) } else { Err(AccountError::MayNotWrite) }
    }

    /// Whether this is a conversation of several people, and not a pair or notes.
    pub(super) async fn check_is_room(&self, log: LogId) -> Result<(), AccountError> {
        match self.type_of(log).await? {
            LogType::Group | LogType::Announce => Ok(()),
            LogType::Dm | LogType::SelfNotes => Err(AccountError::NotHere),
        }
    }

    /// The type of a conversation, which never changes.
    async fn type_of(&self, log: LogId) -> Result<LogType, AccountError> {
        if let Some(known) = lock(&self.types).get(&log) {
            return Ok(*known);
        }
        let read = self.store.read(move |conn| {
            let row = log::find(conn, log)?.ok_or(AccountError::NoConversation)?;
            Ok::<_, AccountError>(row.r#type)
        });
        let r#type = read.await?;
        lock(&self.types).insert(log, r#type);
        Ok(r#type)
    }
}
