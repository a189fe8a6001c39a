//! The tools' way to the server: HTTP over TLS, trusting what was named and nothing else.
//!
//! A tool trusts either the company's own certificate authority or the public roots, never both,
//! follows no redirect and asks no proxy: the only host that it talks to is the one it was given.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::encoding::{Bytes, Item, decode, encode};
use hauspost_protocol::entry::Entry;
use hauspost_protocol::ids::{CompanyId, LogId, Seq};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::tree::checkpoint::TreeHead;
use hauspost_protocol::wire::{self, path};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Method, StatusCode, redirect};
use zeroize::Zeroizing;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The longest reason of a refusal that is shown, in characters.
const MAX_REASON_CHARS: usize = 200;

/// What goes wrong between a tool and the server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not an https URL.
    #[error("`{0}` is not an address of a server; it begins with https://")]
    Address(String),
    /// The certificate to trust is none.
    #[error("the certificate authority cannot be used: {0}")]
    Certificate(reqwest::Error),
    /// Nobody answers there, or not with the certificate that we trust.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server answers, and refuses.
    #[error("the server refuses ({status}): {reason}")]
    Refused {
        /// HTTP's number.
        status: u16,
        /// What the server says.
        reason: String,
    },
    /// The server's answer is not of the form asked for.
    #[error(
        "the server's answer to {0} is not of the expected form; tool and server may be of different versions"
    )]
    Answer(&'static str),
    /// The server did not accept the entry.
    #[error("the server does not accept the entry: {0:?}")]
    Outcome(wire::Outcome),
}

/// A connection to one server, with or without a session.
pub struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<Zeroizing<String>>,
}

