//! What happens in a simulated company: one step at a time, drawn from the seed.

use hauspost_core::account::{Account, AccountError};
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_core::store::{FaultPoint, StoreError};
use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{LogId, UserId};
use rand::RngExt as _;

use super::network::Weather;
use super::world::{self, Sent, World};
use super::{Harm, events};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
const YEAR_MS: i64 = 365 * 86_400_000;

/// One thing happens.
pub async fn step(world: &mut World) {
    let phone = world.dice.random_range(0..world.phones.len());
    make_room(world).await;
    if Box::pin(events::happens(world, phone)).await {
        return;
    }
    match world.dice.random_range(0..100) {
        0..28 => say(world, phone).await,
        28..40 => push(world, phone).await,
        40..54 => pull(world, phone).await,
        54..56 => begin_dm(world, phone).await,
        56..58 => begin_group(world, phone).await,
        58..64 => add(world, phone).await,
        64..68 => remove(world, phone).await,
        68..69 => leave(world, phone).await,
        69..72 => renew(world, phone).await,
        72..77 => clash(world, phone).await,
        77..82 => weather(world),
        82..85 => world.checkpoint().await,
        85..88 => pass(world).await,
        88..92 if world.may(Harm::Kills) => arm(world, phone),
        92..94 if world.may(Harm::Kills) => sleep(world, phone).await,
        94..95 if world.may(Harm::All) => world.restart_server().await,
        95..96 if world.may(Harm::All) => revoke(world, phone).await,
        96..97 if world.may(Harm::All) => wrong_clock(world, phone),
        97..98 if world.may(Harm::All) => fill(world, phone, true).await,
        98..99 if world.may(Harm::All) => order_reset(world, phone).await,
        _ => world.wire.deliver_late().await,
    }
}

pub(super) async fn pull(world: &mut World, phone: usize) {
    let _ = world.act(phone, "pulls", |account| async move { account.sync_all().await }).await;
    let _ =
        world.act(phone, "shares", |account| async move { account.share_history().await }).await;
    let _ = world.act(phone, "agrees", |account| async move { account.agree().await }).await;
}

pub(super) async fn push(world: &mut World, phone: usize) {
    let _ = world.act(phone, "sends", |account| async move { account.send_once().await }).await;
}

async fn say(world: &mut World, phone: usize) {
    let Some(log) = some_log(world, phone, None).await else { return begin_dm(world, phone).await };
    for _ in 0..world.dice.random_range(1..4) {
        world.texts += 1;
        let text = format!("Nachricht {} von {phone}", world.texts);
        let said = text.clone();
        let done = world
            .act(phone, "says", |account| async move { account.send_text(log, &said).await })
            .await;
        if let Some(Ok(_)) = done {
            world.sent.push(Sent { phone, text, undone: false });
        }
    }
    if world.dice.random_range(0..3) > 0 {
        push(world, phone).await;
    }
}

async fn begin_dm(world: &mut World, phone: usize) {
    let peer = other(world, phone);
    let _ = world
        .act(phone, "begins a dm", |account| async move { account.create_dm(peer).await })
        .await;
}

async fn begin_group(world: &mut World, phone: usize) {
    let members = some_users(world, phone);
    let title = world.dice.random_range(0..2) == 0;
    let _ = world
        .act(phone, "begins a group", |account| async move {
            account.create_group(title.then_some("Lager"), members).await
        })
        .await;
}

pub(super) async fn add(world: &mut World, phone: usize) {
    let Some(log) = some_log(world, phone, Some(LogType::Group)).await else { return };
    let users = some_users(world, phone);
    let _ = world
        .act(phone, "adds", |account| async move { account.add_members(log, users).await })
        .await;
}

pub(super) async fn remove(world: &mut World, phone: usize) {
    let Some(log) = some_log(world, phone, Some(LogType::Group)).await else { return };
    let user = other(world, phone);
    let _ = world
        .act(phone, "removes", |account| async move { account.remove_member(log, user).await })
        .await;
}

async fn leave(world: &mut World, phone: usize) {
    let Some(log) = some_log(world, phone, Some(LogType::Group)).await else { return };
    let _ = world.act(phone, "leaves", |account| async move { account.leave(log).await }).await;
}

async fn renew(world: &mut World, phone: usize) {
    let Some(log) = some_log(world, phone, None).await else { return };
    let _ =
        world.act(phone, "renews", |account| async move { account.renew_keys(log).await }).await;
}

/// Two phones change the same conversation, neither having heard of the other's change.
async fn clash(world: &mut World, phone: usize) {
    let Some(log) = some_log(world, phone, Some(LogType::Group)).await else { return };
    let second = (phone + 1) % world.phones.len();
    for (phone, user) in [(phone, other(world, phone)), (second, other(world, second))] {
        let add = world.dice.random_range(0..2) == 0;
        let _ = world
            .act(phone, "clashes", |account| async move {
                match add {
                    true => account.add_members(log, vec![user]).await,
                    false => account.remove_member(log, user).await,
                }
            })
            .await;
    }
    push(world, phone).await;
    push(world, second).await;
}

