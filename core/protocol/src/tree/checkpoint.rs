//! Signed checkpoints: notes of C2SP tlog-checkpoint, signed twice by the log and by witnesses.
//!
//! ```text
//! hauspost/<company>/<era>
//! <outer size>
//! <base64 outer root>
//!
//! — hauspost/<company>/<era> <base64 key id ‖ Ed25519 signature over the text above>
//! — hauspost/<company>/<era> <base64 key id ‖ time ‖ ML-DSA-44 cosignature>
//! ```
//!
//! The Ed25519 line has signature type 0x01 (C2SP signed-note), the ML-DSA-44 line type 0x06 (C2SP
//! tlog-cosignature, `subtree/v1`). Both are required. A witness adds a line of type 0x06 under its
//! own name; lines of unknown keys are ignored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ml_dsa::{KeyInit as _, Keypair as _, MlDsa44};
use sha2::{Digest as _, Sha256};

use crate::array_item;
use crate::company::state::{LogKey, Witness};
use crate::crypto::{PublicKey, Secret, Signature, SigningKey};
use crate::encoding::Bytes;
use crate::ids::{CompanyId, Digest};
use crate::limits;

const ED25519: u8 = 0x01;
const ML_DSA_44: u8 = 0x06;
const DASH: &str = "\u{2014} ";
/// Bytes of an ML-DSA-44 signature (FIPS 204).
const ML_DSA_SIGNATURE_BYTES: usize = 2420;
/// No note of sixteen lines is longer.
const MAX_BYTES: usize = 64 * 1024;

array_item! {
    /// One state of an outer tree; `cp` of a statement.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TreeHead {
        /// The era, each of which has an outer tree of its own.
        pub era: u64,
        /// The outer tree's size.
        pub size: u64,
        /// The outer tree's root.
        pub root: Digest,
    }
}

impl TreeHead {
    /// The note's text: three lines.
    fn text(&self, company: CompanyId) -> String {
        let origin = origin(company, self.era);
        format!("{origin}\n{}\n{}\n", self.size, BASE64.encode(self.root.0))
    }
}

/// The origin line, which is the log's key name too.
pub fn origin(company: CompanyId, era: u64) -> String {
    format!("hauspost/{company}/{era}")
}

/// Why a note is not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than any checkpoint, or of more than 16 lines.
    #[error("the note is longer than any checkpoint")]
    TooLong,
    /// A control character, a missing line end or a missing empty line.
    #[error("the note is not three lines, an empty one and signatures")]
    Lines,
    /// The first line is not `hauspost/<company>/<era>`.
    #[error("the note's first line is not the origin of a company's era")]
    Origin,
    /// The second line is not a size in its one form.
    #[error("the note's second line is not a size")]
    Size,
    /// The third line is not a root in its one form.
    #[error("the note's third line is not a root")]
    Root,
    /// A line after the empty one that is no signature.
    #[error("a signature line is malformed")]
    SignatureLine,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is of another company.
    #[error("the checkpoint is of another company")]
    Company,
    /// The log's Ed25519 signature is missing or wrong.
    #[error("the log's Ed25519 signature is missing or wrong")]
    Ed25519,
    /// The log's ML-DSA-44 signature is missing or wrong.
    #[error("the log's ML-DSA-44 signature is missing or wrong")]
    MlDsa,
    /// The witness's cosignature is missing or wrong.
    #[error("the witness's cosignature is missing or wrong")]
    Witness,
}

/// A checkpoint, read but not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The company.
    pub company: CompanyId,
    /// What is signed.
    pub head: TreeHead,
    signatures: Vec<NoteSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

