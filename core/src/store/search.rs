//! The full-text index: which words a text is found by.
//!
//! We fold words ourselves and give SQLite's `unicode61` nothing to decide: compatibility forms
//! become plain ones (NFKD), case goes, ß becomes ss, marks go, so that "Straße" is found by
//! "STRASSE" and "Café" by "cafe". A word with an umlaut is indexed twice, as "muller" and as
//! "mueller", and so is a query's: "Müller", "Mueller" and "muller" all find it, and "neue" does not
//! find "neun". The index holds each word of a message once and no positions; what is shown of a hit
//! comes from the stored text.
//!
//! What a search may be narrowed to stands in the index as well, as marks: words that no text has. So
//! "Anna's documents with this word" is answered from three sorted lists, and not by looking at
//! every message with the word.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use hauspost_protocol::ids::UserId;
use rusqlite::{Connection, OptionalExtension as _};
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

impl Spellings {
    /// Whether a word begins so, as it stands in a text: [`Spellings::begins_with`] without folding what
    /// shows at once that it does, or does not. Thousands of words are looked at for a page of hits.
    pub(crate) fn begin(&self, word: &str) -> bool {
        let mut starts =
            [Some(&self.plain), self.german.as_ref()].into_iter().flatten().map(String::as_bytes);
        let bytes = word.as_bytes();
        if word.is_ascii() {
            let is_start = |start: &[u8]| {
                bytes.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
            };
            return starts.any(is_start);
        }
        // A letter that no mark follows is folded for itself.
        if let [first, second, ..] = bytes
            && first.is_ascii()
            && second.is_ascii()
            && !starts.any(|start| start.first() == Some(&first.to_ascii_lowercase()))
        {
            return false;
        }
        Self::of(word).begins_with(self)
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
    let is_word = |c: char| c.is_alphanumeric() || !c.is_ascii() && is_combining_mark(c);
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(is_word)?;
        let end = text[start..].find(|c| !is_word(c)).map_or(text.len(), |len| start + len);
        from = end;
        Some(start..end)
    })
}

/// What a search may be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// Messages of this conversation.
    Log(LocalLog),
    /// Messages of this person.
    Author(UserId),
    /// Texts without a document.
    Text,
    /// Messages with any document.
    HasDocument,
    /// Messages with a picture.
    Picture,
    /// Messages with a sound: a voice message, music.
    Sound,
    /// Messages with a moving picture.
    Video,
    /// Messages with a document that is none of these.
    Document,
    /// Places.
    Place,
    /// Contacts.
    Contact,
    /// Polls.
    Poll,
}

impl Mark {
    /// A word that no text has, since it begins with a private-use character, which the tokenizer
    /// keeps.
    fn word(self) -> String {
        match self {
            Self::Log(log) => format!("\u{E000}{}", log.number),
            Self::Author(user) => {
                let hex = user.0.iter().map(|byte| format!("{byte:02x}"));
                format!("\u{E001}{}", hex.collect::<String>())
            }
            Self::Text => "\u{E002}t".to_owned(),
            Self::HasDocument => "\u{E002}d".to_owned(),
            Self::Picture => "\u{E002}p".to_owned(),
            Self::Sound => "\u{E002}s".to_owned(),
            Self::Video => "\u{E002}v".to_owned(),
            Self::Document => "\u{E002}f".to_owned(),
            Self::Place => "\u{E002}g".to_owned(),
            Self::Contact => "\u{E002}c".to_owned(),
            Self::Poll => "\u{E002}q".to_owned(),
        }
    }

    /// The mark of a document of this media type.
    pub(crate) fn of_media_type(media_type: &str) -> Self {
        match media_type.split('/').next() {
            Some("image") => Self::Picture,
            Some("audio") => Self::Sound,
            Some("video") => Self::Video,
            _ => Self::Document,
        }
    }
}

/// What one message is found by: its marks and words, each once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    marks: BTreeSet<Mark>,
    words: BTreeSet<String>,
}

impl Words {
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.marks.insert(mark);
    }

    /// The words of a text.
    pub(crate) fn text(&mut self, text: &str) {
        for span in spans(text) {
            let Spellings { plain, german } = Spellings::of(&text[span]);
            let spellings = [Some(plain), german].into_iter().flatten();
            self.words.extend(spellings.filter(|word| !word.is_empty()));
        }
    }

    /// Words that are folded already.
    pub(crate) fn folded<'w>(&mut self, words: impl Iterator<Item = &'w str>) {
        self.words.extend(words.map(str::to_owned));
    }

    /// As the index takes them.
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        let marks = self.marks.iter().map(|mark| Cow::Owned(mark.word()));
        for word in marks.chain(self.words.iter().map(|word| Cow::Borrowed(word.as_str()))) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        line
    }
}

