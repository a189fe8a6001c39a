//! Keys on list and dialog, and those that mean the same everywhere.

use hauspost_core::store::rows::message::MessageState;
use hauspost_protocol::ids::{LogId, MessageId};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::super::editor::{Edit, Editor};
use super::super::event::{Effect, Span};
use super::super::layout;
use super::super::state::{
    About, Dialog, Focus, Founding, Members, Notice, Overlay, Purpose, Rooms, Scroll, Search, State,
};
use super::{
    documents, end, open, overlay, pick, rooms_again, rooms_wanted, save_draft, scroll, send, talk,
};

pub(super) fn key(state: &mut State, key: KeyEvent, effects: &mut Vec<Effect>) {
    if key.kind == KeyEventKind::Release {
        return;
    }
    state.notice = None;
    if is_ctrl(key, 'c') {
        return end(state, effects);
    }
    if state.overlay.is_some() {
        return overlay::key(state, key, effects);
    }
    match key.code {
        KeyCode::F(1) => state.overlay = Some(Overlay::Help(0)),
        KeyCode::F(2) => choose_person(state),
        KeyCode::F(3) => search(state),
        KeyCode::F(4) => name_group(state),
        KeyCode::F(5) => show_members(state, effects),
        KeyCode::F(6) => approve(state),
        KeyCode::F(9) => state.overlay = Some(Overlay::Alarms(0)),
        KeyCode::F(7) => documents::show(state, effects),
        _ if is_ctrl(key, 'o') => documents::show(state, effects),
        _ if is_ctrl(key, 'n') => choose_person(state),
        _ if is_ctrl(key, 'f') => search(state),
        _ if is_ctrl(key, 'g') => name_group(state),
        _ if is_ctrl(key, 'p') => show_members(state, effects),
        KeyCode::Tab if state.focus == Focus::Dialog && talk::complete(state) => {}
        KeyCode::Tab | KeyCode::BackTab => {
            state.focus = match state.focus {
                Focus::List if state.dialog.is_some() => Focus::Dialog,
                _ => Focus::List,
            };
        }
        _ => match state.focus {
            Focus::List => list(state, key, effects),
            Focus::Dialog => dialog(state, key, effects),
        },
    }
}

pub(super) fn paste(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    state.notice = None;
    if state.overlay.is_some() {
        return overlay::paste(state, text, effects);
    }
    if state.focus == Focus::Dialog {
        change(state, |composer| composer.insert(text));
    }
}

fn list(state: &mut State, key: KeyEvent, effects: &mut Vec<Effect>) {
    let page = isize::try_from(layout::areas(state).list.height / 2).unwrap_or(1).max(1);
    match key.code {
        KeyCode::Up if is_shifted(key) => effects.extend(move_favourite(state, -1)),
        KeyCode::Down if is_shifted(key) => effects.extend(move_favourite(state, 1)),
        KeyCode::Up | KeyCode::Char('k') => select(state, -1, effects),
        KeyCode::Down | KeyCode::Char('j') => select(state, 1, effects),
        KeyCode::PageUp => select(state, -page, effects),
        KeyCode::PageDown => select(state, page, effects),
        KeyCode::Home => select(state, isize::MIN, effects),
        KeyCode::End => select(state, isize::MAX, effects),
        KeyCode::Enter | KeyCode::Right => {
            let is_open = state.dialog.as_ref().map(|dialog| dialog.log);
            match state.rooms.selected {
                Some(log) if is_open == Some(log) => state.focus = Focus::Dialog,
                Some(log) => open(state, log, None, effects),
                None => {}
            }
        }
        KeyCode::Char('n') => choose_person(state),
        KeyCode::Char('g') => name_group(state),
        KeyCode::Char('m') => effects.extend(mute(state)),
        KeyCode::Char('a') => {
            let row = state.rooms.rows.get(state.rooms.position());
            effects.extend(row.map(|row| Effect::Archive(row.log, !row.archived)));
        }
        KeyCode::Char('f') => {
            let row = state.rooms.rows.get(state.rooms.position());
            effects.extend(row.map(|row| Effect::Favourite(row.log, row.favourite.is_none())));
        }
        KeyCode::Char('A') => {
            state.rooms = Rooms { archived: !state.rooms.archived, ..Rooms::default() };
            effects.push(rooms_again(state));
        }
        KeyCode::Char('N') => effects.push(Effect::Notes),
        KeyCode::Char('d') => approve(state),
        KeyCode::Char('/') => search(state),
        KeyCode::Char('!') => state.overlay = Some(Overlay::Alarms(0)),
        KeyCode::Char('?') => state.overlay = Some(Overlay::Help(0)),
        KeyCode::Char('q') => end(state, effects),
        _ => {}
    }
}

