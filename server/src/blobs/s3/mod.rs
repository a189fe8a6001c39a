//! Blobs in S3-compatible storage: chunks of a segment together in one object, read in ranges.
//!
//! A chunk waits in memory until its blob is made durable ([`BlobStore::sync`]), which the server does for every
//! 64 of them and before it notes any; then all that wait go up as objects whose names say what they
//! hold (`objects`). Nothing is ever changed or agreed on: an answer that was lost is asked for again
//! and writes the same object, and of two nodes that take chunks of one upload each writes its own. A
//! node that is killed loses what waited in it, at most [`WAITING_BYTES`], none of which was noted: the
//! phone sends it again.
//!
//! A request is tried again for a while when the storage is busy or cannot be reached; what it then says
//! ends as an error with words of our own, since what storages answer names keys and accounts.
//!
//! Source: the API is Amazon S3's (2006-03-01), as far as `object_store` uses it: PUT, GET with a
//! range, DELETE, and ListObjectsV2.

mod ahead;
mod objects;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _,
    PutPayload, RetryConfig,
};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use self::ahead::Ahead;
use self::objects::Object;
pub use self::settings::{Credentials, Place, S3Settings, SettingsError};
use super::{BlobError, BlobId, BlobStore, STORED_CHUNK_BYTES};

/// Chunks that wait in memory, in bytes; above that the largest upload goes up before its time.
pub const WAITING_BYTES: usize = 256 << 20;
/// Chunks that one request reads: 1 MiB.
const READ_TOGETHER: u32 = 16;
/// Requests of one call at the same time.
const AT_ONCE: usize = 4;
/// Blobs whose objects are remembered, at most.
const KNOWN: usize = 4_096;
/// Locks that let one of several readers of a blob read ahead for all.
const TURNS: usize = 64;
/// The longest that one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(20);
/// What is tried again is not begun later than this.
const RETRY_TIME: Duration = Duration::from_secs(20);
const CONNECT_TIME: Duration = Duration::from_secs(5);
const RETRIES: usize = 5;
const LIST_TRIES: usize = 4;
/// The object that says whose documents lie here.
const OWNER: &str = "hauspost-owner";

/// Why a place for documents cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// It is not there.
    #[error("the bucket of {0} does not exist; make it, or name another place for documents")]
    NoBucket(String),
    /// The credentials are refused, or not allowed enough.
    #[error(
        "the storage of {0} refuses these credentials, or they may not list, read and write there"
    )]
    Denied(String),
    /// What answers there is not vouched for: another storage, or somebody in between.
    #[error(
        "the storage of {0} shows a certificate that is not trusted here; name its authority with --s3-ca, and the storage by a name of its certificate with --s3-endpoint"
    )]
    Untrusted(String),
    /// It holds what another server keeps.
    #[error("{0} holds the documents of another server; each needs a place of its own")]
    Foreign(String),
    /// The certificates to trust cannot be read.
    #[error("cannot read the certificates to trust: {0}")]
    Roots(String),
    /// A client for it cannot be made.
    #[error("the settings of {place} cannot be used: {why}")]
    Settings {
        /// The place.
        place: String,
        /// What is wrong.
        why: String,
    },
}

/// A place in S3-compatible storage. To be opened inside a Tokio runtime, which then carries its
/// requests; the calls of [`BlobStore`] block and so are for threads beside it.
pub struct S3Blobs {
    storage: AmazonS3,
    place: Place,
    owner: [u8; 16],
    /// Set when the place was seen to be this server's.
    is_ours: OnceCell<()>,
    runtime: Handle,
    waiting: Mutex<Waiting>,
    known: Mutex<HashMap<BlobId, Arc<Vec<Object>>>>,
    ahead: Mutex<Ahead>,
    turns: [Mutex<()>; TURNS],
}

/// Chunks that are not in the storage yet.
struct Waiting {
    blobs: HashMap<BlobId, BTreeMap<u32, Bytes>>,
    bytes: usize,
    most_bytes: usize,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { blobs: HashMap::new(), bytes: 0, most_bytes: WAITING_BYTES }
    }
}

