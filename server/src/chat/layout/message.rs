//! One message as lines: what it answers, what it says, how far it is, who reacts.

use std::ops::Range;

use hauspost_core::format::{self, BlockKind, Target};
use hauspost_core::store::rows::file::DocumentId;
use hauspost_core::store::rows::message::{EVERYBODY, Fate, Message, MessageState, Quote, Reach};
use hauspost_protocol::content::TextForm;
use hauspost_protocol::statement::FileRole;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::state::{Dialog, State};
use super::super::text;
use super::super::words::fill;
use super::{GUTTER, MARKS, card, clock, dim, document_state, note, warning};

/// A text and how its parts look.
#[derive(Default)]
pub(super) struct Styled {
    text: String,
    parts: Vec<(Range<usize>, Style)>,
}

impl Styled {
    /// Adds what others wrote, made harmless.
    pub(super) fn push(&mut self, text: &str, style: Style) {
        let from = self.text.len();
        self.text.push_str(&text::harmless(text));
        self.parts.push((from..self.text.len(), style));
    }

    pub(super) fn line(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// The parts of a row of the text.
    fn row(&self, row: &Range<usize>, over: Style) -> Vec<Span<'static>> {
        let mut spans = Vec::new();
        let mut at = row.start;
        for (part, style) in &self.parts {
            let (from, to) = (part.start.max(at), part.end.min(row.end));
            if from >= to {
                continue;
            }
            if from > at {
                spans.push(Span::styled(self.text[at..from].to_owned(), over));
            }
            spans.push(Span::styled(self.text[from..to].to_owned(), style.patch(over)));
            at = to;
        }
        if at < row.end {
            spans.push(Span::styled(self.text[at..row.end].to_owned(), over));
        }
        spans
    }
}

pub(super) fn lines(
    state: &State,
    row: &Message,
    dialog: &Dialog,
    columns: usize,
) -> Vec<Line<'static>> {
    let words = state.words.talk;
    let is_chosen = dialog.bar == Some(row.message_id);
    if row.state == MessageState::Erased {
        return note(state.words.erased[1], columns, chosen(dim(), is_chosen));
    }
    let hidden = match row.fate {
        Fate::Deleted => Some(words.hidden[0]),
        Fate::Redacted => Some(words.hidden[1]),
        _ => None,
    };
    if let Some(hidden) = hidden {
        let text = format!("{} {hidden}", clock(row.t_ms, &state.zone));
        return note(&text, columns, chosen(dim(), is_chosen));
    }
    let mut lines = Vec::new();
    let room = columns.saturating_sub(GUTTER + MARKS).max(1);
    let lead = || Span::raw(" ".repeat(GUTTER));
    if let Some(origin) = row.saying.origin {
        let text = text::fit(&fill(words.passed_on, &[state.name(origin)]), room);
        lines.push(Line::from(vec![lead(), Span::styled(text, dim())]));
    }
    if let Some(quote) = &row.quote {
        let said = match quote {
            Quote::Known { author, text, .. } => {
                let text = text.as_deref().unwrap_or(state.words.newer[0]);
                format!("{}: {}", state.name(*author), text::line(text))
            }
            Quote::Gone => words.quotes[0].to_owned(),
            Quote::Unknown => words.quotes[1].to_owned(),
        };
        let text = text::fit(&format!("│ {said}"), room);
        let style = dim().add_modifier(Modifier::ITALIC);
        lines.push(Line::from(vec![lead(), Span::styled(text, style)]));
    }
    let said = said(state, row);
    let is_hit = dialog.hit == Some(row.message_id);
    let over = if is_hit || is_chosen {
        Style::new().add_modifier(Modifier::REVERSED)
    } else {
        Style::new()
    };
    let wrapped = text::wrap(&said.text, room);
    let last = wrapped.len() - 1;
    for (i, range) in wrapped.into_iter().enumerate() {
        let time = if i == 0 { clock(row.t_ms, &state.zone) } else { String::new() };
        let gap = room.saturating_sub(text::width(&said.text[range.clone()]));
        let mut spans = vec![Span::styled(format!("{time:GUTTER$}"), dim())];
        spans.extend(said.row(&range, over));
        let mark = mark(row);
        if i == last && !mark.is_empty() {
            let style = match row.state {
                MessageState::Failed => warning(),
                _ if is_read(row) => Style::new().fg(Color::Cyan),
                _ => dim(),
            };
            spans.push(Span::styled(format!("{}{mark:>MARKS$}", " ".repeat(gap)), style));
        }
        lines.push(Line::from(spans));
    }
    if !row.reactions.is_empty() {
        let mut spans = vec![lead()];
        for tally in &row.reactions {
            let style = if tally.mine { Style::new().fg(Color::Yellow) } else { dim() };
            let waits = if tally.is_waiting { "…" } else { "" };
            let shown = format!("{} {}{waits}  ", text::line(&tally.emoji), tally.count);
            spans.push(Span::styled(shown, style));
        }
        lines.push(Line::from(spans));
    }
    lines.extend(asking(state, row, dialog).map(|(text, style)| {
        Line::from(vec![lead(), Span::styled(text::fit(&text, room), style)])
    }));
    if row.state == MessageState::Failed {
        let text = fill(state.words.failed, &[&state.words.reason(row.reason)]);
        lines.extend(note(&text, columns, warning()));
    }
    lines
}

