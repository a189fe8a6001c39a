//! What the server answered, and what it means for the intents.

use hauspost_protocol::ids::{CoreHash, RecordIndex, Seq, TimeMs};
use hauspost_protocol::wire::Outcome;

use crate::ledger::{Ledger, Touched};
use crate::store::rows::log::{self, LogState};
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
        Outcome::Session | Outcome::Restoring | Outcome::Quota => Next::Later,
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
                if intent.kind == IntentKind::Record {
                    ledger.row.own_dctr += 1;
                    if same {
                        ledger.own_accepted(*index, &mut touched);
                    }
                }
            }
            (Outcome::Conflict, _) => {
                ledger.row.state = LogState::Broken;
                ledger.row.stop_code = Some(crate::inbound::Code::Rollback as u64);
                next = Next::Later;
            }
            (_, Next::Refused(reason)) => {
                if next == Next::Done {
                    outbox::fail(tx, *id, reason)?;
                    if let Some(message_id) = intent.message_id {
                        message::set_state(tx, local, message_id, MessageState::Failed)?;
                    }
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
    log::update(tx, &ledger.row)?;
    Ok(next)
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
