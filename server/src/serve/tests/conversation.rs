//! Conversations: created, written to, changed, read, proven, opened.

use axum::http::StatusCode;
use hauspost_core::group::commit::Change;
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::body::Scope;
use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::{At, Entry, Kind};
use hauspost_protocol::ids::{Digest, Epoch, Gen, LeafIndex, LogId, Seq};
use hauspost_protocol::tree::checkpoint::Checkpoint;
use hauspost_protocol::tree::heads::{HeadsLeaf, OuterLeaf};
use hauspost_protocol::tree::merkle;
use hauspost_protocol::wire::{
    ArchiveAnswer, ArchiveRequest, ConsistencyRequest, HeadsProof, HeadsProofRequest, Outcome,
    SyncAnswer, SyncRequest, path,
};

use crate::serve::{Allowance, Quotas};

use super::world::{ADMIN, COMPANY, COUNCIL, OFFICERS, Phone, Room, World, newest};

pub async fn two() -> (World, Phone, Phone, Room) {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let room = anna.create(&world, LogType::Group, &[&ben]).await;
    (world, anna, ben, room)
}

pub async fn entries(world: &World, phone: &Phone, log: LogId) -> Vec<Entry> {
    let answer = phone.sync(world, vec![]).await;
    answer.logs.into_iter().find(|news| news.log == log).map_or(vec![], |news| news.entries)
}

pub async fn at(world: &World, phone: &Phone) -> At {
    let company = world.company(&phone.token).await;
    At { co: company.size(), company_hash: company.now().hash() }
}

#[tokio::test]
async fn what_one_writes_the_other_gets_with_welcome_and_tree() {
    let (world, anna, ben, room) = two().await;
    let sent = anna.append(&world, &room.request(vec![room.record(0, 0, b"Guten Morgen")])).await;
    assert_eq!(sent, [Outcome::Ok(Seq(3))]);
    let news = ben.sync(&world, vec![]).await;
    assert_eq!((news.logs.len(), news.more), (1, false));
    let news = &news.logs[0];
    assert_eq!((news.log, news.size, news.entries.len()), (room.log, 4, 4));
    assert_eq!(news.entries[3].payload.bytes(), Some(&b"Guten Morgen"[..]));
    assert_eq!(news.welcomes.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [Seq(1)]);

    let info = format!("{}/{}/0/1", path::GROUP_INFO, room.log);
    let infos: Vec<hauspost_protocol::encoding::Bytes> = world.get(&info, Some(&ben.token)).await;
    assert_eq!(infos.len(), 1);
    let carol = world.phone(3).await;
    let (status, _) = world.raw("GET", &info, Some(&carol.token), vec![]).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "a stranger");

    let next = ben.sync(&world, vec![(room.log, Seq(4))]).await;
    assert!(next.logs.is_empty());
}

#[tokio::test]
async fn a_joiner_fetches_the_tree_by_its_hash_and_enters() {
    let (world, _anna, mut ben, room) = two().await;
    let news = ben.sync(&world, vec![]).await;
    let welcome = news.logs[0].welcomes[0].1.clone();
    let follower_hash = {
        let info = format!("{}/{}/0/1", path::GROUP_INFO, room.log);
        let infos: Vec<hauspost_protocol::encoding::Bytes> =
            world.get(&info, Some(&ben.token)).await;
        let info = hauspost_protocol::mls::public::parse_group_info(&infos[0]).unwrap();
        hex::encode(info.group_context().tree_hash())
    };
    let tree = format!("{}/{}/{follower_hash}", path::TREE, room.log);
    let (status, tree) = world.raw("GET", &tree, Some(&ben.token), vec![]).await;
    assert_eq!(status, StatusCode::OK);
    let tree = hauspost_protocol::mls::public::parse_tree(&tree).unwrap();
    let joined = ben.run(|provider, _| {
        hauspost_core::group::join::join(provider, &welcome, tree).map(|joined| joined.ga)
    });
    joined.unwrap();
}

#[tokio::test]
async fn attacks_22_a_batch_sent_again_is_answered_dup_and_stands_once() {
    let (world, anna, ben, room) = two().await;
    let request = room.request(vec![room.record(0, 0, b"a"), room.record(0, 1, b"b")]);
    assert_eq!(anna.append(&world, &request).await, [Outcome::Ok(Seq(3)), Outcome::Ok(Seq(4))]);
    assert_eq!(anna.append(&world, &request).await, [Outcome::Dup(Seq(3)), Outcome::Dup(Seq(4))]);
    let more = room.request(vec![room.record(0, 1, b"b"), room.record(0, 2, b"c")]);
    assert_eq!(anna.append(&world, &more).await, [Outcome::Dup(Seq(4)), Outcome::Ok(Seq(5))]);
    assert_eq!(entries(&world, &ben, room.log).await.len(), 6);
}

