//! TLS: trusted, mutual, and each way in which it fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use klamm_wire::protocol::messages::{ApiKey, MetadataRequest, MetadataResponse};
use klamm_wire::{
    CertificateFault, ClientCertificate, Connection, Security, Tls, WireErrorKind, peer_certificates,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::server::{Answer, Asked, MODERN, broker, frame, is, listen, options, serve, versions};

/// An authority, a server certificate for a name, and a client certificate, as PEM files.
struct Pki {
    folder: tempfile::TempDir,
    server: Arc<ServerConfig>,
    mutual: Arc<ServerConfig>,
}

impl Pki {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new(Vec::<String>::new()).expect("valid");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_cert = ca.self_signed(&ca_key).expect("signs");
        std::fs::write(folder.path().join("ca.pem"), ca_cert.pem()).expect("written");
        let issuer = Issuer::new(ca, ca_key);

        let client_key = KeyPair::generate().expect("a key");
        let mut client = CertificateParams::new(vec!["ann".to_owned()]).expect("valid");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client = client.signed_by(&client_key, &issuer).expect("signs");
        std::fs::write(folder.path().join("client.pem"), client.pem()).expect("written");
        std::fs::write(folder.path().join("client.key"), client_key.serialize_pem()).expect("written");

        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("valid");
        let cert = params.signed_by(&key, &issuer).expect("signs");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = || {
            ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .expect("versions")
        };
        let key = || PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let chain = vec![cert.der().clone()];
        let server = builder().with_no_client_auth().with_single_cert(chain.clone(), key()).expect("valid");
        let mut roots = RootCertStore::empty();
        roots.add(ca_cert.der().clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("a verifier");
        let mutual =
            builder().with_client_cert_verifier(verifier).with_single_cert(chain, key()).expect("valid");
        Pki { folder, server: Arc::new(server), mutual: Arc::new(mutual) }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn trusting(&self) -> Security {
        Security { tls: Some(Tls { ca_pem: Some(self.path("ca.pem")), client: None }), sasl: None }
    }

    fn with_certificate(&self) -> Security {
        let client =
            ClientCertificate { chain_pem: self.path("client.pem"), key_pem: self.path("client.key") };
        Security { tls: Some(Tls { ca_pem: Some(self.path("ca.pem")), client: Some(client) }), sasl: None }
    }
}

fn answer(asked: &mut Asked) -> Answer {
    match is(asked, ApiKey::ApiVersions) {
        true => frame(asked, &versions(MODERN)),
        false => frame(asked, &MetadataResponse::default()),
    }
}

async fn tls_broker(config: &Arc<ServerConfig>) -> String {
    let acceptor = TlsAcceptor::from(Arc::clone(config));
    let address = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, answer).await;
            }
        }
    })
    .await;
    address.replace("127.0.0.1", "localhost")
}

async fn failure(address: &str, security: &Security) -> WireErrorKind {
    Connection::connect(address, security, &options()).await.expect_err("refused").kind().clone()
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_accepted() {
    let pki = Pki::new("localhost");
    let address = tls_broker(&pki.server).await;
    let connection = Connection::connect(&address, &pki.trusting(), &options()).await.expect("connects");
    connection.call(&MetadataRequest::default()).await.expect("answers");
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_asked_for() {
    let pki = Pki::new("localhost");
    let address = tls_broker(&pki.mutual).await;
    let connection =
        Connection::connect(&address, &pki.with_certificate(), &options()).await.expect("connects");
    connection.call(&MetadataRequest::default()).await.expect("answers");
    let kind = failure(&address, &pki.trusting()).await;
    assert!(matches!(&kind, WireErrorKind::TlsFailed { .. }), "{kind:?}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (pki, other) = (Pki::new("localhost"), Pki::new("localhost"));
    let address = tls_broker(&pki.server).await;
    let kind = failure(&address, &other.trusting()).await;
    let fault = CertificateFault::UnknownAuthority;
    assert!(matches!(&kind, WireErrorKind::CertificateRejected { fault: f, .. } if *f == fault), "{kind:?}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let pki = Pki::new("broker.example");
    let address = tls_broker(&pki.server).await;
    let kind = failure(&address, &pki.trusting()).await;
    let fault = CertificateFault::WrongName;
    assert!(matches!(&kind, WireErrorKind::CertificateRejected { fault: f, .. } if *f == fault), "{kind:?}");
}

#[tokio::test]
async fn plaintext_to_a_tls_listener_is_recognised() {
    let pki = Pki::new("localhost");
    let address = tls_broker(&pki.server).await;
    let kind = failure(&address, &Security::default()).await;
    assert!(matches!(kind, WireErrorKind::TlsExpected), "{kind:?}");
}

#[tokio::test]
async fn a_tls_listener_that_closes_without_an_alert_is_recognised() {
    let pki = Pki::new("localhost");
    let acceptor = TlsAcceptor::from(Arc::clone(&pki.server));
    // What Java's brokers do with plain bytes.
    let address = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut first = [0];
            if stream.peek(&mut first).await.is_ok() && first == [0x16] {
                let _ = acceptor.accept(stream).await;
            }
        }
    })
    .await;
    let kind = failure(&address, &Security::default()).await;
    assert!(matches!(kind, WireErrorKind::TlsExpected), "{kind:?}");
}

#[tokio::test]
async fn tls_to_a_plaintext_listener_is_recognised() {
    let pki = Pki::new("localhost");
    let address = broker(answer).await.replace("127.0.0.1", "localhost");
    let kind = failure(&address, &pki.trusting()).await;
    assert!(matches!(kind, WireErrorKind::PlainExpected), "{kind:?}");
}

#[tokio::test]
async fn certificate_files_that_cannot_be_used_are_named() {
    let pki = Pki::new("localhost");
    let missing = Tls { ca_pem: Some(pki.path("no-such.pem")), client: None };
    let security = Security { tls: Some(missing), sasl: None };
    let error = Connection::connect("localhost:1", &security, &options()).await.expect_err("no file");
    assert!(error.to_string().contains("no-such.pem: certificates cannot be read"), "{error}");
    std::fs::write(pki.path("empty.pem"), "nothing").expect("written");
    let empty = Tls { ca_pem: Some(pki.path("empty.pem")), client: None };
    let security = Security { tls: Some(empty), sasl: None };
    let error = Connection::connect("localhost:1", &security, &options()).await.expect_err("no certificate");
    assert!(error.to_string().contains("no certificate in it"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_would_be_refused_is_still_seen() {
    let pki = Pki::new("broker.example");
    let address = tls_broker(&pki.server).await;
    let shown = peer_certificates(&address, &Tls::default(), Duration::from_secs(5)).await.expect("seen");
    assert_eq!(shown.len(), 1);
    assert!(shown[0].windows(14).any(|bytes| bytes == b"broker.example"));
}

#[tokio::test]
async fn the_certificate_of_a_listener_that_wants_one_is_seen_without_having_one() {
    let pki = Pki::new("localhost");
    let address = tls_broker(&pki.mutual).await;
    let shown = peer_certificates(&address, &Tls::default(), Duration::from_secs(5)).await.expect("seen");
    assert_eq!(shown.len(), 1);
}

#[tokio::test]
async fn a_plaintext_listener_shows_no_certificate() {
    let address = broker(answer).await.replace("127.0.0.1", "localhost");
    let limit = Duration::from_secs(5);
    let error = peer_certificates(&address, &Tls::default(), limit).await.expect_err("no TLS");
    assert_eq!(error.address(), address);
}