/// That a message is to be confirmed: for whoever is asked whether he has, for who asks and the owners how
/// many have.
fn asking(
    state: &State,
    row: &Message,
    dialog: &Dialog,
) -> impl Iterator<Item = (String, Style)> + use<> {
    let words = state.words.rooms;
    let [please, done, going] = words.asks;
    let mine = row.asking.and_then(|asking| match asking {
        asking if asking.is_waiting => Some((going.to_owned(), dim())),
        asking if asking.is_mine => Some((done.to_owned(), dim())),
        asking if asking.is_due => {
            let style = Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD);
            Some((please.to_owned(), style))
        }
        _ => None,
    });
    let sees = row.author == state.me || dialog.standing.is_some_and(|it| it.is_owner);
    let count = row.asking.filter(|_| sees && row.seq.is_some()).map(|asking| {
        let (confirmed, asked) = (asking.confirmed.to_string(), asking.asked.to_string());
        (fill(words.count, &[&confirmed, &asked]), dim())
    });
    mine.into_iter().chain(count)
}

fn chosen(style: Style, is_chosen: bool) -> Style {
    if is_chosen { style.add_modifier(Modifier::REVERSED) } else { style }
}

/// Whether everybody has read it, where people say so.
fn is_read(row: &Message) -> bool {
    row.reach.is_some_and(|reach| reach.of > 0 && reach.read == Some(reach.of))
}

/// How far a message of ours is, or its change: at the server, or on everybody's phone.
fn mark(row: &Message) -> &'static str {
    match row.state {
        MessageState::Queued => "…",
        MessageState::Sent | MessageState::Secured if row.is_changing => "…",
        MessageState::Sent | MessageState::Secured => match row.reach {
            Some(Reach { of, delivered, .. }) if delivered < of => "✓",
            None if row.state == MessageState::Sent => "✓",
            _ => "✓✓",
        },
        MessageState::Failed => "✗",
        _ => "",
    }
}

/// What a message says, with the documents that it brings, and what became of it.
fn said(state: &State, row: &Message) -> Styled {
    let words = state.words.talk;
    let mut said = Styled::default();
    if row.saying.alarm {
        said.push("ALARM ", warning());
    }
    let text = row.text.as_deref().unwrap_or_default();
    // Without a word to it, the text is the first document's name.
    let is_name = row.files.first().is_some_and(|file| file.name == text);
    match (&row.saying.markdown, &row.text) {
        _ if let Some(shown) = &row.card => card::said(&mut said, state, shown),
        (Some(markdown), _) => formatted(&mut said, row, markdown, TextForm::Markdown),
        (None, Some(_)) if is_name => {}
        (None, Some(text)) => formatted(&mut said, row, text, TextForm::Plain),
        (None, None) => said.push(state.words.newer[1], warning()),
    }
    let log = state.dialog.as_ref().map(|dialog| dialog.log);
    for file in row.files.iter().filter(|file| file.role == FileRole::Original) {
        let (message_id, position) = (row.message_id, file.position);
        let Some(log) = log else { continue };
        let standing = document_state(state, DocumentId { log, message_id, position }, file);
        said.line();
        match &row.voice {
            Some(voice) => card::voice(&mut said, state, voice, &standing),
            None => {
                said.push(&format!("▪ {} ({standing})", text::line(&file.name)), Style::new());
            }
        }
    }
    let notes = [
        (row.fate == Fate::Edited).then_some(words.edited),
        row.is_pinned.then_some(words.pinned),
        row.is_starred.then_some("★"),
    ];
    for note in notes.into_iter().flatten() {
        said.push(&format!(" {note}"), dim());
    }
    said
}

/// A formatted text: marks for quotes and lists, styles for spans, and behind a link where it leads.
fn formatted(said: &mut Styled, row: &Message, text: &str, form: TextForm) {
    for block in format::blocks(text, form) {
        said.line();
        let mut lead = "│ ".repeat(usize::from(block.quote));
        let plain = match block.kind {
            BlockKind::Text => Style::new(),
            BlockKind::Heading => Style::new().add_modifier(Modifier::UNDERLINED),
            BlockKind::Code => Style::new().fg(Color::Cyan),
            BlockKind::Item { depth, number } => {
                lead.push_str(&"  ".repeat(usize::from(depth)));
                lead.push_str(&number.map_or("• ".to_owned(), |number| format!("{number}. ")));
                Style::new()
            }
        };
        said.push(&lead, dim());
        for span in block.spans {
            let mut style = plain;
            let of = |on: bool, modifier| if on { modifier } else { Modifier::empty() };
            style = style.add_modifier(
                of(span.bold, Modifier::BOLD)
                    | of(span.italic, Modifier::ITALIC)
                    | of(span.strike, Modifier::CROSSED_OUT),
            );
            if span.code {
                style = style.fg(Color::Cyan);
            }
            let mentions = &row.saying.mentions;
            let shown_target = match &span.target {
                Some(Target::Person(_, user)) if mentions.contains(user) => {
                    style = style.fg(Color::Yellow).add_modifier(Modifier::BOLD);
                    None
                }
                Some(Target::Everybody(..)) if mentions.contains(&EVERYBODY) => {
                    style = style.fg(Color::Yellow).add_modifier(Modifier::BOLD);
                    None
                }
                Some(target @ Target::Address(address)) => {
                    style = style.add_modifier(Modifier::UNDERLINED);
                    (!target.is_shown_by(&span.text)).then_some(address)
                }
                _ => None,
            };
            said.push(&span.text, style);
            if let Some(address) = shown_target {
                said.push(&format!(" ({address})"), dim());
            }
        }
    }
}
