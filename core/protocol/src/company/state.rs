//! The company, built from its log one entry at a time.
//!
//! An entry that continues the chain is always taken; whether it *counts* is judged by what the
//! entries before it say (C11). One that does not count has no effect and leaves a [`Finding`].
//! Every fact keeps the number of the entry that set it, so the company can be seen
//! [at any size](Company::at) of its log.
//!
//! Applying is the only way in. A phone that starts again need not verify 10,000 signatures anew:
//! it keeps its own verdicts in its encrypted database and [re-applies](Company::reapply).

use std::collections::{BTreeMap, HashMap, HashSet};

use rand::CryptoRng;

use crate::archive_key;
use crate::company::body::{
    ArchiveSide, CompanyBody, DeviceEntry, HandoverEntry, LogKeyEntry, PolicyEntry, ReportCode,
    Role, RoleEntry, WitnessEntry, company_pin,
};
use crate::company::checked::Signatures;
use crate::company::finding::{Applied, ChainBreak, Finding};
use crate::company::handover::Handover;
use crate::company::judge::{Offered, claims, judge};
use crate::company::policy::{PolicyDocument, Terms};
use crate::company::timeline::Timeline;
use crate::crypto::PublicKey;
use crate::encoding::{Bytes, decode};
use crate::entry::{Entry, Head, Kind, Seen};
use crate::ids::{CompanyId, DeviceId, Digest, EntryHash, KeyId, LogId, Seq, TimeMs, UserId};
use crate::limits;

/// Entries whose signatures are checked in one batch.
const BATCH: usize = 512;

/// The company, as its log describes it.
#[derive(Debug, Clone)]
pub struct Company {
    pin: Digest,
    id: Option<CompanyId>,
    hashes: Vec<EntryHash>,
    t_ms: TimeMs,
    /// Whether every entry so far came without `seen`: the founding's one batch.
    founding: bool,
    findings: BTreeMap<u64, Finding>,
    pub(crate) facts: Facts,
}

/// What the entries that count have said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Heads and bodies that counted, by SHA-256.
    pub(crate) bodies: HashSet<Digest>,
    pub(crate) keys: HashMap<KeyId, (PublicKey, Purpose)>,
    pub(crate) roots: Timeline<PublicKey>,
    pub(crate) issuing: BTreeMap<PublicKey, Timeline<bool>>,
    pub(crate) authorities: BTreeMap<PublicKey, Timeline<bool>>,
    pub(crate) log_keys: Timeline<LogKey>,
    pub(crate) witnesses: BTreeMap<Bytes, Timeline<Witness>>,
    pub(crate) devices: HashMap<DeviceId, DeviceHistory>,
    pub(crate) device_of_key: HashMap<PublicKey, DeviceId>,
    pub(crate) devices_of: HashMap<UserId, Vec<DeviceId>>,
    pub(crate) seeds: HashSet<PublicKey>,
    pub(crate) roles: BTreeMap<(KeyId, Role), Timeline<RoleKey>>,
    pub(crate) policies: Timeline<Policy>,
    pub(crate) archive: [Timeline<ArchiveKey>; 2],
    pub(crate) handovers: BTreeMap<(UserId, UserId), Timeline<Handover>>,
    pub(crate) restores: Vec<u64>,
    pub(crate) released: HashSet<Seq>,
    pub(crate) reports: HashSet<(DeviceId, LogId, ReportCode, u64)>,
    /// Entries of the kinds from `opening` on.
    pub(crate) events: BTreeMap<u64, CompanyBody>,
}

/// What a key is for. It is for one thing only, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Root,
    Issuing,
    Authority,
    Log,
    Device(DeviceId),
    Role(Option<UserId>),
}

/// A device's entries, and the one that ended it.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceHistory {
    pub(crate) facts: Timeline<Device>,
    pub(crate) revoked: Option<u64>,
}

/// A device, as an entry describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub device: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// Its signature key, which is its MLS key too.
    pub signature_key: PublicKey,
    /// Its keystore key, P-256, compressed.
    pub keystore_key: [u8; 33],
    /// SHA-256 of its certificate's DER.
    pub certificate: Digest,
    /// The hash of its history key.
    pub history_key: Digest,
    /// The entry that says so.
    pub entered: Seq,
}

