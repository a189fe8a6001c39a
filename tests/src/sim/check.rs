//! The promises, checked when everything is healed: nothing lost, nothing doubled, one order
//! everywhere, the archive equal to the phones, and no alarm for honest faults.

mod given;
mod handed;
mod promises;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hauspost::archive::replay::replay;
use hauspost::store::sqlite::SqliteStore;
use hauspost::store::{Budget, Database, EntryRow, LogRow, Membership, StoreError};
use hauspost_core::account::Account;
use hauspost_core::inbound::Code;
use hauspost_core::outbox::{REASON_MAY_NOT_WRITE, REASON_MAYBE_SENT};
use hauspost_core::read::{Window, timeline};
use hauspost_core::store::StoreError as PhoneError;
use hauspost_core::store::rows::log::{self, LogState};
use hauspost_core::store::rows::message::{Message, MessageKind};
use hauspost_core::store::rows::stay::Stay;
use hauspost_core::store::rows::{alarm, entry, quarantine};
use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::LogType;
use hauspost_protocol::capsule::{self, HalfA, HalfB};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::content::{Card, Content};
use hauspost_protocol::encoding::decode;
use hauspost_protocol::entry::{ArchivedEntry, Entry, Head, Kind};
use hauspost_protocol::epoch::Chains;
use hauspost_protocol::ids::{DeviceId, EntryHash, LogId, LogNo, MessageId, Seq, UserId};
use hauspost_protocol::record;
use hauspost_protocol::tree::chain::walk;
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::announced::{self, Promised};
use super::company::{COMPANY, archive_keys, archive_seeds, pin};
use super::handing::{self, Handed};
use super::own;
use super::rooms;
use super::suites;
use super::talk::{self, Said, What};

use super::world::World;
use given::{granted, stands, unreadable};

/// A record as the archive opens it.
struct Opened {
    seq: Seq,
    device: DeviceId,
    dctr: u64,
    /// What it says.
    said: Said,
    /// Whether anybody heeds it: among announcements only what owners say, and answers.
    heeded: bool,
}

impl Opened {
    /// The message, if it is one, with its text as it was written.
    fn message(&self) -> Option<(MessageId, Option<String>)> {
        match &self.said.what {
            What::Write(text) => Some((self.said.id?, text.clone())),
            What::Ask(text, _) => Some((self.said.id?, Some(text.clone()))),
            _ => None,
        }
    }
}

/// One log of the server.
struct Truth {
    row: LogRow,
    rows: Vec<EntryRow>,
    members: Vec<Membership>,
    /// Whose devices may enter it, and so follow it to its end; or might once, and follow it to here.
    let_in: BTreeMap<UserId, Option<u64>>,
    records: Vec<Opened>,
    /// Who belonged to it from when to when, as the archive tells.
    stays: Vec<Stay>,
    /// What was handed over to successors.
    handed: Vec<Handed>,
    /// Whether it is somebody's own notes.
    is_own: bool,
}

