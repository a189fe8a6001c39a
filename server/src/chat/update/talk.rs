//! A chosen message: answered, changed, taken back, reacted to, passed on.

use hauspost_core::format::retyped;
use hauspost_core::read::{ConversationRow, Version};
use hauspost_core::store::rows::file::DocumentId;
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::{Message, MessageKind, Quote};
use hauspost_protocol::ids::{LogId, MessageId, UserId};
use hauspost_protocol::statement::FileRole;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::editor::Editor;
use super::super::event::{Effect, Mark, Span};
use super::super::layout;
use super::super::state::{About, Dialog, Notice, Overlay, Scroll, State};
use super::super::text;
use super::relay;

/// The reactions that have a key of their own, from 1 on.
pub const EMOJI: [&str; 6] = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

/// Puts the bar on the newest message that is shown, or moves it.
pub(super) fn choose(state: &mut State, by: isize, effects: &mut Vec<Effect>) {
    let height = usize::from(layout::areas(state).timeline.height);
    let Some(dialog) = &mut state.dialog else { return };
    let end = (layout::top(dialog, height) + height).min(dialog.laid.len());
    let said: Vec<&Message> = dialog.rows.iter().filter(|row| row.is_said()).collect();
    let at = dialog.bar.and_then(|bar| said.iter().position(|row| row.message_id == bar));
    let last = said.len().checked_sub(1);
    let shown = dialog.laid.get(end.saturating_sub(1)).map_or(i64::MAX, |laid| laid.key);
    let target = match (at, last) {
        (_, None) => None,
        (Some(at), Some(last)) => Some(at.saturating_add_signed(by).min(last)),
        (None, Some(last)) => Some(said.iter().rposition(|row| row.key <= shown).unwrap_or(last)),
    };
    let chosen = target.and_then(|target| said.get(target)).map(|row| (row.message_id, row.key));
    let is_first = target == Some(0);
    dialog.bar = chosen.map(|(id, _)| id);
    if let Some((_, key)) = chosen {
        show(dialog, key, height);
    }
    if is_first && by < 0 && dialog.more_before && !dialog.is_paging {
        super::page_before(dialog, effects);
    }
    relay(state);
}

/// Scrolls as little as shows all of a row.
fn show(dialog: &mut Dialog, key: i64, height: usize) {
    let top = layout::top(dialog, height);
    let from = dialog.laid.partition_point(|laid| laid.key < key);
    let to = dialog.laid.partition_point(|laid| laid.key <= key);
    let wanted = if from < top {
        from
    } else if to > top + height {
        to.saturating_sub(height)
    } else {
        return;
    };
    if let Some(laid) = dialog.laid.get(wanted) {
        dialog.scroll = Scroll::Top(laid.key, laid.number);
    }
}

/// The chosen message of the open conversation.
fn chosen(state: &State) -> Option<(LogId, &Message)> {
    let dialog = state.dialog.as_ref()?;
    let row = dialog.rows.iter().find(|row| Some(row.message_id) == dialog.bar)?;
    Some((dialog.log, row))
}

/// A key while a message is chosen. `false` if it means nothing there.
pub(super) fn key(state: &mut State, key: KeyEvent, effects: &mut Vec<Effect>) -> bool {
    let Some((log, row)) = chosen(state).map(|(log, row)| (log, row.clone())) else { return false };
    let id = row.message_id;
    let mark = |mark| Effect::Mark(log, id, mark);
    match key.code {
        KeyCode::Up => choose(state, -1, effects),
        KeyCode::Down => choose(state, 1, effects),
        KeyCode::Esc => done(state),
        KeyCode::Enter => {
            if let Some(Quote::Known { message_id, seq: Some(seq), .. }) = row.quote {
                done(state);
                if let Some(dialog) = &mut state.dialog {
                    dialog.hit = Some(message_id);
                    dialog.rows.clear();
                    effects.push(Effect::LoadTimeline(log, Span::Around(seq)));
                }
            }
        }
        KeyCode::Char('r') => begin(state, |state| {
            let says = text::line(row.text.as_deref().unwrap_or_default());
            let name = state.name(row.author).to_owned();
            (About::Reply(id, name, says), None)
        }),
        KeyCode::Char('e') if row.author != state.me => {
            state.notice = Some(Notice::Failed(state.words.error("not-allowed").to_owned()));
        }
        KeyCode::Char('e') => begin(state, |_| {
            let text = row.text.clone().unwrap_or_default();
            let text = row.saying.markdown.as_deref().map_or(text, retyped);
            (About::Edit(id), Some(text))
        }),
        KeyCode::Char('d') => state.overlay = Some(Overlay::Confirm(log, id, Mark::Delete)),
        KeyCode::Char('h') => state.overlay = Some(Overlay::Confirm(log, id, Mark::Redact)),
        KeyCode::Char(digit @ '1'..='6') => {
            let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
            if let Some(emoji) = number.and_then(|number| EMOJI.get(number - 1)) {
                effects.push(mark(reaction(&row, emoji)));
            }
        }
        KeyCode::Char('+') => state.overlay = Some(Overlay::React(log, id, Editor::default())),
        KeyCode::Char('p') => effects.push(mark(Mark::Pin(!row.is_pinned))),
        KeyCode::Char('s') => effects.push(mark(Mark::Star(!row.is_starred))),
        KeyCode::Char('w') => {
            state.overlay = Some(Overlay::PassOn(log, id, Editor::default(), 0));
        }
        KeyCode::Char('v') => effects.push(Effect::LoadHistory(log, id)),
        KeyCode::Char('a') if row.kind == MessageKind::Poll => {
            super::cards::vote(state, log, &row, effects);
        }
        KeyCode::Char('c') if row.kind == MessageKind::Poll => {
            state.overlay = Some(Overlay::Confirm(log, id, Mark::ClosePoll));
        }
        KeyCode::Char('o') => {
            let original = row.files.iter().find(|file| file.role == FileRole::Original);
            effects.extend(original.map(|file| {
                Effect::Open(DocumentId { log, message_id: id, position: file.position })
            }));
        }
        KeyCode::Char('c') if row.asking.is_some() => effects.push(mark(Mark::Confirm)),
        KeyCode::Char('l') if row.asking.is_some() => {
            effects.push(Effect::LoadConfirmations(log, id));
        }
        _ => return false,
    }
    true
}

