//! Who gets a device (docs/attacks.md 1, 19).

use crate::company::body::*;
use crate::company::finding::Finding;
use crate::company::fixture::*;
use crate::company::voucher::Voucher;
use crate::crypto::SigningKey;
use crate::ids::Seq;

const ANNA: u32 = 1;
const BEN: u32 = 2;

fn found(founded: &Founded, body: DeviceEntry, keys: &[&SigningKey]) -> Option<Finding> {
    let entry = founded.entry(body, keys);
    founded.company.check(&entry.head, entry.payload.bytes().unwrap(), entry.t_ms).err()
}

/// The entry with its seed's signature made anew, after a field was changed.
fn resealed(body: DeviceEntry, seed: u32) -> DeviceEntry {
    let seed_signature = Some(enrolment_of(&body).sign(&key(seed)));
    DeviceEntry { seed_signature, ..body }
}

#[test]
fn a_server_with_the_issuing_key_enrols_nobody_by_itself() {
    let mut founded = Founded::new();
    let issuing = founded.keys.issuing.clone();
    // A ghost for a user without a device, and a second phone for one who has one.
    let ghost = further_device(founded.seen(), ANNA, 11);
    assert_eq!(found(&founded, ghost, &[&issuing]), Some(Finding::Signatures));
    founded.enrol(ANNA, 11);
    let second = further_device(founded.seen(), ANNA, 12);
    assert_eq!(found(&founded, second, &[&issuing]), Some(Finding::Signatures));
    // A voucher signed by itself, and one that it intercepted without the seed.
    let mut forged = founded.first_device(BEN, 21);
    let seed = key(2_021).public();
    forged.voucher = Some(Voucher::sign(&issuing, COMPANY, seed, None, u64::from(u32::MAX)));
    assert_eq!(found(&founded, forged, &[&issuing]), Some(Finding::VoucherAuthority));
    let mut intercepted = founded.first_device(BEN, 21);
    intercepted.signature_key = device_key(22).public();
    assert_eq!(found(&founded, intercepted, &[&issuing]), Some(Finding::SeedSignature));
}

#[test]
fn a_voucher_does_not_give_a_further_device() {
    let mut founded = Founded::new();
    let phone = founded.enrol(ANNA, 11);
    let issuing = founded.keys.issuing.clone();
    let second = founded.first_device(ANNA, 12);
    assert_eq!(found(&founded, second.clone(), &[&issuing]), Some(Finding::Signatures));
    assert_eq!(found(&founded, second.clone(), &[&issuing, &phone]), None);
    let ben = founded.enrol(BEN, 21);
    let second = founded.first_device(ANNA, 12);
    assert_eq!(found(&founded, second, &[&issuing, &ben]), Some(Finding::Signatures));
}

#[test]
fn each_rule_of_a_voucher_is_kept() {
    let mut founded = Founded::new();
    founded.enrol(BEN, 21);
    let issuing = founded.keys.issuing.clone();
    let good = founded.first_device(ANNA, 11);
    let with = |user, not_after| {
        let seed = key(2_011).public();
        Some(Voucher::sign(&founded.keys.authority, COMPANY, seed, user, not_after))
    };
    let used = key(2_021);
    let used_voucher =
        Voucher::sign(&founded.keys.authority, COMPANY, used.public(), None, u64::MAX >> 1);
    let weak = Voucher::sign(&founded.keys.authority, COMPANY, small_order(), None, u64::MAX >> 1);
    let table = [
        ("any user", DeviceEntry { voucher: with(None, founded.t_ms), ..good.clone() }, None),
        (
            "another user",
            DeviceEntry { voucher: with(Some(user(BEN)), founded.t_ms), ..good.clone() },
            Some(Finding::VoucherUser),
        ),
        (
            "expired",
            DeviceEntry { voucher: with(None, founded.t_ms - 1), ..good.clone() },
            Some(Finding::VoucherExpired),
        ),
        (
            "seed used before",
            resealed(DeviceEntry { voucher: Some(used_voucher), ..good.clone() }, 2_021),
            Some(Finding::VoucherUsed),
        ),
        (
            "seed of small order",
            DeviceEntry { voucher: Some(weak), ..good.clone() },
            Some(Finding::SmallOrder),
        ),
        (
            "no seed signature",
            DeviceEntry { seed_signature: None, ..good.clone() },
            Some(Finding::VoucherForm),
        ),
        ("no voucher", DeviceEntry { voucher: None, ..good.clone() }, Some(Finding::VoucherForm)),
        ("another seed", resealed(good.clone(), 2_099), Some(Finding::SeedSignature)),
        (
            "another keystore key than signed",
            DeviceEntry { keystore_key: [3; 33], ..good.clone() },
            Some(Finding::SeedSignature),
        ),
    ];
    for (name, body, expected) in table {
        assert_eq!(found(&founded, body, &[&issuing]), expected, "{name}");
    }
}

#[test]
fn a_retired_authority_vouches_for_nobody() {
    let mut founded = Founded::new();
    let (root, issuing) = (founded.keys.root.clone(), founded.keys.issuing.clone());
    let authority = founded.keys.authority.public();
    let retired = KeySwitch { seen: founded.seen(), key: authority, active: false };
    founded.must(CompanyBody::EnrolmentAuthority(retired), &[&root]);
    let late = founded.first_device(ANNA, 11);
    assert_eq!(found(&founded, late, &[&issuing]), Some(Finding::VoucherAuthority));
}