impl S3Blobs {
    /// The blobs of the server with this id. A place that is refused, not there or another's is an error;
    /// one that
    /// cannot be reached now is not, since conversations go on without documents.
    pub async fn open(settings: &S3Settings, owner: [u8; 16]) -> Result<Self, S3Error> {
        let blobs = Self {
            storage: client(settings)?,
            place: settings.place.clone(),
            owner,
            is_ours: OnceCell::new(),
            runtime: Handle::current(),
            waiting: Mutex::default(),
            known: Mutex::default(),
            ahead: Mutex::default(),
            turns: std::array::from_fn(|_| Mutex::default()),
        };
        match blobs.ready().await {
            Ok(()) => {}
            Err(Unready::Never(error)) => return Err(error),
            Err(Unready::Later(error)) => {
                tracing::warn!(%error, place = %blobs.place, "no document can be kept or read for now");
            }
        }
        Ok(blobs)
    }

    /// Looks once whether the place is this server's, and makes it so if it is nobody's. Sweeping what has no
    /// key here would otherwise remove what another server keeps.
    async fn ready(&self) -> Result<(), Unready> {
        let place = || self.place.to_string();
        let look = || async {
            let name = self.place.object(OWNER);
            let mine = format!("{}\n", hex::encode(self.owner));
            let read = async { self.storage.get(&name).await?.bytes().await };
            let found = match read.await {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => {
                    // A bucket that is not there answers the same; listing it tells the two apart.
                    self.storage.list_with_delimiter(Some(self.place.prefix())).await?;
                    self.storage.put(&name, mine.clone().into()).await?;
                    // Of two servers that begin at once one reads the other's.
                    self.storage.get(&name).await?.bytes().await?
                }
                Err(error) => return Err(error.into()),
            };
            if found == mine { Ok(()) } else { Err(Unready::Never(S3Error::Foreign(place()))) }
        };
        let looked = self.is_ours.get_or_try_init(look).await;
        looked.map(|_| ()).map_err(|unready: Unready| match unready {
            Unready::Later(Fault::NoBucket | Fault::Missing) => {
                Unready::Never(S3Error::NoBucket(place()))
            }
            Unready::Later(Fault::Denied) => Unready::Never(S3Error::Denied(place())),
            Unready::Later(Fault::Untrusted) => Unready::Never(S3Error::Untrusted(place())),
            unready => unready,
        })
    }

    /// Runs a request of ours and waits for it.
    fn ask<T>(
        &self,
        action: &'static str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, BlobError> {
        let asked = async {
            self.ready().await.map_err(|unready| match unready {
                Unready::Later(fault) => fault,
                Unready::Never(S3Error::Foreign(_)) => Fault::Foreign,
                Unready::Never(S3Error::Denied(_)) => Fault::Denied,
                Unready::Never(S3Error::Untrusted(_)) => Fault::Untrusted,
                Unready::Never(_) => Fault::NoBucket,
            })?;
            request.await.map_err(Fault::from)
        };
        self.runtime.block_on(asked).map_err(|fault| fault.of(action))
    }

