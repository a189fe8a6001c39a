//! Search over all messages or one conversation's, newest hits first.
//!
//! A message is found when for each word asked for it has a word that begins with it, in any of its
//! spellings (see `store/search.rs`). What is shown comes from the stored text.

use std::ops::Range;

use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs, UserId};
use rusqlite::{Connection, Row, params};

use super::PAGE_ROWS;
use crate::store::StoreError;
use crate::store::cell::cell;
use crate::store::rows::{key_seq, log};
use crate::store::search::{Spellings, query, spans};

/// Words of a query that count; more would only make it slow.
const WORDS: usize = 12;
/// Characters around the first hit that a snippet shows.
const BEFORE_CHARS: usize = 30;
const SNIPPET_CHARS: usize = 140;

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
    /// A part of its text around the first word found.
    pub snippet: Vec<SnippetPart>,
}

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnippetPart {
    /// The text.
    pub text: String,
    /// Whether it is a word that was asked for.
    pub found: bool,
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPage {
    /// The hits, newest first.
    pub hits: Vec<SearchHit>,
    /// What to ask the next page with; `None` at the end.
    pub next: Option<i64>,
}

/// At most `limit` messages that are found by `text`, after those of the page before.
pub fn search(
    conn: &Connection,
    text: &str,
    only: Option<LogId>,
    after: Option<i64>,
    limit: u32,
) -> Result<SearchPage, StoreError> {
    let asked: Vec<Spellings> =
        spans(text).take(WORDS).map(|span| Spellings::of(&text[span])).collect();
    let only = match only {
        Some(log) => Some(log::local(conn, log)?.ok_or(StoreError::Missing("conversation"))?),
        None => None,
    };
    let Some(query) = query(conn, only, &asked)? else {
        return Ok(SearchPage { hits: Vec::new(), next: None });
    };
    let limit = limit.min(PAGE_ROWS);
    let mut next = None;
    let mut hit = |row: &Row<'_>| {
        next = Some(row.get(0)?);
        let text: String = row.get(6)?;
        Ok(SearchHit {
            log: cell(row, 1)?,
            message_id: cell(row, 2)?,
            seq: key_seq(row.get(3)?),
            author: cell(row, 4)?,
            t_ms: cell(row, 5)?,
            snippet: snippet(&text, &asked),
        })
    };
    let mut select = conn.prepare_cached(
        "SELECT m.search_id, l.log, m.message_id, m.key, m.author, m.t_ms, m.text
         FROM search s
         CROSS JOIN message m ON m.search_id = s.rowid
         CROSS JOIN log l ON l.id = m.key >> 40
         WHERE s.search MATCH ?1 AND s.rowid < ?2
         ORDER BY s.rowid DESC LIMIT ?3",
    )?;
    let rows = select.query_map(params![query, after.unwrap_or(i64::MAX), limit], &mut hit)?;
    let hits: Vec<_> = rows.collect::<Result<_, _>>()?;
    let is_last = hits.len() < limit as usize;
    Ok(SearchPage { hits, next: next.filter(|_| !is_last) })
}

/// The part of a text around the first word that was asked for, cut into found words and the rest.
fn snippet(text: &str, asked: &[Spellings]) -> Vec<SnippetPart> {
    let is_asked = |span: &Range<usize>| {
        let word = Spellings::of(&text[span.clone()]);
        asked.iter().any(|asked| !asked.plain.is_empty() && word.begins_with(asked))
    };
    let first = spans(text).find(is_asked).map_or(0, |span| span.start);
    let start = text[..first].char_indices().rev().nth(BEFORE_CHARS).map_or(0, |(at, _)| at);
    let end =
        text[start..].char_indices().nth(SNIPPET_CHARS).map_or(text.len(), |(n, _)| start + n);
    let mut parts = Vec::new();
    let mut push = |range: Range<usize>, found| {
        if !range.is_empty() {
            parts.push(SnippetPart { text: text[range].to_owned(), found });
        }
    };
    let mut at = start;
    for span in spans(&text[start..end]).map(|span| start + span.start..start + span.end) {
        if is_asked(&span) {
            push(at..span.start, false);
            at = span.end;
            push(span, true);
        }
    }
    push(at..end, false);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, asked: &str) -> String {
        let asked: Vec<_> = spans(asked).map(|span| Spellings::of(&asked[span])).collect();
        let mark = |part: SnippetPart| {
            if part.found { format!("[{}]", part.text) } else { part.text }
        };
        snippet(text, &asked).into_iter().map(mark).collect()
    }

    #[test]
    fn a_snippet_marks_the_words_found_as_they_were_written() {
        assert_eq!(
            shown("Herr Müller, der Lieferschein fehlt.", "mueller lief"),
            "Herr [Müller], der [Lieferschein] fehlt."
        );
    }

    #[test]
    fn a_snippet_of_a_long_text_shows_the_part_around_the_first_word_found() {
        let text = format!("{} Angebot {}", "ä".repeat(1_000), "ß".repeat(1_000));
        let shown = shown(&text, "angebot");
        assert!(shown.contains("[Angebot]"));
        assert_eq!(shown.chars().count(), SNIPPET_CHARS + 2);
    }
}
