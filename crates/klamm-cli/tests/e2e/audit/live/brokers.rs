//! Brokers that are gone, started wrongly, or ahead of the time, and what they leave behind.

use anyhow::{Context, Result, ensure};
use klamm_admin::{Mode, NewTopic, Reassign};
use klamm_testkit::{Cluster, eventually};
use serde_json::Value;
use tokio::task::block_in_place;

use super::{Bench, SHOWS, asked, commands, hanging, mistake};

/// The broker that everything happens to.
const BROKER: i32 = 3;
/// Its clock is so far ahead at one time.
const AHEAD_SECONDS: i64 = 7_200;
/// Records that an audit looks at; more are written once the clock is right again.
const SAMPLE: [&str; 2] = ["--sample", "20"];
const AFTERWARDS: usize = 40;
const BY_BROKER: &str = "cluster, by broker";

fn topic(name: &str, partitions: i32, copies: i16, configs: &[(&str, &str)]) -> NewTopic {
    let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    NewTopic { name: name.to_owned(), partitions, replication_factor: copies, configs }
}

async fn make(bench: &Bench) -> Result<()> {
    let orders = bench.place.topic.clone();
    let topics = [
        topic(&orders, 6, 3, &[("min.insync.replicas", "2")]),
        topic("lone", 1, 1, &[]),
        topic("pair", 1, 2, &[]),
        topic("stamped", 1, 1, &[("message.timestamp.type", "LogAppendTime")]),
    ];
    bench.admin.create_topics(&topics, Mode::Execute).await?;
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    bench.admin.wait_until_ready(&names, SHOWS).await?;
    let homes = [("lone", vec![BROKER]), ("stamped", vec![BROKER]), ("pair", vec![1, BROKER])];
    let moves = homes.map(|(topic, replicas)| Reassign {
        topic: topic.to_owned(),
        partition: 0,
        replicas: Some(replicas),
    });
    bench.admin.reassign(&moves).await?;
    eventually(SHOWS, "copies at their homes", async || {
        bench.admin.reassignments().await.is_ok_and(|left| left.is_empty())
    })
    .await
}

/// Waits until every copy is in sync.
async fn in_sync(bench: &Bench) -> Result<()> {
    eventually(SHOWS, "all copies in sync", async || {
        let names = bench.admin.list_topics().await?;
        let facts = bench.admin.facts(&names).await?;
        let mut partitions = facts.topics.values().flat_map(|topic| &topic.partitions);
        let behind = partitions.find(|one| one.isr.len() < one.replicas.len() || one.leader.is_none());
        ensure!(behind.is_none(), "{behind:?}");
        anyhow::Ok(())
    })
    .await
}

/// The setting of `write NAME=VALUE into server.properties of broker 3`.
fn written(finding: &Value) -> Result<(String, String)> {
    let asked = asked(finding);
    let line = asked.lines().find_map(|line| line.strip_prefix("write ")).context("what to write")?;
    let (setting, brokers) = line.split_once(" into server.properties of ").context("where to write it")?;
    ensure!(brokers == format!("broker {BROKER}"), "{asked}");
    let (name, value) = setting.split_once('=').context("a name and a value")?;
    Ok((name.to_owned(), value.to_owned()))
}

async fn mistakes(cluster: Cluster) -> Result<()> {
    let bench = Bench::new(cluster).await?;
    make(&bench).await?;
    gone(&bench).await.context("a broker that is gone")?;
    wrong(&bench).await.context("a broker that is started wrongly")?;

    hanging::leave_open(&bench.admin, "pair").await?;
    let hangs = [mistake("KL111", "partition pair-0", "open since offset", "0")];
    let found = bench.found(&hangs, &[]).await?;
    ensure!(commands(&found[0])[0].starts_with("klamm txn abort "), "{found:?}");
    bench.fix(&found.iter().collect::<Vec<_>>()).await?;
    bench.mended(&hangs, &[]).await
}

