//! Words inside documents, between two phones over the real server.

use std::path::PathBuf;

use hauspost::demo::invoice;
use hauspost_core::read::{SearchHit, SearchQuery};
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_tests::real::{Phone, World};

async fn two() -> (World, Phone, Phone, LogId) {
    let mut world = World::found().await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    (world, anna, ben, log)
}

async fn send(world: &World, from: &Phone, log: LogId, name: &str, bytes: &[u8]) -> MessageId {
    let path: PathBuf = world.data().parent().unwrap().join(name);
    std::fs::write(&path, bytes).unwrap();
    let id = from.account.send_file(log, &path, name, "", "").await.unwrap();
    from.settle().await;
    id
}

async fn hits(phone: &Phone, words: &str) -> Vec<SearchHit> {
    phone.account.inspect_documents().await.unwrap();
    phone.account.search(SearchQuery::words(words), None, 9).await.unwrap().hits
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sent_a_pdf_and_who_fetched_it_find_it_by_a_word_inside() {
    let (world, anna, ben, log) = two().await;
    let id = send(&world, &anna, log, "RE-118.pdf", &invoice::pdf()).await;
    ben.settle().await;
    let sent = hits(&anna, "paletten").await;
    assert_eq!((sent.len(), sent[0].message_id), (1, id));
    assert_eq!(hits(&ben, "paletten").await, [], "it is not on his phone");
    assert_eq!(hits(&ben, "re 118").await.len(), 1, "its name is");
    ben.account.fetch_file(log, id, 0).await.unwrap();
    let fetched = hits(&ben, "paletten").await;
    let inside = &fetched[0].document.as_ref().unwrap().inside;
    assert!(inside.iter().any(|part| part.found && part.text == "Paletten"), "{inside:?}");
    // Everything that is known of it outlives a restart, and is not read again.
    let ben = ben.restart().await;
    let again = ben.account.search(SearchQuery::words("paletten"), None, 9).await.unwrap();
    assert_eq!(again.hits, fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_documents_fail_and_the_next_one_is_found_all_the_same() {
    let (world, anna, ben, log) = two().await;
    let hostile: [(&str, Vec<u8>); 4] = [
        ("a.pdf", b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 1 0 R/Kids[1 0 R]>>\nendobj".to_vec()),
        ("b.docx", b"PK\x03\x04word/document.xml".to_vec()),
        ("c.pdf", [b"%PDF-1.4\n".as_slice(), &b"<<[".repeat(200_000)].concat()),
        ("d.xml", [b"<?xml version='1.0'?>".as_slice(), &b"<a>".repeat(100_000)].concat()),
    ];
    let mut ids = Vec::new();
    for (name, bytes) in &hostile {
        ids.push(send(&world, &anna, log, name, bytes).await);
    }
    ids.push(send(&world, &anna, log, "notiz.txt", "Grüße vom Hafen".as_bytes()).await);
    ben.settle().await;
    for id in &ids {
        ben.account.fetch_file(log, *id, 0).await.unwrap();
    }
    let found = hits(&ben, "gruesse hafen").await;
    assert_eq!(found.iter().map(|hit| hit.message_id).collect::<Vec<_>>(), ids[4..]);
}
