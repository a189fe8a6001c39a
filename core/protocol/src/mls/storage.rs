//! OpenMLS' storage over any key-value store, so that MLS state changes in the same transaction as
//! everything else.
//!
//! [`KeyValueStorage`] turns OpenMLS' many typed calls into three on a [`Backend`]: get, put and
//! delete of bytes. On a phone the backend is a table of the running SQLCipher transaction; a
//! [`MemoryBackend`] keeps a server's public group as one blob, and an external commit until the
//! server took it (docs/attacks.md 18). [`Provider`] joins the storage with OpenMLS' cryptography.
//!
//! A key is one byte for the kind of value, then the encoding of OpenMLS' own key. Values are
//! MessagePack: self-describing, so that a later OpenMLS may add a field, and about a third of
//! JSON's size.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use rand::rngs::StdRng;
use rand::{CryptoRng, Rng as _, SeedableRng as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::encoding::{Bytes, FormError, decode, encode};
use crate::mls::crypto::Crypto;

/// A store of bytes under bytes. Methods take `&self`, as OpenMLS' do; a backend over a database
/// transaction needs no more, one in memory brings its own cell.
pub trait Backend {
    /// Why the store failed.
    type Error: std::error::Error + 'static;
    /// Whether anything put is kept; nothing is encoded for a backend that keeps nothing.
    const KEEPS: bool = true;
    /// The value under this key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;
    /// Puts a value under this key, instead of the one before.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Self::Error>;
    /// Removes the value under this key, if there is one.
    fn delete(&self, key: &[u8]) -> Result<(), Self::Error>;
}

impl<B: Backend> Backend for &B {
    type Error = B::Error;
    const KEEPS: bool = B::KEEPS;
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, B::Error> {
        (**self).get(key)
    }
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), B::Error> {
        (**self).put(key, value)
    }
    fn delete(&self, key: &[u8]) -> Result<(), B::Error> {
        (**self).delete(key)
    }
}

/// Keeps nothing, for what OpenMLS stores and nobody will read: the state is in memory already, and is
/// written down elsewhere, or later.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Backend for Nowhere {
    type Error = Infallible;
    const KEEPS: bool = false;
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(None)
    }
    fn put(&self, _: &[u8], _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
    fn delete(&self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Keys and values in memory, with a form in bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MemoryBackend(RefCell<BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>>);

impl MemoryBackend {
    /// All pairs as one blob.
    pub fn to_bytes(&self) -> Vec<u8> {
        let pairs = self.0.borrow();
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| (Bytes(key.clone()), Bytes(value.to_vec()))).collect();
        encode(&pairs)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormError> {
        let pairs: Vec<(Bytes, Bytes)> = decode(bytes)?;
        let pairs = pairs.into_iter().map(|(key, value)| (key.0, Zeroizing::new(value.0)));
        Ok(Self(RefCell::new(pairs.collect())))
    }

    /// Puts every pair into another backend: what was made here becomes real there.
    pub fn copy_into<B: Backend>(&self, backend: &B) -> Result<(), B::Error> {
        self.0.borrow().iter().try_for_each(|(key, value)| backend.put(key, value))
    }
}

impl std::fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryBackend({} values)", self.0.borrow().len())
    }
}

impl Backend for MemoryBackend {
    type Error = Infallible;
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.borrow().get(key).map(|value| value.to_vec()))
    }
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().insert(key.to_vec(), Zeroizing::new(value.to_vec()));
        Ok(())
    }
    fn delete(&self, key: &[u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().remove(key);
        Ok(())
    }
}

/// MLS state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError<E: std::error::Error + 'static> {
    /// The store itself failed.
    #[error("the store of MLS state failed")]
    Backend(#[source] E),
    /// A value that OpenMLS gave cannot be written.
    #[error("a value of MLS state cannot be encoded: {0:?}")]
    Encode(Table),
    /// A stored value is not what OpenMLS wrote.
    #[error("a stored value of MLS state cannot be decoded: {0:?}")]
    Decode(Table),
    /// The queue names a proposal that is not stored.
    #[error("a queued proposal is missing")]
    ProposalMissing,
}

