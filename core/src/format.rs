//! Formatted text: what Markdown becomes on a screen, in a search and in a list.
//!
//! A safe part of CommonMark: bold, italic, struck out, code, code blocks, quotes, lists, links. HTML
//! is text, pictures are links, nothing is ever fetched. The result is flat, so that a view draws it
//! line by line and no depth of a hostile text reaches it: [`Block`]s of [`Span`]s, whose number, depth
//! and targets have limits. What exceeds one is shown as plain text, never left out.
//!
//! A mention is a link to a person's or the conversation's own URI (draft-ietf-mimi-content-08 §4.1);
//! whether it means anybody is the reader's to say, who knows the members.

use hauspost_protocol::content::TextForm;
use hauspost_protocol::ids::{CompanyId, LogId, UserId};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

mod compose;
mod target;

pub use compose::{calling, retyped, typed};
pub use target::{Target, everybody_uri, person_uri};

/// Quotes in quotes and lists in lists that are told apart; what lies deeper is shown at this depth.
const DEPTH: u8 = 8;
/// Blocks of a text.
const BLOCKS: usize = 4_096;
/// Spans of a text.
const SPANS: usize = 8_192;
/// Bytes that all targets of a text have together.
const TARGET_BYTES: usize = 64 << 10;
/// Bytes of a text beyond which formatting is not looked at; a message has at most 32 KiB.
const TEXT_BYTES: usize = 64 << 10;

/// A paragraph, a line of a list, a block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// In how many quotes it stands.
    pub quote: u8,
    /// What it says.
    pub spans: Vec<Span>,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// A paragraph.
    Text,
    /// A heading.
    Heading,
    /// Lines of code.
    Code,
    /// A point of a list.
    Item {
        /// In how many lists its list stands.
        depth: u8,
        /// Its number in a list of numbers.
        number: Option<u64>,
    },
}

/// A stretch of text in one form.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Span {
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
    pub target: Option<Target>,
}

/// Content is not for logs.
impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Span(…)")
    }
}

/// The blocks of a text.
pub fn blocks(text: &str, form: TextForm) -> Vec<Block> {
    if form == TextForm::Plain || text.len() > TEXT_BYTES {
        let mut building = Building::default();
        building.text(text);
        return building.finish();
    }
    let mut building = Building::default();
    for event in Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH) {
        building.take(event);
    }
    building.finish()
}

/// The words of a text without its markup: what a list shows, and what a search finds.
pub fn plain(text: &str, form: TextForm) -> String {
    match form {
        TextForm::Plain => text.to_owned(),
        TextForm::Markdown => words(&blocks(text, form)),
    }
}

fn words(blocks: &[Block]) -> String {
    let mut plain = String::new();
    for block in blocks {
        if !plain.is_empty() {
            plain.push('\n');
        }
        match block.kind {
            BlockKind::Item { number: Some(number), .. } => plain.push_str(&format!("{number}. ")),
            BlockKind::Item { number: None, .. } => plain.push_str("• "),
            _ => {}
        }
        block.spans.iter().for_each(|span| plain.push_str(&span.text));
    }
    plain
}

/// Whether a text that was typed asks for formatting. An escape alone does not: a path of Windows is
/// full of what CommonMark takes for one.
pub fn is_formatted(text: &str) -> bool {
    let is_formed = |span: &Span| {
        let formed = span.bold || span.italic || span.strike || span.code;
        formed || span.target.as_ref().is_some_and(|target| !target.is_shown_by(&span.text))
    };
    // In 2*3*4 nobody wants the 3 in italics.
    let mut reckoned = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().is_some_and(|next| next.is_alphanumeric());
        reckoned.push(if c == '*' && before.is_alphanumeric() && next { 'x' } else { c });
        before = c;
    }
    blocks(&reckoned, TextForm::Markdown).iter().any(|block| {
        let is_plain = block.kind == BlockKind::Text && block.quote == 0;
        !is_plain || block.spans.iter().any(is_formed)
    })
}

/// Whom a text mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentions {
    /// People, each once.
    pub people: Vec<UserId>,
    /// Everybody in the conversation.
    pub everybody: bool,
}

/// People that a text may mention; more are not looked at.
const MENTIONS: usize = 64;

/// Whom a Markdown text mentions, of this company and in this conversation.
pub fn mentions(markdown: &str, company: CompanyId, log: LogId) -> Mentions {
    let mut mentions = Mentions::default();
    // Without our own scheme there is nothing to look for.
    if !markdown.contains("hauspost:") {
        return mentions;
    }
    for span in blocks(markdown, TextForm::Markdown).into_iter().flat_map(|block| block.spans) {
        match span.target {
            Some(Target::Person(of, user))
                if of == company
                    && mentions.people.len() < MENTIONS
                    && !mentions.people.contains(&user) =>
            {
                mentions.people.push(user);
            }
            Some(Target::Everybody(of, room)) => mentions.everybody |= (of, room) == (company, log),
            _ => {}
        }
    }
    mentions
}

/// Blocks as they are built from the parser's events.
#[derive(Default)]
struct Building {
    done: Vec<Block>,
    spans: usize,
    target_bytes: usize,
    quote: usize,
    /// The open lists, each with its next number.
    lists: Vec<Option<u64>>,
    bold: usize,
    italic: usize,
    strike: usize,
    /// The open link.
    target: Option<Target>,
    /// A link or picture that leads nowhere, shown behind its text.
    shown_target: Option<String>,
    /// Whether the next text begins a block, and of which kind.
    next: Option<BlockKind>,
    code: bool,
}

