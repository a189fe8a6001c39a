//! Documents: uploaded chunk by chunk, named by a record, read by those who may.

mod durable;
mod nodes;
mod quotas;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use hauspost_core::group::commit::Change;
use hauspost_protocol::body::LogType;
use hauspost_protocol::company::body::Scope;
use hauspost_protocol::crypto::Secret;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::entry::Head;
use hauspost_protocol::file::{FileCipher, Layout, Leaves, Present, SEALED_CHUNK_BYTES};
use hauspost_protocol::ids::{Digest, LeafIndex, LogId, Seq};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::wire::{BlobBegin, NewEntry, Outcome, path};

use super::conversation::{at, entries, two};
use super::world::{ADMIN, COUNCIL, OFFICERS, Phone, Room, World, config, newest};
use crate::blobs::{BlobError, BlobId, BlobStore, FolderBlobs};
use crate::serve::{App, BlobLimits, Documents};

/// A document as its sender's phone has it.
pub struct Document {
    pub root: Digest,
    pub layout: Layout,
    leaves: Leaves,
    pub chunks: Vec<Vec<u8>>,
}

impl Document {
    /// Seals a text of this size for a log.
    pub fn seal(key: u8, log: LogId, size: u64) -> Self {
        let layout = Layout::of_plain(size).unwrap();
        let cipher = FileCipher::new(&Secret::new([key; 32]), log, layout);
        let mut leaves = Leaves::default();
        let chunks = (0..layout.chunks()).map(|chunk| {
            let mut bytes = vec![key; layout.plain_len(chunk).unwrap()];
            cipher.seal(chunk, &mut bytes).unwrap();
            leaves.push(&bytes);
            bytes
        });
        let chunks = chunks.collect();
        Self { root: leaves.root(), layout, leaves, chunks }
    }

    fn begin(&self) -> BlobBegin {
        BlobBegin { size: self.layout.blob_size(), leaves: self.leaves.clone() }
    }

    fn path(&self, log: LogId) -> String {
        format!("{}/{log}/{}", path::BLOB, self.root)
    }

    /// A record that names it.
    pub fn record(&self, room: &Room, leaf: u32, index: u32) -> NewEntry {
        self.record_of_size(room, leaf, index, self.layout.blob_size())
    }

    fn record_of_size(&self, room: &Room, leaf: u32, index: u32, size: u64) -> NewEntry {
        let (head, payload) = room.record(leaf, index, b"with a document");
        let head = Head { blobs: vec![(self.root, size)], ..Head::parse(&head).unwrap() };
        (Bytes(encode(&head)), payload)
    }
}

pub type Answer = (StatusCode, Vec<u8>);

pub const OK: StatusCode = StatusCode::OK;

/// A refusal as it is answered.
pub fn refused(status: StatusCode, word: &str) -> Answer {
    (status, word.as_bytes().to_vec())
}

pub fn not_found() -> Answer {
    refused(StatusCode::NOT_FOUND, "not_found")
}

impl Phone {
    async fn begin(&self, world: &World, log: LogId, document: &Document) -> Present {
        world.ask(&document.path(log), &self.token, &document.begin()).await
    }

    async fn try_begin(&self, world: &World, log: LogId, document: &Document) -> Answer {
        world.post(&document.path(log), Some(&self.token), &document.begin()).await
    }

    async fn put(
        &self,
        world: &World,
        log: LogId,
        document: &Document,
        chunk: u32,
        bytes: &[u8],
    ) -> Answer {
        let path = format!("{}/{chunk}", document.path(log));
        world.raw("PUT", &path, Some(&self.token), bytes.to_vec()).await
    }

    pub async fn get(&self, world: &World, log: LogId, document: &Document, chunk: u32) -> Answer {
        let path = format!("{}/{chunk}", document.path(log));
        world.raw("GET", &path, Some(&self.token), vec![]).await
    }

    pub async fn put_missing(&self, world: &World, log: LogId, document: &Document) -> usize {
        let present = self.begin(world, log, document).await;
        let missing: Vec<u32> = present.missing(document.layout).collect();
        for chunk in &missing {
            let bytes = &document.chunks[*chunk as usize];
            assert_eq!(self.put(world, log, document, *chunk, bytes).await, (OK, vec![]));
        }
        missing.len()
    }
}

