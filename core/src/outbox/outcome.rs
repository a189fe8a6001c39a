//! What the server answered, and what it means for the intents.

use hauspost_protocol::ids::{CoreHash, RecordIndex, Seq, TimeMs};
use hauspost_protocol::wire::Outcome;

use super::REASON_MAYBE_SENT;
use crate::inbound::Code;
use crate::ledger::{Ledger, Touched};
use crate::own;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::file;
use crate::store::rows::log::{LocalLog, LogState};
use crate::store::rows::message::{self, MessageState, Place};
use crate::store::rows::outbox::{self, IntentKind, IntentState};
use crate::store::{StoreError, Tx};

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Everything was taken.
    Done,
    /// The phone has to pull before it tries again.
    Pull,
    /// The same bytes again, later.
    Later,
    /// The same bytes again, at this time of the server's clock.
    NotBefore(TimeMs),
    /// The server will not take it, for this reason.
    Refused(u64),
}

/// What one outcome asks for.
pub fn meaning(outcome: &Outcome) -> Next {
    match outcome {
        Outcome::Ok(_) | Outcome::Dup(_) => Next::Done,
        Outcome::Stale(..)
        | Outcome::Gap(_)
        | Outcome::RemoveFirst(_)
        | Outcome::RekeyFirst
        | Outcome::Cap
        | Outcome::Behind(_) => Next::Pull,
        Outcome::Session | Outcome::Restoring => Next::Later,
        Outcome::Quota(from) => Next::NotBefore(*from),
        // An update that comes too early does not hold up what waits behind it (C13).
        other => Next::Refused(other.code()),
    }
}

