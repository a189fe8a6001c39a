//! What an auditor reads is what people saw: polls and how they stand, places, contacts, voice messages and
//! documents.

use hauspost_protocol::content::{Card, Choice, Contact, Control, Place, Poll, VCard, Voice};
use hauspost_protocol::content::{Message as Said, WAVEFORM_BYTES};
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::encoding::encode;
use hauspost_protocol::file::Layout;
use hauspost_protocol::ids::{Digest, MessageId};
use hauspost_protocol::statement::{File, FileRole};

use super::super::testing::{Phone, Room};
use super::*;

/// What two people say in a room.
struct Speaking {
    world: World,
    room: Room,
    phones: [Phone; 2],
}

impl Speaking {
    fn begun() -> Self {
        let mut world = World::founded();
        let (mut anna, mut ben) = (world.phone(1), world.phone(2));
        let room = world.room(&mut anna, &mut [&mut ben]);
        Self { world, room, phones: [anna, ben] }
    }

    fn message(&mut self, who: usize, message: &Said, files: Vec<File>) -> MessageId {
        let bytes = message.to_bytes().unwrap();
        let id = message.id(&bytes, self.world.id(), self.phones[who].user(), self.room.log);
        self.world.claim(&mut self.room, &mut self.phones[who], who as u32, "", |statement| {
            statement.content = Bytes(bytes);
            statement.files = files;
        });
        id
    }

    fn control(&mut self, who: usize, control: &Control) {
        let bytes = encode(control);
        self.world.claim(&mut self.room, &mut self.phones[who], who as u32, "", |statement| {
            statement.ptype = PayloadType::Control;
            statement.content = Bytes(bytes);
        });
    }

    /// What officers read of it, a line each without number and time, and its JSON.
    fn read(self) -> (Vec<String>, serde_json::Value) {
        let log = self.room.log;
        let talk = Talk { world: self.world, room: log, other: log };
        let readings = Sides::of(talk, |talk| whole(talk.room)).read();
        let [(_, reading)] = &readings[..] else { panic!("one conversation") };
        assert_eq!(reading.findings, []);
        let said = |line: String| line.split_once(": ").unwrap().1.to_owned();
        let lines = reading.messages.iter().map(|message| said(message.line())).collect();
        (lines, serde_json::to_value(&reading.messages).unwrap())
    }
}

fn file(number: u8, name: &str, media_type: &str) -> File {
    File {
        blob_root: Digest([number; 32]),
        blob_size: Layout::of_plain(100).unwrap().blob_size(),
        key: Secret::new([number; 32]),
        plain_size: 100,
        plain_hash: Digest([number; 32]),
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        role: FileRole::Original,
        of: None,
    }
}

#[test]
fn a_poll_is_read_with_its_votes_in_their_order_and_how_it_stands() {
    let mut speaking = Speaking::begun();
    let options = ["Montag", "Dienstag", "gar nicht"].map(str::to_owned).to_vec();
    let poll = Card::Poll(Poll::new("Wann kommt der Kran?".to_owned(), options, 2).unwrap());
    let company = speaking.world.id();
    let asked = Said::with_card([1; 16], &poll, "Bitte die App aktualisieren", company);
    let poll = speaking.message(0, &asked, Vec::new());
    let choice = |options: &[usize]| Choice::of(options.iter().copied()).unwrap();
    speaking.control(1, &Control::Vote(poll, choice(&[0, 1])));
    speaking.control(0, &Control::Vote(poll, choice(&[0])));
    speaking.control(1, &Control::Vote(poll, choice(&[1])));
    speaking.control(0, &Control::Vote(poll, choice(&[7])));
    speaking.control(0, &Control::ClosePoll(poll));
    speaking.control(1, &Control::Vote(poll, choice(&[])));
    let (lines, json) = speaking.read();
    let first = &json[0]["seq"];
    let about = format!(" [about {first}]");
    let void = " [without effect: too late, or not an option]";
    assert_eq!(
        lines[1..],
        [
            format!("[votes Montag, Dienstag]{about}"),
            format!("[votes Montag]{about}"),
            format!("[votes Dienstag]{about}"),
            format!("[votes option 8]{about}{void}"),
            format!("[closes the poll]{about}"),
            format!("[takes the vote back]{about}{void}"),
        ]
    );
    let closed = &json[5]["seq"];
    let stands =
        format!("votes as far as opened: Montag 1, Dienstag 1, gar nicht 0; closed by {closed}");
    assert!(lines[0].starts_with("[poll] Wann kommt der Kran?"), "{}", lines[0]);
    assert!(lines[0].contains("Montag") && lines[0].contains(&stands), "{}", lines[0]);
    assert!(lines[0].ends_with("[older apps showed: Bitte die App aktualisieren]"), "{}", lines[0]);
    assert_eq!(json[0]["result"]["voters"], 2);
    assert_eq!(json[0]["result"]["closed_seq"], *closed);
}

