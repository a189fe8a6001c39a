//! History for a successor, as the server takes it and serves it: to his devices, up to the newest grant,
//! while the handover is in force, and nothing else (docs/protocol.md §10).

use hauspost_core::group::commit::Change;
use hauspost_protocol::authorise::Rule;
use hauspost_protocol::body::{GrantBasis, GrantBody, SignedPayload};
use hauspost_protocol::company::body::{CompanyBody, HandoverEntry, Scope};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Entry, Head, Kind};
use hauspost_protocol::ids::{CompanyId, Gen, KeyId, LeafIndex, Seq, UserId};
use hauspost_protocol::wire::{HistoryRequest, NewEntry, Outcome, Person, path};

use super::conversation::{at, entries, two};
use super::documents::{Document, OK, not_found};
use super::world::{ADMIN, COUNCIL, HR, Phone, Room, World, newest};
use crate::company::handover::{self, HandoverError, Wanted};

/// Anna and Ben said records 3 and 4, the first with a document; Carol was never in the conversation.
struct Leaving {
    world: World,
    anna: Phone,
    ben: Phone,
    carol: Phone,
    room: Room,
    document: Document,
}

impl Leaving {
    async fn new() -> Self {
        let (world, anna, ben, room) = two().await;
        let document = Document::seal(1, room.log, 10);
        anna.put_missing(&world, room.log, &document).await;
        let said = vec![document.record(&room, 0, 0), room.record(0, 1, b"before")];
        assert!(matches!(anna.append(&world, &room.request(said)).await[1], Outcome::Ok(Seq(4))));
        let carol = world.phone(3).await;
        Self { world, anna, ben, carol, room, document }
    }

    /// Ben's past goes to Carol, signed by these keys.
    async fn hands_over(&self, scope: Scope, keys: &[u8]) -> Outcome {
        self.hands_over_between(&self.ben, &self.carol, scope, keys).await
    }

    async fn hands_over_between(
        &self,
        from: &Phone,
        to: &Phone,
        scope: Scope,
        keys: &[u8],
    ) -> Outcome {
        let (from, to) = (from.user(), to.user());
        let body = HandoverEntry { seen: self.world.seen().await, from, to, scope };
        self.world.append_company(CompanyBody::Handover(body), keys).await
    }

    async fn handed(&self) -> Seq {
        match self.hands_over(Scope::default(), &[HR, COUNCIL]).await {
            Outcome::Ok(seq) => seq,
            other => panic!("{other:?}"),
        }
    }

    async fn grant(&self, to: &Phone, handover: Seq, ranges: &[(u64, u64)], key: u8) -> Outcome {
        let list = Document::seal(key, self.room.log, 100);
        self.anna.put_missing(&self.world, self.room.log, &list).await;
        let body = GrantBody {
            seen: Some(newest(&entries(&self.world, &self.anna, self.room.log).await)),
            at: at(&self.world, &self.anna).await,
            grantee: KeyId(to.device().0),
            basis: GrantBasis::Handover(handover),
            ranges: ranges.iter().map(|(from, to)| (Seq(*from), Seq(*to))).collect(),
            enc: Bytes(vec![1; 1120]),
            ct: Bytes(vec![2; 48]),
        };
        let head = Head::plain(Kind::Grant, self.room.log, Gen(0), self.room.epoch);
        let head = encode(&Head { blobs: vec![(list.root, list.layout.blob_size())], ..head });
        let key = &self.anna.key;
        let payload = encode(&SignedPayload::sign(key, &head, encode(&body), self.anna.device()));
        let entry: NewEntry = (Bytes(head), Bytes(payload));
        self.anna.append(&self.world, &self.room.request(vec![entry])).await.remove(0)
    }

    /// The numbers of the records that Carol gets of those that she asks for; none where she is refused.
    async fn gets(&self, seqs: &[u64]) -> Option<Vec<u64>> {
        let seqs = seqs.iter().map(|seq| Seq(*seq)).collect();
        let request = HistoryRequest { log: self.room.log, seqs };
        let (status, body) =
            self.world.post(path::HISTORY, Some(&self.carol.token), &request).await;
        let entries = status.is_success().then(|| hauspost_protocol::encoding::decode(&body));
        let entries: Vec<Entry> = entries?.unwrap();
        Some(entries.into_iter().map(|entry| entry.seq.0).collect())
    }

