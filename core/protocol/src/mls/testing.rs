//! Phones in memory, for the tests of this crate.

use openmls::prelude::{
    KeyPackage, LeafNodeIndex, LeafNodeParameters, MlsGroup, MlsMessageBodyIn, MlsMessageIn,
    ProcessedMessageContent, RatchetTreeIn, StagedWelcome,
};
use openmls_traits::OpenMlsProvider as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tls_codec::Deserialize as _;

use crate::crypto::{Secret, SigningKey};
use crate::ids::{
    CompanyId, DeviceId, Digest, Gen, KeyId, LeafIndex, LogId, LogNo, TimeMs, UserId,
};
use crate::mls::certificate::{CertificateFacts, DeviceCertificate};
use crate::mls::extension::GroupBinding;
use crate::mls::member::{self, Suite};
use crate::mls::storage::{MemoryBackend, Provider};

/// The company of all test phones.
pub const COMPANY: CompanyId = CompanyId([0xC0; 16]);

/// The company's issuing key.
pub fn issuing_key() -> SigningKey {
    SigningKey::from_seed(Secret::new([0xCA; 32]))
}

/// The binding of the log that most tests use.
pub fn binding() -> GroupBinding {
    GroupBinding {
        log: LogId([0x10; 16]),
        log_no: LogNo(7),
        r#gen: Gen(0),
        genesis: Digest([0x11; 32]),
        id_a: KeyId([0xA; 16]),
        id_b: KeyId([0xB; 16]),
    }
}

/// What a commit is to do, besides making the committer's own leaf anew.
#[derive(Debug, Default)]
pub struct Change {
    pub adds: Vec<KeyPackage>,
    pub removes: Vec<LeafIndex>,
    pub rebinds: Option<GroupBinding>,
}

/// An own commit, which is pending in the group, and what goes with it; each an MLSMessage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCommit {
    pub commit: Vec<u8>,
    pub group_info: Vec<u8>,
    pub welcome: Option<Vec<u8>>,
}

/// A phone: device n of user u.
pub struct Phone {
    pub provider: Provider<MemoryBackend>,
    pub key: SigningKey,
    pub certificate: DeviceCertificate,
    pub user: UserId,
    pub device: DeviceId,
    pub group: Option<MlsGroup>,
}

impl Phone {
    pub fn new(user: u8, device: u8) -> Self {
        let key = SigningKey::from_seed(Secret::new([device; 32]));
        let facts = CertificateFacts {
            company: COMPANY,
            user: UserId([user; 16]),
            device: DeviceId([device; 16]),
            signature_key: key.public(),
            serial: [device; 16],
            not_before_s: 0,
            not_after_s: 4_000_000_000,
        };
        let certificate = DeviceCertificate::issue(&issuing_key(), facts).unwrap();
        let mut rng = StdRng::seed_from_u64(u64::from(device));
        let provider = Provider::new(MemoryBackend::default(), &mut rng);
        Self { provider, key, certificate, user: facts.user, device: facts.device, group: None }
    }

    pub fn package(&self, suite: Suite, made_t_ms: TimeMs) -> KeyPackage {
        let credential = self.certificate.credential();
        let package =
            member::key_package(&self.provider, suite, &self.key, credential, made_t_ms, false);
        let bytes = member::key_package_bytes(package.unwrap().key_package());
        member::parse_key_package(&bytes).unwrap()
    }

    /// Begins a group; returns the base.
    pub fn create(&mut self, suite: Suite, binding: &GroupBinding) -> Vec<u8> {
        let config = member::create_config(suite, binding);
        let credential = self.certificate.credential();
        let id = binding.group_id();
        // What was begun under this id and came to nothing goes.
        if let Some(mut earlier) = MlsGroup::load(self.provider.storage(), &id).unwrap() {
            earlier.delete(self.provider.storage()).unwrap();
        }
        let group = MlsGroup::new_with_group_id(&self.provider, &self.key, &config, id, credential)
            .unwrap();
        self.group = Some(group);
        self.group_info(true)
    }

    pub fn group(&mut self) -> &mut MlsGroup {
        self.group.as_mut().unwrap()
    }

