//! TLS with and without certificates of clients, and the users that certificates stand for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use klamm_broker::{
    AuthorizerConfig, Broker, BrokerConfig, BrokerErrorKind, ClientAuth, Listener, SaslMechanism,
    SecurityProtocol, ServerTls,
};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::CreateTopicsRequest;
use klamm_wire::protocol::messages::create_topics_request::CreatableTopic;
use klamm_wire::{
    CallOptions, ClientCertificate, ConnectOptions, Connection, Mechanism, Sasl, Security, Tls, WireError,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::client::{batch, fetch_request, produce_request, topic};

/// An authority, a broker's certificate and two clients': one of the authority, one of another.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        for authority in ["ca", "other"] {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, authority);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            files.write(authority, &issuer.pem());
            let signed = |name: &str, common_name: &str| {
                let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
                params.distinguished_name = Default::default();
                params.distinguished_name.push(DnType::OrganizationName, "Klamm");
                params.distinguished_name.push(DnType::CommonName, common_name);
                let key = KeyPair::generate().unwrap();
                files.write(name, &params.signed_by(&key, &issuer).unwrap().pem());
                files.write(&format!("{name}-key"), &key.serialize_pem());
            };
            match authority {
                "ca" => {
                    signed("broker", "broker");
                    signed("client", "Alice");
                }
                _ => signed("stranger", "Alice"),
            }
        }
        files
    }

    fn write(&self, name: &str, pem: &str) {
        std::fs::write(self.path(name), pem).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self, protocol: SecurityProtocol, client_auth: ClientAuth) -> BrokerConfig {
        let mut config = BrokerConfig::default();
        config.listeners = vec![Listener::local(protocol)];
        config.security.tls = Some(ServerTls {
            chain_pem: self.path("broker"),
            key_pem: self.path("broker-key"),
            client_ca_pem: Some(self.path("ca")),
            client_auth,
        });
        config
    }

    fn client(&self, certificate: Option<&str>) -> Security {
        let client = certificate.map(|name| ClientCertificate {
            chain_pem: self.path(name),
            key_pem: self.path(&format!("{name}-key")),
        });
        Security { tls: Some(Tls { ca_pem: Some(self.path("ca")), client }), sasl: None }
    }
}

/// Connects and creates a topic: only who may is told 0.
async fn try_create(broker: &Broker, security: &Security, name: &str) -> Result<i16, WireError> {
    let connection = Connection::connect(&broker.bootstrap(), security, &ConnectOptions::default()).await?;
    let wanted =
        CreatableTopic::default().with_name(topic(name)).with_num_partitions(1).with_replication_factor(1);
    let answer = connection.call(&CreateTopicsRequest::default().with_topics(vec![wanted])).await?;
    Ok(answer.topics[0].error_code)
}

fn only(user: &str) -> Option<AuthorizerConfig> {
    let super_users = [format!("User:{user}")].into();
    Some(AuthorizerConfig { super_users, allow_everyone_if_no_acl_found: false })
}

