//! Documents: what messages name, what is on its way to the server, and what lies on this phone.

use hauspost_protocol::content::Message;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::file::Leaves;
use hauspost_protocol::ids::{LogId, MessageId, TimeMs};
use hauspost_protocol::statement::{File, FileRole};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log::LocalLog;
use super::preview::PreviewState;
use super::{file_text, index, preview};
use crate::file::kind::PDF;
use crate::observe::Change;
use crate::store::cell::{C, cell};
use crate::store::{StoreError, Tx};

/// A document as a timeline shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownFile {
    /// Its place among the message's documents.
    pub position: u32,
    /// Its name, as the author's phone had it: not safe for a file system.
    pub name: String,
    /// Its media type, as the author's phone named it.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is to the message.
    pub role: FileRole,
    /// Whether all of it lies on this phone.
    pub is_here: bool,
    /// How many pages it has, if it is known to have pages: by a look into it on this phone, before that as
    /// its author's phone said.
    pub pages: Option<u32>,
    /// How far its preview is, if it has one.
    pub preview: Option<PreviewState>,
}

/// Notes the documents of a message, which is found by their names from now on.
pub fn insert(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    files: &[File],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO file (log, message_id, position, file) VALUES (?1, ?2, ?3, ?4)";
    if files.is_empty() {
        return Ok(());
    }
    index::anew(tx, log, message_id, || {
        for (position, file) in (0u32..).zip(files) {
            let row = params![log.number, C(message_id), position, C(file)];
            tx.prepare_cached(sql)?.execute(row)?;
        }
        Ok(())
    })?;
    preview::note(tx, log, message_id, files)
}

/// The documents of a message, in their order.
pub fn of_message(
    conn: &Connection,
    log: i64,
    message_id: MessageId,
) -> Result<Vec<File>, StoreError> {
    let sql = "SELECT file FROM file WHERE log = ?1 AND message_id = ?2 ORDER BY position";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![log, C(message_id)], |row| cell(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One document of a message.
pub fn find(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
    position: u32,
) -> Result<Option<File>, StoreError> {
    let sql = "SELECT file FROM file WHERE log = ?1 AND message_id = ?2 AND position = ?3";
    let place = params![log.number, C(message_id), position];
    Ok(conn.prepare_cached(sql)?.query_row(place, |row| cell(row, 0)).optional()?)
}

/// The documents of a message as a timeline shows them.
pub fn shown(
    conn: &Connection,
    log: i64,
    message_id: MessageId,
) -> Result<Vec<ShownFile>, StoreError> {
    let sql = "SELECT f.position, f.file, EXISTS (
                   SELECT 1 FROM file_copy c WHERE c.log = f.log AND c.message_id = f.message_id
                       AND c.position = f.position AND c.complete = 1),
                   (SELECT t.pages FROM file_text t WHERE t.log = f.log
                       AND t.message_id = f.message_id AND t.position = f.position),
                   (SELECT p.state FROM preview p WHERE p.log = f.log
                       AND p.message_id = f.message_id AND p.position = f.position)
               FROM file f WHERE f.log = ?1 AND f.message_id = ?2 ORDER BY f.position";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![log, C(message_id)], |row| {
        let file: File = cell(row, 1)?;
        Ok(ShownFile {
            position: row.get(0)?,
            name: file.name,
            media_type: file.media_type,
            size: file.plain_size,
            role: file.role,
            is_here: row.get(2)?,
            pages: row.get(3)?,
            preview: cell(row, 4)?,
        })
    })?;
    let mut files: Vec<ShownFile> = rows.collect::<Result<_, _>>()?;
    if files.iter().any(ShownFile::lacks_pages) {
        said_pages(conn, log, message_id, &mut files)?;
    }
    Ok(files)
}

impl ShownFile {
    /// Whether it may have pages, and nobody here has counted them.
    fn lacks_pages(&self) -> bool {
        self.pages.is_none() && self.role == FileRole::Original && self.media_type == PDF
    }
}

