//! Everything that changed since a device last asked, in one answer.
//!
//! The company log comes first, since everything else relies on it; then the conversations, the
//! newest first. A device sees a log from its first entry on as long as its user may enter, else up
//! to the commit that took its leaf, or to the entry by which its user left or was removed; and of the
//! records only those of epochs in which it had a leaf. A log of which something was handed over to its
//! user it sees to the newest grant that did so, as long as the handover is in force.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::entry::Kind;
use hauspost_protocol::ids::{LogId, LogNo, Seq, TimeMs, UserId};
use hauspost_protocol::wire::{LogNews, Principal, SyncAnswer, SyncRequest};

use super::answer::{Answer, Cbor, Refusal};
use super::checkpoint;
use super::company::COMPANY_LOG;
use super::history::had_a_leaf;
use super::limits::{CURSORS, PAGE_BYTES, PAGE_ENTRIES};
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::{Budget, EntryRow, LogRow, Membership, ReadTx};

/// POST: what changed.
pub async fn sync(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<SyncRequest>,
) -> Result<Answer<SyncAnswer>, Refusal> {
    if request.cursors.len() > CURSORS {
        return Err(Refusal::TooLarge);
    }
    let now_ms = node.now_ms();
    let (since, principal) = (request.since, claim.principal);
    let answer =
        node.read_as(&claim, move |tx, session| news(tx, session, &request, now_ms)).await?;
    // Only of a change that this server made: then `now` or `more` of the answer go on from there.
    if let Some(since) = since.filter(|_| answer.now.is_some() || !answer.logs.is_empty()) {
        node.taken.note(principal, since);
    }
    Ok(Answer(answer))
}

fn news(
    tx: &dyn ReadTx,
    session: &Session,
    request: &SyncRequest,
    now_ms: TimeMs,
) -> Result<SyncAnswer, Refusal> {
    // As this transaction sees it: the session's copy may be newer, and would leave the device without
    // what it asked for.
    let company_log = tx.log_by_no(COMPANY_LOG)?.ok_or(Refusal::NotFounded)?;
    let company_size = company_log.size;
    let mut page = Page { entries: PAGE_ENTRIES, bytes: PAGE_BYTES };
    let company = page.take(tx, COMPANY_LOG, request.company_next, &|_| true)?;
    let company_known = request.company_next.0 + company.len() as u64 >= company_size;
    let newest = tx.newest_change()?;
    // A number that this store has not reached is from a later one, of which this is a backup: the
    // phone has to say what it has.
    let is_known = request.since.is_none_or(|since| since <= newest);
    let (mut logs, mut complete) = (Vec::new(), company_known && is_known);
    if complete {
        for (log, from, stays) in logs_with_news(tx, session, request)? {
            if page.is_full() {
                complete = false;
                break;
            }
            let news = log_news(tx, &mut page, &log, from, &stays)?;
            complete &= from.0 + news.entries.len() as u64 >= news.size;
            logs.push(news);
        }
    }
    Ok(SyncAnswer {
        company: company.into_iter().map(|row| row.entry).collect(),
        company_size,
        now: complete.then_some(newest),
        logs,
        checkpoint: checkpoint::newest_after(tx, session.company.now().era(), request.checkpoint)?,
        more: !complete,
        t_ms: now_ms,
    })
}

/// The logs of the device that go on behind its cursors, the newest conversation first.
fn logs_with_news(
    tx: &dyn ReadTx,
    session: &Session,
    request: &SyncRequest,
) -> Result<Vec<(LogRow, Seq, Vec<Membership>)>, Refusal> {
    let Principal::Device(device) = session.principal else { return Ok(Vec::new()) };
    let mut stays: BTreeMap<LogNo, Vec<Membership>> = BTreeMap::new();
    for stay in tx.memberships(device)? {
        stays.entry(stay.no).or_default().push(stay);
    }
    let user = session.device()?.user;
    let let_in: BTreeMap<LogNo, Option<u64>> = tx.let_in(user)?.into_iter().collect();
    for no in let_in.keys() {
        stays.entry(*no).or_default();
    }
    let handed = handed_over(tx, session, user)?;
    for no in handed.keys() {
        stays.entry(*no).or_default();
    }
    let cursors: HashMap<LogId, Seq> = request.cursors.iter().copied().collect();
    if let Some(since) = request.since {
        let mut asked: BTreeSet<LogNo> = tx.changed_after(since)?.into_iter().collect();
        for log in cursors.keys() {
            asked.extend(tx.log(*log)?.map(|log| log.no));
        }
        stays.retain(|no, _| asked.contains(no));
    }
    let mut found = Vec::new();
    for (no, stays) in stays {
        let Some(mut log) = tx.log_by_no(no)? else { continue };
        let until = let_in.get(&no).copied();
        if until != Some(None) {
            let handed = handed.get(&no).copied().unwrap_or_default();
            let until = until.flatten().unwrap_or_default();
            log.size = readable_size(&log, &stays).max(until).max(handed);
        }
        // A room that its person is out of is nothing to a device that never knew it.
        let knows = request.since.is_some() || cursors.contains_key(&log.log);
        let is_handed = handed.contains_key(&no);
        if until.flatten().is_some() && stays.is_empty() && !knows && !is_handed {
            continue;
        }
        let from = match (cursors.get(&log.log), request.since) {
            (Some(cursor), _) => *cursor,
            (None, Some(since)) => Seq(tx.size_at(no, since)?),
            (None, None) => Seq(0),
        };
        if from.0 < log.size {
            found.push((log, from, stays));
        }
    }
    found.sort_by_key(|(log, ..)| std::cmp::Reverse(log.t_ms));
    Ok(found)
}

