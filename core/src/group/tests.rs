use hauspost_protocol::archive_key::{ArchiveKeys, ArchiveSeed};
use hauspost_protocol::crypto::{Secret, SigningKey};
use hauspost_protocol::ids::{
    CompanyId, DeviceId, Digest, Epoch, Gen, LeafIndex, LogId, LogNo, Seq, UserId,
};
use hauspost_protocol::mls::certificate::{CertificateFacts, DeviceCertificate};
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::mls::member::{Suite, parse_key_package};
use hauspost_protocol::mls::public::Follower;
use hauspost_protocol::mls::storage::MemoryBackend;
use openmls::group::MlsGroup;
use openmls::prelude::RatchetTreeIn;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::commit::{Change, OwnCommit};
use super::*;

struct Phone {
    key: SigningKey,
    certificate: DeviceCertificate,
    stored: MemoryBackend,
    rng: StdRng,
}

impl Phone {
    fn new(number: u8) -> Self {
        let key = SigningKey::from_seed(Secret::new([number; 32]));
        let facts = CertificateFacts {
            company: CompanyId([9; 16]),
            user: UserId([number; 16]),
            device: DeviceId([number; 16]),
            signature_key: key.public(),
            serial: [number; 16],
            not_before_s: 0,
            not_after_s: 2_000_000_000,
        };
        let issuing = SigningKey::from_seed(Secret::new([200; 32]));
        let certificate = DeviceCertificate::issue(&issuing, facts).unwrap();
        let rng = StdRng::seed_from_u64(u64::from(number));
        Self { key, certificate, stored: MemoryBackend::default(), rng }
    }