/// The broker stops, and starts again with what is wrong next.
async fn gone(bench: &Bench) -> Result<()> {
    let broker = format!("broker {BROKER}");
    bench.cluster.stop(BROKER).await?;
    let mistakes = [
        mistake("KL503", &broker, "partitions with a copy that is not in sync", ""),
        mistake("KL510", BY_BROKER, "without broker 1", &bench.place.topic),
        mistake("KL519", "topic lone", "replicas of partition 0", "[3]"),
    ];
    let found = bench.found(&mistakes, &[]).await?;
    for finding in [&found[0], &found[2]] {
        ensure!(asked(finding).contains(&format!("start broker {BROKER}")), "{finding:#}");
    }
    let kafka = bench.cluster.kafka().context("real")?;
    let settings = [("auto.create.topics.enable", "true"), ("num.partitions", "4"), ("broker.rack", "a")];
    kafka.configure(BROKER, &settings)?;
    block_in_place(|| kafka.start_node_ahead(BROKER, AHEAD_SECONDS))?;
    in_sync(bench).await?;
    bench.fix(&[&found[0]]).await?;
    bench.mended(&[mistake("KL503", &broker, "", ""), mistake("KL519", "topic lone", "", "")], &[]).await?;
    let left = bench.audit("KL510").await?;
    let left = super::found(&left, "KL510", BY_BROKER)?;
    ensure!(!left.to_string().contains(&bench.place.topic), "only topics with one copy are left: {left:#}");
    // What the broker that is back does not mend: one copy is one.
    let single = ["topic lone", "topic stamped"].map(|topic| mistake("KL501", topic, "copies", "1"));
    let found = bench.found(&single, &[]).await?;
    bench.fix(&found.iter().collect::<Vec<_>>()).await?;
    bench.mended(&single, &[]).await?;
    bench.mended(&[mistake("KL510", BY_BROKER, "", "")], &[]).await
}

/// A record that its leader stamps.
async fn stamped(bench: &Bench) -> Result<()> {
    let kafka = bench.cluster.kafka().context("real")?;
    let names = ["stamped".to_owned()];
    let leader = bench.admin.leaders(&names).await?["stamped"][&0].context("a leader")?;
    block_in_place(|| kafka.raw(leader)?.produce_one("stamped", b"now"))?;
    Ok(())
}

/// It is in the rack of another, makes topics, with another number of partitions, and its clock is ahead.
async fn wrong(bench: &Bench) -> Result<()> {
    let kafka = bench.cluster.kafka().context("real")?;
    stamped(bench).await?;
    let mistakes = [
        mistake("KL502", "topic pair", "racks of partition 0", "a, a"),
        mistake("KL506", "topic stamped", "newest time stamp", "2"),
        mistake("KL508", "cluster", "auto.create.topics.enable", "true"),
        mistake("KL524", "num.partitions of cluster", "num.partitions", "4"),
    ];
    let found = bench.found(&mistakes, &SAMPLE).await?;
    bench.fix(&[&found[0]]).await?;
    ensure!(asked(&found[1]).contains("chronyc makestep"), "{:#}", found[1]);
    let settings = found[2..].iter().map(written).collect::<Result<Vec<_>>>()?;
    bench.fix(&[&found[2]]).await?;
    bench.cluster.stop(BROKER).await?;
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    kafka.configure(BROKER, &settings)?;
    bench.cluster.start(BROKER).await?;
    in_sync(bench).await?;
    for _ in 0..AFTERWARDS {
        stamped(bench).await?;
    }
    bench.mended(&mistakes, &SAMPLE).await
}

mod on_real_kafka {
    use klamm_testkit::{Controller, anyhow::Result, run_on_real};

    #[test]
    fn brokers_that_are_gone_or_wrong_are_found_and_mended_as_told() -> Result<()> {
        run_on_real(3, Controller::Apart, super::mistakes)
    }
}
