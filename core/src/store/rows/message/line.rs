//! Lines of a timeline that nobody wrote: what happened to the conversation, and what could not be read.

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::{DeviceId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{OptionalExtension as _, params};

use super::{MessageKind, MessageState, NewMessage, Place, Saying, insert};
use crate::store::cell::{C, cell};
use crate::store::rows::log::LocalLog;
use crate::store::rows::{key, seq_key};
use crate::store::{StoreError, Tx};

/// What happened to a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was created.
    Created,
    /// People joined.
    Joined(Vec<UserId>),
    /// People were removed.
    Removed(Vec<UserId>),
    /// People left by themselves.
    Left(Vec<UserId>),
    /// Its group was made anew: nobody could go on in the old one, an admin ordered it, or it grew.
    Reset,
    /// A person was made an owner.
    Owner(UserId),
    /// A person is no owner any more.
    NoOwner(UserId),
    /// It was given this name, or none if that is empty.
    Titled(String),
    /// It was given a picture, or has none any more.
    Pictured(bool),
    /// The past that the first one has here was handed over to the second one, by a company entry of this
    /// time.
    HandedOver {
        /// The leaver.
        from: UserId,
        /// The successor.
        to: UserId,
        /// When, by the company log's clock.
        at_ms: TimeMs,
    },
    /// Something that a newer build wrote.
    Newer,
}

impl Event {
    /// The content of a row of kind [`MessageKind::Event`]; none of what a newer build wrote.
    pub fn to_content(&self) -> Option<Vec<u8>> {
        let (code, who) = match self {
            Self::Created => (0, Vec::new()),
            Self::Joined(who) => (1, who.clone()),
            Self::Removed(who) => (2, who.clone()),
            Self::Left(who) => (3, who.clone()),
            Self::Reset => (4, Vec::new()),
            Self::Owner(user) => (5, vec![*user]),
            Self::NoOwner(user) => (6, vec![*user]),
            Self::Titled(title) => {
                return Some(encode(&(7u64, Vec::<UserId>::new(), title.clone())));
            }
            Self::Pictured(true) => (8, Vec::new()),
            Self::Pictured(false) => (9, Vec::new()),
            Self::HandedOver { from, to, at_ms } => {
                return Some(encode(&(10u64, vec![*from, *to], *at_ms)));
            }
            Self::Newer => return None,
        };
        Some(encode(&(code as u64, who)))
    }

    /// Reads the content of a row of kind [`MessageKind::Event`].
    pub fn from_content(content: &[u8]) -> Self {
        match decode::<(u64, Vec<UserId>)>(content) {
            Ok((0, _)) => Self::Created,
            Ok((1, who)) => Self::Joined(who),
            Ok((2, who)) => Self::Removed(who),
            Ok((3, who)) => Self::Left(who),
            Ok((4, _)) => Self::Reset,
            Ok((5, who)) if who.len() == 1 => Self::Owner(who[0]),
            Ok((6, who)) if who.len() == 1 => Self::NoOwner(who[0]),
            Ok((8, _)) => Self::Pictured(true),
            Ok((9, _)) => Self::Pictured(false),
            _ => match decode::<(u64, Vec<UserId>, String)>(content) {
                Ok((7, _, title)) => Self::Titled(title),
                _ => Self::of_handover(content).unwrap_or(Self::Newer),
            },
        }
    }
}

impl Event {
    fn of_handover(content: &[u8]) -> Option<Self> {
        let (10, who, at_ms) = decode::<(u64, Vec<UserId>, TimeMs)>(content).ok()? else {
            return None;
        };
        let [from, to] = who[..] else { return None };
        Some(Self::HandedOver { from, to, at_ms })
    }
}

/// Adds a line to the timeline that says what happened at an entry.
pub fn event(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    event: &Event,
    by: (UserId, DeviceId),
    t_ms: TimeMs,
) -> Result<(), StoreError> {
    insert(tx, log, &line(seq, MessageKind::Event, event.to_content(), by, t_ms)).map(|_| ())
}

/// Adds a line to the timeline that says that something is there and could not be read.
pub fn gap(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    by: (UserId, DeviceId),
    t_ms: TimeMs,
) -> Result<(), StoreError> {
    insert(tx, log, &line(seq, MessageKind::Gap, None, by, t_ms)).map(|_| ())
}

/// Says in the timeline that so many records from here on are not readable on this device yet. They
/// are added to the line before, if nothing came in between.
pub fn unreadable(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    count: u64,
    t_ms: TimeMs,
) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE message SET missing = missing + ?3
         WHERE kind = 4 AND key = (SELECT max(key) FROM message WHERE key BETWEEN ?1 AND ?2)",
    )?;
    let ordered = (key(log, 0), seq_key(log, seq));
    if update.execute(params![ordered.0, ordered.1, C(count)])? > 0 {
        tx.refresh(log, 0);
        return Ok(());
    }
    let nobody = (UserId([0; 16]), DeviceId([0; 16]));
    let line = line(seq, MessageKind::Unreadable, None, nobody, t_ms);
    insert(tx, log, &NewMessage { missing: count, ..line }).map(|_| ())
}

/// A record of a stretch that was not readable is settled: its line counts one less, goes with the last,
/// and stands in the place of the next one if it stood in this.
pub(in crate::store::rows) fn count_readable(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    next: Option<Seq>,
) -> Result<(), StoreError> {
    let sql = "SELECT key, missing, t_ms FROM message WHERE kind = 4 AND key = (
                   SELECT max(key) FROM message WHERE kind = 4 AND key BETWEEN ?1 AND ?2)";
    let place = [key(log, 0), seq_key(log, seq)];
    let found = tx.prepare_cached(sql)?.query_row(place, |row| {
        Ok((row.get::<_, i64>(0)?, cell::<u64>(row, 1)?, cell::<TimeMs>(row, 2)?))
    });
    let Some((at, missing, t_ms)) = found.optional()? else { return Ok(()) };
    tx.refresh(log, 0);
    if missing > 1 && at != seq_key(log, seq) {
        let sql = "UPDATE message SET missing = missing - 1 WHERE key = ?1";
        tx.prepare_cached(sql)?.execute([at])?;
        return Ok(());
    }
    tx.prepare_cached("DELETE FROM message WHERE key = ?1")?.execute([at])?;
    let Some(next) = next.filter(|_| missing > 1) else { return Ok(()) };
    let nobody = (UserId([0; 16]), DeviceId([0; 16]));
    let line = line(next, MessageKind::Unreadable, None, nobody, t_ms);
    if !insert(tx, log, &NewMessage { missing: missing - 1, ..line })? {
        // What was handed over later has a line there already.
        let sql = "UPDATE message SET missing = missing + ?2 WHERE key = ?1 AND kind = 4";
        tx.prepare_cached(sql)?.execute(params![seq_key(log, next), C(missing - 1)])?;
    }
    Ok(())
}

fn line(
    seq: Seq,
    kind: MessageKind,
    content: Option<Vec<u8>>,
    (author, device): (UserId, DeviceId),
    t_ms: TimeMs,
) -> NewMessage {
    // A message's id begins with 0x01, so that a line's, which is its seq, is never one.
    let mut id = [0; 32];
    id[24..].copy_from_slice(&seq.0.to_be_bytes());
    NewMessage {
        place: Place::At(seq),
        message_id: MessageId(id),
        author,
        device,
        kind,
        state: MessageState::Received,
        t_ms,
        sent_ms: t_ms,
        missing: 0,
        text: None,
        content,
        record_key: None,
        unread: false,
        handed: false,
        saying: Saying::default(),
    }
}
