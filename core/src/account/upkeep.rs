//! What a phone does besides: key packages, names, checkpoints.

use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::{LogId, LogNo, Seq};
use hauspost_protocol::mls::member::Suite;
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::tree::heads::{HeadsLeaf, LogHead, OuterLeaf};
use hauspost_protocol::tree::proof::{Believed, believe, heads_leaf};
use hauspost_protocol::wire::{CheckpointNews, HeadsProofRequest, PackagesPut};

use super::AccountError;
use super::engine::Core;
use crate::group::{self, GroupError, packages};
use crate::inbound::{Code, Snapshot};
use crate::ledger::Ledger;
use crate::outbox::change::ChangeError;
use crate::outbox::intent::Add;
use crate::outbox::outcome;
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::checkpoint::{self, CheckpointRow};
use crate::store::rows::log::{self, LogState};
use crate::store::rows::mls::MlsTable;
use crate::store::rows::outbox::{IntentKind, NewIntent};
use crate::store::rows::{account, entry, message, outbox, person};
use crate::sync::SyncError;

const DIRECTORY: &str = "directory";
/// A package of last resort is made anew after this time.
const LAST_RESORT_MS: u64 = 28 * hauspost_protocol::limits::DAY_MS;

/// Under which name it is noted when this suite's package of last resort was made.
fn last_resort_fact(suite: Suite) -> &'static str {
    match suite {
        Suite::Hybrid => "last-resort-hybrid",
        Suite::Classic => "last-resort-classic",
    }
}

impl Core {
    /// Brings the server's stock of key packages of each suite up, if it is low, and the packages of
    /// last resort up to date.
    pub(super) async fn stock_packages(&self) -> Result<(), AccountError> {
        for suite in Suite::ALL {
            self.stock_packages_of(suite).await?;
        }
        Ok(())
    }

    /// The private halves are stored before the server gets the public ones.
    async fn stock_packages_of(&self, suite: Suite) -> Result<(), AccountError> {
        let now_ms = self.env.clock.now_ms();
        let nothing = PackagesPut { suite: suite.code(), packages: Vec::new(), last_resort: None };
        let stock = self.server.put_packages(&nothing).await?;
        let fact = last_resort_fact(suite);
        let made =
            self.store.read(move |conn| Ok::<_, AccountError>(account::fact(conn, fact)?)).await?;
        let made_ms = made.and_then(|bytes| decode::<u64>(&bytes).ok());
        let last_resort = made_ms.is_none_or(|made| made.saturating_add(LAST_RESORT_MS) < now_ms);
        if stock >= packages::LOW_WATER && !last_resort {
            return Ok(());
        }
        // The server drops the old ones when a new last resort comes, so that none grows too old.
        let count =
            if last_resort { packages::STOCK } else { packages::STOCK.saturating_sub(stock) };
        let me = self.me.clone();
        let mut rng = self.env.randomness.rng();
        let (put, mls) = self
            .store
            .read(move |conn| {
                let provider = group::provider(Snapshot(conn), &mut rng);
                let put = packages::make(&provider, me.member(), suite, count, last_resort, now_ms)
                    .map_err(|error| ChangeError::Group(GroupError::from(error)))?;
                Ok::<_, AccountError>((put, provider.backend().take_changes()))
            })
            .await?;
        self.store
            .write(move |tx| {
                tx.flush();
                Ok::<_, AccountError>(mls.apply(&MlsTable(tx))?)
            })
            .await?;
        self.server.put_packages(&put).await?;
        if last_resort {
            let made = encode(&now_ms);
            self.store
                .write(move |tx| Ok::<_, AccountError>(account::put_fact(tx, fact, &made)?))
                .await?;
        }
        Ok(())
    }

    /// Fetches the names that changed.
    pub(super) async fn refresh_people(&self) -> Result<(), AccountError> {
        let known =
            self.store.read(|conn| Ok::<_, AccountError>(account::fact(conn, DIRECTORY)?)).await?;
        let known = known.and_then(|bytes| decode::<u64>(&bytes).ok()).unwrap_or_default();
        let news = self.server.directory(known).await?;
        self.store
            .write(move |tx| {
                person::put(tx, &news.people)?;
                Ok::<_, AccountError>(account::put_fact(tx, DIRECTORY, &encode(&news.version))?)
            })
            .await
    }

