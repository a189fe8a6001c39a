//! History grants: what the server takes, to whom it hands out what, and for how long.

use axum::http::StatusCode;
use hauspost_core::group::commit::Change;
use hauspost_protocol::authorise::Rule;
use hauspost_protocol::body::{GrantBasis, GrantBody, InviteBody, InviteOp, SignedPayload};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{BlobRef, Entry, Head, Kind};
use hauspost_protocol::ids::{DeviceId, Digest, Gen, KeyId, Seq};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::wire::{HistoryRequest, NewEntry, Outcome, path};

use super::conversation::{at, entries, two};
use super::documents::{Document, OK, not_found};
use super::world::{Phone, Room, World, newest};
use crate::serve::limits::PAGE_BYTES;

/// A conversation that Carol came to later: records 3 to 5 were not for her, the first with a document.
struct Later {
    world: World,
    anna: Phone,
    ben: Phone,
    carol: Phone,
    room: Room,
    document: Document,
}

impl Later {
    async fn new() -> Self {
        let (world, mut anna, ben, mut room) = two().await;
        let document = Document::seal(1, room.log, 10);
        anna.put_missing(&world, room.log, &document).await;
        let said = vec![
            document.record(&room, 0, 0),
            room.record(0, 1, b"before"),
            room.record(0, 2, b"also before"),
        ];
        assert!(matches!(anna.append(&world, &room.request(said)).await[2], Outcome::Ok(Seq(5))));
        let carol = world.phone(3).await;
        let seen = Some(newest(&entries(&world, &anna, room.log).await));
        let body = InviteBody {
            seen,
            at: at(&world, &anna).await,
            op: InviteOp::Invite,
            user: carol.user(),
        };
        let head = Head::plain(Kind::Invite, room.log, Gen(0), room.epoch);
        let invite = signed(&anna, &head, encode(&body));
        assert_eq!(anna.append(&world, &room.request(vec![invite])).await, [Outcome::Ok(Seq(6))]);
        let seen = Some(newest(&entries(&world, &anna, room.log).await));
        let adds = anna.take(&world, &[&carol]).await;
        let change = Change { adds, ..Default::default() };
        let judged_by = at(&world, &anna).await;
        let request = anna.commit(&mut room, change, seen, judged_by, None);
        let outcomes = anna.append(&world, &request).await;
        assert_eq!(outcomes, [Outcome::Ok(Seq(7)), Outcome::Ok(Seq(8))]);
        Self { world, anna, ben, carol, room, document }
    }

    /// A key list that this phone uploaded.
    async fn list(&self, by: &Phone, key: u8) -> Document {
        let list = Document::seal(key, self.room.log, 100);
        by.put_missing(&self.world, self.room.log, &list).await;
        list
    }

    async fn grant_of(
        &self,
        by: &Phone,
        to: DeviceId,
        ranges: &[(u64, u64)],
        blob: BlobRef,
    ) -> NewEntry {
        let body = GrantBody {
            seen: Some(newest(&entries(&self.world, by, self.room.log).await)),
            at: at(&self.world, by).await,
            grantee: KeyId(to.0),
            basis: GrantBasis::Member,
            ranges: ranges.iter().map(|(from, to)| (Seq(*from), Seq(*to))).collect(),
            enc: Bytes(vec![1; 1120]),
            ct: Bytes(vec![2; 48]),
        };
        let head = Head::plain(Kind::Grant, self.room.log, Gen(0), self.room.epoch);
        signed(by, &Head { blobs: vec![blob], ..head }, encode(&body))
    }

    async fn grants(
        &self,
        by: &Phone,
        to: &Phone,
        ranges: &[(u64, u64)],
        list: &Document,
    ) -> Outcome {
        let blob = (list.root, list.layout.blob_size());
        let entry = self.grant_of(by, to.device(), ranges, blob).await;
        self.append(by, entry).await
    }

    async fn append(&self, by: &Phone, entry: NewEntry) -> Outcome {
        by.append(&self.world, &self.room.request(vec![entry])).await.remove(0)
    }

    /// The numbers of the records that this phone gets of those that it asks for.
    async fn gets(&self, phone: &Phone, seqs: &[u64]) -> Vec<u64> {
        let seqs = seqs.iter().map(|seq| Seq(*seq)).collect();
        let request = HistoryRequest { log: self.room.log, seqs };
        let entries: Vec<Entry> = self.world.ask(path::HISTORY, &phone.token, &request).await;
        assert!(entries.iter().all(|entry| entry.payload.bytes().is_some()));
        entries.into_iter().map(|entry| entry.seq.0).collect()
    }
}

