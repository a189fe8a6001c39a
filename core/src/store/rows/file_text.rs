//! The inside of documents: how far reading it is, its text in parts, and where each word stands.
//!
//! A document's words lie beside its text with the first part that has each, sorted and cut into pieces, so
//! that a hit costs a piece of words and a part of the text, however long the document is.

use std::collections::BTreeMap;

use hauspost_protocol::crypto::Secret;
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::statement::File;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::file::Copy;
use super::index;
use super::log::LocalLog;
use crate::file::text::{Inside, TextError};
use crate::observe::Change;
use crate::store::cell::{C, cell, code_cell};
use crate::store::search::{Spellings, Words, spans};
use crate::store::{StoreError, Tx};

code_cell! {
    /// How far the reading of a document's text is.
    pub enum TextState {
        /// It waits, or is being read.
        Waiting = 0,
        /// It was read.
        Read = 1,
        /// It cannot be read; the reason says why.
        Failed = 2,
    }
}

/// The reason of a document over which this phone's process ended again and again.
pub const REASON_CRASHED: u64 = 8;
/// So often reading may begin and never end.
const TRIES: i64 = 2;
/// Bytes of a part: a row fits into one page of the database.
const PART_BYTES: usize = 3_000;
/// Bytes of a piece of words: so too.
const PIECE_BYTES: usize = 3_000;
/// Pieces that are read for one beginning of words. Of more words than are in them, those that come first in the
/// alphabet count.
const PIECES_READ: usize = 4;
const PART_BITS: u32 = 16;

fn reason(error: TextError) -> u64 {
    match error {
        TextError::Kind => 1,
        TextError::TooLarge => 2,
        TextError::Bomb => 3,
        TextError::Damaged => 4,
        TextError::Locked => 5,
        TextError::Late => 6,
        TextError::Broke => 7,
    }
}

/// A document whose text is to be read.
pub struct Waiting {
    /// The conversation.
    pub log: LocalLog,
    /// The message.
    pub message_id: MessageId,
    /// The document's place in it.
    pub position: u32,
    /// The document, as its author's statement names it.
    pub file: File,
    /// Where its bytes are.
    pub lies: Lies,
}

/// Where a document's bytes are on this phone.
pub enum Lies {
    /// In the vault.
    Kept(Copy),
    /// Where the person chose it from.
    Chosen(String),
}

