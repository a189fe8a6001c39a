//! Appends to a conversation: what the rules need of the store, and what the store keeps of what
//! they accepted, in the one transaction (S2 to S13).
//!
//! The rules themselves are `hauspost_protocol::rules::server`. Records touch the log, their
//! chain's counter and nothing else, whatever the size of the group.

pub(super) mod ahead;
mod grant;
mod reset;

use std::cell::Cell;
use std::collections::BTreeSet;

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::view::CompanyAt;
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::entry::{BlobRef, Link};
use hauspost_protocol::ids::{
    DeviceId, Digest, EntryHash, LeafIndex, LogNo, RecordIndex, Seq, TimeMs, UserId,
};
use hauspost_protocol::mls::MlsError;
use hauspost_protocol::mls::public::{Follower, Roster};
use hauspost_protocol::rules::form::{self, Batch, FormFault, Parsed, ParsedPayload};
use hauspost_protocol::rules::server::{self as rules, AcceptedCommit, CommitOffer, RecordFacts};
use hauspost_protocol::wire::{AppendRequest, NewEntry, Outcome};

use super::answer::Refusal;
use super::append::{Appended, Known, Stop, Wake};
use super::quota::Quotas;
use super::session::Session;
use crate::store::{ConversationRow, LogRow, NewRow, ReadTx, StoreError, Tx};

/// Why a batch is not appended.
enum Fault {
    /// A rule refuses it.
    Rule(Outcome),
    /// The request cannot be served.
    Request(Refusal),
}

impl From<Outcome> for Fault {
    fn from(outcome: Outcome) -> Self {
        Self::Rule(outcome)
    }
}

impl From<FormFault> for Fault {
    fn from(fault: FormFault) -> Self {
        Self::Rule(fault.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Request(error.into())
    }
}

impl From<MlsError> for Fault {
    /// Of what the rules accepted, or what we stored ourselves.
    fn from(_: MlsError) -> Self {
        StoreError::Damaged("MLS group").into()
    }
}

/// Appends a batch; `ahead` is what [`ahead::stage`] made of it.
pub fn write(
    tx: &mut dyn Tx,
    session: &Session,
    request: &AppendRequest,
    ahead: Option<Follower>,
    quotas: &Quotas,
    now_ms: TimeMs,
) -> Result<Appended, Stop> {
    let device = session.device()?.device;
    let log = tx.log(request.log)?;
    let known = match &log {
        Some(log) => Known::look_up(tx, log.no, &request.entries)?,
        None => Known::nothing(&request.entries),
    };
    let fresh: Vec<&NewEntry> =
        known.fresh().into_iter().map(|place| &request.entries[place]).collect();
    if fresh.is_empty() {
        let wake = Wake::Devices(Vec::new());
        return Ok(Appended { outcomes: known.accepted([]), wake });
    }
    let sizes = fresh.iter().map(|(head, payload)| head.len() + payload.len());
    let beside = request.group_info.iter().chain(&request.welcome).map(|bytes| bytes.len());
    let bytes = sizes.chain(beside).sum::<usize>() as u64;
    match quotas.take(tx.usage(device)?, fresh.len() as u64, bytes, now_ms) {
        Ok(usage) => tx.put_usage(device, usage)?,
        Err(not_before_ms) => return Err(known.refused(&Outcome::Quota(not_before_ms))),
    }
    let ahead = Cell::new(ahead);
    let offer = Offer { session, device, request, fresh: &fresh, ahead, now_ms };
    match offer.write(tx, log) {
        Ok((seqs, wake)) => {
            let outcomes = known.accepted(seqs.into_iter().map(Outcome::Ok));
            Ok(Appended { outcomes, wake: Wake::Devices(wake) })
        }
        Err(Fault::Rule(outcome)) => Err(known.refused(&outcome)),
        Err(Fault::Request(refusal)) => Err(Stop::Request(refusal)),
    }
}

/// What is offered: the entries that the log does not have yet, by one device.
struct Offer<'a> {
    session: &'a Session,
    device: DeviceId,
    request: &'a AppendRequest,
    fresh: &'a [&'a NewEntry],
    ahead: Cell<Option<Follower>>,
    now_ms: TimeMs,
}

type Written = (Vec<Seq>, Vec<DeviceId>);

