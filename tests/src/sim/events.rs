//! What happens seldom in a company: a person gets a further device, a phone is restored, a
//! member throws a commit bomb.

use hauspost_core::store::rows::account;
use rand::RngExt as _;

use super::world::World;
use super::{Event, announced, chaos, handing, hints, own, rooms, suites, talk};

/// How many of a hundred steps are an event, if the plan has any.
const SELDOM: u32 = 8;
/// The same, if nothing happens but that people say something about messages.
const OFTEN: u32 = 40;
/// How often who is to throw a bomb tries to send at once; the network may be bad.
const TRIES: usize = 3;
/// Further devices in one company.
const FURTHER_DEVICES: usize = 2;

/// Whether this step is an event; then it has happened.
pub async fn happens(world: &mut World, phone: usize) -> bool {
    let events = world.plan.events;
    let often = match events {
        [Event::Talk] | [Event::Rooms] | [Event::Hints] | [Event::Several] => OFTEN,
        [Event::Device, Event::Own] => OFTEN,
        _ => SELDOM,
    };
    if events.is_empty() || world.dice.random_range(0..100) >= often {
        return false;
    }
    match events[world.dice.random_range(0..events.len())] {
        Event::Device => further_device(world, phone).await,
        Event::Restore => restore(world, phone),
        Event::Bomb => bomb(world, phone).await,
        Event::LockedOut => lock_out(world, phone).await,
        Event::Talk => talk::about(world, phone).await,
        Event::Own => own::acts(world, phone).await,
        Event::Rooms => rooms::about(world, phone).await,
        Event::Several => announced::about(world, phone).await,
        Event::Handover => handing::about(world, phone).await,
        Event::Insider => handing::inside(world, phone).await,
        Event::Hints => hints::about(world, phone).await,
        Event::Suite => suites::about(world, phone).await,
    }
    true
}

/// The person of this phone gets a further one; one that waits is let in first.
async fn further_device(world: &mut World, phone: usize) {
    let waits = world.phones.iter().position(|phone| phone.code.is_some() && !phone.revoked);
    if let Some(waits) = waits {
        world.approve(waits).await;
        return world.start_phone(waits).await;
    }
    let person = world.phones[phone].person;
    let devices = world.phones.iter().filter(|phone| phone.person == person).count();
    let further = world.phones.len() - world.plan.phones;
    if devices > 1 || further == FURTHER_DEVICES || world.phones[phone].revoked {
        return;
    }
    let number = world.add_phone(person);
    world.trace(format!("  person {person} gets phone {number}"));
    world.start_phone(number).await;
}

/// A phone with a backup is put back to it; one without gets one.
fn restore(world: &mut World, phone: usize) {
    let backed_up = world.phones.iter().position(|phone| phone.backup.is_some());
    match backed_up {
        Some(phone) if world.dice.random_range(0..2) == 0 => world.restore(phone),
        _ if world.phones[phone].enrolled => world.back_up(phone),
        _ => {}
    }
}

/// The phone's next commit is a bomb, and it makes one if there is something to change.
async fn bomb(world: &mut World, phone: usize) {
    let Some(account) = world.wire.account(phone) else { return };
    let Ok(Some(stored)) = account.store().read(account::find).await else { return };
    world.wire.arm_bomb(phone, stored.signing_key);
    chaos::pull(world, phone).await;
    match world.dice.random_range(0..2) == 0 {
        true => chaos::add(world, phone).await,
        false => chaos::remove(world, phone).await,
    }
    for _ in 0..TRIES {
        chaos::push(world, phone).await;
    }
}

/// As [`bomb`], and nobody can enter anew by an external commit.
async fn lock_out(world: &mut World, phone: usize) {
    let withheld = world.wire.withholds_infos();
    world.wire.withhold_infos(!withheld);
    if !withheld {
        bomb(world, phone).await;
    }
}
