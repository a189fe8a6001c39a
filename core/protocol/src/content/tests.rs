use proptest::prelude::*;

use super::message::{TOPIC_BYTES, derive_id};
use super::part::{PART_LEVELS, PARTS, PLAIN};
use super::*;
use crate::encoding::{Any, FormError};
use crate::ids::{CompanyId, LogId, UserId};
use crate::limits;

const SALT: [u8; 16] = [3; 16];
const OTHER: MessageId = MessageId([1; 32]);

fn shown(message: &Message) -> (Message, Shown<'_>) {
    (message.clone(), message.shown())
}

fn part(content_type: &str, content: &[u8]) -> Part {
    let kind = PartKind::Single { content_type: content_type.to_owned(), content: content.into() };
    Part { disposition: Disposition::RENDER, language: String::new(), kind }
}

fn multi(semantics: Semantics, parts: Vec<Part>) -> Part {
    let kind = PartKind::Multi { semantics, parts };
    Part { disposition: Disposition::RENDER, language: String::new(), kind }
}

fn message(body: Part) -> Message {
    Message::with_body(SALT, body)
}

/// The example "Original Message" of draft-ietf-mimi-content-08 §5.1, byte for byte.
#[test]
fn the_drafts_own_example_reads_and_has_the_drafts_message_id() {
    let hex = concat!(
        "87505eed9406c2545547ab6f09f20a18b003f640f6f6a2017820",
        "6d696d693a2f2f6578616d706c652e636f6d2f752f616c6963652d736d697468027825",
        "6d696d693a2f2f6578616d706c652e636f6d2f722f656e67696e656572696e675f7465616d",
        "85016001781e746578742f6d61726b646f776e3b76617269616e743d47464d2d4d494d495839",
        "48692065766572796f6e652c207765206a75737420736869707065642072656c6561736520322e302e20",
        "5f5f476f6f642020776f726b5f5f21",
    );
    let bytes = hex::decode(hex).unwrap();
    let message = Message::parse(&bytes).unwrap();
    let text = "Hi everyone, we just shipped release 2.0. __Good  work__!";
    assert_eq!(message.shown(), Shown::Text { text, form: TextForm::Markdown });
    let (sender, room) =
        ("mimi://example.com/u/alice-smith", "mimi://example.com/r/engineering_team");
    assert_eq!(
        derive_id(sender, room, &bytes, &message.salt).to_string(),
        "017ce54837404c3696e0c747b985cb172716d0ed0a3d249ca63ace7d82a096f4"
    );
}

#[test]
fn a_text_reads_back_as_it_was_written() {
    let text = "Guten Morgen, Müller & Söhne 👍";
    for (message, form) in [
        (Message::text(SALT, text), TextForm::Plain),
        (Message::markdown(SALT, text), TextForm::Markdown),
    ] {
        let read = Message::parse(&message.to_bytes().unwrap()).unwrap();
        assert_eq!(shown(&read), (message.clone(), Shown::Text { text, form }));
    }
}

#[test]
fn replies_edits_reactions_and_deletions_name_the_other_message() {
    let reply = Message::text(SALT, "ja").replying_to(OTHER);
    let edit = Message::text(SALT, "nein").replacing(OTHER);
    let reaction = Message::reaction(SALT, OTHER, "👍");
    let deletion = Message::deletion(SALT, OTHER);
    for message in [&reply, &edit, &reaction, &deletion] {
        assert_eq!(Message::parse(&message.to_bytes().unwrap()).as_ref(), Ok(message));
    }
    assert_eq!(reply.in_reply_to, Some(OTHER));
    assert_eq!(edit.replaces, Some(OTHER));
    assert_eq!((reaction.in_reply_to, reaction.shown()), (Some(OTHER), Shown::Reaction("👍")));
    assert_eq!((deletion.replaces, deletion.shown()), (Some(OTHER), Shown::Nothing));
}

