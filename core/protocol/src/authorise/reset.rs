//! Resets: a new MLS group, generation + 1, in the same log (R1 to R4).
//!
//! A commit that nobody can process would end a conversation (docs/attacks.md 2); a reset heals it.
//! It must not be a weapon either: it brings nobody in who was not in, and leaves nobody out, so all
//! that a false one costs is a group made anew, once a device and day, and everybody sees by whom.
//! Whom an owner removed stays out, since what the bad commit removed is removed.
//!
//! Whether others write in the epoch can be read from the log alone. A server that holds back what
//! they wrote makes an epoch look unanswered, and gains no more than such a group made anew: what it
//! held back is sealed again in the next generation.
//!
//! Source: docs/protocol.md §7, "Reset".

use crate::array_item;
use crate::authorise::Rule;
use crate::authorise::conversation::Conversation;
use crate::authorise::decide::{Judgement, author, both};
use crate::authorise::view::CompanyView;
use crate::body::{ResetBody, ResetReason, SignedPayload};
use crate::ids::{DeviceId, Gen, KeyId, Seq, UserId};
use crate::mls::member::Suite;
use crate::mls::public::{CommitFacts, Roster};

/// A reset that may take effect. Only [`reset`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisedReset {
    pub(crate) r#gen: Gen,
    pub(crate) reason: ResetReason,
    pub(crate) suite: Suite,
    pub(crate) archive_keys: (KeyId, KeyId),
    pub(crate) device: DeviceId,
    pub(crate) user: UserId,
    /// Everybody whom it names, ascending by device.
    pub(crate) devices: Vec<(DeviceId, UserId)>,
    /// Those of them whom its commit does not add.
    pub(crate) missing: Vec<DeviceId>,
    /// The size of the company log that its author judged by.
    pub(crate) co: u64,
    /// The company's day on which it is made.
    pub(crate) day: u64,
    /// Whether it uses the one change of suite by size.
    pub(crate) by_size: bool,
}

impl AuthorisedReset {
    /// The generation that it begins.
    pub fn r#gen(&self) -> Gen {
        self.r#gen
    }

    /// Why.
    pub fn reason(&self) -> ResetReason {
        self.reason
    }

    /// Who made it, and by which device.
    pub fn by(&self) -> (UserId, DeviceId) {
        (self.user, self.device)
    }
}

array_item! {
    /// What earlier resets of a conversation leave to be minded.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct Resets {
        /// Orders from this company entry on wait for their reset.
        pub(crate) orders_from: Seq,
        /// The day of the newest reset, in days since 1970.
        pub(crate) day: u64,
        /// The devices that made one on that day.
        pub(crate) made_by: Vec<DeviceId>,
        /// Whether an owner used the one change of suite by size.
        pub(crate) migrated: bool,
        /// Devices that the newest reset named, and that have not come yet.
        pub(crate) missing: Vec<(DeviceId, UserId)>,
        /// What the generation's first commit has to do, until it has.
        pub(crate) due: Option<Due>,
    }
}

array_item! {
    /// What the first commit of a generation has to do.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Due {
        /// Who makes it: the reset's author.
        pub(crate) device: DeviceId,
        /// Whom it adds, ascending.
        pub(crate) adds: Vec<DeviceId>,
    }
}

impl Resets {
    pub(crate) fn take(&mut self, reset: &AuthorisedReset) {
        self.orders_from = Seq(self.orders_from.0.max(reset.co));
        if reset.day > self.day {
            self.made_by.clear();
        }
        self.day = self.day.max(reset.day);
        self.made_by.push(reset.device);
        self.migrated |= reset.by_size;
        let (missing, come): (Vec<_>, Vec<_>) =
            reset.devices.iter().partition(|(device, _)| reset.missing.contains(device));
        self.missing = missing;
        let mut adds: Vec<_> = come.into_iter().map(|(device, _)| device).collect();
        adds.retain(|device| *device != reset.device);
        self.due = Some(Due { device: reset.device, adds });
    }

    pub(crate) fn begin_epoch(&mut self, roster: &Roster) {
        self.due = None;
        self.missing.retain(|(device, _)| roster.leaf_of(*device).is_none());
    }
}

impl Due {
    /// Whether the commit adds those whom the reset names, and does nothing else.
    pub(crate) fn is_done_by(&self, facts: &CommitFacts) -> Result<(), Rule> {
        if facts.external || facts.committer.certificate.device != self.device {
            return Err(Rule::Committer);
        }
        let mut adds: Vec<_> = facts.adds.iter().map(|(leaf, _)| leaf.certificate.device).collect();
        adds.sort();
        if adds == self.adds && facts.removes.is_empty() && facts.rebinds.is_none() {
            Ok(())
        } else {
            Err(Rule::ResetRoster)
        }
    }
}

impl Conversation {
    /// The devices of the conversation (R3), ascending: those that have a leaf, and those that the
    /// newest reset named and that have not come yet, or else a reset that names everybody but its
    /// author as missing could never be healed by another one. Not those that are revoked or whose
    /// users are gone.
    pub fn devices(&self, company: &impl CompanyView) -> Vec<(DeviceId, UserId)> {
        let leaves = self.roster.iter().map(|(_, member)| (member.device, member.user));
        let mut devices: Vec<_> = leaves
            .chain(self.resets.missing.iter().copied())
            .filter(|(device, user)| company.is_active(*device) && !self.person(*user).gone)
            .collect();
        devices.sort();
        devices
    }

