//! TLS of the listening side: rustls with the ring provider, and certificates of clients where they are asked for.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpStream;

use crate::error::WireErrorKind;
use crate::tls::{certificates, crypto_provider, fault, roots_of, unreadable};

/// Files of a listener, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// Its certificate, then those of the authorities between.
    pub chain_pem: PathBuf,
    /// Its private key.
    pub key_pem: PathBuf,
    /// Authorities that clients' certificates are checked against.
    pub client_ca_pem: Option<PathBuf>,
    /// `ssl.client.auth`.
    pub client_auth: ClientAuth,
}

/// `ssl.client.auth`: whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked, and may have none. One that they show must be trusted.
    Requested,
    /// Without one that is trusted there is no connection.
    Required,
}

/// An accepted connection.
pub type ServerStream = tokio_rustls::server::TlsStream<TcpStream>;

/// Does the server's half of handshakes.
#[derive(Clone)]
pub struct TlsAcceptor {
    acceptor: tokio_rustls::TlsAcceptor,
}

impl std::fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}

impl TlsAcceptor {
    /// Reads the files. Blocks on them: call it off the reactor.
    ///
    /// # Errors
    /// A file cannot be read, or certificate and key do not belong together.
    pub fn new(tls: &ServerTls) -> Result<Self, WireErrorKind> {
        let chain = certificates(&tls.chain_pem)?;
        let key = PrivateKeyDer::from_pem_file(&tls.key_pem)
            .map_err(|error| unreadable("private key", &tls.key_pem, &error))?;
        let config = ServerConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(format!("TLS cannot be set up: {error}")))?
            .with_client_cert_verifier(verifier(tls)?)
            .with_single_cert(chain, key)
            .map_err(|error| {
                let (chain, key) = (tls.chain_pem.display(), tls.key_pem.display());
                fault(format!("certificate {chain} and key {key} cannot be used: {error}"))
            })?;
        Ok(Self { acceptor: Arc::new(config).into() })
    }

    /// Waits for the handshake. Cancelling closes the connection.
    ///
    /// # Errors
    /// The client is not one of TLS, does not trust the certificate, or shows none that is trusted here.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<ServerStream> {
        self.acceptor.accept(stream).await
    }
}

/// The certificate (DER) that the client showed; it has been verified.
pub fn peer_certificate(stream: &ServerStream) -> Option<&[u8]> {
    Some(stream.get_ref().1.peer_certificates()?.first()?.as_ref())
}

fn verifier(tls: &ServerTls) -> Result<Arc<dyn ClientCertVerifier>, WireErrorKind> {
    if tls.client_auth == ClientAuth::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let Some(path) = &tls.client_ca_pem else {
        return Err(fault(
            "clients are asked for certificates, but no authority is trusted for them".to_owned(),
        ));
    };
    let roots = Arc::new(roots_of(path)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, crypto_provider());
    let builder = match tls.client_auth {
        ClientAuth::Requested => builder.allow_unauthenticated(),
        _ => builder,
    };
    builder.build().map_err(|error| fault(format!("trusted certificates cannot be used: {error}")))
}
