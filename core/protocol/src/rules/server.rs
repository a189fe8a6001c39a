//! The rules by which the server accepts an append (S3 to S12).
//!
//! Each is a function from what was offered and what the log holds to a refusal or nothing. Around
//! them the server does what needs its store: S1 the session, S2 the entries that it knows already,
//! log numbers, quotas and complete blobs, S13 the link, all in the transaction that appends. Every
//! rule here is checked again by the phones ([`crate::rules::client`]).
//!
//! Source: docs/protocol.md §7.

use crate::authorise::{
    self, AuthorisedCommit, AuthorisedGrant, AuthorisedInvite, CompanyView, Conversation,
    Judgement, Rule,
};
use crate::body::{CapsuleBody, CommitBody, Genesis, GrantBasis, GrantBody, SignedPayload};
use crate::company::handover::Handover;
use crate::crypto::sha256;
use crate::entry::{At, Head};
use crate::grant::are_within;
use crate::ids::{DeviceId, Digest, LeafIndex, LogId, RecordIndex, Seq, TimeMs};
use crate::limits::{DAY_MS, HYBRID_LEAVES};
use crate::mls::member::Suite;
use crate::mls::public::{Follower, StagedEpoch};
use crate::rules::form::{FormFault, Parsed, ParsedPayload};
use crate::wire::Outcome;

impl From<FormFault> for Outcome {
    fn from(fault: FormFault) -> Self {
        match fault {
            FormFault::TooLarge => Self::TooLarge,
            FormFault::Form(_) | FormFault::Batch => Self::Form,
            FormFault::CompanyKind => Self::Role,
        }
    }
}

impl From<Rule> for Outcome {
    fn from(rule: Rule) -> Self {
        Self::Authorise(rule.code())
    }
}

/// Whose append it is, and when.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a, V> {
    /// The session's device (S1).
    pub device: DeviceId,
    /// The company log as the link will stamp it.
    pub company: &'a V,
    /// The time that the link will stamp.
    pub t_ms: TimeMs,
}

/// What the store knows of a record's place.
#[derive(Debug, Clone, Copy)]
pub struct RecordFacts<'a> {
    /// The next index of the head's leaf in the head's epoch, if that is in force.
    pub next_index: RecordIndex,
    /// The leaves of the epoch's revoked devices: [`Conversation::revoked`], which a server may keep
    /// for as long as neither epoch nor company log move on.
    pub revoked: &'a [LeafIndex],
    /// The first of the head's blobs that is not complete in this log.
    pub missing_blob: Option<Digest>,
}

/// S4 to S8: whether a record is accepted.
pub fn record<V: CompanyView>(
    head: &Head,
    conversation: &Conversation,
    session: &Session<'_, V>,
    facts: &RecordFacts<'_>,
) -> Result<(), Outcome> {
    let Some(slot) = head.slot else { return Err(Outcome::Form) };
    if conversation.in_force() != Some((head.r#gen, head.epoch)) {
        return Err(stale(conversation));
    }
    let author = conversation.roster.member(slot.leaf);
    if author.is_none_or(|author| author.device != session.device) {
        return Err(not_in(conversation, session));
    }
    if slot.index > facts.next_index {
        return Err(Outcome::Gap(facts.next_index.0));
    }
    // The slot is taken, and not by this record: that one S2 would have known.
    if slot.index < facts.next_index {
        return Err(Outcome::Conflict);
    }
    if !facts.revoked.is_empty() {
        return Err(Outcome::RemoveFirst(facts.revoked.iter().map(|leaf| leaf.0).collect()));
    }
    if conversation.capsule(slot.cap).is_none() {
        return Err(Outcome::Cap);
    }
    let (id_a, id_b) = conversation.archive_keys;
    if !session.company.archive_keys_good(id_a, id_b, session.t_ms) {
        return Err(Outcome::RekeyFirst);
    }
    match facts.missing_blob {
        Some(root) => Err(Outcome::Blob(root)),
        None => Ok(()),
    }
}

/// What stands in a commit's batch besides the commit.
#[derive(Debug, Clone, Copy)]
pub struct CommitOffer<'a> {
    /// The commit.
    pub commit: &'a Parsed,
    /// Its capsule, right after it.
    pub capsule: &'a Parsed,
    /// The GroupInfo that came with it.
    pub group_info: &'a [u8],
    /// The Welcome that came with it.
    pub welcome: Option<&'a [u8]>,
}

