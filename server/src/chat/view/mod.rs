//! The screen as a function of the state. Nothing of others reaches it but through `text`.

mod alarms;
mod cards;
mod company;
mod documents;
mod overlay;
mod presence;
mod rooms;
mod talk;

use hauspost_core::account::Link;
use hauspost_core::read::{ConversationRow, LastLine};
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::{Event as Happened, Fate, MessageKind, MessageState};
use hauspost_protocol::body::LogType;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::layout::{self, Areas, dim, short_time, warning};
use super::state::{About, Focus, Notice, Overlay, Purpose, State};
use super::text;
use super::words::fill;

/// Draws the client.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    let screen = frame.area();
    let areas = layout::areas(state);
    status(state, frame, areas.status);
    alarms::line(state, frame, areas.alarm);
    list(state, frame, areas.list);
    if areas.list.width > 0 && areas.list.width < screen.width {
        let x = areas.list.right();
        for y in areas.list.top()..areas.list.bottom() {
            put(frame, Rect::new(x, y, 1, 1), &Line::styled("│", dim()));
        }
    }
    dialog(state, frame, &areas);
    footer(state, frame, areas.footer);
    if let Some(overlay) = &state.overlay {
        overlay::draw(state, overlay, frame);
    }
}

/// Puts a line at the beginning of an area, as far as the screen goes.
fn put(frame: &mut Frame<'_>, area: Rect, line: &Line<'_>) {
    let area = area.intersection(frame.area());
    if !area.is_empty() {
        frame.buffer_mut().set_line(area.x, area.y, line, area.width);
        frame.buffer_mut().set_style(Rect { height: 1, ..area }, line.style);
    }
}

fn row(area: Rect, number: usize) -> Rect {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    Rect { y: area.y.saturating_add(number), height: u16::from(number < area.height), ..area }
}

/// Two texts at both ends of a line.
fn ends(left: &str, right: &str, columns: usize) -> (String, String) {
    let right = text::fit(right, columns);
    let left = text::fit(left, columns.saturating_sub(text::width(&right) + 1));
    let gap = columns.saturating_sub(text::width(&left) + text::width(&right));
    (left, format!("{}{right}", " ".repeat(gap)))
}

fn status(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let [connecting, online, reconnecting, refused] = state.words.link;
    let (mark, colour) = match state.link {
        Link::Connecting => (connecting, Color::Yellow),
        Link::Online => (online, Color::Green),
        Link::Reconnecting => (reconnecting, Color::Yellow),
        Link::Refused => (refused, Color::Red),
    };
    let who = format!(" Hauspost · {} · {}", state.people.name(state.me), state.server);
    let (left, right) = ends(&who, &format!("{mark} "), usize::from(area.width));
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let spans = vec![Span::styled(left, reversed), Span::styled(right, reversed.fg(colour))];
    put(frame, area, &Line::from(spans).style(reversed));
}

fn list(state: &State, frame: &mut Frame<'_>, mut area: Rect) {
    if area.is_empty() {
        return;
    }
    if state.rooms.archived {
        put(frame, area, &Line::styled(format!(" {}", state.words.archived), dim()));
        area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    } else if state.rooms.rows.is_empty() {
        for (i, line) in state.words.no_rooms.into_iter().enumerate() {
            put(frame, row(area, i), &Line::styled(format!(" {line}"), dim()));
        }
        return;
    }
    let shown = usize::from(area.height / 2).max(1);
    let selected = state.rooms.position();
    let first = (selected + 1).saturating_sub(shown);
    for (i, room) in state.rooms.rows.iter().skip(first).take(shown).enumerate() {
        let is_selected = first + i == selected;
        let style = match (is_selected, state.focus) {
            (true, Focus::List) => Style::new().add_modifier(Modifier::REVERSED),
            (true, Focus::Dialog) => Style::new().add_modifier(Modifier::BOLD),
            _ => Style::new(),
        };
        let [head, last] = room_lines(state, room, usize::from(area.width), is_selected);
        put(frame, row(area, 2 * i), &head.style(style));
        put(frame, row(area, 2 * i + 1), &last.style(style));
    }
}

