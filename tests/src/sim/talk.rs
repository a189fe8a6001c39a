//! What people say about messages: done at random, and worked out from the archive by rules of its
//! own, so that each phone's view is checked against another one than the core's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hauspost_core::read::{Window, reactions, timeline, voters};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::message::{Fate, Message as Row};
use hauspost_core::store::rows::reaction::REACTIONS;
use hauspost_protocol::content::{
    Act, AnnouncementId, Card, Choice, Message as Written, Poll, TextForm,
};
use hauspost_protocol::ids::{LogId, MessageId, Seq, UserId};
use rand::RngExt as _;

use super::world::{Sent, World};
use super::{announced, chaos};

const EMOJI: [&str; 4] = ["👍", "❤️", "😀", "🎉"];
const OPTIONS: [&str; 3] = ["ja", "nein", "vielleicht"];
/// Messages about which something is said: the newest ones.
const NEWEST: u32 = 12;

/// Somebody says something about a message, with or without the right to it.
pub(super) async fn about(world: &mut World, phone: usize) {
    let Some(log) = chaos::some_log(world, phone, None).await else { return };
    let Some(account) = world.wire.account(phone) else { return };
    let Ok(page) = account.timeline(log, Window::Newest, NEWEST).await else { return };
    let rows: Vec<Row> =
        page.rows.into_iter().filter(|row| row.is_said() && row.seq.is_some()).collect();
    if rows.is_empty() {
        return;
    }
    for _ in 0..world.dice.random_range(1..4) {
        let row = &rows[world.dice.random_range(0..rows.len())];
        let id = row.message_id;
        let emoji = EMOJI[world.dice.random_range(0..EMOJI.len())];
        world.texts += 1;
        let text = format!("Nachricht {} von {phone}", world.texts);
        let said = text.clone();
        let what = world.dice.random_range(0..14);
        let options: Vec<usize> =
            (0..OPTIONS.len()).filter(|_| world.dice.random_range(0..2) == 0).collect();
        let choice = Choice::of(options).unwrap_or_default();
        if what < 4 && row.author == world.phones[phone].user && row.saying.announcement.is_some() {
            announced::change(world, phone, (log, row), what == 3).await;
            continue;
        }
        let done = world.act(phone, "says about", |account| async move {
            match what {
                0..3 => account.edit(log, id, &said, TextForm::Plain).await.map(|()| false),
                3 => account.delete(log, id).await.map(|()| false),
                4 => account.redact(log, id).await.map(|()| false),
                5..8 => account.react(log, id, emoji).await.map(|()| false),
                8 => account.unreact(log, id, emoji).await.map(|()| false),
                9..12 => account.vote(log, id, choice).await.map(|()| false),
                12 => account.close_poll(log, id).await.map(|()| false),
                _ => account.reply(log, &said, id).await.map(|_| true),
            }
        });
        if let Some(Ok(true)) = done.await {
            world.sent.push(Sent { phone, text, undone: false });
        }
    }
    if world.dice.random_range(0..3) == 0 {
        ask(world, phone, log).await;
    }
    if world.dice.random_range(0..2) == 0 {
        chaos::push(world, phone).await;
    }
}

/// Somebody asks everybody. The text that is looked for is what older apps show.
async fn ask(world: &mut World, phone: usize, log: LogId) {
    world.texts += 1;
    let question = format!("Frage {} von {phone}", world.texts);
    let most = world.dice.random_range(1..=OPTIONS.len() as u32);
    let poll = Poll::new(question, OPTIONS.map(str::to_owned).to_vec(), most);
    let Some(poll) = poll.ok().map(Card::Poll) else { return };
    let text = poll.text().unwrap_or_default();
    let done = world.act(phone, "asks", |account| async move {
        account.send_card(log, &poll, None).await.map(|_| ())
    });
    if let Some(Ok(())) = done.await {
        world.sent.push(Sent { phone, text, undone: false });
    }
}

/// What a record says, in the archive.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub id: Option<MessageId>,
    pub user: UserId,
    pub what: What,
    /// Whether it asks to be confirmed, in a conversation where one may ask.
    pub asks: bool,
    /// Under which id it is one announcement with others.
    pub announcement: Option<AnnouncementId>,
}

/// See [`Said`].
#[derive(Debug, Clone)]
pub(super) enum What {
    Write(Option<String>),
    Ask(String, Poll),
    Vote(MessageId, Choice),
    /// And whether an owner says so.
    Close(MessageId, bool),
    Edit(MessageId, Option<String>),
    Delete(MessageId),
    React(MessageId, String),
    /// And whether an owner says so.
    Redact(MessageId, bool),
    Confirm(MessageId),
    Other,
}

