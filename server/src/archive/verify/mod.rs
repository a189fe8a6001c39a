//! `hauspost archive verify`: everything that an export shows without keys and without a network.
//!
//! One thing is believed from outside, the company's pin. From it follow the company log, from that
//! the key of the checkpoint, from the checkpoint the end of every log, from its end every entry of
//! it, and from the entries who was in which conversation and in whose slot each record stands.
//! [`examine`] walks this way once; whatever does not fit is a [`Finding`] that names log and entry,
//! and whatever could not be asked is said as plainly ([`Report::unchecked`]).

mod checkpoint;

use std::collections::BTreeMap;
use std::fmt;

use hauspost_protocol::company::finding::Finding as Ignored;
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::entry::{ArchivedEntry, Entry, Kind, Payload};
use hauspost_protocol::ids::{CompanyId, Digest, EntryHash, LogId, Seq, TimeMs};
use hauspost_protocol::limits::CHECKPOINT_SKEW_MS;
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::rules::change::ChangeFault;
use hauspost_protocol::rules::client::SlotFault;
use hauspost_protocol::tree::chain::{Break, Walked, walk};
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::tree::heads::LogHead;
use rand::CryptoRng;

use super::documents;
use super::export::Export;
use super::replay::{FaultKind, Replay, replay};
use checkpoint::Believed;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// At which entry.
    pub seq: Option<Seq>,
    /// What.
    pub what: String,
}

/// Where a finding lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A file of the folder.
    File(String),
    /// The checkpoint.
    Checkpoint,
    /// The company log.
    Company,
    /// A conversation's log.
    Log(LogId),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File(path) => write!(f, "file {path}")?,
            Place::Checkpoint => f.write_str("checkpoint")?,
            Place::Company => f.write_str("company log")?,
            Place::Log(log) => write!(f, "log {log}")?,
        }
        if let Some(seq) = self.seq {
            write!(f, ", entry {seq}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What an examination says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What does not fit, by place and entry.
    pub findings: Vec<Finding>,
    /// How many of these are documents that the export lacks; what people said is whole all the same.
    pub lacking: usize,
    /// What could not be checked, and why.
    pub unchecked: Vec<String>,
    /// How many logs were walked, the company log among them.
    pub logs: u64,
    /// How many entries were walked.
    pub entries: u64,
    /// The checkpoint, if its signatures hold.
    pub checkpoint: Option<(TreeHead, TimeMs)>,
    /// The witnesses named by the company log that cosigned a state which this checkpoint continues.
    pub witnesses: Vec<Witnessing>,
    /// What is handed over to successors, by the company log, in the order of its entries. A grant on a ground that
    /// is not there is a finding.
    pub handovers: Vec<Handover>,
}

/// What a witness vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessing {
    /// Its name.
    pub name: String,
    /// The size of the tree that it saw.
    pub size: u64,
    /// When, by its clock.
    pub t_ms: TimeMs,
}

/// A log that was examined.
#[derive(Debug)]
pub struct ExaminedLog {
    /// The entries in order, each with its hash.
    pub entries: Vec<(Entry, EntryHash)>,
    /// The conversation, made anew.
    pub replay: Replay,
}

impl ExaminedLog {
    /// The entry with this number, and its hash.
    pub fn entry(&self, seq: Seq) -> Option<&(Entry, EntryHash)> {
        let at = self.entries.binary_search_by_key(&seq, |(entry, _)| entry.seq).ok()?;
        Some(&self.entries[at])
    }
}

/// An export that was examined.
#[derive(Debug)]
pub struct Examined {
    /// The company.
    pub id: CompanyId,
    /// The company, as far as its log could be followed.
    pub company: Company,
    /// The conversations.
    pub logs: BTreeMap<LogId, ExaminedLog>,
    /// What was found.
    pub report: Report,
}

/// Where the pin came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// From outside of the export: from a printed page, a card, the MDM.
    Known(Digest),
    /// From the export itself, so that a whole forged export would fit.
    OfTheExport,
}

