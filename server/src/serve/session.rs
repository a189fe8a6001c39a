//! Who asks: a challenge, a signature over it, a token (S1).
//!
//! A phone signs with the key that its hardware keystore never gives out, so that a copy of its
//! database is no session (`docs/attacks.md` 30); a role's tool signs with the role key. Challenge
//! and token are stateless: any node checks them by a key that is kept in the store. That a device
//! or role is still active is asked of the company log at every request, in the transaction that
//! serves it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hauspost_protocol::company::body::Role;
use hauspost_protocol::company::state::{Company, Device};
use hauspost_protocol::crypto::{Context, Secret, Signature};
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::ids::{CompanyId, TimeMs};
use hauspost_protocol::wire::{
    Principal, SESSION_LABEL, SessionAnswer, SessionRequest, TOKEN_HEADER,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Verifier as _;
use sha2::Sha256;

use super::answer::{Answer, Cbor, Refusal};
use super::limits::Slot;
use super::node::Node;

/// How old a challenge may be when its signature arrives.
const CHALLENGE_MS: TimeMs = 120_000;
/// How long a token is good.
const TOKEN_MS: TimeMs = 3_600_000;
/// Length of a challenge's and a token's authenticator in bytes.
const MAC_BYTES: usize = 32;

/// The keys by which challenges and tokens are known as ours.
pub struct SessionKeys {
    challenge: Secret,
    token: Secret,
}

impl SessionKeys {
    /// The keys that follow from the one in the store.
    pub fn new(key: &Secret) -> Self {
        let derive = |label| key.derive(label, Context::Bytes(&[]));
        Self { challenge: derive("session challenge"), token: derive("session token") }
    }

    /// A challenge: CBOR[time, 16 random bytes] and its authenticator.
    fn challenge(&self, now_ms: TimeMs, nonce: [u8; 16]) -> Vec<u8> {
        seal(&self.challenge, encode(&(now_ms, nonce)))
    }

    fn check_challenge(&self, challenge: &[u8], now_ms: TimeMs) -> Option<()> {
        let (made_ms, _): (TimeMs, [u8; 16]) = decode(open(&self.challenge, challenge)?).ok()?;
        (made_ms <= now_ms && now_ms - made_ms <= CHALLENGE_MS).then_some(())
    }

    /// A token: CBOR[principal, end] and its authenticator.
    fn token(&self, principal: Principal, not_after: TimeMs) -> Vec<u8> {
        seal(&self.token, encode(&(principal, not_after)))
    }

    fn check_token(&self, token: &[u8], now_ms: TimeMs) -> Option<Principal> {
        let (principal, not_after) = decode(open(&self.token, token)?).ok()?;
        (now_ms < not_after).then_some(principal)
    }
}

fn mac(key: &Secret, bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes any key");
    mac.update(bytes);
    mac
}

fn seal(key: &Secret, mut bytes: Vec<u8>) -> Vec<u8> {
    let tag = mac(key, &bytes).finalize().into_bytes();
    bytes.extend_from_slice(&tag);
    bytes
}

fn open<'b>(key: &Secret, sealed: &'b [u8]) -> Option<&'b [u8]> {
    let (bytes, tag) = sealed.split_at_checked(sealed.len().checked_sub(MAC_BYTES)?)?;
    mac(key, bytes).verify_slice(tag).ok()?;
    Some(bytes)
}

/// GET: a challenge to sign.
pub async fn challenge(State(node): State<Arc<Node>>) -> Answer<Bytes> {
    Answer(Bytes(node.sessions.challenge(node.now_ms(), node.random())))
}

/// POST: a token for a signed challenge.
pub async fn session(
    State(node): State<Arc<Node>>,
    Cbor(request): Cbor<SessionRequest>,
) -> Result<Answer<SessionAnswer>, Refusal> {
    let now_ms = node.now_ms();
    node.sessions.check_challenge(&request.challenge, now_ms).ok_or(Refusal::Session)?;
    let company = node.company().await?;
    is_signed(&company, &request).ok_or(Refusal::Session)?;
    let not_after = now_ms + TOKEN_MS;
    let token = Bytes(node.sessions.token(request.principal, not_after));
    Ok(Answer(SessionAnswer { token, not_after, t_ms: now_ms }))
}

