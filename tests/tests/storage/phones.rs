//! Phones, over the real server, whose documents lie in a storage.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use hauspost::serve::Documents;
use hauspost_core::read::Window;
use hauspost_core::store::rows::message::{MessageKind, MessageState};
use hauspost_core::sync::{Https, Method, Network, NetworkError, Request};
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::wire::path;
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};
use hauspost_tests::s3::Fault;

use super::*;

const CHUNK: usize = 65_536;

/// Bytes that nothing repeats, so that no chunk equals another.
fn text(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

async fn found(storage: &S3Server) -> (World, Phone, Phone, LogId) {
    found_over(storage, Arc::new(Https)).await
}

/// The same, with Anna's phone over this network.
async fn found_over(storage: &S3Server, network: Arc<dyn Network>) -> (World, Phone, Phone, LogId) {
    let settings = settings(storage);
    let configure = |config: &mut hauspost::serve::ServeConfig| {
        config.documents = Documents::S3(Box::new(settings));
    };
    let mut world = World::found_with(configure).await;
    let (anna, ben) = (world.phone_over("anna", network).await, world.phone("ben").await);
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    (world, anna, ben, log)
}

fn written(world: &World, bytes: &[u8]) -> PathBuf {
    let path = world.data().parent().unwrap().join("source");
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn send(phone: &Phone, log: LogId, path: &std::path::Path) -> MessageId {
    phone.account.send_file(log, path, "a.txt", "text/plain", "").await.unwrap()
}

async fn content(phone: &Phone, log: LogId, id: MessageId) -> Vec<u8> {
    std::fs::read(phone.account.open_file(log, id, 0).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_into_the_storage_sealed_and_comes_back_byte_for_byte() {
    let storage = S3Server::start().await;
    let (world, anna, ben, log) = found(&storage).await;
    for size in [0, 1, CHUNK, 70 * CHUNK + 7] {
        let source = written(&world, &text(size));
        let id = send(&anna, log, &source).await;
        anna.settle().await;
        ben.settle().await;
        assert!(content(&ben, log, id).await == text(size), "{size}");
    }
    assert!(!world.data().join("blobs").exists(), "nothing of them lies beside the database");
    let said = text(300);
    storage.change(|objects| {
        for (name, object) in objects.iter() {
            assert!(!object.windows(16).any(|bytes| bytes == &said[100..116]), "{name}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_through_every_failure_of_the_storage() {
    let storage = S3Server::start().await;
    let (world, anna, ben, log) = found(&storage).await;
    let mut ids = Vec::new();
    for (round, fault) in [
        Fault::LostAnswer,
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::WrongTag,
        Fault::CutAnswer,
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = text(66 * CHUNK + round);
        let source = written(&world, &bytes);
        let id = send(&anna, log, &source).await;
        storage.fails_times("PUT", 2, fault.clone());
        anna.settle().await;
        ben.settle().await;
        storage.fails_times("GET", 2, fault);
        assert!(content(&ben, log, id).await == bytes, "{round}");
        ids.push(id);
    }
    storage.is_well();
    for phone in [&anna, &ben] {
        assert_eq!(phone.alarms().await, 0);
        let rows = phone.account.timeline(log, Window::Newest, 50).await.unwrap().rows;
        let files: Vec<_> = rows.iter().filter(|row| row.kind == MessageKind::File).collect();
        assert_eq!(files.len(), ids.len());
    }
}

/// A network that lets so many chunks reach the server, and counts how often each did.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(usize, BTreeMap<String, usize>)>>);

impl Gate {
    fn of(network: &Hostile) -> Self {
        let gate = Self::default();
        let of_network = gate.clone();
        network.answers(move |request: &Request| {
            if request.method != Method::Put || !request.path.starts_with(path::BLOB) {
                return None;
            }
            let (open, seen) = &mut *of_network.0.lock().unwrap();
            if *open == 0 {
                return Some(Err(NetworkError::Unreachable));
            }
            *open -= 1;
            *seen.entry(request.path.clone()).or_default() += 1;
            None
        });
        gate
    }

    fn let_through(&self, chunks: usize) {
        self.0.lock().unwrap().0 = chunks;
    }

    fn counts(&self) -> Vec<usize> {
        self.0.lock().unwrap().1.values().copied().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_killed_at_every_chunks_border_goes_on_where_it_was() {
    const CHUNKS: usize = 6;
    let storage = S3Server::start().await;
    let network = Hostile::default();
    let (world, mut anna, ben, log) = found_over(&storage, network.network()).await;
    let bytes = text(CHUNKS * CHUNK);
    let source = written(&world, &bytes);
    let gate = Gate::of(&network);
    let id = send(&anna, log, &source).await;
    for _ in 0..CHUNKS {
        gate.let_through(1);
        let _ = anna.account.send_once().await;
        let rows = anna.account.timeline(log, Window::Newest, 9).await.unwrap().rows;
        assert_ne!(rows.last().unwrap().state, MessageState::Failed);
        anna = anna.restart().await;
    }
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == bytes);
    assert_eq!(gate.counts(), [1; CHUNKS], "no chunk travelled twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_storage_is_said_to_the_phone_conversation_goes_on_and_the_document_follows() {
    let storage = S3Server::start().await;
    let (world, anna, ben, log) = found(&storage).await;
    let source = written(&world, &text(3 * CHUNK));
    storage
        .fails(|asked| (asked.method == "PUT").then_some(Fault::Status(507, "XMinioStorageFull")));
    let id = send(&anna, log, &source).await;
    let full = anna.account.send_once().await.unwrap_err();
    assert!(full.is_retryable(), "{full}");
    anna.account.send_text(log, "geht trotzdem").await.unwrap();
    let _ = anna.account.send_once().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["geht trotzdem"]);
    let rows = anna.account.timeline(log, Window::Newest, 9).await.unwrap().rows;
    let row = rows.iter().find(|row| row.message_id == id).unwrap();
    assert_ne!(row.state, MessageState::Failed);
    storage.is_well();
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(3 * CHUNK));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_the_storage_lost_swapped_or_cut_is_never_shown_as_a_document() {
    let storage = S3Server::start().await;
    let (world, anna, ben, log) = found(&storage).await;
    let mut ids = Vec::new();
    for size in [3 * CHUNK, 3 * CHUNK - 1] {
        let bytes = text(size);
        let source = written(&world, &bytes);
        ids.push((send(&anna, log, &source).await, bytes));
        anna.settle().await;
    }
    ben.settle().await;
    let names: Vec<_> =
        storage.names().into_iter().filter(|name| !name.ends_with("owner")).collect();
    assert_eq!(names.len(), 2);
    let mut kept = Vec::new();
    storage.change(|objects| kept = names.iter().map(|name| objects[name].clone()).collect());
    // What came whole of a document stays at the phone, so each change is one of the last chunk.
    type Change = fn(&mut Vec<u8>, &mut Vec<u8>);
    let changes: [Change; 4] = [
        |one, other| {
            [one, other].into_iter().for_each(|object| object.truncate(2 * STORED_CHUNK_BYTES))
        },
        |one, other| {
            [one, other].into_iter().for_each(|object| object[2 * STORED_CHUNK_BYTES + 9] ^= 1)
        },
        std::mem::swap,
        |one, other| {
            [one, other].into_iter().for_each(|object| object.rotate_left(STORED_CHUNK_BYTES))
        },
    ];
    for change in changes {
        let mut changed = kept.clone();
        let (one, other) = changed.split_at_mut(1);
        change(&mut one[0], &mut other[0]);
        storage.change(|objects| {
            for (name, content) in names.iter().zip(changed) {
                objects.insert(name.clone(), content);
            }
        });
        for (id, _) in &ids {
            let opened = ben.account.open_file(log, *id, 0).await;
            assert!(opened.is_err(), "what was changed is not taken for the document");
        }
    }
    storage.change(|objects| names.iter().for_each(|name| drop(objects.remove(name))));
    storage.change(|objects| {
        for (name, content) in names.iter().zip(kept) {
            objects.insert(name.clone(), content);
        }
    });
    for (id, bytes) in &ids {
        assert!(&content(&ben, log, *id).await == bytes);
    }
}
