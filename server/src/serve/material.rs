//! What a joiner fetches apart from Welcome and commit: ratchet trees and GroupInfos.
//!
//! Of an epoch three GroupInfos are kept at most: the committer's own, which came with the commit,
//! and the newest of two other devices, who put theirs when they find the committer's wrong (C6;
//! `docs/attacks.md` 2). Whether an external key is right the server cannot know.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{Epoch, Gen, LogId};
use hauspost_protocol::mls::public::Follower;

use super::answer::{Answer, Cbor, Empty, Refusal, parse_digest};
use super::conversation::parse_state;
use super::node::Node;
use super::session::{Claim, Session};
use crate::store::{LogRow, ReadTx, StoreError, Tx};

/// GroupInfos of an epoch that are kept besides the committer's own.
const OTHERS_INFOS: usize = 2;

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
        let log = enterable(tx, session, log)?;
        let infos = tx.group_infos(log.no, Gen(r#gen), epoch)?;
        Ok(Answer(infos.into_iter().map(|(_, info)| Bytes(info)).collect()))
    };
    node.read_as(&claim, job).await
}

/// PUT: a member's own GroupInfo of the newest epoch.
pub async fn put_group_info(
    State(node): State<Arc<Node>>,
    claim: Claim,
    Path((log, r#gen, epoch)): Path<(String, u16, u64)>,
    Cbor(info): Cbor<Bytes>,
) -> Result<Answer<Empty>, Refusal> {
    let log: LogId = log.parse()?;
    let place = (Gen(r#gen), Epoch(epoch));
    let job = move |tx: &mut dyn Tx, session: &Session| {
        let device = session.device()?.device;
        let log = tx.log(log)?.ok_or(Refusal::NotFound)?;
        let row = tx.conversation(log.no)?.ok_or(Refusal::NotFound)?;
        let conversation = parse_state(&row.state)?;
        let own = conversation.roster.leaf_of(device).ok_or(Refusal::NotFound)?;
        if conversation.in_force() != Some(place) {
            return Err(Refusal::conflict("the epoch is over"));
        }
        let follower = Follower::from_bytes(&row.public);
        let follower = follower.map_err(|_| StoreError::Damaged("MLS group"))?;
        if follower.check_group_info(&info).ok() != Some(own) {
            return Err(Refusal::Form);
        }
        let (r#gen, epoch) = place;
        tx.put_group_info(log.no, r#gen, epoch, device, &info)?;
        let committer = conversation.capsules.first().map(|capsule| capsule.device);
        let kept = tx.group_infos(log.no, r#gen, epoch)?;
        let mut others: Vec<_> = kept.into_iter().map(|(device, _)| device).collect();
        others.retain(|device| Some(*device) != committer);
        for device in others.iter().rev().skip(OTHERS_INFOS) {
            tx.drop_group_info(log.no, r#gen, epoch, *device)?;
        }
        Ok(Answer(Empty))
    };
    node.write_as(&claim, job).await
}

/// The log, if devices of the session's user may enter it.
fn enterable(tx: &dyn ReadTx, session: &Session, log: LogId) -> Result<LogRow, Refusal> {
    let log = tx.log(log)?.ok_or(Refusal::NotFound)?;
    let may = tx.is_let_in(log.no, session.device()?.user)?;
    if may { Ok(log) } else { Err(Refusal::NotFound) }
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
