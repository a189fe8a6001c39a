//! The few connections that read, each on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::THREAD_NAME;
use super::error::StoreError;
use super::opening::{self, Purpose};
use crate::env::DatabaseKey;

/// Reading connections. One is for the list, one for the open conversation, one for the search.
const READERS: usize = 3;

/// Steps of SQLite's virtual machine after which a statement looks whether the store stops.
const STEPS: i32 = 2_000;

/// A job for a reader; it answers by itself.
pub(super) type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// The readers of an open store. Dropping it interrupts and ends them.
pub(super) struct Readers {
    jobs: Sender<ReadJob>,
    stopping: Arc<AtomicBool>,
}

impl Readers {
    pub(super) fn start(
        path: &Path,
        key: &DatabaseKey,
    ) -> Result<(Self, Vec<JoinHandle<()>>), StoreError> {
        let (sender, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let stopping = Arc::new(AtomicBool::new(false));
        let readers = Self { jobs: sender, stopping: stopping.clone() };
        let mut threads = Vec::new();
        for _ in 0..READERS {
            let mut conn = opening::open(path, key, Purpose::Read)?;
            // A flag that each statement looks at, and not an interrupt, which is lost on a job that
            // is between two statements.
            let stop = stopping.clone();
            conn.progress_handler(STEPS, Some(move || stop.load(Ordering::Relaxed)))?;
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
