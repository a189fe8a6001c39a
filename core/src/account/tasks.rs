//! What an account does by itself once it is started: pulls, sends, listens, reports.
//!
//! The stream is a hint and pulling is the truth: whatever happens to the stream, the phone also
//! pulls after every reconnect and once a minute. Each task waits longer after every failure, and at
//! random, so that a thousand phones do not come back in the same second.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::engine::Core;
use super::link::Link;
use super::push::Pushed;
use super::{hints, reach};
use crate::hints::{Line, Lines};
use crate::observe::Change;
use crate::sync::Backoff;

/// A phone that hears nothing pulls all the same.
const PULL_EVERY_MS: u64 = 60_000;

/// The running tasks.
#[derive(Default)]
pub(super) struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Tasks {
    pub(super) fn start(&self, core: &Arc<Core>) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.iter().any(|task| !task.is_finished()) {
            return;
        }
        *running = vec![
            tokio::spawn(pull(core.clone())),
            tokio::spawn(push(core.clone())),
            tokio::spawn(carry(core.clone())),
            tokio::spawn(inspect(core.clone())),
            tokio::spawn(look(core.clone())),
            tokio::spawn(listen(core.clone())),
            tokio::spawn(look_after(core.clone())),
            tokio::spawn(report(core.clone())),
            tokio::spawn(fill(core.clone())),
            tokio::spawn(share(core.clone())),
            tokio::spawn(reach::ask(core.clone())),
            tokio::spawn(hints::say(core.clone())),
            tokio::spawn(hints::hear(core.clone())),
        ];
    }

    /// Ends the tasks. Each may go on to its next await for a moment.
    fn stop(&self) -> Vec<JoinHandle<()>> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().for_each(JoinHandle::abort);
        std::mem::take(&mut *running)
    }

    /// Ends the tasks; when this returns none of them acts any more.
    pub(super) async fn end(&self) {
        for task in self.stop() {
            // Its end is what is waited for, however it ends.
            let _ = task.await;
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn pull(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let back = core.link.back();
        match core.pull_all().await {
            Ok(()) => {
                core.link.tell(Link::Online);
                core.documents.to_upload.notify_one();
                core.previews.to_look.notify_one();
                backoff.reset();
                let every = core.env.clock.sleep(PULL_EVERY_MS);
                tokio::select! {
                    () = core.to_pull.notified() => {}
                    () = every => {}
                }
            }
            Err(error) => {
                tracing::debug!(code = error.code(), "pull failed");
                core.link.tell_error(&error);
                // A stream that came about meanwhile shows that the server is back.
                tokio::select! {
                    () = core.to_pull.notified() => {}
                    () = wait(&core, &mut backoff, back) => {}
                }
            }
        }
    }
}

async fn push(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let (back, began_ms) = (core.link.back(), core.env.clock.now_ms());
        match core.push().await {
            Ok(Pushed::All) => {
                backoff.reset();
                core.documents.to_upload.notify_one();
                // What was put off comes by itself; what cannot be read now is asked again then.
                let due_ms = core.next_due_ms(began_ms).await.unwrap_or(None);
                let due = async {
                    match due_ms {
                        Some(due_ms) => core.env.clock.sleep(due_ms).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = core.to_send.notified() => {}
                    () = due => {}
                    () = next_attempt(&core) => {}
                }
                continue;
            }
            Ok(Pushed::Some) => tracing::debug!("the server takes the rest later"),
            Err(error) => tracing::debug!(code = error.code(), "sending failed"),
        }
        // What is wanted meanwhile, perhaps in another conversation, does not wait for that.
        tokio::select! {
            () = core.to_send.notified() => {}
            () = wait(&core, &mut backoff, back) => {}
        }
    }
}

async fn carry(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let back = core.link.back();
        match core.upload_all().await {
            Ok(_) => {
                backoff.reset();
                core.documents.to_upload.notified().await;
            }
            Err(error) => {
                tracing::debug!(code = error.code(), "uploading failed");
                tokio::select! {
                    () = core.documents.to_upload.notified() => {}
                    () = wait(&core, &mut backoff, back) => {}
                }
            }
        }
    }
}

/// Reads the text of documents that came or were sent.
async fn inspect(core: Arc<Core>) {
    loop {
        if let Err(error) = core.inspect_all().await {
            tracing::debug!(code = error.code(), "documents are not read now");
        }
        core.inspecting.to_inspect.notified().await;
    }
}

