//! An opening of the archive: what the officers do, what the council does, and the two messages
//! between them, each a file.
//!
//! ```text
//! officers   export with ciphertexts, key A from two shares ──▶ halves.cbor, sealed to the council
//! council    export without ciphertexts, key B              ──▶ answer.cbor, sealed to the officers
//! officers   their export, the answer                       ──▶ the conversation
//! ```
//!
//! The council's side is the guard: it replays who was where from the log itself and gives a key
//! only for a record whose log, number, time and author lie in the scope that stands in the company
//! log. A capsule that no such record needs is refused, whoever asks.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hauspost_protocol::archive_key::{self, ArchiveKeys, ArchiveSeed, Share, ShareError};
use hauspost_protocol::array_item;
use hauspost_protocol::body::CapsuleBody;
use hauspost_protocol::capsule::{self, CapsuleError, HalfA, HalfB};
use hauspost_protocol::company::body::{OpenedEntry, OpeningEntry, Role, history_key_hash};
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::epoch::{Chains, EpochSecret};
use hauspost_protocol::hpke::Sealed;
use hauspost_protocol::ids::{Digest, KeyId, LogId, Seq};
use hauspost_protocol::key_list::{self, HalfOpening, KeyList, KeyListError, OpeningRef};
use hauspost_protocol::xwing::{XWingKey, XWingSeed};
use rand::CryptoRng;

use super::replay::PlacedRecord;
use super::verify::Examined;
use crate::company::card::Card;

/// Why an opening does not go on.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not the message that is needed.
    #[error("{path} is not {wanted}")]
    NotTheMessage {
        /// The file.
        path: PathBuf,
        /// What is needed.
        wanted: &'static str,
    },
    /// The export does not verify, so nothing is opened by it.
    #[error("the export does not verify: {0} findings")]
    Findings(usize),
    /// No such opening counts in the company log of the export.
    #[error("the company log of the export has no opening under entry {0}")]
    NoOpening(Seq),
    /// The message belongs to another opening.
    #[error(
        "the file is for the opening under entry {found}, this is the one under entry {expected}"
    )]
    OtherOpening {
        /// The one that it is for.
        found: Seq,
        /// The one that is worked on.
        expected: Seq,
    },
    /// A conversation of the scope is not in the export.
    #[error("log {0} is in the scope and not in the export")]
    LogMissing(LogId),
    /// The officers' shares do not rebuild the key of a capsule.
    #[error("archive key {key}: {source}")]
    Shares {
        /// The key that the capsule is sealed to.
        key: KeyId,
        /// What is wrong with the shares.
        source: ShareError,
    },
    /// The shares or the copy belong to another archive key than the one a capsule is sealed to.
    #[error(
        "log {log}, entry {seq} is sealed to archive key {sealed_to}; the keys given are for {given}"
    )]
    OldKey {
        /// The log.
        log: LogId,
        /// The capsule.
        seq: Seq,
        /// The key that the capsule is sealed to.
        sealed_to: KeyId,
        /// The key that was given.
        given: KeyId,
    },
    /// An archive key of the company log cannot be used.
    #[error("archive key {0} is not in the company log")]
    UnknownKey(KeyId),
    /// A capsule does not open.
    #[error("log {log}, entry {seq}: {source}")]
    Capsule {
        /// The log.
        log: LogId,
        /// The capsule.
        seq: Seq,
        /// Why.
        source: CapsuleError,
    },
    /// The officers ask for a capsule that no record of the scope needs.
    #[error("refused: log {log}, entry {seq} opens nothing that lies in the scope of the opening")]
    Exceeds {
        /// The log.
        log: LogId,
        /// The capsule that is asked for.
        seq: Seq,
    },
    /// No history key on the card is one of an active holder of this role.
    #[error("the company log and company.json agree on no active {0:?} with a history key")]
    NoRecipient(Role),
    /// The message is not sealed to this holder.
    #[error("the file is not sealed to this holder")]
    NotSealedToUs,
    /// A message that does not open.
    #[error(transparent)]
    Message(#[from] KeyListError),
    /// Nothing lies in the scope.
    #[error("no record lies in the scope of the opening")]
    Nothing,
}