impl Checkpoint {
    /// Reads a note, and refuses whatever C2SP's form does not allow.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_BYTES || note.lines().count() > limits::NOTE_LINES {
            return Err(NoteError::TooLong);
        }
        if note.chars().any(|c| c < ' ' && c != '\n') || !note.ends_with('\n') {
            return Err(NoteError::Lines);
        }
        let mut lines = note[..note.len() - 1].split('\n');
        let mut line = || lines.next().ok_or(NoteError::Lines);
        let (origin_line, size, root) = (line()?, line()?, line()?);
        if !line()?.is_empty() {
            return Err(NoteError::Lines);
        }
        let (company, era) = parse_origin(origin_line).ok_or(NoteError::Origin)?;
        let size = parse_number(size).ok_or(NoteError::Size)?;
        let root = BASE64.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = Digest(root.ok_or(NoteError::Root)?);
        let signatures: Vec<_> = lines
            .map(NoteSignature::parse)
            .collect::<Option<_>>()
            .filter(|lines: &Vec<_>| !lines.is_empty())
            .ok_or(NoteError::SignatureLine)?;
        Ok(Self { company, head: TreeHead { era, size, root }, signatures })
    }

    /// Verifies both signatures of the log; what it says is then to be believed, for this key.
    pub fn verify(&self, company: CompanyId, key: &LogKey) -> Result<TreeHead, CheckpointError> {
        if self.company != company {
            return Err(CheckpointError::Company);
        }
        let name = origin(company, self.head.era);
        let text = self.head.text(company);
        let classic = self.all_by(&name, key_id(&name, ED25519, &key.ed25519.0), |signature| {
            let signature = Signature(signature.try_into().ok()?);
            key.ed25519.verify_note(text.as_bytes(), &signature).ok()
        });
        classic.ok_or(CheckpointError::Ed25519)?;
        self.cosigned(&name, &key.ml_dsa).ok_or(CheckpointError::MlDsa)?;
        Ok(self.head)
    }

    /// Verifies a witness's cosignature; when the witness saw it, Unix time in seconds.
    pub fn verify_witness(&self, witness: &Witness) -> Result<u64, CheckpointError> {
        self.cosigned(&witness.name, &witness.key).ok_or(CheckpointError::Witness)
    }

    /// The time of a good ML-DSA-44 cosignature of this name and key.
    fn cosigned(&self, name: &str, key: &[u8]) -> Option<u64> {
        let encoded = ml_dsa::EncodedVerifyingKey::<MlDsa44>::try_from(key).ok()?;
        let verifier = ml_dsa::VerifyingKey::<MlDsa44>::decode(&encoded);
        self.all_by(name, key_id(name, ML_DSA_44, key), |blob| {
            let (time, signature) = blob.split_at_checked(8)?;
            let time_s = u64::from_be_bytes(time.try_into().ok()?);
            let signature = ml_dsa::Signature::<MlDsa44>::try_from(signature).ok()?;
            let message = cosigned_message(name, time_s, self.company, &self.head);
            (time_s < 1 << 63 && verifier.verify_with_context(&message, &[], &signature))
                .then_some(time_s)
        })
    }

    /// What `verify` finds in the lines of this key, all of which must be good, and one be there.
    fn all_by<T>(
        &self,
        name: &str,
        key_id: [u8; 4],
        verify: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let lines = self.signatures.iter();
        let mut own = lines.filter(|line| line.name == name && line.key_id == key_id);
        let first = verify(&own.next()?.signature)?;
        own.all(|line| verify(&line.signature).is_some()).then_some(first)
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, blob) = line.strip_prefix(DASH)?.split_once(' ')?;
        if !is_key_name(name) {
            return None;
        }
        let blob = BASE64.decode(blob).ok()?;
        let (key_id, signature) = blob.split_first_chunk::<4>()?;
        Some(Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
    }

    fn line(name: &str, key_id: [u8; 4], signature: &[&[u8]]) -> String {
        let blob = [&key_id[..], &signature.concat()].concat();
        format!("{DASH}{name} {}\n", BASE64.encode(blob))
    }
}

/// Whether a note's signature line can carry this key name (C2SP signed-note).
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// A witness's verifier key in one line (C2SP signed-note): name, key id, type and key.
pub fn verifier_key(name: &str, key: &[u8]) -> String {
    let id = u32::from_be_bytes(key_id(name, ML_DSA_44, key));
    format!("{name}+{id:08x}+{}", BASE64.encode([&[ML_DSA_44], key].concat()))
}

/// Name and ML-DSA-44 key of a verifier key, if it is one of a witness.
pub fn parse_verifier_key(text: &str) -> Option<(String, Bytes)> {
    let mut parts = text.splitn(3, '+');
    let (name, id, blob) = (parts.next()?, parts.next()?, parts.next()?);
    let blob = BASE64.decode(blob).ok()?;
    let (kind, key) = blob.split_first()?;
    let fits = *kind == ML_DSA_44
        && is_key_name(name)
        && id == format!("{:08x}", u32::from_be_bytes(key_id(name, ML_DSA_44, key)))
        && ml_dsa::EncodedVerifyingKey::<MlDsa44>::try_from(key).is_ok();
    fits.then(|| (name.to_owned(), Bytes::from(key)))
}

