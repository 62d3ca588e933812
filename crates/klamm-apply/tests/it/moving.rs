//! Copies of partitions that are moved, on a cluster of three real brokers: one has nowhere to move them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, Mode as AdminMode, NewTopic};
use klamm_apply::{
    ApplyErrorKind, ApplyOptions, Control, Existing, Journaling, Progress, apply, apply_watched, undo,
};
use klamm_contract::facts::ConfigSource;
use klamm_plan::{ChangeKind, Plan, Risk};
use klamm_testkit::eventually;
use klamm_wire::batch::{BatchBuilder, Compression};
use tokio::sync::watch;

use crate::applying::{ADJUST, admin, planned};
use crate::{Cluster, unique};

const KEEP: ApplyOptions = ApplyOptions {
    journal: Journaling::Keep { lock_timeout: Duration::from_secs(90) },
    layers: klamm_apply::Layers::NONE,
    ..ADJUST
};
/// Barely above what the spec writes at its peak (2 MB/s), so that a move of some megabytes takes its time.
const SLOW: ApplyOptions = ApplyOptions { throttle: Some(2_100_000), ..KEEP };
const SHOWS: Duration = Duration::from_secs(60);
const MOST_BATCHES: usize = 12;

/// A topic with one copy of each partition where the plan wants three, and `batches` of 900 KB in each.
async fn thin(admin: &Admin, batches: usize) -> Result<(String, Plan)> {
    ensure!(batches <= MOST_BATCHES);
    let topic = unique("thin");
    let new = NewTopic { name: topic.clone(), partitions: 4, replication_factor: 1, configs: Vec::new() };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&topic), Duration::from_secs(30)).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    for _ in 0..batches {
        for partition in 0..4 {
            let mut batch = BatchBuilder::new(Compression::None);
            batch.append(i64::try_from(now)?, Some(b"k"), Some(&[7; 900_000]), &[]);
            admin.append(&topic, partition, batch.finish()?).await?;
        }
    }
    let mut plan = planned(admin, &topic).await?;
    plan.topics[0].contract.layer_topic.replication_factor = 3;
    Ok((topic, plan))
}

async fn copies(admin: &Admin, topic: &str) -> Result<Vec<usize>> {
    let facts = admin.facts(&[topic.to_owned()]).await?;
    let live = facts.topics.get(topic).context("the topic exists")?;
    Ok(live.partitions.iter().map(|partition| partition.replicas.len()).collect())
}

/// Throttles that are set on the topic, or on any broker.
async fn throttles(admin: &Admin, topic: &str) -> Result<Vec<String>> {
    let facts = admin.facts(&[topic.to_owned()]).await?;
    let of_topic = facts.topics[topic].configs.iter().flatten();
    let of_topic = of_topic.filter(|(_, fact)| fact.source == ConfigSource::Topic);
    let of_brokers = facts.brokers.iter().flat_map(|broker| &broker.configs);
    let of_brokers = of_brokers.filter(|(_, fact)| fact.source == ConfigSource::DynamicBroker);
    let set = of_topic.chain(of_brokers).filter(|(name, _)| name.contains("replication.throttled"));
    Ok(set
        .filter(|(_, fact)| fact.value.as_ref().is_some_and(|v| !v.is_empty()))
        .map(|(n, _)| n.clone())
        .collect())
}

async fn no_throttle_is_left(admin: &Admin, topic: &str) -> Result<()> {
    eventually(SHOWS, "the throttles are gone", async || match throttles(admin, topic).await {
        Ok(left) if left.is_empty() => Ok(()),
        Ok(left) => Err(format!("{left:?}")),
        Err(error) => Err(error.to_string()),
    })
    .await
}