fn weather(world: &mut World) {
    if !world.may(Harm::Network) {
        return;
    }
    let weather = match world.dice.random_range(0..8) {
        0 => Weather::Fair,
        1 => Weather::Down,
        2 | 3 => Weather::Rough(70),
        _ => Weather::Rough(30),
    };
    world.trace(format!("  weather {weather:?}"));
    world.wire.set_weather(weather, world.may(Harm::Kills));
}

/// Time passes, and the server does what it does by itself meanwhile.
async fn pass(world: &mut World) {
    let ms = match world.dice.random_range(0..10) {
        0 => 20 * DAY_MS,
        1..4 => 2 * 60 * MINUTE_MS,
        _ => MINUTE_MS,
    };
    world.pass(ms);
    world.checkpoint().await;
}

/// The phone dies at one of its next writes, right before or right after the commit.
fn arm(world: &mut World, phone: usize) {
    let nth = world.dice.random_range(1..8);
    let before = world.dice.random_range(0..2) == 0;
    let point = if before { FaultPoint::BeforeCommit } else { FaultPoint::AfterCommit };
    world.trace(format!("  phone {phone} will die at write {nth} {point:?}"));
    if let Some(account) = world.wire.account(phone) {
        account.store().fail_at(nth, point);
    }
}

/// The app is suspended, and resumed at once or when it is next needed.
async fn sleep(world: &mut World, phone: usize) {
    let _ = world
        .act(phone, "sleeps", |account| async move {
            account.suspend().await;
            account.resume().await
        })
        .await;
}

async fn revoke(world: &mut World, phone: usize) {
    let active = world.phones.iter().filter(|phone| !phone.revoked).count();
    if active > 2 && !world.phones[phone].revoked && world.revoke(phone).await {
        world.trace(format!("  phone {phone} is revoked"));
    }
}

/// An admin orders a new group for a conversation that phones have, or may never have heard of.
async fn order_reset(world: &mut World, phone: usize) {
    let Some(log) = some_log(world, phone, None).await else { return };
    world.order_reset(log).await;
    world.trace(format!("  a reset of {log} is ordered"));
    push(world, phone).await;
    push(world, (phone + 1) % world.phones.len()).await;
}

fn wrong_clock(world: &mut World, phone: usize) {
    let off_ms = world.dice.random_range(-20..20) * YEAR_MS / 2;
    world.trace(format!("  phone {phone}'s clock is off by {off_ms}"));
    world.phones[phone].off_ms = off_ms;
    world.pass(0);
}

/// The phone's disk is full, or has room again.
async fn fill(world: &mut World, phone: usize, full: bool) {
    let what = if full { "has a full disk" } else { "has room again" };
    let done =
        world.act(phone, what, |account| async move { set_room(&account, full).await }).await;
    if let Some(Ok(())) = done {
        world.phones[phone].full = full;
    }
}

/// Whoever has a full disk does something about it after a while.
async fn make_room(world: &mut World) {
    for phone in 0..world.phones.len() {
        if world.phones[phone].full && world.dice.random_range(0..10) == 0 {
            fill(world, phone, false).await;
        }
    }
}

async fn set_room(account: &Account, full: bool) -> Result<(), AccountError> {
    account
        .store()
        .write(move |tx| {
            let pages: i64 = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let limit = if full { pages } else { 1 << 30 };
            tx.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))?;
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(())
}

/// A conversation that the phone may write in.
pub(super) async fn some_log(
    world: &mut World,
    phone: usize,
    only: Option<LogType>,
) -> Option<LogId> {
    let account = world.wire.account(phone)?;
    let logs = account.store().read(log::all).await.ok()?;
    let mut logs: Vec<_> = logs
        .into_iter()
        .filter(|log| log.state == LogState::Active)
        .filter(|log| only.is_none_or(|only| log.r#type == only))
        .map(|log| log.local.id)
        .collect();
    if logs.is_empty() {
        return None;
    }
    // The oldest are the busiest.
    logs.truncate(6);
    Some(logs[world.dice.random_range(0..logs.len())])
}

fn other(world: &mut World, phone: usize) -> UserId {
    let people = world.plan.phones;
    let person = world.phones[phone].person + world.dice.random_range(1..people);
    world::user(person % people)
}

fn some_users(world: &mut World, phone: usize) -> Vec<UserId> {
    let mut users = Vec::new();
    for _ in 0..world.dice.random_range(1..4) {
        users.push(other(world, phone));
    }
    users.sort_unstable();
    users.dedup();
    users
}