/// Kinds of values, each the first byte of its keys. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// The settings of a group.
    JoinConfig = 1,
    /// Leaf nodes of own pending updates.
    OwnLeafNodes = 2,
    /// A queued proposal.
    Proposal = 3,
    /// The order of queued proposals.
    ProposalRefs = 4,
    /// The ratchet tree.
    Tree = 5,
    /// The interim transcript hash.
    InterimTranscriptHash = 6,
    /// The group context.
    Context = 7,
    /// The confirmation tag.
    ConfirmationTag = 8,
    /// Whether a commit is pending, and which.
    GroupState = 9,
    /// Secrets of MLS messages.
    MessageSecrets = 10,
    /// Resumption secrets.
    ResumptionPsks = 11,
    /// The own leaf.
    OwnLeafIndex = 12,
    /// The epoch's secrets.
    EpochSecrets = 13,
    /// A signature key pair.
    SignatureKeyPair = 14,
    /// A pair of encryption keys.
    EncryptionKeyPair = 15,
    /// The pairs of encryption keys on the own path.
    EpochKeyPairs = 16,
    /// A key package with its secrets.
    KeyPackage = 17,
    /// A pre-shared key.
    Psk = 18,
    /// The safe exporter's tree.
    ApplicationExportTree = 19,
}

/// OpenMLS' storage over a [`Backend`].
#[derive(Debug, Clone, Default)]
pub struct KeyValueStorage<B>(B);

type Outcome<T, B> = Result<T, StorageError<<B as Backend>::Error>>;

impl<B: Backend> KeyValueStorage<B> {
    /// A storage over this backend.
    pub fn new(backend: B) -> Self {
        Self(backend)
    }

    /// The backend.
    pub fn backend(&self) -> &B {
        &self.0
    }

    fn key(&self, table: Table, key: &impl Serialize) -> Outcome<Vec<u8>, B> {
        let mut bytes = vec![table as u8];
        rmp_serde::encode::write(&mut bytes, key).map_err(|_| StorageError::Encode(table))?;
        Ok(bytes)
    }

    fn put<V: Serialize + ?Sized>(
        &self,
        table: Table,
        key: &impl Serialize,
        value: &V,
    ) -> Outcome<(), B> {
        if !B::KEEPS {
            return Ok(());
        }
        let value = rmp_serde::to_vec_named(value).map_err(|_| StorageError::Encode(table))?;
        let value = Zeroizing::new(value);
        self.0.put(&self.key(table, key)?, &value).map_err(StorageError::Backend)
    }

    fn read<V: DeserializeOwned>(
        &self,
        table: Table,
        key: &impl Serialize,
    ) -> Outcome<Option<V>, B> {
        let value = self.0.get(&self.key(table, key)?).map_err(StorageError::Backend)?;
        let Some(value) = value.map(Zeroizing::new) else { return Ok(None) };
        rmp_serde::from_slice(&value).map(Some).map_err(|_| StorageError::Decode(table))
    }

    fn remove(&self, table: Table, key: &impl Serialize) -> Outcome<(), B> {
        self.0.delete(&self.key(table, key)?).map_err(StorageError::Backend)
    }

    fn list<V: DeserializeOwned>(&self, table: Table, key: &impl Serialize) -> Outcome<Vec<V>, B> {
        Ok(self.read(table, key)?.unwrap_or_default())
    }

    fn append<V: Serialize + DeserializeOwned>(
        &self,
        table: Table,
        key: &impl Serialize,
        value: &V,
    ) -> Outcome<(), B> {
        let values: Vec<V> = self.list(table, key)?;
        let values: Vec<&V> = values.iter().chain([value]).collect();
        self.put(table, key, &values)
    }
}

/// Methods of OpenMLS' trait that put, read or remove one value. `K` is the key, `V` the value;
/// their order is the trait's.
macro_rules! one_value {
    ($($op:ident $name:ident<$a:ident: $a_trait:ident $(, $b:ident: $b_trait:ident)?> = $table:ident;)+) => {
        $(one_value!(@$op $name $table; $a: traits::$a_trait<CURRENT_VERSION> $(, $b: traits::$b_trait<CURRENT_VERSION>)?);)+
    };
    (@put $name:ident $table:ident; $($generics:tt)+) => {
        fn $name<$($generics)+>(&self, key: &K, value: &V) -> Result<(), Self::Error> {
            self.put(Table::$table, key, value)
        }
    };
    (@read $name:ident $table:ident; $($generics:tt)+) => {
        fn $name<$($generics)+>(&self, key: &K) -> Result<Option<V>, Self::Error> {
            self.read(Table::$table, key)
        }
    };
    (@remove $name:ident $table:ident; $($generics:tt)+) => {
        fn $name<$($generics)+>(&self, key: &K) -> Result<(), Self::Error> {
            self.remove(Table::$table, key)
        }
    };
}

impl<B: Backend> StorageProvider<CURRENT_VERSION> for KeyValueStorage<B> {
    type Error = StorageError<B::Error>;

