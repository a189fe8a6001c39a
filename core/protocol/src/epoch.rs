//! The keys of an epoch: from MLS' exported secret to the key of one record.
//!
//! MLS agrees the epoch (RFC 9420); its safe exporter gives X, once. From X and the epoch's context
//! comes the epoch's secret E, from E one chain for each member's leaf, from a chain one key for
//! each record. The archive reaches E through the capsule, so members and archive open the very
//! same bytes. Beside E, and out of the archive's reach, X gives the key of hints. All of it:
//! docs/protocol.md §4.

use std::collections::BTreeMap;

use crate::array_item;
use crate::crypto::{Context, Secret};
use crate::encoding::{FormError, Item, Reader, Writer, encode};
use crate::ids::{Digest, Epoch, Gen, LeafIndex, LogId, RecordIndex};

/// The component of the safe exporter that X comes from (draft-ietf-mls-extensions).
pub const EXPORTER_COMPONENT: u16 = 0x8A01;

array_item! {
    /// What an epoch's keys are bound to.
    ///
    /// MLS' exporter takes no context of ours, and its draft still moves; so log, generation, epoch
    /// and group context enter here, and a key under another of them is another key (docs/attacks.md 14).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct EpochContext {
        /// The conversation's log.
        pub log: LogId,
        /// The generation of its MLS group.
        pub r#gen: Gen,
        /// The epoch.
        pub epoch: Epoch,
        /// SHA-256 of the epoch's GroupContext.
        pub ga: Digest,
    }
}

/// E, the secret of one epoch. Whoever holds it opens every record of the epoch; it is erased as
/// soon as chains and capsule are made from it.
#[derive(Debug)]
pub struct EpochSecret {
    secret: Secret,
    context: EpochContext,
}

impl EpochSecret {
    /// E = KDF(HKDF-Extract(salt "hauspost/1 epoch", X), "E", ctx).
    ///
    /// X is what the safe exporter gave for [`EXPORTER_COMPONENT`], of whatever length the group's
    /// suite has.
    pub fn from_exporter(exported: &[u8], context: EpochContext) -> Self {
        let secret = Secret::extract("hauspost/1 epoch", &[exported])
            .derive("E", Context::Bytes(&encode(&context)));
        Self { secret, context }
    }

    /// E as it came out of a capsule; only `capsule` may believe such bytes, since it recomputes.
    pub(crate) fn from_capsule(secret: Secret, context: EpochContext) -> Self {
        Self { secret, context }
    }

    /// What the epoch is bound to.
    pub fn context(&self) -> &EpochContext {
        &self.context
    }

    /// The chain of one leaf, at its first record.
    pub fn chain(&self, leaf: LeafIndex) -> Chain {
        let context = encode(&(encoded(&self.context), leaf));
        let secret = self.secret.derive("chain", Context::Bytes(&context));
        Chain { secret, index: RecordIndex(0) }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// A context as the byte string that it is inside another list: nothing is ever spliced in.
pub(crate) fn encoded(context: &EpochContext) -> crate::encoding::Bytes {
    encode(context).into()
}

/// The chain of one member's leaf in one epoch, at the record that it will seal or open next.
///
/// A chain moves forward only: the secret that a key came from is gone with the step, so that a
/// phone taken tomorrow does not open yesterday's mail. Its encoding is for the phone's own store.
///
/// Source: docs/protocol.md §4; the ratchet is RFC 9420 §9.1 with one generation kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    secret: Secret,
    index: RecordIndex,
}

impl Chain {
    /// The number of the record whose key comes next.
    pub fn index(&self) -> RecordIndex {
        self.index
    }

    /// The key of the next record, and the chain after it.
    #[must_use]
    pub fn advance(self) -> (RecordKey, Self) {
        let key = self.key();
        let number = u64::from(self.index.0);
        let secret = self.secret.derive("next", Context::Number(number));
        // A head cannot carry an index of 2³², so what a chain would seal after it is refused; the
        // secret moves on all the same, and no key comes twice.
        (key, Self { secret, index: RecordIndex(self.index.0.wrapping_add(1)) })
    }

    /// The key of the next record, without moving: for the notification process, which never
    /// writes, and for a sender whose record may be refused and sealed again.
    pub fn key(&self) -> RecordKey {
        RecordKey(self.secret.derive("record", Context::Number(u64::from(self.index.0))))
    }
}

impl Item for Chain {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        self.index.write(to);
        self.secret.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(2, |from| Ok(Self { index: Item::read(from)?, secret: Item::read(from)? }))
    }
}

/// The chains of one epoch for a reader who holds its secret and walks along the log: the council,
/// an auditor, a verifier with an opened capsule.
#[derive(Debug)]
pub struct Chains {
    epoch: EpochSecret,
    chains: BTreeMap<LeafIndex, Chain>,
}

impl Chains {
    /// All chains of an epoch, each at its first record.
    pub fn new(epoch: EpochSecret) -> Self {
        Self { epoch, chains: BTreeMap::new() }
    }

    /// The key of the record that comes next in its leaf's chain.
    ///
    /// A record with any other index has no key here and moves nothing: the server accepts none
    /// (docs/protocol.md §7, S6), and no index may make a reader hash for hours (docs/attacks.md 23).
    pub fn take(&mut self, leaf: LeafIndex, index: RecordIndex) -> Option<RecordKey> {
        let chain = self.chains.remove(&leaf).unwrap_or_else(|| self.epoch.chain(leaf));
        if chain.index != index {
            self.chains.insert(leaf, chain);
            return None;
        }
        let (key, next) = chain.advance();
        self.chains.insert(leaf, next);
        Some(key)
    }
}

/// K, the key of one record. It opens that record and nothing else, so it is what a history grant
/// and an archive opening hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKey(Secret);

