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

use rusqlite::Connection;

use super::AccountError;
use super::engine::Core;
use crate::store::rows::handover::{self, Left};
use crate::store::{StoreError, Tx};

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

    /// Notes what this phone is to give to devices of successors, for each of them once; and again what it
    /// took in since of what had been said before the handover.
    pub(super) async fn look_what_is_handed_over(&self) -> Result<(), AccountError> {
        for (handover, devices) in self.handovers_of_others().await? {
            let (seq, wanted) = (handover.seq, handover.clone());
            // Mostly there is nothing to look for, and nothing is written then.
            let found = self.store.read(move |conn| to_look(conn, &wanted, &devices));
            for (left, devices) in found.await? {
                let ranges = within(&handover, &left);
                self.store.write(move |tx| look(tx, seq, &left, (&ranges, &devices))).await?;
            }
        }
        Ok(())
    }

    /// The handovers in force, each with the successor's devices but this one.
    async fn handovers_of_others(&self) -> Result<Vec<(Handover, Vec<DeviceId>)>, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let now = company.now();
        let devices = |known: &Handover| {
            let devices = now.devices_of(known.to).map(|device| device.device);
            devices.filter(|device| *device != self.me.device).collect()
        };
        Ok(now.handovers().map(|known| (known.clone(), devices(known))).collect())
    }
}

/// The conversations of a leaver in which there may be more to give than when this phone looked last, and for
/// which devices.
fn to_look(
    conn: &Connection,
    handover: &Handover,
    devices: &[DeviceId],
) -> Result<Vec<(Left, Vec<DeviceId>)>, AccountError> {
    let mut found = Vec::new();
    for left in handover::conversations_of(conn, handover.from)? {
        let mut to_look = Vec::new();
        for device in devices.iter().filter(|_| handover.is_about(left.log.id)) {
            if !has_looked(conn, &left, (handover.seq, *device))? {
                to_look.push(*device);
            }
        }
        if !to_look.is_empty() {
            found.push((left, to_look));
        }
    }
    Ok(found)
}

/// Whether this phone has looked what it can give to a device, and took in nothing since that was there before
/// the handover: entries of the log follow the company's log in time, so that the first one tells.
fn has_looked(conn: &Connection, left: &Left, to: (Seq, DeviceId)) -> Result<bool, StoreError> {
    let Some(up_to) = handover::looked(conn, left.log, to)? else { return Ok(false) };
    if up_to >= left.newest {
        return Ok(true);
    }
    let link = handover::link(conn, left.log, up_to.next())?;
    Ok(link.is_none_or(|(_, co)| co > to.0.0))
}

/// Notes what this phone is to give to devices by a handover, beside what it is to give already.
fn look(
    tx: &Tx<'_>,
    handover: Seq,
    left: &Left,
    (ranges, devices): (&Ranges, &[DeviceId]),
) -> Result<(), AccountError> {
    for device in devices {
        let to = (handover, *device);
        let mut rest = match handover::looked(tx, left.log, to)? {
            Some(up_to) => grant::without(ranges, &[(Seq(0), up_to)]),
            None => ranges.clone(),
        };
        for given in handover::given_to(tx, left.log, *device)? {
            rest = grant::without(&rest, &given);
        }
        rest.extend(handover::waiting(tx, left.log, to)?);
        handover::look(tx, left.log, to, left.newest, &joined(rest))?;
    }
    Ok(())
}

/// The stretches in which the leaver was there, as far as the handover names them.
fn within(handover: &Handover, left: &Left) -> Ranges {
    let stays = left.stays.iter().map(|(from, to)| (*from, to.unwrap_or(left.newest)));
    joined(stays.flat_map(|stay| handover.within(left.log.id, stay)).collect())
}

/// The same stretches in their order, those that meet as one.
fn joined(mut cut: Ranges) -> Ranges {
    cut.sort_unstable();
    let mut ranges: Ranges = Vec::new();
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
    use hauspost_protocol::ids::{CoreHash, EntryHash, LogId};

    use super::*;
    use crate::store::cell::C;
    use crate::store::fixture::{ANNA, enrolled, group};
    use crate::store::rows::entry::{self, EntryRow};
    use crate::store::rows::history;
    use crate::store::rows::log::LocalLog;
    use crate::store::rows::stay::{self, Move};

    #[tokio::test]
    async fn what_comes_late_of_what_was_said_before_is_given_as_well_and_nothing_is_looked_for_twice()
     {
        const BEN: UserId = UserId([6; 16]);
        const PHONE: DeviceId = DeviceId([7; 16]);
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Lager").await;
        let scope = Scope::default();
        let handover = Handover { seq: Seq(40), t_ms: 5, from: ANNA, to: BEN, scope };
        let came = move |tx: &Tx<'_>, seqs: std::ops::Range<u64>, co: u64| {
            for seq in seqs.clone() {
                let (core, hash) = (CoreHash([seq as u8; 32]), EntryHash([seq as u8; 32]));
                let row = EntryRow { seq: Seq(seq), kind: 3, t_ms: seq, co, core, hash };
                entry::append(tx, log, &row, None)?;
            }
            let sql = "UPDATE log SET next_seq = ?2, own_leaf = 0 WHERE id = ?1";
            tx.execute(sql, rusqlite::params![log.number, C(Seq(seqs.end))])?;
            Ok::<_, StoreError>(())
        };
        let round = async || {
            let wanted = handover.clone();
            let found = store.read(move |conn| to_look(conn, &wanted, &[PHONE])).await.unwrap();
            for (left, devices) in &found {
                let (left, devices) = (left.clone(), devices.clone());
                let ranges = within(&handover, &left);
                let done = store.write(move |tx| look(tx, Seq(40), &left, (&ranges, &devices)));
                done.await.unwrap();
            }
            let waits = store.read(move |conn| handover::waiting(conn, log, (Seq(40), PHONE)));
            let waits: Result<_, StoreError> = waits.await;
            (found.len(), waits.unwrap())
        };
        let began = store.write(move |tx| {
            stay::note(tx, log, &[Move { seq: Seq(1), user: ANNA, is_in: true }])?;
            came(tx, 0..8, 12)
        });
        began.await.unwrap();
        assert_eq!(round().await, (1, vec![(Seq(1), Seq(7))]));
        assert_eq!(round().await, (0, vec![(Seq(1), Seq(7))]));
        // The rest of a pull that was cut short; some of it was given meanwhile.
        let more = store.write(move |tx| {
            came(tx, 8..12, 40)?;
            history::given(tx, log, PHONE, &vec![(Seq(3), Seq(7))], 0)?;
            let by = (Seq(40), PHONE);
            handover::note_given(tx, log, Seq(11), by, &vec![(Seq(3), Seq(7))])?;
            Ok::<_, StoreError>(())
        });
        more.await.unwrap();
        assert_eq!(round().await, (1, vec![(Seq(1), Seq(2)), (Seq(8), Seq(11))]));
        store.write(move |tx| came(tx, 12..20, 41)).await.unwrap();
        assert_eq!(round().await, (0, vec![(Seq(1), Seq(2)), (Seq(8), Seq(11))]), "said after it");
    }

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
