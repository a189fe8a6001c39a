//! Chains for those who keep, audit and open the archive.
//!
//! Everyone with such a role sees the chain of every log with all that lies in the clear anyway.
//! A record's payload is released to officers only, under an opening that stands in the company
//! log, and only in its scope; the council gets none (`docs/protocol.md` §9).

use std::sync::Arc;

use axum::extract::State;
use hauspost_protocol::company::body::{OpeningEntry, Role};
use hauspost_protocol::entry::Kind;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{ArchiveAnswer, ArchiveRequest, LogPlace};

use super::answer::{Answer, Cbor, Empty, Refusal};
use super::checkpoint::{self, HeadsTrees};
use super::limits::{PAGE_BYTES, PAGE_ENTRIES};
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::{Budget, EntryRow, ReadTx};

const READERS: [Role; 3] = [Role::Admin, Role::Officer, Role::Council];

/// POST: a stretch of one log.
pub async fn entries(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<ArchiveRequest>,
) -> Result<Answer<ArchiveAnswer>, Refusal> {
    let shared = Arc::clone(&node);
    let job = move |tx: &dyn ReadTx, session: &Session| {
        stretch(tx, session, &shared.heads_trees, &request)
    };
    node.read_as(&claim, job).await.map(Answer)
}

fn stretch(
    tx: &dyn ReadTx,
    session: &Session,
    trees: &HeadsTrees,
    request: &ArchiveRequest,
) -> Result<ArchiveAnswer, Refusal> {
    session.must_have(&READERS)?;
    let view = session.company.now();
    let opening = match request.opening {
        Some(seq) => Some(view.opening(seq).ok_or(Refusal::NotFound)?),
        None => None,
    };
    let opening = opening.filter(|_| session.has_role(&[Role::Officer]));
    let log = tx.log(request.log)?.ok_or(Refusal::NotFound)?;
    let released = |row: &EntryRow| {
        row.kind != Kind::Record
            || opening.is_some_and(|opening| is_in_scope(session, opening, log.log, row))
    };
    let budget = Budget { entries: PAGE_ENTRIES, bytes: PAGE_BYTES };
    let rows = tx.entries(log.no, request.from, budget, &released)?;
    let era = view.era();
    let checkpoint = checkpoint::newest_after(tx, era, None)?;
    // A log begun after the newest checkpoint has no place in it yet.
    let proof = match &checkpoint {
        Some(_) => match trees.prove(tx, (era, tx.outer_size(era)?), &[log.no]) {
            Ok(proofs) => proofs.into_iter().next(),
            Err(Refusal::NotFound) => None,
            Err(refusal) => return Err(refusal),
        },
        None => None,
    };
    Ok(ArchiveAnswer {
        entries: rows.into_iter().map(|row| row.entry).collect(),
        size: log.size,
        checkpoint,
        proof,
    })
}

/// Whether a record lies in an opening's scope.
pub fn is_in_scope(session: &Session, opening: &OpeningEntry, log: LogId, row: &EntryRow) -> bool {
    let author = row.author.and_then(|device| session.company.now().user_of_device(device));
    author.is_some_and(|author| opening.scope.covers(log, row.entry.seq, row.entry.t_ms, author))
}

/// POST: all logs, for those who export the whole archive.
pub async fn logs(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(Empty): Cbor<Empty>,
) -> Result<Answer<Vec<LogPlace>>, Refusal> {
    node.read_as(&claim, |tx, session| {
        session.must_have(&READERS)?;
        let places = tx.logs()?.into_iter().filter(|log| log.size > 0);
        let place =
            |log: crate::store::LogRow| LogPlace { position: log.no, log: log.log, size: log.size };
        Ok(Answer(places.map(place).collect()))
    })
    .await
}
