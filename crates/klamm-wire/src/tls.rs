//! TLS of the connecting side: rustls with the ring provider, host names always verified.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{CertificateFault, WireErrorKind};
use crate::security::{ClientCertificate, Tls};

/// Reads the PEM files and builds the client's configuration. Blocks on files: call it off the reactor.
pub(crate) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, WireErrorKind> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match &tls.ca_pem {
        Some(path) => roots_of(path)?,
        None => native_roots()?,
    };
    // The provider is named here too: the default is process-wide and may not be ours to install.
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| fault(format!("trusted certificates cannot be used: {error}")))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(format!("TLS cannot be set up: {error}")))?
        .with_webpki_verifier(verifier);
    with_client(builder, tls.client.as_ref())
}

/// The cryptography that all TLS of klamm uses, for other clients that are built on rustls.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Certificates (DER) of the authorities that are trusted: those in the PEM file, or the operating system's. For other TLS
/// clients than this crate's. Blocks on files.
///
/// # Errors
/// When the file cannot be read, or there are none.
pub fn authorities(ca_pem: Option<&Path>) -> Result<Vec<Vec<u8>>, WireErrorKind> {
    let found = match ca_pem {
        Some(path) => certificates(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    match found.is_empty() {
        true => Err(fault("the operating system has no certificate authorities".to_owned())),
        false => Ok(found.into_iter().map(|certificate| certificate.to_vec()).collect()),
    }
}

/// A configuration that verifies nothing and remembers what it was shown: for looking at certificates, never for data.
pub(crate) fn looking_config(
    client: Option<&ClientCertificate>,
) -> Result<(Arc<ClientConfig>, Arc<Onlooker>), WireErrorKind> {
    let provider = crypto_provider();
    let seen = Arc::new(Onlooker { provider: Arc::clone(&provider), chain: Mutex::default() });
    let verifier: Arc<dyn ServerCertVerifier> = seen.clone();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok((with_client(builder, client)?, seen))
}

/// Takes every certificate, and keeps it.
#[derive(Debug)]
pub(crate) struct Onlooker {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<Vec<u8>>>,
}

impl Onlooker {
    /// What was shown, the listener's own certificate first.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.chain.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(own).chain(others).map(|certificate| certificate.to_vec()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn with_client(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    client: Option<&ClientCertificate>,
) -> Result<Arc<ClientConfig>, WireErrorKind> {
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = certificates(&client.chain_pem)?;
            let key = PrivateKeyDer::from_pem_file(&client.key_pem)
                .map_err(|error| unreadable("private key", &client.key_pem, &error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                let (chain, key) = (client.chain_pem.display(), client.key_pem.display());
                fault(format!("client certificate {chain} and key {key} cannot be used: {error}"))
            })?
        }
    };
    Ok(Arc::new(config))
}

/// The name that the server's certificate must carry.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, WireErrorKind> {
    ServerName::try_from(host.to_owned()).map_err(|_| WireErrorKind::Address {
        message: format!("{host:?} cannot be the name in a certificate"),
    })
}

/// Sorts what rustls said.
pub(crate) fn sort(error: &rustls::Error) -> WireErrorKind {
    use CertificateError as C;
    let rustls::Error::InvalidCertificate(why) = error else {
        return WireErrorKind::TlsFailed { message: error.to_string() };
    };
    let fault = match why {
        C::UnknownIssuer | C::BadSignature => CertificateFault::UnknownAuthority,
        C::NotValidForName | C::NotValidForNameContext { .. } => CertificateFault::WrongName,
        C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
            CertificateFault::OutOfDate
        }
        _ => CertificateFault::Other,
    };
    let message = match fault {
        CertificateFault::UnknownAuthority => "not signed by an authority that is trusted here".to_owned(),
        _ => error.to_string(),
    };
    WireErrorKind::CertificateRejected { fault, message }
}

pub(crate) fn roots_of(path: &Path) -> Result<RootCertStore, WireErrorKind> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| fault(format!("{}: not a certificate authority: {error}", path.display())))?;
    }
    Ok(roots)
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WireErrorKind> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unreadable("certificates", path, &error))?;
    if found.is_empty() {
        return Err(fault(format!("{}: no certificate in it", path.display())));
    }
    Ok(found)
}

fn native_roots() -> Result<RootCertStore, WireErrorKind> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(fault(format!("the operating system's certificate authorities cannot be read: {why}")));
    }
    Ok(roots)
}

pub(crate) fn unreadable(what: &str, path: &Path, error: &rustls::pki_types::pem::Error) -> WireErrorKind {
    fault(format!("{}: {what} cannot be read: {error}", path.display()))
}

pub(crate) fn fault(message: String) -> WireErrorKind {
    WireErrorKind::Security { message }
}
