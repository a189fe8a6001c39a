//! What lies over list and dialog, in a frame.

use hauspost_core::read::{SearchHit, SnippetPart};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use super::super::editor::Editor;
use super::super::layout::{dim, short_time, warning};
use super::super::state::{Ask, Members, Overlay, Picker, Purpose, Search, State};
use super::super::text;
use super::super::words::fill;
use super::{cursor, ends, put, row};

pub(super) fn draw(state: &State, overlay: &Overlay, frame: &mut Frame<'_>) {
    match overlay {
        Overlay::Help(at) => help(state, *at, frame),
        Overlay::Search(search) => self::search(state, search, frame),
        Overlay::Title(founding) => super::rooms::founding(state, founding, frame),
        Overlay::Rename(_, title) => ask(state.words.titles[3], state.words.called, title, frame),
        Overlay::Device(code) => ask(state.words.titles[5], state.words.code, code, frame),
        Overlay::Picker(picker) => self::picker(state, picker, frame),
        Overlay::Members(members) => self::members(state, members, frame),
        Overlay::Confirm(_, _, mark) => super::talk::confirm(state, mark, frame),
        Overlay::React(_, _, emoji) => {
            ask(state.words.talk.titles[0], state.words.talk.which_emoji, emoji, frame);
        }
        Overlay::PassOn(_, _, filter, at) => super::talk::pass_on(state, filter, *at, frame),
        Overlay::History(versions, people, at) => {
            super::talk::history(state, versions, people, *at, frame);
        }
        Overlay::Alarms(at) => super::alarms::list(state, *at, frame),
        Overlay::Company(page, at) => super::company::page(state, page, *at, frame),
        Overlay::Confirmations(list, at) => super::rooms::confirmations(state, list, *at, frame),
        Overlay::Documents(documents) => super::documents::draw(state, documents, frame),
        Overlay::Ballot(ballot) => super::cards::ballot(state, ballot, frame),
    }
}

/// An empty frame in the middle of the screen; gives what is inside.
pub(super) fn framed(frame: &mut Frame<'_>, title: &str, columns: u16, rows: u16) -> Rect {
    let screen = frame.area();
    // Status and footer stay in sight.
    let room = Rect {
        y: screen.y + 1.min(screen.height),
        height: screen.height.saturating_sub(2),
        ..screen
    };
    let (width, height) = (columns.min(room.width), rows.min(room.height));
    let area = Rect {
        x: room.x + (room.width - width) / 2,
        y: room.y + (room.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, area);
    let title = text::fit(&format!(" {title} "), usize::from(width.saturating_sub(2)));
    let block = Block::bordered().title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

pub(super) fn written(frame: &mut Frame<'_>, area: Rect, editor: &Editor) {
    if area.is_empty() {
        return;
    }
    let shown = text::harmless(editor.text());
    put(frame, area, &Line::raw(format!("› {shown}")));
    cursor(frame, area, 2 + text::width(&editor.text()[..editor.at()]), 0);
}

fn ask(heading: &str, question: &'static str, answer: &Editor, frame: &mut Frame<'_>) {
    let inner = framed(frame, heading, 50, 4);
    put(frame, inner, &Line::styled(question, dim()));
    written(frame, row(inner, 1), answer);
}

fn help(state: &State, at: usize, frame: &mut Frame<'_>) {
    let help = state.words.all_help();
    let rows = u16::try_from(help.len() + 2).unwrap_or(u16::MAX);
    let inner = framed(frame, state.words.titles[0], 72, rows);
    let height = usize::from(inner.height);
    let first = at.min(help.len().saturating_sub(height));
    for (i, (key, what)) in help.iter().skip(first).take(height).enumerate() {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let line = if what.is_empty() {
            Line::styled((*key).to_owned(), bold.fg(Color::Cyan))
        } else {
            Line::from(vec![Span::styled(format!("  {key:24}"), bold), Span::raw(*what)])
        };
        put(frame, row(inner, i), &line);
    }
}

/// The first of so many that are shown so that the chosen one is in sight.
pub(super) fn first_shown(selected: usize, shown: usize) -> usize {
    (selected + 1).saturating_sub(shown.max(1))
}

pub(super) fn chosen(is_chosen: bool) -> Style {
    if is_chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() }
}

fn search(state: &State, search: &Search, frame: &mut Frame<'_>) {
    let (columns, rows) = state.size;
    let inner = framed(
        frame,
        state.words.titles[1],
        columns.saturating_sub(4).min(100),
        rows.saturating_sub(4),
    );
    written(frame, row(inner, 0), &search.words);
    if let Some(fault) = &search.fault {
        let fault = text::fit(&text::line(fault), usize::from(inner.width));
        put(frame, row(inner, 1), &Line::styled(fault, warning()));
    } else if search.is_filling {
        put(frame, row(inner, 1), &Line::styled(state.words.search[2], dim()));
    }
    let list = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    if search.hits.is_empty() && search.fault.is_none() {
        let text = match (search.words.is_blank(), search.is_answered) {
            (true, _) => state.words.search[0],
            (false, true) => state.words.search[1],
            (false, false) => "",
        };
        put(frame, row(list, 0), &Line::styled(text, dim()));
    }
    let shown = usize::from(list.height / 2).max(1);
    let first = first_shown(search.selected, shown);
    for (i, hit) in search.hits.iter().skip(first).take(shown).enumerate() {
        let style = chosen(first + i == search.selected);
        let [head, snippet] = hit_lines(state, hit, usize::from(list.width));
        put(frame, row(list, 2 * i), &head.style(style));
        put(frame, row(list, 2 * i + 1), &snippet.style(style));
    }
}

fn hit_lines(state: &State, hit: &SearchHit, columns: usize) -> [Line<'static>; 2] {
    let room = state.rooms.rows.iter().find(|row| row.log == hit.log);
    let place = room.map(|row| state.title(row)).unwrap_or_default();
    let time = short_time(hit.t_ms, state);
    let found = fill(state.words.found_in, &[state.name(hit.author), &place]);
    let (left, right) = ends(&found, &time, columns);
    let head = Line::from(vec![Span::styled(left, dim()), Span::styled(right, dim())]);
    let mut spans = vec![Span::raw("  ")];
    match &hit.document {
        Some(document) => {
            spans.extend(marked(&document.name));
            if !document.inside.is_empty() {
                spans.push(Span::styled(": ", dim()));
                spans.extend(marked(&document.inside));
            }
        }
        None => spans.extend(marked(&hit.snippet)),
    }
    [head, Line::from(spans)]
}

fn marked(parts: &[SnippetPart]) -> impl Iterator<Item = Span<'static>> + '_ {
    let found = Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD);
    parts.iter().map(move |part| {
        let shown = text::harmless(&part.text).replace('\n', " ");
        Span::styled(shown, if part.found { found } else { Style::new() })
    })
}

