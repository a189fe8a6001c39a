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
    /// What each device may still send in a row; who is not here may send all of it.
    left: HashMap<DeviceId, Left>,
    /// When those were let go last who may send all of it again.
    swept_ms: TimeMs,
    kept: Kept,
}

/// How many hints a device may still send in a row, and since when.
#[derive(Debug, Clone, Copy)]
struct Left {
    count: u64,
    since_ms: TimeMs,
}

impl Left {
    fn all(now_ms: TimeMs) -> Self {
        Self { count: HINTS_IN_A_ROW, since_ms: now_ms }
    }

    fn at(self, now_ms: TimeMs) -> Self {
        let more = now_ms.saturating_sub(self.since_ms) / HINT_EVERY_MS;
        let count = self.count.saturating_add(more).min(HINTS_IN_A_ROW);
        // What is left of a step counts for the next one; a clock that was set back begins anew.
        let is_back = now_ms < self.since_ms;
        let since_ms = if is_back { now_ms } else { self.since_ms + more * HINT_EVERY_MS };
        Self { count, since_ms }
    }
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
        memory.let_go(now_ms);
        let left = memory.left.get(&device).map_or(Left::all(now_ms), |left| left.at(now_ms));
        let rest = left.count.checked_sub(count);
        let left = Left { count: rest.unwrap_or(left.count), ..left };
        memory.left.insert(device, left);
        rest.is_some()
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
        memory.kept.of(device)
    }

    /// The company log grew: what its policy does not let people see any more goes.
    pub fn follow(&self, terms: &Terms) {
        if !terms.council.last_seen {
            self.memory().kept = Kept::default();
        }
    }
}

impl Memory {
    /// Lets go of who may send all again, as seldom as that takes, so that the walk costs each request little.
    fn let_go(&mut self, now_ms: TimeMs) {
        if now_ms.abs_diff(self.swept_ms) >= HINTS_IN_A_ROW * HINT_EVERY_MS {
            self.swept_ms = now_ms;
            self.left.retain(|_, left| left.at(now_ms).count < HINTS_IN_A_ROW);
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
    /// The numbers of those that are for a device.
    to: HashMap<DeviceId, BTreeSet<u64>>,
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
        if let Some(older) = self.newest.get(&(hint.log, hint.from)) {
            self.drop(*older);
        }
        if self.hints.len() >= HINTS_KEPT
            && let Some((oldest, _)) = self.hints.first_key_value()
        {
            self.drop(*oldest);
        }
        let number = self.next;
        self.next += 1;
        self.newest.insert((hint.log, hint.from), number);
        for device in &devices {
            self.to.entry(*device).or_default().insert(number);
        }
        self.hints.insert(number, KeptHint { hint, devices, came_ms: now_ms });
    }

    /// Those that are for a device, in the order in which they came.
    fn of(&self, device: DeviceId) -> Vec<Passed> {
        let numbers = self.to.get(&device).into_iter().flatten();
        numbers.filter_map(|number| Some(self.hints.get(number)?.hint.clone())).collect()
    }

    fn let_go(&mut self, now_ms: TimeMs) {
        while let Some((number, oldest)) = self.hints.first_key_value()
            && now_ms.saturating_sub(oldest.came_ms) >= OLD_MS
        {
            self.drop(*number);
        }
    }

    fn drop(&mut self, number: u64) {
        let Some(KeptHint { hint, devices, .. }) = self.hints.remove(&number) else { return };
        self.newest.remove(&(hint.log, hint.from));
        for device in devices {
            let Some(numbers) = self.to.get_mut(&device) else { continue };
            numbers.remove(&number);
            if numbers.is_empty() {
                self.to.remove(&device);
            }
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
    fn who_may_send_all_again_takes_no_room() {
        let hints = Hints::default();
        let full_ms = HINTS_IN_A_ROW * HINT_EVERY_MS;
        let floods = |now_ms| assert!(hints.may(BEN, HINTS_IN_A_ROW, now_ms));
        (0..=255).for_each(|id| assert!(hints.may(DeviceId([id; 16]), 1, 10 * full_ms)));
        floods(11 * full_ms - 1);
        assert!(hints.may(ANNA, 1, 11 * full_ms));
        assert_eq!(hints.memory().left.len(), 2, "Anna, and Ben who sent all of it just now");
        assert!(!hints.may(BEN, 2, 11 * full_ms), "nothing was given to him but his one a second");
        floods(12 * full_ms);
        assert_eq!(hints.memory().left.len(), 1, "Anna may send all of it again");
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
        assert_eq!(memory.kept.to[&BEN].len(), 1);
    }

    #[test]
    fn attacks_33_however_many_conversations_there_are_so_many_hints_are_kept_and_no_more() {
        let hints = Hints::default();
        let many = HINTS_KEPT as u32 + 10;
        hints.keep((0..many).map(|log| to(log, "x")).collect(), 1_000);
        let memory = hints.memory();
        assert_eq!(memory.kept.hints.len(), HINTS_KEPT);
        assert_eq!(memory.kept.newest.len(), HINTS_KEPT);
        assert_eq!(memory.kept.to[&BEN].len(), HINTS_KEPT);
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