/// All checks. Also the number of records that the archive opened.
pub async fn all(world: &mut World) -> (Vec<String>, usize) {
    world.stop_server().await;
    let mut broken = Vec::new();
    let store = SqliteStore::open(&world.data, StdRng::seed_from_u64(1));
    let database = Database::new(store.expect("the server's store opens"));
    let (logs, heads) = database.read(read_server).await.expect("the server's store is read");
    let mut truths: BTreeMap<LogId, Truth> = BTreeMap::new();
    let mut company = Company::new(pin());
    for (row, rows, members, let_in) in logs {
        chain(&row, &rows, heads.get(&row.no), &mut broken);
        if row.no == LogNo(0) {
            for entry in &rows {
                company.apply(&entry.entry).expect("the company log is one chain");
            }
            broken.extend(company.findings().map(|(seq, what)| format!("company {seq}: {what}")));
            continue;
        }
        let handed = handing::handed(&rows);
        let (records, stays) = (Vec::new(), Vec::new());
        truths.insert(
            row.log,
            Truth { row, rows, members, let_in, records, stays, handed, is_own: false },
        );
    }
    for truth in truths.values_mut() {
        open_archive(truth, &company, &mut broken);
        counters(truth, &mut broken);
    }
    let mut further: BTreeMap<_, Vec<Device>> = BTreeMap::new();
    for number in 0..world.phones.len() {
        if world.phones[number].revoked {
            continue;
        }
        match world.wire.account(number) {
            Some(account) => {
                let case = Case::of(world, number);
                let shown = phone(case, &account, (&truths, &company), &mut broken).await;
                announced::right(case.promised(), &account, &mut broken).await;
                suites::followed(number, &account, &company, &mut broken).await;
                let person = world.phones[number].person;
                further.entry(person).or_default().push((number, account.device(), shown));
            }
            None => broken.push(format!("phone {number} does not run")),
        }
    }
    handed::all_is_given(world, (&truths, &company), &further, &mut broken);
    further.values().for_each(|devices| alike(devices, &truths, &mut broken));
    for devices in further.values() {
        let phones = devices.iter().map(|(number, ..)| *number);
        let accounts = phones.filter_map(|number| Some((number, world.wire.account(number)?)));
        own::agree(accounts.collect(), &mut broken).await;
    }
    announced::kept(world, &stands(&truths), &mut broken).await;
    promises::kept(world, &truths, &mut broken).await;
    let records = truths.values().map(|truth| truth.records.len()).sum();
    for truth in truths.values() {
        world.trace(summary(truth));
    }
    broken.sort();
    (broken, records)
}

type Logs = Vec<(LogRow, Vec<EntryRow>, Vec<Membership>, BTreeMap<UserId, Option<u64>>)>;

fn read_server(
    tx: &dyn hauspost::store::ReadTx,
) -> Result<(Logs, BTreeMap<LogNo, LogHead>), StoreError> {
    let mut logs = Vec::new();
    for row in tx.logs()?.into_iter().filter(|row| row.size > 0) {
        let mut rows = Vec::new();
        while (rows.len() as u64) < row.size {
            let budget = Budget { entries: 1_000, bytes: 1 << 24 };
            rows.extend(tx.entries(row.no, Seq(rows.len() as u64), budget, &|_| true)?);
        }
        let members = tx.members(row.no)?;
        let state = tx.conversation_state(row.no)?;
        let state = state.and_then(|state| decode::<Conversation>(&state).ok());
        let mut let_in = BTreeMap::new();
        for (user, person) in state.iter().flat_map(Conversation::people) {
            if state.as_ref().is_some_and(|state| state.may_enter(user)) {
                let_in.insert(user, None);
            } else if person.gone {
                // A commit comes with its capsule.
                let put_out = &rows[person.membership_seq.0 as usize];
                let is_commit = put_out.kind == Kind::Commit;
                let until = person.membership_seq.0 + if is_commit { 2 } else { 1 };
                let_in.insert(user, Some(until));
            }
        }
        logs.push((row, rows, members, let_in));
    }
    let mut heads = BTreeMap::new();
    if let Some(newest) = tx.outer_size(0)?.checked_sub(1) {
        for (no, leaf) in tx.heads(0, newest)? {
            let leaf = decode::<HeadsLeaf>(&leaf).map_err(|_| StoreError::Damaged("heads leaf"))?;
            heads.extend(leaf.log.map(|head| (no, head)));
        }
    }
    Ok((logs, heads))
}

/// The log is whole, in order, and the one that the newest checkpoint signed.
fn chain(row: &LogRow, rows: &[EntryRow], head: Option<&LogHead>, broken: &mut Vec<String>) {
    let mut prev = EntryHash::ZERO;
    let entries: Vec<_> = rows
        .iter()
        .map(|row| {
            let entry = ArchivedEntry { entry: row.entry.clone(), prev };
            prev = row.hash;
            entry
        })
        .collect();
    match head {
        Some(head) if head.size == row.size => {
            let walked = walk(row.log, entries, Some(*head));
            broken.extend(walked.breaks.iter().map(|found| format!("log {}: {found}", row.log)));
        }
        Some(head) => broken.push(format!(
            "log {}: the newest checkpoint covers {} of {}",
            row.log, head.size, row.size
        )),
        None => broken.push(format!("log {}: no checkpoint covers it", row.log)),
    }
}