fn room_lines(
    state: &State,
    room: &ConversationRow,
    columns: usize,
    is_selected: bool,
) -> [Line<'static>; 2] {
    let bar = if is_selected { "▌" } else { " " };
    let time = short_time(room.last_ms, state);
    let kind = match room.r#type {
        LogType::Group => "# ",
        LogType::Announce => "! ",
        LogType::Dm | LogType::SelfNotes => "",
    };
    let sound = if room.is_muted(state.now_ms) { " ∅" } else { "" };
    let on_top = if room.favourite.is_some() { " ★" } else { "" };
    let time = format!("{time}{sound}{on_top}");
    let (title, time) = ends(&format!("{kind}{}", state.title(room)), &time, columns - 2);
    let name =
        if room.unread > 0 { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
    let head = vec![Span::raw(bar), Span::styled(title, name), Span::styled(time, dim())];
    let due = if room.to_confirm > 0 { "! " } else { "" };
    let calls = if room.unread_mentions > 0 { format!("{due}@ ") } else { due.to_owned() };
    let unread = match room.unread {
        0 => calls,
        1..100 => format!("{calls}({})", room.unread),
        _ => format!("{calls}(99+)"),
    };
    let words = state.words;
    let (said, style) = match (&room.draft, room.state) {
        (_, LogState::Left) => (words.left[0].to_owned(), dim()),
        (_, LogState::Stopped) => (words.stopped[1].to_owned(), warning()),
        (_, LogState::Broken) => (words.stopped[2].to_owned(), warning()),
        (_, LogState::Newer) => (words.newer[0].to_owned(), warning()),
        (_, LogState::HandedOver) => {
            let from = room.handed.map_or(words.somebody, |handed| state.name(handed.from));
            (fill(words.rooms.handed[1], &[from]), dim())
        }
        (Some(draft), _) => {
            (fill(words.draft, &[&text::line(draft)]), Style::new().fg(Color::Yellow))
        }
        (None, _) => {
            (room.last.as_ref().map_or_else(String::new, |last| said(state, room, last)), dim())
        }
    };
    let (said, unread) = ends(&said, &unread, columns - 2);
    let count = Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD);
    let last = vec![Span::raw(bar), Span::styled(said, style), Span::styled(unread, count)];
    [Line::from(head), Line::from(last)]
}

fn said(state: &State, room: &ConversationRow, last: &LastLine) -> String {
    let text = match (last.kind, last.state) {
        (_, MessageState::Erased) => state.words.erased[0].to_owned(),
        _ if last.fate == Fate::Deleted => state.words.talk.hidden[0].to_owned(),
        _ if last.fate == Fate::Redacted => state.words.talk.hidden[1].to_owned(),
        (MessageKind::Text | MessageKind::File, _) => {
            text::line(last.text.as_deref().unwrap_or_default())
        }
        (kind @ (MessageKind::Place | MessageKind::Contact | MessageKind::Poll), _) => {
            let said = last.text.as_deref().unwrap_or_default();
            let first = said.lines().next().unwrap_or_default();
            fill(state.words.cards.list(kind), &[&text::line(first)])
        }
        (MessageKind::Event, _) => {
            let event = last.event.as_ref().unwrap_or(&Happened::Newer);
            return text::line(&layout::happened(state, event, last.author));
        }
        (MessageKind::Gap, _) => return state.words.gap[0].to_owned(),
        (MessageKind::Unreadable, _) => return state.words.unreadable[0].to_owned(),
        _ => return state.words.newer[0].to_owned(),
    };
    let failed = if last.state == MessageState::Failed { "✗ " } else { "" };
    let is_own = last.author == state.me;
    if is_own || matches!(room.r#type, LogType::Group | LogType::Announce) {
        format!("{failed}{}: {text}", state.name(last.author))
    } else {
        text
    }
}

fn dialog(state: &State, frame: &mut Frame<'_>, areas: &Areas) {
    let Some(dialog) = &state.dialog else { return };
    let columns = usize::from(areas.title.width);
    let title = dialog.row.as_ref().map_or_else(String::new, |row| state.title(row));
    let handed;
    let standing = match dialog.row.as_ref().map(|row| row.state) {
        Some(LogState::Left) => state.words.left[1],
        Some(LogState::HandedOver) => {
            let row = dialog.row.as_ref().and_then(|row| row.handed);
            let from = row.map_or(state.words.somebody, |handed| state.name(handed.from));
            handed = fill(state.words.rooms.handed[2], &[from]);
            &handed
        }
        Some(LogState::Stopped | LogState::Broken) => state.words.stopped[0],
        _ => "",
    };
    let (beside, style) = match standing {
        "" => (presence::beside(state, dialog), Style::new().remove_modifier(Modifier::BOLD)),
        standing => (standing.to_owned(), warning()),
    };
    let (title, beside) = ends(&format!(" {title}"), &beside, columns);
    let bold = Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
    let line = Line::from(vec![Span::raw(title), Span::styled(beside, style)]);
    put(frame, areas.title, &line.style(bold));

    let height = usize::from(areas.timeline.height);
    let top = layout::top(dialog, height);
    for (i, laid) in dialog.laid.iter().skip(top).take(height).enumerate() {
        put(frame, row(areas.timeline, i), &laid.line);
    }
    let below = dialog.laid.len().saturating_sub(top + height);
    let mut rule = "─".repeat(usize::from(areas.rule.width));
    if below > 0 || dialog.more_after {
        let more = if dialog.more_after { state.words.more.to_owned() } else { below.to_string() };
        let hint = fill(state.words.below, &[&more]);
        rule = format!("{hint}{}", rule.chars().skip(text::width(&hint)).collect::<String>());
    }
    let about = match &dialog.about {
        About::New => None,
        About::Reply(_, name, says) => Some(fill(state.words.talk.answering, &[name, says])),
        About::Edit(_) => Some(state.words.talk.changing.to_owned()),
    };
    if let Some(about) = about {
        rule = text::fit(&about, usize::from(areas.rule.width));
    }
    put(frame, areas.rule, &Line::styled(rule, dim()));
    composer(state, frame, areas.composer);
}

