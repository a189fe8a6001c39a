//! What an event makes of the client: a function from state and event to state and effects.

mod cards;
mod documents;
mod keys;
mod overlay;
mod presence;
mod rooms;
pub mod talk;

use std::collections::BTreeSet;

use hauspost_core::observe::Change;
use hauspost_core::read::TimelinePage;
use hauspost_core::store::rows::log::LogState;
use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{LogId, MessageId, Seq, UserId};

use super::command;
use super::editor::Editor;
use super::event::{Effect, Event, Span};
use super::layout;
use super::state::{About, Dialog, Focus, Notice, Overlay, People, Picker, Purpose, Scroll, State};
use super::text;
use super::words::fill;

/// Rows of the list that are read at first, and more each time its end is reached.
const ROOMS: u32 = 100;
/// Rows of a timeline that are read at once.
const PAGE: u32 = 100;
/// Rows of a timeline that are kept.
const KEPT: usize = 500;
/// Unread messages up to which a dialog is read from its end.
const UNREAD: u64 = 60;

/// What a client asks for when it begins.
pub fn begin() -> Vec<Effect> {
    vec![
        Effect::LoadPeople,
        Effect::LoadRooms(ROOMS),
        Effect::LoadAlarms,
        Effect::LoadBell,
        // What came while nobody sat here does not ring.
        Effect::TakeNotifications(false),
        Effect::SetInFront(true),
    ]
}

/// What an event makes of the client, and what is to be done for it.
pub fn update(mut state: State, event: Event) -> (State, Vec<Effect>) {
    let mut effects = Vec::new();
    let is_key = matches!(event, Event::Key(_) | Event::Paste(_));
    let before = is_key.then(|| presence::written(&state));
    take(&mut state, event, &mut effects);
    if let Some(before) = before {
        let written = presence::written(&state).filter(|now| before.as_ref() != Some(now));
        effects.extend(written.map(|(log, _)| Effect::Typing(log)));
    }
    mark_read(&mut state, &mut effects);
    (state, effects)
}

/// What was written comes back to be mended, unless something else was begun.
fn not_sent(state: &mut State, log: LogId, written: &str, why: String) {
    let dialog = state.dialog.as_mut().filter(|dialog| dialog.log == log);
    if let Some(dialog) = dialog.filter(|dialog| dialog.composer.is_blank()) {
        dialog.composer = Editor::new(written);
        dialog.is_unsaved = true;
        dialog.is_untold = true;
    }
    state.notice = Some(Notice::Failed(why));
}

