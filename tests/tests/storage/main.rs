//! Where documents lie: the same contract in a folder and in S3-compatible storage, and what a storage does
//! when it fails.

mod contract;
mod faults;
mod phones;

use std::sync::Arc;

use hauspost::blobs::s3::{Credentials, S3Blobs, S3Error, S3Settings};
use hauspost::blobs::{BlobId, BlobStore, FolderBlobs, STORED_CHUNK_BYTES};
use hauspost_tests::s3::{BUCKET, KEY_ID, REGION, S3Server, SECRET};
use tokio::runtime::Runtime;

const OWNER: [u8; 16] = [9; 16];
const ONE: BlobId = BlobId([1; 16]);
const TWO: BlobId = BlobId([2; 16]);

/// A chunk that is like no other.
fn chunk(number: u32, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u32 ^ number.wrapping_mul(2_654_435_761)) as u8).collect()
}

fn full(number: u32) -> Vec<u8> {
    chunk(number, STORED_CHUNK_BYTES)
}

fn settings_for(endpoint: String, bucket: &str, secret: &str) -> S3Settings {
    let place = format!("s3://{bucket}/hauspost/test").parse().unwrap();
    let credentials = Credentials::new(KEY_ID.to_owned(), secret.to_owned(), None);
    S3Settings::new(place, Some(endpoint), REGION.to_owned(), credentials, None).unwrap()
}

fn settings(server: &S3Server) -> S3Settings {
    settings_for(server.url(), BUCKET, SECRET)
}

/// A storage and what carries its requests; the calls of a store block, so tests run beside it.
struct World {
    runtime: Runtime,
    server: S3Server,
}

impl World {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(S3Server::start());
        Self { runtime, server }
    }

    fn try_open(&self, settings: &S3Settings, owner: [u8; 16]) -> Result<S3Blobs, S3Error> {
        self.runtime.block_on(S3Blobs::open(settings, owner))
    }

    /// A node's view of the storage.
    fn open(&self) -> S3Blobs {
        self.try_open(&settings(&self.server), OWNER).unwrap()
    }
}

/// The place of a storage of somebody else's to run the contract against as well, such as
/// `http://127.0.0.1:9000/BUCKET`; its access key comes from the environment as the server's does.
const THEIRS: &str = "HAUSPOST_TEST_S3";

/// Settings for an empty place in that storage.
fn theirs() -> Option<S3Settings> {
    let address = std::env::var(THEIRS).ok()?;
    let (endpoint, bucket) = address.rsplit_once('/').unwrap();
    let mut number = [0; 8];
    rand::fill(&mut number);
    let place = format!("s3://{bucket}/{}", hex::encode(number)).parse().unwrap();
    let credentials = Credentials::from_environment(|name| std::env::var(name).ok()).unwrap();
    let region = std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned());
    Some(S3Settings::new(place, Some(endpoint.to_owned()), region, credentials, None).unwrap())
}

/// Runs over each kind of store, with the second and later values of it as other nodes, or the same one
/// after a restart.
fn in_each(test: impl Fn(&dyn Fn() -> Arc<dyn BlobStore>)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blobs");
    test(&|| Arc::new(FolderBlobs::new(&path)));
    let world = World::start();
    world.server.lists_in_pages_of(2);
    test(&|| Arc::new(world.open()));
    if let Some(settings) = theirs() {
        test(&|| Arc::new(world.try_open(&settings, OWNER).unwrap()));
    }
}
