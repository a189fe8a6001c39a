//! Founding, enrolling, sessions.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::{FutureExt as _, StreamExt as _};
use hauspost_protocol::company::approval::{Applicant, WaitingDevice};
use hauspost_protocol::company::body::{CompanyBody, DeviceEntry};
use hauspost_protocol::company::entry::{CompanyPayload, company_entry};
use hauspost_protocol::company::voucher::{Voucher, enrol_request};
use hauspost_protocol::encoding::{Bytes, decode};
use hauspost_protocol::entry::Kind;
use hauspost_protocol::ids::{DeviceId, Digest, Seq, UserId};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::mls::member::{Suite, parse_key_package};
use hauspost_protocol::wire::{
    EnrolAnswer, EnrolRequest, Hello, NewEntry, Outcome, PackageTaken, PackagesTake, Principal,
    TOKEN_HEADER, path,
};

use super::world::{ADMIN, AUTHORITY, COMPANY, HR, World, config, enrol, key};
use crate::serve::App;

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_company_is_founded_once_and_the_token_is_gone() {
    let world = World::empty().await;
    let (request, token) = (world.founding().await, world.founding_token());
    let (status, _) = world.post(path::FOUND, Some("wrong"), &request).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = world.post(path::FOUND, Some(&token), &request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.founding_token(), "");
    let hello: Hello = world.get(path::HELLO, None).await;
    assert_eq!(hello.genesis.unwrap().head, request.entries[0].0);

    let again = world.post(path::FOUND, Some(&token), &request).await;
    assert_eq!(again.0, StatusCode::OK, "the same founding, after a lost answer");
    let mut other = request;
    other.entries[0] = other.entries[1].clone();
    let (status, body) = world.post(path::FOUND, Some(&token), &other).await;
    assert_eq!((status, text(&body)), (StatusCode::CONFLICT, "founded already"));
}

#[tokio::test]
async fn a_founding_whose_entries_do_not_count_leaves_nothing_behind() {
    let world = World::empty().await;
    let (request, token) = (world.founding().await, world.founding_token());
    let mut without_issuing = request.clone();
    without_issuing.entries.remove(1);
    let (status, body) = world.post(path::FOUND, Some(&token), &without_issuing).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(text(&body), "this server's issuing key is not certified");
    let mut unsigned = request.clone();
    unsigned.entries.swap(8, 9);
    let (status, _) = world.post(path::FOUND, Some(&token), &unsigned).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, _) = world.post(path::FOUND, Some(&token), &request).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn before_the_founding_everything_else_says_so() {
    let world = World::empty().await;
    let (status, body) = world.post(path::ENROL, None, &enrol(1, 0)).await;
    assert_eq!((status, text(&body)), (StatusCode::CONFLICT, "not_founded"));
    assert_eq!(world.make_checkpoint().await, None);
}

#[tokio::test]
async fn an_enrolment_key_enrols_one_device_and_the_same_request_gets_the_same_answer() {
    let world = World::founded().await;
    let request = enrol(1, world.now_ms());
    let (_, first) = world.post(path::ENROL, None, &request).await;
    let (status, second) = world.post(path::ENROL, None, &request).await;
    assert_eq!((status, &first), (StatusCode::OK, &second));
    decode::<EnrolAnswer>(&first).unwrap();

    let mut other = enrol(1, world.now_ms());
    other.device = DeviceId([77; 16]);
    let (status, _) = world.post(path::ENROL, None, &other).await;
    assert_eq!(status, StatusCode::CONFLICT, "the seed did not sign this device");
    let seed = hauspost_protocol::crypto::Secret::new([51; 32]);
    let voucher = decode(&request.voucher).unwrap();
    let names = (UserId([1; 16]), DeviceId([77; 16]));
    let other =
        enrol_request(COMPANY, &seed, &voucher, names, &key(77), request.keystore_key, &[1; 1_216]);
    let (status, body) = world.post(path::ENROL, None, &other).await;
    assert_eq!((status, text(&body)), (StatusCode::CONFLICT, "the voucher was used before"));
}