/// The keys that sign checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The Ed25519 key.
    pub ed25519: PublicKey,
    /// The ML-DSA-44 key, 1,312 bytes.
    pub ml_dsa: Bytes,
    /// The entry that says so.
    pub entered: Seq,
}

/// A witness of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its key name in notes.
    pub name: String,
    /// Its ML-DSA-44 key, 1,312 bytes.
    pub key: Bytes,
    /// Whether it is one now.
    pub active: bool,
    /// The entry that says so.
    pub entered: Seq,
}

/// A key with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKey {
    /// The signing key.
    pub key: PublicKey,
    /// The hash of its history key, if it may be given record keys.
    pub history_key: Option<Digest>,
    /// Whose key it is; null for a machine's.
    pub user: Option<UserId>,
    /// The role.
    pub role: Role,
    /// Whether it holds it.
    pub active: bool,
    /// The entry that says so.
    pub entered: Seq,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its version.
    pub version: u64,
    /// The signed document.
    pub document: Bytes,
    /// What it says.
    pub terms: Terms,
    /// The entry that says so.
    pub entered: Seq,
}

/// An archive key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveKey {
    /// Which of the two.
    pub side: ArchiveSide,
    /// Its id.
    pub id: KeyId,
    /// The X-Wing key, checked once for all epochs that are sealed to it.
    pub key: archive_key::ArchiveKey,
    /// The hashes of its shares.
    pub shares: Vec<Digest>,
    /// The time of the entry, from which its predecessor's grace runs.
    pub t_ms: TimeMs,
    /// The entry that says so.
    pub entered: Seq,
}

impl Company {
    /// A company of which nothing is known but the pin, `H("hauspost/1 root", root pk)`.
    pub fn new(pin: Digest) -> Self {
        Self {
            pin,
            id: None,
            hashes: Vec::new(),
            t_ms: 0,
            founding: true,
            findings: BTreeMap::new(),
            facts: Facts::default(),
        }
    }

    /// The pin.
    pub fn pin(&self) -> Digest {
        self.pin
    }

    /// The company's id, once its genesis is known.
    pub fn id(&self) -> Option<CompanyId> {
        self.id
    }

    /// How many entries of the log are known.
    pub fn size(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// The time of the newest entry, 0 before the first.
    pub fn t_ms(&self) -> TimeMs {
        self.t_ms
    }

    /// The hash of entry size − 1; `None` for 0 and for sizes beyond what is known.
    pub fn hash_at(&self, size: u64) -> Option<EntryHash> {
        let last = usize::try_from(size).ok()?.checked_sub(1)?;
        self.hashes.get(last).copied()
    }

    /// The newest entry, for `seen` of what is signed now.
    pub fn newest(&self) -> Option<Seen> {
        let hash = *self.hashes.last()?;
        Some(Seen { seq: Seq(self.size() - 1), hash })
    }

    /// Why an entry does not count; `None` if it does, or is not known.
    pub fn finding(&self, seq: Seq) -> Option<Finding> {
        self.findings.get(&seq.0).copied()
    }

    /// All entries that do not count.
    pub fn findings(&self) -> impl Iterator<Item = (Seq, Finding)> + '_ {
        self.findings.iter().map(|(seq, finding)| (Seq(*seq), *finding))
    }

    /// Applies the next entry.
    pub fn apply(&mut self, entry: &Entry) -> Result<Applied, ChainBreak> {
        self.apply_with(entry, &Signatures::unknown())
    }

