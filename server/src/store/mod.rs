//! What endures: logs, payloads, memberships, key packages, the directory and the trees.
//!
//! A [`Store`] offers two things: to write, a closure over a [`Tx`] in one serialisable
//! transaction whose answer comes after the durable commit; and to read, a closure over a
//! [`ReadTx`], which sees one state from beginning to end. Everything that an append changes it
//! changes in one such transaction. The contract tests say what an implementation must hold.
//!
//! A payload lies apart from its entry, sealed under a random key of its own in a second store
//! ("shred keys"), so that deleting one small key erases it, in replicas and in old backups too
//! (`docs/protocol.md` §11). The company log is clear and lasts as long as the company; it is not
//! sealed.

pub mod blobs;
#[cfg(test)]
mod contract;
pub mod grants;
pub mod rows;
pub mod sqlite;

use std::error::Error;
use std::ops::RangeInclusive;
use std::sync::Arc;

use hauspost_protocol::company::approval::WaitingDevice;
use hauspost_protocol::ids::{
    CoreHash, DeviceId, Digest, Epoch, Gen, LeafIndex, LogId, LogNo, Seq, TimeMs, UserId,
};
use hauspost_protocol::wire::Person;
use tokio::sync::oneshot;

pub use blobs::{BlobReads, BlobRow, BlobSum, BlobWrites, NewBlob};
pub use grants::{GrantReads, GrantWrites, NewGrant};
pub use rows::*;