fn signed(by: &Phone, head: &Head, body: Vec<u8>) -> NewEntry {
    let head = encode(head);
    let payload = encode(&SignedPayload::sign(&by.key, &head, body, by.device()));
    (Bytes(head), Bytes(payload))
}

#[tokio::test]
async fn a_grant_opens_its_entries_their_documents_and_its_keys_to_its_grantee_and_nobody_else() {
    let later = Later::new().await;
    let Later { world, anna, ben, carol, room, document } = &later;
    let list = later.list(anna, 2).await;
    assert_eq!(later.gets(carol, &[3, 4, 5]).await, [0; 0]);
    assert_eq!(carol.get(world, room.log, document, 0).await, not_found());
    assert_eq!(later.grants(anna, carol, &[(3, 4)], &list).await, Outcome::Ok(Seq(9)));

    assert_eq!(later.gets(carol, &[5, 4, 3, 2, 8, 77]).await, [4, 3], "in the order asked");
    assert_eq!(carol.get(world, room.log, document, 0).await, (OK, document.chunks[0].clone()));
    assert_eq!(carol.get(world, room.log, &list, 0).await, (OK, list.chunks[0].clone()));
    assert_eq!(later.gets(ben, &[3, 4]).await, [0; 0], "he has them without it");
    assert_eq!(ben.get(world, room.log, &list, 0).await, not_found());
    assert_eq!(anna.get(world, room.log, &list, 0).await, not_found());
    let sent = entries(world, carol, room.log).await;
    assert_eq!(sent[4].payload.bytes(), None, "the news stay as they were");
    assert!(sent[9].payload.bytes().is_some());

    // Carol can give on what she was given, and nothing else.
    let list = later.list(carol, 3).await;
    let refused = Outcome::Authorise(Rule::GrantRange.code());
    assert_eq!(later.grants(carol, ben, &[(3, 5)], &list).await, refused);
    assert_eq!(later.grants(carol, ben, &[(3, 4), (8, 9)], &list).await, Outcome::Ok(Seq(10)));
}

#[tokio::test]
async fn a_grant_names_one_whole_small_blob_of_its_author_that_nothing_else_names() {
    let later = Later::new().await;
    let Later { world, anna, carol, room, document, ben } = &later;
    let grant = async |blob: BlobRef| {
        let entry = later.grant_of(anna, carol.device(), &[(3, 3)], blob).await;
        later.append(anna, entry).await
    };
    let missing = Document::seal(2, room.log, 100);
    let blob = (missing.root, missing.layout.blob_size());
    assert_eq!(grant(blob).await, Outcome::Blob(missing.root));
    let size = document.layout.blob_size();
    assert_eq!(grant((document.root, size)).await, Outcome::Policy, "a record's document");
    let bens = later.list(ben, 3).await;
    assert_eq!(grant((bens.root, bens.layout.blob_size())).await, Outcome::Policy);
    let list = later.list(anna, 4).await;
    let blob = (list.root, list.layout.blob_size());
    assert_eq!(grant((list.root, blob.1 + 1)).await, Outcome::Blob(list.root));
    assert_eq!(grant((Digest([5; 32]), (256 << 10) + 1)).await, Outcome::TooLarge);
    assert_eq!(grant(blob).await, Outcome::Ok(Seq(9)));
    let again = later.grant_of(anna, carol.device(), &[(4, 4)], blob).await;
    assert_eq!(later.append(anna, again).await, Outcome::Policy, "a grant's list");
    assert_eq!(later.gets(carol, &[3, 4]).await, [3]);
    // Nor does a record come by somebody's keys.
    let (head, payload) = list.record(room, 0, 0);
    let sent = anna.append(world, &room.request(vec![(head, payload)])).await;
    assert!(!matches!(sent[..], [Outcome::Ok(_)]));
}

#[tokio::test]
async fn who_was_given_the_past_gives_it_on_in_one_piece_with_what_he_had_himself() {
    let it = Later::new().await;
    let first = it.list(&it.anna, 9).await;
    assert_eq!(it.grants(&it.anna, &it.carol, &[(3, 4)], &first).await, Outcome::Ok(Seq(9)));
    // Between what she has lie an invitation, and a record that she was not given.
    let list = it.list(&it.carol, 8).await;
    let beyond = it.grants(&it.carol, &it.ben, &[(4, 8)], &list).await;
    assert_eq!(beyond, Rule::GrantRange.into());
    let second = it.list(&it.anna, 7).await;
    assert_eq!(it.grants(&it.anna, &it.carol, &[(5, 5)], &second).await, Outcome::Ok(Seq(10)));
    assert_eq!(it.grants(&it.carol, &it.ben, &[(3, 8)], &list).await, Outcome::Ok(Seq(11)));
}