    /// How many entries of the log Carol is sent.
    async fn sent(&self) -> usize {
        entries(&self.world, &self.carol, self.room.log).await.len()
    }
}

#[tokio::test]
async fn nobody_hands_over_alone_and_an_admin_not_at_all() {
    let leaving = Leaving::new().await;
    for keys in [&[ADMIN][..], &[HR], &[COUNCIL], &[ADMIN, COUNCIL]] {
        let refused = leaving.hands_over(Scope::default(), keys).await;
        assert_eq!(refused, Outcome::Role, "{keys:?}");
    }
    let users = vec![leaving.anna.user()];
    let some = Scope { users, ..Scope::default() };
    assert_eq!(leaving.hands_over(some, &[HR, COUNCIL]).await, Outcome::Policy);
    leaving.handed().await;
}

#[tokio::test]
async fn a_successor_is_sent_the_log_to_the_newest_grant_and_the_records_that_it_names() {
    let leaving = Leaving::new().await;
    let Leaving { world, anna, carol, room, document, .. } = &leaving;
    assert_eq!((leaving.sent().await, leaving.gets(&[3, 4]).await), (0, None));
    let handover = leaving.handed().await;
    assert_eq!(leaving.sent().await, 0, "nothing was given yet");
    assert_eq!(leaving.gets(&[3, 4]).await, Some(vec![]));
    let said = vec![room.record(0, 2, b"after the handover")];
    assert_eq!(anna.append(world, &room.request(said)).await, [Outcome::Ok(Seq(5))]);
    let outside = Outcome::Authorise(Rule::GrantRange.code());
    for ranges in [&[(3, 5)][..], &[(5, 5)], &[(0, 4)]] {
        assert_eq!(leaving.grant(carol, handover, ranges, 2).await, outside, "{ranges:?}");
    }
    let nobodys = Outcome::Authorise(Rule::Grant.code());
    assert_eq!(leaving.grant(&leaving.ben, handover, &[(3, 3)], 2).await, nobodys);
    assert_eq!(leaving.grant(carol, Seq(handover.0 - 1), &[(3, 3)], 2).await, nobodys);
    assert_eq!(leaving.grant(carol, handover, &[(3, 3)], 3).await, Outcome::Ok(Seq(6)));
    let later = vec![room.record(0, 3, b"and later")];
    assert_eq!(anna.append(world, &room.request(later)).await, [Outcome::Ok(Seq(7))]);

    let sent = entries(world, carol, room.log).await;
    assert_eq!(sent.len(), 7, "up to the grant");
    let is_record = |entry: &&Entry| Head::parse(&entry.head).unwrap().kind == Kind::Record;
    assert!(sent.iter().filter(is_record).all(|entry| entry.payload.bytes().is_none()));
    assert_eq!(leaving.gets(&[3, 4, 5, 7]).await, Some(vec![3]));
    assert_eq!(carol.get(world, room.log, document, 0).await.0, OK);
}

#[tokio::test]
async fn what_a_handover_gave_is_served_as_long_as_it_is_in_force_and_covers_it() {
    let leaving = Leaving::new().await;
    let Leaving { world, carol, room, document, .. } = &leaving;
    let handover = leaving.handed().await;
    assert_eq!(leaving.grant(carol, handover, &[(3, 4)], 2).await, Outcome::Ok(Seq(5)));
    assert_eq!(leaving.gets(&[3, 4]).await, Some(vec![3, 4]));
    // A narrower one between the two takes its place.
    let logs = vec![(room.log, Seq(4), None)];
    let narrow = Scope { logs, ..Scope::default() };
    assert!(matches!(leaving.hands_over(narrow, &[HR, COUNCIL]).await, Outcome::Ok(_)));
    assert_eq!(leaving.gets(&[3, 4]).await, Some(vec![4]));
    assert_eq!(carol.get(world, room.log, document, 0).await, not_found());
    let old = Outcome::Authorise(Rule::Grant.code());
    assert_eq!(leaving.grant(carol, handover, &[(4, 4)], 3).await, old);
    let ended = Scope { t_from: Some(1), t_to: Some(0), ..Scope::default() };
    assert!(matches!(leaving.hands_over(ended, &[HR, COUNCIL]).await, Outcome::Ok(_)));
    assert_eq!((leaving.gets(&[4]).await, leaving.sent().await), (None, 0));
    // What goes from Ben to somebody else is not hers, nor is there anything of who never was there.
    let dora = world.phone(4).await;
    for (from, to) in [(&leaving.ben, &dora), (&dora, carol)] {
        let all = Scope::default();
        let handed = leaving.hands_over_between(from, to, all, &[HR, COUNCIL]).await;
        assert!(matches!(handed, Outcome::Ok(_)));
        assert_eq!((leaving.gets(&[4]).await, leaving.sent().await), (None, 0));
    }
}

