//! The parts of a message, and what to show of them.

use std::fmt;

use crate::code_item;
use crate::encoding::{Any, Bytes, FormError, Item, Reader, Writer, decode};
use crate::limits;

/// Parts of a message (draft-ietf-mimi-content-08 §9.1).
pub(super) const PARTS: usize = 1024;
/// Levels of parts within parts (draft-ietf-mimi-content-08 §9.1).
pub(super) const PART_LEVELS: usize = 4;

pub(super) const PLAIN: &str = "text/plain;charset=utf-8";
pub(super) const MARKDOWN: &str = "text/markdown;variant=GFM-MIMI";

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
    pub(super) fn single(disposition: Disposition, content_type: &str, text: &str) -> Self {
        let (content_type, content) = (content_type.to_owned(), text.as_bytes().into());
        let kind = PartKind::Single { content_type, content };
        Self { disposition, language: String::new(), kind }
    }

    pub(super) fn check(&self, level: usize, parts: &mut usize) -> Result<(), FormError> {
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

    pub(super) fn shown(&self) -> Shown<'_> {
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
