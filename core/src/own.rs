//! What the devices of one person agree on: when it is said, and what is made of what the others say.
//!
//! The person's own log carries it (docs/protocol.md §6, "Own state"), and it is made when a second
//! device has come and there is something to tell. Until then all of it stands in the conversations'
//! rows only, and [`entered`] gathers it from there. From then on each change is stored with the intent
//! that says it: one record for all that changed until it is sealed, a later word in the place of an
//! earlier one. A phone that is killed says it after its next start.
//!
//! Of two words on the same thing the later one in the log's order holds ([`OwnFact::holds_against`]).
//! What was typed is not lost for it: a draft that its author wrote without knowing the other one is
//! put together with it, by the device whose words would be gone.

use hauspost_protocol::content::{OwnFact, OwnSaid, OwnState};
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{LogId, Seq, TimeMs};
use hauspost_protocol::limits::{CONTENT_BYTES, DRAFT_BYTES, OWN_FACTS};
use hauspost_protocol::statement::PayloadType;

use crate::outbox::intent::Say;
use crate::store::rows::account;
use crate::store::rows::log::{self, LocalLog, Log, LogState};
use crate::store::rows::outbox::{self, IntentKind, NewIntent};
use crate::store::rows::own::{self, Held};
use crate::store::{StoreError, Tx};

/// Bytes of a record that are left for what stands around its facts.
const ROOM: usize = 64;
/// Where it is kept which intents answer another device.
const ANSWERS: &str = "own-answers";

/// When something is said.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// The phone's clock.
    pub now_ms: TimeMs,
    /// The earliest time for a new record.
    pub due_ms: TimeMs,
}

impl When {
    /// At once.
    pub fn now(now_ms: TimeMs) -> Self {
        Self { now_ms, due_ms: now_ms }
    }
}

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This device, by this intent.
    Me(i64),
    /// Another device of the person.
    Another,
}

/// The person changed something on this device: it is to be said, if there is a log to say it in.
/// Whether a record was begun for it that was not waiting before.
pub fn say(tx: &Tx<'_>, fact: OwnFact, when: When) -> Result<bool, StoreError> {
    let before = own::find(tx, &fact.subject())?;
    let place = before.as_ref().map_or(Seq(0), |before| before.place);
    let is_known = match (&fact, before.as_ref().map(|before| &before.fact)) {
        (OwnFact::Draft { text, .. }, Some(OwnFact::Draft { text: before, .. })) => text == before,
        (OwnFact::Draft { text, .. }, _) => text.is_none(),
        (fact, before) => before == Some(fact),
    };
    if is_known {
        return Ok(false);
    }
    let fact = match fact {
        OwnFact::Draft { log, text, .. } => OwnFact::Draft { log, text, based: place },
        fact => fact,
    };
    let Some(log) = log::own(tx)?.filter(goes_on) else {
        // A setting stands nowhere else; all others are gathered when there is a log.
        if before.is_some() || matches!(fact, OwnFact::Setting { .. }) {
            own::put(tx, &Held { fact, place, waits: None, mine: true })?;
        }
        return Ok(false);
    };
    let earlier = before.and_then(|before| before.waits);
    let mut held = Held { fact, place, waits: None, mine: true };
    if let Some(open) = own::open_intent(tx, log.local.id)? {
        held.waits = Some(open);
        own::put(tx, &held)?;
        if fill(tx, open)? {
            return Ok(false);
        }
    }
    let intent = begin(tx, log.local.id, when)?;
    held.waits = Some(intent);
    own::put(tx, &held)?;
    for intent in earlier.into_iter().chain([intent]) {
        fill(tx, intent)?;
    }
    Ok(true)
}

fn goes_on(log: &Log) -> bool {
    matches!(log.state, LogState::Active | LogState::Broken)
}

/// An intent with nothing to say yet.
fn begin(tx: &Tx<'_>, log: LogId, when: When) -> Result<i64, StoreError> {
    let kind = IntentKind::OwnState;
    let body = Vec::new();
    let intent = NewIntent { log, kind, message_id: None, body, made_ms: when.now_ms };
    let id = outbox::insert(tx, &intent)?;
    if when.due_ms > when.now_ms {
        outbox::put_off(tx, id, when.due_ms)?;
    }
    Ok(id)
}

