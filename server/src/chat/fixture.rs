//! A client for tests: two people, a dialog, and rows to show.

use hauspost_core::account::{Link, Role};
use hauspost_core::read::{ConversationCursor, ConversationRow, LastLine, TimelinePage};
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::{Fate, Message, MessageKind, MessageState, Saying};
use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{DeviceId, LogId, MessageId, Seq, UserId};
use hauspost_protocol::wire::Person;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::event::{Effect, Event, Span};
use super::state::State;
use super::update::update;
use super::view::view;
use super::words::Words;

/// The person at the terminal, and another.
pub const ME: UserId = UserId([1; 16]);
/// See [`ME`].
pub const BEN: UserId = UserId([2; 16]);
/// The conversation.
pub const LOG: LogId = LogId([9; 16]);
/// 25 November 2026, 12:00 UTC.
pub const NOON: u64 = 1_795_608_000_000;

/// Somebody of the company.
pub fn person(user: UserId, handle: &str, name: &str) -> Person {
    Person { user, handle: handle.to_owned(), name: Some(name.to_owned()) }
}

/// A row of the timeline, as it came from Ben.
pub fn row(seq: u64, text: &str) -> Message {
    Message {
        key: seq as i64,
        seq: Some(Seq(seq)),
        message_id: MessageId([seq as u8; 32]),
        author: BEN,
        device: DeviceId([2; 16]),
        kind: MessageKind::Text,
        state: MessageState::Received,
        t_ms: NOON + seq * 1_000,
        sent_ms: NOON,
        missing: 0,
        text: Some(text.to_owned()),
        content: None,
        reason: None,
        files: Vec::new(),
        fate: Fate::Stands,
        is_changing: false,
        saying: Saying::default(),
        mentions_me: false,
        is_pinned: false,
        is_starred: false,
        quote: None,
        reactions: Vec::new(),
        reacted: false,
        reach: None,
        card: None,
        voice: None,
        asking: None,
    }
}

/// A row of ours in this state.
pub fn own(seq: u64, text: &str, state: MessageState) -> Message {
    Message { author: ME, state, ..row(seq, text) }
}

/// A group in the list.
pub fn room(number: u8, title: &str) -> ConversationRow {
    ConversationRow {
        cursor: ConversationCursor {
            order_ms: NOON,
            number: i64::from(number),
            is_favourite: false,
        },
        last_ms: NOON,
        log: LogId([number; 16]),
        r#type: LogType::Group,
        state: LogState::Active,
        handed: None,
        title: Some(title.to_owned()),
        peer: None,
        last: Some(LastLine {
            author: BEN,
            kind: MessageKind::Text,
            state: MessageState::Received,
            text: Some("gute\nFahrt euch allen".to_owned()),
            fate: Fate::Stands,
            event: None,
        }),
        unread: 0,
        unread_mentions: 0,
        to_confirm: 0,
        picture: None,
        read_seq: None,
        muted_until: None,
        archived: false,
        favourite: None,
        draft: None,
        draft_version: 0,
    }
}

/// The people of the conversation, none of whom owns it.
pub fn members(users: &[UserId]) -> Event {
    Event::Members(LOG, users.iter().map(|user| (*user, Role::Member)).collect())
}

/// A client that has read directory and list.
pub struct Client {
    /// What it shows.
    pub state: State,
    /// What it wanted and was not looked at.
    pub effects: Vec<Effect>,
}

impl Client {
    /// With this list, on a screen of 80 columns and 24 rows.
    pub fn new(rows: Vec<ConversationRow>) -> Self {
        let state = State::new(
            ME,
            "hauspost.example.com",
            NOON,
            (TimeZone::UTC, Words::english()),
            (80, 24),
        );
        let mut client = Self { state, effects: Vec::new() };
        client.hear(Event::People(vec![
            person(ME, "anna", "Anna Berg"),
            person(BEN, "ben", "Ben Kaya"),
        ]));
        client.hear(Event::Link(Link::Online));
        client.hear(Event::Rooms(rows, false));
        client
    }

    /// What became of an event.
    pub fn hear(&mut self, event: Event) {
        let (state, effects) = update(self.state.clone(), event);
        self.state = state;
        self.effects.extend(effects);
    }

    /// The newest part of the open dialog's timeline.
    pub fn page(&mut self, rows: Vec<Message>) {
        let page = TimelinePage { rows, more_before: false, more_after: false, history: None };
        self.hear(Event::Timeline(LOG, Span::Newest(100), page));
    }

    /// Presses a key.
    pub fn press(&mut self, code: KeyCode) {
        self.hear(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Presses a letter with Ctrl.
    pub fn ctrl(&mut self, letter: char) {
        self.hear(Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)));
    }

    /// Types a text.
    pub fn types(&mut self, text: &str) {
        text.chars().for_each(|c| self.press(KeyCode::Char(c)));
    }

    /// What was wanted since the last call.
    pub fn wanted(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The screen's rows.
    pub fn screen(&self) -> Vec<String> {
        let (columns, rows) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| view(&self.state, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| {
            let mut line = String::new();
            let mut x = 0;
            while x < columns {
                let symbol = buffer[(x, y)].symbol();
                assert!(!symbol.contains(char::is_control), "{symbol:?} at {x}, {y}");
                line.push_str(symbol);
                x += u16::try_from(super::text::width(symbol)).unwrap().max(1);
            }
            line.trim_end().to_owned()
        };
        (0..rows).map(row).collect()
    }

    /// The colour in which a row of the screen begins.
    pub fn colour(&self, row: u16) -> Color {
        let (columns, rows) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| view(&self.state, frame)).unwrap();
        terminal.backend().buffer()[(1, row)].fg
    }

    /// Whether the screen shows this.
    pub fn shows(&self, text: &str) -> bool {
        self.screen().iter().any(|row| row.contains(text))
    }
}