fn picker(state: &State, picker: &Picker, frame: &mut Frame<'_>) {
    let title = match &picker.purpose {
        Purpose::Dm => state.words.titles[4].to_owned(),
        Purpose::Group(room) => {
            let title = room.title.as_deref().unwrap_or_default();
            fill(state.words.people_of, &[&text::line(title)])
        }
        Purpose::Add(_) => state.words.add_people.to_owned(),
    };
    let inner = framed(frame, &title, 50, state.size.1.saturating_sub(4).min(24));
    written(frame, row(inner, 0), &picker.filter);
    let several = picker.purpose != Purpose::Dm;
    if several && !picker.chosen.is_empty() {
        let names: Vec<_> = picker.chosen.iter().map(|user| state.people.name(*user)).collect();
        let line =
            text::fit(&fill(state.words.with, &[&names.join(", ")]), usize::from(inner.width));
        put(frame, row(inner, 1), &Line::styled(line, Style::new().fg(Color::Green)));
    }
    let list = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    let offered = picker.offered(&state.people);
    if offered.is_empty() {
        put(frame, row(list, 0), &Line::styled(state.words.nobody, dim()));
    }
    let selected = picker.selected.min(offered.len().saturating_sub(1));
    let shown = usize::from(list.height);
    let first = first_shown(selected, shown);
    for (i, person) in offered.iter().skip(first).take(shown).enumerate() {
        let mark = match (several, picker.chosen.contains(&person.user)) {
            (false, _) => "",
            (true, true) => "[x] ",
            (true, false) => "[ ] ",
        };
        let name = format!("{mark}{}", person.name.as_deref().unwrap_or(&person.handle));
        let (left, right) = ends(&name, &person.handle, usize::from(list.width));
        let line = Line::from(vec![Span::raw(left), Span::styled(right, dim())]);
        put(frame, row(list, i), &line.style(chosen(first + i == selected)));
    }
}

fn members(state: &State, members: &Members, frame: &mut Frame<'_>) {
    let title = fill(state.words.people, &[&members.users.len().to_string()]);
    let rows = u16::try_from(members.users.len()).unwrap_or(u16::MAX).saturating_add(4).max(8);
    let inner = framed(frame, &title, 50, rows);
    if let Some(ask) = members.asks {
        let question = match ask {
            Ask::Leave => state.words.ask_leave.to_owned(),
            Ask::Remove(user) => fill(state.words.ask_remove, &[state.people.name(user)]),
            Ask::Withdraw(user) => fill(state.words.rooms.ask_withdraw, &[state.people.name(user)]),
        };
        for (i, range) in text::wrap(&question, usize::from(inner.width)).into_iter().enumerate() {
            put(frame, row(inner, i), &Line::styled(question[range].to_owned(), warning()));
        }
        put(frame, row(inner, 3), &Line::raw(state.words.answer));
        return;
    }
    let inner = super::rooms::picture(state, members, inner, frame);
    let shown = usize::from(inner.height);
    let first = first_shown(members.selected, shown);
    for (i, user) in members.users.iter().skip(first).take(shown).enumerate() {
        let you = if *user == state.me { state.words.is_you } else { "" };
        let owner = if members.owners.contains(user) { state.words.rooms.owner } else { "" };
        let name = format!("{}{you}{owner}", state.people.name(*user));
        let line = Line::raw(text::fit(&name, usize::from(inner.width)));
        put(frame, row(inner, i), &line.style(chosen(first + i == members.selected)));
    }
}