fn take(state: &mut State, event: Event, effects: &mut Vec<Effect>) {
    match event {
        Event::Key(key) => keys::key(state, key, effects),
        Event::Paste(text) => keys::paste(state, &text, effects),
        Event::Resize(columns, rows) => {
            state.size = (columns, rows);
            relay(state);
        }
        Event::Clock(now_ms) => {
            state.now_ms = now_ms;
            note_draft(state, effects);
            relay(state);
        }
        Event::Quit => end(state, effects),
        Event::Focus(is_focused) => presence::focus(state, is_focused, effects),
        Event::Presence(log, known, shown) => presence::known(state, log, known, shown),
        Event::Notified(new) => presence::notified(state, &new),
        Event::Bell(on, is_new) => presence::bell(state, on, is_new),
        Event::Changed(changes) => changed(state, &changes, effects),
        Event::Link(link) => state.link = link,
        // Those of the other list were asked for before it was left.
        Event::Rooms(rows, _)
            if rows.first().is_some_and(|row| row.archived != state.rooms.archived) => {}
        Event::Rooms(rows, more) => {
            state.rooms.rows = rows;
            state.rooms.more = more;
            if state.rooms.selected.is_none() {
                state.rooms.selected = state.rooms.rows.first().map(|row| row.log);
            }
        }
        Event::Room(log, row) => {
            let dialog = state.dialog.as_mut().filter(|dialog| dialog.log == log);
            if let (Some(dialog), Some(row)) = (dialog, row) {
                // What another device wrote comes here, but for under somebody's fingers.
                let changed = row.draft_version != dialog.draft_version && !dialog.is_untold;
                if changed || dialog.row.is_none() && dialog.composer.is_blank() {
                    dialog.composer = Editor::new(row.draft.as_deref().unwrap_or_default());
                    dialog.draft_version = row.draft_version;
                }
                dialog.row = Some(*row);
            }
        }
        Event::Timeline(log, span, page) => timeline(state, log, span, page, effects),
        Event::People(people) => {
            state.people = People::new(people, state.words.somebody);
            relay(state);
        }
        Event::Members(log, people) => rooms::members(state, log, people),
        Event::Standing(log, standing) => {
            if let Some(dialog) = state.dialog.as_mut().filter(|dialog| dialog.log == log) {
                dialog.standing = Some(standing);
                relay(state);
            }
        }
        Event::Picture(log, picture) => {
            if let Some(Overlay::Members(members)) = &mut state.overlay
                && members.log == log
            {
                members.picture = picture;
            }
        }
        Event::Confirmations(list) => rooms::confirmations(state, list),
        Event::Reminded => {
            state.notice = Some(Notice::Done(state.words.rooms.done[0].to_owned()));
        }
        Event::Found(wanted, page, more) => overlay::found(state, &wanted, page, more),
        Event::Begun(log) => open(state, log, None, effects),
        Event::NotSent(log, written, why) => {
            let why = fill(state.words.not_sent, &[state.words.error(why)]);
            not_sent(state, log, &written, why);
        }
        Event::NoFile(log, written, path) => {
            let path = text::line(&path.to_string_lossy());
            let why = fill(state.words.documents.no_file, &[&path]);
            not_sent(state, log, &written, why);
        }
        Event::Documents(log, kind, page, more) => {
            documents::listed(state, (log, kind), page, more);
        }
        Event::History(versions, people) => talk::history(state, versions, people),
        Event::PassedOn => done(state, state.words.talk.was_passed_on.to_owned()),
        Event::Alarms(rows) => {
            state.alarms = rows;
            relay(state);
        }
        Event::Voters(of, voters) => cards::voters(state, of, voters),
        Event::Company(said) => {
            let (policy, quiet, withheld) = *said;
            let mut page = state.words.company.page(&policy, &quiet, withheld);
            let handed = policy.handovers.iter().map(|known| {
                let (from, to) = (state.name(known.from), state.name(known.to));
                let words = state.words.company.handed[usize::from(!known.is_whole)];
                fill(words, &[from, to, &layout::short_time(known.t_ms, state)])
            });
            page.extend(handed.collect::<Vec<_>>());
            state.overlay = Some(Overlay::Company(page, 0));
        }
        Event::Transfers(all) => documents::transfers(state, all),
        Event::Saved(path) => {
            let path = text::line(&path.to_string_lossy());
            done(state, fill(state.words.documents.saved, &[&path]));
        }
        Event::NotSaved(folder, why) => {
            let folder = text::line(&folder.to_string_lossy());
            let why = state.words.documents.not_saved(why);
            state.notice = Some(Notice::Failed(fill(why, &[&folder])));
        }
        Event::Opened(path) => {
            let path = text::line(&path.to_string_lossy());
            done(state, fill(state.words.documents.opened, &[&path]));
        }
        Event::Stopped(count) => {
            let [stopped, nothing] = state.words.documents.stopped;
            state.notice = Some(match count {
                0 => Notice::Hint(nothing.to_owned()),
                _ => Notice::Done(fill(stopped, &[&count.to_string()])),
            });
        }
        Event::Approved => done(state, state.words.approved.to_owned()),
        Event::Failed(why) => {
            state.notice = Some(Notice::Failed(state.words.error(why).to_owned()));
        }
        Event::FailedChanges(log, failed) => {
            if let Some(dialog) = state.dialog.as_mut().filter(|dialog| dialog.log == log) {
                dialog.failed = failed;
                relay(state);
            }
        }
    }
}

