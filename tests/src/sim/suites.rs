//! Cipher suites: the policy names another one or none at random, owners change a group's by hand, and in the
//! end all groups have the one that is named.

use hauspost_core::account::Account;
use hauspost_core::ledger::Ledger;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::mls::member::Suite;
use rand::RngExt as _;

use super::chaos;
use super::world::World;

/// The policy names a suite or none, or somebody changes a group's by hand; then some send and some do not,
/// so that several may move a group at once, and others find it moved.
pub(super) async fn about(world: &mut World, phone: usize) {
    let named = match world.dice.random_range(0..5) {
        0 | 1 => Some(Suite::Classic),
        2 => Some(Suite::Hybrid),
        3 => None,
        _ => return by_hand(world, phone).await,
    };
    world.name_suite(named).await;
    world.trace(format!("  the policy names the suite {named:?}"));
    for phone in 0..world.phones.len() {
        match world.dice.random_range(0..4) {
            0 => chaos::pull(world, phone).await,
            1 => chaos::push(world, phone).await,
            _ => {}
        }
    }
}

async fn by_hand(world: &mut World, phone: usize) {
    let Some(log) = chaos::some_log(world, phone, Some(LogType::Group)).await else { return };
    let _ = world
        .act(phone, "changes the suite", |account| async move { account.change_suite(log).await })
        .await;
    chaos::push(world, phone).await;
}

/// All conversations that a phone is in have the suite that the policy names.
pub(super) async fn followed(
    number: usize,
    account: &Account,
    company: &Company,
    broken: &mut Vec<String>,
) {
    let Some(named) = company.now().terms().general.suite() else { return };
    let read = account.store().read(|conn| {
        let mut suites = Vec::new();
        for row in log::all(conn)?.into_iter().filter(|row| row.state == LogState::Active) {
            let known = Ledger::load(conn, row.local.id)?.and_then(|it| it.conversation);
            suites.extend(known.map(|known| (row.local.id, known.suite)));
        }
        Ok::<_, StoreError>(suites)
    });
    for (log, suite) in read.await.expect("a healed phone can be read") {
        if suite != named.code() {
            let is = Suite::from_code(suite);
            broken.push(format!("phone {number}: {log} has {is:?} where {named:?} is named"));
        }
    }
}
