//! What the person was notified of, so that nothing rings twice.

use hauspost_protocol::ids::{LogId, TimeMs};
use rusqlite::{Connection, params};

use super::log::LocalLog;
use super::message::{COLUMNS, Message, read};
use super::{PENDING, key};
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A message that the person was not notified of.
#[derive(Debug, Clone)]
pub struct New {
    /// The conversation.
    pub log: LogId,
    /// Whether it makes no sound.
    pub muted: bool,
    /// The message.
    pub message: Message,
}

/// Unread messages that the person was not notified of, the newest first.
pub fn new(conn: &Connection, now_ms: TimeMs, limit: u32) -> Result<Vec<New>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT c.log, l.log, ifnull(c.muted_until, 0) > ?1,
             max(ifnull(c.read_seq, -1), ifnull(c.skip_seq, -1)), ifnull(n.key, -1)
         FROM conversation c JOIN log l ON l.id = c.log LEFT JOIN notified n ON n.log = c.log
         WHERE c.unread > 0",
    )?;
    let logs = select.query_map([C(now_ms)], |row| {
        let local = LocalLog { number: row.get(0)?, id: cell(row, 1)? };
        Ok((local, row.get::<_, bool>(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
    })?;
    let logs: Vec<_> = logs.collect::<Result<_, _>>()?;
    let mut rows = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message m
         WHERE m.key > ?1 AND m.key < ?2 AND m.fate < 2 AND m.kind NOT IN (2, 3, 4)
             AND m.author <> (SELECT user FROM account)
         ORDER BY m.key DESC LIMIT ?3"
    ))?;
    let mut found = Vec::new();
    for (local, muted, read_seq, notified) in logs {
        let after = (key(local, 0) + read_seq).max(notified);
        let messages = rows.query_map(params![after, key(local, PENDING), limit], read)?;
        for message in messages {
            found.push(New { log: local.id, muted, message: message? });
        }
    }
    found.sort_by_key(|new| std::cmp::Reverse((new.message.t_ms, new.message.key)));
    Ok(found)
}

/// The person is notified of all that is there.
pub fn note(tx: &Tx<'_>, log: LogId, up_to: i64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO notified (log, key) SELECT id, ?2 FROM log WHERE log = ?1
         ON CONFLICT (log) DO UPDATE SET key = max(key, excluded.key)",
    )?
    .execute(params![C(log), up_to])?;
    Ok(())
}
