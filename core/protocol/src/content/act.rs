//! What an author does by a message: writes, changes, takes back, reacts.
//!
//! The draft has one form for all of it. Here a message's fields are put together, once and for phones
//! and archive alike; who may do it, and whether the other message is there, is decided by the reader.

use super::message::Message;
use super::part::{Shown, TextForm};
use super::{Choice, Control, is_emoji};
use crate::ids::MessageId;

/// What the author of a message, or of a control about one, does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Act<'m> {
    /// Writes a text.
    Write(&'m str, TextForm),
    /// Changes an earlier message of his own; to something that only a newer app shows if there is no
    /// text.
    Edit(MessageId, Option<(&'m str, TextForm)>),
    /// Takes an earlier message or reaction of his own back.
    Delete(MessageId),
    /// Reacts to a message by one emoji.
    React(MessageId, &'m str),
    /// Hides a message of anybody, as an owner of the conversation.
    Redact(MessageId),
    /// Puts a message at the top of the conversation.
    Pin(MessageId),
    /// Takes a message from there.
    Unpin(MessageId),
    /// Votes in a poll; nothing chosen takes the vote back.
    Vote(MessageId, Choice),
    /// Closes a poll.
    ClosePoll(MessageId),
    /// Confirms that he has taken note of a message.
    Acknowledge(MessageId),
    /// Something that only a newer app understands, or nothing that makes sense: a reaction to
    /// nothing, a reaction that is no emoji, a deletion of nothing.
    Unknown,
}

impl Message {
    /// What its author does by it.
    pub fn act(&self) -> Act<'_> {
        match (self.shown(), self.replaces, self.in_reply_to) {
            (Shown::Text { text, form }, None, _) => Act::Write(text, form),
            (Shown::Text { text, form }, Some(earlier), _) => {
                Act::Edit(earlier, Some((text, form)))
            }
            (Shown::Nothing, Some(earlier), _) => Act::Delete(earlier),
            (Shown::Reaction(emoji), None, Some(to)) if is_emoji(emoji) => Act::React(to, emoji),
            (Shown::Unknown, Some(earlier), _) => Act::Edit(earlier, None),
            _ => Act::Unknown,
        }
    }
}

impl Control {
    /// What its author does to a message, if it is about that.
    pub fn act(&self) -> Option<Act<'static>> {
        match self {
            Self::Redact(message) => Some(Act::Redact(*message)),
            Self::Pin(message) => Some(Act::Pin(*message)),
            Self::Unpin(message) => Some(Act::Unpin(*message)),
            Self::Vote(message, choice) => Some(Act::Vote(*message, *choice)),
            Self::ClosePoll(message) => Some(Act::ClosePoll(*message)),
            Self::Acknowledge(message) => Some(Act::Acknowledge(*message)),
            Self::PolicyNotice(_) | Self::Title(_) | Self::Ask(_) | Self::Picture => None,
        }
    }
}

/// Content is not for logs.
impl std::fmt::Debug for Act<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(..) => f.write_str("Write(…)"),
            Self::Edit(message, _) => write!(f, "Edit({message}, …)"),
            Self::Delete(message) => write!(f, "Delete({message})"),
            Self::React(message, _) => write!(f, "React({message}, …)"),
            Self::Redact(message) => write!(f, "Redact({message})"),
            Self::Pin(message) => write!(f, "Pin({message})"),
            Self::Unpin(message) => write!(f, "Unpin({message})"),
            Self::Vote(message, _) => write!(f, "Vote({message}, …)"),
            Self::ClosePoll(message) => write!(f, "ClosePoll({message})"),
            Self::Acknowledge(message) => write!(f, "Acknowledge({message})"),
            Self::Unknown => f.write_str("Unknown"),
        }
    }
}
