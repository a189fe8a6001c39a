//! One announcement in several rooms: written, changed and taken back at random, and checked on each phone
//! by rules of its own: it is new once, found once, due once, and the same in all rooms.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hauspost_core::account::{Account, NewRoom};
use hauspost_core::read::{SearchQuery, Window, confirmations, conversation};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::log;
use hauspost_core::store::rows::message::{Fate, Message as Row, MessageState};
use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::content::{AnnouncementId, TextForm};
use hauspost_protocol::ids::{LogId, MessageId, UserId};
use rand::RngExt as _;

use super::world::{self, World};
use super::{chaos, check};

/// Rows among which an announcement to change is looked for: the newest ones.
const NEWEST: u32 = 30;

/// An announcement that a phone promised to send.
#[derive(Debug, Clone)]
pub struct Announced {
    /// The phone.
    pub phone: usize,
    /// Its messages, one in each room.
    pub messages: Vec<(LogId, MessageId)>,
    /// Whether the phone was put back to a time before it.
    pub undone: bool,
}

/// Somebody begins a room for announcements of some people, announces in several rooms, changes that or
/// takes it back, reads it, confirms it.
pub(super) async fn about(world: &mut World, phone: usize) {
    match world.dice.random_range(0..12) {
        0..3 => begin(world, phone).await,
        3..7 => announce(world, phone).await,
        7..9 => change(world, phone).await,
        9 => read(world, phone).await,
        _ => confirm(world, phone).await,
    }
    if world.dice.random_range(0..2) == 0 {
        chaos::push(world, phone).await;
    }
}

async fn begin(world: &mut World, phone: usize) {
    let me = world.phones[phone].person;
    let mut people = Vec::new();
    for person in 0..world.plan.phones {
        if person != me && world.dice.random_range(0..3) > 0 {
            people.push(world::user(person));
        }
    }
    let (title, history) = (Some("Aushang".to_owned()), HistoryRule::None);
    let room = NewRoom { title, people, announces: true, history };
    let _ = world
        .act(phone, "begins a room", |account| async move { account.create_room(room).await })
        .await;
}

/// A text by whose second word it is found, and nothing else.
fn text(world: &mut World, phone: usize) -> String {
    world.texts += 1;
    format!("Aushang aushang{:06} von {phone}", world.texts)
}

async fn announce(world: &mut World, phone: usize) {
    let Some(account) = world.wire.account(phone) else { return };
    let Ok(own) = account.announcement_rooms().await else { return };
    let mut rooms: Vec<LogId> = own.into_iter().map(|room| room.log).collect();
    rooms.sort_unstable();
    if rooms.len() < 2 {
        return begin(world, phone).await;
    }
    // Nearly all of them, in any order.
    if rooms.len() > 2 {
        rooms.remove(world.dice.random_range(0..rooms.len()));
    }
    if world.dice.random_range(0..2) == 0 {
        rooms.reverse();
    }
    let text = text(world, phone);
    let (asks, to) = (world.dice.random_range(0..2) == 0, rooms.clone());
    let done = world
        .act(phone, "announces", |account| async move { account.announce(&to, &text, asks).await })
        .await;
    if let Some(Ok(ids)) = done {
        let messages = rooms.into_iter().zip(ids).collect();
        world.announced.push(Announced { phone, messages, undone: false });
    }
}

/// An announcement among the newest messages of a room that fits, if there is one.
async fn some(
    world: &mut World,
    phone: usize,
    fits: impl Fn(&Row) -> bool,
) -> Option<(LogId, Row)> {
    let log = chaos::some_log(world, phone, Some(LogType::Announce)).await?;
    let page = world.wire.account(phone)?.timeline(log, Window::Newest, NEWEST).await.ok()?;
    let announced = |row: &Row| row.is_said() && row.saying.announcement.is_some() && fits(row);
    let mut rows: Vec<Row> = page.rows.into_iter().filter(announced).collect();
    if rows.is_empty() {
        return None;
    }
    Some((log, rows.swap_remove(world.dice.random_range(0..rows.len()))))
}

