//! Pulling: one request for everything that is new, for all conversations at once.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hauspost_protocol::body::LogType;
use hauspost_protocol::company::finding::Finding;
use hauspost_protocol::encoding::{FormError, encode};
use hauspost_protocol::entry::{Entry, Head, Kind};
use hauspost_protocol::ids::{LeafIndex, LogId, Seq, TimeMs};
use hauspost_protocol::wire::{LogNews, SyncRequest};
use rusqlite::Connection;

use super::AccountError;
use super::behaviour::note_policy;
use super::engine::{Core, Engine};
use super::position::{Position, Took};
use crate::inbound::{self, Changes, Reader};
use crate::ledger::Ledger;
use crate::store::rows::account::{self, AccountState};
use crate::store::rows::alarm::{self, Alarm};
use crate::store::rows::company::{self, CompanyEntry};
use crate::store::rows::log::LogState;
use crate::store::rows::{checkpoint, log};
use crate::store::{StoreError, Tx};
use crate::sync::SyncError;

/// Pulls in a row before the others get their turn.
const PULLS: usize = 1_000;

impl Core {
    /// Pulls once; whether there is more.
    pub(super) async fn pull(&self) -> Result<bool, AccountError> {
        let _one = self.pulling.lock().await;
        let position = self.position();
        let (request, revoked) = match self.tail(&position) {
            Some(request) => (request, false),
            None => self.cursors(&position).await?,
        };
        let answer = match self.server.sync(&request).await {
            Err(SyncError::Session) => {
                // A revoked device gets nothing any more, not even the entry that says so.
                self.note_revoked().await?;
                return Err(AccountError::Revoked);
            }
            answer => answer?,
        };
        self.server_ms.store(answer.t_ms, Ordering::Release);
        // Until all of it is stored nothing is sure: what fails on the way names all cursors again.
        self.set_position(Position::default());
        let mut engine = self.engine.lock().await;
        if revoked {
            self.note_accepted(&mut engine).await?;
        }
        let mut moved = !answer.company.is_empty();
        if moved {
            self.to_name.notify_one();
        }
        let logs = answer.logs.iter().filter_map(|news| news.entries.last());
        let newest_ms = logs.chain(answer.company.last()).map(|entry| entry.t_ms).max();
        self.take_in_company(&mut engine, answer.company).await?;
        let mut took = Vec::with_capacity(answer.logs.len());
        for news in answer.logs {
            let log = news.log;
            let cursors = &request.cursors;
            let is_named =
                request.since.is_none() || cursors.iter().any(|(named, _)| *named == log);
            let (new, of_it) = Box::pin(self.take_in_log(&mut engine, news, is_named)).await?;
            moved |= new;
            took.push((log, of_it));
        }
        let company_next = Seq(self.company(&mut engine).await?.size());
        drop(engine);
        let (since, now_ms) = (request.since, self.env.clock.now_ms());
        let said = (moved, answer.more);
        let (position, again) = position.after((since, answer.now), &took, said, now_ms);
        self.set_position(position);
        // Before anything that may fail: what moved now does not move again.
        if moved {
            self.to_send.notify_one();
            self.past.to_look.notify_one();
        }
        let checkpoint =
            self.take_in_freshness(answer.checkpoint, newest_ms.unwrap_or_default()).await?;
        *lock(&self.tail) = Some(Tail { company_next, checkpoint });
        Ok(again)
    }

    fn position(&self) -> Position {
        lock(&self.position).clone()
    }

    fn set_position(&self, position: Position) {
        *lock(&self.position) = position;
    }

