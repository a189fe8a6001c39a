//! Pulling: one request for everything that is new, for all conversations at once.

use std::sync::atomic::Ordering;

use hauspost_protocol::body::LogType;
use hauspost_protocol::entry::Entry;
use hauspost_protocol::ids::{LogId, Seq};
use hauspost_protocol::wire::{LogNews, SyncRequest};

use super::AccountError;
use super::engine::{Core, Engine};
use crate::inbound::{self, Reader};
use crate::ledger::Ledger;
use crate::store::rows::account::{self, AccountState};
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::company::{self, CompanyEntry};
use crate::store::rows::{checkpoint, log};
use crate::sync::SyncError;

/// Pulls in a row before the others get their turn.
const PULLS: usize = 1_000;

impl Core {
    /// Pulls once; whether there is more.
    pub(super) async fn pull(&self) -> Result<bool, AccountError> {
        let _one = self.pulling.lock().await;
        let request = self.cursors().await?;
        let answer = match self.server.sync(&request).await {
            Err(SyncError::Session) => {
                // A revoked device gets nothing any more, not even the entry that says so.
                self.note_revoked().await?;
                return Err(AccountError::Revoked);
            }
            answer => answer?,
        };
        self.server_ms.store(answer.t_ms, Ordering::Release);
        let mut engine = self.engine.lock().await;
        self.note_accepted(&mut engine).await?;
        let mut moved = !answer.company.is_empty();
        if moved {
            self.to_name.notify_one();
        }
        self.take_in_company(&mut engine, answer.company).await?;
        for news in answer.logs {
            moved |= self.take_in_log(&mut engine, news).await?;
        }
        drop(engine);
        // Before anything that may fail: what moved now does not move again.
        if moved {
            self.to_send.notify_one();
        }
        if let Some(news) = answer.checkpoint {
            match self.take_in_checkpoint(news).await {
                Err(AccountError::Checkpoint) => self.doubt().await?,
                taken => taken?,
            }
        }
        Ok(answer.more && moved)
    }

    /// The server's checkpoint is not to be believed: messages go on, and somebody has to hear of it.
    async fn doubt(&self) -> Result<(), AccountError> {
        if self.doubted.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (code, t_ms) = (inbound::Code::Checkpoint as u64, self.env.clock.now_ms());
        let alarm = Alarm { log: None, code, seq: None, evidence: None, t_ms };
        self.store
            .write(move |tx| Ok::<_, AccountError>(alarm::raise(tx, &alarm).map(|_| ())?))
            .await
    }

    /// The server answers this device again. That it refused it once was then no revocation: those
    /// stand in the company log (C11).
    async fn note_accepted(&self, engine: &mut Engine) -> Result<(), AccountError> {
        let stored = self.store.read(|conn| Ok::<_, AccountError>(account::find(conn)?)).await?;
        let noted = stored.filter(|stored| stored.state == AccountState::Revoked);
        let Some(mut stored) = noted else { return Ok(()) };
        if self.company(engine).await?.now().is_revoked(self.me.device) {
            return Ok(());
        }
        stored.state = AccountState::Enrolled;
        self.store.write(move |tx| Ok::<_, AccountError>(account::put(tx, &stored)?)).await
    }

    async fn note_revoked(&self) -> Result<(), AccountError> {
        self.store
            .write(|tx| {
                if let Some(mut stored) = account::find(tx)?
                    && stored.state != AccountState::Revoked
                {
                    stored.state = AccountState::Revoked;
                    account::put(tx, &stored)?;
                }
                Ok::<_, AccountError>(())
            })
            .await
    }

    /// Pulls until there is no more.
    pub(super) async fn pull_all(&self) -> Result<(), AccountError> {
        for _ in 0..PULLS {
            if !self.pull().await? {
                self.pulled.store(true, Ordering::Release);
                break;
            }
        }
        Ok(())
    }

    async fn cursors(&self) -> Result<SyncRequest, AccountError> {
        self.store
            .read(|conn| {
                let logs = log::all(conn)?;
                let known = logs.iter().filter(|log| log.next_seq > Seq(0));
                let cursors: Vec<(LogId, Seq)> =
                    known.map(|log| (log.local.id, log.next_seq)).collect();
                let newest = checkpoint::newest(conn)?;
                Ok(SyncRequest {
                    cursors,
                    company_next: company::cursor(conn)?.0,
                    checkpoint: newest.map(|newest| (newest.era, newest.size)),
                })
            })
            .await
    }

    async fn take_in_company(
        &self,
        engine: &mut Engine,
        entries: Vec<Entry>,
    ) -> Result<(), AccountError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut company = self.take_company(engine).await?;
        let next = company.size();
        let entries: Vec<_> = entries.into_iter().filter(|entry| entry.seq.0 >= next).collect();
        let mut rng = self.env.randomness.rng();
        let applied = company.apply_all(&entries, &mut rng)?;
        let rows: Vec<_> = entries
            .iter()
            .zip(&applied)
            .map(|(entry, applied)| CompanyEntry {
                seq: entry.seq,
                t_ms: entry.t_ms,
                core: entry.core(),
                hash: applied.hash(),
                head: entry.head.0.clone(),
                payload: entry.payload.bytes().map(<[u8]>::to_vec),
            })
            .collect();
        let revoked = company.now().is_revoked(self.me.device);
        self.store
            .write(move |tx| {
                Ok::<_, AccountError>(rows.iter().try_for_each(|row| company::insert(tx, row))?)
            })
            .await?;
        Self::put_company(engine, company);
        if revoked { self.note_revoked().await } else { Ok(()) }
    }

    /// Takes in the news of one log; whether anything was new.
    async fn take_in_log(&self, engine: &mut Engine, news: LogNews) -> Result<bool, AccountError> {
        let company = self.company(engine).await?;
        let ledger = self.take_ledger(engine, news.log).await?;
        let mut ledger = ledger.unwrap_or_else(|| Ledger::new(news.log, LogType::Group));
        let epoch = ledger.row.epoch;
        let me = self.me.clone();
        let rng = self.env.randomness.rng();
        let now_ms = self.env.clock.now_ms();
        let (mut ledger, changes) = self
            .store
            .read(move |conn| {
                let mut reader = Reader { conn, me: &me, company: &company, rng, now_ms };
                let changes = inbound::take(&mut reader, &mut ledger, &news)?;
                Ok::<_, AccountError>((ledger, changes))
            })
            .await?;
        let moved = changes.count() > 0;
        if !changes.is_empty() {
            let me = self.me.clone();
            ledger = self
                .store
                .write(move |tx| {
                    changes.store(tx, &me, &mut ledger)?;
                    Ok::<_, AccountError>(ledger)
                })
                .await?;
        }
        if ledger.row.epoch != epoch {
            self.to_add.notify_one();
        }
        if ledger.row.local.number != 0 {
            Self::put_ledger(engine, ledger);
        }
        Ok(moved)
    }
}
