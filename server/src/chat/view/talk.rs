//! What lies over a dialog for one of its messages.

use hauspost_core::read::Version;
use hauspost_protocol::ids::UserId;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::editor::Editor;
use super::super::event::Mark;
use super::super::layout::{dim, short_time, warning};
use super::super::state::State;
use super::super::text;
use super::super::update::talk::pass_on_rows;
use super::overlay::{chosen, first_shown, framed, written};
use super::{put, row};

pub(super) fn confirm(state: &State, mark: &Mark, frame: &mut Frame<'_>) {
    let question = match mark {
        Mark::ClosePoll => state.words.cards.ask_close,
        _ => state.words.talk.ask[usize::from(*mark == Mark::Redact)],
    };
    let inner = framed(frame, "", 50, 3);
    put(frame, inner, &Line::styled(question, warning()));
}

pub(super) fn pass_on(state: &State, filter: &Editor, at: usize, frame: &mut Frame<'_>) {
    let rows = state.size.1.saturating_sub(4).min(24);
    let inner = framed(frame, state.words.talk.titles[1], 50, rows);
    written(frame, row(inner, 0), filter);
    let list = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    let rooms = pass_on_rows(state, filter);
    let (at, shown) = (at.min(rooms.len().saturating_sub(1)), usize::from(list.height));
    let first = first_shown(at, shown);
    for (i, room) in rooms.iter().skip(first).take(shown).enumerate() {
        let line = Line::raw(text::fit(&state.title(room), usize::from(list.width)));
        put(frame, row(list, i), &line.style(chosen(first + i == at)));
    }
}

pub(super) fn history(
    state: &State,
    versions: &[Version],
    people: &[(UserId, String)],
    at: usize,
    frame: &mut Frame<'_>,
) {
    let words = state.words.talk;
    let mut lines = Vec::new();
    let columns = usize::from(state.size.0.saturating_sub(4).min(70)).saturating_sub(2);
    for version in versions {
        let time = short_time(version.t_ms, state);
        let said = text::harmless(version.text.as_deref().unwrap_or(state.words.newer[0]));
        for (i, range) in text::wrap(&said, columns.saturating_sub(8)).into_iter().enumerate() {
            let time = if i == 0 { time.clone() } else { String::new() };
            let time = Span::styled(format!("{:8}", text::fit(&time, 7)), dim());
            lines.push(Line::from(vec![time, Span::raw(said[range].to_owned())]));
        }
    }
    if !people.is_empty() {
        let style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);
        lines.push(Line::styled(words.history[1], style));
    }
    lines.extend(
        people
            .iter()
            .map(|(user, emoji)| Line::raw(format!("{} {}", text::line(emoji), state.name(*user)))),
    );
    let rows = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).max(4);
    let inner = framed(frame, words.history[0], state.size.0.saturating_sub(4).min(70), rows);
    let height = usize::from(inner.height);
    let first = at.min(lines.len().saturating_sub(height));
    for (i, line) in lines.into_iter().skip(first).take(height).enumerate() {
        put(frame, row(inner, i), &line);
    }
}
