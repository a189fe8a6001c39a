//! What a record says: a message (MIMI content), a control, or receipts.
//!
//! Messages are MIMI content (draft-ietf-mimi-content-08), so that what we keep for ten years is
//! somebody else's standard too, and so is a message's id. We write text; we read every part that
//! the draft has. What a newer app sends, and what does not parse, is [`Content::Unknown`]: the
//! record is kept, archived and shown as "update the app", never dropped.
//!
//! A reply, an edit or a reaction carries the other message's id and none of its text, so that
//! erasing the original erases it everywhere (docs/attacks.md 32).

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::code_item;
use crate::encoding::{Any, Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::ids::{CompanyId, LogId, MessageId, UserId};
use crate::limits;
use crate::statement::PayloadType;

/// A topic's id, in bytes (draft-ietf-mimi-content-08 §9.1).
const TOPIC_BYTES: usize = 4096;
/// Parts of a message (draft-ietf-mimi-content-08 §9.1).
const PARTS: usize = 1024;
/// Levels of parts within parts (draft-ietf-mimi-content-08 §9.1).
const PART_LEVELS: usize = 4;

const PLAIN: &str = "text/plain;charset=utf-8";
const MARKDOWN: &str = "text/markdown;variant=GFM-MIMI";

/// The content of a record, as far as this version understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A message.
    Message(Message),
    /// Something about a message or the conversation.
    Control(Control),
    /// Messages that the author has read.
    Receipt(Vec<MessageId>),
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
        };
        content.unwrap_or(Self::Unknown)
    }
}

/// The content of a receipt: CBOR[[message id*]].
pub fn receipt(read: Vec<MessageId>) -> Vec<u8> {
    encode(&(read,))
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Random, and what makes two equal texts two messages.
    pub salt: [u8; 16],
    /// The earlier message that this one takes the place of: an edit, or with an empty body a deletion.
    pub replaces: Option<MessageId>,
    /// What groups messages of one topic; empty for none.
    pub topic: Bytes,
    /// When a phone may stop showing it. The archive does not look at it.
    pub expires: Option<Expiration>,
    /// The message that this one answers or reacts to.
    pub in_reply_to: Option<MessageId>,
    /// Fields that other documents define, as a map.
    pub extensions: Any,
    /// What people read.
    pub body: Part,
}

impl Message {
    /// A message of plain text.
    pub fn text(salt: [u8; 16], text: &str) -> Self {
        Self::with_body(salt, Part::single(Disposition::RENDER, PLAIN, text))
    }

    /// A message of Markdown, in the variant GFM-MIMI: no raw HTML.
    pub fn markdown(salt: [u8; 16], text: &str) -> Self {
        Self::with_body(salt, Part::single(Disposition::RENDER, MARKDOWN, text))
    }

    /// A reaction to a message: one emoji, as text.
    pub fn reaction(salt: [u8; 16], to: MessageId, emoji: &str) -> Self {
        let body = Part::single(Disposition::REACTION, PLAIN, emoji);
        Self { in_reply_to: Some(to), ..Self::with_body(salt, body) }
    }

    /// The deletion of one's own message or reaction. It is hidden, not erased.
    pub fn deletion(salt: [u8; 16], of: MessageId) -> Self {
        let body = Part {
            disposition: Disposition::RENDER,
            language: String::new(),
            kind: PartKind::Null,
        };
        Self { replaces: Some(of), ..Self::with_body(salt, body) }
    }

    /// This message as the answer to another.
    #[must_use]
    pub fn replying_to(self, other: MessageId) -> Self {
        Self { in_reply_to: Some(other), ..self }
    }

    /// This message in the place of an earlier one of the same user.
    #[must_use]
    pub fn replacing(self, earlier: MessageId) -> Self {
        Self { replaces: Some(earlier), ..self }
    }

    fn with_body(salt: [u8; 16], body: Part) -> Self {
        Self {
            salt,
            replaces: None,
            topic: Bytes::default(),
            expires: None,
            in_reply_to: None,
            extensions: Any::empty_map(),
            body,
        }
    }

    /// The message's bytes, for a statement's content.
    ///
    /// # Errors
    /// It exceeds a limit; the text has to be split, or sent as a file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormError> {
        self.check()?;
        let bytes = encode(self);
        if bytes.len() > limits::CONTENT_BYTES { Err(FormError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads a message within its limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > limits::CONTENT_BYTES {
            return Err(FormError::TooLarge);
        }
        decode(bytes)
    }

    /// The message's id; `bytes` are the content as it was sent.
    pub fn id(&self, bytes: &[u8], company: CompanyId, author: UserId, log: LogId) -> MessageId {
        let sender = format!("hauspost:{company}/{author}");
        let room = format!("hauspost:{company}/l/{log}");
        derive_id(&sender, &room, bytes, &self.salt)
    }

    /// What to show of the message.
    pub fn shown(&self) -> Shown<'_> {
        self.body.shown()
    }

