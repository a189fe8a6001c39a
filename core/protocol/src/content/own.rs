//! What the devices of one person agree on (docs/protocol.md §6, "Own state").
//!
//! Each [`OwnFact`] is a register: of all that was said about one, the last in the log's order holds.
//! A device that came later is told again what holds, with the [`place`](OwnSaid::place) where it was
//! said first, so that all devices come to the same, whatever each of them heard and in which order.

use std::fmt;

use crate::encoding::{Any, Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::ids::{LogId, MessageId, Seq, TimeMs};
use crate::limits::{CONTENT_BYTES, DRAFT_BYTES, OWN_FACTS, SETTING_BYTES, SETTING_NAME_BYTES};

/// One thing on which the devices of a person agree.
#[derive(Clone, PartialEq, Eq)]
pub enum OwnFact {
    /// All entries of a log below this one are read. Of several the highest holds: what was read
    /// stays read.
    Read {
        /// The conversation.
        log: LogId,
        /// The first entry that may be unread.
        below: Seq,
    },
    /// What the person began to write.
    Draft {
        /// The conversation.
        log: LogId,
        /// The text; none once it was sent or taken out.
        text: Option<String>,
        /// Where the draft stands that this one was made from; 0 for none. Who holds a later one
        /// learns that its author did not know it.
        based: Seq,
    },
    /// A conversation makes no sound until then; 0 for sound, [`FOR_EVER`] for ever.
    Muted {
        /// The conversation.
        log: LogId,
        /// Until when.
        until_ms: TimeMs,
    },
    /// A message to come back to, starred then; 0 if it is not any more.
    Starred {
        /// The conversation.
        log: LogId,
        /// The message.
        message: MessageId,
        /// When.
        at_ms: TimeMs,
    },
    /// Whether a conversation is put away.
    Archived {
        /// The conversation.
        log: LogId,
        /// Whether it is.
        archived: bool,
    },
    /// A conversation on top of the list, in ascending order of these numbers; none if it is not there.
    Favourite {
        /// The conversation.
        log: LogId,
        /// Its place.
        rank: Option<u64>,
    },
    /// A setting by its name, as whoever gave it the name reads it; none if it is not set.
    Setting {
        /// The name.
        name: String,
        /// The value.
        value: Option<Bytes>,
    },
}

/// Until when a conversation is muted that is muted for ever.
pub const FOR_EVER: TimeMs = (1 << 63) - 1;

const READ: u64 = 0;
const DRAFT: u64 = 1;
const MUTED: u64 = 2;
const STARRED: u64 = 3;
const ARCHIVED: u64 = 4;
const FAVOURITE: u64 = 5;
const SETTING: u64 = 6;
const ASK: u64 = 7;

/// What a fact is about: two facts of one subject are one after the other, never both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The conversation; none of a setting.
    pub log: Option<LogId>,
    /// The number of the fact's form.
    pub kind: u64,
    /// The message, or the setting's name; else empty.
    pub name: Vec<u8>,
}

impl OwnFact {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        let of = |kind, log: &LogId| Subject { log: Some(*log), kind, name: Vec::new() };
        match self {
            Self::Read { log, .. } => of(READ, log),
            Self::Draft { log, .. } => of(DRAFT, log),
            Self::Muted { log, .. } => of(MUTED, log),
            Self::Starred { log, message, .. } => {
                Subject { name: message.0.to_vec(), ..of(STARRED, log) }
            }
            Self::Archived { log, .. } => of(ARCHIVED, log),
            Self::Favourite { log, .. } => of(FAVOURITE, log),
            Self::Setting { name, .. } => {
                Subject { log: None, kind: SETTING, name: name.clone().into_bytes() }
            }
        }
    }

    /// Whether this fact, said at `place`, holds against another one of its subject. All devices say the
    /// same, in whichever order they hear of the two.
    pub fn holds_against(&self, place: Seq, other: &Self, at: Seq) -> bool {
        match (self, other) {
            (Self::Read { below, .. }, Self::Read { below: other, .. }) => below > other,
            // Of two that stood before there was a log, none is the later one.
            _ => (place, encode(self)) > (at, encode(other)),
        }
    }

    fn check(&self) -> Result<(), FormError> {
        let fits = match self {
            Self::Draft { text, .. } => text.as_ref().is_none_or(|text| text.len() <= DRAFT_BYTES),
            Self::Setting { name, value } => {
                name.len() <= SETTING_NAME_BYTES
                    && value.as_ref().is_none_or(|value| value.len() <= SETTING_BYTES)
            }
            _ => true,
        };
        if fits { Ok(()) } else { Err(FormError::TooLarge) }
    }
}

/// Content is not for logs.
impl fmt::Debug for OwnFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { log, kind, .. } = self.subject();
        match log {
            Some(log) => write!(f, "OwnFact({kind}, {log})"),
            None => write!(f, "OwnFact({kind})"),
        }
    }
}