/// Lets an intent that is not sealed say all that waits for it; whether that fits one record. One with
/// nothing to say goes.
fn fill(tx: &Tx<'_>, intent: i64) -> Result<bool, StoreError> {
    let waits = outbox::find(tx, intent)?;
    let waits = waits.filter(|intent| intent.state == outbox::IntentState::Queued);
    if waits.is_none() {
        return Ok(true);
    }
    let facts = own::waiting_for(tx, intent)?;
    if facts.is_empty() {
        outbox::discard(tx, intent)?;
        return Ok(true);
    }
    let said = facts.into_iter().map(|fact| OwnSaid { fact, place: None }).collect();
    match (OwnState { said, asks: false }).to_bytes() {
        Ok(content) => {
            outbox::set_body(tx, intent, &body(content))?;
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

fn body(content: Vec<u8>) -> Vec<u8> {
    encode(&Say { ptype: PayloadType::OwnState, content: Bytes(content) })
}

/// This device has the keys of the person's own log now: it says what it alone knows, and asks for what
/// the others know, if there is anybody.
pub fn entered(tx: &Tx<'_>, log: LocalLog, asks: bool, now_ms: TimeMs) -> Result<(), StoreError> {
    if !is_own(tx, log)? {
        return Ok(());
    }
    for fact in own::before_the_log(tx)? {
        if own::find(tx, &fact.subject())?.is_none() {
            own::put(tx, &Held { fact, place: Seq(0), waits: None, mine: true })?;
        }
    }
    let unsaid = own::settled(tx)?.into_iter().filter(|held| held.place == Seq(0));
    again(tx, log.id, unsaid.collect(), asks, When::now(now_ms))?;
    Ok(())
}

/// Whether this is the log that counts: a server may show several.
fn is_own(tx: &Tx<'_>, log: LocalLog) -> Result<bool, StoreError> {
    Ok(log::own(tx)?.is_some_and(|own| own.local == log))
}

/// Says these again, each with its place; the intents that do.
fn again(
    tx: &Tx<'_>,
    log: LogId,
    all: Vec<Held>,
    asks: bool,
    when: When,
) -> Result<Vec<i64>, StoreError> {
    let mut records = vec![OwnState { said: Vec::new(), asks }];
    let mut bytes = 0;
    for held in all {
        let said = OwnSaid { fact: held.fact, place: Some(held.place) };
        let len = encode(&said.fact).len() + 10;
        let last = records
            .last_mut()
            .filter(|last| bytes + len <= CONTENT_BYTES - ROOM && last.said.len() < OWN_FACTS - 1);
        match last {
            Some(last) => last.said.push(said),
            None => {
                records.push(OwnState { said: vec![said], asks: false });
                bytes = 0;
            }
        }
        bytes += len;
    }
    let mut intents = Vec::new();
    for record in records {
        if record.said.is_empty() && !record.asks {
            continue;
        }
        let Ok(content) = record.to_bytes() else { continue };
        let intent = begin(tx, log, when)?;
        outbox::set_body(tx, intent, &body(content))?;
        intents.push(intent);
    }
    Ok(intents)
}

/// A record of own state stands in the log at `seq`. If it asks, this device answers at `answer_ms`,
/// unless another one has by then.
pub fn heard(
    tx: &Tx<'_>,
    log: LocalLog,
    (seq, state): (Seq, &OwnState),
    by: By,
    (now_ms, answer_ms): (TimeMs, TimeMs),
) -> Result<(), StoreError> {
    if !is_own(tx, log)? {
        return Ok(());
    }
    if let By::Me(intent) = by {
        return own::said(tx, intent, Some(seq));
    }
    for OwnSaid { fact, place } in &state.said {
        let place = place.map_or(seq, |place| place.min(seq));
        another_says(tx, fact, place, now_ms)?;
    }
    if state.said.iter().any(|said| said.place.is_some_and(|place| place > Seq(0))) {
        own::take_back(tx, &answers(tx)?)?;
        account::forget_fact(tx, ANSWERS)?;
    }
    if state.asks {
        let when = When { now_ms, due_ms: answer_ms };
        let mut intents = answers(tx)?;
        intents.extend(again(tx, log.id, own::settled(tx)?, false, when)?);
        account::put_fact(
            tx,
            ANSWERS,
            &encode(&intents.iter().map(|id| id.unsigned_abs()).collect::<Vec<_>>()),
        )?;
    }
    Ok(())
}

/// The intents that answer another device, some of which may be sent.
fn answers(tx: &Tx<'_>) -> Result<Vec<i64>, StoreError> {
    let stored = account::fact(tx, ANSWERS)?.and_then(|bytes| decode::<Vec<u64>>(&bytes).ok());
    Ok(stored.unwrap_or_default().into_iter().filter_map(|id| i64::try_from(id).ok()).collect())
}

fn another_says(tx: &Tx<'_>, fact: &OwnFact, place: Seq, now_ms: TimeMs) -> Result<(), StoreError> {
    let Some(held) = own::find(tx, &fact.subject())? else {
        own::put(tx, &Held { fact: fact.clone(), place, waits: None, mine: false })?;
        return own::project(tx, fact, now_ms);
    };
    if let (OwnFact::Draft { text, based, .. }, OwnFact::Draft { text: mine, log, .. }) =
        (fact, &held.fact)
    {
        let unknown_to_it = held.waits.is_some() || held.mine && *based < held.place;
        if place > held.place && unknown_to_it && text != mine {
            let both = Both { theirs: text.as_deref(), mine: mine.as_deref(), at: place };
            return together(tx, *log, both, &held, now_ms);
        }
    }
    let is_read = matches!(fact, OwnFact::Read { .. });
    if held.waits.is_some() && !is_read {
        // What waits here stands behind it in the log, and holds.
        let place = held.place.max(place);
        return own::put(tx, &Held { place, ..held });
    }
    if fact.holds_against(place, &held.fact, held.place) {
        own::put(tx, &Held { fact: fact.clone(), place, waits: held.waits, mine: false })?;
        return own::project(tx, fact, now_ms);
    }
    // What was not readable here and is known to be unread elsewhere counts.
    if is_read { own::project(tx, &held.fact, now_ms) } else { Ok(()) }
}

/// Two drafts of which one was written without knowing the other.
struct Both<'t> {
    theirs: Option<&'t str>,
    mine: Option<&'t str>,
    /// Where theirs stands.
    at: Seq,
}

/// Lets no words be lost: those that were typed here stay, with the others' where both are something.
fn together(
    tx: &Tx<'_>,
    log: LogId,
    both: Both<'_>,
    held: &Held,
    now_ms: TimeMs,
) -> Result<(), StoreError> {
    let text = match (both.theirs, both.mine) {
        (Some(theirs), Some(mine)) => Some(merged(theirs, mine)),
        (text, mine) => text.or(mine).map(str::to_owned),
    };
    let is_theirs = text.as_deref() == both.theirs;
    let fact = OwnFact::Draft { log, text, based: both.at };
    let unsaid = Held { fact: fact.clone(), place: both.at, waits: None, mine: !is_theirs };
    if let Some(intent) = held.waits {
        own::put(tx, &unsaid)?;
        fill(tx, intent)?;
    }
    if is_theirs {
        own::put(tx, &unsaid)?;
    } else {
        // As if it were typed on top of theirs.
        let theirs = OwnFact::Draft { log, text: both.theirs.map(str::to_owned), based: Seq(0) };
        own::put(tx, &Held { fact: theirs, ..unsaid })?;
        say(tx, fact.clone(), When::now(now_ms))?;
    }
    own::project(tx, &fact, now_ms)
}

/// Both texts: one of them if it holds the other, else one below the other.
pub fn merged(theirs: &str, mine: &str) -> String {
    if theirs.contains(mine) {
        return theirs.to_owned();
    }
    if mine.contains(theirs) {
        return mine.to_owned();
    }
    let mut text = format!("{theirs}\n{mine}");
    text.truncate(text.floor_char_boundary(DRAFT_BYTES));
    text
}

/// An intent ended without being said; what it was to say is not said again by itself.
pub fn given_up(tx: &Tx<'_>, intent: i64) -> Result<(), StoreError> {
    own::said(tx, intent, None)
}

/// The same fact of another conversation.
pub fn about(fact: OwnFact, log: LogId) -> OwnFact {
    match fact {
        OwnFact::Read { below, .. } => OwnFact::Read { log, below },
        OwnFact::Draft { text, .. } => OwnFact::Draft { log, text, based: Seq(0) },
        OwnFact::Muted { until_ms, .. } => OwnFact::Muted { log, until_ms },
        OwnFact::Starred { message, at_ms, .. } => OwnFact::Starred { log, message, at_ms },
        OwnFact::Archived { archived, .. } => OwnFact::Archived { log, archived },
        OwnFact::Favourite { rank, .. } => OwnFact::Favourite { log, rank },
        OwnFact::Setting { .. } => fact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_drafts_become_one_that_has_the_words_of_both() {
        assert_eq!(merged("Ja", "Nein"), "Ja\nNein");
        assert_eq!(merged("Ja, um acht", "Ja"), "Ja, um acht", "one holds the other");
        assert_eq!(merged("Ja", "Ja, um acht"), "Ja, um acht");
        let long = merged(&"ä".repeat(DRAFT_BYTES / 2), "ö");
        assert!(long.len() <= DRAFT_BYTES && long.chars().all(|c| c == 'ä'));
    }
}
