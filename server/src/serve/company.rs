//! The company as the log says in a transaction.
//!
//! The copy in memory saves verifying the log anew for each request. It is never the truth: a
//! transaction takes it only when its size and newest hash are those of the log it sees, and
//! otherwise reads on from where the copy ends, or from the start.

use std::sync::{Arc, Mutex, PoisonError};

use hauspost_protocol::company::body::{CompanyBody, company_pin};
use hauspost_protocol::company::entry::CompanyPayload;
use hauspost_protocol::company::finding::{Applied, Finding};
use hauspost_protocol::company::state::Company;
use hauspost_protocol::entry::{Entry, Head, Kind, Payload};
use hauspost_protocol::ids::{EntryHash, LogNo, Seq, TimeMs};
use hauspost_protocol::wire::NewEntry;

use super::answer::Refusal;
use super::limits::{PAGE_BYTES, PAGE_ENTRIES};
use crate::store::{Budget, LogRow, NewRow, ReadTx, StoreError, Tx};

/// The company log's number.
pub const COMPANY_LOG: LogNo = LogNo(0);

/// Copies of the company: one for reads and one for writes, since only a write sees what the writes
/// before it left to the same commit, which may still fail.
#[derive(Default)]
pub struct CompanyCopies {
    reading: Mutex<Option<Arc<Company>>>,
    writing: Mutex<Option<Arc<Company>>>,
}

impl CompanyCopies {
    /// The company for a read: at least what its log says in this transaction. It may be newer by
    /// what was committed since the transaction began.
    pub fn read(&self, tx: &dyn ReadTx) -> Result<Arc<Company>, Refusal> {
        let log = company_log(tx)?;
        up_to_date(&self.reading, tx, &log, |copy| copy.hash_at(log.size) == Some(log.head))
    }

    /// The company for a write: exactly what its log says in this transaction.
    pub fn write(&self, tx: &dyn Tx) -> Result<Arc<Company>, Refusal> {
        let log = company_log(tx)?;
        up_to_date(&self.writing, tx, &log, |copy| {
            copy.size() == log.size && copy.now().hash() == log.head
        })
    }
}

fn company_log(tx: &dyn ReadTx) -> Result<LogRow, Refusal> {
    tx.log_by_no(COMPANY_LOG)?.ok_or(Refusal::NotFounded)
}

/// The copy if it `serves`, else brought up to the log's size. Whoever waits for the lock waits for
/// work that he would otherwise do himself.
fn up_to_date(
    copy: &Mutex<Option<Arc<Company>>>,
    tx: &dyn ReadTx,
    log: &LogRow,
    serves: impl Fn(&Company) -> bool,
) -> Result<Arc<Company>, Refusal> {
    let mut copy = copy.lock().unwrap_or_else(PoisonError::into_inner);
    let mut company = match copy.take() {
        Some(known) if serves(&known) => known,
        Some(known) if is_prefix(&known, tx)? => known,
        // It holds what a transaction wrote that was undone.
        _ => Arc::new(begin(tx)?),
    };
    if company.size() < log.size {
        read_on(Arc::make_mut(&mut company), tx, log.size)?;
    }
    *copy = Some(Arc::clone(&company));
    Ok(company)
}

fn is_prefix(company: &Company, tx: &dyn ReadTx) -> Result<bool, StoreError> {
    let Some(newest) = company.newest() else { return Ok(false) };
    let known = tx.entries(COMPANY_LOG, newest.seq, Budget { entries: 1, bytes: 0 }, &|_| false)?;
    Ok(known.first().is_some_and(|row| row.hash == newest.hash))
}

/// A company of which only the pin is known, taken from its genesis.
fn begin(tx: &dyn ReadTx) -> Result<Company, Refusal> {
    let genesis = tx.entry(COMPANY_LOG, Seq(0))?.ok_or(Refusal::NotFounded)?;
    let payload = genesis.entry.payload.bytes().unwrap_or_default();
    let damaged = |_| StoreError::Damaged("company genesis");
    let payload = CompanyPayload::parse(Kind::Genesis, payload).map_err(damaged)?;
    match CompanyBody::parse(Kind::Genesis, &payload.body).map_err(damaged)? {
        CompanyBody::Genesis(genesis) => Ok(Company::new(company_pin(&genesis.root))),
        _ => Err(StoreError::Damaged("company genesis").into()),
    }
}

fn read_on(company: &mut Company, tx: &dyn ReadTx, size: u64) -> Result<(), Refusal> {
    let page = Budget { entries: PAGE_ENTRIES, bytes: 4 * PAGE_BYTES };
    while company.size() < size {
        let rows = tx.entries(COMPANY_LOG, Seq(company.size()), page, &|_| true)?;
        let entries: Vec<Entry> = rows.into_iter().map(|row| row.entry).collect();
        if entries.is_empty() {
            return Err(StoreError::Damaged("company log").into());
        }
        company
            .apply_all(&entries, &mut rand::rng())
            .map_err(|_| StoreError::Damaged("company log"))?;
    }
    Ok(())
}

/// Appends an entry to the company log if it counts, and applies it to `company`.
///
/// The company must be the one of this transaction; after a finding it is used up.
pub fn append(
    tx: &mut dyn Tx,
    company: &mut Company,
    entry: &NewEntry,
    now_ms: TimeMs,
) -> Result<Result<Seq, Finding>, Refusal> {
    let entry = next(company, entry, now_ms);
    let prev = company.now().hash();
    match company.apply(&entry) {
        Err(_) => Err(Refusal::Form),
        Ok(Applied::Ignored(_, finding)) => Ok(Err(finding)),
        Ok(Applied::Counts(_)) => keep(tx, &entry, prev).map(Ok),
    }
}

/// The same for the last entry of a transaction, which no copy of the company has to follow: whoever
/// reads next brings his copy up to date.
pub fn append_last(
    tx: &mut dyn Tx,
    company: &Company,
    entry: &NewEntry,
    now_ms: TimeMs,
) -> Result<Result<Seq, Finding>, Refusal> {
    let (head, payload) = entry;
    if company.id().map(|company| company.log()) != Some(Head::parse(head)?.log) {
        return Err(Refusal::Form);
    }
    let entry = next(company, entry, now_ms);
    match company.check(head, payload, entry.t_ms) {
        Err(finding) => Ok(Err(finding)),
        Ok(()) => keep(tx, &entry, company.now().hash()).map(Ok),
    }
}

fn next(company: &Company, (head, payload): &NewEntry, now_ms: TimeMs) -> Entry {
    let seq = Seq(company.size());
    Entry {
        head: head.clone(),
        payload: Payload::Kept(payload.clone()),
        seq,
        t_ms: now_ms.max(company.t_ms()),
        co: seq.0,
    }
}

fn keep(tx: &mut dyn Tx, entry: &Entry, prev: EntryHash) -> Result<Seq, Refusal> {
    let row = NewRow {
        kind: Head::parse(&entry.head)?.kind,
        head: &entry.head,
        payload: entry.payload.bytes().unwrap_or_default(),
        core: entry.core(),
        link: entry.link(prev),
        author: None,
    };
    tx.append(COMPANY_LOG, &row)?;
    Ok(entry.seq)
}
