//! The signature table of `docs/protocol.md §12`: each kind with its signers, and what breaks it.

use crate::company::body::*;
use crate::company::finding::Finding;
use crate::company::fixture::*;
use crate::crypto::SigningKey;
use crate::encoding::Bytes;
use crate::entry::Seen;
use crate::ids::{Digest, LogId, Seq};
use crate::tree::checkpoint::TreeHead;

/// A company in which every kind of entry has something to act upon.
struct Stage {
    founded: Founded,
    hold: Seq,
    opening: Seq,
}

const ANNA: u32 = 1;
const PHONE: u32 = 11;
const SECOND_KEY_OF_OFFICER: u32 = 120;
const RETIRED_OFFICER: u32 = 121;

fn stage() -> Stage {
    let mut founded = Founded::new();
    founded.enrol(ANNA, PHONE);
    let officer_user = Some(user(OFFICERS[0]));
    let root = founded.keys.root.clone();
    let second = |founded: &Founded| {
        holding(founded.seen(), SECOND_KEY_OF_OFFICER, officer_user, Role::Officer, true)
    };
    founded.must(second(&founded), &[&root]);
    for active in [true, false] {
        let retired = holding(founded.seen(), RETIRED_OFFICER, None, Role::Officer, active);
        founded.must(retired, &[&root]);
    }
    let [one, two, _] = founded.keys.officers.clone();
    let hold = founded.must(hold_entry(founded.seen()), &[&one]);
    let council = founded.keys.council[0].clone();
    let opening = founded.must(opening_entry(founded.seen(), "audit"), &[&one, &two, &council]);
    Stage { founded, hold, opening }
}

fn hold_entry(seen: Option<Seen>) -> HoldEntry {
    HoldEntry { seen, scope: Scope::default(), reason: "dispute".to_owned() }
}

fn opening_entry(seen: Option<Seen>, block: &str) -> OpeningEntry {
    OpeningEntry {
        seen,
        purpose: "audit".to_owned(),
        scope: Scope::default(),
        notice: None,
        block_reason: Some(block.to_owned()),
    }
}

fn erase_entry(seen: Option<Seen>, reason: EraseReason, class: Option<u64>) -> CompanyErase {
    CompanyErase { seen, reason, class, count: 1, logs: 1, list_root: Digest([1; 32]) }
}

fn class_entry(seen: Option<Seen>, class: u64) -> ClassEntry {
    ClassEntry { seen, scope: Scope::default(), class, reason: "letter".to_owned() }
}

fn close_entry(seen: Option<Seen>) -> CloseEntry {
    CloseEntry { seen, device: device(PHONE), counters: Digest([2; 32]), unsent: 0 }
}

fn report_entry(seen: Option<Seen>) -> ReportEntry {
    ReportEntry {
        seen,
        device: device(PHONE),
        log: LogId([3; 16]),
        code: ReportCode::Fork,
        seq: Seq(4),
        evidence: Digest([5; 32]),
    }
}

