//! What goes wrong on the way: chunks lost, files that are not there, disks that are full.

use hauspost_core::store::StoreError;
use hauspost_core::store::rows::{file, log as log_rows};
use hauspost_protocol::file::{FileCipher, Layout, Leaves};
use hauspost_protocol::statement::File;
use hauspost_tests::disk::SmallDisk;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_the_server_lost_is_named_and_the_document_comes_when_it_is_there_again() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(4 * CHUNK));
    let id = send(&ben, log, &source, "a.txt").await;
    ben.settle().await;
    anna.settle().await;
    for lost in 0..4 {
        network.answers(move |request: &Request| {
            let is_lost =
                request.path.starts_with(path::BLOB) && request.path.ends_with(&format!("/{lost}"));
            is_lost.then(|| Ok(Response { status: 404, body: Vec::new() }))
        });
        let gone = anna.account.fetch_file(log, id, 0).await.unwrap_err();
        assert_eq!((gone.code(), gone.is_retryable()), ("document-gone", false));
        assert_eq!(documents(&anna, log).await.len(), 1, "the message is shown all the same");
    }
    network.is_honest_again();
    assert!(content(&anna, log, id).await == text(4 * CHUNK));
}

/// Lets a phone's next record name this file, whatever it says.
async fn names(phone: &Phone, log: LogId, id: MessageId, file: File) {
    let write = phone.account.store().write(move |tx| {
        let local = log_rows::local(tx, log)?.unwrap();
        // As `set_read` does, but for the upload.
        file::begin_anew(tx, local, (id, 0), &file)?;
        file::arrive(tx, local, (id, 0))?;
        let intent = hauspost_core::store::rows::outbox::by_message(tx, log, id)?.unwrap();
        hauspost_core::store::rows::outbox::uploaded(tx, intent.id)
    });
    let done: Result<(), StoreError> = write.await;
    done.unwrap();
}

