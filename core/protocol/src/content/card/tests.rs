use proptest::prelude::*;

use super::super::{Content, Control, Shown, TextForm, Voice};
use super::*;
use crate::encoding::{FormError, decode, encode};
use crate::ids::{MessageId, UserId};
use crate::statement::PayloadType;

const SALT: [u8; 16] = [3; 16];
const COMPANY: CompanyId = CompanyId([0xc0; 16]);
const BEN: UserId = UserId([0x0b; 16]);
const OTHER: MessageId = MessageId([1; 32]);
const LINES: usize = 256;

fn gate() -> Place {
    Place::new(48_201_000, -16_369_500, Some(12), Some("Werkstor 3 (Süd)".to_owned())).unwrap()
}

fn glazier() -> VCard {
    VCard::new(
        "Glaserei Kühn; Notdienst, 24 h".to_owned(),
        Some("Kühn & Söhne".to_owned()),
        None,
        vec!["+49 30 901820".to_owned(), "0171/23".to_owned()],
        vec!["notdienst@kuehn.example".to_owned()],
    )
    .unwrap()
}

fn lunch() -> Poll {
    let options = ["Kantine", "Pizza", "Nichts"].map(str::to_owned);
    Poll::new("Was essen wir am Freitag?".to_owned(), options.to_vec(), 2).unwrap()
}

fn cards() -> [Card; 4] {
    [
        Card::Place(gate()),
        Card::Contact(Contact::Colleague(BEN)),
        Card::Contact(Contact::Other(glazier())),
        Card::Poll(lunch()),
    ]
}

#[test]
fn a_card_reads_back_and_shows_its_text_to_who_does_not_know_it() {
    for card in cards() {
        let message = Message::with_card(SALT, &card, "in Worten", COMPANY);
        let read = Message::parse(&message.to_bytes().unwrap()).unwrap();
        assert_eq!(read.card(COMPANY), Some(card));
        let text = Shown::Text { text: "in Worten", form: TextForm::Plain };
        assert_eq!(read.shown(), text);
        // What a change, or one in another order, says is its text.
        assert_eq!(message.clone().replacing(OTHER).card(COMPANY), None);
        let PartKind::Multi { semantics, mut parts } = message.body.kind.clone() else { panic!() };
        parts.reverse();
        let kind = PartKind::Multi { semantics, parts };
        let turned = Message { body: Part { kind, ..message.body.clone() }, ..message };
        assert_eq!(turned.card(COMPANY), None);
        assert_eq!(turned.shown(), text);
    }
    assert_eq!(Message::text(SALT, "geo:1,2").card(COMPANY), None);
}

#[test]
fn a_card_without_a_text_beside_it_is_none() {
    let message = Message::with_card(SALT, &Card::Poll(lunch()), "Umfrage", COMPANY);
    let PartKind::Multi { parts, .. } = message.body.kind.clone() else { panic!() };
    let alone = Message { body: parts[0].clone(), ..message.clone() };
    let kind = PartKind::Multi {
        semantics: Semantics::ChooseOne,
        parts: vec![parts[0].clone(), parts[0].clone()],
    };
    let twice = Message { body: Part { kind, ..message.body.clone() }, ..message };
    for message in [alone, twice] {
        assert_eq!((message.card(COMPANY), message.shown()), (None, Shown::Unknown));
    }
}

#[test]
fn a_place_is_written_as_a_geo_uri() {
    assert_eq!(gate().uri(), "geo:48.201,-16.3695;u=12;name=Werkstor%203%20(S%C3%BCd)");
    assert_eq!(gate().text(), "Werkstor 3 (Süd) (48.201, -16.3695)");
    let pole = Place::new(-90_000_000, 180_000_000, None, None).unwrap();
    assert_eq!(pole.uri(), "geo:-90,180");
    assert_eq!(Place::new(-1, 1, None, None).unwrap().uri(), "geo:-0.000001,0.000001");
}

