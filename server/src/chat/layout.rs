//! Where everything lies: areas of the screen, and the lines of a dialog.
//!
//! A dialog is laid out when its rows, names or width change, not when it is drawn: scrolling needs
//! the lines as well, and a key must not wrap five hundred messages again.

use hauspost_core::account::{Transfer, TransferState};
use hauspost_core::read::{FailedChange, WantedChange};
use hauspost_core::store::rows::file::{DocumentId, ShownFile};
use hauspost_core::store::rows::message::{Event, Message, MessageKind, MessageState};
use hauspost_core::store::rows::preview::PreviewState;
use hauspost_protocol::ids::{Seq, TimeMs, UserId};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::state::{Dialog, Focus, Scroll, State};
use super::text;
use super::words::fill;

mod card;
mod message;

pub use card::mark as option_mark;

/// Columns from which list and dialog stand side by side.
const WIDE: u16 = 64;
/// Rows of a screen from which there is room for a title and a rule.
const TALL: u16 = 9;
/// Columns before a text: the time.
const GUTTER: usize = 6;
/// Columns behind a text: how far it is.
const MARKS: usize = 3;

/// The areas of the screen; what is not shown is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Areas {
    /// Server, person and link.
    pub status: Rect,
    /// What the person must hear of.
    pub alarm: Rect,
    /// The list of conversations.
    pub list: Rect,
    /// The open conversation's name.
    pub title: Rect,
    /// Its timeline.
    pub timeline: Rect,
    /// The line between timeline and composer.
    pub rule: Rect,
    /// What is being written.
    pub composer: Rect,
    /// Keys, or a notice.
    pub footer: Rect,
}

/// The areas for a terminal of this size.
pub fn areas(state: &State) -> Areas {
    let (columns, rows) = state.size;
    let status = Rect::new(0, 0, columns, rows.min(1));
    let footer = Rect::new(0, rows.saturating_sub(1), columns, u16::from(rows > 1));
    let alarming = state.alarms.iter().any(|alarm| !alarm.is_acknowledged);
    let alarm = Rect::new(0, 1, columns, u16::from(alarming && rows > 3));
    let body =
        Rect::new(0, rows.min(1 + alarm.height), columns, rows.saturating_sub(2 + alarm.height));
    let mut areas = Areas { status, alarm, footer, ..Areas::default() };
    let is_wide = columns >= WIDE;
    let listed = if is_wide { (columns / 3).clamp(22, 38) } else { columns };
    if is_wide || state.focus == Focus::List || state.dialog.is_none() {
        areas.list = Rect { width: listed, ..body };
    }
    let right =
        if is_wide { Rect { x: listed + 1, width: columns - listed - 1, ..body } } else { body };
    let shows_dialog = is_wide || state.focus == Focus::Dialog;
    let Some(dialog) = state.dialog.as_ref().filter(|_| shows_dialog) else {
        return areas;
    };
    let frame = u16::from(rows >= TALL);
    let wanted = text::wrap(dialog.composer.text(), composer_columns(right.width)).len();
    let most = (right.height / 3).max(1);
    let composer = u16::try_from(wanted).unwrap_or(most).clamp(1, most).min(right.height);
    let timeline = right.height.saturating_sub(composer + 2 * frame);
    areas.title = Rect { height: frame, ..right };
    areas.timeline = Rect { y: right.y + frame, height: timeline, ..right };
    areas.rule = Rect { y: right.y + frame + timeline, height: frame, ..right };
    areas.composer = Rect { y: right.y + 2 * frame + timeline, height: composer, ..right };
    areas
}

/// Columns for what is written, behind the prompt and with room for the cursor at its end.
pub fn composer_columns(width: u16) -> usize {
    usize::from(width).saturating_sub(3).max(1)
}

/// A line of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// The row of the timeline that it belongs to.
    pub key: i64,
    /// Which of the row's lines it is.
    pub number: usize,
    /// What it shows.
    pub line: Line<'static>,
}

/// The first line that is shown.
pub fn top(dialog: &Dialog, height: usize) -> usize {
    let last = dialog.laid.len().saturating_sub(height);
    match dialog.scroll {
        Scroll::Follow => last,
        Scroll::Top(key, number) => {
            let at = dialog.laid.partition_point(|laid| (laid.key, laid.number) < (key, number));
            at.min(last)
        }
    }
}