impl Item for OwnFact {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Read { log, below } => (READ, *log, *below).write(to),
            Self::Draft { log, text, based } => (DRAFT, *log, text.clone(), *based).write(to),
            Self::Muted { log, until_ms } => (MUTED, *log, *until_ms).write(to),
            Self::Starred { log, message, at_ms } => (STARRED, *log, *message, *at_ms).write(to),
            Self::Archived { log, archived } => (ARCHIVED, *log, *archived).write(to),
            Self::Favourite { log, rank } => (FAVOURITE, *log, *rank).write(to),
            Self::Setting { name, value } => (SETTING, name.clone(), value.clone()).write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let fact = from.list(|from, len| match (from.uint()?, len) {
            (READ, 3) => Ok(Self::Read { log: Item::read(from)?, below: Item::read(from)? }),
            (DRAFT, 4) => Ok(Self::Draft {
                log: Item::read(from)?,
                text: Item::read(from)?,
                based: Item::read(from)?,
            }),
            (MUTED, 3) => Ok(Self::Muted { log: Item::read(from)?, until_ms: Item::read(from)? }),
            (STARRED, 4) => Ok(Self::Starred {
                log: Item::read(from)?,
                message: Item::read(from)?,
                at_ms: Item::read(from)?,
            }),
            (ARCHIVED, 3) => {
                Ok(Self::Archived { log: Item::read(from)?, archived: Item::read(from)? })
            }
            (FAVOURITE, 3) => {
                Ok(Self::Favourite { log: Item::read(from)?, rank: Item::read(from)? })
            }
            (SETTING, 3) => Ok(Self::Setting { name: Item::read(from)?, value: Item::read(from)? }),
            _ => Err(FormError::Unlisted),
        })?;
        fact.check()?;
        Ok(fact)
    }
}

/// A fact as a record says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSaid {
    /// What is so.
    pub fact: OwnFact,
    /// The entry that said it first, if it is said again; 0 if it stood on the author's device before
    /// there was a log. Else it is said by this entry.
    pub place: Option<Seq>,
}

/// What a record of own state says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnState {
    /// The facts that this version knows, in their order.
    pub said: Vec<OwnSaid>,
    /// Whether the author's device asks to be told all that holds.
    pub asks: bool,
}

impl OwnState {
    /// The content's bytes: CBOR[[form, place|null]*].
    ///
    /// # Errors
    /// It exceeds a limit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormError> {
        for said in &self.said {
            said.fact.check()?;
        }
        let bytes = encode(self);
        let fits = bytes.len() <= CONTENT_BYTES && self.said.len() <= OWN_FACTS;
        if fits { Ok(bytes) } else { Err(FormError::TooLarge) }
    }

    /// Reads what this version knows of it; a form of a newer one is passed over, and so is one that
    /// exceeds a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > CONTENT_BYTES {
            return Err(FormError::TooLarge);
        }
        let items: Vec<(Any, Option<Seq>)> = decode(bytes)?;
        if items.len() > OWN_FACTS {
            return Err(FormError::TooLarge);
        }
        let mut state = Self::default();
        for (form, place) in items {
            if form == asking() {
                state.asks = true;
            } else if let Ok(fact) = decode(form.as_bytes()) {
                state.said.push(OwnSaid { fact, place });
            }
        }
        Ok(state)
    }
}

/// `[7]`.
fn asking() -> Any {
    decode(&encode(&(ASK,))).expect("an item's own encoding reads back")
}

