use super::*;
use crate::authorise::testing::{DAY, LOG, Room, TestCompany, judged, seen};
use crate::body::{InviteOp, LogType};
use crate::encoding::{decode, encode};
use crate::entry::{Head, Kind, Slot};
use crate::ids::{Epoch, KeyId, LeafIndex, LogId, RecordIndex};
use crate::mls::testing::{Change, Phone};
use crate::rules::change::{self, ChangeFault};
use crate::wire::Outcome;

const BROKEN: ResetReason = ResetReason::Broken;

/// Anna's group with Ben and Clara, in which Ben committed last and nobody has written.
fn group() -> (Room, [Phone; 3]) {
    let [mut anna, mut ben, mut clara] = [1, 2, 3].map(|at| Phone::new(at, at));
    let (creator, members) = (&mut anna, &mut [&mut ben, &mut clara]);
    let mut room = Room::create(LogType::Group, creator, members);
    updates(&mut room, &mut ben, &mut [&mut anna, &mut clara]);
    (room, [anna, ben, clara])
}

/// This phone makes its leaf anew, a month later.
fn updates(room: &mut Room, phone: &mut Phone, others: &mut [&mut Phone]) {
    room.t_ms += 31 * DAY;
    room.commits(phone, Change::default(), others);
}

/// A record's head in the epoch in force.
fn head(room: &Room, leaf: u32) -> Head {
    let (r#gen, epoch) = (room.conversation.r#gen, room.conversation.epoch);
    let slot = Slot { leaf: LeafIndex(leaf), index: RecordIndex(0), cap: Seq(room.next - 1) };
    Head { slot: Some(slot), ..Head::plain(Kind::Record, LOG, r#gen, epoch) }
}

/// What the server says to a reset by this phone that adds these others.
fn refused(room: &Room, phone: &mut Phone, body: &ResetBody, adds: &[&Phone]) -> Outcome {
    let suite = Suite::from_code(room.conversation.suite).unwrap();
    let offer = room.offer_reset(phone, body, adds, suite);
    room.judge_reset(phone, &offer).expect_err("this reset is refused")
}

fn rule(outcome: Outcome) -> Rule {
    match outcome {
        Outcome::Authorise(code) => decode(&encode(&code)).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn attacks_2_a_commit_that_nobody_can_process_is_healed_by_a_new_group_in_the_same_log() {
    let (mut room, [mut anna, mut ben, mut clara]) = group();
    let before = room.conversation.clone();
    room.resets(&mut clara, BROKEN, &mut [&mut anna, &mut ben]);
    let after = &room.conversation;
    assert_eq!(after.in_force(), Some((Gen(1), Epoch(1))));
    assert_eq!(after.binding(), *room.follower.binding());
    assert_eq!(after.devices(&room.company), before.devices(&room.company));
    assert!(after.is_owner(anna.user, &room.company) && !after.is_owner(ben.user, &room.company));
    assert_eq!(decode(&encode(after)), Ok(after.clone()));
    updates(&mut room, &mut ben, &mut [&mut anna, &mut clara]);
    assert_eq!(room.conversation.in_force(), Some((Gen(1), Epoch(2))));
}

#[test]
fn attacks_2_nobody_throws_away_an_epoch_in_which_others_write() {
    let (mut room, [mut anna, mut ben, clara]) = group();
    let body = room.reset_body(BROKEN, |_| {});
    assert_eq!(rule(refused(&room, &mut ben, &body, &[&anna, &clara])), Rule::ResetGround);
    assert!(!room.conversation.take_record(&head(&room, 1)), "its author alone is no answer");
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Classic);
    room.judge_reset(&anna, &offer).unwrap();

    let later = Head { epoch: Epoch(3), ..head(&room, 2) };
    assert!(!room.conversation.take_record(&later), "a record of another epoch");
    let mut second = head(&room, 2);
    second.slot.as_mut().unwrap().index = RecordIndex(1);
    assert!(!room.conversation.take_record(&second), "a record out of its turn");
    assert!(room.conversation.take_record(&head(&room, 2)));
    assert!(!room.conversation.take_record(&head(&room, 0)), "the state changes once an epoch");
    assert_eq!(rule(refused(&room, &mut anna, &body, &[&ben, &clara])), Rule::ResetGround);

    let (mut room, [mut anna, mut ben, mut clara]) = group();
    room.conversation.take_record(&head(&room, 2));
    updates(&mut room, &mut ben, &mut [&mut anna, &mut clara]);
    room.resets(&mut anna, BROKEN, &mut [&mut ben, &mut clara]);
}

#[test]
fn each_reason_has_its_own_ground_and_no_other() {
    let (room, [mut anna, mut ben, clara]) = group();
    let mut broken = |change: fn(&mut ResetBody)| {
        let body = room.reset_body(BROKEN, change);
        rule(refused(&room, &mut anna, &body, &[&ben, &clara]))
    };
    assert_eq!(broken(|body| body.bad_seq = Some(Seq(1))), Rule::ResetGround);
    assert_eq!(broken(|body| body.bad_seq = Some(Seq(4))), Rule::ResetGround);
    assert_eq!(broken(|body| body.bad_seq = None), Rule::ResetGround);
    assert_eq!(broken(|body| body.reason = ResetReason::Admin), Rule::ResetGround);
    let admin = room.reset_body(ResetReason::Admin, |_| {});
    assert_eq!(rule(refused(&room, &mut anna, &admin, &[&ben, &clara])), Rule::ResetGround);
    let migrate = room.reset_body(ResetReason::Migrate, |_| {});
    assert_eq!(rule(refused(&room, &mut ben, &migrate, &[&anna, &clara])), Rule::Owner);
}

#[test]
fn an_order_of_an_admin_serves_one_reset_of_its_log() {
    let (mut room, [mut anna, mut ben, mut clara]) = group();
    room.conversation.take_record(&head(&room, 2));
    let admin = |room: &Room| room.reset_body(ResetReason::Admin, |_| {});
    room.company = room.company.ordering(LogId([9; 16]));
    let of_another = admin(&room);
    assert_eq!(rule(refused(&room, &mut ben, &of_another, &[&anna, &clara])), Rule::ResetGround);
    room.company = room.company.ordering(LOG);
    room.resets(&mut ben, ResetReason::Admin, &mut [&mut anna, &mut clara]);
    let again = admin(&room);
    assert_eq!(rule(refused(&room, &mut clara, &again, &[&anna, &ben])), Rule::ResetGround);
    room.company = room.company.ordering(LOG);
    room.resets(&mut clara, ResetReason::Admin, &mut [&mut anna, &mut ben]);
}

#[test]
fn an_order_is_used_up_by_whatever_reset_knew_of_it() {
    let (mut room, [mut anna, mut ben, mut clara]) = group();
    room.company = room.company.ordering(LOG);
    room.resets(&mut clara, BROKEN, &mut [&mut anna, &mut ben]);
    assert!(!room.conversation.is_reset_ordered(&room.company));
}

#[test]
fn an_owner_changes_the_suite_by_size_once() {
    let (mut room, [mut anna, ben, clara]) = group();
    let body = room.reset_body(ResetReason::Migrate, |_| {});
    assert_eq!(refused(&room, &mut anna, &body, &[&ben, &clara]), Outcome::Mls, "the old suite");
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Hybrid);
    let accepted = room.judge_reset(&anna, &offer).unwrap();
    room.take_reset(accepted);
    assert_eq!(room.conversation.suite, Suite::Hybrid.code());
    room.t_ms += DAY;
    let body = room.reset_body(ResetReason::Migrate, |_| {});
    assert_eq!(rule(refused(&room, &mut anna, &body, &[&ben, &clara])), Rule::ResetGround);
    room.conversation.suite = Suite::Classic.code();
    assert_eq!(rule(refused(&room, &mut anna, &body, &[&ben, &clara])), Rule::ResetGround);
}

#[test]
fn every_member_moves_a_group_to_the_suite_that_the_policy_names_and_nobody_to_another() {
    let (mut room, [mut anna, mut ben, clara]) = group();
    let then = room.company.clone();
    room.company = then.naming(Some(Suite::Classic));
    let body = room.reset_body(ResetReason::Migrate, |_| {});
    // By size it would be the other one, and she is an owner.
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Hybrid);
    assert_eq!(rule(room.judge_reset(&anna, &offer).unwrap_err()), Rule::ResetGround);

    room.company = then.naming(Some(Suite::Hybrid));
    let body = room.reset_body(ResetReason::Migrate, |_| {});
    let offer = room.offer_reset(&mut ben, &body, &[&anna, &clara], Suite::Classic);
    assert_eq!(room.judge_reset(&ben, &offer).err(), Some(Outcome::Mls), "the old suite");
    let offer = room.offer_reset(&mut ben, &body, &[&anna, &clara], Suite::Hybrid);
    let accepted = room.judge_reset(&ben, &offer).unwrap();
    room.take_reset(accepted);
    assert_eq!(room.conversation.suite, Suite::Hybrid.code());
    room.t_ms += DAY;
    let body = room.reset_body(ResetReason::Migrate, |_| {});
    let offer = room.offer_reset(&mut ben, &body, &[&anna, &clara], Suite::Hybrid);
    assert_eq!(rule(room.judge_reset(&ben, &offer).unwrap_err()), Rule::ResetGround, "it is there");

    // The owner's own change by size is not used up by it.
    room.company = room.company.naming(None);
    room.conversation.suite = Suite::Classic.code();
    let body = room.reset_body(ResetReason::Migrate, |_| {});
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Hybrid);
    room.judge_reset(&anna, &offer).unwrap();
}

#[test]
fn a_policy_that_one_of_both_sizes_of_the_company_log_does_not_know_moves_nothing() {
    let (mut room, [anna, mut ben, clara]) = group();
    let body = room.reset_body(ResetReason::Migrate, |_| {});
    let then = room.company.clone();
    room.company = then.naming(Some(Suite::Hybrid));
    let offer = room.offer_reset(&mut ben, &body, &[&anna, &clara], Suite::Hybrid);
    let signed = crate::rules::server::Session {
        device: ben.device,
        company: &room.company,
        t_ms: room.t_ms,
    };
    let (reset, first) = (&offer.reset, offer.first.offer());
    let judged = crate::rules::server::reset(reset, &first, &room.conversation, &signed, &then);
    assert_eq!(rule(judged.err().unwrap()), Rule::Owner);
}

#[test]
fn a_reset_names_everybody_and_nobody_else() {
    let (mut room, [mut anna, ben, clara]) = group();
    let dora = Phone::new(4, 4);
    room.company.devices.extend(TestCompany::of(&[&dora]).devices);
    let mut named = |room: &Room, change: fn(&mut ResetBody), adds: &[&Phone]| {
        let body = room.reset_body(BROKEN, change);
        rule(refused(room, &mut anna, &body, adds))
    };
    let roster = Rule::ResetRoster;
    assert_eq!(named(&room, |body| body.roster.truncate(2), &[&ben]), roster, "Clara left out");
    let all = [&ben, &clara, &dora];
    assert_eq!(named(&room, |body| body.roster.push(DeviceId([4; 16])), &all), roster);
    assert_eq!(named(&room, |body| body.missing.push(DeviceId([4; 16])), &all[..2]), roster);
    assert_eq!(named(&room, |body| body.missing.push(DeviceId([3; 16])), &all[..2]), roster);
    assert_eq!(named(&room, |body| body.roster.reverse(), &all[..2]), roster);
    let without_author: fn(&mut ResetBody) = |body| body.missing.push(body.roster.remove(0));
    assert_eq!(named(&room, without_author, &all[..2]), roster);
    assert_eq!(named(&room, |_| {}, &[&ben]), roster, "the commit adds fewer");
    let missing: fn(&mut ResetBody) = |body| body.missing = vec![body.roster.remove(2)];
    assert_eq!(named(&room, missing, &all[..2]), roster, "the commit adds who is missing");

    room.company = room.company.revoking(&[clara.device]);
    let revoked: fn(&mut ResetBody) = |body| body.roster.push(DeviceId([3; 16]));
    assert_eq!(named(&room, revoked, &all[..2]), roster);
    let body = room.reset_body(BROKEN, |_| {});
    let offer = room.offer_reset(&mut anna, &body, &[&ben], Suite::Classic);
    let accepted = room.judge_reset(&anna, &offer).unwrap();
    room.take_reset(accepted);
    assert_eq!(room.conversation.roster.len(), 2);
}

#[test]
fn who_was_removed_or_left_neither_resets_nor_comes_back_by_a_reset() {
    let (mut room, [mut anna, mut ben, mut clara]) = group();
    room.commits(
        &mut anna,
        Change { removes: vec![LeafIndex(1)], ..Change::default() },
        &mut [&mut clara],
    );
    let with_ben: fn(&mut ResetBody) = |body| body.roster.insert(1, DeviceId([2; 16]));
    let body = room.reset_body(BROKEN, with_ben);
    assert_eq!(rule(refused(&room, &mut ben, &body, &[&anna, &clara])), Rule::NotMember);
    assert_eq!(rule(refused(&room, &mut clara, &body, &[&anna, &ben])), Rule::ResetRoster);
    room.invites(&clara, InviteOp::Leave, clara.user, room.next - 1).unwrap();
    let body = room.reset_body(BROKEN, |_| {});
    assert_eq!(rule(refused(&room, &mut clara, &body, &[&anna])), Rule::NotMember);
    assert_eq!(body.roster, [anna.device]);
}

#[test]
fn who_is_missing_comes_by_himself_and_is_let_in_until_he_is_removed() {
    let (mut room, [mut anna, ben, mut clara]) = group();
    let body = room.reset_body(BROKEN, |body| body.missing = vec![body.roster.remove(1)]);
    let offer = room.offer_reset(&mut anna, &body, &[&clara], Suite::Classic);
    let accepted = room.judge_reset(&anna, &offer).unwrap();
    room.take_reset(accepted);
    anna.merge_own();
    clara.join(offer.first.welcome.as_ref().unwrap(), &room.follower.tree_bytes());
    assert!(room.conversation.has_device(ben.device), "a further reset may not leave him out");
    assert_eq!(room.reset_body(BROKEN, |_| {}).roster.len(), 3);

    let mut ben = Phone { group: None, ..ben };
    let info = anna.group_info(false);
    let (own, _) = ben.enter(&info, &room.follower.tree_bytes());
    let at = room.company.at();
    let seen = seen(room.next - 1);
    let offer = crate::authorise::testing::offered(&ben, own, None, seen, at, |_, _| {});
    let accepted = room.judge(&ben, &offer).unwrap();
    room.take(accepted);
    assert_eq!(room.conversation.roster.len(), 3);
    assert!(room.conversation.resets.missing.is_empty());
}

#[test]
fn attacks_2_a_reset_that_leaves_everybody_outside_is_healed_by_one_of_them() {
    let (mut room, [mut anna, mut ben, clara]) = group();
    let all_missing = room.reset_body(BROKEN, |body| body.missing = body.roster.split_off(1));
    let offer = room.offer_reset(&mut anna, &all_missing, &[], Suite::Classic);
    let accepted = room.judge_reset(&anna, &offer).unwrap();
    room.take_reset(accepted);
    assert_eq!(room.conversation.roster.len(), 1);
    let body = room.reset_body(BROKEN, |_| {});
    let offer = room.offer_reset(&mut ben, &body, &[&anna, &clara], Suite::Classic);
    let accepted = room.judge_reset(&ben, &offer).unwrap();
    room.take_reset(accepted);
    assert_eq!(room.conversation.roster.len(), 3);
    assert_eq!(room.conversation.r#gen, Gen(2));
}

#[test]
fn a_device_resets_a_log_once_a_day() {
    let (mut room, [mut anna, mut ben, mut clara]) = group();
    let midnight = room.t_ms.next_multiple_of(DAY);
    room.t_ms = midnight;
    room.resets(&mut anna, BROKEN, &mut [&mut ben, &mut clara]);
    let removes = vec![LeafIndex(2)];
    room.commits(&mut anna, Change { removes, ..Change::default() }, &mut [&mut ben]);
    room.invites(&ben, InviteOp::Invite, clara.user, room.next - 1).unwrap();
    let adds = vec![clara.package(Suite::Classic, room.t_ms)];
    clara.group = None;
    room.commits(&mut ben, Change { adds, ..Change::default() }, &mut [&mut anna]);
    room.t_ms = midnight + DAY - 1;
    let body = room.reset_body(BROKEN, |_| {});
    assert_eq!(rule(refused(&room, &mut anna, &body, &[&ben, &clara])), Rule::ResetTwice);
    let offer = room.offer_reset(&mut clara, &body, &[&anna, &ben], Suite::Classic);
    room.judge_reset(&clara, &offer).unwrap();
    room.t_ms = midnight + DAY;
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Classic);
    room.judge_reset(&anna, &offer).unwrap();
    // It is still the same day where the company's clock stands.
    room.company.ahead_ms = DAY - 1;
    room.t_ms = midnight;
    assert_eq!(room.company.day(midnight), room.company.day(midnight + 1) - 1);
    assert_eq!(rule(refused(&room, &mut anna, &body, &[&ben, &clara])), Rule::ResetTwice);
    room.t_ms = midnight + 1;
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Classic);
    room.judge_reset(&anna, &offer).unwrap();
}

