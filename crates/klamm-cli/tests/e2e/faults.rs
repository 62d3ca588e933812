//! Guarantees under kill -9, on real brokers; and the answers of a cluster that cannot keep them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions, OffsetSpec};
use klamm_testkit::{Cluster, Controller, Dice, eventually, run_on_real};
use serde_json::{Value, json};

use crate::harness::Place;

/// Orders by state and revenue, computed from the log alone.
pub async fn view_of_log(cluster: &Cluster, topic: &str) -> Result<Value> {
    let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
    let mut orders: HashMap<u64, (String, i64)> = HashMap::new();
    let mut revenue = 0;
    for (partition, until) in admin.list_offsets(topic, OffsetSpec::Latest).await? {
        let mut unreadable = 0;
        admin
            .read(topic, partition, 0, until, &mut |record| {
                let event: Option<Value> = record.value.and_then(|value| serde_json::from_slice(value).ok());
                let Some(event) = event else {
                    unreadable += 1;
                    return;
                };
                let amount = event["amount_cents"].as_i64().unwrap_or_default();
                let state = event["state"].as_str().unwrap_or_default().to_owned();
                let order = event["order_id"].as_u64().unwrap_or_default();
                let before = orders.insert(order, (state.clone(), amount));
                let was_paid = before.is_some_and(|(before, _)| before == "paid");
                revenue += match state.as_str() {
                    "paid" => amount,
                    "cancelled" if was_paid => -amount,
                    _ => 0,
                };
            })
            .await?;
        ensure!(unreadable == 0, "{unreadable} records of {topic}-{partition} are no order events");
    }
    let count = |wanted: &str| orders.values().filter(|(state, _)| state == wanted).count();
    Ok(json!({
        "placed": count("placed"),
        "paid": count("paid"),
        "shipped": count("shipped"),
        "cancelled": count("cancelled"),
        "revenue_cents": revenue,
    }))
}

async fn leader_of(cluster: &Cluster, topic: &str, partition: usize) -> Result<i32> {
    let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
    let facts = admin.facts(&[topic.to_owned()]).await?;
    let topic = facts.topics.get(topic).context("the topic exists")?;
    topic.partitions.get(partition).and_then(|p| p.leader).context("the partition has a leader")
}

mod on_real_kafka {
    use super::*;

    #[test]
    fn a_leader_killed_under_load_loses_doubles_and_reorders_nothing() -> Result<()> {
        run_on_real(3, Controller::Combined, async |cluster| {
            let mut dice = Dice::new();
            let place = Place::new()?;
            let bootstrap = cluster.bootstrap();
            let mut run = place.start(&[
                "up",
                "--json",
                "--bootstrap",
                &bootstrap,
                "--rate",
                "2000",
                "--for",
                "40s",
            ])?;
            run.wait_for_processed(dice.among(2_000..8_000)).await?;
            let leader = leader_of(&cluster, &place.topic, dice.among(0..3) as usize).await?;
            cluster.kill(leader).await?;
            run.wait_for_processed(20_000).await?;
            cluster.start(leader).await?;
            let verdict = run.finish().await?.held()?;
            ensure!(verdict["counts"]["acknowledged"] == verdict["counts"]["sent"], "{verdict}");
            ensure!(verdict["counts"]["failed"] == 0, "{verdict}");
            Ok(())
        })
    }

    #[test]
    fn a_cluster_without_its_quorum_is_said_within_the_timeout() -> Result<()> {
        run_on_real(3, Controller::Combined, async |cluster| {
            let place = Place::new()?;
            let bootstrap = cluster.bootstrap();
            let applied = place.run(&["apply", "--yes", "--bootstrap", &bootstrap]).await?;
            ensure!(applied.code == Some(0), "{applied:?}");
            cluster.kill(2).await?;
            cluster.kill(3).await?;
            let began = Instant::now();
            for command in ["up", "apply"] {
                let run = place.run(&[command, "--bootstrap", &bootstrap, "--timeout", "10s"]).await?;
                run.failed_with(&["broker"])?;
            }
            // Twice the timeout for each: the cluster is looked for, then asked.
            ensure!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
            let doctor = place.run(&["doctor", "--bootstrap", &bootstrap, "--timeout", "10s"]).await?;
            ensure!(doctor.code == Some(2) && doctor.stdout.contains("fail"), "{doctor:?}");
            Ok(())
        })
    }

    #[test]
    fn a_cluster_of_one_broker_is_refused_and_dev_says_that_it_relaxed() -> Result<()> {
        run_on_real(1, Controller::Combined, async |cluster| {
            let place = Place::new()?;
            let bootstrap = cluster.bootstrap();
            let refused = place.run(&["up", "--bootstrap", &bootstrap, "--records", "100"]).await?;
            refused.failed_with(&["broker", "1", "--profile dev"])?;
            let admin = Admin::connect(&ClientOptions::new([bootstrap.clone()])).await?;
            let facts = admin.facts(std::slice::from_ref(&place.topic)).await?;
            ensure!(facts.topics.is_empty(), "a refused run creates nothing");
            let run = place
                .run(&["up", "--bootstrap", &bootstrap, "--records", "1000", "--profile", "dev"])
                .await?;
            ensure!(run.code == Some(0) && run.stdout.contains("profile dev"), "{run:?}");
            Ok(())
        })
    }

    #[test]
    fn a_topic_whose_floor_was_lowered_or_that_elects_unclean_leaders_is_refused() -> Result<()> {
        klamm_testkit::run(klamm_testkit::Tier::Real, async |cluster| {
            for (setting, value) in [("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")]
            {
                let place = Place::new()?;
                let bootstrap = cluster.bootstrap();
                let applied = place.run(&["apply", "--yes", "--bootstrap", &bootstrap]).await?;
                ensure!(applied.code == Some(0), "{applied:?}");
                let admin = Admin::connect(&ClientOptions::new([bootstrap.clone()])).await?;
                admin.alter_configs(&place.topic, &[(setting.to_owned(), Some(value.to_owned()))]).await?;
                // Each broker learns of it in its own time, and any of them may be asked.
                let refused = async || {
                    let run = place.run(&["up", "--bootstrap", &bootstrap, "--records", "100"]).await?;
                    run.failed_with(&["topic", setting, value])
                };
                eventually(Duration::from_secs(30), "the refusal", refused).await?;
            }
            Ok(())
        })
    }
}