impl Client {
    /// A client of the server at this address that trusts as told.
    pub fn new(server: &str, trust: &Trust) -> Result<Self, ClientError> {
        let server = server.trim_end_matches('/');
        let host = server.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(ClientError::Address(server.to_owned()));
        }
        let builder = reqwest::Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT);
        let builder = match trust {
            Trust::PublicRoots => builder,
            Trust::CompanyCa(der) => {
                let authority = Certificate::from_der(der).map_err(ClientError::Certificate)?;
                builder.tls_certs_only([authority])
            }
        };
        let http = builder.build().map_err(ClientError::Certificate)?;
        Ok(Self { http, server: server.to_owned(), token: None })
    }

    /// The server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Who the server is.
    pub async fn hello(&self) -> Result<wire::Hello, ClientError> {
        self.get(path::HELLO).await
    }

    /// Founds the company; the same request may be repeated.
    pub async fn found(&self, token: &str, found: &[u8]) -> Result<(), ClientError> {
        let token = Some(token.trim());
        self.send(Method::POST, path::FOUND, Some(found.to_vec()), token).await.map(|_| ())
    }

    /// Opens a session by a role key.
    pub async fn sign_in(
        &mut self,
        company: CompanyId,
        key: &SigningKey,
    ) -> Result<(), ClientError> {
        let challenge: Bytes = self.get(path::CHALLENGE).await?;
        let principal = wire::Principal::Role(key.public().id());
        let signed = wire::SessionRequest::signed(company, principal, &challenge);
        let signature = key.sign(wire::SESSION_LABEL, &signed).0;
        let request = wire::SessionRequest { principal, challenge, signature };
        let answer: wire::SessionAnswer = self.post(path::SESSION, &request).await?;
        self.token = Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(&*answer.token)));
        Ok(())
    }

    /// Appends one entry to a log; known already is as good as appended.
    pub async fn append(&self, log: LogId, entry: wire::NewEntry) -> Result<Seq, ClientError> {
        let request =
            wire::AppendRequest { log, entries: vec![entry], group_info: None, welcome: None };
        let outcomes: Vec<wire::Outcome> = self.post(path::APPEND, &request).await?;
        match outcomes.as_slice() {
            [wire::Outcome::Ok(seq) | wire::Outcome::Dup(seq)] => Ok(*seq),
            [refused] => Err(ClientError::Outcome(refused.clone())),
            _ => Err(ClientError::Answer(path::APPEND)),
        }
    }

    /// The company log from an entry on, to its end.
    pub async fn company_log(&self, from: Seq) -> Result<Vec<Entry>, ClientError> {
        let mut entries = Vec::new();
        let mut next = from;
        loop {
            let request = wire::SyncRequest {
                since: None,
                cursors: Vec::new(),
                company_next: next,
                checkpoint: None,
            };
            let answer: wire::SyncAnswer = self.post(path::SYNC, &request).await?;
            let Some(last) = answer.company.last() else { return Ok(entries) };
            if last.seq < next {
                return Err(ClientError::Answer(path::SYNC));
            }
            next = last.seq.next();
            entries.extend(answer.company);
            if next.0 >= answer.company_size {
                return Ok(entries);
            }
        }
    }

    /// The newest checkpoint, for one who knows this much of the company log.
    pub async fn checkpoint(
        &self,
        company_next: Seq,
    ) -> Result<Option<wire::CheckpointNews>, ClientError> {
        let cursors = Vec::new();
        let request = wire::SyncRequest { since: None, cursors, company_next, checkpoint: None };
        self.post::<wire::SyncAnswer>(path::SYNC, &request).await.map(|answer| answer.checkpoint)
    }

    /// The whole directory.
    pub async fn people(&self) -> Result<Vec<wire::Person>, ClientError> {
        let directory: wire::Directory = self.post(path::DIRECTORY, &0u64).await?;
        Ok(directory.people)
    }

    /// Adds or changes people of the directory.
    pub async fn put_people(&self, people: &Vec<wire::Person>) -> Result<(), ClientError> {
        self.post::<u64>(path::DIRECTORY_PUT, people).await.map(|_| ())
    }

    /// Sends a request and reads the answer.
    pub async fn post<T: Item>(
        &self,
        path: &'static str,
        body: &impl Item,
    ) -> Result<T, ClientError> {
        let answer = self.send(Method::POST, path, Some(encode(body)), None).await?;
        decode(&answer).map_err(|_| ClientError::Answer(path))
    }

    /// What a witness that cosigned size `old` last is asked.
    pub async fn witness_checkpoint(&self, old: u64) -> Result<String, ClientError> {
        let path = format!("{}/{old}", path::WITNESS_CHECKPOINT);
        let answer = self.send_to(Method::GET, path::WITNESS_CHECKPOINT, &path, None, None).await?;
        String::from_utf8(answer).map_err(|_| ClientError::Answer(path::WITNESS_CHECKPOINT))
    }

    /// Hands over a witness's cosignature of a tree.
    pub async fn witness_cosignature(
        &self,
        tree: &TreeHead,
        lines: &str,
    ) -> Result<(), ClientError> {
        let name = path::WITNESS_COSIGNATURE;
        let path = format!("{name}/{}/{}", tree.era, tree.size);
        let lines = Some(lines.as_bytes().to_vec());
        self.send_to(Method::POST, name, &path, lines, None).await.map(|_| ())
    }

    /// Gets bytes from a place under a path.
    pub async fn bytes(&self, path: &'static str, place: &str) -> Result<Vec<u8>, ClientError> {
        self.send_to(Method::GET, path, &format!("{path}{place}"), None, None).await
    }

    async fn get<T: Item>(&self, path: &'static str) -> Result<T, ClientError> {
        let answer = self.send(Method::GET, path, None, None).await?;
        decode(&answer).map_err(|_| ClientError::Answer(path))
    }

    async fn send(
        &self,
        method: Method,
        path: &'static str,
        body: Option<Vec<u8>>,
        token: Option<&str>,
    ) -> Result<Vec<u8>, ClientError> {
        self.send_to(method, path, path, body, token).await
    }

    /// Sends a request to a path that the route of this name matches.
    async fn send_to(
        &self,
        method: Method,
        name: &'static str,
        path: &str,
        body: Option<Vec<u8>>,
        token: Option<&str>,
    ) -> Result<Vec<u8>, ClientError> {
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        if let Some(token) = token.or(self.token.as_ref().map(|token| token.as_str())) {
            request = request.header(wire::TOKEN_HEADER, token);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, wire::MEDIA_TYPE).body(body);
        }
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(ClientError::Answer(name));
            }
            answer.extend_from_slice(&chunk);
        }
        if status == StatusCode::OK || status == StatusCode::NO_CONTENT {
            return Ok(answer);
        }
        let reason: String = String::from_utf8_lossy(&answer)
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_REASON_CHARS)
            .collect();
        Err(ClientError::Refused { status: status.as_u16(), reason })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        ClientError::Unreachable { server: self.server.clone(), reason: innermost.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_https_address_is_taken() {
        for bad in [
            "http://localhost:1",
            "localhost",
            "https://",
            "https://a/b",
            "https://u@a",
            "https://a?x",
        ] {
            assert!(
                matches!(Client::new(bad, &Trust::PublicRoots), Err(ClientError::Address(_))),
                "{bad}"
            );
        }
        assert!(Client::new("https://localhost:8443/", &Trust::PublicRoots).is_ok());
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        let trust = Trust::CompanyCa(Bytes(vec![1, 2, 3]));
        assert!(matches!(
            Client::new("https://localhost", &trust),
            Err(ClientError::Certificate(_))
        ));
    }
}