#[test]
fn a_reset_is_judged_at_both_sizes_of_the_company_log() {
    let (mut room, [mut anna, ben, clara]) = group();
    let then = room.company.clone();
    let judge = |room: &Room, anna: &mut Phone, body: &ResetBody, adds: &[&Phone]| {
        let offer = room.offer_reset(anna, body, adds, Suite::Classic);
        let session = crate::rules::server::Session {
            device: anna.device,
            company: &room.company,
            t_ms: room.t_ms,
        };
        let first = offer.first.offer();
        let conversation = &room.conversation;
        let outcome =
            crate::rules::server::reset(&offer.reset, &first, conversation, &session, &then);
        outcome.err()
    };
    let body = room.reset_body(BROKEN, |_| {});
    assert_eq!(judge(&room, &mut anna, &body, &[&ben, &clara]), None);
    room.company = then.revoking(&[clara.device]);
    assert_eq!(judge(&room, &mut anna, &body, &[&ben, &clara]), Some(Outcome::Behind(21)));
    // Who is missing is judged at both sizes too, though no commit adds him.
    let mut without = body.clone();
    without.missing = vec![without.roster.remove(2)];
    assert_eq!(judge(&room, &mut anna, &without, &[&ben]), Some(Outcome::Behind(21)));
    room.company = then.clone();
    room.company.keys.0 = KeyId([7; 16]);
    room.company.size += 1;
    assert_eq!(judge(&room, &mut anna, &body, &[&ben, &clara]), Some(Outcome::Behind(21)));
}