    /// Applies many entries, their signatures checked in batches.
    ///
    /// At a break of the chain the entries before it stay applied; [`size`](Self::size) tells how
    /// far it went. `rng` weighs the batch.
    pub fn apply_all(
        &mut self,
        entries: &[Entry],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Applied>, ChainBreak> {
        let mut applied = Vec::with_capacity(entries.len());
        for batch in entries.chunks(BATCH) {
            let signatures = Signatures::check(&claims(self, batch), rng);
            for entry in batch {
                applied.push(self.apply_with(entry, &signatures)?);
            }
        }
        Ok(applied)
    }

    /// Applies an entry whose verdict this program reached earlier and kept where nobody else
    /// writes, without verifying its signatures again.
    pub fn reapply(&mut self, entry: &Entry, counted: bool) -> Result<Applied, ChainBreak> {
        let signatures = if counted { Signatures::Trusted } else { Signatures::unknown() };
        self.apply_with(entry, &signatures)
    }

    /// Whether an entry would count if it were the next, ordered at `t_ms`.
    pub fn check(&self, head: &[u8], payload: &[u8], t_ms: TimeMs) -> Result<(), Finding> {
        let offered = Offered::read(Seq(self.size()), t_ms, head, payload)?;
        judge(self, &offered, &Signatures::unknown())
    }

    pub(crate) fn is_founding(&self) -> bool {
        self.founding
    }

    fn apply_with(
        &mut self,
        entry: &Entry,
        signatures: &Signatures,
    ) -> Result<Applied, ChainBreak> {
        let payload = self.continues(entry)?;
        let offered = Offered::read(entry.seq, entry.t_ms, &entry.head, payload);
        if entry.seq.0 == 0 {
            self.id = Some(self.begins(&offered, signatures)?);
        }
        let hash = entry.hash(self.hash_at(self.size()).unwrap_or(EntryHash::ZERO));
        let founding =
            self.founding && offered.as_ref().is_ok_and(|offered| offered.body.seen().is_none());
        let verdict = offered.and_then(|offered| {
            if offered.seq.0 > 0 {
                judge(self, &offered, signatures)?;
            }
            Ok(offered)
        });
        self.hashes.push(hash);
        self.t_ms = entry.t_ms;
        self.founding = founding;
        match verdict {
            Ok(offered) => {
                self.facts.enact(offered);
                Ok(Applied::Counts(hash))
            }
            Err(finding) => {
                self.findings.insert(entry.seq.0, finding);
                Ok(Applied::Ignored(hash, finding))
            }
        }
    }

    /// Whether the entry continues the chain; its payload.
    fn continues<'e>(&self, entry: &'e Entry) -> Result<&'e [u8], ChainBreak> {
        let expected = Seq(self.size());
        if entry.seq != expected {
            return Err(ChainBreak::Gap { expected, found: entry.seq });
        }
        if entry.co != entry.seq.0 {
            return Err(ChainBreak::CompanySize(entry.seq));
        }
        if entry.t_ms < self.t_ms {
            return Err(ChainBreak::TimeBack { seq: entry.seq, after: self.t_ms });
        }
        // A head of a kind that this version does not know cannot be read, and is chained all the same.
        if let (Some(company), Ok(head)) = (self.id, Head::parse(&entry.head))
            && head.log != company.log()
        {
            return Err(ChainBreak::WrongLog(entry.seq));
        }
        entry.payload.bytes().ok_or(ChainBreak::PayloadMissing(entry.seq))
    }

    /// Whether this is the genesis that the pin names.
    fn begins(
        &self,
        offered: &Result<Offered, Finding>,
        signatures: &Signatures,
    ) -> Result<CompanyId, ChainBreak> {
        let Ok(offered) = offered else { return Err(ChainBreak::Pin) };
        let CompanyBody::Genesis(genesis) = &offered.body else { return Err(ChainBreak::Pin) };
        let fits = company_pin(&genesis.root) == self.pin
            && !genesis.root.has_small_order()
            && offered.log == genesis.company.log()
            && offered.is_signed_by(&genesis.root, signatures);
        if fits { Ok(genesis.company) } else { Err(ChainBreak::Pin) }
    }
}

