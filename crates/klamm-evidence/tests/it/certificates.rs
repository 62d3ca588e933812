//! Certificates of listeners.

use std::sync::Arc;

use klamm_evidence::certificates::collect;
use klamm_rules::Seen;
use klamm_rules::evidence::{Broker, Live};
use klamm_wire::{Security, Tls};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn tls() -> Security {
    Security { tls: Some(Tls::default()), sasl: None }
}

fn broker(id: i32, port: u16) -> Broker {
    Broker { id, host: "localhost".to_owned(), port, ..Broker::default() }
}

/// A listener whose certificate is long expired and of an authority that nobody knows.
async fn expired() -> u16 {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["other.example".to_owned()]).expect("valid");
    params.not_after = date_time_ymd(2021, 3, 4);
    let certificate = params.self_signed(&key).expect("signs");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("valid");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    port
}

#[tokio::test]
async fn an_expired_certificate_is_read_and_a_dead_listener_is_told() {
    let port = expired().await;
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let live = Live { brokers: Seen::Full(vec![broker(1, port), broker(2, dead)]), ..Live::default() };
    let Seen::Partial { value, missing } = collect(&live, &tls()).await else { panic!("one is dead") };
    assert_eq!(value.len(), 1);
    assert_eq!((value[0].at.clone(), value[0].host.as_str()), (format!("localhost:{port}"), "localhost"));
    assert_eq!(
        (value[0].names.as_slice(), value[0].not_after_ms),
        (&["other.example".to_owned()][..], 1_614_816_000_000)
    );
    assert!(missing.len() == 1 && missing[0].starts_with("certificate of broker 2: "), "{missing:?}");
}

#[tokio::test]
async fn without_tls_nobody_asked() {
    let live = Live { brokers: Seen::Full(vec![broker(1, 9)]), ..Live::default() };
    assert_eq!(collect(&live, &Security::default()).await, Seen::NotAsked);
    let denied = Seen::Denied { permission: "DESCRIBE on Cluster:kafka-cluster".to_owned() };
    let live = Live { brokers: denied.map(|()| Vec::new()), ..Live::default() };
    assert!(matches!(collect(&live, &tls()).await, Seen::Denied { .. }));
}
