//! What is in memory of hints: what this device has to say, and what it heard of others.
//!
//! Both are values that move with the time that they are given, without a clock and without keys; the
//! [`account`](crate::account) seals, sends, opens and judges. Nothing of it is stored but when somebody was
//! last there ([`presence`](crate::store::rows::presence)).

use std::collections::BTreeMap;

use hauspost_protocol::hint::{
    AHEAD_MS, HERE_EVERY_MS, HERE_SHOWN_MS, Hint, SealedHint, TYPING_EVERY_MS, TYPING_SHOWN_MS,
};
use hauspost_protocol::ids::{DeviceId, LogId, TimeMs, UserId};

/// Conversations in which a person types at once.
const TYPED: usize = 16;
/// Devices of others that are heard in all conversations together; the one that was silent longest goes.
const HEARD: usize = 4_096;
/// Hints that are opened in a row, and after how long one more: a server that sends more keeps nobody busy.
const OPENED: u64 = 256;
const OPENED_EVERY_MS: TimeMs = 50;

/// What this device has to say.
#[derive(Debug, Default)]
pub struct Saying {
    /// Where the person types: when it was said last, and whether it is to be said now.
    typed: BTreeMap<LogId, Typed>,
    /// When the person is to say next that he is there, while he is.
    here_ms: Option<TimeMs>,
    /// Whether he has to say that he goes.
    goes: bool,
    /// The time of the newest hint.
    newest_ms: TimeMs,
}

#[derive(Debug, Clone, Copy)]
struct Typed {
    said_ms: TimeMs,
    is_due: bool,
}

/// What is to be said now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// In these conversations that the person types.
    pub typing: Vec<LogId>,
    /// That he is there.
    pub here: bool,
    /// That he goes.
    pub goes: bool,
}

impl Due {
    /// Whether it is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Saying {
    /// The person presses a key; whether that is to be said now, and not a moment later.
    pub fn types(&mut self, log: LogId, now_ms: TimeMs) -> bool {
        // A clock that was set back holds nothing up.
        let is_over = |typed: &Typed| now_ms.abs_diff(typed.said_ms) >= TYPING_EVERY_MS;
        self.typed.retain(|_, typed| typed.is_due || !is_over(typed));
        if self.typed.contains_key(&log) || self.typed.len() >= TYPED {
            return false;
        }
        self.typed.insert(log, Typed { said_ms: now_ms, is_due: true });
        true
    }

    /// The person sent what he wrote: the next key is the first one again.
    pub fn wrote(&mut self, log: LogId) {
        self.typed.remove(&log);
    }

    /// The app comes to the front, or goes out of sight; whether that is to be said now.
    pub fn set_in_front(&mut self, in_front: bool, now_ms: TimeMs) -> bool {
        if in_front == self.here_ms.is_some() {
            return false;
        }
        self.here_ms = in_front.then_some(now_ms);
        self.goes = !in_front;
        true
    }

    /// Whether the app is in front.
    pub fn is_in_front(&self) -> bool {
        self.here_ms.is_some()
    }

    /// What is to be said now. It counts as said, whatever becomes of it: nothing is said twice.
    pub fn due(&mut self, now_ms: TimeMs) -> Due {
        let mut typing = Vec::new();
        for (log, typed) in self.typed.iter_mut().filter(|(_, typed)| typed.is_due) {
            // What could not be said in time is not so any more.
            if now_ms.abs_diff(typed.said_ms) < TYPING_EVERY_MS {
                typing.push(*log);
            }
            *typed = Typed { said_ms: now_ms, is_due: false };
        }
        let here = self.here_ms.is_some_and(|here_ms| is_over(here_ms, now_ms));
        if here {
            self.here_ms = Some(now_ms.saturating_add(HERE_EVERY_MS));
        }
        Due { typing, here, goes: std::mem::take(&mut self.goes) }
    }

    /// How long until something is to be said that is not now.
    pub fn wait_ms(&self, now_ms: TimeMs) -> Option<TimeMs> {
        let here_ms = self.here_ms?;
        Some(if is_over(here_ms, now_ms) { 0 } else { here_ms - now_ms })
    }

