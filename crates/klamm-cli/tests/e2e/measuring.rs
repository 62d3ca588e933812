//! What a partition takes is measured on the cluster at hand, and planned with.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions, Mode, NewTopic};
use klamm_kafka::partition_for_key;
use klamm_testkit::{Cluster, eventually, scenarios, unique};
use klamm_wire::batch::{BatchBuilder, Compression};
use serde_json::Value;

use crate::harness::Place;

async fn a_partition_is_measured_and_nothing_is_left_behind(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let bootstrap = cluster.bootstrap();
    let bench =
        ["bench", "partition", "--for", "1s", "--record", "500 B", "--json", "--bootstrap", &bootstrap];
    let measured = place.run(&bench).await?;
    ensure!(measured.code == Some(0), "{measured:?}");
    let value: Value = serde_json::from_str(&measured.stdout)?;
    let number = |name: &str| value[name].as_u64().with_context(|| format!("no {name} in {value}"));
    let (write, read, plan) =
        (number("write_bytes_per_second")?, number("read_bytes_per_second")?, number("plan_with")?);
    ensure!(plan > 0 && plan < write.min(read), "{value}");
    let admin = Admin::connect(&ClientOptions::new([bootstrap])).await?;
    // The controller has deleted it; the broker that is asked may learn so a moment later.
    eventually(Duration::from_secs(30), "the topic that was measured to be gone", async || {
        let topics = admin.list_topics().await;
        topics.is_ok_and(|topics| !topics.iter().any(|name| name.starts_with("klamm.bench.")))
    })
    .await?;
    let spec = std::fs::read_to_string(place.file("klamm.yaml"))?;
    let told = spec.replace("brokers: 3\n", &format!("brokers: 3\n  partition: {plan} B/s\n"));
    std::fs::write(place.file("klamm.yaml"), told)?;
    let planned = place.run(&["plan", "-v"]).await?;
    ensure!(planned.code == Some(0) && planned.stdout.contains("(measured)"), "{planned:?}");
    Ok(())
}

/// 2,000 records in 6 partitions: 30 % of them of one user with 40 sessions, the others of 500 users.
async fn write_skewed(admin: &Admin, topic: &str) -> Result<()> {
    let new = NewTopic { name: topic.to_owned(), partitions: 6, replication_factor: 1, configs: Vec::new() };
    admin.create_topics(&[new], Mode::Execute).await?;
    admin.wait_until_ready(&[topic.to_owned()], Duration::from_secs(30)).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64;
    let mut batches: Vec<BatchBuilder> = (0..6).map(|_| BatchBuilder::new(Compression::None)).collect();
    for number in 0..2_000_u32 {
        let key = if number % 10 < 3 { "whale".to_owned() } else { format!("user-{}", number % 500) };
        let value = format!("{{\"session\": \"s{}\", \"nr\": {number}}}", number % 40);
        let partition = partition_for_key(key.as_bytes(), 6) as usize;
        batches[partition].append(now, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    for (partition, batch) in (0..).zip(batches) {
        admin.append(topic, partition, batch.finish()?).await?;
    }
    Ok(())
}

async fn keys_are_sampled_and_a_hot_one_is_refused_with_what_would_spread_it(cluster: Cluster) -> Result<()> {
    let topic = unique("clicks");
    let place = Place::with_spec(&format!(
        "klamm: 1\nservice: clicks\nprofile: dev\ntopics:\n  {topic}:\n    key: user\n    write: {{ rate: 100 MB/s, record: 1 KB }}\n"
    ))?;
    let bootstrap = cluster.bootstrap();
    let admin = Admin::connect(&ClientOptions::new([bootstrap.clone()])).await?;
    write_skewed(&admin, &topic).await?;
    let sampled = place.run(&["keys", &topic, "--json", "--bootstrap", &bootstrap]).await?;
    ensure!(sampled.code == Some(0), "{sampled:?}");
    let value: Value = serde_json::from_str(&sampled.stdout)?;
    let keys = &value["keys"];
    ensure!(keys["records"] == 2_000 && keys["hottest"] == "whale" && keys["misplaced"] == 0, "{value}");
    ensure!(keys["hottest_thousandths"] == 30_000 && keys["within"][0] == "session", "{value}");
    let distinct = keys["distinct"].as_u64().context("a number")?;
    ensure!((300..1_000).contains(&distinct), "{value}");

    let unsampled = place.run(&["plan", "--bootstrap", &bootstrap]).await?;
    ensure!(unsampled.code == Some(0), "{unsampled:?}");
    let refused = place.run(&["plan", "--sample", "--bootstrap", &bootstrap]).await?;
    refused.failed_with(&["30.000%", "hot-key", "composite key user:session"])
}

scenarios!(
    a_partition_is_measured_and_nothing_is_left_behind,
    keys_are_sampled_and_a_hot_one_is_refused_with_what_would_spread_it,
);