async fn founded_with(
    limits: BlobLimits,
    store: Option<Arc<dyn BlobStore>>,
) -> (World, Phone, Phone, Room) {
    let (mut world, anna, ben, room) = two().await;
    world
        .reopen(|config| {
            config.blobs = limits;
            config.documents = store.map_or(Documents::DataFolder, Documents::Store);
        })
        .await;
    (world, anna, ben, room)
}

#[tokio::test]
async fn a_document_goes_up_chunk_by_chunk_and_comes_down_as_it_was() {
    let (world, anna, ben, room) = two().await;
    for (key, size) in [(1, 0), (2, 1), (3, 65_536), (4, 200_000)] {
        let document = Document::seal(key, room.log, size);
        anna.put_missing(&world, room.log, &document).await;
        let sent = room.request(vec![document.record(&room, 0, u32::from(key) - 1)]);
        assert!(matches!(anna.append(&world, &sent).await[0], Outcome::Ok(_)));
        for (chunk, bytes) in (0..).zip(&document.chunks) {
            assert_eq!(ben.get(&world, room.log, &document, chunk).await, (OK, bytes.clone()));
        }
        let beyond = document.layout.chunks();
        assert_eq!(ben.get(&world, room.log, &document, beyond).await, not_found());
    }
}

#[tokio::test]
async fn s8_a_record_is_refused_until_each_of_its_documents_is_complete_in_this_log() {
    let (world, mut anna, ben, room) = two().await;
    let document = Document::seal(1, room.log, 100_000);
    let size = document.layout.blob_size();
    let missing = [Outcome::Blob(document.root)];
    let offer = async |size| {
        let record = document.record_of_size(&room, 0, 0, size);
        anna.append(&world, &room.request(vec![record])).await
    };
    assert_eq!(offer(size).await, missing, "nothing of it");
    anna.begin(&world, room.log, &document).await;
    anna.put(&world, room.log, &document, 1, &document.chunks[1]).await;
    assert_eq!(offer(size).await, missing, "a half of it");
    anna.put_missing(&world, room.log, &document).await;
    assert_eq!(offer(size - 1).await, missing, "another size");
    assert_eq!(offer(size).await, [Outcome::Ok(Seq(3))]);

    let other = anna.create(&world, LogType::Dm, &[&ben]).await;
    let claimed = other.request(vec![document.record(&other, 0, 0)]);
    assert_eq!(anna.append(&world, &claimed).await, missing, "of another conversation");
}

#[tokio::test]
async fn a_batch_with_a_missing_document_leaves_nothing_behind() {
    let (world, anna, ben, room) = two().await;
    let (there, missing) = (Document::seal(1, room.log, 10), Document::seal(2, room.log, 10));
    anna.put_missing(&world, room.log, &there).await;
    let batch = vec![there.record(&room, 0, 0), missing.record(&room, 0, 1)];
    let outcome = Outcome::Blob(missing.root);
    assert_eq!(anna.append(&world, &room.request(batch)).await, [outcome.clone(), outcome]);
    assert_eq!(ben.get(&world, room.log, &there, 0).await, not_found(), "no record names it");
}

#[tokio::test]
async fn a_swapped_cut_long_changed_or_foreign_chunk_is_refused_and_not_counted() {
    let (world, anna, _ben, room) = two().await;
    let document = Document::seal(1, room.log, 200_000);
    let other = Document::seal(2, room.log, 200_000);
    anna.begin(&world, room.log, &document).await;
    anna.begin(&world, room.log, &other).await;
    let right = &document.chunks[0];
    let mut changed = right.clone();
    changed[17] ^= 1;
    let wrong = refused(StatusCode::UNPROCESSABLE_ENTITY, "chunk");
    for (what, bytes) in [
        ("swapped", &document.chunks[1]),
        ("of another document", &other.chunks[0]),
        ("cut off", &right[..right.len() - 1].to_vec()),
        ("empty", &vec![]),
        ("changed", &changed),
    ] {
        assert_eq!(anna.put(&world, room.log, &document, 0, bytes).await, wrong, "{what}");
    }
    let long = [&right[..], &[0]].concat();
    let answer = anna.put(&world, room.log, &document, 0, &long).await;
    assert_eq!(answer, refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    let long = [&document.chunks[3][..], &[0]].concat();
    assert_eq!(
        anna.put(&world, room.log, &document, 3, &long).await,
        wrong,
        "the last one, longer"
    );
    assert_eq!(anna.put(&world, room.log, &document, 4, right).await, not_found());
    let none = Present::none(document.layout);
    assert_eq!(anna.begin(&world, room.log, &document).await, none);
}

#[tokio::test]
async fn a_chunk_sent_twice_counts_once_and_a_wrong_one_does_not_replace_it() {
    let (world, anna, ben, room) = two().await;
    let document = Document::seal(1, room.log, 100_000);
    anna.begin(&world, room.log, &document).await;
    for _ in 0..2 {
        let sent = anna.put(&world, room.log, &document, 0, &document.chunks[0]).await;
        assert_eq!(sent, (OK, vec![]));
    }
    let wrong = refused(StatusCode::UNPROCESSABLE_ENTITY, "chunk");
    assert_eq!(anna.put(&world, room.log, &document, 0, &document.chunks[1]).await, wrong);
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 1);
    anna.append(&world, &room.request(vec![document.record(&room, 0, 0)])).await;
    let first = ben.get(&world, room.log, &document, 0).await;
    assert_eq!(first, (OK, document.chunks[0].clone()));
}