    /// The time of the next hint, above that of the one before. A clock that was set back by more than
    /// anybody believes begins anew.
    pub fn time(&mut self, now_ms: TimeMs) -> TimeMs {
        let is_believed = self.newest_ms <= now_ms.saturating_add(AHEAD_MS);
        self.newest_ms = if is_believed { now_ms.max(self.newest_ms + 1) } else { now_ms };
        self.newest_ms
    }
}

/// Whether this time is over. One that is further off than it was ever set is one of another clock.
fn is_over(due_ms: TimeMs, now_ms: TimeMs) -> bool {
    due_ms <= now_ms || due_ms - now_ms > HERE_EVERY_MS
}

/// What this device heard of others.
#[derive(Debug, Default)]
pub struct Hearing {
    devices: BTreeMap<(LogId, DeviceId), Heard>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    user: UserId,
    /// The time of its newest hint, by its own clock.
    newest_ms: TimeMs,
    /// Since when and until when somebody types there, by this phone's clock.
    typing: Option<(TimeMs, TimeMs)>,
    /// When somebody was there last, by this phone's clock; 0 if he did not say so.
    seen_ms: TimeMs,
    /// Until when somebody is there.
    here_until_ms: TimeMs,
}

/// What was heard of whether a person is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When he was there last.
    pub seen_ms: TimeMs,
    /// Whether he is still.
    pub is_here: bool,
}

impl Hearing {
    /// The time of a device's newest hint in a conversation, by its own clock.
    pub fn newest_ms(&self, log: LogId, device: DeviceId) -> Option<TimeMs> {
        self.devices.get(&(log, device)).map(|heard| heard.newest_ms)
    }

    /// A device of this person was heard: what it may say is in the hint, and nothing else.
    pub fn heard(&mut self, log: LogId, user: UserId, hint: &Hint, now_ms: TimeMs) {
        let place = (log, hint.device);
        if !self.devices.contains_key(&place) && self.devices.len() >= HEARD {
            let longest = self.devices.iter().min_by_key(|(_, heard)| heard.newest_ms);
            if let Some(place) = longest.map(|(place, _)| *place) {
                self.devices.remove(&place);
            }
        }
        let new = Heard { user, newest_ms: 0, typing: None, seen_ms: 0, here_until_ms: 0 };
        let heard = self.devices.entry(place).or_insert(new);
        heard.newest_ms = hint.t_ms;
        let since_ms = heard.typing.filter(|typing| is_on(*typing, now_ms)).map(|(since, _)| since);
        heard.typing = hint.types(now_ms).map(|until_ms| (since_ms.unwrap_or(now_ms), until_ms));
        if let Some(presence) = hint.presence(now_ms) {
            heard.seen_ms = presence.seen_ms;
            heard.here_until_ms = presence.here_until_ms;
        }
    }

    /// A message of a device came: what it was writing is written. Whether it was.
    pub fn wrote(&mut self, log: LogId, device: DeviceId) -> bool {
        self.devices.get_mut(&(log, device)).is_some_and(|heard| heard.typing.take().is_some())
    }

    /// Who types in a conversation now, who began first foremost.
    pub fn typing(&self, log: LogId, now_ms: TimeMs) -> Vec<UserId> {
        let mut typing: Vec<_> = self
            .of(log)
            .filter_map(|heard| Some((heard.typing.filter(|it| is_on(*it, now_ms))?.0, heard.user)))
            .collect();
        typing.sort_unstable();
        let mut users = Vec::new();
        for (_, user) in typing {
            if !users.contains(&user) {
                users.push(user);
            }
        }
        users
    }

    /// Whether anybody was heard typing in a conversation.
    pub fn is_anybody_typing(&self, log: LogId) -> bool {
        self.of(log).any(|heard| heard.typing.is_some())
    }

