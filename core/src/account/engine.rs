//! The state that pulling and sending move, under one lock.
//!
//! What is in memory is what the last transaction stored. A part is taken out while it is moved and
//! put back after the commit; whatever goes wrong in between, a failed write or a dropped future,
//! leaves it out, and it is read from the database when it is next needed. No network I/O happens
//! under the lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use hauspost_protocol::body::LogType;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::entry::{Entry, Payload};
use hauspost_protocol::ids::{Digest, LogId, TimeMs};
use rusqlite::Connection;
use tokio::sync::{Mutex, Notify};

use super::AccountError;
use super::checkpoints::Opened;
use super::deferred::Deferred;
use super::documents::Documents;
use super::enter::Entering;
use super::freshness::Freshness;
use super::hints::Hints;
use super::history::Past;
use super::inspect::Inspecting;
use super::link::LinkTeller;
use super::own::Own;
use super::position::Position;
use super::previews::Previews;
use super::pull::Tail;
use super::reach::Asking;
use super::reset::Migrating;
use super::unsent::Handed;
use crate::env::Env;
use crate::inbound::Me;
use crate::ledger::Ledger;
use crate::outbox::plan::Batch;
use crate::store::rows::company;
use crate::store::{Store, StoreError};
use crate::sync::Server;

/// What all clones of an account share.
pub struct Core {
    pub(super) env: Env,
    pub(super) store: Store,
    pub(super) me: Arc<Me>,
    pub(super) pin: Digest,
    pub(super) server: Server,
    pub(super) engine: Mutex<Engine>,
    /// The newest intent that was there when the account was opened. Those up to it may have been
    /// sent already, should the database be an old one that was put back.
    pub(super) inherited: i64,
    /// Documents on their way.
    pub(super) documents: Documents,
    /// One pull at a time, so that answers come in the order of their cursors.
    pub(super) pulling: Mutex<()>,
    /// One sender at a time, so that a log's records are sent in order.
    pub(super) pushing: Mutex<()>,
    /// What was sealed when it was said, for the sender to send first.
    pub(super) ready: std::sync::Mutex<Option<(LogId, Batch)>>,
    /// What the server takes later.
    pub(super) deferred: Deferred,
    /// Where the next pull goes on.
    pub(super) position: std::sync::Mutex<Position>,
    /// What the next pull need not ask the database for.
    pub(super) tail: std::sync::Mutex<Option<Tail>>,
    /// Whether the log was pulled to its end since the account was opened.
    pub(super) pulled: AtomicBool,
    /// How long the server has shown nothing newer.
    pub(super) freshness: std::sync::Mutex<Freshness>,
    /// Logs that were opened.
    pub(super) opened: std::sync::Mutex<Opened>,
    /// Whether a checkpoint was not to be believed, and somebody heard of it.
    pub(super) doubted: AtomicBool,
    /// The server's clock, as its last answer told it; 0 before the first.
    pub(super) server_ms: AtomicU64,
    /// Something waits to be sent.
    pub(super) to_send: Notify,
    /// Something may be there to pull.
    pub(super) to_pull: Notify,
    /// The company log names devices of people whose names may not be known.
    pub(super) to_name: Notify,
    /// One question for names at a time, so that answers come in the order of their versions.
    pub(super) naming: Mutex<()>,
    /// A conversation has another roster, in which somebody may be missing.
    pub(super) to_add: Notify,
    /// How the server is reached.
    pub(super) link: LinkTeller,
    /// The reading of documents' text.
    pub(super) inspecting: Inspecting,
    /// Previews that are made and looked at.
    pub(super) previews: Previews,
    /// When groups may be entered by an external commit.
    pub(super) entering: Entering,
    /// The past that is asked for, given and read.
    pub(super) past: Past,
    /// How far messages have come, where somebody looks.
    pub(super) asking: Asking,
    /// Who is typing, who is there: what this phone has to say of it, and what it heard.
    pub(super) hints: Hints,
    /// What this person's devices are to agree on.
    pub(super) own: Own,
    /// The resets that this phone tried to make.
    pub(super) resetting: Entering,
    /// The groups to which the policy's suite is still to come.
    pub(super) migrating: Migrating,
    /// The types of conversations, as far as they were asked for.
    pub(super) types: std::sync::Mutex<HashMap<LogId, LogType>>,
    /// What was handed to the network and what was taken out of its way.
    pub(super) handed: std::sync::Mutex<Handed>,
}