#[tokio::test]
async fn hashes_that_do_not_fit_root_or_size_begin_nothing() {
    let (world, anna, _ben, room) = two().await;
    let document = Document::seal(1, room.log, 100_000);
    let other = Document::seal(2, room.log, 100_000);
    let begin = document.begin();
    for wrong in [
        BlobBegin { leaves: other.leaves.clone(), ..begin.clone() },
        BlobBegin { size: 16, ..begin.clone() },
        BlobBegin { size: begin.size + SEALED_CHUNK_BYTES as u64, ..begin.clone() },
        BlobBegin { size: 0, ..begin.clone() },
        BlobBegin { size: SEALED_CHUNK_BYTES as u64 + 1, ..begin },
    ] {
        let (status, word) = world.post(&document.path(room.log), Some(&anna.token), &wrong).await;
        assert_eq!((status, &word[..]), (StatusCode::BAD_REQUEST, &b"form"[..]));
    }
    assert_eq!(anna.put(&world, room.log, &document, 0, &document.chunks[0]).await, not_found());
}

#[tokio::test]
async fn attacks_31_who_is_not_in_the_log_learns_nothing_of_a_document_whether_it_is_there_or_not()
{
    let (world, anna, ben, room) = two().await;
    let carol = world.phone(3).await;
    let admin = world.role(ADMIN).await;
    let (there, absent) = (Document::seal(1, room.log, 10), Document::seal(2, room.log, 10));
    anna.put_missing(&world, room.log, &there).await;
    anna.append(&world, &room.request(vec![there.record(&room, 0, 0)])).await;
    assert_eq!(ben.get(&world, room.log, &there, 0).await.0, OK);
    let nowhere = LogId([77; 16]);
    for document in [&there, &absent] {
        for log in [room.log, nowhere] {
            let bytes = &document.chunks[0];
            assert_eq!(carol.try_begin(&world, log, document).await, not_found());
            assert_eq!(carol.put(&world, log, document, 0, bytes).await, not_found());
            assert_eq!(carol.get(&world, log, document, 0).await, not_found());
            let path = format!("{}/0", document.path(log));
            let (status, _) = world.raw("HEAD", &path, Some(&carol.token), vec![]).await;
            assert_eq!(status, StatusCode::NOT_FOUND);
            let role = refused(StatusCode::FORBIDDEN, "role");
            assert_eq!(world.raw("GET", &path, Some(&admin), vec![]).await, role);
        }
    }
}

#[tokio::test]
async fn attacks_31_a_root_of_one_log_opens_nothing_in_another() {
    let (world, mut anna, ben, room) = two().await;
    let carol = world.phone(3).await;
    let other = anna.create(&world, LogType::Group, &[&carol]).await;
    let document = Document::seal(1, room.log, 10);
    anna.put_missing(&world, room.log, &document).await;
    anna.append(&world, &room.request(vec![document.record(&room, 0, 0)])).await;
    for phone in [&anna, &ben, &carol] {
        assert_eq!(phone.get(&world, other.log, &document, 0).await, not_found());
    }
    assert_eq!(anna.put(&world, other.log, &document, 0, &document.chunks[0]).await, not_found());
    // Begun there, it is a document of its own, of which nothing is there yet.
    let none = Present::none(document.layout);
    assert_eq!(anna.begin(&world, other.log, &document).await, none);
    assert_eq!(carol.get(&world, other.log, &document, 0).await, not_found());
}

