//! A poll to vote in, over the dialog that it stands in.

use hauspost_protocol::ids::UserId;
use ratatui::Frame;
use ratatui::text::Line;

use super::super::layout::{dim, option_mark, warning};
use super::super::state::{Ballot, State};
use super::super::text;
use super::overlay::{chosen, framed};
use super::{put, row};

/// Columns of the frame.
const COLUMNS: u16 = 70;

pub(super) fn ballot(state: &State, ballot: &Ballot, frame: &mut Frame<'_>) {
    let words = state.words.cards;
    let options = ballot.poll.options();
    let rows = u16::try_from(options.len() * 2 + 5).unwrap_or(u16::MAX);
    let columns = state.size.0.saturating_sub(4).min(COLUMNS);
    let inner = framed(frame, words.title, columns, rows);
    let width = usize::from(inner.width);
    let question = text::fit(&text::line(ballot.poll.question()), width);
    put(frame, row(inner, 0), &Line::raw(question));
    // Each option has a line of its own, and one for those who chose it; of many the one under the bar
    // stays in sight.
    let room = usize::from(inner.height).saturating_sub(3) / 2;
    let first = (ballot.selected + 1).saturating_sub(room.max(1));
    for (i, option) in options.iter().enumerate().skip(first).take(room) {
        let at = (i - first) * 2 + 1;
        let mark = option_mark(&ballot.poll, ballot.choice.has(i));
        let line = text::fit(&format!("{mark} {}", text::line(option)), width);
        put(frame, row(inner, at), &Line::raw(line).style(chosen(i == ballot.selected)));
        let chose: Vec<UserId> = ballot
            .voters
            .iter()
            .filter_map(|(user, choice)| choice.has(i).then_some(*user))
            .collect();
        let who = text::fit(&format!("  {}", state.names(&chose)), width);
        put(frame, row(inner, at + 1), &Line::styled(who, dim()));
    }
    let last = usize::from(inner.height).saturating_sub(1);
    let foot = match ballot.is_open {
        true => Line::styled(text::fit(words.open, width), dim()),
        false => Line::styled(text::fit(words.is_closed, width), warning()),
    };
    put(frame, row(inner, last), &foot);
}
