//! A record: one statement, signed by its author and sealed under the key of its slot.
//!
//! The payload is `nonce ‖ XChaCha20-Poly1305(Ke, nonce, aad = head, plain)`, plain the statement
//! and signature, padded. The nonce is a MAC over head and plaintext, which makes three things true
//! at once: no randomness is needed, a key that a restored phone uses twice betrays nothing but
//! equality, and a payload opens under one key only, so that nobody can be given a key under which
//! the same bytes read differently (docs/attacks.md 20 and 21). docs/protocol.md §6 has the bytes.
//!
//! [`open`] gives an [`UnverifiedRecord`]. Its signature turns it into a [`VerifiedRecord`], and only
//! that has a statement to show.

use chacha20poly1305::{AeadInPlace, KeyInit as _, XChaCha20Poly1305};
use hmac::{Hmac, KeyInit as _, Mac};
use rand::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::crypto::{BadSignature, Batch, PublicKey, Signature, SigningKey};
use crate::encoding::{FormError, Item, Writer, read_prefix, write_sized};
use crate::epoch::RecordKey;
use crate::ids::DeviceId;
use crate::limits;
use crate::statement::Statement;

const LABEL: &str = "hauspost/1 record";
pub(crate) const NONCE_BYTES: usize = 24;
pub(crate) const TAG_BYTES: usize = 16;

/// Why a record does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The payload is longer than a payload may be.
    #[error("the record's payload is too large")]
    TooLarge,
    /// The key does not open the payload under this head: wrong key, wrong head or changed bytes.
    #[error("the record does not open under its key and head")]
    Sealed,
    /// The nonce is not the one that head and plaintext have: the author's software is not ours.
    #[error("the record's nonce does not belong to its text")]
    Nonce,
    /// The padding has another length than the rule's, or is not zero.
    #[error("the record's padding is not the rule's")]
    Padding,
    /// The plaintext or the statement in it is not of the expected form.
    #[error("the record's statement: {0}")]
    Form(#[from] FormError),
    /// The author's signature does not verify.
    #[error("the record's signature does not verify")]
    Signature,
}

impl From<BadSignature> for RecordError {
    fn from(_: BadSignature) -> Self {
        Self::Signature
    }
}

/// Signs and seals a statement; the result is the entry's payload, always the same for the same input.
///
/// `head` are the bytes that will be sent, `statement` comes from [`Statement::to_bytes`]. The
/// author keeps the key beside his message for later grants, so it is not consumed here.
pub fn seal(key: &RecordKey, head: &[u8], statement: &[u8], author: &SigningKey) -> Vec<u8> {
    let signature = author.sign(LABEL, &signed(head, statement));
    let item_len = 1 + 9 + statement.len() + 2 + signature.0.len();
    let item = write_sized(item_len, |to| write_plain(to, statement, &signature));
    seal_padded(key, head, &item, padded_len(item.len()))
}

/// Seals an item, padded with zeros to `plain_len`.
pub(crate) fn seal_padded(key: &RecordKey, head: &[u8], item: &[u8], plain_len: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(NONCE_BYTES + plain_len + TAG_BYTES);
    payload.resize(NONCE_BYTES, 0);
    payload.extend_from_slice(item);
    payload.resize(NONCE_BYTES + plain_len, 0);
    let nonce = synthetic_nonce(key, head, &payload[NONCE_BYTES..]);
    seal_in_place(key, head, nonce, payload)
}

fn seal_in_place(
    key: &RecordKey,
    head: &[u8],
    nonce: [u8; NONCE_BYTES],
    mut payload: Vec<u8>,
) -> Vec<u8> {
    payload[..NONCE_BYTES].copy_from_slice(&nonce);
    let tag = cipher(key)
        .encrypt_in_place_detached(&nonce.into(), head, &mut payload[NONCE_BYTES..])
        .expect("a payload is far below the cipher's limit");
    payload.extend_from_slice(&tag);
    payload
}

/// Opens a payload and checks nonce, padding and form; the signature is still to be verified.
pub fn open(key: &RecordKey, head: &[u8], payload: &[u8]) -> Result<UnverifiedRecord, RecordError> {
    if payload.len() as u64 > limits::PAYLOAD_BYTES {
        return Err(RecordError::TooLarge);
    }
    let plain = open_sealed(key, head, payload)?;
    let (statement, signature) = read_plain(&plain, padded_len)?;
    Ok(UnverifiedRecord {
        signed: signed(head, statement),
        statement: Statement::parse(statement)?,
        signature,
    })
}

