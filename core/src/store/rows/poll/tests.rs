//! How polls stand, in whatever order a phone comes to know of their votes.

use std::collections::BTreeMap;

use hauspost_protocol::content::{Card, Contact, Control, Place, Poll};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::{CompanyId, DeviceId, Seq};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::read::{self, SearchKind, SearchQuery, Window};
use crate::store::Store;
use crate::store::fixture::{ANNA, ME, enrolled, group, text};
use crate::store::rows::mark::{self, MarkKind, NewMark};
use crate::store::rows::message::{
    self, Fate, Message, MessageKind, MessageState, NewMessage, Place as At, Saying,
};

const BEN: UserId = UserId([3; 16]);
const CEM: UserId = UserId([4; 16]);
const COMPANY: CompanyId = CompanyId([9; 16]);

fn id(seq: u64) -> MessageId {
    text(seq, "").message_id
}

fn choice(options: &[usize]) -> Choice {
    Choice::of(options.iter().copied()).unwrap()
}

fn lunch(most: u32) -> Card {
    let options = ["Kantine", "Pizza", "Salat"].map(str::to_owned).to_vec();
    Card::Poll(Poll::new("Was essen wir?".to_owned(), options, most).unwrap())
}

/// A card of Anna's as it stands in the log.
fn shows(seq: u64, card: &Card) -> NewMessage {
    let message = hauspost_protocol::content::Message::with_card([0; 16], card, "x", COMPANY);
    let content = Some(message.to_bytes().unwrap());
    NewMessage { kind: MessageKind::of(card), content, text: card.text(), ..text(seq, "") }
}

fn said(seq: u64, author: UserId, kind: MarkKind, control: &Control, about: u64) -> NewMark {
    NewMark {
        place: At::At(Seq(seq)),
        message_id: id(seq),
        about: id(about),
        kind,
        valid: kind != MarkKind::ClosePoll,
        author,
        device: DeviceId([2; 16]),
        state: MessageState::Received,
        t_ms: 1_000 + seq,
        sent_ms: 0,
        text: None,
        saying: Saying::default(),
        content: encode(control),
        record_key: None,
    }
}

fn vote(seq: u64, author: UserId, about: u64, options: &[usize]) -> NewMark {
    said(seq, author, MarkKind::Vote, &Control::Vote(id(about), choice(options)), about)
}

fn close(seq: u64, author: UserId, about: u64) -> NewMark {
    said(seq, author, MarkKind::ClosePoll, &Control::ClosePoll(id(about)), about)
}

fn by_owner(mark: NewMark) -> NewMark {
    NewMark { valid: true, ..mark }
}

async fn put(store: &Store, log: LocalLog, message: NewMessage) {
    let insert = move |tx: &Tx<'_>| message::insert(tx, log, &message);
    assert!(store.write::<_, StoreError, _>(insert).await.unwrap());
}

async fn marks(store: &Store, log: LocalLog, marks: Vec<NewMark>) {
    let insert =
        move |tx: &Tx<'_>| marks.iter().try_for_each(|one| mark::insert(tx, log, one).map(|_| ()));
    store.write::<_, StoreError, _>(insert).await.unwrap();
}

async fn rows(store: &Store, log: LocalLog) -> Vec<Message> {
    let page = store.read(move |conn| read::timeline(conn, log.id, Window::Newest, 500)).await;
    page.unwrap().rows
}

/// Voters, counts, and who closed it, of the first message.
async fn stands(store: &Store, log: LocalLog) -> (u64, Vec<u32>, Option<UserId>) {
    let votes = rows(store, log).await.remove(0).card.unwrap().votes.unwrap();
    let counts = (0..3).map(|option| votes.count(option)).collect();
    (votes.voters, counts, votes.closed_by)
}

async fn found(store: &Store, words: &str, kind: Option<SearchKind>) -> usize {
    let wanted = SearchQuery { kind, ..SearchQuery::words(words) };
    let page = store.read(move |conn| read::search(conn, &wanted, None, 50)).await;
    page.unwrap().hits.len()
}