#[test]
fn places_and_contacts_are_read_as_they_were_shown() {
    let mut speaking = Speaking::begun();
    let company = speaking.world.id();
    let gate = Place::new(50_938_100, 6_957_000, Some(12), Some("Tor 3".to_owned())).unwrap();
    let customer = VCard::new(
        "Erika Groß".to_owned(),
        Some("Groß & Klein".to_owned()),
        None,
        vec!["+49 221 1234".to_owned()],
        vec!["erika@gross.example".to_owned()],
    );
    let ben = UserId([2; 16]);
    for card in [
        Card::Place(gate),
        Card::Contact(Contact::Colleague(ben)),
        Card::Contact(Contact::Other(customer.unwrap())),
    ] {
        // Its text says something else, which nobody saw who knows the card.
        let said = Said::with_card([1; 16], &card, "ganz woanders", company);
        speaking.message(0, &said, Vec::new());
    }
    let (lines, json) = speaking.read();
    for (line, shown) in lines.iter().zip([
        &["[place] ", "Tor 3", "50.9381", "6.957"][..],
        &["[contact] "],
        &["[contact] ", "Erika Groß", "Groß & Klein", "+49 221 1234", "erika@gross.example"],
    ]) {
        assert!(shown.iter().all(|shown| line.contains(shown)), "{line}");
        assert!(line.ends_with("[older apps showed: ganz woanders]"), "{line}");
    }
    assert!(!json[1]["text"].as_str().unwrap().is_empty(), "{json}");
    let kinds: Vec<_> = (0..3).map(|at| json[at]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["place", "contact", "contact"]);
}

#[test]
fn a_voice_message_is_read_with_its_length_and_a_document_with_its_pages() {
    let mut speaking = Speaking::begun();
    let voice = Voice::new(Some(41_200), vec![9; WAVEFORM_BYTES]).unwrap();
    let spoken = Said::text([1; 16], "").spoken(&voice);
    speaking.message(1, &spoken, vec![file(1, "Sprachnachricht.ogg", "audio/ogg")]);
    let documents = Said::text([2; 16], "anbei").with_pages(&[None, Some(500)]);
    let files = vec![file(2, "Foto.jpg", "image/jpeg"), file(3, "Prüfbuch.pdf", "application/pdf")];
    speaking.message(0, &documents, files);
    let (lines, json) = speaking.read();
    assert_eq!(
        lines,
        [
            " [voice, 42 s] [file: Sprachnachricht.ogg]",
            "anbei [file: Foto.jpg] [file: Prüfbuch.pdf, 500 pages]",
        ]
    );
    assert_eq!(json[0]["voice_ms"], 41_200);
    assert_eq!(json[1]["files"][0]["pages"], serde_json::Value::Null);
    assert_eq!(json[1]["files"][1]["pages"], 500);
    assert_eq!(json[1]["files"][1]["sha256"], "03".repeat(32));
}
