//! What a log needs next.

use hauspost_protocol::body::{InviteOp, ResetReason};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{CoreHash, DeviceId, LeafIndex, LogId, RecordIndex, TimeMs, UserId};
use hauspost_protocol::limits;
use hauspost_protocol::mls::member::{Suite, parse_key_package};
use hauspost_protocol::rules::client;
use hauspost_protocol::wire::{AppendRequest, NewEntry};
use rusqlite::Connection;

use super::change::{Wanted, suite_for};
use super::intent::{self, Add, Create, Own, Package, Remove, Say};
use super::seal::NewSealed;
use super::{REASON_DEFECT, REASON_FULL, REASON_LEFT, REASON_MAY_NOT_WRITE, reset};
use crate::inbound::Me;
use crate::ledger::Ledger;
use crate::store::StoreError;
use crate::store::rows::file;
use crate::store::rows::log::LogState;
use crate::store::rows::outbox::{self, Intent, IntentKind, IntentState, Sealed};

/// The next step for one log.
pub enum Step {
    /// Nothing can be done now.
    Rest,
    /// The next log number is to be reserved for this creation.
    Reserve(i64, Create),
    /// The group is to be entered by an external commit.
    Enter,
    /// The group is to be made anew in another suite, for this intent.
    Migrate(i64),
    /// Key packages of a suite are to be taken of these devices.
    Packages(i64, PackagesFor, Suite, Vec<DeviceId>),
    /// A commit is to be made.
    Commit(Wanted),
    /// That this person leaves, or that somebody owns the conversation or not, is to be written down.
    Word(i64, InviteOp, UserId),
    /// These records are to be sealed.
    Seal(Vec<Intent>),
    /// This is to be sent.
    Send(Batch),
    /// These intents cannot be done.
    Fail(Vec<i64>, u64),
    /// This intent has nothing to do.
    Drop(i64),
}

/// The intent that key packages are taken for.
pub enum PackagesFor {
    /// A creation.
    Create(Create),
    /// An addition.
    Add(Add),
}

impl PackagesFor {
    /// The intent's body with the packages that were taken.
    pub fn with(self, packages: Vec<Package>) -> Vec<u8> {
        match self {
            Self::Create(create) => encode(&Create { packages: Some(packages), ..create }),
            Self::Add(add) => encode(&Add { packages: Some(packages), ..add }),
        }
    }
}

/// A batch that is stored and to be sent.
pub struct Batch {
    /// The request.
    pub request: AppendRequest,
    /// What it consists of.
    pub what: What,
}

/// What a batch consists of.
pub enum What {
    /// The pending commit with this core; its place in the batch.
    Commit(CoreHash, usize),
    /// A capsule that repairs an epoch.
    Capsule,
    /// Invitations, without which those whom this intent adds may not enter.
    Invites(i64),
    /// Sealed intents, in the order of the batch.
    Sealed(Vec<(i64, CoreHash, RecordIndex)>),
}

