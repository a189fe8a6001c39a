//! An entry of the company log: a body in the clear, and the signatures of those who approve it.
//!
//! Approvals are these signatures and nothing else. Several people sign the same body on machines
//! of their own: the first [signs](CompanyPayload::sign), the others [approve](CompanyPayload::approve).
//! Whether the signatures suffice is for [`state`](crate::company::state) to say.

use crate::company::body::CompanyBody;
use crate::crypto::{Signature, SigningKey};
use crate::encoding::{Bytes, FormError, Item, Reader, Writer, decode, encode};
use crate::entry::{Head, Kind};
use crate::ids::{CompanyId, Epoch, Gen, KeyId};
use crate::limits;
use crate::wire::NewEntry;

pub(crate) const LABEL: &str = "hauspost/1 entry-body";

/// The payload of a company entry: CBOR[bstr body, [[key id, bstr64 sig]*]].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanyPayload {
    /// The body's bytes, a [`CompanyBody`].
    pub body: Bytes,
    /// Who signed, sorted by key id, each once.
    pub signatures: Vec<(KeyId, Signature)>,
}

impl CompanyPayload {
    /// Signs a body for the entry that has this head.
    pub fn sign(head: &[u8], body: Vec<u8>, keys: &[&SigningKey]) -> Self {
        let mut payload = Self { body: Bytes(body), signatures: Vec::new() };
        for key in keys {
            payload.approve(head, key);
        }
        payload
    }

    /// Adds one more signature; a second one by the same key replaces the first.
    pub fn approve(&mut self, head: &[u8], key: &SigningKey) {
        let id = key.public().id();
        let signature = key.sign(LABEL, &self.signed(head));
        self.signatures.retain(|(other, _)| *other != id);
        self.signatures.push((id, signature));
        self.signatures.sort_by_key(|(id, _)| *id);
    }

    /// Reads a payload, with the limits of §1.
    pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Self, FormError> {
        let limit = match kind {
            Kind::Policy => limits::POLICY_PAYLOAD_BYTES,
            _ => limits::PAYLOAD_BYTES,
        };
        if bytes.len() as u64 > limit {
            return Err(FormError::TooLarge);
        }
        decode(bytes)
    }

    /// What the signatures run over: CBOR[bstr head, bstr body].
    pub fn signed(&self, head: &[u8]) -> Vec<u8> {
        encode(&(Bytes::from(head), self.body.clone()))
    }
}

impl Item for CompanyPayload {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        self.body.write(to);
        self.signatures.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(2, |from| {
            let body = Item::read(from)?;
            let signatures = from.list(|from, len| {
                if len > limits::COMPANY_SIGNATURES as u64 {
                    return Err(FormError::TooLarge);
                }
                (0..len).map(|_| Item::read(from)).collect::<Result<Vec<_>, _>>()
            })?;
            if !signatures.is_sorted_by(|(a, _): &(KeyId, Signature), (b, _)| a < b) {
                return Err(FormError::NotCanonical);
            }
            Ok(Self { body, signatures })
        })
    }
}

/// The head's bytes of a company entry of this kind.
pub fn company_head(company: CompanyId, kind: Kind) -> Vec<u8> {
    encode(&Head::plain(kind, company.log(), Gen(0), Epoch(0)))
}

/// A company entry, ready to append: head and payload.
pub fn company_entry(
    company: CompanyId,
    body: impl Into<CompanyBody>,
    keys: &[&SigningKey],
) -> NewEntry {
    let body = body.into();
    let head = company_head(company, body.kind());
    let payload = CompanyPayload::sign(&head, body.encode(), keys);
    (Bytes(head), Bytes(encode(&payload)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::company::body::{CompanyGenesis, RevokeEntry, RevokeReason};
    use crate::crypto::Secret;
    use crate::ids::DeviceId;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(Secret::new([seed; 32]))
    }

    #[test]
    fn a_body_reads_back_under_its_own_kind_only() {
        let body = CompanyBody::from(CompanyGenesis {
            company: CompanyId([1; 16]),
            root: key(1).public(),
        });
        assert_eq!(CompanyBody::parse(Kind::Genesis, &body.encode()), Ok(body.clone()));
        assert!(CompanyBody::parse(Kind::Device, &body.encode()).is_err());
        assert_eq!(CompanyBody::parse(Kind::Record, &body.encode()), Err(FormError::Unlisted));
    }

    #[test]
    fn signatures_stand_sorted_and_each_once_in_whatever_order_people_sign() {
        let body = CompanyBody::Revoke(RevokeEntry {
            seen: None,
            device: DeviceId([2; 16]),
            reason: RevokeReason::Lost,
        });
        let head = company_head(CompanyId([1; 16]), Kind::Revoke);
        let (a, b) = (key(1), key(2));
        let one = CompanyPayload::sign(&head, body.encode(), &[&a, &b]);
        let other = CompanyPayload::sign(&head, body.encode(), &[&b, &a, &b]);
        assert_eq!(one, other);
        assert_eq!(CompanyPayload::parse(Kind::Revoke, &encode(&one)), Ok(one.clone()));

        let mut swapped = one.clone();
        swapped.signatures.reverse();
        let refused = CompanyPayload::parse(Kind::Revoke, &encode(&swapped));
        assert_eq!(refused, Err(FormError::NotCanonical));
        let mut doubled = one;
        doubled.signatures[1] = doubled.signatures[0];
        let refused = CompanyPayload::parse(Kind::Revoke, &encode(&doubled));
        assert_eq!(refused, Err(FormError::NotCanonical));
    }

    #[test]
    fn more_than_eight_signatures_or_a_payload_above_its_limit_are_refused() {
        let keys: Vec<_> = (0..9).map(key).collect();
        let keys: Vec<_> = keys.iter().collect();
        let payload = encode(&CompanyPayload::sign(b"head", vec![0], &keys));
        assert_eq!(CompanyPayload::parse(Kind::Revoke, &payload), Err(FormError::TooLarge));
        let long = encode(&CompanyPayload::sign(b"head", vec![0; 70_000], &keys[..1]));
        assert_eq!(CompanyPayload::parse(Kind::Revoke, &long), Err(FormError::TooLarge));
        assert!(CompanyPayload::parse(Kind::Policy, &long).is_ok());
    }
}
