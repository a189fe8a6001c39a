//! docs/protocol.md §6: messages and their ids, cards, and what is said about polls.

use hauspost_protocol::content::{
    Card, Choice, Contact, Control, Message, Place, Poll, VCard, Voice,
};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::MessageId;
use serde_json::{Value, json};

use super::{COMPANY, LOG, USER, fields, hex};

/// The file.
pub fn content() -> Value {
    let salt = [0x5a; 16];
    let other = MessageId([0x01; 32]);
    let messages = [
        ("a text", Message::text(salt, "Guten Morgen, Straße 5 ist fertig.")),
        ("Markdown", Message::markdown(salt, "**fertig**")),
        ("a reply", Message::text(salt, "Danke").replying_to(other)),
        ("an edit", Message::text(salt, "Straße 6").replacing(other)),
        ("a reaction", Message::reaction(salt, other, "👍")),
        ("a deletion", Message::deletion(salt, other)),
        ("a place", card(Card::Place(place()))),
        ("a colleague", card(Card::Contact(Contact::Colleague(USER)))),
        ("a contact", card(Card::Contact(Contact::Other(contact())))),
        ("a poll", card(Card::Poll(poll()))),
        (
            "a voice message passed on",
            Message::text(salt, "").spoken(&voice()).passed_on_from(USER),
        ),
    ];
    let ours = messages.map(|(what, message)| {
        let bytes = message.to_bytes().expect("within the limits");
        json!({
            "what": what,
            "sender": format!("hauspost:{COMPANY}/{USER}"),
            "room": format!("hauspost:{COMPANY}/l/{LOG}"),
            "salt": hex(&message.salt), "message": hex(&bytes),
            "id": hex(&message.id(&bytes, COMPANY, USER, LOG).0),
        })
    });
    let vote = encode(&Control::Vote(other, Choice::of([0, 2]).expect("two of a poll's")));
    let close = encode(&Control::ClosePoll(other));
    let controls = [vote, close].map(|it| json!({ "fields": fields(&it), "bytes": hex(&it) }));
    json!({
        "company": hex(&COMPANY.0), "user": hex(&USER.0), "log": hex(&LOG.0), "cases": ours,
        "controls": controls,
    })
}

/// A message that shows a card, and "in words" where the card is not known.
fn card(card: Card) -> Message {
    Message::with_card([0x5a; 16], &card, "in words", COMPANY)
}

fn place() -> Place {
    let name = Some("Werkstor 3, Süd".to_owned());
    Place::new(48_201_000, -16_369_500, Some(12), name).expect("a place")
}

fn contact() -> VCard {
    let phones = vec!["+49 30 901820".to_owned()];
    let name = "Kühn; Glas, und ein Name, für den eine Zeile von fünfundsiebzig Bytes nicht reicht";
    let contact = VCard::new(name.to_owned(), Some("Kühn".to_owned()), None, phones, Vec::new());
    contact.expect("a contact")
}

fn poll() -> Poll {
    let options = ["Kantine", "Pizza", "Salat"].map(str::to_owned).to_vec();
    Poll::new("Was essen wir?".to_owned(), options, 2).expect("a poll")
}

fn voice() -> Voice {
    Voice::new(Some(42_000), vec![0, 0x7f, 0xff]).expect("a voice message")
}
