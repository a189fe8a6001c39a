//! Writes on the calling thread: where they run, and what they must not change.

use super::*;

/// On which thread a write runs.
async fn thread_of_a_write(store: &Store) -> Option<String> {
    store
        .write::<_, StoreError, _>(|_| Ok(std::thread::current().name().map(str::to_owned)))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_may_block_writes_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_ne!(thread_of_a_write(&store).await.as_deref(), Some(THREAD_NAME));
    let spawned = tokio::spawn(async move { thread_of_a_write(&store).await });
    assert_ne!(spawned.await.unwrap().as_deref(), Some(THREAD_NAME));
}

#[tokio::test]
async fn the_only_thread_of_a_runtime_is_not_held_up_by_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(thread_of_a_write(&store).await.as_deref(), Some(THREAD_NAME));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_come_one_by_one_whichever_threads_they_run_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.write(|tx| account::put_fact(tx, "count", &[0])).await.unwrap();
    let add = || {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                store
                    .write::<_, StoreError, _>(|tx| {
                        let count = account::fact(tx, "count")?.unwrap()[0];
                        account::put_fact(tx, "count", &[count + 1])
                    })
                    .await
                    .unwrap();
            }
        })
    };
    for adding in (0..8).map(|_| add()).collect::<Vec<_>>() {
        adding.await.unwrap();
    }
    let count = store.read(|conn| account::fact(conn, "count")).await.unwrap();
    assert_eq!(count, Some(vec![200]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_others_waiting_for_the_writer_waits_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let _waiting = store.0.waiting.clone().try_acquire_owned().unwrap();
    assert_eq!(thread_of_a_write(&store).await.as_deref(), Some(THREAD_NAME));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_finds_another_under_way_comes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (go, gate) = mpsc::channel::<()>();
    let (began, begun) = oneshot::channel();
    let first = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write::<_, StoreError, _>(move |tx| {
                    let _ = began.send(());
                    let _ = gate.recv();
                    account::put_fact(tx, "first", b"")
                })
                .await
        }
    });
    begun.await.unwrap();
    let second = tokio::spawn({
        let store = store.clone();
        async move {
            store.write::<_, StoreError, _>(|tx| Ok(account::fact(tx, "first")?.is_some())).await
        }
    });
    while store.0.waiting.available_permits() == WAITING_WRITES {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(second.await.unwrap().unwrap(), "it sees what the first one wrote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_here_is_refused_while_suspended_and_its_panic_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let panicked = store.write::<(), StoreError, _>(|tx| {
        account::put_fact(tx, "torn", b"")?;
        panic!("on purpose")
    });
    assert!(matches!(panicked.await, Err(StoreError::Panicked)));
    put(&store, "after").await.unwrap();
    assert!(has(&store, "after").await && !has(&store, "torn").await);
    store.suspend().await;
    assert!(matches!(put(&store, "later").await, Err(StoreError::Suspended)));
    store.resume().await.unwrap();
    put(&store, "again").await.unwrap();
    assert!(has(&store, "again").await && !has(&store, "later").await);
}