/// The next step; `now_ms` is the server's clock, or nothing if it takes no update of this log now,
/// `phone_ms` the phone's.
pub fn next(
    conn: &Connection,
    me: &Me,
    company: &Company,
    ledger: &Ledger,
    (now_ms, phone_ms): (Option<TimeMs>, TimeMs),
) -> Result<Step, StoreError> {
    let log = ledger.row.local.id;
    let mut open = outbox::open(conn, log, limits::BATCH_ENTRIES as u32)?;
    // What the devices of a person agree on is gathered until its time.
    open.retain(|intent| {
        let gathers = intent.kind == IntentKind::OwnState && intent.state == IntentState::Queued;
        let waits_ms = intent.next_ms.saturating_sub(phone_ms);
        !gathers || waits_ms == 0 || waits_ms > outbox::LONGEST_MS
    });
    match ledger.row.state {
        LogState::Active | LogState::Broken => {}
        LogState::Left | LogState::HandedOver if !open.is_empty() => {
            return Ok(Step::Fail(open.iter().map(|intent| intent.id).collect(), REASON_LEFT));
        }
        _ => return Ok(Step::Rest),
    }
    // Who lost the way sends nothing but the commit by which he enters anew (C12).
    let pending = outbox::pending(conn, log)?
        .filter(|pending| ledger.row.state == LogState::Active || pending.scratch.is_some());
    if let Some(pending) = pending {
        let entries: Vec<NewEntry> =
            decode(&pending.batch).map_err(|_| StoreError::Unreadable("pending commit"))?;
        // A commit's batch ends with the commit and its capsule.
        let what = What::Commit(pending.core, entries.len().saturating_sub(2));
        let group_info = Some(Bytes(pending.group_info));
        let welcome = pending.welcome.map(Bytes);
        let request = AppendRequest { log, entries, group_info, welcome };
        return Ok(Step::Send(Batch { request, what }));
    }
    if must_enter(me, company, ledger) {
        return Ok(Step::Enter);
    }
    if ledger.row.state == LogState::Broken {
        return Ok(Step::Rest);
    }
    let Some(first) = open.first() else { return Ok(Step::Rest) };
    if first.kind == IntentKind::Create {
        return Ok(create(me, company, first));
    }
    let Some(epoch) = &ledger.epoch else { return Ok(Step::Rest) };
    if ledger.right_capsule().is_none() {
        return Ok(match &epoch.capsule_body {
            Some(body) => Step::Send(super::seal::capsule(me, ledger, body.clone())),
            None => Step::Rest,
        });
    }
    // A device that was revoked is out before anything else is said (S7), and so is who left.
    let now = company.now();
    let gone = |user| {
        let conversation = ledger.conversation.as_ref();
        conversation.is_some_and(|conversation| conversation.person(user).gone)
    };
    let leaves: Vec<LeafIndex> = ledger
        .members()
        .filter(|(leaf, member)| {
            let out = now.is_revoked(member.device) || gone(member.user);
            out && ledger.row.own_leaf != Some(*leaf)
        })
        .map(|(leaf, _)| leaf)
        .collect();
    if !leaves.is_empty() {
        return Ok(Step::Commit(Wanted::Remove(None, leaves)));
    }
    let newest = now.archive_keys().map(|(a, b)| (a.id, b.id));
    let bound = ledger.conversation.as_ref().map(|conversation| conversation.archive_keys);
    if newest.is_some() && newest != bound {
        return Ok(Step::Commit(Wanted::Rekey));
    }
    if first.state == IntentState::Sealed {
        let sealed = open.iter().take_while(|intent| intent.state == IntentState::Sealed);
        let sealed = sealed.filter_map(|intent| Some((intent, intent.sealed.as_ref()?)));
        return Ok(Step::Send(batch_of(log, sealed)));
    }
    Ok(match first.kind {
        IntentKind::Record | IntentKind::OwnState if renews_first(ledger, now_ms) => {
            Step::Commit(Wanted::Update(None))
        }
        IntentKind::Record | IntentKind::OwnState => {
            let records = open.into_iter().take_while(|intent| {
                intent.kind.is_record() && intent.state == IntentState::Queued
            });
            let mut records: Vec<_> = records.collect();
            for record in &mut records {
                if record.body.is_empty() {
                    let said = intent::said(conn, ledger.row.local, record)?;
                    record.body = said.map(|say| encode(&say)).unwrap_or_default();
                }
            }
            let unheard = unheard(me, company, ledger, &records);
            if !unheard.is_empty() {
                return Ok(Step::Fail(unheard, REASON_MAY_NOT_WRITE));
            }
            for record in &mut records {
                if let Some(message_id) = record.message_id {
                    record.files = file::of_message(conn, ledger.row.local.number, message_id)?;
                }
            }
            Step::Seal(records)
        }
        IntentKind::Add => add(me, company, ledger, first),
        IntentKind::Remove => match decode::<Remove>(&first.body) {
            Ok(remove) => {
                let leaves = ledger.members();
                let leaves: Vec<_> = leaves
                    .filter(|(_, member)| member.user == remove.user)
                    .map(|(leaf, _)| leaf)
                    .collect();
                if leaves.is_empty() {
                    Step::Drop(first.id)
                } else {
                    Step::Commit(Wanted::Remove(Some(first.id), leaves))
                }
            }
            Err(_) => Step::Fail(vec![first.id], REASON_DEFECT),
        },
        IntentKind::Update => Step::Commit(Wanted::Update(Some(first.id))),
        IntentKind::Leave => Step::Word(first.id, InviteOp::Leave, me.user),
        IntentKind::Owner => match decode::<Own>(&first.body) {
            Ok(Own { user, named: true }) => Step::Word(first.id, InviteOp::Owner, user),
            Ok(Own { user, named: false }) => Step::Word(first.id, InviteOp::NoOwner, user),
            Err(_) => Step::Fail(vec![first.id], REASON_DEFECT),
        },
        IntentKind::Migrate => {
            let why = (ResetReason::Migrate, Some(first.id));
            match reset::wanted(me, company, ledger, why, ledger.row.last_t_ms) {
                Some(_) => Step::Migrate(first.id),
                None => Step::Fail(vec![first.id], REASON_DEFECT),
            }
        }
        // A newer build's intent waits for the newer build.
        IntentKind::Create | IntentKind::Newer => Step::Rest,
    })
}

/// What [`next`] says after these records were sealed and stored, as it had said: they are sent. It need
/// not read back what is here. None if one of them could not be sealed.
pub fn just_sealed(log: LogId, records: &[NewSealed]) -> Option<Batch> {
    let sealed = records.iter().map(|new| Some((&new.intent, &new.sealed.as_ref()?.0)));
    let sealed: Option<Vec<_>> = sealed.collect();
    sealed.filter(|sealed| !sealed.is_empty()).map(|sealed| batch_of(log, sealed))
}

