//! Who was asked to confirm a message, and who has: by people, counted by the log's order.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use hauspost_protocol::ids::{DeviceId, LogId, MessageId, Seq, TimeMs, UserId};
use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;

use crate::store::StoreError;
use crate::store::rows::confirmation::{self, Confirmation};
use crate::store::rows::mark::{self, MarkKind};
use crate::store::rows::stay::{self, Stay};
use crate::store::rows::{key_seq, log, message, person};

/// What a spreadsheet takes for the beginning of a formula (docs/attacks.md 49).
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// The columns of the list.
const COLUMNS: [&str; 14] = [
    "conversation",
    "message",
    "entry",
    "sent",
    "author",
    "person",
    "name",
    "asked",
    "here",
    "confirmed",
    "confirmed_entry",
    "confirmed_by_phone",
    "device",
    "before_change",
];

/// Who was asked to confirm a message, and who has.
#[derive(Clone, PartialEq, Eq)]
pub struct Confirmations {
    /// The conversation.
    pub log: LogId,
    /// The message.
    pub message_id: MessageId,
    /// Its number in the log; `None` while it is not sent, and nobody is asked.
    pub seq: Option<Seq>,
    /// Who asks.
    pub author: UserId,
    /// When, by the log.
    pub t_ms: TimeMs,
    /// The people: those first who are asked and have not confirmed, at the end those who have, in the
    /// log's order.
    pub people: Vec<Confirming>,
}

/// A person who is asked, or came later.
#[derive(Clone, PartialEq, Eq)]
pub struct Confirming {
    /// Who.
    pub user: UserId,
    /// The name, if the directory knows it.
    pub name: Option<String>,
    /// Whether that one was there when it was asked; who came later was not.
    pub was_asked: bool,
    /// Whether that one is still there.
    pub is_here: bool,
    /// The confirmation, if there is one.
    pub confirmed: Option<Confirmed>,
    /// The room, the message there and its number, where that one is asked or confirmed; of an announcement one of
    /// several.
    pub place: (LogId, MessageId, Option<Seq>),
}

/// A confirmation that counts: the first one of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// Its number in the log; `None` while it is not sent.
    pub seq: Option<Seq>,
    /// When, by the log.
    pub t_ms: TimeMs,
    /// When, by the clock of the device; information only.
    pub sent_ms: TimeMs,
    /// By which device.
    pub device: DeviceId,
    /// Whether the message was changed since: an earlier text was confirmed.
    pub before_change: bool,
}

/// Names are not for logs.
impl std::fmt::Debug for Confirmations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Confirmations({}, {} people)", self.message_id, self.people.len())
    }
}

impl Confirmations {
    /// The list of a message that stands in the log: from the stays in its conversation, and the
    /// confirmations that count in the log's order. `changed` is the newest change of its text.
    pub fn of(
        (log, message_id, seq): (LogId, MessageId, Seq),
        (author, t_ms): (UserId, TimeMs),
        (stays, confirmations): (&[Stay], &[Confirmation]),
        changed: Option<Seq>,
        name: impl Fn(UserId) -> Option<String>,
    ) -> Self {
        // The first one of each.
        let first: HashMap<UserId, &Confirmation> =
            confirmations.iter().rev().map(|one| (one.user, one)).collect();
        let mut stays_of: HashMap<UserId, Vec<&Stay>> = HashMap::new();
        for stay in stays {
            stays_of.entry(stay.user).or_default().push(stay);
        }
        let confirmed = |user: UserId| {
            let found = first.get(&user)?;
            Some(Confirmed {
                seq: found.seq,
                t_ms: found.t_ms,
                sent_ms: found.sent_ms,
                device: found.device,
                before_change: found.seq.is_some_and(|seq| Some(seq) < changed),
            })
        };
        let mut users: Vec<UserId> = stays.iter().map(|stay| stay.user).collect();
        users.extend(confirmations.iter().map(|one| one.user));
        users.sort_unstable();
        users.dedup();
        let person = |user: UserId| {
            let mine = || stays_of.get(&user).into_iter().flatten();
            let confirming = Confirming {
                user,
                name: name(user),
                was_asked: mine().any(|stay| stay.covers(seq)),
                is_here: mine().any(|stay| stay.to.is_none()),
                confirmed: confirmed(user),
                place: (log, message_id, Some(seq)),
            };
            let counts = confirming.was_asked || confirming.is_here;
            (counts || confirming.confirmed.is_some()).then_some(confirming)
        };
        let others = users.into_iter().filter(|user| *user != author);
        let mut people: Vec<Confirming> = others.filter_map(person).collect();
        people.sort_by_cached_key(Confirming::rank);
        Self { log, message_id, seq: Some(seq), author, t_ms, people }
    }