    /// Adds devices that came after their users were let in: a second phone, or somebody who had none
    /// when the conversation began. The creator's phones do it for all, the others for their own
    /// user, so that not everybody commits at once.
    pub(super) async fn add_missing(&self) -> Result<(), AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        drop(engine);
        let (me, now_ms) = (self.me.clone(), self.env.clock.now_ms());
        let missing = self
            .store
            .read(move |conn| {
                let mut missing = Vec::new();
                for row in log::all(conn)? {
                    if row.state != LogState::Active || row.own_leaf.is_none() {
                        continue;
                    }
                    let Some(ledger) = Ledger::load(conn, row.local.id)? else { continue };
                    let Some(conversation) = &ledger.conversation else { continue };
                    if !outbox::open(conn, row.local.id, 1)?.is_empty() {
                        continue;
                    }
                    let creator = conversation.genesis.creator == me.user;
                    let let_in = conversation.people().map(|(user, _)| user);
                    let mine = let_in.filter(|user| creator || *user == me.user);
                    let now = company.now();
                    let users: Vec<_> = mine
                        .filter(|user| conversation.may_enter(*user))
                        .filter(|user| {
                            let mut devices = now.devices_of(*user);
                            devices.any(|device| ledger.leaf_of(device.device).is_none())
                        })
                        .collect();
                    if !users.is_empty() {
                        missing.push((row.local.id, users));
                    }
                }
                Ok::<_, AccountError>(missing)
            })
            .await?;
        if missing.is_empty() {
            return Ok(());
        }
        self.store
            .write(move |tx| {
                for (log, users) in missing {
                    let body = encode(&Add { users, by_itself: true, packages: None });
                    let kind = IntentKind::Add;
                    let message_id = None;
                    outbox::insert(
                        tx,
                        &NewIntent { log, kind, message_id, body, made_ms: now_ms },
                    )?;
                }
                Ok::<_, AccountError>(())
            })
            .await?;
        self.to_send.notify_one();
        Ok(())
    }

    /// The newest checkpoint verified, to be told to the others.
    pub(super) async fn gossip(&self) -> Result<Option<TreeHead>, AccountError> {
        let newest =
            self.store.read(|conn| Ok::<_, AccountError>(checkpoint::newest(conn)?)).await?;
        Ok(newest.map(|row| TreeHead { era: row.era, size: row.size, root: row.root }))
    }

    /// C10: verifies a checkpoint, and then what of ours it covers.
    pub(super) async fn take_in_checkpoint(
        &self,
        news: CheckpointNews,
    ) -> Result<(), AccountError> {
        let mut engine = self.engine.lock().await;
        let company = self.company(&mut engine).await?;
        drop(engine);
        let known = self.gossip().await?;
        let believed = believe(&news, &company.now(), known);
        let Believed { tree: head, outer } = believed.map_err(|_| AccountError::Checkpoint)?;
        let row = CheckpointRow {
            era: head.era,
            size: head.size,
            root: head.root,
            verified: true,
            note: Some(news.note),
            company_size: Some(company.size()),
            durable: outer.durable,
            t_ms: outer.t_ms,
        };
        self.store
            .write(move |tx| {
                checkpoint::put(tx, &row)?;
                Ok::<_, AccountError>(checkpoint::prune(tx, row.era, row.size)?)
            })
            .await?;
        self.secure(head, outer).await
    }

    /// Own entries that the checkpoint covers are secured: their bytes need not be kept any more.
    async fn secure(&self, head: TreeHead, outer: OuterLeaf) -> Result<(), AccountError> {
        let logs: Vec<LogId> = self
            .store
            .read(|conn| {
                let all = log::all(conn)?;
                let mut waiting = Vec::new();
                for log in all {
                    if !outbox::accepted(conn, log.local.id)?.is_empty() {
                        waiting.push(log.local.id);
                    }
                }
                Ok::<_, AccountError>(waiting)
            })
            .await?;
        if logs.is_empty() {
            return Ok(());
        }
        let request = HeadsProofRequest { era: head.era, size: head.size, logs };
        let proofs = match self.server.heads(&request).await {
            // A newer checkpoint took its place meanwhile; that one comes with the next pull.
            Err(SyncError::Refused(404)) => return Ok(()),
            proofs => proofs?,
        };
        for proof in proofs {
            if let Ok(HeadsLeaf { log_no, log: Some(covered) }) = heads_leaf(&outer, &proof) {
                self.compare(log_no, covered).await?;
            }
        }
        Ok(())
    }

    /// A log as a verified checkpoint has it, against the log as this phone has it.
    ///
    /// Only the place of the log's own number counts: under a second one a server could show another
    /// history of the same log in the same tree (docs/attacks.md 8).
    async fn compare(&self, log_no: LogNo, covered: LogHead) -> Result<(), AccountError> {
        let mut engine = self.engine.lock().await;
        let Some(mut ledger) = self.take_ledger(&mut engine, covered.log).await? else {
            return Ok(());
        };
        let own_place = ledger.conversation.as_ref().map(|known| known.genesis.log_no);
        if own_place != Some(log_no) {
            Self::put_ledger(&mut engine, ledger);
            return Ok(());
        }
        let t_ms = self.env.clock.now_ms();
        let (ledger, taken_back) = self
            .store
            .write(move |tx| {
                let local = ledger.row.local;
                let end = Seq(covered.size);
                let last = end.0.checked_sub(1).map(Seq);
                // What this phone does not have yet is compared when it has it.
                let known = last.map(|last| entry::hash_at(tx, local, last)).transpose()?;
                match known.flatten() {
                    Some(hash) if hash == covered.hash => {
                        outbox::secure(tx, covered.log, end)?;
                        message::secure(tx, local, end)?;
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
                Ok::<_, AccountError>((ledger, taken_back))
            })
            .await?;
        Self::put_ledger(&mut engine, ledger);
        if taken_back {
            self.to_send.notify_one();
        }
        Ok(())
    }
}
