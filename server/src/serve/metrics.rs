//! Counts and durations, without any id; and whether the server is well.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::answer::Refusal;
use super::door::Door;
use super::node::Node;
use crate::store::StoreError;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

type Durations = Family<RouteLabels, Histogram, fn() -> Histogram>;

/// What the server counts.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Durations,
    appended: Counter,
    checkpoints: Counter,
    hints: Counter,
    hints_passed: Counter,
    streams: Gauge,
    store_bytes: Gauge<u64, AtomicU64>,
    blobs: Gauge<u64, AtomicU64>,
    blob_bytes: Gauge<u64, AtomicU64>,
    received: Counter,
    sent: Counter,
}

impl Metrics {
    /// Nothing counted yet but what this door counts.
    pub fn new(door: &Door) -> Self {
        let mut registry = Registry::with_prefix("hauspost");
        door.register(&mut registry);
        let requests = Family::default();
        registry.register("requests", "Requests answered, by route and status", requests.clone());
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let durations = Durations::new_with_constructor(buckets);
        let help = "Time from a request's headers to its answer's headers";
        registry.register("request_seconds", help, durations.clone());
        let appended = Counter::default();
        registry.register("entries_appended", "Entries appended to logs", appended.clone());
        let checkpoints = Counter::default();
        registry.register("checkpoints", "Checkpoints made", checkpoints.clone());
        let hints = Counter::default();
        let help = "Hints taken: somebody is typing or there, which of it is not known here";
        registry.register("hints", help, hints.clone());
        let hints_passed = Counter::default();
        let help = "Live streams that hints were passed on to";
        registry.register("hints_passed", help, hints_passed.clone());
        let streams = Gauge::default();
        registry.register("live_streams", "Live streams open", streams.clone());
        let store_bytes = Gauge::default();
        registry.register("store_bytes", "Bytes that the store takes on disk", store_bytes.clone());
        let blobs = Gauge::default();
        registry.register("blobs", "Documents kept or being uploaded", blobs.clone());
        let blob_bytes = Gauge::default();
        let help = "Bytes of the documents kept or being uploaded";
        registry.register("blob_bytes", help, blob_bytes.clone());
        let received = Counter::default();
        let help = "Bytes of documents' chunks received";
        registry.register("blob_bytes_received", help, received.clone());
        let sent = Counter::default();
        registry.register("blob_bytes_sent", "Bytes of documents' chunks sent", sent.clone());
        Self {
            registry,
            requests,
            durations,
            appended,
            checkpoints,
            hints,
            hints_passed,
            streams,
            store_bytes,
            blobs,
            blob_bytes,
            received,
            sent,
        }
    }

    /// So many entries were appended.
    pub fn appended(&self, entries: u64) {
        self.appended.inc_by(entries);
    }

    /// A checkpoint was made.
    pub fn checkpoint(&self) {
        self.checkpoints.inc();
    }

    /// So many hints were taken, and so many streams got one.
    pub fn hints(&self, taken: u64, passed: u64) {
        self.hints.inc_by(taken);
        self.hints_passed.inc_by(passed);
    }

    /// A chunk of a document was received and kept.
    pub fn chunk_received(&self, bytes: u64) {
        self.received.inc_by(bytes);
    }

    /// A chunk of a document was sent.
    pub fn chunk_sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }

    fn answered(&self, route: String, status: u16, took: Duration) {
        let labels = RouteLabels { route: route.clone() };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { route, status }).inc();
    }
}

/// Counts every request under its route's pattern, never under its path.
pub async fn observe(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let begun = Instant::now();
    let response = next.run(request).await;
    let route = route.unwrap_or_else(|| "none".to_owned());
    node.metrics.answered(route, response.status().as_u16(), begun.elapsed());
    response
}

/// GET: the metrics in the OpenMetrics text format.
pub async fn metrics(State(node): State<Arc<Node>>) -> Result<Response, Refusal> {
    node.metrics.streams.set(i64::try_from(node.live.streams()).unwrap_or(i64::MAX));
    node.metrics.store_bytes.set(node.database.size_bytes());
    let documents = node.database.read::<_, StoreError>(|tx| tx.all_blobs()).await?;
    node.metrics.blobs.set(documents.count);
    node.metrics.blob_bytes.set(documents.bytes);
    let mut body = String::new();
    text::encode(&mut body, &node.metrics.registry).map_err(|_| Refusal::Busy)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], body).into_response())
}

/// GET: `ok` when the store answers.
pub async fn health(State(node): State<Arc<Node>>) -> Result<&'static str, Refusal> {
    node.database.read::<_, StoreError>(|tx| tx.reserved()).await?;
    Ok("ok")
}
