//! OpenMLS' cryptography, which checks no signature twice.
//!
//! MLS checks the signature of every leaf in a tree that somebody joins by, and those of a commit's key
//! packages, one by one. Whether a signature holds is a function of bytes and of nothing else, so
//! [`Crypto`] remembers those that held. Whose key it is, and whether that device may still use it, is
//! not its business: the company log is asked each time.
//!
//! [`Crypto::verify_ahead`] checks the key packages of a large commit on all processors, before MLS asks
//! for them one by one, and [`Crypto::verify_tree_ahead`] the leaves of a large tree. What they do not
//! find in the bytes, MLS checks itself: nothing depends on it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig,
    HpkeKeyPair, KemOutput, SignatureScheme,
};
use rayon::prelude::*;
use tls_codec::SecretVLBytes;

use crate::crypto::sha256;
use crate::ids::Digest;
use crate::limits;
use crate::mls::signatures::{Signed, in_key_packages, in_tree};

/// Signatures that are remembered: two for each leaf of the largest group, and a few besides.
const REMEMBERED: usize = 2 * limits::LEAVES + 48;
/// Below so many, waking other threads takes longer than verifying.
const WORTH_SHARING: usize = 8;

/// OpenMLS' cryptography with a memory of signatures that held. A clone shares the memory.
#[derive(Debug, Clone, Default)]
pub struct Crypto(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    crypto: RustCrypto,
    held: Mutex<HashSet<Digest>>,
    /// Whether every signature is said to hold.
    believes: bool,
}

impl Crypto {
    /// Says of every signature that it holds, for what something else proves
    /// ([`Unproven`](crate::mls::public::Unproven)).
    pub(super) fn believing() -> Self {
        Self(Arc::new(Shared { believes: true, ..Shared::default() }))
    }

    /// Verifies the signatures of the key packages that this commit (an MLSMessage) adds by, if there
    /// are many, and remembers those that hold.
    pub fn verify_ahead(&self, mls_message: &[u8]) {
        self.verify_all(&in_key_packages(mls_message));
    }

    /// The same for the signatures of the leaves of this ratchet tree, as it travels.
    pub fn verify_tree_ahead(&self, group_id: &[u8], tree: &[u8]) {
        self.verify_all(&in_tree(group_id, tree));
    }

    fn verify_all(&self, signed: &[Signed<'_>]) {
        if signed.len() < WORTH_SHARING {
            return;
        }
        let holds = |signed: &Signed<'_>| {
            let Signed { key, content, signature } = signed;
            let (scheme, crypto) = (SignatureScheme::ED25519, &self.0.crypto);
            let verdict = crypto.verify_signature(scheme, content, key, signature);
            verdict.is_ok().then(|| name(content, key, signature))
        };
        let held: Vec<_> = signed.par_iter().filter_map(holds).collect();
        self.remember(held);
    }

