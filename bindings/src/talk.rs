//! What people say about messages: answers, changes, reactions, mentions; and how a formatted text looks.

use hauspost_core::format::{self, BlockKind, Target};
use hauspost_core::read;
use hauspost_core::store::rows::message::{EVERYBODY, Fate, Message, Quote as Quoted};
use hauspost_core::store::rows::reaction::Tally;
use hauspost_protocol::content::TextForm;

use crate::confirmations::Asking;
use crate::error::HauspostError;
use crate::timeline::Timeline;
use crate::{ids, runtime};

/// What became of a message since it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum MessageFate {
    /// It stands as it was written.
    Stands,
    /// Its author changed it; `versions` says what it said before.
    Edited,
}

/// The message that another one answers, from this phone's own store.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Quote {
    /// It is here.
    Known {
        /// Its id.
        message_id: String,
        /// Its number, to jump there by `TimelinePart.Around`; null while it is not sent.
        seq: Option<u64>,
        /// Who wrote it.
        author: String,
        /// The beginning of what it says now; null if only a newer app shows it.
        text: Option<String>,
    },
    /// It was taken back, hidden or erased.
    Gone,
    /// This phone does not have it.
    Unknown,
}

/// How many people react to a message by an emoji.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Reaction {
    /// The emoji.
    pub emoji: String,
    /// How many.
    pub count: u64,
    /// Whether the person of this phone is among them.
    pub mine: bool,
    /// Whether the own one has not reached the server yet.
    pub waiting: bool,
}

/// Somebody's reaction.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PersonsReaction {
    /// Who.
    pub person: String,
    /// By what.
    pub emoji: String,
}

/// What a message said at a time.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct MessageVersion {
    /// When, as in `TimelineRow`.
    pub time_ms: i64,
    /// What it said; null if only a newer app shows it.
    pub text: Option<String>,
}

/// What a block of a formatted text is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum TextBlockKind {
    /// A paragraph.
    Paragraph,
    /// A heading.
    Heading,
    /// Lines of code.
    Code,
    /// A point of a list.
    Point {
        /// In how many lists its list stands.
        depth: u8,
        /// Its number in a list of numbers.
        number: Option<u64>,
    },
}

/// A paragraph, a point of a list, a block of code.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct TextBlock {
    /// What it is.
    pub kind: TextBlockKind,
    /// In how many quotes it stands.
    pub quote: u8,
    /// What it says.
    pub spans: Vec<TextSpan>,
}

/// Where a stretch of text leads.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum SpanTarget {
    /// An address that a person may open. Where `shown` is false, show it beside the text: the text says
    /// something else. It is never fetched.
    Address {
        /// The address.
        address: String,
        /// Whether the text says it itself.
        shown: bool,
    },
    /// A member who is mentioned.
    Person {
        /// Who.
        person: String,
    },
    /// Everybody is mentioned.
    Everybody,
}

/// A stretch of text in one form.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct TextSpan {
    /// The text.
    pub text: String,
    /// Whether it is bold.
    pub bold: bool,
    /// Whether it is italic.
    pub italic: bool,
    /// Whether it is struck out.
    pub strike: bool,
    /// Whether it is code.
    pub code: bool,
    /// Where it leads.
    pub target: Option<SpanTarget>,
}

/// What a line of a timeline has besides its text.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Talk {
    /// What became of it.
    pub fate: MessageFate,
    /// Whether its change has not reached the server yet.
    pub changing: bool,
    /// How it looks: one call draws it, without HTML and without fetching anything.
    pub blocks: Vec<TextBlock>,
    /// The message that it answers.
    pub quote: Option<Quote>,
    /// Who wrote it elsewhere, if it was passed on.
    pub origin: Option<String>,
    /// Whether it mentions the person of this phone.
    pub mentions_me: bool,
    /// The reactions to it, the most frequent first.
    pub reactions: Vec<Reaction>,
    /// Whether it is pinned in the conversation.
    pub pinned: bool,
    /// Whether the person starred it.
    pub starred: bool,
    /// That it asks to be confirmed, if it does.
    pub asking: Option<Asking>,
}

impl Talk {
    /// What people say about a row; null for a line that nobody wrote, and for one that is hidden.
    pub(crate) fn of(row: &Message) -> Option<Self> {
        if !row.is_said() || row.fate.is_hidden() {
            return None;
        }
        Some(Self {
            fate: match row.fate {
                Fate::Edited => MessageFate::Edited,
                _ => MessageFate::Stands,
            },
            changing: row.is_changing,
            blocks: blocks(row),
            quote: row.quote.clone().map(Quote::from),
            origin: row.saying.origin.map(|user| user.to_string()),
            mentions_me: row.mentions_me,
            reactions: row.reactions.iter().cloned().map(Reaction::from).collect(),
            pinned: row.is_pinned,
            starred: row.is_starred,
            asking: row.asking.map(Asking::from),
        })
    }
}