/// The next document that is on this phone and whose text was not read; `None` if there is none.
pub fn next_waiting(conn: &Connection) -> Result<Option<Waiting>, StoreError> {
    let kept = "SELECT f.log, l.log, f.message_id, f.position, f.file, c.id, c.key, NULL
        FROM file_copy c
        JOIN file f ON f.log = c.log AND f.message_id = c.message_id AND f.position = c.position
        JOIN log l ON l.id = f.log
        LEFT JOIN file_text t
            ON t.log = f.log AND t.message_id = f.message_id AND t.position = f.position
        WHERE c.complete = 1 AND (t.id IS NULL OR t.state = 0) LIMIT 1";
    let chosen = "SELECT f.log, l.log, f.message_id, f.position, f.file, NULL, NULL, u.source
        FROM upload u
        JOIN file f ON f.log = u.log AND f.message_id = u.message_id AND f.position = u.position
        JOIN log l ON l.id = f.log
        LEFT JOIN file_text t
            ON t.log = f.log AND t.message_id = f.message_id AND t.position = f.position
        WHERE u.arrived = 1 AND u.source IS NOT NULL AND (t.id IS NULL OR t.state = 0) LIMIT 1";
    for sql in [kept, chosen] {
        let found = conn.prepare_cached(sql)?.query_row([], read_waiting).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn read_waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    let lies = match row.get::<_, Option<i64>>(5)? {
        Some(id) => Lies::Kept(Copy { id, key: cell::<Secret>(row, 6)?, complete: true }),
        None => Lies::Chosen(row.get(7)?),
    };
    Ok(Waiting {
        log: LocalLog { number: row.get(0)?, id: cell::<LogId>(row, 1)? },
        message_id: cell(row, 2)?,
        position: row.get(3)?,
        file: cell(row, 4)?,
        lies,
    })
}

/// Reading begins. `false` if it began too often before and never ended: it has failed then.
pub fn begin(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    position: u32,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO file_text (log, message_id, position, state, tries)
               VALUES (?1, ?2, ?3, 0, 1)
               ON CONFLICT (log, message_id, position) DO UPDATE SET tries = tries + 1
               RETURNING tries";
    let document = params![log.number, C(message_id), position];
    let tries: i64 = tx.prepare_cached(sql)?.query_row(document, |row| row.get(0))?;
    if tries > TRIES {
        fail(tx, log, (message_id, position), REASON_CRASHED)?;
    }
    Ok(tries <= TRIES)
}

/// How far the reading of a document is, and why it failed; `None` if it never began.
pub fn state(
    conn: &Connection,
    log: i64,
    message_id: MessageId,
    position: u32,
) -> Result<Option<(TextState, Option<u64>)>, StoreError> {
    let sql = "SELECT state, reason FROM file_text
               WHERE log = ?1 AND message_id = ?2 AND position = ?3";
    let document = params![log, C(message_id), position];
    let mut select = conn.prepare_cached(sql)?;
    let read = |row: &Row<'_>| Ok((cell(row, 0)?, cell(row, 1)?));
    Ok(select.query_row(document, read).optional()?)
}

/// Reading was broken off for no fault of the document's: it begins anew another time.
pub fn put_off(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    position: u32,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM file_text
               WHERE log = ?1 AND message_id = ?2 AND position = ?3 AND state = 0";
    tx.prepare_cached(sql)?.execute(params![log.number, C(message_id), position])?;
    Ok(())
}

/// Reading ended. From now on the message is found by the document's words.
pub fn end(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    read: Result<Inside, TextError>,
) -> Result<(), StoreError> {
    let inside = match read {
        Ok(inside) => inside,
        Err(error) => return fail(tx, log, (message_id, position), reason(error)),
    };
    let sql = "UPDATE file_text SET state = 1, reason = NULL, pages = ?4, pieces = ?5
               WHERE log = ?1 AND message_id = ?2 AND position = ?3 RETURNING id";
    index::anew(tx, log, message_id, || {
        let parts: Vec<&str> = parts(&inside.text).collect();
        let Directory { pieces, firsts } = directory(&parts);
        let row = params![log.number, C(message_id), position, inside.pages, firsts];
        let id = tx.prepare_cached(sql)?.query_row(row, |row| row.get::<_, i64>(0)).optional()?;
        // Erased meanwhile.
        let Some(id) = id else { return Ok(()) };
        let sql = "INSERT OR REPLACE INTO file_text_part (key, text) VALUES (?1, ?2)";
        let mut insert = tx.prepare_cached(sql)?;
        for (part, text) in (0i64..).zip(&parts) {
            insert.execute(params![id << PART_BITS | part, text])?;
        }
        let sql = "INSERT OR REPLACE INTO file_word (key, words) VALUES (?1, ?2)";
        let mut insert = tx.prepare_cached(sql)?;
        for (piece, words) in (0i64..).zip(&pieces) {
            insert.execute(params![id << PART_BITS | piece, words])?;
        }
        Ok(())
    })?;
    tx.touch(Change::Log(log.id));
    Ok(())
}

fn fail(
    tx: &Tx<'_>,
    log: LocalLog,
    (message_id, position): (MessageId, u32),
    reason: u64,
) -> Result<(), StoreError> {
    let sql = "UPDATE file_text SET state = 2, reason = ?4
               WHERE log = ?1 AND message_id = ?2 AND position = ?3";
    tx.prepare_cached(sql)?.execute(params![log.number, C(message_id), position, C(reason)])?;
    tx.touch(Change::Log(log.id));
    Ok(())
}

/// Cuts a text between words where it can.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let most = rest.floor_char_boundary(PART_BYTES);
        let at = match rest[..most].rfind([' ', '\n']) {
            Some(space) if most < rest.len() => space + 1,
            _ => most,
        };
        let part;
        (part, rest) = rest.split_at(at);
        Some(part)
    })
}

/// The words of a document.
struct Directory {
    /// Sorted, a line each: the folded word, and the first part that has it.
    pieces: Vec<String>,
    /// The first word of each piece, a line each.
    firsts: String,
}

/// The words of all parts.
fn directory(parts: &[&str]) -> Directory {
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    for (part, text) in parts.iter().enumerate() {
        for span in spans(text) {
            let Spellings { plain, german } = Spellings::of(&text[span]);
            for word in [Some(plain), german].into_iter().flatten().filter(|word| !word.is_empty())
            {
                words.entry(word).or_insert(part);
            }
        }
    }
    let (mut pieces, mut firsts): (Vec<String>, _) = (Vec::new(), String::new());
    for (word, part) in words {
        let line = format!("{word} {part}\n");
        match pieces.last_mut() {
            Some(piece) if piece.len() + line.len() <= PIECE_BYTES => piece.push_str(&line),
            _ => {
                firsts.push_str(&word);
                firsts.push('\n');
                pieces.push(line);
            }
        }
    }
    Directory { pieces, firsts }
}

