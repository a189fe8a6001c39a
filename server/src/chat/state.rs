//! Everything that the client knows: what it shows is a function of this and of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use hauspost_core::account::{Link, NewRoom, Presence, Standing, Transfer};
use hauspost_core::read::{
    AlarmRow, Confirmations, ConversationRow, DocumentKind, DocumentRow, FailedChange, History,
    SearchHit, SearchQuery, Version,
};
use hauspost_core::store::rows::file::DocumentId;
use hauspost_core::store::rows::message::Message;
use hauspost_protocol::body::LogType;
use hauspost_protocol::content::{Choice, Poll};
use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs, UserId};
use hauspost_protocol::wire::Person;
use jiff::tz::TimeZone;

use super::editor::Editor;
use super::event::Mark;
use super::layout::Laid;
use super::text;
use super::words::Words;

/// The client.
#[derive(Debug, Clone)]
pub struct State {
    /// Whose account it is.
    pub me: UserId,
    /// The server's name.
    pub server: String,
    /// How the server is reached.
    pub link: Link,
    /// The time.
    pub now_ms: TimeMs,
    /// Where the terminal stands.
    pub zone: TimeZone,
    /// What the client says.
    pub words: &'static Words,
    /// The terminal's columns and rows.
    pub size: (u16, u16),
    /// The directory.
    pub people: People,
    /// The list of conversations.
    pub rooms: Rooms,
    /// The open conversation.
    pub dialog: Option<Dialog>,
    /// What the person must hear of.
    pub alarms: Vec<AlarmRow>,
    /// The documents that are on their way.
    pub transfers: BTreeMap<DocumentId, Transfer>,
    /// Where keys go, if nothing lies over it.
    pub focus: Focus,
    /// What lies over list and dialog.
    pub overlay: Option<Overlay>,
    /// A line for the person, until the next key.
    pub notice: Option<Notice>,
    /// Whether the terminal has the person's eyes.
    pub is_focused: bool,
    /// Whether the bell rings for what is new.
    pub has_bell: bool,
    /// Whether it is to ring now.
    pub rings: bool,
    /// Whether the client is to end.
    pub is_ending: bool,
}

/// A line for the person; its kind says how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// What was wanted is done.
    Done(String),
    /// Nothing was done; something else has to come first.
    Hint(String),
    /// What was wanted failed.
    Failed(String),
}

impl Notice {
    /// What it says.
    pub fn text(&self) -> &str {
        let (Self::Done(text) | Self::Hint(text) | Self::Failed(text)) = self;
        text
    }
}

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// To the list of conversations.
    List,
    /// To the open conversation.
    Dialog,
}

/// The list of conversations.
#[derive(Debug, Clone, Default)]
pub struct Rooms {
    /// The rows read so far.
    pub rows: Vec<ConversationRow>,
    /// Whether there are more.
    pub more: bool,
    /// Whether they are those that the person put away.
    pub archived: bool,
    /// Where the bar is; it stays with its conversation when rows move.
    pub selected: Option<LogId>,
}

impl Rooms {
    /// The number of the row under the bar.
    pub fn position(&self) -> usize {
        let at = |log| self.rows.iter().position(|row| row.log == log);
        self.selected.and_then(at).unwrap_or_default()
    }
}

/// The open conversation.
#[derive(Debug, Clone)]
pub struct Dialog {
    /// Its id.
    pub log: LogId,
    /// Its row of the list.
    pub row: Option<ConversationRow>,
    /// The rows of its timeline that were read.
    pub rows: Vec<Message>,
    /// Changes that could not be made.
    pub failed: Vec<FailedChange>,
    /// How far its past is that was asked for.
    pub history: Option<History>,
    /// Whether there are older ones.
    pub more_before: bool,
    /// Whether there are newer ones.
    pub more_after: bool,
    /// Whether a part is being read to be added.
    pub is_paging: bool,
    /// Where the line "new messages" stands: before the first of others after this entry.
    pub new_after: Option<Option<Seq>>,
    /// What was told to be read.
    pub read: Option<Seq>,
    /// The message that was chosen.
    pub bar: Option<MessageId>,
    /// What that which is being written will be.
    pub about: About,
    /// What the person may do here, once it was asked.
    pub standing: Option<Standing>,
    /// Who is typing here, and who was last there.
    pub presence: Presence,
    /// Whether others see that this person types.
    pub says_typing: bool,
    /// A hit of a search that is pointed at.
    pub hit: Option<MessageId>,
    /// How `rows` lie on the screen.
    pub laid: Vec<Laid>,
    /// Which of them is shown.
    pub scroll: Scroll,
    /// What is being written.
    pub composer: Editor,
    /// Whether it was changed since it was stored.
    pub is_unsaved: bool,
    /// Whether it was changed since the person's other devices were told of it, or it was opened.
    pub is_untold: bool,
    /// Which draft it was made from.
    pub draft_version: u64,
}

