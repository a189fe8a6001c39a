//! What a message shows besides a text: places, contacts, polls; and voice messages.
//!
//! What comes from others was checked when it came: lines are short and hold nothing that hides, numbers are
//! in their ranges, lists are bounded. No map, picture or page is fetched for any of it.

use hauspost_core::account::Attachment;
use hauspost_core::store::rows::message::ShownCard;
use hauspost_protocol::content::{self as core, Card, CardError, Choice};
use hauspost_protocol::ids::UserId;

use crate::documents::NewDocument;
use crate::error::HauspostError;
use crate::timeline::{Line, Timeline};
use crate::{ids, runtime};

/// Millionths in a degree.
const MICRO: f64 = 1_000_000.0;

/// A place on Earth.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Place {
    /// Degrees (WGS 84), north being positive; sent to six digits.
    pub latitude: f64,
    /// Degrees, east being positive.
    pub longitude: f64,
    /// How far they may be off, in metres; 1,000 km at most.
    #[uniffi(default = None)]
    pub accuracy_m: Option<u32>,
    /// What it is called: one line of at most 255 bytes.
    #[uniffi(default = None)]
    pub name: Option<String>,
}

/// Somebody whom a message tells of.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Contact {
    /// Somebody of the company; the name is the directory's.
    Colleague {
        /// Who.
        person: String,
    },
    /// Anybody else.
    Other {
        /// The name.
        name: String,
        /// The organisation.
        organisation: Option<String>,
        /// The title, or what the person does there.
        title: Option<String>,
        /// Telephone numbers, 8 at most.
        phones: Vec<String>,
        /// E-mail addresses, 8 at most.
        emails: Vec<String>,
    },
}

/// A poll and how it stands. Everybody in the conversation sees who chose what.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Poll {
    /// What is asked.
    pub question: String,
    /// What may be chosen, 2 to 12.
    pub options: Vec<PollOption>,
    /// How many of them one person may choose.
    pub most: u32,
    /// How many people chose anything.
    pub voters: u64,
    /// Whether the own vote has not reached the server yet.
    pub waiting: bool,
    /// Who closed it; votes no longer count then.
    pub closed_by: Option<String>,
}

/// An option of a poll.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PollOption {
    /// What it says.
    pub text: String,
    /// How many chose it.
    pub count: u32,
    /// Whether the person of this phone did.
    pub mine: bool,
}

/// What somebody chose in a poll.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Voter {
    /// Who.
    pub person: String,
    /// The places of the options, from 0 on.
    pub options: Vec<u32>,
}

/// Of a voice message what is shown before it was fetched, as its author's phone says.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Voice {
    /// How long it is, a day at most; null if that is not known.
    pub duration_ms: Option<u32>,
    /// How loud it is from its beginning to its end: at most 64 bars of equal width, 255 being the loudest.
    pub waveform: Vec<u8>,
}

impl Voice {
    pub(crate) fn of(voice: &core::Voice) -> Self {
        Self { duration_ms: voice.duration_ms(), waveform: voice.waveform().to_vec() }
    }
}

impl Line {
    pub(crate) fn of_card(shown: ShownCard) -> Self {
        match shown.card {
            Card::Place(place) => Self::Place { place: Place::of(&place) },
            Card::Contact(contact) => Self::Contact { contact: Contact::of(&contact) },
            Card::Poll(poll) => {
                let votes = shown.votes.unwrap_or_default();
                let option = |(at, text): (usize, &String)| PollOption {
                    text: text.clone(),
                    count: votes.count(at),
                    mine: votes.mine.has(at),
                };
                Self::Poll {
                    poll: Poll {
                        question: poll.question().to_owned(),
                        options: poll.options().iter().enumerate().map(option).collect(),
                        most: poll.most(),
                        voters: votes.voters,
                        waiting: votes.is_waiting,
                        closed_by: votes.closed_by.map(|user| user.to_string()),
                    },
                }
            }
        }
    }
}

