//! What a storage does when it fails, and what is said of it: no answer is believed that does not fit, nothing is
//! lost that was said to be kept, and no error names a key.

use std::sync::atomic::{AtomicUsize, Ordering};

use hauspost::blobs::{self, BlobError};
use hauspost_protocol::crypto::Secret;
use hauspost_tests::s3::{Asked, Fault};

use super::*;

/// Puts some chunks of two segments into the storage.
fn put_some(blobs: &S3Blobs) {
    for number in [0, 1, 63, 64, 65] {
        blobs.write(ONE, number, &full(number)).unwrap();
    }
    blobs.sync(ONE).unwrap();
}

fn is_whole(blobs: &S3Blobs) {
    for number in [0, 1, 63, 64, 65] {
        assert!(blobs.read(ONE, number, STORED_CHUNK_BYTES).unwrap() == full(number), "{number}");
    }
    assert_eq!(blobs.found(ONE).unwrap(), [0, 1, 63, 64, 65]);
}

/// The kind and the words of an error of the storage's.
fn said(error: BlobError) -> (std::io::ErrorKind, String) {
    let words = error.to_string();
    assert!(!words.contains(KEY_ID) && !words.contains(SECRET), "{words}");
    match error {
        BlobError::Backend { source, .. } => (source.kind(), words),
        other => panic!("{other}"),
    }
}

#[test]
fn chunks_lie_together_in_objects_that_say_nothing_and_are_read_in_few_requests() {
    let world = World::start();
    let blobs = world.open();
    for number in 0..128 {
        blobs.write(ONE, number, &full(number)).unwrap();
    }
    world.server.asked();
    blobs.sync(ONE).unwrap();
    let puts = world.server.asked();
    assert_eq!(puts.len(), 2, "one for each four megabytes: {puts:?}");
    let id = hex::encode(ONE.0);
    let folder = format!("hauspost/test/{id}");
    let objects: Vec<_> =
        world.server.names().into_iter().filter(|name| name.contains(&id)).collect();
    let expected = ["000000", "000001"].map(|number| format!("{folder}/{number}-ffffffffffffffff"));
    assert_eq!(objects, expected);
    let other = world.open();
    world.server.asked();
    for number in 0..128 {
        other.read(ONE, number, STORED_CHUNK_BYTES).unwrap();
    }
    assert_eq!(world.server.asked().len(), 1 + 8, "a list, and a megabyte at a time");
}

#[test]
fn what_is_in_the_storage_is_not_put_there_again_and_is_found_there_without_asking_anew() {
    let world = World::start();
    let blobs = world.open();
    put_some(&blobs);
    world.server.asked();
    blobs.sync(ONE).unwrap();
    assert_eq!(world.server.asked(), []);
    blobs.read(ONE, 0, STORED_CHUNK_BYTES).unwrap();
    assert_eq!(world.server.asked().len(), 2, "a list and a part of an object");
    blobs.write(ONE, 2, &full(2)).unwrap();
    blobs.sync(ONE).unwrap();
    assert_eq!(world.server.asked().len(), 1, "the new one");
    assert!(blobs.read(ONE, 2, STORED_CHUNK_BYTES).unwrap() == full(2));
    assert_eq!(world.server.asked().len(), 1, "it is known where it lies");
}

#[test]
fn answers_that_were_lost_are_asked_for_again_and_write_nothing_twice() {
    let world = World::start();
    let blobs = world.open();
    world.server.fails_times("PUT", 3, Fault::LostAnswer);
    put_some(&blobs);
    let names = world.server.names();
    assert_eq!(names.len(), 3, "two objects and the owner's: {names:?}");
    world.server.fails_times("GET", 3, Fault::LostAnswer);
    is_whole(&world.open());
    world.server.fails_times("DELETE", 3, Fault::LostAnswer);
    blobs.remove(ONE).unwrap();
    assert_eq!(world.server.names().len(), 1);
}

#[test]
fn a_storage_that_is_busy_or_broken_for_a_moment_is_asked_again() {
    for fault in [
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::Status(503, "ServiceUnavailable"),
    ] {
        let world = World::start();
        let blobs = world.open();
        for method in ["PUT", "GET"] {
            world.server.fails_times(method, 2, fault.clone());
            match method {
                "PUT" => put_some(&blobs),
                _ => is_whole(&world.open()),
            }
        }
    }
}