#[tokio::test]
async fn a_document_is_read_by_the_devices_that_may_read_a_record_naming_it_and_by_no_other() {
    let (world, mut anna, ben, mut room) = two().await;
    let (early, late) = (Document::seal(1, room.log, 10), Document::seal(2, room.log, 10));
    anna.put_missing(&world, room.log, &early).await;
    assert_eq!(ben.get(&world, room.log, &early, 0).await, not_found(), "no record names it yet");
    assert_eq!(ben.put(&world, room.log, &early, 0, &early.chunks[0]).await, not_found());
    let taken = refused(StatusCode::CONFLICT, "blob");
    assert_eq!(ben.try_begin(&world, room.log, &early).await, taken, "it is another's upload");
    anna.append(&world, &room.request(vec![early.record(&room, 0, 0)])).await;
    assert_eq!(ben.get(&world, room.log, &early, 0).await.0, OK);

    let seen = newest(&entries(&world, &anna, room.log).await);
    let change = Change { removes: vec![LeafIndex(1)], ..Default::default() };
    let judged_by = at(&world, &anna).await;
    let request = anna.commit(&mut room, change, Some(seen), judged_by, None);
    assert_eq!(anna.append(&world, &request).await, [Outcome::Ok(Seq(4)), Outcome::Ok(Seq(5))]);
    room.cap = Seq(5);
    anna.put_missing(&world, room.log, &late).await;
    let sent = anna.append(&world, &room.request(vec![late.record(&room, 0, 0)])).await;
    assert_eq!(sent, [Outcome::Ok(Seq(6))]);
    assert_eq!(anna.get(&world, room.log, &late, 0).await.0, OK);
    assert_eq!(ben.get(&world, room.log, &late, 0).await, not_found(), "after he was removed");
    assert_eq!(ben.get(&world, room.log, &early, 0).await.0, OK, "from his time");
    let own = Document::seal(3, room.log, 10);
    assert_eq!(ben.try_begin(&world, room.log, &own).await, not_found());

    assert!(matches!(world.revoke(ben.device()).await, Outcome::Ok(_)));
    let session = refused(StatusCode::UNAUTHORIZED, "session");
    assert_eq!(ben.get(&world, room.log, &early, 0).await, session);
}

#[tokio::test]
async fn officers_read_the_documents_of_an_openings_scope_and_nobody_else_does() {
    let (world, anna, ben, room) = two().await;
    let (annas, bens) = (Document::seal(1, room.log, 10), Document::seal(2, room.log, 10));
    for (phone, document, leaf) in [(&anna, &annas, 0), (&ben, &bens, 1)] {
        phone.put_missing(&world, room.log, document).await;
        let sent = phone.append(&world, &room.request(vec![document.record(&room, leaf, 0)])).await;
        assert!(matches!(sent[0], Outcome::Ok(_)));
    }
    let scope = Scope {
        logs: vec![(room.log, Seq(0), None)],
        t_from: None,
        t_to: None,
        users: vec![anna.user()],
    };
    let opening = world.open_archive(scope).await;
    let get = async |token: &str, opening: Seq, document: &Document| {
        let place = format!("{opening}/{}/{}/0", room.log, document.root);
        world.raw("GET", &format!("{}/{place}", path::ARCHIVE_BLOB), Some(token), vec![]).await
    };
    let officer = world.role(OFFICERS[0]).await;
    assert_eq!(get(&officer, opening, &annas).await, (OK, annas.chunks[0].clone()));
    assert_eq!(get(&officer, opening, &bens).await, not_found(), "out of scope");
    assert_eq!(get(&officer, Seq(3), &annas).await, not_found(), "no opening");
    let role = refused(StatusCode::FORBIDDEN, "role");
    for token in [world.role(COUNCIL).await, world.role(ADMIN).await, anna.token.clone()] {
        assert_eq!(get(&token, opening, &annas).await, role);
    }
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart_at_every_chunks_border() {
    let (mut world, anna, ben, room) = two().await;
    let document = Document::seal(1, room.log, 5 * 65_536 + 1);
    for chunk in 0..6 {
        let present = anna.begin(&world, room.log, &document).await;
        let missing: Vec<u32> = present.missing(document.layout).collect();
        assert_eq!(missing, (chunk..6).collect::<Vec<_>>());
        let bytes = &document.chunks[chunk as usize];
        assert_eq!(anna.put(&world, room.log, &document, chunk, bytes).await, (OK, vec![]));
        world.reopen(|_| {}).await;
    }
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 0);
    anna.append(&world, &room.request(vec![document.record(&room, 0, 0)])).await;
    world.reopen(|_| {}).await;
    for (chunk, bytes) in (0..).zip(&document.chunks) {
        assert_eq!(ben.get(&world, room.log, &document, chunk).await, (OK, bytes.clone()));
    }
}

