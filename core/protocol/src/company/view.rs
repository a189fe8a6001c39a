//! What the company log says after its first `size` entries.
//!
//! Server, phones and verifier all judge a commit by the same prefix of the company log
//! (docs/attacks.md 9, 15), so every question can be asked of any size.

use crate::company::body::{ArchiveSide, CompanyBody, OpeningEntry, Role};
use crate::company::handover::Handover;
use crate::company::policy::{PolicyDocument, Terms};
use crate::company::state::{ArchiveKey, Company, Device, LogKey, Policy, RoleKey, Witness};
use crate::crypto::PublicKey;
use crate::encoding::decode;
use crate::ids::{CompanyId, DeviceId, Digest, EntryHash, KeyId, Seq, TimeMs, UserId};
use crate::limits;

/// The company after the first `size` entries of its log. Cheap to make and to copy.
#[derive(Clone, Copy, Debug)]
pub struct CompanyAt<'a> {
    company: &'a Company,
    size: u64,
}

impl Company {
    /// The company after the first `size` entries; a size beyond the log is the log's.
    pub fn at(&self, size: u64) -> CompanyAt<'_> {
        CompanyAt { company: self, size: size.min(self.size()) }
    }

    /// The company after all entries known.
    pub fn now(&self) -> CompanyAt<'_> {
        self.at(self.size())
    }
}

impl<'a> CompanyAt<'a> {
    /// How many entries this view knows.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of entry size − 1, which `at` of a signed body names; zeros before genesis.
    pub fn hash(&self) -> EntryHash {
        self.company.hash_at(self.size).unwrap_or(EntryHash::ZERO)
    }

    /// The company's id, once there is a genesis.
    pub fn company(&self) -> Option<CompanyId> {
        if self.size == 0 { None } else { self.company.id() }
    }

    /// The number of `restore` entries: the era of the outer tree.
    pub fn era(&self) -> u64 {
        self.company.facts.restores.partition_point(|seq| *seq < self.size) as u64
    }

    /// The root key.
    pub fn root(&self) -> Option<PublicKey> {
        self.company.facts.roots.at(self.size).copied()
    }

    /// Whether this is an active issuing key.
    pub fn is_issuing_key(&self, key: &PublicKey) -> bool {
        let switched = self.company.facts.issuing.get(key);
        switched.is_some_and(|active| active.at(self.size) == Some(&true))
    }