impl What {
    pub fn of(act: &Act<'_>, is_owner: bool) -> Self {
        match *act {
            Act::Write(text, _) => Self::Write(Some(text.to_owned())),
            Act::Unknown => Self::Write(None),
            Act::Edit(id, said) => Self::Edit(id, said.map(|(text, _)| text.to_owned())),
            Act::Delete(id) => Self::Delete(id),
            Act::React(id, emoji) => Self::React(id, emoji.to_owned()),
            Act::Redact(id) => Self::Redact(id, is_owner),
            Act::Vote(id, choice) => Self::Vote(id, choice),
            Act::ClosePoll(id) => Self::Close(id, is_owner),
            Act::Acknowledge(id) => Self::Confirm(id),
            Act::Pin(_) | Act::Unpin(_) => Self::Other,
        }
    }
}

/// A poll, with what it says in words.
pub(super) fn asked(poll: Poll) -> What {
    let card = Card::Poll(poll);
    let text = card.text().unwrap_or_default();
    let Card::Poll(poll) = card else { return What::Other };
    What::Ask(text, poll)
}

/// A message as people see it at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub fate: Fate,
    pub text: Option<String>,
    pub reactions: BTreeSet<(UserId, String)>,
    /// Who chose what, and who closed it, if it is a poll.
    pub poll: Option<(BTreeMap<UserId, u16>, Option<UserId>)>,
}

/// What a name stands for.
enum Named {
    Message(MessageId),
    Reaction(MessageId, UserId, String),
}

/// All messages as they are seen by who has read exactly this, in the log's order.
pub(super) fn views<'s>(said: impl Iterator<Item = &'s Said>) -> BTreeMap<MessageId, View> {
    let mut views: BTreeMap<MessageId, View> = BTreeMap::new();
    let mut authors: HashMap<MessageId, UserId> = HashMap::new();
    let mut named: HashMap<MessageId, Named> = HashMap::new();
    let mut polls: HashMap<MessageId, &Poll> = HashMap::new();
    for Said { id, user, what, .. } in said {
        let message =
            |about: &MessageId, named: &HashMap<MessageId, Named>| match named.get(about)? {
                Named::Message(id) => Some(*id),
                Named::Reaction(..) => None,
            };
        let about = match what {
            What::Write(text) => {
                let Some(id) = id else { continue };
                views.insert(*id, View::of(text.clone()));
                authors.insert(*id, *user);
                Some(*id)
            }
            What::Ask(text, poll) => {
                let Some(id) = id else { continue };
                let asked = Some((BTreeMap::new(), None));
                views.insert(*id, View { poll: asked, ..View::of(Some(text.clone())) });
                authors.insert(*id, *user);
                polls.insert(*id, poll);
                Some(*id)
            }
            What::Vote(about, choice) => {
                let poll = message(about, &named);
                let takes = |id: &MessageId| polls.get(id).is_some_and(|poll| poll.takes(*choice));
                let view = poll.filter(takes).and_then(|poll| views.get_mut(&poll));
                if let Some((votes, None)) = view.and_then(|view| view.poll.as_mut()) {
                    votes.insert(*user, choice.bits());
                }
                None
            }
            What::Close(about, is_owner) => {
                let poll = message(about, &named);
                let may = |id: &MessageId| *is_owner || authors.get(id) == Some(user);
                let view = poll.filter(may).and_then(|poll| views.get_mut(&poll));
                if let Some((_, closed)) = view.and_then(|view| view.poll.as_mut()) {
                    *closed = closed.or(Some(*user));
                }
                None
            }
            What::Delete(about) if matches!(named.get(about), Some(Named::Reaction(..))) => {
                let Some(Named::Reaction(to, who, emoji)) = named.get(about) else { continue };
                let (to, emoji) = (*to, emoji.clone());
                if let Some(view) = views.get_mut(&to).filter(|_| who == user) {
                    view.reactions.remove(&(*user, emoji));
                }
                None
            }
            What::Edit(about, text) => {
                let about = message(about, &named);
                let mine = about.filter(|about| authors.get(about) == Some(user));
                if let Some(view) = mine.and_then(|about| views.get_mut(&about))
                    && !view.fate.is_hidden()
                    && view.poll.is_none()
                {
                    (view.fate, view.text) = (Fate::Edited, text.clone());
                }
                about
            }
            What::Delete(about) => {
                let about = message(about, &named);
                let mine = about.filter(|about| authors.get(about) == Some(user));
                hide(&mut views, mine, Fate::Deleted);
                about
            }
            What::Redact(about, is_owner) => {
                let about = message(about, &named).filter(|_| *is_owner);
                hide(&mut views, about, Fate::Redacted);
                None
            }
            What::React(about, emoji) => {
                let Some(to) = message(about, &named) else { continue };
                if let Some(view) = views.get_mut(&to) {
                    let of = view.reactions.iter().filter(|(who, _)| who == user).count();
                    if of < REACTIONS as usize {
                        view.reactions.insert((*user, emoji.clone()));
                    }
                }
                if let Some(id) = id {
                    named.insert(*id, Named::Reaction(to, *user, emoji.clone()));
                }
                None
            }
            What::Confirm(_) | What::Other => None,
        };
        if let (Some(id), Some(about)) = (id, about) {
            named.insert(*id, Named::Message(about));
        }
    }
    for (votes, _) in views.values_mut().filter_map(|view| view.poll.as_mut()) {
        votes.retain(|_, choice| *choice != 0);
    }
    views
}