#[tokio::test]
async fn a_chunk_whose_writing_a_crash_tore_is_written_again() {
    let (world, anna, ben, room) = two().await;
    let document = Document::seal(1, room.log, 100_000);
    anna.begin(&world, room.log, &document).await;
    let torn = |world: &World| world.blob_file();
    std::fs::write(torn(&world), [0xee; 70_000]).unwrap();
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 2);
    anna.append(&world, &room.request(vec![document.record(&room, 0, 0)])).await;
    for (chunk, bytes) in (0..).zip(&document.chunks) {
        assert_eq!(ben.get(&world, room.log, &document, chunk).await, (OK, bytes.clone()));
    }
}

#[tokio::test]
async fn a_chunk_that_was_damaged_on_the_disk_is_not_served() {
    let (world, anna, ben, room) = two().await;
    let document = Document::seal(1, room.log, 10);
    anna.put_missing(&world, room.log, &document).await;
    anna.append(&world, &room.request(vec![document.record(&room, 0, 0)])).await;
    let file = world.blob_file();
    let mut stored = std::fs::read(&file).unwrap();
    stored[3] ^= 1;
    std::fs::write(&file, &stored).unwrap();
    let store = refused(StatusCode::SERVICE_UNAVAILABLE, "store");
    assert_eq!(ben.get(&world, room.log, &document, 0).await, store);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ben.get(&world, room.log, &document, 0).await, store);
}

#[tokio::test]
async fn attacks_11_documents_lie_under_shred_keys_of_their_own() {
    let (world, anna, _ben, room) = two().await;
    let document = Document::seal(1, room.log, 10);
    anna.put_missing(&world, room.log, &document).await;
    let stored = std::fs::read(world.blob_file()).unwrap();
    assert_eq!(stored.len(), document.chunks[0].len() + 16);
    assert_ne!(&stored[..26], &document.chunks[0][..]);
    // A name that says nothing: neither the log nor the root.
    let name = world.blob_file().file_name().unwrap().to_string_lossy().into_owned();
    assert!(!document.root.to_string().contains(&name));
}

#[tokio::test]
async fn an_upload_that_no_record_named_in_time_is_collected_and_one_that_is_named_stays() {
    let (mut world, anna, ben, room) = two().await;
    let [named, given_up, resumed] = [1, 2, 3].map(|key| Document::seal(key, room.log, 100_000));
    for document in [&named, &given_up, &resumed] {
        anna.put_missing(&world, room.log, document).await;
    }
    anna.append(&world, &room.request(vec![named.record(&room, 0, 0)])).await;
    world.advance(7 * DAY_MS);
    assert_eq!(world.app.collect_garbage().await.unwrap(), 0, "not a moment too early");
    world.advance(1);
    world.reopen(|_| {}).await;
    let anna = Phone { token: world.session(&anna.sign_in(&world).await).await.unwrap(), ..anna };
    let ben = Phone { token: world.session(&ben.sign_in(&world).await).await.unwrap(), ..ben };
    assert_eq!(anna.put_missing(&world, room.log, &resumed).await, 0);
    assert_eq!(world.app.collect_garbage().await.unwrap(), 1);
    assert_eq!(world.blob_files().len(), 2);
    let missing = room.request(vec![given_up.record(&room, 0, 1)]);
    assert_eq!(anna.append(&world, &missing).await, [Outcome::Blob(given_up.root)]);
    let bytes = &given_up.chunks[0];
    assert_eq!(anna.put(&world, room.log, &given_up, 0, bytes).await, not_found());
    assert_eq!(ben.get(&world, room.log, &named, 0).await.0, OK);
    assert_eq!(anna.put_missing(&world, room.log, &given_up).await, 2, "it may begin anew");
}