    fn check(&self) -> Result<(), FormError> {
        let mut parts = 0;
        if self.topic.len() > TOPIC_BYTES {
            return Err(FormError::TooLarge);
        }
        // The major type of a map is 5 (RFC 8949 §3.1).
        if self.extensions.as_bytes()[0] >> 5 != 5 {
            return Err(FormError::Malformed);
        }
        self.body.check(1, &mut parts)
    }
}

/// 0x01 ‖ SHA-256(u16 len ‖ sender ‖ u16 len ‖ room ‖ message ‖ salt)[0..31]
/// (draft-ietf-mimi-content-08 §3.3).
fn derive_id(sender: &str, room: &str, message: &[u8], salt: &[u8; 16]) -> MessageId {
    let mut hasher = Sha256::new();
    for uri in [sender, room] {
        let len = u16::try_from(uri.len()).expect("our URIs have about 90 bytes");
        hasher.update(len.to_be_bytes());
        hasher.update(uri);
    }
    hasher.update(message);
    hasher.update(salt);
    let hash: [u8; 32] = hasher.finalize().into();
    let mut id = [0x01; 32];
    id[1..].copy_from_slice(&hash[..31]);
    MessageId(id)
}

impl Item for Message {
    fn write(&self, to: &mut Writer) {
        to.array(7);
        self.salt.write(to);
        self.replaces.write(to);
        self.topic.write(to);
        self.expires.write(to);
        self.in_reply_to.write(to);
        self.extensions.write(to);
        self.body.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let message = from.array(7, |from| {
            Ok(Self {
                salt: Item::read(from)?,
                replaces: Item::read(from)?,
                topic: Item::read(from)?,
                expires: Item::read(from)?,
                in_reply_to: Item::read(from)?,
                extensions: Item::read(from)?,
                body: Item::read(from)?,
            })
        })?;
        message.check()?;
        Ok(message)
    }
}

/// When a message expires, in seconds: of Unix time, or after it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiration {
    /// Whether the time counts from reading.
    pub relative: bool,
    /// Seconds.
    pub time_s: u32,
}

// The draft has CBOR's booleans here, where ours would be 0 and 1.
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;

impl Item for Expiration {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        to.bool(self.relative);
        self.time_s.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(2, |from| {
            let relative = match Any::read(from)?.as_bytes() {
                [FALSE] => false,
                [TRUE] => true,
                _ => return Err(FormError::Malformed),
            };
            Ok(Self { relative, time_s: Item::read(from)? })
        })
    }
}

/// What a part is meant to be. Values that we do not know are shown like [`Disposition::RENDER`], as
/// the draft asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disposition(pub u8);

impl Disposition {
    /// Shown to the reader.
    pub const RENDER: Self = Self(1);
    /// A reaction to the message that is answered.
    pub const REACTION: Self = Self(2);
}

/// A part of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is meant to be.
    pub disposition: Disposition,
    /// Its languages (RFC 5646), comma-separated; empty if nobody said.
    pub language: String,
    /// What it holds.
    pub kind: PartKind,
}

/// What a part holds.
#[derive(Clone, PartialEq, Eq)]
pub enum PartKind {
    /// Nothing: a deletion.
    Null,
    /// One content in the message itself.
    Single {
        /// Its media type.
        content_type: String,
        /// Its bytes.
        content: Bytes,
    },
    /// Several parts.
    Multi {
        /// How they belong together.
        semantics: Semantics,
        /// At least two.
        parts: Vec<Part>,
    },
    /// Content elsewhere, which we never fetch (files travel as blobs of the log), or of a kind
    /// that is newer than this version. Kept, not understood.
    Other(Vec<Any>),
}

code_item! {
    /// How the parts of a message belong together.
    pub enum Semantics {
        /// Alternatives: one is shown.
        ChooseOne = 0,
        /// All together, or none.
        SingleUnit = 1,
        /// As many as the reader understands.
        ProcessAll = 2,
    }
}

const NULL_PART: u64 = 0;
const SINGLE_PART: u64 = 1;
const MULTI_PART: u64 = 3;

impl Part {
    fn single(disposition: Disposition, content_type: &str, text: &str) -> Self {
        let (content_type, content) = (content_type.to_owned(), text.as_bytes().into());
        let kind = PartKind::Single { content_type, content };
        Self { disposition, language: String::new(), kind }
    }

    fn check(&self, level: usize, parts: &mut usize) -> Result<(), FormError> {
        *parts += 1;
        if *parts > PARTS || self.language.len() > limits::NAME_BYTES {
            return Err(FormError::TooLarge);
        }
        match &self.kind {
            PartKind::Single { content_type, .. } if content_type.len() > limits::NAME_BYTES => {
                Err(FormError::TooLarge)
            }
            PartKind::Multi { .. } if level == PART_LEVELS => Err(FormError::TooDeep),
            PartKind::Multi { parts: inner, .. } if inner.len() < 2 => Err(FormError::Malformed),
            PartKind::Multi { parts: inner, .. } => {
                inner.iter().try_for_each(|part| part.check(level + 1, parts))
            }
            _ => Ok(()),
        }
    }

