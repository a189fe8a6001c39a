//! Sending: step after step for each log that wants something, the network outside of the lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hauspost_protocol::body::ResetReason;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::Outcome;

use super::AccountError;
use super::behaviour::overdue;
use super::engine::{Core, Engine};
use crate::ledger::Ledger;
use crate::outbox::change::{self, ChangeError, Wanted};
use crate::outbox::intent::{Add, Create};
use crate::outbox::jitter;
use crate::outbox::outcome::{self, Next};
use crate::outbox::plan::{self, Batch, Step, What};
use crate::outbox::{REASON_DEFECT, REASON_NOBODY, seal};
use crate::store::rows::log::{self, LogState};
use crate::store::rows::mls::MlsTable;
use crate::store::rows::outbox::{self, IntentKind};
use crate::store::rows::receipt;
use crate::store::{StoreError, Tx};

/// Steps for one log before the others get their turn: enough to invite a thousand people and add
/// them.
const STEPS: usize = 128;
/// Pulls that a log may ask for without anything of it being accepted.
const PULLS: usize = 4;

/// An update that was refused is not tried again for so long, whatever time the server names.
const AGAIN_MS: u64 = 3_600_000;

/// What became of the things that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// All that can be sent is sent.
    All,
    /// The server takes some of it later.
    Some,
}

/// What became of all logs' things.
struct Round {
    pushed: Pushed,
    /// The first failure.
    failed: Option<AccountError>,
}

impl Round {
    fn note(&mut self, of_log: Result<Pushed, AccountError>) {
        match of_log {
            Ok(Pushed::All) => {}
            Ok(Pushed::Some) => self.pushed = Pushed::Some,
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }
}

impl Core {
    /// Sends what waits, for all logs, as far as it can be sent now.
    ///
    /// One log that fails does not hold up the others; the first failure is told at the end.
    pub(super) async fn push(&self) -> Result<Pushed, AccountError> {
        let _one = self.pushing.lock().await;
        // Before the first send the phone knows all that there is: a copy of it, or an older self,
        // shows before its keys are used (C12).
        if !self.pulled.load(Ordering::Acquire) {
            self.pull_all().await?;
        }
        let mut round = Round { pushed: Pushed::All, failed: None };
        if let Some((log, batch)) = self.make_ready(None)
            && self.deferred.is_due(log, self.env.clock.now_ms())
        {
            round.note(self.push_from(log, Step::Send(batch)).await);
        }
        round.failed = round.failed.or(self.follow_orders().await.err());
        round.failed = round.failed.or(self.follow_policy().await.err());
        let now_ms = self.env.clock.now_ms();
        let (mut logs, receipts, overdue) = self
            .store
            .read(move |conn| {
                let mut logs = outbox::logs_with_work(conn, now_ms)?;
                let pending = outbox::logs_pending(conn)?;
                logs.extend(
                    pending.into_iter().filter(|log| !logs.contains(log)).collect::<Vec<_>>(),
                );
                let (due, overdue) = (receipt::due(conn, now_ms)?, overdue(conn, now_ms)?);
                Ok::<_, AccountError>((logs, due, overdue))
            })
            .await?;
        self.end_overdue(overdue).await?;
        for log in self.want_receipts(receipts, now_ms).await? {
            if !logs.contains(&log) {
                logs.push(log);
            }
        }
        for log in logs.into_iter().filter(|log| self.deferred.is_due(*log, now_ms)) {
            round.note(Box::pin(self.push_log(log)).await);
        }
        self.enter_all(&mut round).await?;
        round.failed.map_or(Ok(round.pushed), Err)
    }

    /// Enters the groups that this phone has no keys of, the newest conversation first; what people
    /// write meanwhile goes first.
    async fn enter_all(&self, round: &mut Round) -> Result<(), AccountError> {
        let to_enter: Vec<LogId> =
            self.store.read(|conn| Ok::<_, AccountError>(log::to_enter(conn)?)).await?;
        for log in to_enter {
            let now_ms = self.env.clock.now_ms();
            let said = self
                .store
                .read(move |conn| Ok::<_, AccountError>(outbox::logs_with_work(conn, now_ms)?));
            let said = if round.failed.is_none() { said.await? } else { Vec::new() };
            for log in said.into_iter().chain([log]) {
                round.note(Box::pin(self.push_log(log)).await);
            }
        }
        Ok(())
    }

