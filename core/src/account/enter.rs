//! Entering groups by external commits: a further device of a person, somebody whose phone had no key
//! package, and whoever lost the way (C7, C9, C12).
//!
//! The phone follows such a log from outside, so it has checked each commit and knows the group's
//! tree before it enters. It pulls first and waits a moment at random in large groups, since
//! everybody may have lost the way at the same commit (docs/attacks.md 2, 26); it takes the
//! GroupInfo that most devices vouch for, then the others; and it waits longer with each attempt, so that two copies of one phone
//! do not chase each other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hauspost_protocol::body::ResetReason;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{Epoch, Gen, LogId, TimeMs};
use rusqlite::Connection;

use super::AccountError;
use super::engine::Core;
use super::way_in::most_vouched_first;
use crate::inbound;
use crate::ledger::Touched;
use crate::outbox::{change, jitter, plan};
use crate::store::StoreError;
use crate::store::rows::attempt::{self, AttemptKind, Attempts};
use crate::store::rows::outbox;
use crate::sync::SyncError;

/// In groups of more devices a commit that nobody can process is healed by a reset at once.
const LARGE_GROUP: usize = 64;
/// Attempts for a group before the phone waits between them.
const AT_ONCE: u32 = 3;
const FIRST_WAIT_MS: u64 = 2_000;
const LONGEST_WAIT_MS: u64 = 600_000;
/// What was tried longer ago does not count any more.
const FORGET_MS: u64 = 3_600_000;

/// The attempts to enter groups, or to make them anew. They are stored, so that a phone that is killed
/// again and again waits all the same; the wait before the first is drawn anew.
pub(super) struct Entering {
    kind: AttemptKind,
    all: Mutex<HashMap<LogId, Attempts>>,
}

impl Entering {
    /// Those that are stored.
    pub(super) fn load(conn: &Connection, kind: AttemptKind) -> Result<Self, StoreError> {
        let all = attempt::all(conn, kind)?.into_iter().collect();
        Ok(Self { kind, all: Mutex::new(all) })
    }

    /// Whether to try now; `wait` draws how long a phone waits before its first attempt.
    pub(super) fn is_due(&self, log: LogId, now_ms: TimeMs, wait: impl FnOnce() -> u64) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back forgets as well.
        all.retain(|_, tried| now_ms.abs_diff(tried.last_ms) < FORGET_MS);
        let tried = all.entry(log).or_insert_with(|| Attempts {
            count: 0,
            last_ms: now_ms,
            not_before_ms: now_ms.saturating_add(wait()),
        });
        now_ms >= tried.not_before_ms
    }

    /// How long until the next attempt that is waited for.
    pub(super) fn wait_ms(&self, now_ms: TimeMs) -> Option<u64> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = all.values().filter_map(|tried| tried.not_before_ms.checked_sub(now_ms));
        ahead.filter(|wait_ms| *wait_ms > 0).min()
    }

    /// Notes an attempt, and gives all for this log with it.
    fn note(&self, log: LogId, now_ms: TimeMs) -> Attempts {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let none = Attempts { count: 0, last_ms: now_ms, not_before_ms: now_ms };
        let tried = all.entry(log).or_insert(none);
        tried.count += 1;
        tried.last_ms = now_ms;
        if tried.count >= AT_ONCE {
            let doublings = (tried.count - AT_ONCE).min(16);
            let wait_ms = (FIRST_WAIT_MS << doublings).min(LONGEST_WAIT_MS);
            tried.not_before_ms = now_ms.saturating_add(wait_ms);
        }
        *tried
    }
}

impl Core {
    /// Makes and stores the external commit for a log, to be sent next; whether there is one.
    pub(super) async fn enter(&self, log: LogId) -> Result<bool, AccountError> {
        let now_ms = self.env.clock.now_ms();
        let Some(devices) = self.to_enter(log).await?.map(|to_enter| to_enter.1) else {
            return Ok(false);
        };
        if !self.entering.is_due(log, now_ms, || self.wait_in_turn(devices)) {
            return Ok(false);
        }
        self.pull_all().await?;
        let Some((place, devices)) = self.to_enter(log).await? else { return Ok(false) };
        // If all of so many entered by themselves, that would be a storm of commits (C7).
        if devices > LARGE_GROUP && self.reset(log, ResetReason::Broken, None).await? {
            return Ok(true);
        }
        let infos = match self.server.group_infos(log, place.0, place.1).await {
            // Not served to this device, or not any more; the next pull says why.
            Err(SyncError::Refused(_)) => Vec::new(),
            infos => infos?,
        };
        let before = self.note_attempt(&self.entering, log, now_ms).await?;
        let infos = most_vouched_first(infos);
        let from = (before as usize).checked_rem(infos.len()).unwrap_or(0);
        for group_info in infos[from..].iter().chain(&infos[..from]) {
            if self.store_entry(log, place, group_info.clone()).await? {
                return Ok(true);
            }
        }
        tracing::warn!(%log, "no GroupInfo by which this group could be entered");
        self.reset(log, ResetReason::Broken, None).await
    }

