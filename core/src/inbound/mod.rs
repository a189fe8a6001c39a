//! From the server's answer to what views show: verify and open in memory, then one short
//! transaction, then observers hear.
//!
//! [`take`] walks the news of one log in order and trusts the server in nothing. [`commits`] follows
//! the group, [`taking`] does so as MLS sees it, [`records`] opens messages and checks what their authors signed, [`store`] writes down
//! what came of it all. The cursor always advances: a record that cannot be opened becomes a visible
//! gap with its reason (C8). Only a broken chain, a fork or a commit that may not be stops a log, and
//! raises an alarm (C1, C7). A commit that nobody can process does not: [`follow`] goes on outside of
//! the group until the phone has entered anew.

mod adopt;
mod codes;
mod commits;
mod follow;
mod granted;
mod records;
mod reset;
mod show;
mod store;
mod taking;

use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::entry::{Entry, Head, Kind, Seen};
use hauspost_protocol::ids::{
    CompanyId, CoreHash, DeviceId, EntryHash, LeafIndex, Seq, TimeMs, UserId,
};
use hauspost_protocol::mls::certificate::DeviceCertificate;
use hauspost_protocol::mls::storage::Backend;
use hauspost_protocol::rules::change::ChangeFault;
use hauspost_protocol::rules::client::{Chain, ChainFault};
use hauspost_protocol::rules::form::{self, Parsed, ParsedPayload};
use hauspost_protocol::wire::LogNews;
use rand::rngs::StdRng;
use rusqlite::Connection;

pub use codes::{Code, report_code};
pub use follow::outside;
pub use granted::take_granted;
pub(crate) use records::said;
pub(crate) use show::{Room, is_room, marks, may, may_call_all};
pub use store::Changes;
pub use taking::{After, archive_keys};

use crate::group::Member;
use crate::ledger::Ledger;
use crate::store::StoreError;
use crate::store::rows::alarm::Alarm;
use crate::store::rows::entry::EntryRow;
use crate::store::rows::log::LogState;
use crate::store::rows::{entry, mls, outbox};

/// This device.
pub struct Me {
    /// The company.
    pub company: CompanyId,
    /// Whose device it is.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: SigningKey,
    /// Its certificate.
    pub certificate: DeviceCertificate,
}

impl Me {
    /// This device as a member of groups.
    pub fn member(&self) -> Member<'_> {
        Member { key: &self.key, certificate: &self.certificate }
    }
}

/// What reading a log needs besides its own state.
pub struct Reader<'a> {
    /// A snapshot of the database.
    pub conn: &'a Connection,
    /// This device.
    pub me: &'a Me,
    /// The company log, as far as this phone has it.
    pub company: &'a Company,
    /// For batches of signatures and for OpenMLS.
    pub rng: StdRng,
    /// The phone's clock.
    pub now_ms: TimeMs,
    /// The newest intent that was there when the phone was opened; see
    /// [`maybe_sent`](crate::outbox::outcome::maybe_sent).
    pub inherited: i64,
}

/// MLS state in a snapshot: read only, since changes are collected above it.
pub struct Snapshot<'a>(pub &'a Connection);

impl Backend for Snapshot<'_> {
    type Error = StoreError;
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        mls::get(self.0, key)
    }
    fn put(&self, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Suspended)
    }
    fn delete(&self, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::Suspended)
    }
}

/// Why the walk through a log ends before its news do.
#[derive(Debug)]
enum Halt {
    /// The log is not believed any more.
    Stop(Code),
    /// Nobody can process the commit; a resync or reset is due.
    Broken(Code),
    /// What the entry relies on was not sent yet; the cursor waits before it.
    Later,
    /// The phone's own database failed.
    Store(StoreError),
}

impl From<ChainFault> for Halt {
    fn from(fault: ChainFault) -> Self {
        match fault {
            ChainFault::OtherLog => Self::Stop(Code::OtherLog),
            ChainFault::Number(_) => Self::Stop(Code::Missing),
            ChainFault::WentBack => Self::Stop(Code::WentBack),
            ChainFault::CompanyAhead(_) => Self::Later,
            ChainFault::Repeated => Self::Stop(Code::Repeated),
            ChainFault::Fork => Self::Stop(Code::Fork),
        }
    }
}

