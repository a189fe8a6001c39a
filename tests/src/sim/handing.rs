//! Handovers: signed at random by HR and the council, and checked against the archive by rules of their
//! own, so that a successor reads what he is to read, and nothing else.

use std::collections::BTreeSet;

use hauspost_core::store::rows::log;
use hauspost_protocol::body::{GrantBasis, GrantBody, LogType, SignedPayload};
use hauspost_protocol::company::body::Scope;
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::Kind;
use hauspost_protocol::ids::{DeviceId, LogId, Seq, UserId};
use rand::RngExt as _;

use hauspost::store::EntryRow;

use super::world::{self, World};
use super::{Harm, chaos};

/// What somebody had is handed over to another one, all or some of it, or not any more.
pub(super) async fn about(world: &mut World, phone: usize) {
    let from = world.phones[phone].person;
    let to = (from + world.dice.random_range(1..world.plan.phones)) % world.plan.phones;
    let active = world.phones.iter().filter(|phone| !phone.revoked).count();
    let leaves = world.dice.random_range(0..3) == 0;
    if leaves && world.may(Harm::All) && active > 3 && !world.phones[phone].revoked {
        let _ = world.revoke(phone).await;
    }
    let scope = match world.dice.random_range(0..6) {
        0..3 => Scope::default(),
        3 => Scope { logs: some_logs(world, phone).await, ..Scope::default() },
        4 => {
            let now_ms = world.now_ms();
            let since = now_ms.saturating_sub(world.dice.random_range(0..86_400_000));
            match world.dice.random_range(0..2) == 0 {
                true => Scope { t_from: Some(since), ..Scope::default() },
                false => Scope { t_to: Some(since), ..Scope::default() },
            }
        }
        _ => Scope { t_from: Some(1), t_to: Some(0), ..Scope::default() },
    };
    if !world.hand_over((world::user(from), world::user(to)), scope.clone()).await {
        return;
    }
    world.trace(format!("  {from} hands over to {to}: {scope:?}"));
    if world.dice.random_range(0..2) == 0 {
        for phone in 0..world.phones.len() {
            chaos::pull(world, phone).await;
        }
    }
}

/// Somebody is let into a group in which this phone's person is, or is put out and let in again later; and what
/// this one had, or another one, is handed over to him.
pub(super) async fn inside(world: &mut World, phone: usize) {
    let Some(log) = chaos::some_log(world, phone, Some(LogType::Group)).await else { return };
    let people = world.plan.phones;
    let from = world.phones[phone].person;
    let to = (from + world.dice.random_range(1..people)) % people;
    let user = world::user(to);
    if world.dice.random_range(0..3) == 0 {
        let _ = world
            .act(phone, "puts out", |account| async move { account.remove_member(log, user).await })
            .await;
        chaos::push(world, phone).await;
        if world.dice.random_range(0..2) == 0 {
            return;
        }
    }
    let users = vec![user];
    let _ = world
        .act(phone, "lets in", |account| async move { account.add_members(log, users).await })
        .await;
    chaos::push(world, phone).await;
    if world.dice.random_range(0..2) == 0 {
        for phone in 0..world.phones.len() {
            chaos::pull(world, phone).await;
        }
    }
    let scope = match world.dice.random_range(0..3) {
        0 => Scope { logs: vec![(log, Seq(0), None)], ..Scope::default() },
        _ => Scope::default(),
    };
    let from = match world.dice.random_range(0..3) {
        0 => (to + world.dice.random_range(1..people)) % people,
        _ => from,
    };
    if world.hand_over((world::user(from), user), scope).await {
        world.trace(format!("  {from} hands over to {to}, who is let into {log}"));
    }
}

/// Some of the conversations that a phone has.
async fn some_logs(world: &mut World, phone: usize) -> Vec<(LogId, Seq, Option<Seq>)> {
    let known = match world.wire.account(phone) {
        Some(account) => account.store().read(log::all).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut named = Vec::new();
    for log in known {
        if world.dice.random_range(0..2) == 0 {
            let until = world.dice.random_range(0..2) == 0;
            named.push((log.local.id, Seq(0), until.then_some(Seq(log.next_seq.0 / 2))));
        }
    }
    named.sort();
    named
}

/// A grant by a handover, as it stands in a log.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    pub seq: Seq,
    pub device: DeviceId,
    pub by: Seq,
    pub given: BTreeSet<Seq>,
}

/// The grants by handovers in a log.
pub(super) fn handed(rows: &[EntryRow]) -> Vec<Handed> {
    let grant = |row: &EntryRow| {
        let signed: SignedPayload = decode(row.entry.payload.bytes()?).ok()?;
        let body: GrantBody = decode(&signed.body).ok()?;
        let GrantBasis::Handover(by) = body.basis else { return None };
        let given = body.ranges.iter().flat_map(|(from, to)| (from.0..=to.0).map(Seq)).collect();
        Some(Handed { seq: row.entry.seq, device: DeviceId(body.grantee.0), by, given })
    };
    rows.iter().filter(|row| row.kind == Kind::Grant).filter_map(grant).collect()
}

/// What handovers mean for a device in a log.
#[derive(Debug, Clone, Default)]
pub(super) struct Succession {
    /// How far it reads at least, where it is not let in.
    pub least: u64,
    /// And at most.
    pub most: u64,
    /// What was given to it.
    pub given: BTreeSet<Seq>,
    /// And of that by handovers that are in force: all of it is shown.
    pub in_force: BTreeSet<Seq>,
}

impl Succession {
    /// Of a device and its person in a log; `had_a_leaf` says of anybody whether a device of his was in it.
    pub(super) fn of(
        log: LogId,
        handed: &[Handed],
        company: &Company,
        (user, device): (UserId, DeviceId),
        had_a_leaf: &dyn Fn(UserId) -> bool,
    ) -> Self {
        let now = company.now();
        let theirs: Vec<&Handed> = handed
            .iter()
            .filter(|one| now.device(one.device).is_some_and(|device| device.user == user))
            .collect();
        let most = theirs.iter().map(|one| one.seq.0 + 1).max().unwrap_or(0);
        let mut known = now.handovers().filter(|known| known.to == user);
        let is_about = known.any(|known| known.is_about(log) && had_a_leaf(known.from));
        let (mut given, mut in_force) = (BTreeSet::new(), BTreeSet::new());
        for one in theirs.iter().filter(|one| one.device == device) {
            given.extend(one.given.iter().copied());
            if now.handover(one.by).is_some() {
                in_force.extend(one.given.iter().copied());
            }
        }
        Self { least: if is_about { most } else { 0 }, most, given, in_force }
    }
}

/// Grants lie in their handover: in its scope, before it, and where the leaver was.
pub(super) fn lies_within(
    known: &Handover,
    log: LogId,
    rows: &[EntryRow],
    seq: Seq,
    was_there: &dyn Fn(UserId, Seq) -> bool,
) -> bool {
    rows.get(usize::try_from(seq.0).unwrap_or(usize::MAX)).is_some_and(|row| {
        known.covers(log, seq, row.entry.t_ms, row.entry.co) && was_there(known.from, seq)
    })
}