fn is_signed(company: &Company, request: &SessionRequest) -> Option<()> {
    let (id, principal) = (company.id()?, request.principal);
    match principal {
        Principal::Device(device) => {
            let view = company.now();
            let device = view.device(device).filter(|_| view.is_active(device))?;
            device_signed(id, device, request)
        }
        Principal::Role(key) => {
            let key = company.now().role_key(key)?.key;
            let signed = SessionRequest::signed(id, principal, &request.challenge);
            key.verify(SESSION_LABEL, &signed, &Signature(request.signature)).ok()
        }
    }
}

fn device_signed(id: CompanyId, device: &Device, request: &SessionRequest) -> Option<()> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&device.keystore_key).ok()?;
    let signature = p256::ecdsa::Signature::from_slice(&request.signature).ok()?;
    let message = SessionRequest::device_message(id, request.principal, &request.challenge);
    key.verify(&message, &signature).ok()
}

/// A token of ours that has not ended. Whether its owner is still active only a transaction tells:
/// [`Node::read_as`] and [`Node::write_as`] turn a claim into a [`Session`].
pub struct Claim {
    /// Who the token was given to.
    pub principal: Principal,
    /// The session's place among its concurrent requests.
    _slot: Slot,
}

impl FromRequestParts<Arc<Node>> for Claim {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Refusal> {
        let principal = token(parts)
            .and_then(|token| node.sessions.check_token(&token, node.now_ms()))
            .ok_or(Refusal::Session)?;
        let slot = node.limits.enter(principal).ok_or(Refusal::Busy)?;
        Ok(Self { principal, _slot: slot })
    }
}

/// The bytes of the token.
fn token(parts: &Parts) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(parts.headers.get(TOKEN_HEADER)?).ok()
}

/// An active device or role, by the company log of the transaction that serves it.
pub struct Session {
    /// Who it is.
    pub principal: Principal,
    /// The company in this transaction.
    pub company: Arc<Company>,
}

impl Session {
    /// The claim's session, if its owner is active.
    pub fn new(principal: Principal, company: Arc<Company>) -> Result<Self, Refusal> {
        let view = company.now();
        let active = match principal {
            Principal::Device(device) => view.is_active(device),
            Principal::Role(key) => view.role_key(key).is_some(),
        };
        if active { Ok(Self { principal, company }) } else { Err(Refusal::Session) }
    }

    /// The company's id.
    pub fn company_id(&self) -> Result<CompanyId, Refusal> {
        self.company.id().ok_or(Refusal::NotFounded)
    }

    /// The session's device; a role's tool has none.
    pub fn device(&self) -> Result<&Device, Refusal> {
        let Principal::Device(device) = self.principal else { return Err(Refusal::Role) };
        self.company.now().device(device).ok_or(Refusal::Session)
    }

    /// Whether the session is that of a key with one of these roles.
    pub fn has_role(&self, roles: &[Role]) -> bool {
        let Principal::Role(key) = self.principal else { return false };
        roles.iter().any(|role| self.company.now().has_role(key, *role))
    }

    /// Refuses a session without one of these roles.
    pub fn must_have(&self, roles: &[Role]) -> Result<(), Refusal> {
        if self.has_role(roles) { Ok(()) } else { Err(Refusal::Role) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauspost_protocol::ids::DeviceId;

    const WHO: Principal = Principal::Device(DeviceId([7; 16]));

    fn keys(seed: u8) -> SessionKeys {
        SessionKeys::new(&Secret::new([seed; 32]))
    }

    #[test]
    fn a_token_is_good_until_its_end_at_every_node_with_the_key() {
        let token = keys(1).token(WHO, 1_000);
        assert_eq!(keys(1).check_token(&token, 999), Some(WHO));
        assert_eq!(keys(1).check_token(&token, 1_000), None);
        assert_eq!(keys(2).check_token(&token, 999), None);
    }

    #[test]
    fn a_token_with_any_byte_changed_or_missing_is_refused() {
        let token = keys(1).token(WHO, 1_000);
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            assert_eq!(keys(1).check_token(&changed, 0), None, "byte {at}");
            assert_eq!(keys(1).check_token(&token[..at], 0), None, "cut at {at}");
        }
    }

    #[test]
    fn a_challenge_is_good_for_two_minutes_and_is_no_token() {
        let challenge = keys(1).challenge(5_000, [3; 16]);
        assert!(keys(1).check_challenge(&challenge, 5_000 + CHALLENGE_MS).is_some());
        assert!(keys(1).check_challenge(&challenge, 5_001 + CHALLENGE_MS).is_none());
        assert!(keys(1).check_challenge(&challenge, 4_999).is_none());
        assert!(keys(2).check_challenge(&challenge, 5_000).is_none());
        assert_eq!(keys(1).check_token(&challenge, 0), None);
    }
}
