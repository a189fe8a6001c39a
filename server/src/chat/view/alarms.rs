//! Alarms: the line over everything, and their list.

use hauspost_core::read::{AlarmKind, AlarmRow};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::layout::{dim, short_time, warning};
use super::super::state::State;
use super::super::text;
use super::super::words::fill;
use super::overlay::framed;
use super::{put, row};

/// Columns of the list.
const COLUMNS: u16 = 76;

/// How an alarm looks: red, if somebody has to act.
fn look(kind: AlarmKind) -> Style {
    match kind {
        AlarmKind::Colleague | AlarmKind::Reset | AlarmKind::Newer => {
            Style::new().fg(Color::Yellow)
        }
        _ => warning(),
    }
}

/// The line over everything, while something was not seen: it names the gravest.
pub(super) fn line(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let unseen = || state.alarms.iter().filter(|alarm| !alarm.is_acknowledged);
    // The kinds stand in the order of their weight.
    let Some(gravest) = unseen().min_by_key(|alarm| alarm.kind) else { return };
    let words = state.words.alarms;
    let [what, ..] = words.of(gravest.kind);
    let said = match unseen().count() {
        1 => fill(words.line[0], &[what]),
        count => fill(words.line[1], &[&count.to_string(), what]),
    };
    let said = text::fit(&said, usize::from(area.width));
    let style = look(gravest.kind).add_modifier(Modifier::BOLD | Modifier::REVERSED);
    put(frame, area, &Line::styled(said, style));
}

pub(super) fn list(state: &State, at: usize, frame: &mut Frame<'_>) {
    let (columns, rows) = state.size;
    let width = usize::from(columns.min(COLUMNS)).saturating_sub(2);
    let mut lines = Vec::new();
    for alarm in &state.alarms {
        lines.extend(of(state, alarm, width));
        lines.push(Line::default());
    }
    if lines.is_empty() {
        lines.push(Line::styled(state.words.alarms.none, dim()));
    }
    let inner = framed(frame, state.words.alarms.title, COLUMNS, rows.saturating_sub(2));
    let height = usize::from(inner.height);
    let first = at.min(lines.len().saturating_sub(height));
    for (i, line) in lines.iter().skip(first).take(height).enumerate() {
        put(frame, row(inner, i), line);
    }
}

/// One row of the list, in lines of so many columns.
fn of(state: &State, alarm: &AlarmRow, columns: usize) -> Vec<Line<'static>> {
    let words = state.words.alarms;
    let [what, means, to_do] = words.of(alarm.kind);
    let seen = alarm.is_acknowledged;
    let heading = if seen { dim() } else { look(alarm.kind).add_modifier(Modifier::BOLD) };
    let mut about = vec![short_time(alarm.last_ms, state)];
    if alarm.count > 1 {
        let since = short_time(alarm.first_ms, state);
        about.push(fill(words.times, &[&alarm.count.to_string(), &since]));
    }
    let room = state.rooms.rows.iter().find(|row| Some(row.log) == alarm.log);
    about.extend(room.map(|row| fill(words.in_room, &[&state.title(row)])));
    if seen {
        about.push(words.seen.to_owned());
    }
    let mut lines = wrapped(what, columns, heading);
    lines.extend(wrapped(&about.join(" · "), columns, dim()));
    if seen {
        return lines;
    }
    lines.extend(wrapped(means, columns, Style::new()));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut rows = wrapped(&format!("{}{to_do}", words.to_do), columns, Style::new());
    if let Some(first) = rows.first_mut()
        && let Some(said) = first.to_string().strip_prefix(words.to_do)
    {
        *first = Line::from(vec![Span::styled(words.to_do, bold), Span::raw(said.to_owned())]);
    }
    lines.extend(rows);
    if let Some(report) = words.report(alarm.report) {
        lines.extend(wrapped(report, columns, dim()));
    }
    lines.push(Line::styled(fill(words.code, &[&alarm.code.to_string()]), dim()));
    lines
}

fn wrapped(said: &str, columns: usize, style: Style) -> Vec<Line<'static>> {
    let rows = text::wrap(said, columns).into_iter();
    rows.map(|range| Line::styled(said[range].to_owned(), style)).collect()
}