/// The newest entry of which all is above the lower edge.
pub fn seen(dialog: &Dialog, height: usize) -> Option<Seq> {
    let end = (top(dialog, height) + height).min(dialog.laid.len());
    let cut = dialog.laid.get(end).map(|laid| laid.key);
    let last = dialog.laid.get(end.checked_sub(1)?)?.key;
    let whole = dialog.rows.iter().filter(|row| row.key <= last && Some(row.key) != cut);
    whole.filter_map(|row| row.seq).max()
}

/// The first row of others that was not read when the conversation was opened.
pub fn first_new(dialog: &Dialog, me: UserId) -> Option<i64> {
    let after = dialog.new_after?;
    let mut rows = dialog.rows.iter();
    let is_new = |row: &&Message| {
        let counts = !matches!(row.kind, MessageKind::Event | MessageKind::Gap);
        counts && row.author != me && row.seq.is_some() && row.seq > after
    };
    rows.find(is_new).map(|row| row.key)
}

/// A dialog's rows as lines of so many columns.
pub fn lay(state: &State, dialog: &Dialog, columns: usize) -> Vec<Laid> {
    let mut laid = Vec::new();
    let new = first_new(dialog, state.me);
    let mut before: Option<&Message> = None;
    if dialog.more_before
        && let Some(first) = dialog.rows.first()
    {
        let line = centred(state.words.older, columns, dim());
        laid.push(Laid { key: first.key, number: 0, line });
    }
    for row in &dialog.rows {
        let from = laid.last().filter(|last| last.key == row.key).map_or(0, |_| 1);
        let mut lines = Vec::new();
        let day = day(row.t_ms, &state.zone);
        let is_new_day = before.is_none_or(|before| self::day(before.t_ms, &state.zone) != day);
        if is_new_day {
            lines.push(ruled(&long_day(row.t_ms, state), columns, dim()));
        }
        if new == Some(row.key) {
            let style = Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD);
            lines.push(ruled(state.words.new_messages, columns, style));
        }
        if row.missing > 0 {
            let text = state.words.missing[usize::from(row.missing > 1)];
            let name = state.people.name(row.author);
            let text = fill(text, &[&row.missing.to_string(), name]);
            lines.extend(note(&text, columns, warning()));
        }
        match row.kind {
            MessageKind::Text
            | MessageKind::File
            | MessageKind::Place
            | MessageKind::Contact
            | MessageKind::Poll => {
                let is_said = |row: &Message| row.is_said() && row.kind != MessageKind::Unknown;
                let same =
                    before.is_some_and(|before| before.author == row.author && is_said(before));
                if !same || is_new_day || new == Some(row.key) || row.missing > 0 {
                    let name = text::fit(state.name(row.author), columns);
                    lines.push(Line::styled(name, author(row.author, state.me)));
                }
                lines.extend(message::lines(state, row, dialog, columns));
            }
            _ => lines.extend(other(state, row, columns)),
        }
        let numbered = lines.into_iter().enumerate();
        laid.extend(numbered.map(|(i, line)| Laid { key: row.key, number: from + i, line }));
        before = Some(row);
    }
    for (i, failed) in dialog.failed.iter().enumerate() {
        // Behind all rows, in the order in which they were wanted.
        let key = i64::MAX - (dialog.failed.len() - i) as i64;
        let lines = failed_change(state, failed, columns).into_iter().enumerate();
        laid.extend(lines.map(|(number, line)| Laid { key, number, line }));
    }
    laid
}

/// What this person wanted changed, and why it was not.
fn failed_change(state: &State, failed: &FailedChange, columns: usize) -> Vec<Line<'static>> {
    let names = |users: &[UserId]| state.names(users);
    let [create, add, remove, leave, rename, other] = state.words.changes;
    let wanted = match &failed.wanted {
        WantedChange::Create(users) => fill(create, &[&names(users)]),
        WantedChange::Add(users) => fill(add, &[&names(users)]),
        WantedChange::Remove(user) => fill(remove, &[&names(&[*user])]),
        WantedChange::Leave => leave.to_owned(),
        WantedChange::Rename(title) => fill(rename, &[&text::line(title)]),
        WantedChange::Owner(user, named) => {
            let change = state.words.rooms.changes[usize::from(!named)];
            fill(change, &[&names(&[*user])])
        }
        WantedChange::About(_, kind) => state.words.change(*kind).to_owned(),
        WantedChange::Renew | WantedChange::ChangeSuite | WantedChange::Newer => other.to_owned(),
    };
    let why = state.words.reason(Some(failed.reason));
    note(&fill(state.words.failed_change, &[&wanted, &why]), columns, warning())
}