#[test]
fn the_message_id_depends_on_text_salt_author_room_and_company() {
    let id = |salt: u8, text: &str, company: u8, user: u8, log: u8| {
        let message = Message::text([salt; 16], text);
        let bytes = message.to_bytes().unwrap();
        message.id(&bytes, CompanyId([company; 16]), UserId([user; 16]), LogId([log; 16]))
    };
    let ids = [
        id(1, "a", 1, 1, 1),
        id(2, "a", 1, 1, 1),
        id(1, "b", 1, 1, 1),
        id(1, "a", 2, 1, 1),
        id(1, "a", 1, 2, 1),
        id(1, "a", 1, 1, 2),
    ];
    for (i, id) in ids.iter().enumerate() {
        assert_eq!(id.0[0], 1, "SHA-256's number in the registry of RFC 6920");
        assert!(!ids[..i].contains(id));
    }
}

#[test]
fn alternatives_are_shown_by_the_first_that_is_understood() {
    let fancy = part("application/vnd.example", b"\x00\x01");
    let body = multi(Semantics::ChooseOne, vec![fancy.clone(), part(PLAIN, b"Hallo")]);
    let shown = Shown::Text { text: "Hallo", form: TextForm::Plain };
    assert_eq!(message(body).shown(), shown);
    let neither = multi(Semantics::ChooseOne, vec![fancy.clone(), fancy]);
    assert_eq!(message(neither).shown(), Shown::Unknown);
}

#[test]
fn what_a_newer_app_sends_survives_and_asks_for_an_update() {
    let newer = [
        // A cardinality, a disposition and a media type that the draft does not have.
        part("application/vnd.example.map", b"x"),
        Part {
            kind: PartKind::Other(vec![decode(&[0x07]).unwrap(), Any::empty_map()]),
            ..part(PLAIN, b"")
        },
        multi(Semantics::SingleUnit, vec![part(PLAIN, b"a"), part("image/png", b"b")]),
        part("text/plain;charset=iso-8859-1", b"\xe4"),
        part(PLAIN, b"\xff not UTF-8"),
    ];
    for body in newer {
        let message = message(body);
        let bytes = message.to_bytes().unwrap();
        let read = Message::parse(&bytes).unwrap();
        assert_eq!(read.to_bytes().unwrap(), bytes, "nothing is lost");
        assert_eq!(read.shown(), Shown::Unknown);
    }
    let unknown_disposition = Part { disposition: Disposition(99), ..part(PLAIN, b"Hallo") };
    assert!(matches!(message(unknown_disposition).shown(), Shown::Text { text: "Hallo", .. }));
}

/// docs/protocol.md §8: files travel as blobs of the log; a link in a message must not make a phone
/// fetch anything.
#[test]
fn an_external_part_is_kept_and_never_understood() {
    let mut to = vec![0x8f, 0x06, 0x60, 0x02];
    to.extend_from_slice(&encode(&"image/png".to_owned()));
    to.extend_from_slice(&encode(&"https://example.com/pixel.png".to_owned()));
    to.extend_from_slice(&[0x00, 0x00, 0x00, 0x40, 0x40, 0x40, 0x00, 0x40, 0x60, 0x60]);
    let external: Part = decode(&to).unwrap();
    assert!(matches!(external.kind, PartKind::Other(_)));
    assert_eq!(message(external).shown(), Shown::Unknown);
}

#[test]
fn content_that_does_not_parse_is_unknown_and_not_an_error() {
    for ptype in
        [PayloadType::Content, PayloadType::Control, PayloadType::Receipt, PayloadType::OwnState]
    {
        assert_eq!(Content::read(ptype, b"\xff"), Content::Unknown);
        assert_eq!(Content::read(ptype, b""), Content::Unknown);
    }
}

