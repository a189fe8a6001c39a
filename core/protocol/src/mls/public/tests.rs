use super::*;
use crate::mls::testing::{Change, OwnCommit, Phone, binding};

const SUITE: Suite = Suite::Hybrid;

/// Anna creates and adds Ben and Clara; the follower follows, all three are in.
fn three() -> (Follower, Phone, Phone, Phone) {
    let (mut anna, mut ben, mut clara) = (Phone::new(1, 1), Phone::new(2, 2), Phone::new(3, 3));
    let base = anna.create(SUITE, &binding());
    let mut follower = Follower::begin(&base, SUITE, &binding()).unwrap();
    let own = anna.adding(&[&ben, &clara], 5);
    let staged = follower.stage(&own.commit).unwrap();
    staged.check_group_info(&own.group_info).unwrap();
    follower.merge(staged, Seq(1), 10).unwrap();
    let x = anna.merge_own();
    let welcome = own.welcome.unwrap();
    assert_eq!(ben.join(&welcome, &follower.tree_bytes()), x);
    assert_eq!(clara.join(&welcome, &follower.tree_bytes()), x);
    (follower, anna, ben, clara)
}

fn refused_for(result: Result<impl std::fmt::Debug, MlsError>, expected: &str) {
    match result {
        Err(MlsError::Against { rule, .. }) => assert_eq!(rule, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_follower_sees_who_sits_where_and_members_share_the_secret() {
    for suite in [Suite::Hybrid, Suite::Classic] {
        let (mut anna, mut ben) = (Phone::new(1, 1), Phone::new(2, 2));
        let base = anna.create(suite, &binding());
        let mut follower = Follower::begin(&base, suite, &binding()).unwrap();
        let own = anna.adding(&[&ben], 5);
        let staged = follower.stage(&own.commit).unwrap();
        let facts = follower.merge(staged, Seq(1), 10).unwrap();
        assert_eq!(facts.epoch, Epoch(1));
        assert_eq!(facts.committer.certificate.device, anna.device);
        assert_eq!(facts.adds[0].0.certificate.device, ben.device);
        assert_eq!(facts.adds[0].1, 5);
        let x = anna.merge_own();
        assert_eq!(ben.join(&own.welcome.unwrap(), &follower.tree_bytes()), x);
        assert_eq!(context_hash(ben.group().public_group().group_context()), facts.ga);
        assert_eq!(follower.ga(), facts.ga);
        assert_eq!(follower.roster().leaf_of(ben.device), Some(LeafIndex(1)));
        assert!(
            follower.roster().has_user(ben.user) && !follower.roster().has_user(UserId([9; 16]))
        );
        assert_eq!(x.len(), 32);
    }
}

#[test]
fn what_was_staged_ahead_is_handed_out_for_the_very_same_bytes_and_epoch_only() {
    let (mut follower, mut anna, mut ben, _) = three();
    let (update, removal) = (anna.commit(Change::default()), ben.removing(&[2]));
    let facts = follower.stage(&update.commit).unwrap().facts().clone();
    follower.stage_ahead(&update.commit);
    let other = follower.stage(&removal.commit).unwrap();
    assert_eq!(other.facts().removes.len(), 1, "other bytes are staged anew");
    follower.stage_ahead(&update.commit);
    assert_eq!(*follower.stage(&update.commit).unwrap().facts(), facts);
    // Handed out once, and the second time staged anew.
    let staged = follower.stage(&update.commit).unwrap();
    // A commit that lost is not merged on what was staged before the winner.
    follower.stage_ahead(&removal.commit);
    follower.merge(staged, Seq(9), 90).unwrap();
    assert!(follower.stage(&removal.commit).is_err());
    // What MLS refuses stays refused.
    follower.stage_ahead(b"no commit");
    assert!(follower.stage(b"no commit").is_err());
}

#[test]
fn add_remove_update_and_new_archive_keys_are_followed_and_all_sides_share_each_secret() {
    let (mut follower, mut anna, mut ben, mut clara) = three();
    let mut step = |own: OwnCommit, seq: u64| {
        let staged = follower.stage(&own.commit).unwrap();
        staged.check_group_info(&own.group_info).unwrap();
        let facts = follower.merge(staged, Seq(seq), seq * 10).unwrap();
        follower = Follower::from_bytes(&follower.to_bytes()).unwrap();
        (facts, follower.tree_bytes(), follower.roster().clone())
    };

    let own = ben.commit(Change::default());
    let (facts, _, roster) = step(own.clone(), 5);
    assert!(facts.is_pure_update());
    assert_eq!(roster.member(LeafIndex(1)).unwrap().renewed_t_ms, 50);
    assert_eq!(roster.member(LeafIndex(1)).unwrap().entered, Seq(1));
    let x = ben.merge_own();
    assert_eq!((anna.process(&own.commit), clara.process(&own.commit)), (x.clone(), x));

    anna.reload();
    let own = anna.removing(&[1]);
    let (facts, _, _) = step(own.clone(), 6);
    assert_eq!(facts.removes[0].1.device, ben.device);
    let x = anna.merge_own();
    assert_eq!(clara.process(&own.commit), x);

    let mut dora = Phone::new(4, 4);
    let own = clara.adding(&[&dora], 60);
    let (facts, tree, _) = step(own.clone(), 7);
    assert_eq!(facts.adds[0].0.leaf, LeafIndex(1), "the leftmost blank leaf");
    let x = clara.merge_own();
    assert_eq!(anna.process(&own.commit), x);
    assert_eq!(dora.join(&own.welcome.unwrap(), &tree), x);

    let newer = GroupBinding { id_a: crate::ids::KeyId([9; 16]), ..binding() };
    let own = dora.commit(Change { rebinds: Some(newer.clone()), ..Change::default() });
    let (facts, _, roster) = step(own.clone(), 8);
    assert_eq!(facts.rebinds, Some(newer));
    assert_eq!(roster.len(), 3);
    let x = dora.merge_own();
    assert_eq!((anna.process(&own.commit), clara.process(&own.commit)), (x.clone(), x));
}

#[test]
fn the_exporter_answers_once_for_an_epoch() {
    let (_, mut anna, _, _) = three();
    let result = crate::mls::member::exported_secret(anna.group.as_mut().unwrap(), &anna.provider);
    assert!(matches!(result, Err(MlsError::Refused { .. })));
}

#[test]
fn a_base_that_genesis_does_not_demand_is_refused() {
    let mut anna = Phone::new(1, 1);
    let base = anna.create(SUITE, &binding());
    let suite = "the suite is the one demanded";
    refused_for(Follower::begin(&base, Suite::Classic, &binding()), suite);
    let other = GroupBinding { log_no: crate::ids::LogNo(8), ..binding() };
    refused_for(Follower::begin(&base, SUITE, &other), "the binding is the one demanded");
    let other = GroupBinding { r#gen: Gen(1), ..binding() };
    let group = "a base is epoch 0 of the group demanded";
    refused_for(Follower::begin(&base, SUITE, &other), group);
    let (_, later, _, _) = three();
    refused_for(Follower::begin(&later.group_info(true), SUITE, &binding()), group);
    let without = anna.group_info(false);
    refused_for(Follower::begin(&without, SUITE, &binding()), "a base holds its tree");
    assert!(matches!(Follower::begin(b"x", SUITE, &binding()), Err(MlsError::Form(_))));
}

#[test]
fn attacks_2_a_group_info_that_does_not_fit_the_commit_is_refused() {
    let (follower, mut anna, mut ben, _) = three();
    let own = anna.commit(Change::default());
    let staged = follower.stage(&own.commit).unwrap();
    assert_eq!(staged.check_group_info(&own.group_info), Ok(()));
    // That of the epoch before.
    let old = ben.group_info(false);
    refused_for(staged.check_group_info(&old), "its context is the commit's");
    assert_eq!(follower.check_group_info(&old), Ok(LeafIndex(1)));
    // A changed signature, and a changed confirmation tag.
    let mut bad = own.group_info.clone();
    *bad.last_mut().unwrap() ^= 1;
    refused_for(staged.check_group_info(&bad), "its signature is the signer's");
    let tag = staged.confirmation_tag.clone();
    let at = own.group_info.windows(tag.len()).position(|part| part == tag).unwrap();
    let mut bad = own.group_info.clone();
    bad[at + 5] ^= 1;
    refused_for(staged.check_group_info(&bad), "its confirmation tag is the commit's");
    // One by another member, and one with the tree in it.
    anna.merge_own();
    ben.process(&own.commit);
    refused_for(staged.check_group_info(&ben.group_info(false)), "the committer signs it");
    let with_tree = staged.check_group_info(&anna.group_info(true));
    refused_for(with_tree, "it has an external key and no tree");
}

#[test]
fn attacks_2_a_flipped_confirmation_tag_passes_the_follower_so_it_must_not_be_trusted_alone() {
    let (follower, mut anna, mut ben, _) = three();
    let own = anna.commit(Change::default());
    let staged = follower.stage(&own.commit).unwrap();
    let tag = staged.confirmation_tag.clone();
    let at = own.commit.windows(tag.len()).position(|part| part == tag).unwrap();
    let mut bomb = own.commit.clone();
    bomb[at + 5] ^= 1;
    let bombed = follower.stage(&bomb).unwrap();
    // It is caught where the GroupInfo that came with it is compared.
    refused_for(bombed.check_group_info(&own.group_info), "its confirmation tag is the commit's");
    use tls_codec::Deserialize as _;
    let message = MlsMessageIn::tls_deserialize_exact(bomb).unwrap();
    let message = message.try_into_protocol_message().unwrap();
    assert!(ben.group.as_mut().unwrap().process_message(&ben.provider, message).is_err());
}

#[test]
fn a_commit_of_another_epoch_or_of_no_member_is_refused() {
    let (mut follower, mut anna, mut ben, _) = three();
    let old = ben.commit(Change::default());
    let own = anna.commit(Change::default());
    let staged = follower.stage(&own.commit).unwrap();
    follower.merge(staged, Seq(5), 50).unwrap();
    assert!(matches!(follower.stage(&old.commit), Err(MlsError::Refused { .. })));
    let mut broken = own.commit.clone();
    broken.truncate(broken.len() - 1);
    assert!(follower.stage(&broken).is_err());
    assert!(matches!(follower.stage(&own.group_info), Err(MlsError::Form(_))));
}

#[test]
fn a_leaf_whose_certificate_names_another_key_is_refused() {
    let mut anna = Phone::new(1, 1);
    let base = anna.create(SUITE, &binding());
    let follower = Follower::begin(&base, SUITE, &binding()).unwrap();
    let mut ben = Phone::new(2, 2);
    let mallory = Phone::new(6, 6);
    // Ben's key under Mallory's certificate: MLS itself does not look.
    let package = {
        let mut credential = mallory.certificate.credential();
        credential.signature_key = ben.key.public().0.to_vec().into();
        let made =
            crate::mls::member::key_package(&ben.provider, SUITE, &ben.key, credential, 5, false);
        made.unwrap().key_package().clone()
    };
    ben.group = None;
    let own = anna.commit(Change { adds: vec![package], ..Change::default() });
    refused_for(follower.stage(&own.commit), "the certificate's key is the leaf's");
}

#[test]
fn attacks_17_a_package_with_a_lifetime_of_its_own_is_refused() {
    use openmls::prelude::{KeyPackage, Lifetime};
    let mut anna = Phone::new(1, 1);
    let base = anna.create(SUITE, &binding());
    let follower = Follower::begin(&base, SUITE, &binding()).unwrap();
    let ben = Phone::new(2, 2);
    let package = KeyPackage::builder()
        .key_package_lifetime(Lifetime::new(3_600))
        .leaf_node_capabilities(crate::mls::member::capabilities())
        .key_package_extensions(Age { made_t_ms: 5 }.extensions())
        .build(SUITE.ciphersuite(), &ben.provider, &ben.key, ben.certificate.credential())
        .unwrap();
    let adds = vec![package.key_package().clone()];
    let own = anna.commit(Change { adds, ..Change::default() });
    refused_for(follower.stage(&own.commit), "a leaf's MLS lifetime is for ever");
}

#[test]
fn what_a_store_damaged_does_not_become_a_follower() {
    let (follower, ..) = three();
    let bytes = follower.to_bytes();
    assert!(Follower::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(Follower::from_bytes(b"").is_err());
}

#[test]
fn no_changed_byte_of_a_group_info_passes_and_none_of_a_commit_or_state_panics() {
    let (mut anna, ben) = (Phone::new(1, 1), Phone::new(2, 2));
    let base = anna.create(Suite::Classic, &binding());
    let follower = Follower::begin(&base, Suite::Classic, &binding()).unwrap();
    let own = anna.adding(&[&ben], 5);
    let staged = follower.stage(&own.commit).unwrap();
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x41;
        bytes
    };
    for at in 0..own.group_info.len() {
        assert!(staged.check_group_info(&flipped(&own.group_info, at)).is_err(), "byte {at}");
    }
    for at in (0..own.commit.len()).step_by(7) {
        if let Ok(changed) = follower.stage(&flipped(&own.commit, at)) {
            // Only what members alone can check: tags and sealed path secrets.
            let facts = |staged: &StagedEpoch| {
                let facts = staged.facts();
                (facts.adds.clone(), facts.removes.clone(), facts.committer.clone())
            };
            assert_eq!(facts(&changed), facts(&staged), "byte {at}");
        }
    }
    let state = follower.to_bytes();
    for at in (0..state.len()).step_by(11) {
        let _ = Follower::from_bytes(&flipped(&state, at));
    }
    for at in 0..base.len() {
        let begun = Follower::begin(&flipped(&base, at), Suite::Classic, &binding());
        assert!(begun.is_err(), "byte {at}");
    }
}