    /// When this person was there last, if that was heard so lately that it may not be stored yet.
    pub fn seen(&self, log: LogId, user: UserId, now_ms: TimeMs) -> Option<Seen> {
        let is_late = |heard: &Heard| now_ms.abs_diff(heard.seen_ms) > HERE_SHOWN_MS;
        let of_him = self.of(log).filter(|heard| heard.user == user && !is_late(heard));
        let seen_ms = of_him.clone().map(|heard| heard.seen_ms).max()?;
        let is_here = of_him.into_iter().any(|heard| is_ahead(heard.here_until_ms, now_ms));
        Some(Seen { seen_ms, is_here })
    }

    /// How long until something is not so any more that was heard, of what was so when views were told last:
    /// no time at all, if it ended since then.
    pub fn wait_ms(&self, told_ms: TimeMs, now_ms: TimeMs) -> Option<TimeMs> {
        let typing = self.devices.values().filter_map(|heard| heard.typing.map(|(_, until)| until));
        let here = self.devices.values().map(|heard| heard.here_until_ms);
        // A clock that was set back begins anew.
        let told_ms = told_ms.min(now_ms);
        let ends = typing.chain(here).filter(|until_ms| *until_ms > told_ms);
        let waits = ends.map(|until_ms| until_ms.saturating_sub(now_ms));
        waits.min().filter(|wait_ms| *wait_ms <= AHEAD_MS)
    }

    /// Nobody was there, as far as this person may see.
    pub fn forget_seen(&mut self) {
        self.devices.values_mut().for_each(|heard| (heard.seen_ms, heard.here_until_ms) = (0, 0));
    }

    fn of(&self, log: LogId) -> impl Iterator<Item = &Heard> + Clone {
        let (first, last) = (DeviceId([0; 16]), DeviceId([255; 16]));
        self.devices.range((log, first)..=(log, last)).map(|(_, heard)| heard)
    }
}

/// Whether a time lies ahead, and not so far that this phone's clock must have been set back since.
fn is_ahead(until_ms: TimeMs, now_ms: TimeMs) -> bool {
    until_ms > now_ms && until_ms - now_ms <= AHEAD_MS
}

fn is_on((_, until_ms): (TimeMs, TimeMs), now_ms: TimeMs) -> bool {
    until_ms > now_ms && until_ms - now_ms <= TYPING_SHOWN_MS
}

/// Bounds how much work hints make.
#[derive(Debug)]
pub struct Gate {
    left: u64,
    since_ms: TimeMs,
}

impl Default for Gate {
    fn default() -> Self {
        Self { left: OPENED, since_ms: 0 }
    }
}

impl Gate {
    /// Whether one more may be opened now.
    pub fn opens(&mut self, now_ms: TimeMs) -> bool {
        let more = now_ms.abs_diff(self.since_ms) / OPENED_EVERY_MS;
        if more > 0 {
            self.left = self.left.saturating_add(more).min(OPENED);
            self.since_ms = now_ms;
        }
        let opens = self.left > 0;
        self.left = self.left.saturating_sub(1);
        opens
    }
}

/// A line of the live stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// There may be news.
    News,
    /// A hint of somebody.
    Hint(SealedHint),
}

/// Makes lines of the pieces in which the live stream comes.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    /// Whether the line that was begun is longer than any may be; its rest is passed over.
    is_too_long: bool,
}

impl Lines {
    /// The lines that end in this piece. What is no hint is a word that there may be news: a later server
    /// may say something else, and asking once more costs little.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (part, ends) = match part.split_last() {
                Some((b'\n', part)) => (part, true),
                _ => (part, false),
            };
            if self.begun.len() + part.len() > hauspost_protocol::hint::LINE_BYTES {
                self.is_too_long = true;
                self.begun.clear();
            }
            if !self.is_too_long {
                self.begun.extend_from_slice(part);
            }
            if ends {
                let line = SealedHint::from_line(&self.begun).map_or(Line::News, Line::Hint);
                self.begun.clear();
                self.is_too_long = false;
                // However often it is said in one piece, it is one question.
                if line != Line::News || !lines.contains(&Line::News) {
                    lines.push(line);
                }
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests;
