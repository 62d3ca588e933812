//! The sockets that are listened on.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::config::Listener;
use crate::config::BrokerConfig;
use crate::error::{BrokerError, BrokerErrorKind};

/// `socket.send.buffer.bytes`, Kafka's default. With as much as the system would let it grow to, large fetches took half as long again: what
/// is sent has left the processor's cache before the other side reads it.
const SEND_BUFFER_BYTES: u32 = 100 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A listener with the address that it got.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: TcpListener,
    pub listener: Arc<Listener>,
}

/// Listeners as settings tell them.
#[derive(Debug, Default)]
pub(crate) struct ListenerTexts {
    /// `listeners`.
    pub own: String,
    /// `advertised.listeners`.
    pub advertised: String,
}

impl ListenerTexts {
    pub fn new(listeners: &[Arc<Listener>]) -> Self {
        let all = |host: fn(&Listener) -> String| {
            let one = |listener: &Arc<Listener>| {
                format!("{}://{}:{}", listener.name, host(listener), listener.addr.port())
            };
            listeners.iter().map(one).collect::<Vec<_>>().join(",")
        };
        Self { own: all(|listener| ip(listener.addr)), advertised: all(advertised_host) }
    }
}

/// Host and port of a listener, as clients are told them.
pub(crate) fn bootstrap(listener: &Listener) -> String {
    format!("{}:{}", advertised_host(listener), listener.addr.port())
}

fn advertised_host(listener: &Listener) -> String {
    listener.advertised_host.clone().unwrap_or_else(|| ip(listener.addr))
}

/// With the brackets that an address of IPv6 needs before a port.
fn ip(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(addr) => addr.ip().to_string(),
        SocketAddr::V6(addr) => format!("[{}]", addr.ip()),
    }
}

/// Listens on all that the configuration names.
pub(crate) async fn bind(config: &BrokerConfig) -> Result<Vec<Bound>, BrokerError> {
    let wrong = |what: String| BrokerError::from(BrokerErrorKind::Config { what });
    let listeners = config.all_listeners();
    let mut bound: Vec<Bound> = Vec::with_capacity(listeners.len());
    for mut listener in listeners {
        if bound.iter().any(|other| other.listener.name == listener.name) {
            return Err(wrong(format!("two listeners are named {}", listener.name)));
        }
        if listener.protocol.is_encrypted() && config.security.tls.is_none() {
            return Err(wrong(format!("listener {} needs a certificate and a key", listener.name)));
        }
        if listener.protocol.has_sasl() && config.security.sasl.mechanisms.is_empty() {
            return Err(wrong(format!("listener {} needs sasl.enabled.mechanisms", listener.name)));
        }
        let wanted = listener.addr;
        let socket = listen(wanted).map_err(|error| bind_failed(wanted, error))?;
        listener.addr = socket.local_addr().map_err(|error| bind_failed(wanted, error))?;
        bound.push(Bound { socket, listener: Arc::new(listener) });
    }
    Ok(bound)
}

/// Waits for the next connection of any. Cancel safe.
pub(crate) async fn accept(all: &[Bound]) -> io::Result<(TcpStream, SocketAddr, Arc<Listener>)> {
    poll_fn(|context| {
        for bound in all {
            if let Poll::Ready(accepted) = bound.socket.poll_accept(context) {
                return Poll::Ready(accepted.map(|(stream, peer)| (stream, peer, bound.listener.clone())));
            }
        }
        Poll::Pending
    })
    .await
}

/// As `TcpListener::bind` does it, with a send buffer that the connections inherit.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A broker comes back to its port although connections of the last one still linger.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind_failed(addr: SocketAddr, source: io::Error) -> BrokerError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BrokerErrorKind::PortTaken { addr }.into(),
        _ => BrokerErrorKind::Io { what: format!("listening on {addr}"), source }.into(),
    }
}
