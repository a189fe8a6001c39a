//! Bytes to values and back: the form of every request and answer, and of every refusal.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hauspost_protocol::encoding::{FormError, Item, Reader, Writer, decode, encode};
use hauspost_protocol::ids::Digest;
use hauspost_protocol::wire::MEDIA_TYPE;

use super::limits::BlobQuota;
use crate::blobs::BlobError;
use crate::store::StoreError;

/// A request's value, read from its body in the one encoding that it has.
pub struct Cbor<T>(pub T);

impl<S: Send + Sync, T: Item> FromRequest<S> for Cbor<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state).await?;
        Ok(Self(decode(&bytes)?))
    }
}

/// An answer's value.
pub struct Answer<T>(pub T);

impl<T: Item> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static(MEDIA_TYPE);
        ([(header::CONTENT_TYPE, kind)], encode(&self.0)).into_response()
    }
}

/// `[]`: a request or an answer that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty;

impl Item for Empty {
    fn write(&self, to: &mut Writer) {
        to.array(0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(0, |_| Ok(Self))
    }
}

/// A hash in a path, hexadecimal.
pub fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    let hash = hex::decode(text).ok().and_then(|hash| hash.try_into().ok());
    hash.map(Digest).ok_or(Refusal::Form)
}

/// A request is refused: a status, and a word that says why. Never content, never an id.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not the form that the route asks for.
    #[error("form")]
    Form,
    /// Above a limit.
    #[error("too_large")]
    TooLarge,
    /// No session, or one that ended, or whose device or role is not, or no longer, active.
    #[error("session")]
    Session,
    /// Not for this device or role.
    #[error("role")]
    Role,
    /// The company's policy does not have it.
    #[error("policy")]
    Policy,
    /// There is no such thing, or it is not for this session.
    #[error("not_found")]
    NotFound,
    /// The company is not founded yet.
    #[error("not_founded")]
    NotFounded,
    /// What was asked contradicts what is there; the text says what, by ids at most.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// Too much at once from this session, or for this server.
    #[error("busy")]
    Busy,
    /// The request took too long.
    #[error("late")]
    Late,
    /// Not the chunk that stands in this place, or not of its length.
    #[error("chunk")]
    Chunk,
    /// The device, or the company, has uploaded as much as it may; the words say which limit that is.
    #[error("{0}")]
    Quota(BlobQuota),
    /// A document above the limit, in bytes.
    #[error("too_large {0}")]
    Document(u64),
    /// A document cannot be kept or read now; the word says whether the disk is full.
    #[error("{}", if matches!(.0, BlobError::Full) { "full" } else { "store" })]
    Blob(#[source] BlobError),
    /// The store fails, or its disk is full; the same request later may succeed.
    #[error("{}", if matches!(.0, StoreError::Full) { "full" } else { "store" })]
    Store(#[source] StoreError),
}

impl Refusal {
    /// A contradiction, named.
    pub fn conflict(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict(what.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Form => StatusCode::BAD_REQUEST,
            Self::TooLarge | Self::Document(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Session => StatusCode::UNAUTHORIZED,
            Self::Role | Self::Policy | Self::Quota(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotFounded | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Chunk => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Blob(BlobError::Full) | Self::Store(StoreError::Full) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Self::Store(_) | Self::Blob(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match &self {
            Self::Store(error) => tracing::error!(%error, "the store failed"),
            Self::Blob(error) => tracing::error!(%error, "a document cannot be kept or read"),
            _ => {}
        }
        (self.status(), self.to_string()).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLarge => Self::TooLarge,
            _ => Self::Form,
        }
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            _ => Self::Form,
        }
    }
}
