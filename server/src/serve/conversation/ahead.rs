//! What of a commit is costly and needs no transaction: to load the group and to stage the commit in it.
//!
//! It is done on what the store held a moment before. The transaction takes the result only if the
//! conversation still stands in that very epoch; else it loads the group itself, and most often
//! refuses the commit as stale. So nothing relies on it, whichever node does it.

use std::sync::Arc;

use hauspost_protocol::authorise::Conversation;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::entry::{Head, Kind};
use hauspost_protocol::mls::public::Follower;
use hauspost_protocol::rules::form::{self, ParsedPayload};
use hauspost_protocol::wire::AppendRequest;

use super::parse_state;
use crate::serve::answer::Refusal;
use crate::serve::node::Node;
use crate::serve::session::{Claim, Session};
use crate::store::{ReadTx, StoreError};

/// The group of the log's newest epoch in which the request's commit is staged already, if there is a
/// commit that continues it and its author may be in it.
pub async fn stage(
    node: &Arc<Node>,
    claim: &Claim,
    request: &AppendRequest,
) -> Result<Option<Follower>, Refusal> {
    let Some((head, message)) = commit(request) else { return Ok(None) };
    let log = request.log;
    let public = node
        .read_as(claim, move |tx, session| match tx.log(log)? {
            Some(log) => group(tx, session, log.no, &head),
            None => Ok(None),
        })
        .await?;
    let Some(public) = public else { return Ok(None) };
    let staged = tokio::task::spawn_blocking(move || {
        let mut follower = Follower::from_bytes(&public).ok()?;
        follower.stage_ahead(&message);
        Some(follower)
    });
    Ok(staged.await.map_err(|_| StoreError::Defect)?)
}

/// Whether this is the group of the epoch that the conversation stands in.
pub fn is_of(group: &Follower, conversation: &Conversation) -> bool {
    let stands = (conversation.r#gen, conversation.epoch, conversation.ga);
    (group.r#gen(), group.epoch(), group.ga()) == stands
}

/// The commit that a batch of commit and capsule begins with.
fn commit(request: &AppendRequest) -> Option<(Head, Bytes)> {
    let (head, payload) = request.entries.first()?;
    if Head::parse(head).ok()?.kind != Kind::Commit {
        return None;
    }
    let parsed = form::parse(head, payload).ok()?;
    match parsed.payload {
        ParsedPayload::Commit(_, body) => Some((parsed.head, body.mls_message)),
        _ => None,
    }
}

/// The stored group, if a commit with this head by this device may continue it.
fn group(
    tx: &dyn ReadTx,
    session: &Session,
    no: hauspost_protocol::ids::LogNo,
    head: &Head,
) -> Result<Option<Vec<u8>>, Refusal> {
    let device = session.device()?;
    let row = tx.conversation(no)?.ok_or(StoreError::Damaged("conversation"))?;
    let conversation = parse_state(&row.state)?;
    let follows = head.r#gen == conversation.r#gen && head.epoch == conversation.epoch.next();
    let may =
        conversation.roster.leaf_of(device.device).is_some() || conversation.may_enter(device.user);
    Ok((follows && may).then_some(row.public))
}
