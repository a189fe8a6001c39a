//! The few connections that read, each on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, InterruptHandle};

use super::THREAD_NAME;
use super::error::StoreError;
use super::opening::{self, Purpose};
use crate::env::DatabaseKey;

/// Reading connections. One is for the list, one for the open conversation, one for the search.
const READERS: usize = 3;

/// A job for a reader; it answers by itself.
pub(super) type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// The readers of an open store. Dropping it interrupts and ends them.
pub(super) struct Readers {
    jobs: Sender<ReadJob>,
    stopping: Arc<AtomicBool>,
    running: Vec<InterruptHandle>,
}

impl Readers {
    pub(super) fn start(
        path: &Path,
        key: &DatabaseKey,
    ) -> Result<(Self, Vec<JoinHandle<()>>), StoreError> {
        let (sender, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let stopping = Arc::new(AtomicBool::new(false));
        let mut readers = Self { jobs: sender, stopping: stopping.clone(), running: Vec::new() };
        let mut threads = Vec::new();
        for _ in 0..READERS {
            let conn = opening::open(path, key, Purpose::Read)?;
            readers.running.push(conn.get_interrupt_handle());
            let (jobs, stopping) = (jobs.clone(), stopping.clone());
            let thread = std::thread::Builder::new().name(THREAD_NAME.to_owned());
            threads.push(thread.spawn(move || serve(&conn, &jobs, &stopping))?);
        }
        Ok((readers, threads))
    }

    pub(super) fn send(&self, job: ReadJob) -> Result<(), StoreError> {
        self.jobs.send(job).map_err(|_| StoreError::Suspended)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.running.iter().for_each(InterruptHandle::interrupt);
    }
}

fn serve(conn: &Connection, jobs: &Mutex<Receiver<ReadJob>>, stopping: &AtomicBool) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // What is still waiting when the store stops is dropped unanswered: "suspended".
        if !stopping.load(Ordering::SeqCst) {
            job(conn);
        }
    }
}

/// Runs a job in one snapshot.
pub(super) fn run<T, E: From<StoreError>>(
    conn: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    // Unwind safety: a panic drops the snapshot, and the connection holds nothing else of the job.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let snapshot = conn.unchecked_transaction().map_err(StoreError::from)?;
        job(&snapshot)
    }));
    outcome.unwrap_or_else(|_| Err(StoreError::Panicked.into()))
}
