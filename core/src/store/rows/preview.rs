//! Previews of documents: what came, what was looked at, and the small pictures that are shown.

use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::statement::{File, FileRole};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log::LocalLog;
use crate::file::preview::{Preview, PreviewFault};
use crate::observe::Change;
use crate::store::cell::{C, cell, code_cell};
use crate::store::{StoreError, Tx};

code_cell! {
    /// How far a document's preview is.
    pub enum PreviewState {
        /// It is still to be fetched and looked at.
        Waiting = 0,
        /// It is shown.
        Here = 1,
        /// It was not what it has to be, and is not shown.
        Dropped = 2,
    }
}

/// The reason of one over which this phone's process ended again and again.
pub const REASON_CRASHED: u64 = 6;
/// So often looking at one may begin and never end.
const TRIES: i64 = 2;

pub(super) fn reason(fault: PreviewFault) -> u64 {
    match fault {
        PreviewFault::TooLarge => 1,
        PreviewFault::Type => 2,
        PreviewFault::Damaged => 3,
        PreviewFault::Gone => 5,
    }
}

/// Notes the previews among a message's documents; each belongs to one original, and each original has
/// at most one.
pub(super) fn note(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    files: &[File],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO preview (log, message_id, position, file, state, tries)
               VALUES (?1, ?2, ?3, ?4, 0, 0)
               ON CONFLICT (log, message_id, position) DO NOTHING";
    for (place, file) in (0u32..).zip(files).filter(|(_, file)| file.role == FileRole::Preview) {
        let of = file.of.and_then(|of| u32::try_from(of).ok());
        let is_original =
            |of: &u32| files.get(*of as usize).is_some_and(|file| file.role == FileRole::Original);
        match of.filter(is_original) {
            Some(of) => {
                let row = params![log.number, C(message_id), of, place];
                tx.prepare_cached(sql)?.execute(row)?;
            }
            None => tracing::debug!(log = %log.id, place, "a preview of nothing"),
        }
    }
    Ok(())
}

/// A preview that is to be looked at.
pub struct Waiting {
    /// Its number; larger ones came later.
    pub id: i64,
    /// The conversation.
    pub log: LocalLog,
    /// The message.
    pub message_id: MessageId,
    /// The preview's own place among the message's documents.
    pub position: u32,
    /// The preview, as its author's statement names it.
    pub file: File,
    /// Whether its bytes lie on this phone already.
    pub is_here: bool,
}

/// The newest preview before this one that is to be looked at.
pub fn next_waiting(conn: &Connection, before: i64) -> Result<Option<Waiting>, StoreError> {
    let sql = "SELECT p.id, p.log, l.log, p.message_id, p.file, f.file, EXISTS (
                   SELECT 1 FROM file_copy c WHERE c.log = p.log AND c.message_id = p.message_id
                       AND c.position = p.file AND c.complete = 1)
               FROM preview p
               JOIN log l ON l.id = p.log
               JOIN file f ON f.log = p.log AND f.message_id = p.message_id AND f.position = p.file
               WHERE p.state = 0 AND p.id < ?1 ORDER BY p.id DESC LIMIT 1";
    let read = |row: &Row<'_>| {
        Ok(Waiting {
            id: row.get(0)?,
            log: LocalLog { number: row.get(1)?, id: cell::<LogId>(row, 2)? },
            message_id: cell(row, 3)?,
            position: row.get(4)?,
            file: cell(row, 5)?,
            is_here: row.get(6)?,
        })
    };
    Ok(conn.prepare_cached(sql)?.query_row([before], read).optional()?)
}

/// Looking at a preview begins. `false` if it began too often before and never ended: it is dropped
/// then.
pub fn begin(tx: &Tx<'_>, log: LocalLog, id: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE preview SET tries = tries + 1 WHERE id = ?1 RETURNING tries";
    let tries: Option<i64> =
        tx.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
    if tries.is_some_and(|tries| tries > TRIES) {
        drop_for(tx, log, id, REASON_CRASHED)?;
        return Ok(false);
    }
    Ok(tries.is_some())
}

/// Looking at a preview was broken off for no fault of its own.
pub fn put_off(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE preview SET tries = 0 WHERE id = ?1 AND state = 0";
    tx.prepare_cached(sql)?.execute([id])?;
    Ok(())
}

/// A preview was looked at: it is shown from now on, or dropped for good.
pub fn end(
    tx: &Tx<'_>,
    log: LocalLog,
    id: i64,
    looked: Result<Preview, PreviewFault>,
) -> Result<(), StoreError> {
    let preview = match looked {
        Ok(preview) => preview,
        Err(fault) => return drop_for(tx, log, id, reason(fault)),
    };
    let sql = "UPDATE preview SET state = 1, reason = NULL, width = ?2, height = ?3,
                   media_type = ?4, picture = ?5 WHERE id = ?1";
    let Preview { width, height, media_type, picture } = preview;
    tx.prepare_cached(sql)?.execute(params![id, width, height, media_type, picture])?;
    tx.touch(Change::Log(log.id));
    Ok(())
}

/// A preview is not shown, for this reason.
fn drop_for(tx: &Tx<'_>, log: LocalLog, id: i64, reason: u64) -> Result<(), StoreError> {
    let sql = "UPDATE preview SET state = 2, reason = ?2 WHERE id = ?1";
    tx.prepare_cached(sql)?.execute(params![id, C(reason)])?;
    tx.touch(Change::Log(log.id));
    Ok(())
}

/// The preview of a document, as a view shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownPreview {
    /// The message.
    pub message_id: MessageId,
    /// The document's place among the message's.
    pub position: u32,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// `image/jpeg` or `image/png`.
    pub media_type: String,
    /// The picture, encoded by this phone.
    pub picture: Vec<u8>,
}

/// The previews of a message's documents that are here.
pub(crate) fn of_message(
    conn: &Connection,
    log: i64,
    message_id: MessageId,
) -> Result<Vec<ShownPreview>, StoreError> {
    let sql = "SELECT position, width, height, media_type, picture FROM preview
               WHERE log = ?1 AND message_id = ?2 AND state = 1 ORDER BY position";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![log, C(message_id)], |row| {
        Ok(ShownPreview {
            message_id,
            position: row.get(0)?,
            width: row.get(1)?,
            height: row.get(2)?,
            media_type: row.get(3)?,
            picture: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The previews of a message bear another id of it.
pub(super) fn rename(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    new: MessageId,
) -> Result<(), StoreError> {
    let sql = "UPDATE preview SET message_id = ?3 WHERE log = ?1 AND message_id = ?2";
    tx.prepare_cached(sql)?.execute(params![log.number, C(message_id), C(new)])?;
    Ok(())
}

/// Forgets the previews of a message's documents.
pub(super) fn forget(tx: &Tx<'_>, log: i64, message_id: MessageId) -> Result<(), StoreError> {
    let sql = "DELETE FROM preview WHERE log = ?1 AND message_id = ?2";
    tx.prepare_cached(sql)?.execute(params![log, C(message_id)])?;
    Ok(())
}