/// Every row of the table: a name, the body, and sets of signers each of which just suffices.
fn rows(stage: &Stage) -> Vec<(&'static str, CompanyBody, Vec<Vec<SigningKey>>)> {
    let Stage { founded, hold, opening } = stage;
    let seen = founded.seen();
    let keys = &founded.keys;
    let (root, issuing, hr) = (&keys.root, &keys.issuing, &keys.hr);
    let [admin, admin2] = &keys.admins;
    let [officer, officer2, officer3] = &keys.officers;
    let [council, council2] = &keys.council;
    let phone = &device_key(PHONE);
    let new = key(900);
    let switch = KeySwitch { seen, key: new.public(), active: true };
    let two_roles = || vec![vec![hr, officer], vec![admin, council], vec![officer, council2]];
    let further = further_device(seen, ANNA, 12);
    let rewrap =
        RewrapEntry { seen, old: Vec::new(), new: Vec::new(), count: 1, list: Digest([6; 32]) };
    let checkpoint = TreeHead { era: 0, size: 1, root: Digest([7; 32]) };
    let restore = CompanyRestore { seen, checkpoint, count: 1, list_root: Digest([8; 32]) };
    let handover = HandoverEntry { seen, from: user(ANNA), to: user(2), scope: Scope::default() };
    let log_key = LogKeyEntry { seen, ed25519: new.public(), ml_dsa: Bytes(vec![1; 1312]) };
    let witness = WitnessEntry {
        seen,
        name: "council.example/witness".to_owned(),
        key: Bytes(vec![2; 1312]),
        active: true,
    };
    let role = |role| holding(seen, 900, None, role, true).into();
    let reset_order = ResetOrder { seen, log: LogId([3; 16]), reason: "broken".to_owned() };
    let revoke = RevokeEntry { seen, device: device(PHONE), reason: RevokeReason::Left };
    let opened = OpenedEntry { seen, opening: *opening, counts: Vec::new() };
    let archive = archive_key(seen, ArchiveSide::A, 0x77);
    let rows: Vec<(&str, CompanyBody, Vec<Vec<&SigningKey>>)> = vec![
        ("root_rotation", RootRotation { seen, key: new.public() }.into(), vec![vec![root, &new]]),
        ("issuing_key", CompanyBody::IssuingKey(switch.clone()), vec![vec![root]]),
        ("enrolment_authority", CompanyBody::EnrolmentAuthority(switch), vec![vec![root]]),
        ("log_key", log_key.into(), vec![vec![root]]),
        ("witness", witness.into(), vec![vec![root]]),
        ("device, first", founded.first_device(2, 13).into(), vec![vec![issuing]]),
        ("device, further", further.into(), vec![vec![issuing, phone], vec![issuing, admin]]),
        (
            "device of a newcomer without voucher",
            further_device(seen, 3, 14).into(),
            vec![vec![issuing, admin]],
        ),
        ("revoke", revoke.into(), vec![vec![hr], vec![admin], vec![&keys.scim]]),
        ("role admin", role(Role::Admin), vec![vec![root], vec![admin, admin2]]),
        ("role hr", role(Role::Hr), vec![vec![root], vec![admin, admin2]]),
        ("role officer", role(Role::Officer), vec![vec![root]]),
        ("role council", role(Role::Council), vec![vec![root, council], vec![root, council2]]),
        ("role scim", role(Role::Scim), vec![vec![root]]),
        ("policy", policy(seen, 2, b"council", b"new").into(), vec![vec![admin, hr]]),
        (
            "policy, council part",
            policy(seen, 2, b"new", b"rest").into(),
            vec![vec![admin, hr, council]],
        ),
        ("archive_key", archive.into(), vec![vec![root, officer, officer3, council]]),
        ("opening", opening_entry(seen, "why").into(), vec![vec![officer, officer2, council]]),
        ("opened", opened.into(), vec![vec![council]]),
        ("hold", hold_entry(seen).into(), vec![vec![officer]]),
        ("release", ReleaseEntry { seen, hold: *hold }.into(), vec![vec![officer, officer2]]),
        (
            "erase, expiry",
            erase_entry(seen, EraseReason::Expiry, Some(3)).into(),
            vec![vec![&keys.retention]],
        ),
        ("erase, early", erase_entry(seen, EraseReason::Early, None).into(), two_roles()),
        (
            "erase, rewrap",
            erase_entry(seen, EraseReason::Rewrap, None).into(),
            vec![vec![officer, council]],
        ),
        ("handover", handover.into(), vec![vec![hr, council]]),
        ("rewrap", rewrap.into(), vec![vec![officer, council]]),
        ("restore", restore.into(), vec![vec![admin, officer]]),
        ("close", close_entry(seen).into(), vec![vec![phone], vec![hr], vec![officer]]),
        ("class 0", class_entry(seen, 0).into(), vec![vec![officer]]),
        ("class 3", class_entry(seen, 3).into(), two_roles()),
        ("reset_order", reset_order.into(), vec![vec![admin]]),
        ("report", report_entry(seen).into(), vec![vec![phone]]),
    ];
    rows.into_iter()
        .map(|(name, body, sets)| {
            let sets = sets.into_iter().map(|set| set.into_iter().cloned().collect()).collect();
            (name, body, sets)
        })
        .collect()
}

fn finding(stage: &Stage, body: &CompanyBody, keys: &[&SigningKey]) -> Option<Finding> {
    let entry = stage.founded.entry(body.clone(), keys);
    let mut company = stage.founded.company.clone();
    let before = company.size();
    let applied = company.apply(&entry).expect("the entry continues the chain");
    assert_eq!(company.size(), before + 1, "an entry that does not count is chained all the same");
    let checked =
        stage.founded.company.check(&entry.head, entry.payload.bytes().unwrap(), entry.t_ms);
    assert_eq!(
        checked.err(),
        applied.finding(),
        "what the server asks before is what all judge after"
    );
    applied.finding()
}

