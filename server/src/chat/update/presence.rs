//! Who is typing and who is there, and the bell for what is new.

use hauspost_core::account::Presence;
use hauspost_core::notify::Loudness;
use hauspost_core::store::rows::presence::Shown;
use hauspost_protocol::ids::LogId;

use super::super::event::Effect;
use super::super::state::{About, Dialog, Notice, State};

/// What is known of the people of a conversation now.
pub(super) fn known(state: &mut State, log: LogId, presence: Presence, shown: Shown) {
    if let Some(dialog) = state.dialog.as_mut().filter(|dialog| dialog.log == log) {
        dialog.presence = presence;
        dialog.says_typing = shown.typing;
    }
}

/// What is being written, as far as others may know of it: no command, and no change of an old message.
pub(super) fn written(state: &State) -> Option<(LogId, String)> {
    let dialog: &Dialog = state.dialog.as_ref().filter(|dialog| dialog.says_typing)?;
    let text = dialog.composer.text();
    let is_message = !dialog.composer.is_blank() && !text.starts_with('/');
    let is_new = !matches!(dialog.about, About::Edit(_));
    (is_message && is_new && !dialog.is_read_only()).then(|| (dialog.log, text.to_owned()))
}

/// The terminal has the person's eyes, or has not.
pub(super) fn focus(state: &mut State, is_focused: bool, effects: &mut Vec<Effect>) {
    state.is_focused = is_focused;
    effects.push(Effect::SetInFront(is_focused));
}

/// Messages came that the person was not told of: it rings for those that are to be heard, unless he looks at
/// them just now.
pub(super) fn notified(state: &mut State, new: &[(LogId, Loudness)]) {
    let looks_at =
        |log| state.is_focused && state.dialog.as_ref().is_some_and(|dialog| dialog.log == log);
    let rings = new.iter().any(|(log, loudness)| match loudness {
        Loudness::Alarm => true,
        Loudness::Loud => !looks_at(*log),
        Loudness::Silent | Loudness::Counted => false,
    });
    state.rings |= state.has_bell && rings;
}

/// The bell was switched on or off.
pub(super) fn bell(state: &mut State, on: bool, is_new: bool) {
    state.has_bell = on;
    if is_new {
        let said = state.words.presence.bell[usize::from(!on)];
        state.notice = Some(Notice::Done(said.to_owned()));
    }
}

#[cfg(test)]
mod tests;
