//! Resets by this phone: on an admin's order, when a group cannot be entered any more, for an owner who
//! changes the suite of a group that grew, and where the policy names another suite (R1, R2, C7).

use std::sync::{Mutex, PoisonError};

use hauspost_protocol::body::ResetReason;
use hauspost_protocol::company::body::CompanyBody;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::mls::member::Suite;

use super::AccountError;
use super::engine::Core;
use crate::ledger::Ledger;
use crate::outbox::reset::{self, Wanted};
use crate::store::rows::log::{self, LogState};
use crate::store::rows::outbox;

/// The groups to which the policy's suite is still to come, as they were looked for last.
#[derive(Default)]
pub(super) struct Migrating(Mutex<Option<Looked>>);

/// They are looked for anew when the policy names another suite, or when there are more conversations.
#[derive(Clone)]
struct Looked {
    suite: Suite,
    logs: u64,
    left: Vec<LogId>,
}

impl Core {
    /// Makes the resets that an admin ordered and nobody has made, to be sent next.
    pub(super) async fn follow_orders(&self) -> Result<(), AccountError> {
        let company = {
            let mut engine = self.engine.lock().await;
            self.company(&mut engine).await?
        };
        let mut ordered: Vec<LogId> = company
            .now()
            .entries()
            .filter_map(|(_, body)| match body {
                CompanyBody::ResetOrder(order) => Some(order.log),
                _ => None,
            })
            .collect();
        ordered.sort_unstable();
        ordered.dedup();
        for log in ordered {
            self.reset(log, ResetReason::Admin, None).await?;
        }
        Ok(())
    }

    /// Moves the groups of another suite to the one that the policy names, to be sent next (R2).
    pub(super) async fn follow_policy(&self) -> Result<(), AccountError> {
        let company = {
            let mut engine = self.engine.lock().await;
            self.company(&mut engine).await?
        };
        let Some(suite) = company.now().terms().general.suite() else { return Ok(()) };
        let mut looked = self.of_other_suites(suite).await?;
        let mut left = Vec::new();
        for log in std::mem::take(&mut looked.left) {
            if self.has_suite(log, suite).await? {
                continue;
            }
            left.push(log);
            self.reset(log, ResetReason::Migrate, None).await?;
        }
        let mut known = self.migrating.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Looked { left, ..looked });
        Ok(())
    }

    async fn of_other_suites(&self, suite: Suite) -> Result<Looked, AccountError> {
        let logs = self.store.read(|conn| Ok::<_, AccountError>(log::count(conn)?)).await?;
        let known = self.migrating.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| (known.suite, known.logs) == (suite, logs)) {
            return Ok(known);
        }
        let left = self.store.read(move |conn| {
            let mut left = Vec::new();
            // What is entered anew first is moved then.
            let open = |state| matches!(state, LogState::Active | LogState::Broken);
            for row in log::all(conn)?.into_iter().filter(|row| open(row.state)) {
                let known = Ledger::load(conn, row.local.id)?.and_then(|it| it.conversation);
                if known.is_some_and(|known| known.suite != suite.code()) {
                    left.push(row.local.id);
                }
            }
            Ok::<_, AccountError>(left)
        });
        Ok(Looked { suite, logs, left: left.await? })
    }

    async fn has_suite(&self, log: LogId, suite: Suite) -> Result<bool, AccountError> {
        let mut engine = self.engine.lock().await;
        let Some(ledger) = self.take_ledger(&mut engine, log).await? else { return Ok(false) };
        let has = ledger.conversation.as_ref().is_some_and(|known| known.suite == suite.code());
        Self::put_ledger(&mut engine, ledger);
        Ok(has)
    }

    /// Makes and stores a reset's batch, to be sent next; whether there is one.
    pub(super) async fn reset(
        &self,
        log: LogId,
        reason: ResetReason,
        intent: Option<i64>,
    ) -> Result<bool, AccountError> {
        let why = (reason, intent);
        let Some(first) = self.wanted(log, why).await? else { return Ok(false) };
        let now_ms = self.env.clock.now_ms();
        let wait = || match reason {
            // Who lost the way has waited already, and what a person wants only he wants.
            ResetReason::Broken => 0,
            ResetReason::Migrate if intent.is_some() => 0,
            // Whoever is ordered to: all at once would take everybody's key packages in vain.
            ResetReason::Admin | ResetReason::Migrate => self.wait_in_turn(first.devices.len()),
        };
        if !self.resetting.is_due(log, now_ms, wait) {
            return Ok(false);
        }
        // Whoever came first has done it.
        self.pull_all().await?;
        let Some(wanted) = self.wanted(log, why).await? else { return Ok(false) };
        self.note_attempt(&self.resetting, log, now_ms).await?;
        let mut others = wanted.devices.clone();
        others.retain(|device| *device != self.me.device);
        let taken = match others.is_empty() {
            true => Vec::new(),
            false => self.server.take_packages(wanted.suite, others).await?,
        };
        let packages: Vec<_> =
            taken.into_iter().map(|taken| (taken.device, taken.package)).collect();
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let Some(ledger) = self.take_ledger(&mut engine, log).await? else { return Ok(false) };
        let (me, rng) = (self.me.clone(), self.env.randomness.rng());
        let (ledger, made) = self
            .store
            .read(move |conn| {
                // What came meanwhile may have done it, or changed whom it is about.
                let waits = outbox::pending(conn, log)?.is_some();
                let still = reset::wanted(&me, &company, &ledger, why, now_ms);
                let made = still.filter(|still| *still == wanted && !waits).map(|wanted| {
                    let with = (&wanted, packages.as_slice());
                    reset::prepare(conn, &me, &company, &ledger, with, rng, now_ms)
                });
                Ok::<_, AccountError>((ledger, made.transpose()?))
            })
            .await?;
        let stored = made.is_some();
        if let Some(pending) = made {
            tracing::info!(%log, "reset prepared");
            self.store
                .write(move |tx| Ok::<_, AccountError>(outbox::put_pending(tx, &pending)?))
                .await?;
        }
        Self::put_ledger(&mut engine, ledger);
        Ok(stored)
    }

    async fn wanted(
        &self,
        log: LogId,
        why: (ResetReason, Option<i64>),
    ) -> Result<Option<Wanted>, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        let Some(ledger) = self.take_ledger(&mut engine, log).await? else { return Ok(None) };
        let wanted = reset::wanted(&self.me, &company, &ledger, why, self.env.clock.now_ms());
        Self::put_ledger(&mut engine, ledger);
        Ok(wanted)
    }
}
