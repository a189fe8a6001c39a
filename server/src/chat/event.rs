//! What reaches the client, and what it wants done.
//!
//! Everything that [`update`](super::update) hears is an [`Event`], and everything that it does to
//! the world is an [`Effect`]; [`phone`](super::phone) carries effects out on the core's account, in
//! the order in which they were wanted, and answers with events.

use std::io;
use std::path::PathBuf;

use hauspost_core::account::{
    Link, NewRoom, PolicyInForce, Presence, Role, Standing, Trace, Transfer,
};
use hauspost_core::notify::{Loudness, QuietHours};
use hauspost_core::observe::Change;
use hauspost_core::read::{
    AlarmRow, Confirmations, ConversationRow, DocumentKind, DocumentPage, FailedChange, SearchPage,
    SearchQuery, TimelinePage, Version,
};
use hauspost_core::store::rows::file::DocumentId;
use hauspost_core::store::rows::presence::Shown;
use hauspost_protocol::company::policy::QuietPlan;
use hauspost_protocol::content::{Card, Choice};
use hauspost_protocol::ids::{LogId, MessageId, Seq, TimeMs, UserId};
use hauspost_protocol::wire::Person;
use ratatui::crossterm::event::KeyEvent;

use super::words::Withheld;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was pasted.
    Paste(String),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// It is this time.
    Clock(TimeMs),
    /// The process was asked to end.
    Quit,
    /// The terminal got the person's eyes, or lost them; one that does not say so has them.
    Focus(bool),
    /// The core says where to look again.
    Changed(Vec<Change>),
    /// How the server is reached.
    Link(Link),
    /// The beginning of the list of conversations, and whether there is more.
    Rooms(Vec<ConversationRow>, bool),
    /// The row of the open conversation; `None` if there is none.
    Room(LogId, Option<Box<ConversationRow>>),
    /// A part of a timeline.
    Timeline(LogId, Span, TimelinePage),
    /// The directory.
    People(Vec<Person>),
    /// The people of a conversation, and what each is.
    Members(LogId, Vec<(UserId, Role)>),
    /// What the person may do in a conversation.
    Standing(LogId, Standing),
    /// The picture of a conversation, line by line, if it has one.
    Picture(LogId, Option<Vec<Vec<[u8; 3]>>>),
    /// Who has confirmed a message.
    Confirmations(Box<Confirmations>),
    /// Those who have not were reminded.
    Reminded,
    /// What was found for this, and whether it goes on after an earlier page.
    Found(Box<SearchQuery>, SearchPage, bool),
    /// A conversation was begun, or was there.
    Begun(LogId),
    /// The changes of a conversation that could not be made.
    FailedChanges(LogId, Vec<FailedChange>),
    /// A part of the list of a conversation's documents, and whether it goes on after an earlier one.
    Documents(LogId, DocumentKind, DocumentPage, bool),
    /// What the person must hear of.
    Alarms(Vec<AlarmRow>),
    /// What the company can see: the policy, the quiet hours, and what this person withholds.
    Company(Box<(PolicyInForce, QuietHours, Withheld)>),
    /// Who is typing in a conversation and who was last there, and what of it this person shows.
    Presence(LogId, Presence, Shown),
    /// Messages came that the person was not told of, each so loud.
    Notified(Vec<(LogId, Loudness)>),
    /// Whether the bell rings; and whether the person wanted it so just now.
    Bell(bool, bool),
    /// The documents that are on their way.
    Transfers(Vec<Transfer>),
    /// A document was saved here.
    Saved(PathBuf),
    /// A document was not saved in this folder, for this reason.
    NotSaved(PathBuf, io::ErrorKind),
    /// A document was opened here.
    Opened(PathBuf),
    /// What a message said, and who reacts to it by what.
    History(Vec<Version>, Vec<(UserId, String)>),
    /// Who chose what in a poll.
    Voters(MessageId, Vec<(UserId, Choice)>),
    /// A message was passed on.
    PassedOn,
    /// So many documents on their way were given up.
    Stopped(usize),
    /// The other device of this person was let in.
    Approved,
    /// This text was not taken, for the reason of this code.
    NotSent(LogId, String, &'static str),
    /// This text was not taken, since here it names a file that is none or cannot be read.
    NoFile(LogId, String, PathBuf),
    /// Something else failed, for the reason of this code.
    Failed(&'static str),
}

/// Which part of a timeline is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// So many of the newest.
    Newest(u32),
    /// Around this entry.
    Around(Seq),
    /// What stands before this row, to be added.
    Before(i64),
    /// What stands after this row, to be added.
    After(i64),
    /// So many rows from this one on, again.
    Again(i64, u32),
}

