//! A history grant: which entries its author could read himself, and from now on its grantee; and which
//! of them were a leaver's, where a successor gets them.

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::body::GrantBasis;
use hauspost_protocol::company::view::CompanyAt;
use hauspost_protocol::entry::{Kind, Ranges};
use hauspost_protocol::grant;
use hauspost_protocol::ids::{DeviceId, LogNo, Seq, TimeMs, UserId};
use hauspost_protocol::rules::form::{Parsed, ParsedPayload};
use hauspost_protocol::rules::server::{self as rules, GrantFacts};
use hauspost_protocol::wire::Outcome;

use super::{Fault, Offer, missing_blob};
use crate::store::{Budget, LogRow, NewGrant, ReadTx, StoreError, Tx};

/// So many entries that are nobody's to read are looked at between the stretches that somebody may read.
const BETWEEN: u64 = 4_096;

impl Offer<'_> {
    /// Judges and keeps the grant that comes to stand at `seq`; who gets it.
    pub(super) fn grant(
        &self,
        tx: &mut dyn Tx,
        log: &LogRow,
        conversation: &Conversation,
        entry: &Parsed,
        seq: Seq,
    ) -> Result<DeviceId, Fault> {
        let [(root, _)] = entry.head.blobs[..] else { return Err(Outcome::Form.into()) };
        let ParsedPayload::Grant(_, body) = &entry.payload else {
            return Err(Outcome::Form.into());
        };
        let company = self.session.company.now();
        let handover = match body.basis {
            GrantBasis::Handover(seq) => company.handover(seq),
            _ => None,
        };
        let at = self.at(entry)?;
        let blob = tx.blob(log.no, root)?;
        let facts = GrantFacts {
            readable: &readable(tx, log, self.device, &body.ranges)?,
            handed: &match handover {
                Some(handover) => stretches_of(tx, log, &company, handover.from)?,
                None => Vec::new(),
            },
            ends: ends(tx, log.no, &body.ranges)?,
            missing_blob: missing_blob(tx, log.no, &entry.head.blobs)?,
            own_blob: blob.is_some_and(|blob| blob.uploader == self.device && !blob.is_named),
        };
        let session = self.rules(&company, self.now_ms.max(log.t_ms));
        let granted = rules::grant(entry, conversation, &session, &at, &facts)?;
        let (device, ranges) = (granted.grantee(), granted.ranges());
        tx.put_grant(log.no, &NewGrant { seq, device, root, ranges })?;
        if let Some(handover) = handover {
            tx.hand_over(log.no, handover.to, seq)?;
        }
        Ok(device)
    }
}

/// The stretches of a log in which a device of this user had a leaf.
fn stretches_of(
    tx: &dyn ReadTx,
    log: &LogRow,
    company: &CompanyAt<'_>,
    user: UserId,
) -> Result<Vec<(Seq, Seq)>, StoreError> {
    let newest = Seq(log.size.saturating_sub(1));
    let mut all = Vec::new();
    for device in company.all_devices_of(user) {
        let stays = tx.stays(log.no, device.device)?;
        all.extend(stays.iter().map(|stay| (stay.from, stay.to.unwrap_or(newest))));
    }
    all.sort_unstable();
    Ok(all)
}

/// Where the links put the first and the last entry of these stretches, if the log has both.
fn ends(
    tx: &dyn ReadTx,
    no: LogNo,
    ranges: &Ranges,
) -> Result<Option<[(TimeMs, u64); 2]>, StoreError> {
    let (Some((first, _)), Some((_, last))) = (ranges.first(), ranges.last()) else {
        return Ok(None);
    };
    let place = |seq: Seq| {
        Ok::<_, StoreError>(tx.entry(no, seq)?.map(|row| (row.entry.t_ms, row.entry.co)))
    };
    Ok(place(*first)?.zip(place(*last)?).map(|(first, last)| [first, last]))
}

/// The stretches of a log whose records a device may read: those in which it had a leaf, those that were
/// granted to it, and what `named` holds between them if there is no record in it.
fn readable(
    tx: &dyn ReadTx,
    log: &LogRow,
    device: DeviceId,
    named: &Ranges,
) -> Result<Vec<(Seq, Seq)>, StoreError> {
    let newest = Seq(log.size.saturating_sub(1));
    let stays = tx.stays(log.no, device)?;
    let mut all: Vec<_> = stays.iter().map(|stay| (stay.from, stay.to.unwrap_or(newest))).collect();
    all.extend(tx.granted(log.no, device)?);
    all.sort_unstable();
    let mut most = BETWEEN;
    for (from, to) in grant::without(named, &all) {
        let count = to.0.saturating_sub(from.0).saturating_add(1);
        let Some(left) = most.checked_sub(count) else { break };
        most = left;
        // Without their payloads.
        let budget = Budget { entries: count as usize, bytes: usize::MAX };
        let between = tx.entries(log.no, from, budget, &|_| false)?;
        if between.iter().all(|row| row.kind != Kind::Record) {
            all.push((from, to));
        }
    }
    Ok(all)
}
