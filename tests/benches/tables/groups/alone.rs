//! OpenMLS alone, on the terms of a phone: leaves with device certificates, our suites and policies,
//! and its state in the phone's own SQLCipher database, read before and stored after each operation
//! in one transaction. Nothing of ours is in it but the storage provider.

use std::time::{Duration, Instant};

use hauspost_core::group::Member;
use hauspost_core::inbound::Me;
use hauspost_core::store::rows::mls::MlsTable;
use hauspost_core::store::{Store, StoreError};
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::ids::{DeviceId, Digest, Gen, KeyId, LogId, LogNo, UserId};
use hauspost_protocol::mls::certificate::{CertificateFacts, DeviceCertificate};
use hauspost_protocol::mls::extension::GroupBinding;
use hauspost_protocol::mls::member::{
    Suite, create_config, join_config, key_package, message_bytes,
};
use hauspost_protocol::mls::storage::{MemoryBackend, Provider};
use openmls::group::{JoinBuilder, ProcessedWelcome};
use openmls::prelude::*;
use openmls_traits::OpenMlsProvider;
use rand::rngs::StdRng;
use tls_codec::{Deserialize as _, Serialize as _};

use super::{Measured, ROUNDS};
use crate::log::PhoneLog;
use crate::table::Times;
use crate::world::{Phone, now_ms};

type OnDisk<'t, 'c> = Provider<MlsTable<'t, 'c>>;

/// Whose database and keys are used.
struct Device {
    store: Store,
    me: std::sync::Arc<Me>,
}

impl Device {
    async fn of(phone: &Phone, log: LogId) -> Self {
        let PhoneLog { store, me, .. } = PhoneLog::open(phone, log).await;
        Self { store, me }
    }

    /// Runs this in one transaction over the stored state; the time from the call to its answer.
    async fn run<T: Send + 'static>(
        &self,
        to_disk: bool,
        job: impl FnOnce(&OnDisk<'_, '_>, Member<'_>) -> T + Send + 'static,
    ) -> (Duration, T) {
        let me = self.me.clone();
        let began = Instant::now();
        let done = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                let mut rng: StdRng = rand::make_rng();
                if to_disk {
                    tx.flush();
                }
                Ok(job(&Provider::new(MlsTable(tx), &mut rng), me.member()))
            })
            .await
            .unwrap();
        (began.elapsed(), done)
    }

    async fn package(&self, suite: Suite) -> KeyPackage {
        self.run(false, move |provider, member| package(provider, member, suite)).await.1
    }
}

fn package<P: OpenMlsProvider>(provider: &P, member: Member<'_>, suite: Suite) -> KeyPackage {
    let credential = member.certificate.credential();
    let made = key_package(provider, suite, member.key, credential, now_ms(), false);
    made.unwrap().key_package().clone()
}

/// A member who does nothing: its key package is all that there is of it.
fn quiet(suite: Suite, number: usize) -> KeyPackage {
    let mut rng: StdRng = rand::make_rng();
    let key = SigningKey::random(&mut rng);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let facts = CertificateFacts {
        company: hauspost_protocol::ids::CompanyId([1; 16]),
        user: UserId(id),
        device: DeviceId(id),
        signature_key: key.public(),
        serial: [0x40; 16],
        not_before_s: 0,
        not_after_s: 4_000_000_000,
    };
    let certificate = DeviceCertificate::issue(&SigningKey::random(&mut rng), facts).unwrap();
    let provider = Provider::new(MemoryBackend::default(), &mut rng);
    package(&provider, Member { key: &key, certificate: &certificate }, suite)
}

fn load<P: OpenMlsProvider>(provider: &P, id: &GroupId) -> MlsGroup {
    MlsGroup::load(provider.storage(), id).ok().unwrap().unwrap()
}

/// A commit that renews the own leaf and adds these, pending.
fn commit<P: OpenMlsProvider>(
    provider: &P,
    member: Member<'_>,
    group: &mut MlsGroup,
    adds: Vec<KeyPackage>,
) -> (Vec<u8>, Option<Vec<u8>>) {
    let stage = group
        .commit_builder()
        .force_self_update(true)
        .propose_adds(adds)
        .load_psks(provider.storage())
        .unwrap()
        .create_group_info(true)
        .use_ratchet_tree_extension(false)
        .build(provider.rand(), provider.crypto(), member.key, |_| true)
        .unwrap();
    let Ok(bundle) = stage.stage_commit(provider) else { panic!("the commit is staged") };
    let (message, welcome, info) = bundle.into_messages();
    assert!(message_bytes(&info.unwrap()).len() > 1);
    (message_bytes(&message), welcome.map(|welcome| message_bytes(&welcome)))
}