    fn shown(&self) -> Shown<'_> {
        match &self.kind {
            PartKind::Null => Shown::Nothing,
            PartKind::Single { content_type, content } => {
                match (text_form(content_type), std::str::from_utf8(content)) {
                    (Some(TextForm::Plain), Ok(text))
                        if self.disposition == Disposition::REACTION =>
                    {
                        Shown::Reaction(text)
                    }
                    (Some(form), Ok(text)) => Shown::Text { text, form },
                    _ => Shown::Unknown,
                }
            }
            PartKind::Multi { semantics: Semantics::ChooseOne, parts } => parts
                .iter()
                .map(Self::shown)
                .find(|shown| *shown != Shown::Unknown)
                .unwrap_or(Shown::Unknown),
            // We write neither; who does not know how parts belong together must not show one of them.
            PartKind::Multi { .. } | PartKind::Other(_) => Shown::Unknown,
        }
    }
}

fn text_form(content_type: &str) -> Option<TextForm> {
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    if charset.is_some_and(|charset| {
        !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("us-ascii")
    }) {
        return None;
    }
    match media_type.trim().to_ascii_lowercase().as_str() {
        "text/plain" => Some(TextForm::Plain),
        "text/markdown" => Some(TextForm::Markdown),
        _ => None,
    }
}

/// What to show of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown<'m> {
    /// A text.
    Text {
        /// The text.
        text: &'m str,
        /// How to read it.
        form: TextForm,
    },
    /// A reaction to the message that is answered.
    Reaction(&'m str),
    /// The message that is replaced is no longer to be shown.
    Nothing,
    /// Update the app.
    Unknown,
}

/// How a text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    /// As it is.
    Plain,
    /// As Markdown (GFM-MIMI).
    Markdown,
}

/// Content is not for logs.
impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "Text(…)",
            Self::Reaction(_) => "Reaction(…)",
            Self::Nothing => "Nothing",
            Self::Unknown => "Unknown",
        })
    }
}

/// Content is not for logs.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part(…)")
    }
}

/// Content is not for logs.
impl fmt::Debug for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartKind(…)")
    }
}

impl Item for Part {
    fn write(&self, to: &mut Writer) {
        let len = match &self.kind {
            PartKind::Null => 3,
            PartKind::Single { .. } | PartKind::Multi { .. } => 5,
            PartKind::Other(items) => 2 + items.len(),
        };
        to.array(len);
        to.uint(u64::from(self.disposition.0));
        to.text(&self.language);
        match &self.kind {
            PartKind::Null => to.uint(NULL_PART),
            PartKind::Single { content_type, content } => {
                to.uint(SINGLE_PART);
                to.text(content_type);
                content.write(to);
            }
            PartKind::Multi { semantics, parts } => {
                to.uint(MULTI_PART);
                semantics.write(to);
                parts.write(to);
            }
            PartKind::Other(items) => items.iter().for_each(|item| item.write(to)),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.list(|from, len| {
            let disposition = u8::try_from(from.uint()?).map_err(|_| FormError::TooLarge)?;
            let (disposition, language) = (Disposition(disposition), Item::read(from)?);
            let kind: Any = Item::read(from)?;
            let kind = match (decode(kind.as_bytes()), len) {
                (Ok(NULL_PART), 3) => PartKind::Null,
                (Ok(SINGLE_PART), 5) => {
                    PartKind::Single { content_type: Item::read(from)?, content: Item::read(from)? }
                }
                (Ok(MULTI_PART), 5) => {
                    PartKind::Multi { semantics: Item::read(from)?, parts: Item::read(from)? }
                }
                _ => {
                    let mut items = vec![kind];
                    for _ in 3..len {
                        items.push(Item::read(from)?);
                    }
                    PartKind::Other(items)
                }
            };
            Ok(Self { disposition, language, kind })
        })
    }
}

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
}

const REDACT: u64 = 0;
const ACKNOWLEDGE: u64 = 1;
const POLICY_NOTICE: u64 = 2;
const TITLE: u64 = 3;

/// A title is content.
impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redact(message) => write!(f, "Redact({message})"),
            Self::Acknowledge(message) => write!(f, "Acknowledge({message})"),
            Self::PolicyNotice(message) => write!(f, "PolicyNotice({message})"),
            Self::Title(_) => f.write_str("Title(…)"),
        }
    }
}

impl Item for Control {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Redact(message) => (REDACT, *message).write(to),
            Self::Acknowledge(message) => (ACKNOWLEDGE, *message).write(to),
            Self::PolicyNotice(message) => (POLICY_NOTICE, *message).write(to),
            Self::Title(title) => {
                to.array(3);
                to.uint(TITLE);
                to.null();
                to.text(title);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.list(|from, len| match (from.uint()?, len) {
            (REDACT, 2) => Item::read(from).map(Self::Redact),
            (ACKNOWLEDGE, 2) => Item::read(from).map(Self::Acknowledge),
            (POLICY_NOTICE, 2) => Item::read(from).map(Self::PolicyNotice),
            (TITLE, 3) if from.take_null()? => {
                let title = String::read(from)?;
                if title.len() > limits::NAME_BYTES {
                    return Err(FormError::TooLarge);
                }
                Ok(Self::Title(title))
            }
            _ => Err(FormError::Unlisted),
        })
    }
}

#[cfg(test)]
mod tests;