/// What is kept in memory between two transactions.
#[derive(Default)]
pub(super) struct Engine {
    company: Option<Arc<Company>>,
    ledgers: HashMap<LogId, Ledger>,
    /// The time of the checkpoint that this phone named last in a log.
    pub(super) named: HashMap<LogId, TimeMs>,
    /// When the server takes the next pure update of a log (C13).
    pub(super) update_from: HashMap<LogId, TimeMs>,
}

impl Engine {
    /// The company and a log, taken out to be moved, if both are in memory.
    pub(super) fn in_memory(&mut self, log: LogId) -> Option<(Arc<Company>, Ledger)> {
        let company = self.company.clone()?;
        Some((company, self.ledgers.remove(&log)?))
    }
}

impl Core {
    /// The company, from memory or read anew.
    pub(super) async fn company(&self, engine: &mut Engine) -> Result<Arc<Company>, AccountError> {
        if let Some(company) = &engine.company {
            return Ok(company.clone());
        }
        let pin = self.pin;
        let company: Company = self.store.read(move |conn| read_company(conn, pin)).await?;
        let company = Arc::new(company);
        engine.company = Some(company.clone());
        Ok(company)
    }

    /// The company, taken out to be changed.
    pub(super) async fn take_company(&self, engine: &mut Engine) -> Result<Company, AccountError> {
        self.make_ready(None);
        self.company(engine).await?;
        let company = engine.company.take().ok_or(AccountError::WrongCompany)?;
        Ok(Arc::unwrap_or_clone(company))
    }

    /// The company back in its place, after its entries were stored.
    pub(super) fn put_company(engine: &mut Engine, company: Company) {
        engine.company = Some(Arc::new(company));
    }

    /// A log's state, taken out to be moved; read from the database if it is not in memory.
    pub(super) async fn take_ledger(
        &self,
        engine: &mut Engine,
        log: LogId,
    ) -> Result<Option<Ledger>, AccountError> {
        // What was to be sent is looked at again by whoever moves its log.
        self.forget_ready(log);
        match engine.ledgers.remove(&log) {
            Some(ledger) => Ok(Some(ledger)),
            None => self.store.read(move |conn| Ok(Ledger::load(conn, log)?)).await,
        }
    }

    /// A log's state back in its place, after it was stored.
    pub(super) fn put_ledger(engine: &mut Engine, ledger: Ledger) {
        engine.ledgers.insert(ledger.row.local.id, ledger);
    }

    /// The server's clock, or nothing if it takes no pure update of this log now (C13).
    pub(super) fn updates_ms(&self, engine: &Engine, log: LogId) -> Option<TimeMs> {
        let refused_until = engine.update_from.get(&log).copied().unwrap_or_default();
        Some(self.server_ms()).filter(|now| *now > 0 && *now >= refused_until)
    }

    /// The server's clock, as its last answer told it; 0 before the first.
    pub(super) fn server_ms(&self) -> TimeMs {
        self.server_ms.load(Ordering::Acquire)
    }

    /// Forgets what is in memory; the database holds it.
    pub(super) async fn forget(&self) {
        *self.engine.lock().await = Engine::default();
        self.make_ready(None);
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Position::default();
    }
}

/// The company as its stored entries make it. They were verified before they were stored, in a
/// database that nobody else can write.
fn read_company(conn: &Connection, pin: Digest) -> Result<Company, AccountError> {
    let mut company = Company::new(pin);
    let stored = company::entries(conn, hauspost_protocol::ids::Seq(0))?;
    let entries: Vec<_> = stored
        .into_iter()
        .map(|entry| {
            let payload = entry.payload.ok_or(StoreError::Unreadable("company entry"))?;
            Ok(Entry {
                head: Bytes(entry.head),
                payload: Payload::Kept(Bytes(payload)),
                seq: entry.seq,
                t_ms: entry.t_ms,
                co: entry.seq.0,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    for entry in &entries {
        company.apply(entry)?;
    }
    Ok(company)
}