pub async fn copies_are_added_over_the_racks_and_taken_back(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let (topic, plan) = thin(&admin, 1).await?;
    let seen = std::sync::Mutex::new(Vec::new());
    let say = |progress: &Progress| seen.lock().unwrap_or_else(|e| e.into_inner()).push(progress.clone());
    let done = apply_watched(&admin, &plan, &KEEP, Control { say: &say, stop: None }).await?;
    ensure!(done.done.iter().any(|done| done.risk == Risk::CopiesData), "{done:?}");
    ensure!(copies(&admin, &topic).await? == [3; 4]);
    let facts = admin.facts(std::slice::from_ref(&topic)).await?;
    let racks = facts.brokers.iter().filter(|broker| broker.rack.is_some()).count();
    ensure!(racks == 3, "the cluster of the tests has racks");
    let seen = seen.into_inner().unwrap_or_else(|e| e.into_inner());
    ensure!(seen.last().is_some_and(|last| last.done == 4 && last.of == 4), "{seen:?}");
    no_throttle_is_left(&admin, &topic).await?;
    ensure!(apply(&admin, &plan, &KEEP).await?.done.is_empty(), "a second run has nothing to do");

    let before: Vec<i32> =
        facts.topics[&topic].partitions.iter().map(|partition| partition.replicas[0]).collect();
    let back = undo(&admin, done.run.context("journalled")?, &KEEP).await?;
    ensure!(back.left.is_empty(), "{back:?}");
    ensure!(copies(&admin, &topic).await? == [1; 4]);
    let facts = admin.facts(std::slice::from_ref(&topic)).await?;
    let after: Vec<i32> =
        facts.topics[&topic].partitions.iter().map(|partition| partition.replicas[0]).collect();
    ensure!(before == after, "each copy is where it was: {before:?} {after:?}");
    no_throttle_is_left(&admin, &topic).await
}

pub async fn a_move_that_is_stopped_leaves_copies_and_throttles_as_they_were(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let (topic, plan) = thin(&admin, MOST_BATCHES).await?;
    let too_slow = ApplyOptions { throttle: Some(1_000_000), ..KEEP };
    let refused = apply(&admin, &plan, &too_slow).await.expect_err("slower than the records come");
    ensure!(matches!(refused.kind(), ApplyErrorKind::ThrottleTooLow { .. }), "{refused}");
    let (stop, stopped) = watch::channel(false);
    let say = |_: &Progress| {
        stop.send_replace(true);
    };
    let control = Control { say: &say, stop: Some(&stopped) };
    let error = apply_watched(&admin, &plan, &SLOW, control).await.expect_err("it was stopped");
    ensure!(matches!(error.kind(), ApplyErrorKind::Cancelled { .. }), "{error}");
    eventually(SHOWS, "one copy each", async || copies(&admin, &topic).await.is_ok_and(|now| now == [1; 4]))
        .await?;
    ensure!(admin.reassignments().await?.iter().all(|ongoing| ongoing.topic != topic));
    no_throttle_is_left(&admin, &topic).await?;
    let done = apply(&admin, &plan, &KEEP).await?;
    ensure!(copies(&admin, &topic).await? == [3; 4], "{done:?}");
    Ok(())
}

pub async fn a_move_that_was_cut_off_is_watched_to_its_end_by_the_next_run(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let (topic, plan) = thin(&admin, MOST_BATCHES).await?;
    // Dropped in the middle, as by kill -9, but for the lock: that is released by its task.
    let moving = tokio::spawn({
        let (admin, plan) = (admin.clone(), plan.clone());
        async move { apply(&admin, &plan, &SLOW).await.map(drop) }
    });
    eventually(SHOWS, "the move is under way", async || {
        let under_way = admin.reassignments().await;
        under_way.is_ok_and(|all| all.iter().any(|ongoing| ongoing.topic == topic))
    })
    .await?;
    moving.abort();
    ensure!(moving.await.is_err_and(|error| error.is_cancelled()), "it was still moving");
    ensure!(!throttles(&admin, &topic).await?.is_empty(), "the throttles are still there");

    // Whether it goes on or has ended by itself meanwhile, the next run finds it and tidies up.
    let next = apply(&admin, &plan, &ApplyOptions { existing: Existing::Adjust, ..KEEP }).await?;
    let tidied =
        |kind: &ChangeKind| matches!(kind, ChangeKind::Reassign { .. } | ChangeKind::Unthrottle { .. });
    ensure!(next.done.iter().any(|done| tidied(&done.change.kind)), "{next:?}");
    ensure!(copies(&admin, &topic).await? == [3; 4]);
    no_throttle_is_left(&admin, &topic).await?;
    ensure!(apply(&admin, &plan, &KEEP).await?.done.is_empty());
    Ok(())
}
