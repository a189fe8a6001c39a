//! What an account does by itself once it is started: pulls, sends, listens, reports.
//!
//! The stream is a hint and pulling is the truth: whatever happens to the stream, the phone also
//! pulls after every reconnect and once a minute. Each task waits longer after every failure, and at
//! random, so that a thousand phones do not come back in the same second.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

use super::engine::Core;
use super::link::Link;
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
            tokio::spawn(listen(core.clone())),
            tokio::spawn(look_after(core.clone())),
            tokio::spawn(report(core.clone())),
        ];
        core.to_pull.notify_one();
        core.to_send.notify_one();
    }

    pub(super) fn stop(&self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.drain(..).for_each(|task| task.abort());
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
        match core.pull_all().await {
            Ok(()) => {
                core.link.tell(Link::Online);
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
                wait(&core, &mut backoff).await;
            }
        }
    }
}

async fn push(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        core.to_send.notified().await;
        while let Err(error) = core.push().await {
            tracing::debug!(code = error.code(), "sending failed");
            wait(&core, &mut backoff).await;
        }
        backoff.reset();
    }
}

async fn listen(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        match core.server.live().await {
            Ok(mut hints) => {
                // What came between the last pull and this stream.
                core.to_pull.notify_one();
                while let Some(Ok(_)) = hints.next().await {
                    backoff.reset();
                    core.to_pull.notify_one();
                }
            }
            Err(error) => tracing::debug!(%error, "no live stream"),
        }
        core.link.tell_broken();
        wait(&core, &mut backoff).await;
    }
}

async fn look_after(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    loop {
        let stocked = core.stock_packages().await;
        let named = core.refresh_people().await;
        let added = core.add_missing().await;
        if let Err(error) = stocked.and(named).and(added) {
            tracing::debug!(code = error.code(), "upkeep failed");
            wait(&core, &mut backoff).await;
            continue;
        }
        backoff.reset();
        let rest = core.env.clock.sleep(10 * PULL_EVERY_MS);
        tokio::select! {
            () = core.to_name.notified() => {}
            () = rest => {}
        }
    }
}

/// Tells the company what was alarming. What the server did not take is offered again every hour.
async fn report(core: Arc<Core>) {
    let changes = core.store.observe();
    let mut backoff = Backoff::default();
    loop {
        if let Err(error) = core.report().await {
            tracing::debug!(code = error.code(), "reporting failed");
            wait(&core, &mut backoff).await;
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

async fn wait(core: &Core, backoff: &mut Backoff) {
    let wait_ms = backoff.next_ms(&mut core.env.randomness.rng());
    core.env.clock.sleep(wait_ms).await;
}