    /// The lists of one announcement as one, each person once: asked if he is asked anywhere, and confirmed by his
    /// first confirmation wherever that is. It bears the name of the first list.
    pub fn joined(lists: Vec<Self>) -> Option<Self> {
        let mut lists = lists.into_iter();
        let first = lists.next()?;
        let mut people: HashMap<UserId, Confirming> = HashMap::new();
        let (head, rest) = (Self { people: Vec::new(), ..first.clone() }, lists);
        for person in first.people.into_iter().chain(rest.flat_map(|list| list.people)) {
            match people.entry(person.user) {
                Entry::Vacant(new) => {
                    new.insert(person);
                }
                Entry::Occupied(mut known) => known.get_mut().join(person),
            }
        }
        let mut people: Vec<_> = people.into_values().collect();
        people.sort_by_cached_key(Confirming::rank);
        Some(Self { people, ..head })
    }

    /// How many people are asked.
    pub fn asked(&self) -> usize {
        self.people.iter().filter(|person| person.was_asked).count()
    }

    /// How many of them have confirmed.
    pub fn confirmed(&self) -> usize {
        let asked = self.people.iter().filter(|person| person.was_asked);
        asked.filter(|person| person.confirmed.is_some()).count()
    }

    /// Who is asked, still there and has not confirmed.
    pub fn missing(&self) -> impl Iterator<Item = &Confirming> {
        self.people.iter().filter(|person| person.is_missing())
    }

    /// The list as a table for spreadsheets (RFC 4180): one line for each person, times by the server's clock
    /// in UTC. It begins with a byte order mark, without which office programs take it for Latin-1.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("\u{feff}");
        csv.push_str(&COLUMNS.join(","));
        csv.push_str("\r\n");
        for line in self.lines() {
            let confirmed = line.confirmed.as_ref();
            let number = |number: Option<u64>| number.map(|number| number.to_string());
            let fields = [
                Some(line.conversation.clone()),
                Some(line.message.clone()),
                number(line.entry),
                Some(line.sent.clone()),
                Some(line.author.clone()),
                Some(line.person.clone()),
                line.name.clone(),
                Some(yes(line.asked)),
                Some(yes(line.here)),
                confirmed.map(|confirmed| confirmed.at.clone()),
                number(confirmed.and_then(|confirmed| confirmed.entry)),
                confirmed.map(|confirmed| confirmed.by_phone.clone()),
                confirmed.map(|confirmed| confirmed.device.clone()),
                confirmed.map(|confirmed| yes(confirmed.before_change)),
            ];
            let fields = fields.map(|field| field.as_deref().map(escaped).unwrap_or_default());
            csv.push_str(&fields.join(","));
            csv.push_str("\r\n");
        }
        csv
    }

    /// The list as JSON: an array with one object for each person.
    pub fn to_json(&self) -> String {
        let lines: Vec<_> = self.lines().collect();
        let mut json = serde_json::to_string_pretty(&lines).unwrap_or_default();
        json.push('\n');
        json
    }

    fn lines(&self) -> impl Iterator<Item = ListLine> {
        self.people.iter().map(|person| ListLine {
            conversation: person.place.0.to_string(),
            message: person.place.1.to_string(),
            entry: person.place.2.map(|seq| seq.0),
            sent: time(self.t_ms),
            author: self.author.to_string(),
            person: person.user.to_string(),
            name: person.name.clone(),
            asked: person.was_asked,
            here: person.is_here,
            confirmed: person.confirmed.map(|confirmed| ListConfirmed {
                at: time(confirmed.t_ms),
                entry: confirmed.seq.map(|seq| seq.0),
                by_phone: time(confirmed.sent_ms),
                device: confirmed.device.to_string(),
                before_change: confirmed.before_change,
            }),
        })
    }
}

impl Confirming {
    /// Whether it is still to be expected.
    pub fn is_missing(&self) -> bool {
        self.was_asked && self.is_here && self.confirmed.is_none()
    }

    /// What another room of the same announcement says of the same person.
    fn join(&mut self, other: Self) {
        let when = |person: &Self| {
            let confirmed = person.confirmed?;
            Some((confirmed.t_ms, person.place.0))
        };
        // Where he confirmed first; else where he is still to.
        let is_better = match (when(self), when(&other)) {
            (Some(mine), Some(theirs)) => theirs < mine,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => other.is_missing() && !self.is_missing(),
        };
        let (was_asked, is_here) =
            (self.was_asked || other.was_asked, self.is_here || other.is_here);
        if is_better {
            *self = other;
        }
        (self.was_asked, self.is_here) = (was_asked, is_here);
    }

