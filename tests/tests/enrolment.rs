//! What goes wrong when a phone is enrolled or opened: each a plain word, and nothing is deleted.

use std::path::Path;
use std::sync::Arc;

use hauspost_core::account::{Account, AccountError};
use hauspost_core::env::Env;
use hauspost_core::env::seeded::{ManualClock, MemoryKeyStore};
use hauspost_core::env::system::SystemRandomness;
use hauspost_core::sync::{Https, NetworkError};
use hauspost_protocol::ids::Digest;
use hauspost_protocol::invitation::{Invitation, Trust};
use hauspost_tests::disk::SmallDisk;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World, env};

async fn refused(world: &World, phone: &Env, invitation: &Invitation) -> AccountError {
    let refused = world.try_to_enrol("anna", &invitation.to_text(), phone.clone()).await;
    refused.err().expect("nobody is enrolled by this")
}

async fn enrols(world: &World, phone: Env, invitation: &str) {
    world.try_to_enrol("anna", invitation, phone).await.unwrap().settle().await;
}

async fn invitation(world: &mut World, handle: &str) -> Invitation {
    world.invited(handle).await.1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_to_another_company_is_refused_before_anything_is_told() {
    let mut world = World::found().await;
    let (phone, good) = (env(Arc::new(Https)), invitation(&mut world, "anna").await);
    let wrong = Invitation { pin: Digest([9; 32]), ..good.clone() };
    let error = refused(&world, &phone, &wrong).await;
    assert_eq!(error.code(), "wrong-company");
    assert_eq!(
        error.to_string(),
        "the server is not that of the company that the invitation names"
    );
    // Nothing was begun: the right invitation enrols the same phone, in the same folder.
    enrols(&world, phone, &good.to_text()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_the_certificate_of_another_authority_is_not_spoken_to() {
    let mut world = World::found().await;
    let other = World::found_as(8).await;
    let (phone, good) = (env(Arc::new(Https)), invitation(&mut world, "anna").await);
    let foreign = Invitation { trust: other.trust(), ..good.clone() };
    let error = refused(&world, &phone, &foreign).await;
    assert_eq!(error.to_string(), NetworkError::Untrusted.to_string());
    // A phone that was told to trust the public roots does not take the company's own authority.
    let public = Invitation { trust: Trust::PublicRoots, ..good.clone() };
    let error = refused(&world, &phone, &public).await;
    assert_eq!(error.to_string(), NetworkError::Untrusted.to_string());
    enrols(&world, phone, &good.to_text()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_voucher_enrols_nobody() {
    let mut world = World::found().await;
    let phone = env(Arc::new(Https));
    let (_, text) = world.invited_for("anna", std::time::Duration::ZERO).await;
    let error = refused(&world, &phone, &text.parse().unwrap()).await;
    assert_eq!(error.code(), "invitation-refused", "{error}");
    assert!(!error.is_retryable());
    // The next invitation is good for the same phone, in the same folder.
    let (_, text) = world.invited("anna").await;
    enrols(&world, phone, &text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_enrols_one_phone() {
    let mut world = World::found().await;
    let good = invitation(&mut world, "anna").await;
    let first = world.enrol("anna", &good.to_text()).await;
    let thief = world.try_to_enrol("thief", &good.to_text(), env(Arc::new(Https))).await;
    let error = thief.err().unwrap();
    assert_eq!(error.code(), "invitation-refused", "{error}");
    first.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_invitation_is_said_to_be_none() {
    let (world, phone) = (World::found().await, env(Arc::new(Https)));
    for text in ["", "hallo", "hauspost1:", "hauspost1:AAAA", "hauspost1:%%%"] {
        let refused = world.try_to_enrol("anna", text, phone.clone()).await;
        assert_eq!(refused.err().unwrap().code(), "invitation", "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_offline_and_the_enrolment_goes_on_later() {
    let mut world = World::found().await;
    let good = invitation(&mut world, "anna").await;
    let network = Hostile::default();
    let env = env(network.network());
    network.answers(|_| Some(Err(NetworkError::Unreachable)));
    let refused = world.try_to_enrol("anna", &good.to_text(), env.clone()).await.err().unwrap();
    assert_eq!((refused.code(), refused.is_retryable()), ("offline", true));
    assert_eq!(refused.to_string(), "the server cannot be reached");
    // The server takes the request and its answer is lost: the same device asks again.
    network.is_honest_again();
    network.loses_answers("/v1/enrol");
    let refused = world.try_to_enrol("anna", &good.to_text(), env.clone()).await.err().unwrap();
    assert_eq!((refused.code(), refused.is_retryable()), ("offline", true));
    network.is_honest_again();
    world.try_to_enrol("anna", &good.to_text(), env).await.unwrap().settle().await;
}

async fn enrolled() -> (World, Phone) {
    let (world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.writes_first(&ben, "da").await;
    anna.account.suspend().await;
    (world, anna)
}

fn database(folder: &Path) -> std::path::PathBuf {
    folder.join("hauspost.db")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_does_not_open_the_database_and_deletes_nothing() {
    let (_world, anna) = enrolled().await;
    let (folder, right) = (anna.folder().to_owned(), anna.env().clone());
    drop(anna);
    let before = std::fs::read(database(&folder)).unwrap();
    let mut wrong = right.clone();
    wrong.key_store = Arc::new(MemoryKeyStore::new(&SystemRandomness));
    let error = Account::open(&folder, wrong).await.err().unwrap();
    assert_eq!(error.code(), "wrong-key");
    assert!(std::fs::read(database(&folder)).unwrap() == before, "not a byte was changed");
    Account::open(&folder, right).await.unwrap().sync_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_named_and_left_as_it_is() {
    let (_world, anna) = enrolled().await;
    let (folder, env) = (anna.folder().to_owned(), anna.env().clone());
    drop(anna);
    let path = database(&folder);
    let whole = std::fs::read(&path).unwrap();
    for (what, damage) in [
        (
            "first page",
            whole.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 200)).collect(),
        ),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("no database", b"Lieferschein Nr. 4711".repeat(400)),
    ] {
        std::fs::write(&path, &damage).unwrap();
        let opened = Account::open(&folder, env.clone()).await;
        let error = match opened {
            Err(error) => error,
            Ok(account) => account.sync_all().await.expect_err(what),
        };
        assert!(["wrong-key", "database"].contains(&error.code()), "{what}: {error}");
        assert!(error.to_string().contains("nothing was changed"), "{what}: {error}");
        assert!(std::fs::read(&path).unwrap() == damage, "{what}: changed");
    }
    std::fs::write(&path, &whole).unwrap();
    Account::open(&folder, env).await.unwrap().sync_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_clock_is_off_by_years_talks_all_the_same() {
    let mut world = World::found().await;
    let ben = world.phone("ben").await;
    for (handle, year_ms) in [("past", 946_684_800_000), ("future", 4_102_444_800_000)] {
        let (_, text) = world.invited(handle).await;
        let mut env = env(Arc::new(Https));
        env.clock = Arc::new(ManualClock::at(year_ms));
        let phone = world.try_to_enrol(handle, &text, env).await.unwrap();
        let log = phone.writes_first(&ben, "wie spät ist es?").await;
        ben.settle().await;
        assert_eq!(ben.texts(log).await, ["wie spät ist es?"]);
        ben.account.send_text(log, "zu spät").await.unwrap();
        ben.settle().await;
        phone.settle().await;
        assert_eq!(phone.texts(log).await, ["wie spät ist es?", "zu spät"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_says_so_and_what_was_written_before_is_there() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    let log = anna.writes_first(&ben, "vorher").await;
    anna.fills_its_disk().await;
    let long = "Lieferschein ".repeat(2_000);
    let mut error = None;
    for _ in 0..50 {
        if let Err(refused) = anna.account.send_text(log, &long).await {
            error = Some(refused);
            break;
        }
    }
    let error = error.expect("the disk is full at last");
    assert_eq!((error.code(), error.is_retryable()), ("disk-full", true));
    assert_eq!(error.to_string(), "the disk is full");
    assert_eq!(anna.texts(log).await.first().map(String::as_str), Some("vorher"));
    anna.empties_its_disk().await;
    anna.account.send_text(log, "nachher").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let texts = ben.texts(log).await;
    assert_eq!(texts.first().map(String::as_str), Some("vorher"));
    assert_eq!(texts.last().map(String::as_str), Some("nachher"));
    assert_eq!(ben.gaps(log).await + ben.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_file_system_says_so_and_what_was_written_before_is_there() {
    let mut world = World::found().await;
    let disk = match SmallDisk::on(&world.phone_folder("anna")) {
        Ok(disk) => disk,
        Err(reason) => return eprintln!("skipped, since no file system can be mounted: {reason}"),
    };
    let anna = world.phone("anna").await;
    let ben = world.phone("ben").await;
    let log = anna.writes_first(&ben, "vorher").await;
    disk.fill();
    let long = "Lieferschein ".repeat(2_000);
    let mut refused = None;
    // The write-ahead log has some room of its own, which is used first.
    for _ in 0..500 {
        if let Err(error) = anna.account.send_text(log, &long).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the disk is full at last");
    assert_eq!((refused.code(), refused.is_retryable()), ("disk-full", true), "{refused}");
    assert_eq!(anna.texts(log).await.first().map(String::as_str), Some("vorher"));
    disk.make_room();
    anna.account.send_text(log, "nachher").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let texts = ben.texts(log).await;
    assert_eq!(texts.first().map(String::as_str), Some("vorher"));
    assert_eq!(texts.last().map(String::as_str), Some("nachher"));
    assert_eq!(ben.gaps(log).await + ben.alarms().await, 0);
    drop((anna, disk));
}