    /// Whether a reset names this device among its own, so that it may write or come.
    pub fn has_device(&self, device: DeviceId) -> bool {
        self.roster.leaf_of(device).is_some()
            || self.resets.missing.iter().any(|(missing, _)| *missing == device)
    }

    /// Whether an admin's order waits for its reset.
    pub fn is_reset_ordered(&self, company: &impl CompanyView) -> bool {
        company.reset_ordered(self.genesis.log, self.resets.orders_from)
    }

    /// Whether the newest commit may be said to be broken by this device (R1): it is another's, and
    /// nobody else has written since.
    pub fn may_be_broken(&self, device: DeviceId) -> bool {
        let committer = self.committer();
        !self.answered && committer.is_some_and(|committer| committer.device != device)
    }

    /// The suite that this user may move the group of so many devices to (R2): the policy's, if it
    /// names one; else the one that fits the size, once and by an owner. None if the group has it.
    pub fn suite_to_come(
        &self,
        user: UserId,
        devices: usize,
        company: &impl CompanyView,
    ) -> Option<Suite> {
        let by_size = || {
            let may = !self.resets.migrated && self.is_owner(user, company);
            may.then(|| Suite::for_devices(devices))
        };
        company.suite().or_else(by_size).filter(|suite| suite.code() != self.suite)
    }

    /// Whether this device made a reset on this day of the company (R4). A clock that the policy set back
    /// gives nobody the day twice.
    pub fn has_reset_on_day(&self, device: DeviceId, day: u64) -> bool {
        self.resets.day >= day && self.resets.made_by.contains(&device)
    }
}

/// Whether a reset may take effect. That its head names the next generation is checked before.
pub fn reset<V: CompanyView>(
    conversation: &Conversation,
    head: &[u8],
    signed: &SignedPayload,
    body: &ResetBody,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedReset, Rule> {
    let user = author(head, signed, body.at, judgement)?;
    let device = signed.device;
    if conversation.person(user).gone || !conversation.has_device(device) {
        return Err(Rule::NotMember);
    }
    if body.seen.is_none_or(|seen| seen.seq < conversation.began) {
        return Err(Rule::Outdated);
    }
    let day = judgement.link.day(judgement.t_ms);
    if conversation.has_reset_on_day(device, day) {
        return Err(Rule::ResetTwice);
    }
    let named = named(body, device).ok_or(Rule::ResetRoster)?;
    let suite = ground(conversation, user, device, body, named.len(), judgement)?;
    let devices = conversation.devices(judgement.at);
    let whole = |company: &V| conversation.devices(company) == devices;
    let same = devices.iter().map(|(device, _)| *device).eq(named);
    if !same {
        return Err(Rule::ResetRoster);
    }
    both(judgement, whole, Rule::ResetRoster)?;
    let archive_keys = judgement.at.archive_keys().ok_or(Rule::Rebind)?;
    both(judgement, |company| company.archive_keys() == Some(archive_keys), Rule::Rebind)?;
    let r#gen = Gen(conversation.r#gen.0.checked_add(1).ok_or(Rule::ResetGround)?);
    Ok(AuthorisedReset {
        r#gen,
        reason: body.reason,
        suite,
        archive_keys,
        device,
        user,
        devices,
        missing: body.missing.clone(),
        co: body.at.co,
        day,
        by_size: body.reason == ResetReason::Migrate && judgement.link.suite().is_none(),
    })
}

/// All devices that a reset names, if its lists have their form.
fn named(body: &ResetBody, author: DeviceId) -> Option<Vec<DeviceId>> {
    let ascends = |list: &[DeviceId]| list.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascends(&body.roster) || !ascends(&body.missing) || !body.roster.contains(&author) {
        return None;
    }
    let mut named = [body.roster.as_slice(), body.missing.as_slice()].concat();
    named.sort();
    ascends(&named).then_some(named)
}

/// R1 and R2: whether the reason holds, and the suite of the next generation.
fn ground<V: CompanyView>(
    conversation: &Conversation,
    user: UserId,
    device: DeviceId,
    body: &ResetBody,
    devices: usize,
    judgement: &Judgement<'_, V>,
) -> Result<Suite, Rule> {
    let kept = Suite::from_code(conversation.suite).ok_or(Rule::ResetGround)?;
    if (body.reason == ResetReason::Broken) != body.bad_seq.is_some() {
        return Err(Rule::ResetGround);
    }
    match body.reason {
        ResetReason::Broken => {
            let newest = body.bad_seq == Some(conversation.began);
            if newest && conversation.may_be_broken(device) {
                return Ok(kept);
            }
            Err(Rule::ResetGround)
        }
        ResetReason::Admin => {
            let ordered = |company: &V| conversation.is_reset_ordered(company);
            both(judgement, ordered, Rule::ResetGround).map(|()| kept)
        }
        ResetReason::Migrate => {
            let may =
                |company: &V| company.suite().is_some() || conversation.is_owner(user, company);
            both(judgement, may, Rule::Owner)?;
            let to = |company: &V| conversation.suite_to_come(user, devices, company);
            let suite = to(judgement.at).ok_or(Rule::ResetGround)?;
            both(judgement, |company| to(company) == Some(suite), Rule::ResetGround)?;
            Ok(suite)
        }
    }
}

#[cfg(test)]
mod tests;
