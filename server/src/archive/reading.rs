//! What officers read: records opened with the council's keys, each checked against its place in
//! the log before it is shown.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use hauspost_core::read::Confirmations;
use hauspost_core::store::rows::confirmation::Confirmation;
use hauspost_protocol::body::LogType;
use hauspost_protocol::content::{Act, Choice, Content, Control, Message, Poll};
use hauspost_protocol::entry::Head;
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::ids::{CompanyId, DeviceId, LogId, MessageId, Seq, TimeMs, UserId};
use hauspost_protocol::key_list::KeyList;
use hauspost_protocol::record;
use hauspost_protocol::rules::client::{self, AuthorPlace};
use hauspost_protocol::statement::{File, FileRole, Statement};
use serde::Serialize;

use super::announced::{self, AnnouncementName};
use super::export::parse_digest;
use super::replay::PlacedRecord;
use super::time;
use super::verify::{Examined, ExaminedLog, Finding, Place};
use crate::harmless::{harmless, line};

mod known;

use known::Known;
pub use known::PollResult;

/// One message, readable.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Readable {
    /// The conversation's log.
    pub log: String,
    /// The entry.
    pub seq: u64,
    /// The server's time, Unix milliseconds.
    pub t_ms: TimeMs,
    /// The author's time, Unix milliseconds; information only.
    pub author_t_ms: TimeMs,
    /// The author.
    pub user: String,
    /// The author's name, if the directory knew it.
    pub name: Option<String>,
    /// The author's device.
    pub device: String,
    /// The message's id in hexadecimal, for what has one.
    pub message_id: Option<String>,
    /// What it is: `text` (an edit too, then `replaces` is set), `place`, `contact`, `poll`, `vote`,
    /// `poll-close`, `reaction`, `deletion`, `title`, `redaction`, `pin`, `unpin`, `acknowledgement`, `picture`,
    /// `policy-notice`, `receipt` or `unknown`.
    pub kind: &'static str,
    /// The text; of a place, a contact or a poll what people saw, of a vote the options chosen.
    pub text: Option<String>,
    /// What an app showed in its place that does not know places, contacts or polls, if that says
    /// something else.
    pub alternative: Option<String>,
    /// How a poll stands, as far as its votes were opened.
    pub result: Option<PollResult>,
    /// How long a voice message is in milliseconds, as its author's phone said.
    pub voice_ms: Option<u32>,
    /// The id of the message that it answers or is about.
    pub about: Option<String>,
    /// The id of the message that it replaces.
    pub replaces: Option<String>,
    /// The number of the entry that it is about or replaces, if that was opened too.
    pub about_seq: Option<u64>,
    /// Whether it has no effect: its author may not change, hide or close that, or a vote came too late or
    /// names what the poll does not have.
    pub is_void: bool,
    /// Whether everybody who was there is to confirm it.
    pub asks_to_confirm: bool,
    /// The id, in hexadecimal, under which it is one announcement with its author's in other rooms.
    pub announcement: Option<String>,
    /// Who wrote it elsewhere, if it was passed on.
    pub origin: Option<String>,
    /// The documents that belong to it.
    pub files: Vec<ReadableFile>,
    #[serde(skip)]
    poll: Option<Poll>,
    #[serde(skip)]
    choice: Option<Choice>,
}

/// A document of a message.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct ReadableFile {
    /// Its name, as the author's phone had it.
    pub name: String,
    /// Its media type, as the author's phone named it.
    pub media_type: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes in hexadecimal, as the author signed it.
    pub sha256: String,
    /// How many pages it has, as its author's phone said.
    pub pages: Option<u32>,
}

/// Content is not for logs.
impl fmt::Debug for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readable({}, {})", self.log, self.seq)
    }
}