#[test]
fn limits_hold_for_writing_and_for_reading() {
    let too_long = Message::text(SALT, &"x".repeat(limits::CONTENT_BYTES));
    let topic = Message { topic: vec![0; TOPIC_BYTES + 1].into(), ..Message::text(SALT, "x") };
    let many = message(multi(Semantics::ProcessAll, vec![part("a", b""); PARTS]));
    let media_type = message(part(&"x".repeat(256), b""));
    for message in [too_long, topic, many, media_type] {
        assert_eq!(message.to_bytes(), Err(FormError::TooLarge));
        assert_eq!(Message::parse(&encode(&message)), Err(FormError::TooLarge));
    }
    let mut deep = part(PLAIN, b"x");
    for _ in 1..PART_LEVELS {
        deep = multi(Semantics::ChooseOne, vec![deep.clone(), deep]);
    }
    assert!(Message::parse(&message(deep.clone()).to_bytes().unwrap()).is_ok());
    let deeper = message(multi(Semantics::ChooseOne, vec![deep.clone(), deep]));
    assert_eq!(deeper.to_bytes(), Err(FormError::TooDeep));
    assert_eq!(Message::parse(&encode(&deeper)), Err(FormError::TooDeep));
    let alone = message(multi(Semantics::ChooseOne, vec![part(PLAIN, b"x")]));
    assert_eq!(alone.to_bytes(), Err(FormError::Malformed));
    let no_map = Message { extensions: decode(&[0x80]).unwrap(), ..Message::text(SALT, "x") };
    assert_eq!(no_map.to_bytes(), Err(FormError::Malformed));
}

#[test]
fn an_expiration_uses_cbors_booleans_as_the_draft_does() {
    for (relative, byte) in [(false, 0xf4), (true, 0xf5)] {
        let expiration = Expiration { relative, time_s: 23 };
        assert_eq!(encode(&expiration), [0x82, byte, 0x17]);
        assert_eq!(decode(&[0x82, byte, 0x17]), Ok(expiration));
    }
    assert_eq!(decode::<Expiration>(&[0x82, 0x01, 0x17]), Err(FormError::Malformed));
}

#[test]
fn each_control_has_one_form_and_a_newer_one_is_unknown() {
    let controls = [
        Control::Redact(OTHER),
        Control::Acknowledge(OTHER),
        Control::PolicyNotice(OTHER),
        Control::Title("Baustelle Nord".to_owned()),
    ];
    for (op, control) in (0u8..).zip(controls) {
        let bytes = encode(&control);
        assert_eq!(bytes[1], op);
        assert_eq!(Content::read(PayloadType::Control, &bytes), Content::Control(control.clone()));
    }
    let newer = encode(&(99u64, OTHER));
    assert_eq!(Content::read(PayloadType::Control, &newer), Content::Unknown);
    let long = encode(&Control::Title("x".repeat(256)));
    assert_eq!(Content::read(PayloadType::Control, &long), Content::Unknown);
}

#[test]
fn a_receipt_names_the_messages_that_were_read() {
    let bytes = receipt(vec![OTHER, MessageId([2; 32])]);
    assert_eq!(
        Content::read(PayloadType::Receipt, &bytes),
        Content::Receipt(vec![OTHER, MessageId([2; 32])])
    );
}

#[test]
fn debug_shows_no_content() {
    let text = format!(
        "{:?} {:?} {:?}",
        Content::Message(Message::text(SALT, "geheim")),
        Message::text(SALT, "geheim").shown(),
        Control::Title("geheim".to_owned())
    );
    assert!(!text.contains("geheim"), "{text}");
}

