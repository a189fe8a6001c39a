//! What lies over a dialog about groups and announcements: one that begins, and who has confirmed.

use hauspost_core::read::{Confirmations, Confirming};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::super::layout::{dim, short_time};
use super::super::phone::PICTURE;
use super::super::state::{Founding, Members, State};
use super::super::text;
use super::super::words::fill;
use super::overlay::{framed, written};
use super::{ends, put, row};

pub(super) fn founding(state: &State, founding: &Founding, frame: &mut Frame<'_>) {
    let words = state.words.rooms;
    let inner = framed(frame, state.words.titles[2], 64, 6);
    put(frame, inner, &Line::styled(state.words.called, dim()));
    written(frame, row(inner, 1), &founding.title);
    let chosen = Style::new().fg(Color::Yellow);
    let lines = [
        ("Tab", words.kinds[usize::from(founding.announces)]),
        ("↓", words.past[usize::from(founding.shows_past)]),
    ];
    for (i, (key, what)) in lines.into_iter().enumerate() {
        let spans = vec![Span::styled(format!("{key:4}"), dim()), Span::styled(what, chosen)];
        put(frame, row(inner, 2 + i), &Line::from(spans));
    }
}

/// Draws a conversation's picture at the right of its people, or the beginnings of its name in a colour of
/// its own; gives what is left for the people.
pub(super) fn picture(state: &State, members: &Members, area: Rect, frame: &mut Frame<'_>) -> Rect {
    let columns = u16::try_from(PICTURE.0).unwrap_or(u16::MAX);
    let Some(left) = area.width.checked_sub(columns + 1).filter(|left| *left > columns) else {
        return area;
    };
    let at = Rect { x: area.x + left + 1, width: columns, ..area };
    let listed = state.rooms.rows.iter().find(|row| row.log == members.log);
    match (&members.picture, listed) {
        (Some(lines), _) => {
            for (i, pair) in lines.chunks(2).enumerate() {
                let [upper, lower] = [0, 1].map(|half| pair.get(half).unwrap_or(&pair[0]));
                let cells = upper.iter().zip(lower).map(|(upper, lower)| {
                    let colour = |[red, green, blue]: [u8; 3]| Color::Rgb(red, green, blue);
                    Span::styled("▀", Style::new().fg(colour(*upper)).bg(colour(*lower)))
                });
                put(frame, row(at, i), &Line::from(cells.collect::<Vec<_>>()));
            }
        }
        (None, Some(listed)) => {
            const COLOURS: [Color; 5] =
                [Color::Cyan, Color::Magenta, Color::Green, Color::Blue, Color::Yellow];
            let sum: usize = members.log.0.iter().map(|byte| usize::from(*byte)).sum();
            let style = Style::new().fg(Color::Black).bg(COLOURS[sum % COLOURS.len()]);
            let initials = initials(&state.title(listed));
            for i in 0..3 {
                let text = if i == 1 { initials.as_str() } else { "" };
                let cell = Span::styled(format!("{text:^8}"), style);
                put(frame, row(at, i), &Line::from(vec![Span::raw("  "), cell]));
            }
        }
        (None, None) => {}
    }
    Rect { width: left, ..area }
}

/// The beginnings of the first two words of a name.
fn initials(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(2).filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}

pub(super) fn confirmations(state: &State, list: &Confirmations, at: usize, frame: &mut Frame<'_>) {
    let (confirmed, asked) = (list.confirmed().to_string(), list.asked().to_string());
    let title = fill(state.words.rooms.title, &[&confirmed, &asked]);
    let rows = u16::try_from(list.people.len() + 2).unwrap_or(u16::MAX).max(4);
    let columns = state.size.0.saturating_sub(4).min(70);
    let inner: Rect = framed(frame, &title, columns, rows);
    let height = usize::from(inner.height);
    let first = at.min(list.people.len().saturating_sub(height));
    for (i, person) in list.people.iter().skip(first).take(height).enumerate() {
        let (left, right) = person_line(state, person, usize::from(inner.width));
        let style = if person.is_missing() { Style::new() } else { dim() };
        let line = Line::from(vec![Span::styled(left, style), Span::styled(right, style)]);
        put(frame, row(inner, i), &line);
    }
}

fn person_line(state: &State, person: &Confirming, columns: usize) -> (String, String) {
    let words = state.words.rooms;
    let [open, later, left, confirmed, earlier] = words.standing;
    let standing = match (&person.confirmed, person.was_asked, person.is_here) {
        (Some(by), was_asked, _) => {
            let text = if by.before_change { earlier } else { confirmed };
            let behind = if was_asked { "" } else { words.later };
            format!("{}{behind}", fill(text, &[&short_time(by.t_ms, state)]))
        }
        (None, true, true) => open.to_owned(),
        (None, true, false) => left.to_owned(),
        (None, false, _) => later.to_owned(),
    };
    let name = if state.people.knows(person.user) {
        state.people.name(person.user).to_owned()
    } else {
        person.name.as_deref().map_or_else(|| state.words.somebody.to_owned(), text::line)
    };
    ends(&name, &standing, columns)
}
