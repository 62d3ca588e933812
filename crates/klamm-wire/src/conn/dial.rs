//! From an address to a byte stream: resolve, connect, TLS.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ConnectOptions;
use crate::error::{WireErrorKind, from_io};
use crate::security::{Security, Tls};
use crate::tls;

/// A parsed `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Host name or address, without the brackets of IPv6.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
}

impl Target {
    pub(super) fn parse(address: &str) -> Result<Self, WireErrorKind> {
        let wrong = |why: &str| WireErrorKind::Address { message: format!("{address:?} {why}") };
        let (host, port) =
            address.rsplit_once(':').ok_or_else(|| wrong("has no port, expected host:port"))?;
        let port = port.parse().map_err(|_| wrong("has no valid port, expected 1 to 65535"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(wrong("has an IPv6 address without brackets"));
        }
        let host = bare.unwrap_or(host);
        if host.is_empty() || port == 0 {
            return Err(wrong("is not host:port"));
        }
        Ok(Target { host: host.to_owned(), port })
    }
}

/// The byte stream under a connection.
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Opens the stream; each stage within `connect_timeout`.
pub(super) async fn dial(
    target: &Target,
    security: &Security,
    options: &ConnectOptions,
) -> Result<Transport, WireErrorKind> {
    let limit = options.connect_timeout;
    let Some(settings) = &security.tls else {
        return connect(target, limit).await.map(Transport::Plain);
    };
    let connector = connector(settings.clone()).await?;
    let name = tls::server_name(&target.host)?;
    let tcp = connect(target, limit).await?;
    match timeout(limit, connector.connect(name, tcp)).await {
        Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(from_io(&error)),
        Err(_) => {
            let message = format!("no answer within {} ms", limit.as_millis());
            Err(WireErrorKind::TlsFailed { message })
        }
    }
}

/// Resolves and tries each address in turn, all within `limit`.
pub(super) async fn connect(target: &Target, limit: Duration) -> Result<TcpStream, WireErrorKind> {
    let deadline = Instant::now() + limit;
    let mut addresses = resolve(target, deadline).await?;
    // Few listeners bind ::1, and none is lost by trying it second.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut failure = WireErrorKind::Dns { message: "the name has no address".to_owned() };
    for (tried, address) in addresses.iter().enumerate() {
        // An address that swallows packets must not use up the time of those after it.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are small and waited for: Nagle's algorithm would only delay them.
                stream.set_nodelay(true).map_err(|error| from_io(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = from_io(&error),
            Err(_) => {
                let message = format!("no connection to {address} within {} ms", share.as_millis());
                failure = WireErrorKind::Unreachable { message };
            }
        }
    }
    Err(failure)
}

async fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, WireErrorKind> {
    let dns = |message: String| WireErrorKind::Dns { message };
    match timeout_at(deadline, tokio::net::lookup_host((target.host.as_str(), target.port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(dns(error.to_string())),
        Err(_) => Err(dns("the name server does not answer".to_owned())),
    }
}

async fn connector(settings: Tls) -> Result<TlsConnector, WireErrorKind> {
    // Certificates are read anew for each connection: a renewed file is used without a restart.
    match tokio::task::spawn_blocking(move || tls::client_config(&settings)).await {
        Ok(config) => config.map(TlsConnector::from),
        Err(error) => {
            Err(WireErrorKind::Security { message: format!("reading certificates failed: {error}") })
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        let target = |host: &str, port| Target { host: host.to_owned(), port };
        assert_eq!(Target::parse("localhost:9092").ok(), Some(target("localhost", 9092)));
        assert_eq!(Target::parse("[::1]:9092").ok(), Some(target("::1", 9092)));
        for wrong in ["localhost", "localhost:", ":9092", "a:0", "a:99999", "::1:9092", "a:b", ""] {
            assert!(matches!(Target::parse(wrong), Err(WireErrorKind::Address { .. })), "{wrong}");
        }
    }
}
