//! What an intent holds until it is done.

use hauspost_protocol::array_item;
use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::encoding::{Bytes, decode};
use hauspost_protocol::ids::{DeviceId, LogNo, MessageId, UserId};
use hauspost_protocol::statement::PayloadType;
use rand::CryptoRng;
use rusqlite::Connection;

use crate::store::StoreError;
use crate::store::rows::log::LocalLog;
use crate::store::rows::message;
use crate::store::rows::outbox::Intent;

/// A device with its key package, if it has one.
pub type Package = (DeviceId, Option<Bytes>);

array_item! {
    /// Something to say.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Say {
        /// What the content is.
        pub ptype: PayloadType,
        /// Its bytes.
        pub content: Bytes,
    }
}

/// A new id for what stands in the dialog without having one in the log, as a control: for this phone
/// alone.
pub fn id_of_this_phone(rng: &mut impl CryptoRng) -> MessageId {
    let mut id = [0; 32];
    id[0] = 0x03;
    rng.fill_bytes(&mut id[16..]);
    MessageId(id)
}

/// What a record's intent is to say: of a message, what lies with it and is not stored twice. Nothing if
/// it cannot be read, or was erased.
pub fn said(conn: &Connection, log: LocalLog, intent: &Intent) -> Result<Option<Say>, StoreError> {
    if !intent.body.is_empty() {
        return Ok(decode(&intent.body).ok());
    }
    let Some(message_id) = intent.message_id else { return Ok(None) };
    let content = message::content(conn, log, message_id)?;
    Ok(content.map(|content| Say { ptype: PayloadType::Content, content: Bytes(content) }))
}

array_item! {
    /// A conversation to create.
    #[derive(Debug, Clone)]
    pub struct Create {
        /// What kind it is.
        pub r#type: LogType,
        /// Who is to be in it besides its creator.
        pub members: Vec<UserId>,
        /// Whether those who come later get what was said before.
        pub history: HistoryRule,
        /// Its number, once the server reserved it.
        pub log_no: Option<LogNo>,
        /// The key packages, once they were taken: they are used again if a commit has to be made anew.
        pub packages: Option<Vec<Package>>,
    }
}

array_item! {
    /// People to add.
    #[derive(Debug, Clone)]
    pub struct Add {
        /// Who.
        pub users: Vec<UserId>,
        /// Whether the phone wants it by itself: a device that came later, of somebody who may enter.
        pub by_itself: bool,
        /// The key packages, once they were taken.
        pub packages: Option<Vec<Package>>,
    }
}

array_item! {
    /// Somebody to name an owner, or to withdraw as one.
    #[derive(Debug, Clone, Copy)]
    pub struct Own {
        /// Who.
        pub user: UserId,
        /// Whether he is to be one.
        pub named: bool,
    }
}

array_item! {
    /// Somebody to remove.
    #[derive(Debug, Clone, Copy)]
    pub struct Remove {
        /// Who.
        pub user: UserId,
    }
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::encoding::encode;
    use hauspost_protocol::ids::MessageId;

    use super::*;
    use crate::store::fixture::{enrolled, group, text};
    use crate::store::rows::message::Place;
    use crate::store::rows::outbox::{self, NewIntent};

    #[tokio::test]
    async fn what_a_message_says_is_stored_with_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Baustelle").await;
        let say =
            |content: &[u8]| Say { ptype: PayloadType::Content, content: Bytes(content.to_vec()) };
        let control = Say { ptype: PayloadType::Control, content: Bytes(vec![3]) };
        let body = encode(&control);
        let said: Vec<Option<Say>> = store
            .write::<_, StoreError, _>(move |tx| {
                let mut message = text(0, "Morgen");
                message.content = Some(vec![1, 2]);
                let new = NewIntent::message(log.id, message.message_id, 0);
                assert!(new.body.is_empty());
                let ours = outbox::insert(tx, &new)?;
                message.place = Place::Pending(ours);
                message::insert(tx, log, &message)?;
                // Written by an older build, a change of a name, and a message that is not here.
                let older = NewIntent { body: encode(&say(&[7])), ..new.clone() };
                let change = NewIntent { body, message_id: None, ..new.clone() };
                let missing = NewIntent { message_id: Some(MessageId([9; 32])), ..new };
                let mut ids = vec![ours];
                for new in [older, change, missing] {
                    ids.push(outbox::insert(tx, &new)?);
                }
                let said = ids.into_iter().map(|id| said(tx, log, &outbox::find(tx, id)?.unwrap()));
                said.collect()
            })
            .await
            .unwrap();
        assert_eq!(said, [Some(say(&[1, 2])), Some(say(&[7])), Some(control), None]);
    }
}