/// A commit that is accepted: what to merge and what to remember.
#[derive(Debug)]
pub struct AcceptedCommit {
    /// For [`Follower::merge`].
    pub staged: StagedEpoch,
    /// For [`Conversation::begin_epoch`].
    pub authorised: AuthorisedCommit,
}

/// S9, S10, S12: whether a commit that continues a conversation is accepted. `at` is the company log
/// at the size that the commit names.
pub fn commit<V: CompanyView>(
    offer: &CommitOffer<'_>,
    conversation: &Conversation,
    follower: &Follower,
    session: &Session<'_, V>,
    at: &V,
) -> Result<AcceptedCommit, Outcome> {
    let (_, body) = commit_body(offer.commit)?;
    let head = &offer.commit.head;
    let follows = conversation.epoch.0 >= 1
        && head.r#gen == conversation.r#gen
        && head.epoch == conversation.epoch.next();
    if !follows {
        return Err(stale(conversation));
    }
    if body.base.is_some() || body.seen.is_none() {
        return Err(Outcome::Form);
    }
    let accepted = any_commit(offer, conversation, follower, session, at)?;
    if conversation.in_force && accepted.staged.facts().is_pure_update() {
        let leaf = accepted.staged.facts().committer.leaf;
        let earliest_t_ms = budget(conversation, leaf);
        if session.t_ms < earliest_t_ms {
            return Err(Outcome::Budget(earliest_t_ms));
        }
    }
    Ok(accepted)
}

/// A conversation that is accepted: its state before the first commit, and that commit.
#[derive(Debug)]
pub struct AcceptedCreation {
    /// Still without an epoch: give it the commit next.
    pub conversation: Conversation,
    /// Still in epoch 0: let it merge the commit next.
    pub follower: Follower,
    /// The first commit.
    pub commit: AcceptedCommit,
}

/// S9 to S11 for a new conversation: genesis, first commit, capsule. That the log's number is
/// reserved for the user and its id new is the server's to know.
pub fn creation<V: CompanyView>(
    genesis: &Parsed,
    offer: &CommitOffer<'_>,
    session: &Session<'_, V>,
    at: &V,
) -> Result<AcceptedCreation, Outcome> {
    let ParsedPayload::Genesis(signed, body) = &genesis.payload else {
        return Err(Outcome::Form);
    };
    let judgement = judge(signed, body.at, session, at)?;
    authorise::creation(&genesis.head_bytes, genesis.head.log, signed, body, &judgement)?;
    let conversation = Conversation::begin(Genesis::clone(body), &signed.body);
    let (_, commit) = commit_body(offer.commit)?;
    if commit.seen.is_some() || commit.at != body.at {
        return Err(Outcome::Form);
    }
    let (follower, commit) = first_commit(offer, &conversation, session, at)?;
    Ok(AcceptedCreation { conversation, follower, commit })
}

/// A reset that is accepted: the conversation after it, and the next generation's first commit.
#[derive(Debug)]
pub struct AcceptedReset {
    /// In the next generation, still without an epoch: give it the commit next.
    pub conversation: Conversation,
    /// Of the next generation, still in epoch 0: let it merge the commit next.
    pub follower: Follower,
    /// The first commit.
    pub commit: AcceptedCommit,
}