#[tokio::test]
async fn an_entry_that_stands_twice_in_one_batch_is_refused() {
    let (world, anna, ben, room) = two().await;
    let request = room.request(vec![room.record(0, 0, b"a"), room.record(0, 0, b"a")]);
    let (status, _) = world.post(path::APPEND, Some(&anna.token), &request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(entries(&world, &ben, room.log).await.len(), 3);
}

#[tokio::test]
async fn attacks_23_a_slot_is_its_devices_and_the_next_one() {
    let (world, anna, ben, room) = two().await;
    let one = |phone: &Phone, entry| {
        let (token, request) = (phone.token.clone(), room.request(vec![entry]));
        let world = &world;
        async move {
            let outcomes: Vec<Outcome> = world.ask(path::APPEND, &token, &request).await;
            outcomes[0].clone()
        }
    };
    assert_eq!(one(&anna, room.record(0, 1, b"a")).await, Outcome::Gap(0));
    assert_eq!(one(&ben, room.record(0, 0, b"b")).await, Outcome::Leaf);
    assert_eq!(one(&anna, room.record(0, 0, b"c")).await, Outcome::Ok(Seq(3)));
    assert_eq!(one(&anna, room.record(0, 0, b"d")).await, Outcome::Conflict);
    let other_cap = Room { cap: Seq(1), binding: room.binding.clone(), ..room };
    assert_eq!(one(&anna, other_cap.record(0, 1, b"e")).await, Outcome::Cap);
}

#[tokio::test]
async fn a_batch_with_one_bad_entry_leaves_nothing_behind() {
    let (world, anna, ben, room) = two().await;
    let request = room.request(vec![room.record(0, 0, b"a"), room.record(0, 7, b"b")]);
    assert_eq!(anna.append(&world, &request).await, [Outcome::Gap(1), Outcome::Gap(1)]);
    assert_eq!(entries(&world, &ben, room.log).await.len(), 3);
    let right = room.request(vec![room.record(0, 0, b"a")]);
    assert_eq!(anna.append(&world, &right).await, [Outcome::Ok(Seq(3))]);
}

#[tokio::test]
async fn a_removed_device_reads_up_to_its_removal_and_no_further() {
    let (world, mut anna, ben, mut room) = two().await;
    anna.append(&world, &room.request(vec![room.record(0, 0, b"for both")])).await;
    let seen = newest(&entries(&world, &anna, room.log).await);
    let change = Change { removes: vec![LeafIndex(1)], ..Default::default() };
    let judged_by = at(&world, &anna).await;
    let request = anna.commit(&mut room, change, Some(seen), judged_by, None);
    assert_eq!(anna.append(&world, &request).await, [Outcome::Ok(Seq(4)), Outcome::Ok(Seq(5))]);
    room.cap = Seq(5);
    let sent = anna.append(&world, &room.request(vec![room.record(0, 0, b"alone")])).await;
    assert_eq!(sent, [Outcome::Ok(Seq(6))]);

    let bens = ben.sync(&world, vec![]).await;
    assert_eq!((bens.logs[0].size, bens.logs[0].entries.len()), (6, 6));
    assert_eq!(bens.logs[0].entries[3].payload.bytes(), Some(&b"for both"[..]));
    assert_eq!(entries(&world, &anna, room.log).await.len(), 7);
    let refused = ben.append(&world, &room.request(vec![room.record(1, 0, b"late")])).await;
    assert!(matches!(refused[0], Outcome::Left | Outcome::Leaf), "{refused:?}");
}

#[tokio::test]
async fn a_device_above_its_quota_hears_when_to_come_again_and_others_are_not_concerned() {
    let quotas = Quotas {
        entries: Allowance { at_once: 20, a_day: 2_400 },
        bytes: Allowance { at_once: 1 << 30, a_day: 1 << 30 },
        ..Quotas::default()
    };
    let world = World::founded_with(|config| config.quotas = quotas).await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let room = anna.create(&world, LogType::Group, &[&ben]).await;
    let records = |from: u32, count: u32| {
        let record = |index: u32| room.record(0, index, format!("record {index}").as_bytes());
        room.request((from..from + count).map(record).collect())
    };
    let taken = anna.append(&world, &records(0, 16)).await;
    assert!(taken.iter().all(|outcome| matches!(outcome, Outcome::Ok(_))), "{taken:?}");
    // With genesis, commit and capsule these are 19: one more is left, not two. 36 s pay one off.
    let not_before = world.clock.load(std::sync::atomic::Ordering::SeqCst) + 36_000;
    let refused = vec![Outcome::Quota(not_before); 2];
    assert_eq!(anna.append(&world, &records(16, 2)).await, refused);
    // What the log has already costs nothing, and what was refused neither.
    assert!(matches!(anna.append(&world, &records(0, 16)).await[0], Outcome::Dup(Seq(3))));
    assert_eq!(anna.append(&world, &records(16, 1)).await, [Outcome::Ok(Seq(19))]);
    let bens = room.request(vec![room.record(1, 0, b"of another")]);
    assert_eq!(ben.append(&world, &bens).await, [Outcome::Ok(Seq(20))]);
    world.advance(36_000);
    assert_eq!(anna.append(&world, &records(17, 1)).await, [Outcome::Ok(Seq(21))]);
    assert!(matches!(anna.append(&world, &records(18, 1)).await[0], Outcome::Quota(_)));
}

#[tokio::test]
async fn of_two_commits_that_are_judged_at_once_one_counts_and_the_other_is_stale() {
    let (world, mut anna, _, mut room) = two().await;
    let mut twin = anna.twin();
    let seen = Some(newest(&entries(&world, &anna, room.log).await));
    let (judged_by, epoch) = (at(&world, &anna).await, room.epoch);
    let change = || Change { removes: vec![LeafIndex(1)], ..Default::default() };
    let one = anna.commit(&mut room, change(), seen, judged_by, None);
    room.epoch = epoch;
    let other = twin.commit(&mut room, change(), seen, judged_by, None);
    assert_ne!(one.entries, other.entries);
    // Both are staged in the same epoch, whichever is written first.
    let both = tokio::join!(anna.append(&world, &one), twin.append(&world, &other));
    let counts = vec![Outcome::Ok(Seq(3)), Outcome::Ok(Seq(4))];
    let stale = vec![Outcome::Stale(Gen(0), Epoch(2)); 2];
    assert!(both == (counts.clone(), stale.clone()) || both == (stale, counts), "{both:?}");
    // The winner's epoch is the one that the next commit continues.
    let winner = if matches!(both.0[0], Outcome::Ok(_)) { &mut anna } else { &mut twin };
    let seen = Some(newest(&entries(&world, winner, room.log).await));
    let next = winner.commit(&mut room, Change::default(), seen, judged_by, None);
    world.advance(31 * 86_400_000);
    let winner = world.sign_in_again(winner.twin()).await;
    let taken = winner.append(&world, &next).await;
    assert_eq!(taken, [Outcome::Ok(Seq(5)), Outcome::Ok(Seq(6))]);
}

#[tokio::test]
async fn a_newcomer_sees_earlier_records_without_their_payloads() {
    let (world, mut anna, _ben, mut room) = two().await;
    anna.append(&world, &room.request(vec![room.record(0, 0, b"before")])).await;
    let seen = newest(&entries(&world, &anna, room.log).await);
    let carol = world.phone(3).await;
    // The company log has moved on; an invite comes first, since carol is not in genesis.
    let invite = {
        use hauspost_protocol::body::{InviteBody, InviteOp, SignedPayload};
        use hauspost_protocol::encoding::{Bytes, encode};
        use hauspost_protocol::entry::Head;
        let at = at(&world, &anna).await;
        let body = InviteBody { seen: Some(seen), at, op: InviteOp::Invite, user: carol.user() };
        let head = encode(&Head::plain(Kind::Invite, room.log, Gen(0), room.epoch));
        let signed = SignedPayload::sign(&anna.key, &head, encode(&body), anna.device());
        (Bytes(head), Bytes(encode(&signed)))
    };
    assert_eq!(anna.append(&world, &room.request(vec![invite])).await, [Outcome::Ok(Seq(4))]);
    let seen = newest(&entries(&world, &anna, room.log).await);
    let take = hauspost_protocol::wire::PackagesTake {
        suite: hauspost_protocol::mls::member::Suite::Hybrid.code(),
        devices: vec![carol.device()],
    };
    let taken: Vec<hauspost_protocol::wire::PackageTaken> =
        world.ask(path::PACKAGES_TAKE, &anna.token, &take).await;
    let package = taken[0].package.clone().unwrap();
    let adds = vec![hauspost_protocol::mls::member::parse_key_package(&package).unwrap()];
    let change = Change { adds, ..Default::default() };
    let judged_by = at(&world, &anna).await;
    let request = anna.commit(&mut room, change, Some(seen), judged_by, None);
    assert_eq!(anna.append(&world, &request).await, [Outcome::Ok(Seq(5)), Outcome::Ok(Seq(6))]);

    let carols = entries(&world, &carol, room.log).await;
    assert_eq!(carols.len(), 7);
    assert_eq!(carols[3].payload.bytes(), None);
    assert!(carols[4].payload.bytes().is_some());
}

#[tokio::test]
async fn s7_no_record_stands_in_an_epoch_with_a_revoked_device() {
    let (world, anna, ben, room) = two().await;
    assert!(matches!(world.revoke(ben.device()).await, Outcome::Ok(_)));
    let refused = anna.append(&world, &room.request(vec![room.record(0, 0, b"a")])).await;
    assert_eq!(refused, [Outcome::RemoveFirst(vec![1])]);
}

#[tokio::test]
async fn of_two_people_there_is_one_conversation_and_its_number_is_taken_once() {
    let world = World::founded().await;
    let (mut anna, mut ben) = (world.phone(1).await, world.phone(2).await);
    let (_, bens) = ben.draft(&world, LogType::Dm, &[&anna]).await;
    let (_, annas) = anna.draft(&world, LogType::Dm, &[&ben]).await;
    assert!(matches!(anna.append(&world, &annas).await[0], Outcome::Ok(_)));
    assert_eq!(ben.append(&world, &bens).await, vec![Outcome::Policy; 3]);
    // The batch is signed by its creator; another session cannot bring it.
    let (_, group) = anna.draft(&world, LogType::Group, &[&ben]).await;
    assert_eq!(ben.append(&world, &group).await[0], Outcome::Role);
    let unknown = super::world::append_request(LogId([250; 16]), vec![annas.entries[1].clone()]);
    assert_ne!(anna.append(&world, &unknown).await[0], Outcome::Ok(Seq(0)));
}

#[tokio::test]
async fn a_checkpoint_is_made_for_each_change_and_when_the_newest_is_old() {
    let (world, anna, _, room) = two().await;
    let hour = std::time::Duration::from_secs(3_600);
    let made = async || world.app.make_checkpoint(hour).await.unwrap();
    assert_eq!((made().await, made().await), (Some(1), None));
    anna.append(&world, &room.request(vec![room.record(0, 0, b"news")])).await;
    assert_eq!((made().await, made().await), (Some(2), None));
    let _: hauspost_protocol::ids::LogNo =
        world.ask(path::RESERVE, &anna.token, &crate::serve::answer::Empty).await;
    assert_eq!((made().await, made().await), (Some(3), None));
    world.advance(3_599_999);
    assert_eq!(made().await, None);
    world.advance(1);
    assert_eq!((made().await, made().await), (Some(4), None));
}

#[tokio::test]
async fn a_checkpoint_covers_all_logs_and_its_proofs_hold() {
    let (world, anna, _ben, room) = two().await;
    assert_eq!(world.make_checkpoint().await, Some(1));
    assert_eq!(world.make_checkpoint().await, None, "nothing was appended");
    anna.append(&world, &room.request(vec![room.record(0, 0, b"a")])).await;
    world.advance(10_000);
    assert_eq!(world.make_checkpoint().await, Some(2));
    world.advance(300_000);
    assert_eq!(world.make_checkpoint().await, Some(3), "at least every five minutes");

    let checkpoint = Some((0, 1));
    let request = SyncRequest { since: None, cursors: vec![], company_next: Seq(0), checkpoint };
    let answer: SyncAnswer = world.ask(path::SYNC, &anna.token, &request).await;
    let news = answer.checkpoint.unwrap();
    let company = world.company(&anna.token).await;
    let checkpoint = Checkpoint::parse(&news.note).unwrap();
    let head = checkpoint.verify(COMPANY, company.now().log_key().unwrap()).unwrap();
    assert_eq!((head.era, head.size), (0, 3));
    let leaf = OuterLeaf::parse(&news.leaf).unwrap();
    merkle::verify_inclusion(leaf.leaf_hash(), 2, 3, &news.inclusion, head.root).unwrap();

    let request = HeadsProofRequest { era: 0, size: 3, logs: vec![room.log, COMPANY.log()] };
    let proofs: Vec<HeadsProof> = world.ask(path::PROOF_HEADS, &anna.token, &request).await;
    for (proof, log) in proofs.iter().zip(request.logs) {
        let heads: HeadsLeaf = decode(&proof.leaf).unwrap();
        assert_eq!(heads.log.unwrap().log, log);
        let place = proof.position.0;
        let hash = heads.leaf_hash();
        merkle::verify_inclusion(hash, place, leaf.logs, &proof.path, leaf.heads_root).unwrap();
    }
    let request = ConsistencyRequest { era: 0, old: 1, new: 3 };
    let proof: Vec<Digest> = world.ask(path::PROOF_CONSISTENCY, &anna.token, &request).await;
    assert_eq!(proof, news.consistency);
    let request = ConsistencyRequest { era: 0, old: 1, new: 4 };
    let (status, _) = world.post(path::PROOF_CONSISTENCY, Some(&anna.token), &request).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_place_is_proven_under_the_root_that_was_asked_about_however_often_and_in_which_order() {
    let (world, anna, _ben, room) = two().await;
    let mut leaves = Vec::new();
    for index in 0..6 {
        anna.append(&world, &room.request(vec![room.record(0, index, b"a")])).await;
        world.advance(10_000);
        assert!(world.make_checkpoint().await.is_some());
        let request =
            SyncRequest { since: None, cursors: vec![], company_next: Seq(0), checkpoint: None };
        let answer: SyncAnswer = world.ask(path::SYNC, &anna.token, &request).await;
        leaves.push(OuterLeaf::parse(&answer.checkpoint.unwrap().leaf).unwrap());
    }
    let there_and_back: Vec<usize> = (0..6).chain((0..6).rev()).collect();
    for (size, leaf) in there_and_back.iter().map(|at| (*at as u64 + 1, leaves[*at])) {
        let request = HeadsProofRequest { era: 0, size, logs: vec![room.log] };
        let proofs: Vec<HeadsProof> = world.ask(path::PROOF_HEADS, &anna.token, &request).await;
        let heads: HeadsLeaf = decode(&proofs[0].leaf).unwrap();
        let (place, path) = (proofs[0].position.0, &proofs[0].path);
        merkle::verify_inclusion(heads.leaf_hash(), place, leaf.logs, path, leaf.heads_root)
            .unwrap();
    }
}

#[tokio::test]
async fn payloads_are_released_to_officers_under_an_opening_in_its_scope_and_to_nobody_else() {
    let (world, anna, ben, room) = two().await;
    anna.append(&world, &room.request(vec![room.record(0, 0, b"in")])).await;
    ben.append(&world, &room.request(vec![room.record(1, 0, b"of another")])).await;
    let scope = Scope {
        logs: vec![(room.log, Seq(0), None)],
        t_from: None,
        t_to: None,
        users: vec![anna.user()],
    };
    let opening = world.open_archive(scope).await;
    let released = |token: String, opening| {
        let (world, log) = (&world, room.log);
        async move {
            let request = ArchiveRequest { opening, log, from: Seq(0) };
            let (status, body) = world.post(path::ARCHIVE, Some(&token), &request).await;
            if status != StatusCode::OK {
                return Err(status);
            }
            let answer: ArchiveAnswer = decode(&body).unwrap();
            assert_eq!(answer.entries.len(), 5);
            assert!(answer.entries[..3].iter().all(|entry| entry.payload.bytes().is_some()));
            let is_there = |entry: &Entry| entry.payload.bytes().is_some();
            Ok(answer.entries[3..].iter().map(is_there).collect::<Vec<_>>())
        }
    };
    let officer = world.role(OFFICERS[0]).await;
    assert_eq!(released(officer.clone(), Some(opening)).await, Ok(vec![true, false]));
    assert_eq!(released(officer.clone(), None).await, Ok(vec![false, false]));
    assert_eq!(released(officer, Some(Seq(3))).await, Err(StatusCode::NOT_FOUND));
    let none = Ok(vec![false, false]);
    assert_eq!(released(world.role(COUNCIL).await, Some(opening)).await, none);
    assert_eq!(released(world.role(ADMIN).await, Some(opening)).await, none);
    let phone = released(anna.token.clone(), Some(opening)).await;
    assert_eq!(phone, Err(StatusCode::FORBIDDEN));
}

#[tokio::test]
async fn a_commit_and_its_capsule_come_on_one_page() {
    let (world, mut anna, ben, mut room) = two().await;
    let before = Room { binding: room.binding.clone(), ..room };
    let seen = newest(&entries(&world, &anna, room.log).await);
    let judged_by = at(&world, &anna).await;
    let change = Change { removes: vec![LeafIndex(1)], ..Default::default() };
    let commit = anna.commit(&mut room, change, Some(seen), judged_by, None);
    // Records that fill a page but for the commit and a little less than its capsule.
    let size =
        |(head, payload): &hauspost_protocol::wire::NewEntry| 40 + head.len() + payload.len();
    let mut left = crate::serve::limits::PAGE_BYTES - size(&commit.entries[0]) - 1_000;
    let (mut index, mut records) = (0, Vec::new());
    while left > 0 {
        let empty = size(&before.record(0, index, b""));
        let full = if left > 120_000 { 60_000 } else { left.div_ceil(2).max(left.min(40_000)) };
        records.push(before.record(0, index, &vec![7; full - empty]));
        (left, index) = (left - full, index + 1);
    }
    for batch in records.chunks(16) {
        let outcomes = anna.append(&world, &before.request(batch.to_vec())).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Ok(_))), "{outcomes:?}");
    }
    assert!(matches!(anna.append(&world, &commit).await[0], Outcome::Ok(_)));
    let company_next = Seq(judged_by.co);
    let cursors = vec![(room.log, Seq(3))];
    let request = SyncRequest { since: None, cursors, company_next, checkpoint: None };
    for phone in [&anna, &ben] {
        let answer: SyncAnswer = world.ask(path::SYNC, &phone.token, &request).await;
        assert_eq!(answer.logs[0].entries.len(), records.len() + 2);
        assert!(!answer.more);
    }
}