impl Dialog {
    /// A conversation that was opened and not read yet.
    pub fn new(log: LogId, row: Option<ConversationRow>) -> Self {
        let draft = row.as_ref().and_then(|row| row.draft.as_deref()).unwrap_or_default();
        let unread = row.as_ref().filter(|row| row.unread > 0);
        Self {
            log,
            new_after: unread.map(|row| row.read_seq),
            read: row.as_ref().and_then(|row| row.read_seq),
            composer: Editor::new(draft),
            draft_version: row.as_ref().map_or(0, |row| row.draft_version),
            is_untold: false,
            row,
            rows: Vec::new(),
            failed: Vec::new(),
            more_before: false,
            more_after: false,
            history: None,
            is_paging: false,
            hit: None,
            bar: None,
            about: About::default(),
            standing: None,
            presence: Presence::default(),
            says_typing: false,
            laid: Vec::new(),
            scroll: Scroll::Follow,
            is_unsaved: false,
        }
    }

    /// Whether the person only reads here, and confirms.
    pub fn is_read_only(&self) -> bool {
        self.standing.is_some_and(|standing| !standing.may_write)
    }

    /// What is being written, to be kept; `None` if it is nothing.
    pub fn draft(&self) -> Option<String> {
        (!self.composer.is_blank()).then(|| self.composer.text().to_owned())
    }
}

/// What that which is being written will be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum About {
    /// A message.
    #[default]
    New,
    /// The answer to this message of somebody, which says so.
    Reply(MessageId, String, String),
    /// Another text of this message.
    Edit(MessageId),
}

/// Which part of a dialog is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scroll {
    /// The end of it, also when it grows.
    Follow,
    /// From this line of this row on, whatever comes before and after it.
    Top(i64, usize),
}

/// What lies over list and dialog.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// All keys; scrolled down so far.
    Help(usize),
    /// Search over all messages.
    Search(Search),
    /// A new group.
    Title(Founding),
    /// Another name for this group.
    Rename(LogId, Editor),
    /// The code that another device of this person shows.
    Device(Editor),
    /// People to choose from.
    Picker(Picker),
    /// The people of a conversation.
    Members(Members),
    /// Whether this is to be done with a message.
    Confirm(LogId, MessageId, Mark),
    /// An emoji for a message.
    React(LogId, MessageId, Editor),
    /// Where a message is passed on to; the conversation of this number has the bar.
    PassOn(LogId, MessageId, Editor, usize),
    /// What a message said and who reacts to it, from this line on.
    History(Vec<Version>, Vec<(UserId, String)>, usize),
    /// The documents of a conversation.
    Documents(Documents),
    /// What the person must hear of, from this line on.
    Alarms(usize),
    /// What the company can see, from this line on.
    Company(Vec<String>, usize),
    /// A poll to vote in.
    Ballot(Ballot),
    /// Who has confirmed a message, from this line on.
    Confirmations(Box<Confirmations>, usize),
}

/// A poll to vote in.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// The conversation.
    pub log: LogId,
    /// The poll's message.
    pub message: MessageId,
    /// What is asked.
    pub poll: Poll,
    /// What is chosen so far.
    pub choice: Choice,
    /// Which option the bar is on.
    pub selected: usize,
    /// Who chose what, in their order.
    pub voters: Vec<(UserId, Choice)>,
    /// Whether it takes votes.
    pub is_open: bool,
}

/// The documents of a conversation.
#[derive(Debug, Clone)]
pub struct Documents {
    /// The conversation.
    pub log: LogId,
    /// Which of them.
    pub kind: DocumentKind,
    /// The rows read so far, newest first.
    pub rows: Vec<DocumentRow>,
    /// Where the next page begins.
    pub next: Option<i64>,
    /// Which row the bar is on.
    pub selected: usize,
}

/// Search over all messages.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The words.
    pub words: Editor,
    /// What was found.
    pub hits: Vec<SearchHit>,
    /// Where the next page begins.
    pub next: Option<i64>,
    /// Which hit the bar is on.
    pub selected: usize,
    /// What the words ask for, as it was understood last.
    pub asked: SearchQuery,
    /// Why they cannot be understood.
    pub fault: Option<String>,
    /// Whether `hits` is the answer for `asked`.
    pub is_answered: bool,
    /// Whether older messages are not in the search yet.
    pub is_filling: bool,
}

/// What people are chosen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A conversation with one.
    Dm,
    /// A new group.
    Group(NewRoom),
    /// More people for a group.
    Add(LogId),
}

/// People to choose from.
#[derive(Debug, Clone)]
pub struct Picker {
    /// What for.
    pub purpose: Purpose,
    /// A part of the name.
    pub filter: Editor,
    /// Who was chosen.
    pub chosen: BTreeSet<UserId>,
    /// Who is not offered: those who are there already.
    pub without: BTreeSet<UserId>,
    /// Which of those offered the bar is on.
    pub selected: usize,
}