#[tokio::test]
async fn a_device_whose_other_keys_are_none_is_not_enrolled() {
    let world = World::founded().await;
    let good = enrol(1, world.now_ms());
    let no_point = [[2].as_slice(), &[0xff; 32]].concat().try_into().unwrap();
    for bad in [
        EnrolRequest { history_key: Bytes(vec![1; 1_215]), ..good.clone() },
        EnrolRequest { history_key: Bytes(vec![1; 1_217]), ..good.clone() },
        EnrolRequest { keystore_key: no_point, ..good.clone() },
    ] {
        assert_eq!(world.post(path::ENROL, None, &bad).await.0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_certificate_is_good_from_an_hour_ago_for_five_years() {
    let world = World::founded().await;
    let certificate = world.phone(1).await.certificate;
    let facts = certificate.facts();
    let now_s = world.now_ms() / 1_000;
    assert_eq!(facts.not_before_s, now_s - 3_600, "a phone's clock may be behind");
    assert_eq!(facts.not_after_s, now_s + 1_826 * 86_400);
}

#[tokio::test]
async fn attacks_1_a_device_without_a_voucher_of_the_authority_is_not_enrolled() {
    let world = World::founded().await;
    let mut request = enrol(1, world.now_ms());
    request.voucher = Bytes(vec![0x80]);
    let (status, _) = world.post(path::ENROL, None, &request).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let expired = enrol(2, world.now_ms() - 2_000_000);
    let (status, body) = world.post(path::ENROL, None, &expired).await;
    assert_eq!((status, text(&body)), (StatusCode::CONFLICT, "the voucher has expired"));
}

#[tokio::test]
async fn a_session_needs_the_keystore_key_and_ends_with_the_device() {
    let world = World::founded().await;
    let phone = world.phone(1).await;
    let mut request = phone.sign_in(&world).await;
    request.signature[5] ^= 1;
    assert_eq!(world.session(&request).await, Err(StatusCode::UNAUTHORIZED));
    let mut request = phone.sign_in(&world).await;
    request.principal = Principal::Device(DeviceId([2; 16]));
    assert_eq!(world.session(&request).await, Err(StatusCode::UNAUTHORIZED));
    let request = phone.sign_in(&world).await;
    world.advance(120_001);
    assert_eq!(world.session(&request).await, Err(StatusCode::UNAUTHORIZED), "an old challenge");

    let directory = || world.post(path::DIRECTORY, Some(&phone.token), &0u64);
    assert_eq!(directory().await.0, StatusCode::OK);
    assert!(matches!(world.revoke(phone.device()).await, Outcome::Ok(_)));
    assert_eq!(directory().await.0, StatusCode::UNAUTHORIZED);
    let request = phone.sign_in(&world).await;
    assert_eq!(world.session(&request).await, Err(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn a_token_ends_after_an_hour() {
    let world = World::founded().await;
    let token = world.role(ADMIN).await;
    world.advance(3_599_999);
    assert_eq!(world.post(path::DIRECTORY, Some(&token), &0u64).await.0, StatusCode::OK);
    world.advance(1);
    let (status, _) = world.post(path::DIRECTORY, Some(&token), &0u64).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn tokens_company_and_keys_survive_a_restart() {
    let world = World::founded().await;
    let phone = world.phone(1).await;
    let World { app, router: _still_held, folder, clock } = world;
    app.close().await.unwrap();
    let app = App::open(&config(&folder, &clock)).await.unwrap();
    let world = World { router: app.router(), app, folder, clock };
    let answer = phone.sync(&world, vec![]).await;
    assert_eq!(answer.company_size, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_that_enrol_at_once_while_others_read_all_enter() {
    let world = World::founded().await;
    let reader = world.phone(1).await;
    let enrolments = (2..16).map(|number| {
        let request = enrol(number, world.now_ms());
        async {
            let request = request;
            let (world, token) = (&world, &reader.token);
            let (enrolled, read) = tokio::join!(
                world.post(path::ENROL, None, &request),
                world.post(path::DIRECTORY, Some(token), &0u64)
            );
            assert_eq!((enrolled.0, read.0), (StatusCode::OK, StatusCode::OK));
        }
    });
    futures_util::future::join_all(enrolments).await;
    assert_eq!(world.company(&reader.token).await.now().devices().count(), 15);
}

#[tokio::test]
async fn a_package_that_is_too_old_or_from_the_future_is_given_to_nobody() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    world.advance(100 * DAY_MS);
    let ben = world.session(&ben.sign_in(&world).await).await.unwrap();
    let anna_device = anna.device();
    let take = async || {
        let take = PackagesTake { suite: Suite::Hybrid.code(), devices: vec![anna_device] };
        let taken: Vec<PackageTaken> = world.ask(path::PACKAGES_TAKE, &ben, &take).await;
        taken[0].package.is_some()
    };
    assert!(!take().await, "three of a hundred days ago, and the last resort as old");
    anna.token = world.session(&anna.sign_in(&world).await).await.unwrap();
    for (made_t_ms, fit) in [(world.now_ms() + DAY_MS, false), (world.now_ms(), true)] {
        let packages = anna.packages(Suite::Hybrid, 1, false, made_t_ms);
        let _: u64 = world.ask(path::PACKAGES_PUT, &anna.token, &packages).await;
        assert_eq!(take().await, fit);
    }
}

#[tokio::test]
async fn a_package_with_another_devices_certificate_is_not_stocked() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let now_ms = world.now_ms();
    let packages = anna.packages(Suite::Hybrid, 1, false, now_ms);
    let (status, _) = world.post(path::PACKAGES_PUT, Some(&ben.token), &packages).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = world.post(path::PACKAGES_PUT, Some(&anna.token), &packages).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn each_suite_has_a_stock_of_its_own_and_a_package_goes_to_its_own() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let devices = vec![anna.device()];
    let take = async |suite: u16| {
        let request = PackagesTake { suite, devices: devices.clone() };
        let taken: Vec<PackageTaken> = world.ask(path::PACKAGES_TAKE, &ben.token, &request).await;
        parse_key_package(taken[0].package.as_ref().unwrap()).unwrap()
    };
    // Three of one use and then the last resort, of each.
    for suite in Suite::ALL {
        let taken = [(); 5].map(|()| take(suite.code()));
        let taken = futures_util::future::join_all(taken).await;
        assert!(taken.iter().all(|package| package.ciphersuite() == suite.ciphersuite()));
        let last: Vec<bool> = taken.iter().map(|package| package.last_resort()).collect();
        assert_eq!(last.iter().filter(|last| **last).count(), 2, "{suite:?}");
    }

    let now_ms = world.now_ms();
    let mut packages = anna.packages(Suite::Classic, 1, false, now_ms);
    packages.suite = Suite::Hybrid.code();
    let (status, _) = world.post(path::PACKAGES_PUT, Some(&anna.token), &packages).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "named another suite than its own");
    packages.suite = 1;
    let (status, _) = world.post(path::PACKAGES_PUT, Some(&anna.token), &packages).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a suite that no group of ours has");

    assert!(matches!(world.revoke(anna.device()).await, Outcome::Ok(_)));
    for suite in Suite::ALL {
        let request = PackagesTake { suite: suite.code(), devices: devices.clone() };
        let taken: Vec<PackageTaken> = world.ask(path::PACKAGES_TAKE, &ben.token, &request).await;
        assert_eq!(taken[0].package, None);
    }
}

#[tokio::test]
async fn only_an_admin_changes_the_directory() {
    let world = World::founded().await;
    let phone = world.phone(1).await;
    let person = hauspost_protocol::wire::Person {
        user: UserId([1; 16]),
        handle: "anna".into(),
        name: Some("Anna Berg".into()),
    };
    let people = vec![person];
    let (status, _) = world.post(path::DIRECTORY_PUT, Some(&phone.token), &people).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let version: u64 = world.ask(path::DIRECTORY_PUT, &world.role(ADMIN).await, &people).await;
    let seen: hauspost_protocol::wire::Directory =
        world.ask(path::DIRECTORY, &phone.token, &0u64).await;
    assert_eq!((seen.version, seen.people), (version, people));
}

/// The request by which a further device of person 1 asks, and the server's answer.
pub(super) async fn further(world: &World) -> (EnrolRequest, EnrolAnswer) {
    let seed = hauspost_protocol::crypto::Secret::new([77; 32]);
    let seed_key = hauspost_protocol::crypto::SigningKey::from_seed(seed.clone()).public();
    let user = UserId([1; 16]);
    let ends = world.now_ms() + 1_000_000;
    let voucher = Voucher::sign(&key(AUTHORITY), COMPANY, seed_key, Some(user), ends);
    let names = (user, DeviceId([77; 16]));
    let keystore = super::world::keystore(77).1;
    let request = enrol_request(COMPANY, &seed, &voucher, names, &key(77), keystore, &[77; 1_216]);
    let (status, body) = world.post(path::ENROL, None, &request).await;
    assert_eq!(status, StatusCode::OK, "{}", text(&body));
    (request, decode(&body).unwrap())
}

#[tokio::test]
async fn attacks_1_a_further_device_enters_only_with_the_signature_of_one_who_may_give_it() {
    let world = World::founded().await;
    let (anna, ben) = (world.phone(1).await, world.phone(2).await);
    let (request, answer) = further(&world).await;
    assert_eq!(answer.company_seq, None);
    assert_eq!(further(&world).await.1, answer, "asked again, it is the same certificate");
    let seed = hauspost_protocol::crypto::Secret::new([77; 32]);
    let voucher = decode(&request.voucher).unwrap();
    let names = (UserId([1; 16]), DeviceId([78; 16]));
    let keystore = super::world::keystore(78).1;
    let other = enrol_request(COMPANY, &seed, &voucher, names, &key(78), keystore, &[78; 1_216]);
    let (status, body) = world.post(path::ENROL, None, &other).await;
    assert_eq!((status, text(&body)), (StatusCode::CONFLICT, "the voucher was used before"));
    let waiting: Vec<WaitingDevice> =
        world.ask(path::WAITING, &anna.token, &crate::serve::answer::Empty).await;
    let bens: Vec<WaitingDevice> =
        world.ask(path::WAITING, &ben.token, &crate::serve::answer::Empty).await;
    assert_eq!((waiting.len(), bens.len()), (1, 0));
    let admin = world.role(ADMIN).await;
    let company = world.company(&admin).await;
    let applicant = Applicant::check(&company, &waiting[0], world.now_ms()).unwrap();
    let approve = async |token: &str, entry: &NewEntry| {
        let (status, body) = world.post(path::APPROVE, Some(token), entry).await;
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    // Another person, HR, and nobody at all.
    for signer in [key(2), key(HR), key(200)] {
        let (status, _) = approve(&anna.token, &applicant.entry(&company, None, &signer)).await;
        assert_eq!(status, StatusCode::CONFLICT);
    }
    // The issuing key signs for no other device than the one that waits.
    let (head, payload) = applicant.entry(&company, None, &key(1));
    let payload = CompanyPayload::parse(Kind::Device, &payload).unwrap();
    let Ok(CompanyBody::Device(body)) = CompanyBody::parse(Kind::Device, &payload.body) else {
        panic!()
    };
    for other in [
        DeviceEntry { device: DeviceId([78; 16]), ..body.clone() },
        DeviceEntry { signature_key: key(78).public(), ..body.clone() },
        DeviceEntry { certificate: Digest([1; 32]), ..body.clone() },
        DeviceEntry { voucher: None, seed_signature: None, ..body.clone() },
    ] {
        let entry = company_entry(COMPANY, other, &[&key(1)]);
        assert_eq!(approve(&anna.token, &entry).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(world.company(&admin).await.size(), company.size());

    let signed = applicant.entry(&company, None, &key(1));
    assert_eq!(signed.0, head);
    let (status, first) = approve(&anna.token, &signed).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(approve(&anna.token, &signed).await, (status, first), "after a lost answer");
    let (_, body) = world.post(path::ENROL, None, &request).await;
    let enrolled: EnrolAnswer = decode(&body).unwrap();
    assert_eq!(enrolled.certificate, answer.certificate);
    assert_eq!(enrolled.company_seq, Some(Seq(company.size())));
    assert!(world.company(&admin).await.now().is_active(DeviceId([77; 16])));
    let key = format!("{}/{}", path::HISTORY_KEY, DeviceId([77; 16]));
    let (status, key) = world.raw("GET", &key, Some(&anna.token), Vec::new()).await;
    assert_eq!((status, decode::<Bytes>(&key)), (StatusCode::OK, Ok(request.history_key)));
}

#[tokio::test]
async fn a_person_s_phone_hears_that_a_further_device_waits_and_everybody_that_one_has_come() {
    let world = World::founded().await;
    let (anna, ben) = (world.phone(1).await, world.phone(2).await);
    let live = async |token: &str| {
        let request = Request::builder().uri(path::LIVE).header(TOKEN_HEADER, token);
        let request = request.body(Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(world.router.clone(), request).await.unwrap();
        let mut live = answer.into_body().into_data_stream();
        assert_eq!(&live.next().await.unwrap().unwrap()[..], b"\n", "at once");
        live
    };
    let (mut annas, mut bens) = (live(&anna.token).await, live(&ben.token).await);
    further(&world).await;
    assert_eq!(&annas.next().await.unwrap().unwrap()[..], b"\n");
    assert!(bens.next().now_or_never().is_none(), "it is nothing to Ben");
    let company = world.company(&anna.token).await;
    let waiting: Vec<WaitingDevice> =
        world.ask(path::WAITING, &anna.token, &crate::serve::answer::Empty).await;
    let applicant = Applicant::check(&company, &waiting[0], world.now_ms()).unwrap();
    let entry = applicant.entry(&company, None, &key(1));
    let (status, _) = world.post(path::APPROVE, Some(&anna.token), &entry).await;
    assert_eq!(status, StatusCode::OK);
    for live in [&mut annas, &mut bens] {
        assert_eq!(&live.next().await.unwrap().unwrap()[..], b"\n");
    }
}

#[tokio::test]
async fn a_further_device_whose_voucher_has_run_out_is_shown_to_nobody() {
    let world = World::founded().await;
    let anna = world.phone(1).await;
    further(&world).await;
    let waiting = async || -> Vec<WaitingDevice> {
        world.ask(path::WAITING, &anna.token, &crate::serve::answer::Empty).await
    };
    assert_eq!(waiting().await.len(), 1);
    world.advance(1_000_001);
    assert_eq!(waiting().await.len(), 0);
}

#[tokio::test]
async fn a_further_device_without_a_voucher_for_its_person_does_not_even_wait() {
    let world = World::founded().await;
    world.phone(1).await;
    let seed = hauspost_protocol::crypto::Secret::new([77; 32]);
    let seed_key = hauspost_protocol::crypto::SigningKey::from_seed(seed.clone()).public();
    let names = (UserId([1; 16]), DeviceId([77; 16]));
    let ends = world.now_ms() + 1_000_000;
    for (authority, user) in [(key(9), Some(UserId([1; 16]))), (key(AUTHORITY), None)] {
        let voucher = Voucher::sign(&authority, COMPANY, seed_key, user, ends);
        let keystore = super::world::keystore(77).1;
        let request =
            enrol_request(COMPANY, &seed, &voucher, names, &key(77), keystore, &[77; 1_216]);
        assert_eq!(world.post(path::ENROL, None, &request).await.0, StatusCode::CONFLICT);
    }
}