/// The words of a message's documents, for the full-text index.
pub(super) fn add_words(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
    words: &mut Words,
) -> Result<(), StoreError> {
    let sql = "SELECT w.words FROM file_text t
               JOIN file_word w ON w.key >= t.id << ?3 AND w.key < (t.id + 1) << ?3
               WHERE t.log = ?1 AND t.message_id = ?2 AND t.state = 1";
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query(params![log.number, C(message_id), PART_BITS])?;
    while let Some(row) = rows.next()? {
        let piece = row.get_ref(0)?.as_str().map_err(|_| StoreError::Unreadable("words"))?;
        words.folded(piece.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)));
    }
    Ok(())
}

/// What is known of a document's inside.
pub(crate) struct Known {
    id: i64,
    pub(crate) position: u32,
    /// The first word of each piece.
    firsts: Vec<String>,
}

/// What is known of the documents of a message that were read.
pub(crate) fn known(
    conn: &Connection,
    log: i64,
    message_id: MessageId,
) -> Result<Vec<Known>, StoreError> {
    let sql = "SELECT id, position, pieces FROM file_text
               WHERE log = ?1 AND message_id = ?2 AND state = 1 ORDER BY position";
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![log, C(message_id)], |row| {
        let firsts = row.get_ref(2)?.as_str()?.lines().map(str::to_owned).collect();
        Ok(Known { id: row.get(0)?, position: row.get(1)?, firsts })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Known {
    /// The first part that has a word that begins like this one.
    pub(crate) fn part_with(
        &self,
        conn: &Connection,
        asked: &Spellings,
    ) -> Result<Option<i64>, StoreError> {
        let mut first = None;
        for start in [Some(&asked.plain), asked.german.as_ref()].into_iter().flatten() {
            let part = self.first_part(start, |piece| self.piece(conn, piece))?;
            first = [first, part].into_iter().flatten().min();
        }
        Ok(first)
    }

    fn first_part(
        &self,
        start: &str,
        read: impl Fn(i64) -> Result<String, StoreError>,
    ) -> Result<Option<i64>, StoreError> {
        // The piece before the first that begins behind it may end with such words.
        let from = self.firsts.partition_point(|first| first.as_str() < start).saturating_sub(1);
        let may_have = |first: &String| first.as_str() < start || first.starts_with(start);
        let mut found = None;
        for (piece, first) in self.firsts.iter().enumerate().skip(from).take(PIECES_READ) {
            if !may_have(first) {
                break;
            }
            let words = read(piece as i64)?;
            let lines = from_word(&words, start).lines();
            let lines = lines.take_while(|line| line.starts_with(start));
            let parts = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok());
            found = parts.chain(found).min();
        }
        Ok(found)
    }

    /// A piece of its words.
    fn piece(&self, conn: &Connection, piece: i64) -> Result<String, StoreError> {
        let sql = "SELECT words FROM file_word WHERE key = ?1";
        let key = self.id << PART_BITS | piece;
        Ok(conn.prepare_cached(sql)?.query_row([key], |row| row.get(0))?)
    }

    /// The text of a part.
    pub(crate) fn text(&self, conn: &Connection, part: i64) -> Result<String, StoreError> {
        let sql = "SELECT text FROM file_text_part WHERE key = ?1";
        let key = self.id << PART_BITS | part;
        Ok(conn.prepare_cached(sql)?.query_row([key], |row| row.get(0))?)
    }
}

/// The lines of a piece from the first one that does not stand before this word: they are sorted.
fn from_word<'w>(words: &'w str, start: &str) -> &'w str {
    let bytes = words.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = bytes[low..middle].iter().rposition(|byte| *byte == b'\n');
        let line = before.map_or(low, |at| low + at + 1);
        if &bytes[line..] < start.as_bytes() {
            let end = bytes[middle..high].iter().position(|byte| *byte == b'\n');
            low = end.map_or(high, |at| middle + at + 1);
        } else {
            high = line;
        }
    }
    &words[low..]
}