fn join<P: OpenMlsProvider>(provider: &P, welcome: &[u8], tree: &[u8]) {
    let welcome = MlsMessageIn::tls_deserialize_exact(welcome).unwrap();
    let MlsMessageBodyIn::Welcome(welcome) = welcome.extract() else { unreachable!() };
    let tree = RatchetTreeIn::tls_deserialize_exact(tree).unwrap();
    let processed = ProcessedWelcome::new_from_welcome(provider, &join_config(), welcome);
    let staged = JoinBuilder::new(provider, processed.ok().unwrap())
        .with_ratchet_tree(tree)
        .skip_lifetime_validation()
        .build()
        .ok()
        .unwrap();
    assert!(staged.into_group(provider).is_ok());
}

fn process<P: OpenMlsProvider>(provider: &P, id: &GroupId, message: &[u8]) {
    let mut group = load(provider, id);
    let message = MlsMessageIn::tls_deserialize_exact(message).unwrap();
    let message = message.try_into_protocol_message().unwrap();
    let processed = group.process_message(provider, message).ok().unwrap();
    let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
        unreachable!()
    };
    group.merge_staged_commit(provider, *staged).ok().unwrap();
}

pub async fn measure(phones: &[Phone], size: usize, suite: Suite) -> Measured {
    let (mut commits, mut joins, mut processed) = (vec![], vec![], vec![]);
    let (anna, others) = phones.split_first().unwrap();
    // As many groups as it takes that each of them joins once.
    for (number, with) in others[..ROUNDS].chunks(size - 1).enumerate() {
        let mut log = [0xee; 16];
        log[..8].copy_from_slice(&size.to_be_bytes());
        log[8..].copy_from_slice(&number.to_be_bytes());
        let (log, key) = (LogId(log), KeyId([1; 16]));
        let (genesis, number) = (Digest([0; 32]), LogNo(1));
        let binding =
            GroupBinding { log, log_no: number, r#gen: Gen(0), genesis, id_a: key, id_b: key };
        let anna = Device::of(anna, log).await;
        let mut others = Vec::new();
        for phone in with {
            others.push(Device::of(phone, log).await);
        }
        let group = Group { binding, suite, size, anna, others };
        let (commit, join, process) = group.measure().await;
        commits.extend(commit);
        joins.extend(join);
        processed.extend(process);
    }
    let [commit, join, process] = [commits, joins, processed].map(Times::of);
    Measured { commit, join, process }
}

struct Group {
    binding: GroupBinding,
    suite: Suite,
    size: usize,
    anna: Device,
    others: Vec<Device>,
}

impl Group {
    async fn measure(self) -> (Vec<Duration>, Vec<Duration>, Vec<Duration>) {
        let Self { binding, suite, size, anna, others } = self;
        let id = binding.group_id();
        let mut adds = Vec::new();
        for device in &others {
            adds.push(device.package(suite).await);
        }
        adds.extend((others.len() + 1..size).map(|number| quiet(suite, number)));
        let (_, (welcome, tree)) = anna
            .run(true, move |provider, member| {
                let config = create_config(suite, &binding);
                let (id, credential) = (binding.group_id(), member.certificate.credential());
                let group =
                    MlsGroup::new_with_group_id(provider, member.key, &config, id, credential);
                let mut group = group.ok().unwrap();
                let (_, welcome) = commit(provider, member, &mut group, adds);
                group.merge_pending_commit(provider).ok().unwrap();
                let tree = group.export_ratchet_tree().tls_serialize_detached().unwrap();
                (welcome.unwrap(), tree)
            })
            .await;
        let mut joins = Vec::new();
        for device in &others {
            let (welcome, tree) = (welcome.clone(), tree.clone());
            let joined = device.run(false, move |provider, _| join(provider, &welcome, &tree));
            joins.push(joined.await.0);
        }
        let mut commits = Vec::new();
        for _ in 0..ROUNDS {
            let of = id.clone();
            let made = anna.run(true, move |provider, member| {
                commit(provider, member, &mut load(provider, &of), Vec::new())
            });
            commits.push(made.await.0);
            let of = id.clone();
            // It is not sent, and not in the way of the next one.
            anna.run(false, move |provider, _| {
                load(provider, &of).clear_pending_commit(provider.storage()).ok().unwrap();
            })
            .await;
        }
        let of = id.clone();
        let (_, (message, _)) = anna
            .run(true, move |provider, member| {
                commit(provider, member, &mut load(provider, &of), vec![quiet(suite, size)])
            })
            .await;
        let mut processed = Vec::new();
        for device in &others {
            let (id, message) = (id.clone(), message.clone());
            let taken = device.run(false, move |provider, _| process(provider, &id, &message));
            processed.push(taken.await.0);
        }
        (commits, joins, processed)
    }
}