    /// Notes and stores an attempt; gives how many came before it.
    pub(super) async fn note_attempt(
        &self,
        which: &Entering,
        log: LogId,
        now_ms: TimeMs,
    ) -> Result<u32, AccountError> {
        let (kind, attempts) = (which.kind, which.note(log, now_ms));
        self.store
            .write(move |tx| {
                Ok::<_, AccountError>(attempt::put(tx, log, kind, &attempts, FORGET_MS)?)
            })
            .await?;
        Ok(attempts.count - 1)
    }

    /// How long this phone waits before its first attempt, where many may try at once.
    pub(super) fn wait_in_turn(&self, devices: usize) -> u64 {
        jitter::wait_ms(devices, &mut self.env.randomness.rng())
    }

    /// The epoch that is to be entered, if one is, and how many devices are in it.
    async fn to_enter(&self, log: LogId) -> Result<Option<((Gen, Epoch), usize)>, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let Some(ledger) = self.take_ledger(&mut engine, log).await? else { return Ok(None) };
        let conversation = ledger.conversation.as_ref();
        let conversation = conversation.filter(|_| plan::must_enter(&self.me, &company, &ledger));
        let place = conversation.and_then(|known| Some((known.in_force()?, known.roster.len())));
        Self::put_ledger(&mut engine, ledger);
        Ok(place)
    }

    /// Makes the commit on one GroupInfo and stores it, if the log is still where it was.
    async fn store_entry(
        &self,
        log: LogId,
        place: (Gen, Epoch),
        group_info: Bytes,
    ) -> Result<bool, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let Some(mut ledger) = self.take_ledger(&mut engine, log).await? else { return Ok(false) };
        let known = ledger.conversation.as_ref();
        let same = known.is_some_and(|known| known.in_force() == Some(place))
            && plan::must_enter(&self.me, &company, &ledger);
        if !same {
            Self::put_ledger(&mut engine, ledger);
            return Ok(false);
        }
        let (me, rng) = (self.me.clone(), self.env.randomness.rng());
        let now_ms = self.env.clock.now_ms();
        let (mut ledger, made) = self
            .store
            .read(move |conn| {
                let at_place = ledger
                    .follower
                    .take()
                    .filter(|follower| (follower.r#gen(), follower.epoch()) == place);
                let follower = match at_place {
                    Some(follower) => Some(follower),
                    None => inbound::outside(conn, &ledger)?,
                };
                let made = follower.as_ref().and_then(|follower| {
                    let ledger = (&ledger, follower);
                    change::enter(conn, &me, &company, ledger, &group_info, rng, now_ms).ok()
                });
                ledger.follower = follower;
                Ok::<_, AccountError>((ledger, made))
            })
            .await?;
        let stored = made.is_some();
        ledger = self
            .store
            .write(move |tx| {
                if let Some(pending) = made {
                    outbox::put_pending(tx, &pending)?;
                }
                let touched = Touched { follower: true, ..Touched::default() };
                ledger.store(tx, &touched)?;
                Ok::<_, AccountError>(ledger)
            })
            .await?;
        Self::put_ledger(&mut engine, ledger);
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId([1; 16]);

    fn none() -> Entering {
        Entering { kind: AttemptKind::Enter, all: Mutex::default() }
    }

    #[test]
    fn the_first_attempt_comes_after_the_wait_that_was_drawn() {
        let entering = none();
        assert!(!entering.is_due(LOG, 1_000, || 500));
        assert_eq!(entering.wait_ms(1_200), Some(300));
        assert!(entering.is_due(LOG, 1_500, || 500));
        assert_eq!(entering.wait_ms(1_500), None);
    }

    #[test]
    fn each_attempt_after_the_third_waits_twice_as_long_until_an_hour_of_peace() {
        let entering = none();
        for before in 0..3 {
            assert!(entering.is_due(LOG, 0, || 0));
            assert_eq!(entering.note(LOG, 0).count, before + 1);
        }
        assert!(!entering.is_due(LOG, 1_999, || 0));
        assert!(entering.is_due(LOG, 2_000, || 0));
        entering.note(LOG, 2_000);
        assert!(!entering.is_due(LOG, 5_999, || 0));
        assert!(entering.is_due(LOG, 2_000 + FORGET_MS, || 0));
        assert_eq!(entering.note(LOG, 2_000 + FORGET_MS).count, 1);
    }
}