/// The officers' and the council's halves open every record of the log.
fn open_archive(truth: &mut Truth, company: &Company, broken: &mut Vec<String>) {
    let id = truth.row.log;
    let entries: Vec<(Entry, EntryHash)> =
        truth.rows.iter().map(|row| (row.entry.clone(), row.hash)).collect();
    let replayed = replay(id, &entries, company);
    for fault in &replayed.faults {
        broken.push(format!("archive, log {id}, entry {}: {}", fault.seq, fault.what));
    }
    let (a, b) = archive_seeds();
    let mut chains: BTreeMap<usize, Chains> = BTreeMap::new();
    for placed in &replayed.records {
        let epoch = &replayed.epochs[placed.epoch];
        let mut open = || -> Result<Opened, String> {
            if let std::collections::btree_map::Entry::Vacant(free) = chains.entry(placed.epoch) {
                let body = epoch.capsules.get(&placed.slot.cap).ok_or("no capsule")?;
                let half_a = HalfA::open(body, &a).map_err(|error| error.to_string())?;
                let half_b = HalfB::open(body, &b).map_err(|error| error.to_string())?;
                let place = (id, epoch.r#gen, epoch.epoch);
                let secret = capsule::open(place, body, (&half_a, &half_b), &archive_keys());
                free.insert(Chains::new(secret.map_err(|error| error.to_string())?));
            }
            let chain = chains.get_mut(&placed.epoch).ok_or("no chain")?;
            let key = chain.take(placed.slot.leaf, placed.slot.index).ok_or("no key")?;
            let entry = &entries[placed.seq.0 as usize].0;
            let payload = entry.payload.bytes().ok_or("no payload")?;
            let sealed = record::open(&key, &entry.head, payload);
            let sealed = sealed.map_err(|error| error.to_string())?;
            let verified = sealed.verify(&placed.author.signature_key);
            let statement = verified.map_err(|error| error.to_string())?.into_statement();
            let user = placed.author.user;
            let is_room = replayed.genesis.as_ref().is_some_and(|genesis| {
                matches!(genesis.r#type, LogType::Group | LogType::Announce)
            });
            let (mut asks, mut announcement) = (false, None);
            let (message, what) = match Content::read(statement.ptype, &statement.content) {
                Content::Message(message) => {
                    asks = is_room && message.asks_to_confirm();
                    announcement = message.announcement();
                    let id = message.id(&statement.content, COMPANY, user, id);
                    let what = match message.card(COMPANY) {
                        Some(Card::Poll(poll)) => talk::asked(poll),
                        _ => What::of(&message.act(), false),
                    };
                    (Some(id), what)
                }
                Content::Control(control) => {
                    let what = control.act().map(|act| What::of(&act, placed.is_owner));
                    (None, what.unwrap_or(What::Other))
                }
                _ => (None, What::Other),
            };
            let (device, dctr) = (statement.device, statement.dctr);
            // Among announcements nobody heeds what others than owners say, but for answers.
            let heeded = placed.may_write || matches!(what, What::Confirm(_));
            let what = if heeded { what } else { What::Other };
            let message = message.filter(|_| heeded);
            let said = Said { id: message, user, what, asks, announcement };
            Ok(Opened { seq: placed.seq, device, dctr, said, heeded })
        };
        match open() {
            Ok(opened) => truth.records.push(opened),
            Err(why) => {
                broken.push(format!("archive, log {id}, entry {} does not open: {why}", placed.seq))
            }
        }
    }
    let kind = replayed.genesis.as_ref().map(|genesis| genesis.r#type);
    truth.is_own = kind == Some(LogType::SelfNotes);
    truth.stays = replayed.stays;
    let records = truth.rows.iter().filter(|row| is_record(row)).count();
    if truth.records.len() != records {
        let opened = truth.records.len();
        broken.push(format!("archive, log {id}: {opened} of {records} records open"));
    }
}

fn is_record(row: &EntryRow) -> bool {
    row.kind == Kind::Record
}

/// Each device counts its records without a gap, and no message stands in the log twice.
fn counters(truth: &Truth, broken: &mut Vec<String>) {
    let id = truth.row.log;
    let mut next: BTreeMap<DeviceId, u64> = BTreeMap::new();
    let mut seen: HashMap<MessageId, Seq> = HashMap::new();
    for record in &truth.records {
        let expected = next.entry(record.device).or_default();
        if record.dctr != *expected {
            broken.push(format!(
                "log {id}, entry {}: dctr {} where {expected} comes next",
                record.seq, record.dctr
            ));
        }
        *expected = record.dctr + 1;
        if let Some(message) = record.said.id
            && let Some(first) = seen.insert(message, record.seq)
        {
            broken.push(format!("log {id}: entries {first} and {} are one message", record.seq));
        }
    }
}

/// What can be promised for a phone.
#[derive(Clone, Copy)]
struct Case {
    number: usize,
    /// It was put back to a backup.
    restored: bool,
    /// It may have had a leaf and yet not have been able to read for a while.
    lost_the_way: bool,
    /// Somebody threw a commit bomb.
    bombed: bool,
    /// It may have to say that something is not readable.
    may_miss: bool,
}

impl Case {
    fn of(world: &World, number: usize) -> Self {
        let phone = &world.phones[number];
        let bombed = world.wire.bombs_thrown() > 0;
        let restored = phone.restored;
        let lost_the_way = restored || bombed;
        // A person may have been in the group by another device before this one.
        let devices = world.phones.iter().filter(|other| other.person == phone.person);
        Self {
            number,
            restored,
            lost_the_way,
            bombed,
            may_miss: lost_the_way || devices.count() > 1,
        }
    }

    /// What this means for announcements.
    fn promised(self) -> Promised {
        Promised { number: self.number, missed_nothing: !self.may_miss }
    }
}

/// What a phone shows of each log.
type Seen = BTreeMap<LogId, BTreeSet<Seq>>;
/// A device of a person, by the number of its phone.
type Device = (usize, DeviceId, Seen);

/// A person's devices that are in a conversation show the same of it, whichever came later or lost its
/// way: what one of them can read it gives to the others.
fn alike(devices: &[Device], truths: &BTreeMap<LogId, Truth>, broken: &mut Vec<String>) {
    for (id, truth) in truths {
        let is_in = |device: &DeviceId| {
            truth.members.iter().any(|stay| stay.device == *device && stay.to.is_none())
        };
        let inside = devices.iter().filter(|(_, device, _)| is_in(device));
        let shown: Vec<_> =
            inside.map(|(number, _, shown)| (number, shown.get(id).cloned())).collect();
        for pair in shown.windows(2) {
            let ((one, theirs), (other, others)) = (&pair[0], &pair[1]);
            if theirs != others {
                let differ = theirs.iter().flatten().collect::<BTreeSet<_>>();
                let others = others.iter().flatten().collect();
                let handed = |seq: &Seq| truth.handed.iter().any(|one| one.given.contains(seq));
                let differ: Vec<_> =
                    differ.symmetric_difference(&others).filter(|seq| !handed(seq)).collect();
                if differ.is_empty() {
                    continue;
                }
                broken.push(format!("log {id}: phones {one} and {other} differ in {differ:?}"));
            }
        }
    }
}

/// One phone against the server's logs; what it shows.
async fn phone(
    case: Case,
    account: &Account,
    (truths, company): (&BTreeMap<LogId, Truth>, &Company),
    broken: &mut Vec<String>,
) -> Seen {
    let mut seen = Seen::new();
    let number = case.number;
    let device = account.device();
    let read = account.store().read(|conn| {
        let alarms = alarm::unreported(conn)?;
        let mut logs = Vec::new();
        for row in log::all(conn)? {
            let hashes: Result<Vec<_>, _> =
                (0..row.next_seq.0).map(|seq| entry::hash_at(conn, row.local, Seq(seq))).collect();
            let quarantined = quarantine::all(conn, row.local)?;
            let id = row.local.id;
            let (rows, views) = (all_rows(conn, id)?, talk::shown(conn, id)?);
            let marks = talk::marks(conn, id)?;
            let confirmed = rooms::shown(conn, id, &rows)?;
            logs.push((row, hashes?, quarantined, (rows, views, marks, confirmed)));
        }
        Ok::<_, PhoneError>((alarms, logs))
    });
    let (alarms, logs) = read.await.expect("a healed phone can be read");
    // A reset is no breach; that an admin hears of it is its own rule (R4).
    let expected = |code| {
        code == Code::Reset as u64
            || case.lost_the_way && code == Code::Rollback as u64
            || case.bombed && code == Code::Mls as u64
    };
    for (_, alarm) in alarms.into_iter().filter(|(_, alarm)| !expected(alarm.code)) {
        broken.push(format!("phone {number} raised alarm {} at {:?}", alarm.code, alarm.seq));
    }
    let mut has = Vec::new();
    for (row, hashes, quarantined, (rows, views, (marks, waiting), confirmed)) in logs {
        let id = row.local.id;
        has.push(id);
        let tell = |what: String| format!("phone {number}, log {id}: {what}");
        if matches!(row.state, LogState::Stopped | LogState::Broken) {
            let (code, at) = (row.stop_code, row.stop_seq);
            broken.push(tell(format!("{:?} by {code:?} at {at:?}", row.state)));
        }
        // An owner was withdrawn while he wrote: nobody heeds it, and everybody sees that it is there.
        let unheeded: BTreeSet<Seq> = truths.get(&id).map_or_else(BTreeSet::new, |truth| {
            truth.records.iter().filter(|one| !one.heeded).map(|one| one.seq).collect()
        });
        for gap in quarantined {
            if gap.code == Code::Announcement as u64 && unheeded.contains(&gap.seq) {
                continue;
            }
            broken.push(tell(format!("entry {} in quarantine by {}", gap.seq, gap.code)));
        }
        let Some(truth) = truths.get(&id) else { continue };
        let stays: Vec<_> = truth.members.iter().filter(|member| member.device == device).collect();
        // To the end, or to the commit that took the leaf, and its capsule.
        let ends = stays.iter().map(|stay| stay.to.map_or(truth.row.size, |to| to.0 + 2));
        let word = truth.let_in.get(&account.user()).copied().flatten();
        let readable = match truth.let_in.get(&account.user()) {
            Some(None) => truth.row.size,
            // A device without a leaf reads to the word by which its person was put out.
            _ => ends.max().max(word).unwrap_or(0),
        };
        // So does one that had a leaf and was put out before it got the keys.
        let word = word.filter(|_| case.may_miss).map_or(readable, |end| truth.word_before(end));
        let is_in = truth.let_in.get(&account.user()) == Some(&None);
        let succession = truth.succession(company, account);
        // What ended may have been read before it did.
        let most = if is_in { readable } else { readable.max(succession.most) };
        let least = if is_in { readable } else { readable.min(word).max(succession.least) };
        if !(least..=most).contains(&row.next_seq.0) {
            broken.push(tell(format!("read to {} of {least} to {most}", row.next_seq)));
        }
        let readable = row.next_seq.0.clamp(least, most);
        let is_out = row.state == LogState::Left
            || row.state == LogState::HandedOver && handed::is_about(company, id, account.user());
        if is_in == is_out {
            broken.push(tell(format!("is {:?} and may enter: {is_in}", row.state)));
        }
        for (seq, hash) in hashes.iter().enumerate() {
            let theirs = truth.rows.get(seq).map(|row| row.hash);
            if *hash != theirs {
                broken.push(tell(format!("entry {seq} is another one than the server's")));
                break;
            }
        }
        let granted = granted(truth, device);
        // What a handover gave that ended meanwhile may have come too late.
        let may_lack = |seq| succession.given.contains(&seq) && !succession.in_force.contains(&seq);
        let expected: Vec<_> = truth
            .records
            .iter()
            .filter(|record| record.seq.0 < readable)
            .filter(|record| {
                stays.iter().any(|stay| stay.covers(record.seq)) || granted.contains(&record.seq)
            })
            .filter_map(|record| Some((record.seq, record.message()?)))
            .collect();
        let shown: Vec<_> = rows
            .iter()
            .filter(|row| is_message(row) && row.reason != Some(REASON_MAY_NOT_WRITE))
            .filter_map(|row| Some((row.seq?, (row.message_id, talk::as_written(row)))))
            .collect();
        let unreadable = match case.may_miss {
            true => unreadable(&rows, &marks, truth),
            false => BTreeSet::new(),
        };
        let lost = expected.iter().filter(|one| !shown.contains(one));
        // Who left and lost the keys is told nothing of what came then, not even of his own.
        let is_out = case.may_miss && is_out;
        let lost = lost.filter(|one| !is_out && !unreadable.contains(&one.0) && !may_lack(one.0));
        let lost = lost.count();
        let in_order = expected.iter().filter(|one| shown.contains(one)).eq(&shown);
        if lost > 0 || !in_order {
            let more = shown.iter().filter(|one| !expected.contains(one)).count();
            broken.push(tell(format!("{lost} messages are not shown, {more} should not be")));
        }
        seen.insert(id, shown.iter().map(|(seq, _)| *seq).collect());
        let lacks = expected.iter().any(|one| may_lack(one.0) && !shown.contains(one));
        if waiting > 0 {
            broken.push(tell(format!("{waiting} changes of messages still wait")));
        }
        if !case.lost_the_way && !lacks {
            let has = |seq: Seq| {
                let covered = stays.iter().any(|stay| stay.covers(seq)) || granted.contains(&seq);
                seq.0 < readable && covered && !unreadable.contains(&seq)
            };
            let read = truth.records.iter().filter(|record| has(record.seq));
            let expected = talk::views(read.map(|record| &record.said));
            let read = truth.records.iter().filter(|record| has(record.seq));
            let asked = read.map(|record| (record.seq, &record.said));
            for (message, right) in rooms::confirmed(asked, &truth.stays) {
                let shown = confirmed.get(&message);
                if shown != Some(&right) {
                    broken.push(tell(format!("{message}: {shown:?} where {right:?} is right")));
                }
            }
            for (message, view) in &expected {
                if views.get(message) != Some(view) {
                    let shown = views.get(message);
                    broken.push(tell(format!("{message} is {shown:?} where {view:?} is right")));
                }
            }
        }
        // Or missed it, before it was given the keys.
        let misses = rows.iter().any(|row| row.kind == MessageKind::Unreadable)
            || is_out
            || !granted.is_empty();
        for row in rows.iter().filter(|row| row.reason == Some(REASON_MAYBE_SENT)) {
            if !case.restored || !misses {
                broken.push(tell(format!("{:?} cannot have been sent before", row.text)));
            }
        }
        for row in &rows {
            let may_miss = case.may_miss || handed::is_about(company, id, account.user());
            let is_said = row.kind == MessageKind::Unreadable && may_miss;
            if row.kind == MessageKind::Gap && row.seq.is_some_and(|seq| unheeded.contains(&seq)) {
                continue;
            }
            if row.kind == MessageKind::Gap || row.missing > 0 && !is_said {
                broken.push(tell(format!("a gap at {:?} ({} missing)", row.seq, row.missing)));
            }
        }
    }
    for truth in truths.values() {
        let member = truth.members.iter().any(|member| member.device == device);
        let member = member || truth.let_in.get(&account.user()) == Some(&None);
        let member = member || truth.succession(company, account).least > 0;
        if member && !has.contains(&truth.row.log) {
            broken.push(format!("phone {number} knows nothing of log {}", truth.row.log));
        }
    }
    seen
}

fn is_message(row: &Message) -> bool {
    matches!(row.kind, MessageKind::Text | MessageKind::Unknown | MessageKind::Poll)
}

pub(super) fn all_rows(
    conn: &rusqlite::Connection,
    log: LogId,
) -> Result<Vec<Message>, PhoneError> {
    let mut rows: Vec<Message> = Vec::new();
    loop {
        let after = rows.last().map_or(-1, |row| row.key);
        let page = timeline(conn, log, Window::After(after), 200)?;
        rows.extend(page.rows);
        if !page.more_after {
            return Ok(rows);
        }
    }
}

/// What the trace says of a log: its order, without what the seed does not fix.
fn summary(truth: &Truth) -> String {
    let kinds: String = truth
        .rows
        .iter()
        .filter_map(|row| Head::parse(&row.entry.head).ok())
        .map(|head| format!("{}/{} ", head.kind.code(), head.epoch))
        .collect();
    format!("log {} {kinds}", truth.row.log)
}