impl Building {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.code => self.push(&text, true, None),
            Event::Text(text) => self.text(&text),
            Event::Code(text) => self.push(&text, true, None),
            Event::Html(text) | Event::InlineHtml(text) => self.push(&text, false, None),
            Event::SoftBreak | Event::HardBreak => self.push("\n", false, None),
            Event::Rule => {
                self.begin(BlockKind::Text);
                self.push("———", false, None);
                self.begin(BlockKind::Text);
            }
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.push(&text, false, None)
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            // A point's own first paragraph is the point.
            Tag::Paragraph | Tag::HtmlBlock
                if !matches!(self.next, Some(BlockKind::Item { .. })) =>
            {
                self.begin(BlockKind::Text);
            }
            Tag::Heading { .. } => self.begin(BlockKind::Heading),
            Tag::BlockQuote(_) => {
                self.quote += 1;
                self.begin(BlockKind::Text);
            }
            Tag::CodeBlock(kind) => {
                self.code = true;
                self.begin(BlockKind::Code);
                // The language is part of what was written.
                if let CodeBlockKind::Fenced(language) = kind
                    && !language.is_empty()
                {
                    self.push(&format!("{language}\n"), true, None);
                }
            }
            Tag::List(first) => {
                self.lists.push(first);
                self.begin(BlockKind::Text);
            }
            Tag::Item => {
                let depth = clamp(self.lists.len().saturating_sub(1));
                let number = self.lists.last_mut().and_then(|next| {
                    let number = (*next)?;
                    *next = Some(number.saturating_add(1));
                    Some(number)
                });
                self.begin(BlockKind::Item { depth, number });
            }
            Tag::Strong => self.bold += 1,
            Tag::Emphasis => self.italic += 1,
            Tag::Strikethrough => self.strike += 1,
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let fits = self.target_bytes.saturating_add(dest_url.len()) <= TARGET_BYTES;
                self.target = fits.then(|| Target::parse(&dest_url)).flatten();
                if fits {
                    self.target_bytes += dest_url.len();
                    let is_shown = self.target.is_some() || dest_url.is_empty();
                    self.shown_target = (!is_shown).then(|| dest_url.to_string());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::BlockQuote(_) => {
                self.quote = self.quote.saturating_sub(1);
                self.begin(BlockKind::Text);
            }
            TagEnd::CodeBlock => {
                self.code = false;
                if let Some(last) = self.done.last_mut().and_then(|block| block.spans.last_mut()) {
                    last.text.truncate(last.text.trim_end_matches('\n').len());
                }
                self.begin(BlockKind::Text);
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.begin(BlockKind::Text);
            }
            TagEnd::Item => {
                // A point without a word is a point all the same.
                if let Some(BlockKind::Item { .. }) = self.next {
                    self.push("", false, None);
                }
                self.begin(BlockKind::Text);
            }
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::HtmlBlock => {
                self.begin(BlockKind::Text);
            }
            TagEnd::Strong => self.bold = self.bold.saturating_sub(1),
            TagEnd::Emphasis => self.italic = self.italic.saturating_sub(1),
            TagEnd::Strikethrough => self.strike = self.strike.saturating_sub(1),
            TagEnd::Link | TagEnd::Image => {
                self.target = None;
                // What leads nowhere we would open is said in words.
                if let Some(shown) = self.shown_target.take() {
                    self.push(&format!(" ({shown})"), false, None);
                }
            }
            _ => {}
        }
    }

    /// The next text begins a block of this kind.
    fn begin(&mut self, kind: BlockKind) {
        self.next = Some(kind);
    }

    /// Text in which addresses lead where they say.
    fn text(&mut self, text: &str) {
        if self.target.is_some() {
            return self.push(text, false, None);
        }
        let mut rest = text;
        while let Some((before, link, after)) = target::first_address(rest) {
            self.push(before, false, None);
            let target = Target::parse(link).filter(|_| self.target_bytes < TARGET_BYTES);
            self.target_bytes += link.len();
            self.push(link, false, target);
            rest = after;
        }
        self.push(rest, false, None);
    }

    fn push(&mut self, text: &str, code: bool, target: Option<Target>) {
        if text.is_empty() && !matches!(self.next, Some(BlockKind::Item { .. })) {
            return;
        }
        let quote = clamp(self.quote);
        if let Some(kind) = self.next.take().or(self.done.is_empty().then_some(BlockKind::Text)) {
            if self.done.len() < BLOCKS {
                self.done.push(Block { kind, quote, spans: Vec::new() });
            } else if let Some(last) = self.done.last_mut().and_then(|block| block.spans.last_mut())
            {
                last.text.push('\n');
            }
        }
        let Some(block) = self.done.last_mut() else { return };
        let span = Span {
            text: text.to_owned(),
            bold: self.bold > 0 || block.kind == BlockKind::Heading,
            italic: self.italic > 0,
            strike: self.strike > 0,
            code,
            target: target.or_else(|| self.target.clone()),
        };
        match block.spans.last_mut() {
            Some(last) if last.is_formed_like(&span) || self.spans >= SPANS => {
                last.text.push_str(text);
            }
            _ => {
                self.spans += 1;
                block.spans.push(span);
            }
        }
    }

    fn finish(self) -> Vec<Block> {
        self.done
    }
}

impl Span {
    fn is_formed_like(&self, other: &Self) -> bool {
        let form = |span: &Self| (span.bold, span.italic, span.strike, span.code);
        form(self) == form(other) && self.target == other.target
    }
}

fn clamp(depth: usize) -> u8 {
    u8::try_from(depth).unwrap_or(DEPTH).min(DEPTH)
}

#[cfg(test)]
mod tests;
