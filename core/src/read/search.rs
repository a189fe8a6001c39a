//! Search over all messages, newest hits first, narrowed to what was asked for.
//!
//! A message is found when for each word asked for it has a word that begins with it, in any of its
//! spellings (see `store/search.rs`): in its text, or in the names and texts of its documents. What is
//! shown comes from what is stored, and is marked by the same rule.

use std::cmp::Reverse;

use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs, UserId};
use hauspost_protocol::statement::FileRole;
use rusqlite::{Connection, Row, params};

use super::PAGE_ROWS;
use super::snippet::{Asked, SnippetPart};
use crate::store::StoreError;
use crate::store::cell::cell;
use crate::store::rows::message::{self, MessageKind};
use crate::store::rows::{file, file_text, index, key_seq, log};
use crate::store::search::{Mark, query};

/// What is searched for: words, and what the messages must be besides. Words may be missing if
/// anything else is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchQuery {
    /// Each of these words must begin a word of the message.
    pub words: String,
    /// Only this conversation's.
    pub conversation: Option<LogId>,
    /// Only this person's.
    pub person: Option<UserId>,
    /// Only of this kind.
    pub kind: Option<SearchKind>,
    /// Only with a document, whatever it is.
    pub has_document: bool,
    /// Only from this time on, by the log's clock.
    pub from_ms: Option<TimeMs>,
    /// Only before this time, by the log's clock.
    pub before_ms: Option<TimeMs>,
}

impl SearchQuery {
    /// All messages with these words.
    pub fn words(words: impl Into<String>) -> Self {
        Self { words: words.into(), ..Self::default() }
    }

    fn marks(&self, conn: &Connection) -> Result<Vec<Mark>, StoreError> {
        let mut marks = Vec::new();
        if let Some(id) = self.conversation {
            let log = log::local(conn, id)?.ok_or(StoreError::Missing("conversation"))?;
            marks.push(Mark::Log(log));
        }
        marks.extend(self.person.map(Mark::Author));
        marks.extend(self.kind.map(|kind| match kind {
            SearchKind::Text => Mark::Text,
            SearchKind::Picture => Mark::Picture,
            SearchKind::Sound => Mark::Sound,
            SearchKind::Video => Mark::Video,
            SearchKind::Document => Mark::Document,
            SearchKind::Place => Mark::Place,
            SearchKind::Contact => Mark::Contact,
            SearchKind::Poll => Mark::Poll,
        }));
        marks.extend(self.has_document.then_some(Mark::HasDocument));
        Ok(marks)
    }
}

/// What a message is, as a search may ask. What a document is says its author's phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    /// A text without a document.
    Text,
    /// With a picture.
    Picture,
    /// With a sound: a voice message, music.
    Sound,
    /// With a moving picture.
    Video,
    /// With a document that is none of these.
    Document,
    /// A place.
    Place,
    /// A contact.
    Contact,
    /// A poll.
    Poll,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Its conversation.
    pub log: LogId,
    /// Its id.
    pub message_id: MessageId,
    /// Its number in the log, to open the timeline around it; `None` while it is not sent.
    pub seq: Option<Seq>,
    /// Its author.
    pub author: UserId,
    /// The log's time.
    pub t_ms: TimeMs,
    /// A part of its text around the first word found, or its beginning.
    pub snippet: Vec<SnippetPart>,
    /// The document in which words were found that its text has not.
    pub document: Option<FoundDocument>,
}

/// A document in which something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDocument {
    /// Its place among the message's documents.
    pub position: u32,
    /// Its name.
    pub name: Vec<SnippetPart>,
    /// A part of its text around the first word found; empty if all that was found is its name.
    pub inside: Vec<SnippetPart>,
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// The hits, newest first.
    pub hits: Vec<SearchHit>,
    /// What to ask the next page with; `None` at the end.
    pub next: Option<i64>,
    /// Whether all messages were looked through. After some updates the older ones come into the search in
    /// their turn, which takes a minute with very many.
    pub is_whole: bool,
}

