//! One conversation, made anew from its log: which devices were in which epoch, which capsules the
//! epoch has, and in whose slot each record stands. The officers' and the council's tool and the
//! verifier all stand on it, each with nothing but the log and the company log.
//!
//! The chain itself was [walked](hauspost_protocol::tree::chain) before, and the rules are those that phones
//! run. What does not fit is a [`Fault`] at an entry. A commit that cannot be followed ends the replay of
//! rosters: what comes after it is said to be unknown, never guessed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use hauspost_core::store::rows::stay::Stay;
use hauspost_protocol::authorise::{Conversation, Judgement, Rule};
use hauspost_protocol::body::{CapsuleBody, CommitBody, Genesis, InviteOp, SignedPayload};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::company::view::CompanyAt;
use hauspost_protocol::entry::{Entry, Head, Kind, Seen, Slot};
use hauspost_protocol::ids::{
    Digest, EntryHash, Epoch, Gen, LeafIndex, LogId, RecordIndex, Seq, TimeMs, UserId,
};
use hauspost_protocol::mls::MlsError;
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::mls::public::{Follower, Member, Roster};
use hauspost_protocol::rules::change::{self, ChangeFault};
use hauspost_protocol::rules::client::{SlotFacts, SlotFault, record_slot};
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
    /// It does not change the conversation as the rules allow.
    Change(ChangeFault),
    /// The author saw another entry under this number than the one in this log.
    SeenElsewhere(Seq),
    /// The commit cannot be followed.
    Commit(String),
    /// A commit without its capsule.
    NoCapsuleAfter,
    /// A reset without its commit.
    NoCommitAfter,
    /// A record's place is not right.
    Slot(SlotFault),
    /// The company log was not as large as the entry says.
    CompanySize(u64),
}

impl FaultKind {
    fn missing_after(wanted: Kind) -> Self {
        if wanted == Kind::Commit { Self::NoCommitAfter } else { Self::NoCapsuleAfter }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(reason) => write!(f, "not of the form that its kind demands: {reason}"),
            Self::Change(ChangeFault::Rule(Rule::Signature)) => {
                f.write_str("its author's signature does not verify: it was changed or forged")
            }
            Self::Change(ChangeFault::Rule(rule)) => {
                write!(f, "it is not authorised (rule {}): {rule}", rule.code())
            }
            Self::Change(fault) => write!(f, "it is against the rules: {fault}"),
            Self::NoCommitAfter => {
                f.write_str("the commit that belongs behind this reset is missing")
            }
            Self::NoCapsuleAfter => {
                f.write_str("the capsule that belongs behind this commit is missing")
            }
            Self::SeenElsewhere(seq) => {
                write!(
                    f,
                    "its author saw another entry {seq} than the one here: entries up to {seq} were changed"
                )
            }
            Self::Commit(reason) => write!(f, "the commit cannot be followed: {reason}"),
            Self::Slot(fault @ SlotFault::Index(_)) => {
                write!(f, "{fault}: a record of its author is missing or doubled")
            }
            Self::Slot(fault) => fault.fmt(f),
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
    /// Whether it is transient: how people behave and not what they said.
    pub transient: bool,
    /// Its slot.
    pub slot: Slot,
    /// Its epoch, as a place in [`Replay::epochs`].
    pub epoch: usize,
    /// Who sits at its leaf.
    pub author: Member,
    /// Whether the author may write here more than answers ([`Conversation::may_write`]).
    pub may_write: bool,
    /// Whether the author is an owner here ([`Conversation::is_owner`]).
    pub is_owner: bool,
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
    /// Who belonged to it from when to when.
    pub stays: Vec<Stay>,
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

/// A person comes in, who is not in.
fn come(stays: &mut Vec<Stay>, user: UserId, from: Seq) {
    if !stays.iter().any(|stay| stay.user == user && stay.to.is_none()) {
        stays.push(Stay { user, from, to: None });
    }
}

/// A person is out from here on.
fn go(stays: &mut [Stay], user: UserId, at: Seq) {
    let open = stays.iter_mut().find(|stay| stay.user == user && stay.to.is_none());
    if let Some(stay) = open {
        stay.to = Some(at);
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
        conversation: None,
        follower: None,
        awaited: None,
        next_index: HashMap::new(),
    };
    for (entry, _) in entries {
        replaying.take(entry);
    }
    if let Some((seq, wanted)) = replaying.awaited.take() {
        replaying.fault(seq, FaultKind::missing_after(wanted));
    }
    replaying.found
}

struct Replaying<'a> {
    log: LogId,
    company: &'a Company,
    hashes: HashMap<Seq, EntryHash>,
    found: Replay,
    conversation: Option<Conversation>,
    follower: Option<Follower>,
    /// A commit whose capsule, or a reset whose commit, has to come next.
    awaited: Option<(Seq, Kind)>,
    next_index: HashMap<LeafIndex, RecordIndex>,
}

impl Replaying<'_> {
    fn fault(&mut self, seq: Seq, what: FaultKind) {
        self.found.faults.push(Fault { seq, what });
    }