impl View {
    fn of(text: Option<String>) -> Self {
        Self { fate: Fate::Stands, text, reactions: BTreeSet::new(), poll: None }
    }
}

fn hide(views: &mut BTreeMap<MessageId, View>, about: Option<MessageId>, fate: Fate) {
    if let Some(view) = about.and_then(|about| views.get_mut(&about))
        && !view.fate.is_hidden()
    {
        (view.fate, view.text, view.poll) = (fate, None, None);
    }
}

/// The same, as a phone shows it.
pub(super) fn shown(
    conn: &rusqlite::Connection,
    log: LogId,
) -> Result<BTreeMap<MessageId, View>, StoreError> {
    let mut views = BTreeMap::new();
    let mut after = -1;
    loop {
        let page = timeline(conn, log, Window::After(after), 200)?;
        for row in page.rows {
            after = row.key;
            if !row.is_said() || row.seq.is_none() {
                continue;
            }
            let who: BTreeSet<_> =
                reactions(conn, log, row.message_id, 1_000)?.into_iter().collect();
            // What the page says of them is what their list says.
            let counted: u64 = row.reactions.iter().map(|tally| tally.count).sum();
            let text = match counted == who.len() as u64 || row.fate.is_hidden() {
                true => row.text,
                false => Some(format!("{counted} reactions of {}", who.len())),
            };
            let poll = row.card.and_then(|shown| shown.votes);
            let poll = match poll {
                None => None,
                Some(votes) => {
                    let chose: BTreeMap<_, _> = voters(conn, log, row.message_id, 1_000)?
                        .into_iter()
                        .map(|(user, choice)| (user, choice.bits()))
                        .collect();
                    // What the page counts is what their list says, else nobody is right.
                    let count = |option: usize| {
                        chose.values().filter(|bits| *bits >> option & 1 == 1).count() as u32
                    };
                    let fits = votes.voters == chose.len() as u64
                        && (0..OPTIONS.len()).all(|option| votes.count(option) == count(option));
                    Some((if fits { chose } else { BTreeMap::new() }, votes.closed_by))
                }
            };
            views.insert(row.message_id, View { fate: row.fate, text, reactions: who, poll });
        }
        if !page.more_after {
            return Ok(views);
        }
    }
}

/// What a message said when it was written.
pub(super) fn as_written(row: &Row) -> Option<String> {
    let written = Written::parse(row.content.as_deref()?).ok()?;
    match written.act() {
        // A poll's is what older apps show, which is the same where nobody lies.
        Act::Write(text, _) => Some(text.to_owned()),
        _ => None,
    }
}

/// The entries of a log at which somebody said something about a message, as a phone has them.
pub(super) fn marks(
    conn: &rusqlite::Connection,
    log: LogId,
) -> Result<(BTreeSet<Seq>, u64), StoreError> {
    let mut select = conn.prepare(
        "SELECT key & 0xffffffffff, state FROM mark
         WHERE key >> 40 = (SELECT id FROM log WHERE log = ?1)",
    )?;
    let rows = select.query_map([&log.0[..]], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
    let waiting = rows.iter().filter(|(_, state)| *state == 1).count() as u64;
    let ordered = rows.into_iter().filter(|(place, _)| *place < 1 << 39);
    Ok((ordered.map(|(place, _)| Seq(place.unsigned_abs())).collect(), waiting))
}