#[test]
fn a_reset_made_before_the_newest_commit_was_seen_is_outdated() {
    let (room, [mut anna, ben, clara]) = group();
    let body = room.reset_body(BROKEN, |body| body.seen = seen(2));
    assert_eq!(rule(refused(&room, &mut anna, &body, &[&ben, &clara])), Rule::Outdated);
    let body = room.reset_body(BROKEN, |body| body.seen = None);
    assert_eq!(refused(&room, &mut anna, &body, &[&ben, &clara]), Outcome::Form);
}

#[test]
fn a_reset_played_again_is_stale() {
    let (mut room, [mut anna, mut ben, mut clara]) = group();
    let body = room.reset_body(BROKEN, |_| {});
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Classic);
    let accepted = room.judge_reset(&anna, &offer).unwrap();
    room.take_reset(accepted);
    assert_eq!(room.judge_reset(&anna, &offer).err(), Some(Outcome::Stale(Gen(1), Epoch(1))));
    anna.merge_own();
    for phone in [&mut ben, &mut clara] {
        phone.join(offer.first.welcome.as_ref().unwrap(), &room.follower.tree_bytes());
    }
    let judgement = judged(&room.company, room.t_ms);
    let read = change::reset(&offer.reset, &room.conversation, &judgement);
    assert_eq!(read, Err(ChangeFault::Epoch));
}