#[test]
fn geo_uris_of_others_are_read_as_far_as_they_say_where() {
    let place =
        |latitude, longitude, accuracy_m| Place::new(latitude, longitude, accuracy_m, None).ok();
    for (uri, expected) in [
        ("geo:52.520008,13.404954", place(52_520_008, 13_404_954, None)),
        ("GEO:52.52000899999,13", place(52_520_008, 13_000_000, None)),
        ("geo:48.2010,16.3695,183", place(48_201_000, 16_369_500, None)),
        ("geo:48,16;crs=WGS84;u=0.5;x=y;z", place(48_000_000, 16_000_000, Some(1))),
        ("geo:-0.5,-0.25;U=20", place(-500_000, -250_000, Some(20))),
    ] {
        assert_eq!(Place::parse(uri), expected, "{uri}");
    }
}

#[test]
fn attacks_47_a_geo_uri_with_tricks_is_no_place() {
    let long = format!("geo:1,2;name={}", "a".repeat(256));
    let digits = format!("geo:{},2", "0".repeat(21));
    let padded = format!("geo:1,2;{}", "x;".repeat(600));
    let tricks = [
        "geo:91,0",
        "geo:0,180.000001",
        "geo:1e1,2",
        "geo:NaN,2",
        "geo:+1,2",
        "geo:1.,2",
        "geo:.5,2",
        "geo:1",
        "geo:1,2,3,4",
        "geo:1,2,x",
        "geo:٤,2",
        "geo:1,2?q=3,4(Büro)",
        "geo:1,2;crs=moon",
        "geo:1,2;u=1000001",
        "geo:1,2;u=-1",
        "geo:1,2;u=1;u=2",
        "geo:1,2;name=a;name=b",
        "geo:1,2;name=%",
        "geo:1,2;name=%GG",
        "geo:1,2;name=%FF",
        "geo:1,2;name=a%0Ab",
        "geo:1,2;name=%E2%80%AEtor",
        "geo:1,2;name=%20",
        "geo:1,2\r\ngeo:3,4",
        "geo: 1,2",
        "https://example.com/",
        "",
        &long,
        &digits,
        &padded,
    ];
    for uri in tricks {
        assert_eq!(Place::parse(uri), None, "{uri}");
    }
}

#[test]
fn what_is_shown_together_is_no_card_whatever_comes_first_in_it() {
    let mut message = Message::with_card(SALT, &Card::Poll(lunch()), "Umfrage", COMPANY);
    assert!(message.card(COMPANY).is_some());
    let PartKind::Multi { semantics, .. } = &mut message.body.kind else { panic!() };
    *semantics = Semantics::ProcessAll;
    assert_eq!(message.card(COMPANY), None);
}

#[test]
fn a_colleague_is_one_of_this_company() {
    let other = CompanyId([0xc1; 16]);
    let message = Message::with_card(SALT, &Card::Contact(Contact::Colleague(BEN)), "Ben", other);
    assert_eq!(message.card(COMPANY), None, "nobody here knows who that is");
    assert!(message.card(other).is_some());
    let room = format!("hauspost:{COMPANY}/l/{BEN}");
    assert_eq!(Contact::colleague(&room, COMPANY), None);
}

#[test]
fn a_contact_is_written_as_a_vcard_with_folded_lines() {
    let text = glazier().to_text();
    assert_eq!(
        text,
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Glaserei Kühn\\; Notdienst\\, 24 h\r\n\
         ORG:Kühn & Söhne\r\nTEL:+49 30 901820\r\nTEL:0171/23\r\n\
         EMAIL:notdienst@kuehn.example\r\nEND:VCARD\r\n"
    );
    let long = VCard::new("ü".repeat(127), None, None, Vec::new(), Vec::new()).unwrap();
    let text = long.to_text();
    assert!(text.split("\r\n").all(|line| line.len() <= 75), "{text}");
    assert_eq!(VCard::parse(text.as_bytes()), Some(long));
}