#[tokio::test]
async fn the_last_vote_of_each_person_counts_and_nothing_chosen_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, shows(1, &lunch(2))).await;
    assert_eq!(stands(&store, log).await, (0, vec![0, 0, 0], None));
    let votes = vec![vote(2, ANNA, 1, &[0, 1]), vote(3, BEN, 1, &[1]), vote(4, ME, 1, &[2])];
    marks(&store, log, votes).await;
    assert_eq!(stands(&store, log).await, (3, vec![1, 2, 1], None));
    // Another device of Ben's, and Anna takes hers back.
    let other = NewMark { device: DeviceId([7; 16]), ..vote(5, BEN, 1, &[0]) };
    marks(&store, log, vec![other, vote(6, ANNA, 1, &[])]).await;
    assert_eq!(stands(&store, log).await, (2, vec![1, 0, 1], None));
    let shown = rows(&store, log).await.remove(0).card.unwrap();
    let votes = shown.votes.unwrap();
    assert_eq!((votes.mine, votes.is_waiting), (choice(&[2]), false));
    let who = store.read(move |conn| read::voters(conn, log.id, id(1), 10)).await.unwrap();
    assert_eq!(who, [(ME, choice(&[2])), (BEN, choice(&[0]))]);
    assert_eq!(rows(&store, log).await.len(), 1, "a vote is no line");
}

#[tokio::test]
async fn attacks_47_votes_that_the_poll_does_not_take_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, shows(1, &lunch(1))).await;
    put(&store, log, text(2, "kein Thema")).await;
    marks(&store, log, vec![vote(3, BEN, 1, &[1])]).await;
    let odd = vec![vote(4, BEN, 1, &[0, 1]), vote(5, BEN, 1, &[3]), vote(6, BEN, 1, &[11])];
    marks(&store, log, odd).await;
    // On a text, and on another vote.
    marks(&store, log, vec![vote(7, BEN, 2, &[0]), vote(8, BEN, 3, &[0])]).await;
    let nothing = NewMark { content: vec![0xff], ..vote(9, BEN, 1, &[0]) };
    marks(&store, log, vec![nothing]).await;
    assert_eq!(stands(&store, log).await, (1, vec![0, 1, 0], None));
}

#[tokio::test]
async fn after_its_author_or_an_owner_closed_a_poll_no_vote_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, shows(1, &lunch(1))).await;
    marks(&store, log, vec![vote(2, BEN, 1, &[1]), close(3, BEN, 1)]).await;
    marks(&store, log, vec![vote(4, CEM, 1, &[1])]).await;
    assert_eq!(stands(&store, log).await, (2, vec![0, 2, 0], None), "not Ben's to close");
    marks(&store, log, vec![close(6, ANNA, 1), vote(7, CEM, 1, &[0]), vote(8, ME, 1, &[2])]).await;
    assert_eq!(stands(&store, log).await, (2, vec![0, 2, 0], Some(ANNA)));
    // An owner closed it earlier, as it turns out.
    marks(&store, log, vec![vote(5, CEM, 1, &[2])]).await;
    assert_eq!(stands(&store, log).await, (2, vec![0, 1, 1], Some(ANNA)));
    let other = NewMark { place: At::At(Seq(9)), message_id: id(9), ..close(9, CEM, 1) };
    marks(&store, log, vec![by_owner(other)]).await;
    assert_eq!(stands(&store, log).await.2, Some(ANNA), "the first one counts");
}

#[tokio::test]
async fn an_own_close_that_the_conversation_does_not_allow_is_undone_and_that_of_an_own_poll_stays()
{
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, shows(1, &lunch(1))).await;
    put(&store, log, NewMessage { author: ME, ..shows(2, &lunch(1)) }).await;
    let mine = |seq, about| by_owner(close(seq, ME, about));
    marks(&store, log, vec![mine(3, 1), mine(4, 2), vote(5, BEN, 1, &[0])]).await;
    assert_eq!(stands(&store, log).await, (0, vec![0, 0, 0], Some(ME)));
    for seq in [3, 4] {
        let void = move |tx: &Tx<'_>| mark::set_void(tx, log, id(seq));
        store.write::<_, StoreError, _>(void).await.unwrap();
    }
    assert_eq!(stands(&store, log).await, (1, vec![1, 0, 0], None));
    let own = rows(&store, log).await.remove(1).card.unwrap().votes.unwrap();
    assert_eq!(own.closed_by, Some(ME));
}

