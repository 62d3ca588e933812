//! More partitions for a keyed topic while a service runs: copied, refused, killed, cut over.

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, ClientOptions, OffsetSpec};
    use klamm_testkit::{Tier, eventually, run};
    use rustix::process::Signal;
    use serde_json::Value;

    use crate::harness::Place;

    const SHOWS: Duration = Duration::from_secs(60);

    async fn stored(admin: &Admin, topic: &str) -> Result<i64> {
        Ok(admin.list_offsets(topic, OffsetSpec::Latest).await?.iter().map(|(_, offset)| offset).sum())
    }

    #[test]
    fn a_running_service_is_moved_to_more_partitions_without_a_record_lost_or_twice() -> Result<()> {
        run(Tier::Real, async |cluster| {
            let place = Place::new()?;
            let bootstrap = cluster.bootstrap();
            let admin = Admin::connect(&ClientOptions::new([bootstrap.clone()])).await?;
            let mut service = place.start(&[
                "up",
                "--json",
                "--bootstrap",
                &bootstrap,
                "--for",
                "120s",
                "--rate",
                "2000",
            ])?;
            service.wait_for_processed(4_000).await?;
            let facts = admin.facts(std::slice::from_ref(&place.topic)).await?;
            let old = facts.topics[&place.topic].partitions.len();
            let (partitions, target) = ((old * 2).to_string(), format!("{}-{}", place.topic, old * 2));
            let repartition = async |more: &[&str]| {
                let args = ["repartition", &place.topic, "--partitions", &partitions];
                let common = ["--bootstrap", &bootstrap, "--lock-timeout", "90s"];
                place.run(&[&args[..], more, &common[..]].concat()).await
            };
            let dry = repartition(&["--dry-run"]).await?;
            ensure!(dry.code == Some(1) && dry.stdout.contains("no group reads a record twice"), "{dry:?}");

            // Killed in the middle, while the service goes on.
            let slow = ["repartition", &place.topic, "--partitions", &partitions, "--bootstrap", &bootstrap];
            let slow =
                [&slow[..], &["--yes", "--json", "--throttle", "100 KB/s", "--lock-timeout", "90s"]].concat();
            let mut killed = place.start(&slow)?;
            let copying = |event: &Value| event["event"] == "copying" && event["done"].as_u64() > Some(0);
            killed.wait_for("some records are copied", copying).await?;
            killed.signal(Signal::KILL)?;
            killed.finish().await?;
            let copied = repartition(&["--yes"]).await?;
            ensure!(copied.code == Some(0) && copied.stdout.contains("--cut-over"), "{copied:?}");
            repartition(&["--yes", "--cut-over"])
                .await?
                .failed_with(&["is still written", "stop its producers"])?;

            service.signal(Signal::INT)?;
            service.finish().await?.held()?;
            let moved = repartition(&["--yes", "--cut-over", "--json"]).await?;
            ensure!(moved.code == Some(0), "{moved:?}");
            let change = &moved.event("receipt")?["receipt"]["done"][0]["what"];
            ensure!(change.as_str().is_some_and(|what| what.contains("no record is read twice")), "{change}");
            let all = stored(&admin, &place.topic).await?;
            ensure!(stored(&admin, &target).await? == all && all >= 4_000);
            // The service had read everything, so its group has nothing to read in the new topic either.
            let ends = admin.list_offsets(&target, OffsetSpec::Latest).await?;
            let group = admin.group_offsets(&place.group, std::slice::from_ref(&target)).await?;
            let at: Vec<(i32, i64)> = group.iter().map(|at| (at.partition, at.offset)).collect();
            ensure!(at == ends, "{at:?} {ends:?}");

            let back = repartition(&["--yes", "--roll-back"]).await?;
            ensure!(back.code == Some(0), "{back:?}");
            eventually(SHOWS, "the new topic is gone", || async {
                Ok::<_, anyhow::Error>(!admin.list_topics().await?.contains(&target))
            })
            .await?;
            ensure!(stored(&admin, &place.topic).await? == all, "the topic is as it was");
            let left = admin.group_offsets(&place.group, std::slice::from_ref(&place.topic)).await?;
            left.first().map(drop).context("and so are the offsets of its group")
        })
    }
}