    /// Asks for a list, which is not asked for again by itself when it was cut off.
    fn ask_again<T, F>(&self, action: &'static str, request: impl Fn() -> F) -> Result<T, BlobError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        for _ in 1..LIST_TRIES {
            match self.ask(action, request()) {
                Err(BlobError::Backend { source, .. }) if source.kind() == io::ErrorKind::Other => {
                }
                listed => return listed,
            }
        }
        self.ask(action, request())
    }

    fn folder(&self, blob: BlobId) -> Path {
        self.place.object(&hex::encode(blob.0))
    }

    /// The objects of a blob, as the storage lists them now.
    fn listed(&self, blob: BlobId) -> Result<Arc<Vec<Object>>, BlobError> {
        let folder = self.folder(blob);
        let list = || self.storage.list(Some(&folder)).try_collect();
        let found: Vec<_> = self.ask_again("look for chunks", list)?;
        let object =
            |meta: &object_store::ObjectMeta| Object::parse(meta.location.filename()?, meta.size);
        let objects = Arc::new(found.iter().filter_map(object).collect::<Vec<_>>());
        let mut known = lock(&self.known);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(blob, Arc::clone(&objects));
        Ok(objects)
    }

    /// The object that holds a chunk, as the storage lists it now if it is not known.
    fn object_with(&self, blob: BlobId, chunk: u32) -> Result<Object, BlobError> {
        let holds =
            |objects: &Arc<Vec<Object>>| objects.iter().copied().find(|object| object.holds(chunk));
        let known = lock(&self.known).get(&blob).and_then(holds);
        match known {
            Some(object) => Ok(object),
            None => holds(&self.listed(blob)?).ok_or(BlobError::Damaged),
        }
    }

    /// Reads a chunk and, if there is room for them, those beside it.
    fn fetch(&self, blob: BlobId, chunk: u32, len: usize) -> Result<Vec<u8>, BlobError> {
        let object = self.object_with(blob, chunk)?;
        let has_room = lock(&self.ahead).has_room(READ_TOGETHER as usize);
        let (start, chunks) = object.row(chunk, if has_room { READ_TOGETHER } else { 1 });
        let name = self.folder(blob).join(object.name());
        let end = start + (chunks.len() * STORED_CHUNK_BYTES) as u64;
        // An object may end before that, with its blob's last chunk.
        let read = self.ask("read a chunk", self.storage.get_range(&name, start..end))?;
        let mut wanted = None;
        let mut ahead = lock(&self.ahead);
        for (number, part) in chunks.into_iter().zip(read.chunks(STORED_CHUNK_BYTES)) {
            if number == chunk {
                wanted = Some(part.to_vec());
            } else {
                ahead.keep(blob, number, part.to_vec());
            }
        }
        wanted.filter(|stored| stored.len() == len).ok_or(BlobError::Damaged)
    }
}

impl BlobStore for S3Blobs {
    fn create(&self, _: BlobId) -> Result<(), BlobError> {
        // A blob is there with its first object.
        self.ask("make room for a document", async { Ok(()) })
    }

    fn write(&self, blob: BlobId, chunk: u32, stored: &[u8]) -> Result<(), BlobError> {
        let largest = lock(&self.waiting).put(blob, chunk, stored);
        let Some(largest) = largest else { return Ok(()) };
        let made_room = self.sync(largest);
        if made_room.is_err() {
            lock(&self.waiting).take(blob, &[chunk]);
        }
        made_room
    }

    fn sync(&self, blob: BlobId) -> Result<(), BlobError> {
        let chunks = lock(&self.waiting).blobs.get(&blob).cloned().unwrap_or_default();
        let objects = Object::of(chunks.keys().copied());
        let put = |object: Object| {
            let name = self.folder(blob).join(object.name());
            let payload: PutPayload = object.chunks().map(|chunk| chunks[&chunk].clone()).collect();
            async move { self.storage.put(&name, payload).await.map(|_| object) }
        };
        let puts = stream::iter(objects).map(put).buffer_unordered(AT_ONCE);
        let kept: Vec<Object> = self.ask("keep chunks", puts.try_collect())?;
        if let Some(known) = lock(&self.known).get_mut(&blob) {
            Arc::make_mut(known).extend(kept);
        }
        let kept: Vec<u32> = chunks.into_keys().collect();
        lock(&self.waiting).take(blob, &kept);
        Ok(())
    }

    fn read(&self, blob: BlobId, chunk: u32, len: usize) -> Result<Vec<u8>, BlobError> {
        if let Some(stored) = lock(&self.waiting).find(blob, chunk) {
            return if stored.len() == len { Ok(stored.to_vec()) } else { Err(BlobError::Damaged) };
        }
        if let Some(stored) = lock(&self.ahead).find(blob, chunk, len) {
            return Ok(stored);
        }
        // Whoever reads the same document waits for what is read ahead.
        let _turn = lock(&self.turns[usize::from(blob.0[0]) % TURNS]);
        if let Some(stored) = lock(&self.ahead).find(blob, chunk, len) {
            return Ok(stored);
        }
        match self.fetch(blob, chunk, len) {
            Err(BlobError::Damaged) => {
                // What is known of its objects may be old.
                lock(&self.known).remove(&blob);
                self.fetch(blob, chunk, len)
            }
            read => read,
        }
    }

    fn doubt(&self, blob: BlobId) {
        lock(&self.known).remove(&blob);
        lock(&self.ahead).forget(blob);
    }