#[test]
fn a_device_keeps_its_user_and_key_and_a_key_its_device() {
    let mut founded = Founded::new();
    let phone = founded.enrol(ANNA, 11);
    founded.enrol(BEN, 21);
    let keys = &founded.keys;
    let signers = [&keys.issuing, &phone, &keys.admins[0]];
    let renewed = further_device(founded.seen(), ANNA, 11);
    let table = [
        ("renewed certificate", renewed.clone(), None),
        (
            "another user",
            DeviceEntry { user: user(BEN), ..renewed.clone() },
            Some(Finding::DeviceChanged(device(11))),
        ),
        (
            "another key",
            DeviceEntry { signature_key: device_key(77).public(), ..renewed.clone() },
            Some(Finding::DeviceChanged(device(11))),
        ),
        (
            "the same key under another device",
            DeviceEntry { device: device(12), ..renewed.clone() },
            Some(Finding::KeyInUse(phone.public().id())),
        ),
        (
            "a role's key",
            DeviceEntry { device: device(12), signature_key: keys.hr.public(), ..renewed.clone() },
            Some(Finding::KeyInUse(keys.hr.public().id())),
        ),
        (
            "a key of small order",
            DeviceEntry { device: device(12), signature_key: small_order(), ..renewed.clone() },
            Some(Finding::SmallOrder),
        ),
        (
            "a keystore key that is no compressed point",
            DeviceEntry { keystore_key: [4; 33], ..renewed.clone() },
            Some(Finding::KeyForm),
        ),
    ];
    for (name, body, expected) in table {
        assert_eq!(found(&founded, body, &signers), expected, "{name}");
    }
}

#[test]
fn a_replacement_revokes_the_old_device_of_the_same_user_and_no_other() {
    let mut founded = Founded::new();
    founded.enrol(ANNA, 11);
    founded.enrol(BEN, 21);
    let (issuing, admin) = (founded.keys.issuing.clone(), founded.keys.admins[0].clone());
    let body = further_device(founded.seen(), ANNA, 12);
    for wrong in [12, 21, 99] {
        let replaces = Some(device(wrong));
        let found = found(&founded, DeviceEntry { replaces, ..body.clone() }, &[&issuing, &admin]);
        assert_eq!(found, Some(Finding::Replaces(device(wrong))));
    }
    let before = founded.company.size();
    let seq = founded.must(DeviceEntry { replaces: Some(device(11)), ..body }, &[&issuing, &admin]);
    let company = &founded.company;
    assert!(company.at(before).is_active(device(11)) && !company.at(before).is_revoked(device(11)));
    assert_eq!(company.now().revoked_at(device(11)), Some(seq));
    let active: Vec<_> = company.now().devices_of(user(ANNA)).map(|phone| phone.device).collect();
    assert_eq!(active, [device(12)]);
}

#[test]
fn a_revoked_device_neither_signs_nor_comes_back_nor_is_revoked_twice() {
    let mut founded = Founded::new();
    let phone = founded.enrol(ANNA, 11);
    let (issuing, hr) = (founded.keys.issuing.clone(), founded.keys.hr.clone());
    let revoke = |seen| RevokeEntry { seen, device: device(11), reason: RevokeReason::Lost };
    let held_back = founded.seen();
    founded.must(revoke(founded.seen()), &[&hr]);
    let again = founded.append(revoke(founded.seen()), &[&hr]);
    assert_eq!(again.finding(), Some(Finding::DeviceRevoked(device(11))));
    let renewed = further_device(founded.seen(), ANNA, 11);
    let admin = founded.keys.admins[0].clone();
    let back = found(&founded, renewed, &[&issuing, &admin]);
    assert_eq!(back, Some(Finding::DeviceRevoked(device(11))));
    let second = further_device(founded.seen(), ANNA, 12);
    let signed = found(&founded, second, &[&issuing, &phone]);
    assert_eq!(signed, Some(Finding::InactiveSigner(phone.public().id())));
    // An admin's approval from before the revocation, held back by the server until after it.
    let late = found(&founded, further_device(held_back, ANNA, 12), &[&issuing, &admin]);
    assert_eq!(late, Some(Finding::Replay(Seq(founded.company.size() - 2))));
    let now = found(&founded, further_device(founded.seen(), ANNA, 12), &[&issuing, &admin]);
    assert_eq!(now, None);
}

#[test]
fn a_renewed_certificate_counts_beside_the_old_one() {
    let mut founded = Founded::new();
    let phone = founded.enrol(ANNA, 11);
    let issuing = founded.keys.issuing.clone();
    let before = founded.company.size();
    let old = founded.company.now().device(device(11)).unwrap().certificate;
    let new = crate::ids::Digest([0x99; 32]);
    let renewed = DeviceEntry { certificate: new, ..further_device(founded.seen(), ANNA, 11) };
    founded.must(renewed, &[&issuing, &phone]);
    let now = founded.company.now();
    assert_eq!(now.device(device(11)).unwrap().certificate, new);
    assert!(now.has_certificate(device(11), &old) && now.has_certificate(device(11), &new));
    assert!(!founded.company.at(before).has_certificate(device(11), &new));
}
