//! What each message is found by: its text, names and words of its documents, and the marks that a search
//! may be narrowed to.
//!
//! The index gives nothing back, so a row that goes must be taken out with the very words that it
//! came with. Everything that changes what a message is found by therefore runs between the two
//! halves of [`anew`].

use hauspost_protocol::ids::{MessageId, UserId};
use hauspost_protocol::statement::{File, FileRole};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log::LocalLog;
use super::message::MessageKind;
use super::{account, file, file_text};
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
    if !tx.unindex(search_id) && search_id >= filled_from(tx)? {
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

/// The fact that says from which row on messages are in the index; all of them are without it.
const FILLED_FROM: &str = "index-filled-from";
/// Messages that are put into the index in one transaction, which is over in a moment.
const PIECE: u32 = 256;

/// The first row from which on messages are in the index. Those below it come there in their turn, from
/// the newest on, and with the words that they have then.
pub(in crate::store) fn filled_from(conn: &Connection) -> Result<i64, StoreError> {
    let Some(noted) = account::fact(conn, FILLED_FROM)? else { return Ok(i64::MIN) };
    let row = noted.try_into().map(i64::from_be_bytes);
    row.map_err(|_| StoreError::Unreadable("how far the index is filled"))
}

/// Whether every message is in the index.
pub(crate) fn is_whole(conn: &Connection) -> Result<bool, StoreError> {
    Ok(filled_from(conn)? == i64::MIN)
}

/// A migration emptied the index: it is filled from the messages, piece by piece.
pub(in crate::store) fn emptied(conn: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE search_id NOT NULL)";
    if conn.query_row(sql, [], |row| row.get(0))? {
        let sql = "INSERT OR REPLACE INTO fact (name, value) VALUES (?1, ?2)";
        conn.execute(sql, params![FILLED_FROM, &i64::MAX.to_be_bytes()[..]])?;
    }
    Ok(())
}

/// Puts the next messages into an index that is not whole; whether there are more.
pub(crate) fn fill_piece(tx: &Tx<'_>) -> Result<bool, StoreError> {
    let from = filled_from(tx)?;
    if from == i64::MIN {
        return Ok(false);
    }
    let mut select = tx.prepare_cached(
        "SELECT m.search_id, m.key, l.id, l.log FROM message m JOIN log l ON l.id = m.key >> 40
         WHERE m.search_id < ?1 ORDER BY m.search_id DESC LIMIT ?2",
    )?;
    let read = |row: &Row<'_>| {
        let log = LocalLog { number: row.get(2)?, id: cell(row, 3)? };
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, log))
    };
    let rows = select.query_map([from, PIECE.into()], read)?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    // The index takes ascending rows far more cheaply.
    for (_, key, log) in rows.iter().rev() {
        if let Some(Indexed { search_id, words }) = find(tx, *log, *key)? {
            search::insert(tx, search_id, &words.line())?;
        }
    }
    match rows.last() {
        Some((lowest, ..)) if rows.len() == PIECE as usize => {
            account::put_fact(tx, FILLED_FROM, &lowest.to_be_bytes())?;
            Ok(true)
        }
        _ => {
            account::forget_fact(tx, FILLED_FROM)?;
            Ok(false)
        }
    }
}
