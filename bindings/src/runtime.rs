//! The threads on which the core works.
//!
//! The app's own executor only waits for them. So a blocked main thread never stops the sync, and a panic
//! ends one task, which the app learns as an error.

use std::io;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::error::HauspostError;

/// Two: the core waits for the network and its writer more than it computes.
const WORKERS: usize = 2;

static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(WORKERS).thread_name("hauspost").enable_all().build()
});

fn runtime() -> Result<&'static Runtime, HauspostError> {
    RUNTIME.as_ref().map_err(|_| HauspostError::no_threads())
}

/// Runs async work on the core's threads. Dropping the returned future stops the work at its next await.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, HauspostError>> + Send + 'static,
) -> Result<T, HauspostError> {
    match (&mut StopOnDrop(runtime()?.spawn(work)).0).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(HauspostError::internal()),
        Err(_) => Err(HauspostError::cancelled()),
    }
}

/// Starts work that nobody waits for; it ends with the handle's abort or by itself.
pub(crate) fn start(
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<JoinHandle<()>, HauspostError> {
    Ok(runtime()?.spawn(work))
}

struct StopOnDrop<T>(JoinHandle<T>);

impl<T> Drop for StopOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_panic_comes_back_as_an_error() {
        let result: Result<(), _> = run(async { panic!("a defect") }).await;
        assert_eq!(result.unwrap_err().code(), "internal");
    }

    #[tokio::test]
    async fn dropping_the_future_stops_the_work() {
        let (alive, stopped) = oneshot::channel::<()>();
        let work = run(async move {
            let _alive = alive;
            std::future::pending::<Result<(), _>>().await
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        // The sender lives in the work: the receiver ends when the work is gone.
        assert!(stopped.await.is_err());
    }
}
