use super::testing::{DAY, Room, START, TestCompany, genesis, judged, offered, seen, signed_entry};
use super::*;
use crate::body::{InviteOp, LogType};
use crate::encoding::{decode, encode};
use crate::entry::Kind;
use crate::ids::{CompanyId, Epoch, KeyId, LeafIndex, UserId};
use crate::mls::extension::GroupBinding;
use crate::mls::member::Suite;
use crate::mls::public::{CommitFacts, NewLeaf, Roster};
use crate::mls::testing::{Change, OwnCommit, Phone};
use crate::rules::form::ParsedPayload;
use crate::wire::Outcome;

fn phones<const N: usize>() -> [Phone; N] {
    std::array::from_fn(|at| Phone::new(at as u8 + 1, at as u8 + 1))
}

/// Anna's group with Ben and Clara.
fn group(r#type: LogType) -> (Room, [Phone; 3]) {
    let [mut anna, mut ben, mut clara] = phones();
    let room = Room::create(r#type, &mut anna, &mut [&mut ben, &mut clara]);
    (room, [anna, ben, clara])
}

fn refused(room: &Room, phone: &mut Phone, change: Change) -> Rule {
    let offer = room.offer(phone, change);
    match room.judge(phone, &offer) {
        Err(Outcome::Authorise(code)) => {
            phone.forget();
            decode(&encode(&code)).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn removing(leaf: u32) -> Change {
    Change { removes: vec![LeafIndex(leaf)], ..Change::default() }
}

fn adding(phone: &Phone, made_t_ms: u64) -> Change {
    Change { adds: vec![phone.package(Suite::Classic, made_t_ms)], ..Change::default() }
}

/// Dora, who is in the company but not in the conversation.
fn dora(room: &mut Room) -> Phone {
    let dora = Phone::new(4, 4);
    let other = TestCompany::of(&[&dora]);
    room.company.devices.extend(other.devices);
    dora
}

#[test]
fn a_conversation_reads_back_from_its_bytes() {
    let (room, _) = group(LogType::Group);
    assert_eq!(decode(&encode(&room.conversation)), Ok(room.conversation.clone()));
    assert_eq!(room.conversation.roster.len(), 3);
    assert_eq!(room.conversation.binding(), *room.follower.binding());
    let places = |roster: &Roster| {
        roster.iter().map(|(leaf, member)| (leaf, member.device)).collect::<Vec<_>>()
    };
    assert_eq!(places(&room.conversation.roster), places(room.follower.roster()));
}

#[test]
fn attacks_9_a_stranger_is_added_only_after_an_invite() {
    let (mut room, [mut anna, mut ben, mut clara]) = group(LogType::Group);
    let dora = dora(&mut room);
    assert_eq!(refused(&room, &mut ben, adding(&dora, START)), Rule::Enter);
    room.invites(&ben, InviteOp::Invite, dora.user, 2).unwrap();
    room.commits(&mut clara, adding(&dora, START), &mut [&mut anna, &mut ben]);
    assert!(room.conversation.is_member(dora.user));
}

#[test]
fn a_further_device_of_a_member_may_be_added_by_anybody() {
    let [mut anna, mut ben] = phones();
    let mut room = Room::create(LogType::Dm, &mut anna, &mut [&mut ben]);
    let second = Phone::new(1, 9);
    room.company.devices.extend(TestCompany::of(&[&second]).devices);
    room.commits(&mut ben, adding(&second, START), &mut []);
    assert_eq!(room.conversation.roster.len(), 3);
}

#[test]
fn attacks_9_a_member_who_is_no_owner_removes_nobody() {
    let (mut room, [mut anna, mut ben, mut clara]) = group(LogType::Group);
    assert_eq!(refused(&room, &mut ben, removing(2)), Rule::Remove);
    room.commits(&mut anna, removing(2), &mut [&mut ben]);
    assert!(!room.conversation.may_enter(clara.user), "an owner removed her");
    assert_eq!(refused(&room, &mut ben, adding(&clara, START)), Rule::Enter);
    room.invites(&ben, InviteOp::Invite, clara.user, room.next - 1).unwrap();
    clara.group = None;
    room.commits(&mut ben, adding(&clara, START), &mut [&mut anna]);
}

#[test]
fn attacks_48_only_a_person_s_own_devices_enter_his_own_log() {
    let [mut anna, ben] = phones();
    let mut room = Room::create(LogType::SelfNotes, &mut anna, &mut []);
    room.company.devices.extend(TestCompany::of(&[&ben]).devices);
    assert!(!room.conversation.may_enter(ben.user));
    assert_eq!(refused(&room, &mut anna, adding(&ben, START)), Rule::Enter);
    for op in [InviteOp::Invite, InviteOp::Owner] {
        let invited = room.invites(&anna, op, ben.user, 2);
        assert!(
            matches!(invited, Err(Outcome::Authorise(_))),
            "{op:?}: not even by her: {invited:?}"
        );
    }
    let second = Phone::new(1, 9);
    room.company.devices.extend(TestCompany::of(&[&second]).devices);
    room.commits(&mut anna, adding(&second, START), &mut []);
    assert_eq!(room.conversation.roster.len(), 2);
    // Once one of the two is revoked, the other takes it out before anything else is said.
    room.company = room.company.revoking(&[second.device]);
    assert_eq!(room.conversation.revoked(&room.company), [LeafIndex(1)]);
    room.commits(&mut anna, removing(1), &mut []);
    assert!(room.conversation.revoked(&room.company).is_empty());
}

#[test]
fn attacks_48_an_own_log_begins_with_nobody_else() {
    let [anna, ben] = phones();
    let company = TestCompany::of(&[&anna, &ben]);
    for (members, fits) in [(vec![], true), (vec![&ben], false), (vec![&anna], false)] {
        let body = genesis(LogType::SelfNotes, &anna, &members, company.at());
        let entry = signed_entry(Kind::Genesis, Epoch(0), &anna, encode(&body));
        let ParsedPayload::Genesis(signed, body) = &entry.payload else { panic!() };
        let judgement = judged(&company, START);
        let verdict = creation(&entry.head_bytes, body.log, signed, body, &judgement);
        assert_eq!(verdict.is_ok(), fits, "{} members", members.len());
    }
}

#[test]
fn attacks_9_in_a_pair_nobody_removes_the_other() {
    let [mut anna, mut ben] = phones();
    let room = Room::create(LogType::Dm, &mut anna, &mut [&mut ben]);
    assert_eq!(refused(&room, &mut anna, removing(1)), Rule::Remove);
}

#[test]
fn attacks_40_any_member_removes_a_revoked_device_whatever_its_role() {
    let (mut room, [anna, mut ben, mut clara]) = group(LogType::Announce);
    room.company = room.company.revoking(&[anna.device]);
    assert_eq!(room.conversation.revoked(&room.company), [LeafIndex(0)]);
    room.commits(&mut ben, removing(0), &mut [&mut clara]);
    assert!(room.conversation.revoked(&room.company).is_empty());
    assert!(room.conversation.may_enter(anna.user), "only her device is out");
    assert!(room.conversation.is_owner(ben.user, &room.company), "no owner has a device left");
}

#[test]
fn who_left_is_removed_by_any_member_and_stays_out() {
    let (mut room, [mut anna, mut ben, mut clara]) = group(LogType::Group);
    room.invites(&clara, InviteOp::Leave, clara.user, 2).unwrap();
    assert_eq!(refused(&room, &mut clara, Change::default()), Rule::NotMember);
    room.commits(&mut ben, removing(2), &mut [&mut anna]);
    assert_eq!(refused(&room, &mut anna, adding(&clara, START)), Rule::Enter);
}

#[test]
fn nobody_says_that_another_leaves() {
    let (mut room, [_, ben, clara]) = group(LogType::Group);
    let result = room.invites(&ben, InviteOp::Leave, clara.user, 2);
    assert_eq!(result, Err(Outcome::Authorise(Rule::Leave.code())));
}

#[test]
fn an_entry_whose_author_had_not_seen_the_newest_on_its_subject_is_refused() {
    let (mut room, [mut anna, ben, clara]) = group(LogType::Group);
    room.invites(&clara, InviteOp::Leave, clara.user, 2).unwrap();
    // Ben's invite was written before the leave, and is played after it.
    let outdated = Err(Outcome::Authorise(Rule::Outdated.code()));
    assert_eq!(room.invites(&ben, InviteOp::Invite, clara.user, 2), outdated);
    // A removal by somebody who had not seen the leave.
    let own = anna.commit(removing(2));
    let offer = offered(&anna, own, None, seen(2), room.company.at(), |_, _| {});
    assert_eq!(room.judge(&anna, &offer).err(), outdated.err());
    assert_eq!(room.invites(&ben, InviteOp::Invite, clara.user, 3), Ok(()));
}

#[test]
fn owners_are_made_by_owners_and_everybody_is_one_when_the_last_is_gone() {
    let (mut room, [anna, ben, clara]) = group(LogType::Group);
    let no_owner = Err(Outcome::Authorise(Rule::Owner.code()));
    assert_eq!(room.invites(&ben, InviteOp::Owner, clara.user, 2), no_owner);
    assert_eq!(room.invites(&anna, InviteOp::Owner, ben.user, 2), Ok(()));
    assert_eq!(room.invites(&ben, InviteOp::NoOwner, anna.user, 3), Ok(()));
    assert_eq!(room.invites(&anna, InviteOp::Owner, clara.user, 4), no_owner);
    room.company = room.company.revoking(&[ben.device]);
    assert_eq!(room.invites(&anna, InviteOp::Owner, clara.user, 4), Ok(()));
}

#[test]
fn only_owners_invite_to_announcements_and_nobody_to_a_pair() {
    let (mut room, [anna, ben, _]) = group(LogType::Announce);
    let dora = dora(&mut room);
    let refused = Err(Outcome::Authorise(Rule::Invite.code()));
    assert_eq!(room.invites(&ben, InviteOp::Invite, dora.user, 2), refused);
    assert_eq!(room.invites(&anna, InviteOp::Invite, dora.user, 2), Ok(()));
    let [mut anna, mut ben] = phones();
    let mut room = Room::create(LogType::Dm, &mut anna, &mut [&mut ben]);
    assert_eq!(room.invites(&anna, InviteOp::Invite, dora.user, 2), refused);
    assert_eq!(
        room.invites(&anna, InviteOp::Owner, ben.user, 2).err(),
        Some(Outcome::Authorise(14))
    );
}

#[test]
fn attacks_17_a_key_package_has_its_age_by_the_logs_clock() {
    for (made_t_ms, allowed) in [
        (START - 84 * DAY, true),
        (START - 84 * DAY - 1, false),
        (START + 3_600_000, true),
        (START + 3_600_001, false),
    ] {
        let (mut room, [_, mut ben, _]) = group(LogType::Group);
        let dora = dora(&mut room);
        room.invites(&ben, InviteOp::Invite, dora.user, 2).unwrap();
        let offer = room.offer(&mut ben, adding(&dora, made_t_ms));
        let expected = (!allowed).then_some(Outcome::Authorise(Rule::KeyPackageAge.code()));
        assert_eq!(room.judge(&ben, &offer).err(), expected, "{made_t_ms}");
    }
}

#[test]
fn the_leaf_rule_fails_by_each_of_its_parts() {
    let (room, [anna, ..]) = group(LogType::Group);
    let leaf = NewLeaf {
        leaf: LeafIndex(0),
        certificate: *anna.certificate.facts(),
        certificate_hash: anna.certificate.hash(),
    };
    assert!(leaf_rule(&leaf, &room.company, START));
    type Break = fn(&mut NewLeaf, &mut TestCompany);
    let breaks: [Break; 6] = [
        |leaf, _| leaf.certificate.company = CompanyId([9; 16]),
        |leaf, _| leaf.certificate.user = UserId([9; 16]),
        |leaf, _| leaf.certificate.signature_key = Phone::new(9, 9).key.public(),
        |leaf, _| leaf.certificate_hash.0[0] ^= 1,
        |leaf, company| *company = company.revoking(&[leaf.certificate.device]),
        |leaf, company| {
            company.devices.remove(&leaf.certificate.device);
        },
    ];
    for (at, broken) in breaks.into_iter().enumerate() {
        let (mut leaf, mut company) = (leaf.clone(), room.company.clone());
        broken(&mut leaf, &mut company);
        assert!(!leaf_rule(&leaf, &company, START), "break {at}");
    }
    let expired = (leaf.certificate.not_after_s + 1) * 1_000;
    assert!(!leaf_rule(&leaf, &room.company, expired));
}

#[test]
fn attacks_16_an_expired_certificate_stops_its_own_commits_and_removes_nobody() {
    let (mut room, [mut anna, ..]) = group(LogType::Group);
    room.t_ms = (anna.certificate.facts().not_after_s + 1) * 1_000;
    assert_eq!(refused(&room, &mut anna, Change::default()), Rule::Leaf);
    assert!(room.conversation.revoked(&room.company).is_empty());
}

#[test]
fn archive_keys_enter_only_as_the_newest_and_nothing_else_changes_with_them() {
    let (mut room, [mut anna, ..]) = group(LogType::Group);
    let binding = room.conversation.binding();
    let newer = GroupBinding { id_a: room.company.rekeyed(0).keys.0, ..binding.clone() };
    let change =
        |binding: &GroupBinding| Change { rebinds: Some(binding.clone()), ..Change::default() };
    assert_eq!(refused(&room, &mut anna, change(&newer)), Rule::Rebind, "not yet the newest");
    room.company = room.company.rekeyed(START + DAY);
    let other = GroupBinding { log_no: crate::ids::LogNo(8), ..newer.clone() };
    assert_eq!(refused(&room, &mut anna, change(&other)), Rule::Rebind, "another log");
    let older = GroupBinding { id_b: KeyId([7; 16]), ..newer.clone() };
    assert_eq!(refused(&room, &mut anna, change(&older)), Rule::Rebind, "an unknown key");
    room.commits(&mut anna, change(&newer), &mut []);
    assert_eq!(room.conversation.archive_keys, room.company.keys);
}

#[test]
fn a_verdict_needs_the_right_author_signature_and_company_log() {
    let (room, [mut anna, ben, _]) = group(LogType::Group);
    let offer = room.offer(&mut anna, Change::default());
    let ParsedPayload::Commit(signed, body) = &offer.commit.payload else { panic!() };
    let staged = room.follower.stage(&body.mls_message).unwrap();
    let head = &offer.commit.head_bytes;
    let decide = |signed: &_, company: &TestCompany, link: &TestCompany| {
        let judgement = Judgement { at: company, link, t_ms: START };
        commit(&room.conversation, head, signed, body, staged.facts(), &judgement).err()
    };
    let company = &room.company;
    assert_eq!(decide(signed, company, company), None);
    let mut forged = signed.clone();
    forged.signature.0[0] ^= 1;
    assert_eq!(decide(&forged, company, company), Some(Rule::Signature));
    let later = company.revoking(&[anna.device]);
    assert_eq!(decide(signed, company, &later), Some(Rule::Author));
    assert_eq!(decide(signed, &later, &later), Some(Rule::At));
    // Ben sends Anna's commit as his own.
    let bens = crate::body::SignedPayload::sign(&ben.key, head, signed.body.to_vec(), ben.device);
    assert_eq!(decide(&bens, company, company), Some(Rule::Committer));
}

#[test]
fn a_device_gets_no_second_leaf() {
    let (room, [anna, ben, _]) = group(LogType::Group);
    let leaf = |phone: &Phone, at| NewLeaf {
        leaf: LeafIndex(at),
        certificate: *phone.certificate.facts(),
        certificate_hash: phone.certificate.hash(),
    };
    let facts = CommitFacts {
        r#gen: crate::ids::Gen(0),
        epoch: Epoch(2),
        committer: leaf(&anna, 0),
        external: false,
        adds: vec![(leaf(&ben, 3), START)],
        removes: Vec::new(),
        rebinds: None,
        ga: crate::ids::Digest([0; 32]),
        tree_hash: crate::ids::Digest([0; 32]),
    };
    let decide = |facts: &CommitFacts| {
        let body = crate::body::CommitBody {
            seen: seen(2),
            at: room.company.at(),
            mls_message: Default::default(),
            base: None,
            ga: facts.ga,
            capsule_hash: facts.ga,
            gi_hash: facts.ga,
            welcome_hash: None,
        };
        let entry = signed_entry(Kind::Commit, Epoch(2), &anna, encode(&body));
        let ParsedPayload::Commit(signed, body) = &entry.payload else { panic!() };
        let judgement = judged(&room.company, START);
        commit(&room.conversation, &entry.head_bytes, signed, body, facts, &judgement).err()
    };
    assert_eq!(decide(&facts), Some(Rule::LeafTwice));
    // From outside: the same device again is a resync if its old leaf goes, and only that one.
    let outside = |removes: Vec<u32>| CommitFacts {
        external: true,
        adds: Vec::new(),
        committer: leaf(&anna, 3),
        removes: removes
            .into_iter()
            .map(|at| (LeafIndex(at), *room.conversation.roster.member(LeafIndex(at)).unwrap()))
            .collect(),
        ..facts.clone()
    };
    assert_eq!(decide(&outside(vec![])), Some(Rule::LeafTwice));
    assert_eq!(decide(&outside(vec![0])), None);
    assert_eq!(decide(&outside(vec![0, 1])), Some(Rule::ExternalRemove));
}

#[test]
fn a_conversation_begins_only_in_the_form_of_its_type() {
    let [anna, ben, clara] = phones();
    let company = TestCompany::of(&[&anna, &ben, &clara]);
    type Break = fn(&mut crate::body::Genesis);
    let table: [(LogType, usize, Break, Option<Rule>); 12] = [
        (LogType::Group, 2, |_| {}, None),
        (LogType::Announce, 0, |_| {}, None),
        (LogType::Dm, 1, |_| {}, None),
        (LogType::Dm, 2, |_| {}, Some(Rule::Genesis)),
        (LogType::Dm, 0, |_| {}, Some(Rule::Genesis)),
        (LogType::SelfNotes, 0, |_| {}, None),
        (LogType::SelfNotes, 1, |_| {}, Some(Rule::Genesis)),
        (LogType::Group, 2, |g| g.members[0] = g.members[1], Some(Rule::Genesis)),
        (LogType::Group, 2, |g| g.members[0] = g.creator, Some(Rule::Genesis)),
        (LogType::Group, 2, |g| g.creator = UserId([2; 16]), Some(Rule::Genesis)),
        (LogType::Group, 2, |g| g.suite = 1, Some(Rule::Genesis)),
        (LogType::Group, 2, |g| g.archive_keys.1 = KeyId([7; 16]), Some(Rule::Rebind)),
    ];
    for (at, (r#type, members, broken, expected)) in table.into_iter().enumerate() {
        let members = &[&ben, &clara][..members];
        let mut body = genesis(r#type, &anna, members, company.at());
        broken(&mut body);
        let entry = signed_entry(Kind::Genesis, Epoch(0), &anna, encode(&body));
        let ParsedPayload::Genesis(signed, body) = &entry.payload else { panic!() };
        let judgement = judged(&company, START);
        let verdict = creation(&entry.head_bytes, entry.head.log, signed, body, &judgement);
        assert_eq!(verdict.err(), expected, "row {at}");
    }
}

/// A phone outside makes an external commit on Anna's GroupInfo; what the server says, and X.
fn enters(room: &Room, anna: &Phone, phone: &mut Phone) -> (Option<Outcome>, OwnCommit, Vec<u8>) {
    let info = anna.group_info(false);
    assert!(room.follower.check_group_info(&info).is_ok());
    let (own, secret) = phone.enter(&info, &room.follower.tree_bytes());
    let offer = offered(phone, own.clone(), None, seen(2), room.company.at(), |_, _| {});
    (room.judge(phone, &offer).err(), own, secret)
}

#[test]
fn attacks_1_a_device_of_nobody_let_in_does_not_come_in_from_outside() {
    let (mut room, [anna, ben, _]) = group(LogType::Group);
    let mut dora = dora(&mut room);
    let stranger = Some(Outcome::Authorise(Rule::Enter.code()));
    assert_eq!(enters(&room, &anna, &mut dora).0, stranger);
    room.invites(&ben, InviteOp::Invite, dora.user, 2).unwrap();
    assert_eq!(enters(&room, &anna, &mut dora).0, None);
    // Minted by a server that holds the issuing key, but not in the company log.
    let mut ghost = Phone::new(1, 66);
    let unknown = Some(Outcome::Authorise(Rule::Author.code()));
    assert_eq!(enters(&room, &anna, &mut ghost).0, unknown);
}

#[test]
fn attacks_2_a_member_who_lost_the_group_comes_back_from_outside_and_shares_the_secret() {
    let (mut room, [mut anna, mut ben, mut clara]) = group(LogType::Group);
    ben.group = None;
    let (refusal, own, secret) = enters(&room, &anna, &mut ben);
    assert_eq!(refusal, None);
    let offer = offered(&ben, own.clone(), None, seen(2), room.company.at(), |_, _| {});
    let accepted = room.judge(&ben, &offer).unwrap();
    assert!(accepted.staged.facts().external);
    assert_eq!(accepted.staged.facts().removes.len(), 1, "his old leaf, and no other");
    room.take(accepted);
    assert_eq!(room.conversation.roster.len(), 3);
    assert_eq!(anna.process(&own.commit), secret);
    assert_eq!(clara.process(&own.commit), secret);
    // And he goes on as a member like the others.
    room.commits(&mut anna, removing(2), &mut [&mut ben]);
}

#[test]
fn attacks_19_after_a_replacement_the_old_leaf_is_revoked_and_goes_with_the_next_commit() {
    let (mut room, [mut anna, ben, mut clara]) = group(LogType::Group);
    // Ben's new phone: another key, so MLS does not know that the old leaf is his.
    let mut new = Phone::new(2, 22);
    room.company.devices.extend(TestCompany::of(&[&new]).devices);
    room.company = room.company.revoking(&[ben.device]);
    let (refusal, own, _) = enters(&room, &anna, &mut new);
    assert_eq!(refusal, None);
    let offer = offered(&new, own.clone(), None, seen(2), room.company.at(), |_, _| {});
    let accepted = room.judge(&new, &offer).unwrap();
    room.take(accepted);
    assert_eq!(room.conversation.revoked(&room.company), [LeafIndex(1)]);
    anna.process(&own.commit);
    clara.process(&own.commit);
    room.commits(&mut clara, removing(1), &mut [&mut anna, &mut new]);
    assert!(room.conversation.revoked(&room.company).is_empty());
    assert!(room.conversation.is_member(ben.user));
}
