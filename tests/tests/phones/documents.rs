//! Documents between phones, over the real server: sent, killed, resumed, fetched, damaged, kept.

mod faults;
mod many;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hauspost_core::account::AccountError;
use hauspost_core::file::DocumentError;
use hauspost_core::outbox::{REASON_CHANGED, REASON_GIVEN_UP, REASON_UNREADABLE};
use hauspost_core::read::Window;
use hauspost_core::store::FaultPoint;
use hauspost_core::store::rows::message::{Message, MessageKind, MessageState};
use hauspost_core::sync::{Method, NetworkError, Request, Response};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::{Digest, LogId, MessageId};
use hauspost_protocol::wire::{Outcome, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};

pub(crate) const CHUNK: usize = 65_536;
const PDF: &str = "application/pdf";

/// Bytes that nothing repeats, so that no chunk equals another.
pub(crate) fn text(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

pub(crate) fn written(world: &World, name: &str, bytes: &[u8]) -> PathBuf {
    let path = world.data().parent().unwrap().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(crate) async fn rows(phone: &Phone, log: LogId) -> Vec<Message> {
    phone.account.timeline(log, Window::Newest, 500).await.unwrap().rows
}

pub(crate) async fn documents(phone: &Phone, log: LogId) -> Vec<Message> {
    let rows = rows(phone, log).await.into_iter();
    rows.filter(|row| row.kind == MessageKind::File).collect()
}

pub(crate) async fn send(phone: &Phone, log: LogId, path: &Path, name: &str) -> MessageId {
    phone.account.send_file(log, path, name, PDF, "").await.unwrap()
}

pub(crate) async fn content(phone: &Phone, log: LogId, message_id: MessageId) -> Vec<u8> {
    let path = phone.account.open_file(log, message_id, 0).await.unwrap();
    std::fs::read(path).unwrap()
}

/// Anna, whose network may lie, Ben, and their conversation.
pub(crate) async fn two() -> (World, Hostile, Phone, Phone, LogId) {
    let mut world = World::found().await;
    let network = Hostile::default();
    let anna = world.phone_over("anna", network.network()).await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    (world, network, anna, ben, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_any_size_and_name_arrives_byte_for_byte() {
    let (world, _, anna, ben, log) = two().await;
    let long = &*format!("{}a.pdf", "ä".repeat(125));
    assert_eq!(long.len(), 255);
    let cases = [
        (0, "leer.txt"),
        (1, "Rechnung März 2026.pdf"),
        (CHUNK, "😀.png"),
        (2 * CHUNK + 77, "../../etc/\u{202e}fdp.exe"),
        (300_000, "CON"),
        (3, "ende. . ."),
        (4, long),
    ];
    for (size, name) in cases {
        let source = written(&world, "source", &text(size));
        send(&anna, log, &source, name).await;
        anna.settle().await;
    }
    ben.settle().await;
    let arrived = documents(&ben, log).await;
    assert_eq!(arrived.len(), cases.len());
    for (row, (size, name)) in arrived.iter().zip(cases) {
        let file = &row.files[0];
        assert_eq!((&*file.name, file.size, file.is_here), (name, size as u64, false));
        assert_eq!(row.text.as_deref(), Some(name));
        if name.ends_with(".exe") {
            let opened = ben.account.open_file(log, row.message_id, 0).await;
            assert!(matches!(opened, Err(AccountError::Document(DocumentError::Blocked))));
            continue;
        }
        let opened = ben.account.open_file(log, row.message_id, 0).await.unwrap();
        assert!(opened.starts_with(ben.folder()), "{opened:?}");
        assert!(std::fs::read(&opened).unwrap() == text(size), "{name}");
    }
    assert!(documents(&ben, log).await.iter().all(|row| row.files[0].is_here));
    // The sender has it as everybody has.
    let sent = documents(&anna, log).await;
    assert!(content(&anna, log, sent[4].message_id).await == text(300_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_opened_is_gone_with_suspend_and_what_was_fetched_stays() {
    let (world, _, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(100_000));
    let id = anna.account.send_file(log, &source, "a.pdf", PDF, "Wie besprochen").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(documents(&ben, log).await[0].text.as_deref(), Some("Wie besprochen"));
    let opened = ben.account.open_file(log, id, 0).await.unwrap();
    assert!(opened.exists());
    ben.account.suspend().await;
    assert!(!opened.exists());
    ben.account.resume().await.unwrap();
    let kept = ben.account.read_file(log, id, 0).await.unwrap();
    let read: Vec<u8> = (0..kept.chunks()).flat_map(|chunk| kept.chunk(chunk).unwrap()).collect();
    assert!(read == text(100_000));
    let saved = world.data().parent().unwrap().join("saved");
    ben.account.save_file(log, id, 0, &saved).await.unwrap();
    assert!(std::fs::read(saved).unwrap() == text(100_000));
    let none = ben.account.fetch_file(log, id, 1).await;
    assert!(matches!(none, Err(AccountError::Document(DocumentError::Missing))));
}

/// Counts the chunks that reached the server, and lets so many through.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<(usize, BTreeMap<String, usize>)>>);

impl Gate {
    pub(crate) fn guard(&self, network: &Hostile, method: Method) {
        let gate = self.clone();
        network.answers(move |request: &Request| {
            if request.method != method || !request.path.starts_with(path::BLOB) {
                return None;
            }
            let (open, seen) = &mut *gate.0.lock().unwrap();
            if *open == 0 {
                return Some(Err(NetworkError::Unreachable));
            }
            *open -= 1;
            *seen.entry(request.path.clone()).or_default() += 1;
            None
        });
    }

    pub(crate) fn let_through(&self, chunks: usize) {
        self.0.lock().unwrap().0 = chunks;
    }

    pub(crate) fn counts(&self) -> Vec<usize> {
        self.0.lock().unwrap().1.values().copied().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_killed_at_every_chunks_border_goes_on_where_it_was() {
    let (world, network, mut anna, ben, log) = two().await;
    let source = written(&world, "source", &text(6 * CHUNK));
    let gate = Gate::default();
    gate.guard(&network, Method::Put);
    let id = send(&anna, log, &source, "a.pdf").await;
    for _ in 0..6 {
        gate.let_through(1);
        let _ = anna.account.send_once().await;
        assert_ne!(documents(&anna, log).await[0].state, MessageState::Failed);
        anna = anna.restart().await;
    }
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(6 * CHUNK));
    assert_eq!(gate.counts(), [1; 6], "no chunk travelled twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_whose_answers_were_lost_are_not_sent_again() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(3 * CHUNK));
    let id = send(&anna, log, &source, "a.pdf").await;
    let (gate, chunks) = (Gate::default(), Gate::default());
    gate.guard(&network, Method::Put);
    gate.let_through(3);
    // The answer to begin comes, those to the chunks do not.
    network.loses_chosen(path::BLOB, |request| request.method == Method::Put);
    assert!(anna.account.send_once().await.is_err());
    network.is_honest_again();
    chunks.guard(&network, Method::Put);
    chunks.let_through(3);
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(3 * CHUNK));
    let (first, second) = (gate.counts().len(), chunks.counts().len());
    assert_eq!(first + second, 3, "each chunk once, whatever its answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_broke_off_goes_on_by_chunk() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(6 * CHUNK));
    let id = send(&ben, log, &source, "a.pdf").await;
    ben.settle().await;
    anna.settle().await;
    let gate = Gate::default();
    gate.guard(&network, Method::Get);
    let mut anna = anna;
    for _ in 0..5 {
        gate.let_through(1);
        assert!(anna.account.fetch_file(log, id, 0).await.is_err());
        anna = anna.restart().await;
    }
    gate.let_through(1);
    assert!(content(&anna, log, id).await == text(6 * CHUNK));
    assert_eq!(gate.counts(), [1; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_meanwhile_does_not_wait_for_a_document() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(100));
    let gate = Gate::default();
    gate.guard(&network, Method::Put);
    send(&anna, log, &source, "a.pdf").await;
    anna.account.send_text(log, "kommt gleich").await.unwrap();
    assert!(anna.account.send_once().await.is_err(), "the document waits");
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["kommt gleich"]);
    gate.let_through(1);
    anna.settle().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["kommt gleich", "a.pdf"]);
    assert_eq!(anna.texts(log).await, ben.texts(log).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_fails_visibly_and_is_sent_again_or_taken_back() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(3 * CHUNK));
    let gate = Gate::default();
    gate.guard(&network, Method::Put);
    gate.let_through(1);
    let id = send(&anna, log, &source, "a.pdf").await;
    let _ = anna.account.send_once().await;
    anna.account.give_up_upload(log, id).await.unwrap();
    let row = documents(&anna, log).await.remove(0);
    assert_eq!((row.state, row.reason), (MessageState::Failed, Some(REASON_GIVEN_UP)));
    gate.let_through(9);
    anna.settle().await;
    assert_eq!(gate.counts().len(), 1, "nothing more of it leaves");
    anna.account.retry(log, id).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(3 * CHUNK));
    assert_eq!(gate.counts(), [1; 3]);

    gate.let_through(0);
    let second = send(&anna, log, &source, "b.pdf").await;
    anna.account.give_up_upload(log, second).await.unwrap();
    anna.account.discard(log, second).await.unwrap();
    assert_eq!(documents(&anna, log).await.len(), 1);
    anna.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changed_or_went_fails_its_message_and_its_new_content_may_be_sent() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(3 * CHUNK));
    let gate = Gate::default();
    gate.guard(&network, Method::Put);
    gate.let_through(1);
    let id = send(&anna, log, &source, "a.pdf").await;
    let _ = anna.account.send_once().await;
    let mut changed = text(3 * CHUNK);
    // In each chunk, since nobody knows which one was sent.
    (0..3).for_each(|chunk| changed[chunk * CHUNK + 5] ^= 1);
    std::fs::write(&source, &changed).unwrap();
    gate.let_through(9);
    anna.settle().await;
    let row = documents(&anna, log).await.remove(0);
    assert_eq!((row.state, row.reason), (MessageState::Failed, Some(REASON_CHANGED)));
    anna.account.retry(log, id).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == changed);

    let gone = send(&anna, log, &source, "b.pdf").await;
    std::fs::remove_file(&source).unwrap();
    anna.settle().await;
    let row = documents(&anna, log).await.into_iter().find(|row| row.message_id == gone).unwrap();
    assert_eq!((row.state, row.reason), (MessageState::Failed, Some(REASON_UNREADABLE)));
    let missing = anna.account.send_file(log, &source, "c.pdf", PDF, "").await;
    assert!(matches!(missing, Err(AccountError::Document(DocumentError::Unreadable(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_know_the_conversation_fails_the_message_and_is_not_asked_for_ever()
{
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(100));
    network.answers(|request: &Request| {
        let blob = request.path.starts_with(path::BLOB);
        blob.then(|| Ok(Response { status: 404, body: Vec::new() }))
    });
    let id = send(&anna, log, &source, "a.pdf").await;
    anna.account.send_once().await.unwrap();
    let row = documents(&anna, log).await.remove(0);
    assert_eq!((row.state, row.reason), (MessageState::Failed, Some(Outcome::NoLog.code())));
    network.is_honest_again();
    anna.account.retry(log, id).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_fails_the_message_with_its_reason_and_a_full_server_is_tried_again() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(100));
    let refuse = |status| {
        network.answers(move |request: &Request| {
            let blob = request.path.starts_with(path::BLOB);
            blob.then(|| Ok(Response { status, body: Vec::new() }))
        });
    };
    refuse(403);
    let id = send(&anna, log, &source, "a.pdf").await;
    anna.account.send_once().await.unwrap();
    let row = documents(&anna, log).await.remove(0);
    assert_eq!((row.state, row.reason), (MessageState::Failed, Some(Outcome::Quota(0).code())));
    refuse(507);
    anna.account.retry(log, id).await.unwrap();
    assert!(anna.account.send_once().await.unwrap_err().is_retryable());
    assert_eq!(documents(&anna, log).await[0].state, MessageState::Queued);
    network.is_honest_again();
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_the_server_let_go_of_is_uploaded_again() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(100));
    let id = send(&anna, log, &source, "a.pdf").await;
    let root: Arc<Mutex<Option<Digest>>> = Arc::default();
    let mut refused = false;
    network.answers(move |request: &Request| {
        if request.method == Method::Put {
            let hex = request.path.split('/').nth(4).unwrap();
            let bytes: Vec<u8> = (0..32)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            *root.lock().unwrap() = Some(Digest(bytes.try_into().unwrap()));
        }
        if request.path != path::APPEND || refused {
            return None;
        }
        refused = true;
        let missing = Outcome::Blob(root.lock().unwrap().unwrap());
        Some(Ok(Response { status: 200, body: encode(&vec![missing]) }))
    });
    anna.settle().await;
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(100));
    assert_eq!(documents(&ben, log).await.len(), 1);
    assert_ne!(documents(&anna, log).await[0].state, MessageState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_swaps_cuts_or_changes_a_chunk_is_not_believed() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(3 * CHUNK));
    let id = send(&ben, log, &source, "a.pdf").await;
    ben.settle().await;
    anna.settle().await;
    let lies: [fn(&mut Vec<u8>); 3] = [
        |chunk| chunk[9] ^= 1,
        |chunk| chunk.truncate(100),
        |chunk| chunk.extend_from_slice(b"more"),
    ];
    for lie in lies {
        network.twists_bytes(path::BLOB, lie);
        let damaged = anna.account.fetch_file(log, id, 0).await;
        assert!(matches!(damaged, Err(AccountError::Document(DocumentError::Damaged))));
        assert!(!documents(&anna, log).await[0].files[0].is_here);
    }
    let mut first = None;
    network.twists_bytes(path::BLOB, move |chunk| {
        // The first chunk again and again.
        let first: &Vec<u8> = first.get_or_insert_with(|| chunk.clone());
        chunk.clone_from(first);
    });
    assert!(anna.account.fetch_file(log, id, 0).await.is_err());
    network.is_honest_again();
    assert!(content(&anna, log, id).await == text(3 * CHUNK));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_lets_go_of_what_was_not_used_for_longest_and_fetches_it_again() {
    let (world, _, anna, ben, log) = two().await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let source = written(&world, &format!("{number}"), &text(CHUNK + number));
        ids.push(send(&anna, log, &source, "a.pdf").await);
    }
    anna.settle().await;
    ben.settle().await;
    ben.account.set_document_cache(2 * CHUNK as u64 + 1_000);
    for id in &ids {
        ben.account.fetch_file(log, *id, 0).await.unwrap();
    }
    let here = async || {
        let rows = documents(&ben, log).await;
        rows.iter().map(|row| row.files[0].is_here).collect::<Vec<_>>()
    };
    assert_eq!(here().await, [false, true, true]);
    let files = std::fs::read_dir(ben.folder().join("documents")).unwrap().count();
    assert_eq!(files, 2, "its file is gone too");
    assert!(content(&ben, log, ids[0]).await == text(CHUNK));
    assert_eq!(here().await, [true, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_killed_at_any_write_sends_its_document_once_or_never_had_it() {
    let (world, _, mut anna, ben, log) = two().await;
    let mut expected = Vec::new();
    for nth in 1..=6 {
        for point in [FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
            let name = format!("{nth} {point:?}.pdf");
            let bytes = text(CHUNK + 10 * nth as usize);
            let source = written(&world, &name, &bytes);
            anna.kill_at(nth, point);
            let stored = anna.account.send_file(log, &source, &name, PDF, "").await.is_ok();
            anna.try_to_settle().await;
            anna = anna.restart().await;
            anna.settle().await;
            anna.settle().await;
            ben.settle().await;
            let texts = ben.texts(log).await;
            let times = texts.iter().filter(|known| **known == name).count();
            assert!(times == 1 || (!stored && times == 0), "{times} times: {name}");
            if times == 1 {
                expected.push((name, bytes));
            }
        }
    }
    let arrived = documents(&ben, log).await;
    assert_eq!(arrived.len(), expected.len());
    for (row, (name, bytes)) in arrived.iter().zip(expected) {
        assert_eq!(row.files[0].name, name);
        assert!(content(&ben, log, row.message_id).await == bytes);
    }
    assert_eq!(anna.alarms().await + ben.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_two_who_begin_with_each_other_at_once_arrive_in_the_one_conversation() {
    let (world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.sync_all().await.unwrap();
    let source = written(&world, "source", &text(100_000));
    let annas = anna.account.create_dm(ben.account.user()).await.unwrap();
    let bens = ben.account.create_dm(anna.account.user()).await.unwrap();
    send(&anna, annas, &source, "von Anna.pdf").await;
    send(&ben, bens, &source, "von Ben.pdf").await;
    for phone in [&anna, &ben, &anna, &ben, &anna, &ben] {
        let _ = phone.account.sync_all().await;
        let _ = phone.account.send_once().await;
    }
    for phone in [&anna, &ben, &anna] {
        phone.settle().await;
    }
    let log = anna.only_log().await;
    for phone in [&anna, &ben] {
        let rows = documents(phone, log).await;
        let mut texts: Vec<_> = rows.iter().filter_map(|row| row.text.clone()).collect();
        texts.sort();
        assert_eq!(texts, ["von Anna.pdf", "von Ben.pdf"]);
        for row in rows {
            assert!(content(phone, log, row.message_id).await == text(100_000));
        }
    }
}
