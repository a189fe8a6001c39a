//! One announcement in several rooms: written, changed and taken back at random, and checked on each phone
//! by rules of its own: it is new once, found once, due once, and the same in all rooms.

use std::collections::{BTreeMap, BTreeSet};

use hauspost_core::account::{Account, AccountError, NewRoom};
use hauspost_core::read::{
    FailedChange, SearchQuery, WantedChange, Window, confirmations, conversation, failed_changes,
};
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_core::store::rows::message::{self, Fate, Message as Row, MessageState};
use hauspost_core::store::{FaultPoint, StoreError};
use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::content::{AnnouncementId, TextForm};
use hauspost_protocol::ids::{LogId, MessageId, UserId};
use rand::RngExt as _;

use super::talk::View;
use super::world::{self, World};
use super::{Harm, chaos, check};

/// Rows among which an announcement to change is looked for: the newest ones.
const NEWEST: u32 = 30;

/// An announcement that a phone wrote into several rooms.
#[derive(Debug, Clone)]
pub struct Announced {
    /// The phone.
    pub phone: usize,
    /// Its id.
    pub id: AnnouncementId,
    /// The rooms.
    pub rooms: Vec<LogId>,
    /// What it says at the end; nothing if it was taken back.
    pub says: Option<String>,
    /// Whether it may be gone where it was not sent: it was taken back or put aside.
    pub may_lack: bool,
    /// Rooms in which nothing could be said of it when it was changed: there it stands as it was.
    pub left_out: BTreeSet<LogId>,
    /// Whether another device of the person changed it as well. Which change is the last one is each room's.
    pub by_several: bool,
    /// Whether the phone was put back to a time before it.
    pub undone: bool,
}