impl Readable {
    /// One line for people; what follows a line break in the text is indented, so that no text
    /// looks like another message. The exact text is in the value itself.
    pub fn line(&self) -> String {
        let name = line(self.name.as_deref().unwrap_or(&self.user));
        let text = harmless(self.text.as_deref().unwrap_or_default()).replace('\n', "\n    ");
        let what = match self.kind {
            "text" => text,
            "reaction" => format!("[reacts {text}]"),
            "title" => format!("[names the conversation: {text}]"),
            "place" | "contact" | "poll" => format!("[{}] {text}", self.kind),
            "vote" if text.is_empty() => "[takes the vote back]".to_owned(),
            "vote" => format!("[votes {text}]"),
            "poll-close" => "[closes the poll]".to_owned(),
            "picture" if self.files.is_empty() => {
                "[takes the conversation's picture away]".to_owned()
            }
            "picture" => "[gives the conversation a picture]".to_owned(),
            other => format!("[{other}]"),
        };
        let about = match (self.about_seq, self.about.is_some() || self.replaces.is_some()) {
            (Some(seq), _) => format!(" {seq}"),
            (None, true) => " an entry that was not opened".to_owned(),
            (None, false) => String::new(),
        };
        let mut mark = match (self.kind, &self.replaces) {
            ("text", Some(_)) => format!(" [edits{about}]"),
            ("text" | "place" | "contact" | "poll", None) if !about.is_empty() => {
                format!(" [answers{about}]")
            }
            ("text" | "title" | "picture" | "unknown" | "place" | "contact" | "poll", _) => {
                String::new()
            }
            _ => format!(" [about{about}]"),
        };
        if self.is_void {
            mark.push_str(match self.kind {
                "vote" => " [without effect: too late, or not an option]",
                _ => " [without effect: not the author's to change]",
            });
        }
        if self.asks_to_confirm {
            mark.push_str(" [to be confirmed]");
        }
        if let Some(id) = &self.announcement {
            mark.push_str(&format!(" [announcement {id}]"));
        }
        if let Some(origin) = &self.origin {
            mark.push_str(&format!(" [passed on from {}]", line(origin)));
        }
        if let Some(result) = &self.result {
            mark.push_str(&result.line());
        }
        if let Some(ms) = self.voice_ms {
            mark.push_str(&format!(" [voice, {} s]", ms.div_ceil(1_000)));
        }
        if let Some(alternative) = &self.alternative {
            mark.push_str(&format!(" [older apps showed: {}]", line(alternative)));
        }
        let files: String = self.files.iter().map(ReadableFile::mark).collect();
        format!("{:>5}  {}  {name}: {what}{mark}{files}", self.seq, time::show(self.t_ms))
    }
}

/// What was read of a conversation.
#[derive(Debug, Default)]
pub struct Reading {
    /// The messages, in their order.
    pub messages: Vec<Readable>,
    /// Their documents, with the keys that open them.
    pub documents: Vec<(Seq, Vec<File>)>,
    /// Who was asked to confirm a message and who has, for each message that asks; among the records that
    /// were opened.
    pub confirmations: Vec<Confirmations>,
    /// Those of them that are of announcements, with what names each.
    pub announced: Vec<(AnnouncementName, Confirmations)>,
    /// Records that do not open, or do not belong where they stand.
    pub findings: Vec<Finding>,
    /// Records in the log for which there is no key: outside of the scope.
    pub without_key: u64,
}

/// Reads a conversation with the keys that the council gave.
pub fn read(
    examined: &Examined,
    people: &BTreeMap<UserId, String>,
    log: LogId,
    keys: &KeyList,
) -> Reading {
    let mut reading = Reading::default();
    let Some(conversation) = examined.logs.get(&log) else { return reading };
    let mut authors = HashMap::new();
    let mut known = Known::new();
    for placed in &conversation.replay.records {
        let Some(key) = keys.key(placed.seq) else {
            reading.without_key += 1;
            continue;
        };
        match open(conversation, placed, key, &mut authors) {
            Ok(statement) => {
                let mut readable = readable(examined.id, people, log, placed, &statement);
                readable.place(&mut known, placed.is_owner);
                known::note(&mut known, &readable, reading.messages.len());
                reading.messages.push(readable);
                if !statement.files.is_empty() {
                    reading.documents.push((placed.seq, statement.files));
                }
            }
            Err(what) => {
                // It used up its slot, so it counts one for its author (C8).
                if let Some(place) = authors.get_mut(&placed.author.device) {
                    *place = place.after_quarantine();
                }
                let seq = Some(placed.seq);
                reading.findings.push(Finding { place: Place::Log(log), seq, what });
            }
        }
    }
    known::count(known, &mut reading.messages);
    reading.confirmations = confirmations(conversation, people, log, &reading.messages);
    reading.announced = announced::of_room(conversation, &reading.messages, &reading.confirmations);
    reading
}

