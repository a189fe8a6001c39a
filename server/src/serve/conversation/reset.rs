//! A reset: the old epoch ends, and the next generation begins, in one transaction.

use hauspost_protocol::ids::DeviceId;
use hauspost_protocol::mls::public::Follower;
use hauspost_protocol::rules::form::Parsed;
use hauspost_protocol::rules::server as rules;

use super::{
    Fault, Offer, Place, Written, check_seen, devices, entering, forget_tree, note_entering,
    parse_state,
};
use crate::store::{LogRow, StoreError, Tx};

impl Offer<'_> {
    /// Every device that the old group had loses its leaf, and those that the commit adds begin anew at
    /// it: so its Welcome reaches those who were there before too.
    pub(super) fn reset(
        &self,
        tx: &mut dyn Tx,
        log: LogRow,
        reset: &Parsed,
        commit: &Parsed,
        capsule: &Parsed,
    ) -> Result<Written, Fault> {
        let row = tx.conversation(log.no)?.ok_or(StoreError::Damaged("conversation"))?;
        let before = parse_state(&row.state)?;
        check_seen(tx, log.no, reset)?;
        let company = self.session.company.now();
        let at = self.at(reset)?;
        let offer = self.commit_offer(commit, capsule)?;
        let mut place = Place::next(&log, self.now_ms, company.size());
        let session = self.rules(&company, place.t_ms);
        let accepted = rules::reset(reset, &offer, &before, &session, &at)?;
        forget_tree(tx, log.no, before.began, &Follower::from_bytes(&row.public)?)?;
        let mut seqs = vec![place.append(tx, reset, &self.fresh[0].1, None)?];
        for device in devices(&before.roster) {
            tx.leave(log.no, device, place.seq)?;
        }
        let (mut conversation, mut follower) = (accepted.conversation, accepted.follower);
        // With commit and capsule, which come in one with it.
        let size = place.seq.0 + 2;
        note_entering(tx, (log.no, size), &entering(&before), &conversation)?;
        let entries = [(commit, &*self.fresh[1].1), (capsule, &*self.fresh[2].1)];
        let both = (&mut conversation, &mut follower);
        seqs.extend(self.begin_epoch(tx, &mut place, entries, both, accepted.commit)?);
        let all = before.devices(&company).into_iter().map(|(device, _)| device);
        let wake: Vec<DeviceId> = all.chain(devices(&before.roster)).collect();
        Ok((seqs, wake))
    }
}
