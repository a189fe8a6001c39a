//! A running write transaction, and what it collects until it commits.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::StoreError;
use super::rows::log::LocalLog;
use super::rows::{conversation, index, mark};
use super::search::{self, Words};
use crate::observe::{Change, Changes};

/// A write transaction. Everything done through it is stored together or not at all.
///
/// It derefs to the connection, so that each row can be read through it as well. An error that SQLite
/// answers with a rollback of its own (a full disk) must be returned from the job, not swallowed.
pub struct Tx<'c> {
    tx: Transaction<'c>,
    changes: RefCell<Changes>,
    words: RefCell<BTreeMap<i64, Words>>,
    unread: RefCell<BTreeMap<LocalLog, u32>>,
    recount: RefCell<BTreeSet<LocalLog>>,
    waiting: RefCell<BTreeMap<LocalLog, bool>>,
    flush: Cell<bool>,
}

/// What a commit leaves to be done.
pub(super) struct Committed {
    /// What observers are told.
    pub(super) changes: Changes,
    /// Whether the write-ahead log has to reach the disk before the job is answered.
    pub(super) flush: bool,
}

impl<'c> Tx<'c> {
    /// Begins with the write lock (`BEGIN IMMEDIATE`), so that no later statement can find it taken.
    pub(super) fn begin(conn: &'c mut Connection) -> Result<Self, StoreError> {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Self {
            tx,
            changes: RefCell::default(),
            words: RefCell::default(),
            unread: RefCell::default(),
            recount: RefCell::default(),
            waiting: RefCell::default(),
            flush: Cell::default(),
        })
    }

    /// Tells observers of this change, after the commit and only then.
    pub fn touch(&self, change: Change) {
        self.changes.borrow_mut().add(change);
    }

    /// Lets this transaction, and all before it, survive a power cut once the job is answered.
    ///
    /// For what another must not learn before it is kept for good: a sealed record, since its index
    /// would be used again for another text, and keys whose public halves are given out. The rest
    /// may be lost with the phone's power: it is pulled again.
    pub fn flush(&self) {
        self.flush.set(true);
    }

    #[cfg(test)]
    pub(super) fn is_flushed(&self) -> bool {
        self.flush.get()
    }

    /// Brings the conversation's row in the list up to date at the end of the transaction, once for
    /// however many messages it changed.
    pub(super) fn refresh(&self, log: LocalLog, more_unread: u32) {
        *self.unread.borrow_mut().entry(log).or_default() += more_unread;
        self.touch(Change::Log(log.id));
        self.touch(Change::Conversations);
    }

    /// Counts a conversation's unread messages anew at the end of the transaction: one of them was taken
    /// back, or mentions somebody.
    pub(super) fn recount(&self, log: LocalLog) {
        self.recount.borrow_mut().insert(log);
    }

    /// Adds words to the full-text index under this row, at the end of the transaction: the index
    /// takes ascending rows far more cheaply than mixed ones.
    pub(super) fn index(&self, search_id: i64, words: Words) {
        self.words.borrow_mut().insert(search_id, words);
    }

    /// Takes back what [`Tx::index`] was to add; `false` if the row is in the index already.
    pub(super) fn unindex(&self, search_id: i64) -> bool {
        self.words.borrow_mut().remove(&search_id).is_some()
    }

    /// Whether any mark of a conversation waits for what it names: looked up once, since most never do.
    pub(super) fn has_waiting_marks(&self, log: LocalLog) -> Result<bool, StoreError> {
        if let Some(waits) = self.waiting.borrow().get(&log) {
            return Ok(*waits);
        }
        let waits = mark::any_waits(&self.tx, log)?;
        self.waiting.borrow_mut().insert(log, waits);
        Ok(waits)
    }

    /// A mark of a conversation waits from now on.
    pub(super) fn mark_waits(&self, log: LocalLog) {
        self.waiting.borrow_mut().insert(log, true);
    }

    pub(super) fn commit(self) -> Result<Committed, StoreError> {
        for (log, more_unread) in self.unread.into_inner() {
            conversation::refresh(&self.tx, log, more_unread)?;
        }
        for log in self.recount.into_inner() {
            conversation::recount(&self.tx, log)?;
        }
        let words = self.words.into_inner();
        // Those below come in their turn, while the index is filled anew.
        let filled_from = if words.is_empty() { 0 } else { index::filled_from(&self.tx)? };
        for (search_id, words) in words.range(filled_from..) {
            search::insert(&self.tx, *search_id, &words.line())?;
        }
        self.tx.commit()?;
        Ok(Committed { changes: self.changes.into_inner(), flush: self.flush.get() })
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.tx
    }
}