/// Fetches previews that came with messages, and looks at them.
async fn look(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let back = core.link.back();
        match core.look_at_previews().await {
            Ok(()) => {
                backoff.reset();
                core.previews.to_look.notified().await;
            }
            Err(error) => {
                tracing::debug!(code = error.code(), "previews wait");
                wait(&core, &mut backoff, back).await;
            }
        }
    }
}

/// Until a group that could not be entered or reset is to be tried again.
async fn next_attempt(core: &Core) {
    let now_ms = core.env.clock.now_ms();
    let waits = [core.entering.wait_ms(now_ms), core.resetting.wait_ms(now_ms)];
    match waits.into_iter().flatten().min() {
        Some(wait_ms) => core.env.clock.sleep(wait_ms).await,
        None => std::future::pending().await,
    }
}

async fn listen(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let mut back = core.link.back();
        match core.server.live().await {
            Ok(mut stream) => {
                // What came between the last pull and this stream.
                core.to_pull.notify_one();
                let mut lines = Lines::default();
                while let Some(Ok(piece)) = stream.next().await {
                    backoff.reset();
                    for line in lines.feed(&piece) {
                        match line {
                            Line::News => core.to_pull.notify_one(),
                            Line::Hint(hint) => core.hear(hint),
                        }
                    }
                }
                back = core.link.back();
            }
            Err(error) => tracing::debug!(%error, "no live stream"),
        }
        core.link.tell_broken();
        wait(&core, &mut backoff, back).await;
    }
}

async fn look_after(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let back = core.link.back();
        let stocked = core.stock_packages().await;
        let named = core.refresh_people().await;
        let added = core.add_missing().await;
        let agreed = core.agree().await;
        let witnessed = core.ask_witnesses_hourly().await;
        let looked = core.look_at_ways_in().await;
        let forgot = core.forget_behaviour().await;
        let done = stocked.and(named).and(added).and(agreed).and(witnessed).and(looked);
        if let Err(error) = done.and(forgot) {
            tracing::debug!(code = error.code(), "upkeep failed");
            wait(&core, &mut backoff, back).await;
            continue;
        }
        backoff.reset();
        let mut rest = core.env.clock.sleep(10 * PULL_EVERY_MS);
        loop {
            tokio::select! {
                () = core.to_name.notified() => break,
                () = &mut rest => break,
                () = core.own.to_agree.notified() => {
                    if core.agree().await.is_err() {
                        break;
                    }
                }
                // Somebody got his first phone while the conversation began; or the commit's way in is
                // wrong, and who comes must not find it so.
                () = core.to_add.notified() => {
                    if core.add_missing().await.and(core.look_at_ways_in().await).is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// Asks for the past, reads what comes of it, and gives what others ask for.
async fn share(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let back = core.link.back();
        match core.share_history().await {
            Ok(due_ms) => {
                backoff.reset();
                let due = async {
                    match due_ms {
                        Some(due_ms) => core.env.clock.sleep(due_ms).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = core.past.to_look.notified() => {}
                    () = due => {}
                }
            }
            Err(error) => {
                tracing::debug!(code = error.code(), "sharing the past failed");
                wait(&core, &mut backoff, back).await;
            }
        }
    }
}

/// Tells the company what was alarming. What the server did not take is offered again every hour.
async fn report(core: Arc<Core>) {
    let changes = core.store.observe();
    let mut backoff = Backoff::default();
    loop {
        let back = core.link.back();
        if let Err(error) = core.report().await {
            tracing::debug!(code = error.code(), "reporting failed");
            wait(&core, &mut backoff, back).await;
            continue;
        }
        backoff.reset();
        let mut hour = core.env.clock.sleep(60 * PULL_EVERY_MS);
        loop {
            tokio::select! {
                changed = changes.next() => match changed {
                    Some(changed) if changed.contains(&Change::Alarms) => break,
                    Some(_) => {}
                    None => return,
                },
                () = &mut hour => break,
            }
        }
    }
}

/// Fills the search index that an update emptied.
async fn fill(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    while let Err(error) = core.fill_index().await {
        tracing::debug!(code = error.code(), "the search index is filled later");
        let back = core.link.back();
        wait(&core, &mut backoff, back).await;
    }
}

/// Waits as long as the failures so far demand, or until a server that was not reached is reached
/// again: the first of the tasks to find it back wakes the others. `back` is from before the try that
/// failed.
async fn wait(core: &Core, backoff: &mut Backoff, mut back: watch::Receiver<()>) {
    let wait_ms = backoff.next_ms(&mut core.env.randomness.rng());
    tokio::select! {
        () = core.env.clock.sleep(wait_ms) => {}
        Ok(()) = back.changed() => {}
    }
}