/// Who was asked to confirm what and who has, by the rules that phones run: from the stays that the log
/// shows, and the confirmations among what was opened.
fn confirmations(
    conversation: &ExaminedLog,
    people: &BTreeMap<UserId, String>,
    log: LogId,
    messages: &[Readable],
) -> Vec<Confirmations> {
    let placed = |message: &Readable| conversation.replay.record(Seq(message.seq));
    // What names an earlier change of a message is about the message.
    let mut changes: HashMap<&str, &str> = HashMap::new();
    for message in messages {
        if let (Some(id), Some(replaced)) = (&message.message_id, &message.replaces) {
            let first = changes.get(replaced.as_str()).copied().unwrap_or(replaced);
            changes.insert(id, first);
        }
    }
    let first = |id: &str| changes.get(id).copied().unwrap_or(id).to_owned();
    let list = |asks: &Readable| {
        let author = placed(asks)?.author.user;
        let id = asks.message_id.as_deref()?;
        let mut confirmed: BTreeMap<UserId, Confirmation> = BTreeMap::new();
        for said in messages.iter().filter(|said| said.kind == "acknowledgement") {
            let (Some(by), Some(about)) = (placed(said), &said.about) else { continue };
            if first(about) == id {
                confirmed.entry(by.author.user).or_insert(Confirmation {
                    user: by.author.user,
                    device: by.author.device,
                    seq: Some(by.seq),
                    t_ms: by.t_ms,
                    sent_ms: said.author_t_ms,
                });
            }
        }
        let mut confirmed: Vec<_> = confirmed.into_values().collect();
        confirmed.sort_by_key(|confirmation| confirmation.seq);
        let edits = messages.iter().filter(|said| said.kind == "text" && !said.is_void);
        let edits =
            edits.filter(|said| said.replaces.as_deref().is_some_and(|about| first(about) == id));
        let changed = edits.map(|edit| Seq(edit.seq)).max();
        let id = MessageId(parse_digest(id)?.0);
        let about = (log, id, Seq(asks.seq));
        let found = (&conversation.replay.stays[..], &confirmed[..]);
        let name = |user| people.get(&user).cloned();
        Some(Confirmations::of(about, (author, asks.t_ms), found, changed, name))
    };
    let is_room = conversation
        .replay
        .genesis
        .as_ref()
        .is_some_and(|genesis| matches!(genesis.r#type, LogType::Group | LogType::Announce));
    messages.iter().filter(|message| is_room && message.asks_to_confirm).filter_map(list).collect()
}

/// C3 and C4, by the rules that phones run.
fn open(
    conversation: &ExaminedLog,
    placed: &PlacedRecord,
    key: &RecordKey,
    authors: &mut HashMap<DeviceId, AuthorPlace>,
) -> Result<Statement, String> {
    let (entry, _) = conversation.entry(placed.seq).ok_or("the entry is not in the export")?;
    let payload = entry.payload.bytes().ok_or("its payload is not in the export")?;
    let head = Head::parse(&entry.head).map_err(told)?;
    let record = record::open(key, &entry.head, payload).map_err(told)?;
    let record = record.verify(&placed.author.signature_key).map_err(told)?;
    let statement = record.into_statement();
    let device = placed.author.device;
    client::record_content(&head, &statement, device, placed.may_write).map_err(told)?;
    let began = conversation.replay.epochs[placed.epoch].began;
    let held = conversation.entry(statement.seen.seq).map(|(_, hash)| *hash);
    // Records outside of the scope are not opened, so a counter may jump; it never goes back.
    let earliest = began.max(placed.slot.cap);
    let order = client::order(&statement, placed.seq, authors.get(&device), earliest, held)
        .map_err(told)?;
    authors.insert(device, order.place);
    Ok(statement)
}

fn told(error: impl fmt::Display) -> String {
    error.to_string()
}

fn readable(
    company: CompanyId,
    people: &BTreeMap<UserId, String>,
    log: LogId,
    placed: &PlacedRecord,
    statement: &Statement,
) -> Readable {
    let author = placed.author;
    let mut readable = Readable {
        log: log.to_string(),
        seq: placed.seq.0,
        t_ms: placed.t_ms,
        author_t_ms: statement.t_ms,
        user: author.user.to_string(),
        name: people.get(&author.user).cloned(),
        device: author.device.to_string(),
        message_id: None,
        kind: "unknown",
        text: None,
        alternative: None,
        result: None,
        voice_ms: None,
        poll: None,
        choice: None,
        about: None,
        replaces: None,
        about_seq: None,
        is_void: false,
        asks_to_confirm: false,
        announcement: None,
        origin: None,
        files: statement.files.iter().map(ReadableFile::of).collect(),
    };
    match Content::read(statement.ptype, &statement.content) {
        Content::Message(message) => {
            readable.message_id =
                Some(message.id(&statement.content, company, author.user, log).to_string());
            readable.fill(&message);
            for (position, file) in readable.files.iter_mut().enumerate() {
                file.pages = message.pages(position);
            }
            if statement.files.is_empty() {
                readable.show(&message, company, people);
            } else if readable.replaces.is_none() && is_spoken(&statement.files) {
                let voice = message.voice();
                readable.voice_ms = voice.and_then(|voice| voice.duration_ms());
            }
        }
        Content::Control(control) => match control {
            Control::Redact(message) => readable.about("redaction", message.to_string()),
            Control::Pin(message) => readable.about("pin", message.to_string()),
            Control::Unpin(message) => readable.about("unpin", message.to_string()),
            Control::Acknowledge(message) => readable.about("acknowledgement", message.to_string()),
            Control::PolicyNotice(message) => readable.about("policy-notice", message.to_string()),
            Control::Title(title) => {
                readable.kind = "title";
                readable.text = Some(title);
            }
            Control::Ask(_) => readable.kind = "asks-for-keys",
            Control::Vote(message, choice) => {
                readable.about("vote", message.to_string());
                readable.choice = Some(choice);
            }
            Control::ClosePoll(message) => readable.about("poll-close", message.to_string()),
            Control::Picture => readable.kind = "picture",
        },
        Content::Receipt(_) => readable.kind = "receipt",
        Content::OwnState(_) => readable.kind = "own-state",
        Content::Unknown => {}
    }
    readable
}

/// Whether the one document among these is a sound, as a voice message's is.
fn is_spoken(files: &[File]) -> bool {
    let mut originals = files.iter().filter(|file| file.role == FileRole::Original);
    match (originals.next(), originals.next()) {
        (Some(sound), None) => sound.media_type.starts_with("audio/"),
        _ => false,
    }
}

impl ReadableFile {
    fn of(file: &File) -> Self {
        Self {
            name: file.name.clone(),
            media_type: file.media_type.clone(),
            bytes: file.plain_size,
            sha256: file.plain_hash.to_string(),
            pages: None,
        }
    }

    fn mark(&self) -> String {
        let name = line(&self.name);
        match self.pages {
            Some(1) => format!(" [file: {name}, 1 page]"),
            Some(pages) => format!(" [file: {name}, {pages} pages]"),
            None => format!(" [file: {name}]"),
        }
    }
}

impl Readable {
    fn about(&mut self, kind: &'static str, message: String) {
        self.kind = kind;
        self.about = Some(message);
    }

    fn fill(&mut self, message: &Message) {
        self.about = message.in_reply_to.map(|id| id.to_string());
        self.replaces = message.replaces.map(|id| id.to_string());
        self.origin = message.origin().map(|user| user.to_string());
        self.announcement = message.announcement().map(|id| id.to_string());
        self.asks_to_confirm = message.asks_to_confirm() && matches!(message.act(), Act::Write(..));
        let (kind, text) = match message.act() {
            Act::Write(text, _) | Act::Edit(_, Some((text, _))) => ("text", Some(text)),
            Act::React(_, emoji) => ("reaction", Some(emoji)),
            Act::Delete(_) => ("deletion", None),
            _ => ("unknown", None),
        };
        self.kind = kind;
        self.text = text.map(str::to_owned);
    }
}