/// The logs that were handed over to a user by what is in force now, and how far he reads each.
fn handed_over(
    tx: &dyn ReadTx,
    session: &Session,
    user: UserId,
) -> Result<BTreeMap<LogNo, u64>, Refusal> {
    let company = session.company.now();
    let in_force: Vec<_> = company.handovers().filter(|known| known.to == user).collect();
    let mut handed = BTreeMap::new();
    if in_force.is_empty() {
        return Ok(handed);
    }
    for (no, size) in tx.handed_over(user)? {
        let Some(log) = tx.log_by_no(no)? else { continue };
        for known in in_force.iter().filter(|known| known.is_about(log.log)) {
            if had_a_leaf(tx, no, &company, known.from)? {
                handed.insert(no, size);
            }
        }
    }
    Ok(handed)
}

/// How much of a log a device may read that had a leaf in these stretches, and may not enter again.
pub fn readable_size(log: &LogRow, stays: &[Membership]) -> u64 {
    // The commit that took the leaf away is one batch with its capsule.
    let ends = stays.iter().map(|stay| stay.to.map_or(log.size, |to| (to.0 + 2).min(log.size)));
    ends.max().unwrap_or(0)
}

fn log_news(
    tx: &dyn ReadTx,
    page: &mut Page,
    log: &LogRow,
    from: Seq,
    stays: &[Membership],
) -> Result<LogNews, Refusal> {
    let wanted = |row: &EntryRow| {
        row.kind != Kind::Record || stays.iter().any(|stay| stay.covers(row.entry.seq))
    };
    let mut rows = page.take(tx, log.no, from, &wanted)?;
    // A commit and its capsule come together, and with them the reset before them: a phone takes
    // them in as one.
    while let Some(last) = rows.last().filter(|row| matches!(row.kind, Kind::Reset | Kind::Commit))
    {
        let one = Budget { entries: 1, bytes: 0 };
        let next = tx.entries(log.no, last.entry.seq.next(), one, &wanted)?;
        if next.is_empty() {
            break;
        }
        rows.extend(next);
    }
    rows.truncate(usize::try_from(log.size - from.0).unwrap_or(usize::MAX));
    let mut welcomes = Vec::new();
    for stay in stays {
        if rows.iter().any(|row| row.entry.seq == stay.from)
            && let Some(welcome) = tx.welcome(log.no, stay.from)?
        {
            page.bytes = page.bytes.saturating_sub(welcome.len());
            welcomes.push((stay.from, Bytes(welcome)));
        }
    }
    Ok(LogNews {
        log: log.log,
        entries: rows.into_iter().map(|row| row.entry).collect(),
        welcomes,
        size: log.size,
    })
}

/// What is left of an answer.
struct Page {
    entries: usize,
    bytes: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.entries == 0 || self.bytes == 0
    }

    /// Entries of a log, as many as fit.
    fn take(
        &mut self,
        tx: &dyn ReadTx,
        no: LogNo,
        from: Seq,
        wanted: &dyn Fn(&EntryRow) -> bool,
    ) -> Result<Vec<EntryRow>, Refusal> {
        let budget = Budget { entries: self.entries, bytes: self.bytes };
        let rows = tx.entries(no, from, budget, wanted)?;
        self.entries -= rows.len();
        let bytes: usize = rows.iter().map(EntryRow::size_bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        Ok(rows)
    }
}