impl Offer<'_> {
    fn write(&self, tx: &mut dyn Tx, log: Option<LogRow>) -> Result<Written, Fault> {
        let parsed = self.fresh.iter().map(|(head, payload)| form::parse(head, payload));
        let parsed: Vec<Parsed> = parsed.collect::<Result<_, _>>()?;
        if parsed.iter().any(|entry| entry.head.log != self.request.log) {
            return Err(Outcome::Form.into());
        }
        match (form::batch(&parsed)?, log) {
            (Batch::Creation { genesis, commit, capsule }, None) => {
                self.create(tx, genesis, commit, capsule)
            }
            (Batch::Commit { commit, capsule }, Some(log)) => self.commit(tx, log, commit, capsule),
            (Batch::Others(entries), Some(log)) => self.others(tx, log, entries),
            (Batch::Reset { reset, commit, capsule }, Some(log)) => {
                self.reset(tx, log, reset, commit, capsule)
            }
            _ => Err(Outcome::NoLog.into()),
        }
    }

    fn rules<'c>(
        &self,
        company: &'c CompanyAt<'c>,
        t_ms: TimeMs,
    ) -> rules::Session<'c, CompanyAt<'c>> {
        rules::Session { device: self.device, company, t_ms }
    }

    /// The company log that the author of an entry judged by.
    fn at(&self, entry: &Parsed) -> Result<CompanyAt<'_>, Fault> {
        let at = entry.payload.at().ok_or(Outcome::Form)?;
        Ok(self.session.company.at(at.co))
    }

    fn commit_offer<'o>(
        &'o self,
        commit: &'o Parsed,
        capsule: &'o Parsed,
    ) -> Result<CommitOffer<'o>, Fault> {
        let group_info = self.request.group_info.as_ref().ok_or(Outcome::Form)?;
        let welcome = self.request.welcome.as_deref();
        Ok(CommitOffer { commit, capsule, group_info, welcome })
    }

    /// A new conversation: its number is reserved for the user, its id is new, and of two people's
    /// conversations the first one stays.
    fn create(
        &self,
        tx: &mut dyn Tx,
        genesis: &Parsed,
        commit: &Parsed,
        capsule: &Parsed,
    ) -> Result<Written, Fault> {
        let ParsedPayload::Genesis(_, body) = &genesis.payload else {
            return Err(Outcome::Form.into());
        };
        let no = body.log_no;
        let reserved = tx.reservation(no)?.filter(|reserved| reserved.log.is_none());
        if reserved.is_none_or(|reserved| reserved.user != body.creator) {
            return Err(Outcome::NoLog.into());
        }
        let pair = pair(body.r#type, body.creator, &body.members);
        if let Some(pair) = pair
            && tx.pair(pair)?.is_some()
        {
            return Err(Outcome::Policy.into());
        }
        let company = self.session.company.now();
        let at = self.at(genesis)?;
        let offer = self.commit_offer(commit, capsule)?;
        let mut place = Place::begin(no, self.now_ms, company.size());
        let session = self.rules(&company, place.t_ms);
        let created = rules::creation(genesis, &offer, &session, &at)?;
        tx.create_log(no, self.request.log)?;
        if let Some(pair) = pair {
            tx.put_pair(pair, self.request.log)?;
        }
        let (mut conversation, mut follower) = (created.conversation, created.follower);
        note_entering(tx, (no, 0), &BTreeSet::new(), &conversation)?;
        let mut seqs = vec![place.append(tx, genesis, &self.fresh[0].1, None)?];
        let entries = [(commit, &*self.fresh[1].1), (capsule, &*self.fresh[2].1)];
        seqs.extend(self.begin_epoch(
            tx,
            &mut place,
            entries,
            (&mut conversation, &mut follower),
            created.commit,
        )?);
        Ok((seqs, devices(&conversation.roster).into_iter().collect()))
    }

    fn commit(
        &self,
        tx: &mut dyn Tx,
        log: LogRow,
        commit: &Parsed,
        capsule: &Parsed,
    ) -> Result<Written, Fault> {
        let state = tx.conversation_state(log.no)?.ok_or(StoreError::Damaged("conversation"))?;
        let mut conversation = parse_state(&state)?;
        check_seen(tx, log.no, commit)?;
        let mut follower =
            match self.ahead.take().filter(|group| ahead::is_of(group, &conversation)) {
                Some(group) => group,
                None => group(tx, log.no)?,
            };
        let company = self.session.company.now();
        let at = self.at(commit)?;
        let offer = self.commit_offer(commit, capsule)?;
        let mut place = Place::next(&log, self.now_ms, company.size());
        let session = self.rules(&company, place.t_ms);
        let accepted = rules::commit(&offer, &conversation, &follower, &session, &at)?;
        let mut wake = devices(&conversation.roster);
        let entries = [(commit, &*self.fresh[0].1), (capsule, &*self.fresh[1].1)];
        let both = (&mut conversation, &mut follower);
        let seqs = self.begin_epoch(tx, &mut place, entries, both, accepted)?;
        wake.extend(devices(&conversation.roster));
        Ok((seqs, wake.into_iter().collect()))
    }

    /// Appends commit and capsule and keeps all that follows from them.
    fn begin_epoch(
        &self,
        tx: &mut dyn Tx,
        place: &mut Place,
        [(commit, commit_payload), (capsule, capsule_payload)]: [(&Parsed, &[u8]); 2],
        (conversation, follower): (&mut Conversation, &mut Follower),
        accepted: AcceptedCommit,
    ) -> Result<Vec<Seq>, Fault> {
        let before = devices(&conversation.roster);
        let entered_before = entering(conversation);
        let seq = place.append(tx, commit, commit_payload, None)?;
        let capsule_seq = place.append(tx, capsule, capsule_payload, None)?;
        let AcceptedCommit { staged, authorised } = accepted;
        forget_tree(tx, place.no, conversation.began, follower)?;
        follower.merge(staged, seq, place.t_ms)?;
        conversation.begin_epoch(&authorised, seq, place.t_ms);
        let after = devices(&conversation.roster);
        for device in after.difference(&before) {
            tx.join(place.no, *device, seq)?;
        }
        for device in before.difference(&after) {
            tx.leave(place.no, *device, seq)?;
        }
        note_entering(tx, (place.no, place.seq.0), &entered_before, conversation)?;
        tx.restart_chains(place.no)?;
        let row = ConversationRow { state: encode(conversation), public: follower.to_bytes() };
        tx.put_conversation(place.no, &row)?;
        tx.put_tree(place.no, follower.tree_hash(), &follower.tree_bytes())?;
        if let Some(info) = &self.request.group_info {
            let (r#gen, epoch) = (conversation.r#gen, conversation.epoch);
            tx.put_group_info(place.no, r#gen, epoch, self.device, info)?;
        }
        if let Some(welcome) = &self.request.welcome {
            tx.put_welcome(place.no, seq, welcome)?;
        }
        Ok(vec![seq, capsule_seq])
    }

    /// Records, capsules that stand alone, and invites, in the order offered.
    fn others(&self, tx: &mut dyn Tx, log: LogRow, entries: &[Parsed]) -> Result<Written, Fault> {
        let state = tx.conversation_state(log.no)?.ok_or(StoreError::Damaged("conversation"))?;
        let mut conversation = parse_state(&state)?;
        let company = self.session.company.now();
        let revoked = conversation.revoked(&company);
        let invites =
            entries.iter().any(|entry| matches!(entry.payload, ParsedPayload::Invite(..)));
        let before = invites.then(|| entering(&conversation));
        let mut place = Place::next(&log, self.now_ms, company.size());
        let session = self.rules(&company, place.t_ms);
        let mut seqs = Vec::with_capacity(entries.len());
        let (mut changed, mut grantees) = (false, Vec::new());
        for (entry, (_, payload)) in entries.iter().zip(self.fresh) {
            check_seen(tx, log.no, entry)?;
            let seq = place.seq;
            match &entry.payload {
                ParsedPayload::Record => {
                    let leaf = entry.head.slot.ok_or(Outcome::Form)?.leaf;
                    let facts = record_facts(tx, log.no, leaf, &revoked, entry)?;
                    rules::record(&entry.head, &conversation, &session, &facts)?;
                    changed |= conversation.take_record(&entry.head);
                    tx.advance_chain(log.no, leaf)?;
                }
                ParsedPayload::Capsule(_, body) => {
                    rules::capsule(entry, &conversation, &session)?;
                    conversation.add_capsule(body, self.device, seq);
                    changed = true;
                }
                ParsedPayload::Invite(..) => {
                    let at = self.at(entry)?;
                    let invite = rules::invite(entry, &conversation, &session, &at)?;
                    conversation.take_invite(&invite, seq);
                    changed = true;
                }
                ParsedPayload::Grant(..) => {
                    grantees.push(self.grant(tx, &log, &conversation, entry, seq)?);
                }
                // The other kinds are the server's own.
                _ => return Err(Outcome::Role.into()),
            }
            let author = matches!(entry.payload, ParsedPayload::Record).then_some(self.device);
            seqs.push(place.append(tx, entry, payload, author)?);
            // Whoever may read a record may read its documents; a grant's keys are for one device.
            if author.is_some() {
                for (root, _) in &entry.head.blobs {
                    tx.name_blob(log.no, *root, seq)?;
                }
            }
        }
        if changed {
            tx.put_conversation_state(log.no, &encode(&conversation))?;
        }
        if let Some(before) = before {
            note_entering(tx, (log.no, place.seq.0), &before, &conversation)?;
        }
        // A successor is told, though he has no leaf.
        let told = devices(&conversation.roster).into_iter().chain(grantees).collect();
        Ok((seqs, told))
    }
}

/// The users for whom there is one such conversation at most.
fn pair(r#type: LogType, creator: UserId, members: &[UserId]) -> Option<(UserId, UserId)> {
    match (r#type, members) {
        (LogType::Dm, [peer]) => Some((creator, *peer)),
        (LogType::SelfNotes, []) => Some((creator, creator)),
        _ => None,
    }
}

fn group(tx: &dyn ReadTx, no: LogNo) -> Result<Follower, Fault> {
    let row = tx.conversation(no)?.ok_or(StoreError::Damaged("conversation"))?;
    Ok(Follower::from_bytes(&row.public)?)
}

/// The stored state of a conversation.
pub fn parse_state(state: &[u8]) -> Result<Conversation, StoreError> {
    decode(state).map_err(|_| StoreError::Damaged("conversation"))
}

/// The tree of an epoch that ends: it is for those whom a Welcome leads there, or who join the newest
/// epoch.
fn forget_tree(
    tx: &mut dyn Tx,
    no: LogNo,
    began: Seq,
    follower: &Follower,
) -> Result<(), StoreError> {
    if tx.welcome(no, began)?.is_none() { tx.drop_tree(no, follower.tree_hash()) } else { Ok(()) }
}

fn devices(roster: &Roster) -> BTreeSet<DeviceId> {
    roster.iter().map(|(_, member)| member.device).collect()
}

/// Whose devices may enter by themselves (C9).
fn entering(conversation: &Conversation) -> BTreeSet<UserId> {
    let named = conversation.people().map(|(user, _)| user);
    let seated = conversation.roster.iter().map(|(_, member)| member.user);
    named.chain(seated).filter(|user| conversation.may_enter(*user)).collect()
}

/// Keeps what changed of it, with the log's size at which it did.
fn note_entering(
    tx: &mut dyn Tx,
    (no, size): (LogNo, u64),
    before: &BTreeSet<UserId>,
    conversation: &Conversation,
) -> Result<(), StoreError> {
    let after = entering(conversation);
    after.difference(before).try_for_each(|user| tx.set_let_in(no, *user, None))?;
    before.difference(&after).try_for_each(|user| tx.set_let_in(no, *user, Some(size)))
}

/// What the author says that he had seen stands in this log: nobody's word is put into another
/// history.
fn check_seen(tx: &dyn ReadTx, no: LogNo, entry: &Parsed) -> Result<(), Fault> {
    let Some(seen) = entry.payload.seen() else { return Ok(()) };
    match tx.entry(no, seen.seq)? {
        Some(row) if row.hash == seen.hash => Ok(()),
        _ => Err(Outcome::Form.into()),
    }
}

fn record_facts<'r>(
    tx: &dyn ReadTx,
    no: LogNo,
    leaf: LeafIndex,
    revoked: &'r [LeafIndex],
    entry: &Parsed,
) -> Result<RecordFacts<'r>, StoreError> {
    Ok(RecordFacts {
        next_index: RecordIndex(tx.chain(no, leaf)?),
        revoked,
        missing_blob: missing_blob(tx, no, &entry.head.blobs)?,
    })
}

