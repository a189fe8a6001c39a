//! The one connection that writes, at its desk: one job at a time sits there.
//!
//! A job comes with the thread that calls, if that one may block and nobody waits; else the writer's
//! own thread takes it from a queue. Waking that thread, and the caller after it, takes as long as
//! a small transaction.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::THREAD_NAME;
use super::error::StoreError;
use super::faults::{FaultPoint, Faults};
use super::transaction::Tx;
use crate::observe::Hub;

/// A job for the writer's thread; it answers by itself.
pub(super) type WriteJob = Box<dyn FnOnce(&mut Writer) + Send>;

pub(super) struct Writer {
    conn: Connection,
    hub: Arc<Hub>,
    faults: Arc<Faults>,
    /// The write-ahead log, once it was brought to the disk. It is one file as long as the connection.
    wal: Option<File>,
}

/// Where the writer is, until the store closes.
#[derive(Clone)]
pub(super) struct Desk(Arc<Mutex<Option<Writer>>>);

impl Desk {
    /// Waits for whoever sits there. The writer is gone once the store is closed.
    fn sit_down(&self) -> MutexGuard<'_, Option<Writer>> {
        // Unwind safety: a job's panic is caught before it could leave the writer in the middle.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same if nobody sits there.
    pub(super) fn try_sit_down(&self) -> Option<MutexGuard<'_, Option<Writer>>> {
        match self.0.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(writer)) => Some(writer.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// What the writer closes when it ends, in this order.
pub(super) struct Closing {
    pub(super) readers: Vec<JoinHandle<()>>,
    pub(super) lock: File,
}

/// Starts the writer. It ends when all senders are gone; then the receiver becomes true.
pub(super) fn start(
    conn: Connection,
    hub: Arc<Hub>,
    faults: Arc<Faults>,
    closing: Closing,
) -> Result<(UnboundedSender<WriteJob>, Desk, watch::Receiver<bool>), StoreError> {
    let (sender, jobs) = unbounded_channel();
    let (done, closed) = watch::channel(false);
    let desk = Desk(Arc::new(Mutex::new(Some(Writer { conn, hub, faults, wal: None }))));
    let here = desk.clone();
    std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
        serve(&here, jobs, closing);
        done.send_replace(true);
    })?;
    Ok((sender, desk, closed))
}

fn serve(desk: &Desk, mut jobs: UnboundedReceiver<WriteJob>, closing: Closing) {
    while let Some(job) = jobs.blocking_recv() {
        if let Some(writer) = desk.sit_down().as_mut() {
            job(writer);
        }
    }
    // The readers first: the checkpoint empties the write-ahead log only when nobody reads it.
    for reader in closing.readers {
        let _ = reader.join();
    }
    if let Some(writer) = desk.sit_down().take()
        && let Err(error) = writer.close()
    {
        tracing::warn!(%error, "the write-ahead log was not emptied; it is at the next start");
    }
    // Unlocked and not only closed: a process forked meanwhile holds a copy of the handle until it
    // becomes another program, and with it the lock.
    if let Err(error) = closing.lock.unlock() {
        tracing::warn!(%error, "the database's lock file was not unlocked");
    }
}

impl Writer {
    fn close(self) -> Result<(), StoreError> {
        self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.conn.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    /// Brings the write-ahead log to the disk. With `synchronous = NORMAL` a commit is in the file
    /// already, and the system writes it when it likes.
    fn flush(&mut self) -> Result<(), StoreError> {
        let wal = match self.wal.take() {
            Some(wal) => wal,
            None => File::open(format!("{}-wal", self.conn.path().unwrap_or_default()))?,
        };
        wal.sync_data()?;
        self.wal = Some(wal);
        Ok(())
    }

    /// Runs a job in one transaction, and tells observers after its commit.
    pub(super) fn run<T, E: From<StoreError>>(
        &mut self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let fault = self.faults.begin()?;
        // Unwind safety: a panic drops the transaction, which rolls it back; the connection holds
        // nothing of the job then.
        let outcome = catch_unwind(AssertUnwindSafe(|| -> Result<_, E> {
            let tx = Tx::begin(&mut self.conn)?;
            let value = job(&tx)?;
            self.faults.reach(FaultPoint::BeforeCommit, fault)?;
            Ok((value, tx.commit()?))
        }));
        let (value, committed) = outcome.unwrap_or_else(|_| Err(StoreError::Panicked.into()))?;
        let flushed = if committed.flush { self.flush() } else { Ok(()) };
        self.faults.reach(FaultPoint::AfterCommit, fault)?;
        self.hub.tell(&committed.changes);
        flushed?;
        Ok(value)
    }
}