impl From<ChangeFault> for Halt {
    fn from(fault: ChangeFault) -> Self {
        Self::Stop(match fault {
            ChangeFault::Form => Code::Form,
            ChangeFault::Epoch | ChangeFault::Mismatch => Code::Mismatch,
            ChangeFault::Capsule => Code::Capsule,
            ChangeFault::Rule(_) => Code::Authorise,
        })
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Reads the news of one log; `ledger` is moved on, and the changes are to be stored with it.
pub fn take(
    reader: &mut Reader<'_>,
    ledger: &mut Ledger,
    news: &LogNews,
) -> Result<Changes, StoreError> {
    let mut walk = Walk::begin(ledger, news);
    for entry in &news.entries {
        // Nothing more is believed, or the commit at which nobody could go on comes again.
        let stuck = ledger.row.state == LogState::Broken
            && ledger.row.stop_seq == Some(ledger.row.next_seq);
        if ledger.row.state == LogState::Stopped || stuck {
            break;
        }
        match walk.entry(reader, ledger, entry) {
            Ok(()) => {}
            Err(Halt::Store(error)) => return Err(error),
            Err(Halt::Later) => break,
            Err(Halt::Stop(code)) => {
                walk.halt(reader, ledger, LogState::Stopped, code, entry);
                break;
            }
            Err(Halt::Broken(code)) => {
                walk.halt(reader, ledger, LogState::Broken, code, entry);
                break;
            }
        }
    }
    walk.judge_records(reader, ledger)?;
    walk.note_succession(reader, ledger);
    walk.changes.ledger_moved(ledger);
    Ok(walk.changes)
}

/// One walk through the news of a log.
struct Walk<'n> {
    /// The first entry that was new.
    first: Seq,
    changes: Changes,
    /// Records that were opened and wait for their signatures to be checked together.
    opened: Vec<records::Opened>,
    /// The hashes of the new entries, from `first` on.
    hashes: Vec<EntryHash>,
    /// The newest size of the company log that the roster was checked against, and the leaves of
    /// devices that were revoked by then.
    revoked: (Option<u64>, Vec<LeafIndex>),
    news: &'n LogNews,
}

impl<'n> Walk<'n> {
    fn begin(ledger: &Ledger, news: &'n LogNews) -> Self {
        Self {
            first: ledger.row.next_seq,
            changes: Changes::default(),
            opened: Vec::new(),
            hashes: Vec::new(),
            revoked: (None, Vec::new()),
            news,
        }
    }
}

impl Walk<'_> {
    /// C1, then what the entry's kind demands.
    fn entry(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
    ) -> Result<(), Halt> {
        let row = &ledger.row;
        if entry.seq < row.next_seq {
            return self.known(reader, ledger, entry);
        }
        let head = Head::parse(&entry.head).map_err(|_| Halt::Stop(Code::Form))?;
        let chain = Chain {
            log: row.local.id,
            next: row.next_seq,
            hash: row.last_hash,
            t_ms: row.last_t_ms,
            co: row.last_co,
        };
        // A rule has no way to fail for the database's sake.
        let mut asked = Ok(false);
        let step = chain.step(entry, &head, reader.company.size(), |core| {
            asked = self.is_repeated(reader, core);
            matches!(asked, Ok(true))
        });
        asked?;
        let step = step?;
        let (core, hash) = (step.core, step.chain.hash);
        // A commit is one batch with its capsule.
        let commit = ledger.conversation.as_ref().filter(|known| known.in_force);
        let awaited = commit.is_some_and(|known| known.began.next() == entry.seq);
        if awaited && head.kind != Kind::Capsule {
            return Err(Halt::Stop(Code::Capsule));
        }
        // A reset is one batch with the first commit of its generation.
        let reset = ledger.conversation.as_ref().is_some_and(|known| known.epoch.0 == 0);
        if reset && entry.seq.0 > 1 && head.kind != Kind::Commit {
            return Err(Halt::Stop(Code::Mismatch));
        }
        if head.kind == Kind::Record {
            self.record(reader, ledger, entry, &head, core)?;
            let known = ledger.conversation.as_mut();
            self.changes.touched.conversation |=
                known.is_some_and(|known| known.take_record(&head));
        } else {
            self.other(reader, ledger, entry, &head)?;
        }
        self.advance(ledger, entry, head.kind, core, hash);
        Ok(())
    }

    /// The cursor moves on.
    fn advance(
        &mut self,
        ledger: &mut Ledger,
        entry: &Entry,
        kind: Kind,
        core: CoreHash,
        hash: EntryHash,
    ) {
        let row = EntryRow {
            seq: entry.seq,
            kind: kind.code(),
            t_ms: entry.t_ms,
            co: entry.co,
            core,
            hash,
        };
        let held = match kind {
            Kind::Record => None,
            _ => entry.payload.bytes().map(|payload| (entry.head.0.clone(), payload.to_vec())),
        };
        self.changes.entries.push((row, held));
        self.hashes.push(hash);
        ledger.row.next_seq = entry.seq.next();
        ledger.row.last_hash = hash;
        ledger.row.last_t_ms = entry.t_ms;
        ledger.row.last_co = entry.co;
    }

    /// An entry that this phone has: it must be the same one.
    fn known(&self, reader: &Reader<'_>, ledger: &Ledger, entry: &Entry) -> Result<(), Halt> {
        let prev = match entry.seq.0.checked_sub(1) {
            Some(seq) => self.hash_at(reader, ledger, Seq(seq))?,
            None => Some(EntryHash::ZERO),
        };
        let own = self.hash_at(reader, ledger, entry.seq)?;
        match prev.map(|prev| entry.hash(prev)) == own {
            true => Ok(()),
            false => Err(Halt::Stop(Code::Fork)),
        }
    }

