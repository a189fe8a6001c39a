//! What a device stocks and takes before it appends, with its limits, and whose stock goes.

use axum::http::StatusCode;
use hauspost_core::group::commit::Change;
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::approval::{Applicant, WaitingDevice};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{DeviceId, LeafIndex, LogId};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::mls::public::parse_group_info;
use hauspost_protocol::wire::{AppendRequest, Outcome, PackagesPut, PackagesTake, path};

use super::conversation::{at, entries, two};
use super::entering::further;
use super::world::{Phone, World, key, newest};
use crate::serve::answer::Empty;
use crate::serve::limits::{PACKAGE_BYTES, PACKAGES, TAKEN_AT_ONCE};

async fn put(world: &World, phone: &Phone, packages: &PackagesPut) -> Result<u64, StatusCode> {
    let (status, body) = world.post(path::PACKAGES_PUT, Some(&phone.token), packages).await;
    if status != StatusCode::OK {
        return Err(status);
    }
    Ok(hauspost_protocol::encoding::decode(&body).unwrap())
}

/// How many packages the server has of a device, of both suites.
async fn stock(world: &World, device: DeviceId) -> Vec<u64> {
    let node = std::sync::Arc::clone(&world.app.0);
    let read = move |tx: &dyn crate::store::ReadTx| {
        Suite::ALL.iter().map(|suite| tx.packages(device, suite.code())).collect::<Result<_, _>>()
    };
    node.database.read::<Vec<u64>, crate::store::StoreError>(read).await.unwrap()
}

#[tokio::test]
async fn a_device_stocks_so_many_packages_and_a_new_last_resort_begins_the_stock_anew() {
    let world = World::founded().await;
    let mut anna = world.phone(1).await;
    let now_ms = world.now_ms();
    let made = anna.packages(Suite::Classic, PACKAGES + 1, false, now_ms);
    assert_eq!(put(&world, &anna, &made).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    // Three are there from the beginning.
    let some = |count: u64| PackagesPut {
        packages: made.packages[..count as usize].to_vec(),
        ..made.clone()
    };
    let full = put(&world, &anna, &some(PACKAGES - 2)).await;
    assert_eq!(full, Err(StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(stock(&world, anna.device()).await, [3, 3], "nothing of it is kept");
    assert_eq!(put(&world, &anna, &some(PACKAGES - 3)).await, Ok(PACKAGES));
    assert_eq!(put(&world, &anna, &some(1)).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    let anew = anna.packages(Suite::Classic, 2, true, now_ms);
    assert_eq!(put(&world, &anna, &anew).await, Ok(2));
    let long = PackagesPut { packages: vec![Bytes(vec![0; PACKAGE_BYTES + 1])], ..some(0) };
    assert_eq!(put(&world, &anna, &long).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    let long = PackagesPut { last_resort: Some(Bytes(vec![0; PACKAGE_BYTES + 1])), ..some(0) };
    assert_eq!(put(&world, &anna, &long).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
}

#[tokio::test]
async fn packages_of_so_many_devices_are_taken_at_once() {
    let world = World::founded().await;
    let anna = world.phone(1).await;
    for (devices, status) in
        [(TAKEN_AT_ONCE, StatusCode::OK), (TAKEN_AT_ONCE + 1, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let devices = vec![DeviceId([9; 16]); devices];
        let request = PackagesTake { suite: Suite::Classic.code(), devices };
        let taken = world.post(path::PACKAGES_TAKE, Some(&anna.token), &request).await;
        assert_eq!(taken.0, status);
    }
}

#[tokio::test]
async fn the_stock_of_a_device_that_is_revoked_or_replaced_goes() {
    let world = World::founded().await;
    let (anna, ben) = (world.phone(1).await, world.phone(2).await);
    assert_eq!(stock(&world, ben.device()).await, [3, 3]);
    assert!(matches!(world.revoke(ben.device()).await, Outcome::Ok(_)));
    assert_eq!(stock(&world, ben.device()).await, [0, 0]);

    further(&world).await;
    let waiting: Vec<WaitingDevice> = world.ask(path::WAITING, &anna.token, &Empty).await;
    let company = world.company(&anna.token).await;
    let applicant = Applicant::check(&company, &waiting[0], world.now_ms()).unwrap();
    let entry = applicant.entry(&company, Some(anna.device()), &key(1));
    let (status, _) = world.post(path::APPROVE, Some(&anna.token), &entry).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(stock(&world, anna.device()).await, [0, 0]);
}

#[tokio::test]
async fn a_number_that_has_a_conversation_begins_no_other_one() {
    let (world, mut anna, ben, room) = two().await;
    let other = (room.binding.log_no, LogId([199; 16]));
    let (_, request) = anna.draft_as(&world, LogType::Group, &[&ben], other).await;
    assert_eq!(anna.append(&world, &request).await, vec![Outcome::NoLog; 3]);
}

/// The status of the tree that this commit's GroupInfo names.
async fn tree(world: &World, phone: &Phone, request: &AppendRequest) -> StatusCode {
    let info = parse_group_info(request.group_info.as_ref().unwrap()).unwrap();
    let hash = hex::encode(info.group_context().tree_hash());
    let tree = format!("{}/{}/{hash}", path::TREE, request.log);
    world.raw("GET", &tree, Some(&phone.token), vec![]).await.0
}

#[tokio::test]
async fn the_tree_of_an_epoch_that_ended_is_kept_for_those_whom_a_welcome_leads_there() {
    let world = World::founded().await;
    let mut phones = Vec::new();
    for number in 1..=4 {
        phones.push(world.phone(number).await);
    }
    let mut anna = phones.remove(0);
    let peers: Vec<&Phone> = phones.iter().collect();
    let (mut room, created) = anna.draft(&world, LogType::Group, &peers).await;
    assert!(matches!(anna.append(&world, &created).await[2], Outcome::Ok(_)));
    let mut commits = Vec::new();
    for leaf in [3, 2] {
        let seen = Some(newest(&entries(&world, &anna, room.log).await));
        let judged_by = at(&world, &anna).await;
        let change = Change { removes: vec![LeafIndex(leaf)], ..Change::default() };
        let request = anna.commit(&mut room, change, seen, judged_by, None);
        assert!(matches!(
            anna.append(&world, &request).await[..],
            [Outcome::Ok(_), Outcome::Ok(_)]
        ));
        assert_eq!(tree(&world, &anna, &request).await, StatusCode::OK);
        commits.push(request);
    }
    assert_eq!(tree(&world, &anna, &created).await, StatusCode::OK);
    assert_eq!(tree(&world, &anna, &commits[0]).await, StatusCode::NOT_FOUND);
    assert_eq!(tree(&world, &anna, &commits[1]).await, StatusCode::OK);
}

#[tokio::test]
async fn a_batch_has_so_many_entries_and_none_twice() {
    let (world, anna, _ben, room) = two().await;
    let records = |count: u32| {
        let record = |index: u32| room.record(0, index, format!("{index}").as_bytes());
        room.request((0..count).map(record).collect())
    };
    let send = async |request: &AppendRequest| {
        world.post(path::APPEND, Some(&anna.token), request).await.0
    };
    assert_eq!(send(&records(17)).await, StatusCode::PAYLOAD_TOO_LARGE);
    let mut twice = records(2);
    twice.entries[1] = twice.entries[0].clone();
    assert_eq!(send(&twice).await, StatusCode::BAD_REQUEST);
    assert_eq!(send(&records(0)).await, StatusCode::BAD_REQUEST);
    assert_eq!(send(&records(16)).await, StatusCode::OK);
}