    fn remember(&self, names: impl IntoIterator<Item = Digest>) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(held.len());
        held.extend(names.into_iter().take(room));
    }

    fn has_held(&self, name: &Digest) -> bool {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

/// The hash of everything that decides whether an Ed25519 signature holds.
fn name(content: &[u8], key: &[u8], signature: &[u8]) -> Digest {
    let lengths = [key, signature].map(|part| (part.len() as u64).to_be_bytes());
    sha256(&[&lengths[0], &lengths[1], key, signature, content].concat())
}

impl OpenMlsCrypto for Crypto {
    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if self.0.believes {
            return Ok(());
        }
        if alg != SignatureScheme::ED25519 {
            return self.0.crypto.verify_signature(alg, data, pk, signature);
        }
        let name = name(data, pk, signature);
        if self.has_held(&name) {
            return Ok(());
        }
        self.0.crypto.verify_signature(alg, data, pk, signature)?;
        self.remember([name]);
        Ok(())
    }

    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        self.0.crypto.supports(ciphersuite)
    }
    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.0.crypto.supported_ciphersuites()
    }
    fn hkdf_extract(
        &self,
        hash_type: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.crypto.hkdf_extract(hash_type, salt, ikm)
    }
    fn hmac(
        &self,
        hash_type: HashType,
        key: &[u8],
        message: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.crypto.hmac(hash_type, key, message)
    }
    fn hkdf_expand(
        &self,
        hash_type: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.crypto.hkdf_expand(hash_type, prk, info, okm_len)
    }
    fn hash(&self, hash_type: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.crypto.hash(hash_type, data)
    }
    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.crypto.aead_encrypt(alg, key, data, nonce, aad)
    }
    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.crypto.aead_decrypt(alg, key, ct_tag, nonce, aad)
    }
    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.0.crypto.signature_key_gen(alg)
    }
    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.crypto.sign(alg, data, key)
    }
    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.0.crypto.hpke_seal(config, pk_r, info, aad, ptxt)
    }
    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.crypto.hpke_open(config, input, sk_r, info, aad)
    }
    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        let crypto = &self.0.crypto;
        crypto.hpke_setup_sender_and_export(config, pk_r, info, exporter_context, exporter_length)
    }
    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        let (crypto, context) = (&self.0.crypto, exporter_context);
        crypto.hpke_setup_receiver_and_export(config, enc, sk_r, info, context, exporter_length)
    }
    fn derive_hpke_keypair(
        &self,
        config: HpkeConfig,
        ikm: &[u8],
    ) -> Result<HpkeKeyPair, CryptoError> {
        self.0.crypto.derive_hpke_keypair(config, ikm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Secret, SigningKey};
    use crate::ids::Seq;
    use crate::mls::member::Suite;
    use crate::mls::public::Follower;
    use crate::mls::testing::{Phone, binding};

    const SCHEME: SignatureScheme = SignatureScheme::ED25519;

    #[test]
    fn what_held_once_holds_again_and_nothing_near_it_does() {
        let key = SigningKey::from_seed(Secret::new([1; 32]));
        let (public, signature) = (key.public().0, key.sign_raw(b"a leaf").0);
        let crypto = Crypto::default();
        let holds = |data: &[u8], pk: &[u8], signature: &[u8]| {
            crypto.verify_signature(SCHEME, data, pk, signature).is_ok()
        };
        assert!(!holds(b"another leaf", &public, &signature));
        assert!(holds(b"a leaf", &public, &signature));
        assert_eq!(crypto.0.held.lock().unwrap().len(), 1, "only what held is remembered");
        assert!(holds(b"a leaf", &public, &signature));
        assert!(!holds(b"another leaf", &public, &signature));
        let other = SigningKey::from_seed(Secret::new([2; 32])).public().0;
        assert!(!holds(b"a leaf", &other, &signature));
        for at in 0..signature.len() {
            let mut changed = signature;
            changed[at] ^= 1;
            assert!(!holds(b"a leaf", &public, &changed), "byte {at}");
        }
    }

    #[test]
    fn the_memory_has_an_end_and_what_is_not_in_it_is_verified() {
        let key = SigningKey::from_seed(Secret::new([1; 32]));
        let crypto = Crypto::default();
        crypto.remember((0..REMEMBERED + 10).map(|n| sha256(&n.to_be_bytes())));
        assert_eq!(crypto.0.held.lock().unwrap().len(), REMEMBERED);
        let (public, signature) = (key.public().0, key.sign_raw(b"a leaf").0);
        assert!(crypto.verify_signature(SCHEME, b"a leaf", &public, &signature).is_ok());
        assert!(crypto.verify_signature(SCHEME, b"a lead", &public, &signature).is_err());
    }

    #[test]
    fn the_key_packages_of_a_large_commit_are_verified_ahead_but_for_those_that_do_not_hold() {
        let mut anna = Phone::new(1, 1);
        anna.create(Suite::Classic, &binding());
        let others: Vec<Phone> = (2..7).map(|number| Phone::new(number, number)).collect();
        let commit = anna.adding(&others.iter().collect::<Vec<_>>(), 5).commit;
        let crypto = Crypto::default();
        crypto.verify_ahead(&commit);
        assert_eq!(crypto.0.held.lock().unwrap().len(), 2 * others.len());

        let package = others[2].certificate.der();
        let at = commit.windows(package.len()).position(|part| part == package).unwrap();
        let mut changed = commit.clone();
        changed[at + 40] ^= 1;
        let crypto = Crypto::default();
        crypto.verify_ahead(&changed);
        assert_eq!(crypto.0.held.lock().unwrap().len(), 2 * (others.len() - 1));
        for end in 0..commit.len() {
            Crypto::default().verify_ahead(&commit[..end]);
        }
    }

    #[test]
    fn the_leaves_of_a_large_tree_are_verified_ahead_and_not_again_by_who_joins_by_it() {
        let mut anna = Phone::new(1, 1);
        let base = anna.create(Suite::Classic, &binding());
        let mut others: Vec<Phone> = (2..12).map(|number| Phone::new(number, number)).collect();
        let own = anna.adding(&others.iter().collect::<Vec<_>>(), 5);
        let mut follower = Follower::begin(&base, Suite::Classic, &binding()).unwrap();
        let mut follow = |commit: &[u8], seq| {
            let staged = follower.stage(commit).unwrap();
            follower.merge(staged, Seq(seq), 10).unwrap();
            (follower.tree_bytes(), follower.roster().len())
        };
        let (tree, _) = follow(&own.commit, 1);
        let carl = &mut others[1];
        carl.join(own.welcome.as_ref().unwrap(), &tree);
        // Two leaves are blank, one of them is taken again, and two were made in the group.
        follow(&carl.removing(&[1, 5]).commit, 2);
        carl.merge_own();
        let (mut eve, crypto) = (Phone::new(99, 99), Crypto::default());
        eve.provider = eve.provider.with_crypto(crypto.clone());
        let own = carl.adding(&[&eve], 5);
        let (tree, leaves) = follow(&own.commit, 3);

        let held = || crypto.0.held.lock().unwrap().len();
        crypto.verify_tree_ahead(binding().group_id().as_slice(), &tree);
        assert_eq!((held(), leaves), (leaves, 10));
        eve.join(&own.welcome.unwrap(), &tree);
        assert_eq!(held(), leaves + 1, "only the GroupInfo's signature was still to be verified");

        let key = others[5].key.public().0;
        let at = tree.windows(32).position(|part| part == key).unwrap();
        let mut changed = tree.clone();
        changed[at - 40] ^= 1;
        let crypto = Crypto::default();
        crypto.verify_tree_ahead(binding().group_id().as_slice(), &changed);
        assert_eq!(crypto.0.held.lock().unwrap().len(), leaves - 1);
        // Cut anywhere, it is read as far as it goes.
        for end in 0..900 {
            Crypto::default().verify_tree_ahead(b"group", &tree[..end]);
        }
    }

    #[test]
    fn whoever_believes_says_so_of_every_signature_and_remembers_none() {
        let crypto = Crypto::believing();
        assert!(crypto.verify_signature(SCHEME, b"a leaf", &[1; 32], &[2; 64]).is_ok());
        assert!(crypto.0.held.lock().unwrap().is_empty());
        assert!(Crypto::default().verify_signature(SCHEME, b"a leaf", &[1; 32], &[2; 64]).is_err());
    }
}
