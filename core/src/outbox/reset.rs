//! A reset by this phone: the batch that begins the next generation (docs/protocol.md §7, "Reset").
//!
//! The new group is made in a scratch, which becomes real when its commit comes back in the log. If
//! somebody else was first, it is dropped with the bytes, and nothing has happened.

use hauspost_protocol::authorise::{CompanyView as _, Conversation, leaf_rule};
use hauspost_protocol::body::{ResetBody, ResetReason, SignedPayload};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::{Bytes, encode};
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::ids::{DeviceId, Epoch, Gen, TimeMs};
use hauspost_protocol::mls::extension::{Age, GroupBinding};
use hauspost_protocol::mls::member::{Suite, parse_key_package};
use hauspost_protocol::mls::public::NewLeaf;
use openmls::prelude::KeyPackage;
use rand::rngs::StdRng;
use rusqlite::Connection;

use super::change::{ChangeError, Place, at, batch};
use super::intent::Package;
use super::seal::seen;
use crate::group::{self, GroupError, commit};
use crate::inbound::{Code, Me, Snapshot};
use crate::ledger::Ledger;
use crate::store::rows::log::LogState;
use crate::store::rows::outbox::PendingCommit;

/// A reset that this phone may make now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Why.
    pub reason: ResetReason,
    /// The intent that it is for.
    pub intent: Option<i64>,
    /// The suite of the new group.
    pub suite: Suite,
    /// Every device of the conversation.
    pub devices: Vec<DeviceId>,
}

/// What a reset for this reason would be, if this phone may make it now: the same rules as
/// everybody's, asked before anything is fetched or signed.
pub fn wanted(
    me: &Me,
    company: &Company,
    ledger: &Ledger,
    (reason, intent): (ResetReason, Option<i64>),
    now_ms: TimeMs,
) -> Option<Wanted> {
    let known = ledger.conversation.as_ref().filter(|known| known.epoch.0 > 0)?;
    let now = company.now();
    let devices: Vec<_> = known.devices(&now).into_iter().map(|(device, _)| device).collect();
    // The server's clock counts; the log's is the nearest that the phone knows of it.
    let t_ms = now_ms.max(ledger.row.last_t_ms);
    let stopped = matches!(ledger.row.state, LogState::Stopped | LogState::Left);
    if stopped || !devices.contains(&me.device) || known.has_reset_on_day(me.device, now.day(t_ms))
    {
        return None;
    }
    let kept = Suite::from_code(known.suite)?;
    let suite = match reason {
        // A phone that was set back has itself to blame, and enters anew.
        ResetReason::Broken => {
            let lost = ledger.row.state == LogState::Broken
                && ledger.row.stop_code != Some(Code::Rollback as u64);
            (lost && known.may_be_broken(me.device)).then_some(kept)
        }
        ResetReason::Admin => known.is_reset_ordered(&now).then_some(kept),
        ResetReason::Migrate => known.suite_to_come(me.user, devices.len(), &now),
    }?;
    Some(Wanted { reason, intent, suite, devices })
}

/// Makes the batch. Whoever of the devices has no package that can be used is missing.
pub fn prepare(
    conn: &Connection,
    me: &Me,
    company: &Company,
    ledger: &Ledger,
    (wanted, packages): (&Wanted, &[Package]),
    mut rng: StdRng,
    now_ms: TimeMs,
) -> Result<PendingCommit, ChangeError> {
    let known = ledger.conversation.as_ref().ok_or(GroupError::NoGroup)?;
    let bound = binding(known, company)?;
    let usable: Vec<_> = packages
        .iter()
        .filter(|(device, _)| *device != me.device)
        .filter_map(|package| usable(package, wanted.suite, company, now_ms))
        .collect();
    let added = |device: &DeviceId| usable.iter().any(|(added, _)| added == device);
    let (roster, missing) =
        wanted.devices.iter().partition(|device| **device == me.device || added(device));
    let at = at(company);
    let body = ResetBody {
        seen: Some(seen(ledger)),
        at,
        reason: wanted.reason,
        bad_seq: (wanted.reason == ResetReason::Broken).then_some(known.began),
        roster,
        missing,
    };
    let head = encode(&Head::plain(Kind::Reset, bound.log, bound.r#gen, Epoch(0)));
    let signed = SignedPayload::sign(&me.key, &head, encode(&body), me.device);
    let mut entries = vec![(Bytes(head), Bytes(encode(&signed)))];

    let provider = group::provider(Snapshot(conn), &mut rng);
    commit::forget(&provider, &bound.group_id())?;
    let (mut group, base) = commit::create(&provider, me.member(), wanted.suite, &bound)?;
    let adds = usable.into_iter().map(|(_, package)| package).collect();
    let change = commit::Change { adds, ..commit::Change::default() };
    let own = commit::commit(&provider, &mut group, me.member(), change)?;
    commit::merge_own(&provider, &mut group)?;
    let place = Place { r#gen: bound.r#gen, epoch: Epoch(1), seen: Some(seen(ledger)) };
    let (core, after) =
        batch(me, company, ledger, &mut entries, &own, (bound, Some(base), at), place)?;
    Ok(PendingCommit {
        log: ledger.row.local.id,
        outbox: wanted.intent,
        core,
        batch: encode(&entries),
        group_info: own.group_info.0,
        welcome: own.welcome.map(|welcome| welcome.0),
        after: after.to_bytes(),
        scratch: Some(provider.backend().take_changes().to_bytes()),
        made_ms: now_ms,
    })
}

/// The next generation's binding, with the newest archive keys.
fn binding(known: &Conversation, company: &Company) -> Result<GroupBinding, ChangeError> {
    let (a, b) = company.now().archive_keys().ok_or(ChangeError::NoArchiveKeys)?;
    let r#gen = Gen(known.r#gen.0.checked_add(1).ok_or(GroupError::State)?);
    Ok(GroupBinding { r#gen, id_a: a.id, id_b: b.id, ..known.binding() })
}

/// One bad package must not spoil the others' reset (docs/attacks.md 41).
fn usable(
    (device, package): &Package,
    suite: Suite,
    company: &Company,
    now_ms: TimeMs,
) -> Option<(DeviceId, KeyPackage)> {
    let package = parse_key_package(package.as_ref()?).ok()?;
    let leaf = NewLeaf::of_package(&package).ok()?;
    let fits = leaf.certificate.device == *device
        && package.ciphersuite() == suite.ciphersuite()
        && leaf_rule(&leaf, &company.now(), now_ms)
        && Age::of(&package).is_ok();
    fits.then_some((*device, package))
}