/// R1 to R4, and S9, S10 for the commit that follows: whether a reset is accepted; `at` as for
/// commits, and the same for both.
pub fn reset<V: CompanyView>(
    reset: &Parsed,
    offer: &CommitOffer<'_>,
    conversation: &Conversation,
    session: &Session<'_, V>,
    at: &V,
) -> Result<AcceptedReset, Outcome> {
    let ParsedPayload::Reset(signed, body) = &reset.payload else { return Err(Outcome::Form) };
    if conversation.epoch.0 == 0 || conversation.r#gen.0.checked_add(1) != Some(reset.head.r#gen.0)
    {
        return Err(stale(conversation));
    }
    let (_, commit) = commit_body(offer.commit)?;
    if body.seen.is_none() || commit.seen != body.seen || commit.at != body.at {
        return Err(Outcome::Form);
    }
    let judgement = judge(signed, body.at, session, at)?;
    let authorised = judged_anew(&judgement, session, |judgement| {
        authorise::reset(conversation, &reset.head_bytes, signed, body, judgement)
    })?;
    let mut conversation = conversation.clone();
    conversation.take_reset(&authorised);
    let (follower, commit) = first_commit(offer, &conversation, session, at)?;
    Ok(AcceptedReset { conversation, follower, commit })
}

/// The first commit of a generation: in epoch 1, from a base of one leaf, the signer's.
fn first_commit<V: CompanyView>(
    offer: &CommitOffer<'_>,
    conversation: &Conversation,
    session: &Session<'_, V>,
    at: &V,
) -> Result<(Follower, AcceptedCommit), Outcome> {
    let (_, commit) = commit_body(offer.commit)?;
    let head = &offer.commit.head;
    if head.r#gen != conversation.r#gen || head.epoch.0 != 1 {
        return Err(Outcome::Form);
    }
    let suite = Suite::from_code(conversation.suite).ok_or(Outcome::Form)?;
    let base = commit.base.as_ref().ok_or(Outcome::Form)?;
    let follower =
        Follower::begin(base, suite, &conversation.binding()).map_err(|_| Outcome::Mls)?;
    let signer = follower.roster().iter().next();
    if signer.is_none_or(|(_, member)| member.device != session.device) {
        return Err(Outcome::Mls);
    }
    let commit = any_commit(offer, conversation, &follower, session, at)?;
    Ok((follower, commit))
}

/// S11: whether a capsule that stands alone, a repair, is accepted. Its author is remembered by
/// [`Conversation::add_capsule`].
pub fn capsule<V: CompanyView>(
    capsule: &Parsed,
    conversation: &Conversation,
    session: &Session<'_, V>,
) -> Result<(), Outcome> {
    let ParsedPayload::Capsule(Some(signed), body) = &capsule.payload else {
        return Err(Outcome::Form);
    };
    if conversation.in_force() != Some((capsule.head.r#gen, capsule.head.epoch)) {
        return Err(stale(conversation));
    }
    by_session(signed, session)?;
    let leaf = conversation.roster.leaf_of(signed.device);
    let member = leaf.and_then(|leaf| conversation.roster.member(leaf));
    let member = member.ok_or_else(|| not_in(conversation, session))?;
    signed
        .verify(&member.signature_key, &capsule.head_bytes)
        .map_err(|_| Outcome::from(Rule::Signature))?;
    if conversation.capsules.iter().any(|known| known.device == signed.device) {
        return Err(Outcome::Policy);
    }
    capsule_fits(body, conversation.ga, conversation.archive_keys, session)
}

/// S11: whether an invitation, a leaving or a change of owners is accepted; `at` as for commits.
pub fn invite<V: CompanyView>(
    invite: &Parsed,
    conversation: &Conversation,
    session: &Session<'_, V>,
    at: &V,
) -> Result<AuthorisedInvite, Outcome> {
    let ParsedPayload::Invite(signed, body) = &invite.payload else { return Err(Outcome::Form) };
    if body.seen.is_none() {
        return Err(Outcome::Form);
    }
    let judgement = judge(signed, body.at, session, at)?;
    Ok(authorise::invite(conversation, &invite.head_bytes, signed, body, &judgement)?)
}

/// What the store knows of a grant's subject.
#[derive(Debug, Clone, Copy)]
pub struct GrantFacts<'a> {
    /// The stretches of the log that the author may read himself: those in which he had a leaf, and
    /// those that were granted to him.
    pub readable: &'a [(Seq, Seq)],
    /// Of a grant by a handover the stretches in which its leaver had a leaf; none of any other.
    pub handed: &'a [(Seq, Seq)],
    /// `link.t_ms` and `link.co` of the first and of the last entry that the grant names, if the log has
    /// both.
    pub ends: Option<[(TimeMs, u64); 2]>,
    /// The grant's blob, if it is not complete in this log.
    pub missing_blob: Option<Digest>,
    /// Whether the author uploaded the blob, and nothing names it yet: nobody gets a document by
    /// calling it a key list.
    pub own_blob: bool,
}