    /// The active enrolment authorities.
    pub fn authorities(&self) -> impl Iterator<Item = PublicKey> + use<'a> {
        let size = self.size;
        let keys = self.company.facts.authorities.iter();
        keys.filter(move |(_, active)| active.at(size) == Some(&true)).map(|(key, _)| *key)
    }

    /// The keys that sign checkpoints.
    pub fn log_key(&self) -> Option<&'a LogKey> {
        self.company.facts.log_keys.at(self.size)
    }

    /// The active witnesses.
    pub fn witnesses(&self) -> impl Iterator<Item = &'a Witness> + use<'a> {
        let size = self.size;
        let witnesses = self.company.facts.witnesses.values();
        witnesses.filter_map(move |witness| witness.at(size)).filter(|witness| witness.active)
    }

    /// A device, active or not, as its newest entry describes it.
    pub fn device(&self, device: DeviceId) -> Option<&'a Device> {
        self.company.facts.devices.get(&device)?.facts.at(self.size)
    }

    /// The device that has this signature key, active or not.
    pub fn device_of_key(&self, key: &PublicKey) -> Option<&'a Device> {
        self.device(*self.company.facts.device_of_key.get(key)?)
    }

    /// The device's user.
    pub fn user_of_device(&self, device: DeviceId) -> Option<UserId> {
        self.device(device).map(|device| device.user)
    }

    /// Whether the device is in the log and not revoked.
    pub fn is_active(&self, device: DeviceId) -> bool {
        self.device(device).is_some() && self.revoked_at(device).is_none()
    }

    /// Whether the device is revoked. A device that was never entered is not, and not active either.
    pub fn is_revoked(&self, device: DeviceId) -> bool {
        self.revoked_at(device).is_some()
    }

    /// The entry that revoked the device.
    pub fn revoked_at(&self, device: DeviceId) -> Option<Seq> {
        let revoked = self.company.facts.devices.get(&device)?.revoked?;
        (revoked < self.size).then_some(Seq(revoked))
    }

    /// Whether an entry of this device names this certificate, its newest entry or an earlier one.
    pub fn has_certificate(&self, device: DeviceId, certificate: &Digest) -> bool {
        self.company.facts.devices.get(&device).is_some_and(|history| {
            let entries = history.facts.until(self.size);
            entries.iter().any(|(_, device)| device.certificate == *certificate)
        })
    }

    /// The active devices of a user, in the order in which they came.
    pub fn devices_of(&self, user: UserId) -> impl Iterator<Item = &'a Device> + use<'a> {
        let view = *self;
        let devices = self.company.facts.devices_of.get(&user).into_iter().flatten();
        devices
            .filter(move |device| view.is_active(**device))
            .filter_map(move |device| view.device(*device))
    }

    /// Whether the user ever had a device, active or not.
    pub fn has_had_device(&self, user: UserId) -> bool {
        let devices = self.company.facts.devices_of.get(&user).into_iter().flatten();
        devices.into_iter().any(|device| self.device(*device).is_some())
    }

    /// All active devices.
    pub fn devices(&self) -> impl Iterator<Item = &'a Device> + use<'a> {
        let view = *self;
        let devices = self.company.facts.devices.keys();
        devices.filter(move |id| view.is_active(**id)).filter_map(move |id| view.device(*id))
    }

    /// The newest archive keys, A and B, once both are there.
    pub fn archive_keys(&self) -> Option<(&'a ArchiveKey, &'a ArchiveKey)> {
        let newest = |side: ArchiveSide| self.company.facts.archive[side as usize].at(self.size);
        Some((newest(ArchiveSide::A)?, newest(ArchiveSide::B)?))
    }

    /// The archive key with this id, newest or not.
    pub fn archive_key(&self, id: KeyId) -> Option<&'a ArchiveKey> {
        let sides = self.company.facts.archive.iter();
        sides.flat_map(|side| side.until(self.size)).map(|(_, key)| key).find(|key| key.id == id)
    }

    /// Whether an archive key may still be used at this time: it is its side's newest, or its
    /// successor's entry is younger than 30 days (S8, S10).
    pub fn archive_key_is_good(&self, side: ArchiveSide, id: KeyId, t_ms: TimeMs) -> bool {
        let keys = self.company.facts.archive[side as usize].until(self.size);
        let Some(place) = keys.iter().position(|(_, key)| key.id == id) else { return false };
        keys.get(place + 1).is_none_or(|(_, successor)| {
            t_ms.saturating_sub(successor.t_ms) < limits::ARCHIVE_KEY_GRACE_MS
        })
    }

    /// The roles that a key holds.
    pub fn roles_of(&self, key: KeyId) -> impl Iterator<Item = &'a RoleKey> + use<'a> {
        let size = self.size;
        let roles = self.company.facts.roles.range((key, Role::Admin)..=(key, Role::Retention));
        roles.filter_map(move |(_, holding)| holding.at(size)).filter(|holding| holding.active)
    }

    /// Whether a key holds a role.
    pub fn has_role(&self, key: KeyId, role: Role) -> bool {
        self.roles_of(key).any(|holding| holding.role == role)
    }

    /// The role key with this id, while it holds any role.
    pub fn role_key(&self, key: KeyId) -> Option<&'a RoleKey> {
        self.roles_of(key).next()
    }

    /// All keys that hold a role now.
    pub fn role_keys(&self) -> impl Iterator<Item = &'a RoleKey> + use<'a> {
        let size = self.size;
        let roles = self.company.facts.roles.values();
        roles.filter_map(move |holding| holding.at(size)).filter(|holding| holding.active)
    }

    /// Whether any key holds this role.
    pub fn anyone_is(&self, role: Role) -> bool {
        self.role_keys().any(|holding| holding.role == role)
    }

    /// The policy in force.
    pub fn policy(&self) -> Option<&'a Policy> {
        self.company.facts.policies.at(self.size)
    }

    /// What the policy in force says; without one, what holds without one.
    pub fn terms(&self) -> &'a Terms {
        self.policy().map_or(Terms::without_policy(), |policy| &policy.terms)
    }

    /// The policy's two parts.
    pub fn policy_document(&self) -> Option<PolicyDocument> {
        decode(&self.policy()?.document).ok()
    }

    /// An entry that counts, of the kinds from `opening` on, by its number.
    pub fn entry(&self, seq: Seq) -> Option<&'a CompanyBody> {
        if seq.0 < self.size { self.company.facts.events.get(&seq.0) } else { None }
    }

    /// All entries that count, of the kinds from `opening` on.
    pub fn entries(&self) -> impl Iterator<Item = (Seq, &'a CompanyBody)> + use<'a> {
        self.entries_from(Seq(0))
    }

    /// The same, from this entry on.
    pub fn entries_from(
        &self,
        from: Seq,
    ) -> impl Iterator<Item = (Seq, &'a CompanyBody)> + use<'a> {
        let known = from.0.min(self.size)..self.size;
        self.company.facts.events.range(known).map(|(seq, body)| (Seq(*seq), body))
    }

    /// The handovers in force, by the leaver and the successor.
    pub fn handovers(&self) -> impl Iterator<Item = &'a Handover> + use<'a> {
        let size = self.size;
        self.company.facts.handovers.values().filter_map(move |between| between.at(size))
    }

    /// The handover that this entry says, while it is in force.
    pub fn handover(&self, seq: Seq) -> Option<&'a Handover> {
        self.handovers().find(|handover| handover.seq == seq)
    }

    /// All devices that a user ever had, active or not.
    pub fn all_devices_of(&self, user: UserId) -> impl Iterator<Item = &'a Device> + use<'a> {
        let view = *self;
        let devices = self.company.facts.devices_of.get(&user).into_iter().flatten();
        devices.filter_map(move |device| view.device(*device))
    }

    /// An opening of the archive, by its number.
    pub fn opening(&self, seq: Seq) -> Option<&'a OpeningEntry> {
        match self.entry(seq) {
            Some(CompanyBody::Opening(opening)) => Some(opening),
            _ => None,
        }
    }
}
