//! Announcements, owners, confirmations: done at random, and checked against the archive.

use std::collections::{BTreeMap, BTreeSet};

use hauspost_core::account::{Draft, NewRoom};
use hauspost_core::read::{Confirming, Window, confirmations};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::message::Message as Row;
use hauspost_core::store::rows::stay::Stay;
use hauspost_protocol::body::{HistoryRule, LogType};
use hauspost_protocol::ids::{LogId, MessageId, Seq, UserId};
use rand::RngExt as _;

use super::chaos;
use super::talk::{Said, What};
use super::world::{self, Sent, World};

/// Rows among which something to confirm is looked for: the newest ones.
const NEWEST: u32 = 30;

/// Somebody begins a room for announcements, asks for confirmations, confirms, names owners or withdraws
/// them, renames; with or without the right to it.
pub(super) async fn about(world: &mut World, phone: usize) {
    let what = world.dice.random_range(0..10);
    if what == 0 {
        return begin(world, phone).await;
    }
    let kind = if what % 2 == 0 { LogType::Announce } else { LogType::Group };
    let Some(log) = chaos::some_log(world, phone, Some(kind)).await else { return };
    match what {
        1..4 => ask(world, phone, log).await,
        4..7 => confirm(world, phone, log).await,
        7 => chaos::add(world, phone).await,
        _ => own(world, phone, log).await,
    }
    if world.dice.random_range(0..2) == 0 {
        chaos::push(world, phone).await;
    }
}

async fn begin(world: &mut World, phone: usize) {
    let people = (0..world.plan.phones).map(world::user).collect();
    let shows_past = world.dice.random_range(0..2) == 0;
    let history = if shows_past { HistoryRule::Members } else { HistoryRule::None };
    let title = Some("Aushang".to_owned());
    let room = NewRoom { title, people, announces: true, history };
    let _ = world
        .act(
            phone,
            "begins announcements",
            |account| async move { account.create_room(room).await },
        )
        .await;
}

async fn ask(world: &mut World, phone: usize, log: LogId) {
    world.texts += 1;
    let text = format!("Nachricht {} von {phone}", world.texts);
    let said = text.clone();
    let done = world
        .act(phone, "asks", |account| async move {
            account.send(log, Draft::plain(&said).to_be_confirmed()).await
        })
        .await;
    if let Some(Ok(_)) = done {
        world.sent.push(Sent { phone, text, undone: false });
    }
}

async fn confirm(world: &mut World, phone: usize, log: LogId) {
    let Some(account) = world.wire.account(phone) else { return };
    let Ok(page) = account.timeline(log, Window::Newest, NEWEST).await else { return };
    let asking: Vec<&Row> = page.rows.iter().filter(|row| row.asking.is_some()).collect();
    if asking.is_empty() {
        return;
    }
    let id = asking[world.dice.random_range(0..asking.len())].message_id;
    let _ =
        world.act(phone, "confirms", |account| async move { account.confirm(log, id).await }).await;
}

async fn own(world: &mut World, phone: usize, log: LogId) {
    let user = world::user(world.dice.random_range(0..world.plan.phones));
    let (named, renames) = (world.dice.random_range(0..2) == 0, world.dice.random_range(0..3) == 0);
    let _ = world
        .act(phone, "owns", |account| async move {
            if renames {
                return account.rename(log, "Neuer Aushang").await;
            }
            account.set_owner(log, user, named).await
        })
        .await;
}

/// Who is asked to confirm a message, and who has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Confirmed {
    asked: BTreeSet<UserId>,
    by: BTreeSet<UserId>,
}

/// What is to be confirmed, in the archive: asked is who was there but for the author, and anybody else
/// but he confirms.
pub(super) fn confirmed<'s>(
    said: impl Iterator<Item = (Seq, &'s Said)>,
    stays: &[Stay],
) -> BTreeMap<MessageId, Confirmed> {
    let mut authors: BTreeMap<MessageId, UserId> = BTreeMap::new();
    let mut all: BTreeMap<MessageId, Confirmed> = BTreeMap::new();
    for (seq, Said { id, user, what, asks, .. }) in said {
        match what {
            What::Write(Some(_)) if *asks => {
                let Some(id) = id else { continue };
                let there = stays.iter().filter(|stay| stay.covers(seq) && stay.user != *user);
                let asked = there.map(|stay| stay.user).collect();
                authors.insert(*id, *user);
                all.insert(*id, Confirmed { asked, by: BTreeSet::new() });
            }
            What::Confirm(about) if authors.get(about).is_some_and(|author| author != user) => {
                all.entry(*about).or_default().by.insert(*user);
            }
            _ => {}
        }
    }
    all
}

/// The same, as a phone has it.
pub(super) fn shown(
    conn: &rusqlite::Connection,
    log: LogId,
    rows: &[Row],
) -> Result<BTreeMap<MessageId, Confirmed>, StoreError> {
    let mut all = BTreeMap::new();
    for row in rows.iter().filter(|row| row.asking.is_some() && row.seq.is_some()) {
        let Some(list) = confirmations(conn, log, row.message_id)? else { continue };
        let who = |which: &dyn Fn(&Confirming) -> bool| -> BTreeSet<UserId> {
            list.people.iter().filter(|person| which(person)).map(|person| person.user).collect()
        };
        let mut confirmed =
            Confirmed { asked: who(&|one| one.was_asked), by: who(&|one| one.confirmed.is_some()) };
        // What the row counts is what the list has.
        let counted = row.asking.map(|asking| (asking.asked, asking.confirmed));
        if counted != Some((list.asked() as u64, list.confirmed() as u64)) {
            confirmed.asked.insert(UserId([0xff; 16]));
        }
        all.insert(row.message_id, confirmed);
    }
    Ok(all)
}
