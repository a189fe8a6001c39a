//! The list of conversations, one small row each, kept up to date with every message.

use hauspost_protocol::ids::{Seq, TimeMs};
use rusqlite::{Connection, params};

use super::log::LocalLog;
use super::{PENDING, key, seq_key};
use crate::observe::Change;
use crate::store::cell::C;
use crate::store::{StoreError, Tx};

/// Characters of the last message that the list shows.
const PREVIEW_CHARS: u32 = 160;

/// Brings a conversation's row up to date after its messages changed.
pub(in crate::store) fn refresh(
    conn: &Connection,
    log: LocalLog,
    more_unread: u32,
) -> Result<(), StoreError> {
    let mut update = conn.prepare_cached(
        "UPDATE conversation
         SET last_key = m.key, last_author = m.author, last_kind = m.kind, last_state = m.state,
             last_text = substr(m.text, 1, ?4), order_ms = m.t_ms,
             unread = unread + ?5
         FROM (SELECT key, author, kind, state, text, t_ms FROM message
               WHERE key BETWEEN ?2 AND ?3 ORDER BY key DESC LIMIT 1) m
         WHERE log = ?1",
    )?;
    let found = update.execute(params![
        log.number,
        key(log, 0),
        key(log, (PENDING << 1) - 1),
        PREVIEW_CHARS,
        more_unread,
    ])?;
    if found == 0 {
        // Its last message was taken back.
        conn.prepare_cached(
            "UPDATE conversation SET last_key = NULL, last_author = NULL, last_kind = NULL,
                 last_state = NULL, last_text = NULL
             WHERE log = ?1",
        )?
        .execute([log.number])?;
    }
    Ok(())
}

/// The person read everything up to this entry.
pub fn mark_read(tx: &Tx<'_>, log: LocalLog, up_to: Seq) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE conversation
         SET read_seq = ?2,
             unread = (SELECT count(*) FROM message
                       WHERE key > ?3 AND key < ?4 AND kind IN (0, 1)
                         AND author <> (SELECT user FROM account))
         WHERE log = ?1 AND (read_seq IS NULL OR read_seq < ?2)",
    )?;
    let changed =
        update.execute(params![log.number, C(up_to), seq_key(log, up_to), key(log, PENDING),])?;
    if changed > 0 {
        tx.touch(Change::Conversations);
    }
    Ok(())
}

/// Keeps what the person began to write; `None` or nothing but space forgets it.
pub fn set_draft(
    tx: &Tx<'_>,
    log: LocalLog,
    text: Option<&str>,
    now_ms: TimeMs,
) -> Result<(), StoreError> {
    let text = text.filter(|text| !text.trim().is_empty());
    tx.prepare_cached("UPDATE conversation SET draft = ?2, draft_ms = ?3 WHERE log = ?1")?
        .execute(params![log.number, text, C(text.map(|_| now_ms))])?;
    tx.touch(Change::Conversations);
    Ok(())
}

/// A group's name.
pub fn set_title(tx: &Tx<'_>, log: LocalLog, title: Option<&str>) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE conversation SET title = ?2 WHERE log = ?1")?
        .execute(params![log.number, title])?;
    tx.touch(Change::Log(log.id));
    tx.touch(Change::Conversations);
    Ok(())
}

/// Whether this conversation makes no sound.
pub fn set_muted(tx: &Tx<'_>, log: LocalLog, muted: bool) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE conversation SET muted = ?2 WHERE log = ?1")?
        .execute(params![log.number, muted])?;
    tx.touch(Change::Conversations);
    Ok(())
}