    /// From here on rosters are unknown.
    fn lost(&mut self, seq: Seq) {
        self.follower = None;
        self.conversation = None;
        self.found.unknown_from.get_or_insert(seq);
    }

    fn take(&mut self, entry: &Entry) {
        let seq = entry.seq;
        if entry.co > self.company.size() {
            self.fault(seq, FaultKind::CompanySize(entry.co));
        }
        let head = match Head::parse(&entry.head) {
            Ok(head) if head.log == self.log => head,
            // The walk along the chain has named it.
            _ => return,
        };
        if let Some((before, wanted)) = self.awaited.take()
            && (head.kind != wanted || seq != before.next())
        {
            self.fault(before, FaultKind::missing_after(wanted));
        }
        if head.kind == Kind::Record {
            self.record(entry, &head);
            if let Some(conversation) = &mut self.conversation {
                conversation.take_record(&head);
            }
            return;
        }
        let Some(payload) = entry.payload.bytes() else {
            return self.unreadable(seq, &head);
        };
        let parsed = match parse(&entry.head, payload) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.fault(seq, FaultKind::Form(error.to_string()));
                return self.unreadable(seq, &head);
            }
        };
        self.seen(seq, &parsed);
        match &parsed.payload {
            ParsedPayload::Genesis(..) => self.genesis(entry, &parsed),
            ParsedPayload::Commit(_, body) => self.commit(entry, &parsed, body),
            ParsedPayload::Capsule(signed, body) => {
                self.capsule(entry, &parsed, signed.as_ref(), body)
            }
            ParsedPayload::Invite(..) => self.invite(entry, &parsed),
            ParsedPayload::Reset(..) => self.reset(entry, &parsed),
            ParsedPayload::Restore(_) => {
                self.found.not_replayed.push((seq, head.kind));
                self.lost(seq);
            }
            ParsedPayload::Grant(..) => self.grant(entry, &parsed),
            ParsedPayload::Erase(_) => self.found.not_replayed.push((seq, head.kind)),
            ParsedPayload::Record => {}
        }
    }

    /// Without what stands in the entry, rosters may be unknown.
    fn unreadable(&mut self, seq: Seq, head: &Head) {
        if matches!(head.kind, Kind::Genesis | Kind::Commit | Kind::Reset | Kind::Restore) {
            self.lost(seq);
        }
    }

    /// What the author had seen is what stands here.
    fn seen(&mut self, seq: Seq, parsed: &Parsed) {
        if let Some(Seen { seq: seen, hash }) = parsed.payload.seen()
            && self.hashes.get(&seen).is_some_and(|here| *here != hash)
        {
            self.fault(seq, FaultKind::SeenElsewhere(seen));
        }
    }

    /// The company log at the author's size and at the server's.
    fn views(&self, entry: &Entry, parsed: &Parsed) -> (CompanyAt<'_>, CompanyAt<'_>) {
        let at = parsed.payload.at().map_or(entry.co, |at| at.co.min(entry.co));
        (self.company.at(at), self.company.at(entry.co))
    }

    fn genesis(&mut self, entry: &Entry, parsed: &Parsed) {
        let (at, link) = self.views(entry, parsed);
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        match change::genesis(parsed, entry.seq, &judgement) {
            Ok(conversation) => {
                self.found.genesis = Some(conversation.genesis.clone());
                self.conversation = Some(conversation);
            }
            Err(fault) => {
                self.fault(entry.seq, FaultKind::Change(fault));
                self.lost(entry.seq);
            }
        }
    }

    /// The epoch ends; from the base of the commit that comes next the new group is followed.
    fn reset(&mut self, entry: &Entry, parsed: &Parsed) {
        self.awaited = Some((entry.seq, Kind::Commit));
        let (at, link) = self.views(entry, parsed);
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let Some(conversation) = &self.conversation else { return };
        match change::reset(parsed, conversation, &judgement) {
            Ok(authorised) => {
                self.follower = None;
                if let Some(conversation) = &mut self.conversation {
                    conversation.take_reset(&authorised);
                }
            }
            Err(fault) => {
                self.fault(entry.seq, FaultKind::Change(fault));
                self.lost(entry.seq);
            }
        }
    }

    fn commit(&mut self, entry: &Entry, parsed: &Parsed, body: &CommitBody) {
        self.next_index.clear();
        self.awaited = Some((entry.seq, Kind::Capsule));
        if self.found.unknown_from.is_some() {
            return;
        }
        if let Err(what) = self.follow(entry, parsed, body) {
            self.fault(entry.seq, what);
            self.lost(entry.seq);
        }
    }

    fn follow(
        &mut self,
        entry: &Entry,
        parsed: &Parsed,
        body: &CommitBody,
    ) -> Result<(), FaultKind> {
        let refused = |error: MlsError| FaultKind::Commit(error.to_string());
        let unknown =
            || FaultKind::Commit("an entry before it is missing or could not be followed".into());
        let (at, link) = (self.company.at(body.at.co.min(entry.co)), self.company.at(entry.co));
        let conversation = self.conversation.as_mut().ok_or_else(unknown)?;
        if let Some(base) = body.base.as_ref().filter(|_| conversation.epoch.0 == 0) {
            let suite = Suite::from_code(conversation.suite).ok_or_else(unknown)?;
            self.follower =
                Some(Follower::begin(base, suite, &conversation.binding()).map_err(refused)?);
        }
        let follower = self.follower.as_mut().ok_or_else(unknown)?;
        let staged = follower.stage(&body.mls_message).map_err(refused)?;
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let before = conversation.roster.clone();
        let authorised =
            change::commit(parsed, conversation, staged.facts(), staged.binding(), &judgement)
                .map_err(FaultKind::Change)?;
        follower.merge(staged, entry.seq, entry.t_ms).map_err(refused)?;
        conversation.begin_epoch(&authorised, entry.seq, entry.t_ms);
        let (facts, after) = (authorised.facts(), &conversation.roster);
        let came = facts.adds.iter().map(|(leaf, _)| leaf).chain([&facts.committer]);
        for user in came.map(|leaf| leaf.certificate.user).filter(|user| !before.has_user(*user)) {
            come(&mut self.found.stays, user, entry.seq);
        }
        for user in facts.removes.iter().map(|(_, member)| member.user) {
            if !after.has_user(user) {
                go(&mut self.found.stays, user, entry.seq);
            }
        }
        self.found.epochs.push(ReplayedEpoch {
            r#gen: conversation.r#gen,
            epoch: conversation.epoch,
            began: entry.seq,
            roster: conversation.roster.clone(),
            ga: conversation.ga,
            capsules: BTreeMap::new(),
        });
        Ok(())
    }

    fn capsule(
        &mut self,
        entry: &Entry,
        parsed: &Parsed,
        signed: Option<&SignedPayload>,
        body: &CapsuleBody,
    ) {
        let (Some(conversation), Some(epoch)) =
            (&mut self.conversation, self.found.epochs.last_mut())
        else {
            return;
        };
        let link = self.company.at(entry.co);
        match change::capsule(parsed, entry.seq, entry.t_ms, conversation, &link) {
            Ok(()) => {
                epoch.capsules.insert(entry.seq, body.clone());
                if let Some(signed) = signed {
                    conversation.add_capsule(body, signed.device, entry.seq);
                }
            }
            Err(fault) => self.fault(entry.seq, FaultKind::Change(fault)),
        }
    }

    fn invite(&mut self, entry: &Entry, parsed: &Parsed) {
        let (at, link) = self.views(entry, parsed);
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let Some(conversation) = &self.conversation else { return };
        match change::invite(parsed, conversation, &judgement) {
            Ok(authorised) => {
                if let (Some(conversation), ParsedPayload::Invite(_, body)) =
                    (&mut self.conversation, &parsed.payload)
                {
                    conversation.take_invite(&authorised, entry.seq);
                    let has_leaf = conversation.roster.has_user(body.user);
                    match body.op {
                        InviteOp::Invite if has_leaf => {
                            come(&mut self.found.stays, body.user, entry.seq);
                        }
                        InviteOp::Leave => go(&mut self.found.stays, body.user, entry.seq),
                        _ => {}
                    }
                }
            }
            Err(fault) => self.fault(entry.seq, FaultKind::Change(fault)),
        }
    }

    /// Keys that were handed over: the archive opens its records without them.
    fn grant(&mut self, entry: &Entry, parsed: &Parsed) {
        let (at, link) = self.views(entry, parsed);
        let judgement = Judgement { at: &at, link: &link, t_ms: entry.t_ms };
        let Some(conversation) = &self.conversation else { return };
        if let Err(fault) = change::grant(parsed, entry.seq, conversation, &judgement) {
            self.fault(entry.seq, FaultKind::Change(fault));
        }
    }

    /// C2. Who was not in the epoch takes any of its capsules, until both archive keys open it.
    fn record(&mut self, entry: &Entry, head: &Head) {
        let seq = entry.seq;
        let (Some(slot), Some(conversation)) = (head.slot, &self.conversation) else {
            if self.found.unknown_from.is_none() {
                self.fault(seq, FaultKind::Slot(SlotFault::Epoch));
            }
            return;
        };
        let company = self.company.at(entry.co);
        let revoked = conversation.revoked(&company);
        let expected = self.next_index.get(&slot.leaf).copied().unwrap_or_default();
        let facts = SlotFacts { expected, capsule: None, revoked: &revoked };
        let verdict = record_slot(head, entry.t_ms, conversation, &company, &facts);
        let fault = verdict.err();
        // A phone stays where it is after a wrong index; here the next records are judged all the same.
        let goes_on = |fault: SlotFault| fault.uses_slot() || matches!(fault, SlotFault::Index(_));
        if fault.is_none_or(goes_on) {
            self.next_index.insert(slot.leaf, RecordIndex(slot.index.0.saturating_add(1)));
        }
        if let (Some(author), Some(epoch)) =
            (conversation.roster.member(slot.leaf).copied(), self.found.epochs.len().checked_sub(1))
            && fault.is_none_or(goes_on)
        {
            let may_write = conversation.may_write(author.user, &company);
            let is_owner = conversation.is_owner(author.user, &company);
            let t_ms = entry.t_ms;
            let placed = PlacedRecord {
                seq,
                t_ms,
                transient: head.transient,
                slot,
                epoch,
                author,
                may_write,
                is_owner,
            };
            self.found.records.push(placed);
        }
        if let Some(fault) = fault {
            self.fault(seq, FaultKind::Slot(fault));
        }
    }
}