/// How large a document is, and where.
pub fn document_state(state: &State, which: DocumentId, file: &ShownFile) -> String {
    let [here, up, down, held] = state.words.documents.states;
    let [page, pages, refused] = state.words.documents.looked;
    let mut size = text::bytes(file.size);
    if let Some(count) = file.pages {
        size += ", ";
        size += &fill(if count == 1 { page } else { pages }, &[&count.to_string()]);
    }
    if file.preview == Some(PreviewState::Dropped) {
        size += ", ";
        size += refused;
    }
    let share = |transfer: &Transfer| {
        let share = u128::from(transfer.done) * 100 / u128::from(transfer.total.max(1));
        share.to_string()
    };
    match state.transfers.get(&which) {
        Some(held_back) if held_back.state == TransferState::Held => format!("{size}, {held}"),
        Some(up_there) if up_there.is_upload => {
            format!("{size}, {}", fill(up, &[&share(up_there)]))
        }
        Some(coming) => format!("{size}, {}", fill(down, &[&share(coming)])),
        None if file.is_here => format!("{size}, {here}"),
        None => size,
    }
}

/// How much is not readable from here on, and how much of it has come.
fn unreadable(state: &State, missing: u64) -> String {
    let words = state.words;
    let missing = fill(words.unreadable[1], &[&missing.to_string()]);
    match state.dialog.as_ref().and_then(|dialog| dialog.history) {
        Some(history) => {
            let (came, asked) = (history.came().to_string(), history.asked.to_string());
            format!("{missing} · {}", fill(words.coming, &[&came, &asked]))
        }
        None => missing,
    }
}

/// What happened to a conversation, as its dialog and the list say it.
pub fn happened(state: &State, event: &Event, author: UserId) -> String {
    let (words, by) = (state.words, state.name(author));
    match event {
        Event::Created => fill(words.created, &[by]),
        Event::Joined(users) if *users == [author] => fill(words.joined, &[by]),
        Event::Joined(users) => fill(words.added, &[by, &state.names(users)]),
        Event::Removed(users) => fill(words.removed, &[by, &state.names(users)]),
        Event::Left(users) => fill(words.went, &[&state.names(users)]),
        Event::Reset => fill(words.reset, &[by]),
        Event::Owner(user) => fill(words.rooms.lines[0], &[by, state.name(*user)]),
        Event::NoOwner(user) => fill(words.rooms.lines[1], &[by, state.name(*user)]),
        Event::Titled(title) if title.is_empty() => fill(words.rooms.lines[3], &[by]),
        Event::Titled(title) => fill(words.rooms.lines[2], &[by, &text::line(title)]),
        Event::Pictured(true) => fill(words.rooms.lines[4], &[by]),
        Event::Pictured(false) => fill(words.rooms.lines[5], &[by]),
        Event::HandedOver { from, to, at_ms } => {
            let (from, to) = (state.name(*from), state.name(*to));
            fill(words.rooms.handed[0], &[from, to, &short_time(*at_ms, state)])
        }
        Event::Newer => words.newer[1].to_owned(),
    }
}

fn other(state: &State, row: &Message, columns: usize) -> Vec<Line<'static>> {
    let words = state.words;
    let by = state.name(row.author);
    let time = clock(row.t_ms, &state.zone);
    let (text, style) = match row.kind {
        MessageKind::Unknown => (fill(words.newer[2], &[by]), warning()),
        MessageKind::Gap => (fill(words.gap[1], &[by]), warning()),
        MessageKind::Unreadable => (unreadable(state, row.missing), dim()),
        MessageKind::Event => {
            let event = Event::from_content(row.content.as_deref().unwrap_or_default());
            (happened(state, &event, row.author), dim())
        }
        _ => return note(words.newer[1], columns, warning()),
    };
    let mut lines = note(&format!("{time} {text}"), columns, style);
    if row.state == MessageState::Failed {
        let why = fill(words.failed, &[&words.reason(row.reason)]);
        lines.extend(note(&why, columns, warning()));
    }
    lines
}