fn changed(state: &State, changes: &[Change], effects: &mut Vec<Effect>) {
    let every = changes.contains(&Change::EveryLog);
    let people = every || changes.contains(&Change::People);
    if people {
        effects.push(Effect::LoadPeople);
    }
    if people || changes.contains(&Change::Conversations) {
        effects.push(rooms_again(state));
        effects.extend(state.dialog.as_ref().map(|dialog| Effect::LoadRoom(dialog.log)));
    }
    if changes.contains(&Change::Alarms) {
        effects.push(Effect::LoadAlarms);
    }
    if every || changes.contains(&Change::Conversations) {
        effects.push(Effect::TakeNotifications(true));
    }
    let Some(dialog) = &state.dialog else { return };
    if every || changes.contains(&Change::Presence) {
        effects.push(Effect::LoadPresence(dialog.log));
    }
    if every || changes.contains(&Change::Outbox) {
        effects.push(Effect::LoadFailedChanges(dialog.log));
    }
    if every || changes.contains(&Change::Company) || changes.contains(&Change::Log(dialog.log)) {
        effects.push(Effect::LoadStanding(dialog.log));
    }
    if every || changes.contains(&Change::Log(dialog.log)) {
        effects.push(Effect::LoadTransfers);
        effects.push(Effect::LoadTimeline(dialog.log, again(dialog)));
        if let Some(Overlay::Ballot(ballot)) = &state.overlay {
            effects.push(cards::again(ballot));
        }
        if let Some(Overlay::Documents(documents)) = &state.overlay {
            effects.push(documents::again(documents));
        }
        if let Some(Overlay::Members(members)) = &state.overlay {
            effects.push(Effect::LoadMembers(members.log));
            effects.push(Effect::LoadPicture(members.log));
        }
        if let Some(Overlay::Confirmations(list, _)) = &state.overlay {
            effects.push(Effect::LoadConfirmations(list.log, list.message_id));
        }
    }
}

/// The list that is shown, read again.
fn rooms_again(state: &State) -> Effect {
    let count = rooms_wanted(state);
    if state.rooms.archived { Effect::LoadArchived(count) } else { Effect::LoadRooms(count) }
}

fn rooms_wanted(state: &State) -> u32 {
    let read = u32::try_from(state.rooms.rows.len()).unwrap_or(u32::MAX - ROOMS);
    read.next_multiple_of(ROOMS).max(ROOMS)
}

/// The part of a timeline that is on the screen, with what may have come to it.
fn again(dialog: &Dialog) -> Span {
    let read = u32::try_from(dialog.rows.len()).unwrap_or(u32::MAX / 2);
    match dialog.rows.first() {
        Some(first) if dialog.scroll != Scroll::Follow => Span::Again(first.key, read + PAGE / 2),
        _ => Span::Newest(read.clamp(PAGE, 3 * PAGE)),
    }
}

fn timeline(
    state: &mut State,
    log: LogId,
    span: Span,
    page: TimelinePage,
    effects: &mut Vec<Effect>,
) {
    let Some(dialog) = state.dialog.as_mut().filter(|dialog| dialog.log == log) else { return };
    let is_first = dialog.rows.is_empty();
    dialog.history = page.history;
    match span {
        Span::Before(key) => {
            dialog.is_paging = false;
            if dialog.rows.first().is_none_or(|first| first.key != key) {
                return;
            }
            dialog.rows.splice(0..0, page.rows);
            dialog.more_before = page.more_before;
            if dialog.rows.len() > KEPT {
                dialog.rows.truncate(KEPT);
                dialog.more_after = true;
            }
        }
        Span::After(key) => {
            dialog.is_paging = false;
            if dialog.rows.last().is_none_or(|last| last.key != key) {
                return;
            }
            dialog.rows.extend(page.rows);
            dialog.more_after = page.more_after;
            if dialog.rows.len() > KEPT {
                dialog.rows.drain(..dialog.rows.len() - KEPT);
                dialog.more_before = true;
            }
        }
        Span::Newest(_) | Span::Around(_) | Span::Again(..) => {
            dialog.rows = page.rows;
            dialog.more_before = page.more_before;
            dialog.more_after = page.more_after;
        }
    }
    relay(state);
    let (me, height) = (state.me, usize::from(layout::areas(state).timeline.height));
    let Some(dialog) = &mut state.dialog else { return };
    if is_first {
        settle(dialog, me, height);
    }
    if dialog.laid.len() < height && dialog.more_before && !dialog.is_paging {
        page_before(dialog, effects);
    }
}

