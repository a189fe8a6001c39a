//! "This changed": what views hear after a commit, and only after it.
//!
//! A change says where to look and carries no data. Changes wait in a small set for each observer, so
//! that a thousand changes of one conversation are one, a slow observer holds nobody up, and the fact
//! that something changed is never lost. Many logs at once become [`Change::EveryLog`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hauspost_protocol::ids::LogId;
use tokio::sync::Notify;

/// Logs that an observer is told of one by one; more are [`Change::EveryLog`].
const LOGS: usize = 256;

/// Where to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// The account: enrolled, renewed, revoked.
    Account,
    /// The company log: devices, policy, archive keys.
    Company,
    /// The directory.
    People,
    /// The list of conversations: order, unread counts, last lines, drafts.
    Conversations,
    /// What the person wants sent: an intent was added, moved on or failed.
    Outbox,
    /// An alarm was raised, reported or acknowledged.
    Alarms,
    /// Who is typing, who is there and who was last there, in whichever conversation.
    Presence,
    /// So many conversations that they are not named.
    EveryLog,
    /// The timeline or the members of one conversation.
    Log(LogId),
}

/// Changes collected for one transaction, or waiting for one observer.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeSet<Change>);

impl Changes {
    pub(crate) fn add(&mut self, change: Change) {
        self.0.insert(change);
        // Log ids sort last, after EveryLog, so that all of them can be cut off at once.
        if self.0.range(Change::EveryLog..).count() > LOGS {
            self.0.split_off(&Change::EveryLog);
            self.0.insert(Change::EveryLog);
        }
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|change| self.add(*change));
    }
}

/// One who is told of changes. Dropping it ends the telling.
pub struct Observer(Arc<Slot>);

#[derive(Default)]
struct Slot {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    changes: Changes,
    closed: bool,
}

impl Slot {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer {
    /// Everything that changed since the last call, each once; waits until something has. `None` when
    /// the store is gone. A dropped future takes nothing with it.
    pub async fn next(&self) -> Option<Vec<Change>> {
        loop {
            {
                let mut waiting = self.0.waiting();
                if !waiting.changes.0.is_empty() {
                    return Some(std::mem::take(&mut waiting.changes.0).into_iter().collect());
                }
                if waiting.closed {
                    return None;
                }
            }
            // A change between the look and the wait leaves a permit, so it is not slept through.
            self.0.wake.notified().await;
        }
    }
}

/// Tells all observers.
#[derive(Default)]
pub(crate) struct Hub(Mutex<Vec<Weak<Slot>>>);

impl Hub {
    fn slots(&self) -> MutexGuard<'_, Vec<Weak<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observe(&self) -> Observer {
        let slot = Arc::new(Slot::default());
        self.slots().push(Arc::downgrade(&slot));
        Observer(slot)
    }

    pub(crate) fn tell(&self, changes: &Changes) {
        if changes.0.is_empty() {
            return;
        }
        self.slots().retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            slot.waiting().changes.merge(changes);
            slot.wake.notify_one();
            true
        });
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for slot in self.slots().drain(..).filter_map(|slot| slot.upgrade()) {
            slot.waiting().closed = true;
            slot.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(all: &[Change]) -> Changes {
        let mut changes = Changes::default();
        all.iter().for_each(|change| changes.add(*change));
        changes
    }

    fn log(number: u16) -> Change {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Change::Log(LogId(id))
    }

    #[tokio::test]
    async fn a_slow_observer_hears_of_each_changed_thing_once() {
        let hub = Hub::default();
        let observer = hub.observe();
        for _ in 0..1_000 {
            hub.tell(&changes(&[log(1), Change::Conversations]));
        }
        hub.tell(&changes(&[log(2)]));
        assert_eq!(observer.next().await, Some(vec![Change::Conversations, log(1), log(2)]));
    }

    #[tokio::test]
    async fn more_logs_than_the_bound_become_every_log_and_nothing_else_is_lost() {
        let hub = Hub::default();
        let observer = hub.observe();
        hub.tell(&changes(&[Change::People]));
        (0..10_000).for_each(|number| hub.tell(&changes(&[log(number)])));
        let heard = observer.next().await.unwrap();
        assert!(heard.contains(&Change::People) && heard.contains(&Change::EveryLog));
        assert!(heard.len() <= LOGS + 2, "bounded, but {} long", heard.len());
    }

    #[tokio::test]
    async fn a_change_before_the_wait_and_one_during_it_are_both_heard() {
        let hub = Arc::new(Hub::default());
        let observer = hub.observe();
        hub.tell(&changes(&[log(1)]));
        assert_eq!(observer.next().await, Some(vec![log(1)]));
        let teller = hub.clone();
        let telling = tokio::spawn(async move { teller.tell(&changes(&[log(2)])) });
        assert_eq!(observer.next().await, Some(vec![log(2)]));
        telling.await.unwrap();
    }

    #[tokio::test]
    async fn an_observer_hears_the_last_changes_and_then_the_end() {
        let hub = Hub::default();
        let observer = hub.observe();
        hub.tell(&changes(&[log(1)]));
        drop(hub);
        assert_eq!(observer.next().await, Some(vec![log(1)]));
        assert_eq!(observer.next().await, None);
    }
}
