//! C10: checkpoints, what of ours they cover, and whether the server shows us the present.
//!
//! A checkpoint that came is [believed](Core::take_in_checkpoint) or doubted. One that is believed
//! proves three things more: what this phone sent is kept ([secured](Core::take_in_checkpoint)), the
//! logs that it holds stand in it as they stand here (when a log is opened, else daily), and what
//! colleagues named lies on the same tree ([`gossip`](super::gossip)).

use std::collections::{BTreeSet, HashMap};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::{LogId, LogNo, Seq, TimeMs};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf};
use hauspost_protocol::tree::proof::{Before, Believed, TreeError, believe, heads_leaf};
use hauspost_protocol::tree::witness::seen_by;
use hauspost_protocol::wire::{CheckpointNews, HeadsProof, HeadsProofRequest, WitnessedRequest};

use super::AccountError;
use super::engine::Core;
use crate::inbound::Code;
use crate::outbox::outcome;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::checkpoint::{self, CheckpointRow};
use crate::store::rows::log::{self, LogState};
use crate::store::rows::{account, entry, message, outbox};
use crate::sync::SyncError;

/// When all logs were last proven, by the time of the checkpoint.
const HEADS_PROVEN: &str = "heads-proven";
/// What witnesses said last.
const WITNESSED: &str = "witnessed";
/// Logs of one proof request.
const PROVED_AT_ONCE: usize = 100;
/// A log that is opened again and again is proven once in this time.
const OPENED_MS: TimeMs = 3_600_000;
/// How often witnesses are asked.
const WITNESSED_MS: TimeMs = 3_600_000;
/// The time of the checkpoint that witnesses were asked about, and their names, sizes and times.
type Said = (TimeMs, Vec<(String, u64, u64)>);
/// An entry that is so much older than a checkpoint stands in it: checkpoints follow an append within a
/// minute, and clocks of the server's nodes differ by seconds.
const COVERED_MS: TimeMs = 65_000;

/// Logs that were opened and wait for the next checkpoint, and when each was proven.
#[derive(Default)]
pub(super) struct Opened {
    wanted: BTreeSet<LogId>,
    proven: HashMap<LogId, TimeMs>,
}

/// The newest checkpoint that this phone verified, for a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointState {
    /// What was signed.
    pub tree: TreeHead,
    /// When it was made, by the server's clock.
    pub t_ms: TimeMs,
    /// Who else vouches that the tree only grew.
    pub witnesses: Vec<WitnessState>,
}

/// What a witness said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessState {
    /// Its name.
    pub name: String,
    /// The size of the tree that it saw.
    pub size: u64,
    /// When, by its clock, Unix time in seconds.
    pub time_s: u64,
}

impl Core {
    /// The newest checkpoint verified, to be told to the others.
    pub(super) async fn newest_checkpoint(&self) -> Result<Option<CheckpointRow>, AccountError> {
        self.store.read(|conn| Ok::<_, AccountError>(checkpoint::newest(conn)?)).await
    }

    /// The newest checkpoint and who vouches for it, for a view.
    pub(super) async fn checkpoint_state(&self) -> Result<Option<CheckpointState>, AccountError> {
        let Some(row) = self.newest_checkpoint().await? else { return Ok(None) };
        let said =
            self.store.read(|conn| Ok::<_, AccountError>(account::fact(conn, WITNESSED)?)).await?;
        let said: Said = said.and_then(|said| decode(&said).ok()).unwrap_or_default();
        let said = said.1;
        let witnesses = said.into_iter();
        let witnesses = witnesses.map(|(name, size, time_s)| WitnessState { name, size, time_s });
        Ok(Some(CheckpointState {
            tree: tree(&row),
            t_ms: row.t_ms,
            witnesses: witnesses.collect(),
        }))
    }

