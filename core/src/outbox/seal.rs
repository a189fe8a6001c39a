//! Records, and what else is signed without a commit.

use hauspost_protocol::body::{InviteBody, InviteOp, SignedPayload};
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::{At, Head, Kind, Seen, Slot};
use hauspost_protocol::epoch::RecordKey;
use hauspost_protocol::ids::{RecordIndex, Seq, TimeMs, UserId};
use hauspost_protocol::record;
use hauspost_protocol::statement::Statement;
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::wire::AppendRequest;

use super::intent::Say;
use super::plan::{Batch, What};
use crate::inbound::Me;
use crate::ledger::Ledger;
use crate::store::rows::outbox::{Intent, Sealed};

/// A record that is sealed and not stored yet.
pub struct NewSealed {
    /// The intent.
    pub intent: Intent,
    /// Its bytes; none if the intent cannot be sealed at all.
    pub sealed: Option<(Sealed, RecordKey)>,
    /// Whether it is transient, so that its key is given to nobody later.
    pub transient: bool,
}

/// Seals records at the next indices of the own chain.
///
/// The chain itself stays where the server's last acceptance left it, so that what is refused can be
/// sealed again. Sealing the same twice gives the same bytes; nothing is drawn at random.
pub fn records(
    me: &Me,
    ledger: &Ledger,
    intents: Vec<Intent>,
    gossip: Option<TreeHead>,
    now_ms: TimeMs,
) -> Vec<NewSealed> {
    let chain = ledger.row.own_leaf.zip(ledger.epoch.as_ref());
    let chain = chain.and_then(|(leaf, epoch)| Some((leaf, epoch.chains.get(&leaf)?.clone())));
    let Some(((leaf, mut chain), cap)) = chain.zip(ledger.right_capsule()) else {
        return Vec::new();
    };
    let seen = seen(ledger);
    let mut dctr = ledger.row.own_dctr;
    let mut done = Vec::with_capacity(intents.len());
    for intent in intents {
        let Ok(say) = decode::<Say>(&intent.body) else {
            done.push(NewSealed { intent, sealed: None, transient: false });
            continue;
        };
        let transient = say.ptype.is_transient();
        let index = chain.index();
        let (key, next) = chain.clone().advance();
        let head = Head {
            slot: Some(Slot { leaf, index, cap }),
            transient,
            ..Head::plain(Kind::Record, ledger.row.local.id, ledger.row.r#gen, ledger.row.epoch)
        };
        let statement = Statement {
            device: me.device,
            t_ms: now_ms,
            dctr,
            seen,
            checkpoint: gossip.filter(|_| done.is_empty()),
            ptype: say.ptype,
            content: say.content,
            files: intent.files.clone(),
        };
        let head = Head { blobs: statement.blobs().collect(), ..head };
        let Ok(statement) = statement.to_bytes() else {
            done.push(NewSealed { intent, sealed: None, transient: false });
            continue;
        };
        let head = encode(&head);
        let payload = record::seal(&key, &head, &statement, &me.key);
        let sealed = Sealed {
            r#gen: ledger.row.r#gen,
            epoch: ledger.row.epoch,
            leaf_index: index,
            dctr,
            core: Head::core(&head, sha256(&payload), payload.len() as u64),
            head,
            payload,
        };
        done.push(NewSealed { intent, sealed: Some((sealed, key)), transient });
        chain = next;
        dctr += 1;
    }
    done
}

/// The right capsule alone, where the committer's was wrong: any member repairs it.
pub(super) fn capsule(me: &Me, ledger: &Ledger, body: Vec<u8>) -> Batch {
    let row = &ledger.row;
    let head = encode(&Head::plain(Kind::Capsule, row.local.id, row.r#gen, row.epoch));
    let payload = encode(&SignedPayload::sign(&me.key, &head, body, me.device));
    let entries = vec![(Bytes(head), Bytes(payload))];
    let request = AppendRequest { log: row.local.id, entries, group_info: None, welcome: None };
    Batch { request, what: What::Capsule }
}

/// Invitations of these people, for the intent that adds them.
pub(super) fn invites(me: &Me, ledger: &Ledger, at: At, users: &[UserId], intent: i64) -> Batch {
    let entries = users.iter().map(|user| {
        let (head, payload) = invite(me, ledger, at, InviteOp::Invite, *user);
        (Bytes(head), Bytes(payload))
    });
    let entries = entries.collect();
    let request =
        AppendRequest { log: ledger.row.local.id, entries, group_info: None, welcome: None };
    Batch { request, what: What::Invites(intent) }
}

fn invite(me: &Me, ledger: &Ledger, at: At, op: InviteOp, user: UserId) -> (Vec<u8>, Vec<u8>) {
    let row = &ledger.row;
    let head = encode(&Head::plain(Kind::Invite, row.local.id, row.r#gen, row.epoch));
    let body = encode(&InviteBody { seen: Some(seen(ledger)), at, op, user });
    let payload = encode(&SignedPayload::sign(&me.key, &head, body, me.device));
    (head, payload)
}

/// A word on who belongs to the conversation, or owns it. Who leaves is taken out by the next committer.
pub fn word(me: &Me, ledger: &Ledger, at: At, (op, user): (InviteOp, UserId)) -> Sealed {
    let row = &ledger.row;
    let (head, payload) = invite(me, ledger, at, op, user);
    Sealed {
        r#gen: row.r#gen,
        epoch: row.epoch,
        leaf_index: RecordIndex(0),
        dctr: 0,
        core: Head::core(&head, sha256(&payload), payload.len() as u64),
        head,
        payload,
    }
}

/// The newest entry that this phone has processed.
pub(crate) fn seen(ledger: &Ledger) -> Seen {
    let seq = Seq(ledger.row.next_seq.0.saturating_sub(1));
    Seen { seq, hash: ledger.row.last_hash }
}
