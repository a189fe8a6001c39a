//! `hauspost serve`: the server as a value that a process, or a test, starts and stops.
//!
//! A request meets the modules in this order: [`door`], [`tls`] and [`socket`]; `routes`, the one
//! table of all routes, with `limits` and `metrics` around it; `answer`, which reads the body once;
//! `session`, who asks; then the route's own module: `founding`, `enrol`, `append` with `company`
//! and `conversation`, `blob`, `sync`, `delivered`, `history`, `live`, `hints`, `packages`, `material`, `checkpoint`, `witness`, `log_key`,
//! `directory`, `archive`.
//! `node` is what they share, [`folder`] what they keep beside the store.

mod answer;
mod append;
mod archive;
mod blob;
mod checkpoint;
mod company;
mod conversation;
mod delivered;
mod directory;
pub mod door;
mod enrol;
pub mod folder;
mod founding;
mod hints;
mod history;
mod limits;
mod live;
mod log_key;
mod material;
mod metrics;
mod node;
mod openapi;
mod packages;
mod quota;
mod routes;
mod session;
pub mod socket;
mod sync;
pub mod tls;
mod uploads;
mod witness;

pub use answer::Refusal;
pub use door::ConnectionLimits;
pub use limits::BlobLimits;
pub use node::App;
pub use quota::{Allowance, Quotas};

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use hauspost_protocol::ids::TimeMs;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use folder::{Access, DataFolder, FolderError};
use node::Node;
pub use tls::{Tls, TlsError};

use crate::blobs::BlobStore;
use crate::blobs::s3::{S3Error, S3Settings};
use crate::store::{Database, StoreError};

/// What a server is started with.
#[derive(Clone)]
pub struct ServeConfig {
    /// The data folder; created when it is not there.
    pub data: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate.
    pub tls: Tls,
    /// When checkpoints are made.
    pub checkpoints: CheckpointTimes,
    /// What documents may take.
    pub blobs: BlobLimits,
    /// What a device may append.
    pub quotas: Quotas,
    /// How many connections there may be.
    pub connections: ConnectionLimits,
    /// Where documents lie.
    pub documents: Documents,
    /// What endures; the embedded database of the data folder when nothing is named. One that several nodes share
    /// is for the caller to close.
    pub store: Option<Database>,
    /// The clock, Unix time in milliseconds.
    pub clock: Clock,
    /// Where all randomness but TLS' comes from; the system's when nothing is named.
    pub seed: Option<[u8; 32]>,
}

impl ServeConfig {
    /// A server with the company's own certificate authority, the protocol's periods and the
    /// system's clock.
    pub fn new(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            data: data.into(),
            listen,
            tls: Tls::CompanyCa { names: Vec::new() },
            checkpoints: CheckpointTimes::default(),
            blobs: BlobLimits::default(),
            quotas: Quotas::default(),
            connections: ConnectionLimits::default(),
            documents: Documents::default(),
            store: None,
            clock: system_clock(),
            seed: None,
        }
    }
}

/// Where documents lie.
#[derive(Clone, Default)]
pub enum Documents {
    /// In the folder `blobs` of the data folder.
    #[default]
    DataFolder,
    /// In another folder.
    Folder(PathBuf),
    /// In S3-compatible storage.
    S3(Box<S3Settings>),
    /// In a store of the caller's.
    Store(Arc<dyn BlobStore>),
}

/// Unix time in milliseconds.
pub type Clock = Arc<dyn Fn() -> TimeMs + Send + Sync>;

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as TimeMs)
    })
}

/// When checkpoints are made (`docs/protocol.md` §1, "Periods").
#[derive(Debug, Clone, Copy)]
pub struct CheckpointTimes {
    /// The shortest time between two, and so the longest from an append to its checkpoint.
    pub after_append: Duration,
    /// The longest time between two when nothing was appended.
    pub at_least_every: Duration,
}

impl Default for CheckpointTimes {
    fn default() -> Self {
        Self { after_append: Duration::from_secs(10), at_least_every: Duration::from_secs(5 * 60) }
    }
}

