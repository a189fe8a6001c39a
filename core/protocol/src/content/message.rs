//! A message in the draft's form, and its id.

use sha2::{Digest as _, Sha256};

use super::part::{Disposition, MARKDOWN, PLAIN, Part, PartKind, Shown};
use crate::encoding::{Any, Bytes, FormError, Item, Reader, Writer, decode, encode, read_prefix};
use crate::ids::{CompanyId, LogId, MessageId, UserId};
use crate::limits;

/// A topic's id, in bytes (draft-ietf-mimi-content-08 §9.1).
pub(super) const TOPIC_BYTES: usize = 4096;

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

    pub(super) fn with_body(salt: [u8; 16], body: Part) -> Self {
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

    /// Who wrote the message that this one passes on.
    pub fn origin(&self) -> Option<UserId> {
        self.extension(ORIGIN)
    }

    /// This message as one that `author` wrote elsewhere. Where is not said: the readers may not be
    /// in that conversation.
    #[must_use]
    pub fn passed_on_from(self, author: UserId) -> Self {
        self.with_extension(ORIGIN, &author)
    }

    /// Whether everybody who is there is to confirm that he has taken note of it.
    pub fn asks_to_confirm(&self) -> bool {
        self.extension(ACKNOWLEDGE) == Some(ASKS)
    }

    /// This message as one that is to be confirmed.
    #[must_use]
    pub fn asking_to_confirm(self) -> Self {
        self.with_extension(ACKNOWLEDGE, &ASKS)
    }

    /// The extension of this name, if it is there and of the form asked for.
    pub(super) fn extension<T: Item>(&self, name: &str) -> Option<T> {
        let key = encode(&name.to_owned());
        let entries = entries(self.extensions.as_bytes())?;
        entries.into_iter().find(|(found, _)| *found == key).and_then(|(_, item)| decode(item).ok())
    }

    /// This message with an extension more, or another one in its place.
    pub(super) fn with_extension<T: Item>(self, name: &str, item: &T) -> Self {
        let (key, item) = (encode(&name.to_owned()), encode(item));
        let mut entries = entries(self.extensions.as_bytes()).unwrap_or_default();
        entries.retain(|(found, _)| *found != key);
        entries.push((&key, &item));
        // Keys ascend (RFC 8949 §4.2.1).
        entries.sort_unstable();
        let head = EMPTY_MAP + u8::try_from(entries.len()).expect("ours are a few");
        let entries = entries.into_iter().flat_map(|(key, item)| [key, item]);
        let extensions: Vec<u8> = std::iter::once(head).chain(entries.flatten().copied()).collect();
        let extensions = decode(&extensions).expect("a map of items is an item");
        Self { extensions, ..self }
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

/// The extension of a message that is passed on: the user who wrote it (docs/protocol.md §6).
const ORIGIN: &str = "hauspost/origin";
/// The extension of a message that is to be confirmed (docs/protocol.md §6), and its one value.
const ACKNOWLEDGE: &str = "hauspost/ack";
const ASKS: u64 = 1;
/// The head of a map without entries; each one more adds 1 (RFC 8949 §3.1).
const EMPTY_MAP: u8 = 0xa0;
/// Entries of a map that are looked at: as many as a head of one byte can say.
const MAP_ENTRIES: u8 = 23;

/// The entries of a map: keys and values as they are encoded.
fn entries(map: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let (head, mut rest) = map.split_first()?;
    let len = head.checked_sub(EMPTY_MAP).filter(|len| *len <= MAP_ENTRIES)?;
    let mut entries = Vec::with_capacity(usize::from(len));
    for _ in 0..len {
        let (_, key_len) = read_prefix(rest, Any::read).ok()?;
        let (_, item_len) = read_prefix(&rest[key_len..], Any::read).ok()?;
        let (entry, behind) = rest.split_at(key_len + item_len);
        entries.push(entry.split_at(key_len));
        rest = behind;
    }
    Some(entries)
}

/// 0x01 ‖ SHA-256(u16 len ‖ sender ‖ u16 len ‖ room ‖ message ‖ salt)[0..31]
/// (draft-ietf-mimi-content-08 §3.3).
pub(super) fn derive_id(sender: &str, room: &str, message: &[u8], salt: &[u8; 16]) -> MessageId {
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