/// Where a dialog is looked at first: at the hit of a search, at the first unread message if not all
/// of them fit, else at its end.
fn settle(dialog: &mut Dialog, me: UserId, height: usize) {
    let hit = dialog.rows.iter().find(|row| Some(row.message_id) == dialog.hit);
    let (key, above) = match (hit, layout::first_new(dialog, me)) {
        (Some(row), _) => (row.key, height / 2),
        (None, Some(key)) => (key, 1),
        (None, None) => return,
    };
    let at = dialog.laid.partition_point(|laid| laid.key < key);
    let is_far = dialog.laid.len() - at > height.saturating_sub(above) || dialog.more_after;
    if is_far && let Some(laid) = dialog.laid.get(at.saturating_sub(above)) {
        dialog.scroll = Scroll::Top(laid.key, laid.number);
    }
}

/// Scrolls so many lines down, or up if negative.
fn scroll(state: &mut State, lines: isize, effects: &mut Vec<Effect>) {
    let height = usize::from(layout::areas(state).timeline.height);
    let Some(dialog) = &mut state.dialog else { return };
    let last = dialog.laid.len().saturating_sub(height);
    let target = layout::top(dialog, height).saturating_add_signed(lines).min(last);
    dialog.scroll = match dialog.laid.get(target) {
        Some(laid) if target < last || dialog.more_after => Scroll::Top(laid.key, laid.number),
        _ => Scroll::Follow,
    };
    if dialog.is_paging {
        return;
    }
    if lines < 0 && target < height && dialog.more_before {
        page_before(dialog, effects);
    } else if lines > 0
        && target + height >= last
        && dialog.more_after
        && let Some(newest) = dialog.rows.last()
    {
        dialog.is_paging = true;
        effects.push(Effect::LoadTimeline(dialog.log, Span::After(newest.key)));
    }
}

fn page_before(dialog: &mut Dialog, effects: &mut Vec<Effect>) {
    if let Some(oldest) = dialog.rows.first() {
        dialog.is_paging = true;
        effects.push(Effect::LoadTimeline(dialog.log, Span::Before(oldest.key)));
    }
}

/// Opens a conversation, at a hit of a search if one is named.
fn open(
    state: &mut State,
    log: LogId,
    hit: Option<(MessageId, Option<Seq>)>,
    effects: &mut Vec<Effect>,
) {
    save_draft(state, effects);
    state.overlay = None;
    state.focus = Focus::Dialog;
    state.rooms.selected = Some(log);
    let row = state.rooms.rows.iter().find(|row| row.log == log).cloned();
    let many = row.as_ref().filter(|row| row.unread > UNREAD);
    let unread = many.map(|row| row.read_seq.map_or(Seq(0), Seq::next));
    let mut dialog = Dialog::new(log, row);
    dialog.hit = hit.map(|(id, _)| id);
    let around = hit.and_then(|(_, seq)| seq).or(unread);
    let span = around.map_or(Span::Newest(PAGE), Span::Around);
    state.dialog = Some(dialog);
    effects.push(Effect::LoadRoom(log));
    effects.push(Effect::LoadTimeline(log, span));
    effects.push(Effect::LoadFailedChanges(log));
    effects.push(Effect::LoadStanding(log));
    effects.push(Effect::LoadPresence(log));
}