proptest! {
    #[test]
    fn any_text_reads_back(text in ".{0,400}") {
        let message = Message::text(SALT, &text);
        let read = Message::parse(&message.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(read.shown() == Shown::Text { text: &text, form: TextForm::Plain }, true);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for ptype in [PayloadType::Content, PayloadType::Control, PayloadType::Receipt, PayloadType::OwnState] {
            let _ = Content::read(ptype, &bytes);
        }
    }

    /// One byte of a good message changed: it reads as another message, or not at all, and what reads
    /// is written as the same bytes.
    #[test]
    fn what_reads_is_written_as_it_was(at in 0usize..60, byte in any::<u8>()) {
        let body = multi(Semantics::ChooseOne, vec![part(PLAIN, b"x"), part("y", b"z")]);
        let mut bytes = message(body).to_bytes().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = Message::parse(&bytes) {
            prop_assert_eq!(read.to_bytes().unwrap(), bytes);
        }
    }
}

#[test]
fn what_an_author_does_follows_from_the_fields_together() {
    let act = |message: &Message| format!("{:?}", message.act());
    let text = |text: &str| Message::text(SALT, text);
    assert_eq!(text("a").act(), Act::Write("a", TextForm::Plain));
    assert_eq!(text("a").replying_to(OTHER).act(), Act::Write("a", TextForm::Plain));
    let edit = Message::markdown(SALT, "*b*").replacing(OTHER);
    assert_eq!(edit.act(), Act::Edit(OTHER, Some(("*b*", TextForm::Markdown))));
    assert_eq!(Message::deletion(SALT, OTHER).act(), Act::Delete(OTHER));
    assert_eq!(Message::reaction(SALT, OTHER, "👍").act(), Act::React(OTHER, "👍"));
    let newer = message(part("application/vnd.example", b"x")).replacing(OTHER);
    assert_eq!(newer.act(), Act::Edit(OTHER, None), "shown in the other's place");
    let senseless = [
        Message { in_reply_to: None, ..Message::reaction(SALT, OTHER, "👍") },
        Message::reaction(SALT, OTHER, "👍 gefällt mir"),
        Message::reaction(SALT, OTHER, "👍").replacing(OTHER),
        Message { replaces: None, ..Message::deletion(SALT, OTHER) },
    ];
    for message in &senseless {
        assert_eq!(message.act(), Act::Unknown, "{}", act(message));
    }
}

#[test]
fn a_message_that_is_passed_on_names_who_wrote_it_and_nothing_else() {
    let anna = UserId([7; 16]);
    let passed = Message::text(SALT, "Moin").passed_on_from(anna);
    let read = Message::parse(&passed.to_bytes().unwrap()).unwrap();
    assert_eq!((read.origin(), read.in_reply_to), (Some(anna), None));
    assert_eq!(Message::text(SALT, "Moin").origin(), None);
    // Other extensions stand beside it; one of another form is none.
    for (extensions, origin) in [
        (
            "a2016161 6f686175 73706f73742f6f72 6967696e 50 07070707070707070707070707070707",
            Some(anna),
        ),
        ("a1 6f686175 73706f73742f6f72 6967696e 01", None),
        ("a1 6f686175 73706f73742f6f72 6967696e 4107", None),
    ] {
        let bytes = hex::decode(extensions.replace(' ', "")).unwrap();
        let extensions = decode(&bytes).unwrap();
        assert_eq!(Message { extensions, ..Message::text(SALT, "x") }.origin(), origin);
    }
}

#[test]
fn controls_about_a_message_read_back() {
    for control in [
        Control::Redact(OTHER),
        Control::Pin(OTHER),
        Control::Unpin(OTHER),
        Control::Acknowledge(OTHER),
    ] {
        assert_eq!(decode::<Control>(&encode(&control)).as_ref(), Ok(&control));
        assert!(control.act().is_some());
    }
    assert_eq!(Control::Title("x".to_owned()).act(), None);
    let picture = encode(&Control::Picture);
    assert_eq!(picture, [0x82, 0x09, 0xf6]);
    assert_eq!(decode::<Control>(&picture), Ok(Control::Picture));
}

#[test]
fn a_message_that_is_to_be_confirmed_says_so_beside_what_else_it_says() {
    let anna = UserId([7; 16]);
    let asks = Message::text(SALT, "Bitte lesen").asking_to_confirm();
    assert!(!Message::text(SALT, "Bitte lesen").asks_to_confirm());
    for message in [
        asks.clone().asking_to_confirm(),
        asks.clone().passed_on_from(anna),
        Message::text(SALT, "Bitte lesen").passed_on_from(anna).asking_to_confirm(),
    ] {
        let read = Message::parse(&message.to_bytes().unwrap()).unwrap();
        assert!(read.asks_to_confirm());
        assert!(matches!(read.origin(), None | Some(UserId([7, ..]))));
    }
    let both = asks.clone().passed_on_from(anna);
    assert_eq!(both.origin(), Some(anna));
    assert_eq!(both, Message::text(SALT, "Bitte lesen").passed_on_from(anna).asking_to_confirm());
    // Any other value asks for nothing that this version knows.
    for other in ["a1 6c 686175 73706f73742f61636b 02", "a1 6c 686175 73706f73742f61636b 4101"] {
        let extensions = decode(&hex::decode(other.replace(' ', "")).unwrap()).unwrap();
        assert!(!Message { extensions, ..Message::text(SALT, "x") }.asks_to_confirm());
    }
}