#[test]
fn vcards_of_other_programs_are_read() {
    let text = "\u{FEFF}begin:vcard\nversion:3.0\nN:Kühn;Eva;;;\nFN;CHARSET=\"a:b\":Eva Kü\n hn\n\
                PHOTO;ENCODING=b:AAAA\nitem1.TEL;TYPE=cell:tel:+49171\nTEL:+49171\n\
                ORG:Kühn\\, Glas;Notdienst\nEMAIL:MAILTO:eva@kuehn.example\n\
                NOTE:x\\ny\nTITLE:zwei\\nZeilen\nFN:Jemand anders\nTEL:\u{202E}1\nEND:VCARD\n";
    let card = VCard::parse(text.as_bytes()).unwrap();
    assert_eq!((card.name(), card.title()), ("Eva Kühn", None));
    assert_eq!(card.organisation(), Some("Kühn, Glas, Notdienst"));
    assert_eq!(card.phones(), ["+49171"]);
    assert_eq!(card.emails(), ["eva@kuehn.example"]);
}

#[test]
fn attacks_47_a_vcard_with_tricks_is_no_contact_and_never_a_large_one() {
    let card = |inside: &str| format!("BEGIN:VCARD\r\nVERSION:4.0\r\n{inside}\r\nEND:VCARD\r\n");
    let refused = [
        String::new(),
        "BEGIN:VCARD\r\nEND:VCARD".to_owned(),
        "BEGIN:VCARD".to_owned(),
        card(""),
        card("FN:"),
        card("FN:a\\nb"),
        card("FN:\u{202E}nnA"),
        card(&format!("FN:{}", "a".repeat(256))),
        card("FN:Anna\r\nEND:VCARD\r\nBEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ben"),
        card("FN:Anna\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Ben"),
        card("VERSION:4.0\r\nFN:Anna"),
        card(&format!("FN:Anna{}", "\r\nX:y".repeat(LINES))),
        card(&format!("FN:Anna\r\nPHOTO:{}", "A".repeat(32 * 1024))),
        "BEGIN:VCARD\nVERSION:2.1\nFN;ENCODING=QUOTED-PRINTABLE:=41\nEND:VCARD".to_owned(),
        "<vcards xmlns=\"urn:ietf:params:xml:ns:vcard-4.0\"/>".to_owned(),
    ];
    for text in &refused {
        assert_eq!(VCard::parse(text.as_bytes()), None, "{}", &text[..text.len().min(80)]);
    }
    assert_eq!(VCard::parse(b"BEGIN:VCARD\nVERSION:4.0\nFN:\xff\nEND:VCARD"), None);
    let many = (0..1000).map(|number| format!("\r\nTEL:{number}")).collect::<String>();
    assert_eq!(VCard::parse(card(&format!("FN:Anna{many}")).as_bytes()), None, "too many lines");
    let comma = || vec![",".repeat(255); 8];
    let large = VCard::new("Anna".to_owned(), None, None, comma(), comma());
    assert_eq!(large.map(|_| ()), Err(CardError::Contact), "escaped it is too large");
    let nine = || vec!["1".to_owned(); 9];
    for (phones, emails) in [(nine(), Vec::new()), (Vec::new(), nine())] {
        let card = VCard::new("Anna".to_owned(), None, None, phones, emails);
        assert_eq!(card.map(|_| ()), Err(CardError::Contact));
    }
    let nested = card("FN:Anna\r\nTEL:tel: TEL:+49");
    assert_eq!(VCard::parse(nested.as_bytes()).unwrap().phones(), ["+49"]);
    let some = (0..100).map(|number| format!("\r\nTEL:{number}")).collect::<String>();
    let some = VCard::parse(card(&format!("FN:Anna{some}")).as_bytes()).unwrap();
    assert_eq!(some.phones().len(), 8, "the rest is passed over");
}

