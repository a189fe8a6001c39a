//! One conversation, made anew from its log: which devices were in which epoch, which capsules the
//! epoch has, and in whose slot each record stands. The officers' and the council's tool and the
//! verifier all stand on it, each with nothing but the log and the company log.
//!
//! What does not fit is a [`Fault`] at an entry. A commit that cannot be followed ends the replay of
//! rosters: what comes after it is said to be unknown, never guessed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use hauspost_protocol::body::{CapsuleBody, CommitBody, Genesis, SignedPayload, genesis_hash};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::entry::{At, Entry, Head, Kind, Seen, Slot};
use hauspost_protocol::ids::{
    DeviceId, Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, Seq, TimeMs,
};
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::mls::public::{Follower, Member, Roster};
use hauspost_protocol::rules::form::{Parsed, ParsedPayload, parse};

/// What is wrong with an entry of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry.
    pub seq: Seq,
    /// What is wrong.
    pub what: FaultKind,
}

/// What can be wrong with an entry of a conversation, beyond its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The head or the payload is not of the form that its kind demands.
    Form(String),
    /// The entry belongs to another log.
    OtherLog,
    /// The payload is missing although no erasure took it, and only records' payloads may be elsewhere.
    PayloadMissing,
    /// The author's device is not in the company log, or not active where the entry stands.
    Author(DeviceId),
    /// The author's signature does not verify.
    Signature(DeviceId),
    /// The author saw another entry under this number than the one in this log.
    SeenElsewhere(Seq),
    /// The author judged by another company log than this one.
    CompanyElsewhere,
    /// The first entry of the log is not its genesis, or a genesis stands elsewhere.
    Genesis,
    /// The commit cannot be followed.
    Commit(String),
    /// What the commit says of itself is not what it does.
    CommitBody(&'static str),
    /// The capsule is not the one that its commit names.
    Capsule,
    /// The capsule stands outside of its epoch.
    CapsulePlace,
    /// The epoch of a record is not in force where it stands.
    Epoch,
    /// Nobody sits at the leaf of a record.
    Leaf(LeafIndex),
    /// A record's index is not the next in its leaf's chain: a record of the leaf is missing or doubled.
    Index {
        /// The next one.
        expected: u32,
        /// The one that the record has.
        found: u32,
    },
    /// The capsule that a record relies on is none of its epoch.
    NoCapsule(Seq),
    /// The epoch of a record holds a revoked device.
    Revoked(DeviceId),
    /// The company log was not as large as the entry says.
    CompanySize(u64),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(reason) => write!(f, "not of the form that its kind demands: {reason}"),
            Self::OtherLog => f.write_str("belongs to another log"),
            Self::PayloadMissing => f.write_str("its payload is missing, and no erasure took it"),
            Self::Author(device) => write!(f, "its author {device} is not an active device there"),
            Self::Signature(device) => {
                write!(f, "the signature of {device} does not verify: it was changed or forged")
            }
            Self::SeenElsewhere(seq) => {
                write!(
                    f,
                    "its author saw another entry {seq} than the one here: entries up to {seq} were changed"
                )
            }
            Self::CompanyElsewhere => {
                f.write_str("its author judged by another company log than this one")
            }
            Self::Genesis => f.write_str("the conversation does not begin with its genesis"),
            Self::Commit(reason) => write!(f, "the commit cannot be followed: {reason}"),
            Self::CommitBody(what) => write!(f, "the commit does not do what it says: {what}"),
            Self::Capsule => f.write_str("the capsule is not the one that its commit names"),
            Self::CapsulePlace => f.write_str("the capsule stands outside of its epoch"),
            Self::Epoch => f.write_str("its epoch is not in force there"),
            Self::Leaf(leaf) => write!(f, "nobody sits at its leaf {leaf}"),
            Self::Index { expected, found } => {
                write!(
                    f,
                    "it has index {found} where {expected} comes next: a record of its author is missing or doubled"
                )
            }
            Self::NoCapsule(seq) => {
                write!(f, "entry {seq}, on which it relies, is no capsule of its epoch")
            }
            Self::Revoked(device) => write!(f, "its epoch holds the revoked device {device}"),
            Self::CompanySize(co) => {
                write!(f, "it names a company log of {co} entries, which is more than there are")
            }
        }
    }
}