#[tokio::test]
async fn many_entries_come_in_pages_and_none_is_missing() {
    let (world, anna, ben, room) = two().await;
    for batch in 0..4 {
        let records = (0..16).map(|i| room.record(0, batch * 16 + i, &[7; 40_000])).collect();
        let outcomes = anna.append(&world, &room.request(records)).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Ok(_))));
    }
    let (mut next, mut pages, mut hash) = (Seq(0), 0, hauspost_protocol::ids::EntryHash::ZERO);
    loop {
        let answer = ben.sync(&world, vec![(room.log, next)]).await;
        pages += 1;
        for entry in answer.logs.iter().flat_map(|news| &news.entries) {
            assert_eq!(entry.seq, next);
            hash = entry.hash(hash);
            next = next.next();
        }
        if !answer.more {
            break;
        }
    }
    assert_eq!((next, pages > 2), (Seq(67), true));
}

#[tokio::test]
async fn who_names_a_number_gets_what_changed_after_it_and_the_logs_whose_cursors_it_names() {
    let (world, mut anna, ben, room) = two().await;
    let other = anna.create(&world, LogType::Group, &[&ben]).await;
    let company_next = Seq(world.company(&ben.token).await.size());
    let ask = async |since, cursors| -> SyncAnswer {
        let request = SyncRequest { since, cursors, company_next, checkpoint: None };
        world.ask(path::SYNC, &ben.token, &request).await
    };
    let news = |answer: &SyncAnswer| -> Vec<(LogId, Vec<Seq>)> {
        let seqs = |news: &hauspost_protocol::wire::LogNews| {
            (news.log, news.entries.iter().map(|entry| entry.seq).collect())
        };
        answer.logs.iter().map(seqs).collect()
    };
    let all = ask(None, Vec::new()).await;
    assert_eq!((all.logs.len(), all.more), (2, false));
    let now = all.now.unwrap();
    let nothing = ask(Some(now), Vec::new()).await;
    assert_eq!((news(&nothing), nothing.now, nothing.more), (vec![], Some(now), false));

    anna.append(&world, &room.request(vec![room.record(0, 0, b"a"), room.record(0, 1, b"b")]))
        .await;
    let answer = ask(Some(now), Vec::new()).await;
    assert_eq!(news(&answer), [(room.log, vec![Seq(3), Seq(4)])]);
    let named = ask(answer.now, vec![(other.log, Seq(1)), (room.log, Seq(5))]).await;
    assert_eq!(news(&named), [(other.log, vec![Seq(1), Seq(2)])]);

    // Of a store that is younger than the phone: the phone has to name its cursors.
    let unknown = ask(answer.now.map(|now| now + 1), vec![(room.log, Seq(0))]).await;
    assert_eq!((news(&unknown), unknown.now, unknown.more), (vec![], None, true));
}