    one_value! {
        put write_mls_join_config<K: GroupId, V: MlsGroupJoinConfig> = JoinConfig;
        put write_tree<K: GroupId, V: TreeSync> = Tree;
        put write_interim_transcript_hash<K: GroupId, V: InterimTranscriptHash> = InterimTranscriptHash;
        put write_context<K: GroupId, V: GroupContext> = Context;
        put write_confirmation_tag<K: GroupId, V: ConfirmationTag> = ConfirmationTag;
        put write_group_state<V: GroupState, K: GroupId> = GroupState;
        put write_message_secrets<K: GroupId, V: MessageSecrets> = MessageSecrets;
        put write_resumption_psk_store<K: GroupId, V: ResumptionPskStore> = ResumptionPsks;
        put write_own_leaf_index<K: GroupId, V: LeafNodeIndex> = OwnLeafIndex;
        put write_group_epoch_secrets<K: GroupId, V: GroupEpochSecrets> = EpochSecrets;
        put write_application_export_tree<K: GroupId, V: ApplicationExportTree> = ApplicationExportTree;
        put write_signature_key_pair<K: SignaturePublicKey, V: SignatureKeyPair> = SignatureKeyPair;
        put write_encryption_key_pair<K: EncryptionKey, V: HpkeKeyPair> = EncryptionKeyPair;
        put write_key_package<K: HashReference, V: KeyPackage> = KeyPackage;
        put write_psk<K: PskId, V: PskBundle> = Psk;

        read mls_group_join_config<K: GroupId, V: MlsGroupJoinConfig> = JoinConfig;
        read tree<K: GroupId, V: TreeSync> = Tree;
        read interim_transcript_hash<K: GroupId, V: InterimTranscriptHash> = InterimTranscriptHash;
        read group_context<K: GroupId, V: GroupContext> = Context;
        read confirmation_tag<K: GroupId, V: ConfirmationTag> = ConfirmationTag;
        read group_state<V: GroupState, K: GroupId> = GroupState;
        read message_secrets<K: GroupId, V: MessageSecrets> = MessageSecrets;
        read resumption_psk_store<K: GroupId, V: ResumptionPskStore> = ResumptionPsks;
        read own_leaf_index<K: GroupId, V: LeafNodeIndex> = OwnLeafIndex;
        read group_epoch_secrets<K: GroupId, V: GroupEpochSecrets> = EpochSecrets;
        read application_export_tree<K: GroupId, V: ApplicationExportTree> = ApplicationExportTree;
        read signature_key_pair<K: SignaturePublicKey, V: SignatureKeyPair> = SignatureKeyPair;
        read encryption_key_pair<V: HpkeKeyPair, K: EncryptionKey> = EncryptionKeyPair;
        read key_package<K: HashReference, V: KeyPackage> = KeyPackage;
        read psk<V: PskBundle, K: PskId> = Psk;

        remove delete_own_leaf_nodes<K: GroupId> = OwnLeafNodes;
        remove delete_group_config<K: GroupId> = JoinConfig;
        remove delete_tree<K: GroupId> = Tree;
        remove delete_confirmation_tag<K: GroupId> = ConfirmationTag;
        remove delete_group_state<K: GroupId> = GroupState;
        remove delete_context<K: GroupId> = Context;
        remove delete_interim_transcript_hash<K: GroupId> = InterimTranscriptHash;
        remove delete_message_secrets<K: GroupId> = MessageSecrets;
        remove delete_all_resumption_psk_secrets<K: GroupId> = ResumptionPsks;
        remove delete_own_leaf_index<K: GroupId> = OwnLeafIndex;
        remove delete_group_epoch_secrets<K: GroupId> = EpochSecrets;
        remove delete_signature_key_pair<K: SignaturePublicKey> = SignatureKeyPair;
        remove delete_encryption_key_pair<K: EncryptionKey> = EncryptionKeyPair;
        remove delete_key_package<K: HashReference> = KeyPackage;
        remove delete_psk<K: PskId> = Psk;
        remove delete_application_export_tree<K: GroupId, V: ApplicationExportTree> = ApplicationExportTree;
    }

