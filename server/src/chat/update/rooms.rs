//! Groups and announcements: founding one, who owns it, who has confirmed what.

use hauspost_core::account::{NewRoom, Role};
use hauspost_core::read::Confirmations;
use hauspost_protocol::body::HistoryRule;
use hauspost_protocol::ids::{LogId, UserId};
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::event::Effect;
use super::super::state::{Founding, Members, Overlay, Purpose, State};
use super::super::text;
use super::{overlay, pick};

/// The title of what is to begin, Tab for what it is, Down for whether its past is shown.
pub(super) fn founding_key(state: &mut State, mut founding: Founding, key: KeyEvent) {
    match key.code {
        KeyCode::Enter if !founding.title.is_blank() => {
            let history =
                if founding.shows_past { HistoryRule::Members } else { HistoryRule::None };
            let room = NewRoom {
                title: Some(founding.title.text().trim().to_owned()),
                people: Vec::new(),
                announces: founding.announces,
                history,
            };
            return pick(state, Purpose::Group(room), [state.me].into());
        }
        KeyCode::Tab | KeyCode::BackTab => founding.announces = !founding.announces,
        KeyCode::Up | KeyCode::Down => founding.shows_past = !founding.shows_past,
        _ => _ = overlay::write(&mut founding.title, key),
    }
    state.overlay = Some(Overlay::Title(founding));
}

/// The people of a conversation came: owners first, then by name.
pub(super) fn members(state: &mut State, log: LogId, people: Vec<(UserId, Role)>) {
    let Some(Overlay::Members(members)) = &mut state.overlay else { return };
    if members.log != log {
        return;
    }
    let owners = people.iter().filter(|(_, role)| *role == Role::Owner);
    members.owners = owners.map(|(user, _)| *user).collect();
    members.users = people.into_iter().map(|(user, _)| user).collect();
    let owners = &members.owners;
    members
        .users
        .sort_by_key(|user| (!owners.contains(user), text::folded(state.people.name(*user))));
    members.selected = members.selected.min(members.users.len().saturating_sub(1));
}

/// The person under the bar is made an owner; one who is is asked about first.
pub(super) fn owner_key(members: &mut Members) -> Option<Effect> {
    let user = *members.users.get(members.selected)?;
    if members.owners.contains(&user) {
        members.asks = Some(super::super::state::Ask::Withdraw(user));
        return None;
    }
    Some(Effect::SetOwner(members.log, user, true))
}

/// Who has confirmed is shown, and stays where it was scrolled to.
pub(super) fn confirmations(state: &mut State, list: Box<Confirmations>) {
    let at = match &state.overlay {
        Some(Overlay::Confirmations(shown, at)) if shown.message_id == list.message_id => *at,
        _ => 0,
    };
    state.overlay = Some(Overlay::Confirmations(list, at));
}

pub(super) fn confirmations_key(
    state: &mut State,
    (list, at): (Box<Confirmations>, usize),
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    let last = list.people.len().saturating_sub(1);
    let (log, message_id) = (list.log, list.message_id);
    let at = match key.code {
        KeyCode::Down | KeyCode::PageDown => (at + 1).min(last),
        KeyCode::Up | KeyCode::PageUp => at.saturating_sub(1),
        KeyCode::Char('r') => {
            effects.push(Effect::Remind(log, message_id, state.words.rooms.remind));
            at
        }
        KeyCode::Char('e') => {
            effects.push(Effect::ExportConfirmations(log, message_id));
            at
        }
        _ => at,
    };
    state.overlay = Some(Overlay::Confirmations(list, at));
}

#[cfg(test)]
mod tests;
