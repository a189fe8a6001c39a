//! Witnesses: asked and answered in the form of C2SP tlog-witness, but they come by themselves.
//!
//! The standard lets a log push its checkpoints to its witnesses. Here each witness asks for the
//! very body that it would be pushed, and hands over the very answer. So a works council's machine
//! needs no address that the server can reach, and the server opens no connection to anybody.
//! Whoever asks sees a size and hashes; what counts of an answer is its signature by a key that the
//! company log names.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::ids::Digest;
use hauspost_protocol::tree::checkpoint::Checkpoint;
use hauspost_protocol::tree::merkle;
use hauspost_protocol::tree::witness::{AddCheckpoint, SIZE_TYPE};
use hauspost_protocol::wire::{Witnessed, WitnessedRequest};

use super::answer::{Answer, Cbor, Refusal};
use super::checkpoint::Outer;
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::{ReadTx, StoreError};

/// Witnesses whose word one answer carries.
const WITNESSES: usize = 8;

const TEXT: &str = "text/plain; charset=utf-8";

/// GET: the body of `add-checkpoint` for a witness that cosigned the tree of size `old` last.
///
/// A witness that saw more than there is gets 409 with the size that there is: this server was set back.
pub async fn checkpoint(
    State(node): State<Arc<Node>>,
    Path(old): Path<u64>,
) -> Result<Response, Refusal> {
    let shared = Arc::clone(&node);
    let asked = node
        .database
        .read(move |tx| {
            let era = shared.company.read(tx)?.now().era();
            let size = tx.outer_size(era)?;
            let newest = size.checked_sub(1).ok_or(Refusal::NotFound)?;
            if old > size {
                return Ok::<_, Refusal>(Err(size));
            }
            let row = tx.outer(era, newest)?.ok_or(StoreError::Damaged("outer tree"))?;
            let proof = merkle::consistency(&Outer { tx, era }, old, size)?;
            Ok(Ok(AddCheckpoint { old, proof, note: row.note }.to_text()))
        })
        .await?;
    Ok(match asked {
        Ok(text) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(size) => {
            let body = format!("{size}\n");
            (StatusCode::CONFLICT, [(CONTENT_TYPE, SIZE_TYPE)], body).into_response()
        }
    })
}

/// POST: the answer to `add-checkpoint`. What no active witness signed is refused.
pub async fn cosignature(
    State(node): State<Arc<Node>>,
    Path((era, size)): Path<(String, String)>,
    lines: Bytes,
) -> Result<Response, Refusal> {
    let number = |text: &str| text.parse().ok().filter(|number: &u64| *number < u64::MAX >> 1);
    let (era, size) = number(&era).zip(number(&size)).ok_or(Refusal::Form)?;
    let lines = String::from_utf8(lines.to_vec()).map_err(|_| Refusal::Form)?;
    let newest = size.checked_sub(1).ok_or(Refusal::NotFound)?;
    let shared = Arc::clone(&node);
    // Verified outside of the one writer's transaction.
    let given = node
        .database
        .read(move |tx| {
            let company = shared.company.read(tx)?;
            let row = tx.outer(era, newest)?.ok_or(Refusal::NotFound)?;
            let mut given: Vec<(Digest, String)> = Vec::new();
            for line in lines.split_inclusive('\n') {
                let note = format!("{}{line}", row.note);
                let Ok(note) = Checkpoint::parse(&note) else { return Err(Refusal::Form) };
                let view = company.now();
                let by = view.witnesses().find(|witness| note.verify_witness(witness).is_ok());
                given.extend(by.map(|witness| (sha256(&witness.key), line.to_owned())));
            }
            Ok::<_, Refusal>(given)
        })
        .await?;
    if given.is_empty() {
        return Err(Refusal::Role);
    }
    node.database
        .write::<_, Refusal>(move |tx| {
            for (witness, line) in &given {
                tx.put_cosignature(era, newest, *witness, line)?;
            }
            Ok(())
        })
        .await?;
    Ok(([(CONTENT_TYPE, TEXT)], "").into_response())
}

/// POST: of each active witness the newest checkpoint that it cosigned, up to a size.
pub async fn witnessed(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Cbor(request): Cbor<WitnessedRequest>,
) -> Result<Answer<Vec<Witnessed>>, Refusal> {
    let job = move |tx: &dyn ReadTx, session: &Session| {
        let WitnessedRequest { era, size } = request;
        if era >= u64::MAX >> 1 || size > tx.outer_size(era)? {
            return Err(Refusal::NotFound);
        }
        let mut witnessed = Vec::new();
        for witness in session.company.now().witnesses().take(WITNESSES) {
            let cosigned = tx.cosigned(era, sha256(&witness.key))?;
            let Some((index, line)) = cosigned.filter(|(index, _)| *index < size) else { continue };
            let row = tx.outer(era, index)?.ok_or(StoreError::Damaged("outer tree"))?;
            let consistency = merkle::consistency(&Outer { tx, era }, index + 1, size)?;
            witnessed.push(Witnessed { note: row.note + &line, consistency });
        }
        Ok(witnessed)
    };
    node.read_as(&claim, job).await.map(Answer)
}