impl Place {
    fn of(place: &core::Place) -> Self {
        Self {
            latitude: f64::from(place.latitude()) / MICRO,
            longitude: f64::from(place.longitude()) / MICRO,
            accuracy_m: place.accuracy_m(),
            name: place.name().map(str::to_owned),
        }
    }

    fn read(self) -> Result<core::Place, HauspostError> {
        let micro = |degrees: f64| match (degrees * MICRO).round() {
            micro if micro.abs() <= 180.0 * MICRO => Ok(micro as i32),
            // Also what is no number.
            _ => Err(refused(CardError::Coordinates)),
        };
        let (latitude, longitude) = (micro(self.latitude)?, micro(self.longitude)?);
        core::Place::new(latitude, longitude, self.accuracy_m, self.name).map_err(refused)
    }
}

impl Contact {
    fn of(contact: &core::Contact) -> Self {
        match contact {
            core::Contact::Colleague(user) => Self::Colleague { person: user.to_string() },
            core::Contact::Other(card) => Self::Other {
                name: card.name().to_owned(),
                organisation: card.organisation().map(str::to_owned),
                title: card.title().map(str::to_owned),
                phones: card.phones().to_vec(),
                emails: card.emails().to_vec(),
            },
        }
    }

    fn read(self) -> Result<core::Contact, HauspostError> {
        Ok(match self {
            Self::Colleague { person } => core::Contact::Colleague(ids::user(&person)?),
            Self::Other { name, organisation, title, phones, emails } => {
                let card = core::VCard::new(name, organisation, title, phones, emails);
                core::Contact::Other(card.map_err(refused)?)
            }
        })
    }
}

fn refused(error: CardError) -> HauspostError {
    HauspostError::bad_input(error)
}

fn choice(options: &[u32]) -> Result<Choice, HauspostError> {
    let places = options.iter().map(|option| usize::try_from(*option).unwrap_or(usize::MAX));
    Choice::of(places).ok_or_else(|| refused(CardError::Options))
}

fn voter((user, choice): (UserId, Choice)) -> Voter {
    let options = choice.iter().filter_map(|option| u32::try_from(option).ok()).collect();
    Voter { person: user.to_string(), options }
}

/// The geo URI (RFC 5870) by which a program for maps opens a place; null for what is none.
#[uniffi::export]
pub fn geo_uri(place: Place) -> Option<String> {
    place.read().ok().map(|place| place.uri())
}

/// The contact that a vCard of version 3 or 4 holds, as an address book gives it; null for what is none, and
/// for one of more than 8 KiB.
#[uniffi::export]
pub fn contact_of_vcard(vcard: Vec<u8>) -> Option<Contact> {
    core::VCard::parse(&vcard).map(|card| Contact::of(&core::Contact::Other(card)))
}

/// A contact as a vCard, for the phone's address book; null for a colleague, who is in the directory.
#[uniffi::export]
pub fn vcard_of_contact(contact: Contact) -> Option<String> {
    match contact.read() {
        Ok(core::Contact::Other(card)) => Some(card.to_text()),
        _ => None,
    }
}

#[uniffi::export]
impl Timeline {
    /// Sends a place and gives the message's id.
    #[uniffi::method(default(reply_to = None))]
    pub async fn send_place(
        &self,
        place: Place,
        reply_to: Option<String>,
    ) -> Result<String, HauspostError> {
        self.send_card(Card::Place(place.read()?), reply_to).await
    }

    /// Sends a contact and gives the message's id.
    #[uniffi::method(default(reply_to = None))]
    pub async fn send_contact(
        &self,
        contact: Contact,
        reply_to: Option<String>,
    ) -> Result<String, HauspostError> {
        self.send_card(Card::Contact(contact.read()?), reply_to).await
    }

    /// Asks everybody in the conversation and gives the message's id: 2 to 12 different options, of which
    /// each person may choose `most`.
    #[uniffi::method(default(most = 1, reply_to = None))]
    pub async fn send_poll(
        &self,
        question: String,
        options: Vec<String>,
        most: u32,
        reply_to: Option<String>,
    ) -> Result<String, HauspostError> {
        let poll = core::Poll::new(question, options, most).map_err(refused)?;
        self.send_card(Card::Poll(poll), reply_to).await
    }

