//! Keys on what lies over list and dialog, and the answers that it waits for.

use hauspost_core::account::NewRoom;
use hauspost_core::read::{SearchPage, SearchQuery};
use hauspost_protocol::ids::{LogId, UserId};
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::asked;
use super::super::editor::Editor;
use super::super::event::Effect;
use super::super::state::{
    Ask, Founding, Members, Notice, Overlay, Picker, Purpose, Search, State,
};
use super::super::text;
use super::{cards, documents, keys, open, open_group, pick, rooms, talk};

pub(super) fn key(state: &mut State, key: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(overlay) = state.overlay.take() else { return };
    if key.code == KeyCode::Esc {
        // A question is answered with no; everything else is closed.
        if let Overlay::Members(members) = overlay
            && members.asks.is_some()
        {
            state.overlay = Some(Overlay::Members(Members { asks: None, ..members }));
        }
        return;
    }
    match overlay {
        Overlay::Help(at) => help(state, at, key),
        Overlay::Search(search) => search_key(state, search, key, effects),
        Overlay::Title(founding) => rooms::founding_key(state, founding, key),
        Overlay::Rename(log, title) => rename_key(state, log, title, key, effects),
        Overlay::Device(code) => device_key(state, code, key, effects),
        Overlay::Picker(picker) => picker_key(state, picker, key, effects),
        Overlay::Members(members) => members_key(state, members, key, effects),
        Overlay::Confirm(log, id, mark) => {
            talk::confirm_key(state, (log, id, mark), key, effects);
        }
        Overlay::React(log, id, emoji) => talk::react_key(state, (log, id, emoji), key, effects),
        Overlay::PassOn(log, id, filter, at) => {
            talk::pass_on_key(state, (log, id, filter, at), key, effects);
        }
        Overlay::History(versions, people, at) => {
            talk::history_key(state, (versions, people, at), key);
        }
        Overlay::Alarms(at) => alarms_key(state, at, key, effects),
        Overlay::Company(page, at) => company_key(state, page, at, key),
        Overlay::Documents(documents) => documents::key(state, documents, key, effects),
        Overlay::Ballot(ballot) => cards::key(state, ballot, key, effects),
        Overlay::Confirmations(list, at) => {
            rooms::confirmations_key(state, (list, at), key, effects);
        }
    }
}

pub(super) fn paste(state: &mut State, pasted: &str, effects: &mut Vec<Effect>) {
    let line = text::typed(pasted).replace('\n', " ");
    if let Some(Overlay::Search(mut search)) = state.overlay.take_if(is_search) {
        search.words.insert(&line);
        asked(state, &mut search, effects);
        state.overlay = Some(Overlay::Search(search));
    }
    match &mut state.overlay {
        Some(
            Overlay::Title(Founding { title: text, .. })
            | Overlay::Rename(_, text)
            | Overlay::Device(text)
            | Overlay::React(_, _, text)
            | Overlay::PassOn(_, _, text, _),
        ) => {
            text.insert(&line);
        }
        Some(Overlay::Picker(picker)) => picker.filter.insert(&line),
        _ => {}
    }
}

fn is_search(overlay: &mut Overlay) -> bool {
    matches!(overlay, Overlay::Search(_))
}

fn help(state: &mut State, at: usize, key: KeyEvent) {
    let lines = state.words.all_help().len();
    let at = match key.code {
        KeyCode::Down | KeyCode::PageDown | KeyCode::Char('j') => at.saturating_add(1),
        KeyCode::Up | KeyCode::PageUp | KeyCode::Char('k') => at.saturating_sub(1),
        _ => return,
    };
    state.overlay = Some(Overlay::Help(at.min(lines - 1)));
}

fn company_key(state: &mut State, page: Vec<String>, at: usize, key: KeyEvent) {
    let at = match key.code {
        KeyCode::Down | KeyCode::PageDown | KeyCode::Char('j') => at.saturating_add(1),
        KeyCode::Up | KeyCode::PageUp | KeyCode::Char('k') => at.saturating_sub(1),
        _ => return,
    };
    let last = page.iter().map(|paragraph| 1 + paragraph.len() / 20).sum();
    state.overlay = Some(Overlay::Company(page, at.min(last)));
}