/// Fills in what the message itself says of its documents' pages.
fn said_pages(
    conn: &Connection,
    log: i64,
    message_id: MessageId,
    files: &mut [ShownFile],
) -> Result<(), StoreError> {
    let sql = "SELECT content FROM message WHERE key >> 40 = ?1 AND message_id = ?2";
    let mut select = conn.prepare_cached(sql)?;
    let said = select.query_row(params![log, C(message_id)], |row| row.get(0)).optional()?;
    let said: Option<Vec<u8>> = said.flatten();
    let said = said.and_then(|content| Message::parse(&content).ok());
    for file in files.iter_mut().filter(|file| file.lacks_pages()) {
        file.pages = said.as_ref().and_then(|said| said.pages(file.position as usize));
    }
    Ok(())
}

/// The documents of a message that moves to another log under another id are uploaded for that one.
pub fn rename(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    new: MessageId,
) -> Result<(), StoreError> {
    file_text::rename(tx, log, message_id, new)?;
    preview::rename(tx, log, message_id, new)?;
    let names = params![log.number, C(message_id), C(new)];
    tx.prepare_cached("UPDATE file SET message_id = ?3 WHERE log = ?1 AND message_id = ?2")?
        .execute(names)?;
    let names = params![log.number, C(message_id), C(new)];
    tx.prepare_cached(
        "UPDATE upload SET message_id = ?3, leaves = NULL, arrived = 0
         WHERE log = ?1 AND message_id = ?2",
    )?
    .execute(names)?;
    let names = params![log.number, C(message_id), C(new)];
    tx.prepare_cached("UPDATE file_copy SET message_id = ?3 WHERE log = ?1 AND message_id = ?2")?
        .execute(names)?;
    Ok(())
}

/// Forgets the documents of a message, and with their keys what lies of them on this phone.
pub fn forget(tx: &Tx<'_>, log: i64, message_id: MessageId) -> Result<(), StoreError> {
    file_text::forget(tx, log, message_id)?;
    preview::forget(tx, log, message_id)?;
    for table in ["file", "upload", "file_copy"] {
        let sql = format!("DELETE FROM {table} WHERE log = ?1 AND message_id = ?2");
        tx.prepare_cached(&sql)?.execute(params![log, C(message_id)])?;
    }
    Ok(())
}

/// A document of a message: its conversation, the message, and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId {
    /// The conversation.
    pub log: LogId,
    /// The message.
    pub message_id: MessageId,
    /// Its place among the message's documents.
    pub position: u32,
}

/// Where the plaintext of an upload lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file that a person chose.
    Path(String),
    /// In another message, which is forwarded.
    Document(DocumentId),
    /// On this phone, as the copy of this very document.
    Copy,
}

/// A document on its way to the server.
pub struct Upload {
    /// The conversation.
    pub log: LocalLog,
    /// The message.
    pub message_id: MessageId,
    /// Its place among the message's documents.
    pub position: u32,
    /// The intent that waits for it.
    pub intent: i64,
    /// How often that was tried.
    pub attempt: u32,
    /// Where the plaintext lies.
    pub origin: Origin,
    /// The hashes of its chunks, once it was read through.
    pub leaves: Option<Leaves>,
    /// Whether it goes over a metered network, too.
    pub anyway: bool,
    /// What the statement will name; root and hash are right once it was read through.
    pub file: File,
}

