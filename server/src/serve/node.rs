//! The server without its sockets: what all handlers share, over a data folder and a store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hauspost_protocol::company::state::Company;
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::ids::TimeMs;
use hauspost_protocol::wire::Principal;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use super::answer::Refusal;
use super::checkpoint::HeadsTrees;
use super::company::{COMPANY_LOG, CompanyCopies};
use super::delivered::Taken;
use super::door::Door;
use super::folder::{Access, DataFolder};
use super::hints::Hints;
use super::limits::{BlobLimits, Limits};
use super::live::Live;
use super::log_key::LogKeys;
use super::metrics::Metrics;
use super::quota::Quotas;
use super::session::{Claim, Session, SessionKeys};
use super::uploads::Uploads;
use super::{Clock, Documents, ServeConfig, ServeError, blob, checkpoint, routes};
use crate::blobs::s3::S3Blobs;
use crate::blobs::{BlobStore, FolderBlobs};
use crate::store::sqlite::SqliteStore;
use crate::store::{Database, ReadTx, StoreError, Tx};

/// The file that allows the founding, once.
pub const FOUNDING_TOKEN: &str = "founding-token";
/// The folder of the documents.
const BLOBS: &str = "blobs";
/// The setting by which a place of documents is known to be this server's.
const DOCUMENTS_ID: &str = "documents-id";
/// The setting that holds the key of challenges and tokens.
const SESSION_KEY: &str = "session-key";

/// The server's own signing keys. The root certifies their public halves in the founding.
pub struct ServerKeys {
    /// Certifies devices.
    pub issuing: SigningKey,
    /// Sign checkpoints, one at a time.
    pub log: LogKeys,
}

/// What all requests share.
pub struct Node {
    /// The store.
    pub database: Database,
    is_database_shared: bool,
    /// The server's own keys.
    pub keys: ServerKeys,
    /// The keys of challenges and tokens.
    pub sessions: SessionKeys,
    /// Where documents lie.
    pub blobs: Arc<dyn BlobStore>,
    /// Chunks of theirs that are not noted yet.
    pub uploads: Uploads,
    /// What they may take.
    pub blob_limits: BlobLimits,
    /// What a device may append.
    pub quotas: Quotas,
    /// The company, as copies.
    pub company: CompanyCopies,
    /// Heads trees that proofs were asked of.
    pub heads_trees: HeadsTrees,
    /// Live streams.
    pub live: Live,
    /// Hints that are kept for a while, and how many each device may send.
    pub hints: Hints,
    /// Connections open.
    pub door: Arc<Door>,
    /// What each device has taken in.
    pub taken: Taken,
    /// Requests under way.
    pub limits: Limits,
    /// Counts and durations.
    pub metrics: Metrics,
    /// The data folder.
    pub folder: DataFolder,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
    clock: Clock,
    rng: Mutex<StdRng>,
}

impl Node {
    /// Opens the data folder and its store; on an empty folder it draws the server's keys and
    /// writes the founding token.
    pub async fn open(folder: DataFolder, config: &ServeConfig) -> Result<Arc<Self>, ServeError> {
        let mut rng = config.seed.map_or_else(rand::make_rng, StdRng::from_seed);
        let keys = ServerKeys {
            issuing: SigningKey::from_seed(folder.secret("keys/issuing", &mut rng)?),
            log: LogKeys::open(&folder, &mut rng)?,
        };
        let database = match &config.store {
            Some(shared) => shared.clone(),
            None => Database::new(SqliteStore::open(folder.path(), StdRng::from_rng(&mut rng))?),
        };
        let fresh = *Secret::random(&mut rng).expose();
        let session_key = database.write(move |tx| setting(tx, SESSION_KEY, fresh)).await?;
        let founded =
            database.read::<_, StoreError>(|tx| Ok(tx.log_by_no(COMPANY_LOG)?.is_some())).await?;
        if founded {
            folder.remove(FOUNDING_TOKEN)?;
        } else if folder.read(FOUNDING_TOKEN)?.is_none() {
            let token = BASE64_URL_SAFE_NO_PAD.encode(Secret::random(&mut rng).expose());
            folder.write(FOUNDING_TOKEN, token.as_bytes(), Access::Secret)?;
        }
        let mut documents_id = [0; 16];
        rng.fill_bytes(&mut documents_id);
        let blobs = match &config.documents {
            Documents::DataFolder => Arc::new(FolderBlobs::new(folder.file(BLOBS))) as _,
            Documents::Folder(path) => Arc::new(FolderBlobs::new(path)) as _,
            Documents::Store(store) => Arc::clone(store),
            Documents::S3(settings) => {
                let id = database.write(move |tx| setting(tx, DOCUMENTS_ID, documents_id)).await?;
                Arc::new(S3Blobs::open(settings, id).await?) as _
            }
        };
        let door = Door::new(config.connections);
        Ok(Arc::new(Self {
            database,
            is_database_shared: config.store.is_some(),
            blobs,
            uploads: Uploads::default(),
            blob_limits: config.blobs,
            quotas: config.quotas,
            keys,
            sessions: SessionKeys::new(&Secret::new(session_key)),
            company: CompanyCopies::default(),
            heads_trees: HeadsTrees::default(),
            live: Live::default(),
            hints: Hints::default(),
            taken: Taken::default(),
            limits: Limits::default(),
            metrics: Metrics::new(&door),
            door,
            folder,
            stopping: CancellationToken::new(),
            clock: Arc::clone(&config.clock),
            rng: Mutex::new(rng),
        }))
    }