/// A name as it is sorted and looked up: its words, folded, in their order.
pub(super) fn folded(name: &str) -> String {
    spans(name).map(|span| Spellings::of(&name[span]).plain).collect::<Vec<_>>().join(" ")
}

/// Letters of the beginnings that the index has lists of (`prefix` in the schema), ascending.
const LISTED_CHARS: [usize; 3] = [2, 4, 7];
/// Lists that are asked for one by one in place of the beginning of them all.
const LISTS_OF_BEGINNING: usize = 200;

/// Gives a connection the words of the index in their order, as `search_words`.
pub(super) fn attach_words(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE VIRTUAL TABLE temp.search_words USING fts5vocab ('main', 'search', 'instance')",
    )
}

/// The query for messages that have all these marks and, for each word asked for, a word that begins
/// with it; `None` if nothing is asked for.
pub(crate) fn query(
    conn: &Connection,
    marks: &[Mark],
    asked: &[Spellings],
) -> Result<Option<String>, StoreError> {
    let mut terms = Vec::new();
    for word in asked.iter().filter(|word| !word.plain.is_empty()) {
        let mut any = beginning(conn, &word.plain)?;
        if let Some(german) = &word.german {
            any.extend(beginning(conn, german)?);
        }
        terms.push(match &any[..] {
            [one] => one.clone(),
            any => format!("({})", any.join(" OR ")),
        });
    }
    terms.extend(marks.iter().map(|mark| format!("\"{}\"", mark.word())));
    Ok((!terms.is_empty()).then(|| terms.join(" AND ")))
}

