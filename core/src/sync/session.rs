//! A session: the proof that a request comes from this phone.
//!
//! The phone signs a challenge with the key that its hardware keystore never gives out, so that a
//! stolen copy of the database cannot speak for the phone (`docs/attacks.md` 30). The token that
//! it gets is valid for an hour and is kept in memory only.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hauspost_protocol::encoding::Bytes;
use hauspost_protocol::ids::{CompanyId, DeviceId};
use hauspost_protocol::wire::{Principal, SessionAnswer, SessionRequest, path};
use tokio::sync::Mutex;

use super::server::answer;
use super::{Connection, Method, Request, SyncError};
use crate::env::{Clock, KeyStore};

/// A token is renewed this long before it ends, so that no request meets its end on the way.
const RENEW_BEFORE_MS: u64 = 60_000;

/// The session of a device.
pub struct Session {
    company: CompanyId,
    device: DeviceId,
    key_store: Arc<dyn KeyStore>,
    clock: Arc<dyn Clock>,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    bearer: String,
    /// By the phone's own clock, so that a wrong clock does no harm.
    renew_at_ms: u64,
}

impl Session {
    /// A session of this device; the first request opens it.
    pub fn new(
        company: CompanyId,
        device: DeviceId,
        key_store: Arc<dyn KeyStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { company, device, key_store, clock, token: Mutex::new(None) }
    }

    /// The token to send. One request opens the session, the others wait for it.
    pub(super) async fn bearer(&self, connection: &dyn Connection) -> Result<String, SyncError> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref()
            && self.clock.now_ms() < token.renew_at_ms
        {
            return Ok(token.bearer.clone());
        }
        let fresh = self.open(connection).await?;
        let bearer = fresh.bearer.clone();
        *token = Some(fresh);
        Ok(bearer)
    }

    /// The server did not take this token; the next request opens a new session.
    pub(super) async fn forget(&self, bearer: &str) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| token.bearer == bearer) {
            *token = None;
        }
    }

    async fn open(&self, connection: &dyn Connection) -> Result<Token, SyncError> {
        let challenge = Request {
            method: Method::Get,
            path: path::CHALLENGE.to_owned(),
            bearer: None,
            body: Vec::new(),
        };
        let challenge: Bytes = answer(connection.request(challenge).await?)?;
        let principal = Principal::Device(self.device);
        let message = SessionRequest::device_message(self.company, principal, &challenge);
        // A phone's keystore may take a tenth of a second and calls into the platform.
        let key_store = self.key_store.clone();
        let signing = tokio::task::spawn_blocking(move || key_store.sign(&message));
        let signed = signing.await.map_err(|_| SyncError::KeyStore)?;
        let signature = signed.map_err(|_| SyncError::KeyStore)?;
        let request = SessionRequest { principal, challenge, signature };
        let request = Request {
            method: Method::Post,
            path: path::SESSION.to_owned(),
            bearer: None,
            body: hauspost_protocol::encoding::encode(&request),
        };
        let opened: SessionAnswer = answer(connection.request(request).await?)?;
        let lasts_ms = opened.not_after.saturating_sub(opened.t_ms).saturating_sub(RENEW_BEFORE_MS);
        Ok(Token {
            bearer: URL_SAFE_NO_PAD.encode(&*opened.token),
            renew_at_ms: self.clock.now_ms().saturating_add(lasts_ms),
        })
    }
}