    /// How long until an intent is due that was put off until later than a push that began then.
    pub(super) async fn next_due_ms(&self, began_ms: u64) -> Result<Option<u64>, AccountError> {
        let due = self.store.read(move |conn| {
            let due = outbox::next_due(conn, began_ms)?;
            let receipt = receipt::next_due(conn, began_ms)?;
            Ok::<_, AccountError>(due.into_iter().chain(receipt).min())
        });
        let due = due.await?.into_iter().chain(self.deferred.next_due(began_ms)).min();
        Ok(due.map(|due| due.saturating_sub(self.env.clock.now_ms())))
    }

    pub(super) async fn push_log(&self, log: LogId) -> Result<Pushed, AccountError> {
        let first = Box::pin(self.step(log)).await?;
        self.push_from(log, first).await
    }

    /// Takes this step, and all that follow.
    async fn push_from(&self, log: LogId, first: Step) -> Result<Pushed, AccountError> {
        let mut pulls = 0;
        let mut knows_all = false;
        let mut first = Some(first);
        for _ in 0..STEPS {
            let step = match first.take() {
                Some(first) => first,
                None => Box::pin(self.step(log)).await?,
            };
            let next = match step {
                Step::Rest => return Ok(Pushed::All),
                Step::Reserve(id, create) => {
                    let log_no = Some(self.server.reserve().await?);
                    let body = encode(&Create { log_no, ..create });
                    self.set_body(id, body).await?;
                    continue;
                }
                // Who got a phone since the last pull is to be in it, too.
                Step::Packages(..) if !knows_all => {
                    knows_all = true;
                    self.pull_all().await?;
                    continue;
                }
                Step::Packages(id, for_what, suite, devices) => {
                    let taken = if devices.is_empty() {
                        Vec::new()
                    } else {
                        self.server.take_packages(suite, devices).await?
                    };
                    let taken = taken.into_iter().map(|taken| (taken.device, taken.package));
                    self.set_body(id, for_what.with(taken.collect())).await?;
                    continue;
                }
                Step::Migrate(id) => {
                    match Box::pin(self.reset(log, ResetReason::Migrate, Some(id))).await? {
                        true => continue,
                        false => break,
                    }
                }
                Step::Enter if Box::pin(self.enter(log)).await? => continue,
                Step::Enter => break,
                Step::Send(batch) => Box::pin(self.send(log, batch)).await?,
                // The others were carried out under the lock.
                _ => continue,
            };
            match next {
                Next::Done | Next::Refused(_) => pulls = 0,
                Next::Later => break,
                Next::NotBefore(from) => {
                    self.deferred.put_off(log, from, self.server_ms(), self.env.clock.now_ms());
                    return Ok(Pushed::All);
                }
                Next::Pull if pulls == PULLS => break,
                Next::Pull => {
                    pulls += 1;
                    self.pull_all().await?;
                }
            }
        }
        Ok(Pushed::Some)
    }

    async fn set_body(&self, id: i64, body: Vec<u8>) -> Result<(), AccountError> {
        self.store.write(move |tx| Ok(outbox::set_body(tx, id, &body)?)).await
    }

