//! Messages that ask to be confirmed, and who has.
//!
//! Asked is who was in the conversation just before the message, but for its author; a person confirms
//! once, by whichever device. A page of a timeline reads three columns of the message's own row, however
//! many people are asked: the counts are kept as confirmations come, each in a few steps.

use hauspost_protocol::ids::{DeviceId, LogId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::log::LocalLog;
use super::{key_seq, stay};
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// That a message asks to be confirmed, and how far that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// How many people are asked; none while it is not sent.
    pub asked: u64,
    /// How many of them have confirmed. For its author and the owners to see.
    pub confirmed: u64,
    /// Whether the person of this phone is asked, and has not confirmed.
    pub is_due: bool,
    /// Whether he has confirmed.
    pub is_mine: bool,
    /// Whether that has not reached the server yet.
    pub is_waiting: bool,
}

/// Reads the four columns from this one on.
pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Asking>> {
    let Some(asked) = cell::<Option<u64>>(row, at)? else { return Ok(None) };
    let mine: Option<i64> = row.get(at + 2)?;
    Ok(Some(Asking {
        asked,
        confirmed: cell(row, at + 1)?,
        is_due: row.get(at + 3)?,
        is_mine: mine.is_some(),
        is_waiting: mine.is_some_and(|key| key_seq(key).is_none()),
    }))
}

/// A message that asks to be confirmed stands in its place: those who are there are asked.
pub(super) fn ask(tx: &Tx<'_>, log: LocalLog, key: i64) -> Result<(), StoreError> {
    let Some(seq) = key_seq(key) else { return Ok(()) };
    let sql = "UPDATE message SET asked = (
                   SELECT count(DISTINCT user) FROM stay WHERE log = ?2 AND from_seq <= ?3
                       AND (to_seq IS NULL OR to_seq > ?3) AND user <> message.author)
               WHERE key = ?1 AND asked IS NOT NULL";
    if tx.prepare_cached(sql)?.execute(params![key, log.number, C(seq)])? > 0 {
        settle(tx, log, key)?;
    }
    Ok(())
}

/// Works out anew whether the person of this phone has still to confirm the message at this key.
pub(super) fn settle(tx: &Tx<'_>, log: LocalLog, key: i64) -> Result<(), StoreError> {
    let Some(seq) = key_seq(key) else { return Ok(()) };
    let sql = "SELECT user FROM account";
    let me = tx.prepare_cached(sql)?.query_row([], |row| cell::<UserId>(row, 0)).optional()?;
    let Some(me) = me else { return Ok(()) };
    let is_asked = stay::is_there(tx, log, me, seq)?;
    let sql = "UPDATE message SET to_confirm =
                   ?2 AND asked IS NOT NULL AND author <> ?3 AND confirmed_key IS NULL AND fate < 2
                       AND state <> 5
               WHERE key = ?1";
    tx.prepare_cached(sql)?.execute(params![key, is_asked, C(me)])?;
    Ok(())
}

/// The message that a mark confirms.
struct Target {
    key: i64,
    author: UserId,
}

