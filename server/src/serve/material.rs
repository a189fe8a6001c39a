//! What a joiner fetches apart from Welcome and commit: ratchet trees and GroupInfos.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{Epoch, Gen, LogId};

use super::answer::{Answer, Refusal, parse_digest};
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::{LogRow, ReadTx};

/// GET: a ratchet tree by its hash, TLS bytes.
pub async fn tree(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path((log, hash)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let (log, hash): (LogId, _) = (log.parse()?, parse_digest(&hash)?);
    let job = move |tx: &dyn ReadTx, session: &Session| {
        let log = readable(tx, session, log)?;
        tx.tree(log.no, hash)?.ok_or(Refusal::NotFound)
    };
    let tree = node.read_as(&claim, job).await?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], tree).into_response())
}

/// GET: the GroupInfos kept for an epoch, the committer's first.
pub async fn group_info(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path((log, r#gen, epoch)): Path<(String, u16, u64)>,
) -> Result<Answer<Vec<Bytes>>, Refusal> {
    let log: LogId = log.parse()?;
    let epoch = Epoch(epoch.min(u64::MAX >> 1));
    let job = move |tx: &dyn ReadTx, session: &Session| {
        let log = readable(tx, session, log)?;
        let infos = tx.group_infos(log.no, Gen(r#gen), epoch)?;
        Ok(Answer(infos.into_iter().map(|(_, info)| Bytes(info)).collect()))
    };
    node.read_as(&claim, job).await
}

/// The log, if a device of the session's user has, or had, a leaf in it.
pub fn readable(tx: &dyn ReadTx, session: &Session, log: LogId) -> Result<LogRow, Refusal> {
    let log = tx.log(log)?.ok_or(Refusal::NotFound)?;
    let user = session.device()?.user;
    let view = session.company.now();
    let stays = tx.members(log.no)?;
    let is_his = stays.iter().any(|stay| view.user_of_device(stay.device) == Some(user));
    if is_his { Ok(log) } else { Err(Refusal::NotFound) }
}
