//! A history grant: which entries its author could read himself, and from now on its grantee.

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::ids::{DeviceId, Seq};
use hauspost_protocol::rules::form::Parsed;
use hauspost_protocol::rules::server::{self as rules, GrantFacts};
use hauspost_protocol::wire::Outcome;

use super::{Fault, Offer, missing_blob};
use crate::store::{LogRow, NewGrant, ReadTx, StoreError, Tx};

impl Offer<'_> {
    /// Judges and keeps the grant that comes to stand at `seq`.
    pub(super) fn grant(
        &self,
        tx: &mut dyn Tx,
        log: &LogRow,
        conversation: &Conversation,
        entry: &Parsed,
        seq: Seq,
    ) -> Result<(), Fault> {
        let [(root, _)] = entry.head.blobs[..] else { return Err(Outcome::Form.into()) };
        let company = self.session.company.now();
        let at = self.at(entry)?;
        let blob = tx.blob(log.no, root)?;
        let facts = GrantFacts {
            readable: &readable(tx, log, self.device)?,
            missing_blob: missing_blob(tx, log.no, &entry.head.blobs)?,
            own_blob: blob.is_some_and(|blob| blob.uploader == self.device && !blob.is_named),
        };
        let session = self.rules(&company, self.now_ms.max(log.t_ms));
        let granted = rules::grant(entry, conversation, &session, &at, &facts)?;
        let (device, ranges) = (granted.grantee(), granted.ranges());
        Ok(tx.put_grant(log.no, &NewGrant { seq, device, root, ranges })?)
    }
}

/// The stretches of a log whose records a device may read: those in which it had a leaf, and those that
/// were granted to it.
fn readable(
    tx: &dyn ReadTx,
    log: &LogRow,
    device: DeviceId,
) -> Result<Vec<(Seq, Seq)>, StoreError> {
    let newest = Seq(log.size.saturating_sub(1));
    let stays = tx.stays(log.no, device)?;
    let mut all: Vec<_> = stays.iter().map(|stay| (stay.from, stay.to.unwrap_or(newest))).collect();
    all.extend(tx.granted(log.no, device)?);
    Ok(all)
}