#[tokio::test]
async fn what_was_said_after_the_leaver_was_removed_is_not_handed_over() {
    let mut leaving = Leaving::new().await;
    let Leaving { world, anna, room, .. } = &mut leaving;
    let seen = Some(newest(&entries(world, anna, room.log).await));
    let judged_by = at(world, anna).await;
    let change = Change { removes: vec![LeafIndex(1)], ..Change::default() };
    let request = anna.commit(room, change, seen, judged_by, None);
    assert_eq!(anna.append(world, &request).await, [Outcome::Ok(Seq(5)), Outcome::Ok(Seq(6))]);
    room.cap = Seq(6);
    let said = vec![room.record(0, 0, b"without him")];
    assert_eq!(anna.append(world, &room.request(said)).await, [Outcome::Ok(Seq(7))]);
    let handover = leaving.handed().await;
    let outside = Outcome::Authorise(Rule::GrantRange.code());
    let carol = &leaving.carol;
    assert_eq!(leaving.grant(carol, handover, &[(3, 4), (7, 7)], 2).await, outside);
    assert_eq!(leaving.grant(carol, handover, &[(3, 4)], 3).await, Outcome::Ok(Seq(8)));
}

#[tokio::test]
async fn a_request_that_says_nothing_to_sign_is_refused_before_anybody_signs_it() {
    let leaving = Leaving::new().await;
    let Leaving { world, ben, carol, .. } = &leaving;
    let newcomer = Person { user: UserId([77; 16]), handle: "neu".into(), name: None };
    let token = world.role(ADMIN).await;
    let request = async |from: &str, to: &str, nothing| {
        let wanted = Wanted { nothing, ..Wanted::default() };
        let people = std::slice::from_ref(&newcomer);
        let company = world.company(&token).await;
        handover::request(&company, CompanyId([1; 16]), people, (from, to), &wanted).err()
    };
    let (bens, carols) = (ben.user().to_string(), carol.user().to_string());
    assert!(request(&bens, &carols, false).await.is_none());
    let same = request(&bens, &bens, false).await;
    assert!(matches!(same, Some(HandoverError::Same(_))), "{same:?}");
    let nobodys = request("neu", &carols, false).await;
    assert!(matches!(nobodys, Some(HandoverError::NothingLeft(_))), "{nobodys:?}");
    let to_nobody = request(&bens, "neu", false).await;
    assert!(matches!(to_nobody, Some(HandoverError::NoDevice(_))), "{to_nobody:?}");
    let unknown = request(&bens, "wer", false).await;
    assert!(matches!(unknown, Some(HandoverError::Unknown(_))), "{unknown:?}");
    let early = request(&bens, &carols, true).await;
    assert!(matches!(early, Some(HandoverError::NothingToEnd)), "{early:?}");
    leaving.handed().await;
    assert!(request(&bens, &carols, true).await.is_none());
    assert!(matches!(world.revoke(carol.device()).await, Outcome::Ok(_)));
    assert!(request(&bens, &carols, true).await.is_none(), "what goes to nobody can be ended");
    let late = request(&bens, &carols, false).await;
    assert!(matches!(late, Some(HandoverError::NoDevice(_))), "{late:?}");
}

#[tokio::test]
async fn a_successor_who_was_revoked_is_given_nothing() {
    let leaving = Leaving::new().await;
    let handover = leaving.handed().await;
    let device = leaving.carol.device();
    assert!(matches!(leaving.world.revoke(device).await, Outcome::Ok(_)));
    let refused = Outcome::Authorise(Rule::Grant.code());
    assert_eq!(leaving.grant(&leaving.carol, handover, &[(3, 4)], 2).await, refused);
}
