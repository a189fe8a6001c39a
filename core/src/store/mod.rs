//! One encrypted database for each account, one transaction for each change.
//!
//! [`Store::write`] runs a job on the one connection that writes, in one transaction:
//! MLS state, chain heads, messages, outbox, cursors and the full-text index change together or not at
//! all. [`Store::read`] runs a job on one of a few reading connections, which see the last commit and
//! never wait for the writer. No network and no foreign code runs inside either.
//!
//! A dropped future does not tear a job: a write that was handed over runs whole, one that was not
//! never runs. Observers hear of a change after its commit and never of a rollback.
//!
//! A second writer on the same database, in this process or another, is refused by a lock on the file
//! beside it ([`StoreError::InUse`]). A process that only reads, such as the one that shows a
//! notification, opens a [`ReadOnlyStore`] at any time.
//!
//! Rooms: [`opening`](self) is the one place that opens connections, `schema` versions the tables of
//! `migrations/`, [`rows`] holds the tables' rows and the functions that read and write them,
//! `search` the full-text index, `faults` what simulation breaks.

pub(crate) mod cell;
mod error;
mod faults;
#[cfg(test)]
pub(crate) mod fixture;
mod opening;
mod readers;
pub mod rows;
mod schema;
pub(crate) mod search;
mod transaction;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::block_in_place;

pub use self::error::StoreError;
pub use self::faults::FaultPoint;
pub use self::schema::VERSION;
pub use self::transaction::Tx;

use self::faults::Faults;
use self::opening::Purpose;
use self::readers::Readers;
use self::writer::{Desk, WriteJob};
use crate::env::DatabaseKey;
use crate::observe::{Change, Changes, Hub, Observer};

/// Writes that may wait for the writer; who brings another one waits before handing it over.
const WAITING_WRITES: usize = 64;
/// The name of the writer's and the readers' threads.
const THREAD_NAME: &str = "hauspost-store";

/// An account's database. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    path: PathBuf,
    key: DatabaseKey,
    hub: Arc<Hub>,
    faults: Arc<Faults>,
    waiting: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// Becomes true when the connections of the last run are closed.
    closed: Option<watch::Receiver<bool>>,
}

/// The threads of an open store. Dropping it lets them finish what they were given, and close.
struct Running {
    writer: tokio::sync::mpsc::UnboundedSender<WriteJob>,
    desk: Desk,
    readers: Readers,
}

impl Store {
    /// Opens the database, makes it if it does not exist, and brings it to this build's version.
    ///
    /// Blocks for some milliseconds. Nothing is ever deleted here: a database that does not open is
    /// named ([`StoreError::WrongKey`], [`StoreError::Damaged`], [`StoreError::NewerVersion`]) and
    /// left as it is.
    pub fn open(path: impl AsRef<Path>, key: DatabaseKey) -> Result<Self, StoreError> {
        let shared = Shared {
            path: path.as_ref().to_owned(),
            key,
            hub: Arc::default(),
            faults: Arc::default(),
            waiting: Arc::new(Semaphore::new(WAITING_WRITES)),
            state: Mutex::default(),
        };
        shared.start(&mut shared.state())?;
        Ok(Self(Arc::new(shared)))
    }