    pub fn commit(&mut self, change: Change) -> OwnCommit {
        let group = self.group.as_mut().unwrap();
        let removes = change.removes.into_iter().map(|leaf| LeafNodeIndex::new(leaf.0));
        let mut builder = group
            .commit_builder()
            .force_self_update(true)
            .propose_adds(change.adds)
            .propose_removals(removes);
        if let Some(binding) = change.rebinds {
            builder = builder.propose_group_context_extensions(binding.extensions()).unwrap();
        }
        let (rand, crypto) = (self.provider.rand(), self.provider.crypto());
        let bundle = builder
            .load_psks(self.provider.storage())
            .unwrap()
            .create_group_info(true)
            .build(rand, crypto, &self.key, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        let (commit, welcome, group_info) = bundle.into_messages();
        OwnCommit {
            commit: member::message_bytes(&commit),
            group_info: member::message_bytes(&group_info.unwrap()),
            welcome: welcome.as_ref().map(member::message_bytes),
        }
    }

    /// Adds these phones; their packages are made now.
    pub fn adding(&mut self, others: &[&Phone], made_t_ms: TimeMs) -> OwnCommit {
        let code = self.group().ciphersuite() as u16;
        let suite = Suite::from_code(code).unwrap();
        let adds = others.iter().map(|phone| phone.package(suite, made_t_ms)).collect();
        self.commit(Change { adds, ..Change::default() })
    }

    pub fn removing(&mut self, leaves: &[u32]) -> OwnCommit {
        let removes = leaves.iter().copied().map(LeafIndex).collect();
        self.commit(Change { removes, ..Change::default() })
    }

    /// Drops the own pending commit.
    pub fn forget(&mut self) {
        let storage = self.provider.storage();
        self.group.as_mut().unwrap().clear_pending_commit(storage).unwrap();
    }

    /// Takes the own pending commit; X of the new epoch.
    pub fn merge_own(&mut self) -> Vec<u8> {
        let group = self.group.as_mut().unwrap();
        let secret = member::exported_secret_of_pending(group, &self.provider).unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        secret.to_vec()
    }

    /// Takes another's commit; X of the new epoch.
    pub fn process(&mut self, commit: &[u8]) -> Vec<u8> {
        let message = MlsMessageIn::tls_deserialize_exact(commit).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let group = self.group.as_mut().unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(mut staged) = processed.into_content()
        else {
            panic!("not a commit");
        };
        let secret = member::exported_secret_of_staged(&mut staged).unwrap();
        group.merge_staged_commit(&self.provider, *staged).unwrap();
        secret.to_vec()
    }

    /// Joins by a Welcome; X of the epoch.
    pub fn join(&mut self, welcome: &[u8], tree: &[u8]) -> Vec<u8> {
        let message = MlsMessageIn::tls_deserialize_exact(welcome).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { panic!("not a Welcome") };
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).unwrap();
        let staged =
            StagedWelcome::build_from_welcome(&self.provider, &member::join_config(), welcome)
                .unwrap()
                .with_ratchet_tree(tree)
                .skip_lifetime_validation()
                .build()
                .unwrap();
        let mut group = staged.into_group(&self.provider).unwrap();
        let secret = member::exported_secret(&mut group, &self.provider).unwrap();
        self.group = Some(group);
        secret.to_vec()
    }

    /// GroupInfo of the epoch that this phone is in.
    pub fn group_info(&self, with_tree: bool) -> Vec<u8> {
        let group = self.group.as_ref().unwrap();
        let info = group.export_group_info(self.provider.crypto(), &self.key, with_tree).unwrap();
        member::message_bytes(&info)
    }

    /// Enters from outside by a GroupInfo and the tree; X of the new epoch. OpenMLS merges at once, so
    /// this phone is in the new epoch whatever the server says (docs/attacks.md 18).
    pub fn enter(&mut self, group_info: &[u8], tree: &[u8]) -> (OwnCommit, Vec<u8>) {
        let info = crate::mls::public::parse_group_info(group_info).unwrap();
        let (rand, crypto) = (self.provider.rand(), self.provider.crypto());
        let leaf = LeafNodeParameters::builder().with_capabilities(member::capabilities()).build();
        let (mut group, bundle) = MlsGroup::external_commit_builder()
            .with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact(tree).unwrap())
            .with_config(member::join_config())
            .skip_lifetime_validation()
            .build_group(&self.provider, info, self.certificate.credential())
            .unwrap()
            .leaf_node_parameters(leaf)
            .load_psks(self.provider.storage())
            .unwrap()
            .create_group_info(true)
            .build(rand, crypto, &self.key, |_| true)
            .unwrap()
            .finalize(&self.provider)
            .unwrap();
        let (commit, _, group_info) = bundle.into_messages();
        let own = OwnCommit {
            commit: member::message_bytes(&commit),
            group_info: member::message_bytes(&group_info.unwrap()),
            welcome: None,
        };
        let secret = member::exported_secret(&mut group, &self.provider).unwrap();
        self.group = Some(group);
        (own, secret.to_vec())
    }

    /// As after a restart: the group from its storage.
    pub fn reload(&mut self) {
        let id = self.group().group_id().clone();
        self.group = MlsGroup::load(self.provider.storage(), &id).unwrap();
    }
}
