//! When the first exchange fails: which protocol does the port speak? A second, short connection asks, so that the
//! error can say what is so, not what might be.

use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::dial::{self, Target};
use super::link::Link;
use super::{ConnectOptions, negotiate};
use crate::error::{WireError, WireErrorKind};
use crate::protocol::messages::{ApiKey, SaslHandshakeRequest};
use crate::protocol::protocol::StrBytes;
use crate::security::Security;
use crate::tls;

/// A probe only improves an error message: it must not delay it for long.
const LIMIT: Duration = Duration::from_secs(2);
const CORRELATION: i32 = 0x6b6c_616d;

/// Failures of the TLS handshake that a plaintext listener may be behind.
pub(super) fn looks_plain(kind: &WireErrorKind) -> bool {
    matches!(kind, WireErrorKind::TlsFailed { .. } | WireErrorKind::Closed { .. } | WireErrorKind::Io { .. })
}

/// Failures of the first plain request that a TLS listener may be behind.
pub(super) fn looks_like_tls(kind: &WireErrorKind) -> bool {
    matches!(kind, WireErrorKind::Closed { .. } | WireErrorKind::Timeout { .. } | WireErrorKind::Io { .. })
}

/// Whether the port answers a plain ApiVersions request.
pub(super) async fn speaks_plain(target: &Target) -> bool {
    let mut request = Vec::new();
    request.put_i32(10);
    request.put_i16(ApiKey::ApiVersions as i16);
    request.put_i16(0);
    request.put_i32(CORRELATION);
    request.put_i16(-1);
    let answer = first_bytes::<8>(target, &request).await;
    answer.is_some_and(|bytes| bytes[4..] == CORRELATION.to_be_bytes())
}

/// Whether the port answers a TLS ClientHello with a TLS record.
pub(super) async fn speaks_tls(target: &Target) -> bool {
    let Some(hello) = client_hello(target) else {
        return false;
    };
    let answer = first_bytes::<3>(target, &hello).await;
    matches!(answer, Some([0x15 | 0x16, 0x03, _]))
}

/// Asks the listener at `address`, which closed a connection that did not authenticate, whether it wants
/// authentication: `SaslExpected` with what it offers, or `None`.
pub async fn ask_for_sasl(address: &str, security: &Security, options: &ConnectOptions) -> Option<WireError> {
    let target = Target::parse(address).ok()?;
    let transport = dial::dial(&target, security, options).await.ok()?;
    let link = Link::spawn(address, transport, options);
    let ranges = negotiate::versions(&link, LIMIT).await.ok()?;
    let version = ranges.choose::<SaslHandshakeRequest>(None).ok()?;
    // No mechanism has this name, so the broker lists those that it has.
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("WHICH"));
    let answer = link.call(&request, version, LIMIT).await.ok()?;
    let offered: Vec<String> = answer.mechanisms.iter().map(ToString::to_string).collect();
    (!offered.is_empty()).then(|| link.failed(WireErrorKind::SaslExpected { offered }))
}

fn client_hello(target: &Target) -> Option<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Trusts nobody: the handshake is never finished.
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut hello = Vec::new();
    let mut connection =
        ClientConnection::new(Arc::new(config), tls::server_name(&target.host).ok()?).ok()?;
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}

async fn first_bytes<const N: usize>(target: &Target, request: &[u8]) -> Option<[u8; N]> {
    let exchange = async {
        let mut stream = dial::connect(target, LIMIT).await.ok()?;
        stream.write_all(request).await.ok()?;
        let mut answer = [0; N];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    };
    timeout(LIMIT, exchange).await.ok().flatten()
}