/// Why a server does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place of the documents.
    #[error(transparent)]
    Documents(#[from] S3Error),
    /// The port is taken.
    #[error("the address {0} is in use by another program; stop it or listen on another port")]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The server stopped by itself.
    #[error("the server stopped: {0}")]
    Stopped(io::Error),
}

/// The time that requests under way have to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Starts a server and returns when it accepts connections.
///
/// Its URL then stands in the file `address` of the data folder until it stops.
pub async fn run(config: ServeConfig) -> Result<Server, ServeError> {
    let folder = DataFolder::open(&config.data)?;
    let tls = tls::server_config(&config.tls, &folder, config.listen, (config.clock)())?;
    let listener = TcpListener::bind(config.listen).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse(config.listen),
        _ => ServeError::Listen { address: config.listen, source },
    })?;
    let listen = |source| ServeError::Listen { address: config.listen, source };
    let address = listener.local_addr().map_err(listen)?;
    let node = Node::open(folder, &config).await?;
    let handle = Handle::new();
    let server = socket::server(listener, tls, &node.door, handle.clone()).map_err(listen)?;
    let router = routes::router(&node);
    let url = format!("https://{address}");
    node.folder.write(ADDRESS, url.as_bytes(), Access::Public)?;
    let (stopping, app) = (node.stopping.clone(), App(Arc::clone(&node)));
    let needed = Needed { handle: handle.clone(), stopping: node.stopping.clone() };
    let checkpoints = checkpoint::keep_making(Arc::clone(&node), config.checkpoints);
    let checkpoints = tokio::spawn(needed.clone().run(checkpoints));
    let collecting = tokio::spawn(needed.run(blob::keep_collecting(Arc::clone(&node))));
    tracing::info!(%address, "the server accepts connections");
    let task = tokio::spawn(async move {
        let end = server.serve(router.into_make_service()).await;
        let asked = node.stopping.is_cancelled();
        node.stopping.cancel();
        let _ = tokio::join!(checkpoints, collecting);
        node.folder.remove(ADDRESS)?;
        // A connection's task may outlive the listener, and with it the node.
        node.close().await?;
        tracing::info!("the server stopped");
        match end {
            Ok(()) if !asked => Err(ServeError::Stopped(io::Error::other("nobody asked it to"))),
            end => end.map_err(ServeError::Stopped),
        }
    });
    Ok(Server { address, url, handle, stopping, app, task })
}

/// What the server cannot do without: when it ends although nobody stops the server, by a defect, the
/// server stops.
#[derive(Clone)]
struct Needed {
    handle: Handle<SocketAddr>,
    stopping: CancellationToken,
}

impl Needed {
    async fn run(self, task: impl Future<Output = ()>) {
        task.await;
    }
}

impl Drop for Needed {
    fn drop(&mut self) {
        if !self.stopping.is_cancelled() {
            self.handle.shutdown();
        }
    }
}

/// The file that holds the running server's URL.
const ADDRESS: &str = "address";

/// A running server. Dropping it leaves the server running; [`Server::shut_down`] ends it.
pub struct Server {
    address: SocketAddr,
    url: String,
    handle: Handle<SocketAddr>,
    stopping: CancellationToken,
    app: App,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// The address that it listens on, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://` and the address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server without its socket, to make a checkpoint before the next one is due.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Accepts nothing more, lets requests under way finish, ends live streams, and returns when
    /// the data folder is free again.
    pub async fn shut_down(mut self) -> Result<(), ServeError> {
        self.stopping.cancel();
        self.handle.graceful_shutdown(Some(GRACE));
        self.stopped().await
    }

    /// Waits until the server stopped, which is an error if nobody asked it to. Asked once.
    pub async fn stopped(&mut self) -> Result<(), ServeError> {
        match (&mut self.task).await {
            Ok(end) => end,
            Err(panic) => Err(ServeError::Stopped(io::Error::other(panic))),
        }
    }
}

#[cfg(test)]
mod tests;
