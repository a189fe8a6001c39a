//! Reactions in force and their tallies.
//!
//! A page of a timeline reads a few rows of tallies for each message, however many people reacted. A
//! reaction that stands last in the log is counted at once; one that comes to stand before others of
//! the same person (one's own, when the server has ordered it) has this person's counted anew.

use hauspost_protocol::ids::{MessageId, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::key_seq;
use super::log::LocalLog;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// Different reactions of one person to one message; more have no effect.
pub const REACTIONS: u32 = 8;
/// Different emoji of a message that a page shows.
const TALLIES: u32 = 64;

/// How many people react by an emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The emoji.
    pub emoji: String,
    /// How many.
    pub count: u64,
    /// Whether this person is among them.
    pub mine: bool,
    /// Whether this person's own has not reached the server yet.
    pub is_waiting: bool,
}

/// Counts a mark that was just added at `key`: a reaction if `made`, else the taking back of one.
pub(super) fn add(
    tx: &Tx<'_>,
    log: LocalLog,
    (target, author): (MessageId, UserId),
    key: i64,
    made: Option<&String>,
    emoji: &str,
) -> Result<(), StoreError> {
    let mut later = tx.prepare_cached(
        "SELECT EXISTS (
             SELECT 1 FROM mark WHERE key >> 40 = ?1 AND target = ?2 AND kind IN (3, 4)
                 AND author = ?3 AND key > ?4)",
    )?;
    if later.query_row(params![log.number, C(target), C(author), key], |row| row.get(0))? {
        return count_anew(tx, log, target, author);
    }
    match made {
        Some(emoji) => make(tx, log, (target, author), emoji, key),
        None => take_back(tx, log, (target, author), emoji),
    }
}

/// Works out anew by what a person reacts to a message.
pub(super) fn count_anew(
    tx: &Tx<'_>,
    log: LocalLog,
    target: MessageId,
    author: UserId,
) -> Result<(), StoreError> {
    let who = (target, author);
    for emoji in of(tx, log, who)? {
        take_back(tx, log, who, &emoji)?;
    }
    let marks: Vec<(i64, bool, String)> = {
        let mut select = tx.prepare_cached(
            "SELECT key, kind = 3, text FROM mark
             WHERE key >> 40 = ?1 AND target = ?2 AND kind IN (3, 4) AND author = ?3 AND valid = 1
                 AND waits = 0 AND state NOT IN (4, 5) AND text IS NOT NULL
             ORDER BY key",
        )?;
        let rows = select.query_map(params![log.number, C(target), C(author)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    for (key, made, emoji) in marks {
        if made {
            make(tx, log, who, &emoji, key)?;
        } else {
            take_back(tx, log, who, &emoji)?;
        }
    }
    Ok(())
}

fn of(
    conn: &Connection,
    log: LocalLog,
    (target, author): (MessageId, UserId),
) -> Result<Vec<String>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT emoji FROM reaction WHERE log = ?1 AND target = ?2 AND author = ?3",
    )?;
    let rows = select.query_map(params![log.number, C(target), C(author)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn make(
    tx: &Tx<'_>,
    log: LocalLog,
    (target, author): (MessageId, UserId),
    emoji: &str,
    key: i64,
) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO reaction (log, target, author, emoji, key)
         SELECT ?1, ?2, ?3, ?4, ?5
         WHERE (SELECT count(*) FROM reaction WHERE log = ?1 AND target = ?2 AND author = ?3) < ?6
         ON CONFLICT DO NOTHING",
    )?;
    let row = params![log.number, C(target), C(author), emoji, key, REACTIONS];
    if insert.execute(row)? == 0 {
        return Ok(());
    }
    let mut count = tx.prepare_cached(
        "INSERT INTO reaction_tally (log, target, emoji, count, mine)
         VALUES (?1, ?2, ?3, 1, CASE (SELECT user FROM account) WHEN ?4 THEN ?5 END)
         ON CONFLICT (log, target, emoji)
         DO UPDATE SET count = count + 1, mine = coalesce(excluded.mine, mine)
         RETURNING count",
    )?;
    let row = params![log.number, C(target), emoji, C(author), key];
    let count: i64 = count.query_row(row, |row| row.get(0))?;
    if count == 1 {
        tx.prepare_cached(
            "UPDATE message SET reacted = 1 WHERE key >> 40 = ?1 AND message_id = ?2",
        )?
        .execute(params![log.number, C(target)])?;
    }
    Ok(())
}

fn take_back(
    tx: &Tx<'_>,
    log: LocalLog,
    (target, author): (MessageId, UserId),
    emoji: &str,
) -> Result<(), StoreError> {
    let mut delete = tx.prepare_cached(
        "DELETE FROM reaction WHERE log = ?1 AND target = ?2 AND author = ?3 AND emoji = ?4",
    )?;
    if delete.execute(params![log.number, C(target), C(author), emoji])? == 0 {
        return Ok(());
    }
    tx.prepare_cached(
        "UPDATE reaction_tally SET count = count - 1,
             mine = CASE (SELECT user FROM account) WHEN ?4 THEN NULL ELSE mine END
         WHERE log = ?1 AND target = ?2 AND emoji = ?3",
    )?
    .execute(params![log.number, C(target), emoji, C(author)])?;
    tx.prepare_cached(
        "DELETE FROM reaction_tally WHERE log = ?1 AND target = ?2 AND emoji = ?3 AND count = 0",
    )?
    .execute(params![log.number, C(target), emoji])?;
    Ok(())
}

/// The reactions to a message, the most frequent first.
pub fn tallies(conn: &Connection, log: i64, target: MessageId) -> Result<Vec<Tally>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT emoji, count, mine FROM reaction_tally WHERE log = ?1 AND target = ?2 LIMIT ?3",
    )?;
    let rows = select.query_map(params![log, C(target), TALLIES], |row| {
        let mine: Option<i64> = row.get(2)?;
        Ok(Tally {
            emoji: row.get(0)?,
            count: cell(row, 1)?,
            mine: mine.is_some(),
            is_waiting: mine.is_some_and(|key| key_seq(key).is_none()),
        })
    })?;
    let mut tallies: Vec<_> = rows.collect::<Result<_, _>>()?;
    tallies.sort_by_key(|tally| std::cmp::Reverse(tally.count));
    Ok(tallies)
}

/// Who reacts to a message and by what, the earliest first.
pub fn people(
    conn: &Connection,
    log: LocalLog,
    target: MessageId,
    limit: u32,
) -> Result<Vec<(UserId, String)>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT author, emoji FROM reaction WHERE log = ?1 AND target = ?2 ORDER BY key LIMIT ?3",
    )?;
    let rows = select
        .query_map(params![log.number, C(target), limit], |row| Ok((cell(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// By how many different emoji a person reacts to a message.
pub fn count_of(
    conn: &Connection,
    log: LocalLog,
    who: (MessageId, UserId),
) -> Result<u32, StoreError> {
    Ok(u32::try_from(of(conn, log, who)?.len()).unwrap_or(u32::MAX))
}

/// Whether a person reacts to a message by this emoji.
pub fn is_there(
    conn: &Connection,
    log: LocalLog,
    (target, author): (MessageId, UserId),
    emoji: &str,
) -> Result<bool, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT 1 FROM reaction WHERE log = ?1 AND target = ?2 AND author = ?3 AND emoji = ?4",
    )?;
    let found = select.query_row(params![log.number, C(target), C(author), emoji], |_| Ok(()));
    Ok(found.optional()?.is_some())
}