    /// The next step for a log. What needs no network is carried out at once.
    async fn step(&self, log: LogId) -> Result<Step, AccountError> {
        let mut engine = self.engine.lock().await;
        self.forget_withdrawn();
        let company = self.company(&mut engine).await?;
        let Some(ledger) = self.take_ledger(&mut engine, log).await? else {
            return Ok(Step::Rest);
        };
        let (mut ledger, step, made) = self.look(&engine, &company, ledger).await?;
        match (&step, made) {
            (Step::Commit(_), Some(Ok(()))) => tracing::debug!(%log, "commit prepared"),
            (Step::Commit(wanted), Some(Err(error))) => {
                let (ledger, given_up) = self.give_up(ledger, wanted, error).await?;
                Self::put_ledger(&mut engine, ledger);
                return given_up;
            }
            (Step::Word(id, op, user), _) => {
                let sealed = seal::word(&self.me, &ledger, change::at(&company), (*op, *user));
                let id = *id;
                self.store
                    .write(move |tx| Ok::<_, AccountError>(outbox::seal(tx, id, &sealed)?))
                    .await?;
            }
            (Step::Seal(intents), _) => {
                let mut sealing = self.sealing(&engine, company, ledger);
                let intents = intents.clone();
                let (sealing, next) = self
                    .store
                    .write(move |tx| {
                        let next = sealing.seal(tx, intents)?;
                        Ok::<_, AccountError>((sealing, next))
                    })
                    .await?;
                sealing.done(&mut engine);
                // Another step may be one that is carried out here.
                return Ok(if matches!(next, Step::Send(_) | Step::Rest) { next } else { step });
            }
            (Step::Fail(ids, reason), _) => {
                let (ids, reason) = (ids.clone(), *reason);
                ledger = self
                    .store
                    .write(move |tx| {
                        let local = ledger.row.local;
                        for id in ids {
                            let Some(intent) = outbox::find(tx, id)? else { continue };
                            match intent.kind {
                                IntentKind::Create => end_creation(tx, &mut ledger, reason)?,
                                IntentKind::Add => end_change(tx, id, reason)?,
                                _ => outcome::fail(tx, local, &intent, reason)?,
                            }
                        }
                        Ok::<_, AccountError>(ledger)
                    })
                    .await?;
            }
            (Step::Drop(id), _) => {
                let id = *id;
                self.store.write(move |tx| Ok::<_, AccountError>(outbox::discard(tx, id)?)).await?;
            }
            _ => {}
        }
        Self::put_ledger(&mut engine, ledger);
        Ok(step)
    }

