//! The pictures of conversations: which record set the last one, and what this phone made of its file
//! after it had looked at it.

use hauspost_protocol::ids::{LogId, MessageId, Seq};
use hauspost_protocol::statement::File;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::log::LocalLog;
use super::preview::{self, REASON_CRASHED};
use crate::file::preview::{Preview, PreviewFault};
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// So often looking at one may begin and never end.
const TRIES: i64 = 2;

/// A record sets the picture of a conversation, or takes it away. One that is read later and is older
/// than the one that holds changes nothing. `message_id` names the line that has the file.
pub fn set(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    message_id: Option<MessageId>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO picture (log, seq, message_id, state, tries)
               VALUES (?1, ?2, ?3, CASE WHEN ?3 IS NULL THEN 2 ELSE 0 END, 0)
               ON CONFLICT (log) DO UPDATE SET seq = excluded.seq, message_id = excluded.message_id,
                   state = excluded.state, tries = 0, reason = NULL, width = NULL, height = NULL,
                   media_type = NULL, picture = NULL
               WHERE picture.seq < excluded.seq";
    tx.prepare_cached(sql)?.execute(params![log.number, C(seq), C(message_id)])?;
    tx.touch(Change::Log(log.id));
    tx.touch(Change::Conversations);
    Ok(())
}

/// A picture that is to be looked at.
pub struct Waiting {
    /// The conversation.
    pub log: LocalLog,
    /// The record that sets it.
    pub seq: Seq,
    /// The line that has its file.
    pub message_id: MessageId,
    /// The file, as its author's statement names it.
    pub file: File,
    /// Whether its bytes lie on this phone already.
    pub is_here: bool,
}

/// The first picture after this conversation that is to be looked at.
pub fn next_waiting(conn: &Connection, after: i64) -> Result<Option<Waiting>, StoreError> {
    let sql = "SELECT p.log, l.log, p.seq, p.message_id, f.file, EXISTS (
                   SELECT 1 FROM file_copy c WHERE c.log = p.log AND c.message_id = p.message_id
                       AND c.position = 0 AND c.complete = 1)
               FROM picture p
               JOIN log l ON l.id = p.log
               JOIN file f ON f.log = p.log AND f.message_id = p.message_id AND f.position = 0
               WHERE p.state = 0 AND p.log > ?1 ORDER BY p.log LIMIT 1";
    let read = |row: &Row<'_>| {
        Ok(Waiting {
            log: LocalLog { number: row.get(0)?, id: cell::<LogId>(row, 1)? },
            seq: cell(row, 2)?,
            message_id: cell(row, 3)?,
            file: cell(row, 4)?,
            is_here: row.get(5)?,
        })
    };
    Ok(conn.prepare_cached(sql)?.query_row([after], read).optional()?)
}

/// Looking at a picture begins. `false` if it began too often before and never ended: it is dropped
/// then; and if another one was set meanwhile.
pub fn begin(tx: &Tx<'_>, log: LocalLog, seq: Seq) -> Result<bool, StoreError> {
    let sql = "UPDATE picture SET tries = tries + 1 WHERE log = ?1 AND seq = ?2 RETURNING tries";
    let row = params![log.number, C(seq)];
    let tries: Option<i64> = tx.prepare_cached(sql)?.query_row(row, |row| row.get(0)).optional()?;
    if tries.is_some_and(|tries| tries > TRIES) {
        drop_for(tx, log, seq, REASON_CRASHED)?;
        return Ok(false);
    }
    Ok(tries.is_some())
}

/// Looking at a picture was broken off for no fault of its own.
pub fn put_off(tx: &Tx<'_>, log: LocalLog) -> Result<(), StoreError> {
    let sql = "UPDATE picture SET tries = 0 WHERE log = ?1 AND state = 0";
    tx.prepare_cached(sql)?.execute([log.number])?;
    Ok(())
}

/// A picture was looked at: it is shown from now on, or the conversation has none.
pub fn end(
    tx: &Tx<'_>,
    log: LocalLog,
    seq: Seq,
    looked: Result<Preview, PreviewFault>,
) -> Result<(), StoreError> {
    let shown = match looked {
        Ok(shown) => shown,
        Err(fault) => return drop_for(tx, log, seq, preview::reason(fault)),
    };
    let sql = "UPDATE picture SET state = 1, reason = NULL, width = ?3, height = ?4,
                   media_type = ?5, picture = ?6 WHERE log = ?1 AND seq = ?2";
    let Preview { width, height, media_type, picture } = shown;
    let row = params![log.number, C(seq), width, height, media_type, picture];
    tx.prepare_cached(sql)?.execute(row)?;
    tx.touch(Change::Log(log.id));
    tx.touch(Change::Conversations);
    Ok(())
}

fn drop_for(tx: &Tx<'_>, log: LocalLog, seq: Seq, reason: u64) -> Result<(), StoreError> {
    let sql = "UPDATE picture SET state = 2, reason = ?3 WHERE log = ?1 AND seq = ?2";
    tx.prepare_cached(sql)?.execute(params![log.number, C(seq), C(reason)])?;
    Ok(())
}

/// The picture of a conversation, as a view shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomPicture {
    /// The record that set it: another number, another picture.
    pub seq: Seq,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// `image/jpeg` or `image/png`.
    pub media_type: String,
    /// The picture, encoded by this phone.
    pub picture: Vec<u8>,
}

/// Content is not for logs.
impl std::fmt::Debug for RoomPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RoomPicture({}, {}×{})", self.seq, self.width, self.height)
    }
}

/// The picture of a conversation, if it has one that is shown.
pub fn find(conn: &Connection, log: LocalLog) -> Result<Option<RoomPicture>, StoreError> {
    let sql = "SELECT seq, width, height, media_type, picture FROM picture
               WHERE log = ?1 AND state = 1";
    let read = |row: &Row<'_>| {
        Ok(RoomPicture {
            seq: cell(row, 0)?,
            width: row.get(1)?,
            height: row.get(2)?,
            media_type: row.get(3)?,
            picture: row.get(4)?,
        })
    };
    Ok(conn.prepare_cached(sql)?.query_row([log.number], read).optional()?)
}