impl Facts {
    /// Writes down what an entry that counts says.
    fn enact(&mut self, offered: Offered) {
        let (seq, entered, t_ms) = (offered.seq.0, offered.seq, offered.t_ms);
        self.bodies.insert(offered.digest);
        if offered.kind >= Kind::Opening {
            self.events.insert(seq, offered.body.clone());
        }
        match offered.body {
            CompanyBody::Genesis(body) => self.set_root(seq, body.root),
            CompanyBody::RootRotation(body) => self.set_root(seq, body.key),
            CompanyBody::IssuingKey(body) => {
                self.name(body.key, Purpose::Issuing);
                self.issuing.entry(body.key).or_default().set(seq, body.active);
            }
            CompanyBody::EnrolmentAuthority(body) => {
                self.name(body.key, Purpose::Authority);
                self.authorities.entry(body.key).or_default().set(seq, body.active);
            }
            CompanyBody::LogKey(LogKeyEntry { ed25519, ml_dsa, .. }) => {
                self.name(ed25519, Purpose::Log);
                self.log_keys.set(seq, LogKey { ed25519, ml_dsa, entered });
            }
            CompanyBody::Witness(WitnessEntry { name, key, active, .. }) => {
                let witness = Witness { name, key: key.clone(), active, entered };
                self.witnesses.entry(key).or_default().set(seq, witness);
            }
            CompanyBody::Device(body) => self.enter_device(seq, body),
            CompanyBody::Revoke(body) => self.revoke(seq, body.device),
            CompanyBody::Role(RoleEntry { key, history_key, user, role, active, .. }) => {
                self.name(key, Purpose::Role(user));
                let holding = RoleKey { key, history_key, user, role, active, entered };
                self.roles.entry((key.id(), role)).or_default().set(seq, holding);
            }
            CompanyBody::Policy(PolicyEntry { version, document, .. }) => {
                // One whose two parts cannot be told apart does not count (`judge`).
                let terms = decode::<PolicyDocument>(&document).map(|parts| parts.terms());
                let terms = terms.unwrap_or_default();
                self.policies.set(seq, Policy { version, document, terms, entered });
            }
            CompanyBody::ArchiveKey(body) => {
                // One that cannot be sealed to does not count (`judge`).
                if let Ok(key) = archive_key::ArchiveKey::parse(&body.key) {
                    let (side, id, shares) = (body.side, key.id(), body.shares);
                    let key = ArchiveKey { side, id, key, shares, t_ms, entered };
                    self.archive[side as usize].set(seq, key);
                }
            }
            CompanyBody::Release(body) => {
                self.released.insert(body.hold);
            }
            CompanyBody::Handover(HandoverEntry { from, to, scope, .. }) => {
                let handover = Handover { seq: entered, t_ms, from, to, scope };
                self.handovers.entry((from, to)).or_default().set(seq, handover);
            }
            CompanyBody::Restore(_) => self.restores.push(seq),
            CompanyBody::Report(body) => {
                let day = t_ms / limits::DAY_MS;
                self.reports.insert((body.device, body.log, body.code, day));
            }
            // Kept as events; what they mean is for those who ask.
            CompanyBody::Opening(_)
            | CompanyBody::Opened(_)
            | CompanyBody::Hold(_)
            | CompanyBody::Erase(_)
            | CompanyBody::Rewrap(_)
            | CompanyBody::Close(_)
            | CompanyBody::Class(_)
            | CompanyBody::ResetOrder(_) => {}
        }
    }

    fn name(&mut self, key: PublicKey, purpose: Purpose) {
        self.keys.entry(key.id()).or_insert((key, purpose));
    }

    fn set_root(&mut self, seq: u64, key: PublicKey) {
        self.name(key, Purpose::Root);
        self.roots.set(seq, key);
    }

    fn enter_device(&mut self, seq: u64, body: DeviceEntry) {
        let DeviceEntry { device, user, signature_key, keystore_key, .. } = body;
        self.name(signature_key, Purpose::Device(device));
        if let Some(voucher) = body.voucher {
            self.seeds.insert(voucher.seed);
        }
        if let Some(replaced) = body.replaces {
            self.revoke(seq, replaced);
        }
        let (certificate, history_key, entered) = (body.certificate, body.history_key, Seq(seq));
        self.device_of_key.insert(signature_key, device);
        let history = self.devices.entry(device).or_default();
        if history.facts.last_seq().is_none() {
            self.devices_of.entry(user).or_default().push(device);
        }
        history.facts.set(
            seq,
            Device { device, user, signature_key, keystore_key, certificate, history_key, entered },
        );
    }

    fn revoke(&mut self, seq: u64, device: DeviceId) {
        self.devices.entry(device).or_default().revoked.get_or_insert(seq);
    }
}