/// What is done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It is taken back.
    Delete,
    /// It is hidden.
    Redact,
    /// This person reacts.
    React(String),
    /// This person takes a reaction back.
    Unreact(String),
    /// It is pinned, or not any more.
    Pin(bool),
    /// It is starred, or not any more.
    Star(bool),
    /// It is passed on to this conversation.
    PassOn(LogId),
    /// This person votes so in the poll that it is.
    Vote(Choice),
    /// The poll that it is takes no more votes.
    ClosePoll,
    /// It is confirmed.
    Confirm,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Read so many rows of the list of conversations.
    LoadRooms(u32),
    /// Read so many rows of the list of those that are put away.
    LoadArchived(u32),
    /// Read one row of it.
    LoadRoom(LogId),
    /// Read a part of a timeline.
    LoadTimeline(LogId, Span),
    /// Read the directory.
    LoadPeople,
    /// Read who is in a conversation.
    LoadMembers(LogId),
    /// Read what the person may do in a conversation.
    LoadStanding(LogId),
    /// Read the picture of a conversation.
    LoadPicture(LogId),
    /// Read who has confirmed a message.
    LoadConfirmations(LogId, MessageId),
    /// Remind those who have not, with this text before their names.
    Remind(LogId, MessageId, &'static str),
    /// Write the list of who has into the usual folder.
    ExportConfirmations(LogId, MessageId),
    /// Send a text that everybody is to confirm, with these files; behind it stands what was typed.
    Ask(LogId, Vec<PathBuf>, String, String),
    /// Announce a text, to be confirmed, in the rooms of these names, in all of this person's if none is named; behind
    /// it stands what was typed, and where.
    Announce(LogId, Vec<String>, String, String),
    /// Name a person an owner, or withdraw him.
    SetOwner(LogId, UserId, bool),
    /// Give a conversation this picture, or none.
    SetPicture(LogId, Option<PathBuf>),
    /// Read which changes of a conversation could not be made.
    LoadFailedChanges(LogId),
    /// Find messages, after those of an earlier page if a place is named.
    Search(Box<SearchQuery>, Option<i64>),
    /// Send a text.
    Send(LogId, String),
    /// Send a text as the answer to a message.
    Reply(LogId, MessageId, String),
    /// Change a message.
    Edit(LogId, MessageId, String),
    /// Do this with a message.
    Mark(LogId, MessageId, Mark),
    /// Read what a message said, and who reacts to it.
    LoadHistory(LogId, MessageId),
    /// Send these files with a text; behind it stands what was typed.
    SendFiles(LogId, Vec<PathBuf>, String, String),
    /// Send a place, a contact or a poll; behind it stands what was typed.
    SendCard(LogId, Box<Card>, String),
    /// Send a recording as a voice message; behind it stands what was typed.
    SendVoice(LogId, PathBuf, String),
    /// Read who chose what in a poll.
    LoadVoters(LogId, MessageId),
    /// Read so many of a conversation's documents, after those of an earlier page if one is named.
    LoadDocuments(LogId, DocumentKind, Option<i64>, u32),
    /// Read what the person must hear of.
    LoadAlarms,
    /// The person has seen all alarms up to this number.
    AcknowledgeAlarms(i64),
    /// Send a text as an alarm; behind it stands what was typed.
    SendAlarm(LogId, String, String),
    /// Read what the company can see.
    LoadCompany,
    /// Set quiet hours of this person's own, or let those of the policy hold.
    SetQuiet(Option<QuietPlan>),
    /// Withhold what this person reads, or not any more.
    Withhold(bool),
    /// Withhold that this person types, or when he was last there, or not any more.
    WithholdTrace(Trace, bool),
    /// The person presses a key in this conversation.
    Typing(LogId),
    /// The terminal has the person's eyes, or has not.
    SetInFront(bool),
    /// Read who is typing in a conversation and who was last there.
    LoadPresence(LogId),
    /// Take what the person was not told of; whether it may ring.
    TakeNotifications(bool),
    /// Read whether the bell rings.
    LoadBell,
    /// Let the bell ring, or not any more.
    SetBell(bool),
    /// Read which documents are on their way.
    LoadTransfers,
    /// Save a document in the usual folder.
    Save(DocumentId),
    /// Save the document of this number, counted from the newest, in this folder or the usual one.
    SaveNth(LogId, usize, Option<PathBuf>),
    /// Open a document.
    Open(DocumentId),
    /// Open the document of this number, counted from the newest.
    OpenNth(LogId, usize),
    /// Give a document up that is on its way.
    Stop(DocumentId),
    /// Give all of a conversation up that are.
    StopAll(LogId),
    /// Send a message again that failed.
    Retry(LogId, MessageId),
    /// Take a message back that failed.
    Discard(LogId, MessageId),
    /// Everything up to this entry was read.
    MarkRead(LogId, Seq),
    /// Keep what was begun to be written from the draft of this version, and tell it to the person's other
    /// devices.
    SaveDraft(LogId, Option<String>, u64),
    /// Keep it on this device, while it is being written.
    NoteDraft(LogId, Option<String>, u64),
    /// Begin a conversation with a person.
    CreateDm(UserId),
    /// Begin a group.
    CreateRoom(NewRoom),
    /// Add people to a group.
    Add(LogId, Vec<UserId>),
    /// Remove a person from a group.
    Remove(LogId, UserId),
    /// Leave a group.
    Leave(LogId),
    /// Make a group's keys anew in the suite that fits its size.
    ChangeSuite(LogId),
    /// Give a group another name.
    Rename(LogId, String),
    /// Let a conversation make no sound, or again.
    Mute(LogId, bool),
    /// Put a conversation away, or take it back into the list.
    Archive(LogId, bool),
    /// Put a conversation on top of the list, or take it from there.
    Favourite(LogId, bool),
    /// Move a favourite before this one, or behind all others.
    MoveFavourite(LogId, Option<LogId>),
    /// Open the person's notes.
    Notes,
    /// Try a change again that failed.
    TryAgain(LogId, i64),
    /// Put a change aside that failed.
    Dismiss(LogId, i64),
    /// Sign for the device of this person that shows this code.
    Approve(String),
}
