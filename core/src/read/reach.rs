//! How far messages of one's own have come: whose phones have them, and who has read them.

use std::collections::{BTreeMap, HashMap};

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::ids::UserId;
use rusqlite::{Connection, OptionalExtension as _};

use crate::store::StoreError;
use crate::store::cell::cell;
use crate::store::rows::author;
use crate::store::rows::log::{self, LocalLog, LogPart};
use crate::store::rows::message::{Message, Reach};
use crate::store::rows::receipt::{self, ReadUpTo};
use crate::store::rows::{delivered, seq_key};

/// What is known of a conversation's people; read when the first message of one's own is met.
pub(super) struct Reaches {
    log: LocalLog,
    me: Option<UserId>,
    people: Option<People>,
}

struct People {
    /// The newest row that each other person's devices have shown to know, by what they signed.
    seen: BTreeMap<UserId, i64>,
    read: Option<Vec<ReadUpTo>>,
}

impl Reaches {
    pub(super) fn of(conn: &Connection, log: LocalLog) -> Result<Self, StoreError> {
        let me = conn
            .prepare_cached("SELECT user FROM account")?
            .query_row([], |row| cell(row, 0))
            .optional()?;
        Ok(Self { log, me, people: None })
    }

    /// How far this message has come; none for another's, and for one that is not sent.
    pub(super) fn reach(
        &mut self,
        conn: &Connection,
        message: &Message,
    ) -> Result<Option<Reach>, StoreError> {
        let is_own = message.is_said() && Some(message.author) == self.me;
        if !is_own || message.seq.is_none() {
            return Ok(None);
        }
        if self.people.is_none() {
            self.people = Some(People::read(conn, self.log, message.author)?);
        }
        let Some(people) = &self.people else { return Ok(None) };
        let of = people.seen.len() as u64;
        let told = delivered::of(conn, message.key)?.map_or(0, |(count, _)| count.min(of));
        let proven = people.seen.values().filter(|seen| **seen >= message.key).count() as u64;
        let read = people.read.as_ref().map(|read| {
            let reader =
                |read: &&ReadUpTo| read.key >= message.key && people.seen.contains_key(&read.user);
            read.iter().filter(reader).count() as u64
        });
        let delivered = told.max(proven).max(read.unwrap_or_default());
        Ok(Some(Reach { of, delivered, read }))
    }
}

impl People {
    fn read(conn: &Connection, log: LocalLog, me: UserId) -> Result<Self, StoreError> {
        let mut seen = BTreeMap::new();
        let conversation = log::part(conn, log, LogPart::Conversation)?;
        let conversation = conversation.map(|bytes| decode::<Conversation>(&bytes)).transpose();
        let conversation = conversation.map_err(|_| StoreError::Unreadable("conversation"))?;
        if let Some(conversation) = conversation {
            let authors = author::all(conn, log)?;
            let authors: HashMap<_, _> =
                authors.into_iter().map(|author| (author.device, author.seen_seq)).collect();
            let members = conversation.roster.iter();
            for (_, member) in members.filter(|(_, member)| member.user != me) {
                let key = authors.get(&member.device).map_or(i64::MIN, |seen| seq_key(log, *seen));
                let newest = seen.entry(member.user).or_insert(i64::MIN);
                *newest = key.max(*newest);
            }
        }
        Ok(Self { seen, read: receipt::read_up_to(conn, log)? })
    }
}
