//! What is noted is durable, and is made so once for many chunks.

use std::sync::Mutex;

use super::*;

/// A disk that keeps what is written in a cache until it is told to write it down.
struct Cached {
    disk: FolderBlobs,
    cache: Mutex<Vec<(BlobId, u32, Vec<u8>)>>,
    syncs: AtomicUsize,
}

impl Cached {
    fn on(folder: &std::path::Path) -> Arc<Self> {
        let disk = FolderBlobs::new(folder.join("blobs"));
        Arc::new(Self { disk, cache: Mutex::default(), syncs: AtomicUsize::new(0) })
    }
}

impl BlobStore for Cached {
    fn create(&self, blob: BlobId) -> Result<(), BlobError> {
        self.disk.create(blob)
    }
    fn write(&self, blob: BlobId, chunk: u32, stored: &[u8]) -> Result<(), BlobError> {
        self.cache.lock().unwrap().push((blob, chunk, stored.to_vec()));
        Ok(())
    }
    fn sync(&self, blob: BlobId) -> Result<(), BlobError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        for (blob, chunk, stored) in self.cache.lock().unwrap().drain(..) {
            self.disk.write(blob, chunk, &stored)?;
        }
        self.disk.sync(blob)
    }
    fn read(&self, blob: BlobId, chunk: u32, len: usize) -> Result<Vec<u8>, BlobError> {
        let cache = self.cache.lock().unwrap();
        match cache.iter().rfind(|(known, number, _)| (*known, *number) == (blob, chunk)) {
            Some((.., stored)) => Ok(stored.clone()),
            None => self.disk.read(blob, chunk, len),
        }
    }
    fn found(&self, blob: BlobId) -> Result<Vec<u32>, BlobError> {
        self.disk.found(blob)
    }
    fn remove(&self, blob: BlobId) -> Result<(), BlobError> {
        self.disk.remove(blob)
    }
    fn list(&self) -> Result<Vec<BlobId>, BlobError> {
        self.disk.list()
    }
}

async fn on_cached() -> (World, Phone, Phone, Room, Arc<Cached>) {
    let (mut world, anna, ben, room) = two().await;
    let cached = Cached::on(world.folder.path());
    let store = Arc::clone(&cached) as Arc<dyn BlobStore>;
    world.reopen(|config| config.documents = Documents::Store(store)).await;
    (world, anna, ben, room, cached)
}

#[tokio::test]
async fn what_a_power_cut_took_was_never_noted_and_is_asked_for_again() {
    let (mut world, anna, ben, room, cached) = on_cached().await;
    let document = Document::seal(1, room.log, 70 * 65_536);
    anna.begin(&world, room.log, &document).await;
    for chunk in 0..69 {
        let bytes = &document.chunks[chunk as usize];
        assert_eq!(anna.put(&world, room.log, &document, chunk, bytes).await, (OK, vec![]));
    }
    assert!(!cached.cache.lock().unwrap().is_empty(), "some of it is in the cache only");
    let record = room.request(vec![document.record(&room, 0, 0)]);
    assert_eq!(anna.append(&world, &record).await, [Outcome::Blob(document.root)]);
    // The machine loses its power: what is on the disk itself is left.
    world.reopen(|_| {}).await;
    let present = anna.begin(&world, room.log, &document).await;
    assert_eq!(present.missing(document.layout).collect::<Vec<_>>(), [64, 65, 66, 67, 68, 69]);
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 6);
    assert!(matches!(anna.append(&world, &record).await[0], Outcome::Ok(_)));
    for (chunk, bytes) in (0..).zip(&document.chunks) {
        assert_eq!(ben.get(&world, room.log, &document, chunk).await, (OK, bytes.clone()));
    }
}

#[tokio::test]
async fn a_document_that_is_complete_is_durable_before_that_is_said_and_was_flushed_once() {
    let (mut world, anna, ben, room, cached) = on_cached().await;
    let document = Document::seal(1, room.log, 20 * 65_536 + 1);
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 21);
    assert_eq!(cached.syncs.load(Ordering::SeqCst), 1);
    world.reopen(|_| {}).await;
    anna.append(&world, &room.request(vec![document.record(&room, 0, 0)])).await;
    for (chunk, bytes) in (0..).zip(&document.chunks) {
        assert_eq!(ben.get(&world, room.log, &document, chunk).await, (OK, bytes.clone()));
    }
}

#[tokio::test]
async fn what_a_killed_server_had_written_is_not_asked_for_again_and_what_is_torn_is() {
    let (mut world, anna, _, room) = two().await;
    let document = Document::seal(1, room.log, 5 * 65_536);
    anna.begin(&world, room.log, &document).await;
    for chunk in [0, 1, 3] {
        let bytes = &document.chunks[chunk as usize];
        assert_eq!(anna.put(&world, room.log, &document, chunk, bytes).await, (OK, vec![]));
    }
    let file = world.blob_file();
    let mut stored = std::fs::read(&file).unwrap();
    stored[SEALED_CHUNK_BYTES + 16 + 5] ^= 1;
    std::fs::write(&file, stored).unwrap();
    world.reopen(|_| {}).await;
    let present = anna.begin(&world, room.log, &document).await;
    assert_eq!(present.missing(document.layout).collect::<Vec<_>>(), [1, 2, 4]);
}
