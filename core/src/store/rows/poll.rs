//! Votes in force and their tallies.
//!
//! A person's last vote before the close counts, by the log's order, whichever of his devices cast it.
//! A page of a timeline reads one row for each poll, however many people voted: with each vote that
//! comes, moves or fails, its author's own is looked up anew, and the tally follows the difference.

use hauspost_protocol::content::{Choice, OPTIONS};
use hauspost_protocol::ids::{MessageId, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::key_seq;
use super::log::LocalLog;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// How a poll stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Votes {
    /// How many people chose anything.
    pub voters: u64,
    /// How many chose each option; fewer than there are options stand for none.
    pub counts: Vec<u32>,
    /// What this person chose.
    pub mine: Choice,
    /// Whether this person's own vote has not reached the server yet.
    pub is_waiting: bool,
    /// Who closed it, if anybody did.
    pub closed_by: Option<UserId>,
}

impl Votes {
    /// How many chose this option.
    pub fn count(&self, option: usize) -> u32 {
        self.counts.get(option).copied().unwrap_or_default()
    }
}

/// A vote in force.
type Vote = (i64, Choice);

fn read_vote(row: &Row<'_>) -> rusqlite::Result<Vote> {
    Ok((row.get(0)?, Choice::from_bits(row.get(1)?)))
}

/// Works out anew what a person votes for in a poll.
pub(super) fn count_anew(
    tx: &Tx<'_>,
    log: LocalLog,
    target: MessageId,
    author: UserId,
) -> Result<(), StoreError> {
    let closed = closed_key(tx, log, target)?;
    let mut select = tx.prepare_cached(
        "SELECT key, choice FROM mark
         WHERE key >> 40 = ?1 AND target = ?2 AND kind = 7 AND author = ?3 AND valid = 1
             AND waits = 0 AND state NOT IN (4, 5) AND key < ?4
         ORDER BY key DESC LIMIT 1",
    )?;
    let last = params![log.number, C(target), C(author), closed.unwrap_or(i64::MAX)];
    let now = select.query_row(last, read_vote).optional()?.filter(|vote| !vote.1.is_empty());
    let before = vote_of(tx, log.number, target, author)?;
    if now == before {
        return Ok(());
    }
    let who = params![log.number, C(target), C(author)];
    match now {
        None => tx
            .prepare_cached("DELETE FROM vote WHERE log = ?1 AND target = ?2 AND author = ?3")?
            .execute(who)?,
        Some((key, choice)) => tx
            .prepare_cached(
                "INSERT OR REPLACE INTO vote (log, target, author, key, choice)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![log.number, C(target), C(author), key, choice.bits()])?,
    };
    let (mut voters, mut counts) = tally(tx, log.number, target)?.unwrap_or_default();
    counts.resize(OPTIONS, 0);
    if let Some((_, choice)) = before {
        voters = voters.saturating_sub(1);
        choice.iter().for_each(|option| counts[option] = counts[option].saturating_sub(1));
    }
    if let Some((_, choice)) = now {
        voters += 1;
        choice.iter().for_each(|option| counts[option] += 1);
    }
    let counts: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
    tx.prepare_cached(
        "INSERT INTO poll (log, target, voters, counts) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (log, target) DO UPDATE SET voters = excluded.voters, counts = excluded.counts",
    )?
    .execute(params![log.number, C(target), C(voters), counts])?;
    Ok(())
}

/// Works out anew whether a poll is closed, and which votes come too late.
pub(super) fn close_anew(tx: &Tx<'_>, log: LocalLog, target: MessageId) -> Result<(), StoreError> {
    let before = closed_key(tx, log, target)?;
    let mut select = tx.prepare_cached(
        "SELECT key, author FROM mark
         WHERE key >> 40 = ?1 AND target = ?2 AND kind = 8 AND valid = 1 AND waits = 0 AND state <> 4
         ORDER BY key LIMIT 1",
    )?;
    let found = select.query_row(params![log.number, C(target)], |row| {
        Ok((row.get(0)?, cell::<UserId>(row, 1)?))
    });
    let close: Option<(i64, UserId)> = found.optional()?;
    let now = close.map(|(key, _)| key);
    if now == before {
        return Ok(());
    }
    tx.prepare_cached(
        "INSERT INTO poll (log, target, voters, counts, closed_key, closed_by)
         VALUES (?1, ?2, 0, x'', ?3, ?4)
         ON CONFLICT (log, target)
         DO UPDATE SET closed_key = excluded.closed_key, closed_by = excluded.closed_by",
    )?
    .execute(params![log.number, C(target), now, C(close.map(|(_, author)| author))])?;
    // Between the two closes lie the votes that count differently from now on.
    let (first, last) = (before.unwrap_or(i64::MAX), now.unwrap_or(i64::MAX));
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT author FROM mark
         WHERE key >> 40 = ?1 AND target = ?2 AND kind = 7 AND key >= ?3 AND key < ?4",
    )?;
    let between = params![log.number, C(target), first.min(last), first.max(last)];
    let authors: Vec<UserId> =
        select.query_map(between, |row| cell(row, 0))?.collect::<Result<_, _>>()?;
    authors.into_iter().try_for_each(|author| count_anew(tx, log, target, author))
}