impl Picker {
    /// A picker of nobody yet.
    pub fn new(purpose: Purpose, without: BTreeSet<UserId>) -> Self {
        let filter = Editor::default();
        Self { purpose, filter, chosen: BTreeSet::new(), without, selected: 0 }
    }

    /// Those who are offered, as a phone book sorts them.
    pub fn offered<'p>(&self, people: &'p People) -> Vec<&'p Person> {
        let wanted = text::folded(self.filter.text());
        let words: Vec<_> = wanted.split_whitespace().collect();
        let fits = |person: &Person| {
            let name = person.name.as_deref().unwrap_or_default();
            let known = text::folded(&format!("{name} {}", person.handle));
            words.iter().all(|word| known.contains(word))
        };
        let all = people.all.iter();
        all.filter(|person| !self.without.contains(&person.user) && fits(person)).collect()
    }
}

/// The people of a conversation.
#[derive(Debug, Clone)]
pub struct Members {
    /// The conversation.
    pub log: LogId,
    /// Who is in it.
    pub users: Vec<UserId>,
    /// Who of them owns it.
    pub owners: BTreeSet<UserId>,
    /// Its picture, line by line, if it has one.
    pub picture: Option<Vec<Vec<[u8; 3]>>>,
    /// Who the bar is on.
    pub selected: usize,
    /// What is done when it is confirmed.
    pub asks: Option<Ask>,
}

/// What has to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Remove this person.
    Remove(UserId),
    /// Leave the group.
    Leave,
    /// Let this person be no owner any more.
    Withdraw(UserId),
}

/// A group that is to begin, before people are chosen.
#[derive(Debug, Clone, Default)]
pub struct Founding {
    /// Its title.
    pub title: Editor,
    /// Whether only owners write in it.
    pub announces: bool,
    /// Whether those who come later see what was said before.
    pub shows_past: bool,
}

/// The directory: names made harmless once, when they come.
#[derive(Debug, Clone, Default)]
pub struct People {
    all: Vec<Person>,
    names: BTreeMap<UserId, String>,
    /// Who is not in it.
    somebody: &'static str,
}

impl People {
    /// The directory of these people.
    pub fn new(people: Vec<Person>, somebody: &'static str) -> Self {
        let harmless = |person: Person| Person {
            name: person.name.as_deref().map(text::line).filter(|name| !name.is_empty()),
            handle: text::line(&person.handle),
            user: person.user,
        };
        let all: Vec<_> = people.into_iter().map(harmless).collect();
        let name = |person: &Person| {
            (person.user, person.name.clone().unwrap_or_else(|| person.handle.clone()))
        };
        Self { names: all.iter().map(name).collect(), all, somebody }
    }

    /// Everybody, as the directory sorts them.
    pub fn all(&self) -> impl Iterator<Item = &Person> {
        self.all.iter()
    }

    /// Whether this person is in it.
    pub fn knows(&self, user: UserId) -> bool {
        self.names.contains_key(&user)
    }

    /// What to call this person.
    pub fn name(&self, user: UserId) -> &str {
        self.names.get(&user).map_or(self.somebody, String::as_str)
    }
}

impl State {
    /// The client before anything was read.
    pub fn new(
        me: UserId,
        server: &str,
        now_ms: TimeMs,
        (zone, words): (TimeZone, &'static Words),
        size: (u16, u16),
    ) -> Self {
        Self {
            me,
            server: text::line(server),
            link: Link::Connecting,
            now_ms,
            zone,
            words,
            size,
            people: People::new(Vec::new(), words.somebody),
            rooms: Rooms::default(),
            dialog: None,
            alarms: Vec::new(),
            transfers: BTreeMap::new(),
            focus: Focus::List,
            overlay: None,
            notice: None,
            is_focused: true,
            has_bell: true,
            rings: false,
            is_ending: false,
        }
    }

    /// What a conversation is called.
    pub fn title(&self, row: &ConversationRow) -> String {
        let title = row.title.as_deref().map(text::line).filter(|title| !title.is_empty());
        let with = row.handed.and_then(|handed| handed.with);
        title.unwrap_or_else(|| match (row.r#type, row.peer.or(with)) {
            (LogType::Dm, Some(peer)) => self.people.name(peer).to_owned(),
            (LogType::SelfNotes, _) => self.words.notes.to_owned(),
            _ => self.words.nameless.to_owned(),
        })
    }

    /// These people, with commas between.
    pub fn names(&self, users: &[UserId]) -> String {
        users.iter().map(|user| self.name(*user)).collect::<Vec<_>>().join(", ")
    }

    /// What to call this person in a line: the person at the terminal is "you".
    pub fn name(&self, user: UserId) -> &str {
        if user == self.me { self.words.you } else { self.people.name(user) }
    }
}
