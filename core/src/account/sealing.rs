//! Sealing: a record takes its place in the own chain in the transaction that stores its bytes.
//!
//! What a person says is sealed by the very transaction that stores it, if its conversation can send
//! at once: [`plan`] says so of the state that the transaction sees, and nobody else moves the log
//! meanwhile. Else it waits in the outbox, and the sender seals it when its turn comes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use hauspost_protocol::company::state::Company;
use hauspost_protocol::ids::{LogId, RecordIndex, TimeMs};

use super::AccountError;
use super::engine::{Core, Engine};
use super::gossip;
use crate::inbound::Me;
use crate::ledger::Ledger;
use crate::outbox::plan::{self, Batch, Step};
use crate::outbox::{REASON_DEFECT, outcome, seal};
use crate::store::rows::outbox::{self, Intent};
use crate::store::rows::{history, message};
use crate::store::{StoreError, Tx};

/// A log taken out of the engine, to seal records of it.
pub(super) struct Sealing {
    me: Arc<Me>,
    company: Arc<Company>,
    ledger: Ledger,
    /// The server's clock, or nothing if it takes no update of this log now (C13).
    updates_ms: Option<TimeMs>,
    /// The time of the checkpoint that was named last in this log.
    named_ms: Option<TimeMs>,
    now_ms: TimeMs,
}

impl Sealing {
    /// What the log needs next.
    pub(super) fn next(&self, tx: &Tx<'_>) -> Result<Step, StoreError> {
        let clock = (self.updates_ms, self.now_ms);
        plan::next(tx, &self.me, &self.company, &self.ledger, clock)
    }

    /// Seals records at the next places of the own chain and stores their bytes, as the plan said; what
    /// the log needs then.
    pub(super) fn seal(&mut self, tx: &Tx<'_>, intents: Vec<Intent>) -> Result<Step, StoreError> {
        let local = self.ledger.row.local;
        let first_of_epoch = self.ledger.row.own_index == RecordIndex(0);
        let named = gossip::to_name(tx, self.named_ms, first_of_epoch)?;
        let (tree, named_ms) = named.unzip();
        let records = seal::records(&self.me, &self.ledger, intents, tree, self.now_ms);
        if records.is_empty() {
            return Ok(Step::Rest);
        }
        self.named_ms = named_ms.or(self.named_ms);
        for new in &records {
            let Some((sealed, key)) = &new.sealed else {
                outcome::fail(tx, local, &new.intent, REASON_DEFECT)?;
                continue;
            };
            outbox::seal(tx, new.intent.id, sealed)?;
            if new.transient {
                continue;
            }
            let shown = match new.intent.message_id {
                Some(message_id) => message::set_record_key(tx, local, message_id, key)?,
                None => false,
            };
            if !shown {
                history::seal_key(tx, new.intent.id, key)?;
            }
        }
        match plan::just_sealed(local.id, &records) {
            Some(batch) => Ok(Step::Send(batch)),
            None => self.next(tx),
        }
    }

    /// The log back in its place, after the transaction.
    pub(super) fn done(self, engine: &mut Engine) {
        if let Some(named_ms) = self.named_ms {
            engine.named.insert(self.ledger.row.local.id, named_ms);
        }
        Core::put_ledger(engine, self.ledger);
    }
}

impl Core {
    /// Makes a log that was taken out ready to be sealed.
    pub(super) fn sealing(
        &self,
        engine: &Engine,
        company: Arc<Company>,
        ledger: Ledger,
    ) -> Sealing {
        let log = ledger.row.local.id;
        Sealing {
            me: self.me.clone(),
            company,
            updates_ms: self.updates_ms(engine, log),
            named_ms: engine.named.get(&log).copied(),
            now_ms: self.env.clock.now_ms(),
            ledger,
        }
    }

    /// What the sender sends before it looks what else there is, in place of what was ready before: of that
    /// the outbox knows.
    pub(super) fn make_ready(&self, batch: Option<(LogId, Batch)>) -> Option<(LogId, Batch)> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *ready, batch)
    }

    /// What the log needs next is for the outbox to say, with what was ready.
    pub(super) fn forget_ready(&self, log: LogId) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.take_if(|(ready, _)| *ready == log);
    }

    /// Stores what a person says in these conversations, in one transaction. What is said in one alone is sealed
    /// with it if it can be sent at once.
    pub(super) async fn say_in<F>(&self, logs: &[LogId], store: F) -> Result<(), AccountError>
    where
        F: FnOnce(&Tx<'_>) -> Result<(), AccountError> + Send + 'static,
    {
        if let [log] = logs {
            return self.say(*log, store).await;
        }
        logs.iter().for_each(|log| self.wrote(*log));
        self.store.write(store).await
    }

    /// Stores what a person says, and seals it if it can be sent at once.
    pub(super) async fn say<F>(&self, log: LogId, store: F) -> Result<(), AccountError>
    where
        F: FnOnce(&Tx<'_>) -> Result<(), AccountError> + Send + 'static,
    {
        self.wrote(log);
        // A text does not wait until all of a catch-up is taken in.
        let Ok(mut engine) = self.engine.try_lock() else { return self.store.write(store).await };
        // Before the first send the phone knows all that there is (C12).
        let pulled = self.pulled.load(Ordering::Acquire);
        let known = engine.in_memory(log).filter(|_| pulled);
        let Some((company, ledger)) = known else { return self.store.write(store).await };
        let mut sealing = self.sealing(&engine, company, ledger);
        let (sealing, next) = self
            .store
            .write(move |tx| {
                store(tx)?;
                let mut next = sealing.next(tx)?;
                if let Step::Seal(intents) = next {
                    next = sealing.seal(tx, intents)?;
                }
                Ok::<_, AccountError>((sealing, next))
            })
            .await?;
        sealing.done(&mut engine);
        if let Step::Send(batch) = next {
            self.make_ready(Some((log, batch)));
        }
        Ok(())
    }
}
