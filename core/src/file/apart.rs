//! Work on what others made, on a thread of its own: it may panic or never end, and the phone goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// The thread's stack: parsers bound their depth, with room to spare.
const STACK_BYTES: usize = 8 << 20;

/// Tells work to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why work gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It did not end in time, and was told to.
    Late,
    /// It panicked.
    Panicked,
}

/// Runs `work` on a thread of its own, until `deadline` ends. Work that does not end then is left
/// behind; `running` is dropped when it does.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> T + Send + 'static,
    deadline: BoxFuture<'static, ()>,
    running: impl Send + 'static,
) -> Result<T, Broken> {
    let (stop, (answer, answered)) = (Stop::default(), oneshot::channel());
    let told = stop.clone();
    let thread = std::thread::Builder::new().name("hauspost-apart".into()).stack_size(STACK_BYTES);
    let spawned = thread.spawn(move || {
        let _running = running;
        let work = std::panic::AssertUnwindSafe(|| work(&told));
        if let Ok(done) = std::panic::catch_unwind(work) {
            // Nobody waits any more after the deadline.
            let _ = answer.send(done);
        }
    });
    if spawned.is_err() {
        return Err(Broken::Panicked);
    }
    tokio::select! {
        done = answered => done.map_err(|_| Broken::Panicked),
        () = deadline => {
            stop.set();
            Err(Broken::Late)
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_broken_and_the_next_one_is_done() {
        let never = || std::future::pending().boxed();
        let panics = run(|_| panic!("on purpose"), never(), ()).await;
        assert_eq!(panics, Err::<(), _>(Broken::Panicked));
        assert_eq!(run(|_| 7, never(), ()).await, Ok(7));
    }

    #[tokio::test]
    async fn work_that_never_ends_is_late_and_hears_that_it_is_to_end() {
        let (running, ended) = oneshot::channel::<()>();
        let waits = |stop: &Stop| {
            while !stop.is_set() {
                std::thread::yield_now();
            }
        };
        let late = run(waits, std::future::ready(()).boxed(), running).await;
        assert_eq!(late, Err(Broken::Late));
        assert!(ended.await.is_err(), "what was lent to it is given back at its end");
    }
}
