//! TLS, authentication and missing rights, against brokers that mean it.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use klamm_admin::{
    Admin, AdminErrorKind, ClientOptions, Mechanism, Mode, NewTopic, Operation, Sasl, Security, Tls,
    TopicRights, WireErrorKind,
};
use klamm_wire::{CertificateFault, ClientCertificate};

/// Where a broker with all listeners is.
pub struct Secured {
    pub plaintext: String,
    pub ssl: String,
    pub sasl: String,
    pub sasl_ssl: String,
    pub ca_pem: PathBuf,
    pub client: ClientCertificate,
}

impl Secured {
    fn tls(&self) -> Option<Tls> {
        Some(Tls { ca_pem: Some(self.ca_pem.clone()), client: None })
    }
}

fn user(mechanism: Mechanism, name: &str, password: &str) -> Option<Sasl> {
    Some(Sasl { mechanism, username: name.to_owned(), password: password.to_owned() })
}

fn options(address: &str, tls: Option<Tls>, sasl: Option<Sasl>) -> ClientOptions {
    ClientOptions { security: Security { tls, sasl }, ..ClientOptions::new([address]) }
}

async fn failure(options: &ClientOptions) -> Result<WireErrorKind> {
    let error = Admin::connect(options).await.err().context("it must be refused")?;
    ensure!(error.hint().is_some(), "{error} has a hint");
    match error.kind() {
        AdminErrorKind::Wire(error) => Ok(error.kind().clone()),
        other => anyhow::bail!("{other:?}"),
    }
}

pub async fn every_way_in_works(at: &Secured) -> Result<()> {
    let mut ways = vec![options(&at.plaintext, None, None), options(&at.ssl, at.tls(), None)];
    let mutual = Tls { client: Some(at.client.clone()), ..at.tls().context("TLS")? };
    ways.push(options(&at.ssl, Some(mutual), None));
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        ways.push(options(&at.sasl, None, user(mechanism, "alice", "alice-secret")));
        ways.push(options(&at.sasl_ssl, at.tls(), user(mechanism, "alice", "alice-secret")));
    }
    for way in ways {
        let admin = Admin::connect(&way).await.with_context(|| format!("{:?}", way.security))?;
        let facts = admin.facts(&[]).await.with_context(|| format!("{:?}", way.security))?;
        ensure!(facts.brokers.len() == 1);
    }
    Ok(())
}

pub async fn every_wrong_way_has_its_own_error(at: &Secured) -> Result<()> {
    use WireErrorKind as K;
    let kind = failure(&options(&at.ssl, None, None)).await?;
    ensure!(matches!(kind, K::TlsExpected), "plain to TLS: {kind:?}");
    let kind = failure(&options(&at.plaintext, at.tls(), None)).await?;
    ensure!(matches!(kind, K::PlainExpected), "TLS to plain: {kind:?}");
    let stranger = Tls { ca_pem: Some(at.client.chain_pem.clone()), client: None };
    let kind = failure(&options(&at.ssl, Some(stranger), None)).await?;
    let unknown = CertificateFault::UnknownAuthority;
    ensure!(matches!(kind, K::CertificateRejected { fault, .. } if fault == unknown), "wrong CA: {kind:?}");
    let kind = failure(&options(&at.sasl, None, None)).await?;
    ensure!(matches!(&kind, K::SaslExpected { offered } if offered.len() == 3), "no credentials: {kind:?}");
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let kind = failure(&options(&at.sasl, None, user(mechanism, "alice", "guess"))).await?;
        ensure!(matches!(kind, K::AuthenticationFailed { .. }), "wrong password: {kind:?}");
    }
    let kind =
        failure(&options(&at.plaintext, None, user(Mechanism::Plain, "alice", "alice-secret"))).await?;
    ensure!(
        matches!(&kind, K::MechanismUnsupported { offered, .. } if offered.is_empty()),
        "no SASL: {kind:?}"
    );
    Ok(())
}

pub async fn what_is_not_allowed_is_named(at: &Secured) -> Result<()> {
    let alice =
        Admin::connect(&options(&at.sasl, None, user(Mechanism::Plain, "alice", "alice-secret"))).await?;
    let bob = Admin::connect(&options(&at.sasl, None, user(Mechanism::Plain, "bob", "bob-secret"))).await?;
    let name = crate::unique("secret");
    let names = [name.clone()];
    let new = [NewTopic { name: name.clone(), partitions: 1, replication_factor: 1, configs: vec![] }];

    let error = bob.create_topics(&new, Mode::Execute).await.err().context("bob may not create")?;
    ensure!(
        matches!(error.kind(), AdminErrorKind::Denied { .. }) && error.to_string().contains(&name),
        "{error}"
    );
    alice.create_topics(&new, Mode::Execute).await?;
    alice.wait_until_ready(&names, std::time::Duration::from_secs(30)).await?;

    ensure!(bob.topic_rights(&names).await?.get(&name) == Some(&TopicRights::Denied));
    let facts = bob.facts(&names).await?;
    ensure!(
        facts.topics.is_empty() && facts.brokers.iter().all(|broker| broker.configs.is_empty()),
        "{facts:?}"
    );
    ensure!(bob.cluster_rights().await?.is_none_or(|rights| !rights.allows(Operation::Create)));

    ensure!(alice.cluster_rights().await?.is_some_and(|rights| rights.allows(Operation::Create)));
    let rights = alice.topic_rights(&names).await?;
    let Some(TopicRights::Known(Some(rights))) = rights.get(&name) else { anyhow::bail!("{rights:?}") };
    for operation in [Operation::Read, Operation::Write, Operation::Describe, Operation::AlterConfigs] {
        ensure!(rights.allows(operation), "alice may {operation}");
    }
    alice.delete_topics(&names).await?;
    Ok(())
}

mod on_real_kafka {
    use anyhow::{Context, Result};
    use klamm_wire::ClientCertificate;
    use xtask::kafka::state::Listener;
    use xtask::kafka::{Kafka, KafkaOptions, Listeners};

    use super::Secured;

    #[test]
    fn tls_authentication_and_rights() -> Result<()> {
        let name = "admin-security".to_owned();
        let kafka =
            Kafka::start(KafkaOptions { name, listeners: Listeners::Secured, ..KafkaOptions::default() })?;
        let at = |listener| kafka.bootstrap_of(listener).context("a listener");
        let files = kafka.state().certificates.clone().context("certificates")?;
        let at = Secured {
            plaintext: at(Listener::Plaintext)?,
            ssl: at(Listener::Ssl)?,
            sasl: at(Listener::SaslPlaintext)?,
            sasl_ssl: at(Listener::SaslSsl)?,
            ca_pem: files.ca,
            client: ClientCertificate { chain_pem: files.client, key_pem: files.client_key },
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            super::every_way_in_works(&at).await?;
            super::every_wrong_way_has_its_own_error(&at).await?;
            super::what_is_not_allowed_is_named(&at).await
        })
    }
}