/// Examines an export, and compares it with an earlier one if there is one.
pub fn examine(
    export: Export,
    pin: Pin,
    earlier: Option<&Export>,
    rng: &mut impl CryptoRng,
) -> Examined {
    let mut report = Report::default();
    for file in &export.changed_files {
        report.find(Place::File(file.path.clone()), None, &file.reason);
    }
    let mut documents = documents::named(&export);
    documents.retain(|place, _| !export.documents.contains(place));
    for ((log, root), missing) in documents {
        let what = format!("its document {root} is not in the export, or not whole");
        report.find(Place::Log(log), Some(missing.seq), &what);
        report.lacking += 1;
    }
    let own_pin = export.manifest.pin;
    let known = match pin {
        Pin::Known(pin) => pin,
        Pin::OfTheExport => {
            report.unchecked.push(format!(
                "the company's pin was taken from the export itself; compare it with a printed page: {own_pin}"
            ));
            own_pin
        }
    };
    let id = export.manifest.company;
    let company_entries: Vec<Entry> = {
        let mut entries: Vec<_> =
            export.company.iter().map(|archived| archived.entry.clone()).collect();
        entries.sort_by_key(|entry| entry.seq);
        entries.dedup_by_key(|entry| entry.seq);
        entries
    };
    let company = report.company(known, id, &company_entries, rng);
    let believed = Believed::read(&export.checkpoint, &export.proofs, &company, id);
    let covered = |report: &mut Report, log, place: Place| match &believed {
        Ok(believed) => {
            believed.covered(log).map_err(|error| report.find(place, None, &error.to_string())).ok()
        }
        Err(_) => None,
    };
    match &believed {
        Ok(believed) => {
            report.checkpoint = Some((believed.head, believed.t_ms));
            report.witnesses = believed.witnesses(&company);
            report.handovers = company.now().handovers().cloned().collect();
            report.handovers.sort_by_key(|known| known.seq);
        }
        Err(error) => {
            report.find(Place::Checkpoint, None, &error.to_string());
            report
                .unchecked
                .push("without a good checkpoint nothing shows where a log ends".into());
        }
    }
    let company_covered = covered(&mut report, id.log(), Place::Company);
    let walked = report.walk(Place::Company, id.log(), export.company, company_covered);
    report.ignored(&company, &walked);
    let whole = walked.breaks.is_empty() && company.size() == walked.entries.len() as u64;
    if !whole {
        report
            .unchecked
            .push("who was allowed what in the conversations: the company log is damaged".into());
    }
    let mut hashes = BTreeMap::from([(id.log(), hashes_of(&walked.entries))]);

    let mut logs = BTreeMap::new();
    let mut sealed = 0;
    for (log, archived) in export.logs {
        let covered = covered(&mut report, log, Place::Log(log));
        let walked = report.walk(Place::Log(log), log, archived, covered);
        hashes.insert(log, hashes_of(&walked.entries));
        let replay = replay(log, &walked.entries, &company);
        report.replayed(log, &walked, &replay, whole);
        if let Ok(believed) = &believed {
            report.times(log, &walked, believed.t_ms);
        }
        sealed += walked.entries.iter().filter(|(entry, _)| is_record(entry)).count();
        logs.insert(log, ExaminedLog { entries: walked.entries, replay });
    }
    if sealed > 0 {
        report.unchecked.push(format!(
            "what {sealed} record{} say{} and whether their authors signed it: that takes the officers' and the council's keys (hauspost archive open)",
            if sealed == 1 { "" } else { "s" },
            if sealed == 1 { "s" } else { "" },
        ));
        report.unchecked.push(
            "whether each capsule opens to its epoch's secret: that takes both archive keys".into(),
        );
    }
    if let Some(earlier) = earlier {
        report.compare(earlier, &company, id, &hashes);
    }
    report.findings.sort();
    report.findings.dedup();
    Examined { id, company, logs, report }
}

