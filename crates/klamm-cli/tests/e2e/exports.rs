//! Exports are taken by the programs that they are for.

use anyhow::{Context, Result, ensure};
use std::path::Path;

use xtask::paths::root;

use crate::harness::{Place, same_as_committed};

fn files(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        files.push(entry?.path().display().to_string());
    }
    files.sort();
    Ok(files)
}

#[tokio::test]
async fn each_topic_and_group_gets_a_file_with_reasons_and_the_hash_of_the_plan() -> Result<()> {
    let place = Place::new()?;
    for format in ["java", "librdkafka"] {
        let written = place.run(&["export", "--format", format, "--out", format]).await?;
        ensure!(written.code == Some(0), "{written:?}");
        let files = files(&place.file(format))?;
        ensure!(files.len() == 2, "{files:?}");
        let producer = std::fs::read_to_string(
            files.iter().find(|file| file.contains(&place.topic)).context("a file for the topic")?,
        )?;
        ensure!(producer.contains("\nacks=all\n") && producer.contains("from plan"), "{producer}");
        ensure!(producer.contains("partitioner=murmur2_random") == (format == "librdkafka"), "{producer}");
        let printed = place.run(&["export", "--format", format]).await?;
        ensure!(printed.stdout.contains("enable.auto.commit=false"), "{printed:?}");
    }
    std::fs::write(place.file("taken"), "")?;
    place
        .run(&["export", "--format", "java", "--out", "taken"])
        .await?
        .failed_with(&["cannot write", "--out"])
}

/// A spec with everything that an export can be about, over TLS and SASL.
const WHOLE: &str = "klamm: 1\nservice: orders\n\
    cluster:\n  bootstrap: [localhost:9092]\n  brokers: 3\n  security:\n    tls: {}\n    \
    sasl: { mechanism: SCRAM-SHA-512, username: orders, password_env: KAFKA_PASSWORD }\n\
    topics:\n  TOPIC:\n    key: id\n    write: { rate: 1 MB/s }\n\
    consumers:\n  GROUP:\n    reads: [TOPIC]\n\
    streams:\n  app:\n    reads: [TOPIC]\n    state: 1 GB\n\
    quota: { write: 10 MB/s }\n\
    recovery:\n  rpo: 1 min\n  rto: 1h\n  to: { bootstrap: [localhost:9192] }\n";

#[tokio::test]
async fn secrets_appear_by_reference_only() -> Result<()> {
    let place = Place::with_spec(WHOLE)?;
    let text = |format: &'static str| {
        let place = &place;
        async move { anyhow::Ok(place.run(&["export", "--format", format]).await?.stdout) }
    };
    ensure!(text("java").await?.contains("password=\"${env:KAFKA_PASSWORD}\""));
    let librdkafka = text("librdkafka").await?;
    ensure!(librdkafka.contains("KAFKA_PASSWORD") && !librdkafka.contains("sasl.password="), "{librdkafka}");
    ensure!(text("kafka-python").await?.contains("os.environ[\"KAFKA_PASSWORD\"]"));
    ensure!(text("kafkajs").await?.contains("process.env[\"KAFKA_PASSWORD\"]"));
    Ok(())
}

#[tokio::test]
async fn a_format_without_anything_to_say_is_told() -> Result<()> {
    let place = Place::new()?;
    for format in ["mm2", "streams"] {
        place.run(&["export", "--format", format]).await?.failed_with(&["nothing for", "recovery"])?;
    }
    let unknown = place.run(&["export", "--format", "jva"]).await?;
    ensure!(unknown.code == Some(2) && unknown.stderr.contains("'java'"), "{unknown:?}");
    Ok(())
}