fn select(state: &mut State, by: isize, effects: &mut Vec<Effect>) {
    let last = state.rooms.rows.len().saturating_sub(1);
    let target = state.rooms.position().saturating_add_signed(by).min(last);
    state.rooms.selected = state.rooms.rows.get(target).map(|row| row.log);
    if target == last && by > 0 && state.rooms.more {
        effects.push(Effect::LoadRooms(rooms_wanted(state).saturating_add(super::ROOMS)));
    }
}

fn dialog(state: &mut State, key: KeyEvent, effects: &mut Vec<Effect>) {
    let areas = layout::areas(state);
    let page = isize::try_from(areas.timeline.height.saturating_sub(1)).unwrap_or(1).max(1);
    let columns = layout::composer_columns(areas.composer.width);
    if talk::chooses(key) {
        return talk::choose(state, -1, effects);
    }
    if state.dialog.as_ref().is_some_and(|dialog| dialog.bar.is_some()) {
        // What is no key of a chosen message lets go of it, and means what it always does.
        if talk::key(state, key, effects) {
            return;
        }
        talk::done(state);
    }
    let Some(dialog) = &mut state.dialog else { return };
    let breaks = key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SHIFT);
    match key.code {
        KeyCode::Esc if dialog.about != About::New => talk::done(state),
        KeyCode::Esc => {
            state.focus = Focus::List;
            save_draft(state, effects);
        }
        KeyCode::PageUp => scroll(state, -page, effects),
        KeyCode::PageDown => scroll(state, page, effects),
        KeyCode::Home if is_held(key) => scroll(state, isize::MIN, effects),
        KeyCode::End if is_held(key) => {
            dialog.scroll = Scroll::Follow;
            if dialog.more_after {
                effects.push(Effect::LoadTimeline(dialog.log, Span::Newest(super::PAGE)));
            }
        }
        KeyCode::Enter if !breaks => send(state, effects),
        KeyCode::Enter => change(state, |composer| composer.insert("\n")),
        _ if is_ctrl(key, 'j') => change(state, |composer| composer.insert("\n")),
        _ if is_ctrl(key, 'r') => effects.extend(failed(dialog, Effect::TryAgain, Effect::Retry)),
        _ if is_ctrl(key, 'x') => effects.extend(failed(dialog, Effect::Dismiss, Effect::Discard)),
        KeyCode::Up => {
            if !dialog.composer.move_rows(-1, columns) {
                scroll(state, -1, effects);
            }
        }
        KeyCode::Down => {
            if !dialog.composer.move_rows(1, columns) {
                scroll(state, 1, effects);
            }
        }
        _ => {
            if let Some(edit) = edit(key) {
                let before = dialog.composer.text().len();
                dialog.composer.edit(edit);
                let changed = dialog.composer.text().len() != before;
                dialog.is_unsaved |= changed;
                dialog.is_untold |= changed;
            } else if let Some(typed) = typed(key) {
                change(state, |composer| composer.insert(&typed));
            }
        }
    }
}

/// What is to become of the newest change that failed, or of the newest message if there is none.
fn failed(
    dialog: &Dialog,
    change: fn(LogId, i64) -> Effect,
    what: fn(LogId, MessageId) -> Effect,
) -> Option<Effect> {
    if let Some(failed) = dialog.failed.last() {
        return Some(change(dialog.log, failed.id));
    }
    let row = dialog.rows.iter().rfind(|row| row.state == MessageState::Failed)?;
    Some(what(dialog.log, row.message_id))
}