fn composer(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let Some(dialog) = state.dialog.as_ref().filter(|_| !area.is_empty()) else { return };
    let columns = layout::composer_columns(area.width);
    let written = dialog.composer.text();
    let rows = text::wrap(written, columns);
    let (at, column) = dialog.composer.place(columns);
    let height = usize::from(area.height);
    let first = (at + 1).saturating_sub(height);
    for (i, range) in rows.into_iter().enumerate().skip(first).take(height) {
        let prompt = if i == 0 { "› " } else { "  " };
        let line = format!("{prompt}{}", text::harmless(&written[range]));
        put(frame, row(area, i - first), &Line::raw(line));
    }
    if dialog.is_read_only() {
        let hint = text::fit(state.words.rooms.read_only, usize::from(area.width));
        put(frame, area, &Line::styled(hint, dim()));
        return;
    }
    if written.is_empty() && state.focus == Focus::List {
        put(frame, area, &Line::styled(state.words.write_here, dim()));
    }
    if state.focus == Focus::Dialog && state.overlay.is_none() {
        cursor(frame, area, 2 + column, at - first);
    }
}

fn chooses(state: &State) -> bool {
    state.dialog.as_ref().is_some_and(|dialog| dialog.bar.is_some())
}

fn cursor(frame: &mut Frame<'_>, area: Rect, column: usize, row: usize) {
    let (column, row) =
        (u16::try_from(column).unwrap_or(u16::MAX), u16::try_from(row).unwrap_or(0));
    let x = area.x.saturating_add(column).min(area.right().saturating_sub(1));
    frame.set_cursor_position(Position { x, y: area.y.saturating_add(row) });
}

fn chosen_kind(state: &State) -> Option<MessageKind> {
    let dialog = state.dialog.as_ref()?;
    let row = dialog.rows.iter().find(|row| Some(row.message_id) == dialog.bar)?;
    Some(row.kind)
}

fn footer(state: &State, frame: &mut Frame<'_>, area: Rect) {
    if let Some(notice) = &state.notice {
        let line = text::fit(&format!(" {}", notice.text()), usize::from(area.width));
        let style = match notice {
            Notice::Done(_) => Style::new().fg(Color::Green),
            Notice::Hint(_) => Style::new().fg(Color::Yellow),
            Notice::Failed(_) => warning(),
        };
        put(frame, area, &Line::styled(line, style));
        return;
    }
    let [help, search, title, person, people, members, list, dialog] = state.words.foot;
    let keys = match (&state.overlay, state.focus) {
        (Some(Overlay::Help(_)), _) => help,
        (Some(Overlay::Search(_)), _) => search,
        (Some(Overlay::Title(_) | Overlay::Rename(..) | Overlay::Device(_)), _) => title,
        (Some(Overlay::Picker(picker)), _) if picker.purpose == Purpose::Dm => person,
        (Some(Overlay::Picker(_)), _) => people,
        (Some(Overlay::Members(_)), _) => members,
        (Some(Overlay::Alarms(_)), _) => state.words.alarms.foot,
        (Some(Overlay::Company(..)), _) => state.words.company.foot,
        (Some(Overlay::Confirmations(..)), _) => state.words.rooms.foot,
        (Some(Overlay::Documents(_)), _) => state.words.documents.foot,
        (Some(Overlay::Confirm(..) | Overlay::History(..)), _) => help,
        (Some(Overlay::Ballot(_)), _) => state.words.cards.ballot_foot,
        (Some(Overlay::React(..)), _) => title,
        (Some(Overlay::PassOn(..)), _) => search,
        (None, Focus::Dialog) if chooses(state) => match chosen_kind(state) {
            Some(MessageKind::Poll) => state.words.cards.poll_foot,
            _ => state.words.talk.foot,
        },
        (None, Focus::List) => list,
        (None, Focus::Dialog) => dialog,
    };
    let mut spans = Vec::new();
    for (key, what) in keys {
        let style = Style::new().add_modifier(Modifier::BOLD);
        spans.push(Span::styled(format!(" {key} "), style));
        spans.push(Span::styled(format!("{what} "), dim()));
    }
    put(frame, area, &Line::from(spans));
}

#[cfg(test)]
mod tests;
