//! The live stream: an empty line says "there may be news, sync", another one is a hint of somebody, passed on.
//!
//! Pulling by cursor is the truth. A line that is lost costs time, never a message; so lines go through
//! this process alone. News are coalesced without a queue, and of hints that nobody fetches the newest
//! of each device in a conversation waits, and only so many.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hauspost_protocol::ids::{DeviceId, KeyId, LogId};
use hauspost_protocol::wire::Principal;
use tokio::sync::Notify;

use super::answer::Refusal;
use super::node::Node;
use super::session::{Claim, Session};

/// A line comes at least this often, as a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Hints that wait for one stream, at most; the oldest goes then.
const WAITING: usize = 64;

/// The streams that wait for lines.
#[derive(Default)]
pub struct Live {
    streams: Mutex<HashMap<[u8; 16], Vec<Weak<Bell>>>>,
    /// Devices that appended since the newest checkpoint and want to hear of the next.
    unsecured: Mutex<HashSet<DeviceId>>,
}

/// A hint on its way to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The conversation.
    pub log: LogId,
    /// Whose it is.
    pub from: DeviceId,
    /// The line, with its end.
    pub line: Bytes,
}

/// What waits for one stream.
#[derive(Default)]
struct Bell {
    wake: Notify,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    news: bool,
    hints: Vec<Passed>,
}

impl Bell {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) {
        self.waiting().news = true;
        self.wake.notify_one();
    }

    fn pass(&self, hint: Passed) {
        let mut waiting = self.waiting();
        let same = |other: &&mut Passed| (other.log, other.from) == (hint.log, hint.from);
        match waiting.hints.iter_mut().find(same) {
            Some(older) => older.line = hint.line,
            None => {
                if waiting.hints.len() >= WAITING {
                    waiting.hints.remove(0);
                }
                waiting.hints.push(hint);
            }
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// All that waits, as lines; what rang twice before it was heard is nothing the second time.
    fn lines(&self) -> Bytes {
        let Waiting { news, hints } = std::mem::take(&mut *self.waiting());
        if hints.is_empty() {
            return if news { Bytes::from_static(NEWS) } else { Bytes::new() };
        }
        let lines = hints.iter().map(|hint| &hint.line[..]);
        Bytes::from(lines.chain(news.then_some(NEWS)).collect::<Vec<_>>().concat())
    }
}

const NEWS: &[u8] = b"\n";

impl Live {
    /// A new stream of this session's owner.
    fn listen(&self, principal: Principal) -> Arc<Bell> {
        let bell = Arc::<Bell>::default();
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

    /// A hint for these devices; to how many streams it goes.
    pub fn pass(&self, devices: &[DeviceId], hint: &Passed) -> u64 {
        let listeners = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = devices.iter().filter_map(|DeviceId(device)| listeners.get(device));
        let mut count = 0;
        for bell in streams.flatten().filter_map(Weak::upgrade) {
            bell.pass(hint.clone());
            count += 1;
        }
        count
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

fn ring(bell: &Weak<Bell>) {
    if let Some(bell) = bell.upgrade() {
        bell.news();
    }
}

/// GET: the stream. It begins with a line at once, so that what came before is not missed, and with the
/// hints that are kept for the device; it ends when the session's owner is no longer active or the server
/// stops.
pub async fn live(State(node): State<Arc<Node>>, claim: Claim) -> Result<Response, Refusal> {
    let principal = claim.principal;
    let bell = node.live.listen(principal);
    let session = Session::new(principal, node.company().await?)?;
    bell.news();
    node.hints.follow(session.company.now().terms());
    if let Principal::Device(device) = principal {
        node.hints.kept_for(device, node.now_ms()).into_iter().for_each(|hint| bell.pass(hint));
    }
    let lines = stream::unfold((node, bell, claim), |(node, bell, claim)| async {
        let lines = loop {
            tokio::select! {
                () = node.stopping.cancelled() => return None,
                () = bell.wake.notified() => match bell.lines() {
                    lines if lines.is_empty() => {}
                    lines => break lines,
                },
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    node.check(claim.principal).await.ok()?;
                    break Bytes::from_static(NEWS);
                }
            }
        };
        Some((Ok::<_, Infallible>(lines), (node, bell, claim)))
    });
    let headers = [(CONTENT_TYPE, "text/plain"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(lines)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(log: u8, from: u8, line: &'static str) -> Passed {
        Passed { log: LogId([log; 16]), from: DeviceId([from; 16]), line: line.into() }
    }

    #[test]
    fn news_are_one_line_however_often_they_ring_and_the_newest_hint_of_a_device_waits() {
        let bell = Bell::default();
        assert!(bell.lines().is_empty());
        bell.news();
        bell.news();
        assert_eq!(bell.lines(), "\n");
        bell.pass(passed(1, 1, "a\n"));
        bell.pass(passed(1, 2, "b\n"));
        bell.pass(passed(1, 1, "c\n"));
        bell.news();
        assert_eq!(bell.lines(), "c\nb\n\n");
        bell.pass(passed(1, 1, "a\n"));
        bell.pass(passed(2, 1, "d\n"));
        assert_eq!(bell.lines(), "a\nd\n", "one in each conversation");
        assert!(bell.lines().is_empty(), "each goes out once");
    }

    #[test]
    fn who_does_not_fetch_hints_makes_the_server_hold_so_many_and_no_more() {
        let bell = Bell::default();
        (0..=255).for_each(|from| bell.pass(passed(1, from, "x\n")));
        let waiting = std::mem::take(&mut bell.waiting().hints);
        assert_eq!(waiting.len(), WAITING);
        let of = |hint: Option<&Passed>| hint.map(|hint| hint.from.0[0]);
        assert_eq!((of(waiting.first()), of(waiting.last())), (Some(192), Some(255)));
    }

    #[test]
    fn streams_that_were_closed_take_no_room() {
        let live = Live::default();
        let [anna, ben] = [1, 2].map(|id| Principal::Device(DeviceId([id; 16])));
        let kept = |live: &Live| live.streams.lock().unwrap().values().map(Vec::len).sum::<usize>();
        let (hers, his) = (live.listen(anna), live.listen(ben));
        drop(hers);
        assert_eq!((live.streams(), kept(&live)), (1, 2));
        let again = live.listen(anna);
        assert_eq!((live.streams(), kept(&live)), (2, 2), "her next one takes its place");
        let other = live.listen(ben);
        drop((again, other));
        live.hint_all();
        assert_eq!((live.streams(), kept(&live)), (1, 1), "news for all find who is there still");
        assert_eq!(live.streams.lock().unwrap().len(), 1);
        assert_eq!(his.lines(), "\n");
    }

    #[test]
    fn a_hint_goes_to_the_streams_of_its_devices_and_to_no_other() {
        let live = Live::default();
        let [anna, ben] = [1, 2].map(|id| Principal::Device(DeviceId([id; 16])));
        let (hers, his, his_other) = (live.listen(anna), live.listen(ben), live.listen(ben));
        assert_eq!(live.pass(&[DeviceId([2; 16]), DeviceId([3; 16])], &passed(1, 1, "x\n")), 2);
        assert_eq!((his.lines(), his_other.lines()), ("x\n".into(), "x\n".into()));
        assert!(hers.lines().is_empty());
        drop(his_other);
        assert_eq!(live.pass(&[DeviceId([2; 16])], &passed(1, 1, "y\n")), 1);
    }
}