impl RecordKey {
    /// Ke, the cipher's key.
    pub(crate) fn encryption(&self) -> Secret {
        self.0.derive("enc", Context::Bytes(&[]))
    }

    /// Kn, the key of the synthetic nonce.
    pub(crate) fn nonce(&self) -> Secret {
        self.0.derive("nonce", Context::Bytes(&[]))
    }
}

impl Item for RecordKey {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Secret::read(from).map(Self)
    }
}

/// N, the key that seals the hints of one epoch: who is typing, who was last there.
///
/// It comes from X beside E and not from E, so that nobody who opens capsules opens hints: they are how
/// people behave and not what they said (legal.md L-24). Its encoding is for the phone's own store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HintKey(RecordKey);

impl HintKey {
    /// N = KDF(HKDF-Extract(salt "hauspost/1 hints", X), "hints", ctx).
    pub fn from_exporter(exported: &[u8], context: &EpochContext) -> Self {
        let secret = Secret::extract("hauspost/1 hints", &[exported])
            .derive("hints", Context::Bytes(&encode(context)));
        Self(RecordKey(secret))
    }

    /// The key as the cipher takes it: its halves are derived as those of a record's key.
    pub(crate) fn sealing(&self) -> &RecordKey {
        &self.0
    }
}

impl Item for HintKey {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        RecordKey::read(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::decode;

    fn context() -> EpochContext {
        EpochContext { log: LogId([1; 16]), r#gen: Gen(0), epoch: Epoch(1), ga: Digest([2; 32]) }
    }

    fn first_key(context: EpochContext, leaf: u32) -> RecordKey {
        EpochSecret::from_exporter(&[9; 32], context).chain(LeafIndex(leaf)).advance().0
    }

    #[test]
    fn the_same_export_gives_other_keys_in_each_log_generation_epoch_group_and_leaf() {
        let base = context();
        let keys = [
            first_key(base, 0),
            first_key(base, 1),
            first_key(EpochContext { log: LogId([3; 16]), ..base }, 0),
            first_key(EpochContext { r#gen: Gen(1), ..base }, 0),
            first_key(EpochContext { epoch: Epoch(2), ..base }, 0),
            first_key(EpochContext { ga: Digest([3; 32]), ..base }, 0),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "key {i} occurs twice");
        }
    }

    #[test]
    fn an_export_of_48_bytes_is_taken_whole() {
        let longer = EpochSecret::from_exporter(&[9; 48], context());
        let shorter = EpochSecret::from_exporter(&[9; 32], context());
        assert_ne!(longer.secret, shorter.secret);
    }

    #[test]
    fn each_step_of_a_chain_gives_a_new_key_and_looking_ahead_does_not_move_it() {
        let mut chain = EpochSecret::from_exporter(&[9; 32], context()).chain(LeafIndex(0));
        let mut keys = Vec::new();
        for i in 0..10 {
            assert_eq!(chain.index(), RecordIndex(i));
            assert_eq!(chain.key(), chain.key());
            let (key, next) = chain.clone().advance();
            assert_eq!(key, chain.key());
            assert!(!keys.contains(&key));
            keys.push(key);
            chain = next;
        }
    }

    #[test]
    fn a_chain_from_the_store_goes_on_where_it_stopped() {
        let chain = EpochSecret::from_exporter(&[9; 32], context()).chain(LeafIndex(7)).advance().1;
        let stored: Chain = decode(&encode(&chain)).unwrap();
        assert_eq!(stored.index(), RecordIndex(1));
        assert_eq!(stored.advance(), chain.advance());
    }

    #[test]
    fn a_reader_of_the_whole_epoch_gets_the_key_that_comes_next_and_no_other() {
        let epoch = || EpochSecret::from_exporter(&[9; 32], context());
        let (leaf, other) = (LeafIndex(3), LeafIndex(4));
        let mut chains = Chains::new(epoch());
        let (first, next) = epoch().chain(leaf).advance();
        assert_eq!(chains.take(leaf, RecordIndex(0)), Some(first));
        assert_eq!(chains.take(leaf, RecordIndex(0)), None, "a key comes once");
        assert_eq!(chains.take(leaf, RecordIndex(u32::MAX)), None, "nothing is hashed for a gap");
        assert_eq!(chains.take(other, RecordIndex(0)), Some(epoch().chain(other).key()));
        assert_eq!(chains.take(leaf, RecordIndex(1)), Some(next.key()));
    }

    #[test]
    fn the_key_of_hints_is_another_in_each_epoch_and_none_that_the_archive_reaches() {
        let key = HintKey::from_exporter(&[9; 32], &context());
        let other = EpochContext { epoch: Epoch(2), ..context() };
        assert_ne!(key, HintKey::from_exporter(&[9; 32], &other));
        assert_ne!(key, HintKey::from_exporter(&[8; 32], &context()));
        let epoch = EpochSecret::from_exporter(&[9; 32], context());
        // Whoever opens a capsule has E, and what is derived from it with the same words is not N.
        let from_e = epoch.secret.derive("hints", Context::Bytes(&encode(&context())));
        assert_ne!(key, HintKey(RecordKey(from_e)));
        assert_eq!(decode::<HintKey>(&encode(&key)).unwrap(), key);
    }

    #[test]
    fn no_secret_is_shown_by_debug() {
        let epoch = EpochSecret::from_exporter(&[9; 32], context());
        let chain = epoch.chain(LeafIndex(0));
        let hints = HintKey::from_exporter(&[9; 32], &context());
        let text = format!("{epoch:?} {chain:?} {:?} {hints:?}", chain.key());
        assert_eq!(text.matches("Secret(…)").count(), 4, "{text}");
    }
}
