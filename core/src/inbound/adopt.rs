//! Two people who begin a conversation with each other at once, and two devices of one person that
//! begin his own log.
//!
//! There is one log for a pair, and the server keeps the first. The phone of the second one finds the
//! other's log in its next pull: what was written meanwhile moves there, in the place and order in
//! which it stands, under the ids that the messages have in that room.

use hauspost_protocol::body::LogType;
use hauspost_protocol::content::Message;
use hauspost_protocol::ids::{MessageId, Seq};
use hauspost_protocol::statement::PayloadType;

use super::{Code, Me};
use crate::ledger::Ledger;
use crate::outbox::intent::{self, Say};
use crate::own::{self, When};
use crate::store::rows;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::log;
use crate::store::rows::message;
use crate::store::rows::outbox::{self, IntentKind};
use crate::store::{StoreError, Tx};

/// Intents that a conversation may have gathered before it began.
const INTENTS: u32 = 10_000;

/// Before a log is stored for the first time: makes room for it.
pub(super) fn make_room(tx: &Tx<'_>, me: &Me, ledger: &mut Ledger) -> Result<(), StoreError> {
    let now_ms = ledger.row.last_t_ms;
    let new = ledger.row.local.id;
    if ledger.row.local.number != 0 {
        return Ok(());
    }
    let there = match (ledger.row.r#type, ledger.row.peer) {
        (LogType::Dm, Some(peer)) => log::dm_with(tx, peer)?,
        (LogType::SelfNotes, _) => log::own(tx)?,
        _ => None,
    };
    let Some(there) = there else { return Ok(()) };
    if there.next_seq > Seq(0) {
        // A second log for a pair is against the server's own rule; it is read, and shown apart.
        ledger.row.peer = None;
        let t_ms = ledger.row.last_t_ms;
        let code = Code::Mismatch as u64;
        alarm::raise(tx, &Alarm { log: Some(new), code, seq: None, evidence: None, t_ms })?;
        return Ok(());
    }
    outbox::delete_pending(tx, there.local.id)?;
    for intent in outbox::unsent(tx, there.local.id, INTENTS)? {
        if intent.kind == IntentKind::Create {
            outbox::discard(tx, intent.id)?;
            continue;
        }
        let renamed = match intent.message_id {
            Some(_) => {
                intent::said(tx, there.local, &intent)?.and_then(|say| id_in(me, ledger, &say))
            }
            None => None,
        };
        if let (Some(old), Some(renamed)) = (intent.message_id, renamed) {
            message::rename(tx, there.local, old, renamed)?;
        }
        outbox::redirect(tx, intent.id, new, renamed)?;
    }
    ledger.row.local = log::take_over(tx, there.local, new)?;
    // What was said of it is to be said of this one.
    for fact in rows::own::of_log(tx, there.local.id)? {
        own::say(tx, own::about(fact, new), When::now(now_ms))?;
    }
    Ok(())
}

/// The id that a message has in this log.
fn id_in(me: &Me, ledger: &Ledger, say: &Say) -> Option<MessageId> {
    if say.ptype != PayloadType::Content {
        return None;
    }
    let message = Message::parse(&say.content).ok()?;
    Some(message.id(&say.content, me.company, me.user, ledger.row.local.id))
}