const DENIED: i16 = ErrorCode::TOPIC_AUTHORIZATION_FAILED.code();

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_certificates_are_anonymous() {
    let files = Files::new();
    for client_auth in [ClientAuth::None, ClientAuth::Requested] {
        let mut config = files.config(SecurityProtocol::Ssl, client_auth);
        config.security.authorizer = only("ANONYMOUS");
        let broker = Broker::start(config).await.unwrap();
        assert_eq!(try_create(&broker, &files.client(None), "t").await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_batches_arrive_over_tls_as_they_were_stored() {
    let files = Files::new();
    let broker = Broker::start(files.config(SecurityProtocol::Ssl, ClientAuth::None)).await.unwrap();
    assert_eq!(try_create(&broker, &files.client(None), "t").await.unwrap(), 0);
    let options = ConnectOptions::default();
    let connection = Connection::connect(&broker.bootstrap(), &files.client(None), &options).await.unwrap();
    let sent = batch(&["x".repeat(700_000).as_str()]);
    // The last versions with names instead of ids.
    let named = CallOptions { max_version: Some(12), timeout: None };
    connection.call_with(&produce_request("t", 0, sent.clone()), named).await.unwrap();
    for _ in 0..2 {
        let answer = connection.call_with(&fetch_request("t", 0, 0, Duration::ZERO), named).await.unwrap();
        let records = answer.responses[0].partitions[0].records.clone().unwrap();
        assert_eq!(records[20..], sent[20..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_its_clients_name() {
    let files = Files::new();
    for client_auth in [ClientAuth::Requested, ClientAuth::Required] {
        let mut config = files.config(SecurityProtocol::Ssl, client_auth);
        config.security.authorizer = only("CN=Alice,O=Klamm");
        let broker = Broker::start(config).await.unwrap();
        assert_eq!(try_create(&broker, &files.client(Some("client")), "t").await.unwrap(), 0);
        assert!(try_create(&broker, &files.client(Some("stranger")), "t").await.is_err());
        let without = try_create(&broker, &files.client(None), "t").await;
        match client_auth {
            ClientAuth::Required => assert!(without.is_err()),
            _ => assert_eq!(without.unwrap(), DENIED),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mapping_rules_make_users_of_names() {
    let files = Files::new();
    let mut config = files.config(SecurityProtocol::Ssl, ClientAuth::Required);
    config.security.principal_mapping_rules = "RULE:^CN=(.*?),O=Klamm$/$1@klamm/L".to_owned();
    config.security.authorizer = only("alice@klamm");
    let broker = Broker::start(config.clone()).await.unwrap();
    assert_eq!(try_create(&broker, &files.client(Some("client")), "t").await.unwrap(), 0);

    config.security.principal_mapping_rules = "RULE:^CN=other$/x/".to_owned();
    let broker = Broker::start(config.clone()).await.unwrap();
    assert!(try_create(&broker, &files.client(Some("client")), "t").await.is_err(), "no rule applies");

    config.security.principal_mapping_rules = "RULE:(".to_owned();
    let error = Broker::start(config).await.unwrap_err();
    assert!(matches!(error.kind(), BrokerErrorKind::Config { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sasl_inside_tls_names_the_user_and_asks_for_no_certificate() {
    let files = Files::new();
    let mut config = files.config(SecurityProtocol::SaslSsl, ClientAuth::Required);
    config.security.sasl.mechanisms = vec![SaslMechanism::ScramSha512, SaslMechanism::Plain];
    config.security.sasl.scram_users = [("bob".to_owned(), "bob-pw".to_owned())].into();
    config.security.sasl.plain_users = config.security.sasl.scram_users.clone();
    config.security.authorizer = only("bob");
    let broker = Broker::start(config).await.unwrap();
    for (mechanism, name) in [(Mechanism::Plain, "one"), (Mechanism::ScramSha512, "two")] {
        let with = |password: &str| {
            let (username, password) = ("bob".to_owned(), password.to_owned());
            Security { sasl: Some(Sasl { mechanism, username, password }), ..files.client(None) }
        };
        assert_eq!(try_create(&broker, &with("bob-pw"), name).await.unwrap(), 0);
        assert!(try_create(&broker, &with("alice-pw"), name).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_on_a_listener_of_tls_ends_the_connection_and_no_other() {
    let files = Files::new();
    let broker = Broker::start(files.config(SecurityProtocol::Ssl, ClientAuth::None)).await.unwrap();
    let mut client = crate::client::Client::connect(&broker.bootstrap());
    client.send_raw(&[0, 18, 0, 0, 0, 0, 0, 1, 0, 0]).unwrap();
    assert!(client.receive_raw().map_or(true, |frame| frame.is_empty()) || client.receive_raw().is_err());
    crate::client::eventually("a reason", || {
        broker.recent_closures().iter().any(|why| why.contains("TLS handshake failed"))
    });
    assert_eq!(try_create(&broker, &files.client(None), "t").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_cannot_be_secured_does_not_start() {
    let files = Files::new();
    let good = files.config(SecurityProtocol::Ssl, ClientAuth::None);
    let with = |change: fn(&mut BrokerConfig, &Path)| {
        let mut config = good.clone();
        change(&mut config, files.dir.path());
        config
    };
    let broken = [
        with(|config, _| config.security.tls = None),
        with(|config, _| config.listeners = vec![Listener::local(SecurityProtocol::SaslSsl)]),
        with(|config, _| config.listeners.push(Listener::local(SecurityProtocol::Ssl))),
        with(|config, dir| config.security.tls.as_mut().unwrap().key_pem = dir.join("client-key")),
        with(|config, dir| config.security.tls.as_mut().unwrap().chain_pem = dir.join("missing")),
        with(|config, _| {
            let tls = config.security.tls.as_mut().unwrap();
            (tls.client_auth, tls.client_ca_pem) = (ClientAuth::Required, None);
        }),
        with(|config, dir| config.security.sasl.oauth.jwks = Some(dir.join("missing"))),
    ];
    for config in broken {
        let error = Broker::start(config).await.unwrap_err();
        assert!(matches!(error.kind(), BrokerErrorKind::Config { .. }), "{error}");
    }
}