/// What was sealed, padding and all, if its nonce is the one that belongs to it.
pub(crate) fn open_sealed(
    key: &RecordKey,
    head: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, RecordError> {
    let (nonce, rest) = payload.split_first_chunk::<NONCE_BYTES>().ok_or(RecordError::Sealed)?;
    let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(RecordError::Sealed)?;
    let mut plain = sealed.to_vec();
    cipher(key)
        .decrypt_in_place_detached(nonce.into(), head, &mut plain, tag.into())
        .map_err(|_| RecordError::Sealed)?;
    if !bool::from(synthetic_nonce(key, head, &plain).ct_eq(nonce)) {
        return Err(RecordError::Nonce);
    }
    Ok(plain)
}

/// What was signed, and the signature, out of a plaintext of the length that the rule gives for its item.
pub(crate) fn read_plain(
    plain: &[u8],
    padded_len: impl FnOnce(usize) -> usize,
) -> Result<(&[u8], Signature), RecordError> {
    let ((statement, signature), used) =
        read_prefix(plain, |from| from.array(2, |from| Ok((from.bytes()?, Item::read(from)?))))?;
    let canonical = write_sized(used, |to| write_plain(to, statement, &signature));
    if canonical != plain[..used] {
        return Err(FormError::NotCanonical.into());
    }
    if plain.len() != padded_len(used) || plain[used..].iter().any(|byte| *byte != 0) {
        return Err(RecordError::Padding);
    }
    Ok((statement, signature))
}

/// A record that opened. Who wrote it is not known before its signature is verified.
#[derive(Debug, Clone)]
pub struct UnverifiedRecord {
    statement: Statement,
    signed: Vec<u8>,
    signature: Signature,
}

impl UnverifiedRecord {
    /// The device that the record says it is from: to look up a key with, and not to be believed.
    pub fn claimed_device(&self) -> DeviceId {
        self.statement.device
    }

    /// Verifies the signature by the key of the author's leaf, or in a grant by the key that the
    /// company log has for [`claimed_device`](Self::claimed_device).
    pub fn verify(self, author: &PublicKey) -> Result<VerifiedRecord, RecordError> {
        author.verify(LABEL, &self.signed, &self.signature)?;
        Ok(VerifiedRecord(self.statement))
    }
}

/// Verifies many records at once, at about half the cost of one by one.
///
/// The results are in the order of the records. One bad signature does not hurt the others: then
/// each is verified singly, and ZIP-215 promises that both ways agree (docs/attacks.md 13).
pub fn verify_all(
    records: Vec<(UnverifiedRecord, PublicKey)>,
    rng: &mut impl CryptoRng,
) -> Vec<Result<VerifiedRecord, RecordError>> {
    if records.is_empty() {
        // An empty batch costs as much as a signature.
        return Vec::new();
    }
    let mut batch = Batch::default();
    for (record, author) in &records {
        batch.add(author, LABEL, &record.signed, &record.signature);
    }
    let all_hold = batch.verify(rng).is_ok();
    records
        .into_iter()
        .map(
            |(record, author)| {
                if all_hold { Ok(VerifiedRecord(record.statement)) } else { record.verify(&author) }
            },
        )
        .collect()
}

/// A record whose author is proven: the holder of the key that it was verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRecord(Statement);

impl VerifiedRecord {
    /// What the author said.
    pub fn statement(&self) -> &Statement {
        &self.0
    }

    /// What the author said, to keep.
    pub fn into_statement(self) -> Statement {
        self.0
    }
}

/// The length of a plaintext whose item has `len` bytes: the next multiple of 32 up to 512, above
/// that Padmé (PURBs, PETS 2019), which costs less than 7 % here and leaves few lengths to tell apart.
pub fn padded_len(len: usize) -> usize {
    if len <= 512 {
        return len.next_multiple_of(32);
    }
    let exponent = len.ilog2();
    let mantissa_bits = exponent.ilog2() + 1;
    len.next_multiple_of(1 << (exponent - mantissa_bits))
}

fn cipher(key: &RecordKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.encryption().expose().into())
}

fn synthetic_nonce(key: &RecordKey, head: &[u8], plain: &[u8]) -> [u8; NONCE_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.nonce().expose())
        .expect("HMAC takes a key of any length");
    mac.update(&(head.len() as u64).to_be_bytes());
    mac.update(head);
    mac.update(plain);
    let mac: [u8; 32] = mac.finalize().into_bytes().into();
    *mac.first_chunk().expect("24 of 32 bytes")
}

/// The item that a plaintext begins with.
pub(crate) fn write_plain(to: &mut Writer, statement: &[u8], signature: &Signature) {
    to.array(2);
    to.bytes(statement);
    to.bytes(&signature.0);
}

/// What a signature is over.
pub(crate) fn signed(head: &[u8], statement: &[u8]) -> Vec<u8> {
    write_sized(head.len() + statement.len() + 16, |to| {
        to.array(2);
        to.bytes(head);
        to.bytes(statement);
    })
}

#[cfg(test)]
mod tests;