/// An epoch, as it can be seen from outside.
#[derive(Debug, Clone)]
pub struct ReplayedEpoch {
    /// The generation.
    pub r#gen: Gen,
    /// Its number.
    pub epoch: Epoch,
    /// The commit that began it.
    pub began: Seq,
    /// The devices in it.
    pub roster: Roster,
    /// SHA-256 of its context.
    pub ga: Digest,
    /// Its capsule entries.
    pub capsules: BTreeMap<Seq, CapsuleBody>,
}

/// A record in its slot.
#[derive(Debug, Clone)]
pub struct PlacedRecord {
    /// The entry.
    pub seq: Seq,
    /// The server's time.
    pub t_ms: TimeMs,
    /// Its slot.
    pub slot: Slot,
    /// Its epoch, as a place in [`Replay::epochs`].
    pub epoch: usize,
    /// Who sits at its leaf.
    pub author: Member,
}

/// A conversation, made anew.
#[derive(Debug, Default)]
pub struct Replay {
    /// What never changes about it.
    pub genesis: Option<Genesis>,
    /// Its epochs, in order.
    pub epochs: Vec<ReplayedEpoch>,
    /// Its records whose slot is right.
    pub records: Vec<PlacedRecord>,
    /// What does not fit.
    pub faults: Vec<Fault>,
    /// Entries of kinds whose rules this version does not replay.
    pub not_replayed: Vec<(Seq, Kind)>,
    /// From which entry on rosters are unknown, because a commit could not be followed.
    pub unknown_from: Option<Seq>,
}

impl Replay {
    /// The record at this entry, if its slot is right.
    pub fn record(&self, seq: Seq) -> Option<&PlacedRecord> {
        let at = self.records.binary_search_by_key(&seq, |record| record.seq).ok()?;
        Some(&self.records[at])
    }
}

/// Makes a conversation anew from its entries, each with its hash.
pub fn replay(log: LogId, entries: &[(Entry, EntryHash)], company: &Company) -> Replay {
    let hashes = entries.iter().map(|(entry, hash)| (entry.seq, *hash)).collect();
    let mut replaying = Replaying {
        log,
        company,
        hashes,
        found: Replay::default(),
        binding: None,
        follower: None,
        in_force: false,
        awaited: None,
        next_index: HashMap::new(),
    };
    for (entry, _) in entries {
        replaying.take(entry);
    }
    if let Some(awaited) = replaying.awaited.take() {
        replaying.fault(awaited.commit, FaultKind::Capsule);
    }
    replaying.found
}

/// The capsule that has to follow a commit.
struct Awaited {
    commit: Seq,
    digest: Digest,
}

struct Replaying<'a> {
    log: LogId,
    company: &'a Company,
    hashes: HashMap<Seq, EntryHash>,
    found: Replay,
    /// The binding that the next generation's group begins with, and its suite.
    binding: Option<(GroupBinding, Option<Suite>)>,
    follower: Option<Follower>,
    in_force: bool,
    awaited: Option<Awaited>,
    next_index: HashMap<LeafIndex, u32>,
}

