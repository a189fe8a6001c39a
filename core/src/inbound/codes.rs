//! Why something was not accepted; stored with the gap, the alarm or the stopped log.

use hauspost_protocol::company::body::ReportCode;

/// A reason. The numbers are stored and shown: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The server shows another entry under a number that this phone has seen.
    Fork = 0,
    /// Entries were left out.
    Missing = 1,
    /// Time or company size went back.
    WentBack = 2,
    /// The entry relies on company entries that the server did not send.
    CompanyAhead = 3,
    /// Not the form of an entry.
    Form = 4,
    /// The entry is of another log.
    OtherLog = 5,
    /// The same bytes stand in the log twice.
    Repeated = 6,
    /// A payload that everybody gets was not sent.
    Absent = 7,
    /// The outer signature is wrong, or its device unknown.
    Signature = 8,
    /// `seen` does not fit.
    Seen = 9,
    /// The capsule is not the one that the commit names.
    Capsule = 10,
    /// MLS refuses the commit.
    Mls = 11,
    /// The commit is not authorised.
    Authorise = 12,
    /// What the entry says of itself does not fit the log.
    Mismatch = 13,
    /// A kind of entry that this build does not follow.
    Newer = 14,
    /// An own record or commit that this phone does not know: it was copied or restored.
    Rollback = 15,
    /// The Welcome for this device is missing or does not fit.
    Welcome = 16,
    /// A checkpoint is not to be believed.
    Checkpoint = 17,
    /// A reset was made: the conversation has a new group (R4).
    Reset = 18,
    /// A grant whose keys are not those of the records, or cannot be read.
    Grant = 19,
    /// An entry of the company log does not count: made up, or its signatures taken off.
    Company = 24,
    /// A colleague's checkpoint is not proven to be of the history that is shown here.
    Gossip = 25,
    /// The server shows no checkpoint of the present.
    CheckpointAge = 26,
    /// A checkpoint leaves out what is there for longer than a minute.
    Uncovered = 27,
    /// A record of an epoch that is over.
    Epoch = 32,
    /// A record of a leaf that nobody has.
    Leaf = 33,
    /// A record out of its turn.
    Index = 34,
    /// A record that names a wrong capsule.
    Cap = 35,
    /// A record in an epoch with a revoked device.
    Revoked = 36,
    /// The record's payload was not sent.
    Payload = 37,
    /// The record does not open.
    Sealed = 38,
    /// The record's signature is wrong.
    Author = 39,
    /// The record is of a class that it may not have.
    Class = 40,
    /// The record's files are not those that it names.
    Files = 41,
    /// The author's counter went back.
    Counter = 42,
    /// An announcement by somebody who is no owner.
    Announcement = 43,
    /// The epoch's archive keys are past their time.
    ArchiveKeys = 44,
}

/// As what an alarm of this code is reported to the company log; `None` for what says nothing against
/// the server and is told in another way.
///
/// A commit that MLS refuses, and a Welcome that does not fit, are a member's doing: who heals the
/// conversation reports that.
pub fn report_code(code: u64) -> Option<ReportCode> {
    const FORK: u64 = Code::Fork as u64;
    const ROLLBACK: u64 = Code::Rollback as u64;
    const CLASS: u64 = Code::Class as u64;
    const RESET: u64 = Code::Reset as u64;
    const GOSSIP: u64 = Code::Gossip as u64;
    const MLS: u64 = Code::Mls as u64;
    const NEWER: u64 = Code::Newer as u64;
    const WELCOME: u64 = Code::Welcome as u64;
    const GRANT: u64 = Code::Grant as u64;
    match code {
        FORK | GOSSIP => Some(ReportCode::Fork),
        ROLLBACK => Some(ReportCode::Rollback),
        CLASS => Some(ReportCode::Class),
        RESET => Some(ReportCode::Reset),
        MLS | NEWER | WELCOME | GRANT => None,
        _ => Some(ReportCode::ServerBrokeRule),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_accuses_the_server_only_of_what_the_server_did() {
        let told = |code: Code| report_code(code as u64);
        assert_eq!(told(Code::Fork), Some(ReportCode::Fork));
        assert_eq!(told(Code::Rollback), Some(ReportCode::Rollback));
        assert_eq!(told(Code::Class), Some(ReportCode::Class));
        assert_eq!(told(Code::Reset), Some(ReportCode::Reset));
        assert_eq!(told(Code::Authorise), Some(ReportCode::ServerBrokeRule));
        assert_eq!(told(Code::Gossip), Some(ReportCode::Fork));
        assert_eq!(told(Code::Company), Some(ReportCode::ServerBrokeRule));
        assert_eq!(told(Code::Mls), None, "a member's doing");
        assert_eq!(told(Code::Grant), None, "a grantor's doing");
    }
}