impl Item for OwnState {
    fn write(&self, to: &mut Writer) {
        to.array(self.said.len() + usize::from(self.asks));
        for said in &self.said {
            to.array(2);
            said.fact.write(to);
            said.place.write(to);
        }
        if self.asks {
            ((ASK,), None::<Seq>).write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let items: Vec<(Any, Option<Seq>)> = Item::read(from)?;
        Self::parse(&encode(&items))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: LogId = LogId([1; 16]);
    const MESSAGE: MessageId = MessageId([2; 32]);

    fn every_form() -> Vec<OwnFact> {
        vec![
            OwnFact::Read { log: LOG, below: Seq(7) },
            OwnFact::Draft { log: LOG, text: Some("Moin".into()), based: Seq(3) },
            OwnFact::Draft { log: LOG, text: None, based: Seq(0) },
            OwnFact::Muted { log: LOG, until_ms: FOR_EVER },
            OwnFact::Starred { log: LOG, message: MESSAGE, at_ms: 5 },
            OwnFact::Archived { log: LOG, archived: true },
            OwnFact::Favourite { log: LOG, rank: Some(9) },
            OwnFact::Favourite { log: LOG, rank: None },
            OwnFact::Setting { name: "quiet".into(), value: Some(b"x".as_slice().into()) },
            OwnFact::Setting { name: "quiet".into(), value: None },
        ]
    }

    fn said(facts: Vec<OwnFact>) -> OwnState {
        let said = facts.into_iter().map(|fact| OwnSaid { fact, place: None });
        OwnState { said: said.collect(), asks: false }
    }

    #[test]
    fn every_form_reads_back() {
        let mut state = said(every_form());
        state.said[2].place = Some(Seq(0));
        state.asks = true;
        assert_eq!(OwnState::parse(&state.to_bytes().unwrap()), Ok(state));
    }

    #[test]
    fn a_form_of_a_newer_app_is_passed_over_and_the_others_hold() {
        let newer = encode(&vec![
            ((99u64, LOG, 1u64), None::<Seq>),
            ((READ, LOG, 4u64), None),
            ((READ, LOG, 5u64), Some(Seq(2))),
        ]);
        let state = OwnState::parse(&newer).unwrap();
        assert_eq!(state.said.len(), 2);
        assert_eq!(state.said[0].fact, OwnFact::Read { log: LOG, below: Seq(4) });
        assert_eq!(state.said[1].place, Some(Seq(2)));
    }

    #[test]
    fn what_is_too_long_is_neither_said_nor_believed() {
        let draft = |len| OwnFact::Draft { log: LOG, text: Some("x".repeat(len)), based: Seq(0) };
        let setting =
            |len| OwnFact::Setting { name: "quiet".into(), value: Some(Bytes(vec![0; len])) };
        let name = |len| OwnFact::Setting { name: "x".repeat(len), value: None };
        assert!(said(vec![draft(DRAFT_BYTES)]).to_bytes().is_ok());
        for fact in
            [draft(DRAFT_BYTES + 1), setting(SETTING_BYTES + 1), name(SETTING_NAME_BYTES + 1)]
        {
            let state = said(vec![fact]);
            assert_eq!(state.to_bytes(), Err(FormError::TooLarge));
            assert_eq!(OwnState::parse(&encode(&state)), Ok(OwnState::default()));
        }
        let many = said(vec![OwnFact::Archived { log: LOG, archived: true }; OWN_FACTS + 1]);
        assert_eq!(many.to_bytes(), Err(FormError::TooLarge));
        assert_eq!(OwnState::parse(&encode(&many)), Err(FormError::TooLarge));
    }

    #[test]
    fn only_facts_of_one_subject_stand_in_each_others_place() {
        let subjects: std::collections::BTreeSet<_> =
            every_form().iter().map(OwnFact::subject).collect();
        assert_eq!(subjects.len(), 7, "two drafts, favourites and settings are the same");
    }

    #[test]
    fn the_later_holds_but_nothing_is_unread_again() {
        let muted = |until_ms| OwnFact::Muted { log: LOG, until_ms };
        assert!(muted(0).holds_against(Seq(5), &muted(9), Seq(4)));
        assert!(!muted(0).holds_against(Seq(4), &muted(9), Seq(5)));
        let read = |below| OwnFact::Read { log: LOG, below: Seq(below) };
        assert!(!read(3).holds_against(Seq(5), &read(4), Seq(4)));
        assert!(read(5).holds_against(Seq(3), &read(4), Seq(4)));
    }

    #[test]
    fn debug_shows_no_content() {
        let state = said(every_form());
        let text = format!("{state:?}");
        assert!(!text.contains("Moin") && !text.contains("quiet"), "{text}");
    }

    fn any_fact() -> impl Strategy<Value = OwnFact> {
        prop_oneof![
            (0u64..5).prop_map(|below| OwnFact::Read { log: LOG, below: Seq(below) }),
            (0u64..5).prop_map(|until_ms| OwnFact::Muted { log: LOG, until_ms }),
        ]
    }

    proptest! {
        /// Whatever is heard, in whichever order and however often, ends the same.
        #[test]
        fn devices_agree_whatever_order_they_hear_it_in(
            heard in proptest::collection::vec((any_fact(), 0u64..4), 1..8),
            turn in 0usize..8,
        ) {
            let end = |heard: &[(OwnFact, u64)]| {
                let mut held: std::collections::BTreeMap<Subject, (OwnFact, Seq)> =
                    Default::default();
                for (fact, place) in heard {
                    let place = Seq(*place);
                    let stands = held.get(&fact.subject()).is_some_and(|(other, at)| {
                        !fact.holds_against(place, other, *at)
                    });
                    if !stands {
                        held.insert(fact.subject(), (fact.clone(), place));
                    }
                }
                held.into_values().map(|(fact, _)| fact).collect::<Vec<_>>()
            };
            let mut turned = heard.clone();
            turned.rotate_left(turn % heard.len());
            turned.extend(heard.clone());
            turned.reverse();
            prop_assert_eq!(end(&heard), end(&turned));
        }
    }
}