    /// Closes the store, if it is this node's own, and lets go of the data folder, whoever else still holds the node.
    pub async fn close(&self) -> Result<(), ServeError> {
        if !self.is_database_shared {
            self.database.close().await;
        }
        Ok(self.folder.release()?)
    }

    /// The server's time.
    pub fn now_ms(&self) -> TimeMs {
        (self.clock)()
    }

    /// Fresh random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// A fresh generator of its own.
    pub fn rng(&self) -> StdRng {
        StdRng::from_seed(self.random())
    }

    /// The company now.
    pub async fn company(self: &Arc<Self>) -> Result<Arc<Company>, Refusal> {
        let node = Arc::clone(self);
        self.database.read(move |tx| node.company.read(tx)).await
    }

    /// Whether the owner of a session is active now.
    pub async fn check(self: &Arc<Self>, principal: Principal) -> Result<(), Refusal> {
        Session::new(principal, self.company().await?).map(|_| ())
    }

    /// Reads for a session that the same transaction shows to be active.
    pub async fn read_as<T: Send + 'static>(
        self: &Arc<Self>,
        claim: &Claim,
        job: impl FnOnce(&dyn ReadTx, &Session) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (node, principal) = (Arc::clone(self), claim.principal);
        self.database
            .read(move |tx| job(tx, &Session::new(principal, node.company.read(tx)?)?))
            .await
    }

    /// Writes for a session that the same transaction shows to be active.
    pub async fn write_as<T, E>(
        self: &Arc<Self>,
        claim: &Claim,
        mut job: impl FnMut(&mut dyn Tx, &Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Refusal> + From<StoreError> + Send + 'static,
    {
        let (node, principal) = (Arc::clone(self), claim.principal);
        self.database
            .write(move |tx| {
                let session = Session::new(principal, node.company.write(tx)?)?;
                job(tx, &session)
            })
            .await
    }
}

/// What was drawn at the first start and is kept from then on.
fn setting<const N: usize>(
    tx: &mut dyn Tx,
    name: &'static str,
    fresh: [u8; N],
) -> Result<[u8; N], StoreError> {
    if let Some(kept) = tx.setting(name)? {
        return kept.try_into().map_err(|_| StoreError::Damaged(name));
    }
    tx.put_setting(name, &fresh)?;
    Ok(fresh)
}

/// The server as a simulator drives it: requests go into [`App::router`], checkpoints are made when
/// the caller says so, and there is neither a socket nor a timer.
#[derive(Clone)]
pub struct App(pub(super) Arc<Node>);

impl App {
    /// Opens the server of a data folder. Its `listen` and `tls` are not used.
    pub async fn open(config: &ServeConfig) -> Result<Self, ServeError> {
        let folder = DataFolder::open(&config.data)?;
        Node::open(folder, config).await.map(Self)
    }

    /// Ends the server: when this returns the data folder is free for the next one.
    pub async fn close(self) -> Result<(), ServeError> {
        self.0.close().await
    }

    /// All routes.
    pub fn router(&self) -> Router {
        routes::router(&self.0)
    }

    /// Makes a checkpoint if one is due: after an append, or when the newest is older than
    /// `at_least_every`. Returns the outer tree's new size if it made one.
    pub async fn make_checkpoint(&self, at_least_every: Duration) -> Result<Option<u64>, Refusal> {
        checkpoint::make(&self.0, at_least_every).await
    }

    /// Removes uploads that no record named in time, and bytes whose key is gone; forgets those that stand still.
    /// Returns how many were removed.
    pub async fn collect_garbage(&self) -> Result<usize, Refusal> {
        blob::let_go(&self.0).await?;
        Ok(blob::sweep(&self.0).await? + blob::collect(&self.0).await?)
    }
}