    /// The next step; if it is a commit, that is made and stored as pending.
    async fn look(
        &self,
        engine: &Engine,
        company: &Arc<Company>,
        ledger: Ledger,
    ) -> Result<(Ledger, Step, Option<Result<(), ChangeError>>), AccountError> {
        let now_ms = self.env.clock.now_ms();
        let clocks = (self.updates_ms(engine, ledger.row.local.id), now_ms);
        let mut ledger = ledger;
        if ledger.members().count() <= change::FEW {
            // A small commit takes less time than the way from a reader to the writer.
            let (me, company) = (self.me.clone(), company.clone());
            let rng = self.env.randomness.rng();
            let looked = self.store.write(move |tx| {
                let step = plan::next(tx, &me, &company, &ledger, clocks)?;
                let made = match &step {
                    Step::Commit(wanted) if wanted.adds() <= change::FEW => {
                        match change::prepare(tx, &me, &company, &ledger, wanted, rng, now_ms) {
                            Ok(prepared) => Some(Ok(prepared.store(tx)?)),
                            Err(error) => Some(Err(error)),
                        }
                    }
                    _ => None,
                };
                Ok::<_, AccountError>((ledger, step, made))
            });
            let (looked, step, made) = looked.await?;
            if made.is_some() || !matches!(step, Step::Commit(_)) {
                return Ok((looked, step, made));
            }
            ledger = looked;
        }
        let (me, company) = (self.me.clone(), company.clone());
        let rng = self.env.randomness.rng();
        let looked = self.store.read(move |conn| {
            let step = plan::next(conn, &me, &company, &ledger, clocks)?;
            let made = match &step {
                Step::Commit(wanted) => {
                    Some(change::prepare(conn, &me, &company, &ledger, wanted, rng, now_ms))
                }
                _ => None,
            };
            Ok::<_, AccountError>((ledger, step, made))
        });
        let (ledger, step, made) = looked.await?;
        let made = match made {
            Some(Ok(prepared)) => {
                let stored = self.store.write(move |tx| Ok::<_, AccountError>(prepared.store(tx)?));
                Some(Ok(stored.await?))
            }
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        Ok((ledger, step, made))
    }

    /// A change that cannot be made: its intent ends, with a reason. What the phone wanted by itself
    /// is wanted again at the next occasion.
    async fn give_up(
        &self,
        mut ledger: Ledger,
        wanted: &Wanted,
        error: ChangeError,
    ) -> Result<(Ledger, Result<Step, AccountError>), AccountError> {
        let reason = match &error {
            ChangeError::Nobody => REASON_NOBODY,
            _ => REASON_DEFECT,
        };
        tracing::warn!(log = %ledger.row.local.id, reason, "a group change cannot be made");
        let Some(id) = wanted.intent() else { return Ok((ledger, Err(error.into()))) };
        let never_began = matches!(wanted, Wanted::Create(..));
        let ledger = self
            .store
            .write(move |tx| {
                end_change(tx, id, reason)?;
                if never_began {
                    end_creation(tx, &mut ledger, reason)?;
                }
                Ok::<_, AccountError>(ledger)
            })
            .await?;
        Ok((ledger, Ok(Step::Fail(Vec::new(), reason))))
    }

    /// Sends a batch and takes the answer in.
    async fn send(&self, log: LogId, batch: Batch) -> Result<Next, AccountError> {
        if let What::Sealed(sent) = &batch.what
            && !self.hand_over(sent)
        {
            // The person took it back before it left.
            return Ok(Next::Done);
        }
        let outcomes = self.server.append(&batch.request).await;
        if let (What::Sealed(sent), Err(error)) = (&batch.what, &outcomes) {
            self.not_answered(sent, error.left_nothing());
        }
        let outcomes = outcomes?;
        match batch.what {
            What::Capsule => Ok(Next::Pull),
            What::Invites(intent) => {
                let refused = outcomes.iter().find_map(|given| match outcome::meaning(given) {
                    Next::Refused(reason) => Some(reason),
                    _ => None,
                });
                if let Some(reason) = refused {
                    self.store
                        .write(move |tx| Ok::<_, AccountError>(end_change(tx, intent, reason)?))
                        .await?;
                }
                let mut meant = outcomes.iter().map(outcome::meaning);
                match meant.find(|next| *next != Next::Done) {
                    Some(later @ (Next::Later | Next::NotBefore(_))) => return Ok(later),
                    Some(_) => return Ok(Next::Pull),
                    None => {}
                }
                // They count once they come back; more people take more batches than pulls are
                // allowed without anything being accepted.
                self.pull_all().await?;
                Ok(Next::Done)
            }
            What::Commit(core, place) => {
                let outcome = outcomes.get(place).or(outcomes.first());
                self.commit_answered(log, core, outcome).await
            }
            What::Sealed(sent) => {
                let mut engine = self.engine.lock().await;
                let Some(mut ledger) = self.take_ledger(&mut engine, log).await? else {
                    return Ok(Next::Later);
                };
                let now_ms = self.env.clock.now_ms();
                let (ledger, answered, next) = self
                    .store
                    .write(move |tx| {
                        let next = outcome::sealed(tx, &mut ledger, &sent, &outcomes, now_ms)?;
                        Ok::<_, AccountError>((ledger, (sent, outcomes), next))
                    })
                    .await?;
                self.answered(&answered.0, &answered.1);
                Self::put_ledger(&mut engine, ledger);
                Ok(next)
            }
        }
    }

    /// The own commit was answered: if it was taken it comes back with the next pull, where it is
    /// merged; if not, the phone learns first what happened, and makes it anew if it is still wanted.
    async fn commit_answered(
        &self,
        log: LogId,
        core: hauspost_protocol::ids::CoreHash,
        outcome: Option<&Outcome>,
    ) -> Result<Next, AccountError> {
        let next = outcome.map_or(Next::Later, outcome::meaning);
        if matches!(next, Next::Later | Next::NotBefore(_)) {
            return Ok(next);
        }
        self.pull_all().await?;
        if next == Next::Done {
            return Ok(Next::Done);
        }
        let mut engine = self.engine.lock().await;
        // Whoever was quicker made it needless, and the record goes on without it (C13).
        let too_early = match outcome {
            Some(Outcome::Budget(from)) => Some(*from),
            _ => None,
        };
        if let Some(from) = too_early {
            engine.update_from.insert(log, from.max(self.server_ms().saturating_add(AGAIN_MS)));
        }
        let Some(ledger) = self.take_ledger(&mut engine, log).await? else {
            return Ok(Next::Later);
        };
        let rng = self.env.randomness.rng();
        let (mut ledger, abandoned) = self
            .store
            .read(move |conn| {
                let pending = outbox::pending(conn, log)?;
                let waits = pending.filter(|pending| pending.core == core);
                let abandoned = match waits {
                    Some(pending) => {
                        let mls = change::abandon(conn, &ledger, &pending, rng)
                            .map_err(ChangeError::from)?;
                        Some((pending.outbox, mls))
                    }
                    None => None,
                };
                Ok::<_, AccountError>((ledger, abandoned))
            })
            .await?;
        let had_intent = matches!(&abandoned, Some((Some(_), _)));
        let mut put_off = false;
        if let Some((intent, mls)) = abandoned {
            let (now_ms, mut rng) = (self.env.clock.now_ms(), self.env.randomness.rng());
            (ledger, put_off) = self
                .store
                .write(move |tx| {
                    mls.apply(&MlsTable(tx))?;
                    outbox::delete_pending(tx, log)?;
                    let put_off = match intent {
                        Some(intent) if next == Next::Pull => {
                            let wait_ms = jitter::wait_ms(ledger.members().count(), &mut rng);
                            put_off_alone(tx, log, intent, now_ms, wait_ms)?
                        }
                        _ => false,
                    };
                    if let (Next::Refused(reason), Some(intent)) = (next, intent) {
                        end_change(tx, intent, reason)?;
                        if ledger.row.epoch.0 == 0 {
                            end_creation(tx, &mut ledger, reason)?;
                        }
                    }
                    Ok::<_, AccountError>((ledger, put_off))
                })
                .await?;
        }
        Self::put_ledger(&mut engine, ledger);
        Ok(match next {
            Next::Refused(_) if too_early.is_some() => Next::Done,
            // What was wanted behind it goes on. What the phone wants by itself it would want again at
            // once.
            Next::Refused(_) if had_intent => next,
            Next::Refused(_) => Next::Later,
            _ if put_off => Next::Later,
            _ => Next::Pull,
        })
    }
}

/// Ends a change that cannot be made: the person sees why. What the phone wanted by itself is wanted
/// again at the next occasion, and nobody has to hear of it.
fn end_change(tx: &Tx<'_>, id: i64, reason: u64) -> Result<(), StoreError> {
    let Some(intent) = outbox::find(tx, id)? else { return Ok(()) };
    let by_itself = intent.kind == IntentKind::Add
        && decode::<Add>(&intent.body).is_ok_and(|add| add.by_itself);
    if by_itself { outbox::discard(tx, id) } else { outbox::fail(tx, id, reason) }
}

/// The conversation never came to be, and what was written into it ends for the same reason.
fn end_creation(tx: &Tx<'_>, ledger: &mut Ledger, reason: u64) -> Result<(), StoreError> {
    let local = ledger.row.local;
    for intent in outbox::open(tx, local.id, u32::MAX)? {
        outcome::fail(tx, local, &intent, reason)?;
    }
    ledger.row.state = LogState::Left;
    ledger.store(tx, &Default::default())
}

/// Puts off what the phone wants by itself and lost a race for, if nobody waits behind it; whether
/// it did.
fn put_off_alone(
    tx: &Tx<'_>,
    log: LogId,
    intent: i64,
    now_ms: u64,
    wait_ms: u64,
) -> Result<bool, AccountError> {
    let open = outbox::open(tx, log, 2)?;
    let [alone] = &open[..] else { return Ok(false) };
    let add = (alone.kind == IntentKind::Add).then(|| decode::<Add>(&alone.body).ok()).flatten();
    if alone.id != intent || wait_ms == 0 || !add.is_some_and(|add| add.by_itself) {
        return Ok(false);
    }
    outbox::put_off(tx, intent, now_ms + wait_ms)?;
    Ok(true)
}
