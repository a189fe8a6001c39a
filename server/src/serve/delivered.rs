//! How far a message of one's own has come: whose phones have taken it in.
//!
//! A phone that names `since` has stored everything up to that change (docs/protocol.md, sync), so one
//! number for each device says what it has, and no record is written for it (docs/attacks.md 33). The
//! numbers lie in memory only: after a restart each phone says its own within a minute. So does what is
//! looked up for a device, of which there is a quota: a room of a thousand costs a thousand looks. What the server
//! answers is its word, a hint; a signed `seen` of a colleague is the proof.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use hauspost_protocol::ids::{DeviceId, Seq, TimeMs};
use hauspost_protocol::wire::{Delivered, DeliveredRequest, Principal};

use super::answer::{Answer, Cbor, Refusal};
use super::limits::DELIVERED_AT_ONCE;
use super::node::Node;
use super::quota::Quotas;
use super::session::{Claim, Session};
use crate::store::ReadTx;

/// What each device has taken in, and what it asked of others.
#[derive(Default)]
pub struct Taken {
    /// The newest change.
    newest: Mutex<HashMap<DeviceId, u64>>,
    /// When that will be paid off which was looked up for it.
    paid_off_ms: Mutex<HashMap<DeviceId, TimeMs>>,
}

impl Taken {
    /// A device says that it has everything up to this change.
    pub fn note(&self, principal: Principal, since: u64) {
        let Principal::Device(device) = principal else { return };
        let mut newest = lock(&self.newest);
        let known = newest.entry(device).or_default();
        *known = since.max(*known);
    }

    fn of(&self, device: DeviceId) -> Option<u64> {
        lock(&self.newest).get(&device).copied()
    }

    /// So much is to be looked up for a device; refused if that is too much for now.
    fn look(
        &self,
        device: DeviceId,
        looks: usize,
        (quotas, now_ms): (&Quotas, TimeMs),
    ) -> Result<(), Refusal> {
        let mut paid_off_ms = lock(&self.paid_off_ms);
        let known = paid_off_ms.entry(device).or_default();
        *known = quotas.look(*known, looks as u64, now_ms).map_err(|_| Refusal::Busy)?;
        Ok(())
    }
}

fn lock<T>(held: &Mutex<HashMap<DeviceId, T>>) -> MutexGuard<'_, HashMap<DeviceId, T>> {
    // Nothing under these locks panics between two writes.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// POST: for each of these entries how many of the other people have it.
pub async fn delivered(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<DeliveredRequest>,
) -> Result<Answer<Vec<Delivered>>, Refusal> {
    if request.seqs.len() > DELIVERED_AT_ONCE {
        return Err(Refusal::TooLarge);
    }
    let (of_node, now_ms) = (node.clone(), node.now_ms());
    let job =
        move |tx: &dyn ReadTx, session: &Session| count(tx, session, (&of_node, now_ms), &request);
    node.read_as(&claim, job).await.map(Answer)
}

/// Only of entries that the asker's own devices wrote: nobody learns by this route what else has
/// reached a colleague's phone.
fn count(
    tx: &dyn ReadTx,
    session: &Session,
    (node, now_ms): (&Node, TimeMs),
    request: &DeliveredRequest,
) -> Result<Vec<Delivered>, Refusal> {
    let asker = session.device()?;
    let no = tx.log(request.log)?.ok_or(Refusal::NotFound)?.no;
    let mut members = tx.members(no)?;
    members.retain(|stay| stay.to.is_none());
    if !members.iter().any(|stay| stay.device == asker.device) {
        return Err(Refusal::NotFound);
    }
    let taken = &node.taken;
    taken.look(asker.device, members.len() + request.seqs.len(), (&node.quotas, now_ms))?;
    // How much of the log the phone of each other person has that has most of it.
    let company = session.company.now();
    let mut others = BTreeMap::new();
    for stay in &members {
        let Some(user) = company.user_of_device(stay.device) else { continue };
        if user == asker.user {
            continue;
        }
        let has = match taken.of(stay.device) {
            Some(change) => tx.size_at(no, change)?,
            None => 0,
        };
        let most = others.entry(user).or_insert(0);
        *most = has.max(*most);
    }
    let of = others.len() as u64;
    let is_own = |seq: Seq| -> Result<bool, Refusal> {
        let author = tx.entry(no, seq)?.and_then(|row| row.author);
        Ok(author.and_then(|author| company.user_of_device(author)) == Some(asker.user))
    };
    let asked = request.seqs.iter().map(|seq| {
        let count = match is_own(*seq)? {
            true => others.values().filter(|has| **has > seq.0).count() as u64,
            false => 0,
        };
        Ok(Delivered { seq: *seq, count, of })
    });
    asked.collect()
}