/// The documents of a message bear another id of it.
pub(super) fn rename(
    tx: &Tx<'_>,
    log: LocalLog,
    message_id: MessageId,
    new: MessageId,
) -> Result<(), StoreError> {
    let sql = "UPDATE file_text SET message_id = ?3 WHERE log = ?1 AND message_id = ?2";
    tx.prepare_cached(sql)?.execute(params![log.number, C(message_id), C(new)])?;
    Ok(())
}

/// Forgets the inside of a message's documents. The index must have forgotten it before.
pub(super) fn forget(tx: &Tx<'_>, log: i64, message_id: MessageId) -> Result<(), StoreError> {
    let sql = "DELETE FROM file_text WHERE log = ?1 AND message_id = ?2 RETURNING id";
    let mut delete = tx.prepare_cached(sql)?;
    let rows = delete.query_map(params![log, C(message_id)], |row| row.get::<_, i64>(0))?;
    let ids: Vec<i64> = rows.collect::<Result<_, _>>()?;
    for id in ids {
        for sql in [
            "DELETE FROM file_text_part WHERE key >= ?1 AND key < ?2",
            "DELETE FROM file_word WHERE key >= ?1 AND key < ?2",
        ] {
            tx.prepare_cached(sql)?.execute([id << PART_BITS, (id + 1) << PART_BITS])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part_with(parts: &[&str], asked: &str) -> Option<i64> {
        let Directory { pieces, firsts } = directory(parts);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
        let firsts = firsts.lines().map(str::to_owned).collect();
        let known = Known { id: 1, position: 0, firsts };
        let asked = Spellings::of(asked);
        let starts = [Some(asked.plain), asked.german].into_iter().flatten();
        let read = |piece: i64| Ok(pieces[piece as usize].clone());
        starts.filter_map(|start| known.first_part(&start, read).unwrap()).min()
    }

    #[test]
    fn a_text_is_cut_between_words_and_nothing_of_it_is_lost() {
        let text = "größer ".repeat(2_000) + &"x".repeat(7_000) + " Ende";
        let cut: Vec<_> = parts(&text).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|part| part.len() <= PART_BYTES));
        assert!(cut[0].ends_with("größer "));
        assert_eq!(parts("").count(), 0);
    }

    #[test]
    fn the_lines_from_a_word_on_are_those_that_do_not_stand_before_it() {
        let words = "a 0\nab 11\nabc 2\nb 3\nbauer 0\nzahl 7\nö 1\n";
        for start in ["", "a", "ab", "abc", "abcd", "b", "ba", "c", "zahl", "zz", "ö", "ü"] {
            let expected: Vec<_> = words.lines().skip_while(|line| *line < start).collect();
            assert_eq!(from_word(words, start).lines().collect::<Vec<_>>(), expected, "{start}");
        }
        assert_eq!(from_word("", "a"), "");
    }

    #[test]
    fn the_first_part_with_a_word_is_found_by_each_spelling_and_every_beginning() {
        let parts = ["Angebot und Auftrag", "Müller", "Auftrag Zebra", "ähnlich Straße"];
        let table = [
            ("auf", Some(0)),
            ("auftrag", Some(0)),
            ("mueller", Some(1)),
            ("muller", Some(1)),
            ("mü", Some(1)),
            ("zebra", Some(2)),
            ("z", Some(2)),
            ("aehn", Some(3)),
            ("strasse", Some(3)),
            ("a", Some(0)),
            ("aufzug", None),
            ("zz", None),
            ("0", None),
        ];
        for (word, part) in table {
            assert_eq!(part_with(&parts, word), part, "{word}");
        }
        assert_eq!(part_with(&[], "a"), None);
    }

    #[test]
    fn of_very_many_words_each_is_found_in_its_first_part_and_of_a_beginning_the_first_that_are_read()
     {
        let words: Vec<String> = (0..4_000).map(|number| format!("wort{number:04}x")).collect();
        let parts: Vec<&str> = words.iter().map(String::as_str).collect();
        for number in (0..4_000).step_by(7) {
            assert_eq!(part_with(&parts, &format!("wort{number:04}")), Some(number), "{number}");
            assert_eq!(part_with(&parts, &format!("wort{number:04}y")), None, "{number}");
        }
        assert_eq!(part_with(&parts, "w"), Some(0));
        let backwards: Vec<&str> = parts.iter().rev().copied().collect();
        let found = part_with(&backwards, "w").unwrap();
        assert!(found > 0 && found < 3_999, "some part that has one: {found}");
    }
}
