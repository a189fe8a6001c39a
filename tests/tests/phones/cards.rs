//! Places, contacts, polls and voice messages between phones over the real server.

use hauspost_core::account::{AccountError, Attachment};
use hauspost_core::file::DocumentError;
use hauspost_core::outbox::intent::Say;
use hauspost_core::read::{SearchKind, SearchQuery, Window};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::message::{Fate, Message as Row, MessageKind};
use hauspost_core::store::rows::outbox::{self, IntentKind, NewIntent};
use hauspost_core::store::rows::poll::Votes;
use hauspost_protocol::content::{
    Card, CardError, Choice, Contact, Control, Message, Place, Poll, TextForm, VCard, Voice,
};
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::statement::PayloadType;
use hauspost_tests::real::{Phone, World};

use super::rooms::room;

async fn rows(phone: &Phone, log: LogId) -> Vec<Row> {
    let page = phone.account.timeline(log, Window::Newest, 500).await.unwrap();
    page.rows.into_iter().filter(Row::is_said).collect()
}

async fn row(phone: &Phone, log: LogId, id: MessageId) -> Row {
    rows(phone, log).await.into_iter().find(|row| row.message_id == id).unwrap()
}

async fn votes(phone: &Phone, log: LogId, id: MessageId) -> Votes {
    row(phone, log, id).await.card.unwrap().votes.unwrap()
}

async fn settle(phones: &[&Phone]) {
    for phone in phones {
        phone.settle().await;
    }
    for phone in phones {
        phone.account.sync_all().await.unwrap();
    }
}

/// Anna, Ben and Cem in a group that Anna began.
async fn group() -> (World, [Phone; 3], LogId) {
    let mut world = World::found().await;
    // Who enrols later has those before in the directory.
    let cem = world.phone("cem").await;
    let ben = world.phone("ben").await;
    let anna = world.phone("anna").await;
    anna.account.sync_all().await.unwrap();
    let members = vec![ben.account.user(), cem.account.user()];
    let log = anna.account.create_group(Some("Lager"), members).await.unwrap();
    settle(&[&anna, &ben, &cem]).await;
    (world, [anna, ben, cem], log)
}

/// What a patched phone says: any content, and nobody asks whether it may.
async fn says(phone: &Phone, log: LogId, ptype: PayloadType, content: Vec<u8>) {
    let body = encode(&Say { ptype, content: Bytes(content) });
    let intent = NewIntent { log, kind: IntentKind::Record, message_id: None, body, made_ms: 0 };
    let said = phone
        .account
        .store()
        .write::<_, StoreError, _>(move |tx| outbox::insert(tx, &intent).map(|_| ()));
    said.await.unwrap();
    phone.settle().await;
}

fn choice(options: &[usize]) -> Choice {
    Choice::of(options.iter().copied()).unwrap()
}

fn lunch(most: u32) -> Card {
    let options = ["Kantine", "Pizza", "Salat"].map(str::to_owned).to_vec();
    Card::Poll(Poll::new("Was essen wir am Freitag?".to_owned(), options, most).unwrap())
}

