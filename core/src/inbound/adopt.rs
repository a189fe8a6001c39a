//! Two people who begin a conversation with each other at once, and two devices of one person that
//! begin his own log.
//!
//! There is one log for a pair, and the server keeps the first. The phone of the second one finds the
//! other's log in its next pull: what was written meanwhile moves there, in the place and order in
//! which it stands, under the ids that the messages have in that room.

use std::collections::HashMap;

use hauspost_protocol::body::LogType;
use hauspost_protocol::content::Message;
use hauspost_protocol::ids::{LogId, MessageId, Seq};
use hauspost_protocol::statement::PayloadType;

use super::{Code, Me};
use crate::ledger::Ledger;
use crate::outbox::intent::{self, Say};
use crate::own::{self, When};
use crate::store::rows;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::log::{self, LocalLog};
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
    let mut names = HashMap::new();
    for intent in outbox::unsent(tx, there.local.id, INTENTS)? {
        if intent.kind == IntentKind::Create {
            outbox::discard(tx, intent.id)?;
            continue;
        }
        let said = match intent.message_id {
            Some(_) => intent::said(tx, there.local, &intent)?,
            None => None,
        };
        let renamed = match (intent.message_id, said) {
            (Some(old), Some(say)) => rename(tx, (me, new), there.local, (old, &say), &names)?,
            _ => None,
        };
        names.extend(intent.message_id.zip(renamed));
        outbox::redirect(tx, intent.id, new, renamed)?;
    }
    ledger.row.local = log::take_over(tx, there.local, new)?;
    // What was said of it is to be said of this one.
    for fact in rows::own::of_log(tx, there.local.id)? {
        own::say(tx, own::about(fact, new), When::now(now_ms))?;
    }
    Ok(())
}

/// Gives a message that moves the id that it has in the log `new`. What it answers may have moved before it,
/// and is answered under the id that it has there; `names` has those, by the ids of before.
fn rename(
    tx: &Tx<'_>,
    (me, new): (&Me, LogId),
    there: LocalLog,
    (old, say): (MessageId, &Say),
    names: &HashMap<MessageId, MessageId>,
) -> Result<Option<MessageId>, StoreError> {
    let parsed = Message::parse(&say.content).ok();
    let Some(message) = parsed.filter(|_| say.ptype == PayloadType::Content) else {
        return Ok(None);
    };
    let id = |message: &Message, content: &[u8]| message.id(content, me.company, me.user, new);
    let to = message.in_reply_to.and_then(|answered| names.get(&answered).copied());
    if let Some(to) = to {
        let answer = message.replying_to(to);
        let content = answer.to_bytes().map_err(|_| StoreError::Unreadable("message"))?;
        let renamed = id(&answer, &content);
        message::answer(tx, there, (old, renamed), to, &content)?;
        return Ok(Some(renamed));
    }
    let renamed = id(&message, &say.content);
    message::rename(tx, there, old, renamed)?;
    Ok(Some(renamed))
}
