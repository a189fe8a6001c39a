//! OpenMLS with basic credentials, its own store in memory, and the group kept beside it: what its
//! authors' examples do, and less than any phone can do with.

use std::time::{Duration, Instant};

use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::mls::member::{Suite, join_config};
use openmls::prelude::*;
use openmls_rust_crypto::OpenMlsRustCrypto;
use rand::rngs::StdRng;
use tls_codec::{Deserialize as _, Serialize as _};

use super::Measured;
use crate::table::Times;

struct Phone {
    provider: OpenMlsRustCrypto,
    key: SigningKey,
    credential: CredentialWithKey,
}

impl Phone {
    fn new(number: usize) -> Self {
        let mut rng: StdRng = rand::make_rng();
        let key = SigningKey::random(&mut rng);
        let credential = CredentialWithKey {
            credential: BasicCredential::new(number.to_be_bytes().to_vec()).into(),
            signature_key: key.public().0.to_vec().into(),
        };
        Self { provider: OpenMlsRustCrypto::default(), key, credential }
    }

    fn package(&self, suite: Suite) -> KeyPackage {
        let ciphersuite = suite.ciphersuite();
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities(suite))
            .build(ciphersuite, &self.provider, &self.key, self.credential.clone())
            .unwrap()
            .key_package()
            .clone()
    }

    /// A commit that renews the own leaf and adds these, pending.
    fn commit(&self, group: &mut MlsGroup, adds: Vec<KeyPackage>) -> (Vec<u8>, Option<Vec<u8>>) {
        let bundle = group
            .commit_builder()
            .force_self_update(true)
            .propose_adds(adds)
            .load_psks(self.provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.key, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        let (message, welcome, _) = bundle.into_messages();
        let bytes = |message: MlsMessageOut| message.tls_serialize_detached().unwrap();
        (bytes(message), welcome.map(bytes))
    }

    fn join(&self, welcome: &[u8], tree: &[u8]) -> MlsGroup {
        let welcome = MlsMessageIn::tls_deserialize_exact(welcome).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = welcome.extract() else { unreachable!() };
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).unwrap();
        StagedWelcome::new_from_welcome(&self.provider, &join_config(), welcome, Some(tree))
            .unwrap()
            .into_group(&self.provider)
            .unwrap()
    }

    fn process(&self, group: &mut MlsGroup, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact(commit).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            unreachable!()
        };
        group.merge_staged_commit(&self.provider, *staged).unwrap();
    }
}

pub fn measure(size: usize, suite: Suite, rounds: usize) -> Measured {
    let anna = Phone::new(0);
    let others: Vec<Phone> = (1..=size).map(Phone::new).collect();
    let config = MlsGroupCreateConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(0)
        .use_ratchet_tree_extension(false)
        .ciphersuite(suite.ciphersuite())
        .capabilities(capabilities(suite))
        .build();
    let mut group =
        MlsGroup::new(&anna.provider, &anna.key, &config, anna.credential.clone()).unwrap();
    let (later, members) = others.split_last().unwrap();
    let (_, welcome) =
        anna.commit(&mut group, members.iter().map(|phone| phone.package(suite)).collect());
    group.merge_pending_commit(&anna.provider).unwrap();
    let welcome = welcome.unwrap();
    let tree = group.export_ratchet_tree().tls_serialize_detached().unwrap();

    let mut join = Vec::new();
    let mut joined = Vec::new();
    for phone in members.iter().take(rounds) {
        let (time, group) = timed(|| phone.join(&welcome, &tree));
        join.push(time);
        joined.push((phone, group));
    }
    let commit = (0..rounds).map(|_| {
        group.clear_pending_commit(anna.provider.storage()).unwrap();
        timed(|| anna.commit(&mut group, Vec::new())).0
    });
    let commit = commit.collect();
    group.clear_pending_commit(anna.provider.storage()).unwrap();
    let (message, _) = anna.commit(&mut group, vec![later.package(suite)]);
    let process =
        joined.iter_mut().map(|(phone, group)| timed(|| phone.process(group, &message)).0);
    let process = process.collect();
    let [commit, join, process] = [commit, join, process].map(Times::of);
    Measured { commit, join, process }
}

fn capabilities(suite: Suite) -> Capabilities {
    Capabilities::builder().ciphersuites(vec![suite.ciphersuite()]).build()
}

fn timed<T>(job: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let made = job();
    (began.elapsed(), made)
}