#[cfg(test)]
mod tests {
    use hauspost_core::read::AlarmReport;
    use ratatui::crossterm::event::KeyCode;

    use super::super::super::event::{Effect, Event};
    use super::super::super::fixture::{Client, LOG, NOON, room};
    use super::super::super::words::Words;
    use super::*;

    fn alarm(number: i64, kind: AlarmKind) -> AlarmRow {
        AlarmRow {
            number,
            log: Some(LOG),
            kind,
            code: 34,
            count: 1,
            first_ms: NOON,
            last_ms: NOON,
            report: AlarmReport::Made,
            is_acknowledged: false,
        }
    }

    #[test]
    fn a_line_names_the_gravest_alarm_until_all_are_acknowledged() {
        let mut client = Client::new(vec![room(9, "Lager")]);
        assert!(!client.shows("F9"), "nothing is wrong");
        let (reset, past) = (alarm(1, AlarmKind::Reset), alarm(2, AlarmKind::Past));
        client.hear(Event::Alarms(vec![reset.clone()]));
        assert!(client.screen()[1].starts_with(" ! This device made a conversation's keys anew"));
        assert_eq!(client.colour(1), Color::Yellow);
        client.hear(Event::Alarms(vec![reset.clone(), past.clone()]));
        assert!(client.screen()[1].starts_with(" ! 2 warnings: The server shows an old state"));
        assert_eq!(client.colour(1), Color::Red);
        assert!(client.screen()[2].contains("# Lager"), "the list begins below");
        client.press(KeyCode::F(9));
        client.press(KeyCode::Char('a'));
        assert_eq!(client.wanted().last(), Some(&Effect::AcknowledgeAlarms(2)));
        let seen = |row: AlarmRow| AlarmRow { is_acknowledged: true, ..row };
        client.hear(Event::Alarms(vec![seen(past), seen(reset)]));
        assert!(client.shows("12:00 · in “Lager” · seen"));
        client.press(KeyCode::Char('a'));
        assert_eq!(client.wanted(), [], "nothing is new");
        client.press(KeyCode::Esc);
        assert!(client.screen()[1].contains("# Lager"));
    }

    #[test]
    fn the_list_says_when_and_where_what_it_means_what_to_do_and_who_knows() {
        let mut client = Client::new(vec![room(9, "Lager")]);
        client.press(KeyCode::Char('!'));
        assert!(client.shows("nothing is wrong"));
        client.press(KeyCode::Esc);
        client.hear(Event::Alarms(vec![AlarmRow {
            count: 3,
            first_ms: NOON - 3_600_000,
            report: AlarmReport::Waits,
            ..alarm(1, AlarmKind::BrokenRule)
        }]));
        client.press(KeyCode::F(9));
        for said in [
            "The server took something that it has to refuse",
            "12:00 · 3 times since 11:00 · in “Lager”",
            "a conversation may show a gap",
            "What to do: Tell the administration, with the number below.",
            "The administration does not know yet",
            "number 34",
        ] {
            assert!(client.shows(said), "{said}\n{}", client.screen().join("\n"));
        }
        client.state.words = Words::german();
        assert!(client.shows("Was tun: Sag der Administration Bescheid, mit der Nummer unten."));
    }

    #[test]
    fn a_long_list_scrolls_to_its_end_and_every_size_is_drawn() {
        let kinds = [AlarmKind::TwoHistories, AlarmKind::Copied, AlarmKind::CompanyLog];
        let all: Vec<_> = kinds.into_iter().map(|kind| alarm(kind as i64, kind)).collect();
        let mut client = Client::new(Vec::new());
        client.hear(Event::Alarms(all));
        client.press(KeyCode::F(9));
        assert!(!client.shows("Tell the administration and the works council."));
        (0..60).for_each(|_| client.press(KeyCode::Down));
        assert!(client.shows("Tell the administration and the works council."));
        (0..60).for_each(|_| client.press(KeyCode::Up));
        assert!(client.shows("The server shows two different histories"));
        for columns in [1, 2, 3, 10, 40, 80] {
            for rows in [1, 2, 3, 4, 9, 24] {
                client.hear(Event::Resize(columns, rows));
                client.screen();
            }
        }
    }
}