/// A line about the dialog, wrapped and set off from what people wrote.
fn note(text: &str, columns: usize, style: Style) -> Vec<Line<'static>> {
    let rows = text::wrap(text, columns.saturating_sub(2).max(1));
    let line = |(i, row): (usize, text::Row)| {
        let lead = if i == 0 { "· " } else { "  " };
        Line::styled(format!("{lead}{}", &text[row]), style)
    };
    rows.into_iter().enumerate().map(line).collect()
}

fn ruled(text: &str, columns: usize, style: Style) -> Line<'static> {
    let text = text::fit(text, columns.saturating_sub(4));
    let rest = columns.saturating_sub(text::width(&text) + 4);
    Line::styled(format!("── {text} {}", "─".repeat(rest + 1)), style)
}

fn centred(text: &str, columns: usize, style: Style) -> Line<'static> {
    Line::styled(format!("{text:^columns$}"), style)
}

/// What is beside the point.
pub fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// What should be noticed.
pub fn warning() -> Style {
    Style::new().fg(Color::Red)
}

/// A person's colour, the same in every conversation.
fn author(user: UserId, me: UserId) -> Style {
    const COLOURS: [Color; 5] =
        [Color::Cyan, Color::Magenta, Color::Green, Color::Blue, Color::Yellow];
    let bold = Style::new().add_modifier(Modifier::BOLD);
    if user == me {
        return bold;
    }
    let sum: usize = user.0.iter().map(|byte| usize::from(*byte)).sum();
    bold.fg(COLOURS[sum % COLOURS.len()])
}

fn zoned(t_ms: TimeMs, zone: &TimeZone) -> jiff::Zoned {
    let ms = i64::try_from(t_ms).unwrap_or(i64::MAX);
    // A time beyond the calendar is shown as its beginning.
    Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(zone.clone())
}

fn day(t_ms: TimeMs, zone: &TimeZone) -> jiff::civil::Date {
    zoned(t_ms, zone).date()
}

fn clock(t_ms: TimeMs, zone: &TimeZone) -> String {
    zoned(t_ms, zone).strftime("%H:%M").to_string()
}

fn long_day(t_ms: TimeMs, state: &State) -> String {
    let (words, zone) = (state.words, &state.zone);
    let (then, today) = (zoned(t_ms, zone).date(), day(state.now_ms, zone));
    if then == today {
        return words.days[0].to_owned();
    }
    if today.yesterday().is_ok_and(|yesterday| yesterday == then) {
        return words.days[1].to_owned();
    }
    let weekday = words.weekdays[then.weekday().to_monday_zero_offset() as usize];
    format!(
        "{weekday}, {}{} {} {}",
        then.day(),
        words.ordinal,
        month(then, words.months),
        then.year()
    )
}

fn month(date: jiff::civil::Date, months: [&'static str; 12]) -> &'static str {
    months[usize::from(date.month().unsigned_abs()).saturating_sub(1) % 12]
}

/// The time of day of a time, and how many days ago that was.
pub fn clock_and_days(t_ms: TimeMs, state: &State) -> (String, i64) {
    let (then, today) = (day(t_ms, &state.zone), day(state.now_ms, &state.zone));
    let days = today.since(then).map_or(i64::MAX, |span| i64::from(span.get_days()));
    (clock(t_ms, &state.zone), days)
}

/// A time as a list shows it: the hour today, else the day.
pub fn short_time(t_ms: TimeMs, state: &State) -> String {
    let (words, zone) = (state.words, &state.zone);
    let (then, today) = (zoned(t_ms, zone).date(), day(state.now_ms, zone));
    if then == today {
        return clock(t_ms, zone);
    }
    let day = format!("{}{} {}", then.day(), words.ordinal, month(then, words.short_months));
    if then.year() == today.year() { day } else { format!("{day} {}", then.year()) }
}
