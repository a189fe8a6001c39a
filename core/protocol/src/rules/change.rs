//! What changes a conversation, as its readers judge it: phone, council and verifier (C6, C9, and
//! S10, S11 checked again).
//!
//! They hold the same [`Conversation`] as the server and move it on by the same verdicts. What a
//! commit does they read from their own MLS group ([`Roster::facts`](crate::mls::public::Roster::facts))
//! or from a [`Follower`](crate::mls::public::Follower); that an entry continues the chain, and that
//! `seen` names its history, is checked before ([`crate::rules::client`]).
//!
//! A fault here is not the author's alone: the server should have refused the entry. The log stops
//! with an alarm (C7).

use crate::authorise::{
    self, AuthorisedCommit, AuthorisedGrant, AuthorisedInvite, AuthorisedReset, CompanyView,
    Conversation, Judgement, Rule,
};
use crate::body::Genesis;
use crate::ids::{Seq, TimeMs};
use crate::mls::extension::GroupBinding;
use crate::mls::public::CommitFacts;
use crate::rules::form::{Parsed, ParsedPayload};

/// Why an entry does not change the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeFault {
    /// Not the kind, or not the form, that belongs here.
    #[error("not the form that belongs here")]
    Form,
    /// The commit does not follow the newest epoch, or the capsule is not of the epoch in force.
    #[error("not of the epoch that belongs here")]
    Epoch,
    /// What the body says is not what MLS does.
    #[error("the body does not say what the commit does")]
    Mismatch,
    /// The capsule is not the one that its commit names, or not for the epoch's archive keys.
    #[error("the capsule is not the one that belongs here")]
    Capsule,
    /// Nobody allowed it.
    #[error(transparent)]
    Rule(#[from] Rule),
}

/// The conversation that this genesis begins.
pub fn genesis<V: CompanyView>(
    entry: &Parsed,
    seq: Seq,
    judgement: &Judgement<'_, V>,
) -> Result<Conversation, ChangeFault> {
    let ParsedPayload::Genesis(signed, body) = &entry.payload else {
        return Err(ChangeFault::Form);
    };
    if seq != Seq(0) {
        return Err(ChangeFault::Form);
    }
    authorise::creation(&entry.head_bytes, entry.head.log, signed, body, judgement)?;
    Ok(Conversation::begin(Genesis::clone(body), &signed.body))
}

