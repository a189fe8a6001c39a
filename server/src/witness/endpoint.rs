//! Being asked: `add-checkpoint` of C2SP tlog-witness over HTTP, for logs that push.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hauspost_protocol::tree::witness::{AddCheckpoint, Refused, SIZE_TYPE};

use super::keeper::{AnswerError, Keeper};
use crate::serve::{Clock, ConnectionLimits, socket};

/// A checkpoint with the longest proof and every signature that a note may have.
const BODY: usize = 128 * 1024;

/// Requests at the same time: a handful of logs ask, each of them seldom.
const REQUESTS: usize = 64;

/// Connections at the same time.
pub const CONNECTIONS: ConnectionLimits = ConnectionLimits { total: 256, per_address: 16 };

/// The witness and its clock.
type Shared = State<(Arc<Keeper>, Clock)>;

/// The standard's routes; the submission prefix is the root.
pub fn router(keeper: Arc<Keeper>, clock: Clock) -> Router {
    let router = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state((keeper, clock));
    socket::bounded(router, REQUESTS)
}

async fn add_checkpoint(State((keeper, clock)): Shared, body: String) -> Response {
    // Signing and the disk take milliseconds, but not those of whoever else waits.
    let answered =
        tokio::task::spawn_blocking(move || keeper.answer(&AddCheckpoint::parse(&body)?, clock()));
    let answered = answered.await.unwrap_or_else(|_| Err(Refused::Form.into()));
    match answered {
        Ok(lines) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], lines).into_response(),
        Err(AnswerError::Refused(refused)) => refuse(refused),
        Err(AnswerError::Folder(error)) => {
            tracing::error!(%error, "the witness cannot write what it would sign");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn refuse(refused: Refused) -> Response {
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match refused {
        Refused::Conflict(size) => {
            (status, [(CONTENT_TYPE, SIZE_TYPE)], format!("{size}\n")).into_response()
        }
        refused => (status, refused.to_string()).into_response(),
    }
}