/// S11: whether a grant is accepted; `at` as for commits.
pub fn grant<V: CompanyView>(
    grant: &Parsed,
    conversation: &Conversation,
    session: &Session<'_, V>,
    at: &V,
    facts: &GrantFacts<'_>,
) -> Result<AuthorisedGrant, Outcome> {
    let ParsedPayload::Grant(signed, body) = &grant.payload else { return Err(Outcome::Form) };
    if body.seen.is_none() {
        return Err(Outcome::Form);
    }
    let judgement = judge(signed, body.at, session, at)?;
    let granted = judged_anew(&judgement, session, |judgement| {
        authorise::grant(conversation, &grant.head_bytes, signed, body, judgement)
    })?;
    let handed = match body.basis {
        GrantBasis::Handover(seq) => is_handed(body, seq, grant.head.log, session, facts),
        _ => true,
    };
    if !handed || !are_within(&body.ranges, facts.readable) {
        return Err(Rule::GrantRange.into());
    }
    match facts.missing_blob {
        Some(root) => Err(Outcome::Blob(root)),
        None if !facts.own_blob => Err(Outcome::Policy),
        None => Ok(granted),
    }
}

/// Whether all that a grant names was said while the leaver was there, before the handover and within its
/// scope. Times and sizes never decrease in a log, so its two ends tell.
fn is_handed<V: CompanyView>(
    body: &GrantBody,
    handover: Seq,
    log: LogId,
    session: &Session<'_, V>,
    facts: &GrantFacts<'_>,
) -> bool {
    let (Some((first, _)), Some((_, last))) = (body.ranges.first(), body.ranges.last()) else {
        return false;
    };
    let covers = |known: &Handover, ends: [(TimeMs, u64); 2]| {
        let [(from_ms, from_co), (to_ms, to_co)] = ends;
        known.covers(log, *first, from_ms, from_co) && known.covers(log, *last, to_ms, to_co)
    };
    let known = session.company.handover(handover).zip(facts.ends);
    known.is_some_and(|(known, ends)| covers(known, ends)) && are_within(&body.ranges, facts.handed)
}

/// When the next pure update of this leaf fits the budget (S12; docs/protocol.md §1, "Periods").
pub fn budget(conversation: &Conversation, leaf: LeafIndex) -> TimeMs {
    let leaves = conversation.roster.len();
    let days = if leaves <= SMALL_ROOM_LEAVES {
        7
    } else if leaves <= HYBRID_LEAVES {
        30
    } else {
        90
    };
    let renewed_t_ms = conversation.roster.member(leaf).map_or(0, |member| member.renewed_t_ms);
    let by_leaf = renewed_t_ms + days * DAY_MS;
    let by_epoch = conversation.began_t_ms + 30 * DAY_MS;
    let quiet_ms = if leaves > SMALL_ROOM_LEAVES { HOUR_MS } else { 0 };
    by_leaf.min(by_epoch).max(conversation.began_t_ms + quiet_ms)
}

const SMALL_ROOM_LEAVES: usize = 16;
const HOUR_MS: TimeMs = 3_600_000;

