//! How the core speaks to the company's server.
//!
//! [`network`] is the way out: a trait, and [`http`] its real form. [`session`] proves with the
//! keystore key whose phone asks. [`server`] has one method for each route, the stream of hints among
//! them. Who fails waits as [`backoff`] says.

pub mod backoff;
pub mod http;
pub mod network;
pub mod server;
pub mod session;

pub use backoff::Backoff;
pub use http::Https;
pub use network::{Connection, Hints, Method, Network, NetworkError, Request, Response};
pub use server::Server;
pub use session::Session;

/// Why a request to the server led to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// No answer came; the same request may be sent again.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The server does not know this device, or no longer.
    #[error("the server does not accept this device")]
    Session,
    /// The server cannot answer now; the same request may be sent again later.
    #[error("the server is busy ({0})")]
    Busy(u16),
    /// The server refuses the request as it is.
    #[error("the server refused the request ({0})")]
    Refused(u16),
    /// The answer is not of the form that the route promises.
    #[error("the server's answer is not of the form agreed: {0}")]
    Form(#[from] hauspost_protocol::encoding::FormError),
    /// The phone's keystore refused to sign.
    #[error("the keystore did not sign")]
    KeyStore,
}

impl SyncError {
    /// Whether the same request may succeed later by itself.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Busy(_))
    }

    /// Whether nothing of the request can have reached the server: no connection to it came about.
    pub fn left_nothing(&self) -> bool {
        use NetworkError::{Address, Authority, Unreachable, Untrusted};
        matches!(self, Self::Network(Address | Authority | Unreachable | Untrusted))
    }
}
