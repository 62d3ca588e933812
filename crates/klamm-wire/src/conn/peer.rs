//! The certificates that a TLS listener shows, whether they are good or not.

use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::dial::{self, Target};
use crate::error::{WireError, WireErrorKind, from_io};
use crate::security::Tls;
use crate::tls;

/// Certificates (DER, the listener's own first) that the listener at `address` (`host:port`) shows in the handshake, after
/// which the connection is closed: nothing else is sent. They are not verified, so that expired ones and those of unknown
/// authorities are seen, too; nothing that came over such a connection may be trusted. `limit` bounds connecting and
/// the handshake, each.
///
/// # Errors
/// When there is no connection, or the handshake ends before the listener shows a certificate.
pub async fn peer_certificates(address: &str, tls: &Tls, limit: Duration) -> Result<Vec<Vec<u8>>, WireError> {
    shown(address, tls, limit).await.map_err(|kind| WireError::new(address, kind))
}

async fn shown(address: &str, settings: &Tls, limit: Duration) -> Result<Vec<Vec<u8>>, WireErrorKind> {
    let target = Target::parse(address)?;
    let client = settings.client.clone();
    let (config, seen) = match tokio::task::spawn_blocking(move || tls::looking_config(client.as_ref())).await
    {
        Ok(made) => made?,
        Err(error) => {
            return Err(WireErrorKind::Security { message: format!("reading certificates failed: {error}") });
        }
    };
    let name = tls::server_name(&target.host)?;
    let tcp = dial::connect(&target, limit).await?;
    let shaken = timeout(limit, TlsConnector::from(config).connect(name, tcp)).await;
    // A listener that insists on a client's certificate may end the handshake, after it has shown its own.
    let chain = seen.take();
    match shaken {
        _ if !chain.is_empty() => Ok(chain),
        Ok(Ok(_)) => Err(WireErrorKind::TlsFailed { message: "no certificate was shown".to_owned() }),
        Ok(Err(error)) => Err(from_io(&error)),
        Err(_) => {
            let message = format!("no answer within {} ms", limit.as_millis());
            Err(WireErrorKind::TlsFailed { message })
        }
    }
}