    /// A log is looked at: the next checkpoint has to show it as it is here.
    pub(super) fn note_opened(&self, log: LogId) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).wanted.insert(log);
    }

    /// Takes in the checkpoint of an answer, if there is one, and notes how fresh the server is;
    /// `newest_entry_ms` is the time of the newest entry that came with it. The newest checkpoint then,
    /// as a request names it.
    pub(super) async fn take_in_freshness(
        &self,
        news: Option<CheckpointNews>,
        newest_entry_ms: TimeMs,
    ) -> Result<Option<(u64, u64)>, AccountError> {
        let before = self.newest_checkpoint().await?;
        let newer = match news {
            Some(news) => self.take_in_checkpoint(news, before.as_ref()).await?,
            None => false,
        };
        let newest = if newer { self.newest_checkpoint().await? } else { before };
        let server_ms = self.server_ms().max(newest_entry_ms);
        let age_ms = newest.as_ref().map(|newest| server_ms.saturating_sub(newest.t_ms));
        let named = newest.as_ref().map(|newest| (newest.era, newest.size));
        let now_ms = self.env.clock.now_ms();
        let alarming = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answered(now_ms, newer, age_ms);
        if alarming {
            tracing::warn!("the server shows no checkpoint of the present");
            self.alarm(Code::CheckpointAge, newest.and_then(|newest| newest.note)).await?;
        }
        if newer {
            self.prove_gossip().await?;
        }
        Ok(named)
    }

    /// C10: verifies a checkpoint, and then what of ours it covers. Whether it is newer than the one
    /// before; if it is not to be believed, messages go on, and somebody has to hear of it.
    async fn take_in_checkpoint(
        &self,
        news: CheckpointNews,
        before: Option<&CheckpointRow>,
    ) -> Result<bool, AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        drop(engine);
        let known = before.map(|row| Before {
            tree: tree(row),
            company_size: row.company_size.unwrap_or_default(),
        });
        let Believed { tree: head, outer, company_size } = match believe(&news, &company, known) {
            Ok(believed) => believed,
            // It comes again when the company log has come.
            Err(TreeError::CompanyAhead(_)) => return Ok(false),
            Err(error) => {
                tracing::warn!(%error, "a checkpoint is not to be believed");
                if !self.doubted.swap(true, Ordering::AcqRel) {
                    self.alarm(Code::Checkpoint, Some(news.note)).await?;
                }
                return Ok(false);
            }
        };
        let newer =
            known.is_none_or(|known| (head.era, head.size) > (known.tree.era, known.tree.size));
        let row = CheckpointRow {
            era: head.era,
            size: head.size,
            root: head.root,
            verified: true,
            note: Some(news.note),
            company_size: Some(company_size),
            durable: outer.durable,
            t_ms: outer.t_ms,
        };
        self.store
            .write(move |tx| {
                checkpoint::put(tx, &row)?;
                Ok::<_, AccountError>(checkpoint::prune(tx, row.era, row.size)?)
            })
            .await?;
        self.prove_logs(head, outer).await?;
        Ok(newer)
    }

    async fn alarm(&self, code: Code, evidence: Option<String>) -> Result<(), AccountError> {
        let t_ms = self.env.clock.now_ms();
        let evidence = evidence.map(String::into_bytes);
        let alarm = Alarm { log: None, code: code as u64, seq: None, evidence, t_ms };
        self.store
            .write(move |tx| Ok::<_, AccountError>(alarm::raise(tx, &alarm).map(|_| ())?))
            .await
    }

    /// Proves where logs stand under the checkpoint: those with something of ours that waits for it,
    /// those that were opened, and once a day all of them.
    async fn prove_logs(&self, head: TreeHead, outer: OuterLeaf) -> Result<(), AccountError> {
        let (waiting, all, proven_ms) = self
            .store
            .read(|conn| {
                let (mut waiting, mut all) = (Vec::new(), Vec::new());
                for log in log::all(conn)?.into_iter().filter(|log| log.next_seq > Seq(0)) {
                    if !outbox::accepted(conn, log.local.id)?.is_empty() {
                        waiting.push(log.local.id);
                    }
                    // Who is only let in may read the log, and is not shown its place.
                    if log.own_leaf.is_some() {
                        all.push(log.local.id);
                    }
                }
                let proven = account::fact(conn, HEADS_PROVEN)?;
                let proven_ms = proven.and_then(|bytes| decode::<TimeMs>(&bytes).ok());
                Ok::<_, AccountError>((waiting, all, proven_ms))
            })
            .await?;
        let daily = proven_ms.is_none_or(|proven| outer.t_ms >= proven.saturating_add(DAY_MS));
        let mut logs: BTreeSet<LogId> = waiting.into_iter().collect();
        if daily {
            logs.extend(&all);
        }
        logs.extend(self.opened_since(outer.t_ms).into_iter().filter(|log| all.contains(log)));
        let logs: Vec<LogId> = logs.into_iter().collect();
        for some in logs.chunks(PROVED_AT_ONCE) {
            self.prove_some(head, outer, some).await?;
        }
        if daily {
            let proven = encode(&outer.t_ms);
            self.store
                .write(move |tx| {
                    Ok::<_, AccountError>(account::put_fact(tx, HEADS_PROVEN, &proven)?)
                })
                .await?;
        }
        Ok(())
    }

    /// The logs that were opened and are to be proven by a checkpoint of this time.
    fn opened_since(&self, t_ms: TimeMs) -> Vec<LogId> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Opened { wanted, proven } = &mut *opened;
        let due =
            |log: &LogId| proven.get(log).is_none_or(|last| t_ms >= last.saturating_add(OPENED_MS));
        let logs: Vec<LogId> = std::mem::take(wanted).into_iter().filter(due).collect();
        proven.extend(logs.iter().map(|log| (*log, t_ms)));
        logs
    }

    async fn prove_some(
        &self,
        head: TreeHead,
        outer: OuterLeaf,
        logs: &[LogId],
    ) -> Result<(), AccountError> {
        let ask = |logs: &[LogId]| HeadsProofRequest {
            era: head.era,
            size: head.size,
            logs: logs.to_vec(),
        };
        let mut proofs: Vec<HeadsProof> = Vec::new();
        match self.server.heads(&ask(logs)).await {
            // One log that is too new for the checkpoint does not hide the others.
            Err(SyncError::Refused(404)) => {
                for log in logs {
                    match self.server.heads(&ask(std::slice::from_ref(log))).await {
                        Err(SyncError::Refused(404)) => {}
                        one => proofs.extend(one?),
                    }
                }
            }
            all => proofs = all?,
        }
        let mut shown = BTreeSet::new();
        for proof in proofs {
            if let Ok(HeadsLeaf { log_no, log: Some(covered) }) = heads_leaf(&outer, &proof)
                && self.compare(log_no, covered, outer.t_ms).await?
            {
                shown.insert(covered.log);
            }
        }
        for log in logs.iter().filter(|log| !shown.contains(log)) {
            self.compare_with_nothing(*log, outer.t_ms).await?;
        }
        Ok(())
    }

    /// A log as a verified checkpoint has it, against the log as this phone has it. Whether it is the
    /// log's own place.
    ///
    /// Only the place of the log's own number counts: under a second one a server could show another
    /// history of the same log in the same tree (docs/attacks.md 8).
    async fn compare(
        &self,
        log_no: LogNo,
        covered: LogHead,
        made_ms: TimeMs,
    ) -> Result<bool, AccountError> {
        let mut engine = self.engine.lock().await;
        let Some(mut ledger) = self.take_ledger(&mut engine, covered.log).await? else {
            return Ok(false);
        };
        let own_place = ledger.conversation.as_ref().map(|known| known.genesis.log_no);
        if own_place != Some(log_no) {
            Self::put_ledger(&mut engine, ledger);
            return Ok(false);
        }
        let t_ms = self.env.clock.now_ms();
        let (ledger, secured, taken_back) = self
            .store
            .write(move |tx| {
                let local = ledger.row.local;
                let end = Seq(covered.size);
                let mut secured = Vec::new();
                let last = end.0.checked_sub(1).map(Seq);
                // What this phone does not have yet is compared when it has it.
                let known = last.map(|last| entry::hash_at(tx, local, last)).transpose()?;
                match known.flatten() {
                    Some(hash) if hash == covered.hash => {
                        secured = outbox::secure(tx, covered.log, end)?;
                        message::secure(tx, local, end)?;
                        left_out(tx, &ledger.row, end, made_ms, t_ms)?;
                    }
                    Some(_) if ledger.row.state == LogState::Stopped => {}
                    Some(_) => {
                        let code = Code::Fork as u64;
                        ledger.row.state = LogState::Stopped;
                        ledger.row.stop_code = Some(code);
                        ledger.row.stop_seq = last;
                        let log = Some(covered.log);
                        let fork = Alarm { log, code, seq: last, evidence: None, t_ms };
                        alarm::raise(tx, &fork)?;
                    }
                    None => {}
                }
                let mut taken_back = false;
                for (intent, seq) in outbox::accepted(tx, covered.log)? {
                    if seq >= end && entry::hash_at(tx, local, seq)?.is_none() {
                        outcome::take_back(tx, &mut ledger, intent)?;
                        taken_back = true;
                    }
                }
                log::update(tx, &ledger.row)?;
                Ok::<_, AccountError>((ledger, secured, taken_back))
            })
            .await?;
        self.secured(&secured);
        Self::put_ledger(&mut engine, ledger);
        if taken_back {
            self.to_send.notify_one();
        }
        Ok(true)
    }

    /// The checkpoint is not shown to have a place for a log: alarming if the log is older.
    async fn compare_with_nothing(&self, log: LogId, made_ms: TimeMs) -> Result<(), AccountError> {
        let t_ms = self.env.clock.now_ms();
        self.store
            .write(move |tx| match log::find(tx, log)? {
                Some(row) => Ok::<_, AccountError>(left_out(tx, &row, Seq(0), made_ms, t_ms)?),
                None => Ok(()),
            })
            .await
    }

    /// Asks the witnesses again if the newest checkpoint is an hour newer than what they were asked about.
    pub(super) async fn ask_witnesses_hourly(&self) -> Result<(), AccountError> {
        let said =
            self.store.read(|conn| Ok::<_, AccountError>(account::fact(conn, WITNESSED)?)).await?;
        let said: Said = said.and_then(|said| decode(&said).ok()).unwrap_or_default();
        match self.newest_checkpoint().await? {
            Some(newest) if newest.t_ms >= said.0.saturating_add(WITNESSED_MS) => {
                self.ask_witnesses().await
            }
            _ => Ok(()),
        }
    }

    /// Asks what the company's witnesses said of the tree that this phone believes.
    pub(super) async fn ask_witnesses(&self) -> Result<(), AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        drop(engine);
        let Some(newest) = self.newest_checkpoint().await? else { return Ok(()) };
        if company.now().witnesses().next().is_none() {
            return Ok(());
        }
        let request = WitnessedRequest { era: newest.era, size: newest.size };
        let witnessed = self.server.witnessed(&request).await?;
        let seen = seen_by(&witnessed, &tree(&newest), &company.now());
        let said: Vec<_> =
            seen.iter().map(|seen| (seen.witness.name.clone(), seen.size, seen.time_s)).collect();
        let said = encode(&(newest.t_ms, said));
        self.store
            .write(move |tx| Ok::<_, AccountError>(account::put_fact(tx, WITNESSED, &said)?))
            .await
    }
}

/// An entry of this phone's copy that the checkpoint, made at `made_ms`, should cover and does not:
/// the server cuts the tail (docs/attacks.md 7).
fn left_out(
    tx: &crate::store::Tx<'_>,
    row: &log::Log,
    end: Seq,
    made_ms: TimeMs,
    now_ms: TimeMs,
) -> Result<(), crate::store::StoreError> {
    let first = entry::time_at(tx, row.local, end)?;
    let older = first.is_some_and(|t_ms| t_ms.saturating_add(COVERED_MS) < made_ms);
    if older && row.state != LogState::Stopped {
        let (log, code) = (Some(row.local.id), Code::Uncovered as u64);
        let alarm = Alarm { log, code, seq: Some(end), evidence: None, t_ms: now_ms };
        alarm::raise_once(tx, &alarm)?;
    }
    Ok(())
}

/// What a row's checkpoint signed.
pub(super) fn tree(row: &CheckpointRow) -> TreeHead {
    TreeHead { era: row.era, size: row.size, root: row.root }
}