#[test]
fn a_storage_that_stays_busy_or_broken_is_named_and_what_waits_goes_up_later() {
    let world = World::start();
    let blobs = world.open();
    blobs.write(ONE, 0, &full(0)).unwrap();
    for (fault, kind, words) in [
        (Fault::Status(503, "SlowDown"), std::io::ErrorKind::ResourceBusy, "slow down"),
        (Fault::Status(500, "InternalError"), std::io::ErrorKind::Other, "fails"),
        (Fault::Status(403, "AccessDenied"), std::io::ErrorKind::PermissionDenied, "refuses"),
    ] {
        world.server.fails(move |_| Some(fault.clone()));
        let (found, said) = said(blobs.sync(ONE).unwrap_err());
        assert_eq!(found, kind, "{said}");
        assert!(said.contains("keep chunks") && said.contains(words), "{said}");
    }
    world.server.is_well();
    assert!(blobs.read(ONE, 0, STORED_CHUNK_BYTES).unwrap() == full(0), "it still waits");
    blobs.sync(ONE).unwrap();
    assert!(world.open().read(ONE, 0, STORED_CHUNK_BYTES).unwrap() == full(0));
}

#[test]
fn a_full_storage_is_said_to_be_full() {
    for (status, code) in [(507, "XMinioStorageFull"), (403, "QuotaExceeded")] {
        let world = World::start();
        let blobs = world.open();
        blobs.write(ONE, 0, &full(0)).unwrap();
        world
            .server
            .fails(move |asked| (asked.method == "PUT").then_some(Fault::Status(status, code)));
        assert!(matches!(blobs.sync(ONE), Err(BlobError::Full)), "{code}");
        world.server.is_well();
        blobs.sync(ONE).unwrap();
    }
}

#[test]
fn an_answer_that_was_cut_is_not_taken_for_a_chunk() {
    let world = World::start();
    put_some(&world.open());
    let cut = |times| world.server.fails_times("GET", times, Fault::CutAnswer);
    let blobs = world.open();
    cut(2);
    is_whole(&blobs);
    let blobs = world.open();
    assert_eq!(blobs.found(ONE).unwrap().len(), 5);
    cut(usize::MAX);
    said(blobs.read(ONE, 0, STORED_CHUNK_BYTES).unwrap_err());
}

#[test]
fn a_wrong_etag_changes_nothing_since_nothing_relies_on_it() {
    let world = World::start();
    world.server.fails(|_| Some(Fault::WrongTag));
    put_some(&world.open());
    is_whole(&world.open());
}

#[test]
fn attacks_11_another_content_in_an_objects_place_opens_to_nothing() {
    let world = World::start();
    let (blobs, key) = (world.open(), Secret::new([7; 32]));
    let mut stored = vec![3; STORED_CHUNK_BYTES - 16];
    blobs::seal(&key, ONE, 0, &mut stored);
    blobs.write(ONE, 0, &stored).unwrap();
    blobs.sync(ONE).unwrap();
    let read = || world.open().read(ONE, 0, STORED_CHUNK_BYTES).unwrap();
    assert!(blobs::open(&key, ONE, 0, &mut read()).is_ok());
    world.server.fails(|asked| asked.key.contains("/000000-").then_some(Fault::OtherContent));
    assert!(matches!(blobs::open(&key, ONE, 0, &mut read()), Err(BlobError::Damaged)));
}

#[test]
fn objects_that_the_storage_lost_cut_or_took_from_elsewhere_hold_nothing() {
    let world = World::start();
    put_some(&world.open());
    let is_first = |name: &String| name.contains("/000000-");
    let first = world.server.names().into_iter().find(is_first).unwrap();
    let mut whole = Vec::new();
    world.server.change(|objects| {
        let object = objects.get_mut(&first).unwrap();
        whole = object.clone();
        object.truncate(2 * STORED_CHUNK_BYTES);
    });
    let lost = || {
        let blobs = world.open();
        assert_eq!(blobs.found(ONE).unwrap(), [64, 65]);
        assert!(matches!(blobs.read(ONE, 0, STORED_CHUNK_BYTES), Err(BlobError::Damaged)));
        assert!(blobs.read(ONE, 64, STORED_CHUNK_BYTES).unwrap() == full(64));
    };
    lost();
    world.server.change(|objects| drop(objects.remove(&first)));
    lost();
    // A node that knew the object hears that it is gone, and takes up what was uploaded anew.
    world.server.change(|objects| drop(objects.insert(first.clone(), whole.clone())));
    let knows = world.open();
    assert!(knows.read(ONE, 0, STORED_CHUNK_BYTES).unwrap() == full(0));
    world.server.change(|objects| drop(objects.remove(&first)));
    assert!(matches!(knows.read(ONE, 63 + 1 + 8, STORED_CHUNK_BYTES), Err(BlobError::Damaged)));
    for number in [0, 1, 63] {
        knows.write(ONE, number, &full(number)).unwrap();
    }
    knows.sync(ONE).unwrap();
    is_whole(&world.open());
}

