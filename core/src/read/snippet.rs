//! The part of a text that a hit shows, with the words that were asked for marked as they were written.

use std::ops::Range;

use crate::store::search::{Spellings, spans};

/// Words of a query that count; more would only make it slow.
const WORDS: usize = 12;
/// Characters before the first hit that a snippet shows.
const BEFORE_CHARS: usize = 30;
/// Characters of a snippet.
const SNIPPET_CHARS: usize = 140;

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnippetPart {
    /// The text.
    pub text: String,
    /// Whether it is a word that was asked for.
    pub found: bool,
}

/// The words of a query.
pub(super) struct Asked {
    pub(super) words: Vec<Spellings>,
}

impl Asked {
    pub(super) fn of(text: &str) -> Self {
        let words = spans(text).take(WORDS).map(|span| Spellings::of(&text[span]));
        Self { words: words.filter(|word| !word.plain.is_empty()).collect() }
    }

    /// How many of the words begin a word of this text.
    pub(super) fn count_in(&self, text: &str) -> usize {
        if self.words.is_empty() {
            return 0;
        }
        self.which_in(text).into_iter().filter(|found| *found).count()
    }

    /// Which of the words begin a word of this text.
    pub(super) fn which_in(&self, text: &str) -> Vec<bool> {
        let mut found = vec![false; self.words.len()];
        for span in spans(text) {
            for (found, asked) in found.iter_mut().zip(&self.words) {
                *found = *found || asked.begin(&text[span.clone()]);
            }
        }
        found
    }

    fn is_asked(&self, word: &str) -> bool {
        self.words.iter().any(|asked| asked.begin(word))
    }

    /// The part of a text around the first word that was asked for, or its beginning.
    pub(super) fn snippet(&self, text: &str) -> Vec<SnippetPart> {
        self.around(text, |word| self.is_asked(word))
    }

    /// The part of a text around this one of the words, or its beginning.
    pub(super) fn snippet_at(&self, text: &str, at: usize) -> Vec<SnippetPart> {
        self.around(text, |word| self.words[at].begin(word))
    }

    fn around(&self, text: &str, is_it: impl Fn(&str) -> bool) -> Vec<SnippetPart> {
        let mut words = spans(text);
        let first = words.find(|span| is_it(&text[span.clone()]));
        let first = first.map_or(0, |span| span.start);
        let start = text[..first].char_indices().rev().nth(BEFORE_CHARS).map_or(0, |(at, _)| at);
        let end =
            text[start..].char_indices().nth(SNIPPET_CHARS).map_or(text.len(), |(n, _)| start + n);
        self.parts(text, start..end)
    }

    /// All of a short text.
    pub(super) fn marked(&self, text: &str) -> Vec<SnippetPart> {
        self.parts(text, 0..text.len())
    }

    /// A part of a text, cut into words that were asked for and the rest.
    fn parts(&self, text: &str, shown: Range<usize>) -> Vec<SnippetPart> {
        let mut parts = Vec::new();
        let mut push = |range: Range<usize>, found| {
            if !range.is_empty() {
                parts.push(SnippetPart { text: text[range].to_owned(), found });
            }
        };
        let (start, mut at) = (shown.start, shown.start);
        for span in spans(&text[shown.clone()]).map(|span| start + span.start..start + span.end) {
            if self.is_asked(&text[span.clone()]) {
                push(at..span.start, false);
                at = span.end;
                push(span, true);
            }
        }
        push(at..shown.end, false);
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, asked: &str) -> String {
        let mark = |part: SnippetPart| {
            if part.found { format!("[{}]", part.text) } else { part.text }
        };
        Asked::of(asked).snippet(text).into_iter().map(mark).collect()
    }

    #[test]
    fn a_snippet_marks_the_words_found_as_they_were_written() {
        assert_eq!(
            shown("Herr Müller, der Lieferschein fehlt.", "mueller lief"),
            "Herr [Müller], der [Lieferschein] fehlt."
        );
        assert_eq!(
            shown("GROSSE Größe auf der Straße", "große strasse"),
            "[GROSSE] [Größe] auf der [Straße]"
        );
        assert_eq!(shown("Jo\u{308}rg trägt Ärmel", "joerg aer"), "[Jo\u{308}rg] trägt [Ärmel]");
    }

    #[test]
    fn a_snippet_of_a_long_text_shows_the_part_around_the_first_word_found() {
        let text = format!("{} Angebot {}", "ä".repeat(1_000), "ß".repeat(1_000));
        let shown = shown(&text, "angebot");
        assert!(shown.contains("[Angebot]"));
        assert_eq!(shown.chars().count(), SNIPPET_CHARS + 2);
    }

    #[test]
    fn words_are_counted_once_however_often_they_stand_there() {
        let asked = Asked::of("rech soehne");
        assert_eq!(asked.count_in("Rechnung, Rechnung, rechts"), 1);
        assert_eq!(asked.count_in("Rechnung an Müller & Söhne"), 2);
        assert_eq!(asked.count_in("nichts davon"), 0);
    }
}