    /// Sends a recording as the app encoded it, and gives the message's id. The file has to stay as it is
    /// until the message is sent.
    #[uniffi::method(default(reply_to = None))]
    pub async fn send_voice(
        &self,
        recording: NewDocument,
        voice: Voice,
        reply_to: Option<String>,
    ) -> Result<String, HauspostError> {
        let too_long =
            || HauspostError::bad_input("A voice message has a day at most, and at most 64 bars.");
        let voice = core::Voice::new(voice.duration_ms, voice.waveform).ok_or_else(too_long)?;
        let reply_to = reply_to.map(|id| ids::message(&id)).transpose()?;
        let recording = Attachment::from(recording);
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            Ok(core.send_voice(log, recording, &voice, reply_to).await?.to_string())
        })
        .await
    }

    /// Chooses options of a poll by their places, from 0 on, in the place of what was chosen before; none takes
    /// the vote back. It shows at once.
    pub async fn vote(&self, message_id: String, options: Vec<u32>) -> Result<(), HauspostError> {
        let (message, choice) = (ids::message(&message_id)?, choice(&options)?);
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.vote(log, message, choice).await?) }).await
    }

    /// Closes a poll of one's own, or anybody's as an owner of the group: later votes do not count.
    pub async fn close_poll(&self, message_id: String) -> Result<(), HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.close_poll(log, message).await?) }).await
    }

    /// Who chose what in a poll, in the order of their votes, at most `limit`.
    pub async fn voters(
        &self,
        message_id: String,
        limit: u32,
    ) -> Result<Vec<Voter>, HauspostError> {
        let message = ids::message(&message_id)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            let voters = core.voters(log, message, limit).await?;
            Ok(voters.into_iter().map(voter).collect())
        })
        .await
    }
}

impl Timeline {
    async fn send_card(
        &self,
        card: Card,
        reply_to: Option<String>,
    ) -> Result<String, HauspostError> {
        let reply_to = reply_to.map(|id| ids::message(&id)).transpose()?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.send_card(log, &card, reply_to).await?.to_string()) })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: f64, longitude: f64) -> Place {
        Place { latitude, longitude, accuracy_m: Some(12), name: Some("Tor 3".into()) }
    }

    #[test]
    fn a_place_reads_back_to_six_digits_and_what_is_none_is_refused() {
        let there = place(52.520_008, -13.404_954);
        assert_eq!(Place::of(&there.clone().read().unwrap()), there);
        let uri = "geo:52.520008,-13.404954;u=12;name=Tor%203";
        assert_eq!(geo_uri(there).as_deref(), Some(uri));
        for (latitude, longitude) in
            [(90.1, 0.0), (0.0, 180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY), (1e300, 0.0)]
        {
            let error = place(latitude, longitude).read().unwrap_err();
            assert_eq!(error.code(), "bad-input", "{latitude} {longitude}");
        }
    }

    #[test]
    fn a_contact_goes_to_an_address_book_and_comes_from_it() {
        let contact = Contact::Other {
            name: "Eva Kühn".into(),
            organisation: None,
            title: Some("Glaserin".into()),
            phones: vec!["+49 30 90".into()],
            emails: Vec::new(),
        };
        let vcard = vcard_of_contact(contact.clone()).unwrap();
        assert_eq!(contact_of_vcard(vcard.into_bytes()), Some(contact));
        assert_eq!(contact_of_vcard(b"Eva".to_vec()), None);
    }

    #[test]
    fn a_place_among_options_that_no_poll_has_is_refused() {
        assert_eq!(choice(&[0, 2]).unwrap().iter().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(choice(&[12]).unwrap_err().code(), "bad-input");
        assert_eq!(choice(&[u32::MAX]).unwrap_err().code(), "bad-input");
    }
}
