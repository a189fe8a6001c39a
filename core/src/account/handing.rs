//! What a leaver leaves to a successor: each phone that is in a conversation of his looks what it could
//! give, and gives it as it answers whoever asks (docs/protocol.md §10).
//!
//! Nobody asks for it: a successor may have no leaf from which to ask. The handover in the company log is
//! the question, and what grants in the log gave already is no more to give, whichever came first here.

use hauspost_protocol::company::body::Scope;
use hauspost_protocol::company::handover::Handover;
use hauspost_protocol::company::view::CompanyAt;
use hauspost_protocol::entry::Ranges;
use hauspost_protocol::grant;
use hauspost_protocol::ids::{DeviceId, Seq, TimeMs, UserId};

use super::AccountError;
use super::engine::Core;
use crate::store::rows::handover::{self, Left};

/// A handover that concerns this person: his own past, that of somebody with whom he was in a conversation,
/// or one that came to him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandoverInForce {
    /// Who leaves.
    pub from: UserId,
    /// Who takes over.
    pub to: UserId,
    /// When it was signed, by the company log's clock.
    pub t_ms: TimeMs,
    /// Whether it is about all conversations of the leaver, and all of their past.
    pub is_whole: bool,
}

impl Core {
    /// The handovers that concern this person.
    pub(super) async fn handovers_of_mine(
        &self,
        company: &CompanyAt<'_>,
    ) -> Result<Vec<HandoverInForce>, AccountError> {
        let me = self.me.user;
        let mut mine = Vec::new();
        for known in company.handovers() {
            let from = known.from;
            let concerns = known.to == me || from == me || {
                let shared = self.store.read(move |conn| Ok(handover::is_known(conn, from)?));
                let shared: Result<bool, AccountError> = shared.await;
                shared?
            };
            if concerns {
                let is_whole = known.scope == Scope::default();
                let (to, t_ms) = (known.to, known.t_ms);
                mine.push(HandoverInForce { from, to, t_ms, is_whole });
            }
        }
        Ok(mine)
    }

    /// Whether the handover that this company entry says is in force, and those by which a grant on its
    /// ground may still give something: it, or what came to this person instead of it.
    pub(super) async fn handovers(&self, seq: Seq) -> Result<(bool, Vec<Handover>), AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let (now, me) = (company.now(), self.me.user);
        Ok(match now.handover(seq) {
            Some(known) => (true, vec![known.clone()]),
            None => (false, now.handovers().filter(|known| known.to == me).cloned().collect()),
        })
    }

    /// Notes what this phone is to give to devices of successors, for each of them once.
    pub(super) async fn look_what_is_handed_over(&self) -> Result<(), AccountError> {
        for (handover, devices) in self.handovers_of_others().await? {
            let from = handover.from;
            let left = self.store.read(move |conn| Ok(handover::conversations_of(conn, from)?));
            let left: Result<Vec<Left>, AccountError> = left.await;
            for left in left?.into_iter().filter(|left| handover.is_about(left.log.id)) {
                let (log, seq) = (left.log, handover.seq);
                let ranges = within(&handover, &left);
                let (devices, me) = (devices.clone(), self.me.device);
                self.store
                    .write(move |tx| {
                        for device in devices.into_iter().filter(|device| *device != me) {
                            if handover::has_looked(tx, log, seq, device)? {
                                continue;
                            }
                            let given = handover::given_to(tx, log, device)?;
                            let rest = given
                                .iter()
                                .fold(ranges.clone(), |rest, given| grant::without(&rest, given));
                            handover::look(tx, log, seq, device, &rest)?;
                        }
                        Ok::<_, AccountError>(())
                    })
                    .await?;
            }
        }
        Ok(())
    }

    /// The handovers in force, each with the successor's devices.
    async fn handovers_of_others(&self) -> Result<Vec<(Handover, Vec<DeviceId>)>, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let now = company.now();
        let devices =
            |known: &Handover| now.devices_of(known.to).map(|device| device.device).collect();
        Ok(now.handovers().map(|known| (known.clone(), devices(known))).collect())
    }
}

/// The stretches in which the leaver was there, as far as the handover names them.
fn within(handover: &Handover, left: &Left) -> Ranges {
    let stays = left.stays.iter().map(|(from, to)| (*from, to.unwrap_or(left.newest)));
    let cut = stays.flat_map(|stay| handover.within(left.log.id, stay));
    let mut ranges: Ranges = Vec::new();
    let mut cut: Vec<_> = cut.collect();
    cut.sort_unstable();
    for (from, to) in cut {
        match ranges.last_mut().filter(|(_, last)| from.0 <= last.0 + 1) {
            Some((_, last)) => *last = to.max(*last),
            None => ranges.push((from, to)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use hauspost_protocol::ids::LogId;

    use super::*;
    use crate::store::rows::log::LocalLog;

    #[test]
    fn what_is_given_lies_in_the_leavers_stays_and_in_the_handover_in_one_piece_where_they_meet() {
        let id = LogId([1; 16]);
        let handover = |logs| Handover {
            seq: Seq(9),
            t_ms: 5,
            from: UserId([2; 16]),
            to: UserId([3; 16]),
            scope: Scope { logs, ..Scope::default() },
        };
        let left = Left {
            log: LocalLog { number: 1, id },
            stays: vec![(Seq(2), Some(Seq(10))), (Seq(10), Some(Seq(12))), (Seq(30), None)],
            newest: Seq(50),
        };
        let all = [(Seq(2), Seq(12)), (Seq(30), Seq(50))];
        assert_eq!(within(&handover(Vec::new()), &left), all);
        let named = vec![(id, Seq(31), None), (id, Seq(5), Some(Seq(7)))];
        assert_eq!(within(&handover(named), &left), [(Seq(5), Seq(7)), (Seq(31), Seq(50))]);
        assert_eq!(within(&handover(vec![(LogId([9; 16]), Seq(0), None)]), &left), []);
    }
}