fn blocks(row: &Message) -> Vec<TextBlock> {
    let blocks = match (&row.saying.markdown, &row.text) {
        (Some(markdown), _) => format::blocks(markdown, TextForm::Markdown),
        (None, Some(text)) => format::blocks(text, TextForm::Plain),
        (None, None) => Vec::new(),
    };
    let target = |text: &str, target: Target| match target {
        Target::Person(_, user) if row.saying.mentions.contains(&user) => {
            Some(SpanTarget::Person { person: user.to_string() })
        }
        Target::Everybody(..) if row.saying.mentions.contains(&EVERYBODY) => {
            Some(SpanTarget::Everybody)
        }
        // Whoever is not in the conversation is a text like any other.
        Target::Person(..) | Target::Everybody(..) => None,
        address => {
            let shown = address.is_shown_by(text);
            let Target::Address(address) = address else { return None };
            Some(SpanTarget::Address { address, shown })
        }
    };
    let span = |span: format::Span| TextSpan {
        target: span.target.and_then(|to| target(&span.text, to)),
        text: span.text,
        bold: span.bold,
        italic: span.italic,
        strike: span.strike,
        code: span.code,
    };
    let block = |block: format::Block| TextBlock {
        kind: match block.kind {
            BlockKind::Text => TextBlockKind::Paragraph,
            BlockKind::Heading => TextBlockKind::Heading,
            BlockKind::Code => TextBlockKind::Code,
            BlockKind::Item { depth, number } => TextBlockKind::Point { depth, number },
        },
        quote: block.quote,
        spans: block.spans.into_iter().map(span).collect(),
    };
    blocks.into_iter().map(block).collect()
}

impl From<Quoted> for Quote {
    fn from(quote: Quoted) -> Self {
        match quote {
            Quoted::Known { message_id, seq, author, text } => Self::Known {
                message_id: message_id.to_string(),
                seq: seq.map(|seq| seq.0),
                author: author.to_string(),
                text,
            },
            Quoted::Gone => Self::Gone,
            Quoted::Unknown => Self::Unknown,
        }
    }
}

impl From<Tally> for Reaction {
    fn from(tally: Tally) -> Self {
        let Tally { emoji, count, mine, is_waiting } = tally;
        Self { emoji, count, mine, waiting: is_waiting }
    }
}

impl From<read::Version> for MessageVersion {
    fn from(version: read::Version) -> Self {
        Self { time_ms: version.t_ms as i64, text: version.text }
    }
}

#[uniffi::export]
impl Timeline {
    /// Writes a text as it was typed and gives its id: `**bold**` and the like are formats, `@handle` of a
    /// member and `@all` are mentions. `reply_to` is the message that it answers.
    pub async fn write(
        &self,
        text: String,
        reply_to: Option<String>,
    ) -> Result<String, HauspostError> {
        let reply_to = reply_to.map(|id| ids::message(&id)).transpose()?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.send_typed(log, &text, reply_to).await?.to_string()) })
            .await
    }

    /// Changes a message of one's own to a text as it was typed. It shows at once, and is undone, among
    /// `failed_changes`, if the server refuses it. One that is not sent yet is changed in its place, and gets
    /// another id; one that failed is sent so.
    pub async fn edit(&self, message_id: String, text: String) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.edit_typed(log, message, &text).await?) }).await
    }

    /// Takes a message of one's own back. People see that it was; the company's archive keeps it. One that is
    /// not sent yet is taken out, and nobody ever sees it.
    pub async fn take_back(&self, message_id: String) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.delete(log, message).await?) }).await
    }

    /// Hides anybody's message, as an owner of the group. The company's archive keeps it.
    pub async fn hide(&self, message_id: String) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.redact(log, message).await?) }).await
    }

    /// Reacts by one emoji, or takes that back. Eight different ones are possible.
    pub async fn react(
        &self,
        message_id: String,
        emoji: String,
        on: bool,
    ) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            match on {
                true => Ok(core.react(log, message, &emoji).await?),
                false => Ok(core.unreact(log, message, &emoji).await?),
            }
        })
        .await
    }

    /// Pins a message for everybody, or takes the pin off.
    pub async fn pin(&self, message_id: String, on: bool) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.pin(log, message, on).await?) }).await
    }

    /// Marks a message on this phone as one to come back to. Nobody else learns it.
    pub async fn star(&self, message_id: String, on: bool) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.star(log, message, on).await?) }).await
    }

    /// Passes a message on, with its documents, to another conversation; gives the new one's id. It names who
    /// wrote it first, and not where.
    pub async fn pass_on(
        &self,
        message_id: String,
        to_conversation: String,
    ) -> Result<String, HauspostError> {
        let message = ids::message(&message_id)?;
        let to = ids::conversation(&to_conversation)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.forward(log, message, to).await?.to_string()) }).await
    }

    /// What a message said, the first version first; nothing if it was taken back.
    pub async fn versions(&self, message_id: String) -> Result<Vec<MessageVersion>, HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            let versions = core.versions(log, message).await?;
            Ok(versions.into_iter().map(MessageVersion::from).collect())
        })
        .await
    }

    /// Who reacts to a message and by what, the earliest first, at most `limit`.
    pub async fn reactions(
        &self,
        message_id: String,
        limit: u32,
    ) -> Result<Vec<PersonsReaction>, HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            let people = core.reactions(log, message, limit).await?;
            let reaction = |(person, emoji): (hauspost_protocol::ids::UserId, String)| {
                PersonsReaction { person: person.to_string(), emoji }
            };
            Ok(people.into_iter().map(reaction).collect())
        })
        .await
    }
}

/// A message's text as a person would have typed it, to be put into the composer when it is changed.
#[uniffi::export]
pub fn text_to_edit(row: crate::timeline::TimelineRow) -> String {
    match (row.markdown, row.line) {
        (Some(markdown), _) => format::retyped(&markdown),
        (None, crate::timeline::Line::Text { text }) => text,
        _ => String::new(),
    }
}
