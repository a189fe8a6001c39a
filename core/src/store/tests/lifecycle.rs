use std::fs;

use super::super::fixture::key;
use super::*;

#[tokio::test]
async fn suspend_finishes_the_writes_leaves_no_lock_and_refuses_what_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let writes: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn({
                let store = store.clone();
                async move { put(&store, "before").await }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.suspend().await;
    for write in writes {
        // Handed over before: done. Not yet: refused. Never half.
        assert!(matches!(write.await.unwrap(), Ok(()) | Err(StoreError::Suspended)));
    }
    assert!(matches!(put(&store, "later").await, Err(StoreError::Suspended)));
    let read = store.read(|conn| account::fact(conn, "before")).await;
    assert!(matches!(read, Err(StoreError::Suspended)));
    assert!(lock(&folder.path().join("db")).is_ok(), "the file beside is unlocked");
    assert_eq!(files(folder.path()), ["db", "db.lock"], "the write-ahead log is moved and gone");
    assert!(!holds_a_lock(&folder.path().join("db")));

    store.resume().await.unwrap();
    put(&store, "after").await.unwrap();
    assert!(has(&store, "after").await && has(&store, "before").await);
    assert!(!has(&store, "later").await);
}

#[tokio::test]
async fn an_open_store_holds_the_lock_that_the_test_above_looks_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert!(matches!(lock(&folder.path().join("db")), Err(StoreError::InUse)));
    drop(store);
}

#[tokio::test]
async fn suspending_and_resuming_twice_is_the_same_as_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.suspend().await;
    store.suspend().await;
    store.resume().await.unwrap();
    store.resume().await.unwrap();
    put(&store, "a").await.unwrap();
}

#[tokio::test]
async fn a_dropped_suspend_still_closes_and_resume_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (go, gate) = mpsc::channel::<()>();
    let (began, begun) = oneshot::channel();
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write::<_, StoreError, _>(move |tx| {
                    let _ = began.send(());
                    let _ = gate.recv();
                    account::put_fact(tx, "under way", b"")
                })
                .await
        }
    });
    begun.await.unwrap();
    tokio::select! {
        biased;
        () = store.suspend() => panic!("the writer is held back"),
        () = tokio::task::yield_now() => {}
    }
    assert!(!store.is_open());
    let resuming = tokio::spawn({
        let store = store.clone();
        async move { store.resume().await }
    });
    tokio::task::yield_now().await;
    assert!(!resuming.is_finished());
    go.send(()).unwrap();
    writing.await.unwrap().unwrap();
    resuming.await.unwrap().unwrap();
    assert!(has(&store, "under way").await);
}

#[tokio::test]
async fn suspend_does_not_wait_for_a_long_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (began, begun) = oneshot::channel();
    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .read::<i64, StoreError, _>(move |conn| {
                    let _ = began.send(());
                    Ok(conn.query_row(
                        "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n)
                         SELECT max(i) FROM n",
                        [],
                        |row| row.get(0),
                    )?)
                })
                .await
        }
    });
    begun.await.unwrap();
    store.suspend().await;
    assert!(matches!(reading.await.unwrap(), Err(StoreError::Suspended)));
}

#[tokio::test]
async fn observers_outlive_a_suspension() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let observer = store.observe();
    store.suspend().await;
    store.resume().await.unwrap();
    store
        .write::<_, StoreError, _>(|tx| {
            tx.touch(Change::People);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(observer.next().await, Some(vec![Change::People]));
    drop(store);
    assert_eq!(observer.next().await, None);
}

#[tokio::test]
async fn a_second_writer_is_refused_until_the_first_is_suspended_or_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let first = open(folder.path());
    assert!(matches!(Store::open(&path, key(1)), Err(StoreError::InUse)));
    first.suspend().await;
    let second = Store::open(&path, key(1)).unwrap();
    assert!(matches!(first.resume().await, Err(StoreError::InUse)));
    drop(second);
    first.resume().await.unwrap();
    put(&first, "still mine").await.unwrap();
}

#[tokio::test]
async fn the_process_that_only_reads_sees_each_commit_and_leaves_the_files_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let store = open(folder.path());
    let reader = ReadOnlyStore::open(&path, &key(1)).unwrap();
    put(&store, "a").await.unwrap();
    assert!(reader.read(|conn| account::fact(conn, "a")).unwrap().is_some());
    let tried: Result<usize, StoreError> =
        reader.read(|conn| Ok(conn.execute("DELETE FROM fact", [])?));
    assert!(tried.is_err());
    drop(reader);

    store.suspend().await;
    let before = fs::read(&path).unwrap();
    let reader = ReadOnlyStore::open(&path, &key(1)).unwrap();
    assert!(reader.read(|conn| account::fact(conn, "a")).unwrap().is_some());
    drop(reader);
    assert!(fs::read(&path).unwrap() == before);
    store.resume().await.unwrap();
    put(&store, "b").await.unwrap();
}

#[tokio::test]
async fn the_last_clone_may_be_dropped_inside_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let inside = store.clone();
    let write = store.write::<_, StoreError, _>(move |tx| {
        drop(inside);
        account::put_fact(tx, "a", b"")
    });
    write.await.unwrap();
    let (dropped, is_dropped) = mpsc::channel();
    let inside = store.clone();
    let read = store.read::<_, StoreError, _>(move |_| {
        drop(inside);
        dropped.send(()).unwrap();
        Ok(())
    });
    let mut read = Box::pin(read);
    let _ = futures_util::FutureExt::now_or_never(&mut read);
    drop(read);
    drop(store);
    // Handed over and begun, or dropped with its store before: either way nobody waits for ever.
    let _ = is_dropped.recv();
    let again = loop {
        match Store::open(folder.path().join("db"), key(1)) {
            Err(StoreError::InUse) => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    assert!(has(&again, "a").await);
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether this process holds a lock on the file, as the kernel tells.
#[cfg(target_os = "linux")]
fn holds_a_lock(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
    let process = format!(" {} ", std::process::id());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| line.contains(&inode) && line.contains(&process))
}

#[cfg(not(target_os = "linux"))]
fn holds_a_lock(_: &Path) -> bool {
    false
}