    /// Runs an operation, and stores what it changed unless it fails.
    fn run<T>(
        &mut self,
        operation: impl FnOnce(&ScratchProvider<&MemoryBackend>, Member<'_>) -> Result<T, GroupError>,
    ) -> Result<T, GroupError> {
        let provider = provider(&self.stored, &mut self.rng);
        let member = Member { key: &self.key, certificate: &self.certificate };
        let done = operation(&provider, member)?;
        provider.backend().take_changes().apply(&self.stored).unwrap();
        Ok(done)
    }

    fn package(&mut self) -> openmls::prelude::KeyPackage {
        let made = self.run(|provider, member| {
            Ok(packages::make(provider, member, Suite::Hybrid, 1, false, 5)?)
        });
        parse_key_package(&made.unwrap().packages[0]).unwrap()
    }

    fn commit(&mut self, change: Change) -> OwnCommit {
        self.run(|provider, member| {
            let mut group = commit::load(provider, &binding().group_id())?;
            commit::commit(provider, &mut group, member, change)
        })
        .unwrap()
    }

    fn merge_own(&mut self) -> Vec<LeafIndex> {
        self.run(|provider, _| {
            let mut group = commit::load(provider, &binding().group_id())?;
            commit::merge_own(provider, &mut group)?;
            Ok(commit::leaves(&group))
        })
        .unwrap()
    }

    fn take(&mut self, message: &[u8]) -> Result<Option<(Digest, Vec<u8>)>, GroupError> {
        self.run(|provider, _| {
            let mut group = commit::load(provider, &binding().group_id())?;
            commit::drop_own(provider, &mut group)?;
            let taken = commit::take(provider, &mut group, message)?;
            let ga = taken.ga;
            Ok(commit::merge(provider, &mut group, taken)?.map(|x| (ga, x.to_vec())))
        })
    }

    fn join(
        &mut self,
        welcome: &[u8],
        tree: RatchetTreeIn,
    ) -> Result<(Digest, Vec<u8>), GroupError> {
        self.run(|provider, _| {
            let joined = join::join(provider, welcome, tree)?;
            Ok((joined.ga, joined.exported.to_vec()))
        })
    }
}

fn binding() -> GroupBinding {
    GroupBinding {
        log: LogId([1; 16]),
        log_no: LogNo(1),
        r#gen: Gen(0),
        genesis: Digest([2; 32]),
        id_a: hauspost_protocol::ids::KeyId([3; 16]),
        id_b: hauspost_protocol::ids::KeyId([4; 16]),
    }
}

/// Anna's group with Ben and Carl in epoch 1, and the server that follows it.
fn three() -> ([Phone; 3], Follower) {
    let mut anna = Phone::new(1);
    let (mut ben, mut carl) = (Phone::new(2), Phone::new(3));
    let base = anna
        .run(|provider, member| {
            let (_, base) = commit::create(provider, member, Suite::Hybrid, &binding())?;
            Ok(base)
        })
        .unwrap();
    let mut follower = Follower::begin(&base, Suite::Hybrid, &binding()).unwrap();
    let adds = vec![ben.package(), carl.package()];
    let own = anna.commit(Change { adds, ..Change::default() });
    follow(&mut follower, &own);
    assert_eq!(anna.merge_own(), own.leaves);
    let welcome = own.welcome.unwrap();
    for phone in [&mut ben, &mut carl] {
        let joined = phone.join(&welcome, follower.tree()).unwrap();
        assert_eq!(joined, (own.ga, own.exported.to_vec()));
    }
    ([anna, ben, carl], follower)
}

fn follow(follower: &mut Follower, own: &OwnCommit) {
    let staged = follower.stage(&own.message).unwrap();
    staged.check_group_info(&own.group_info).unwrap();
    assert_eq!(staged.facts().ga, own.ga);
    follower.merge(staged, Seq(1), 10).unwrap();
    let leaves: Vec<_> = follower.roster().iter().map(|(leaf, _)| leaf).collect();
    assert_eq!(leaves, own.leaves);
}

#[test]
fn members_who_join_by_a_welcome_share_the_secret_that_the_committer_had_before_sending() {
    three();
}

#[test]
fn a_removed_member_learns_nothing_of_the_next_epoch_and_its_leaf_is_taken_again() {
    let ([mut anna, mut ben, mut carl], mut follower) = three();
    let own = anna.commit(Change { removes: vec![LeafIndex(1)], ..Change::default() });
    follow(&mut follower, &own);
    anna.merge_own();
    assert_eq!(carl.take(&own.message).unwrap(), Some((own.ga, own.exported.to_vec())));
    assert_eq!(ben.take(&own.message).unwrap(), None);

    let mut dora = Phone::new(4);
    let own = carl.commit(Change { adds: vec![dora.package()], ..Change::default() });
    assert_eq!(own.leaves, [0, 1, 2].map(LeafIndex));
    follow(&mut follower, &own);
    assert_eq!(carl.merge_own(), own.leaves);
    dora.join(&own.welcome.unwrap(), follower.tree()).unwrap();
}

#[test]
fn of_two_commits_at_once_the_loser_takes_the_winner_and_commits_again() {
    let ([mut anna, mut ben, mut carl], mut follower) = three();
    let winner = anna.commit(Change::default());
    let loser = ben.commit(Change::default());
    follow(&mut follower, &winner);
    anna.merge_own();
    assert!(follower.stage(&loser.message).is_err());
    let shared = Some((winner.ga, winner.exported.to_vec()));
    assert_eq!(ben.take(&winner.message).unwrap(), shared);
    assert_eq!(carl.take(&winner.message).unwrap(), shared);

    let again = ben.commit(Change::default());
    follow(&mut follower, &again);
    ben.merge_own();
    assert_eq!(anna.take(&again.message).unwrap(), Some((again.ga, again.exported.to_vec())));
}

#[test]
fn a_commit_that_does_not_verify_changes_nothing() {
    let ([mut anna, mut ben, _], _) = three();
    let mut own = anna.commit(Change::default());
    let before = ben.stored.clone();
    let last = own.message.len() - 40;
    own.message.0[last] ^= 1;
    assert!(ben.take(&own.message).is_err());
    assert!(ben.stored == before);
}

#[test]
fn a_pending_commit_survives_a_restart_and_its_secret_comes_once() {
    let ([mut anna, mut ben, _], _) = three();
    let own = anna.commit(Change::default());
    let twice = anna.run(|provider, _| {
        let mut group: MlsGroup = commit::load(provider, &binding().group_id())?;
        Ok(hauspost_protocol::mls::member::exported_secret_of_pending(&mut group, provider)?)
    });
    assert!(twice.is_err());
    anna.merge_own();
    assert_eq!(ben.take(&own.message).unwrap(), Some((own.ga, own.exported.to_vec())));
}

impl Phone {
    /// Makes an external commit on this GroupInfo, and stores what follows from it at once.
    fn enter(&mut self, follower: &Follower, group_info: &[u8]) -> Result<OwnCommit, GroupError> {
        self.run(|provider, member| enter::enter(provider, member, follower, group_info))
    }
}

#[test]
fn a_device_that_enters_by_itself_shares_the_secret_and_nobody_else_has_lost_it() {
    let ([mut anna, mut ben, mut carl], mut follower) = three();
    let own = anna.commit(Change::default());
    follow(&mut follower, &own);
    anna.merge_own();
    ben.take(&own.message).unwrap();
    carl.take(&own.message).unwrap();

    let mut dora = Phone::new(4);
    let entry = dora.enter(&follower, &own.group_info).unwrap();
    follow(&mut follower, &entry);
    let shared = Some((entry.ga, entry.exported.to_vec()));
    for phone in [&mut anna, &mut ben, &mut carl] {
        assert_eq!(phone.take(&entry.message).unwrap(), shared);
    }
    let next = dora.commit(Change::default());
    follow(&mut follower, &next);
    assert_eq!(anna.take(&next.message).unwrap(), Some((next.ga, next.exported.to_vec())));
}

#[test]
fn attacks_18_entering_changes_nothing_of_the_stored_state_until_its_scratch_is_applied() {
    let ([mut anna, mut ben, _], mut follower) = three();
    let own = anna.commit(Change::default());
    follow(&mut follower, &own);
    anna.merge_own();
    let before = ben.stored.clone();
    let provider = provider(&ben.stored, &mut ben.rng);
    let member = Member { key: &ben.key, certificate: &ben.certificate };
    enter::enter(&provider, member, &follower, &own.group_info).unwrap();
    assert!(ben.stored == before, "the race may still be lost");
    let scratch = MlsChanges::from_bytes(&provider.backend().take_changes().to_bytes()).unwrap();
    drop(provider);
    // It is lost: Ben takes Anna's commit as if nothing had been.
    ben.take(&own.message).unwrap();
    // Had it been won, the scratch would be all of it.
    ben.stored = before;
    scratch.apply(&ben.stored).unwrap();
    ben.commit(Change::default());
}

#[test]
fn attacks_2_after_a_commit_that_nobody_can_follow_each_enters_anew_on_the_other_s_group_info() {
    let ([mut anna, mut ben, mut carl], mut follower) = three();
    // What makes it a bomb does not matter to those who cannot follow it.
    let bomb = anna.commit(Change::default());
    follow(&mut follower, &bomb);
    let back = ben.enter(&follower, &bomb.group_info).unwrap();
    follow(&mut follower, &back);
    assert_eq!(back.leaves, [0, 1, 2].map(LeafIndex), "its own leaf is replaced");
    assert!(carl.take(&back.message).is_err());
    let last = carl.enter(&follower, &back.group_info).unwrap();
    follow(&mut follower, &last);
    assert_eq!(ben.take(&last.message).unwrap(), Some((last.ga, last.exported.to_vec())));
    let next = ben.commit(Change::default());
    follow(&mut follower, &next);
    assert_eq!(carl.take(&next.message).unwrap(), Some((next.ga, next.exported.to_vec())));
}

#[test]
fn a_group_info_of_another_epoch_is_no_way_in() {
    let ([mut anna, ..], mut follower) = three();
    let old = anna.commit(Change::default());
    follow(&mut follower, &old);
    anna.merge_own();
    let new = anna.commit(Change::default());
    follow(&mut follower, &new);
    let mut dora = Phone::new(4);
    assert!(dora.enter(&follower, &old.group_info).is_err());
    assert!(dora.enter(&follower, &new.group_info).is_ok());
}

#[test]
fn every_member_expects_the_same_capsule_and_another_epoch_has_another() {
    let mut rng = StdRng::seed_from_u64(1);
    let keys = ArchiveKeys {
        a: ArchiveSeed::random(&mut rng).public(),
        b: ArchiveSeed::random(&mut rng).public(),
    };
    let context = |epoch| EpochContext {
        log: LogId([1; 16]),
        r#gen: Gen(0),
        epoch: Epoch(epoch),
        ga: Digest([7; 32]),
    };
    let derive = |epoch| EpochKeys::derive(&[5; 32], context(epoch), [LeafIndex(0)], &keys);
    assert_eq!(derive(1).capsule, derive(1).capsule);
    assert_ne!(derive(1).capsule, derive(2).capsule);
}

#[test]
fn newer_archive_keys_enter_the_group_by_a_commit_that_every_member_takes() {
    let ([mut anna, mut ben, _], mut follower) = three();
    let newer = GroupBinding { id_a: hauspost_protocol::ids::KeyId([8; 16]), ..binding() };
    let own = anna.commit(Change { binding: Some(newer.clone()), ..Change::default() });
    follow(&mut follower, &own);
    assert_eq!(*follower.binding(), newer);
    anna.merge_own();
    assert_eq!(ben.take(&own.message).unwrap(), Some((own.ga, own.exported.to_vec())));
}
