//! Hints: who is typing, who is there, who was last there; passed on and not stored (docs/attacks.md 33).
//!
//! The server sees which device has a hint for which conversation, and not what it says: all are sealed and
//! of one length. It passes one on to those devices of the conversation that have a stream open at this
//! node, if the policy has any hints at all. Nothing is written down; nothing but the number of all hints
//! is counted. In memory, for a day at most, lies the newest one of each device in a conversation of two,
//! while the policy lets people see when somebody was last there: a phone that is switched on later is
//! given it. A restart loses them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use hauspost_protocol::company::policy::Terms;
use hauspost_protocol::hint::{AT_ONCE, DEVICES, OLD_MS, SealedHint};
use hauspost_protocol::ids::{DeviceId, LogId, TimeMs};
use hauspost_protocol::wire::{HintsRequest, Principal};

use super::answer::{Answer, Cbor, Empty, Refusal};
use super::limits::{HINT_EVERY_MS, HINTS_IN_A_ROW, HINTS_KEPT};
use super::live::Passed;
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::ReadTx;

/// What is kept of hints in memory.
#[derive(Default)]
pub struct Hints(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// How many hints each device may still send in a row, and since when.
    left: HashMap<DeviceId, (u64, TimeMs)>,
    kept: Kept,
}

/// A hint and whom it is for.
struct To {
    hint: Passed,
    devices: Vec<DeviceId>,
    is_kept: bool,
}

/// POST: passes hints on.
pub async fn hints(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(HintsRequest { hints }): Cbor<HintsRequest>,
) -> Result<Answer<Empty>, Refusal> {
    let Principal::Device(from) = claim.principal else { return Err(Refusal::Role) };
    if hints.len() > AT_ONCE {
        return Err(Refusal::TooLarge);
    }
    if hints.is_empty() || !hints.iter().all(SealedHint::fits) {
        return Err(Refusal::Form);
    }
    let (count, now_ms) = (hints.len() as u64, node.now_ms());
    if !node.hints.may(from, count, now_ms) {
        return Err(Refusal::Busy);
    }
    let all = node.read_as(&claim, move |tx, session| whom(tx, session, &hints)).await?;
    let passed = all.iter().map(|to| node.live.pass(&to.devices, &to.hint)).sum();
    node.metrics.hints(count, passed);
    node.hints.keep(all, now_ms);
    Ok(Answer(Empty))
}

/// For whom hints are: the other devices of their conversations, each of which the sender belongs to.
fn whom(tx: &dyn ReadTx, session: &Session, hints: &[SealedHint]) -> Result<Vec<To>, Refusal> {
    let sender = session.device()?;
    let company = session.company.now();
    let council = &company.terms().council;
    if !council.typing && !council.last_seen {
        return Err(Refusal::Policy);
    }
    let mut all = Vec::with_capacity(hints.len());
    for hint in hints {
        let no = tx.log(hint.log)?.ok_or(Refusal::NotFound)?.no;
        let mut members = tx.members(no)?;
        members.retain(|stay| stay.to.is_none());
        if !members.iter().any(|stay| stay.device == sender.device) {
            return Err(Refusal::NotFound);
        }
        if members.len() > DEVICES {
            return Err(Refusal::TooLarge);
        }
        let there = members.iter().map(|stay| stay.device);
        let people: BTreeSet<_> =
            there.clone().filter_map(|device| company.user_of_device(device)).collect();
        let others = there.filter(|device| *device != sender.device && company.is_active(*device));
        let line = Bytes::from(hint.to_line() + "\n");
        all.push(To {
            hint: Passed { log: hint.log, from: sender.device, line },
            devices: others.collect(),
            is_kept: council.last_seen && people.len() <= 2,
        });
    }
    Ok(all)
}

impl Hints {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a device may send so many hints now.
    fn may(&self, device: DeviceId, count: u64, now_ms: TimeMs) -> bool {
        let mut memory = self.memory();
        let (left, since_ms) = memory.left.entry(device).or_insert((HINTS_IN_A_ROW, now_ms));
        let more = now_ms.saturating_sub(*since_ms) / HINT_EVERY_MS;
        *left = left.saturating_add(more).min(HINTS_IN_A_ROW);
        // What is left of a step counts for the next one; a clock that was set back begins anew.
        *since_ms = if now_ms < *since_ms { now_ms } else { *since_ms + more * HINT_EVERY_MS };
        if *left < count {
            return false;
        }
        *left -= count;
        true
    }

    fn keep(&self, all: Vec<To>, now_ms: TimeMs) {
        let mut memory = self.memory();
        for To { hint, devices, .. } in all.into_iter().filter(|to| to.is_kept) {
            memory.kept.put(hint, devices, now_ms);
        }
    }

    /// The hints that a device is given when it is switched on.
    pub fn kept_for(&self, device: DeviceId, now_ms: TimeMs) -> Vec<Passed> {
        let mut memory = self.memory();
        memory.kept.let_go(now_ms);
        let all = memory.kept.hints.values();
        all.filter(|kept| kept.devices.contains(&device)).map(|kept| kept.hint.clone()).collect()
    }

    /// The company log grew: what its policy does not let people see any more goes.
    pub fn follow(&self, terms: &Terms) {
        if !terms.council.last_seen {
            self.memory().kept = Kept::default();
        }
    }
}

