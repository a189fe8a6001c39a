//! What the devices of one person agree on: the facts as they hold here, and what a view shows of each.
//!
//! A fact is kept under what it is about, also while this phone does not have the conversation or the
//! message: it shows when that comes. Which of two facts holds is the protocol's to say
//! ([`OwnFact::holds_against`]); what is said and when is [`own`](crate::own)'s.

use hauspost_protocol::content::{OwnFact, Subject};
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log::{self, LocalLog};
use super::message::SAID;
use super::presence::{self, Trace};
use super::{conversation, message, outbox, receipt};
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A fact as it holds on this phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What is so.
    pub fact: OwnFact,
    /// The entry that said it; 0 if none did yet.
    pub place: Seq,
    /// The intent that is to say it.
    pub waits: Option<i64>,
    /// Whether this device said it.
    pub mine: bool,
}

const COLUMNS: &str = "fact, place, waits, mine";

fn read(row: &Row<'_>) -> rusqlite::Result<Held> {
    let fact: Vec<u8> = row.get(0)?;
    let fact = decode(&fact).map_err(|_| rusqlite::Error::InvalidQuery)?;
    Ok(Held { fact, place: cell(row, 1)?, waits: row.get(2)?, mine: row.get(3)? })
}

/// How a subject's conversation lies in its column.
fn of(log: Option<LogId>) -> Vec<u8> {
    log.map(|log| log.0.to_vec()).unwrap_or_default()
}

/// What holds of this subject.
pub fn find(conn: &Connection, subject: &Subject) -> Result<Option<Held>, StoreError> {
    let mut select = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM own_state WHERE log = ?1 AND kind = ?2 AND name = ?3",
    ))?;
    let key = params![of(subject.log), C(subject.kind), subject.name];
    Ok(select.query_row(key, read).optional()?)
}

/// Stores what holds, over what held before.
pub fn put(tx: &Tx<'_>, held: &Held) -> Result<(), StoreError> {
    let subject = held.fact.subject();
    tx.prepare_cached(
        "INSERT INTO own_state (log, kind, name, fact, place, waits, mine)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (log, kind, name) DO UPDATE SET fact = excluded.fact, place = excluded.place,
             waits = excluded.waits, mine = excluded.mine",
    )?
    .execute(params![
        of(subject.log),
        C(subject.kind),
        subject.name,
        encode(&held.fact),
        C(held.place),
        held.waits,
        held.mine,
    ])?;
    Ok(())
}

/// The facts that this intent is to say.
pub fn waiting_for(conn: &Connection, intent: i64) -> Result<Vec<OwnFact>, StoreError> {
    let mut select =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM own_state WHERE waits = ?1"))?;
    let rows = select.query_map([intent], |row| read(row).map(|held| held.fact))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An intent said what waited for it, or `None` if it never will.
pub fn said(tx: &Tx<'_>, intent: i64, place: Option<Seq>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE own_state SET waits = NULL, place = max(place, ifnull(?2, place))
         WHERE waits = ?1",
    )?
    .execute(params![intent, C(place)])?;
    Ok(())
}

/// All facts that some entry said, or were there before; those that wait are said anyway.
pub fn settled(conn: &Connection) -> Result<Vec<Held>, StoreError> {
    let mut select =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM own_state WHERE waits IS NULL"))?;
    let rows = select.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The setting of this name.
pub fn setting(conn: &Connection, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let asked = OwnFact::Setting { name: name.to_owned(), value: None };
    Ok(match find(conn, &asked.subject())?.map(|held| held.fact) {
        Some(OwnFact::Setting { value, .. }) => value.map(|value| value.0),
        _ => None,
    })
}

/// What the person began to write in a conversation, as his devices know it.
pub fn draft(conn: &Connection, log: LogId) -> Result<Option<String>, StoreError> {
    let asked = OwnFact::Draft { log, text: None, based: Seq(0) };
    Ok(match find(conn, &asked.subject())?.map(|held| held.fact) {
        Some(OwnFact::Draft { text, .. }) => text,
        _ => None,
    })
}

/// The intent whose record is still to be sealed, so that more can be said by it.
pub fn open_intent(conn: &Connection, log: LogId) -> Result<Option<i64>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT id FROM outbox o
         WHERE log = ?1 AND state = 0 AND state <> 3 AND kind = 7
             AND EXISTS (SELECT 1 FROM own_state WHERE waits = o.id)
         ORDER BY id DESC LIMIT 1",
    )?;
    Ok(select.query_row([C(log)], |row| row.get(0)).optional()?)
}