fn send(state: &mut State, effects: &mut Vec<Effect>) {
    let dialog = state.dialog.as_mut().filter(|dialog| !dialog.composer.is_blank());
    let Some(dialog) = dialog else { return };
    if let Some(command) = command::read(dialog.composer.text()) {
        return documents::run(state, command, effects);
    }
    if dialog.row.as_ref().is_some_and(|row| row.state != LogState::Active) {
        state.notice = Some(Notice::Hint(state.words.not_here.to_owned()));
        return;
    }
    if dialog.is_read_only() {
        state.notice = Some(Notice::Hint(state.words.rooms.read_only.to_owned()));
        return;
    }
    let written = dialog.composer.take().trim_end().to_owned();
    dialog.is_unsaved = false;
    dialog.is_untold = false;
    dialog.new_after = None;
    dialog.hit = None;
    dialog.scroll = Scroll::Follow;
    dialog.bar = None;
    effects.push(match std::mem::take(&mut dialog.about) {
        About::New => Effect::Send(dialog.log, written),
        About::Reply(to, ..) => Effect::Reply(dialog.log, to, written),
        About::Edit(id) => Effect::Edit(dialog.log, id, written),
    });
    effects.push(Effect::SaveDraft(dialog.log, None, dialog.draft_version));
    if dialog.more_after {
        effects.push(Effect::LoadTimeline(dialog.log, Span::Newest(PAGE)));
    }
}

/// The person leaves what is being written.
fn save_draft(state: &mut State, effects: &mut Vec<Effect>) {
    let left = state.dialog.as_mut().filter(|dialog| dialog.is_unsaved || dialog.is_untold);
    if let Some(dialog) = left {
        (dialog.is_unsaved, dialog.is_untold) = (false, false);
        effects.push(Effect::SaveDraft(dialog.log, to_keep(dialog), dialog.draft_version));
    }
}

/// The person goes on writing.
fn note_draft(state: &mut State, effects: &mut Vec<Effect>) {
    if let Some(dialog) = state.dialog.as_mut().filter(|dialog| dialog.is_unsaved) {
        dialog.is_unsaved = false;
        effects.push(Effect::NoteDraft(dialog.log, to_keep(dialog), dialog.draft_version));
    }
}

/// A change of an old message is no draft of a new one.
fn to_keep(dialog: &Dialog) -> Option<String> {
    dialog.draft().filter(|_| !matches!(dialog.about, About::Edit(_)))
}

fn done(state: &mut State, what: String) {
    state.notice = Some(Notice::Done(what));
}

fn end(state: &mut State, effects: &mut Vec<Effect>) {
    save_draft(state, effects);
    state.is_ending = true;
}

/// Lays the dialog out again, also while a narrow screen shows the list only.
fn relay(state: &mut State) {
    let columns = layout::areas(state).timeline.width;
    let columns = if columns == 0 { state.size.0 } else { columns };
    let laid = state.dialog.as_ref().map(|it| layout::lay(state, it, usize::from(columns)));
    if let (Some(dialog), Some(laid)) = (&mut state.dialog, laid) {
        dialog.laid = laid;
    }
}

/// What a person has on the screen is read, if he looks at it.
fn mark_read(state: &mut State, effects: &mut Vec<Effect>) {
    let height = usize::from(layout::areas(state).timeline.height);
    if height == 0 || state.overlay.is_some() || !state.is_focused {
        return;
    }
    let Some(dialog) = &mut state.dialog else { return };
    let seen = layout::seen(dialog, height);
    if let Some(seq) = seen.filter(|_| seen > dialog.read) {
        dialog.read = seen;
        effects.push(Effect::MarkRead(dialog.log, seq));
    }
}

fn pick(state: &mut State, purpose: Purpose, without: BTreeSet<UserId>) {
    state.overlay = Some(Overlay::Picker(Picker::new(purpose, without)));
}

/// The group that is open, if it goes on.
fn open_group(state: &State) -> Option<LogId> {
    let row = state.dialog.as_ref()?.row.as_ref()?;
    let is_room = matches!(row.r#type, LogType::Group | LogType::Announce);
    (is_room && row.state == LogState::Active).then_some(row.log)
}

#[cfg(test)]
mod tests;