/// Takes in the answer for sealed intents, in one transaction.
///
/// What inbound has done meanwhile counts: an intent that is not sealed any more, or sealed anew, is
/// left alone.
pub fn sealed(
    tx: &Tx<'_>,
    ledger: &mut Ledger,
    sent: &[(i64, CoreHash, RecordIndex)],
    outcomes: &[Outcome],
    now_ms: TimeMs,
) -> Result<Next, StoreError> {
    let local = ledger.row.local;
    let mut touched = Touched::default();
    let mut next = Next::Done;
    for ((id, core, index), outcome) in sent.iter().zip(outcomes) {
        let Some(intent) = outbox::find(tx, *id)? else { continue };
        let sealed = intent.sealed.as_ref().filter(|sealed| sealed.core == *core);
        let Some(sealed) = sealed.filter(|_| intent.state == IntentState::Sealed) else { continue };
        match (outcome, meaning(outcome)) {
            (Outcome::Ok(seq) | Outcome::Dup(seq), _) => {
                accept(tx, ledger, &intent, *seq, now_ms)?;
                let same = (sealed.r#gen, sealed.epoch) == (ledger.row.r#gen, ledger.row.epoch);
                if intent.kind.is_record() {
                    ledger.row.own_dctr += 1;
                    if same {
                        ledger.own_accepted(*index, &mut touched);
                    }
                }
            }
            (Outcome::Conflict, _) => {
                rolled_back(tx, ledger, now_ms)?;
                next = Next::Later;
            }
            // Under this leaf stands more than this phone wrote (C12).
            (Outcome::Gap(expected), _)
                if *expected > ledger.row.own_index.0
                    && (sealed.r#gen, sealed.epoch) == (ledger.row.r#gen, ledger.row.epoch) =>
            {
                rolled_back(tx, ledger, now_ms)?;
                next = Next::Later;
                break;
            }
            // The server let go of a document that nothing named in time.
            (Outcome::Blob(root), _) => {
                let files = match intent.message_id {
                    Some(message_id) => file::of_message(tx, local.number, message_id)?,
                    None => Vec::new(),
                };
                let message_id =
                    intent.message_id.filter(|_| files.iter().any(|file| file.blob_root == *root));
                if let Some(message_id) = message_id
                    && file::ask_again(tx, local, message_id)?
                {
                    outbox::wait_for_upload(tx, *id)?;
                }
                if next == Next::Done {
                    next = Next::Pull;
                }
            }
            (_, Next::Refused(reason)) => {
                if next == Next::Done {
                    fail(tx, local, &intent, reason)?;
                    next = Next::Refused(reason);
                }
            }
            (_, meant) => {
                if next == Next::Done {
                    next = meant;
                }
            }
        }
    }
    // Whatever stood behind a refused record is sealed again, in its place or a later one.
    if matches!(next, Next::Refused(_) | Next::Pull)
        && !matches!(outcomes.first(), Some(Outcome::Gap(_)))
    {
        outbox::unseal_log(tx, local.id)?;
    }
    ledger.store(tx, &touched)?;
    Ok(next)
}

/// Somebody else uses this phone's leaf: a copy of it, or what it was before it was restored. Nothing is
/// sent before the group is entered anew, and somebody has to hear of it (C12).
fn rolled_back(tx: &Tx<'_>, ledger: &mut Ledger, now_ms: TimeMs) -> Result<(), StoreError> {
    let code = Code::Rollback as u64;
    ledger.row.state = LogState::Broken;
    ledger.row.stop_code = Some(code);
    let log = Some(ledger.row.local.id);
    alarm::raise(tx, &Alarm { log, code, seq: None, evidence: None, t_ms: now_ms })?;
    Ok(())
}

/// The server does not have what it said that it had accepted: the same bytes are sent again, or,
/// when their epoch is over, the record is sealed anew (`docs/attacks.md` 7).
///
/// Sending again is harmless: if the server has the entry after all, it answers with its place (S2).
pub fn take_back(tx: &Tx<'_>, ledger: &mut Ledger, id: i64) -> Result<(), StoreError> {
    let Some(intent) = outbox::find(tx, id)? else { return Ok(()) };
    let Some(sealed) = intent.sealed.filter(|_| intent.state == IntentState::Accepted) else {
        return Ok(());
    };
    if intent.kind.is_record() {
        ledger.row.own_dctr = ledger.row.own_dctr.saturating_sub(1);
    }
    if (sealed.r#gen, sealed.epoch) == (ledger.row.r#gen, ledger.row.epoch) {
        outbox::reopen(tx, id)?;
    } else {
        outbox::unseal(tx, id)?;
    }
    match intent.message_id {
        Some(message_id) => {
            let (local, made_ms) = (ledger.row.local, intent.made_ms);
            let place = Place::Pending(id);
            message::place(tx, local, message_id, place, made_ms, MessageState::Queued)
        }
        None => Ok(()),
    }
}

/// Ends an intent with a reason that the person sees where it stands.
pub fn fail(
    tx: &Tx<'_>,
    local: LocalLog,
    intent: &outbox::Intent,
    reason: u64,
) -> Result<(), StoreError> {
    if intent.kind == IntentKind::OwnState {
        // Nobody wanted it by itself, and nobody has to hear of it.
        own::given_up(tx, intent.id)?;
        return outbox::discard(tx, intent.id);
    }
    outbox::fail(tx, intent.id, reason)?;
    match intent.message_id {
        Some(message_id) => message::set_state(tx, local, message_id, MessageState::Failed),
        None => Ok(()),
    }
}

/// A phone that was put back to a backup may have sent what waits in it: it stands in the log under
/// this device's name, in epochs whose keys are gone. None of it is sent by itself; the person decides
/// (C12).
///
/// `inherited` is the newest intent that was there when the phone was opened: what came later was
/// never in a backup. Which of the others were sent cannot be told from their number, since any of
/// them may have been refused or taken back meanwhile.
pub fn maybe_sent(tx: &Tx<'_>, local: LocalLog, inherited: i64) -> Result<(), StoreError> {
    for intent in outbox::unsent(tx, local.id, u32::MAX)? {
        if intent.kind == IntentKind::Record && intent.id <= inherited {
            fail(tx, local, &intent, REASON_MAYBE_SENT)?;
        }
    }
    Ok(())
}

fn accept(
    tx: &Tx<'_>,
    ledger: &Ledger,
    intent: &outbox::Intent,
    seq: Seq,
    now_ms: TimeMs,
) -> Result<(), StoreError> {
    outbox::accept(tx, intent.id, seq)?;
    match intent.message_id {
        Some(id) => {
            message::place(tx, ledger.row.local, id, Place::At(seq), now_ms, MessageState::Sent)
        }
        None => Ok(()),
    }
}