#[test]
fn each_kind_counts_with_its_signatures_and_with_more_of_them() {
    let stage = stage();
    let more = key(COUNCIL[1]);
    for (name, body, sets) in rows(&stage) {
        for (i, set) in sets.iter().enumerate() {
            let mut set: Vec<_> = set.iter().collect();
            assert_eq!(finding(&stage, &body, &set), None, "{name}, set {i}");
            if !set.contains(&&more) {
                set.push(&more);
            }
            assert_eq!(finding(&stage, &body, &set), None, "{name}, set {i} and one more");
        }
    }
}

#[test]
fn each_kind_without_one_of_its_signatures_does_not_count() {
    let stage = stage();
    for (name, body, sets) in rows(&stage) {
        for (i, set) in sets.iter().enumerate() {
            for left_out in 0..set.len() {
                let fewer: Vec<_> = set
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != left_out)
                    .map(|(_, key)| key)
                    .collect();
                let suffices =
                    sets.iter().any(|other| other.iter().all(|key| fewer.contains(&key)));
                assert!(!suffices, "the sets of the table are minimal");
                let found = finding(&stage, &body, &fewer);
                assert_eq!(found, Some(Finding::Signatures), "{name}, set {i} without {left_out}");
            }
        }
    }
}

#[test]
fn each_kind_with_a_wrong_role_in_place_of_a_right_one_does_not_count() {
    let stage = stage();
    let keys = &stage.founded.keys;
    // The retention key signs expiries and nothing else; there the SCIM key stands in for it.
    for (name, body, sets) in rows(&stage) {
        for set in &sets {
            for replaced in 0..set.len() {
                let wrong =
                    if set[replaced] == keys.retention { &keys.scim } else { &keys.retention };
                let mut signers: Vec<_> = set.iter().collect();
                signers[replaced] = wrong;
                let found = finding(&stage, &body, &signers);
                assert_eq!(found, Some(Finding::Signatures), "{name}, {replaced} replaced");
            }
        }
    }
}

