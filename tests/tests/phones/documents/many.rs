//! Several documents of one message, side by side, given up, held back, forwarded, and listed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use hauspost_core::account::{Attachment, DocumentOrigin, MeteredLimits, TransferState};
use hauspost_core::read::DocumentKind;
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::{file, log};
use hauspost_core::sync::{Connection, Hints, Https, Network};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::statement::{File, FileRole};
use hauspost_tests::real::PATIENCE;
use tokio::sync::watch;

use super::*;

async fn send_all(phone: &Phone, log: LogId, paths: &[&PathBuf], said: &str) -> MessageId {
    let attachments = paths.iter().map(Attachment::path).collect();
    phone.account.send_files(log, attachments, said).await.unwrap()
}

async fn content_of(phone: &Phone, log: LogId, id: MessageId, position: u32) -> Vec<u8> {
    let path = phone.account.open_file(log, id, position).await.unwrap();
    std::fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_documents_of_one_message_arrive_together_in_their_order() {
    let (world, _, anna, ben, log) = two().await;
    let sizes = [3 * CHUNK, 0, 10, 100_000];
    let paths = [0, 1, 2, 3].map(|n| written(&world, &format!("{n}.txt"), &text(sizes[n])));
    let id = send_all(&anna, log, &paths.iter().collect::<Vec<_>>(), "Alle vier").await;
    anna.settle().await;
    ben.settle().await;
    let arrived = documents(&ben, log).await;
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].text.as_deref(), Some("Alle vier"));
    let names: Vec<_> = arrived[0].files.iter().map(|file| file.name.clone()).collect();
    assert_eq!(names, ["0.txt", "1.txt", "2.txt", "3.txt"]);
    for (position, size) in (0..).zip(sizes) {
        assert!(content_of(&ben, log, id, position).await == text(size), "{position}");
    }
    let many: Vec<_> = (0..17).map(|_| &paths[1]).collect();
    let attachments = many.iter().map(Attachment::path).collect();
    let too_many = anna.account.send_files(log, attachments, "").await;
    assert!(matches!(too_many, Err(AccountError::Document(DocumentError::TooMany))));
    send_all(&anna, log, &many[..16], "").await;
    anna.settle().await;
    ben.settle().await;
    assert_eq!(documents(&ben, log).await[1].files.len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_document_that_is_gone_fails_its_message_and_the_others_are_not_sent_again() {
    let (world, network, anna, ben, log) = two().await;
    let paths = [0, 1, 2].map(|n| written(&world, &format!("{n}.txt"), &text(CHUNK + n)));
    let gate = Gate::default();
    gate.guard(&network, Method::Put);
    gate.let_through(99);
    let id = send_all(&anna, log, &paths.iter().collect::<Vec<_>>(), "").await;
    std::fs::remove_file(&paths[2]).unwrap();
    anna.settle().await;
    let row = documents(&anna, log).await.remove(0);
    assert_eq!((row.state, row.reason), (MessageState::Failed, Some(REASON_UNREADABLE)));
    std::fs::write(&paths[2], text(CHUNK + 2)).unwrap();
    anna.account.retry(log, id).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    for position in 0..3 {
        let expected = text(CHUNK + position as usize);
        assert!(content_of(&ben, log, id, position).await == expected);
    }
    assert_eq!(gate.counts(), [1; 5], "each chunk travelled once");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_message_whose_source_changed_only_that_document_is_uploaded_anew() {
    let (world, network, anna, ben, log) = two().await;
    let paths = [0, 1].map(|n| written(&world, &format!("{n}.txt"), &text(CHUNK + 7 + n)));
    let gate = Gate::default();
    gate.guard(&network, Method::Put);
    let id = send_all(&anna, log, &[&paths[0], &paths[1]], "").await;
    // Both are read through, nothing of them leaves.
    assert!(anna.account.send_once().await.is_err());
    let changed = [&text(CHUNK)[..], b"changed!"].concat();
    std::fs::write(&paths[1], &changed).unwrap();
    gate.let_through(99);
    anna.settle().await;
    assert_eq!(documents(&anna, log).await[0].reason, Some(REASON_CHANGED));
    anna.account.retry(log, id).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert!(content_of(&ben, log, id, 0).await == text(CHUNK + 7));
    assert!(content_of(&ben, log, id, 1).await == changed);
    let roots: BTreeSet<_> = gate.0.lock().unwrap().1.keys().cloned().collect();
    assert_eq!(gate.counts().iter().sum::<usize>(), roots.len(), "nothing travelled twice");
}

/// A network that holds each document's first chunk until so many documents have begun.
struct Together {
    wanted: usize,
    seen: watch::Sender<BTreeSet<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

#[derive(Clone)]
struct TogetherNetwork(Arc<Together>);

struct TogetherConnection(Arc<dyn Connection>, Arc<Together>);

impl Network for TogetherNetwork {
    fn connect(&self, server: &str, trust: &Trust) -> Result<Arc<dyn Connection>, NetworkError> {
        Ok(Arc::new(TogetherConnection(Https.connect(server, trust)?, self.0.clone())))
    }
}

impl Connection for TogetherConnection {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, NetworkError>> {
        Box::pin(async move {
            if request.method != Method::Put || !request.path.starts_with(path::BLOB) {
                return self.0.request(request).await;
            }
            let running = self.1.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.1.most.fetch_max(running, Ordering::SeqCst);
            let root = request.path.split('/').nth(4).unwrap().to_owned();
            self.1.seen.send_modify(|seen| _ = seen.insert(root));
            let mut seen = self.1.seen.subscribe();
            seen.wait_for(|seen| seen.len() >= self.1.wanted).await.unwrap();
            let answer = self.0.request(request).await;
            self.1.running.fetch_sub(1, Ordering::SeqCst);
            answer
        })
    }

    fn stream(&self, request: Request) -> BoxFuture<'_, Result<Hints, NetworkError>> {
        self.0.stream(request)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_documents_travel_side_by_side_and_no_more_than_four_chunks_of_each() {
    let mut world = World::found().await;
    let together = Arc::new(Together {
        wanted: 3,
        seen: watch::Sender::default(),
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let anna = world.phone_over("anna", Arc::new(TogetherNetwork(together.clone()))).await;
    let ben = world.phone("ben").await;
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    let paths = [0, 1, 2, 3].map(|n| written(&world, &format!("{n}.txt"), &text(9 * CHUNK + n)));
    send_all(&anna, log, &paths.iter().collect::<Vec<_>>(), "").await;
    // One after the other they would wait for each other for ever.
    let sent = tokio::time::timeout(PATIENCE, anna.account.send_once()).await;
    sent.expect("three at once").unwrap();
    assert!(together.most.load(Ordering::SeqCst) <= 12);
    ben.settle().await;
    assert_eq!(documents(&ben, log).await[0].files.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_metered_network_large_documents_wait_until_somebody_asks_or_it_is_another() {
    let (world, _, mut anna, ben, log) = two().await;
    let large = written(&world, "gross.txt", &text(CHUNK + 1));
    let small = written(&world, "klein.txt", &text(CHUNK));
    let bound = CHUNK as u64;
    let limits = MeteredLimits { upload_bytes: Some(bound), download_bytes: Some(bound) };
    anna.account.set_metered_limits(limits).await.unwrap();
    anna = anna.restart().await;
    assert_eq!(anna.account.metered_limits(), limits, "of the account, and kept");
    anna.account.set_metered(true);
    let first = send_all(&anna, log, &[&large], "").await;
    let second = send_all(&anna, log, &[&large], "").await;
    send_all(&anna, log, &[&small], "").await;
    anna.settle().await;
    let held: Vec<_> = anna.account.transfers();
    assert!(held.iter().all(|held| held.is_upload && held.state == TransferState::Held));
    let waiting: BTreeSet<_> = held.iter().map(|held| held.document.message_id).collect();
    assert_eq!(waiting, [first, second].into());
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["klein.txt"]);

    anna.account.upload_anyway(log, second).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    assert_eq!(documents(&ben, log).await[1].message_id, second);
    anna.account.set_metered(false);
    anna.settle().await;
    assert_eq!(anna.account.transfers(), []);
    ben.settle().await;
    assert_eq!(documents(&ben, log).await[2].message_id, first);

    // What nobody asked for is not fetched either.
    ben.account.set_metered_limits(limits).await.unwrap();
    ben.account.set_metered(true);
    let held = ben.account.fetch_file_by_itself(log, first, 0).await;
    assert!(matches!(held, Err(AccountError::Document(DocumentError::Metered))));
    ben.account.fetch_file(log, first, 0).await.unwrap();
    ben.account.set_metered(false);
    ben.account.fetch_file_by_itself(log, second, 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_under_way_pauses_when_the_network_becomes_metered() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "a.txt", &text(30 * CHUNK));
    let limits = MeteredLimits { upload_bytes: Some(1), download_bytes: None };
    anna.account.set_metered_limits(limits).await.unwrap();
    let id = send_all(&anna, log, &[&source], "").await;
    let (account, count) = (anna.account.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    network.answers(move |request: &Request| {
        let is_chunk = request.method == Method::Put && request.path.starts_with(path::BLOB);
        if is_chunk && counted.fetch_add(1, Ordering::SeqCst) == 2 {
            account.set_metered(true);
        }
        None
    });
    anna.settle().await;
    let sent = count.load(Ordering::SeqCst);
    assert!(sent < 30, "{sent} chunks");
    assert_eq!(anna.account.transfers()[0].state, TransferState::Held);
    assert_ne!(documents(&anna, log).await[0].state, MessageState::Failed);
    anna.account.set_metered(false);
    anna.settle().await;
    ben.settle().await;
    assert!(content(&ben, log, id).await == text(30 * CHUNK));
    assert_eq!(count.load(Ordering::SeqCst), 30, "it goes on where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_is_given_up_keeps_what_came() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "a.txt", &text(20 * CHUNK));
    let id = send_all(&ben, log, &[&source], "").await;
    ben.settle().await;
    anna.settle().await;
    let (account, count) = (anna.account.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    network.answers(move |request: &Request| {
        let is_chunk = request.method == Method::Get && request.path.starts_with(path::BLOB);
        // Enough are asked for by then that at least one is kept.
        if is_chunk && counted.fetch_add(1, Ordering::SeqCst) == 6 {
            account.stop_fetch(log, id, 0);
        }
        None
    });
    let stopped = anna.account.fetch_file(log, id, 0).await;
    assert!(matches!(stopped, Err(AccountError::Document(DocumentError::Stopped))));
    let asked = count.load(Ordering::SeqCst);
    assert!(asked < 20, "{asked} chunks");
    assert!(content(&anna, log, id).await == text(20 * CHUNK));
    let more = count.load(Ordering::SeqCst) - asked;
    assert!(more < 20, "what had come was not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_31_a_document_is_forwarded_as_a_new_upload_under_a_new_key_fetched_first() {
    let mut world = World::found().await;
    let (anna, ben, carla) =
        (world.phone("anna").await, world.phone("ben").await, world.phone("carla").await);
    let first = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let second = ben.account.create_dm(carla.account.user()).await.unwrap();
    let paths = [0, 1].map(|n| written(&world, &format!("{n}.txt"), &text(CHUNK + 5 + n)));
    let id = send_all(&anna, first, &[&paths[0], &paths[1]], "bitte lesen").await;
    anna.settle().await;
    ben.settle().await;
    assert!(documents(&ben, first).await[0].files.iter().all(|file| !file.is_here));
    let forwarded = ben.account.forward_files((first, id), second, "von Anna").await.unwrap();
    ben.settle().await;
    ben.settle().await;
    carla.settle().await;
    assert_eq!(carla.texts(second).await, ["von Anna"]);
    for position in 0..2 {
        let expected = text(CHUNK + 5 + position as usize);
        assert!(content_of(&carla, second, forwarded, position).await == expected);
    }
    let files = async |in_log, id| {
        let stored = ben.account.store().read(move |conn| {
            let local = log::local(conn, in_log)?.unwrap();
            (0..2).map(|n| Ok(file::find(conn, local, id, n)?.unwrap())).collect::<Result<_, _>>()
        });
        let stored: Result<Vec<File>, StoreError> = stored.await;
        stored.unwrap()
    };
    for (old, new) in files(first, id).await.iter().zip(files(second, forwarded).await) {
        assert_eq!((&old.plain_hash, &old.name), (&new.plain_hash, &new.name));
        assert!(old.key != new.key && old.blob_root != new.blob_root);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_for_a_message_lies_at_its_author_at_once_and_survives_a_full_cache() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "foto.txt", &text(100));
    let small = Attachment {
        origin: DocumentOrigin::Bytes(b"\x89PNG\r\n\x1a\nkaum etwas".to_vec()),
        name: String::new(),
        media_type: None,
        role: FileRole::Preview,
        of: Some(0),
    };
    let gate = Gate::default();
    gate.guard(&network, Method::Put);
    let both = vec![Attachment::path(&source), small.clone()];
    let id = anna.account.send_files(log, both, "").await.unwrap();
    let preview = &documents(&anna, log).await[0].files[1];
    assert_eq!((preview.is_here, preview.role), (true, FileRole::Preview));
    assert_eq!(preview.media_type, "image/png");
    // Whatever else is fetched, it stays until it was sent.
    anna.account.set_document_cache(0);
    let other = written(&world, "other.txt", &text(10));
    let from_ben = send_all(&ben, log, &[&other], "").await;
    ben.settle().await;
    anna.account.sync_all().await.unwrap();
    anna.account.fetch_file(log, from_ben, 0).await.unwrap();
    gate.let_through(99);
    let anna = anna.restart().await;
    anna.settle().await;
    ben.settle().await;
    let arrived = documents(&ben, log).await.into_iter().find(|row| row.message_id == id).unwrap();
    assert_eq!(arrived.files[1].role, FileRole::Preview);
    assert!(content_of(&ben, log, id, 1).await == b"\x89PNG\r\n\x1a\nkaum etwas");
    let huge = Attachment { origin: DocumentOrigin::Bytes(vec![0; (1 << 20) + 1]), ..small };
    let huge = anna.account.send_files(log, vec![huge], "").await;
    assert!(matches!(huge, Err(AccountError::Document(DocumentError::TooLarge))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_says_what_the_content_shows_and_what_would_be_run_is_saved_but_not_opened() {
    let (world, _, anna, ben, log) = two().await;
    let program = written(&world, "p", b"MZ\x90\0\x03\0\0\0 and so on");
    let id = anna.account.send_file(log, &program, "Rechnung.pdf", PDF, "").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let file = documents(&ben, log).await[0].files[0].clone();
    assert_eq!(file.media_type, "application/vnd.microsoft.portable-executable");
    let opened = ben.account.open_file(log, id, 0).await.unwrap_err();
    assert_eq!(opened.code(), "document-blocked");
    let folder = world.data().parent().unwrap().join("saved");
    std::fs::create_dir(&folder).unwrap();
    for name in ["Rechnung.pdf", "Rechnung (2).pdf"] {
        let saved = ben.account.save_file_in(log, id, 0, &folder).await.unwrap();
        assert_eq!(saved, folder.join(name), "nothing is replaced");
        assert!(std::fs::read(saved).unwrap() == b"MZ\x90\0\x03\0\0\0 and so on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_of_a_conversation_are_listed_newest_first_by_kind_and_in_pages() {
    let (world, _, anna, _, log) = two().await;
    let png = written(&world, "bild.png", b"\x89PNG\r\n\x1a\n");
    let note = written(&world, "notiz.txt", b"Notiz");
    for number in 0..3 {
        send_all(&anna, log, &[&png, &note], &format!("{number}")).await;
        anna.account.send_text(log, "dazwischen").await.unwrap();
    }
    anna.settle().await;
    let list =
        async |kind, before, limit| anna.account.documents(log, kind, before, limit).await.unwrap();
    let all = list(DocumentKind::All, None, 100).await;
    assert_eq!((all.rows.len(), all.next), (6, None));
    assert!(all.rows.is_sorted_by(|a, b| a.key >= b.key));
    let pictures = list(DocumentKind::Pictures, None, 100).await;
    assert!(pictures.rows.iter().all(|row| row.file.name == "bild.png"));
    assert_eq!(pictures.rows.len(), 3);
    let mut files = Vec::new();
    let mut before = None;
    loop {
        let page = list(DocumentKind::Files, before, 1).await;
        files.extend(page.rows);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(files.len(), 3);
    assert!(
        files.iter().all(|row| row.file.name == "notiz.txt" && row.author == anna.account.user())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_gives_no_documents_any_more() {
    let (world, _, anna, ben, log) = two().await;
    let note = written(&world, "notiz.txt", b"Notiz");
    let id = send_all(&anna, log, &[&note], "").await;
    anna.settle().await;
    ben.settle().await;
    ben.account.fetch_file(log, id, 0).await.unwrap();
    anna.account.delete(log, id).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    for phone in [&anna, &ben] {
        let gone = phone.account.open_file(log, id, 0).await.unwrap_err();
        assert_eq!(gone.code(), "no-document");
        let listed = phone.account.documents(log, DocumentKind::All, None, 9).await.unwrap();
        assert_eq!(listed.rows, []);
    }
}