/// The store fails. Nothing of the transaction remains.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. When there is space again, the same succeeds.
    #[error("the disk is full")]
    Full,
    /// The backend undid the transaction without saying why.
    #[error("the store undid the transaction")]
    Undone,
    /// The backend cannot do what was asked: file damaged, connection lost.
    #[error("the store failed to {action}: {source}")]
    Backend {
        /// What was tried.
        action: &'static str,
        /// What the backend says.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A stored value is not what was stored.
    #[error("the stored {0} is damaged")]
    Damaged(&'static str),
    /// The database was written by a newer version of this program.
    #[error("the database has version {found}, this program knows versions up to {known}")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// A job panicked; the defect is ours, and the transaction is undone.
    #[error("a transaction met a defect of the program and was undone")]
    Defect,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Reads of one state of the store.
pub trait ReadTx: BlobReads + GrantReads {
    /// A small value by its name.
    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// For whom a log number is reserved, and the log that took it.
    fn reservation(&self, no: LogNo) -> Result<Option<Reservation>, StoreError>;
    /// How many numbers a user has reserved that no log took yet.
    fn open_reservations(&self, user: UserId) -> Result<u64, StoreError>;
    /// How many log numbers are reserved; the next is this one.
    fn reserved(&self) -> Result<u64, StoreError>;
    /// A log by its id.
    fn log(&self, log: LogId) -> Result<Option<LogRow>, StoreError>;
    /// A log by its number.
    fn log_by_no(&self, no: LogNo) -> Result<Option<LogRow>, StoreError>;
    /// All logs in the order of their numbers.
    fn logs(&self) -> Result<Vec<LogRow>, StoreError>;
    /// The first conversation of this pair of users, or of one user with himself.
    fn pair(&self, users: (UserId, UserId)) -> Result<Option<LogId>, StoreError>;

    /// One entry with its payload, if that is still there.
    fn entry(&self, no: LogNo, seq: Seq) -> Result<Option<EntryRow>, StoreError>;
    /// Entries from `from` on, as many as fit into the budget but at least one; payloads only where
    /// `wanted` says so.
    fn entries(
        &self,
        no: LogNo,
        from: Seq,
        budget: Budget,
        wanted: &dyn Fn(&EntryRow) -> bool,
    ) -> Result<Vec<EntryRow>, StoreError>;
    /// The number of the entry with this core (S2).
    fn seq_of_core(&self, no: LogNo, core: CoreHash) -> Result<Option<Seq>, StoreError>;

    /// The rules' state of a conversation.
    fn conversation(&self, no: LogNo) -> Result<Option<ConversationRow>, StoreError>;
    /// The part of it that decides on records, without the MLS group.
    fn conversation_state(&self, no: LogNo) -> Result<Option<Vec<u8>>, StoreError>;
    /// How many records of this leaf the epoch in force holds (S6).
    fn chain(&self, no: LogNo, leaf: LeafIndex) -> Result<u32, StoreError>;
    /// The number of the newest change. Every append is one; they ascend in the order in which
    /// transactions take effect.
    fn newest_change(&self) -> Result<u64, StoreError>;
    /// The logs that were appended to after this change.
    fn changed_after(&self, change: u64) -> Result<Vec<LogNo>, StoreError>;
    /// How many entries a log had at this change.
    fn size_at(&self, no: LogNo, change: u64) -> Result<u64, StoreError>;
    /// The stretches of logs in which a device has or had a leaf.
    fn memberships(&self, device: DeviceId) -> Result<Vec<Membership>, StoreError>;
    /// The stretches of one log in which a device has or had a leaf.
    fn stays(&self, no: LogNo, device: DeviceId) -> Result<Vec<Membership>, StoreError>;
    /// All memberships of a log, ended ones too.
    fn members(&self, no: LogNo) -> Result<Vec<Membership>, StoreError>;
    /// The logs that devices of this user may enter; and those that they might once, with the size at
    /// which that ended.
    fn let_in(&self, user: UserId) -> Result<Vec<(LogNo, Option<u64>)>, StoreError>;
    /// Whether devices of this user may enter this log.
    fn is_let_in(&self, no: LogNo, user: UserId) -> Result<bool, StoreError>;

    /// A ratchet tree by its hash.
    fn tree(&self, no: LogNo, hash: Digest) -> Result<Option<Vec<u8>>, StoreError>;
    /// The GroupInfos kept for an epoch, in the order in which they came: the committer's first.
    fn group_infos(
        &self,
        no: LogNo,
        r#gen: Gen,
        epoch: Epoch,
    ) -> Result<Vec<(DeviceId, Vec<u8>)>, StoreError>;
    /// The Welcome of a commit.
    fn welcome(&self, no: LogNo, seq: Seq) -> Result<Option<Vec<u8>>, StoreError>;

    /// The one-time key packages of a suite that a device has in stock.
    fn packages(&self, device: DeviceId, suite: u16) -> Result<u64, StoreError>;

    /// What a device has appended.
    fn usage(&self, device: DeviceId) -> Result<Usage, StoreError>;

    /// The enrolment that used up this seed.
    fn enrolment(&self, seed: [u8; 32]) -> Result<Option<EnrolmentRow>, StoreError>;
    /// The device that waits under this voucher's seed.
    fn waiting(&self, seed: [u8; 32]) -> Result<Option<WaitingDevice>, StoreError>;
    /// The devices that wait, of one user or of all.
    fn waiting_of(&self, user: Option<UserId>) -> Result<Vec<WaitingDevice>, StoreError>;
    /// A device's public history key.
    fn history_key(&self, device: DeviceId) -> Result<Option<Vec<u8>>, StoreError>;

    /// The directory's version and the people changed after `version`, forgotten ones included.
    fn people(&self, version: u64) -> Result<(u64, Vec<Person>), StoreError>;

    /// How many leaves the outer tree of an era has.
    fn outer_size(&self, era: u64) -> Result<u64, StoreError>;
    /// A leaf of an outer tree with the note that was signed over it.
    fn outer(&self, era: u64, index: u64) -> Result<Option<OuterRow>, StoreError>;
    /// The hash of the full subtree `index` of 2^`level` leaves of an outer tree.
    fn outer_node(&self, era: u64, level: u8, index: u64) -> Result<Option<Digest>, StoreError>;
    /// The heads leaves as they were under outer leaf `index` of an era, in the order of their logs'
    /// numbers.
    fn heads(&self, era: u64, index: u64) -> Result<Vec<(LogNo, Vec<u8>)>, StoreError>;
    /// The newest outer leaf of an era whose tree this witness cosigned, and the cosignature's line;
    /// a witness is named by SHA-256 of its key.
    fn cosigned(&self, era: u64, witness: Digest) -> Result<Option<(u64, String)>, StoreError>;
}

/// One serialisable transaction.
pub trait Tx: ReadTx + BlobWrites + GrantWrites {
    /// Sets a small value.
    fn put_setting(&mut self, name: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Reserves the next log number.
    fn reserve(&mut self, user: UserId) -> Result<LogNo, StoreError>;
    /// Begins the log of a reserved number; it has no entry yet.
    fn create_log(&mut self, no: LogNo, log: LogId) -> Result<(), StoreError>;
    /// Notes the conversation of a pair of users; the first stays.
    fn put_pair(&mut self, users: (UserId, UserId), log: LogId) -> Result<(), StoreError>;
    /// Appends the next entry of a log.
    fn append(&mut self, no: LogNo, entry: &NewRow<'_>) -> Result<(), StoreError>;
    /// Deletes a payload for good by deleting its shred key.
    fn shred(&mut self, no: LogNo, seq: Seq) -> Result<(), StoreError>;

    /// Replaces the rules' state of a conversation.
    fn put_conversation(&mut self, no: LogNo, row: &ConversationRow) -> Result<(), StoreError>;
    /// Replaces the part of it that decides on records.
    fn put_conversation_state(&mut self, no: LogNo, state: &[u8]) -> Result<(), StoreError>;
    /// Counts one more record of this leaf in the epoch in force.
    fn advance_chain(&mut self, no: LogNo, leaf: LeafIndex) -> Result<(), StoreError>;
    /// A new epoch begins: all chains of the log start anew.
    fn restart_chains(&mut self, no: LogNo) -> Result<(), StoreError>;
    /// A device has a leaf from this entry on.
    fn join(&mut self, no: LogNo, device: DeviceId, from: Seq) -> Result<(), StoreError>;
    /// A device has no leaf after this entry, which it may still read.
    fn leave(&mut self, no: LogNo, device: DeviceId, to: Seq) -> Result<(), StoreError>;
    /// Devices of this user may enter the log from now on, or might until it had this size.
    fn set_let_in(&mut self, no: LogNo, user: UserId, until: Option<u64>)
    -> Result<(), StoreError>;

    /// Keeps a ratchet tree under its hash.
    fn put_tree(&mut self, no: LogNo, hash: Digest, tree: &[u8]) -> Result<(), StoreError>;
    /// Forgets a ratchet tree.
    fn drop_tree(&mut self, no: LogNo, hash: Digest) -> Result<(), StoreError>;
    /// Keeps a device's GroupInfo of an epoch; a device has one for each epoch, the newest.
    fn put_group_info(
        &mut self,
        no: LogNo,
        r#gen: Gen,
        epoch: Epoch,
        device: DeviceId,
        info: &[u8],
    ) -> Result<(), StoreError>;
    /// Forgets a device's GroupInfo of an epoch.
    fn drop_group_info(
        &mut self,
        no: LogNo,
        r#gen: Gen,
        epoch: Epoch,
        device: DeviceId,
    ) -> Result<(), StoreError>;
    /// Keeps the Welcome of a commit.
    fn put_welcome(&mut self, no: LogNo, seq: Seq, welcome: &[u8]) -> Result<(), StoreError>;

    /// Adds one-time key packages to a device's stock of a suite.
    fn put_packages(
        &mut self,
        device: DeviceId,
        suite: u16,
        packages: &[NewPackage<'_>],
    ) -> Result<(), StoreError>;
    /// Replaces the package of a suite that a device keeps for when the others are gone.
    fn put_last_resort(
        &mut self,
        device: DeviceId,
        suite: u16,
        package: NewPackage<'_>,
    ) -> Result<(), StoreError>;
    /// Takes the oldest one-time package of a suite, or copies the last resort, if it was made in
    /// these times; one-time packages of other times go.
    fn take_package(
        &mut self,
        device: DeviceId,
        suite: u16,
        made: RangeInclusive<TimeMs>,
    ) -> Result<Option<Vec<u8>>, StoreError>;
    /// Deletes all packages of a suite of a device, the last resort too.
    fn drop_packages(&mut self, device: DeviceId, suite: u16) -> Result<(), StoreError>;

    /// Notes what a device has appended.
    fn put_usage(&mut self, device: DeviceId, usage: Usage) -> Result<(), StoreError>;

    /// Notes an enrolment; its seed is used up.
    fn put_enrolment(&mut self, row: &EnrolmentRow) -> Result<(), StoreError>;
    /// Keeps a device that waits for somebody who signs for it, under its voucher's seed.
    fn put_waiting(&mut self, seed: [u8; 32], waiting: &WaitingDevice) -> Result<(), StoreError>;
    /// It waits no more.
    fn drop_waiting(&mut self, seed: [u8; 32]) -> Result<(), StoreError>;
    /// Keeps a device's public history key.
    fn put_history_key(&mut self, device: DeviceId, key: &[u8]) -> Result<(), StoreError>;

    /// Changes a person, and with it the directory's version, which is returned.
    fn put_person(&mut self, person: &Person) -> Result<u64, StoreError>;

    /// Appends a leaf to an outer tree, with the nodes that it makes (level, index, hash) and the
    /// heads leaves that changed.
    fn put_outer(
        &mut self,
        era: u64,
        index: u64,
        row: &OuterRow,
        nodes: &[(u8, u64, Digest)],
        heads: &[(LogNo, Vec<u8>)],
    ) -> Result<(), StoreError>;
    /// Keeps a witness's cosignature over the tree up to and with leaf `index`, unless one over a
    /// larger tree is there.
    fn put_cosignature(
        &mut self,
        era: u64,
        index: u64,
        witness: Digest,
        line: &str,
    ) -> Result<(), StoreError>;
}

/// A transaction that waits for its turn.
pub trait WriteJob: Send {
    /// Runs in the transaction; with an error everything that it did is undone. A store whose
    /// transactions may collide runs it again.
    fn run(&mut self, tx: &mut dyn Tx) -> Result<(), Undo>;
    /// Told once: after the durable commit or the undoing, or why neither came about.
    fn done(self: Box<Self>, end: Result<(), StoreError>);
}

/// A read that waits for a free reader.
pub trait ReadJob: Send {
    /// Runs over one state and answers by itself.
    fn run(self: Box<Self>, tx: Result<&dyn ReadTx, StoreError>);
}

/// The job wants its transaction undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undo;

/// A place to keep things. [`Database`] is the comfortable way to use it.
pub trait Store: Send + Sync {
    /// Queues a transaction.
    fn submit_write(&self, job: Box<dyn WriteJob>);
    /// Queues a read.
    fn submit_read(&self, job: Box<dyn ReadJob>);
    /// Finishes what was queued, closes every file and returns; whoever asks later hears
    /// [`StoreError::Closed`]. Blocks, and closing twice is the same as once.
    fn close(&self);
    /// Bytes that the store takes on disk, shred keys included.
    fn size_bytes(&self) -> u64;
}

/// A store, shared.
#[derive(Clone)]
pub struct Database(Arc<dyn Store>);

impl Database {
    /// Shares a store.
    pub fn new(store: impl Store + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// Runs `job` in one serialisable transaction and returns after the durable commit. With an
    /// error of the job everything is undone.
    ///
    /// The job may run more than once, so it has no effect but on the transaction and its result.
    pub async fn write<T, E>(
        &self,
        job: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.0.submit_write(Box::new(Writing { job, result: None, answer }));
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Runs `job` over one state of the store.
    pub async fn read<T, E>(
        &self,
        job: impl FnOnce(&dyn ReadTx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.0.submit_read(Box::new(Reading { job, answer }));
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Finishes what was queued and closes the store, whoever else still holds it. When this returns
    /// no thread of it runs and no file is open.
    pub async fn close(&self) {
        let store = Arc::clone(&self.0);
        // Only a panic or the runtime's end could fail this; then the threads end with the process.
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }

    /// Bytes that the store takes on disk.
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }
}

struct Writing<J, T, E> {
    job: J,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<J, T, E> WriteJob for Writing<J, T, E>
where
    J: FnMut(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> Result<(), Undo> {
        let result = (self.job)(tx);
        let end = result.as_ref().map(|_| ()).map_err(|_| Undo);
        self.result = Some(result);
        end
    }

    fn done(self: Box<Self>, end: Result<(), StoreError>) {
        let Self { job, result, answer } = *self;
        // What the job holds is let go before anyone acts on the answer.
        drop(job);
        let result = match (end, result) {
            // What the job itself met says more than what it led to.
            (Ok(()), Some(result)) | (Err(_), Some(result @ Err(_))) => result,
            (Ok(()), None) => Err(StoreError::Defect.into()),
            (Err(error), _) => Err(error.into()),
        };
        // Whoever asked may have hung up; the transaction counts all the same.
        let _ = answer.send(result);
    }
}

struct Reading<J, T, E> {
    job: J,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<J, T, E> ReadJob for Reading<J, T, E>
where
    J: FnOnce(&dyn ReadTx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(self: Box<Self>, tx: Result<&dyn ReadTx, StoreError>) {
        let result = match tx {
            Ok(tx) => (self.job)(tx),
            Err(error) => Err(error.into()),
        };
        let _ = self.answer.send(result);
    }
}
