//! What the devices of one person agree on: done at random, and compared at the end.

use std::collections::BTreeMap;

use hauspost_core::account::Account;
use hauspost_core::read::{ConversationRow, Window, conversation};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::own;
use hauspost_protocol::content::{OwnFact, Subject};
use hauspost_protocol::ids::LogId;
use rand::RngExt as _;

use super::chaos;
use super::world::World;

/// The settings that people have.
const SETTINGS: [&str; 2] = ["quiet", "theme"];

/// Somebody reads, begins to write, stars, silences, puts away, orders or sets.
pub(super) async fn acts(world: &mut World, phone: usize) {
    for _ in 0..world.dice.random_range(1..4) {
        let Some(log) = chaos::some_log(world, phone, None).await else { return };
        let (what, yes) = (world.dice.random_range(0..10), world.dice.random_range(0..3) > 0);
        world.texts += 1;
        let text = format!("Entwurf {} von {phone}", world.texts);
        let place: usize = world.dice.random_range(0..8);
        let _ = world
            .act(phone, "does for himself", |account| async move {
                let page = account.timeline(log, Window::Newest, 8).await?;
                let row = page.rows.get(place % page.rows.len().max(1));
                match (what, row) {
                    (0..2, Some(row)) => match row.seq {
                        Some(seq) => account.mark_read(log, seq).await,
                        None => Ok(()),
                    },
                    (2, Some(row)) if row.is_said() => account.star(log, row.message_id, yes).await,
                    (3..5, _) => account.set_draft(log, yes.then_some(text)).await,
                    (5, _) => {
                        let row = account.conversation(log).await?;
                        let version = row.map_or(0, |row| row.draft_version);
                        account.note_draft(log, Some(text), version).await
                    }
                    (6, _) => account.set_muted(log, yes).await,
                    (7, _) => account.set_archived(log, yes).await,
                    (8, _) => account.set_favourite(log, yes).await,
                    (9, _) => {
                        let value = yes.then(|| text.into_bytes());
                        account.set_own_setting(SETTINGS[place % SETTINGS.len()], value).await
                    }
                    _ => Ok(()),
                }
            })
            .await;
    }
    if world.dice.random_range(0..2) == 0 {
        chaos::push(world, phone).await;
    }
}

/// All facts of a device, and the rows of the conversations that they are about.
type Holds = (BTreeMap<Subject, OwnFact>, BTreeMap<LogId, ConversationRow>);

/// All devices of a person hold the same facts, have told all of them, and show them.
pub(super) async fn agree(devices: Vec<(usize, Account)>, broken: &mut Vec<String>) {
    let mut first: Option<(usize, BTreeMap<Subject, OwnFact>)> = None;
    let several = devices.len() > 1;
    for (number, account) in devices {
        let read = account.store().read(holds).await;
        let (facts, rows) = read.expect("a healed phone can be read");
        for (log, row) in &rows {
            for fact in facts.values() {
                if fact.subject().log == Some(*log) && !shows(row, fact) {
                    broken.push(format!("phone {number} does not show {fact:?}: {row:?}"));
                }
            }
        }
        let waits = account.store().read(waiting).await.expect("a healed phone can be read");
        if several && waits > 0 {
            broken.push(format!("phone {number} has not told {waits} facts"));
        }
        match &first {
            Some((other, theirs)) if *theirs != facts => {
                let differ =
                    facts.iter().filter(|(subject, fact)| theirs.get(subject) != Some(fact));
                let missing = theirs.keys().filter(|subject| !facts.contains_key(subject));
                let (differ, missing): (Vec<_>, Vec<_>) = (differ.collect(), missing.collect());
                broken.push(format!(
                    "phones {other} and {number} of one person differ in {differ:?} {missing:?}"
                ));
            }
            Some(_) => {}
            None => first = Some((number, facts)),
        }
    }
}

fn holds(conn: &rusqlite::Connection) -> Result<Holds, StoreError> {
    let facts = own::settled(conn)?.into_iter().map(|held| (held.fact.subject(), held.fact));
    let facts: BTreeMap<_, _> = facts.collect();
    let mut rows = BTreeMap::new();
    for log in facts.keys().filter_map(|subject| subject.log) {
        if let Some(row) = conversation(conn, log)? {
            rows.insert(log, row);
        }
    }
    Ok((facts, rows))
}

fn waiting(conn: &rusqlite::Connection) -> Result<i64, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM own_state WHERE waits IS NOT NULL)
               + (SELECT count(*) FROM conversation WHERE draft_based IS NOT NULL)";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

fn shows(row: &ConversationRow, fact: &OwnFact) -> bool {
    match fact {
        OwnFact::Read { below, .. } => row.read_seq.map_or(0, |seq| seq.0 + 1) >= below.0,
        OwnFact::Draft { text, .. } => row.draft == *text,
        OwnFact::Muted { until_ms, .. } => row.muted_until.unwrap_or_default() == *until_ms,
        OwnFact::Archived { archived, .. } => row.archived == *archived,
        OwnFact::Favourite { rank, .. } => row.favourite == *rank,
        OwnFact::Starred { .. } | OwnFact::Setting { .. } => true,
    }
}
