//! Text of others, made harmless for a terminal.
//!
//! A message, a name, a purpose or a server's answer may hold anything. A terminal obeys control
//! characters, and invisible ones reorder or hide what a person reads; so nothing of others reaches
//! a screen but through [`harmless`] or [`line()`]. What is kept, signed and sent stays as it was
//! written.

use hauspost_protocol::unseen::is_unseen;
use unicode_segmentation::UnicodeSegmentation as _;

/// Scalars that one character on the screen may be made of; the largest emoji have ten. More are
/// marks piled up to write over the neighbours.
const SCALARS: usize = 16;
/// What stands for a character that is not shown.
const INSTEAD: char = '\u{FFFD}';

/// The text with every line break kept and every other control or reordering character replaced by
/// a picture of itself.
pub fn harmless(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut shown = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        shown.extend(grapheme.chars().take(SCALARS).flat_map(picture));
    }
    shown
}

/// The text as one line: breaks become spaces.
pub fn line(text: &str) -> String {
    harmless(text).split('\n').map(str::trim_end).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn picture(c: char) -> impl Iterator<Item = char> {
    let shown = match c {
        '\n' => Some('\n'),
        '\t' => return std::iter::repeat_n(' ', 4),
        '\0'..='\u{1F}' => char::from_u32(0x2400 + c as u32),
        '\u{7F}' => Some('\u{2421}'),
        '\u{80}'..='\u{9F}' => Some(INSTEAD),
        c if is_unseen(c) => Some(INSTEAD),
        c => Some(c),
    };
    std::iter::repeat_n(shown.unwrap_or(INSTEAD), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_but_the_line_break_survives() {
        let all: String = (0..0x3_0000).filter_map(char::from_u32).collect();
        let shown = harmless(&all);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!shown.chars().any(|c| ('\u{202A}'..='\u{202E}').contains(&c)));
        assert_eq!(harmless("\x1b[31mrot\x07\u{9b}2J"), "␛[31mrot␇\u{FFFD}2J");
        assert_eq!(harmless("a\u{202E}b\u{2066}c"), "a\u{FFFD}b\u{FFFD}c");
    }

    #[test]
    fn line_breaks_stay_in_a_text_and_become_spaces_in_a_line() {
        assert_eq!(harmless("eins\r\nzwei\rdrei"), "eins\nzwei\ndrei");
        assert_eq!(line(" eins \r\nzwei\n"), "eins zwei");
    }

    #[test]
    fn letters_and_emoji_of_all_kinds_stay_whole() {
        for text in ["Größe", "Gro\u{308}ße", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "日本", "नमस्ते", "می‌خواهم"]
        {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn piled_up_marks_are_cut() {
        let pile = format!("a{}b", "\u{300}".repeat(5_000));
        assert_eq!(harmless(&pile).chars().count(), SCALARS + 1);
    }
}