fn closed_key(
    conn: &Connection,
    log: LocalLog,
    target: MessageId,
) -> Result<Option<i64>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT closed_key FROM poll WHERE log = ?1 AND target = ?2")?;
    let found = select.query_row(params![log.number, C(target)], |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

fn vote_of(
    conn: &Connection,
    log: i64,
    target: MessageId,
    author: UserId,
) -> Result<Option<Vote>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT key, choice FROM vote WHERE log = ?1 AND target = ?2 AND author = ?3",
    )?;
    Ok(select.query_row(params![log, C(target), C(author)], read_vote).optional()?)
}

fn tally(
    conn: &Connection,
    log: i64,
    target: MessageId,
) -> Result<Option<(u64, Vec<u32>)>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT voters, counts FROM poll WHERE log = ?1 AND target = ?2")?;
    let found = select.query_row(params![log, C(target)], |row| {
        Ok((cell(row, 0)?, counts(&row.get::<_, Vec<u8>>(1)?)))
    });
    Ok(found.optional()?)
}

fn counts(blob: &[u8]) -> Vec<u32> {
    blob.as_chunks::<4>().0.iter().map(|count| u32::from_be_bytes(*count)).collect()
}

/// How a poll stands.
pub fn votes(conn: &Connection, log: i64, target: MessageId) -> Result<Votes, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT p.voters, p.counts, p.closed_by, v.key, v.choice FROM poll p
         LEFT JOIN vote v ON v.log = p.log AND v.target = p.target
             AND v.author = (SELECT user FROM account)
         WHERE p.log = ?1 AND p.target = ?2",
    )?;
    let found = select.query_row(params![log, C(target)], |row| {
        let key: Option<i64> = row.get(3)?;
        Ok(Votes {
            voters: cell(row, 0)?,
            counts: counts(&row.get::<_, Vec<u8>>(1)?),
            closed_by: cell(row, 2)?,
            mine: Choice::from_bits(row.get::<_, Option<u16>>(4)?.unwrap_or_default()),
            is_waiting: key.is_some_and(|key| key_seq(key).is_none()),
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// Who chose what in a poll, in the order of their votes.
pub fn people(
    conn: &Connection,
    log: LocalLog,
    target: MessageId,
    limit: u32,
) -> Result<Vec<(UserId, Choice)>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT author, choice FROM vote WHERE log = ?1 AND target = ?2 ORDER BY key LIMIT ?3",
    )?;
    let rows = select.query_map(params![log.number, C(target), limit], |row| {
        Ok((cell(row, 0)?, Choice::from_bits(row.get(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