#[tokio::test]
async fn bytes_that_a_crash_left_without_a_key_are_swept() {
    let (world, anna, _ben, room) = two().await;
    let document = Document::seal(1, room.log, 10);
    anna.put_missing(&world, room.log, &document).await;
    let blobs = FolderBlobs::new(world.folder.path().join("blobs"));
    blobs.create(BlobId([0xab; 16])).unwrap();
    blobs.write(BlobId([0xab; 16]), 0, b"left behind").unwrap();
    assert_eq!(world.app.collect_garbage().await.unwrap(), 1);
    assert_eq!(world.blob_files().len(), 1);
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 0);
}

/// A disk that fills up after so many chunks.
struct Filling {
    disk: FolderBlobs,
    left: AtomicUsize,
}

impl BlobStore for Filling {
    fn create(&self, blob: BlobId) -> Result<(), BlobError> {
        self.disk.create(blob)
    }
    fn write(&self, blob: BlobId, chunk: u32, stored: &[u8]) -> Result<(), BlobError> {
        let take = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            // What a full disk leaves: the beginning.
            self.disk.write(blob, chunk, &stored[..stored.len() / 2])?;
            return Err(BlobError::Full);
        }
        self.disk.write(blob, chunk, stored)
    }
    fn sync(&self, blob: BlobId) -> Result<(), BlobError> {
        self.disk.sync(blob)
    }
    fn read(&self, blob: BlobId, chunk: u32, len: usize) -> Result<Vec<u8>, BlobError> {
        self.disk.read(blob, chunk, len)
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

#[tokio::test]
async fn a_full_disk_is_said_and_the_chunk_does_not_count_until_it_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderBlobs::new(folder.path().join("blobs"));
    let filling = Arc::new(Filling { disk, left: AtomicUsize::new(1) });
    let store = Arc::clone(&filling) as Arc<dyn BlobStore>;
    let (world, anna, ben, room) = founded_with(BlobLimits::default(), Some(store)).await;
    let document = Document::seal(1, room.log, 100_000);
    anna.begin(&world, room.log, &document).await;
    assert_eq!(anna.put(&world, room.log, &document, 0, &document.chunks[0]).await.0, OK);
    let full = refused(StatusCode::INSUFFICIENT_STORAGE, "full");
    assert_eq!(anna.put(&world, room.log, &document, 1, &document.chunks[1]).await, full);
    let record = room.request(vec![document.record(&room, 0, 0)]);
    assert_eq!(anna.append(&world, &record).await, [Outcome::Blob(document.root)]);
    filling.left.store(1, Ordering::SeqCst);
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 1);
    assert!(matches!(anna.append(&world, &record).await[0], Outcome::Ok(_)));
    let last = ben.get(&world, room.log, &document, 1).await;
    assert_eq!(last, (OK, document.chunks[1].clone()));
}

#[tokio::test]
async fn metrics_count_documents_and_their_bytes() {
    let (world, anna, ben, room) = two().await;
    let document = Document::seal(1, room.log, 100);
    anna.put_missing(&world, room.log, &document).await;
    anna.append(&world, &room.request(vec![document.record(&room, 0, 0)])).await;
    for _ in 0..2 {
        ben.get(&world, room.log, &document, 0).await;
    }
    let (_, body) = world.raw("GET", "/metrics", None, vec![]).await;
    let text = String::from_utf8(body).unwrap();
    for line in [
        "hauspost_blobs 1",
        "hauspost_blob_bytes 116",
        "hauspost_blob_bytes_received_total 116",
        "hauspost_blob_bytes_sent_total 232",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains(&document.root.to_string()));
}

impl World {
    /// Ends the server and starts it again on its folder, otherwise configured.
    pub async fn reopen(&mut self, change: impl FnOnce(&mut crate::serve::ServeConfig)) {
        let mut config = config(&self.folder, &self.clock);
        change(&mut config);
        self.app.clone().close().await.unwrap();
        self.app = App::open(&config).await.unwrap();
        self.router = self.app.router();
    }

    fn blob_files(&self) -> Vec<std::path::PathBuf> {
        let list = |folder| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let shelves = list(self.folder.path().join("blobs"));
        shelves.flat_map(|shelf| list(shelf.path())).map(|file| file.path()).collect()
    }

    fn blob_file(&self) -> std::path::PathBuf {
        let files = self.blob_files();
        assert_eq!(files.len(), 1);
        files[0].clone()
    }
}

#[test]
fn a_bitmap_is_answered_as_one_byte_string() {
    let present = Present::none(Layout::of_plain(0).unwrap());
    assert_eq!(decode::<Bytes>(&encode(&present)).unwrap(), Bytes(vec![0]));
}
