//! The network for real: HTTP/2 over TLS 1.3.
//!
//! A connection trusts exactly what the invitation named. No proxy, no redirect and no second host:
//! the only address that the product speaks to is the company's server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::wire;
use reqwest::header;
use reqwest::tls::Version;

use super::network::{Connection, Hints, Method, Network, NetworkError, Request, Response};

/// An answer is at most a batch of entries with their limits; more is refused unread.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The server sends a sign of life every 30 s; two missed ones are a dead stream.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(75);

/// HTTP over TLS.
#[derive(Debug, Clone, Copy, Default)]
pub struct Https;

impl Network for Https {
    fn connect(&self, server: &str, trust: &Trust) -> Result<Arc<dyn Connection>, NetworkError> {
        let base = reqwest::Url::parse(server).map_err(|_| NetworkError::Address)?;
        if base.scheme() != "https" || !base.has_host() || base.cannot_be_a_base() {
            return Err(NetworkError::Address);
        }
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_version_min(Version::TLS_1_3)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            // Fixed windows: adaptive ones ask with each answer how far the server is, in 80 bytes.
            .read_timeout(SILENCE_TIMEOUT);
        if let Trust::CompanyCa(authority) = trust {
            let authority =
                reqwest::Certificate::from_der(authority).map_err(|_| NetworkError::Authority)?;
            builder = builder.tls_certs_only([authority]);
        }
        let client = builder.build().map_err(|_| NetworkError::Authority)?;
        let base = base.as_str().trim_end_matches('/').to_owned();
        Ok(Arc::new(HttpsConnection { client, base }))
    }
}

struct HttpsConnection {
    client: reqwest::Client,
    base: String,
}

impl HttpsConnection {
    fn prepare(&self, request: Request) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.base, request.path);
        let mut builder = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
            Method::Put => self.client.put(url),
        };
        if request.method != Method::Get {
            builder = builder.header(header::CONTENT_TYPE, wire::MEDIA_TYPE).body(request.body);
        }
        if let Some(token) = request.bearer {
            builder = builder.header(wire::TOKEN_HEADER, token);
        }
        builder
    }
}

impl Connection for HttpsConnection {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, NetworkError>> {
        async move {
            let answer = self.prepare(request).timeout(ANSWER_TIMEOUT).send().await;
            let mut answer = answer.map_err(|error| name(&error))?;
            let status = answer.status().as_u16();
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|error| name(&error))? {
                if body.len() + piece.len() > ANSWER_BYTES {
                    return Err(NetworkError::TooLarge);
                }
                body.extend_from_slice(&piece);
            }
            Ok(Response { status, body })
        }
        .boxed()
    }

    fn stream(&self, request: Request) -> BoxFuture<'_, Result<Hints, NetworkError>> {
        async move {
            // The first line comes at once; a request's own timeout would end the stream itself.
            let begun = tokio::time::timeout(ANSWER_TIMEOUT, self.prepare(request).send());
            let answer = begun.await.map_err(|_| NetworkError::Timeout)?;
            let answer = answer.map_err(|error| name(&error))?;
            if !answer.status().is_success() {
                return Err(NetworkError::Broken);
            }
            Ok(answer.bytes_stream().map_err(|error| name(&error)).boxed())
        }
        .boxed()
    }
}

/// The name of what happened. The library's own text may hold the address, so it is not kept.
fn name(error: &reqwest::Error) -> NetworkError {
    if error.is_timeout() {
        return NetworkError::Timeout;
    }
    if error.is_connect() {
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            if is_of_tls(inner) {
                return NetworkError::Untrusted;
            }
            source = inner.source();
        }
        return NetworkError::Unreachable;
    }
    NetworkError::Broken
}

/// Whether TLS refused. Its error lies in I/O errors around each other, and those do not name what
/// they hold as their source.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || held.is_some_and(|held| is_of_tls(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_tls_is_refused() {
        for address in ["http://example.org", "example.org", "https://", "file:///etc/passwd"] {
            let refused = Https.connect(address, &Trust::PublicRoots).err();
            assert_eq!(refused, Some(NetworkError::Address), "{address}");
        }
    }

    #[test]
    fn a_certificate_authority_that_is_none_is_refused() {
        let trust = Trust::CompanyCa(vec![1, 2, 3].into());
        let refused = Https.connect("https://127.0.0.1:1", &trust).err();
        assert_eq!(refused, Some(NetworkError::Authority));
    }
}
