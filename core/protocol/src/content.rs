//! What a record says: a message (MIMI content), a control, receipts, or what a person's devices
//! agree on.
//!
//! Messages are MIMI content (draft-ietf-mimi-content-08), so that what we keep for ten years is
//! somebody else's standard too, and so is a message's id. We write text; we read every part that
//! the draft has. What a newer app sends, and what does not parse, is [`Content::Unknown`]: the
//! record is kept, archived and shown as "update the app", never dropped.
//!
//! A reply, an edit or a reaction carries the other message's id and none of its text, so that
//! erasing the original erases it everywhere (docs/attacks.md 32).
//!
//! [`Message`] is the draft's form and [`Part`] what lies in it, [`Act`] what its author does by it,
//! [`Control`] what is said about a message or the conversation, [`is_emoji`] what a reaction may be,
//! [`Card`] what a message shows in the place of a text, [`Voice`] what one says of its sound,
//! [`AnnouncementId`] that one stands in several rooms, [`Message::pages`] how long its documents are,
//! [`OwnState`] what a person's devices tell each other,
//! [`picture()`] what a conversation's picture may be.

mod act;
mod alarm;
mod announcement;
mod card;
mod control;
mod emoji;
mod message;
mod own;
mod pages;
mod part;
mod picture;
mod voice;

pub use act::Act;
pub use announcement::AnnouncementId;
pub use card::{Card, CardError, Choice, Contact, OPTIONS, Place, Poll, VCard};
pub use control::Control;
pub use emoji::is_emoji;
pub use message::{Expiration, Message};
pub use own::{FOR_EVER, OwnFact, OwnSaid, OwnState, Subject};
pub use part::{Disposition, Part, PartKind, Semantics, Shown, TextForm};
pub use picture::{PICTURE_BYTES, picture};
pub use voice::{VOICE_MS, Voice, WAVEFORM_BYTES};

use crate::encoding::{decode, encode};
use crate::ids::MessageId;
use crate::statement::PayloadType;

/// The content of a record, as far as this version understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A message.
    Message(Message),
    /// Something about a message or the conversation.
    Control(Control),
    /// Messages that the author has read.
    Receipt(Vec<MessageId>),
    /// What the author's devices are to agree on.
    OwnState(OwnState),
    /// A newer app wrote it, or a broken one.
    Unknown,
}

impl Content {
    /// Reads a statement's content; never fails, since a record stays a record.
    pub fn read(ptype: PayloadType, bytes: &[u8]) -> Self {
        let content = match ptype {
            PayloadType::Content => Message::parse(bytes).map(Self::Message),
            PayloadType::Control => decode(bytes).map(Self::Control),
            PayloadType::Receipt => decode::<(_,)>(bytes).map(|(read,)| Self::Receipt(read)),
            PayloadType::OwnState => OwnState::parse(bytes).map(Self::OwnState),
        };
        content.unwrap_or(Self::Unknown)
    }
}

/// The content of a receipt: CBOR[[message id*]].
pub fn receipt(read: Vec<MessageId>) -> Vec<u8> {
    encode(&(read,))
}

#[cfg(test)]
mod tests;
