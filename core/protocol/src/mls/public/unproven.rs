//! Following a commit without checking its signatures, because something else proves it.
//!
//! Whom a commit adds enters the group by a Welcome. MLS checks there the signature of every leaf, the
//! committer's signature of the GroupInfo, and the confirmation tag, and gives the context of the epoch.
//! That context holds the confirmed transcript hash: the hash of this commit, of the confirmation tag
//! before it, and so of every commit back to the base (RFC 9420 §8.2); and the hash of the tree that
//! the commit leads to. So if context and confirmation tag that follow from the commit in the log are
//! those that the Welcome gave, this very commit led there, and its signatures need not be checked apart. What it does
//! is then judged by the same rules as everywhere.
//!
//! What nobody checks so are the key packages' own signatures over their init keys. They are for who
//! encrypts to them: the committer, and those who accept his commit (server, members and verifiers,
//! who all do check them). Who was added himself relies on leaves, and theirs are checked.
//!
//! The other use is a commit that this reader believed before, or made himself.

use openmls::group::PublicGroup;

use super::{CommitFacts, Follower, StagedEpoch, against_group_info, parse_group_info};
use crate::ids::{Seq, TimeMs};
use crate::mls::MlsError;
use crate::mls::crypto::Crypto;
use crate::mls::extension::{GroupBinding, context_hash};
use crate::mls::member::Suite;

/// A commit that the group would take, if its signatures hold.
#[derive(Debug)]
pub struct UnprovenCommit(StagedEpoch);

impl UnprovenCommit {
    /// What it does.
    pub fn facts(&self) -> &CommitFacts {
        self.0.facts()
    }
}

/// A group one commit further, if that commit's signatures hold.
#[derive(Debug)]
pub struct Unproven {
    after: Follower,
    facts: CommitFacts,
}

impl Follower {
    /// [`begin`](Self::begin) without its signatures, for a base whose first commit is followed by
    /// [`ahead_unproven`](Self::ahead_unproven): the base's confirmation tag is in what proves that.
    pub fn begin_unproven(
        base: &[u8],
        suite: Suite,
        binding: &GroupBinding,
    ) -> Result<Self, MlsError> {
        Self::begin_by(&Crypto::believing(), base, suite, binding)
    }

    /// Begins with a base that was believed before, whose suite, binding and signatures are then right.
    pub fn begin_again(base: &[u8]) -> Result<Self, MlsError> {
        let info = parse_group_info(base)?;
        let suite = Suite::from_code(info.ciphersuite() as u16);
        let suite = suite.ok_or(against_group_info("the suite is one of ours"))?;
        Self::begin_unproven(base, suite, &GroupBinding::of(info.group_context())?)
    }

    /// What this commit (an MLSMessage) would do, its signatures unchecked.
    pub fn stage_unproven(&self, mls_message: &[u8]) -> Result<UnprovenCommit, MlsError> {
        self.stage_by(&Crypto::believing(), mls_message).map(UnprovenCommit)
    }

    /// Takes it as the entry with this number and time.
    pub fn take_unproven(
        mut self,
        commit: UnprovenCommit,
        seq: Seq,
        t_ms: TimeMs,
    ) -> Result<Unproven, MlsError> {
        let facts = self.merge(commit.0, seq, t_ms)?;
        Ok(Unproven { after: self, facts })
    }

    /// Both at once.
    pub fn ahead_unproven(
        self,
        mls_message: &[u8],
        seq: Seq,
        t_ms: TimeMs,
    ) -> Result<Unproven, MlsError> {
        let commit = self.stage_unproven(mls_message)?;
        self.take_unproven(commit, seq, t_ms)
    }
}

impl Unproven {
    /// What the commit does.
    pub fn facts(&self) -> &CommitFacts {
        &self.facts
    }

    /// The new epoch's binding.
    pub fn binding(&self) -> &GroupBinding {
        self.after.binding()
    }

    /// The ratchet tree as it travels, for who joins by it.
    pub fn tree_bytes(&self) -> Vec<u8> {
        self.after.tree_bytes()
    }

    /// The group, if a member is in the very epoch that this commit leads to.
    pub fn proven_by(self, member: &PublicGroup) -> Option<Follower> {
        let same = context_hash(member.group_context()) == self.facts.ga
            && member.confirmation_tag() == self.after.group.confirmation_tag();
        same.then_some(self.after)
    }