#[test]
fn a_reader_follows_a_reset_as_the_server_does() {
    let (room, [mut anna, ben, clara]) = group();
    let body = room.reset_body(BROKEN, |_| {});
    let offer = room.offer_reset(&mut anna, &body, &[&ben, &clara], Suite::Classic);
    let judgement = judged(&room.company, room.t_ms);
    let mut conversation = room.conversation.clone();
    let authorised = change::reset(&offer.reset, &conversation, &judgement).unwrap();
    assert_eq!((authorised.r#gen(), authorised.reason()), (Gen(1), BROKEN));
    assert_eq!(authorised.by(), (anna.user, anna.device));
    conversation.take_reset(&authorised);
    assert_eq!(conversation.in_force(), None);
    let accepted = room.judge_reset(&anna, &offer).unwrap();
    assert_eq!(conversation, accepted.conversation);
    let staged = &accepted.commit.staged;
    let verdict = |conversation: &Conversation| {
        let (facts, binding) = (staged.facts(), staged.binding());
        change::commit(&offer.first.commit, conversation, facts, binding, &judgement)
    };
    assert!(verdict(&conversation).is_ok());
    conversation.resets.due.as_mut().unwrap().device = ben.device;
    assert_eq!(verdict(&conversation), Err(ChangeFault::Rule(Rule::Committer)));
    conversation.resets.due.as_mut().unwrap().device = anna.device;
    conversation.resets.due.as_mut().unwrap().adds.pop();
    assert_eq!(verdict(&conversation), Err(ChangeFault::Rule(Rule::ResetRoster)));
}