/// What finds the words that begin so.
///
/// Of a word, and of a beginning that has a list of its own, the index reads the messages from the
/// newest on and stops at the end of the page. For any other beginning it joins the lists of all its
/// words before it gives the first message, which takes as long as there are such messages. So
/// a beginning is replaced by what its words begin with, up to the next length that has lists,
/// and a long one by the words themselves, unless that would be very many.
fn beginning(conn: &Connection, start: &str) -> Result<Vec<String>, StoreError> {
    let as_beginning = || vec![format!("\"{start}\"*")];
    let letters = start.chars().count();
    let listed = LISTED_CHARS.into_iter().find(|listed| *listed >= letters);
    if listed == Some(letters) {
        return Ok(as_beginning());
    }
    let mut select = conn
        .prepare_cached("SELECT term FROM search_words WHERE term >= ?1 ORDER BY term LIMIT 1")?;
    let (mut lists, mut from) = (Vec::new(), start.to_owned());
    loop {
        let word: Option<String> = select.query_row([&from], |row| row.get(0)).optional()?;
        let Some(mut word) = word.filter(|word| word.starts_with(start)) else { break };
        if lists.len() == LISTS_OF_BEGINNING {
            return Ok(as_beginning());
        }
        match listed.and_then(|listed| word.char_indices().nth(listed - 1)) {
            Some((at, last)) => {
                word.truncate(at + last.len_utf8());
                lists.push(format!("\"{word}\"*"));
                // Behind all words that begin so.
                word.push(char::MAX);
            }
            None => {
                lists.push(format!("\"{word}\""));
                // The next word begins with a letter above this one, or not with this word.
                word.push('\u{1}');
            }
        }
        from = word;
    }
    Ok(if lists.is_empty() { as_beginning() } else { lists })
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
        let asked = Spellings::of(query);
        let finds = Spellings::of(word).begins_with(&asked);
        assert_eq!(asked.begin(word), finds, "{query} {word}");
        finds
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
    fn a_word_is_judged_alike_as_it_stands_and_folded() {
        let words = [
            "a",
            "A",
            "ae",
            "Ae",
            "ä",
            "Ä",
            "a\u{308}",
            "A\u{308}rger",
            "ab\u{308}",
            "ss",
            "ß",
            "ẞ",
            "SS",
            "sß",
            "ﬁn",
            "fin",
            "Łuk",
            "luk",
            "œ",
            "oe",
            "ö",
            "ø",
            "o",
            "１2",
            "12",
            "1２",
            "Straße",
            "STRASSE",
            "strase",
            "Ωmega",
            "ωm",
            "İ",
            "i",
            "I",
            "ı",
            "K",
            "k",
            "zäh",
            "Zah",
            "zaeh",
        ];
        let mut found = 0;
        for query in words {
            for word in words {
                found += usize::from(finds(query, word));
            }
        }
        assert!(found > words.len() && found < words.len() * 10, "{found}");
        let long = "x".repeat(WORD_CHARS + 5);
        assert!(finds(&long, &long) && finds(&long, &long.to_uppercase()));
        assert!(!finds(&long, &long[..WORD_CHARS - 1]));
    }

    #[test]
    fn words_stand_where_letters_and_digits_do() {
        let text = "E-Mail an Jo\u{308}rg: KB-4711!";
        let words: Vec<_> = spans(text).map(|span| &text[span]).collect();
        assert_eq!(words, ["E", "Mail", "an", "Jo\u{308}rg", "KB", "4711"]);
    }

    fn indexed(texts: &[&str]) -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE VIRTUAL TABLE search USING fts5 (words, content = '', columnsize = 0,
                 detail = none, prefix = '2 4 7', tokenize = 'unicode61 remove_diacritics 0')",
        )
        .unwrap();
        attach_words(&conn).unwrap();
        let log = LocalLog { number: 1, id: hauspost_protocol::ids::LogId([1; 16]) };
        for (id, text) in texts.iter().enumerate() {
            let mut words = Words::default();
            words.mark(Mark::Log(log));
            words.text(text);
            insert(&conn, id as i64, &words.line()).unwrap();
        }
        conn
    }

    fn asked(conn: &Connection, text: &str) -> Option<String> {
        let asked: Vec<_> = spans(text).map(|span| Spellings::of(&text[span])).collect();
        query(conn, &[], &asked).unwrap()
    }

    #[test]
    fn a_query_holds_nothing_that_the_index_would_read_as_syntax() {
        let conn = indexed(&[]);
        assert_eq!(
            asked(&conn, "\"a* OR b\" NEAR(").as_deref(),
            Some("\"a\"* AND \"or\"* AND \"b\"* AND \"near\"*")
        );
        assert_eq!(asked(&conn, ""), None);
    }

    #[test]
    fn a_beginning_that_has_no_list_is_asked_for_by_the_next_longer_lists_or_by_its_words() {
        let conn = indexed(&[
            "Lieferscheine liefern: Lied, Lieferscheinnummer, l, Los",
            "geliefert",
            "Müllereien",
            "Muellers, Müll",
        ]);
        for (words, query) in [
            ("l", r#"("l" OR "li"* OR "lo"*)"#),
            ("li", r#""li"*"#),
            ("lie", r#"("lied"* OR "lief"*)"#),
            ("lief", r#""lief"*"#),
            ("liefe", r#"("liefern"* OR "liefers"*)"#),
            ("liefers", r#""liefers"*"#),
            ("lieferschein", r#"("lieferscheine" OR "lieferscheinnummer")"#),
            ("lieferscheinn", r#""lieferscheinnummer""#),
            ("Müller", r#"("mullere"* OR "mueller"*)"#),
        ] {
            assert_eq!(asked(&conn, words).as_deref(), Some(query), "{words}");
        }
        for nothing in ["x", "lif", "liefert", "lieferscheinx"] {
            assert_eq!(asked(&conn, nothing), Some(format!("\"{nothing}\"*")), "no such word");
        }
    }

    #[test]
    fn the_index_has_the_lists_that_are_asked_for() {
        let schema = include_str!("migrations/snapshot.sql");
        let lists = LISTED_CHARS.map(|letters| letters.to_string()).join(" ");
        assert!(schema.contains(&format!("detail = none, prefix = '{lists}'")));
    }

    #[test]
    fn a_beginning_of_very_many_words_stays_one() {
        let many: Vec<String> =
            (0..=LISTS_OF_BEGINNING).map(|number| format!("vorgang2026{number:03}")).collect();
        let conn = indexed(&[&many[1..].join(" ")]);
        let words = asked(&conn, "vorgang2026").unwrap();
        assert_eq!(words.matches(" OR ").count() + 1, LISTS_OF_BEGINNING);
        let conn = indexed(&[&many.join(" ")]);
        assert_eq!(asked(&conn, "vorgang2026").as_deref(), Some("\"vorgang2026\"*"));
    }
}