    fn is_repeated(&self, reader: &Reader<'_>, core: CoreHash) -> Result<bool, StoreError> {
        let here = self.changes.entries.iter().any(|(row, _)| row.core == core);
        Ok(here || entry::has_core(reader.conn, core)?)
    }

    /// The hash of an entry of this log that this phone has.
    fn hash_at(
        &self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        seq: Seq,
    ) -> Result<Option<EntryHash>, StoreError> {
        match seq.0.checked_sub(self.first.0) {
            Some(place) => Ok(self.hashes.get(place as usize).copied()),
            None => entry::hash_at(reader.conn, ledger.row.local, seq),
        }
    }

    /// `seen` of a signed body: an earlier entry, with the hash that it has here.
    fn check_seen(
        &self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        seen: Option<Seen>,
        at: Seq,
    ) -> Result<(), Halt> {
        let Some(seen) = seen else {
            return if at.0 <= 1 { Ok(()) } else { Err(Halt::Stop(Code::Seen)) };
        };
        if seen.seq >= at {
            return Err(Halt::Stop(Code::Seen));
        }
        match self.hash_at(reader, ledger, seen.seq)? == Some(seen.hash) {
            true => Ok(()),
            false => Err(Halt::Stop(Code::Fork)),
        }
    }

    /// Every kind but the record.
    fn other(
        &mut self,
        reader: &mut Reader<'_>,
        ledger: &mut Ledger,
        entry: &Entry,
        head: &Head,
    ) -> Result<(), Halt> {
        if head.kind.is_company() {
            return Err(Halt::Stop(Code::Form));
        }
        let parsed = parse(entry)?;
        // What was said before is judged by who belonged to the conversation then and who owned it, and
        // what was asked before comes first.
        if matches!(head.kind, Kind::Commit | Kind::Invite | Kind::Grant | Kind::Reset) {
            self.judge_records(reader, ledger)?;
            if ledger.row.state == LogState::Stopped {
                return Err(Halt::Later);
            }
        }
        match &parsed.payload {
            ParsedPayload::Genesis(..) => self.genesis(reader, ledger, entry, &parsed),
            ParsedPayload::Commit(signed, body) => {
                self.commit(reader, ledger, entry, &parsed, (signed, body))
            }
            ParsedPayload::Capsule(signed, body) => {
                let author = signed.as_ref().map(|signed| signed.device);
                self.capsule(reader, ledger, entry, &parsed, (author, body))
            }
            ParsedPayload::Invite(signed, body) => {
                self.check_seen(reader, ledger, body.seen, entry.seq)?;
                self.invite(reader, ledger, entry, &parsed, (signed.device, body))
            }
            ParsedPayload::Grant(_, body) => {
                self.check_seen(reader, ledger, body.seen, entry.seq)?;
                self.grant(reader, ledger, entry, &parsed)
            }
            // It stands in the chain; this build neither makes nor follows it.
            ParsedPayload::Erase(_) => Ok(()),
            ParsedPayload::Reset(_, body) => {
                self.check_seen(reader, ledger, body.seen, entry.seq)?;
                self.reset(reader, ledger, entry, &parsed)
            }
            ParsedPayload::Restore(_) => Err(Halt::Broken(Code::Newer)),
            ParsedPayload::Record => Ok(()),
        }
    }

    /// Nothing of the log is believed from this entry on, and somebody has to hear of it.
    fn halt(
        &mut self,
        reader: &Reader<'_>,
        ledger: &mut Ledger,
        state: LogState,
        code: Code,
        entry: &Entry,
    ) {
        tracing::warn!(log = %ledger.row.local.id, seq = entry.seq.0, code = code as u64, "log halted");
        ledger.row.state = state;
        ledger.row.stop_code = Some(code as u64);
        ledger.row.stop_seq = Some(entry.seq);
        self.alarm(reader, ledger, code, entry.seq, Some(entry));
    }

    fn alarm(
        &mut self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        code: Code,
        seq: Seq,
        evidence: Option<&Entry>,
    ) {
        self.changes.alarms.push(Alarm {
            log: Some(ledger.row.local.id),
            code: code as u64,
            seq: Some(seq),
            evidence: evidence.map(hauspost_protocol::encoding::encode),
            t_ms: reader.now_ms,
        });
    }

    /// The own intent that has this core, if it is one.
    fn own_intent(
        &self,
        reader: &Reader<'_>,
        ledger: &Ledger,
        core: CoreHash,
    ) -> Result<Option<outbox::Intent>, StoreError> {
        outbox::by_core(reader.conn, ledger.row.local.id, core)
    }
}

fn parse(entry: &Entry) -> Result<Parsed, Halt> {
    // The server sends payloads of these kinds to everybody who may read the log at all.
    let payload = entry.payload.bytes().ok_or(Halt::Stop(Code::Absent))?;
    form::parse(&entry.head, payload).map_err(|_| Halt::Stop(Code::Form))
}
