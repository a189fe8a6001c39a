//! The network as the core sees it: a request, an answer, and a stream of hints.
//!
//! The trait is small so that a simulator can stand in for it and drop, double, delay and reorder
//! requests under a seed. The real one is [`super::http`].

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use hauspost_protocol::invitation::Trust;

/// Opens connections to the company's server; the one way out of the core.
pub trait Network: Send + Sync {
    /// Prepares a connection to the server at this `https://` address. Nothing is sent yet.
    fn connect(&self, server: &str, trust: &Trust) -> Result<Arc<dyn Connection>, NetworkError>;
}

/// A connection to one server. It reconnects by itself; requests may run side by side.
pub trait Connection: Send + Sync {
    /// Sends a request and reads the whole answer.
    ///
    /// An error leaves open whether the server has acted on the request.
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, NetworkError>>;

    /// Sends a request whose answer is a stream without an end. The bytes are hints: pulling by
    /// cursor is the truth.
    fn stream(&self, request: Request) -> BoxFuture<'_, Result<Hints, NetworkError>>;
}

/// Pieces of a stream as they come.
pub type Hints = BoxStream<'static, Result<bytes::Bytes, NetworkError>>;

/// What is asked of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Puts what the path names.
    Put,
}

/// One request.
#[derive(Clone)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The path, from `/v1/…` on.
    pub path: String,
    /// The session's token, base64url.
    pub bearer: Option<String>,
    /// The body: CBOR for [`Method::Post`], bytes for [`Method::Put`], empty for [`Method::Get`].
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({} B)", self.method, self.path, self.body.len())
    }
}

/// One answer.
#[derive(Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} B)", self.status, self.body.len())
    }
}

/// No answer came, or none that may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The address is not an `https://` URL of a host.
    #[error("the server's address is not an https address")]
    Address,
    /// The certificate authority that the invitation named cannot be read.
    #[error("the company's certificate authority cannot be read")]
    Authority,
    /// Nobody answers there.
    #[error("the server cannot be reached")]
    Unreachable,
    /// Whoever answers is not the company's server.
    #[error("the server's certificate is not one that the invitation trusts")]
    Untrusted,
    /// The answer did not come in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken,
    /// The answer is larger than any answer may be.
    #[error("the answer is too large")]
    TooLarge,
}