/// Nothing that is to be said waits for its time any more.
pub fn hurry(tx: &Tx<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET next_ms = 0 WHERE state = 0 AND state <> 3 AND kind = 7";
    tx.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Lets views show a fact that another device of the person said.
pub fn project(tx: &Tx<'_>, fact: &OwnFact, now_ms: TimeMs) -> Result<(), StoreError> {
    let subject = fact.subject();
    let Some(log) = subject.log else {
        if let OwnFact::Setting { name, value } = fact {
            if name == receipt::WITHHELD {
                receipt::set_withheld(tx, value.is_some())?;
            } else if let Some(trace) = Trace::named(name) {
                presence::set_withheld(tx, trace, value.is_some())?;
            }
        }
        tx.touch(Change::Account);
        return Ok(());
    };
    match log::local(tx, log)? {
        Some(local) => show(tx, local, fact, now_ms),
        // It shows when the conversation comes.
        None => Ok(()),
    }
}

fn show(tx: &Tx<'_>, local: LocalLog, fact: &OwnFact, now_ms: TimeMs) -> Result<(), StoreError> {
    match fact {
        OwnFact::Read { below, .. } => conversation::read_elsewhere(tx, local, *below),
        OwnFact::Draft { text, .. } => {
            conversation::draft_elsewhere(tx, local, text.as_deref(), now_ms)
        }
        OwnFact::Muted { until_ms, .. } => {
            conversation::set_muted(tx, local, Some(*until_ms).filter(|until_ms| *until_ms > 0))
        }
        OwnFact::Starred { message, at_ms, .. } => {
            let starred_ms = Some(*at_ms).filter(|at_ms| *at_ms > 0);
            let came = message::set_starred(tx, local, *message, starred_ms)?;
            let sql = "UPDATE own_state SET open = ?4 WHERE log = ?1 AND kind = ?2 AND name = ?3";
            let subject = fact.subject();
            let open = !came && starred_ms.is_some();
            tx.prepare_cached(sql)?.execute(params![
                of(subject.log),
                C(subject.kind),
                subject.name,
                open
            ])?;
            Ok(())
        }
        OwnFact::Archived { archived, .. } => conversation::set_archived(tx, local, *archived),
        OwnFact::Favourite { rank, .. } => conversation::set_favourite(tx, local, *rank),
        OwnFact::Setting { .. } => Ok(()),
    }
}

/// A conversation is here from now on: what was said of it shows.
pub(super) fn conversation_came(tx: &Tx<'_>, log: LocalLog) -> Result<(), StoreError> {
    of_log(tx, log.id)?.iter().try_for_each(|fact| show(tx, log, fact, 0))
}

/// Messages of a conversation came: a star that waited for one of them shows.
pub(super) fn message_came(conn: &Connection, log: LocalLog) -> Result<(), StoreError> {
    let mut select = conn.prepare_cached("SELECT 1 FROM own_state WHERE log = ?1 AND open = 1")?;
    if !select.exists([C(log.id)])? {
        return Ok(());
    }
    let mut select = conn
        .prepare_cached(&format!("SELECT {COLUMNS} FROM own_state WHERE log = ?1 AND open = 1"))?;
    let rows = select.query_map([C(log.id)], |row| read(row).map(|held| held.fact))?;
    let open: Vec<OwnFact> = rows.collect::<Result<_, _>>()?;
    for fact in &open {
        let OwnFact::Starred { message, at_ms, .. } = fact else { continue };
        let mut update = conn.prepare_cached(&format!(
            "UPDATE message SET starred_ms = ?3
             WHERE key >> 40 = ?1 AND message_id = ?2 AND kind IN {SAID}",
        ))?;
        if update.execute(params![log.number, C(*message), C(*at_ms)])? > 0 {
            conn.prepare_cached("UPDATE own_state SET open = 0 WHERE log = ?1 AND name = ?2")?
                .execute(params![C(log.id), C(*message)])?;
        }
    }
    Ok(())
}

/// What a person did on this phone before there was a log to say it in; each once.
pub fn before_the_log(conn: &Connection) -> Result<Vec<OwnFact>, StoreError> {
    let mut facts = Vec::new();
    let mut select = conn.prepare_cached(
        "SELECT l.log, c.read_seq, c.unread > 0 AND c.skip_seq IS NULL, c.draft, c.muted_until,
             c.archived, c.favourite
         FROM conversation c CROSS JOIN log l ON l.id = c.log WHERE l.type <> 3",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let log: LogId = cell(row, 0)?;
        match cell::<Option<Seq>>(row, 1)? {
            Some(read) => facts.push(OwnFact::Read { log, below: read.next() }),
            None if row.get(2)? => facts.push(OwnFact::Read { log, below: Seq(0) }),
            None => {}
        }
        if let Some(text) = row.get(3)? {
            facts.push(OwnFact::Draft { log, text: Some(text), based: Seq(0) });
        }
        if let Some(until_ms) = cell(row, 4)? {
            facts.push(OwnFact::Muted { log, until_ms });
        }
        if row.get(5)? {
            facts.push(OwnFact::Archived { log, archived: true });
        }
        if let Some(rank) = cell(row, 6)? {
            facts.push(OwnFact::Favourite { log, rank: Some(rank) });
        }
    }
    let mut select = conn.prepare_cached(
        "SELECT l.log, m.message_id, m.starred_ms FROM message m
         CROSS JOIN log l ON l.id = m.key >> 40 WHERE m.starred_ms IS NOT NULL",
    )?;
    let starred = select.query_map([], |row| {
        let (log, message): (LogId, MessageId) = (cell(row, 0)?, cell(row, 1)?);
        Ok(OwnFact::Starred { log, message, at_ms: cell::<TimeMs>(row, 2)?.max(1) })
    })?;
    facts.extend(starred.collect::<Result<Vec<_>, _>>()?);
    Ok(facts)
}

/// Whether there is anything that another device of the person could be told.
pub fn is_any(conn: &Connection) -> Result<bool, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM own_state) OR EXISTS (
             SELECT 1 FROM conversation WHERE read_seq IS NOT NULL OR draft IS NOT NULL
                 OR muted_until IS NOT NULL OR archived OR favourite IS NOT NULL
         ) OR EXISTS (SELECT 1 FROM message WHERE starred_ms IS NOT NULL)",
    )?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// All that was said of a conversation.
pub fn of_log(conn: &Connection, log: LogId) -> Result<Vec<OwnFact>, StoreError> {
    let mut select =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM own_state WHERE log = ?1"))?;
    let rows = select.query_map([C(log)], |row| read(row).map(|held| held.fact))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Intents of answers that are not sealed yet; see [`own`](crate::own).
pub fn take_back(tx: &Tx<'_>, intents: &[i64]) -> Result<(), StoreError> {
    for id in intents {
        let waits = outbox::find(tx, *id)?
            .filter(|intent| intent.state == outbox::IntentState::Queued)
            .filter(|intent| intent.kind == outbox::IntentKind::OwnState);
        if waits.is_some() {
            outbox::discard(tx, *id)?;
        }
    }
    Ok(())
}