fn any_commit<V: CompanyView>(
    offer: &CommitOffer<'_>,
    conversation: &Conversation,
    follower: &Follower,
    session: &Session<'_, V>,
    at: &V,
) -> Result<AcceptedCommit, Outcome> {
    let (signed, body) = commit_body(offer.commit)?;
    let ParsedPayload::Capsule(None, capsule) = &offer.capsule.payload else {
        return Err(Outcome::Form);
    };
    let same_epoch = |head: &Head| (head.log, head.r#gen, head.epoch);
    if same_epoch(&offer.capsule.head) != same_epoch(&offer.commit.head) {
        return Err(Outcome::Form);
    }
    let judgement = judge(signed, body.at, session, at)?;
    let staged = follower.stage(&body.mls_message).map_err(|_| Outcome::Mls)?;
    let facts = staged.facts();
    let head = &offer.commit.head;
    if (head.r#gen, head.epoch) != (facts.r#gen, facts.epoch) || head.log != staged.binding().log {
        return Err(Outcome::Mls);
    }
    let head_bytes = &offer.commit.head_bytes;
    let authorised = judged_anew(&judgement, session, |judgement| {
        authorise::commit(conversation, head_bytes, signed, body, facts, judgement)
    })?;
    let keys = (staged.binding().id_a, staged.binding().id_b);
    let hashes_fit = facts.ga == body.ga
        && capsule.digest() == body.capsule_hash
        && sha256(offer.group_info) == body.gi_hash
        && offer.welcome.map(sha256) == body.welcome_hash
        && offer.welcome.is_some() != facts.adds.is_empty();
    if !hashes_fit {
        return Err(Outcome::Mls);
    }
    staged.check_group_info(offer.group_info).map_err(|_| Outcome::Mls)?;
    capsule_fits(capsule, facts.ga, keys, session)?;
    Ok(AcceptedCommit { authorised, staged })
}

/// A verdict at both sizes. What was right when its author judged, and is not any more, he judges
/// anew.
fn judged_anew<'a, V: CompanyView, T>(
    judgement: &Judgement<'a, V>,
    session: &Session<'a, V>,
    verdict: impl Fn(&Judgement<'a, V>) -> Result<T, Rule>,
) -> Result<T, Outcome> {
    verdict(judgement).map_err(|rule| {
        let then = Judgement { link: judgement.at, ..*judgement };
        match verdict(&then) {
            Ok(_) => Outcome::Behind(session.company.size()),
            Err(_) => Outcome::from(rule),
        }
    })
}

fn commit_body(commit: &Parsed) -> Result<(&SignedPayload, &CommitBody), Outcome> {
    match &commit.payload {
        ParsedPayload::Commit(signed, body) => Ok((signed, body)),
        _ => Err(Outcome::Form),
    }
}

/// S3: the device in the payload is the session's; S9: the company log that it names is this one.
fn judge<'a, V: CompanyView>(
    signed: &SignedPayload,
    named: At,
    session: &Session<'a, V>,
    at: &'a V,
) -> Result<Judgement<'a, V>, Outcome> {
    by_session(signed, session)?;
    if at.size() != named.co || at.hash() != named.company_hash {
        return Err(Outcome::Behind(session.company.size()));
    }
    Ok(Judgement { at, link: session.company, t_ms: session.t_ms })
}

fn by_session<V>(signed: &SignedPayload, session: &Session<'_, V>) -> Result<(), Outcome> {
    if signed.device == session.device { Ok(()) } else { Err(Outcome::Role) }
}

fn capsule_fits<V: CompanyView>(
    body: &CapsuleBody,
    ga: Digest,
    archive_keys: (crate::ids::KeyId, crate::ids::KeyId),
    session: &Session<'_, V>,
) -> Result<(), Outcome> {
    if body.ga != ga || (body.id_a, body.id_b) != archive_keys {
        return Err(Outcome::Mls);
    }
    let (id_a, id_b) = archive_keys;
    if session.company.archive_keys_good(id_a, id_b, session.t_ms) {
        Ok(())
    } else {
        Err(Outcome::RekeyFirst)
    }
}

fn stale(conversation: &Conversation) -> Outcome {
    Outcome::Stale(conversation.r#gen, conversation.epoch)
}

/// The device has no such leaf: because its user left or was removed, or for another reason.
fn not_in<V: CompanyView>(conversation: &Conversation, session: &Session<'_, V>) -> Outcome {
    let user = session.company.device(session.device).map(|device| device.user);
    let gone = user.is_some_and(|user| conversation.person(user).gone);
    if gone { Outcome::Left } else { Outcome::Leaf }
}

#[cfg(test)]
mod tests;
