//! What each message is found by: its text, names and words of its documents, and the marks that a search
//! may be narrowed to.
//!
//! The index gives nothing back, so a row that goes must be taken out with the very words that it
//! came with. Everything that changes what a message is found by therefore runs between the two
//! halves of [`anew`].

use hauspost_protocol::ids::{MessageId, UserId};
use hauspost_protocol::statement::{File, FileRole};
use rusqlite::{Connection, OptionalExtension, params};

use super::log::LocalLog;
use super::message::MessageKind;
use super::{file, file_text};
use crate::store::cell::{C, cell};
use crate::store::search::{self, Mark, Words};
use crate::store::{StoreError, Tx};

/// A message in the full-text index.
pub(super) struct Indexed {
    pub(super) search_id: i64,
    pub(super) words: Words,
}

/// The words of a message.
pub(super) fn words(
    log: LocalLog,
    author: UserId,
    kind: MessageKind,
    text: &str,
    files: &[File],
) -> Words {
    let mut words = Words::default();
    words.mark(Mark::Log(log));
    words.mark(Mark::Author(author));
    match kind {
        MessageKind::Text => words.mark(Mark::Text),
        MessageKind::Place => words.mark(Mark::Place),
        MessageKind::Contact => words.mark(Mark::Contact),
        MessageKind::Poll => words.mark(Mark::Poll),
        _ => {}
    }
    words.text(text);
    for file in files.iter().filter(|file| file.role == FileRole::Original) {
        words.mark(Mark::HasDocument);
        words.mark(Mark::of_media_type(&file.media_type));
        words.text(&file.name);
    }
    words
}

/// The place of a message in the index and its words, if it is there.
pub(super) fn find(
    conn: &Connection,
    log: LocalLog,
    key: i64,
) -> Result<Option<Indexed>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT search_id, message_id, author, kind, text FROM message
         WHERE key = ?1 AND search_id IS NOT NULL AND text IS NOT NULL",
    )?;
    let row = select.query_row([key], |row| {
        let text: String = row.get(4)?;
        Ok((row.get(0)?, cell(row, 1)?, cell(row, 2)?, cell(row, 3)?, text))
    });
    let Some((search_id, message_id, author, kind, text)) = row.optional()? else {
        return Ok(None);
    };
    let files = match kind {
        MessageKind::File => file::of_message(conn, log.number, message_id)?,
        _ => Vec::new(),
    };
    let mut words = words(log, author, kind, &text, &files);
    if kind == MessageKind::File {
        file_text::add_words(conn, log, message_id, &mut words)?;
    }
    Ok(Some(Indexed { search_id, words }))
}

/// Takes a message out of the index.
pub(super) fn remove(tx: &Tx<'_>, indexed: Option<Indexed>) -> Result<(), StoreError> {
    let Some(Indexed { search_id, words }) = indexed else { return Ok(()) };
    if !tx.unindex(search_id) {
        search::delete(tx, search_id, &words.line())?;
    }
    Ok(())
}

/// Changes something that a message is found by.
pub(super) fn anew(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    change: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = "SELECT key FROM message WHERE key >> 40 = ?1 AND message_id = ?2";
    let row = params![log.number, C(message_id)];
    let key: Option<i64> = tx.prepare_cached(sql)?.query_row(row, |row| row.get(0)).optional()?;
    let Some(key) = key else { return change() };
    let before = find(tx, log, key)?;
    change()?;
    let after = find(tx, log, key)?;
    if before.as_ref().map(|row| &row.words) == after.as_ref().map(|row| &row.words) {
        return Ok(());
    }
    remove(tx, before)?;
    if let Some(Indexed { search_id, words }) = after {
        tx.index(search_id, words);
    }
    Ok(())
}

/// Fills an empty index from the messages: an older build's had other words.
pub(in crate::store) fn fill(conn: &Connection) -> Result<(), StoreError> {
    let mut select = conn.prepare(
        "SELECT m.key, l.id, l.log FROM message m JOIN log l ON l.id = m.key >> 40
         WHERE m.search_id IS NOT NULL ORDER BY m.search_id",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let log = LocalLog { number: row.get(1)?, id: cell(row, 2)? };
        if let Some(Indexed { search_id, words }) = find(conn, log, row.get(0)?)? {
            search::insert(conn, search_id, &words.line())?;
        }
    }
    Ok(())
}
