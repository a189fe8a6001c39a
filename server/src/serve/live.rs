//! Live hints: "there may be news, sync". A line says that and nothing else.
//!
//! Pulling by cursor is the truth. A hint that is lost costs time, never a message; so hints go
//! through this process alone and are coalesced without a queue.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hauspost_protocol::ids::{DeviceId, KeyId};
use hauspost_protocol::wire::Principal;
use tokio::sync::Notify;

use super::answer::Refusal;
use super::node::Node;
use super::session::Claim;

/// A line comes at least this often, as a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The streams that wait for hints.
#[derive(Default)]
pub struct Live {
    streams: Mutex<HashMap<[u8; 16], Vec<Weak<Notify>>>>,
    /// Devices that appended since the newest checkpoint and want to hear of the next.
    unsecured: Mutex<HashSet<DeviceId>>,
}

impl Live {
    /// A new stream of this session's owner.
    fn listen(&self, principal: Principal) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        let mut listeners = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let bells = listeners.entry(owner(principal)).or_default();
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(&bell));
        bell
    }

    /// News for these devices.
    pub fn hint(&self, devices: impl IntoIterator<Item = DeviceId>) {
        let listeners = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for DeviceId(device) in devices {
            listeners.get(&device).into_iter().flatten().for_each(ring);
        }
    }

    /// This device appended something that the next checkpoint will cover.
    pub fn awaits_checkpoint(&self, device: DeviceId) {
        self.unsecured.lock().unwrap_or_else(PoisonError::into_inner).insert(device);
    }

    /// There is a checkpoint: those whose entries it covers may fetch it. Everybody else hears of it
    /// with the next news.
    pub fn hint_checkpoint(&self) {
        let mut unsecured = self.unsecured.lock().unwrap_or_else(PoisonError::into_inner);
        self.hint(std::mem::take(&mut *unsecured));
    }

    /// News for everyone: the company log grew.
    pub fn hint_all(&self) {
        let mut listeners = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|_, bells| {
            bells.retain(|bell| bell.strong_count() > 0);
            bells.iter().for_each(ring);
            !bells.is_empty()
        });
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        let listeners = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.values().flatten().filter(|bell| bell.strong_count() > 0).count()
    }
}

fn owner(principal: Principal) -> [u8; 16] {
    match principal {
        Principal::Device(DeviceId(id)) | Principal::Role(KeyId(id)) => id,
    }
}

fn ring(bell: &Weak<Notify>) {
    if let Some(bell) = bell.upgrade() {
        bell.notify_one();
    }
}

/// GET: the stream. It begins with a line at once, so that what came before is not missed, and ends
/// when the session's owner is no longer active or the server stops.
pub async fn live(State(node): State<Arc<Node>>, claim: Claim) -> Result<Response, Refusal> {
    let principal = claim.principal;
    let bell = node.live.listen(principal);
    node.check(principal).await?;
    bell.notify_one();
    let lines = stream::unfold((node, bell, claim), |(node, bell, claim)| async {
        tokio::select! {
            () = node.stopping.cancelled() => return None,
            () = bell.notified() => {}
            () = tokio::time::sleep(KEEP_ALIVE) => node.check(claim.principal).await.ok()?,
        }
        let line = Ok::<_, Infallible>(Bytes::from_static(b"\n"));
        Some((line, (node, bell, claim)))
    });
    let headers = [(CONTENT_TYPE, "text/plain"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(lines)).into_response())
}