    fn found(&self, blob: BlobId) -> Result<Vec<u32>, BlobError> {
        let mut chunks: Vec<u32> =
            self.listed(blob)?.iter().flat_map(|object| object.chunks()).collect();
        let waiting = lock(&self.waiting);
        chunks.extend(waiting.blobs.get(&blob).into_iter().flat_map(|chunks| chunks.keys()));
        drop(waiting);
        chunks.sort_unstable();
        chunks.dedup();
        Ok(chunks)
    }

    fn remove(&self, blob: BlobId) -> Result<(), BlobError> {
        lock(&self.waiting).forget(blob);
        lock(&self.known).remove(&blob);
        lock(&self.ahead).forget(blob);
        let folder = self.folder(blob);
        let removing = async {
            let found: Vec<_> = self.storage.list(Some(&folder)).try_collect().await?;
            let remove = |meta: object_store::ObjectMeta| async move {
                match self.storage.delete(&meta.location).await {
                    Err(Error::NotFound { .. }) => Ok(()),
                    removed => removed,
                }
            };
            stream::iter(found).map(remove).buffer_unordered(AT_ONCE).try_collect::<()>().await
        };
        self.ask("remove a document", removing)
    }

    fn list(&self) -> Result<Vec<BlobId>, BlobError> {
        let list = || self.storage.list_with_delimiter(Some(self.place.prefix()));
        let folders = self.ask_again("list the documents", list)?.common_prefixes;
        let blob = |folder: &Path| {
            let id = hex::decode(folder.filename()?).ok()?;
            Some(BlobId(id.try_into().ok()?))
        };
        let mut blobs: Vec<_> = folders.iter().filter_map(blob).collect();
        blobs.sort_unstable();
        Ok(blobs)
    }
}

impl Waiting {
    /// Keeps a chunk; the blob that is to go up now, if there is no more room.
    fn put(&mut self, blob: BlobId, chunk: u32, stored: &[u8]) -> Option<BlobId> {
        self.bytes += stored.len();
        let before =
            self.blobs.entry(blob).or_default().insert(chunk, Bytes::copy_from_slice(stored));
        self.bytes -= before.map_or(0, |before| before.len());
        let largest = || self.blobs.iter().max_by_key(|(_, chunks)| chunks.len());
        (self.bytes > self.most_bytes).then(largest).flatten().map(|(blob, _)| *blob)
    }

    fn find(&self, blob: BlobId, chunk: u32) -> Option<Bytes> {
        self.blobs.get(&blob)?.get(&chunk).cloned()
    }

    /// Forgets chunks that are kept elsewhere.
    fn take(&mut self, blob: BlobId, chunks: &[u32]) {
        let Some(waiting) = self.blobs.get_mut(&blob) else { return };
        for chunk in chunks {
            self.bytes -= waiting.remove(chunk).map_or(0, |stored| stored.len());
        }
        if waiting.is_empty() {
            self.blobs.remove(&blob);
        }
    }

    fn forget(&mut self, blob: BlobId) {
        let gone = self.blobs.remove(&blob).unwrap_or_default();
        self.bytes -= gone.values().map(Bytes::len).sum::<usize>();
    }
}

/// Why the place is not used now.
enum Unready {
    /// It may be later.
    Later(Fault),
    /// It is not for us.
    Never(S3Error),
}

impl From<Error> for Unready {
    fn from(error: Error) -> Self {
        Self::Later(error.into())
    }
}

