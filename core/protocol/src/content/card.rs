//! Cards: what a message shows besides, or instead of, its text: a place, a contact, a poll.
//!
//! A card is the first of two alternatives; the second is a text, which a version that does not know
//! the card shows. A version that knows it never shows or searches that text: what people see comes
//! from the card alone, so that nobody asks one question and has it answered under another. What
//! breaks a limit is no card, and its text is shown.

use std::fmt;

use super::act::Act;
use super::message::Message;
use super::part::{Disposition, PLAIN, Part, PartKind, Semantics};
use crate::encoding::Bytes;
use crate::ids::CompanyId;
use crate::limits::NAME_BYTES;
use crate::unseen::is_unseen;

mod contact;
mod place;
mod poll;

pub use contact::{Contact, VCard};
pub use place::Place;
pub use poll::{Choice, OPTIONS, Poll};

/// A list of URIs (RFC 2483); ours have one.
const URI_LIST: &str = "text/uri-list";

/// Why something is no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// A question, an option or a name is empty, too long, or more than one line.
    #[error("a line of a card has 1 to 255 bytes, and no control or invisible characters")]
    Line,
    /// The coordinates are none on Earth.
    #[error("latitudes go to 90 degrees, longitudes to 180, and an accuracy to 1,000 km")]
    Coordinates,
    /// There are too few or too many options, two are the same, or more may be chosen than there are.
    #[error("a poll has 2 to 12 different options, of which at least one may be chosen")]
    Options,
    /// There are more numbers or addresses than a contact holds.
    #[error("a contact has at most 8 numbers and 8 addresses, and 8 KiB in all")]
    Contact,
}

/// What a message shows besides a text.
#[derive(Clone, PartialEq, Eq)]
pub enum Card {
    /// A place on Earth.
    Place(Place),
    /// Somebody, inside or outside of the company.
    Contact(Contact),
    /// A question with its answers.
    Poll(Poll),
}

impl Card {
    /// What it says in words, of somebody of the company nothing: names are the directory's.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Place(place) => Some(place.text()),
            Self::Contact(Contact::Colleague(_)) => None,
            Self::Contact(Contact::Other(card)) => Some(card.text()),
            Self::Poll(poll) => Some(poll.text()),
        }
    }

    fn part(&self, company: CompanyId) -> Part {
        let (content_type, content) = match self {
            Self::Place(place) => (URI_LIST, place.uri().into_bytes()),
            Self::Contact(contact) => contact.content(company),
            Self::Poll(poll) => (poll::MEDIA_TYPE, poll.to_bytes()),
        };
        let kind =
            PartKind::Single { content_type: content_type.to_owned(), content: Bytes(content) };
        Part { disposition: Disposition::RENDER, language: String::new(), kind }
    }

    fn read(content_type: &str, content: &[u8], company: CompanyId) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            URI_LIST => {
                let text = std::str::from_utf8(content).ok()?;
                let uri = text.strip_suffix("\r\n").unwrap_or(text);
                let colleague = || Contact::colleague(uri, company).map(Self::Contact);
                Place::parse(uri).map(Self::Place).or_else(colleague)
            }
            contact::MEDIA_TYPE => VCard::parse(content).map(Contact::Other).map(Self::Contact),
            poll::MEDIA_TYPE => Poll::parse(content).map(Self::Poll),
            _ => None,
        }
    }
}

impl Message {
    /// A message that shows a card; `text` is what a version shows that does not know it.
    pub fn with_card(salt: [u8; 16], card: &Card, text: &str, company: CompanyId) -> Self {
        let parts = vec![card.part(company), Part::single(Disposition::RENDER, PLAIN, text)];
        let kind = PartKind::Multi { semantics: Semantics::ChooseOne, parts };
        let body = Part { disposition: Disposition::RENDER, language: String::new(), kind };
        Self::with_body(salt, body)
    }

    /// The card that it shows in the place of its text. A change of another message has none: what
    /// was asked or shown stays as it was.
    pub fn card(&self, company: CompanyId) -> Option<Card> {
        let PartKind::Multi { semantics: Semantics::ChooseOne, parts } = &self.body.kind else {
            return None;
        };
        let PartKind::Single { content_type, content } = &parts.first()?.kind else { return None };
        let is_written = matches!(self.act(), Act::Write(..));
        is_written.then(|| Card::read(content_type, content, company)).flatten()
    }
}

/// Whether a text is one line that people can read and compare.
fn is_line(text: &str) -> bool {
    let hides = |c: char| c.is_control() || is_unseen(c);
    !text.trim().is_empty() && text.len() <= NAME_BYTES && !text.chars().any(hides)
}

fn line(text: String) -> Result<String, CardError> {
    if is_line(&text) { Ok(text) } else { Err(CardError::Line) }
}

/// Content is not for logs.
impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Place(_) => "Place(…)",
            Self::Contact(_) => "Contact(…)",
            Self::Poll(_) => "Poll(…)",
        })
    }
}

#[cfg(test)]
mod tests;
