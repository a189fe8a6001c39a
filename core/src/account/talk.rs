//! What people do: begin conversations, write, read.
//!
//! Each of these ends when its intent is in the database; the rest happens by itself.

use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::content::Control;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{LogId, MessageId, UserId};
use hauspost_protocol::limits::FILES;
use hauspost_protocol::statement::PayloadType;
use rand::Rng as _;
use rusqlite::Connection;

use super::documents;
use super::places::{At, in_each};
use super::{Account, AccountError, Core, Draft, NewRoom};
use crate::ledger::Ledger;
use crate::outbox::intent::{Add, Create, Remove, Say};
use crate::read::{
    self, ConversationCursor, ConversationRow, DocumentKind, DocumentPage, SearchPage, SearchQuery,
    TimelinePage, Window,
};
use crate::store::rows::log::{self, LocalLog, Log, LogState};
use crate::store::rows::message::{self, MessageState};
use crate::store::rows::outbox::{self, Intent, IntentKind, IntentState, NewIntent};
use crate::store::rows::person;
use crate::store::{StoreError, Tx};

impl Account {
    /// The conversation with this person; begun if there is none.
    pub async fn create_dm(&self, user: UserId) -> Result<LogId, AccountError> {
        self.core.create(LogType::Dm, vec![user], None, HistoryRule::None).await
    }

    /// Begins a group. Its title travels sealed, as the group's first message; the server never
    /// knows it.
    pub async fn create_group(
        &self,
        title: Option<&str>,
        members: Vec<UserId>,
    ) -> Result<LogId, AccountError> {
        self.create_group_as(title, members, HistoryRule::None).await
    }

    /// As [`Account::create_group`]; the rule says whether those who come later get what was said
    /// before. It never changes.
    pub async fn create_group_as(
        &self,
        title: Option<&str>,
        people: Vec<UserId>,
        history: HistoryRule,
    ) -> Result<LogId, AccountError> {
        let title = title.map(str::to_owned);
        self.create_room(NewRoom { title, people, announces: false, history }).await
    }

    /// Adds people; those who cannot be added now are left out. In groups every member may, among
    /// announcements owners.
    pub async fn add_members(&self, log: LogId, users: Vec<UserId>) -> Result<(), AccountError> {
        if !self.standing(log).await?.may_add {
            return Err(AccountError::NotAllowed);
        }
        self.want(log, IntentKind::Add, encode(&Add { users, by_itself: false, packages: None }))
            .await
    }

    /// Removes a person with all devices.
    pub async fn remove_member(&self, log: LogId, user: UserId) -> Result<(), AccountError> {
        self.want(log, IntentKind::Remove, encode(&Remove { user })).await
    }

    /// Leaves a group. The log of the person's own devices is left by none of them.
    pub async fn leave(&self, log: LogId) -> Result<(), AccountError> {
        let own = self.core.store.read(|conn| Ok::<_, AccountError>(log::own(conn)?)).await?;
        if own.is_some_and(|own| own.local.id == log) {
            return Err(AccountError::NotAllowed);
        }
        self.want(log, IntentKind::Leave, Vec::new()).await
    }

    /// Renews this phone's keys in the conversation.
    pub async fn renew_keys(&self, log: LogId) -> Result<(), AccountError> {
        self.want(log, IntentKind::Update, Vec::new()).await
    }

    /// Makes the group anew in the cipher suite that fits its size, once; an owner does so when it grew
    /// past a hundred devices. Everybody sees a line about it. Where the policy names a suite, groups move
    /// to that one by themselves, and to no other.
    pub async fn change_suite(&self, log: LogId) -> Result<(), AccountError> {
        self.want(log, IntentKind::Migrate, Vec::new()).await
    }

    pub(super) async fn want(
        &self,
        log: LogId,
        kind: IntentKind,
        body: Vec<u8>,
    ) -> Result<(), AccountError> {
        let now_ms = self.core.env.clock.now_ms();
        self.core
            .store
            .write(move |tx| {
                writable(tx, log)?;
                intent(tx, log, kind, body, now_ms)?;
                Ok::<_, AccountError>(())
            })
            .await?;
        self.core.to_send.notify_one();
        Ok(())
    }

