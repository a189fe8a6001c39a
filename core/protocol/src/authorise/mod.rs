//! Who may change a conversation: one pure function for each kind of entry, run by server, phones
//! and verifier alike (C9; docs/attacks.md 9).
//!
//! A verdict depends on the entry, the log up to it ([`Conversation`]), and the company log up to a
//! size ([`CompanyView`]). It is asked at the size that the author judged by, and again at the size
//! that the server stamped; both must allow it, so that nobody acts on rights that have ended. No
//! clock is read: times are those of the log.
//!
//! [`conversation`] is the state that accepted entries make, [`decide`] the verdicts, [`mod@reset`] those
//! on a new generation, [`view`] what they ask of the company log.

pub mod conversation;
pub mod decide;
pub mod reset;
pub mod view;

#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, dead_code, reason = "for tests; a fuzzer uses part of it")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use conversation::{Conversation, KnownCapsule, Person};
pub use decide::{
    AuthorisedCommit, AuthorisedGrant, AuthorisedInvite, Judgement, commit, creation, grant,
    invite, leaf_rule,
};
pub use reset::{AuthorisedReset, reset};
pub use view::{CompanyView, DeviceFacts};

use crate::code_item;

code_item! {
    /// Why an entry is not authorised. The numbers travel in refusals.
    pub enum Rule {
        /// The author's device is not in the company log, or revoked.
        Author = 1,
        /// The author's signature does not verify.
        Signature = 2,
        /// The body judges by another company log than this view.
        At = 3,
        /// The author has no leaf.
        NotMember = 4,
        /// The commit's leaf is not the author's device.
        Committer = 5,
        /// The committer's leaf or an added one breaks the leaf rule.
        Leaf = 6,
        /// A device would have two leaves.
        LeafTwice = 7,
        /// A device comes in whose user nobody let in.
        Enter = 8,
        /// A key package is too old, or made in the future.
        KeyPackageAge = 9,
        /// A leaf is emptied without a ground for it.
        Remove = 10,
        /// An external commit empties the leaf of another device.
        ExternalRemove = 11,
        /// The archive keys set are not the company's newest, or more than they changes.
        Rebind = 12,
        /// The author has not the right to invite.
        Invite = 13,
        /// The author is no owner, or there are none in this type of conversation.
        Owner = 14,
        /// Somebody else is said to leave, or somebody who is not in.
        Leave = 15,
        /// The author had not seen a newer entry on the same subject.
        Outdated = 16,
        /// Genesis is against the form of its type.
        Genesis = 17,
        /// A reset without its ground: the commit named is not the newest, is the author's own, or
        /// others write after it; no order of an admin waits; the suite is not an owner's to change.
        ResetGround = 18,
        /// The device made a reset of this log on the same day.
        ResetTwice = 19,
        /// A reset, or its commit, that leaves out or brings in a device.
        ResetRoster = 20,
        /// A grant without its ground: to a device of another user where the conversation's history
        /// rule does not give members the past, to a device that is not active, or to the author's own.
        Grant = 21,
        /// A grant of entries that its author could not read himself.
        GrantRange = 22,
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not authorised: {self:?}, rule {}", self.code())
    }
}

impl std::error::Error for Rule {}
