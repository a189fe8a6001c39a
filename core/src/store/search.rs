//! The full-text index: which words a text is found by.
//!
//! We fold words ourselves and give SQLite's `unicode61` nothing to decide: compatibility forms
//! become plain ones (NFKD), case goes, ß becomes ss, marks go, so that "Straße" is found by
//! "STRASSE" and "Café" by "cafe". A word with an umlaut is indexed twice, as "muller" and as
//! "mueller", and so is a query's: "Müller", "Mueller" and "muller" all find it, and "neue" does not
//! find "neun". The index holds each word of a message once and no positions; what is shown of a hit
//! comes from the stored text.

use std::collections::BTreeSet;
use std::ops::Range;

use rusqlite::Connection;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::error::StoreError;
use super::rows::log::LocalLog;

/// What is behind this many characters of a word is not indexed, and not asked for.
const WORD_CHARS: usize = 40;

/// A word's folded spellings: the plain one, and the one that writes ae for ä where they differ.
pub(crate) struct Spellings {
    pub(crate) plain: String,
    pub(crate) german: Option<String>,
}

impl Spellings {
    pub(crate) fn of(word: &str) -> Self {
        if word.is_ascii() {
            let plain = word.chars().take(WORD_CHARS).map(|c| c.to_ascii_lowercase()).collect();
            return Self { plain, german: None };
        }
        let composed: String = word.nfkc().flat_map(char::to_lowercase).collect();
        let plain = strip(&composed);
        let german = strip(&composed.replace('ä', "ae").replace('ö', "oe").replace('ü', "ue"));
        Self { german: (german != plain).then_some(german), plain }
    }

    /// Whether this word of a text is found by this word of a query, which it begins with.
    pub(crate) fn begins_with(&self, query: &Self) -> bool {
        let mut mine = [Some(&self.plain), self.german.as_ref()].into_iter().flatten();
        mine.any(|word| {
            let mut asked = [Some(&query.plain), query.german.as_ref()].into_iter().flatten();
            asked.any(|start| word.starts_with(start.as_str()))
        })
    }
}

fn strip(word: &str) -> String {
    let letters = word.nfkd().filter(|c| !is_combining_mark(*c));
    let mut plain = String::with_capacity(word.len());
    for letter in letters.flat_map(char::to_lowercase) {
        match letter {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            letter if letter.is_alphanumeric() => plain.push(letter),
            _ => {}
        }
    }
    match plain.char_indices().nth(WORD_CHARS) {
        Some((end, _)) => plain[..end].to_owned(),
        None => plain,
    }
}

/// Where the words of a text stand, in bytes.
pub(crate) fn spans(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let is_word = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(is_word)?;
        let end = text[start..].find(|c| !is_word(c)).map_or(text.len(), |len| start + len);
        from = end;
        Some(start..end)
    })
}

/// The words of one message as they are indexed, each once, with a word for its conversation.
pub(super) fn words(log: LocalLog, text: &str) -> String {
    let mut words = BTreeSet::new();
    for span in spans(text) {
        let Spellings { plain, german } = Spellings::of(&text[span]);
        words.extend([Some(plain), german].into_iter().flatten().filter(|word| !word.is_empty()));
    }
    let mut all = log_word(log);
    for word in &words {
        all.push(' ');
        all.push_str(word);
    }
    all
}

/// A name as it is sorted and looked up: its words, folded, in their order.
pub(super) fn folded(name: &str) -> String {
    spans(name).map(|span| Spellings::of(&name[span]).plain).collect::<Vec<_>>().join(" ")
}

/// How the words of a query are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// A message has them as words.
    Whole,
    /// A message has words that begin with them.
    Beginning,
}

/// The query for messages that have each word asked for; `None` if no word is asked for.
pub(crate) fn query(log: Option<LocalLog>, asked: &[Spellings], how: Match) -> Option<String> {
    let star = if how == Match::Beginning { "*" } else { "" };
    let mut terms: Vec<String> = asked
        .iter()
        .filter(|word| !word.plain.is_empty())
        .map(|word| match &word.german {
            Some(german) => format!("(\"{}\"{star} OR \"{german}\"{star})", word.plain),
            None => format!("\"{}\"{star}", word.plain),
        })
        .collect();
    if terms.is_empty() {
        return None;
    }
    terms.extend(log.map(|log| format!("\"{}\"", log_word(log))));
    Some(terms.join(" AND "))
}

/// A word that no text has, since it begins with a private-use character, which the tokenizer keeps.
fn log_word(log: LocalLog) -> String {
    format!("\u{E000}{}", log.number)
}

pub(super) fn insert(conn: &Connection, search_id: i64, words: &str) -> Result<(), StoreError> {
    let mut insert = conn.prepare_cached("INSERT INTO search (rowid, words) VALUES (?1, ?2)")?;
    insert.execute((search_id, words))?;
    Ok(())
}

/// Takes a message out of the index. It must be given the very words that were inserted.
pub(super) fn delete(conn: &Connection, search_id: i64, words: &str) -> Result<(), StoreError> {
    let mut delete =
        conn.prepare_cached("INSERT INTO search (search, rowid, words) VALUES ('delete', ?1, ?2)")?;
    delete.execute((search_id, words))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(query: &str, word: &str) -> bool {
        Spellings::of(word).begins_with(&Spellings::of(query))
    }

    #[test]
    fn german_words_are_found_by_each_of_their_spellings() {
        for query in ["Müller", "mueller", "MUELLER", "muller", "Mu\u{308}ller", "mül", "mue"] {
            assert!(finds(query, "Müller"), "{query}");
        }
        assert!(finds("müller", "Mueller"));
        assert!(finds("strasse", "Straße") && finds("straße", "STRASSE"));
        assert!(finds("cafe", "Café") && finds("café", "Cafe"));
        assert!(finds("fi", "ﬁnden") && finds("12", "１２"));
        assert!(finds("Übergröße", "uebergroesse") && finds("uebergroesse", "Übergröße"));
    }

    #[test]
    fn other_words_are_not_found() {
        assert!(!finds("neue", "neun"));
        assert!(!finds("schein", "Lieferschein"));
        assert!(!finds("mueller", "Muller"));
    }

    #[test]
    fn words_stand_where_letters_and_digits_do() {
        let text = "E-Mail an Jo\u{308}rg: KB-4711!";
        let words: Vec<_> = spans(text).map(|span| &text[span]).collect();
        assert_eq!(words, ["E", "Mail", "an", "Jo\u{308}rg", "KB", "4711"]);
    }

    #[test]
    fn a_query_holds_nothing_that_the_index_would_read_as_syntax() {
        let asked: Vec<_> =
            spans("\"a* OR b\" NEAR(").map(|s| Spellings::of(&"\"a* OR b\" NEAR("[s])).collect();
        assert_eq!(
            query(None, &asked, Match::Beginning).as_deref(),
            Some("\"a\"* AND \"or\"* AND \"b\"* AND \"near\"*")
        );
        assert_eq!(query(None, &[], Match::Whole), None);
    }
}