#[test]
fn each_kind_with_one_broken_signature_among_good_ones_does_not_count() {
    let stage = stage();
    for (name, body, sets) in rows(&stage) {
        for set in &sets {
            let set: Vec<_> = set.iter().collect();
            let (head, payload) = crate::company::entry::company_entry(COMPANY, body.clone(), &set);
            let mut payload =
                crate::company::entry::CompanyPayload::parse(body.kind(), &payload).unwrap();
            let (id, signature) = payload.signatures.last_mut().unwrap();
            signature.0[0] ^= 1;
            let expected = Some(Finding::BadSignature(*id));
            let bytes = crate::encoding::encode(&payload);
            let found = stage.founded.company.check(&head, &bytes, stage.founded.t_ms).err();
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn two_keys_of_one_officer_are_one_officer() {
    let stage = stage();
    let same = key(SECOND_KEY_OF_OFFICER);
    let [officer, officer2, _] = &stage.founded.keys.officers;
    let council = &stage.founded.keys.council[0];
    let opening = opening_entry(stage.founded.seen(), "why").into();
    let found = finding(&stage, &opening, &[officer, &same, council]);
    assert_eq!(found, Some(Finding::Signatures));
    assert_eq!(finding(&stage, &opening, &[officer, &same, officer2, council]), None);
}

#[test]
fn one_key_with_two_roles_plays_one_part_and_not_both() {
    let mut stage = stage();
    let admin = stage.founded.keys.admins[0].clone();
    let root = stage.founded.keys.root.clone();
    let also_hr = holding(stage.founded.seen(), ADMINS[0], Some(user(ADMINS[0])), Role::Hr, true);
    stage.founded.must(also_hr, &[&root]);
    let policy = policy(stage.founded.seen(), 2, b"council", b"new").into();
    assert_eq!(finding(&stage, &policy, &[&admin]), Some(Finding::Signatures));
    let second_admin = &stage.founded.keys.admins[1];
    assert_eq!(finding(&stage, &policy, &[&admin, second_admin]), None, "HR and admin");
}

#[test]
fn the_two_keys_on_the_server_are_not_two_different_roles() {
    let stage = stage();
    let keys = &stage.founded.keys;
    let early = erase_entry(stage.founded.seen(), EraseReason::Early, None).into();
    let found = finding(&stage, &early, &[&keys.scim, &keys.retention]);
    assert_eq!(found, Some(Finding::Signatures));
}

#[test]
fn a_key_that_is_not_active_spoils_the_entry_even_beside_enough_others() {
    let stage = stage();
    let [officer, officer2, _] = &stage.founded.keys.officers;
    let opening = opening_entry(stage.founded.seen(), "why").into();
    let retired = key(RETIRED_OFFICER);
    let found = finding(&stage, &opening, &[officer, officer2, &retired]);
    assert_eq!(found, Some(Finding::InactiveSigner(retired.public().id())));
    for stranger in [&key(999), &stage.founded.keys.authority, &stage.founded.keys.log] {
        let found = finding(&stage, &opening, &[officer, officer2, stranger]);
        assert_eq!(found, Some(Finding::UnknownSigner(stranger.public().id())));
    }
}

#[test]
fn after_a_rotation_the_old_root_signs_nothing_more() {
    let mut stage = stage();
    let (old, new) = (stage.founded.keys.root.clone(), key(900));
    let rotation = RootRotation { seen: stage.founded.seen(), key: new.public() };
    stage.founded.must(rotation, &[&old, &new]);
    let role: CompanyBody = holding(stage.founded.seen(), 901, None, Role::Officer, true).into();
    let found = finding(&stage, &role, &[&old]);
    assert_eq!(found, Some(Finding::InactiveSigner(old.public().id())));
    assert_eq!(finding(&stage, &role, &[&new]), None);
}

#[test]
fn a_handover_needs_the_council_unless_the_policy_says_that_it_does_not() {
    let mut stage = stage();
    let keys = &stage.founded.keys;
    let (admin, hr, council) = (keys.admins[0].clone(), keys.hr.clone(), keys.council[0].clone());
    let handover = |seen| -> CompanyBody {
        HandoverEntry { seen, from: user(ANNA), to: user(2), scope: Scope::default() }.into()
    };
    let found = finding(&stage, &handover(stage.founded.seen()), &[&hr]);
    assert_eq!(found, Some(Finding::Signatures));
    let council_part = crate::encoding::encode(&(0u64, "text".to_owned()));
    let policy = policy(stage.founded.seen(), 2, &council_part, b"rest");
    stage.founded.must(policy, &[&admin, &hr, &council]);
    assert_eq!(finding(&stage, &handover(stage.founded.seen()), &[&hr]), None);
}

#[test]
fn a_handover_that_was_signed_before_one_between_the_same_two_ended_does_not_outlive_it() {
    let mut stage = stage();
    let keys = &stage.founded.keys;
    let (hr, council) = (keys.hr.clone(), keys.council[0].clone());
    let seen = stage.founded.seen();
    let handover = |to, scope| -> CompanyBody {
        HandoverEntry { seen, from: user(ANNA), to: user(to), scope }.into()
    };
    let ended = Scope { t_from: Some(1), t_to: Some(0), ..Scope::default() };
    let mut ends = handover(2, ended);
    let all = handover(2, Scope::default());
    assert_eq!(finding(&stage, &all, &[&hr, &council]), None);
    stage.founded.must(all, &[&hr, &council]);
    let CompanyBody::Handover(body) = &mut ends else { unreachable!() };
    body.seen = stage.founded.seen();
    let end = body.seen.unwrap().seq.next();
    stage.founded.must(ends, &[&hr, &council]);
    // Both signed it as well, for another part, and nobody sent it until now.
    let held_back = handover(2, Scope { t_from: Some(5), ..Scope::default() });
    let found = finding(&stage, &held_back, &[&hr, &council]);
    assert_eq!(found, Some(Finding::Replay(end)));
    let elsewhere = handover(3, Scope::default());
    assert_eq!(finding(&stage, &elsewhere, &[&hr, &council]), None, "between others");
}

#[test]
fn nobody_hands_over_to_himself_or_only_what_certain_people_wrote() {
    let stage = stage();
    let (hr, council) = (stage.founded.keys.hr.clone(), stage.founded.keys.council[0].clone());
    let users = vec![user(2)];
    for (to, scope) in [(ANNA, Scope::default()), (2, Scope { users, ..Scope::default() })] {
        let body =
            HandoverEntry { seen: stage.founded.seen(), from: user(ANNA), to: user(to), scope };
        let found = finding(&stage, &body.into(), &[&hr, &council]);
        assert_eq!(found, Some(Finding::Contradiction), "{to}");
    }
}