/// Whether a commit takes effect. `facts` and `binding` are what MLS says that it does; whoever gets
/// a Welcome or GroupInfo compares its hash with the body's.
pub fn commit<V: CompanyView>(
    entry: &Parsed,
    conversation: &Conversation,
    facts: &CommitFacts,
    binding: &GroupBinding,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedCommit, ChangeFault> {
    let ParsedPayload::Commit(signed, body) = &entry.payload else {
        return Err(ChangeFault::Form);
    };
    let first_of_gen = conversation.epoch.0 == 0;
    let first_of_log = first_of_gen && conversation.r#gen.0 == 0;
    if body.base.is_some() != first_of_gen || body.seen.is_none() != first_of_log {
        return Err(ChangeFault::Form);
    }
    let place = (entry.head.r#gen, entry.head.epoch);
    if place != (conversation.r#gen, conversation.epoch.next()) {
        return Err(ChangeFault::Epoch);
    }
    let says = place == (facts.r#gen, facts.epoch)
        && binding.log == entry.head.log
        && facts.ga == body.ga
        && body.welcome_hash.is_some() != facts.adds.is_empty();
    if !says {
        return Err(ChangeFault::Mismatch);
    }
    Ok(authorise::commit(conversation, &entry.head_bytes, signed, body, facts, judgement)?)
}

/// Whether a reset takes effect, which [`Conversation::take_reset`] then takes (R1 to R4). The commit
/// that has to come right after it is judged as the generation's first.
pub fn reset<V: CompanyView>(
    entry: &Parsed,
    conversation: &Conversation,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedReset, ChangeFault> {
    let ParsedPayload::Reset(signed, body) = &entry.payload else {
        return Err(ChangeFault::Form);
    };
    if conversation.epoch.0 == 0 || conversation.r#gen.0.checked_add(1) != Some(entry.head.r#gen.0)
    {
        return Err(ChangeFault::Epoch);
    }
    Ok(authorise::reset(conversation, &entry.head_bytes, signed, body, judgement)?)
}

/// Whether a capsule entry is one of the epoch in force: that of the commit just before it, or a
/// member's repair, which [`Conversation::add_capsule`] then takes. Whether it is *right* only a
/// member knows, who computed it himself.
pub fn capsule<V: CompanyView>(
    entry: &Parsed,
    seq: Seq,
    t_ms: TimeMs,
    conversation: &Conversation,
    company: &V,
) -> Result<(), ChangeFault> {
    let ParsedPayload::Capsule(signed, body) = &entry.payload else {
        return Err(ChangeFault::Form);
    };
    if conversation.in_force() != Some((entry.head.r#gen, entry.head.epoch)) {
        return Err(ChangeFault::Epoch);
    }
    let (id_a, id_b) = conversation.archive_keys;
    if body.ga != conversation.ga
        || (body.id_a, body.id_b) != (id_a, id_b)
        || !company.archive_keys_good(id_a, id_b, t_ms)
    {
        return Err(ChangeFault::Capsule);
    }
    let Some(signed) = signed else {
        let named = conversation.capsule(seq).is_some_and(|known| known.digest == body.digest());
        let after_commit = seq == conversation.began.next();
        return if named && after_commit { Ok(()) } else { Err(ChangeFault::Capsule) };
    };
    let leaf = conversation.roster.leaf_of(signed.device);
    let member = leaf.and_then(|leaf| conversation.roster.member(leaf)).ok_or(Rule::NotMember)?;
    signed.verify(&member.signature_key, &entry.head_bytes).map_err(|_| Rule::Signature)?;
    if conversation.capsules.iter().any(|known| known.device == signed.device) {
        return Err(ChangeFault::Capsule);
    }
    Ok(())
}

/// Whether an invitation, a leaving or a change of owners takes effect.
pub fn invite<V: CompanyView>(
    entry: &Parsed,
    conversation: &Conversation,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedInvite, ChangeFault> {
    let ParsedPayload::Invite(signed, body) = &entry.payload else {
        return Err(ChangeFault::Form);
    };
    if body.seen.is_none() {
        return Err(ChangeFault::Form);
    }
    Ok(authorise::invite(conversation, &entry.head_bytes, signed, body, judgement)?)
}

/// Whether a grant takes effect.
pub fn grant<V: CompanyView>(
    entry: &Parsed,
    seq: Seq,
    conversation: &Conversation,
    judgement: &Judgement<'_, V>,
) -> Result<AuthorisedGrant, ChangeFault> {
    let ParsedPayload::Grant(signed, body) = &entry.payload else {
        return Err(ChangeFault::Form);
    };
    if body.seen.is_none() || body.ranges.last().is_none_or(|(_, to)| *to >= seq) {
        return Err(ChangeFault::Form);
    }
    Ok(authorise::grant(conversation, &entry.head_bytes, signed, body, judgement)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorise::testing::{
        DAY, OfferedCommit, Room, START, capsule_body, genesis as genesis_body, judged, offered,
        seen, signed_entry,
    };
    use crate::body::{CapsuleBody, CommitBody, InviteOp, LogType};
    use crate::encoding::encode;
    use crate::entry::Kind;
    use crate::ids::{Digest, Epoch, UserId};
    use crate::mls::testing::{Change, Phone};

    fn group() -> (Room, [Phone; 2]) {
        let (mut anna, mut ben) = (Phone::new(1, 1), Phone::new(2, 2));
        let room = Room::create(LogType::Group, &mut anna, &mut [&mut ben]);
        (room, [anna, ben])
    }

    /// What a reader says of Anna's update whose batch was changed so.
    fn read(tamper: fn(&mut CommitBody, &mut CapsuleBody)) -> Result<(), ChangeFault> {
        let (mut room, [mut anna, _]) = group();
        let own = anna.commit(Change::default());
        let offer = offered(&anna, own, None, seen(2), room.company.at(), tamper);
        let OfferedCommit { commit: entry, capsule: right, .. } = &offer;
        let ParsedPayload::Commit(_, body) = &entry.payload else { panic!() };
        let staged = room.follower.stage(&body.mls_message).unwrap();
        let judgement = judged(&room.company, START);
        let (facts, binding) = (staged.facts(), staged.binding());
        let verdict = commit(entry, &room.conversation, facts, binding, &judgement)?;
        room.conversation.begin_epoch(&verdict, Seq(3), START);
        capsule(right, Seq(4), START, &room.conversation, &room.company)
    }

    #[test]
    fn a_reader_follows_a_commit_with_its_capsule_and_refuses_one_that_says_other_than_it_does() {
        assert_eq!(read(|_, _| {}), Ok(()));
        assert_eq!(read(|body, _| body.seen = None), Err(ChangeFault::Form));
        assert_eq!(
            read(|body, _| body.base = Some(body.mls_message.clone())),
            Err(ChangeFault::Form)
        );
        assert_eq!(read(|body, _| body.ga.0[0] ^= 1), Err(ChangeFault::Mismatch));
        assert_eq!(
            read(|body, _| body.welcome_hash = Some(Digest([1; 32]))),
            Err(ChangeFault::Mismatch)
        );
        assert_eq!(read(|body, _| body.at.co = 3), Err(ChangeFault::Rule(Rule::At)));
        assert_eq!(read(|_, capsule| capsule.sealed[0] ^= 1), Err(ChangeFault::Capsule));
    }

    #[test]
    fn attacks_9_a_removal_that_the_server_let_through_stops_the_reader() {
        let (room, [_, mut ben]) = group();
        let removes = vec![crate::ids::LeafIndex(0)];
        let offer = room.offer(&mut ben, Change { removes, ..Change::default() });
        let ParsedPayload::Commit(_, body) = &offer.commit.payload else { panic!() };
        let staged = room.follower.stage(&body.mls_message).unwrap();
        let judgement = judged(&room.company, START);
        let verdict =
            commit(&offer.commit, &room.conversation, staged.facts(), staged.binding(), &judgement);
        assert_eq!(verdict.err(), Some(ChangeFault::Rule(Rule::Remove)));
    }

    #[test]
    fn a_genesis_stands_first_and_nowhere_else() {
        let (room, [anna, ben]) = group();
        let body = genesis_body(LogType::Group, &anna, &[&ben], room.company.at());
        let entry = signed_entry(Kind::Genesis, Epoch(0), &anna, encode(&body));
        let judgement = judged(&room.company, START);
        assert!(genesis(&entry, Seq(0), &judgement).is_ok());
        assert_eq!(genesis(&entry, Seq(5), &judgement).err(), Some(ChangeFault::Form));
    }

    #[test]
    fn a_repair_counts_once_for_a_device_and_only_in_its_epoch() {
        let (mut room, [anna, ben]) = group();
        let right = capsule_body(room.conversation.ga, room.conversation.archive_keys);
        let repair =
            |phone: &Phone, epoch| signed_entry(Kind::Capsule, Epoch(epoch), phone, encode(&right));
        let judge = |room: &Room, entry: &Parsed| {
            capsule(entry, Seq(3), START, &room.conversation, &room.company)
        };
        assert_eq!(judge(&room, &repair(&ben, 1)), Ok(()));
        assert_eq!(judge(&room, &repair(&ben, 2)), Err(ChangeFault::Epoch));
        assert_eq!(judge(&room, &repair(&anna, 1)), Err(ChangeFault::Capsule));
        let outsider = repair(&Phone::new(9, 9), 1);
        assert_eq!(judge(&room, &outsider), Err(ChangeFault::Rule(Rule::NotMember)));
        room.company = room.company.rekeyed(START - DAY);
        assert_eq!(judge(&room, &repair(&ben, 1)), Err(ChangeFault::Capsule));
    }

    #[test]
    fn an_invite_moves_the_readers_conversation_as_the_servers() {
        let (mut room, [anna, _]) = group();
        let dora = UserId([4; 16]);
        let entry = room.invite_entry(&anna, InviteOp::Invite, dora, 2);
        let verdict = invite(&entry, &room.conversation, &judged(&room.company, START)).unwrap();
        room.conversation.take_invite(&verdict, Seq(3));
        assert!(room.conversation.may_enter(dora));
    }
}