fn batch_of<'s>(log: LogId, sealed: impl IntoIterator<Item = (&'s Intent, &'s Sealed)>) -> Batch {
    let (mut entries, mut what) = (Vec::new(), Vec::new());
    for (intent, sealed) in sealed {
        entries.push((Bytes(sealed.head.clone()), Bytes(sealed.payload.clone())));
        what.push((intent.id, sealed.core, sealed.leaf_index));
    }
    let request = AppendRequest { log, entries, group_info: None, welcome: None };
    Batch { request, what: What::Sealed(what) }
}

/// Which of these would be heeded by nobody: among announcements others than owners only answer, and every
/// reader would see a gap in place of the rest (C3).
fn unheard(me: &Me, company: &Company, ledger: &Ledger, records: &[Intent]) -> Vec<i64> {
    let Some(conversation) = &ledger.conversation else { return Vec::new() };
    if conversation.may_write(me.user, &company.now()) {
        return Vec::new();
    }
    let answers = |record: &&Intent| {
        decode::<Say>(&record.body).is_ok_and(|say| client::answers(say.ptype, &say.content))
    };
    records.iter().filter(|record| !answers(record)).map(|record| record.id).collect()
}

/// Whether this device enters the group by itself: it may, and has no keys of the epoch in force, or none
/// that it may use (C7, C9, C12).
pub fn must_enter(me: &Me, company: &Company, ledger: &Ledger) -> bool {
    let row = &ledger.row;
    let without_keys = match row.state {
        LogState::Active => ledger.epoch.is_none(),
        // Behind a commit that the phone went on after, not before an entry that it cannot follow.
        LogState::Broken => row.stop_seq != Some(row.next_seq),
        _ => false,
    };
    let conversation = ledger.conversation.as_ref();
    let may = conversation.is_some_and(|known| known.in_force && known.may_enter(me.user));
    without_keys && may && company.now().is_active(me.device)
}

fn renews_first(ledger: &Ledger, now_ms: Option<TimeMs>) -> bool {
    let known = ledger.conversation.as_ref().zip(ledger.row.own_leaf).zip(now_ms);
    known.is_some_and(|((conversation, leaf), now_ms)| {
        client::renews_first(conversation, leaf, now_ms)
    })
}

fn create(me: &Me, company: &Company, intent: &Intent) -> Step {
    let Ok(create) = decode::<Create>(&intent.body) else {
        return Step::Fail(vec![intent.id], REASON_DEFECT);
    };
    if create.log_no.is_none() {
        return Step::Reserve(intent.id, create);
    }
    if create.packages.is_none() {
        let users = create.members.iter().copied().chain([me.user]);
        let mut devices = devices(company, users);
        devices.retain(|device| *device != me.device);
        if devices.len() >= limits::LEAVES {
            return Step::Fail(vec![intent.id], REASON_FULL);
        }
        let suite = suite_for(company, devices.len() + 1);
        return Step::Packages(intent.id, PackagesFor::Create(create), suite, devices);
    }
    Step::Commit(Wanted::Create(intent.id, create))
}

fn add(me: &Me, company: &Company, ledger: &Ledger, intent: &Intent) -> Step {
    let Ok(add) = decode::<Add>(&intent.body) else {
        return Step::Fail(vec![intent.id], REASON_DEFECT);
    };
    let mut devices = devices(company, add.users.iter().copied());
    devices.retain(|device| ledger.leaf_of(*device).is_none());
    if devices.is_empty() {
        // Whoever won the race has done it.
        return Step::Drop(intent.id);
    }
    let conversation = ledger.conversation.as_ref();
    let Some(suite) = conversation.and_then(|known| Suite::from_code(known.suite)) else {
        return Step::Rest;
    };
    // After a change of suite those that were taken are of no use.
    let fit = add.packages.as_ref().is_some_and(|taken| are_of(taken, suite));
    if !fit {
        if ledger.members().count() + devices.len() > limits::LEAVES {
            return Step::Fail(vec![intent.id], REASON_FULL);
        }
        return Step::Packages(intent.id, PackagesFor::Add(add), suite, devices);
    }
    let uninvited = add.users.iter().copied().filter(|user| {
        let conversation = ledger.conversation.as_ref();
        conversation.is_some_and(|conversation| !conversation.may_enter(*user))
    });
    let uninvited: Vec<_> = uninvited.take(limits::BATCH_ENTRIES).collect();
    if !uninvited.is_empty() {
        let at = super::change::at(company);
        return Step::Send(super::seal::invites(me, ledger, at, &uninvited, intent.id));
    }
    Step::Commit(Wanted::Add(intent.id, add))
}

fn are_of(taken: &[Package], suite: Suite) -> bool {
    let packages = taken.iter().filter_map(|(_, package)| package.as_ref());
    let mut parsed = packages.filter_map(|package| parse_key_package(package).ok());
    parsed.next().is_none_or(|package| package.ciphersuite() == suite.ciphersuite())
}

fn devices(company: &Company, users: impl Iterator<Item = UserId>) -> Vec<DeviceId> {
    let now = company.now();
    users.flat_map(|user| now.devices_of(user).map(|device| device.device)).collect()
}
