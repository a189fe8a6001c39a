//! All routes in one table: the router is built from it, and so is their description.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{MethodRouter, get, post, put};
use hauspost_protocol::file::SEALED_CHUNK_BYTES;
use hauspost_protocol::wire::path;
use tower_http::catch_panic::CatchPanicLayer;

use super::answer::Refusal;
use super::limits::{
    APPEND_BODY, BLOB_BODY, FOUND_BODY, LIST_BODY, SERVER_REQUESTS, SMALL_BODY, SYNC_BODY,
};
use super::node::Node;
use super::{
    append, archive, blob, checkpoint, delivered, directory, enrol, founding, hints, history, live,
    log_key, material, metrics, openapi, packages, session, socket, sync, witness,
};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Who has the founding token.
    FoundingToken,
    /// An active device or role.
    Session,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    Nothing,
    /// The deterministic CBOR of this shape.
    Cbor(&'static str),
    /// Text of this kind.
    Text(&'static str),
    /// Bytes of this kind.
    Bytes(&'static str),
}

/// One route.
pub struct Route {
    /// `get`, `post` or `put`.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: String,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Who may ask.
    pub access: Access,
    /// The request's body.
    pub request: Form,
    /// The answer's body.
    pub answer: Form,
    /// The longest body in bytes; 0 without one.
    pub body_bytes: usize,
    handler: MethodRouter<Arc<Node>>,
}

impl Route {
    fn get(
        path: impl Into<String>,
        access: Access,
        answer: Form,
        summary: &'static str,
        handler: MethodRouter<Arc<Node>>,
    ) -> Self {
        let (method, request, body_bytes) = ("get", Form::Nothing, 0);
        Self { method, path: path.into(), summary, access, request, answer, body_bytes, handler }
    }

    fn post(
        path: impl Into<String>,
        access: Access,
        (request, answer): (&'static str, &'static str),
        body_bytes: usize,
        summary: &'static str,
        handler: MethodRouter<Arc<Node>>,
    ) -> Self {
        let (method, path) = ("post", path.into());
        let (request, answer) = (Form::Cbor(request), Form::Cbor(answer));
        Self { method, path, summary, access, request, answer, body_bytes, handler }
    }

    fn put(
        path: String,
        access: Access,
        request: Form,
        body_bytes: usize,
        summary: &'static str,
        handler: MethodRouter<Arc<Node>>,
    ) -> Self {
        let (method, answer) = ("put", Form::Nothing);
        Self { method, path, summary, access, request, answer, body_bytes, handler }
    }
}

/// The table, in the order in which a phone meets the routes.
pub fn table() -> Vec<Route> {
    use Access::{FoundingToken, Open, Session};
    use Form::{Bytes, Cbor, Text};
    vec![
        Route::get(path::HELLO, Open, Cbor("Hello"), "Who the server is", get(founding::hello)),
        Route::post(
            path::FOUND,
            FoundingToken,
            ("Found", "[]"),
            FOUND_BODY,
            "Founds the company, once",
            post(founding::found),
        ),
        Route::post(
            path::ENROL,
            Open,
            ("EnrolRequest", "EnrolAnswer"),
            SMALL_BODY,
            "Enrols a device by its voucher and seed",
            post(enrol::enrol),
        ),
        Route::post(
            path::WAITING,
            Session,
            ("[]", "[WaitingDevice*]"),
            SMALL_BODY,
            "The further devices that wait for somebody who signs for them",
            post(enrol::waiting),
        ),
        Route::post(
            path::APPROVE,
            Session,
            ("NewEntry", "Seq"),
            SMALL_BODY,
            "The entry of a waiting device, signed by who approves it",
            post(enrol::approve),
        ),
        Route::get(
            path::CHALLENGE,
            Open,
            Cbor("bstr"),
            "A challenge to sign, good for two minutes",
            get(session::challenge),
        ),
        Route::post(
            path::SESSION,
            Open,
            ("SessionRequest", "SessionAnswer"),
            SMALL_BODY,
            "A token for a signed challenge, good for an hour",
            post(session::session),
        ),
        Route::post(
            path::APPEND,
            Session,
            ("AppendRequest", "[Outcome*]"),
            APPEND_BODY,
            "Appends a batch to one log, all or nothing but for what it has already",
            post(append::append),
        ),
        Route::post(
            path::SYNC,
            Session,
            ("SyncRequest", "SyncAnswer"),
            SYNC_BODY,
            "Everything that changed since the device's cursors",
            post(sync::sync),
        ),
        Route::post(
            path::HISTORY,
            Session,
            ("HistoryRequest", "[Entry*]"),
            SMALL_BODY,
            "Those of the records asked for that were granted to the device, as many as fit",
            post(history::entries),
        ),
        Route::post(
            path::DELIVERED,
            Session,
            ("DeliveredRequest", "[Delivered*]"),
            SMALL_BODY,
            "How many of the others have these entries of one's own",
            post(delivered::delivered),
        ),
        Route::post(
            path::HINTS,
            Session,
            ("HintsRequest", "[]"),
            SMALL_BODY,
            "Hints for who is connected: typing and being there, sealed, passed on and not stored",
            post(hints::hints),
        ),
        Route::get(
            format!("{}/{{device}}", path::HISTORY_KEY),
            Session,
            Cbor("bstr"),
            "A device's key for history, to which grants are sealed",
            get(history::key),
        ),
        Route::post(
            format!("{}/{{log}}/{{root}}", path::BLOB),
            Session,
            ("BlobBegin", "bstr"),
            BLOB_BODY,
            "Begins a document's upload, or takes it up; the bitmap of the chunks that are there",
            post(blob::begin),
        ),
        Route::put(
            format!("{}/{{log}}/{{root}}/{{chunk}}", path::BLOB),
            Session,
            Bytes("application/octet-stream"),
            SEALED_CHUNK_BYTES,
            "Keeps one chunk of a document",
            put(blob::put),
        ),
        Route::get(
            format!("{}/{{log}}/{{root}}/{{chunk}}", path::BLOB),
            Session,
            Bytes("application/octet-stream"),
            "One chunk of a document, for who may read a record that names it",
            get(blob::get),
        ),
        Route::get(
            path::LIVE,
            Session,
            Text("text/plain"),
            "A stream of lines, at least one every 30 s: an empty one is a hint to sync, another one a SealedHint, \
             base64url of its CBOR",
            get(live::live),
        ),
        Route::post(
            path::RESERVE,
            Session,
            ("[]", "LogNo"),
            SMALL_BODY,
            "Reserves a log number for the session's user",
            post(packages::reserve),
        ),
        Route::post(
            path::PACKAGES_PUT,
            Session,
            ("PackagesPut", "uint"),
            LIST_BODY,
            "Stocks key packages of a suite; answers with the number of one-time ones",
            post(packages::put),
        ),
        Route::post(
            path::PACKAGES_TAKE,
            Session,
            ("PackagesTake", "[PackageTaken*]"),
            SMALL_BODY * 2,
            "Takes a key package of a suite of each device",
            post(packages::take),
        ),
        Route::get(
            format!("{}/{{log}}/{{hash}}", path::TREE),
            Session,
            Bytes("application/octet-stream"),
            "A ratchet tree by its hash, TLS bytes",
            get(material::tree),
        ),
        Route::get(
            format!("{}/{{log}}/{{gen}}/{{epoch}}", path::GROUP_INFO),
            Session,
            Cbor("[bstr*]"),
            "The GroupInfos kept for an epoch, as MLSMessage",
            get(material::group_info),
        ),
        Route {
            answer: Cbor("[]"),
            ..Route::put(
                format!("{}/{{log}}/{{gen}}/{{epoch}}", path::GROUP_INFO),
                Session,
                Cbor("bstr"),
                SMALL_BODY,
                "A member's own GroupInfo of the newest epoch, as MLSMessage",
                put(material::put_group_info),
            )
        },
        Route::post(
            path::PROOF_HEADS,
            Session,
            ("HeadsProofRequest", "[HeadsProof*]"),
            SMALL_BODY,
            "The places of logs in the heads tree of a checkpoint",
            post(checkpoint::heads),
        ),
        Route::post(
            path::PROOF_CONSISTENCY,
            Session,
            ("ConsistencyRequest", "[bstr32*]"),
            SMALL_BODY,
            "Shows that two outer trees of an era are one",
            post(checkpoint::consistency),
        ),
        Route::post(
            path::WITNESSED,
            Session,
            ("WitnessedRequest", "[Witnessed*]"),
            SMALL_BODY,
            "Of each witness the newest checkpoint that it cosigned, up to a size",
            post(witness::witnessed),
        ),
        Route::get(
            format!("{}/{{old}}", path::WITNESS_CHECKPOINT),
            Open,
            Text("text/plain"),
            "What a witness is asked (C2SP tlog-witness), for one that comes and asks itself",
            get(witness::checkpoint),
        ),
        Route {
            method: "post",
            path: format!("{}/{{era}}/{{size}}", path::WITNESS_COSIGNATURE),
            summary: "A witness's answer: lines of signatures",
            access: Open,
            request: Text("text/plain"),
            answer: Text("text/plain"),
            body_bytes: SMALL_BODY,
            handler: post(witness::cosignature),
        },
        Route::post(
            path::DIRECTORY,
            Session,
            ("uint", "Directory"),
            SMALL_BODY,
            "The people who changed since a version",
            post(directory::directory),
        ),
        Route::post(
            path::DIRECTORY_PUT,
            Session,
            ("[Person*]", "uint"),
            LIST_BODY,
            "Changes people; admins only",
            post(directory::put),
        ),
        Route::post(
            path::ARCHIVE,
            Session,
            ("ArchiveRequest", "ArchiveAnswer"),
            SMALL_BODY,
            "A stretch of one log for admin, officers or council",
            post(archive::entries),
        ),
        Route::post(
            path::ARCHIVE_LOGS,
            Session,
            ("[]", "[LogPlace*]"),
            SMALL_BODY,
            "All logs, for admin, officers or council",
            post(archive::logs),
        ),
        Route::post(
            path::LOG_KEY,
            Session,
            ("[]", "NextLogKey"),
            SMALL_BODY,
            "The keys of checkpoints to come, for the root to name; admins only",
            post(log_key::next),
        ),
        Route::get(
            format!("{}/{{opening}}/{{log}}/{{root}}/{{chunk}}", path::ARCHIVE_BLOB),
            Session,
            Bytes("application/octet-stream"),
            "One chunk of a document, for officers under an opening",
            get(blob::get_opened),
        ),
        Route::get(
            "/healthz",
            Open,
            Text("text/plain"),
            "`ok` when the store answers",
            get(metrics::health),
        ),
        Route::get(
            "/metrics",
            Open,
            Text("application/openmetrics-text"),
            "Counts and durations",
            get(metrics::metrics),
        ),
        Route::get(
            "/openapi.json",
            Open,
            Text("application/json"),
            "This description",
            get(openapi::openapi),
        ),
    ]
}

/// The router of all routes with the limits that hold for each.
pub fn router(node: &Arc<Node>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let handler = route.handler.layer(DefaultBodyLimit::max(route.body_bytes));
        router = router.route(&route.path, handler);
    }
    let router = router.fallback(|| async { Refusal::NotFound });
    socket::bounded(router, SERVER_REQUESTS)
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(Arc::clone(node), metrics::observe))
        .with_state(Arc::clone(node))
}
