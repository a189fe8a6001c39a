//! What happens seldom in a company: a person gets a further device, a phone is restored.

use rand::RngExt as _;

use super::Event;
use super::world::World;

/// How many of a hundred steps are an event, if the plan has any.
const SELDOM: u32 = 7;
/// Further devices in one company.
const FURTHER_DEVICES: usize = 2;

/// Whether this step is an event; then it has happened.
pub async fn happens(world: &mut World, phone: usize) -> bool {
    let events = world.plan.events;
    if events.is_empty() || world.dice.random_range(0..100) >= SELDOM {
        return false;
    }
    match events[world.dice.random_range(0..events.len())] {
        Event::Device => further_device(world, phone).await,
        Event::Restore => restore(world, phone),
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
