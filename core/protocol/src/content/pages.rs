//! How many pages a message's documents have, before anybody has fetched them.

use super::message::Message;
use crate::encoding::{FormError, Item, Reader, Writer};
use crate::limits;

/// The extension of a message with documents that have pages.
const PAGES: &str = "hauspost/pages";

/// For each document of the statement, in its order.
struct Pages(Vec<Option<u32>>);

impl Message {
    /// This message with how many pages each of its documents has, in the order of the statement; none
    /// where that is not known. More than a record may have of them say nothing.
    #[must_use]
    pub fn with_pages(self, pages: &[Option<u32>]) -> Self {
        let known = pages.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        match known {
            1..=limits::FILES => self.with_extension(PAGES, &Pages(pages[..known].to_vec())),
            _ => self,
        }
    }

    /// How many pages the document at this place has, as its author's phone says. Nobody has checked it
    /// against the document.
    pub fn pages(&self, position: usize) -> Option<u32> {
        let Pages(pages) = self.extension(PAGES)?;
        pages.get(position).copied().flatten()
    }
}

impl Item for Pages {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let pages: Vec<Option<u32>> = Item::read(from)?;
        if pages.len() > limits::FILES { Err(FormError::TooLarge) } else { Ok(Self(pages)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    fn sent(message: &Message) -> Message {
        Message::parse(&message.to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn a_message_says_how_many_pages_each_of_its_documents_has() {
        let message = Message::text([1; 16], "anbei").with_pages(&[None, Some(3), Some(500), None]);
        let read = sent(&message.passed_on_from(UserId([2; 16])));
        let pages: Vec<_> = (0..17).map(|position| read.pages(position)).collect();
        assert_eq!(pages[..4], [None, Some(3), Some(500), None]);
        assert!(pages[4..].iter().all(Option::is_none));
        assert_eq!(read.origin(), Some(UserId([2; 16])));
    }

    #[test]
    fn where_no_document_has_pages_a_message_is_as_it_was_before_there_were_any() {
        let message = Message::text([1; 16], "anbei");
        for none in [&[][..], &[None, None], &[Some(1); limits::FILES + 1]] {
            assert_eq!(message.clone().with_pages(none), message);
        }
        assert_eq!(message.pages(0), None);
    }

    #[test]
    fn a_list_that_breaks_a_limit_says_nothing_and_the_message_is_read() {
        let long = vec![Some(1u32); limits::FILES + 1];
        for lie in [
            Message::text([1; 16], "x").with_extension(PAGES, &long),
            Message::text([1; 16], "x").with_extension(PAGES, &vec![u64::from(u32::MAX) + 1]),
            Message::text([1; 16], "x").with_extension(PAGES, &"drei".to_owned()),
        ] {
            assert_eq!(sent(&lie).pages(0), None);
        }
    }
}
