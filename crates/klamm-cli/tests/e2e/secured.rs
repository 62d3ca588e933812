//! TLS, authentication and advertised listeners: the right way runs, each wrong way is one line and a hint.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use klamm_testkit::{Cluster, Kafka, KafkaOptions, Listeners, run_on_real_with};
use xtask::kafka::properties::{PASSWORD, USER};
use xtask::kafka::state::Listener;

use crate::harness::Place;

const SPEC: &str = "klamm: 1\n\
    service: orders\n\
    cluster:\n  bootstrap: [localhost:9092]\n  security: SECURITY\n\
    topics:\n  TOPIC:\n    consistency: strong\n    key: order_id\n    order: per_key\n    \
    write: { rate: 100 KB/s, record: 200 B, peak: 2x }\n    retain: 7d\n\
    consumers:\n  GROUP:\n    reads: [TOPIC]\n    delivery: at_least_once\n";

/// A place whose spec connects in this way; the password is in the file `password` beside it.
fn place(security: &str, password: &str) -> Result<Place> {
    let place = Place::with_spec(&SPEC.replace("SECURITY", security))?;
    std::fs::write(place.file("password"), password)?;
    Ok(place)
}

fn tls(ca: &Path) -> String {
    format!("tls: {{ ca: '{}' }}", ca.display())
}

fn sasl(mechanism: &str) -> String {
    format!("sasl: {{ mechanism: {mechanism}, username: {USER}, password_file: password }}")
}

async fn the_right_way_runs_over_tls_with_every_mechanism(kafka: &Kafka) -> Result<()> {
    let ca = &kafka.state().certificates.as_ref().context("certificates")?.ca;
    let address = kafka.bootstrap_of(Listener::SaslSsl).context("a SASL_SSL listener")?;
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let place = place(&format!("{{ {}, {} }}", tls(ca), sasl(mechanism)), PASSWORD)?;
        let common = ["--bootstrap", &address, "--profile", "dev", "--json"];
        let run = place.run(&[&["up", "--records", "500"], &common[..]].concat()).await?;
        run.held().with_context(|| mechanism.to_owned())?;
        let doctor = place.run(&[&["doctor"], &common[..]].concat()).await?;
        ensure!(doctor.code == Some(0), "{doctor:?}");
        ensure!(!doctor.stdout.contains(PASSWORD), "a password is printed");
    }
    Ok(())
}

async fn each_wrong_way_is_said_in_a_line_with_a_hint(kafka: &Kafka) -> Result<()> {
    let ca = &kafka.state().certificates.as_ref().context("certificates")?.ca;
    let at = |listener| kafka.bootstrap_of(listener).context("the listener is there");
    let in_clear = "{}".to_owned();
    let ways = [
        (Listener::Ssl, in_clear, "TLS"),
        (Listener::Plaintext, format!("{{ {} }}", tls(ca)), "TLS"),
        (Listener::Ssl, "{ tls: {} }".to_owned(), "certificate"),
        (Listener::SaslPlaintext, format!("{{ {} }}", sasl("SCRAM-SHA-512")), "authentication"),
    ];
    for (listener, security, word) in ways {
        let (place, address) = (place(&security, "not the password")?, at(listener)?);
        for command in [["up", "--ephemeral"], ["apply", "--dry-run"]] {
            let run =
                place.run(&[&command[..], &["--bootstrap", &address, "--timeout", "10s"]].concat()).await?;
            run.failed_with(&[&address, word]).with_context(|| format!("{security} on {listener:?}"))?;
            ensure!(!run.stderr.contains("not the password"), "a password is printed");
        }
    }
    Ok(())
}

mod on_real_kafka {
    use super::*;

    #[test]
    fn tls_and_authentication() -> Result<()> {
        let options = KafkaOptions { listeners: Listeners::Secured, ..KafkaOptions::default() };
        run_on_real_with(options, async |cluster: Cluster| {
            let kafka = cluster.kafka().context("real")?;
            the_right_way_runs_over_tls_with_every_mechanism(kafka).await?;
            each_wrong_way_is_said_in_a_line_with_a_hint(kafka).await
        })
    }

    #[test]
    fn an_advertised_listener_that_cannot_be_reached_is_named_with_its_broker() -> Result<()> {
        let advertised = ("advertised.listeners".to_owned(), "PLAINTEXT://kafka-7.invalid:9092".to_owned());
        let options = KafkaOptions { properties: vec![advertised], ..KafkaOptions::default() };
        run_on_real_with(options, async |cluster: Cluster| {
            let place = Place::new()?;
            let bootstrap = cluster.bootstrap();
            for command in ["up", "apply"] {
                let run = place.run(&[command, "--bootstrap", &bootstrap, "--profile", "dev"]).await?;
                run.failed_with(&["broker 1", "kafka-7.invalid:9092", "advertised.listeners"])?;
            }
            let doctor = place.run(&["doctor", "--bootstrap", &bootstrap, "--profile", "dev"]).await?;
            ensure!(doctor.code == Some(2), "{doctor:?}");
            let listener = "fail          listener kafka-7.invalid:9092 of broker 1";
            ensure!(doctor.stdout.contains(listener), "{doctor:?}");
            Ok(())
        })
    }
}