/// At most `limit` messages that are found, after those of the page before.
pub fn search(
    conn: &Connection,
    wanted: &SearchQuery,
    after: Option<i64>,
    limit: u32,
) -> Result<SearchPage, StoreError> {
    let asked = Asked::of(&wanted.words);
    let query = query(conn, &wanted.marks(conn)?, &asked.words)?;
    let is_period = wanted.from_ms.is_some() || wanted.before_ms.is_some();
    let sql = match &query {
        Some(_) => IN_INDEX,
        None if is_period && asked.words.is_empty() => IN_PERIOD,
        None => return Ok(SearchPage { hits: Vec::new(), next: None, is_whole: true }),
    };
    let limit = limit.min(PAGE_ROWS);
    let ids = message::search_ids(wanted.from_ms, wanted.before_ms);
    let end = ids.end.min(after.unwrap_or(i64::MAX));
    let mut next = None;
    let read = |row: &Row<'_>| {
        next = Some(row.get(0)?);
        let text: String = row.get(6)?;
        let hit = SearchHit {
            log: cell(row, 1)?,
            message_id: cell(row, 2)?,
            seq: key_seq(row.get(3)?),
            author: cell(row, 4)?,
            t_ms: cell(row, 5)?,
            snippet: asked.snippet(&text),
            document: None,
        };
        let in_text = asked.count_in(&text);
        Ok((row.get::<_, i64>(7)?, cell::<MessageKind>(row, 8)?, hit, in_text))
    };
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![query, ids.start, end, limit], read)?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let is_last = rows.len() < limit as usize;
    let mut hits = Vec::with_capacity(rows.len());
    for (log, kind, mut hit, in_text) in rows {
        if kind == MessageKind::File && in_text < asked.words.len() {
            hit.document = document(conn, &asked, log, hit.message_id)?;
        }
        hits.push(hit);
    }
    let is_whole = query.is_none() || index::is_whole(conn)?;
    Ok(SearchPage { hits, next: next.filter(|_| !is_last), is_whole })
}

const IN_INDEX: &str =
    "SELECT m.search_id, l.log, m.message_id, m.key, m.author, m.t_ms, m.text, l.id, m.kind
     FROM search s
     CROSS JOIN message m ON m.search_id = s.rowid
     CROSS JOIN log l ON l.id = m.key >> 40
     WHERE s.search MATCH ?1 AND s.rowid >= ?2 AND s.rowid < ?3
     ORDER BY s.rowid DESC LIMIT ?4";

/// Everything of a period: the index is asked for words only.
const IN_PERIOD: &str =
    "SELECT m.search_id, l.log, m.message_id, m.key, m.author, m.t_ms, m.text, l.id, m.kind
     FROM message m
     CROSS JOIN log l ON l.id = m.key >> 40
     WHERE ?1 IS NULL AND m.search_id >= ?2 AND m.search_id < ?3 AND m.text IS NOT NULL
     ORDER BY m.search_id DESC LIMIT ?4";

/// The message's document in which most of the words were found, in its name or its text.
fn document(
    conn: &Connection,
    asked: &Asked,
    log: i64,
    message_id: MessageId,
) -> Result<Option<FoundDocument>, StoreError> {
    let files = (0u32..).zip(file::of_message(conn, log, message_id)?);
    let originals = files.filter(|(_, file)| file.role == FileRole::Original);
    let known = file_text::known(conn, log, message_id)?;
    let mut counted = Vec::new();
    for (position, file) in originals {
        let known = known.iter().find(|known| known.position == position);
        let in_name = asked.which_in(&file.name);
        let part = |word| known.map_or(Ok(None), |known| known.part_with(conn, word));
        let parts = asked.words.iter().map(part).collect::<Result<Vec<Option<i64>>, _>>()?;
        let found = in_name.iter().zip(&parts).filter(|(name, part)| **name || part.is_some());
        counted.push((found.count(), position, file, known, in_name, parts));
    }
    // Of equals the first.
    let best = counted.into_iter().min_by_key(|(found, ..)| Reverse(*found));
    let Some((_, position, file, known, in_name, parts)) = best else { return Ok(None) };
    // At the word that comes last, of those that the name has not if there are any: the rarest, as a rule.
    let known_parts = || parts.iter().enumerate().filter_map(|(at, part)| Some((at, (*part)?)));
    let beyond =
        known_parts().filter(|(at, _)| !in_name[*at]).min_by_key(|(_, part)| Reverse(*part));
    let shown = beyond.or_else(|| known_parts().min_by_key(|(_, part)| Reverse(*part)));
    let inside = match (known, shown) {
        (Some(known), Some((at, part))) => asked.snippet_at(&known.text(conn, part)?, at),
        _ => Vec::new(),
    };
    Ok(Some(FoundDocument { position, name: asked.marked(&file.name), inside }))
}