#[test]
fn a_poll_has_different_options_and_lines_that_people_can_read() {
    let poll = |question: &str, options: &[&str], most| {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Poll::new(question.to_owned(), options, most).map(|_| ())
    };
    assert_eq!(poll("Wer?", &["a", "b"], 1), Ok(()));
    assert_eq!(poll("Wer?", &["a", "b"], 2), Ok(()));
    for (options, most) in [
        (&["a"][..], 1),
        (&["a"; 2], 1),
        (&["a", "a "], 1),
        (&["a", "a\u{200D}"], 1),
        (&["a", "b"], 0),
        (&["a", "b"], 3),
        (&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"], 1),
    ] {
        assert_eq!(poll("Wer?", options, most), Err(CardError::Options), "{options:?} {most}");
    }
    let long = "x".repeat(256);
    for line in ["", " ", "a\nb", "\u{202E}a", "\u{1b}[31m", &long] {
        assert_eq!(poll(line, &["a", "b"], 1), Err(CardError::Line), "{line:?}");
        assert_eq!(poll("Wer?", &["a", line], 1), Err(CardError::Line), "{line:?}");
    }
}

#[test]
fn attacks_47_a_poll_that_breaks_a_limit_is_its_text() {
    let bytes = |question: &str, options: Vec<String>, most: u64| {
        encode(&(question.to_owned(), options, most))
    };
    let two = || vec!["a".to_owned(), "b".to_owned()];
    assert!(Poll::parse(&bytes("Wer?", two(), 1)).is_some());
    let many = (0..2_000).map(|number| number.to_string()).collect();
    let lying = [
        bytes("Wer?", many, 1),
        bytes("Wer?", two(), 3),
        bytes("Wer?", two(), u64::MAX >> 1),
        bytes("Wer?\n", two(), 1),
        encode(&("Wer?".to_owned(), two(), 1u64, 0u64)),
    ];
    for content in lying {
        assert_eq!(Poll::parse(&content), None);
        let mut message = Message::with_card(SALT, &Card::Poll(lunch()), "Umfrage", COMPANY);
        let PartKind::Multi { parts, .. } = &mut message.body.kind else { panic!() };
        let content_type = poll::MEDIA_TYPE.to_owned();
        parts[0].kind = PartKind::Single { content_type, content: content.into() };
        assert_eq!(message.card(COMPANY), None);
        assert!(matches!(message.shown(), Shown::Text { text: "Umfrage", .. }));
    }
}

#[test]
fn a_vote_names_options_that_ascend_and_a_poll_takes_those_it_has() {
    let poll = lunch();
    let choice = |options: &[usize]| Choice::of(options.iter().copied()).unwrap();
    assert!([&[][..], &[0], &[2], &[0, 2]].iter().all(|options| poll.takes(choice(options))));
    assert!(!poll.takes(choice(&[3])) && !poll.takes(choice(&[0, 1, 2])));
    assert_eq!(Choice::of([OPTIONS]), None);
    assert_eq!(Choice::from_bits(0xffff), choice(&(0..OPTIONS).collect::<Vec<_>>()));
    let control = Control::Vote(OTHER, choice(&[0, 11]));
    let bytes = encode(&control);
    assert_eq!(bytes[bytes.len() - 3..], [0x82, 0x00, 0x0b]);
    assert_eq!(Content::read(PayloadType::Control, &bytes), Content::Control(control));
    for (options, error) in [
        (vec![1u64, 0], FormError::NotCanonical),
        (vec![1, 1], FormError::NotCanonical),
        (vec![12], FormError::Unlisted),
        (vec![u64::MAX >> 1], FormError::Unlisted),
        (vec![0; 13], FormError::TooLarge),
    ] {
        assert_eq!(decode::<Control>(&encode(&(7u64, OTHER, options))), Err(error));
    }
    let close = encode(&Control::ClosePoll(OTHER));
    assert_eq!((close[0], close[1]), (0x82, 8));
    assert_eq!(decode(&close), Ok(Control::ClosePoll(OTHER)));
}

#[test]
fn a_voice_message_says_how_long_it_is_beside_who_wrote_it_first() {
    let voice = Voice::new(Some(42_000), (0..64).collect()).unwrap();
    let message = Message::text(SALT, "").spoken(&voice).passed_on_from(BEN);
    let read = Message::parse(&message.to_bytes().unwrap()).unwrap();
    assert_eq!((read.voice(), read.origin()), (Some(voice.clone()), Some(BEN)));
    let turned = Message::text(SALT, "").passed_on_from(BEN).spoken(&voice);
    assert_eq!(turned, message, "the order of extensions is not ours to choose");
    let again = message.spoken(&Voice::default());
    assert_eq!((again.voice(), again.origin()), (Some(Voice::default()), Some(BEN)));
    assert_eq!(Message::text(SALT, "").voice(), None);
}

#[test]
fn attacks_47_a_voice_message_that_breaks_a_limit_is_a_document() {
    assert_eq!(Voice::new(Some(86_400_001), Vec::new()), None);
    assert_eq!(Voice::new(None, vec![0; 65]), None);
    for lie in [
        encode(&(86_400_001u64, Bytes(Vec::new()))),
        encode(&(42u64, Bytes(vec![255; 65]))),
        encode(&(42u64, Bytes(vec![255; 30_000]))),
        encode(&(42u64, Bytes(vec![1]), 0u64)),
        encode(&42u64),
    ] {
        let lie: crate::encoding::Any = decode(&lie).unwrap();
        let message = Message::text(SALT, "").with_extension("hauspost/voice", &lie);
        let read = Message::parse(&message.to_bytes().unwrap()).unwrap();
        assert_eq!(read.voice(), None);
    }
}

#[test]
fn debug_shows_nothing_of_a_card() {
    let seen = format!("{:?} {:?} {:?} {:?}", cards(), gate(), glazier(), lunch());
    let choice = format!("{:?}", Control::Vote(OTHER, Choice::of([5]).unwrap()));
    for word in ["Werkstor", "Kühn", "Freitag", "Pizza", "48", "[5"] {
        assert!(!seen.contains(word) && !choice.contains(word), "{word}");
    }
}

proptest! {
    #[test]
    fn any_place_reads_back(
        latitude in -90_000_000..=90_000_000i32,
        longitude in -180_000_000..=180_000_000i32,
        accuracy in proptest::option::of(0..=1_000_000u32),
        name in proptest::option::of("\\PC{1,60}"),
    ) {
        let Ok(place) = Place::new(latitude, longitude, accuracy, name) else { return Ok(()) };
        let read = Place::parse(&place.uri());
        prop_assert_eq!(read == Some(place), true);
    }

    #[test]
    fn any_contact_reads_back(name in "\\PC{1,60}", phone in "\\PC{1,60}") {
        let (name, phone) = (name.trim().to_owned(), phone.trim().to_owned());
        let card = VCard::new(name, None, None, vec![phone], Vec::new());
        // What looks like a scheme of ours is read as one.
        let Ok(card) = card else { return Ok(()) };
        if card.phones()[0].to_ascii_lowercase().starts_with("tel:") {
            return Ok(());
        }
        prop_assert_eq!(VCard::parse(card.to_text().as_bytes()) == Some(card), true);
    }

    #[test]
    fn random_bytes_never_panic(text in "(geo:|BEGIN:VCARD\n)?[0-9.,;%:=\\\\\"a-z\n -]{0,80}") {
        let _ = Place::parse(&text);
        let _ = VCard::parse(format!("BEGIN:VCARD\nVERSION:4.0\nFN:a\n{text}\nEND:VCARD").as_bytes());
        let _ = Poll::parse(text.as_bytes());
    }
}
