//! What the store's tests begin with: a database in a folder, a conversation, messages.

use std::path::Path;

use hauspost_protocol::body::LogType;
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::ids::{CompanyId, DeviceId, Digest, LogId, MessageId, Seq, UserId};

use super::rows::account::{self, Account, AccountState};
use super::rows::log::{self, LocalLog, Log};
use super::rows::message::{MessageKind, MessageState, NewMessage, Place, Saying};
use super::{Store, StoreError};
use crate::env::DatabaseKey;

pub(crate) const ME: UserId = UserId([1; 16]);
pub(crate) const ANNA: UserId = UserId([2; 16]);

pub(crate) fn key(byte: u8) -> DatabaseKey {
    DatabaseKey { key: Secret::new([byte; 32]), salt: [byte; 16] }
}

pub(crate) fn open(folder: &Path) -> Store {
    Store::open(folder.join("db"), key(1)).unwrap()
}

pub(crate) async fn enrolled(folder: &Path) -> Store {
    let store = open(folder);
    let account = Account {
        company: CompanyId([9; 16]),
        user: ME,
        device: DeviceId([1; 16]),
        server: "https://hauspost.example".to_owned(),
        trust: vec![0],
        pin: Digest([3; 32]),
        signing_key: SigningKey::from_seed(Secret::new([4; 32])),
        history_seed: Secret::new([5; 32]),
        state: AccountState::Enrolled,
        enrolment: None,
        certificate: None,
        made_ms: 0,
    };
    store.write::<_, StoreError, _>(move |tx| account::put(tx, &account)).await.unwrap();
    store
}

pub(crate) async fn group(store: &Store, id: u8, title: &'static str) -> LocalLog {
    let log = Log::new(LogId([id; 16]), LogType::Group);
    store
        .write::<_, StoreError, _>(move |tx| log::insert(tx, &log, Some(title), u64::from(id)))
        .await
        .unwrap()
}

/// A text of Anna's at this place, whose number is its time as well.
pub(crate) fn text(seq: u64, text: &str) -> NewMessage {
    let mut id = [1; 32];
    id[24..].copy_from_slice(&seq.to_be_bytes());
    NewMessage {
        place: Place::At(Seq(seq)),
        message_id: MessageId(id),
        author: ANNA,
        device: DeviceId([2; 16]),
        kind: MessageKind::Text,
        state: MessageState::Received,
        t_ms: 1_000 + seq,
        sent_ms: 1_000 + seq,
        missing: 0,
        text: Some(text.to_owned()),
        content: None,
        record_key: None,
        unread: true,
        handed: false,
        saying: Saying::default(),
    }
}

/// The same as our own, not sent yet.
pub(crate) fn own(outbox: i64, words: &str) -> NewMessage {
    let mut id = [2; 32];
    id[24..].copy_from_slice(&outbox.to_be_bytes());
    NewMessage {
        place: Place::Pending(outbox),
        message_id: MessageId(id),
        author: ME,
        device: DeviceId([1; 16]),
        state: MessageState::Queued,
        unread: false,
        ..text(0, words)
    }
}