fn target(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Option<Target>, StoreError> {
    let sql = "SELECT key, author FROM message
               WHERE key >> 40 = ?1 AND message_id = ?2 AND asked IS NOT NULL";
    let read = |row: &Row<'_>| Ok(Target { key: row.get(0)?, author: cell(row, 1)? });
    let row = params![log.number, C(message_id)];
    Ok(conn.prepare_cached(sql)?.query_row(row, read).optional()?)
}

/// Whether the person of this phone has still to confirm a message; `None` of one that asks nobody.
pub(super) fn is_due(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Option<bool>, StoreError> {
    let sql = "SELECT to_confirm FROM message
               WHERE key >> 40 = ?1 AND message_id = ?2 AND asked IS NOT NULL";
    let row = params![log.number, C(message_id)];
    Ok(conn.prepare_cached(sql)?.query_row(row, |row| row.get(0)).optional()?)
}

/// Works out anew whether a person has confirmed a message, and by what: his first mark that says so.
pub(super) fn count_anew(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    author: UserId,
) -> Result<(), StoreError> {
    let Some(target) = target(tx, log, message_id)? else { return Ok(()) };
    let sql = "SELECT key FROM mark
               WHERE key >> 40 = ?1 AND target = ?2 AND kind = 9 AND author = ?3 AND valid = 1
                   AND waits = 0 AND state NOT IN (4, 5)
               ORDER BY key LIMIT 1";
    let row = params![log.number, C(message_id), C(author)];
    let first: Option<i64> = tx.prepare_cached(sql)?.query_row(row, |row| row.get(0)).optional()?;
    let first = first.filter(|_| author != target.author);
    let sql = "DELETE FROM confirmation WHERE log = ?1 AND target = ?2 AND author = ?3
               RETURNING asked";
    let row = params![log.number, C(message_id), C(author)];
    let before: Option<bool> =
        tx.prepare_cached(sql)?.query_row(row, |row| row.get(0)).optional()?;
    let mut now = None;
    if let Some(key) = first {
        let was_there = match key_seq(target.key) {
            Some(seq) => stay::is_there(tx, log, author, seq)?,
            None => false,
        };
        let sql = "INSERT INTO confirmation (log, target, author, key, asked)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let row = params![log.number, C(message_id), C(author), key, was_there];
        tx.prepare_cached(sql)?.execute(row)?;
        now = Some(was_there);
    }
    let change = i64::from(now == Some(true)) - i64::from(before == Some(true));
    let sql = "UPDATE message SET confirmed = confirmed + ?2,
                   confirmed_key = CASE (SELECT user FROM account) WHEN ?3 THEN ?4
                       ELSE confirmed_key END
               WHERE key = ?1";
    tx.prepare_cached(sql)?.execute(params![target.key, change, C(author), first])?;
    settle(tx, log, target.key)
}

/// Somebody's confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    /// Whose.
    pub user: UserId,
    /// By which of his devices.
    pub device: DeviceId,
    /// Its number in the log; `None` while it is not sent.
    pub seq: Option<Seq>,
    /// The log's time.
    pub t_ms: TimeMs,
    /// The author's time.
    pub sent_ms: TimeMs,
}

/// Who has confirmed a message, in the log's order.
pub fn of_message(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Vec<Confirmation>, StoreError> {
    let sql = "SELECT c.author, m.device, m.key, m.t_ms, m.sent_ms
               FROM confirmation c CROSS JOIN mark m ON m.key = c.key
               WHERE c.log = ?1 AND c.target = ?2 ORDER BY c.key";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![log.number, C(message_id)], |row| {
        Ok(Confirmation {
            user: cell(row, 0)?,
            device: cell(row, 1)?,
            seq: key_seq(row.get(2)?),
            t_ms: cell(row, 3)?,
            sent_ms: cell(row, 4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A message that the person of this phone has still to confirm.
#[derive(Clone, PartialEq, Eq)]
pub struct Due {
    /// The conversation.
    pub log: LogId,
    /// The message.
    pub message_id: MessageId,
    /// Its number in the log.
    pub seq: Seq,
    /// Who wrote it.
    pub author: UserId,
    /// When, by the log.
    pub t_ms: TimeMs,
    /// The beginning of what it says.
    pub text: Option<String>,
}

/// Characters of a message that a reminder shows.
const DUE_CHARS: u32 = 160;

/// The messages that the person of this phone has still to confirm, the longest known first.
pub fn due(conn: &Connection, limit: u32) -> Result<Vec<Due>, StoreError> {
    let sql = "SELECT l.log, m.message_id, m.key, m.author, m.t_ms, substr(m.text, 1, ?2)
               FROM message m CROSS JOIN log l ON l.id = m.key >> 40
               WHERE m.to_confirm = 1 AND m.again = 0 AND l.state <> 1 ORDER BY m.t_ms LIMIT ?1";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([limit, DUE_CHARS], |row| {
        Ok(Due {
            log: cell(row, 0)?,
            message_id: cell(row, 1)?,
            seq: key_seq(row.get(2)?).unwrap_or_default(),
            author: cell(row, 3)?,
            t_ms: cell(row, 4)?,
            text: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
