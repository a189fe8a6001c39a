//! The listening socket and what one connection may cost, whichever routes stand behind it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use futures_util::future::BoxFuture;
use rustls::ServerConfig;
use tokio::sync::Semaphore;

use super::answer::Refusal;
use super::door::{Door, Doorkeeper};
use super::limits::{
    CONNECTION_BUFFER, CONNECTION_STREAMS, HEADER_BYTES, HEADER_TIME, PING_TIME, REQUEST_TIME,
};

/// A server on this socket, behind this door. Its headers are small and come in time, and a connection that stands idle is
/// asked whether it lives.
pub fn server(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    door: &Arc<Door>,
    handle: Handle<SocketAddr>,
) -> io::Result<Server<SocketAddr, Boxed<RustlsAcceptor<Doorkeeper>>>> {
    let mut server = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(tls))?
        .map(|tls| Boxed(tls.acceptor(Doorkeeper(Arc::clone(door)))))
        .handle(handle)
        .first_request_timeout(HEADER_TIME);
    server.http_builder().http1().header_read_timeout(HEADER_TIME).max_buf_size(CONNECTION_BUFFER);
    server
        .http_builder()
        .http2()
        .max_concurrent_streams(CONNECTION_STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .auto_date_header(false)
        .keep_alive_interval(PING_TIME);
    Ok(server)
}

/// Keeps a connection's TLS on the heap. The task of a connection has room for each of the states that it
/// goes through, the handshake and both versions of HTTP, and would hold the TLS of each.
#[derive(Clone)]
pub struct Boxed<A>(A);

impl<I, S, A> Accept<I, S> for Boxed<A>
where
    A: Accept<I, S, Future: Send + 'static>,
{
    type Stream = Box<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepted = self.0.accept(stream, service);
        Box::pin(async move { accepted.await.map(|(stream, service)| (Box::new(stream), service)) })
    }
}

/// Bounds how many requests run at once.
pub fn bounded<S: Clone + Send + Sync + 'static>(router: Router<S>, places: usize) -> Router<S> {
    router.layer(middleware::from_fn_with_state(Arc::new(Semaphore::new(places)), bound))
}

/// Bounds how many requests run at once, and how long one takes until its answer begins; the
/// body's time is in it.
async fn bound(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_place) = places.try_acquire() else { return Refusal::Busy.into_response() };
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::Late.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use futures_util::FutureExt as _;
    use tower::ServiceExt as _;

    use super::*;

    fn ask(path: &str) -> Request {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn more_requests_than_there_are_places_are_refused_until_one_ends() {
        let routes = Router::new()
            .route("/", get(|| async { "da" }))
            .route("/never", get(std::future::pending::<&str>));
        let router = bounded(routes, 1);
        let mut first = Box::pin(router.clone().oneshot(ask("/never")));
        assert!((&mut first).now_or_never().is_none());
        let second = router.clone().oneshot(ask("/")).await.unwrap();
        assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(first);
        assert_eq!(router.oneshot(ask("/")).await.unwrap().status(), StatusCode::OK);
    }
}