/// `UPDATE=1 cargo test -p klamm-cli --test e2e exports` writes it anew; the stage `outside` compiles it.
#[tokio::test]
async fn contracts_in_rust_are_those_that_the_outside_program_is_built_with() -> Result<()> {
    let place = Place::new()?;
    let spec = root().join("examples/orders/klamm.yaml").display().to_string();
    let written = place.run(&["export", &spec, "--format", "rust", "--out", "out"]).await?;
    ensure!(written.code == Some(0), "{written:?}");
    let fresh = std::fs::read_to_string(place.file("out/contracts.rs"))?;
    same_as_committed("tests/outside/src/contracts.rs", &fresh)
}

mod on_real_kafka {
    use std::collections::BTreeMap;
    use std::process::Command;

    use klamm_testkit::{Cluster, Tier, run};
    use xtask::clients::Clients;
    use xtask::java::{Programs, json_answer};

    use super::*;

    const KEYS: usize = 500;

    async fn exported(place: &Place, format: &str) -> Result<std::path::PathBuf> {
        let written = place.run(&["export", "--format", format, "--out", format]).await?;
        ensure!(written.code == Some(0), "{written:?}");
        Ok(place.file(format))
    }

    #[tokio::test]
    async fn java_brokers_mirror_and_streams_know_every_key() -> Result<()> {
        let place = Place::with_spec(WHOLE)?;
        let programs = Programs::compile(&root())?;
        for (format, least) in [("java", 20), ("server-properties", 60), ("streams", 8), ("mm2", 15)] {
            let mut files = files(&exported(&place, format).await?)?;
            files.retain(|file| file.ends_with(".properties"));
            let mut check = programs.java("CheckConfigs");
            let answer = json_answer(check.env("KAFKA_PASSWORD", "x").args(files))?;
            ensure!(answer["keys"].as_u64() >= Some(least), "{format}: {answer}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn strimzis_model_knows_every_field() -> Result<()> {
        let place = Place::with_spec(WHOLE)?;
        let files = files(&exported(&place, "strimzi").await?)?;
        let answer = json_answer(Programs::strimzi(&root())?.args(files))?;
        ensure!(answer["resources"] == 5, "two pools, cluster, topic, user: {answer}");
        Ok(())
    }

    /// Runs one client in a topic and a group of its own, which are as the plan says.
    async fn round_trip(
        cluster: &Cluster,
        format: &str,
        program: impl FnOnce() -> Result<Command>,
    ) -> Result<BTreeMap<String, i64>> {
        let place = Place::new()?;
        let bootstrap = cluster.bootstrap();
        let applied =
            place.run(&["apply", "--yes", "--bootstrap", &bootstrap, "--lock-timeout", "90s"]).await?;
        ensure!(applied.code == Some(0), "{applied:?}");
        let folder = exported(&place, format).await?.display().to_string();
        let mut command = program()?;
        command.args([folder.as_str(), &place.topic, &place.group, &bootstrap, &KEYS.to_string()]);
        let answer = tokio::task::spawn_blocking(move || json_answer(&mut command)).await??;
        ensure!(answer["read"] == KEYS, "{format} read {}", answer["read"]);
        Ok(serde_json::from_value(answer["partitions"].clone())?)
    }

    #[test]
    fn java_librdkafka_kafkajs_and_kafka_python_put_the_same_keys_on_the_same_partitions() -> Result<()> {
        let clients = Clients::ensure(&root())?;
        let programs = Programs::compile(&root())?;
        run(Tier::Real, async |cluster| {
            let java = round_trip(&cluster, "java", || Ok(programs.java("RoundTrip"))).await?;
            ensure!(java.len() == KEYS, "{java:?}");
            let python = |client: &str| {
                let mut command = clients.python("round_trip.py");
                command.arg(client);
                Ok(command)
            };
            let others = [
                ("librdkafka", round_trip(&cluster, "librdkafka", || python("librdkafka")).await?),
                ("kafka-python", round_trip(&cluster, "kafka-python", || python("kafka-python")).await?),
                ("kafkajs", round_trip(&cluster, "kafkajs", || Ok(clients.node("round_trip.js"))).await?),
            ];
            for (name, partitions) in others {
                ensure!(partitions == java, "{name} disagrees with Java");
            }
            Ok(())
        })
    }
}