/// Begins an upload.
pub fn put_upload(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    intent: i64,
    origin: &Origin,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO upload (log, message_id, position, intent, source, origin)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (source, of) = match origin {
        Origin::Path(path) => (Some(path), None),
        Origin::Document(of) => (None, Some(encode(&(of.log, of.message_id, of.position)))),
        Origin::Copy => (None, None),
    };
    let row = params![log.number, C(message_id), position, intent, source, of];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// The uploads whose intents wait for them, the oldest first.
pub fn uploads(conn: &Connection) -> Result<Vec<Upload>, StoreError> {
    let sql = "SELECT u.log, l.log, u.message_id, u.position, u.intent, o.attempt, u.source,
                   u.origin, u.leaves, u.anyway, f.file
               FROM upload u JOIN outbox o ON o.id = u.intent AND o.state = 5
                   JOIN log l ON l.id = u.log
                   JOIN file f ON f.log = u.log AND f.message_id = u.message_id
                       AND f.position = u.position
               WHERE u.arrived = 0 ORDER BY u.intent, u.position";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([], |row| {
        let (path, of): (Option<String>, Option<Vec<u8>>) = (row.get(6)?, row.get(7)?);
        Ok(Upload {
            log: LocalLog { number: row.get(0)?, id: cell::<LogId>(row, 1)? },
            message_id: cell(row, 2)?,
            position: row.get(3)?,
            intent: row.get(4)?,
            attempt: cell(row, 5)?,
            origin: origin(path, of.as_deref()),
            leaves: cell(row, 8)?,
            anyway: row.get(9)?,
            file: cell(row, 10)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn origin(path: Option<String>, of: Option<&[u8]>) -> Origin {
    let of = of.and_then(|of| decode::<(LogId, MessageId, u32)>(of).ok());
    match (path, of) {
        (Some(path), _) => Origin::Path(path),
        (None, Some((log, message_id, position))) => {
            Origin::Document(DocumentId { log, message_id, position })
        }
        (None, None) => Origin::Copy,
    }
}

/// What reading the source through showed: the document as the statement names it, and its leaves.
pub fn set_read(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    file: &File,
    leaves: &Leaves,
) -> Result<(), StoreError> {
    set_leaves(tx, log, (message_id, position), Some(leaves))?;
    set_file(tx, log, (message_id, position), file)
}

fn set_leaves(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    leaves: Option<&Leaves>,
) -> Result<(), StoreError> {
    let sql = "UPDATE upload SET leaves = ?4, arrived = 0
               WHERE log = ?1 AND message_id = ?2 AND position = ?3";
    tx.prepare_cached(sql)?.execute(params![log.number, C(message_id), position, C(leaves)])?;
    Ok(())
}

fn set_file(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    file: &File,
) -> Result<(), StoreError> {
    let sql = "UPDATE file SET file = ?4 WHERE log = ?1 AND message_id = ?2 AND position = ?3";
    index::anew(tx, log, message_id, || {
        tx.prepare_cached(sql)?.execute(params![log.number, C(message_id), position, C(file)])?;
        Ok(())
    })
}

/// A document is at the server. Whether all of its message's are.
pub fn arrive(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
) -> Result<bool, StoreError> {
    let sql = "UPDATE upload SET arrived = 1 WHERE log = ?1 AND message_id = ?2 AND position = ?3";
    tx.prepare_cached(sql)?.execute(params![log.number, C(message_id), position])?;
    let sql = "SELECT NOT EXISTS (
                   SELECT 1 FROM upload WHERE log = ?1 AND message_id = ?2 AND arrived = 0)";
    let message = params![log.number, C(message_id)];
    Ok(tx.prepare_cached(sql)?.query_row(message, |row| row.get(0))?)
}

/// Whether a document is still to be sent under this message; it is not once the message was taken back, or
/// says something else.
pub fn is_wanted(
    conn: &Connection,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (
                   SELECT 1 FROM upload WHERE log = ?1 AND message_id = ?2 AND position = ?3)";
    let row = params![log.number, C(message_id), position];
    Ok(conn.prepare_cached(sql)?.query_row(row, |row| row.get(0))?)
}

/// The server is asked anew for each document of a message. Whether it has any that were sent from
/// this phone.
pub fn ask_again(tx: &Tx<'_>, log: LocalLog, message_id: MessageId) -> Result<bool, StoreError> {
    let sql = "UPDATE upload SET arrived = 0 WHERE log = ?1 AND message_id = ?2";
    Ok(tx.prepare_cached(sql)?.execute(params![log.number, C(message_id)])? > 0)
}

/// A message's documents go over a metered network, too.
pub fn send_anyway(tx: &Tx<'_>, log: LocalLog, message_id: MessageId) -> Result<(), StoreError> {
    let sql = "UPDATE upload SET anyway = 1 WHERE log = ?1 AND message_id = ?2";
    tx.prepare_cached(sql)?.execute(params![log.number, C(message_id)])?;
    Ok(())
}

/// A source changed: what was read of it counts no more.
pub fn forget_read(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
) -> Result<(), StoreError> {
    set_leaves(tx, log, (message_id, position), None)
}

/// The files on this phone from which documents of a message have still to be read, each with its place.
pub fn sources(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Vec<(u32, String)>, StoreError> {
    let sql = "SELECT position, source FROM upload
               WHERE log = ?1 AND message_id = ?2 AND source IS NOT NULL AND leaves IS NULL
               ORDER BY position";
    let mut select = conn.prepare_cached(sql)?;
    let message = params![log.number, C(message_id)];
    let rows = select.query_map(message, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A source is read through anew, under a new key: its content may be another.
pub fn begin_anew(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    file: &File,
) -> Result<(), StoreError> {
    set_leaves(tx, log, (message_id, position), None)?;
    set_file(tx, log, (message_id, position), file)
}

/// Forgets where the documents of messages lay that are secured: nothing will ask for them again.
pub fn drop_done(tx: &Tx<'_>) -> Result<(), StoreError> {
    let sql = "DELETE FROM upload WHERE NOT EXISTS (
                   SELECT 1 FROM outbox o WHERE o.id = upload.intent AND o.state <> 3)";
    tx.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// A document on this phone.
#[derive(Clone)]
pub struct Copy {
    /// The name of its file.
    pub id: i64,
    /// The key that it lies under.
    pub key: Secret,
    /// Whether all of it is there and was verified.
    pub complete: bool,
}

/// The copy of a document, if one was begun.
pub fn copy(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
    position: u32,
) -> Result<Option<Copy>, StoreError> {
    let sql = "SELECT id, key, complete FROM file_copy
               WHERE log = ?1 AND message_id = ?2 AND position = ?3";
    let place = params![log.number, C(message_id), position];
    Ok(conn.prepare_cached(sql)?.query_row(place, read_copy).optional()?)
}

fn read_copy(row: &Row<'_>) -> rusqlite::Result<Copy> {
    Ok(Copy { id: row.get(0)?, key: cell(row, 1)?, complete: row.get(2)? })
}

/// The copy of a document, begun under this key if there is none.
pub fn begin_copy(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    (key, size): (&Secret, u64),
    now_ms: TimeMs,
) -> Result<Copy, StoreError> {
    let sql = "INSERT INTO file_copy (log, message_id, position, key, size, complete, used_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)
               ON CONFLICT (log, message_id, position) DO UPDATE SET used_ms = excluded.used_ms";
    let row = params![log.number, C(message_id), position, C(key), C(size), C(now_ms)];
    tx.prepare_cached(sql)?.execute(row)?;
    copy(tx, log, message_id, position)?.ok_or(StoreError::Missing("copy of a document"))
}

/// All of a copy is there.
pub fn complete_copy(tx: &Tx<'_>, log: LocalLog, id: i64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE file_copy SET complete = 1 WHERE id = ?1")?.execute([id])?;
    tx.touch(Change::Log(log.id));
    Ok(())
}

/// A copy was used.
pub fn use_copy(tx: &Tx<'_>, id: i64, now_ms: TimeMs) -> Result<(), StoreError> {
    let sql = "UPDATE file_copy SET used_ms = max(used_ms, ?2) WHERE id = ?1";
    tx.prepare_cached(sql)?.execute(params![id, C(now_ms)])?;
    Ok(())
}

/// Forgets a copy and its key; the file is for the caller to remove.
pub fn drop_copy(tx: &Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM file_copy WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Forgets complete copies, those first that were not used for longest, until the others take at
/// most so many bytes; never the one named. Returns whose files are to be removed.
pub fn evict(tx: &Tx<'_>, bytes: u64, keep: i64) -> Result<Vec<i64>, StoreError> {
    // What an upload still reads from stays.
    let mut select = tx.prepare_cached(
        "SELECT id, size FROM file_copy c
         WHERE NOT EXISTS (
             SELECT 1 FROM upload u WHERE u.log = c.log AND u.message_id = c.message_id
                 AND u.position = c.position AND u.source IS NULL AND u.origin IS NULL)
         ORDER BY used_ms DESC, id DESC",
    )?;
    let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, cell::<u64>(row, 1)?)))?;
    let copies: Vec<(i64, u64)> = rows.collect::<Result<_, _>>()?;
    let kept = copies.iter().find(|(id, _)| *id == keep).map_or(0, |(_, size)| *size);
    let (mut taken, mut dropped) = (kept, Vec::new());
    for (id, size) in copies.into_iter().filter(|(id, _)| *id != keep) {
        taken += size;
        if taken > bytes {
            drop_copy(tx, id)?;
            dropped.push(id);
        }
    }
    Ok(dropped)
}

/// The names of all copies' files.
pub fn copies(conn: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut select = conn.prepare_cached("SELECT id FROM file_copy")?;
    let rows = select.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