async fn named(phone: &Phone, log: LogId, id: MessageId) -> File {
    let read = phone.account.store().read(move |conn| {
        let local = log_rows::local(conn, log)?.unwrap();
        Ok::<_, StoreError>(file::find(conn, local, id, 0)?.unwrap())
    });
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_31_a_record_that_claims_a_file_of_another_conversation_is_refused_and_gives_nothing()
 {
    let mut world = World::found().await;
    let (anna, ben, carla) =
        (world.phone("anna").await, world.phone("ben").await, world.phone("carla").await);
    let first = anna.account.create_dm(ben.account.user()).await.unwrap();
    let second = anna.account.create_dm(carla.account.user()).await.unwrap();
    let source = written(&world, "source", &text(CHUNK + 1));
    let id = send(&anna, first, &source, "a.txt").await;
    anna.settle().await;
    let of_first = named(&anna, first, id).await;

    // A phone that claims it in another conversation, without uploading it there.
    let claim = anna.account.send_file(second, &source, "a.txt", "", "").await.unwrap();
    names(&anna, second, claim, of_first.clone()).await;
    for _ in 0..3 {
        let _ = anna.account.send_once().await;
        let _ = anna.account.sync_all().await;
    }
    carla.settle().await;
    // The server refused the record as it was; the phone uploads what the record says, as its own.
    let arrived = documents(&carla, second).await;
    for row in &arrived {
        let root = named(&carla, second, row.message_id).await.blob_root;
        assert_ne!(root, of_first.blob_root, "nothing of the other conversation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_names_a_file_which_is_not_there_is_shown_and_its_file_told_as_gone() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(100));
    let id = send(&ben, log, &source, "a.txt").await;
    ben.settle().await;
    anna.settle().await;
    network.answers(|request: &Request| {
        let is_blob = request.path.starts_with(path::BLOB);
        is_blob.then(|| Ok(Response { status: 404, body: Vec::new() }))
    });
    let row = documents(&anna, log).await.remove(0);
    assert_eq!((&*row.files[0].name, row.files[0].is_here), ("a.txt", false));
    for fetch in [anna.account.fetch_file(log, id, 0).await, {
        let saved = world.data().parent().unwrap().join("saved");
        anna.account.save_file(log, id, 0, &saved).await
    }] {
        assert_eq!(fetch.unwrap_err().code(), "document-gone");
    }
    // Nor is it forwarded: that message fails, and says why.
    let forwarded = anna.account.forward_files((log, id), log, "").await.unwrap();
    anna.settle().await;
    let rows = documents(&anna, log).await;
    let row = rows.iter().find(|row| row.message_id == forwarded).unwrap();
    assert_eq!((row.state, row.reason), (MessageState::Failed, Some(REASON_UNREADABLE)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_serves_the_chunks_of_another_conversation_or_document_is_not_believed() {
    let (world, network, anna, ben, log) = two().await;
    let source = written(&world, "source", &text(100));
    let id = send(&ben, log, &source, "a.txt").await;
    ben.settle().await;
    anna.settle().await;
    let file = named(&anna, log, id).await;
    // The same key, the same text, another conversation: the log is in the key's derivation.
    let layout = Layout::of_plain(100).unwrap();
    let mut foreign = text(100);
    FileCipher::new(&file.key, LogId([9; 16]), layout).seal(0, &mut foreign).unwrap();
    let mut leaves = Leaves::default();
    leaves.push(&foreign);
    assert_ne!(leaves.root(), file.blob_root);
    network.answers_with(path::BLOB, move || foreign.clone());
    let damaged = anna.account.fetch_file(log, id, 0).await;
    assert!(matches!(damaged, Err(AccountError::Document(DocumentError::Damaged))));
    network.is_honest_again();
    assert!(content(&anna, log, id).await == text(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_without_room_for_a_document_says_so_and_fetches_it_when_there_is_some() {
    let mut world = World::found().await;
    let disk = match SmallDisk::on(&world.phone_folder("anna")) {
        Ok(disk) => disk,
        Err(reason) => return eprintln!("skipped, since no file system can be mounted: {reason}"),
    };
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let size = 12 * CHUNK;
    let source = written(&world, "source", &text(size));
    let id = send(&ben, log, &source, "a.txt").await;
    ben.settle().await;
    anna.settle().await;
    disk.fill();
    let full = anna.account.fetch_file(log, id, 0).await.unwrap_err();
    assert_eq!((full.code(), full.is_retryable()), ("disk-full", true), "{full}");
    disk.make_room();
    anna.account.fetch_file(log, id, 0).await.unwrap();
    // Nor does half of a file stay where it was to be saved.
    disk.fill();
    let saved = world.phone_folder("anna").join("saved");
    let full = anna.account.save_file(log, id, 0, &saved).await.unwrap_err();
    assert_eq!(full.code(), "disk-full", "{full}");
    assert!(!saved.exists());
    disk.make_room();
    anna.account.save_file(log, id, 0, &saved).await.unwrap();
    assert!(std::fs::read(&saved).unwrap() == text(size));
    drop((anna, disk));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_for_documents_says_so_and_takes_the_rest_when_there_is_some() {
    let (world, _, anna, ben, log) = two().await;
    let disk = match SmallDisk::on(&world.data().join("blobs")) {
        Ok(disk) => disk,
        Err(reason) => return eprintln!("skipped, since no file system can be mounted: {reason}"),
    };
    let source = written(&world, "source", &text(20 * CHUNK));
    let first = send(&anna, log, &source, "a.txt").await;
    anna.settle().await;
    disk.fill();
    let second = send(&anna, log, &source, "b.txt").await;
    let full = anna.account.send_once().await.unwrap_err();
    assert!(full.is_retryable(), "{full}");
    anna.account.send_text(log, "geht trotzdem").await.unwrap();
    let _ = anna.account.send_once().await;
    ben.settle().await;
    assert_eq!(ben.texts(log).await, ["a.txt", "geht trotzdem"]);
    disk.make_room();
    anna.settle().await;
    ben.settle().await;
    for id in [first, second] {
        assert!(content(&ben, log, id).await == text(20 * CHUNK));
    }
    // The disk goes before the folder that it lies in.
    drop((anna, ben, disk));
    drop(world);
}