/// What a storage answered, without what it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("the storage has no such object")]
    Missing,
    #[error("the bucket is not there")]
    NoBucket,
    #[error("the storage refuses the server's credentials")]
    Denied,
    #[error("the storage has no room left for this server")]
    Full,
    #[error("the place holds the documents of another server")]
    Foreign,
    #[error("the storage shows a certificate that is not trusted")]
    Untrusted,
    #[error("the storage cannot be reached")]
    Unreachable,
    #[error("the storage does not answer in time")]
    Late,
    #[error("the storage asks to slow down")]
    Busy,
    #[error("the storage fails or answers what makes no sense")]
    Other,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        // `object_store` keeps the status and the answer for itself but for what it writes of them.
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&["QuotaExceeded", "StorageFull", "code: 507"]) {
            return Self::Full;
        }
        match &error {
            _ if says(&["NoSuchBucket"]) => Self::NoBucket,
            Error::NotFound { .. } => Self::Missing,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Denied,
            // A list that is refused has no kind of its own.
            _ if says(&["code: 401", "code: 403"]) => Self::Denied,
            _ if says(&["code: 503", "code: 429", "SlowDown"]) => Self::Busy,
            _ if is_untrusted(&error) => Self::Untrusted,
            _ => match transport(&error) {
                Some(HttpErrorKind::Connect) => Self::Unreachable,
                Some(HttpErrorKind::Timeout) => Self::Late,
                _ => Self::Other,
            },
        }
    }
}

impl Fault {
    fn of(self, action: &'static str) -> BlobError {
        let kind = match self {
            Self::Missing => return BlobError::Damaged,
            Self::Full => return BlobError::Full,
            Self::Denied | Self::Foreign | Self::Untrusted => io::ErrorKind::PermissionDenied,
            Self::NoBucket => io::ErrorKind::NotFound,
            Self::Unreachable => io::ErrorKind::NotConnected,
            Self::Late => io::ErrorKind::TimedOut,
            Self::Busy => io::ErrorKind::ResourceBusy,
            Self::Other => io::ErrorKind::Other,
        };
        BlobError::Backend { action, source: io::Error::new(kind, self) }
    }
}

/// How a request failed that got no answer.
fn transport(error: &Error) -> Option<HttpErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

/// Whether no answer came because the other side's certificate was not taken.
fn is_untrusted(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // An I/O error hides what it carries from those who ask for its source.
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = carried.map(|carried| carried as _).or_else(|| error.source());
    }
    false
}

fn client(settings: &S3Settings) -> Result<AmazonS3, S3Error> {
    let mut options = ClientOptions::new()
        .with_timeout(REQUEST_TIME)
        .with_connect_timeout(CONNECT_TIME)
        .with_allow_http(settings.is_plain());
    if let Some(path) = &settings.roots {
        let why =
            |error: &dyn std::fmt::Display| S3Error::Roots(format!("{}: {error}", path.display()));
        let pem = std::fs::read(path).map_err(|error| why(&error))?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|error| why(&error))?;
        if roots.is_empty() {
            return Err(why(&"no certificate in it"));
        }
        // Named roots are the only ones that count.
        options = options.with_no_system_certificates(true);
        options = roots.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 3.0,
    };
    let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_TIME };
    let credentials = &settings.credentials;
    // Credentials are always given, so that no metadata service of a cloud is ever asked for some.
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(settings.place.bucket())
        .with_region(&settings.region)
        .with_access_key_id(&*credentials.key_id)
        .with_secret_access_key(&*credentials.secret)
        .with_client_options(options)
        .with_retry(retry)
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(token) = &credentials.token {
        builder = builder.with_token(&**token);
    }
    builder.build().map_err(|error| S3Error::Settings {
        place: settings.place.to_string(),
        why: error.to_string(),
    })
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics between two writes.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: BlobId = BlobId([1; 16]);
    const TWO: BlobId = BlobId([2; 16]);

    #[test]
    fn what_waits_is_bounded_and_the_largest_upload_makes_room_first() {
        let mut waiting = Waiting { most_bytes: 10, ..Waiting::default() };
        assert_eq!(waiting.put(ONE, 0, b"four"), None);
        assert_eq!(waiting.put(ONE, 0, b"five!"), None, "in its place");
        assert_eq!(waiting.put(ONE, 1, b"one"), None);
        assert_eq!(waiting.put(TWO, 0, b"two"), Some(ONE));
        waiting.take(TWO, &[0]);
        assert_eq!((waiting.find(TWO, 0), waiting.bytes), (None, 8), "as one whose place is full");
        waiting.take(ONE, &[0, 1, 2]);
        assert_eq!((waiting.bytes, waiting.blobs.len()), (0, 0));
        waiting.put(TWO, 3, b"two");
        waiting.forget(TWO);
        assert_eq!((waiting.bytes, waiting.blobs.len()), (0, 0));
    }
}
