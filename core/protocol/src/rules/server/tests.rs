use super::*;
use crate::authorise::testing::{
    DAY, LOG, OfferedCommit, Room, START, TestCompany, capsule_body, genesis, offered, seen,
    signed_entry,
};
use crate::body::{InviteOp, LogType};
use crate::encoding::encode;
use crate::entry::{Kind, Slot};
use crate::ids::{Epoch, Gen, KeyId, LogId, Seq};
use crate::mls::extension::GroupBinding;
use crate::mls::testing::{Change, Phone};
use crate::rules::form;
use proptest::prelude::*;

fn phones<const N: usize>() -> [Phone; N] {
    std::array::from_fn(|at| Phone::new(at as u8 + 1, at as u8 + 1))
}

fn group() -> (Room, [Phone; 3]) {
    let [mut anna, mut ben, mut clara] = phones();
    let room = Room::create(LogType::Group, &mut anna, &mut [&mut ben, &mut clara]);
    (room, [anna, ben, clara])
}

/// Ben's next record in the room.
fn record_head() -> Head {
    Head {
        slot: Some(Slot { leaf: LeafIndex(1), index: RecordIndex(4), cap: Seq(2) }),
        ..Head::plain(Kind::Record, LOG, Gen(0), Epoch(1))
    }
}

const NEXT: RecordIndex = RecordIndex(4);