fn hashes_of(entries: &[(Entry, EntryHash)]) -> BTreeMap<Seq, EntryHash> {
    entries.iter().map(|(entry, hash)| (entry.seq, *hash)).collect()
}

fn is_record(entry: &Entry) -> bool {
    hauspost_protocol::entry::Head::parse(&entry.head).is_ok_and(|head| head.kind == Kind::Record)
}

impl Report {
    fn find(&mut self, place: Place, seq: Option<Seq>, what: &str) {
        self.findings.push(Finding { place, seq, what: what.to_owned() });
    }

    /// Finds fault with a checkpoint that fewer than so many witnesses cosigned within the day before
    /// it was made.
    pub fn require_witnesses(&mut self, count: usize) {
        let made_ms = self.checkpoint.map_or(TimeMs::MAX, |(_, t_ms)| t_ms);
        let timely = |witness: &&Witnessing| witness.t_ms.saturating_add(DAY_MS) >= made_ms;
        let found = self.witnesses.iter().filter(timely).count();
        if found < count {
            let what = format!(
                "{found} of {count} witnesses cosigned it, or a state of the day before it"
            );
            self.find(Place::Checkpoint, None, &what);
            self.findings.sort();
        }
    }

    /// Builds the company from its log, as far as that goes.
    fn company(
        &mut self,
        pin: Digest,
        id: CompanyId,
        entries: &[Entry],
        rng: &mut impl CryptoRng,
    ) -> Company {
        let mut company = Company::new(pin);
        if let Err(broken) = company.apply_all(entries, rng) {
            let seq = Some(Seq(company.size()));
            self.find(Place::Company, seq, &broken.to_string());
        } else if company.id() != Some(id) {
            self.find(
                Place::Company,
                None,
                "it is not the log of the company that the manifest names",
            );
        }
        company
    }

    fn walk(
        &mut self,
        place: Place,
        log: LogId,
        archived: Vec<ArchivedEntry>,
        covered: Option<LogHead>,
    ) -> Walked {
        self.logs += 1;
        let walked = walk(log, archived, covered);
        self.entries += walked.entries.len() as u64;
        for broken in &walked.breaks {
            self.find(place.clone(), Some(broken.seq()), &broken.to_string());
        }
        if walked.uncovered > 0 {
            let (uncovered, name) = (walked.uncovered, place_name(&place));
            self.unchecked.push(format!(
                "the last {uncovered} entries of {name}: the checkpoint does not cover them"
            ));
        }
        walked
    }

    /// Entries of the company log without effect. What only follows from a broken chain is not said twice.
    fn ignored(&mut self, company: &Company, walked: &Walked) {
        let broken = !walked.breaks.is_empty();
        for (seq, finding) in company.findings() {
            if !(broken && matches!(finding, Ignored::SeenElsewhere(_))) {
                self.find(Place::Company, Some(seq), &format!("it does not count: {finding}"));
            }
        }
    }

