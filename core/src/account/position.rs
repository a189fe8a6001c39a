//! Where the next pull goes on.
//!
//! The first pull names the cursor of each log, which is 20 kB with a thousand rooms. The server's
//! answer carries a number for all that there was, and the later pulls name that: they are as short
//! with a thousand rooms as with one. Nothing of it is stored, and nothing is believed for its sake:
//! the chain of each log decides, a log that goes on further ahead than this phone is asks for the
//! rest by its cursor, and once an hour the phone names all cursors again, should a server have lost
//! count.

use std::collections::BTreeSet;

use hauspost_protocol::ids::{LogId, TimeMs};

/// How long a phone relies on the server's number.
const WHOLE_EVERY_MS: TimeMs = 3_600_000;

/// How far this phone is in all logs together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The server's number at which this phone had everything but what is apart.
    since: Option<u64>,
    /// When all cursors were named last.
    whole_ms: TimeMs,
    /// Logs that are not where the number says: the next pull names their cursors.
    apart: BTreeSet<LogId>,
}

/// What a phone took of a log's news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Took {
    /// All that there is, or all that will ever be believed.
    All,
    /// Not all, as there is more, or something else has to come first.
    Part,
    /// Nothing: the news begin further ahead, and the cursor was not named.
    Ahead,
}

impl Position {
    /// The number to name; `None` if all cursors are to be named.
    pub(super) fn since(&self, now_ms: TimeMs) -> Option<u64> {
        // By the phone's clock, which may have been set back.
        let relied_ms = now_ms.checked_sub(self.whole_ms);
        self.since.filter(|_| relied_ms.is_some_and(|relied| relied < WHOLE_EVERY_MS))
    }

    /// The logs whose cursors are named beside it.
    pub(super) fn apart(&self) -> impl Iterator<Item = LogId> {
        self.apart.iter().copied()
    }

    /// After an answer was taken in whole: where the next pull goes on, and whether it is due at once.
    ///
    /// `since` is what the request named, `now` what the answer did, `took` its logs; `moved` tells
    /// whether it held anything new, `more` what the server says.
    pub(super) fn after(
        mut self,
        (since, now): (Option<u64>, Option<u64>),
        took: &[(LogId, Took)],
        (moved, more): (bool, bool),
        now_ms: TimeMs,
    ) -> (Self, bool) {
        if since.is_none() {
            self.whole_ms = now_ms;
        }
        let ahead = took.iter().any(|(_, took)| *took == Took::Ahead);
        // Nothing at all, and yet there is more: the server does not know the number.
        let is_lost = since.is_some() && now.is_none() && more && !moved && took.is_empty();
        let not_all = took.iter().filter(|(_, took)| *took != Took::All);
        match now {
            Some(now) => {
                self.since = Some(now);
                self.apart = not_all.map(|(log, _)| *log).collect();
            }
            None if is_lost => self = Self::default(),
            // The next page: what was taken now would come again.
            None => {
                self.since = since;
                self.apart.extend(took.iter().map(|(log, _)| *log));
            }
        }
        (self, (more && moved) || ahead || is_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LogId = LogId([1; 16]);
    const B: LogId = LogId([2; 16]);

    /// A phone that has everything up to 10, and was told so at this time.
    fn at_ten(now_ms: TimeMs) -> Position {
        let (position, again) =
            Position::default().after((None, Some(10)), &[(A, Took::All)], (true, false), now_ms);
        assert!(!again);
        position
    }

    fn apart(position: &Position) -> Vec<LogId> {
        position.apart().collect()
    }

    #[test]
    fn who_has_everything_names_the_number_and_no_cursor() {
        let position = at_ten(1_000);
        assert_eq!((position.since(2_000), apart(&position)), (Some(10), vec![]));
        let (position, again) =
            position.after((Some(10), Some(12)), &[(B, Took::All)], (true, false), 3_000);
        assert!(!again);
        assert_eq!((position.since(3_000), apart(&position)), (Some(12), vec![]));
    }

    #[test]
    fn a_log_that_was_not_taken_whole_is_named_until_it_is() {
        let news = [(A, Took::Part), (B, Took::All)];
        let (position, again) = at_ten(0).after((Some(10), Some(12)), &news, (true, false), 1);
        assert!(!again, "something else has to come first");
        assert_eq!((position.since(1), apart(&position)), (Some(12), vec![A]));
        let (position, _) = position.after((Some(12), Some(12)), &[], (false, false), 2);
        assert_eq!(apart(&position), [], "its cursor is at the log's end");
    }

    #[test]
    fn a_log_that_goes_on_further_ahead_is_asked_for_at_once() {
        let (position, again) =
            at_ten(0).after((Some(10), Some(12)), &[(A, Took::Ahead)], (false, false), 1);
        assert!(again);
        assert_eq!((position.since(1), apart(&position)), (Some(12), vec![A]));
    }

    #[test]
    fn of_many_pages_none_is_taken_twice() {
        let (position, again) =
            at_ten(0).after((Some(10), None), &[(A, Took::All), (B, Took::Part)], (true, true), 1);
        assert!(again);
        assert_eq!((position.since(1), apart(&position)), (Some(10), vec![A, B]));
        let first = Position::default().after((None, None), &[(A, Took::All)], (true, true), 1).0;
        assert_eq!(first.since(1), None, "and before the first number all are named anyway");
    }

    #[test]
    fn a_number_that_the_server_does_not_know_is_dropped() {
        let (position, again) = at_ten(0).after((Some(10), None), &[], (false, true), 1);
        assert!(again);
        assert_eq!(position.since(1), None);
        // The company log's pages come before all others, and say nothing about the number.
        let (position, _) = at_ten(0).after((Some(10), None), &[], (true, true), 1);
        assert_eq!(position.since(1), Some(10));
    }

    #[test]
    fn once_an_hour_and_when_the_clock_goes_back_everything_is_named() {
        let position = at_ten(1_000);
        assert_eq!(position.since(1_000 + WHOLE_EVERY_MS - 1), Some(10));
        assert_eq!(position.since(1_000 + WHOLE_EVERY_MS), None);
        assert_eq!(position.since(999), None);
        // Only a request without a number names everything.
        let (position, _) =
            position.after((Some(10), Some(11)), &[], (false, false), WHOLE_EVERY_MS);
        assert_eq!(position.since(1_000 + WHOLE_EVERY_MS), None);
    }
}
