//! What was handed over: all of it to each device of the successor, and nothing else to anybody.

use std::collections::{BTreeMap, BTreeSet};

use hauspost_core::account::Account;
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::ids::{DeviceId, LogId, Seq, UserId};

use super::super::handing::{self, Succession};
use super::super::world::World;
use super::{Case, Device, Truth, granted};

impl Truth {
    /// What handovers mean here for the device of this account.
    pub(super) fn succession(&self, company: &Company, account: &Account) -> Succession {
        let who = (account.user(), account.device());
        let had_a_leaf = |user: UserId| {
            let mut devices = company.now().all_devices_of(user);
            devices.any(|one| self.members.iter().any(|stay| stay.device == one.device))
        };
        Succession::of(self.row.log, &self.handed, company, who, &had_a_leaf)
    }

    /// Whether a device of this person had a leaf there, and so may be told from what the server knows.
    fn had_a_leaf(&self, company: &Company, user: UserId, seq: Seq) -> bool {
        let devices: Vec<DeviceId> =
            company.now().all_devices_of(user).map(|device| device.device).collect();
        self.members.iter().any(|stay| devices.contains(&stay.device) && stay.covers(seq))
    }
}

/// Whether anything of a log was ever handed over to this person, by what is in force or is not any more.
pub(super) fn is_about(company: &Company, log: LogId, user: UserId) -> bool {
    let all = (0..company.size()).filter_map(|seq| company.at(seq + 1).handover(Seq(seq)));
    let mut theirs = all.filter(|known| known.to == user);
    theirs.any(|known| known.is_about(log))
}

/// Each grant lies in its handover; and what a handover in force covers, and somebody has who is there and
/// missed nothing, was given to each device of the successor.
pub(super) fn all_is_given(
    world: &World,
    (truths, company): (&BTreeMap<LogId, Truth>, &Company),
    people: &BTreeMap<usize, Vec<Device>>,
    broken: &mut Vec<String>,
) {
    for truth in truths.values() {
        let log = truth.row.log;
        let was_there = |user, seq| truth.had_a_leaf(company, user, seq);
        for grant in &truth.handed {
            let known = company.at(grant.by.0 + 1).handover(grant.by);
            let within = known.is_some_and(|known| {
                let lies = |seq| handing::lies_within(known, log, &truth.rows, seq, &was_there);
                // What is no record is nothing that a key opens.
                let records = truth.records.iter().map(|record| record.seq);
                records.filter(|seq| grant.given.contains(seq)).all(lies)
            });
            if !within || truth.is_own {
                broken
                    .push(format!("log {log}: grant {} gives what is not handed over", grant.seq));
            }
        }
    }
    if world.wire.bombs_thrown() > 0 {
        return;
    }
    let (mut covered, mut read) = (0, 0);
    for known in company.now().handovers() {
        let successors = people.values().flatten().filter(|(number, ..)| {
            world.phones[*number].user == known.to && !world.phones[*number].revoked
        });
        for (number, device, shown) in successors {
            for truth in truths.values().filter(|truth| !truth.is_own) {
                let has = |known| given(known, (truth, company), world, people, *device);
                let (due, lacks) = has(known);
                covered += due.len();
                let shown = shown.get(&truth.row.log);
                read += due.iter().filter(|seq| shown.is_some_and(|all| all.contains(seq))).count();
                if !lacks.is_empty() {
                    broken.push(format!(
                        "log {}: phone {number} was not given {lacks:?} by handover {}",
                        truth.row.log, known.seq
                    ));
                }
            }
        }
    }
    world.trace(format!("  {read} of {covered} messages handed over are read"));
}

/// What a handover covers in a log that a giver has for a device, and what of it was not given.
fn given(
    known: &Handover,
    (truth, company): (&Truth, &Company),
    world: &World,
    people: &BTreeMap<usize, Vec<Device>>,
    to: DeviceId,
) -> (BTreeSet<Seq>, Vec<Seq>) {
    let log = truth.row.log;
    let mut some: BTreeSet<Seq> = BTreeSet::new();
    for (number, device, shown) in people.values().flatten() {
        let is_in = truth.members.iter().any(|stay| stay.device == *device && stay.to.is_none());
        let user = world.phones[*number].user;
        let may = is_in && truth.let_in.get(&user) == Some(&None);
        if may && *device != to && !Case::of(world, *number).may_miss {
            some.extend(shown.get(&log).into_iter().flatten());
        }
    }
    let was_there = |user: UserId, seq: Seq| {
        let stays = truth.stays.iter().any(|stay| stay.user == user && stay.covers(seq));
        stays && truth.had_a_leaf(company, user, seq)
    };
    some.retain(|seq| handing::lies_within(known, log, &truth.rows, *seq, &was_there));
    let granted = granted(truth, to);
    let lacks = some.iter().filter(|seq| !granted.contains(seq)).copied().collect();
    (some, lacks)
}