    /// Writes a text. Returns when the message is stored on this phone.
    pub async fn send_text(&self, log: LogId, text: &str) -> Result<MessageId, AccountError> {
        self.send(log, Draft::plain(text)).await
    }

    /// Writes a text as the answer to another message.
    pub async fn reply(
        &self,
        log: LogId,
        text: &str,
        to: MessageId,
    ) -> Result<MessageId, AccountError> {
        self.send(log, Draft::plain(text).replying_to(to)).await
    }

    /// Sends a message that failed once more, an announcement in all rooms in which it failed.
    pub async fn retry(&self, log: LogId, message_id: MessageId) -> Result<(), AccountError> {
        let places = self.failed_with(log, message_id).await?;
        self.retry_in(places).await
    }

    /// A message that failed here, and the other rooms in which it did.
    async fn failed_with(&self, log: LogId, message: MessageId) -> Result<Vec<At>, AccountError> {
        let places = self.failed_places(log, message).await?;
        let here = places.first() == Some(&(log, message));
        if here { Ok(places) } else { Err(AccountError::Message) }
    }

    /// Sends what failed in these places once more.
    pub(super) async fn retry_in(&self, places: Vec<At>) -> Result<(), AccountError> {
        let now_ms = self.core.env.clock.now_ms();
        let rng = &mut self.core.env.randomness.rng();
        let mut keys = || (0..FILES).map(|_| Secret::random(rng)).collect::<Vec<_>>();
        let places: Vec<(At, Vec<Secret>)> = places.into_iter().map(|at| (at, keys())).collect();
        let again = move |tx: &Tx<'_>| {
            in_each(places, |((log, message_id), keys)| {
                let local = writable(tx, log)?;
                let intent = failed(tx, log, message_id)?;
                outbox::retry(tx, intent.id)?;
                outbox::set_made(tx, intent.id, now_ms)?;
                documents::retry(tx, local, &intent, &keys)?;
                Ok(message::set_state(tx, local, message_id, MessageState::Queued)?)
            })
        };
        self.core.store.write(again).await?;
        self.core.to_send.notify_one();
        self.core.documents.to_upload.notify_one();
        Ok(())
    }

    /// Takes a message that failed out of the conversation, an announcement out of all rooms in which it failed;
    /// nobody else has seen it.
    pub async fn discard(&self, log: LogId, message_id: MessageId) -> Result<(), AccountError> {
        let places = self.failed_with(log, message_id).await?;
        let put_aside = move |tx: &Tx<'_>| {
            in_each(places, |(log, message_id)| {
                let local = found(tx, log)?;
                let intent = failed(tx, log, message_id)?;
                outbox::discard(tx, intent.id)?;
                Ok(message::discard(tx, local, message_id)?)
            })
        };
        self.core.store.write(put_aside).await
    }

    /// A page of the list of conversations.
    pub async fn conversations(
        &self,
        after: Option<ConversationCursor>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>, AccountError> {
        self.core.store.read(move |conn| Ok(read::conversations(conn, after, limit)?)).await
    }

    /// A page of the conversations that the person put away.
    pub async fn archived(
        &self,
        after: Option<ConversationCursor>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>, AccountError> {
        self.core.store.read(move |conn| Ok(read::archived(conn, after, limit)?)).await
    }

    /// One conversation as the list shows it.
    pub async fn conversation(&self, log: LogId) -> Result<Option<ConversationRow>, AccountError> {
        self.core.store.read(move |conn| Ok(read::conversation(conn, log)?)).await
    }

    /// A page of a conversation's timeline.
    pub async fn timeline(
        &self,
        log: LogId,
        window: Window,
        limit: u32,
    ) -> Result<TimelinePage, AccountError> {
        if window == Window::Newest {
            self.core.note_opened(log);
            self.core.asking.looked_at(log, self.core.env.clock.now_ms());
        }
        self.core.store.read(move |conn| Ok(read::timeline(conn, log, window, limit)?)).await
    }

    /// A page of a conversation's documents, newest first: its gallery, or the list of its files.
    pub async fn documents(
        &self,
        log: LogId,
        kind: DocumentKind,
        before: Option<i64>,
        limit: u32,
    ) -> Result<DocumentPage, AccountError> {
        let read = move |conn: &_| Ok(read::documents(conn, log, kind, before, limit)?);
        self.core.store.read(read).await
    }

    /// Messages that are searched for.
    pub async fn search(
        &self,
        wanted: SearchQuery,
        after: Option<i64>,
        limit: u32,
    ) -> Result<SearchPage, AccountError> {
        self.core.store.read(move |conn| Ok(read::search(conn, &wanted, after, limit)?)).await
    }

    /// People of the directory, by name.
    pub async fn people(
        &self,
        limit: u32,
    ) -> Result<Vec<hauspost_protocol::wire::Person>, AccountError> {
        self.core.store.read(move |conn| Ok(person::all(conn, limit)?)).await
    }

    /// The people of a conversation, each once.
    pub async fn members(&self, log: LogId) -> Result<Vec<UserId>, AccountError> {
        let ledger =
            self.core.store.read(move |conn| Ok::<_, AccountError>(Ledger::load(conn, log)?));
        let ledger = ledger.await?.ok_or(AccountError::NoConversation)?;
        let mut users: Vec<_> = ledger.members().map(|(_, member)| member.user).collect();
        users.sort_unstable();
        users.dedup();
        Ok(users)
    }
}

impl Core {
    /// A new conversation, or the one that there is of two people, or of one with himself.
    pub(super) async fn create(
        &self,
        r#type: LogType,
        mut members: Vec<UserId>,
        title: Option<String>,
        history: HistoryRule,
    ) -> Result<LogId, AccountError> {
        members.retain(|user| *user != self.me.user);
        members.sort_unstable();
        members.dedup();
        if r#type == LogType::Dm && members.len() != 1 {
            return Err(AccountError::NoConversation);
        }
        let mut id = [0; 16];
        self.env.randomness.rng().fill_bytes(&mut id);
        let id = LogId::from_random(id);
        let now_ms = self.env.clock.now_ms();
        let created = self
            .store
            .write(move |tx| {
                if r#type == LogType::Dm
                    && let Some(there) = log::dm_with(tx, members[0])?
                {
                    return Ok::<_, AccountError>(there.local.id);
                }
                if r#type == LogType::SelfNotes
                    && let Some(there) = log::own(tx)?
                {
                    return Ok(there.local.id);
                }
                let mut ledger = Ledger::new(id, r#type);
                ledger.row.peer = (r#type == LogType::Dm).then(|| members[0]);
                log::insert(tx, &ledger.row, title.as_deref(), now_ms)?;
                let create = Create { r#type, members, history, log_no: None, packages: None };
                intent(tx, id, IntentKind::Create, encode(&create), now_ms)?;
                if let Some(title) = title {
                    let content = Bytes(encode(&Control::Title(title)));
                    let say = Say { ptype: PayloadType::Control, content };
                    intent(tx, id, IntentKind::Record, encode(&say), now_ms)?;
                }
                Ok(id)
            })
            .await?;
        self.to_send.notify_one();
        Ok(created)
    }
}

/// The intent of a message that failed.
fn failed(tx: &Tx<'_>, log: LogId, message_id: MessageId) -> Result<Intent, AccountError> {
    let intent = outbox::by_message(tx, log, message_id)?;
    let intent = intent.filter(|intent| intent.state == IntentState::Failed);
    intent.ok_or(AccountError::Message)
}

pub(super) fn found(tx: &Tx<'_>, log: LogId) -> Result<LocalLog, AccountError> {
    log::local(tx, log)?.ok_or(AccountError::NoConversation)
}

pub(super) fn writable(conn: &Connection, log: LogId) -> Result<LocalLog, AccountError> {
    Ok(open(conn, log)?.local)
}

/// A conversation in which something can be said.
pub(super) fn open(conn: &Connection, log: LogId) -> Result<Log, AccountError> {
    let row = log::find(conn, log)?.ok_or(AccountError::NoConversation)?;
    match row.state {
        // What is written while the group is entered anew waits until it is.
        LogState::Active | LogState::Broken => Ok(row),
        _ => Err(AccountError::NoConversation),
    }
}

fn intent(
    tx: &Tx<'_>,
    log: LogId,
    kind: IntentKind,
    body: Vec<u8>,
    made_ms: u64,
) -> Result<i64, StoreError> {
    outbox::insert(tx, &NewIntent { log, kind, message_id: None, body, made_ms })
}
