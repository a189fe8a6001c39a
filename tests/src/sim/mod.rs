//! A whole company in one process under one seed: phones, server and the network between them.
//!
//! The phones are real cores over real encrypted databases, the server is the real application over
//! a real data folder; only sockets, clocks, randomness and keystores are ours. [`world`] puts them
//! together, [`network`] loses, doubles, delays and reorders requests, kills a phone in the middle of
//! one, and lets another phone act while a request is under way. [`chaos`] draws what people, phones
//! and operators do; then [`world::World::heal`] calms everything, and [`check`] compares the phones
//! with the server's logs and with what the archive opens.
//!
//! One seed is one course: everything that the simulator decides comes from it, in one thread, one
//! step after the other, and [`trace`] sums the course up so that two runs can be compared. What the
//! seed does not fix are the bytes of HPKE ciphertexts inside OpenMLS (they draw from the system), and
//! with them hashes of entries; no decision depends on them.

pub mod announced;
pub mod chaos;
pub mod check;
pub mod company;
pub mod events;
mod handing;
pub mod hints;
pub mod network;
mod own;
mod rooms;
mod suites;
mod talk;
pub mod trace;
pub mod world;

use hints::Typing;
use world::World;

/// How a simulated course is dealt.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many people, each with a phone.
    pub phones: usize,
    /// How many things happen before everything is healed.
    pub steps: usize,
    /// What may go wrong.
    pub harm: Harm,
    /// What happens now and then besides.
    pub events: &'static [Event],
}

/// What happens seldom, and changes what can be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A person gets a further device.
    Device,
    /// A phone's folder is copied, and put back later.
    Restore,
    /// A member makes a commit that the server accepts and nobody can process.
    Bomb,
    /// So does a member, while the server shows nobody the way back in, until this happens again.
    LockedOut,
    /// Somebody answers, changes, takes back, hides, reacts.
    Talk,
    /// A person reads, begins to write, puts away: what all devices of his are to agree on.
    Own,
    /// Somebody announces, asks for confirmations, confirms, names owners.
    Rooms,
    /// Somebody announces something in several rooms at once, changes it, takes it back, confirms it.
    Several,
    /// HR and the council hand over to somebody what another one had in conversations.
    Handover,
    /// Somebody is let into a group, or put out for a while, and is handed over what another one had there.
    Insider,
    /// Somebody types, is there, goes, or withholds that; the policy lets people see it.
    Hints,
    /// The policy names another cipher suite or none, or an owner changes the suite of a group by hand.
    Suite,
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Nothing.
    None,
    /// The network only.
    Network,
    /// The network, and kills between any two writes.
    Kills,
    /// Also full disks, wrong clocks, server restarts, revocations.
    All,
}

/// What a course came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// What was found wrong; empty when all promises held.
    pub broken: Vec<String>,
    /// The trace's digest.
    pub digest: String,
    /// What happened, line by line.
    pub lines: Vec<String>,
    /// Texts whose sending was promised.
    pub sent: usize,
    /// Records in the server's logs.
    pub records: usize,
    /// How often somebody was seen to type.
    pub typing: Typing,
}

/// Runs one course.
pub async fn run(seed: u64, plan: Plan) -> Course {
    let mut world = World::found(seed, plan).await;
    for step in 0..plan.steps {
        world.trace(format!("{step}"));
        Box::pin(chaos::step(&mut world)).await;
    }
    let mut broken = Box::pin(world.heal()).await;
    let (found, records) = Box::pin(check::all(&mut world)).await;
    broken.extend(found);
    let (digest, lines) = world.end();
    let (sent, typing) = (world.sent.len(), world.typing);
    Course { broken, digest, lines, sent, records, typing }
}