    /// Runs `job` in one write transaction: committed if it returns `Ok`, rolled back otherwise.
    ///
    /// Cancel-safe: a dropped future leaves the job either whole or not begun.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let job = match self.0.write_here(job) {
            Ok(outcome) => return outcome,
            Err(job) => job,
        };
        let permit = self.0.waiting.clone().acquire_owned().await;
        let (answer, outcome) = oneshot::channel();
        self.0.hand_to_writer(Box::new(move |writer| {
            let outcome = writer.run(job);
            drop(permit);
            // Nobody waits any more when the future was dropped; the job is done all the same.
            let _ = answer.send(outcome);
        }))?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::Suspended.into()))
    }

    /// Runs `job` on a reading connection, in one snapshot: what it sees does not change meanwhile.
    ///
    /// Cancel-safe: a job whose future was dropped before it began does not run.
    pub async fn read<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        self.0.hand_to_reader(Box::new(move |conn| {
            if !answer.is_closed() {
                let _ = answer.send(readers::run(conn, job));
            }
        }))?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::Suspended.into()))
    }

    /// One who hears of each change from now on.
    pub fn observe(&self) -> Observer {
        self.0.hub.observe()
    }

    /// Tells observers of something that changed outside of the database.
    pub(crate) fn tell(&self, change: Change) {
        let mut changes = Changes::default();
        changes.add(change);
        self.0.hub.tell(&changes);
    }

    /// Waits for the writes that were handed over, moves the write-ahead log into the database and
    /// closes every connection: no lock is left, and iOS may stop the process. Reads under way are
    /// interrupted. Calls until [`Store::resume`] fail with [`StoreError::Suspended`].
    ///
    /// Cancel-safe: once begun, the closing goes on without the future.
    pub async fn suspend(&self) {
        let closed = {
            let mut state = self.0.state();
            drop(state.running.take());
            state.closed.clone()
        };
        if let Some(mut closed) = closed {
            // An error means that the writer thread is gone, and its connections with it.
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }

    /// Opens the database again after [`Store::suspend`]; does nothing if it is open.
    pub async fn resume(&self) -> Result<(), StoreError> {
        let closed = self.0.state().closed.clone();
        if let Some(mut closed) = closed
            && !self.is_open()
        {
            let _ = closed.wait_for(|closed| *closed).await;
        }
        let mut state = self.0.state();
        if state.running.is_none() {
            self.0.start(&mut state)?;
        }
        Ok(())
    }

    /// Whether the store is open, and not suspended.
    pub fn is_open(&self) -> bool {
        self.0.state().running.is_some()
    }

    /// For simulation: the `nth` write from now (the next is 1) stops the store as if its process had
    /// been killed there. Every later call fails with [`StoreError::Fault`]; drop the store and open
    /// the database anew.
    pub fn fail_at(&self, nth: u64, point: FaultPoint) {
        self.0.faults.arm(nth, point);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, state: &mut State) -> Result<(), StoreError> {
        let lock = lock(&self.path)?;
        let mut conn = opening::open(&self.path, &self.key, Purpose::Write)?;
        schema::migrate(&mut conn)?;
        let (readers, reader_threads) = Readers::start(&self.path, &self.key)?;
        let closing = writer::Closing { readers: reader_threads, lock };
        let (writer, desk, closed) =
            writer::start(conn, self.hub.clone(), self.faults.clone(), closing)?;
        state.running = Some(Running { writer, desk, readers });
        state.closed = Some(closed);
        Ok(())
    }

    /// Runs a job on the calling thread, if that one may block and nobody waits for the writer; gives it
    /// back otherwise. Nothing is awaited, so a dropped future tears nothing.
    fn write_here<T, E, F>(&self, job: F) -> Result<Result<T, E>, F>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let may_block = Handle::try_current()
            .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        if !may_block || self.waiting.available_permits() < WAITING_WRITES {
            return Err(job);
        }
        if let Err(fault) = self.faults.check() {
            return Ok(Err(fault.into()));
        }
        let desk = self.state().running.as_ref().map(|running| running.desk.clone());
        let Some(desk) = desk else { return Ok(Err(StoreError::Suspended.into())) };
        let Some(mut writer) = desk.try_sit_down() else { return Err(job) };
        let Some(writer) = writer.as_mut() else { return Ok(Err(StoreError::Suspended.into())) };
        Ok(block_in_place(|| writer.run(job)))
    }

    fn hand_to_writer(&self, job: WriteJob) -> Result<(), StoreError> {
        self.faults.check()?;
        let state = self.state();
        let running = state.running.as_ref().ok_or(StoreError::Suspended)?;
        running.writer.send(job).map_err(|_| StoreError::Suspended)
    }

    fn hand_to_reader(&self, job: readers::ReadJob) -> Result<(), StoreError> {
        self.faults.check()?;
        let state = self.state();
        let running = state.running.as_ref().ok_or(StoreError::Suspended)?;
        running.readers.send(job)
    }
}

impl Drop for Shared {
    /// Waits until the connections are closed, so that whoever opens the database next finds it free.
    fn drop(&mut self) {
        let mut state = self.state();
        drop(state.running.take());
        let Some(closed) = state.closed.take() else { return };
        if std::thread::current().name() == Some(THREAD_NAME) {
            return; // A job held the last clone; the closing waits for that job, not the job for it.
        }
        while !*closed.borrow() && closed.has_changed().is_ok() {
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
    }
}

/// Takes the lock of the only writer, or says who cannot.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// A database that this process only reads, while another one may write it.
pub struct ReadOnlyStore(Mutex<Connection>);

impl ReadOnlyStore {
    /// Opens a database of exactly this build's version; [`StoreError::Missing`] if it is older, since
    /// only the app itself migrates.
    pub fn open(path: impl AsRef<Path>, key: &DatabaseKey) -> Result<Self, StoreError> {
        let conn = opening::open(path.as_ref(), key, Purpose::Read)?;
        if schema::version(&conn)? != VERSION {
            return Err(StoreError::Missing("database of this version"));
        }
        Ok(Self(Mutex::new(conn)))
    }

    /// Runs `job` in one snapshot.
    pub fn read<T, E: From<StoreError>>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        readers::run(&self.0.lock().unwrap_or_else(PoisonError::into_inner), job)
    }
}

#[cfg(test)]
mod tests;
