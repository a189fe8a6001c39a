//! The writer's and the readers' threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rand::rngs::StdRng;

use super::{Connections, SqliteTx, backend};
use crate::store::{ReadJob, StoreError, Undo, WriteJob};

/// Jobs that share one sync to disk, at most.
const GROUP: usize = 256;

/// The thread that owns the write connections.
pub struct Writer(Mutex<Running<dyn WriteJob>>);

/// Threads that work off one queue.
struct Running<Job: ?Sized> {
    jobs: Option<Sender<Box<Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<Job: ?Sized> Running<Job> {
    fn new(jobs: Sender<Box<Job>>, threads: Vec<JoinHandle<()>>) -> Mutex<Self> {
        Mutex::new(Self { jobs: Some(jobs), threads })
    }

    /// Queues a job, or gives it back when the threads were told to end.
    fn submit(running: &Mutex<Self>, job: Box<Job>) -> Result<(), Box<Job>> {
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        match &running.jobs {
            Some(jobs) => jobs.send(job).map_err(|refused| refused.0),
            None => Err(job),
        }
    }

    /// Lets the threads finish what they were given, and waits until they have closed.
    fn close(running: &Mutex<Self>) {
        let threads = {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            drop(running.jobs.take());
            std::mem::take(&mut running.threads)
        };
        threads.into_iter().for_each(wait_for);
    }
}

impl Writer {
    /// Starts the thread.
    pub fn start(connections: Connections, rng: StdRng) -> Self {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_all(&connections, rng, &queue))
            .expect("the system starts a thread");
        Self(Running::new(jobs, vec![thread]))
    }

    /// Queues a job.
    pub fn submit(&self, job: Box<dyn WriteJob>) {
        if let Err(refused) = Running::submit(&self.0, job) {
            refused.done(Err(StoreError::Closed));
        }
    }

    /// Ends the thread after what it was given, and closes its connections.
    pub fn close(&self) {
        Running::close(&self.0);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for a thread to end, unless it is this one: the last to let go of a store may be a job.
fn wait_for(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        let _ = thread.join();
    }
}

fn write_all(connections: &Connections, mut rng: StdRng, queue: &Receiver<Box<dyn WriteJob>>) {
    while let Ok(first) = queue.recv() {
        let undone = write_group(connections, &mut rng, first, || queue.try_recv().ok());
        // One of them met a full disk or a broken file. Alone, each hears only of itself.
        for job in undone {
            write_group(connections, &mut rng, job, || None);
        }
    }
}

/// Runs jobs in one transaction, syncs once and tells them all. A group of several that the database
/// undid is given back untold.
fn write_group(
    connections: &Connections,
    rng: &mut StdRng,
    first: Box<dyn WriteJob>,
    mut more: impl FnMut() -> Option<Box<dyn WriteJob>>,
) -> Vec<Box<dyn WriteJob>> {
    if let Err(error) = connections.both("begin a transaction", "BEGIN IMMEDIATE") {
        connections.roll_back();
        first.done(Err(error));
        return Vec::new();
    }
    let mut ran = Vec::new();
    let mut next = Some(first);
    while let Some(mut job) = next {
        let end = run_one(connections, rng, job.as_mut());
        ran.push((job, end));
        // After some errors SQLite keeps nothing of a transaction, not even what other jobs wrote. What
        // ran now would be committed by itself, perhaps without its shred keys.
        let goes_on = connections.are_writing() && ran.len() < GROUP;
        next = if goes_on { more() } else { None };
    }
    let committed =
        if connections.are_writing() { commit(connections) } else { Err(StoreError::Undone) };
    if committed.is_err() {
        connections.roll_back();
        if ran.len() > 1 {
            return ran.into_iter().map(|(job, _)| job).collect();
        }
    }
    for (job, end) in ran {
        job.done(committed.clone().and(end));
    }
    Vec::new()
}

/// Runs a job between a savepoint and its release, or undoes it.
fn run_one(
    connections: &Connections,
    rng: &mut StdRng,
    job: &mut dyn WriteJob,
) -> Result<(), StoreError> {
    connections.both("set a savepoint", "SAVEPOINT job")?;
    let mut tx = SqliteTx { main: &connections.main, shred: &connections.shred, rng };
    // A job that panics has left nothing behind but what the rollback undoes.
    let end = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
    match end {
        Ok(Ok(())) => connections.both("release a savepoint", "RELEASE job"),
        Ok(Err(Undo)) => connections.both("undo a job", "ROLLBACK TO job; RELEASE job"),
        Err(_) => {
            connections.both("undo a job", "ROLLBACK TO job; RELEASE job")?;
            Err(StoreError::Defect)
        }
    }
}

/// Makes the group durable: the shred keys first (see the module above).
fn commit(connections: &Connections) -> Result<(), StoreError> {
    connections
        .shred
        .execute_batch("COMMIT")
        .and_then(|()| connections.main.execute_batch("COMMIT"))
        .map_err(backend("commit"))
}

/// The threads that answer reads.
pub struct Readers(Mutex<Running<dyn ReadJob>>);

impl Readers {
    /// Starts a thread for each pair of connections.
    pub fn start(connections: Vec<Connections>) -> Self {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let start = |connections: Connections| {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name("store-reader".into())
                .spawn(move || read_all(&connections, &queue))
                .expect("the system starts a thread")
        };
        Self(Running::new(jobs, connections.into_iter().map(start).collect()))
    }

    /// Queues a job.
    pub fn submit(&self, job: Box<dyn ReadJob>) {
        if let Err(refused) = Running::submit(&self.0, job) {
            refused.run(Err(StoreError::Closed));
        }
    }

    /// Ends the threads after what they were given, and closes their connections.
    pub fn close(&self) {
        Running::close(&self.0);
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.close();
    }
}

fn read_all(connections: &Connections, queue: &Mutex<Receiver<Box<dyn ReadJob>>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let begun = connections.both("begin a read", "BEGIN");
        let tx = SqliteTx { main: &connections.main, shred: &connections.shred, rng: () };
        // A panic drops the job, and with it its answer's channel: the asker hears that.
        let _ = catch_unwind(AssertUnwindSafe(|| job.run(begun.map(|()| &tx as _))));
        let _ = connections.both("end a read", "ROLLBACK");
    }
}