async fn change(world: &mut World, phone: usize) {
    let me = world.phones[phone].user;
    let Some((log, row)) = some(world, phone, |row| row.author == me).await else { return };
    let (id, takes_back) = (row.message_id, world.dice.random_range(0..4) == 0);
    let text = text(world, phone);
    let done = world
        .act(phone, "changes an announcement", |account| async move {
            match takes_back {
                true => account.delete(log, id).await,
                false => account.edit(log, id, &text, TextForm::Plain).await,
            }
        })
        .await;
    if !matches!(done, Some(Ok(()))) {
        world.torn.insert(phone);
    }
}

async fn read(world: &mut World, phone: usize) {
    let Some((log, row)) = some(world, phone, |row| row.seq.is_some()).await else { return };
    let Some(seq) = row.seq else { return };
    let _ =
        world
            .act(phone, "reads an announcement", |account| async move {
                account.mark_read(log, seq).await
            })
            .await;
}

async fn confirm(world: &mut World, phone: usize) {
    let Some((log, row)) = some(world, phone, |row| row.asking.is_some()).await else { return };
    let id = row.message_id;
    let _ =
        world
            .act(phone, "confirms an announcement", |account| async move {
                account.confirm(log, id).await
            })
            .await;
}

/// A message of an announcement as a phone has it.
struct Here {
    row: Row,
    /// Up to where its room is read.
    read: i64,
    /// Whether the person confirmed it there.
    confirmed: bool,
}

/// All rooms of a phone, and its announcements with their rooms.
struct Held {
    unread: BTreeMap<LogId, u64>,
    read: BTreeMap<LogId, i64>,
    /// What stands in rooms for announcements, and is none of several rooms.
    single: Vec<(LogId, Row)>,
    several: BTreeMap<(UserId, AnnouncementId), BTreeMap<LogId, Here>>,
    failed: BTreeSet<LogId>,
}

fn held(conn: &rusqlite::Connection, me: UserId) -> Result<Held, StoreError> {
    let mut held = Held {
        unread: BTreeMap::new(),
        read: BTreeMap::new(),
        single: Vec::new(),
        several: BTreeMap::new(),
        failed: BTreeSet::new(),
    };
    for known in log::all(conn)?.into_iter().filter(|log| log.r#type == LogType::Announce) {
        let id = known.local.id;
        let Some(row) = conversation(conn, id)? else { continue };
        let sql = "SELECT max(ifnull(read_seq, -1), ifnull(skip_seq, -1)) FROM conversation
                   WHERE log = (SELECT id FROM log WHERE log = ?1)";
        let read: i64 = conn.query_row(sql, [id.0], |row| row.get(0))?;
        held.unread.insert(id, row.unread);
        held.read.insert(id, read);
        if !hauspost_core::read::failed_changes(conn, id)?.is_empty() {
            held.failed.insert(id);
        }
        for row in check::all_rows(conn, id)?.into_iter().filter(Row::is_said) {
            let Some(announcement) = row.saying.announcement else {
                held.single.push((id, row));
                continue;
            };
            if row.state == MessageState::Failed {
                held.failed.insert(id);
            }
            let confirmed = match row.asking {
                Some(_) => confirmations(conn, id, row.message_id)?.is_some_and(|list| {
                    list.people.iter().any(|one| one.user == me && one.confirmed.is_some())
                }),
                None => false,
            };
            let rooms = held.several.entry((row.author, announcement)).or_default();
            rooms.insert(id, Here { row, read, confirmed });
        }
    }
    Ok(held)
}

/// What can be promised for a phone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promised {
    /// The number of the phone.
    pub number: usize,
    /// It read everything as it came.
    pub missed_nothing: bool,
    /// It is the person's only one, and never failed in the middle of a change.
    pub is_whole: bool,
}