#[tokio::test]
async fn an_own_vote_shows_at_once_and_moves_to_its_place_or_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, shows(1, &lunch(1))).await;
    let waiting = |number: i64, options: &[usize]| NewMark {
        place: At::Pending(number),
        state: MessageState::Queued,
        ..vote(90 + number.unsigned_abs(), ME, 1, options)
    };
    marks(&store, log, vec![vote(2, ME, 1, &[0]), waiting(1, &[1]), waiting(2, &[2])]).await;
    let votes = rows(&store, log).await.remove(0).card.unwrap().votes.unwrap();
    assert_eq!((votes.mine, votes.is_waiting, votes.voters), (choice(&[2]), true, 1));
    // The second one fails; the first one comes behind the close of somebody.
    marks(&store, log, vec![close(3, ANNA, 1)]).await;
    let settle = move |tx: &Tx<'_>| {
        message::set_state(tx, log, id(92), MessageState::Failed)?;
        message::place(tx, log, id(91), At::At(Seq(4)), 2_000, MessageState::Sent)
    };
    store.write::<_, StoreError, _>(settle).await.unwrap();
    assert_eq!(stands(&store, log).await, (1, vec![1, 0, 0], Some(ANNA)));
}

#[tokio::test]
async fn what_failed_or_was_taken_back_before_it_was_sent_neither_votes_nor_closes() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, NewMessage { author: ME, ..shows(1, &lunch(1)) }).await;
    let waiting = |number: i64, mark: NewMark| NewMark {
        place: At::Pending(number),
        message_id: id(90 + number.unsigned_abs()),
        state: MessageState::Queued,
        ..mark
    };
    let set = async |number: u64, state: MessageState| {
        let set = move |tx: &Tx<'_>| message::set_state(tx, log, id(90 + number), state);
        store.write::<_, StoreError, _>(set).await.unwrap();
    };
    let first = vec![vote(2, ME, 1, &[0]), waiting(1, vote(3, ME, 1, &[1]))];
    marks(&store, log, first).await;
    assert_eq!(stands(&store, log).await, (1, vec![0, 1, 0], None));
    set(1, MessageState::Failed).await;
    assert_eq!(stands(&store, log).await, (1, vec![1, 0, 0], None));
    set(1, MessageState::Queued).await;
    let discard = move |tx: &Tx<'_>| mark::discard(tx, log, id(91));
    store.write::<_, StoreError, _>(discard).await.unwrap();
    assert_eq!(stands(&store, log).await, (1, vec![1, 0, 0], None));

    marks(&store, log, vec![waiting(2, close(4, ME, 1))]).await;
    assert_eq!(stands(&store, log).await.2, Some(ME));
    set(2, MessageState::Failed).await;
    assert_eq!(stands(&store, log).await.2, None);
}

#[tokio::test]
async fn nobody_votes_about_what_is_no_poll() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    put(&store, log, text(1, "kein Thema")).await;
    marks(&store, log, vec![vote(2, BEN, 1, &[0]), close(3, ANNA, 1)]).await;
    let who = store.read(move |conn| read::voters(conn, log.id, id(1), 10)).await.unwrap();
    assert_eq!(who, []);
}