#[test]
fn a_record_is_accepted_and_each_rule_refuses_the_one_that_breaks_it() {
    let (room, [anna, ben, _]) = group();
    type Break = fn(&mut Head, &mut RecordFacts<'_>, &mut Conversation, &mut TestCompany);
    let table: [(&str, Break, Option<Outcome>); 13] = [
        ("nothing", |_, _, _, _| {}, None),
        (
            "S4, past",
            |h, _, c, _| {
                h.epoch = Epoch(1);
                c.epoch = Epoch(2)
            },
            Some(Outcome::Stale(Gen(0), Epoch(2))),
        ),
        ("S4, future", |h, _, _, _| h.epoch = Epoch(2), Some(Outcome::Stale(Gen(0), Epoch(1)))),
        ("S4, gen", |h, _, _, _| h.r#gen = Gen(1), Some(Outcome::Stale(Gen(0), Epoch(1)))),
        ("S4, ended", |_, _, c, _| c.end_epoch(), Some(Outcome::Stale(Gen(0), Epoch(1)))),
        (
            "S5, another's",
            |h, _, _, _| h.slot.as_mut().unwrap().leaf = LeafIndex(0),
            Some(Outcome::Leaf),
        ),
        (
            "S5, nobody's",
            |h, _, _, _| h.slot.as_mut().unwrap().leaf = LeafIndex(9),
            Some(Outcome::Leaf),
        ),
        (
            "S6, gap",
            |h, _, _, _| h.slot.as_mut().unwrap().index = RecordIndex(u32::MAX),
            Some(Outcome::Gap(4)),
        ),
        (
            "S6, taken",
            |h, _, _, _| h.slot.as_mut().unwrap().index = RecordIndex(3),
            Some(Outcome::Conflict),
        ),
        (
            "S7",
            |_, f, _, _| f.revoked = &[LeafIndex(0), LeafIndex(2)],
            Some(Outcome::RemoveFirst(vec![0, 2])),
        ),
        ("S8, capsule", |h, _, _, _| h.slot.as_mut().unwrap().cap = Seq(1), Some(Outcome::Cap)),
        ("S8, keys", |_, _, _, c| *c = c.rekeyed(START), Some(Outcome::RekeyFirst)),
        (
            "S8, blob",
            |_, f, _, _| f.missing_blob = Some(Digest([7; 32])),
            Some(Outcome::Blob(Digest([7; 32]))),
        ),
    ];
    for (name, broken, expected) in table {
        let mut head = record_head();
        let mut facts = RecordFacts { next_index: NEXT, revoked: &[], missing_blob: None };
        let (mut conversation, mut company) = (room.conversation.clone(), room.company.clone());
        broken(&mut head, &mut facts, &mut conversation, &mut company);
        let session = Session { device: ben.device, company: &company, t_ms: START };
        assert_eq!(record(&head, &conversation, &session, &facts).err(), expected, "{name}");
    }
    // The very same head from another's session.
    let session = Session { device: anna.device, company: &room.company, t_ms: START };
    let facts = RecordFacts { next_index: NEXT, revoked: &[], missing_blob: None };
    let verdict = record(&record_head(), &room.conversation, &session, &facts);
    assert_eq!(verdict, Err(Outcome::Leaf));
}

#[test]
fn records_under_the_old_archive_key_pass_for_thirty_days() {
    let (room, [_, ben, _]) = group();
    let company = room.company.rekeyed(START + 30 * DAY);
    let facts = RecordFacts { next_index: NEXT, revoked: &[], missing_blob: None };
    for (t_ms, expected) in
        [(START + 30 * DAY - 1, Ok(())), (START + 30 * DAY, Err(Outcome::RekeyFirst))]
    {
        let session = Session { device: ben.device, company: &company, t_ms };
        assert_eq!(record(&record_head(), &room.conversation, &session, &facts), expected);
    }
}

#[test]
fn who_left_is_told_so_once_his_leaf_is_gone() {
    let (mut room, [mut anna, ben, clara]) = group();
    room.invites(&clara, InviteOp::Leave, clara.user, 2).unwrap();
    room.commits(&mut anna, Change { removes: vec![LeafIndex(2)], ..Change::default() }, &mut []);
    let head = Head {
        epoch: Epoch(2),
        slot: Some(Slot { leaf: LeafIndex(2), index: RecordIndex(0), cap: Seq(5) }),
        ..record_head()
    };
    let facts = RecordFacts { next_index: RecordIndex(0), revoked: &[], missing_blob: None };
    let session = Session { device: clara.device, company: &room.company, t_ms: START };
    assert_eq!(record(&head, &room.conversation, &session, &facts), Err(Outcome::Left));
    let session = Session { device: ben.device, ..session };
    assert_eq!(record(&head, &room.conversation, &session, &facts), Err(Outcome::Leaf));
}

proptest! {
    /// S5, S6: whatever a head claims, only the session's own leaf and the index due get through.
    #[test]
    fn attacks_23_no_other_slot_than_the_own_next_one_is_accepted(
        leaf in 0u32..5, index in 0u32..9, next in 0u32..9, device in 1u8..5,
    ) {
        let (conversation, company) = ROOM.with(|room| room.clone());
        let head = Head {
            slot: Some(Slot { leaf: LeafIndex(leaf), index: RecordIndex(index), cap: Seq(2) }),
            ..record_head()
        };
        let facts =
            RecordFacts { next_index: RecordIndex(next), revoked: &[], missing_blob: None };
        let session =
            Session { device: DeviceId([device; 16]), company: &company, t_ms: START };
        let accepted = record(&head, &conversation, &session, &facts).is_ok();
        let own = leaf < 3 && leaf + 1 == u32::from(device);
        prop_assert_eq!(accepted, own && index == next);
    }
}

thread_local! {
    static ROOM: (Conversation, TestCompany) = {
        let (room, _) = group();
        (room.conversation, room.company)
    };
}

fn refusal(room: &Room, phone: &Phone, offer: &OfferedCommit) -> Option<Outcome> {
    room.judge(phone, offer).err()
}

type Tamper = fn(&mut CommitBody, &mut CapsuleBody);

/// Anna's pure update with its batch changed, long enough after the last.
fn tampered(tamper: Tamper) -> Option<Outcome> {
    let (mut room, [mut anna, ..]) = group();
    room.t_ms += 40 * DAY;
    let own = anna.commit(Change::default());
    let offer = offered(&anna, own, None, seen(2), room.company.at(), tamper);
    refusal(&room, &anna, &offer)
}

#[test]
fn a_commit_is_accepted_and_each_rule_refuses_the_one_that_breaks_it() {
    let mls = Some(Outcome::Mls);
    let table: [(&str, Tamper, Option<Outcome>); 13] = [
        ("nothing", |_, _| {}, None),
        ("S3, seen", |b, _| b.seen = None, Some(Outcome::Form)),
        ("S3, base", |b, _| b.base = Some(b.mls_message.clone()), Some(Outcome::Form)),
        ("S9, company hash", |b, _| b.at.company_hash.0[0] ^= 1, Some(Outcome::Behind(20))),
        ("S9, company size", |b, _| b.at.co = 19, Some(Outcome::Behind(20))),
        ("S9, MLS", |b, _| b.mls_message.0[40] ^= 1, mls.clone()),
        ("S10, ga", |b, _| b.ga.0[0] ^= 1, mls.clone()),
        ("S10, capsule hash", |b, _| b.capsule_hash.0[0] ^= 1, mls.clone()),
        ("S10, GroupInfo hash", |b, _| b.gi_hash.0[0] ^= 1, mls.clone()),
        ("S10, Welcome hash", |b, _| b.welcome_hash = Some(b.gi_hash), mls.clone()),
        ("S10, capsule", |_, c| c.sealed[0] ^= 1, mls.clone()),
        (
            "S10, capsule's ga",
            |b, c| {
                c.ga.0[0] ^= 1;
                b.capsule_hash = c.digest();
            },
            mls.clone(),
        ),
        (
            "S10, capsule's keys",
            |b, c| {
                c.id_b = KeyId([7; 16]);
                b.capsule_hash = c.digest();
            },
            mls.clone(),
        ),
    ];
    for (name, tamper, expected) in table {
        assert_eq!(tampered(tamper), expected, "{name}");
    }
}

#[test]
fn attacks_2_a_commit_bomb_is_refused_since_its_group_info_does_not_fit() {
    let (mut room, [mut anna, ..]) = group();
    room.t_ms += 40 * DAY;
    let mut own = anna.commit(Change::default());
    // One bit of the confirmation tag: OpenMLS' public group would take it.
    let good = own.commit.clone();
    let membership_tag_bytes = 33;
    let at = own.commit.len() - membership_tag_bytes - 5;
    own.commit[at] ^= 1;
    assert!(room.follower.stage(&own.commit).is_ok(), "the bomb passes MLS from outside");
    let offer = offered(&anna, own.clone(), None, seen(2), room.company.at(), |_, _| {});
    assert_eq!(refusal(&room, &anna, &offer), Some(Outcome::Mls));
    own.commit = good;
    let offer = offered(&anna, own, None, seen(2), room.company.at(), |_, _| {});
    assert_eq!(refusal(&room, &anna, &offer), None);
}

#[test]
fn a_group_info_or_welcome_other_than_the_named_one_is_refused() {
    let (mut room, [mut anna, ..]) = group();
    room.t_ms += 40 * DAY;
    let mut offer = room.offer(&mut anna, Change::default());
    let group_info = offer.group_info.clone();
    offer.group_info.push(0);
    assert_eq!(refusal(&room, &anna, &offer), Some(Outcome::Mls));
    offer.group_info = group_info;
    offer.welcome = Some(b"welcome".to_vec());
    assert_eq!(refusal(&room, &anna, &offer), Some(Outcome::Mls));
    offer.welcome = None;
    assert_eq!(refusal(&room, &anna, &offer), None);
}

#[test]
fn of_two_commits_for_one_epoch_the_second_is_stale() {
    let (mut room, [mut anna, mut ben, _]) = group();
    room.t_ms += 40 * DAY;
    let second = room.offer(&mut ben, Change::default());
    room.commits(&mut anna, Change::default(), &mut []);
    assert_eq!(refusal(&room, &ben, &second), Some(Outcome::Stale(Gen(0), Epoch(2))));
}

#[test]
fn a_commit_from_anothers_session_is_refused() {
    let (mut room, [mut anna, ben, _]) = group();
    room.t_ms += 40 * DAY;
    let offer = room.offer(&mut anna, Change::default());
    assert_eq!(refusal(&room, &ben, &offer), Some(Outcome::Role));
}

#[test]
fn a_commit_that_a_newer_company_entry_forbids_is_behind() {
    let (mut room, [mut anna, ..]) = group();
    room.t_ms += 40 * DAY;
    let keys = room.company.rekeyed(0).keys;
    let newer = GroupBinding { id_a: keys.0, ..room.conversation.binding() };
    let then = room.company.rekeyed(START + 100 * DAY);
    room.company = then.clone();
    let own = anna.commit(Change { rebinds: Some(newer), ..Change::default() });
    let offer = offered(&anna, own, None, seen(2), then.at(), |_, _| {});
    let mut now = then.clone();
    now.size += 1;
    now.keys.1 = KeyId([6; 16]);
    let session = Session { device: anna.device, company: &now, t_ms: room.t_ms };
    let verdict = commit(&offer.offer(), &room.conversation, &room.follower, &session, &then);
    assert_eq!(verdict.err(), Some(Outcome::Behind(22)));
}

#[test]
fn attacks_10_a_pure_update_waits_for_its_budget_and_any_other_commit_does_not() {
    for (after_ms, accepted) in [(7 * DAY - 1, false), (7 * DAY, true)] {
        let (mut room, [mut anna, ..]) = group();
        room.t_ms += after_ms;
        let offer = room.offer(&mut anna, Change::default());
        let expected = (!accepted).then_some(Outcome::Budget(START + 7 * DAY));
        assert_eq!(refusal(&room, &anna, &offer), expected);
    }
    let (mut room, [mut anna, ..]) = group();
    room.conversation.end_epoch();
    let offer = room.offer(&mut anna, Change::default());
    assert_eq!(refusal(&room, &anna, &offer), None, "the first after a restore");
    let (mut room, [mut anna, ..]) = group();
    room.company = room.company.revoking(&[DeviceId([2; 16])]);
    let offer = room.offer(&mut anna, Change { removes: vec![LeafIndex(1)], ..Change::default() });
    assert_eq!(refusal(&room, &anna, &offer), None);
}

#[test]
fn the_budget_grows_with_the_room() {
    let (mut room, _) = group();
    let member = *room.conversation.roster.member(LeafIndex(0)).unwrap();
    let of = |room: &mut Room, leaves: usize, began_t_ms: TimeMs| {
        let pairs: Vec<_> = (0..leaves as u32).map(|leaf| (LeafIndex(leaf), member)).collect();
        room.conversation.roster = crate::encoding::decode(&encode(&pairs)).unwrap();
        room.conversation.began_t_ms = began_t_ms;
        budget(&room.conversation, LeafIndex(0))
    };
    assert_eq!(of(&mut room, 16, START), START + 7 * DAY);
    assert_eq!(of(&mut room, 17, START), START + 30 * DAY);
    assert_eq!(of(&mut room, 17, START + 30 * DAY), START + 30 * DAY + 3_600_000);
    assert_eq!(of(&mut room, 100, START + 10 * DAY), START + 30 * DAY);
    assert_eq!(of(&mut room, 101, START + 70 * DAY), START + 90 * DAY);
    // An epoch of 30 days may be renewed by anybody.
    assert_eq!(of(&mut room, 101, START), START + 30 * DAY);
}

#[test]
fn a_creation_is_accepted_only_as_a_whole() {
    let [mut anna, ben, mut mallory] = phones();
    let company = TestCompany::of(&[&anna, &ben, &mallory]);
    let body = genesis(LogType::Group, &anna, &[&ben], company.at());
    let binding = Conversation::begin(body.clone(), &encode(&body)).binding();
    let entry = signed_entry(Kind::Genesis, Epoch(0), &anna, encode(&body));
    let suite = Suite::Classic;
    let base = anna.create(suite, &binding);
    let mallorys = mallory.create(suite, &binding);
    let own = anna.adding(&[&ben], START);
    let make = |anna: &Phone, base: Option<Vec<u8>>, tamper: Tamper| {
        let offer = offered(anna, own.clone(), base, None, company.at(), tamper);
        let session = Session { device: anna.device, company: &company, t_ms: START };
        creation(&entry, &offer.offer(), &session, &company).err()
    };
    assert_eq!(make(&anna, Some(base.clone()), |_, _| {}), None);
    assert_eq!(make(&anna, None, |_, _| {}), Some(Outcome::Form));
    assert_eq!(make(&anna, Some(mallorys), |_, _| {}), Some(Outcome::Mls));
    assert_eq!(make(&anna, Some(base.clone()), |b, _| b.seen = seen(0)), Some(Outcome::Form));
    assert_eq!(make(&anna, Some(base.clone()), |b, _| b.at.co = 3), Some(Outcome::Form));
    assert_eq!(make(&anna, Some(base.clone()), |b, _| b.welcome_hash = None), Some(Outcome::Mls));
    // A member whom genesis does not name comes in with the first commit.
    anna.forget();
    let own = anna.adding(&[&ben, &mallory], START);
    let offer = offered(&anna, own, Some(base), None, company.at(), |_, _| {});
    let session = Session { device: anna.device, company: &company, t_ms: START };
    let verdict = creation(&entry, &offer.offer(), &session, &company).err();
    assert_eq!(verdict, Some(Outcome::Authorise(Rule::Enter.code())));
}

fn lone_capsule(phone: &Phone, epoch: Epoch, body: &CapsuleBody) -> Parsed {
    signed_entry(Kind::Capsule, epoch, phone, encode(body))
}

#[test]
fn attacks_5_a_member_repairs_a_capsule_once_and_each_rule_refuses_the_one_that_breaks_it() {
    let (mut room, [anna, ben, _]) = group();
    let outsider = Phone::new(9, 9);
    room.company.devices.extend(TestCompany::of(&[&outsider]).devices);
    let right = capsule_body(room.conversation.ga, room.conversation.archive_keys);
    let judge = |room: &Room, phone: &Phone, session: &Phone, epoch, body: &CapsuleBody| {
        let session = Session { device: session.device, company: &room.company, t_ms: START };
        capsule(&lone_capsule(phone, epoch, body), &room.conversation, &session)
    };
    assert_eq!(judge(&room, &ben, &ben, Epoch(1), &right), Ok(()));
    let stale = Err(Outcome::Stale(Gen(0), Epoch(1)));
    assert_eq!(judge(&room, &ben, &ben, Epoch(2), &right), stale);
    assert_eq!(judge(&room, &ben, &anna, Epoch(1), &right), Err(Outcome::Role));
    assert_eq!(judge(&room, &outsider, &outsider, Epoch(1), &right), Err(Outcome::Leaf));
    assert_eq!(judge(&room, &anna, &anna, Epoch(1), &right), Err(Outcome::Policy), "her commit's");
    let other = CapsuleBody { ga: Digest([9; 32]), ..right.clone() };
    assert_eq!(judge(&room, &ben, &ben, Epoch(1), &other), Err(Outcome::Mls));
    let other = CapsuleBody { id_a: KeyId([9; 16]), ..right.clone() };
    assert_eq!(judge(&room, &ben, &ben, Epoch(1), &other), Err(Outcome::Mls));
    room.conversation.add_capsule(&right, ben.device, Seq(3));
    assert_eq!(judge(&room, &ben, &ben, Epoch(1), &right), Err(Outcome::Policy));
    assert!(room.conversation.capsule(Seq(3)).is_some());
}

#[test]
fn an_invite_needs_a_session_of_its_author_and_the_company_log_that_it_names() {
    let (room, [anna, ben, _]) = group();
    let entry = room.invite_entry(&anna, InviteOp::Invite, crate::ids::UserId([4; 16]), 2);
    let session = Session { device: anna.device, company: &room.company, t_ms: START };
    assert!(invite(&entry, &room.conversation, &session, &room.company).is_ok());
    let other = Session { device: ben.device, ..session };
    let verdict = invite(&entry, &room.conversation, &other, &room.company);
    assert_eq!(verdict.err(), Some(Outcome::Role));
    let older = TestCompany { size: 19, ..room.company.clone() };
    let verdict = invite(&entry, &room.conversation, &session, &older);
    assert_eq!(verdict.err(), Some(Outcome::Behind(20)));
}

#[test]
fn a_batch_is_one_of_the_shapes_and_of_one_log() {
    let (room, [mut anna, ..]) = group();
    let OfferedCommit { commit, capsule, .. } = room.offer(&mut anna, Change::default());
    let invite = room.invite_entry(&anna, InviteOp::Owner, anna.user, 2);
    let record = form::parse(&encode(&record_head()), b"sealed").unwrap();
    let mut elsewhere = invite.clone();
    elsewhere.head.log = LogId([9; 16]);
    let shape = |entries: &[&Parsed]| {
        let entries: Vec<Parsed> = entries.iter().map(|entry| (*entry).clone()).collect();
        form::batch(&entries).map(|batch| matches!(batch, form::Batch::Commit { .. })).ok()
    };
    assert_eq!(shape(&[&commit, &capsule]), Some(true));
    assert_eq!(shape(&[&record, &invite, &record]), Some(false));
    for wrong in [
        &[&capsule][..],
        &[&commit],
        &[&capsule, &commit],
        &[&commit, &capsule, &record],
        &[&commit, &commit],
        &[&record, &elsewhere],
        &[&record; 17],
    ] {
        assert_eq!(shape(wrong), None);
    }
}

#[test]
fn what_is_not_the_form_of_an_entry_is_refused_before_anything_else() {
    let head = encode(&record_head());
    let code =
        |head: &[u8], payload: &[u8]| form::parse(head, payload).map_err(Outcome::from).err();
    assert_eq!(code(&head, &[0; 65_536]), None);
    assert_eq!(code(&head, &[0; 65_537]), Some(Outcome::TooLarge));
    assert_eq!(code(&head[1..], b""), Some(Outcome::Form));
    let invite = encode(&Head::plain(Kind::Invite, LOG, Gen(0), Epoch(1)));
    assert_eq!(code(&invite, b"not a signed payload"), Some(Outcome::Form));
    let company = encode(&Head::plain(Kind::Device, LOG, Gen(0), Epoch(0)));
    assert_eq!(code(&company, b""), Some(Outcome::Role));
    let transient = Head { transient: true, ..Head::plain(Kind::Invite, LOG, Gen(0), Epoch(1)) };
    assert_eq!(code(&encode(&transient), b""), Some(Outcome::Form));
}