    /// The group, of a commit that this reader believed before, or that he made himself.
    pub fn believed(self) -> Follower {
        self.after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeafIndex;
    use crate::mls::testing::{Change, OwnCommit, Phone, binding};

    const SUITE: Suite = Suite::Classic;

    /// Anna has created a group and adds Ben.
    fn anna_adds(ben: &Phone) -> (Vec<u8>, Phone, OwnCommit) {
        let mut anna = Phone::new(1, 1);
        let base = anna.create(SUITE, &binding());
        let own = anna.adding(&[ben], 5);
        (base, anna, own)
    }

    fn ahead(base: &[u8], commit: &[u8]) -> Result<Unproven, MlsError> {
        let before = Follower::begin_unproven(base, SUITE, &binding())?;
        before.ahead_unproven(commit, Seq(1), 10)
    }

    fn proven(base: &[u8], commit: &[u8], ben: &mut Phone) -> bool {
        let next = ahead(base, commit);
        next.is_ok_and(|next| next.proven_by(ben.group().public_group()).is_some())
    }

    #[test]
    fn whom_a_commit_adds_proves_it_by_the_epoch_in_which_his_welcome_brings_him() {
        let mut ben = Phone::new(2, 2);
        let (base, mut anna, own) = anna_adds(&ben);
        let next = ahead(&base, &own.commit).unwrap();
        ben.join(own.welcome.as_ref().unwrap(), &next.tree_bytes());
        let facts = next.facts().clone();
        let mut joined = next.proven_by(ben.group().public_group()).unwrap();

        let mut followed = Follower::begin(&base, SUITE, &binding()).unwrap();
        let staged = followed.stage(&own.commit).unwrap();
        assert_eq!(followed.merge(staged, Seq(1), 10).unwrap(), facts);
        assert_eq!(joined.to_bytes(), followed.to_bytes());
        // Both go on.
        anna.merge_own();
        let update = anna.commit(Change::default());
        for follower in [&mut joined, &mut followed] {
            let staged = follower.stage(&update.commit).unwrap();
            follower.merge(staged, Seq(3), 20).unwrap();
        }
        assert_eq!(joined.to_bytes(), followed.to_bytes());
    }

    #[test]
    fn no_changed_byte_of_a_commit_or_its_base_is_proven_but_for_what_members_alone_can_check() {
        let mut ben = Phone::new(2, 2);
        let (base, _, own) = anna_adds(&ben);
        let tree = ahead(&base, &own.commit).unwrap().tree_bytes();
        ben.join(own.welcome.as_ref().unwrap(), &tree);
        assert!(proven(&base, &own.commit, &mut ben));
        let flipped = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 0x41;
            bytes
        };
        // The membership tag stands last, of 32 bytes.
        let checked = own.commit.len() - 32;
        for at in (0..checked).step_by(3).chain(checked - 40..checked) {
            assert!(!proven(&base, &flipped(&own.commit, at), &mut ben), "byte {at}");
        }
        assert!(proven(&base, &flipped(&own.commit, checked), &mut ben));
        // Another group's base: another confirmation tag.
        let mut anna = Phone::new(1, 1);
        let again = [(); 2].map(|()| anna.create(SUITE, &binding()));
        assert!(again[1] != base && !proven(&again[1], &own.commit, &mut ben));
    }

    #[test]
    fn a_welcome_of_another_commit_proves_nothing() {
        let mut ben = Phone::new(2, 2);
        let (base, mut anna, first) = anna_adds(&ben);
        anna.forget();
        let second = anna.adding(&[&ben], 5);
        let tree = ahead(&base, &second.commit).unwrap().tree_bytes();
        ben.join(second.welcome.as_ref().unwrap(), &tree);
        assert!(proven(&base, &second.commit, &mut ben));
        assert!(!proven(&base, &first.commit, &mut ben));
    }

    #[test]
    fn commits_that_were_believed_before_lead_to_the_same_group_again() {
        let (mut ben, clara) = (Phone::new(2, 2), Phone::new(3, 3));
        let (base, mut anna, first) = anna_adds(&ben);
        let mut followed = Follower::begin(&base, SUITE, &binding()).unwrap();
        let mut again = Follower::begin_again(&base).unwrap();
        let mut commits = vec![first.commit.clone()];
        anna.merge_own();
        let tree = ahead(&base, &first.commit).unwrap().tree_bytes();
        ben.join(first.welcome.as_ref().unwrap(), &tree);
        let second = ben.adding(&[&clara], 5);
        anna.process(&second.commit);
        commits.push(second.commit);
        commits.push(anna.removing(&[1]).commit);
        for (seq, commit) in (1..).zip(&commits) {
            let staged = followed.stage(commit).unwrap();
            followed.merge(staged, Seq(seq), 10).unwrap();
            again = again.ahead_unproven(commit, Seq(seq), 10).unwrap().believed();
        }
        assert_eq!(again.to_bytes(), followed.to_bytes());
        assert!(again.roster().member(LeafIndex(1)).is_none());
    }
}
