//! Announcements to a whole company: one message in each of several rooms, told to be the same one.

use std::fmt;

use super::message::Message;
use crate::encoding::Bytes;

/// The extension of a message that is one announcement with others: its id (docs/protocol.md §6).
const ANNOUNCEMENT: &str = "hauspost/announcement";
/// The length of an id in bytes.
const ID_BYTES: usize = 16;

/// What tells an announcement from its author's others. Only together with the author it names anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnnouncementId(pub [u8; ID_BYTES]);

impl fmt::Display for AnnouncementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Message {
    /// This message as one announcement with all others of its author under this id.
    #[must_use]
    pub fn announced_as(self, id: AnnouncementId) -> Self {
        self.with_extension(ANNOUNCEMENT, &Bytes(id.0.to_vec()))
    }

    /// Under which id it is one announcement with others.
    pub fn announcement(&self) -> Option<AnnouncementId> {
        let id = self.extension::<Bytes>(ANNOUNCEMENT)?;
        id.0.try_into().ok().map(AnnouncementId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_has_its_id_beside_everything_else_and_one_of_another_length_has_none() {
        let text = Message::text([1; 16], "Betriebsversammlung am Montag");
        assert_eq!(text.announcement(), None);
        let id = AnnouncementId([7; 16]);
        let said = text.clone().asking_to_confirm().announced_as(id);
        let read = Message::parse(&said.to_bytes().unwrap()).unwrap();
        assert_eq!(read.announcement(), Some(id));
        assert!(read.asks_to_confirm());
        let long = text.with_extension(ANNOUNCEMENT, &Bytes(vec![7; 17]));
        assert_eq!(long.announcement(), None);
    }
}