array_item! {
    /// A message of an opening, sealed to each holder who may read it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Message = 1 {
        /// What it is: `halves` or `answer`.
        pub kind: String,
        /// The company entry `opening`.
        pub opening: Seq,
        /// The hash of a holder's history key and what is sealed to it.
        pub sealed: Vec<(Digest, Sealed)>,
    }
}

/// The officers' message.
pub const HALVES: &str = "halves";
/// The council's message.
pub const ANSWER: &str = "answer";

impl Message {
    /// Writes it to a new file.
    pub fn write(&self, path: &Path) -> Result<(), OpeningError> {
        fs::write(path, encode(self))
            .map_err(|source| OpeningError::Io { path: path.to_owned(), source })
    }

    /// Reads a message of this kind for this opening.
    pub fn read(path: &Path, kind: &'static str, expected: Seq) -> Result<Self, OpeningError> {
        let bytes =
            fs::read(path).map_err(|source| OpeningError::Io { path: path.to_owned(), source })?;
        let message: Self =
            decode(&bytes).ok().filter(|message: &Self| message.kind == kind).ok_or_else(|| {
                let wanted =
                    if kind == HALVES { "the officers' halves" } else { "the council's answer" };
                OpeningError::NotTheMessage { path: path.to_owned(), wanted }
            })?;
        match message.opening {
            found if found == expected => Ok(message),
            found => Err(OpeningError::OtherOpening { found, expected }),
        }
    }

    fn for_holder(&self, key: &XWingSeed) -> Result<Vec<&Sealed>, OpeningError> {
        let own = history_key_hash(&key.public().to_bytes());
        let sealed: Vec<_> =
            self.sealed.iter().filter(|(to, _)| *to == own).map(|(_, sealed)| sealed).collect();
        if sealed.is_empty() { Err(OpeningError::NotSealedToUs) } else { Ok(sealed) }
    }
}

/// An opening that counts, on an export that verifies.
#[derive(Debug)]
pub struct Opening<'a> {
    examined: &'a Examined,
    body: &'a OpeningEntry,
    reference: OpeningRef,
}

impl<'a> Opening<'a> {
    /// The opening under this entry. The export must verify without a finding.
    pub fn new(examined: &'a Examined, seq: Seq) -> Result<Self, OpeningError> {
        // A server that lost a document, or says so, cannot keep all else from being read by that.
        let findings = examined.report.findings.len() - examined.report.lacking;
        if findings > 0 {
            return Err(OpeningError::Findings(findings));
        }
        let now = examined.company.now();
        let body = now.opening(seq).ok_or(OpeningError::NoOpening(seq))?;
        let hash = examined.company.hash_at(seq.0 + 1).ok_or(OpeningError::NoOpening(seq))?;
        if let Some((log, ..)) =
            body.scope.logs.iter().find(|(log, ..)| !examined.logs.contains_key(log))
        {
            return Err(OpeningError::LogMissing(*log));
        }
        Ok(Self { examined, body, reference: OpeningRef { seq, hash } })
    }

    /// The opening's entry.
    pub fn body(&self) -> &OpeningEntry {
        self.body
    }

    /// The records of the scope, log by log. What is transient lies in none: when somebody read, or
    /// began to write, is his behaviour, and nobody opens it (L-24).
    pub fn records(&self) -> impl Iterator<Item = (LogId, &'a PlacedRecord)> {
        let scope = &self.body.scope;
        self.examined.logs.iter().flat_map(move |(log, examined)| {
            let records = examined.replay.records.iter();
            records
                .filter(|record| !record.transient)
                .filter(|record| scope.covers(*log, record.seq, record.t_ms, record.author.user))
                .map(|record| (*log, record))
        })
    }

