//! Who is typing, or who was last there, beside a conversation's title.

use super::super::layout;
use super::super::state::{Dialog, State};
use super::super::words::fill;

/// What stands beside the title: who types, else whether the other person is there.
pub(super) fn beside(state: &State, dialog: &Dialog) -> String {
    let words = state.words.presence;
    let [one, two, more] = words.typing;
    match dialog.presence.typing[..] {
        [user] => return fill(one, &[state.name(user)]),
        [first, second] => return fill(two, &[state.name(first), state.name(second)]),
        [first, ref others @ ..] => {
            return fill(more, &[state.name(first), &others.len().to_string()]);
        }
        [] => {}
    }
    let Some(seen) = dialog.presence.last_seen else { return String::new() };
    if seen.is_here {
        return words.here.to_owned();
    }
    let [today, yesterday, earlier] = words.seen;
    let (clock, days) = layout::clock_and_days(seen.t_ms, state);
    match days {
        0 => fill(today, &[&clock]),
        1 => fill(yesterday, &[&clock]),
        _ => fill(earlier, &[&layout::short_time(seen.t_ms, state)]),
    }
}