/// No message is chosen any more, and none is answered or changed.
pub(super) fn done(state: &mut State) {
    if let Some(dialog) = &mut state.dialog {
        dialog.bar = None;
        if let About::Edit(_) = std::mem::take(&mut dialog.about) {
            dialog.composer = Editor::default();
        }
    }
    relay(state);
}

fn begin(state: &mut State, about: impl FnOnce(&State) -> (About, Option<String>)) {
    let (about, text) = about(state);
    if let Some(dialog) = &mut state.dialog {
        dialog.bar = None;
        dialog.about = about;
        if let Some(text) = text {
            dialog.composer = Editor::new(&text);
        }
    }
    relay(state);
}

/// The reaction, or its taking back if this person reacts so already.
fn reaction(row: &Message, emoji: &str) -> Mark {
    let mine = row.reactions.iter().any(|tally| tally.mine && tally.emoji == emoji);
    if mine { Mark::Unreact(emoji.to_owned()) } else { Mark::React(emoji.to_owned()) }
}

pub(super) fn react_key(
    state: &mut State,
    (log, id, mut emoji): (LogId, MessageId, Editor),
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    if key.code == KeyCode::Enter && !emoji.is_blank() {
        let row = chosen(state).map(|(_, row)| row).filter(|row| row.message_id == id);
        let emoji = emoji.text().trim();
        let mark = row.map_or(Mark::React(emoji.to_owned()), |row| reaction(row, emoji));
        return effects.push(Effect::Mark(log, id, mark));
    }
    super::overlay::write(&mut emoji, key);
    state.overlay = Some(Overlay::React(log, id, emoji));
}

pub(super) fn confirm_key(
    state: &State,
    (log, id, mark): (LogId, MessageId, Mark),
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    if key.code == KeyCode::Char(state.words.yes) {
        effects.push(Effect::Mark(log, id, mark));
    }
}

/// The conversations that a message may be passed on to, by a part of their names.
pub fn pass_on_rows<'s>(state: &'s State, filter: &Editor) -> Vec<&'s ConversationRow> {
    let wanted = text::folded(filter.text());
    let rows = state.rooms.rows.iter().filter(|row| row.state == LogState::Active);
    rows.filter(|row| text::folded(&state.title(row)).contains(&wanted)).collect()
}

pub(super) fn pass_on_key(
    state: &mut State,
    (log, id, mut filter, at): (LogId, MessageId, Editor, usize),
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    let rows: Vec<LogId> = pass_on_rows(state, &filter).into_iter().map(|row| row.log).collect();
    let mut at = at.min(rows.len().saturating_sub(1));
    match key.code {
        KeyCode::Up => at = at.saturating_sub(1),
        KeyCode::Down => at = (at + 1).min(rows.len().saturating_sub(1)),
        KeyCode::Enter => {
            if let Some(to) = rows.get(at) {
                return effects.push(Effect::Mark(log, id, Mark::PassOn(*to)));
            }
        }
        _ => {
            if super::overlay::write(&mut filter, key) {
                at = 0;
            }
        }
    }
    state.overlay = Some(Overlay::PassOn(log, id, filter, at));
}

pub(super) fn history(state: &mut State, versions: Vec<Version>, people: Vec<(UserId, String)>) {
    state.overlay = Some(Overlay::History(versions, people, 0));
}

pub(super) fn history_key(
    state: &mut State,
    (versions, people, at): (Vec<Version>, Vec<(UserId, String)>, usize),
    key: KeyEvent,
) {
    let last = versions.len() + people.len();
    let at = match key.code {
        KeyCode::Down | KeyCode::PageDown => (at + 1).min(last),
        KeyCode::Up | KeyCode::PageUp => at.saturating_sub(1),
        _ => return,
    };
    state.overlay = Some(Overlay::History(versions, people, at));
}

/// Completes a name behind an @ at the end of what is written. `false` if there is none to complete.
pub(super) fn complete(state: &mut State) -> bool {
    let Some(dialog) = &mut state.dialog else { return false };
    let written = dialog.composer.text();
    let Some(at) = written.rfind('@').filter(|_| dialog.composer.at() == written.len()) else {
        return false;
    };
    let begun = written[at + 1..].to_lowercase();
    if begun.is_empty() || begun.contains(char::is_whitespace) {
        return false;
    }
    let everybody = state.words.everybody;
    let known = state.people.all().map(|person| person.handle.as_str()).chain([everybody]);
    let mut fitting: Vec<&str> =
        known.filter(|handle| handle.to_lowercase().starts_with(&begun)).collect();
    fitting.sort_unstable();
    let Some(first) = fitting.first() else { return false };
    let rest: String = first.chars().skip(begun.chars().count()).collect();
    dialog.composer.insert(&format!("{rest} "));
    dialog.is_unsaved = true;
    dialog.is_untold = true;
    true
}

/// The keys of a dialog that choose a message.
pub(super) fn chooses(key: KeyEvent) -> bool {
    let alt = key.modifiers.contains(ratatui::crossterm::event::KeyModifiers::ALT);
    key.code == KeyCode::F(8) || alt && key.code == KeyCode::Up
}

#[cfg(test)]
mod tests;