impl Replaying<'_> {
    fn fault(&mut self, seq: Seq, what: FaultKind) {
        self.found.faults.push(Fault { seq, what });
    }

    fn take(&mut self, entry: &Entry) {
        let seq = entry.seq;
        if entry.co > self.company.size() {
            self.fault(seq, FaultKind::CompanySize(entry.co));
        }
        let head = match Head::parse(&entry.head) {
            Ok(head) if head.log == self.log => head,
            Ok(_) => return self.fault(seq, FaultKind::OtherLog),
            Err(error) => return self.fault(seq, FaultKind::Form(error.to_string())),
        };
        if let Some(awaited) = self.awaited.take_if(|_| head.kind != Kind::Capsule) {
            self.fault(awaited.commit, FaultKind::Capsule);
        }
        if head.kind == Kind::Record {
            return self.record(entry, &head);
        }
        let Some(payload) = entry.payload.bytes() else {
            return self.fault(seq, FaultKind::PayloadMissing);
        };
        let parsed = match parse(&entry.head, payload) {
            Ok(parsed) => parsed,
            Err(error) => return self.fault(seq, FaultKind::Form(error.to_string())),
        };
        self.signed_part(entry, &parsed);
        match &parsed.payload {
            ParsedPayload::Genesis(signed, genesis) => self.genesis(entry, signed, genesis),
            ParsedPayload::Commit(signed, body) => self.commit(entry, &parsed.head, signed, body),
            ParsedPayload::Capsule(signed, body) => {
                self.capsule(entry, &parsed.head, signed.as_ref(), body)
            }
            ParsedPayload::Invite(..) => {}
            ParsedPayload::Reset(..) | ParsedPayload::Restore(_) => {
                self.in_force = false;
                self.follower = None;
                self.found.not_replayed.push((seq, head.kind));
                self.found.unknown_from.get_or_insert(seq);
            }
            ParsedPayload::Grant(..) | ParsedPayload::Erase(_) => {
                self.found.not_replayed.push((seq, head.kind));
            }
            ParsedPayload::Record => {}
        }
    }

    /// What every signed body shows: its author, what he had seen, and by which company log he judged.
    fn signed_part(&mut self, entry: &Entry, parsed: &Parsed) {
        let seq = entry.seq;
        if let Some(signed) = parsed.payload.signed() {
            let now = self.company.at(entry.co);
            match now.device(signed.device) {
                Some(device) if now.is_active(signed.device) => {
                    if signed.verify(&device.signature_key, &parsed.head_bytes).is_err() {
                        self.fault(seq, FaultKind::Signature(signed.device));
                    }
                }
                _ => self.fault(seq, FaultKind::Author(signed.device)),
            }
        }
        if let Some(Seen { seq: seen, hash }) = parsed.payload.seen()
            && self.hashes.get(&seen).is_some_and(|here| *here != hash)
        {
            self.fault(seq, FaultKind::SeenElsewhere(seen));
        }
        if let Some(At { co, company_hash }) = parsed.payload.at()
            && (co > entry.co || self.company.hash_at(co).is_some_and(|here| here != company_hash))
        {
            self.fault(seq, FaultKind::CompanyElsewhere);
        }
    }

    fn genesis(&mut self, entry: &Entry, signed: &SignedPayload, genesis: &Genesis) {
        let creator = self.company.at(entry.co).user_of_device(signed.device);
        if entry.seq != Seq(0) || genesis.log != self.log || creator != Some(genesis.creator) {
            return self.fault(entry.seq, FaultKind::Genesis);
        }
        let binding = GroupBinding {
            log: genesis.log,
            log_no: genesis.log_no,
            r#gen: Gen(0),
            genesis: genesis_hash(&signed.body),
            id_a: genesis.archive_keys.0,
            id_b: genesis.archive_keys.1,
        };
        self.binding = Some((binding, Suite::from_code(genesis.suite)));
        self.found.genesis = Some(genesis.clone());
    }

    fn commit(&mut self, entry: &Entry, head: &Head, signed: &SignedPayload, body: &CommitBody) {
        let seq = entry.seq;
        self.in_force = false;
        self.next_index.clear();
        self.awaited = Some(Awaited { commit: seq, digest: body.capsule_hash });
        if let Err(what) = self.follow(entry, head, signed, body) {
            self.follower = None;
            self.found.unknown_from.get_or_insert(seq);
            self.fault(seq, what);
        }
    }

    fn follow(
        &mut self,
        entry: &Entry,
        head: &Head,
        signed: &SignedPayload,
        body: &CommitBody,
    ) -> Result<(), FaultKind> {
        let refused =
            |error: hauspost_protocol::mls::MlsError| FaultKind::Commit(error.to_string());
        if let Some(base) = &body.base {
            let (binding, suite) = self
                .binding
                .take()
                .ok_or(FaultKind::CommitBody("a base where no generation begins"))?;
            let suite =
                suite.ok_or(FaultKind::CommitBody("a suite that the protocol does not have"))?;
            self.follower = Some(Follower::begin(base, suite, &binding).map_err(refused)?);
        }
        let unknown =
            || FaultKind::Commit("an entry before it is missing or could not be followed".into());
        let follower = self.follower.as_mut().ok_or_else(unknown)?;
        let staged = follower.stage(&body.mls_message).map_err(refused)?;
        let facts = staged.facts();
        let fits = [
            (facts.r#gen == head.r#gen && facts.epoch == head.epoch, "its epoch is another one"),
            (facts.ga == body.ga, "its group context is another one"),
            (facts.committer.certificate.device == signed.device, "another device made it"),
        ];
        if let Some((_, what)) = fits.iter().find(|(fits, _)| !fits) {
            return Err(FaultKind::CommitBody(what));
        }
        let view = self.company.at(entry.co);
        for leaf in facts.adds.iter().map(|(leaf, _)| leaf).chain([&facts.committer]) {
            let device = leaf.certificate.device;
            let known = view
                .device(device)
                .is_some_and(|known| known.signature_key == leaf.certificate.signature_key);
            if !known
                || !view.is_active(device)
                || !view.has_certificate(device, &leaf.certificate_hash)
            {
                return Err(FaultKind::Author(device));
            }
        }
        let (r#gen, epoch, ga) = (facts.r#gen, facts.epoch, facts.ga);
        follower.merge(staged, entry.seq, entry.t_ms).map_err(refused)?;
        let roster = follower.roster().clone();
        let capsules = BTreeMap::new();
        self.found.epochs.push(ReplayedEpoch {
            r#gen,
            epoch,
            began: entry.seq,
            roster,
            ga,
            capsules,
        });
        self.in_force = true;
        Ok(())
    }

    fn capsule(
        &mut self,
        entry: &Entry,
        head: &Head,
        signed: Option<&SignedPayload>,
        body: &CapsuleBody,
    ) {
        let seq = entry.seq;
        match (self.awaited.take(), signed) {
            (Some(awaited), None) if awaited.commit.next() == seq => {
                if awaited.digest != body.digest() {
                    self.fault(seq, FaultKind::Capsule);
                }
            }
            (None, Some(_)) => {}
            _ => self.fault(seq, FaultKind::CapsulePlace),
        }
        if !self.in_force {
            return;
        }
        let Some(epoch) = self.found.epochs.last_mut() else { return };
        let in_place = (head.r#gen, head.epoch, body.ga) == (epoch.r#gen, epoch.epoch, epoch.ga);
        let by_member = signed.is_none_or(|signed| epoch.roster.leaf_of(signed.device).is_some());
        if in_place && by_member {
            epoch.capsules.insert(seq, body.clone());
        } else {
            self.fault(seq, FaultKind::CapsulePlace);
        }
    }

    fn record(&mut self, entry: &Entry, head: &Head) {
        let seq = entry.seq;
        let Some(slot) = head.slot else { return };
        if self.found.unknown_from.is_some() && !self.in_force {
            return;
        }
        let in_force = self.found.epochs.last().filter(|_| self.in_force);
        let Some(epoch) =
            in_force.filter(|epoch| (epoch.r#gen, epoch.epoch) == (head.r#gen, head.epoch))
        else {
            return self.fault(seq, FaultKind::Epoch);
        };
        let Some(author) = epoch.roster.member(slot.leaf).copied() else {
            return self.fault(seq, FaultKind::Leaf(slot.leaf));
        };
        let view = self.company.at(entry.co);
        let revoked = epoch
            .roster
            .iter()
            .map(|(_, member)| member.device)
            .find(|device| view.is_revoked(*device));
        let has_capsule = epoch.capsules.contains_key(&slot.cap);
        if let Some(device) = revoked {
            self.fault(seq, FaultKind::Revoked(device));
        }
        if !has_capsule {
            self.fault(seq, FaultKind::NoCapsule(slot.cap));
        }
        let expected =
            self.next_index.insert(slot.leaf, slot.index.0.saturating_add(1)).unwrap_or(0);
        if slot.index.0 != expected {
            self.fault(seq, FaultKind::Index { expected, found: slot.index.0 });
        }
        let epoch = self.found.epochs.len() - 1;
        self.found.records.push(PlacedRecord { seq, t_ms: entry.t_ms, slot, epoch, author });
    }
}