    /// The capsules that the records of the scope need.
    fn capsules(&self) -> BTreeMap<(LogId, Seq), &'a CapsuleBody> {
        let body = |log: LogId, record: &PlacedRecord| {
            self.examined.logs[&log].replay.epochs[record.epoch].capsules.get(&record.slot.cap)
        };
        self.records()
            .filter_map(|(log, record)| Some(((log, record.slot.cap), body(log, record)?)))
            .collect()
    }

    /// The officers' step: their half of each capsule of the scope, sealed to the council.
    pub fn halves(
        &self,
        shares: &[(KeyId, Share)],
        card: &Card,
        rng: &mut impl CryptoRng,
    ) -> Result<Message, OpeningError> {
        let capsules = self.capsules();
        if capsules.is_empty() {
            return Err(OpeningError::Nothing);
        }
        let mut seeds: BTreeMap<KeyId, ArchiveSeed> = BTreeMap::new();
        let mut halves = Vec::new();
        for ((log, seq), body) in capsules {
            let seed = match seeds.entry(body.id_a) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.rebuild((log, seq), body.id_a, shares)?),
            };
            let half = HalfA::open(body, seed).map_err(|source| OpeningError::Capsule {
                log,
                seq,
                source,
            })?;
            halves.push(HalfOpening { opening: self.reference.seq, log, capsule: seq, half });
        }
        let council = self.recipients(card, Role::Council)?;
        let seal = |(hash, key): (Digest, XWingKey)| {
            (hash, key_list::seal_halves(self.reference, halves.clone(), &key, rng))
        };
        let sealed = council.into_iter().map(seal).collect();
        Ok(Message { kind: HALVES.into(), opening: self.reference.seq, sealed })
    }

    fn rebuild(
        &self,
        (log, seq): (LogId, Seq),
        key: KeyId,
        shares: &[(KeyId, Share)],
    ) -> Result<ArchiveSeed, OpeningError> {
        let known =
            self.examined.company.now().archive_key(key).ok_or(OpeningError::UnknownKey(key))?;
        let fitting: Vec<Share> =
            shares.iter().filter(|(id, _)| *id == key).map(|(_, share)| share.clone()).collect();
        if let (true, Some((given, _))) = (fitting.is_empty(), shares.first()) {
            return Err(OpeningError::OldKey { log, seq, sealed_to: key, given: *given });
        }
        archive_key::combine(&fitting, &known.key, &known.shares)
            .map_err(|source| OpeningError::Shares { key, source })
    }

    /// The council's step: the keys of the scope's records and of nothing else, sealed to the
    /// officers, and what goes into the company log.
    pub fn answer(
        &self,
        halves: &Message,
        history: &XWingSeed,
        b: &ArchiveSeed,
        card: &Card,
        rng: &mut impl CryptoRng,
    ) -> Result<Answer, OpeningError> {
        let needed = self.capsules();
        let mut halves_asked = Vec::new();
        for sealed in halves.for_holder(history)? {
            halves_asked.extend(key_list::open_halves(self.reference, sealed, history)?);
        }
        // All of it lies in the scope, or nothing is opened.
        for HalfOpening { log, capsule, .. } in &halves_asked {
            if !needed.contains_key(&(*log, *capsule)) {
                return Err(OpeningError::Exceeds { log: *log, seq: *capsule });
            }
        }
        let mut epochs = BTreeMap::new();
        for HalfOpening { log, capsule, half, .. } in &halves_asked {
            let place = (*log, *capsule);
            epochs.insert(place, self.open_capsule(place, needed[&place], half, b)?);
        }
        let unanswered: Vec<_> =
            needed.keys().filter(|place| !epochs.contains_key(place)).copied().collect();
        let mut lists: BTreeMap<LogId, Vec<_>> = BTreeMap::new();
        for ((log, capsule), secret) in epochs {
            lists.entry(log).or_default().extend(self.keys_under(log, capsule, secret));
        }
        let lists: Vec<(LogId, KeyList)> =
            lists.into_iter().map(|(log, keys)| (log, KeyList::new(keys))).collect();
        let officers = self.recipients(card, Role::Officer)?;
        let mut sealed = Vec::new();
        for (hash, key) in &officers {
            for (log, list) in &lists {
                sealed.push((*hash, key_list::seal_keys(self.reference, *log, list, key, rng)));
            }
        }
        let counts = lists.iter().map(|(log, list)| (*log, list.len() as u64)).collect();
        let opened = OpenedEntry {
            seen: self.examined.company.newest(),
            opening: self.reference.seq,
            counts,
        };
        let message = Message { kind: ANSWER.into(), opening: self.reference.seq, sealed };
        Ok(Answer { message, opened, unanswered })
    }

    fn open_capsule(
        &self,
        (log, seq): (LogId, Seq),
        body: &CapsuleBody,
        half: &HalfA,
        b: &ArchiveSeed,
    ) -> Result<EpochSecret, OpeningError> {
        if body.id_b != b.id() {
            return Err(OpeningError::OldKey { log, seq, sealed_to: body.id_b, given: b.id() });
        }
        let wrong = |source| OpeningError::Capsule { log, seq, source };
        let now = self.examined.company.now();
        let public = |id| {
            let known = now.archive_key(id).ok_or(OpeningError::UnknownKey(id));
            known.map(|known| known.key.clone())
        };
        let keys = ArchiveKeys { a: public(body.id_a)?, b: public(body.id_b)? };
        let replay = &self.examined.logs[&log].replay;
        let epoch = replay.epochs.iter().find(|epoch| epoch.capsules.contains_key(&seq));
        let epoch = epoch.ok_or(OpeningError::Exceeds { log, seq })?;
        let half_b = HalfB::open(body, b).map_err(wrong)?;
        capsule::open((log, epoch.r#gen, epoch.epoch), body, (half, &half_b), &keys).map_err(wrong)
    }

    /// The keys of the scope's records that rely on this capsule. Every record of the epoch moves
    /// its chain, and the keys of those outside of the scope are dropped where they arise.
    fn keys_under(
        &self,
        log: LogId,
        capsule: Seq,
        secret: EpochSecret,
    ) -> Vec<(Seq, hauspost_protocol::epoch::RecordKey)> {
        let replay = &self.examined.logs[&log].replay;
        let Some(at) = replay.epochs.iter().position(|epoch| epoch.capsules.contains_key(&capsule))
        else {
            return Vec::new();
        };
        let allowed: BTreeSet<Seq> = self
            .records()
            .filter(|(of, record)| *of == log && record.epoch == at && record.slot.cap == capsule)
            .map(|(_, record)| record.seq)
            .collect();
        let mut chains = Chains::new(secret);
        let of_epoch = replay.records.iter().filter(|record| record.epoch == at);
        of_epoch
            .filter_map(|record| {
                let key = chains.take(record.slot.leaf, record.slot.index)?;
                allowed.contains(&record.seq).then_some((record.seq, key))
            })
            .collect()
    }

    /// An officer reads the council's answer: the keys of each log.
    pub fn keys(
        &self,
        answer: &Message,
        history: &XWingSeed,
    ) -> Result<BTreeMap<LogId, KeyList>, OpeningError> {
        let sealed = answer.for_holder(history)?;
        sealed
            .into_iter()
            .map(|sealed| Ok(key_list::open_keys(self.reference, sealed, history)?))
            .collect()
    }

    /// The history keys of a role's active holders: from the card, and only if the company log
    /// names their hashes.
    fn recipients(&self, card: &Card, role: Role) -> Result<Vec<(Digest, XWingKey)>, OpeningError> {
        let now = self.examined.company.now();
        let hashes: BTreeSet<Digest> = now
            .role_keys()
            .filter(|holding| holding.role == role)
            .filter_map(|holding| holding.history_key)
            .collect();
        let keys: Vec<_> = card
            .history_keys
            .iter()
            .map(|(_, key)| (history_key_hash(key), key))
            .filter(|(hash, _)| hashes.contains(hash))
            .filter_map(|(hash, key)| Some((hash, XWingKey::parse(key).ok()?)))
            .collect();
        if keys.is_empty() { Err(OpeningError::NoRecipient(role)) } else { Ok(keys) }
    }
}

/// What the council gives.
#[derive(Debug)]
pub struct Answer {
    /// The key lists, sealed to the officers.
    pub message: Message,
    /// What goes into the company log.
    pub opened: OpenedEntry,
    /// Capsules of the scope for which the officers sent no half.
    pub unanswered: Vec<(LogId, Seq)>,
}