    /// Takes over what the replay of a conversation found.
    fn replayed(&mut self, log: LogId, walked: &Walked, replay: &Replay, company_is_whole: bool) {
        // A gap in a chain of records is only the echo of an entry that is known to be missing.
        let echoes = walked.breaks.iter().any(|broken| {
            matches!(
                broken,
                Break::Missing(..) | Break::Renumbered(..) | Break::Moved(_) | Break::Twice(_)
            )
        });
        let rebuilt =
            walked.breaks.iter().any(|broken| matches!(broken, Break::Changed(_) | Break::Link(_)));
        for fault in &replay.faults {
            let echo = match fault.what {
                FaultKind::Slot(SlotFault::Index(_)) => echoes,
                FaultKind::Change(ChangeFault::Rule(_))
                | FaultKind::CompanySize(_)
                | FaultKind::Slot(SlotFault::Revoked | SlotFault::ArchiveKeys)
                    if !company_is_whole =>
                {
                    true
                }
                FaultKind::SeenElsewhere(_) => echoes || rebuilt,
                FaultKind::Commit(_)
                | FaultKind::Slot(SlotFault::Epoch | SlotFault::Capsule)
                | FaultKind::NoCapsuleAfter
                | FaultKind::NoCommitAfter
                | FaultKind::Change(ChangeFault::Epoch | ChangeFault::Capsule) => {
                    echoes && !walked.breaks.iter().any(|broken| broken.seq() == fault.seq)
                }
                _ => false,
            };
            if !echo {
                self.find(Place::Log(log), Some(fault.seq), &fault.what.to_string());
            }
        }
        if let Some(seq) = replay.unknown_from {
            self.unchecked
                .push(format!("log {log}: who was in the conversation from entry {seq} on"));
        }
        for (seq, kind) in &replay.not_replayed {
            self.unchecked.push(format!("log {log}, entry {seq}: the rules of {kind:?} entries"));
        }
        let absent = walked
            .entries
            .iter()
            .filter(|(entry, _)| matches!(entry.payload, Payload::Absent { .. }))
            .count();
        if absent > 0 {
            self.unchecked.push(format!(
                "log {log}: {absent} payloads are not in this export; their hashes are"
            ));
        }
    }

    /// No entry is later than the checkpoint that covers it.
    fn times(&mut self, log: LogId, walked: &Walked, checkpoint_t_ms: TimeMs) {
        let covered = walked
            .entries
            .len()
            .saturating_sub(usize::try_from(walked.uncovered).unwrap_or(usize::MAX));
        let late = walked.entries[..covered]
            .iter()
            .find(|(entry, _)| entry.t_ms > checkpoint_t_ms + CHECKPOINT_SKEW_MS);
        if let Some((entry, _)) = late {
            self.find(
                Place::Log(log),
                Some(entry.seq),
                "it is later than the checkpoint that covers it",
            );
        }
    }

    /// Every head of an earlier checkpoint has to stand on the chains of this export.
    fn compare(
        &mut self,
        earlier: &Export,
        company: &Company,
        id: CompanyId,
        now: &BTreeMap<LogId, BTreeMap<Seq, EntryHash>>,
    ) {
        let believed = match Believed::read(&earlier.checkpoint, &earlier.proofs, company, id) {
            Ok(believed) => believed,
            Err(error) => {
                return self.find(
                    Place::Checkpoint,
                    None,
                    &format!("of the earlier export: {error}"),
                );
            }
        };
        if let Some((head, _)) = self.checkpoint
            && head.era == believed.head.era
            && (head.size < believed.head.size
                || (head.size == believed.head.size && head.root != believed.head.root))
        {
            let what = "it is not newer than the earlier one: logs may have been set back, or there are two histories";
            self.find(Place::Checkpoint, None, what);
        }
        for place in &earlier.proofs.heads {
            let log_place =
                if place.log == id.log() { Place::Company } else { Place::Log(place.log) };
            let Ok(head) = believed.covered(place.log) else { continue };
            let last = Seq(head.size - 1);
            match now.get(&place.log) {
                None => self.unchecked.push(format!("{} is in the earlier export and not in this one", place_name(&log_place))),
                Some(hashes) => match hashes.get(&last) {
                    Some(hash) if *hash == head.hash => {}
                    Some(_) => self.find(
                        log_place,
                        Some(last),
                        "it is not the one that the earlier checkpoint covers: entries up to it were changed since",
                    ),
                    None => self.find(log_place, Some(last), "the earlier checkpoint covers it, and it is missing now"),
                },
            }
        }
    }
}

fn place_name(place: &Place) -> String {
    match place {
        Place::File(path) => format!("file {path}"),
        Place::Checkpoint => "the checkpoint".into(),
        Place::Company => "the company log".into(),
        Place::Log(log) => format!("log {log}"),
    }
}
