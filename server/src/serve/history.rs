//! What a grant opens: the original entries, for the device that it was given to and nobody else.
//!
//! The keys of these records lie in the grant's blob, which the server cannot read. Without a grant
//! it does not hand out the payloads of epochs in which a device had no leaf, so that a key that went
//! astray opens nothing (docs/protocol.md §10). What was handed over to a successor who is not let in he
//! reads as long as the handover is in force, and covers it.

use std::sync::Arc;

use axum::extract::{Path, State};
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::company::view::CompanyAt;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::entry::{Entry, Kind};
use hauspost_protocol::ids::{DeviceId, LogId, LogNo, UserId};
use hauspost_protocol::wire::HistoryRequest;

use super::answer::{Answer, Cbor, Refusal};
use super::limits::{GRANTED_AT_ONCE, PAGE_BYTES};
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::{EntryRow, ReadTx, StoreError};

/// POST: those of the records asked for that were granted to the session's device, as many as fit.
pub async fn entries(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<HistoryRequest>,
) -> Result<Answer<Vec<Entry>>, Refusal> {
    if request.seqs.len() > GRANTED_AT_ONCE {
        return Err(Refusal::TooLarge);
    }
    node.read_as(&claim, move |tx, session| granted(tx, session, &request)).await.map(Answer)
}

fn granted(
    tx: &dyn ReadTx,
    session: &Session,
    request: &HistoryRequest,
) -> Result<Vec<Entry>, Refusal> {
    let owner = session.device()?;
    let no = tx.log(request.log)?.ok_or(Refusal::NotFound)?.no;
    let may = Granted::of(tx, session, no, request.log)?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    for seq in &request.seqs {
        if !tx.is_granted(no, owner.device, *seq)? {
            continue;
        }
        let row = tx.entry(no, *seq)?.filter(|row| row.kind == Kind::Record);
        let Some(row) = row.filter(|row| may.reads(&row.entry)) else { continue };
        bytes += EntryRow::size_bytes(&row);
        if bytes > PAGE_BYTES && !found.is_empty() {
            break;
        }
        found.push(row.entry);
    }
    Ok(found)
}

/// Why a device may read what was granted to it in a log.
pub enum Granted {
    /// Its person may enter the log.
    LetIn,
    /// These handovers to its person are in force.
    HandedOver(LogId, Vec<Handover>),
}

impl Granted {
    /// The ground that the session's device has now, or `not_found`.
    pub fn of(tx: &dyn ReadTx, session: &Session, no: LogNo, log: LogId) -> Result<Self, Refusal> {
        let user = session.device()?.user;
        if tx.is_let_in(no, user)? {
            return Ok(Self::LetIn);
        }
        let company = session.company.now();
        let in_force = company.handovers().filter(|known| known.to == user && known.is_about(log));
        let mut there = Vec::new();
        for known in in_force {
            if had_a_leaf(tx, no, &company, known.from)? {
                there.push(known.clone());
            }
        }
        let in_force = there;
        if in_force.is_empty() {
            Err(Refusal::NotFound)
        } else {
            Ok(Self::HandedOver(log, in_force))
        }
    }

    /// Whether this entry, which was granted to the device, may still be read by it.
    pub fn reads(&self, entry: &Entry) -> bool {
        match self {
            Self::LetIn => true,
            Self::HandedOver(log, in_force) => {
                in_force.iter().any(|known| known.covers(*log, entry.seq, entry.t_ms, entry.co))
            }
        }
    }
}

/// Whether a device of this user ever had a leaf in a log: who never was there hands nothing of it over.
pub fn had_a_leaf(
    tx: &dyn ReadTx,
    no: LogNo,
    company: &CompanyAt<'_>,
    user: UserId,
) -> Result<bool, StoreError> {
    for device in company.all_devices_of(user) {
        if !tx.stays(no, device.device)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// GET: the key that grants to a device are sealed to. Whether it is the device's own its reader sees
/// by the hash in the company log.
pub async fn key(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path(device): Path<String>,
) -> Result<Answer<Bytes>, Refusal> {
    let device: DeviceId = device.parse()?;
    let job = move |tx: &dyn ReadTx, _: &Session| {
        tx.history_key(device)?.map(Bytes).ok_or(Refusal::NotFound)
    };
    node.read_as(&claim, job).await.map(Answer)
}