    fn append_own_leaf_node<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        leaf_node: &V,
    ) -> Result<(), Self::Error> {
        self.append(Table::OwnLeafNodes, group, leaf_node)
    }

    fn own_leaf_nodes<K: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<Vec<V>, Self::Error> {
        self.list(Table::OwnLeafNodes, group)
    }

    fn queue_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &R,
        proposal: &V,
    ) -> Result<(), Self::Error> {
        self.put(Table::Proposal, &(group, reference), proposal)?;
        self.append(Table::ProposalRefs, group, reference)
    }

    fn queued_proposal_refs<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<R>, Self::Error> {
        self.list(Table::ProposalRefs, group)
    }

    fn queued_proposals<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<(R, V)>, Self::Error> {
        let references: Vec<R> = self.list(Table::ProposalRefs, group)?;
        let proposal = |reference| {
            let proposal = self.read(Table::Proposal, &(group, &reference))?;
            Ok((reference, proposal.ok_or(StorageError::ProposalMissing)?))
        };
        references.into_iter().map(proposal).collect()
    }

    fn remove_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &R,
    ) -> Result<(), Self::Error> {
        let removed = self.key(Table::ProposalRefs, reference)?;
        let mut kept: Vec<R> = Vec::new();
        for queued in self.list::<R>(Table::ProposalRefs, group)? {
            if self.key(Table::ProposalRefs, &queued)? != removed {
                kept.push(queued);
            }
        }
        self.put(Table::ProposalRefs, group, &kept)?;
        self.remove(Table::Proposal, &(group, reference))
    }

    fn clear_proposal_queue<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<(), Self::Error> {
        for reference in self.list::<R>(Table::ProposalRefs, group)? {
            self.remove(Table::Proposal, &(group, reference))?;
        }
        self.remove(Table::ProposalRefs, group)
    }

    fn write_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf_index: u32,
        key_pairs: &[V],
    ) -> Result<(), Self::Error> {
        self.put(Table::EpochKeyPairs, &(group, epoch, leaf_index), key_pairs)
    }

    fn encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<Vec<V>, Self::Error> {
        self.list(Table::EpochKeyPairs, &(group, epoch, leaf_index))
    }

    fn delete_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<(), Self::Error> {
        self.remove(Table::EpochKeyPairs, &(group, epoch, leaf_index))
    }
}

/// What OpenMLS is given: cryptography, randomness and a storage.
///
/// Everything that OpenMLS draws comes from a generator seeded by the caller, but for the
/// encapsulations of HPKE, whose library seeds its own: two runs under one seed take the same
/// course, with other ciphertexts.
pub struct Provider<B: Backend> {
    crypto: Crypto,
    random: Randomness,
    storage: KeyValueStorage<B>,
}

impl<B: Backend> Provider<B> {
    /// A provider over this backend; its generator is seeded from `rng`.
    pub fn new(backend: B, rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self {
            crypto: Crypto::default(),
            random: Randomness(RefCell::new(StdRng::from_seed(*seed))),
            storage: KeyValueStorage::new(backend),
        }
    }

    /// The same with this cryptography, and what it remembers.
    #[must_use]
    pub fn with_crypto(self, crypto: Crypto) -> Self {
        Self { crypto, ..self }
    }

    /// The same without a storage, for a step of OpenMLS whose state a later one stores again.
    pub fn unstored(&self) -> Unstored<'_, B> {
        Unstored { provider: self, storage: KeyValueStorage::new(Nowhere) }
    }

    /// The backend below the storage.
    pub fn backend(&self) -> &B {
        self.storage.backend()
    }
}

impl<B: Backend> OpenMlsProvider for Provider<B> {
    type CryptoProvider = Crypto;
    type RandProvider = Randomness;
    type StorageProvider = KeyValueStorage<B>;

    fn storage(&self) -> &KeyValueStorage<B> {
        &self.storage
    }
    fn crypto(&self) -> &Crypto {
        &self.crypto
    }
    fn rand(&self) -> &Randomness {
        &self.random
    }
}

/// A [`Provider`] that stores nothing.
pub struct Unstored<'a, B: Backend> {
    provider: &'a Provider<B>,
    storage: KeyValueStorage<Nowhere>,
}

impl<B: Backend> OpenMlsProvider for Unstored<'_, B> {
    type CryptoProvider = Crypto;
    type RandProvider = Randomness;
    type StorageProvider = KeyValueStorage<Nowhere>;

    fn storage(&self) -> &KeyValueStorage<Nowhere> {
        &self.storage
    }
    fn crypto(&self) -> &Crypto {
        &self.provider.crypto
    }
    fn rand(&self) -> &Randomness {
        &self.provider.random
    }
}

/// The generator behind a [`Provider`].
pub struct Randomness(RefCell<StdRng>);

impl OpenMlsRand for Randomness {
    type Error = Infallible;
    fn random_array<const N: usize>(&self) -> Result<[u8; N], Infallible> {
        let mut bytes = [0; N];
        self.0.borrow_mut().fill_bytes(&mut bytes);
        Ok(bytes)
    }
    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Infallible> {
        let mut bytes = vec![0; len];
        self.0.borrow_mut().fill_bytes(&mut bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
