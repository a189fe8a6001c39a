//! How far this person's messages have come, asked of the server while somebody looks.
//!
//! The server keeps no record of it and sends no word by itself (docs/attacks.md 33): a phone asks about
//! conversations that are looked at, at once, and then less and less often.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hauspost_protocol::ids::{LogId, TimeMs};
use tokio::sync::Notify;

use super::engine::Core;

/// The first wait, which doubles from one to the next.
const FIRST_MS: TimeMs = 1_000;
/// After this wait nothing is asked until somebody looks again.
const LAST_MS: TimeMs = 5 * 60_000;
/// Conversations that are asked about at once.
const LOGS: usize = 16;

/// What is to be asked, and when.
#[derive(Default)]
pub(super) struct Asking {
    logs: Mutex<BTreeMap<LogId, Turn>>,
    to_ask: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    next_ms: TimeMs,
    wait_ms: TimeMs,
    asked_ms: TimeMs,
}

impl Asking {
    /// Somebody looks at a conversation.
    pub(super) fn looked_at(&self, log: LogId, now_ms: TimeMs) {
        let mut logs = self.logs();
        let asked_ms = logs.get(&log).map_or(0, |turn| turn.asked_ms);
        if asked_ms == 0 && logs.len() >= LOGS {
            return;
        }
        let next_ms = asked_ms.saturating_add(FIRST_MS).clamp(now_ms, now_ms + FIRST_MS);
        logs.insert(log, Turn { next_ms, wait_ms: FIRST_MS, asked_ms });
        self.to_ask.notify_one();
    }

    /// A conversation whose turn it is, or how long until the next one's.
    fn next(&self, now_ms: TimeMs) -> Result<LogId, Option<TimeMs>> {
        let logs = self.logs();
        let first = logs.iter().min_by_key(|(_, turn)| turn.next_ms);
        match first {
            None => Err(None),
            Some((log, turn)) if turn.next_ms <= now_ms => Ok(*log),
            Some((_, turn)) => Err(Some((turn.next_ms - now_ms).min(LAST_MS))),
        }
    }

    /// It was asked about; whether anything is under way there still.
    fn asked(&self, log: LogId, now_ms: TimeMs, is_under_way: bool) {
        let mut logs = self.logs();
        let Some(turn) = logs.get_mut(&log) else { return };
        if !is_under_way || turn.wait_ms > LAST_MS {
            logs.remove(&log);
            return;
        }
        let wait_ms = turn.wait_ms;
        *turn = Turn { next_ms: now_ms + wait_ms, wait_ms: wait_ms * 2, asked_ms: now_ms };
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<LogId, Turn>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks, as long as the account is started.
pub(super) async fn ask(core: Arc<Core>) {
    loop {
        let now_ms = core.env.clock.now_ms();
        let wait_ms = match core.asking.next(now_ms) {
            Ok(log) => {
                // A server that cannot be reached is asked again like one that has no news.
                let asked = core.ask_delivered(log).await;
                if let Err(error) = &asked {
                    tracing::debug!(code = error.code(), "how far messages have come is not known");
                }
                core.asking.asked(log, core.env.clock.now_ms(), asked.unwrap_or(true));
                continue;
            }
            Err(wait_ms) => wait_ms,
        };
        let waited = async {
            match wait_ms {
                Some(wait_ms) => core.env.clock.sleep(wait_ms).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = core.asking.to_ask.notified() => {}
            () = waited => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId([1; 16]);

    #[test]
    fn a_conversation_is_asked_about_at_once_then_less_often_and_in_the_end_not_any_more() {
        let asking = Asking::default();
        assert_eq!(asking.next(10_000), Err(None));
        let (mut now_ms, mut asked) = (10_000, 0);
        asking.looked_at(LOG, now_ms);
        while let Some(wait_ms) = match asking.next(now_ms) {
            Ok(_) => {
                asking.asked(LOG, now_ms, true);
                asked += 1;
                Some(0)
            }
            Err(wait_ms) => wait_ms,
        } {
            now_ms += wait_ms;
        }
        assert_eq!(asked, 10);
        assert!(now_ms - 10_000 > LAST_MS);
    }

    #[test]
    fn who_looks_again_and_again_asks_once_a_second() {
        let asking = Asking::default();
        asking.looked_at(LOG, 10_000);
        assert_eq!(asking.next(10_000), Ok(LOG));
        asking.asked(LOG, 10_000, true);
        for now_ms in [10_001, 10_500, 10_999] {
            asking.looked_at(LOG, now_ms);
            assert_eq!(asking.next(now_ms), Err(Some(11_000 - now_ms)));
        }
        assert_eq!(asking.next(11_000), Ok(LOG));
        asking.asked(LOG, 11_000, false);
        assert_eq!(asking.next(20_000), Err(None), "everybody has everything");
    }

    #[test]
    fn so_many_conversations_are_asked_about_and_one_that_is_done_makes_room() {
        let asking = Asking::default();
        let all: Vec<_> = (0..=LOGS as u8).map(|id| LogId([id; 16])).collect();
        let (last, others) = all.split_last().unwrap();
        for log in others {
            asking.looked_at(*log, 10_000);
            asking.asked(*log, 10_000, true);
        }
        asking.looked_at(*last, 10_500);
        assert_eq!(asking.next(10_500), Err(Some(500)), "it is not asked about");
        asking.asked(others[0], 10_500, false);
        asking.looked_at(*last, 10_500);
        assert_eq!(asking.next(10_500), Ok(*last));
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let asking = Asking::default();
        asking.looked_at(LOG, 1_000_000);
        asking.asked(LOG, 1_000_000, true);
        asking.looked_at(LOG, 5_000);
        assert_eq!(asking.next(6_000), Ok(LOG));
    }
}