fn search_key(state: &mut State, mut search: Search, key: KeyEvent, effects: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Enter => {
            if let Some(hit) = search.hits.get(search.selected) {
                return open(state, hit.log, Some((hit.message_id, hit.seq)), effects);
            }
        }
        KeyCode::Up => search.selected = search.selected.saturating_sub(1),
        KeyCode::Down => {
            let last = search.hits.len().saturating_sub(1);
            search.selected = (search.selected + 1).min(last);
            if search.selected == last
                && let Some(next) = search.next.take()
            {
                effects.push(Effect::Search(Box::new(search.asked.clone()), Some(next)));
            }
        }
        _ => {
            if write(&mut search.words, key) {
                asked(state, &mut search, effects);
            }
        }
    }
    state.overlay = Some(Overlay::Search(search));
}

/// The line is another one: what it asks for is searched, or it is said why it cannot be.
fn asked(state: &State, search: &mut Search, effects: &mut Vec<Effect>) {
    search.is_answered = false;
    search.selected = 0;
    match asked::read(search.words.text(), state) {
        Ok(wanted) => {
            effects.push(Effect::Search(Box::new(wanted.clone()), None));
            (search.asked, search.fault) = (wanted, None);
        }
        Err(fault) => {
            (search.asked, search.fault) = (SearchQuery::default(), Some(fault));
            (search.hits, search.next) = (Vec::new(), None);
        }
    }
}

pub(super) fn found(state: &mut State, wanted: &SearchQuery, page: SearchPage, more: bool) {
    let Some(Overlay::Search(search)) = &mut state.overlay else { return };
    if search.asked != *wanted || search.fault.is_some() {
        return;
    }
    if !more {
        search.hits.clear();
    }
    search.hits.extend(page.hits);
    search.next = page.next;
    search.is_answered = true;
    search.is_filling = !page.is_whole;
}

fn device_key(state: &mut State, mut code: Editor, key: KeyEvent, effects: &mut Vec<Effect>) {
    if key.code == KeyCode::Enter && !code.is_blank() {
        return effects.push(Effect::Approve(code.text().trim().to_owned()));
    }
    write(&mut code, key);
    state.overlay = Some(Overlay::Device(code));
}

fn rename_key(
    state: &mut State,
    log: LogId,
    mut title: Editor,
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    if key.code == KeyCode::Enter && !title.is_blank() {
        return effects.push(Effect::Rename(log, title.text().trim().to_owned()));
    }
    write(&mut title, key);
    state.overlay = Some(Overlay::Rename(log, title));
}

fn picker_key(state: &mut State, mut picker: Picker, key: KeyEvent, effects: &mut Vec<Effect>) {
    let offered: Vec<UserId> =
        picker.offered(&state.people).into_iter().map(|person| person.user).collect();
    let last = offered.len().saturating_sub(1);
    picker.selected = picker.selected.min(last);
    let bar = offered.get(picker.selected).copied();
    match key.code {
        KeyCode::Up => picker.selected = picker.selected.saturating_sub(1),
        KeyCode::Down => picker.selected = (picker.selected + 1).min(last),
        KeyCode::Enter => match done(&picker, bar) {
            Some(effect) => return effects.push(effect),
            None => picker.filter = Editor::default(),
        },
        // A name that is looked for may hold a space; none begins with one.
        KeyCode::Tab | KeyCode::Char(' ')
            if picker.purpose != Purpose::Dm
                && (key.code == KeyCode::Tab || picker.filter.text().is_empty()) =>
        {
            if let Some(user) = bar
                && !picker.chosen.remove(&user)
            {
                picker.chosen.insert(user);
            }
            // The next one is looked for from the beginning.
            if !picker.filter.text().is_empty() {
                picker.filter = Editor::default();
                picker.selected = 0;
            }
        }
        _ => {
            if write(&mut picker.filter, key) {
                picker.selected = 0;
            }
        }
    }
    state.overlay = Some(Overlay::Picker(picker));
}

