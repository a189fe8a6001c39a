//! Read receipts: how far others have read, and what this phone has still to say of it.
//!
//! They are traces of behaviour (legal.md L-24). They come and go only while the policy lets them, are
//! kept for as many days as it says, and are shown only to who sends them too.

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::log::LocalLog;
use super::{account, key, seq_key};
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// Under which name it is noted that the policy lets people see who read what, and for how many days.
const POLICY: &str = "receipt-policy";
/// Under which name it is noted that the person sends none.
pub(crate) const WITHHELD: &str = "receipts-withheld";

/// How far somebody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadUpTo {
    /// Who.
    pub user: UserId,
    /// Up to which row of the timeline.
    pub key: i64,
    /// The log's time of the receipt.
    pub t_ms: TimeMs,
}

/// A receipt that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The conversation.
    pub log: LogId,
    /// The newest message of others that was read.
    pub message_id: MessageId,
    /// Its row.
    pub key: i64,
}

/// Notes what the policy says now: whether there are receipts, and for how many days they are kept. What
/// was kept under another policy goes.
pub fn set_policy(tx: &Tx<'_>, shown: bool, days: u64) -> Result<(), StoreError> {
    let policy = encode(&(shown, days));
    if account::fact(tx, POLICY)?.is_some_and(|known| known == policy) {
        return Ok(());
    }
    account::put_fact(tx, POLICY, &policy)?;
    if !shown {
        tx.execute("DELETE FROM read_up_to", [])?;
        tx.execute("DELETE FROM receipt", [])?;
    }
    tx.touch(Change::EveryLog);
    Ok(())
}

/// For how many days receipts are kept, if the policy has any.
pub fn policy(conn: &Connection) -> Result<Option<u64>, StoreError> {
    let policy = account::fact(conn, POLICY)?.map(|policy| decode::<(bool, u64)>(&policy));
    match policy {
        None => Ok(None),
        Some(Ok((shown, days))) => Ok(shown.then_some(days)),
        Some(Err(_)) => Err(StoreError::Unreadable("receipt policy")),
    }
}

/// The person sends none, or does again.
pub fn set_withheld(tx: &Tx<'_>, withheld: bool) -> Result<(), StoreError> {
    if withheld {
        account::put_fact(tx, WITHHELD, &[1])?;
        tx.execute("DELETE FROM receipt", [])?;
    } else {
        account::forget_fact(tx, WITHHELD)?;
    }
    tx.touch(Change::EveryLog);
    Ok(())
}

/// Whether the person sends none.
pub fn is_withheld(conn: &Connection) -> Result<bool, StoreError> {
    Ok(account::fact(conn, WITHHELD)?.is_some())
}

/// Somebody says that he read up to this message. Whoever names one that is not here says nothing.
pub fn note(
    tx: &Tx<'_>,
    log: LocalLog,
    user: UserId,
    message_id: MessageId,
    t_ms: TimeMs,
) -> Result<(), StoreError> {
    if policy(tx)?.is_none() {
        return Ok(());
    }
    tx.prepare_cached(
        "INSERT INTO read_up_to (log, user, key, t_ms)
         SELECT ?1, ?2, key, ?4 FROM message WHERE key >> 40 = ?1 AND message_id = ?3
         ON CONFLICT (log, user) DO UPDATE SET key = excluded.key, t_ms = excluded.t_ms
             WHERE excluded.key > key",
    )?
    .execute(params![log.number, C(user), C(message_id), C(t_ms)])?;
    tx.touch(Change::Log(log.id));
    Ok(())
}

/// How far the others have read, if this person may see it.
pub fn read_up_to(conn: &Connection, log: LocalLog) -> Result<Option<Vec<ReadUpTo>>, StoreError> {
    if policy(conn)?.is_none() || is_withheld(conn)? {
        return Ok(None);
    }
    let mut select =
        conn.prepare_cached("SELECT user, key, t_ms FROM read_up_to WHERE log = ?1")?;
    let rows = select.query_map([log.number], |row| {
        Ok(ReadUpTo { user: cell(row, 0)?, key: row.get(1)?, t_ms: cell(row, 2)? })
    })?;
    Ok(Some(rows.collect::<Result<_, _>>()?))
}

/// Forgets receipts that are older than this time.
pub fn forget(tx: &Tx<'_>, before_ms: TimeMs) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM read_up_to WHERE t_ms < ?1")?.execute([C(before_ms)])?;
    Ok(())
}

/// The person read everything up to this entry: the newest message of others among it is to be said,
/// where the policy lets it and the person does not withhold it.
pub fn want(tx: &Tx<'_>, log: LocalLog, up_to: Seq, now_ms: TimeMs) -> Result<(), StoreError> {
    if policy(tx)?.is_none() || is_withheld(tx)? {
        return Ok(());
    }
    let newest: Option<i64> = tx
        .prepare_cached(
            "SELECT key FROM message
             WHERE key BETWEEN ?1 AND ?2 AND kind NOT IN (2, 3, 4)
                 AND author <> (SELECT user FROM account)
             ORDER BY key DESC LIMIT 1",
        )?
        .query_row([key(log, 0), seq_key(log, up_to)], |row| row.get(0))
        .optional()?;
    let Some(newest) = newest else { return Ok(()) };
    tx.prepare_cached(
        "INSERT INTO receipt (log, wanted, due_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (log) DO UPDATE SET wanted = excluded.wanted,
             due_ms = min(due_ms, excluded.due_ms + 60000) WHERE excluded.wanted > wanted",
    )?
    .execute(params![log.number, newest, C(now_ms)])?;
    Ok(())
}

/// The receipts that are due now.
pub fn due(conn: &Connection, now_ms: TimeMs) -> Result<Vec<Due>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.log, m.message_id, r.wanted FROM receipt r
         JOIN log l ON l.id = r.log JOIN message m ON m.key = r.wanted
         WHERE r.wanted > r.said AND r.due_ms <= ?1 AND l.state = 0",
    )?;
    let rows = select.query_map([C(now_ms)], |row| {
        Ok(Due { log: cell(row, 0)?, message_id: cell(row, 1)?, key: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next receipt is due that was not at this time.
pub fn next_due(conn: &Connection, after_ms: TimeMs) -> Result<Option<TimeMs>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT min(due_ms) FROM receipt WHERE wanted > said AND due_ms > ?1")?;
    Ok(select.query_row([C(after_ms)], |row| cell(row, 0))?)
}

/// A receipt is said, or is nothing to be said; the next one not before this time.
pub fn said(tx: &Tx<'_>, log: LocalLog, key: i64, next_ms: TimeMs) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE receipt SET said = max(said, ?2), due_ms = ?3 WHERE log = ?1")?
        .execute(params![log.number, key, C(next_ms)])?;
    Ok(())
}

#[cfg(test)]
mod tests;