async fn hits(phone: &Phone, words: &str, kind: Option<SearchKind>) -> usize {
    let wanted = SearchQuery { kind, ..SearchQuery::words(words) };
    phone.account.search(wanted, None, 50).await.unwrap().hits.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_and_contacts_are_shown_found_and_passed_on_as_what_they_are() {
    let (_world, [anna, ben, cem], log) = group().await;
    let gate = Place::new(48_201_000, 16_369_500, Some(12), Some("Werkstor 3".into())).unwrap();
    let glazier = VCard::new(
        "Eva Kühn".into(),
        Some("Glaserei Kühn".into()),
        None,
        vec!["+49 30 901820".into()],
        Vec::new(),
    );
    let cards = [
        Card::Place(gate),
        Card::Contact(Contact::Colleague(cem.account.user())),
        Card::Contact(Contact::Other(glazier.unwrap())),
    ];
    let mut sent = Vec::new();
    for card in &cards {
        sent.push(anna.account.send_card(log, card, None).await.unwrap());
        let shown = rows(&anna, log).await.pop().unwrap().card;
        assert_eq!(shown.unwrap().card, *card, "at once");
    }
    settle(&[&anna, &ben]).await;
    let ben = ben.restart().await;
    for (id, card) in sent.iter().zip(&cards) {
        let row = row(&ben, log, *id).await;
        assert_eq!(row.card.unwrap().card, *card);
        // What an app shows that does not know cards.
        let content = Message::parse(row.content.as_deref().unwrap()).unwrap();
        let text = row.text.unwrap();
        assert_eq!(format!("{:?}", content.shown()), "Text(…)");
        assert!(matches!(content.shown(), hauspost_protocol::content::Shown::Text {
            text: other, form: TextForm::Plain
        } if other == text));
    }
    for phone in [&anna, &ben] {
        assert_eq!(hits(phone, "werkstor", Some(SearchKind::Place)).await, 1);
        assert_eq!(hits(phone, "glaserei 901820", Some(SearchKind::Contact)).await, 1);
        assert_eq!(hits(phone, "cem", Some(SearchKind::Contact)).await, 1);
        assert_eq!(hits(phone, "werkstor", Some(SearchKind::Text)).await, 0);
    }
    let dm = ben.account.create_dm(cem.account.user()).await.unwrap();
    let passed = ben.account.forward(log, sent[0], dm).await.unwrap();
    settle(&[&ben, &cem]).await;
    let there = row(&cem, dm, passed).await;
    assert_eq!(there.card.unwrap().card, cards[0]);
    assert_eq!(there.saying.origin, Some(anna.account.user()));
    // A card is not changed, but taken back.
    let edit = anna.account.edit(log, sent[0], "Tor 4", TextForm::Plain).await;
    assert!(matches!(edit, Err(AccountError::NotAllowed)));
    anna.account.delete(log, sent[0]).await.unwrap();
    settle(&[&anna, &ben]).await;
    let gone = row(&ben, log, sent[0]).await;
    assert_eq!((gone.fate, gone.card), (Fate::Deleted, None));
    assert_eq!(hits(&ben, "werkstor", None).await, 1, "the one that was passed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_counts_alike_on_all_phones_until_it_is_closed() {
    let (_world, [anna, ben, cem], log) = group().await;
    let poll = ben.account.send_card(log, &lunch(1), None).await.unwrap();
    let early = ben.account.vote(log, poll, choice(&[0])).await;
    assert!(matches!(early, Err(AccountError::NotSent)));
    settle(&[&ben, &anna, &cem]).await;
    anna.account.vote(log, poll, choice(&[0])).await.unwrap();
    let waiting = votes(&anna, log, poll).await;
    assert_eq!((waiting.mine, waiting.is_waiting), (choice(&[0]), true));
    ben.account.vote(log, poll, choice(&[1])).await.unwrap();
    cem.account.vote(log, poll, choice(&[1])).await.unwrap();
    settle(&[&anna, &ben, &cem]).await;
    anna.account.vote(log, poll, choice(&[2])).await.unwrap();
    settle(&[&anna, &ben, &cem]).await;
    // Cem has not asked and is no owner; Ben asked.
    let by_cem = cem.account.close_poll(log, poll).await;
    assert!(matches!(by_cem, Err(AccountError::NotAllowed)));
    ben.account.close_poll(log, poll).await.unwrap();
    settle(&[&ben]).await;
    // Cem does not know it yet.
    cem.account.vote(log, poll, choice(&[2])).await.unwrap();
    settle(&[&cem, &anna, &ben]).await;
    let cem = cem.restart().await;
    for phone in [&anna, &ben, &cem] {
        let votes = votes(phone, log, poll).await;
        let counts: Vec<u32> = (0..3).map(|option| votes.count(option)).collect();
        assert_eq!((votes.voters, counts), (3, vec![0, 2, 1]));
        assert_eq!(votes.closed_by, Some(ben.account.user()));
        assert_eq!(phone.gaps(log).await, 0);
    }
    let who = anna.account.voters(log, poll, 50).await.unwrap();
    let anna_last = (anna.account.user(), choice(&[2]));
    assert_eq!((who.len(), who[2]), (3, anna_last));
    let late = anna.account.vote(log, poll, choice(&[0])).await;
    assert!(matches!(late, Err(AccountError::PollClosed)));
    assert_eq!(hits(&anna, "essen freitag", Some(SearchKind::Poll)).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_closes_the_poll_of_somebody_and_a_vote_is_taken_back() {
    let (_world, [anna, ben, cem], log) = group().await;
    let poll = cem.account.send_card(log, &lunch(2), None).await.unwrap();
    settle(&[&cem, &anna, &ben]).await;
    ben.account.vote(log, poll, choice(&[0, 2])).await.unwrap();
    let too_many = ben.account.vote(log, poll, choice(&[0, 1, 2])).await;
    assert!(matches!(too_many, Err(AccountError::Card(CardError::Options))));
    settle(&[&ben]).await;
    ben.account.vote(log, poll, Choice::default()).await.unwrap();
    anna.account.sync_all().await.unwrap();
    anna.account.close_poll(log, poll).await.unwrap();
    settle(&[&ben, &anna, &cem]).await;
    for phone in [&anna, &ben, &cem] {
        let votes = votes(phone, log, poll).await;
        assert_eq!((votes.voters, votes.closed_by), (0, Some(anna.account.user())));
    }
    let text = ben.account.send_text(log, "kein Thema").await.unwrap();
    settle(&[&ben]).await;
    let on_a_text = ben.account.vote(log, text, choice(&[0])).await;
    assert!(matches!(on_a_text, Err(AccountError::NoPoll)));
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_47_a_patched_phone_votes_and_closes_without_a_right_and_nothing_changes() {
    let (_world, [anna, ben, cem], log) = group().await;
    let poll = anna.account.send_card(log, &lunch(1), None).await.unwrap();
    settle(&[&anna, &ben, &cem]).await;
    for control in [
        Control::Vote(poll, choice(&[0, 1])),
        Control::Vote(poll, choice(&[7])),
        Control::ClosePoll(poll),
        Control::Vote(MessageId([7; 32]), choice(&[0])),
        Control::ClosePoll(MessageId([7; 32])),
    ] {
        says(&ben, log, PayloadType::Control, encode(&control)).await;
    }
    cem.account.sync_all().await.unwrap();
    cem.account.vote(log, poll, choice(&[1])).await.unwrap();
    settle(&[&cem, &anna, &ben]).await;
    for phone in [&anna, &cem] {
        let votes = votes(phone, log, poll).await;
        assert_eq!((votes.voters, votes.count(1), votes.closed_by), (1, 1, None));
        assert_eq!((phone.gaps(log).await, phone.alarms().await), (0, 0));
        assert_eq!(rows(phone, log).await.len(), 1, "and no line says so");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_47_a_card_that_says_one_thing_and_its_text_another_shows_and_finds_the_card() {
    let (_world, [anna, ben, _cem], log) = group().await;
    let company = anna.account.company();
    let lie = Message::with_card([1; 16], &lunch(1), "Wer will Cem kündigen?", company);
    says(&anna, log, PayloadType::Content, lie.to_bytes().unwrap()).await;
    let newer = Message::with_card([2; 16], &lunch(1), "Neuere Karte", company);
    let mut bytes = newer.to_bytes().unwrap();
    // The media type of a version that is still to come.
    let at = bytes.windows(4).position(|four| four == b"poll").unwrap();
    bytes[at] = b'P';
    bytes[at + 1] = b'0';
    says(&anna, log, PayloadType::Content, bytes).await;
    ben.settle().await;
    let seen = rows(&ben, log).await;
    assert_eq!((seen[0].kind, seen[0].card.is_some()), (MessageKind::Poll, true));
    assert!(seen[0].text.as_deref().unwrap().starts_with("Was essen wir"));
    assert_eq!(hits(&ben, "kündigen", None).await, 0);
    assert_eq!(hits(&ben, "pizza", None).await, 1);
    assert_eq!((seen[1].kind, seen[1].text.as_deref()), (MessageKind::Text, Some("Neuere Karte")));
}

/// A second of silence, as a WAV file.
fn silence() -> Vec<u8> {
    let len: u32 = 16_000;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + len).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(len.to_le_bytes());
    wav.resize(wav.len() + len as usize, 0);
    wav
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_message_shows_its_length_and_waveform_before_it_is_fetched_and_plays_byte_for_byte()
 {
    let (world, [anna, ben, cem], log) = group().await;
    let path = world.data().parent().unwrap().join("Sprachnachricht.wav");
    std::fs::write(&path, silence()).unwrap();
    let voice = Voice::new(Some(1_000), (0..64).map(|bar| bar * 4).collect()).unwrap();
    let recording = || Attachment::path(&path);
    let id = anna.account.send_voice(log, recording(), &voice, None).await.unwrap();
    settle(&[&anna, &ben]).await;
    let ben = ben.restart().await;
    let there = row(&ben, log, id).await;
    assert_eq!((there.voice, there.files[0].is_here), (Some(voice.clone()), false));
    let opened = ben.account.open_file(log, id, 0).await.unwrap();
    assert!(std::fs::read(opened).unwrap() == silence());
    assert_eq!(hits(&ben, "", Some(SearchKind::Sound)).await, 1);
    // Passed on, it is one still.
    let dm = ben.account.create_dm(cem.account.user()).await.unwrap();
    let passed = ben.account.forward(log, id, dm).await.unwrap();
    settle(&[&ben, &cem]).await;
    assert_eq!(row(&cem, dm, passed).await.voice, Some(voice.clone()));

    let note = world.data().parent().unwrap().join("notiz.txt");
    std::fs::write(&note, b"kein Ton").unwrap();
    let no_sound = anna.account.send_voice(log, Attachment::path(&note), &voice, None).await;
    assert!(matches!(no_sound, Err(AccountError::Document(DocumentError::NoSound))));
    // A patched phone calls a document a voice message, or two of them.
    let two = vec![recording(), recording()];
    let draft = hauspost_core::account::Draft {
        shows: hauspost_core::account::Shows::Voice(&voice),
        ..hauspost_core::account::Draft::plain("")
    };
    let two = anna.account.send_with(log, two, draft).await.unwrap();
    settle(&[&anna, &ben]).await;
    assert_eq!(row(&ben, log, two).await.voice, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_write_among_announcements_votes_there() {
    let (_world, [anna, ben, carla], log) = room(true).await;
    let poll = anna.account.send_card(log, &lunch(1), None).await.unwrap();
    settle(&[&anna, &ben, &carla]).await;
    ben.account.vote(log, poll, choice(&[1])).await.unwrap();
    let close = ben.account.close_poll(log, poll).await;
    assert!(matches!(close, Err(AccountError::MayNotWrite)));
    settle(&[&ben, &anna, &carla]).await;
    for phone in [&anna, &ben, &carla] {
        assert_eq!((votes(phone, log, poll).await.count(1), phone.gaps(log).await), (1, 0));
    }
}