/// The first four bytes of SHA-256(name ‖ LF ‖ type ‖ public key).
fn key_id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let hasher = Sha256::new_with_prefix(name).chain_update([b'\n', kind]).chain_update(key);
    *hasher.finalize().first_chunk().expect("SHA-256 has 32 bytes")
}

/// `cosigned_message` of C2SP tlog-cosignature: the whole tree, from leaf 0.
fn cosigned_message(name: &str, time_s: u64, company: CompanyId, head: &TreeHead) -> Vec<u8> {
    let mut message = b"subtree/v1\n\0".to_vec();
    let mut text = |text: &str, then: u64| {
        message.push(u8::try_from(text.len()).expect("names and origins are below 256 bytes"));
        message.extend_from_slice(text.as_bytes());
        message.extend_from_slice(&then.to_be_bytes());
    };
    text(name, time_s);
    text(&origin(company, head.era), 0);
    message.extend_from_slice(&head.size.to_be_bytes());
    message.extend_from_slice(&head.root.0);
    message
}

fn parse_origin(line: &str) -> Option<(CompanyId, u64)> {
    let (company, era) = line.strip_prefix("hauspost/")?.split_once('/')?;
    Some((company.parse().ok()?, parse_number(era)?))
}

/// A decimal number in its one form.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && number < crate::encoding::UINT_LIMIT).then_some(number)
}

/// An ML-DSA-44 key (FIPS 204) that signs checkpoints, kept as its 32-byte seed.
#[derive(Clone)]
pub struct CosigningKey(Secret);

impl CosigningKey {
    /// The key of this seed.
    pub fn from_seed(seed: Secret) -> Self {
        Self(seed)
    }

    /// The seed, for a store or a file.
    pub fn seed(&self) -> &Secret {
        &self.0
    }

    /// The public half, 1,312 bytes.
    pub fn public(&self) -> Bytes {
        Bytes(self.expanded().verifying_key().encode().to_vec())
    }

    /// One signature line of a checkpoint, under this key name, at this Unix time in seconds.
    ///
    /// A witness appends it to the note, after it checked that the tree only grew. The name is a
    /// [key name](is_key_name) of at most 255 bytes.
    pub fn cosign(&self, name: &str, company: CompanyId, head: &TreeHead, time_s: u64) -> String {
        let message = cosigned_message(name, time_s, company, head);
        let signature = self
            .expanded()
            .expanded_key()
            .sign_deterministic(&message, &[])
            .expect("an empty context is short enough")
            .encode();
        debug_assert_eq!(signature.len(), ML_DSA_SIGNATURE_BYTES);
        let id = key_id(name, ML_DSA_44, &self.public());
        NoteSignature::line(name, id, &[&time_s.to_be_bytes(), &signature])
    }

    fn expanded(&self) -> ml_dsa::SigningKey<MlDsa44> {
        ml_dsa::SigningKey::<MlDsa44>::new(&(*self.0.expose()).into())
    }
}

impl std::fmt::Debug for CosigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CosigningKey(…)")
    }
}

/// The two keys by which the server signs checkpoints. They sign nothing else.
#[derive(Debug, Clone)]
pub struct LogSigner {
    ed25519: SigningKey,
    ml_dsa: CosigningKey,
}

impl LogSigner {
    /// The keys of these seeds.
    pub fn from_seeds(ed25519: Secret, ml_dsa: Secret) -> Self {
        Self { ed25519: SigningKey::from_seed(ed25519), ml_dsa: CosigningKey::from_seed(ml_dsa) }
    }

    /// The public halves, as they stand in the company entry `log_key`.
    pub fn public(&self) -> (PublicKey, Bytes) {
        (self.ed25519.public(), self.ml_dsa.public())
    }

    /// Signs a checkpoint; `time_s` is Unix time in seconds.
    pub fn sign(&self, company: CompanyId, head: &TreeHead, time_s: u64) -> String {
        let name = origin(company, head.era);
        let text = head.text(company);
        let classic = self.ed25519.sign_raw(text.as_bytes());
        let id = key_id(&name, ED25519, &self.ed25519.public().0);
        let classic = NoteSignature::line(&name, id, &[&classic.0]);
        let hybrid = self.ml_dsa.cosign(&name, company, head, time_s);
        format!("{text}\n{classic}{hybrid}")
    }
}

#[cfg(test)]
mod tests;