    fn rank(&self) -> (u8, Option<Seq>, String, UserId) {
        let seq = self.confirmed.map(|confirmed| confirmed.seq.unwrap_or(Seq(u64::MAX)));
        let rank = match (self.confirmed, self.was_asked, self.is_here) {
            (Some(_), ..) => 3,
            (None, true, true) => 0,
            (None, false, _) => 1,
            (None, true, false) => 2,
        };
        (rank, seq, self.name.as_deref().unwrap_or_default().to_lowercase(), self.user)
    }
}

/// One line of the list as it is exported.
#[derive(Serialize)]
struct ListLine {
    conversation: String,
    message: String,
    entry: Option<u64>,
    sent: String,
    author: String,
    person: String,
    name: Option<String>,
    asked: bool,
    here: bool,
    confirmed: Option<ListConfirmed>,
}

#[derive(Serialize)]
struct ListConfirmed {
    at: String,
    entry: Option<u64>,
    by_phone: String,
    device: String,
    before_change: bool,
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// A time as RFC 3339 has it, in UTC; a time beyond the calendar as its beginning.
fn time(t_ms: TimeMs) -> String {
    let ms = i64::try_from(t_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

/// A field of the table: what others wrote calculates nothing and ends no line.
fn escaped(field: &str) -> String {
    let field = match field.starts_with(FORMULA) {
        true => format!("'{field}"),
        false => field.to_owned(),
    };
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

/// Who was asked to confirm a message, and who has; `None` if there is no such message or it does not
/// ask. Its author sees an announcement in several rooms as one.
pub fn confirmations_of(
    conn: &Connection,
    me: UserId,
    log: LogId,
    message_id: MessageId,
) -> Result<Option<Confirmations>, StoreError> {
    let own = confirmations(conn, log, message_id)?;
    let Some(own) = own.filter(|own| own.author == me) else {
        return confirmations(conn, log, message_id);
    };
    let local = log::local(conn, log)?.ok_or(StoreError::Missing("conversation"))?;
    let found = message::find(conn, local, message_id)?;
    let Some(id) = found.and_then(|found| found.saying.announcement) else { return Ok(Some(own)) };
    let mut lists = vec![own];
    for twin in message::twins(conn, me, id)? {
        if twin.message_id != message_id {
            lists.extend(confirmations(conn, twin.log.id, twin.message_id)?);
        }
    }
    Ok(Confirmations::joined(lists))
}

/// The same of one room.
pub fn confirmations(
    conn: &Connection,
    log: LogId,
    message_id: MessageId,
) -> Result<Option<Confirmations>, StoreError> {
    let local = log::local(conn, log)?.ok_or(StoreError::Missing("conversation"))?;
    let found = message::find(conn, local, message_id)?;
    let Some(message) = found.filter(|message| message.asking.is_some()) else { return Ok(None) };
    let (author, t_ms) = (message.author, message.t_ms);
    let Some(seq) = message.seq else {
        let people = Vec::new();
        return Ok(Some(Confirmations { log, message_id, seq: None, author, t_ms, people }));
    };
    let stays = stay::all(conn, local)?;
    let confirmations = confirmation::of_message(conn, local, message_id)?;
    let change = mark::change_in_force(conn, local, message_id, author)?;
    let changed = change.filter(|change| change.kind == MarkKind::Edit);
    let changed = changed.and_then(|change| key_seq(change.key));
    let mut names = HashMap::new();
    for user in stays.iter().map(|stay| stay.user).collect::<BTreeSet<_>>() {
        let known = person::find(conn, user)?;
        names.extend(known.map(|known| (user, known.name.unwrap_or(known.handle))));
    }
    let about = (log, message_id, seq);
    let found = (&stays[..], &confirmations[..]);
    let name = |user| names.get(&user).cloned();
    Ok(Some(Confirmations::of(about, (author, t_ms), found, changed, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: UserId = UserId([1; 16]);
    const BEN: UserId = UserId([2; 16]);
    const CEM: UserId = UserId([3; 16]);
    const DORA: UserId = UserId([4; 16]);
    const EVA: UserId = UserId([5; 16]);

    fn stay(user: UserId, from: u64, to: Option<u64>) -> Stay {
        Stay { user, from: Seq(from), to: to.map(Seq) }
    }

    fn confirmation(user: UserId, seq: u64) -> Confirmation {
        let device = DeviceId([9; 16]);
        Confirmation { user, device, seq: Some(Seq(seq)), t_ms: 1_000 * seq, sent_ms: 7 }
    }

    fn list(names: impl Fn(UserId) -> Option<String>) -> Confirmations {
        let stays = [
            stay(ANNA, 1, None),
            stay(BEN, 1, None),
            stay(CEM, 1, Some(12)),
            stay(DORA, 11, None),
            stay(EVA, 1, Some(5)),
            stay(EVA, 9, None),
        ];
        let about = (LogId([8; 16]), MessageId([7; 32]), Seq(10));
        let confirmations = [confirmation(EVA, 20), confirmation(DORA, 31)];
        Confirmations::of(about, (ANNA, 1), (&stays, &confirmations), Some(Seq(25)), names)
    }

    #[test]
    fn an_announcement_in_several_rooms_has_one_list_with_each_person_once() {
        let here = list(|_| None);
        let other = LogId([9; 16]);
        let stays = [stay(ANNA, 1, None), stay(BEN, 1, None), stay(DORA, 1, None)];
        let about = (other, MessageId([6; 32]), Seq(10));
        let early = confirmation(BEN, 11);
        let there = Confirmations::of(about, (ANNA, 1), (&stays, &[early]), None, |_| None);
        let both = Confirmations::joined(vec![here.clone(), there.clone()]).unwrap();
        let mut users: Vec<_> = both.people.iter().map(|one| one.user).collect();
        users.sort_unstable();
        assert_eq!(users, [BEN, CEM, DORA, EVA], "each once, and not who asks");
        let of = |user| both.people.iter().find(|one| one.user == user).unwrap();
        assert_eq!(of(BEN).place.0, other, "where he confirmed");
        assert!(of(DORA).was_asked && of(DORA).confirmed.is_some(), "asked there, confirmed here");
        assert_eq!((both.asked(), both.confirmed()), (4, 3));
        assert_eq!(both.missing().count(), 0, "who is left was put out");
        assert_eq!((both.log, both.to_csv().lines().count()), (here.log, 5));
        assert!(both.to_csv().contains(&other.to_string()));
        assert!(Confirmations::joined(Vec::new()).is_none());
    }

    #[test]
    fn who_is_asked_came_later_or_left_is_told_by_the_logs_order() {
        let list = list(|_| None);
        let told: Vec<_> = list
            .people
            .iter()
            .map(|one| (one.user, one.was_asked, one.is_here, one.confirmed.is_some()))
            .collect();
        assert_eq!(
            told,
            [
                (BEN, true, true, false),
                (CEM, true, false, false),
                (EVA, true, true, true),
                (DORA, false, true, true),
            ],
            "the author asks and is not asked"
        );
        assert_eq!((list.asked(), list.confirmed()), (3, 1));
        assert_eq!(list.missing().map(|one| one.user).collect::<Vec<_>>(), [BEN]);
        let before = |at: usize| list.people[at].confirmed.unwrap().before_change;
        assert!(before(2) && !before(3), "an earlier text was confirmed");
    }

    #[test]
    fn attacks_49_a_name_in_the_exported_table_calculates_nothing_and_ends_no_line() {
        let csv = list(|user| (user == BEN).then(|| "=HYPERLINK(\"x\"),\r\nböse".to_owned()));
        let csv = csv.to_csv();
        assert!(csv.contains(",\"'=HYPERLINK(\"\"x\"\"),\r\nböse\",yes,yes,,,,,\r\n"), "{csv}");
        for name in ["+1", "-1", "@SUM", "\tx"] {
            assert!(escaped(name).starts_with('\''), "{name}");
        }
        assert_eq!(escaped("Weiß & Söhne"), "Weiß & Söhne");
    }

    #[test]
    fn both_exports_say_person_time_entry_and_device() {
        let list = list(|user| (user == EVA).then(|| "Eva".to_owned()));
        let line = "Eva,yes,yes,1970-01-01T00:00:20Z,20,1970-01-01T00:00:00.007Z,09090909";
        assert!(list.to_csv().contains(line), "{}", list.to_csv());
        let json: serde_json::Value = serde_json::from_str(&list.to_json()).unwrap();
        let eva = &json[2];
        assert_eq!((&eva["name"], &eva["asked"]), (&"Eva".into(), &true.into()));
        assert_eq!(eva["confirmed"]["at"], "1970-01-01T00:00:20Z");
        assert_eq!(eva["confirmed"]["entry"], 20);
        assert_eq!(json[0]["confirmed"], serde_json::Value::Null);
    }
}
