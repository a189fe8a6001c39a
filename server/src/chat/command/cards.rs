//! Places, contacts and polls as they are typed.

use hauspost_protocol::content::{Card, Contact, Place, Poll, VCard};

use super::Command;

/// `52.52, 13.405 NAME`, with or without the comma, or a geo URI.
pub(super) fn place(rest: &str) -> Option<Command> {
    let rest = rest.trim();
    let place = if rest.to_lowercase().starts_with("geo:") {
        Place::parse(rest)?
    } else {
        let (latitude, rest) = number(rest)?;
        let (longitude, name) = number(rest)?;
        let there = Place::parse(&format!("geo:{latitude},{longitude}"))?;
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Place::new(there.latitude(), there.longitude(), None, name).ok()?
    };
    Some(card(Card::Place(place)))
}

/// The number at the beginning of a text, and what stands behind it and a comma.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| c == ',' || c == ';' || c.is_whitespace()).unwrap_or(text.len());
    let behind = text[end..].trim_start_matches(|c: char| ",;".contains(c) || c.is_whitespace());
    (end > 0).then(|| (&text[..end], behind))
}

/// `@ben`, or a name and behind it, in any order, numbers, addresses and an organisation.
pub(super) fn contact(rest: &str) -> Option<Command> {
    let parts = parts(rest);
    let (name, others) = parts.split_first()?;
    if let Some(handle) = name.strip_prefix('@') {
        let handle = Some(handle).filter(|handle| !handle.is_empty() && others.is_empty());
        return handle.map(|handle| Command::Colleague(handle.to_owned()));
    }
    let (mut organisation, mut title) = (None, None);
    let (mut phones, mut emails) = (Vec::new(), Vec::new());
    for part in others {
        let is_number = part.chars().any(|c| c.is_ascii_digit())
            && part.chars().all(|c| c.is_ascii_digit() || " +-/().".contains(c));
        if part.contains('@') {
            emails.push(part.clone());
        } else if is_number {
            phones.push(part.clone());
        } else if organisation.is_none() {
            organisation = Some(part.clone());
        } else if title.replace(part.clone()).is_some() {
            return None;
        }
    }
    let vcard = VCard::new(name.clone(), organisation, title, phones, emails).ok()?;
    Some(card(Card::Contact(Contact::Other(vcard))))
}

/// A question and its options, parted by semicolons or lines.
pub(super) fn poll(rest: &str, several: bool) -> Option<Command> {
    let mut options = parts(rest);
    if options.is_empty() {
        return None;
    }
    let question = options.remove(0);
    let most = if several { u32::try_from(options.len()).ok()? } else { 1 };
    Some(card(Card::Poll(Poll::new(question, options, most).ok()?)))
}

fn card(card: Card) -> Command {
    Command::Card(Box::new(card))
}

fn parts(rest: &str) -> Vec<String> {
    let parts = rest.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::super::{PLACE, Refusal};
    use super::*;

    fn shown(text: &str) -> Card {
        match read(text) {
            Some(Ok(Command::Card(card))) => *card,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_place_is_two_numbers_and_a_name_or_a_geo_uri() {
        let place = |name: Option<&str>| {
            let name = name.map(str::to_owned);
            Card::Place(Place::new(52_520_000, -13_405_000, None, name).unwrap())
        };
        assert_eq!(shown("/place 52.52 -13.405"), place(None));
        assert_eq!(shown("/place 52.52,-13.405"), place(None));
        assert_eq!(shown("/ort 52.52, -13.405; Werkstor 3"), place(Some("Werkstor 3")));
        assert_eq!(shown("/place geo:52.52,-13.405;name=Tor%203"), place(Some("Tor 3")));
        for text in ["/place", "/place 52", "/place 91 0", "/place Berlin", "/place 5°N 3°O"] {
            assert_eq!(read(text), Some(Err(Refusal::Written(PLACE))), "{text}");
        }
    }

    #[test]
    fn a_contact_is_a_colleague_or_a_name_with_what_it_takes_to_reach_it() {
        let colleague = Some(Ok(Command::Colleague("ben".to_owned())));
        assert_eq!(read("/contact @ben"), colleague);
        let card = shown("/kontakt Eva Kühn; +49 (30) 90-1820; eva@kuehn.example; Glaserei Kühn");
        let Card::Contact(Contact::Other(card)) = card else { panic!() };
        assert_eq!((card.name(), card.organisation()), ("Eva Kühn", Some("Glaserei Kühn")));
        assert_eq!(card.phones(), ["+49 (30) 90-1820"]);
        assert_eq!(card.emails(), ["eva@kuehn.example"]);
        for text in ["/contact", "/contact @", "/contact @ben; x", "/contact a; b; c; d"] {
            assert!(matches!(read(text), Some(Err(_))), "{text}");
        }
    }

    #[test]
    fn a_poll_is_a_question_and_options_of_which_one_or_several_may_be_chosen() {
        let Card::Poll(poll) = shown("/poll Was essen wir?; Pizza ; Salat;") else { panic!() };
        assert_eq!((poll.question(), poll.most()), ("Was essen wir?", 1));
        assert_eq!(poll.options(), ["Pizza", "Salat"]);
        let Card::Poll(poll) = shown("/umfrage* Wann?\nMo\nDi\nMi") else { panic!() };
        assert_eq!((poll.options().len(), poll.most()), (3, 3));
        for text in ["/poll", "/poll Was?", "/poll Was?; a", "/poll Was?; a; a"] {
            assert!(matches!(read(text), Some(Err(_))), "{text}");
        }
    }
}