/// What several rooms have is told of once, found once, due once, and says the same in all of them.
pub(super) async fn right(promised: Promised, account: &Account, broken: &mut Vec<String>) {
    let (me, number) = (account.user(), promised.number);
    let read = account.store().read(move |conn| held(conn, me)).await;
    let held = read.expect("a healed phone can be read");
    let tell = |what: String| format!("phone {number}, announcements: {what}");
    let due: Vec<_> = account.to_confirm().await.map_or_else(
        |_| Vec::new(),
        |due| due.into_iter().map(|due| (due.message.log, due.message.message_id)).collect(),
    );
    let mut unread: BTreeMap<LogId, u64> = held.unread.keys().map(|log| (*log, 0)).collect();
    let mut is_new = |log: LogId, row: &Row, read: i64| {
        let seq = row.seq.map(|seq| i64::try_from(seq.0).unwrap_or(i64::MAX));
        let is_new = row.author != me && !row.fate.is_hidden() && seq.is_some_and(|seq| seq > read);
        if is_new && let Some(count) = unread.get_mut(&log) {
            *count += 1;
        }
    };
    for (log, row) in &held.single {
        is_new(*log, row, held.read[log]);
    }
    let was_read = |here: &Here| {
        here.row.seq.is_some_and(|seq| i64::try_from(seq.0).is_ok_and(|seq| seq <= here.read))
    };
    for ((author, _), rooms) in &held.several {
        let Some((first, here)) = rooms.first_key_value() else { continue };
        if !rooms.values().any(was_read) {
            is_new(*first, &here.row, here.read);
        }
        let listed = rooms.iter().filter(|(log, here)| due.contains(&(**log, here.row.message_id)));
        let listed = listed.count();
        let confirmed = rooms.values().any(|here| here.confirmed);
        if listed > usize::from(!confirmed) {
            broken.push(tell(format!("{listed} to confirm in {rooms:?}", rooms = rooms.keys())));
        }
        if rooms.values().any(|here| here.row.seq.is_none() || here.row.fate == Fate::Redacted) {
            continue;
        }
        // What failed in one of them stands as it was there; whoever wrote it is told.
        // One that was changed before it was sent is not said to be changed.
        let says = |here: &Here| (here.row.fate.is_hidden(), here.row.text.clone());
        let same = rooms.values().all(|other| says(other) == says(here));
        if !same && *author == me && promised.is_whole {
            let failed = rooms.keys().any(|log| held.failed.contains(log));
            if !failed {
                let said: Vec<_> = rooms.values().map(says).collect();
                broken.push(tell(format!("{said:?} of one announcement")));
            }
        }
        if *author == me && !promised.is_whole {
            continue;
        }
        let text = here.row.text.as_deref().filter(|_| !here.row.fate.is_hidden());
        let Some(word) = text.and_then(|text| text.split(' ').nth(1)) else { continue };
        let found = account.search(SearchQuery::words(word), None, 9).await;
        let hits = found.map_or(0, |found| found.hits.len());
        if hits != 1 {
            broken.push(tell(format!("{word} is found {hits} times in {} rooms", rooms.len())));
        }
    }
    if promised.missed_nothing {
        for (log, right) in unread {
            let counted = held.unread[&log];
            if counted != right {
                broken.push(tell(format!("{log} has {counted} unread where {right} are")));
            }
        }
    }
}

/// Each announcement that was promised is in each of its rooms once: at the server, or failed with a
/// reason that its author is shown.
pub(super) async fn kept(
    world: &World,
    places: &HashMap<(LogId, MessageId), usize>,
    broken: &mut Vec<String>,
) {
    for Announced { phone, messages, undone } in &world.announced {
        if *undone || world.phones[*phone].revoked || world.phones[*phone].restored {
            continue;
        }
        let Some(account) = world.wire.account(*phone) else { continue };
        for (log, id) in messages {
            let there = places.get(&(*log, *id)).copied().unwrap_or_default();
            let (log, id) = (*log, *id);
            let read = account.store().read(move |conn| {
                let mut rows = check::all_rows(conn, log)?;
                rows.retain(|row| row.message_id == id);
                Ok::<_, StoreError>(rows)
            });
            let rows = read.await.expect("a healed phone can be read");
            let kept = match (&rows[..], there) {
                ([row], 1) => {
                    row.seq.is_some()
                        && matches!(row.state, MessageState::Sent | MessageState::Secured)
                }
                ([row], 0) => row.state == MessageState::Failed && row.reason.is_some(),
                // Taken back before it was sent anywhere.
                ([], 0) => true,
                _ => false,
            };
            if !kept {
                let here: Vec<_> = rows.iter().map(|row| (row.seq, row.state)).collect();
                let what = format!("{here:?} here and {there} times at the server");
                broken.push(format!("phone {phone}: its announcement in {log} is {what}"));
            }
        }
    }
}