/// The newest hint of each device in each conversation of two.
#[derive(Default)]
struct Kept {
    /// Which number the newest one of a device in a conversation has.
    newest: HashMap<(LogId, DeviceId), u64>,
    /// By their numbers, which rise as they come.
    hints: BTreeMap<u64, KeptHint>,
    next: u64,
}

struct KeptHint {
    hint: Passed,
    devices: Vec<DeviceId>,
    came_ms: TimeMs,
}

impl Kept {
    fn put(&mut self, hint: Passed, devices: Vec<DeviceId>, now_ms: TimeMs) {
        self.let_go(now_ms);
        let number = self.next;
        self.next += 1;
        if let Some(older) = self.newest.insert((hint.log, hint.from), number) {
            self.hints.remove(&older);
        }
        if self.hints.len() >= HINTS_KEPT {
            self.drop_oldest();
        }
        self.hints.insert(number, KeptHint { hint, devices, came_ms: now_ms });
    }

    fn let_go(&mut self, now_ms: TimeMs) {
        let is_old = |kept: &KeptHint| now_ms.saturating_sub(kept.came_ms) >= OLD_MS;
        while self.hints.first_key_value().is_some_and(|(_, oldest)| is_old(oldest)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, KeptHint { hint, .. })) = self.hints.pop_first() {
            self.newest.remove(&(hint.log, hint.from));
        }
    }
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::company::policy::CouncilPart;

    use super::*;

    const ANNA: DeviceId = DeviceId([1; 16]);
    const BEN: DeviceId = DeviceId([2; 16]);

    fn to(log: u32, line: &'static str) -> To {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&log.to_be_bytes());
        let hint = Passed { log: LogId(id), from: ANNA, line: line.into() };
        To { hint, devices: vec![BEN], is_kept: true }
    }

    fn lines(hints: &Hints, now_ms: TimeMs) -> Vec<Bytes> {
        hints.kept_for(BEN, now_ms).into_iter().map(|hint| hint.line).collect()
    }

    #[test]
    fn attacks_33_a_device_that_floods_is_refused_until_its_time_has_passed() {
        let hints = Hints::default();
        assert!(hints.may(ANNA, HINTS_IN_A_ROW, 10_000));
        assert!(!hints.may(ANNA, 1, 10_000 + HINT_EVERY_MS - 1));
        assert!(hints.may(BEN, 1, 10_000), "another device may");
        assert!(hints.may(ANNA, 1, 10_000 + HINT_EVERY_MS));
        assert!(!hints.may(ANNA, 2, 10_000 + 2 * HINT_EVERY_MS));
        assert!(hints.may(ANNA, 1, 10_000 + 2 * HINT_EVERY_MS), "nothing was taken for the two");
        let later_ms = 10_000 + 10 * HINTS_IN_A_ROW * HINT_EVERY_MS;
        assert!(!hints.may(ANNA, HINTS_IN_A_ROW + 1, later_ms), "nobody saves up");
        assert!(hints.may(ANNA, HINTS_IN_A_ROW, later_ms));
        assert!(!hints.may(ANNA, 1, 5_000), "a clock that is set back gives nothing");
        assert!(hints.may(ANNA, 1, 5_000 + HINT_EVERY_MS), "and holds nothing up");
    }

    #[test]
    fn the_newest_hint_of_a_device_in_a_conversation_is_kept_for_a_day() {
        let hints = Hints::default();
        hints.keep(vec![to(1, "old"), to(2, "other"), to(1, "new")], 1_000);
        assert_eq!(lines(&hints, 2_000), ["other", "new"]);
        assert!(hints.kept_for(ANNA, 2_000).is_empty(), "it is for those others alone");
        hints.keep(vec![to(3, "later")], 5_000);
        assert_eq!(lines(&hints, 1_000 + OLD_MS), ["later"]);
        let memory = hints.memory();
        assert_eq!(memory.kept.newest.len(), 1, "nothing of the others is left");
    }

    #[test]
    fn attacks_33_however_many_conversations_there_are_so_many_hints_are_kept_and_no_more() {
        let hints = Hints::default();
        let many = HINTS_KEPT as u32 + 10;
        hints.keep((0..many).map(|log| to(log, "x")).collect(), 1_000);
        let memory = hints.memory();
        assert_eq!(memory.kept.hints.len(), HINTS_KEPT);
        assert_eq!(memory.kept.newest.len(), HINTS_KEPT);
        let oldest = memory.kept.hints.values().next().unwrap();
        assert_eq!(oldest.hint.log, to(10, "x").hint.log);
    }

    #[test]
    fn what_the_policy_does_not_let_people_see_is_not_kept() {
        let hints = Hints::default();
        hints.keep(vec![To { is_kept: false, ..to(1, "typing") }], 1_000);
        assert!(lines(&hints, 1_000).is_empty());
        hints.keep(vec![to(1, "here")], 1_000);
        let council = CouncilPart { last_seen: true, ..CouncilPart::default() };
        hints.follow(&Terms { council, ..Terms::default() });
        assert_eq!(lines(&hints, 1_000), ["here"]);
        hints.follow(&Terms::default());
        assert!(lines(&hints, 1_000).is_empty());
    }
}