fn alarms_key(state: &mut State, at: usize, key: KeyEvent, effects: &mut Vec<Effect>) {
    // A row has some twelve lines at most.
    let last = 12 * state.alarms.len();
    let at = match key.code {
        KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => (at + 1).min(last),
        KeyCode::PageUp => at.saturating_sub(10),
        KeyCode::PageDown => (at + 10).min(last),
        KeyCode::Char('a') | KeyCode::Enter => {
            let unseen = state.alarms.iter().filter(|alarm| !alarm.is_acknowledged);
            let newest = unseen.map(|alarm| alarm.number).max();
            effects.extend(newest.map(Effect::AcknowledgeAlarms));
            0
        }
        _ => at,
    };
    state.overlay = Some(Overlay::Alarms(at));
}

/// What was picked for: those who were chosen, or the one under the bar.
fn done(picker: &Picker, bar: Option<UserId>) -> Option<Effect> {
    let mut chosen = picker.chosen.clone();
    // Whoever was looked for and stands under the bar is meant as well.
    if chosen.is_empty() || !picker.filter.text().is_empty() {
        chosen.extend(bar);
    }
    let chosen: Vec<_> = chosen.into_iter().collect();
    let first = *chosen.first()?;
    Some(match &picker.purpose {
        Purpose::Dm => Effect::CreateDm(first),
        Purpose::Group(room) => Effect::CreateRoom(NewRoom { people: chosen, ..room.clone() }),
        Purpose::Add(log) => Effect::Add(*log, chosen),
    })
}

fn members_key(state: &mut State, mut members: Members, key: KeyEvent, effects: &mut Vec<Effect>) {
    let is_group = open_group(state) == Some(members.log);
    let last = members.users.len().saturating_sub(1);
    match (key.code, members.asks) {
        (KeyCode::Char(yes), Some(ask)) if yes == state.words.yes => {
            return effects.push(match ask {
                Ask::Leave => Effect::Leave(members.log),
                Ask::Remove(user) => Effect::Remove(members.log, user),
                Ask::Withdraw(user) => Effect::SetOwner(members.log, user, false),
            });
        }
        (_, Some(_)) => members.asks = None,
        (KeyCode::Up, None) => members.selected = members.selected.saturating_sub(1),
        (KeyCode::Down, None) => members.selected = (members.selected + 1).min(last),
        (KeyCode::Char('a'), None) if is_group => {
            let there = members.users.iter().copied().collect();
            return pick(state, Purpose::Add(members.log), there);
        }
        (KeyCode::Char('r'), None) if is_group => {
            let bar = members.users.get(members.selected).copied();
            members.asks = bar.filter(|user| *user != state.me).map(Ask::Remove);
        }
        (KeyCode::Char('o'), None) if is_group => effects.extend(rooms::owner_key(&mut members)),
        (KeyCode::Char('l'), None) if is_group => members.asks = Some(Ask::Leave),
        (KeyCode::Char('n'), None) if is_group => {
            let row = state.dialog.as_ref().and_then(|dialog| dialog.row.as_ref());
            let title = row.and_then(|row| row.title.as_deref()).map(text::line);
            let title = Editor::new(title.as_deref().unwrap_or_default());
            state.overlay = Some(Overlay::Rename(members.log, title));
            return;
        }
        // An owner may, once; who may not sees why in the conversation.
        (KeyCode::Char('k'), None) if is_group => {
            return effects.push(Effect::ChangeSuite(members.log));
        }
        (KeyCode::Char('a' | 'r' | 'l' | 'n' | 'k' | 'o'), None) => {
            state.notice = Some(Notice::Hint(state.words.no_group.to_owned()));
        }
        _ => {}
    }
    state.overlay = Some(Overlay::Members(members));
}

/// Writes into a line; whether it changed.
pub(super) fn write(editor: &mut Editor, key: KeyEvent) -> bool {
    let before = editor.text().to_owned();
    if let Some(edit) = keys::edit(key) {
        editor.edit(edit);
    } else if let Some(typed) = keys::typed(key) {
        editor.insert(&typed);
    }
    editor.text() != before
}
