//! Work on what others made, on a thread of its own: it may panic or never end, and the phone goes on.
//!
//! What a panic says may quote what was worked on, so nothing of it is printed: of these threads the
//! place in the code is logged and no more. All other threads' panics go where they went before.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// The thread's stack: parsers bound their depth, with room to spare.
const STACK_BYTES: usize = 8 << 20;

thread_local! {
    /// Whether this thread works on what others made.
    static IS_APART: Cell<bool> = const { Cell::new(false) };
}

/// Lets panics of such threads say nothing, from now on in this process.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panicked: &PanicHookInfo<'_>| {
            if !IS_APART.get() {
                return before(panicked);
            }
            if let Some(place) = panicked.location() {
                let (file, line) = (place.file(), place.line());
                tracing::warn!(file, line, "a reader of documents panicked");
            }
        }));
    });
}

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
    hush();
    let (stop, (answer, answered)) = (Stop::default(), oneshot::channel());
    let told = stop.clone();
    let thread = std::thread::Builder::new().name("hauspost-apart".into()).stack_size(STACK_BYTES);
    let spawned = thread.spawn(move || {
        let _running = running;
        IS_APART.set(true);
        let work = panic::AssertUnwindSafe(|| work(&told));
        if let Ok(done) = panic::catch_unwind(work) {
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

    /// Run in a process of its own by the test below, since what is printed is the process'.
    #[tokio::test]
    #[ignore = "run by the test of what is printed"]
    async fn panics_that_quote_a_document() {
        let quotes = |_: &Stop| {
            let text = "Gehälter der Geschäftsführung".to_owned();
            let (at, _) = text.char_indices().nth(4).unwrap();
            text[at - 1..].len()
        };
        assert_eq!(run(quotes, std::future::pending().boxed(), ()).await, Err(Broken::Panicked));
        let other = std::thread::spawn(|| panic!("no document in here")).join();
        assert!(other.is_err());
    }

    #[test]
    fn a_panic_over_a_document_prints_nothing_of_it_and_other_threads_panics_are_printed() {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["file::apart::tests::panics_that_quote_a_document", "--exact", "--ignored"]);
        let run = test.arg("--nocapture").output().unwrap();
        let printed = [run.stdout, run.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(run.status.success() && printed.contains("1 passed"), "{printed}");
        assert!(!printed.contains("Geh") && !printed.contains("char boundary"), "{printed}");
        assert!(printed.contains("no document in here"), "{printed}");
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