#[tokio::test]
async fn a_card_is_found_by_its_own_words_and_kind_and_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    let log = group(&store, 1, "Lager").await;
    let anna = hauspost_protocol::wire::Person {
        user: ANNA,
        handle: "anna".to_owned(),
        name: Some("Anna Groß".to_owned()),
    };
    let know = move |tx: &Tx<'_>| super::super::person::put(tx, &[anna]);
    store.write::<_, StoreError, _>(know).await.unwrap();
    let gate = Place::new(1, 2, None, Some("Werkstor".to_owned())).unwrap();
    let (anna, ben) = (Contact::Colleague(ANNA), Contact::Colleague(BEN));
    put(&store, log, shows(1, &lunch(1))).await;
    put(&store, log, shows(2, &Card::Place(gate))).await;
    put(&store, log, shows(3, &Card::Contact(anna))).await;
    put(&store, log, shows(4, &Card::Contact(ben))).await;
    for (words, kind, hits) in [
        ("pizza", None, 1),
        ("essen", Some(SearchKind::Poll), 1),
        ("essen", Some(SearchKind::Place), 0),
        ("werkst", Some(SearchKind::Place), 1),
        ("gross", Some(SearchKind::Contact), 1),
        ("", Some(SearchKind::Contact), 2),
        ("x", None, 0),
    ] {
        assert_eq!(found(&store, words, kind).await, hits, "{words} {kind:?}");
    }
    let edit = NewMark {
        text: Some("Wer kündigt?".to_owned()),
        ..said(5, ANNA, MarkKind::Edit, &Control::Pin(id(1)), 1)
    };
    marks(&store, log, vec![edit]).await;
    let row = rows(&store, log).await.remove(0);
    assert_eq!((row.fate, found(&store, "kündigt", None).await), (Fate::Stands, 0));
    assert_eq!(found(&store, "pizza", None).await, 1);
    let versions = store.read(move |conn| read::versions(conn, log.id, id(1))).await.unwrap();
    assert_eq!(versions.len(), 1);
    // Taken back, it shows and finds nothing.
    let taken = said(6, ANNA, MarkKind::Deletion, &Control::Pin(id(1)), 1);
    marks(&store, log, vec![taken]).await;
    let row = rows(&store, log).await.remove(0);
    assert_eq!((row.card, found(&store, "pizza", None).await), (None, 0));
}

/// What is said in the log about the poll at its place 1, by rules of its own.
fn worked_out(said: &BTreeMap<u64, NewMark>) -> (u64, Vec<u32>, Option<UserId>) {
    let Card::Poll(poll) = lunch(2) else { unreachable!() };
    let (mut votes, mut closed) = (BTreeMap::new(), None);
    for mark in said.values() {
        match hauspost_protocol::encoding::decode(&mark.content) {
            Ok(Control::Vote(_, choice)) if closed.is_none() && poll.takes(choice) => {
                votes.insert(mark.author, choice);
            }
            Ok(Control::ClosePoll(_)) if mark.valid || mark.author == ANNA => {
                closed = closed.or(Some(mark.author));
            }
            _ => {}
        }
    }
    votes.retain(|_, choice| !choice.is_empty());
    let count = |option| votes.values().filter(|choice| choice.has(option)).count() as u32;
    (votes.len() as u64, (0..3).map(count).collect(), closed)
}

#[tokio::test]
async fn all_phones_count_alike_in_whatever_order_they_come_to_know() {
    let folder = tempfile::tempdir().unwrap();
    let store = enrolled(folder.path()).await;
    for seed in 0..40 {
        let log = group(&store, 10 + seed, "Lager").await;
        let dice = &mut StdRng::seed_from_u64(u64::from(seed));
        let mut all = BTreeMap::new();
        for seq in 2..22 {
            let author = [ANNA, BEN, CEM, ME][dice.random_range(0..4)];
            let options: Vec<usize> = (0..4).filter(|_| dice.random_range(0..3) == 0).collect();
            let mark = match dice.random_range(0..12) {
                0 => close(seq, author, 1),
                1 => by_owner(close(seq, author, 1)),
                _ => vote(seq, author, 1, &options),
            };
            all.insert(seq, mark);
        }
        let mut order: Vec<u64> = (1..22).collect();
        order.shuffle(dice);
        for seq in order {
            match all.get(&seq) {
                Some(mark) => marks(&store, log, vec![mark.clone()]).await,
                None => put(&store, log, shows(1, &lunch(2))).await,
            }
        }
        assert_eq!(stands(&store, log).await, worked_out(&all), "seed {seed}");
    }
}
