//! Where readers put text: within a limit, without what no one reads, until they are told to stop.

use hauspost_protocol::unseen::{is_joiner, is_unseen};

use super::TEXT_BYTES;
use crate::file::apart::Stop;

/// Why no more text is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// There is as much as is kept.
    Limit,
    /// The reader was told to stop.
    Stopped,
}

/// The text of a document as it is read. Spaces are one each and lines are never empty.
pub(super) struct Output<'s> {
    text: String,
    stop: &'s Stop,
    is_full: bool,
}

impl<'s> Output<'s> {
    pub(super) fn new(stop: &'s Stop) -> Self {
        Self { text: String::new(), stop, is_full: false }
    }

    /// Takes more text.
    pub(super) fn push(&mut self, text: &str) -> Result<(), Full> {
        for letter in text.chars() {
            match letter {
                '\n' | '\r' | '\u{c}' => self.line(),
                letter if letter.is_whitespace() => self.space(),
                // Soft hyphens and marks of direction are in no word that anybody types.
                letter if is_nothing(letter) => {}
                letter => self.text.push(letter),
            }
            if self.text.len() >= TEXT_BYTES {
                self.is_full = true;
                return Err(Full::Limit);
            }
        }
        self.check()
    }

    /// A space, where something ends that is no word with the next.
    pub(super) fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    /// A new line.
    pub(super) fn line(&mut self) {
        if self.text.ends_with(' ') {
            self.text.pop();
        }
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), Full> {
        if self.stop.is_set() { Err(Full::Stopped) } else { Ok(()) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn into_text(mut self) -> String {
        let end = self.text.trim_end().len();
        self.text.truncate(end);
        self.text
    }
}

/// What nobody searches for, and what stood for a letter that could not be read.
fn is_nothing(letter: char) -> bool {
    letter.is_control() || letter == '\u{fffd}' || is_unseen(letter) || is_joiner(letter)
}

impl<'s> Output<'s> {
    /// Another one, for a reading that may have to be thrown away.
    pub(super) fn beside(other: &Self) -> Self {
        Self::new(other.stop)
    }
}
