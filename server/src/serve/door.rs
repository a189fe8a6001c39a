//! Who comes in at a listening socket: so many connections together, and so many from one address, so that
//! nobody takes all places before having said a word.
//!
//! An address is one of IPv4, or a network of 64 bits of IPv6, since a single customer of any provider has
//! as many addresses of IPv6 as he likes. Behind one IPv4 address a whole office may stand.
//!
//! Who finds no place is told so before any cryptography, by a TLS alert: `access_denied` if his address has
//! no place left, `internal_error` if nobody has. A phone takes both for a server that cannot be
//! reached now, and comes again in its time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Who is turned away at the same time with a word; more are without.
const GOODBYES: usize = 64;
/// How long somebody who is turned away may take to listen.
const GOODBYE_TIME: Duration = Duration::from_secs(1);
/// A client's first message is read before he is answered: TLS would lose the answer otherwise.
const HELLO_BYTES: usize = 4 * 1024;

/// How many connections a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of all together.
    pub total: usize,
    /// Of one address.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 16_384, per_address: 4_096 }
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Nobody has one.
    #[error("there are as many connections as this server takes")]
    Server,
    /// This address has none.
    #[error("there are as many connections from this address as this server takes")]
    Address,
}

impl Full {
    /// A fatal alert, in plain, as RFC 8446 §5.1 and §6.2 have it.
    fn alert(self) -> [u8; 7] {
        let description = match self {
            Self::Server => 80,
            Self::Address => 49,
        };
        [21, 3, 3, 0, 2, 2, description]
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Address => "address",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusedLabels {
    reason: &'static str,
}

/// Counts the open connections of a socket.
pub struct Door {
    limits: ConnectionLimits,
    open: Mutex<HashMap<IpAddr, usize>>,
    connections: Gauge,
    refused: Family<RefusedLabels, Counter>,
    goodbyes: Semaphore,
}

impl Door {
    /// A door that nobody went through.
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: Mutex::default(),
            connections: Gauge::default(),
            refused: Family::default(),
            goodbyes: Semaphore::new(GOODBYES),
        })
    }

    /// Shows what it counts.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Connections open", self.connections.clone());
        let help = "Connections refused, because the server or an address had as many as it may";
        registry.register("connections_refused", help, self.refused.clone());
    }

    /// A place for a connection from this address, if there is one.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let origin = origin(address);
        let mut open = lock(&self.open);
        let total: usize = usize::try_from(self.connections.get()).unwrap_or(usize::MAX);
        let there = open.get(&origin).copied().unwrap_or_default();
        let full = match (total >= self.limits.total, there >= self.limits.per_address) {
            (_, true) => Full::Address,
            (true, false) => Full::Server,
            (false, false) => {
                open.insert(origin, there + 1);
                self.connections.inc();
                return Ok(Place { door: Arc::clone(self), origin });
            }
        };
        drop(open);
        let refused =
            self.refused.get_or_create(&RefusedLabels { reason: full.reason() }).inc() + 1;
        // Said ever more seldom: who floods the door does not flood the log.
        if refused.is_power_of_two() {
            tracing::warn!(reason = full.reason(), refused, "connections are refused");
        }
        Err(full)
    }

    /// Tells somebody why, if not too many are told.
    async fn turn_away(&self, mut stream: TcpStream, full: Full) {
        let Ok(_place) = self.goodbyes.try_acquire() else { return };
        let goodbye = async {
            let mut hello = [0; HELLO_BYTES];
            // Whatever of it came: it is not answered.
            let _heard = stream.read(&mut hello).await?;
            stream.write_all(&full.alert()).await?;
            stream.shutdown().await
        };
        // Whoever does not listen is let go all the same.
        let _ = tokio::time::timeout(GOODBYE_TIME, goodbye).await;
    }
}

/// The address, as far as it tells people apart.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

fn lock(open: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    // Nothing under the lock panics between two writes, so a poisoned map is whole.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection's place, given back when it goes away.
pub struct Place {
    door: Arc<Door>,
    origin: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.door.open);
        self.door.connections.dec();
        let left = open.get_mut(&self.origin).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            open.remove(&self.origin);
        }
    }
}

/// Lets connections in, or not.
#[derive(Clone)]
pub struct Doorkeeper(pub Arc<Door>);

impl<S: Send + 'static> Accept<TcpStream, S> for Doorkeeper {
    type Stream = Guest;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Guest, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let door = Arc::clone(&self.0);
        Box::pin(async move {
            match door.enter(stream.peer_addr()?.ip()) {
                Ok(place) => {
                    // A small answer must not wait for the acknowledgement of the one before (40 ms).
                    stream.set_nodelay(true)?;
                    Ok((Guest { stream, _place: place }, service))
                }
                Err(full) => {
                    door.turn_away(stream, full).await;
                    Err(io::Error::other(full))
                }
            }
        })
    }
}

/// A connection that was let in, with its place.
pub struct Guest {
    stream: TcpStream,
    _place: Place,
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(total: usize, per_address: usize) -> Arc<Door> {
        Door::new(ConnectionLimits { total, per_address })
    }

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places_all_together_so_many_and_both_come_back() {
        let door = door(3, 2);
        let (anna, ben) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let first = door.enter(anna).unwrap();
        let second = door.enter(anna).unwrap();
        assert_eq!(door.enter(anna).err(), Some(Full::Address));
        let third = door.enter(ben).unwrap();
        assert_eq!(door.enter(ben).err(), Some(Full::Server));
        drop(first);
        let fourth = door.enter(ben).unwrap();
        assert_eq!(door.enter(ip("192.0.2.3")).err(), Some(Full::Server));
        drop((second, third, fourth));
        assert!(lock(&door.open).is_empty() && door.connections.get() == 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_address_is_the_one_it_maps() {
        let door = door(9, 1);
        let _six = door.enter(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(door.enter(ip("2001:db8:0:1:ffff::2")).err(), Some(Full::Address));
        let _other = door.enter(ip("2001:db8:0:2::1")).unwrap();
        let _four = door.enter(ip("192.0.2.1")).unwrap();
        assert_eq!(door.enter(ip("::ffff:192.0.2.1")).err(), Some(Full::Address));
    }

    #[tokio::test]
    async fn who_is_turned_away_reads_why_and_more_than_a_few_read_nothing() {
        let door = door(0, 9);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let said = async |door: &Arc<Door>| {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            client.write_all(b"a client's hello").await.unwrap();
            let refused = Doorkeeper(Arc::clone(door)).accept(stream, ()).await.err().unwrap();
            assert!(refused.to_string().contains("as many connections"), "{refused}");
            let mut said = Vec::new();
            // Without a word the connection ends, or is reset.
            let _ = client.read_to_end(&mut said).await;
            said
        };
        assert_eq!(said(&door).await, Full::Server.alert());
        let _busy = door.goodbyes.acquire_many(GOODBYES as u32).await.unwrap();
        assert!(said(&door).await.is_empty());
    }
}
