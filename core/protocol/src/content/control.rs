//! What is said about a message or the conversation, and is no message itself.

use std::fmt;

use super::Choice;
use crate::encoding::{FormError, Item, Reader, Writer};
use crate::entry::Ranges;
use crate::grant;
use crate::ids::MessageId;
use crate::limits;

/// What a record says about a message or the conversation.
#[derive(Clone, PartialEq, Eq)]
pub enum Control {
    /// A moderator hides a message; it stays in the archive.
    Redact(MessageId),
    /// The author has taken note of an announcement.
    Acknowledge(MessageId),
    /// The policy that the message was written under was shown to its author.
    PolicyNotice(MessageId),
    /// The conversation is called this from now on; empty for no name. It travels sealed, since the
    /// server is to know no names.
    Title(String),
    /// The message stands at the top of the conversation from now on.
    Pin(MessageId),
    /// It does not stand there any more.
    Unpin(MessageId),
    /// The author's device cannot read these entries, and asks those who may for a grant
    /// (docs/protocol.md §10).
    Ask(Ranges),
    /// The author chooses these options of a poll. His last vote before the close counts; nothing
    /// chosen takes it back.
    Vote(MessageId, Choice),
    /// Votes that come later do not count.
    ClosePoll(MessageId),
    /// The record's one file is the conversation's picture from now on, or it has none
    /// ([`picture`](super::picture())).
    Picture,
}

const REDACT: u64 = 0;
const ACKNOWLEDGE: u64 = 1;
const POLICY_NOTICE: u64 = 2;
const TITLE: u64 = 3;
const PIN: u64 = 4;
const UNPIN: u64 = 5;
const ASK: u64 = 6;
const VOTE: u64 = 7;
const CLOSE_POLL: u64 = 8;
const PICTURE: u64 = 9;

/// A title is content, and so is what somebody chose.
impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redact(message) => write!(f, "Redact({message})"),
            Self::Acknowledge(message) => write!(f, "Acknowledge({message})"),
            Self::PolicyNotice(message) => write!(f, "PolicyNotice({message})"),
            Self::Pin(message) => write!(f, "Pin({message})"),
            Self::Unpin(message) => write!(f, "Unpin({message})"),
            Self::Title(_) => f.write_str("Title(…)"),
            Self::Ask(ranges) => write!(f, "Ask({} stretches)", ranges.len()),
            Self::Vote(message, _) => write!(f, "Vote({message}, …)"),
            Self::ClosePoll(message) => write!(f, "ClosePoll({message})"),
            Self::Picture => f.write_str("Picture"),
        }
    }
}

impl Item for Control {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Redact(message) => (REDACT, *message).write(to),
            Self::Acknowledge(message) => (ACKNOWLEDGE, *message).write(to),
            Self::PolicyNotice(message) => (POLICY_NOTICE, *message).write(to),
            Self::Pin(message) => (PIN, *message).write(to),
            Self::Unpin(message) => (UNPIN, *message).write(to),
            Self::Title(title) => {
                to.array(3);
                to.uint(TITLE);
                to.null();
                to.text(title);
            }
            Self::Ask(ranges) => {
                to.array(3);
                to.uint(ASK);
                to.null();
                ranges.write(to);
            }
            Self::Vote(message, choice) => (VOTE, *message, *choice).write(to),
            Self::ClosePoll(message) => (CLOSE_POLL, *message).write(to),
            Self::Picture => {
                to.array(2);
                to.uint(PICTURE);
                to.null();
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.list(|from, len| match (from.uint()?, len) {
            (REDACT, 2) => Item::read(from).map(Self::Redact),
            (ACKNOWLEDGE, 2) => Item::read(from).map(Self::Acknowledge),
            (POLICY_NOTICE, 2) => Item::read(from).map(Self::PolicyNotice),
            (PIN, 2) => Item::read(from).map(Self::Pin),
            (UNPIN, 2) => Item::read(from).map(Self::Unpin),
            (TITLE, 3) if from.take_null()? => {
                let title = String::read(from)?;
                if title.len() > limits::NAME_BYTES {
                    return Err(FormError::TooLarge);
                }
                Ok(Self::Title(title))
            }
            (ASK, 3) if from.take_null()? => {
                let ranges = Ranges::read(from)?;
                grant::check_ranges(&ranges)?;
                Ok(Self::Ask(ranges))
            }
            (VOTE, 3) => Ok(Self::Vote(Item::read(from)?, Item::read(from)?)),
            (CLOSE_POLL, 2) => Item::read(from).map(Self::ClosePoll),
            (PICTURE, 2) if from.take_null()? => Ok(Self::Picture),
            _ => Err(FormError::Unlisted),
        })
    }
}