/// The first blob that this log does not have, or not whole.
fn missing_blob(
    tx: &dyn ReadTx,
    no: LogNo,
    blobs: &[BlobRef],
) -> Result<Option<Digest>, StoreError> {
    for (root, size) in blobs {
        let blob = tx.blob(no, *root)?.filter(|blob| blob.layout.blob_size() == *size);
        if !blob.is_some_and(|blob| blob.is_complete()) {
            return Ok(Some(*root));
        }
    }
    Ok(None)
}

/// The next place in a log (S13): number, hash before it, time and company size.
struct Place {
    no: LogNo,
    seq: Seq,
    prev: EntryHash,
    t_ms: TimeMs,
    co: u64,
}

impl Place {
    fn begin(no: LogNo, now_ms: TimeMs, co: u64) -> Self {
        Self { no, seq: Seq(0), prev: EntryHash::ZERO, t_ms: now_ms, co }
    }

    fn next(log: &LogRow, now_ms: TimeMs, co: u64) -> Self {
        let (seq, prev) = (Seq(log.size), log.head);
        Self { no: log.no, seq, prev, t_ms: now_ms.max(log.t_ms), co }
    }

    fn append(
        &mut self,
        tx: &mut dyn Tx,
        entry: &Parsed,
        payload: &[u8],
        author: Option<DeviceId>,
    ) -> Result<Seq, StoreError> {
        let link = Link { seq: self.seq, prev: self.prev, t_ms: self.t_ms, co: self.co };
        let (kind, core) = (entry.head.kind, entry.core);
        let row = NewRow { kind, head: &entry.head_bytes, payload, core, link, author };
        tx.append(self.no, &row)?;
        self.prev = link.hash(core);
        self.seq = self.seq.next();
        Ok(link.seq)
    }
}