/// Somebody begins a room for announcements of some people, announces in several rooms, changes that or
/// takes it back, tries it again or puts it aside, reads it, confirms it.
pub(super) async fn about(world: &mut World, phone: usize) {
    match world.dice.random_range(0..13) {
        0..3 => begin(world, phone).await,
        3..7 => announce(world, phone).await,
        7..9 => {
            let me = world.phones[phone].user;
            if let Some((log, row)) = some(world, phone, |row| row.author == me).await {
                let takes_back = world.dice.random_range(0..4) == 0;
                change(world, phone, (log, &row), takes_back).await;
            }
        }
        9 => read(world, phone).await,
        10 => settle_failed(world, phone).await,
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
    let (asks, to, said) = (world.dice.random_range(0..2) == 0, rooms.clone(), text.clone());
    may_die(world, phone);
    let done = world
        .act(phone, "announces", |account| async move { account.announce(&to, &said, asks).await })
        .await;
    let Some(account) = revived(world, phone).await else { return };
    let here = written(&account, &rooms, &text).await.unwrap_or_default();
    let right = match done {
        Some(Ok(_)) => here.len() == rooms.len(),
        Some(Err(error)) if !world::is_dead(&error) => here.is_empty(),
        _ => here.is_empty() || here.len() == rooms.len(),
    };
    let (seed, all) = (world.seed(), rooms.len());
    assert!(right, "seed {seed}, phone {phone}: announced in {} of {all} rooms", here.len());
    let Some(id) = here.first().and_then(|row| row.saying.announcement) else { return };
    world.announced.push(Announced {
        phone,
        id,
        rooms,
        says: Some(text),
        may_lack: false,
        left_out: BTreeSet::new(),
        by_several: false,
        undone: false,
    });
}

/// The rows of these rooms that say this.
async fn written(account: &Account, rooms: &[LogId], text: &str) -> Result<Vec<Row>, StoreError> {
    let (rooms, text) = (rooms.to_vec(), Some(text.to_owned()));
    let read = account.store().read(move |conn| {
        let mut rows = Vec::new();
        for log in rooms {
            rows.extend(check::all_rows(conn, log)?.into_iter().filter(|row| row.text == text));
        }
        Ok::<_, StoreError>(rows)
    });
    read.await
}

/// The phone may die at its next write, right before or right after it.
fn may_die(world: &mut World, phone: usize) {
    if !world.may(Harm::Kills) || world.dice.random_range(0..3) > 0 {
        return;
    }
    let nth = world.dice.random_range(1..3);
    let before = world.dice.random_range(0..2) == 0;
    let point = if before { FaultPoint::BeforeCommit } else { FaultPoint::AfterCommit };
    if let Some(account) = world.wire.account(phone) {
        account.store().fail_at(nth, point);
    }
}

/// The phone's account; started again if it is dead.
async fn revived(world: &mut World, phone: usize) -> Option<Account> {
    if world.wire.account(phone).is_none() {
        world.start_phone(phone).await;
    }
    world.wire.account(phone)
}

/// An announcement in each room in which a phone has it, with whether the person may write there.
async fn standing(
    account: &Account,
    (author, id): (UserId, AnnouncementId),
) -> Result<BTreeMap<LogId, Row>, StoreError> {
    let read = account.store().read(move |conn| {
        let mut rooms = BTreeMap::new();
        for twin in message::twins(conn, author, id)? {
            let row = message::find(conn, twin.log, twin.message_id)?;
            rooms.extend(row.map(|row| (twin.log.id, row)));
        }
        Ok::<_, StoreError>(rooms)
    });
    read.await
}

/// What of a message changes when something is done to it.
fn print(row: &Row) -> (MessageId, Option<&str>, Fate, MessageState, bool) {
    let is_mine = row.asking.is_some_and(|asking| asking.is_mine);
    (row.message_id, row.text.as_deref(), row.fate, row.state, is_mine)
}

/// Lets a phone do something to an announcement, which happens in all of its rooms that `can` take it, or in
/// none, even if the phone dies of it. The rooms in which it happened, and those that could not; `None` if nobody
/// can tell.
async fn in_all<F>(
    world: &mut World,
    (phone, what): (usize, &str),
    of: (UserId, AnnouncementId),
    can: impl Fn(LogId, &Row) -> bool,
    job: impl FnOnce(Account) -> F,
) -> Option<(bool, BTreeSet<LogId>)>
where
    F: Future<Output = Result<(), AccountError>>,
{
    let before = standing(&world.wire.account(phone)?, of).await.ok()?;
    may_die(world, phone);
    let done = world.act(phone, what, job).await;
    let after = standing(&revived(world, phone).await?, of).await.ok()?;
    let differs = |log: &LogId| after.get(log).map(print) != before.get(log).map(print);
    let (rooms, left_out): (BTreeSet<LogId>, BTreeSet<LogId>) =
        before.keys().partition(|log| can(**log, &before[log]));
    let changed = rooms.iter().filter(|log| differs(log)).count();
    let right = match &done {
        Some(Ok(())) => changed == rooms.len(),
        Some(Err(error)) if !world::is_dead(error) => changed == 0,
        _ => changed == 0 || changed == rooms.len(),
    };
    let (seed, all) = (world.seed(), rooms.len());
    assert!(right, "seed {seed}, phone {phone} {what} in {changed} of {all} rooms: {done:?}");
    Some((before.keys().any(differs), left_out))
}

/// The rooms in which a phone's person may write.
async fn own_rooms(world: &World, phone: usize) -> Option<BTreeSet<LogId>> {
    let rooms = world.wire.account(phone)?.announcement_rooms().await.ok()?;
    Some(rooms.into_iter().map(|room| room.log).collect())
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

/// Changes an announcement of the phone's person, or takes it back.
pub(super) async fn change(
    world: &mut World,
    phone: usize,
    (log, row): (LogId, &Row),
    takes_back: bool,
) {
    let Some(announcement) = row.saying.announcement else { return };
    let Some(own) = own_rooms(world, phone).await else { return };
    let (of, id) = ((row.author, announcement), row.message_id);
    let text = text(world, phone);
    let said = text.clone();
    let can = |log, row: &Row| own.contains(&log) && !row.fate.is_hidden();
    let done = in_all(world, (phone, "changes an announcement"), of, can, |account| async move {
        match takes_back {
            true => account.delete(log, id).await,
            false => account.edit(log, id, &said, TextForm::Plain).await,
        }
    });
    let Some((true, left_out)) = done.await else { return };
    if let Some(known) = announced(world, of) {
        let by_several = known.phone != phone;
        known.says = (!takes_back).then_some(text);
        known.may_lack |= takes_back;
        known.left_out.extend(left_out);
        known.by_several |= by_several;
    }
}

fn announced(world: &mut World, (author, id): (UserId, AnnouncementId)) -> Option<&mut Announced> {
    let phones = &world.phones;
    world.announced.iter_mut().find(|one| one.id == id && phones[one.phone].user == author)
}

/// Tries an announcement that failed once more, or puts it aside.
async fn settle_failed(world: &mut World, phone: usize) {
    let me = world.phones[phone].user;
    let failed = |row: &Row| row.author == me && row.state == MessageState::Failed;
    let Some((log, row)) = some(world, phone, failed).await else { return };
    let Some(announcement) = row.saying.announcement else { return };
    let Some(open) = open_rooms(world, phone).await else { return };
    let (of, id) = ((me, announcement), row.message_id);
    let aside = world.dice.random_range(0..2) == 0;
    let can = |log, row: &Row| failed(row) && (aside || open.contains(&log));
    let done = in_all(world, (phone, "settles an announcement"), of, can, |account| async move {
        match aside {
            true => account.discard(log, id).await,
            false => account.retry(log, id).await,
        }
    });
    if let (Some((true, _)), Some(known)) = (done.await, announced(world, of)) {
        known.may_lack |= aside;
    }
}

/// The rooms in which a phone can say anything.
async fn open_rooms(world: &World, phone: usize) -> Option<BTreeSet<LogId>> {
    let logs = world.wire.account(phone)?.store().read(log::all).await.ok()?;
    let is_open = |state| matches!(state, LogState::Active | LogState::Broken);
    Some(logs.into_iter().filter(|log| is_open(log.state)).map(|log| log.local.id).collect())
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
    let me = world.phones[phone].user;
    let asks = |row: &Row| {
        let is_open = row.asking.is_some_and(|asking| !asking.is_mine);
        is_open && row.author != me && row.seq.is_some() && !row.fate.is_hidden()
    };
    let Some((log, row)) = some(world, phone, asks).await else { return };
    let Some(announcement) = row.saying.announcement else { return };
    let Some(open) = open_rooms(world, phone).await else { return };
    let (of, id) = ((row.author, announcement), row.message_id);
    let can = |log, row: &Row| open.contains(&log) && asks(row);
    let _ = in_all(world, (phone, "confirms an announcement"), of, can, |account| async move {
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
}

fn held(conn: &rusqlite::Connection, me: UserId) -> Result<Held, StoreError> {
    let mut held = Held {
        unread: BTreeMap::new(),
        read: BTreeMap::new(),
        single: Vec::new(),
        several: BTreeMap::new(),
    };
    for known in log::all(conn)?.into_iter().filter(|log| log.r#type == LogType::Announce) {
        let id = known.local.id;
        let Some(row) = conversation(conn, id)? else { continue };
        let sql = "SELECT max(ifnull(read_seq, -1), ifnull(skip_seq, -1)) FROM conversation
                   WHERE log = (SELECT id FROM log WHERE log = ?1)";
        let read: i64 = conn.query_row(sql, [id.0], |row| row.get(0))?;
        held.unread.insert(id, row.unread);
        held.read.insert(id, read);
        for row in check::all_rows(conn, id)?.into_iter().filter(Row::is_said) {
            let Some(announcement) = row.saying.announcement else {
                held.single.push((id, row));
                continue;
            };
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
    for rooms in held.several.values() {
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

/// What the server's logs have of announcements: by log, author and id the messages, and how each is seen.
pub(super) type Stands = BTreeMap<(LogId, UserId, AnnouncementId), Vec<View>>;

/// Each announcement is in each of its rooms once: at the server, or failed with a reason that its author is shown;
/// and says the same in all of them, on his phone and at the server.
pub(super) async fn kept(world: &World, stands: &Stands, broken: &mut Vec<String>) {
    for known in &world.announced {
        let phone = &world.phones[known.phone];
        if known.undone || phone.revoked || phone.restored {
            continue;
        }
        let Some(account) = world.wire.account(known.phone) else { continue };
        for log in known.rooms.iter().copied() {
            let (me, id) = (phone.user, known.id);
            let read = account.store().read(move |conn| {
                let mut rows = check::all_rows(conn, log)?;
                rows.retain(|row| row.author == me && row.saying.announcement == Some(id));
                Ok::<_, StoreError>((rows, failed_changes(conn, log)?))
            });
            let (rows, failed) = read.await.expect("a healed phone can be read");
            let there = stands.get(&(log, me, id)).map(Vec::as_slice).unwrap_or_default();
            let wrong = wrong(known, log, (&rows, &failed), there);
            broken
                .extend(wrong.map(|what| {
                    format!("phone {}: its announcement in {log} {what}", known.phone)
                }));
        }
    }
}

/// What is wrong with an announcement in one of its rooms.
fn wrong(
    known: &Announced,
    log: LogId,
    (rows, failed): (&[Row], &[FailedChange]),
    there: &[View],
) -> Option<String> {
    let kept = match (rows, there) {
        ([row], [_]) => {
            row.seq.is_some() && matches!(row.state, MessageState::Sent | MessageState::Secured)
        }
        ([row], []) => row.state == MessageState::Failed && row.reason.is_some(),
        ([], []) => known.may_lack,
        _ => false,
    };
    let [row] = rows else {
        let count = (rows.len(), there.len());
        return (!kept).then(|| format!("is {count:?} times here and at the server"));
    };
    let here = (row.seq, row.state);
    if !kept {
        return Some(format!("is {here:?} here, and at the server {} times", there.len()));
    }
    // What failed in a room stands as it was there; whoever wrote it is told.
    let failed = failed.iter().any(
        |change| matches!(change.wanted, WantedChange::About(about, _) if about == row.message_id),
    );
    let said = row.text.clone().filter(|_| !row.fate.is_hidden());
    let shown = there.iter().all(|view| (view.fate, &view.text) == (row.fate, &said));
    if !shown && !failed {
        return Some(format!("says {said:?}, and at the server {there:?}"));
    }
    let is_plain = !failed && !known.by_several && !known.left_out.contains(&log);
    let wrong = is_plain && row.fate != Fate::Redacted && said != known.says;
    wrong.then(|| format!("says {said:?} where {:?} is right", known.says))
}