    /// The request of a phone that is up to date, without a question to the database. Once.
    fn tail(&self, position: &Position) -> Option<SyncRequest> {
        let tail = lock(&self.tail).take()?;
        let since = position.since(self.env.clock.now_ms())?;
        if position.apart().next().is_some() {
            return None;
        }
        let Tail { company_next, checkpoint } = tail;
        Some(SyncRequest { since: Some(since), cursors: Vec::new(), company_next, checkpoint })
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
            if !Box::pin(self.pull()).await? {
                self.pulled.store(true, Ordering::Release);
                break;
            }
        }
        Ok(())
    }

    /// What to ask for, and whether the server refused this device when it was asked last.
    async fn cursors(&self, position: &Position) -> Result<(SyncRequest, bool), AccountError> {
        let since = position.since(self.env.clock.now_ms());
        let apart: Vec<LogId> = position.apart().collect();
        self.store
            .read(move |conn| {
                let cursors = if since.is_some() {
                    let cursor =
                        |id| Ok((id, log::find(conn, id)?.map_or(Seq(0), |log| log.next_seq)));
                    apart.into_iter().map(cursor).collect::<Result<Vec<_>, StoreError>>()?
                } else {
                    let known = log::all(conn)?.into_iter().filter(|log| log.next_seq > Seq(0));
                    known.map(|log| (log.local.id, log.next_seq)).collect()
                };
                let newest = checkpoint::newest(conn)?;
                let stored = account::find(conn)?;
                let revoked = stored.is_some_and(|stored| stored.state == AccountState::Revoked);
                let request = SyncRequest {
                    since,
                    cursors,
                    company_next: company::cursor(conn)?.0,
                    checkpoint: newest.map(|newest| (newest.era, newest.size)),
                };
                Ok((request, revoked))
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
        let now_ms = self.env.clock.now_ms();
        let alarms: Vec<_> = entries
            .iter()
            .zip(&applied)
            .filter_map(|(entry, applied)| made_up(entry, applied.finding()?, now_ms))
            .collect();
        let revoked = company.now().is_revoked(self.me.device);
        let terms = company.now().terms().clone();
        self.store
            .write(move |tx| {
                rows.iter().try_for_each(|row| company::insert(tx, row))?;
                alarms.iter().try_for_each(|alarm| alarm::raise_once(tx, alarm))?;
                note_policy(tx, &terms)?;
                Ok::<_, AccountError>(())
            })
            .await?;
        Self::put_company(engine, company);
        if revoked { self.note_revoked().await } else { Ok(()) }
    }

    /// Takes in the news of one log: whether anything was new, and how much of them it was.
    async fn take_in_log(
        &self,
        engine: &mut Engine,
        news: LogNews,
        is_named: bool,
    ) -> Result<(bool, Took), AccountError> {
        let company = self.company(engine).await?;
        let ledger = self.take_ledger(engine, news.log).await?;
        let mut ledger = ledger.unwrap_or_else(|| Ledger::new(news.log, LogType::Group));
        let (log, epoch) = (news.log, ledger.row.epoch);
        let first = news.entries.first().map(|entry| entry.seq);
        if !is_named && first.is_some_and(|first| first > ledger.row.next_seq) {
            if ledger.row.local.number != 0 {
                Self::put_ledger(engine, ledger);
            }
            return Ok((false, Took::Ahead));
        }
        let size = news.size;
        let wrote = if self.is_anybody_typing(news.log) { writers(&news) } else { Vec::new() };
        let few = is_few(&news);
        let me = self.me.clone();
        let rng = self.env.randomness.rng();
        let (now_ms, inherited) = (self.env.clock.now_ms(), self.inherited);
        let take = move |conn: &Connection| {
            let mut reader = Reader { conn, me: &me, company: &company, rng, now_ms, inherited };
            let changes = inbound::take(&mut reader, &mut ledger, &news)?;
            Ok::<_, AccountError>((ledger, changes))
        };
        let me = self.me.clone();
        let store = move |tx: &Tx<'_>, (mut ledger, changes): (Ledger, Changes)| {
            let moved = changes.count() > 0;
            if !changes.is_empty() {
                changes.store(tx, &me, &mut ledger)?;
            }
            Ok::<_, AccountError>((ledger, moved))
        };
        let (ledger, moved) = if few {
            self.store.write(move |tx| store(tx, take(tx)?)).await?
        } else {
            let (ledger, changes) = self.store.read(take).await?;
            if changes.is_empty() {
                (ledger, false)
            } else {
                self.store.write(move |tx| store(tx, (ledger, changes))).await?
            }
        };
        if ledger.row.epoch != epoch {
            self.to_add.notify_one();
        }
        if !wrote.is_empty() {
            let devices = wrote.iter().filter_map(|leaf| ledger.member(*leaf));
            self.others_wrote(log, devices.map(|member| member.device));
        }
        let is_whole = ledger.row.next_seq.0 >= size || ledger.row.state == LogState::Stopped;
        if ledger.row.local.number != 0 {
            Self::put_ledger(engine, ledger);
        }
        Ok((moved, if is_whole { Took::All } else { Took::Part }))
    }
}

/// The leaves whose messages these news bring.
fn writers(news: &LogNews) -> Vec<LeafIndex> {
    let heads = news.entries.iter().filter_map(|entry| Head::parse(&entry.head).ok());
    heads.filter(|head| !head.transient).filter_map(|head| Some(head.slot?.leaf)).collect()
}

/// How far the last pull went, when all that it brought was stored.
pub(super) struct Tail {
    company_next: Seq,
    /// The newest checkpoint verified: era and outer size.
    checkpoint: Option<(u64, u64)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that are opened in the transaction that stores them.
const FEW: usize = 8;

/// Whether news are so little work that they are opened in the transaction that stores them, at once and
/// with the pages that it has in memory. More are judged beside a writer that goes on, and so is every
/// commit.
fn is_few(news: &LogNews) -> bool {
    let is_record =
        |entry: &Entry| Head::parse(&entry.head).is_ok_and(|head| head.kind == Kind::Record);
    (1..=FEW).contains(&news.entries.len()) && news.entries.iter().all(is_record)
}

/// An entry of the company log that does not count: an honest server takes none of them (A#1, C11).
/// Only what this version does not know may be another one's word.
fn made_up(entry: &Entry, finding: Finding, t_ms: TimeMs) -> Option<Alarm> {
    if matches!(finding, Finding::Form(FormError::Unlisted) | Finding::Kind) {
        return None;
    }
    tracing::warn!(seq = entry.seq.0, %finding, "an entry of the company log does not count");
    let (code, evidence) = (inbound::Code::Company as u64, Some(encode(entry)));
    Some(Alarm { log: None, code, seq: Some(entry.seq), evidence, t_ms })
}