#[tokio::test]
async fn a_key_list_goes_two_weeks_after_it_was_picked_up() {
    let later = Later::new().await;
    let list = later.list(&later.anna, 2).await;
    let granted = later.grants(&later.anna, &later.carol, &[(3, 5)], &list).await;
    assert_eq!(granted, Outcome::Ok(Seq(9)));
    let Later { mut world, carol, room, .. } = later;
    world.advance(30 * DAY_MS);
    world.reopen(|_| {}).await;
    assert_eq!(world.app.collect_garbage().await.unwrap(), 0, "nobody picked it up");
    let carol = world.sign_in_again(carol).await;
    assert_eq!(carol.get(&world, room.log, &list, 0).await.0, OK);
    world.advance(14 * DAY_MS);
    assert_eq!(world.app.collect_garbage().await.unwrap(), 0, "not a moment too early");
    world.advance(1);
    assert_eq!(world.app.collect_garbage().await.unwrap(), 1);
    let carol = world.sign_in_again(carol).await;
    assert_eq!(carol.get(&world, room.log, &list, 0).await, not_found());
    let request = HistoryRequest { log: room.log, seqs: vec![Seq(5)] };
    let entries: Vec<Entry> = world.ask(path::HISTORY, &carol.token, &request).await;
    assert_eq!(entries.len(), 1, "what it opened is still hers to read");
}

#[tokio::test]
async fn who_is_put_out_gets_nothing_more_by_a_grant() {
    let mut later = Later::new().await;
    let list = later.list(&later.anna, 2).await;
    let granted = later.grants(&later.anna, &later.carol, &[(3, 5)], &list).await;
    assert_eq!(granted, Outcome::Ok(Seq(9)));
    let seen = Some(newest(&entries(&later.world, &later.anna, later.room.log).await));
    let removes = vec![hauspost_protocol::ids::LeafIndex(2)];
    let judged_by = at(&later.world, &later.anna).await;
    let change = Change { removes, ..Default::default() };
    let request = later.anna.commit(&mut later.room, change, seen, judged_by, None);
    assert!(matches!(later.anna.append(&later.world, &request).await[0], Outcome::Ok(_)));
    let Later { world, carol, room, document, .. } = &later;
    let request = HistoryRequest { log: room.log, seqs: vec![Seq(3)] };
    assert_eq!(world.post(path::HISTORY, Some(&carol.token), &request).await, not_found());
    for blob in [document, &list] {
        assert_eq!(carol.get(world, room.log, blob, 0).await, not_found());
    }
}

#[tokio::test]
async fn a_history_key_is_handed_out_to_devices_and_no_request_is_too_large() {
    let (world, anna, ben, room) = two().await;
    let key: Bytes =
        world.get(&format!("{}/{}", path::HISTORY_KEY, ben.device()), Some(&anna.token)).await;
    assert_eq!(key.len(), 1_216);
    let unknown = format!("{}/{}", path::HISTORY_KEY, DeviceId([99; 16]));
    let answer = world.raw("GET", &unknown, Some(&anna.token), vec![]).await;
    assert_eq!(answer, not_found());
    let own = format!("{}/{}", path::HISTORY_KEY, ben.device());
    assert_eq!(world.raw("GET", &own, None, vec![]).await.0, StatusCode::UNAUTHORIZED);
    let request = HistoryRequest { log: room.log, seqs: vec![Seq(0); 257] };
    let answer = world.post(path::HISTORY, Some(&anna.token), &request).await;
    assert_eq!(answer.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn however_much_was_granted_so_many_bytes_go_out_at_once_and_the_rest_when_it_is_asked_for() {
    let mut later = Later::new().await;
    later.room.cap = Seq(8);
    let Later { world, anna, carol, room, .. } = &later;
    let big = vec![7; 60_000];
    for four in 0..5 {
        let said = (4 * four..4 * four + 4).map(|index| room.record(0, index, &big)).collect();
        assert!(matches!(anna.append(world, &room.request(said)).await[3], Outcome::Ok(_)));
    }
    let list = later.list(anna, 2).await;
    assert_eq!(later.grants(anna, carol, &[(9, 28)], &list).await, Outcome::Ok(Seq(29)));
    let all: Vec<u64> = (9..29).rev().collect();
    let first = later.gets(carol, &all).await;
    assert!(first.len() * big.len() <= PAGE_BYTES && first.len() > 10, "{}", first.len());
    let rest = later.gets(carol, &all[first.len()..]).await;
    assert_eq!([first, rest].concat(), all);
}
