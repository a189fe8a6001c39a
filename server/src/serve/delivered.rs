//! How far a message of one's own has come: whose phones have taken it in.
//!
//! A phone that names `since` has stored everything up to that change (docs/protocol.md, sync), so one
//! number for each device says what it has, and no record is written for it (docs/attacks.md 33). The
//! numbers lie in memory only: after a restart each phone says its own within a minute. What the server
//! answers is its word, a hint; a signed `seen` of a colleague is the proof.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use hauspost_protocol::ids::{DeviceId, Seq};
use hauspost_protocol::wire::{Delivered, DeliveredRequest, Principal};

use super::answer::{Answer, Cbor, Refusal};
use super::limits::DELIVERED_AT_ONCE;
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::{Membership, ReadTx};

/// The newest change that each device has taken in.
#[derive(Default)]
pub struct Taken(Mutex<HashMap<DeviceId, u64>>);

impl Taken {
    /// A device says that it has everything up to this change.
    pub fn note(&self, principal: Principal, since: u64) {
        let Principal::Device(device) = principal else { return };
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = taken.entry(device).or_default();
        *known = since.max(*known);
    }

    fn of(&self, device: DeviceId) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&device).copied()
    }
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
    let of_node = node.clone();
    let job =
        move |tx: &dyn ReadTx, session: &Session| count(tx, session, &of_node.taken, &request);
    node.read_as(&claim, job).await.map(Answer)
}

/// Only of entries that the asker's own devices wrote: nobody learns by this route what else has
/// reached a colleague's phone.
fn count(
    tx: &dyn ReadTx,
    session: &Session,
    taken: &Taken,
    request: &DeliveredRequest,
) -> Result<Vec<Delivered>, Refusal> {
    let asker = session.device()?;
    let no = tx.log(request.log)?.ok_or(Refusal::NotFound)?.no;
    let members = tx.members(no)?;
    let in_it = |stay: &Membership| stay.to.is_none();
    if !members.iter().any(|stay| stay.device == asker.device && in_it(stay)) {
        return Err(Refusal::NotFound);
    }
    // How much of the log the phone of each other person has that has most of it.
    let company = session.company.now();
    let mut others = BTreeMap::new();
    for stay in members.iter().filter(|stay| in_it(stay)) {
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