#[test]
fn what_others_put_into_the_place_is_left_alone() {
    let world = World::start();
    let blobs = world.open();
    put_some(&blobs);
    let theirs = ["hauspost/test/README", "hauspost/test/notes/a", "hauspost/other/x", "elsewhere"];
    let own = format!("hauspost/test/{}/notes", hex::encode(ONE.0));
    world.server.change(|objects| {
        for name in theirs {
            objects.insert(name.to_owned(), b"theirs".to_vec());
        }
        objects.insert(own, b"nothing of ours".to_vec());
    });
    assert_eq!(blobs.list().unwrap(), [ONE]);
    is_whole(&world.open());
    blobs.remove(ONE).unwrap();
    let left = world.server.names();
    assert!(theirs.iter().all(|name| left.iter().any(|left| left == name)), "{left:?}");
}

#[test]
fn a_bucket_that_is_not_there_is_named_at_the_start() {
    let world = World::start();
    let elsewhere = settings_for(world.server.url(), "no-such-bucket", SECRET);
    let error = world.try_open(&elsewhere, OWNER).err().unwrap();
    let words = error.to_string();
    assert!(matches!(error, S3Error::NoBucket(_)), "{words}");
    assert!(
        words.contains("s3://no-such-bucket/hauspost/test") && words.contains("does not exist")
    );
}

#[test]
fn credentials_that_are_refused_are_named_at_the_start_and_not_shown() {
    let world = World::start();
    let wrong = settings_for(world.server.url(), BUCKET, "another secret");
    let error = world.try_open(&wrong, OWNER).err().unwrap();
    let words = error.to_string();
    assert!(matches!(error, S3Error::Denied(_)), "{words}");
    assert!(!words.contains("another secret") && !words.contains(KEY_ID), "{words}");
}

#[test]
fn a_place_that_holds_another_servers_documents_is_refused_before_anything_is_swept() {
    let world = World::start();
    put_some(&world.open());
    let before = world.server.names();
    let error = world.try_open(&settings(&world.server), [8; 16]).err().unwrap();
    assert!(matches!(error, S3Error::Foreign(_)), "{error}");
    assert_eq!(world.server.names(), before);
    is_whole(&world.open());
}

#[test]
fn a_server_starts_without_its_storage_and_uses_it_when_it_is_there() {
    let runtime = Runtime::new().unwrap();
    // On an address of its own, so that nobody is given its port while it is away.
    let server = runtime.block_on(S3Server::start_at(([127, 83, 51, 9], 0).into()));
    let (address, settings) = (server.address(), settings(&server));
    runtime.block_on(server.stop());
    let blobs = runtime.block_on(S3Blobs::open(&settings, OWNER)).unwrap();
    let (kind, words) = said(blobs.list().unwrap_err());
    assert_eq!(kind, std::io::ErrorKind::NotConnected, "{words}");
    let server = runtime.block_on(S3Server::start_at(address));
    put_some(&blobs);
    is_whole(&blobs);
    assert_eq!(server.names().len(), 3);
    // And one that is not for this server is found out then.
    server.change(|objects| {
        let owner = objects.iter_mut().find(|(name, _)| name.ends_with("owner")).unwrap().1;
        owner[0] ^= 1;
    });
    let late = runtime.block_on(S3Blobs::open(&settings, OWNER));
    assert!(matches!(late, Err(S3Error::Foreign(_))));
}

#[test]
fn readers_of_one_document_at_once_fetch_it_once() {
    let world = World::start();
    let writer = world.open();
    for number in 0..64 {
        writer.write(ONE, number, &full(number)).unwrap();
    }
    writer.sync(ONE).unwrap();
    let blobs = Arc::new(world.open());
    world.server.asked();
    let next = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (blobs, next) = (Arc::clone(&blobs), Arc::clone(&next));
            std::thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst) as u32;
                    if number >= 64 {
                        return;
                    }
                    let read = blobs.read(ONE, number, STORED_CHUNK_BYTES).unwrap();
                    assert!(read == full(number), "{number}");
                }
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    let is_read = |asked: &Asked| asked.method == "GET" && asked.key.contains("000000-");
    let reads = world.server.asked().iter().filter(|asked| is_read(asked)).count();
    assert_eq!(reads, 4, "a megabyte at a time, whoever asks");
}
