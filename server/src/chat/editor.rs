//! A line or a text that a person writes: a string and a place in it.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use super::text;

/// A text being written. The place is always between two characters as a person sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Editor {
    text: String,
    at: usize,
}

/// How an editor is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// One character to the left, or to the right.
    Left,
    /// See [`Edit::Left`].
    Right,
    /// To the beginning of this word or the one before.
    WordLeft,
    /// Behind the end of this word or the next.
    WordRight,
    /// To the beginning of the line.
    Home,
    /// To the end of the line.
    End,
    /// Takes the character to the left away.
    Backspace,
    /// Takes the character to the right away.
    Delete,
    /// Takes the word to the left away.
    DeleteWord,
    /// Takes everything to the beginning of the line away.
    DeleteToHome,
    /// Takes everything to the end of the line away.
    DeleteToEnd,
}

impl Editor {
    /// An editor with this text, to be continued at its end.
    pub fn new(text: &str) -> Self {
        let text = text::typed(text);
        Self { at: text.len(), text }
    }

    /// What was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the next character goes, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether there is nothing but space.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Takes the text out and leaves nothing.
    pub fn take(&mut self) -> String {
        self.at = 0;
        std::mem::take(&mut self.text)
    }

    /// Writes at the place; what no keyboard types is left out.
    pub fn insert(&mut self, text: &str) {
        let text = text::typed(text);
        self.text.insert_str(self.at, &text);
        self.at += text.len();
        // A combining mark joins the character before it, and a place inside of one is none.
        if !self.is_boundary(self.at) {
            self.at = self.right();
        }
    }

    /// Changes text or place.
    pub fn edit(&mut self, edit: Edit) {
        let target = match edit {
            Edit::Left | Edit::Backspace => self.left(),
            Edit::Right | Edit::Delete => self.right(),
            Edit::WordLeft | Edit::DeleteWord => self.word_left(),
            Edit::WordRight => self.word_right(),
            Edit::Home | Edit::DeleteToHome => {
                self.text[..self.at].rfind('\n').map_or(0, |at| at + 1)
            }
            Edit::End | Edit::DeleteToEnd => {
                self.text[self.at..].find('\n').map_or(self.text.len(), |at| self.at + at)
            }
        };
        match edit {
            Edit::Backspace | Edit::DeleteWord | Edit::DeleteToHome => {
                self.text.replace_range(target..self.at, "");
                self.at = target;
            }
            Edit::Delete | Edit::DeleteToEnd => self.text.replace_range(self.at..target, ""),
            _ => self.at = target,
        }
    }

    /// Moves so many rows down, or up if negative, in the text as it is wrapped; `false` at its end.
    pub fn move_rows(&mut self, rows: isize, columns: usize) -> bool {
        let wrapped = text::wrap(&self.text, columns);
        let (row, column) = self.place(columns);
        let Some(target) = row.checked_add_signed(rows).filter(|row| *row < wrapped.len()) else {
            return false;
        };
        let line = &self.text[wrapped[target].clone()];
        let mut at = 0;
        for grapheme in line.graphemes(true) {
            if text::width(&line[..at + grapheme.len()]) > column {
                break;
            }
            at += grapheme.len();
        }
        self.at = wrapped[target].start + at;
        true
    }

    /// Row and column of the place in the text as it is wrapped.
    pub fn place(&self, columns: usize) -> (usize, usize) {
        let wrapped = text::wrap(&self.text, columns);
        let row = wrapped.iter().rposition(|row| row.start <= self.at).unwrap_or_default();
        let end = self.at.min(wrapped[row].end);
        (row, text::width(&self.text[wrapped[row].start..end]))
    }

    fn is_boundary(&self, at: usize) -> bool {
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        cursor.is_boundary(&self.text, 0).unwrap_or(true)
    }

    fn left(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.at, self.text.len(), true);
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn right(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.at, self.text.len(), true);
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    fn word_left(&self) -> usize {
        let mut words = self.text[..self.at].unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn word_right(&self) -> usize {
        let mut words = self.text[self.at..].unicode_word_indices();
        words.next().map_or(self.text.len(), |(at, word)| self.at + at + word.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_moves_by_what_a_person_calls_a_character() {
        let mut editor = Editor::new("Ko\u{308}ln 👩‍👩‍👧");
        editor.edit(Edit::Backspace);
        assert_eq!(editor.text(), "Ko\u{308}ln ");
        (0..3).for_each(|_| editor.edit(Edit::Left));
        editor.edit(Edit::Backspace);
        assert_eq!(editor.text(), "Kln ");
        editor.edit(Edit::Delete);
        assert_eq!(editor.text(), "Kn ");
    }

    #[test]
    fn each_edit_does_what_its_name_says() {
        let table: [(Edit, &str, usize); 11] = [
            (Edit::Left, "eins zwei\ndrei vier", 13),
            (Edit::Right, "eins zwei\ndrei vier", 15),
            (Edit::WordLeft, "eins zwei\ndrei vier", 10),
            (Edit::WordRight, "eins zwei\ndrei vier", 19),
            (Edit::Home, "eins zwei\ndrei vier", 10),
            (Edit::End, "eins zwei\ndrei vier", 19),
            (Edit::Backspace, "eins zwei\ndre vier", 13),
            (Edit::Delete, "eins zwei\ndreivier", 14),
            (Edit::DeleteWord, "eins zwei\n vier", 10),
            (Edit::DeleteToHome, "eins zwei\n vier", 10),
            (Edit::DeleteToEnd, "eins zwei\ndrei", 14),
        ];
        for (edit, text, at) in table {
            let mut editor = Editor { text: "eins zwei\ndrei vier".to_owned(), at: 14 };
            editor.edit(edit);
            assert_eq!((editor.text(), editor.at()), (text, at), "{edit:?}");
        }
    }

    #[test]
    fn edits_at_the_ends_change_nothing() {
        for edit in [Edit::Left, Edit::WordLeft, Edit::Backspace, Edit::DeleteWord, Edit::Delete] {
            let mut editor = Editor::default();
            editor.edit(edit);
            assert_eq!(editor, Editor::default());
        }
    }

    #[test]
    fn the_place_moves_between_wrapped_rows_and_keeps_its_column() {
        let mut editor = Editor::new("eins zwei\ndrei");
        assert_eq!(editor.place(5), (2, 4));
        assert!(editor.move_rows(-1, 5));
        assert_eq!(editor.place(5), (1, 4));
        assert!(editor.move_rows(-1, 5));
        assert!(!editor.move_rows(-1, 5));
        editor.insert("x");
        assert_eq!(editor.text(), "einsx zwei\ndrei");
    }

    #[test]
    fn a_pasted_text_keeps_its_lines_and_loses_its_escapes() {
        let mut editor = Editor::new("ab");
        editor.edit(Edit::Left);
        editor.insert("1\r\n\x1b[2J2");
        assert_eq!(editor.text(), "a1\n[2J2b");
    }
}
