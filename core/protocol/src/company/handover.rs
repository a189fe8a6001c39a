//! A successor takes over: whose past he gets, and how much of it (docs/protocol.md §10).
//!
//! HR signs it, and the council unless the policy lets HR do so alone. It is about the past only: what
//! was said before its entry, in the stretches of a conversation in which the leaver had a leaf. A
//! person's own notes are never handed over. Of two handovers between the same two people the newer one
//! holds, so that one can be narrowed, or ended by one of a period in which nothing was said.

use crate::company::body::Scope;
use crate::entry::Ranges;
use crate::ids::{LogId, Seq, TimeMs, UserId};

/// A handover as the company log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// Its entry in the company log.
    pub seq: Seq,
    /// When that was, by the company log's clock.
    pub t_ms: TimeMs,
    /// Who leaves.
    pub from: UserId,
    /// Who takes over.
    pub to: UserId,
    /// Of which logs and of which time.
    pub scope: Scope,
}

impl Handover {
    /// Whether it may be about this log: one that ended is about none.
    pub fn is_about(&self, log: LogId) -> bool {
        let named = |(named, ..): &(LogId, Seq, Option<Seq>)| *named == log;
        !self.has_ended() && (self.scope.logs.is_empty() || self.scope.logs.iter().any(named))
    }

    /// Whether nothing can lie in its period: it takes the place of an earlier one to end it.
    pub fn has_ended(&self) -> bool {
        self.scope.t_from.zip(self.scope.t_to).is_some_and(|(from, to)| from > to)
    }

    /// Whether an entry, as its link places it, lies in what it hands over: in its scope, and before it.
    /// Whether the leaver had a leaf there is another question.
    pub fn covers(&self, log: LogId, seq: Seq, t_ms: TimeMs, co: u64) -> bool {
        co <= self.seq.0 && self.scope.may_touch(log, seq, t_ms)
    }

    /// Whether all these stretches lie in those that it names of the log.
    pub fn names(&self, log: LogId, ranges: &Ranges) -> bool {
        let within = |(from, to): &(Seq, Seq)| {
            self.scope.logs.iter().any(|(named, first, last)| {
                *named == log && first <= from && last.is_none_or(|last| *to <= last)
            })
        };
        self.scope.logs.is_empty() || ranges.iter().all(within)
    }

    /// The part of a stretch of the log that it names.
    pub fn within(&self, log: LogId, (from, to): (Seq, Seq)) -> Vec<(Seq, Seq)> {
        if self.scope.logs.is_empty() {
            return vec![(from, to)];
        }
        let named = self.scope.logs.iter().filter(|(named, ..)| *named == log);
        let cut =
            named.map(|(_, first, last)| (from.max(*first), last.map_or(to, |last| to.min(last))));
        cut.filter(|(from, to)| from <= to).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId([1; 16]);

    fn handover(scope: Scope) -> Handover {
        let (from, to) = (UserId([2; 16]), UserId([3; 16]));
        Handover { seq: Seq(40), t_ms: 9_000, from, to, scope }
    }

    #[test]
    fn it_covers_what_was_said_before_it_in_its_logs_stretches_and_period() {
        let all = handover(Scope::default());
        assert!(all.covers(LOG, Seq(7), 5_000, 40));
        assert!(!all.covers(LOG, Seq(7), 5_000, 41), "said after it");
        let logs = vec![(LOG, Seq(5), Some(Seq(9)))];
        let some = handover(Scope { logs, t_from: Some(100), t_to: Some(200), ..Scope::default() });
        assert!(some.covers(LOG, Seq(5), 100, 3) && some.covers(LOG, Seq(9), 200, 3));
        for (log, seq, t_ms) in
            [(LogId([9; 16]), 5, 150), (LOG, 4, 150), (LOG, 10, 150), (LOG, 5, 99), (LOG, 5, 201)]
        {
            assert!(!some.covers(log, Seq(seq), t_ms, 3), "{seq} {t_ms}");
        }
        assert!(some.is_about(LOG) && !some.is_about(LogId([9; 16])));
        let ended = Scope { t_from: Some(1), t_to: Some(0), ..Scope::default() };
        let ended = handover(ended);
        assert!(ended.has_ended() && !ended.is_about(LOG) && !ended.covers(LOG, Seq(7), 1, 3));
    }

    #[test]
    fn stretches_are_named_only_if_all_of_each_is() {
        let logs = vec![(LOG, Seq(5), Some(Seq(9))), (LOG, Seq(20), None)];
        let some = handover(Scope { logs, ..Scope::default() });
        let names = |ranges: &[(u64, u64)]| {
            some.names(LOG, &ranges.iter().map(|(from, to)| (Seq(*from), Seq(*to))).collect())
        };
        assert!(names(&[(5, 9), (21, 400)]));
        assert!(!names(&[(5, 10)]) && !names(&[(4, 9)]) && !names(&[(5, 9), (12, 13)]));
        assert!(!some.names(LogId([9; 16]), &vec![(Seq(6), Seq(6))]));
        let cut = some.within(LOG, (Seq(7), Seq(30)));
        assert_eq!(cut, [(Seq(7), Seq(9)), (Seq(20), Seq(30))]);
        assert_eq!(some.within(LOG, (Seq(10), Seq(19))), []);
        assert_eq!(some.within(LogId([9; 16]), (Seq(7), Seq(30))), []);
    }
}