fn change(state: &mut State, by: impl FnOnce(&mut Editor)) {
    if let Some(dialog) = &mut state.dialog {
        by(&mut dialog.composer);
        dialog.is_unsaved = true;
        dialog.is_untold = true;
    }
}

/// The conversation under the bar makes no sound any more, or again.
fn mute(state: &State) -> Option<Effect> {
    let row = state.rooms.rows.get(state.rooms.position())?;
    Some(Effect::Mute(row.log, !row.is_muted(state.now_ms)))
}

/// The favourite under the bar changes places with the one above it, or below.
fn move_favourite(state: &State, by: isize) -> Option<Effect> {
    let favourites = state.rooms.rows.iter().filter(|row| row.favourite.is_some());
    let order: Vec<LogId> = favourites.map(|row| row.log).collect();
    let log = state.rooms.selected?;
    let at = order.iter().position(|favourite| *favourite == log)?;
    let before = match by {
        ..0 => at.checked_sub(1)?,
        _ if at + 1 < order.len() => at + 2,
        _ => return None,
    };
    Some(Effect::MoveFavourite(log, order.get(before).copied()))
}

fn is_shifted(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::SHIFT)
}

fn search(state: &mut State) {
    state.overlay = Some(Overlay::Search(Search::default()));
}

fn name_group(state: &mut State) {
    state.overlay = Some(Overlay::Title(Founding::default()));
}

fn approve(state: &mut State) {
    state.overlay = Some(Overlay::Device(Editor::default()));
}

fn choose_person(state: &mut State) {
    pick(state, Purpose::Dm, [state.me].into());
}

fn show_members(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(dialog) = &state.dialog else {
        state.notice = Some(Notice::Hint(state.words.open_first.to_owned()));
        return;
    };
    let members = Members {
        log: dialog.log,
        users: Vec::new(),
        owners: Default::default(),
        picture: None,
        selected: 0,
        asks: None,
    };
    effects.push(Effect::LoadMembers(dialog.log));
    effects.push(Effect::LoadPicture(dialog.log));
    state.overlay = Some(Overlay::Members(members));
}

/// The change of a text that a key stands for.
pub(super) fn edit(key: KeyEvent) -> Option<Edit> {
    let held = is_held(key) || key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Left if held => Edit::WordLeft,
        KeyCode::Right if held => Edit::WordRight,
        KeyCode::Left => Edit::Left,
        KeyCode::Right => Edit::Right,
        KeyCode::Home => Edit::Home,
        KeyCode::End => Edit::End,
        KeyCode::Backspace if held => Edit::DeleteWord,
        KeyCode::Backspace => Edit::Backspace,
        KeyCode::Delete => Edit::Delete,
        _ if is_ctrl(key, 'a') => Edit::Home,
        _ if is_ctrl(key, 'e') => Edit::End,
        _ if is_ctrl(key, 'w') => Edit::DeleteWord,
        _ if is_ctrl(key, 'u') => Edit::DeleteToHome,
        _ if is_ctrl(key, 'k') => Edit::DeleteToEnd,
        _ if is_ctrl(key, 'h') => Edit::Backspace,
        _ if is_ctrl(key, 'd') => Edit::Delete,
        _ => return None,
    })
}

/// The character that a key writes. AltGr comes as Ctrl and Alt on some terminals.
pub(super) fn typed(key: KeyEvent) -> Option<String> {
    let command = KeyModifiers::CONTROL | KeyModifiers::ALT;
    let held = key.modifiers & command;
    match key.code {
        KeyCode::Char(c) if held.is_empty() || held == command => Some(c.to_string()),
        _ => None,
    }
}

fn is_held(key: KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL)
}

fn is_ctrl(key: KeyEvent, letter: char) -> bool {
    key.code == KeyCode::Char(letter) && key.modifiers == KeyModifiers::CONTROL
}
