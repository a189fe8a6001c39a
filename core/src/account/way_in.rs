//! The way into our groups: whether the GroupInfos that lie at the server lead where they say (C6).
//!
//! Who comes from outside commits to the external key that a GroupInfo names. Its signature, context
//! and confirmation tag the server has checked; whether that key is the group's, only members know. By
//! a wrong one he would make a commit that nobody can follow, and all would enter anew
//! (docs/attacks.md 2). So members look, and put a GroupInfo of their own where one is wrong. They do it
//! besides, not when a commit is taken in: about sixteen of a group in each epoch, and others daily.
//!
//! Who enters takes first what most devices vouch for ([`most_vouched_first`]).

use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{Epoch, Gen, LeafIndex, LogId, TimeMs};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::mls::extension::group_id;
use hauspost_protocol::mls::public::external_key;
use rusqlite::Connection;

use super::AccountError;
use super::engine::Core;
use crate::group::{self, commit, enter};
use crate::inbound::Snapshot;
use crate::store::StoreError;
use crate::store::rows::epoch;
use crate::store::rows::log::{self, LocalLog, Log, LogPart, LogState};
use crate::sync::SyncError;

/// Groups that are looked at in one round of upkeep; the rest come in the next.
const PER_ROUND: usize = 16;
/// How many devices of a group look in an epoch and day, about.
const LOOKERS: u64 = 16;
/// With so many right GroupInfos of the three that the server keeps, who enters takes one of them.
const ENOUGH: usize = 2;

/// An epoch.
type Place = (Gen, Epoch);
/// An epoch that was looked at, and when.
type Looked = (Gen, Epoch, TimeMs);

impl Core {
    /// Looks at the GroupInfos of groups whose epoch this phone has not looked at today, as far as it
    /// is its turn, and mends what is wrong.
    pub(super) async fn look_at_ways_in(&self) -> Result<(), AccountError> {
        let now_ms = self.env.clock.now_ms();
        let due = self.store.read(move |conn| due(conn, now_ms)).await?;
        for (local, place) in due {
            match self.look_at_way_in(local.id, place).await {
                // The epoch is over, or this device is out: the next pull says so.
                Ok(()) | Err(AccountError::Sync(SyncError::Refused(_))) => {}
                Err(error) => return Err(error),
            }
            let looked: Looked = (place.0, place.1, now_ms);
            self.store
                .write(move |tx| {
                    log::put_part(tx, local, LogPart::WayIn, &encode(&looked))?;
                    Ok::<_, AccountError>(())
                })
                .await?;
        }
        Ok(())
    }

    async fn look_at_way_in(&self, log: LogId, place: Place) -> Result<(), AccountError> {
        let infos = self.server.group_infos(log, place.0, place.1).await?;
        let (me, mut rng) = (self.me.clone(), self.env.randomness.rng());
        let own = self.store.read(move |conn| {
            let provider = group::provider(Snapshot(conn), &mut rng);
            let group = commit::load(&provider, &group_id(log, place.0)).ok();
            let group = group.filter(|group| group.epoch().as_u64() == place.1.0);
            let own = group.map(|group| enter::group_info(&provider, me.member(), &group));
            Ok::<_, AccountError>(own.and_then(Result::ok))
        });
        let Some(own) = own.await? else { return Ok(()) };
        let right = external_key(&own);
        let wrong = infos.iter().filter(|info| external_key(info) != right).count();
        if infos.is_empty() || wrong > 0 && infos.len() - wrong < ENOUGH {
            tracing::warn!(%log, wrong, "a GroupInfo by which nobody could enter; puts its own");
            self.server.put_group_info(log, place, &own).await?;
        }
        Ok(())
    }
}

/// The groups to look at now, those with the newest messages first.
fn due(conn: &Connection, now_ms: TimeMs) -> Result<Vec<(LocalLog, Place)>, AccountError> {
    let mut due = Vec::new();
    for row in log::all(conn)? {
        if due.len() == PER_ROUND {
            break;
        }
        if is_due(conn, &row, now_ms)? {
            due.push((row.local, (row.r#gen, row.epoch)));
        }
    }
    Ok(due)
}

fn is_due(conn: &Connection, row: &Log, now_ms: TimeMs) -> Result<bool, StoreError> {
    let Some(leaf) = row.own_leaf.filter(|_| row.state == LogState::Active) else {
        return Ok(false);
    };
    let looked = log::part(conn, row.local, LogPart::WayIn)?;
    let looked: Option<Looked> = looked.and_then(|bytes| decode(&bytes).ok());
    // A clock that was put back looks again.
    let is_fresh = |(r#gen, epoch, at_ms): Looked| {
        (r#gen, epoch) == (row.r#gen, row.epoch) && now_ms.abs_diff(at_ms) < DAY_MS
    };
    if looked.is_some_and(is_fresh) {
        return Ok(false);
    }
    let Some(epoch) = epoch::find(conn, row.local)? else { return Ok(false) };
    let devices = epoch::chain_count(conn, row.local)?;
    Ok(is_its_turn(&epoch.capsule_hash.0, leaf, devices, now_ms / DAY_MS))
}

/// Whether the device at this leaf is one of those who look, drawn for each epoch and day; in a small
/// group all do.
fn is_its_turn(epoch: &[u8], leaf: LeafIndex, devices: u64, day: u64) -> bool {
    let drawn = sha256(&encode(&(Bytes::from(epoch), leaf, day))).0;
    let (drawn, _) = drawn.split_first_chunk().expect("8 of 32 bytes");
    u64::from_be_bytes(*drawn) % devices.max(1) < LOOKERS
}

/// GroupInfos in the order in which they are tried: those whose external key most of them name, and of
/// these the newest. `infos` come in the order in which the server got them. A member who puts a false
/// one, and does so again and again, is one against those who found it and put theirs.
pub(super) fn most_vouched_first(infos: Vec<Bytes>) -> Vec<Bytes> {
    let keys: Vec<_> = infos.iter().map(|info| external_key(info)).collect();
    let vouched = |at: usize| match &keys[at] {
        Some(_) => keys.iter().filter(|key| **key == keys[at]).count(),
        None => 0,
    };
    let mut order: Vec<usize> = (0..infos.len()).rev().collect();
    order.sort_by_key(|at| std::cmp::Reverse(vouched(*at)));
    order.into_iter().map(|at| infos[at].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_small_group_all_look_and_in_a_large_one_about_sixteen_who_change_daily() {
        let lookers = |devices: u32, day| {
            let leaves = (0..devices).map(LeafIndex);
            leaves
                .filter(|leaf| is_its_turn(b"epoch", *leaf, devices.into(), day))
                .collect::<Vec<_>>()
        };
        assert_eq!(lookers(16, 0).len(), 16);
        for day in 0..20 {
            assert!((4..=36).contains(&lookers(1_000, day).len()), "day {day}");
        }
        assert_ne!(lookers(1_000, 0), lookers(1_000, 1));
    }
}
