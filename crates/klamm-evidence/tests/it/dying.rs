//! Brokers that fail, fall silent or die while they are asked: what is left is told as such, within bounds.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use klamm_admin::{Admin, ClientOptions};
use klamm_evidence::data::SampleOptions;
use klamm_evidence::live::LiveOptions;
use klamm_rules::Seen;
use klamm_rules::evidence::{Evidence, Promises, TopicPromise};
use klamm_testkit::{Cluster, unique};

use super::gaps::{ensure_nothing_passes_unseen, gaps, judged};
use super::live::{create, now_ms, write};

/// The longest time for one call.
const CALL: Duration = Duration::from_secs(2);

async fn connect(cluster: &Cluster, requests_per_second: Option<u32>) -> Result<Admin> {
    let options = ClientOptions {
        api_timeout: CALL,
        requests_per_second,
        ..ClientOptions::new(cluster.bootstrap().split(','))
    };
    Ok(Admin::connect(&options).await?)
}

async fn collect(admin: &Admin, topic: &str) -> Evidence {
    let options = LiveOptions { call_timeout: CALL, ..LiveOptions::default() };
    let live = klamm_evidence::live::collect(admin, &options).await;
    let groups = klamm_evidence::group::collect(admin, &live, Duration::ZERO).await;
    let options =
        SampleOptions { total_time: CALL, topics: vec![topic.to_owned()], ..SampleOptions::default() };
    let data = klamm_evidence::data::collect(admin, &live, &options).await;
    let topics = [(topic.to_owned(), TopicPromise::default())].into();
    let spec = Seen::Full(Promises { topics, ..Promises::default() });
    Evidence { at_ms: now_ms(), spec, live, groups, data, ..Evidence::default() }
}

async fn fill(admin: &Admin, topic: &str, partitions: i32) -> Result<()> {
    create(admin, topic, partitions).await?;
    for partition in 0..partitions {
        write(admin, topic, partition, 5).await?;
    }
    admin
        .with_api_timeout(Duration::from_secs(60))
        .commit_offsets(&unique("group"), &[(topic.to_owned(), 0, 2)])
        .await?;
    Ok(())
}

mod on_embedded {
    use klamm_broker::{Api, Fault};
    use klamm_kafka::ErrorCode;
    use klamm_testkit::{Tier, run};

    use super::*;

    /// What cannot be whole when a request fails.
    const NEEDED: &[(Api, &str)] = &[
        (Api::Metadata, "live.topics"),
        (Api::DescribeConfigs, ".configs"),
        (Api::ListOffsets, "live.offsets"),
        (Api::ListGroups, "groups"),
        (Api::OffsetFetch, ".missing"),
        (Api::Fetch, "data"),
    ];

    #[test]
    fn what_a_failing_request_was_for_is_not_whole_and_nothing_passes_on_it() -> Result<()> {
        run(Tier::Embedded, each_request_fails)
    }

    async fn each_request_fails(cluster: Cluster) -> Result<()> {
        let topic = unique("failing");
        fill(&connect(&cluster, None).await?, &topic, 2).await?;
        let whole = collect(&connect(&cluster, None).await?, &topic).await;
        let (known, report) = (gaps(&whole)?, judged(&whole));
        for (api, needs) in NEEDED {
            for fault in [
                Fault::Error(ErrorCode::UNKNOWN_SERVER_ERROR),
                Fault::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                Fault::Delay(Duration::from_secs(60)),
                Fault::CloseBefore,
                Fault::CloseAfter,
            ] {
                let case = format!("{} {fault:?}", api.name());
                let admin = connect(&cluster, None).await?;
                let Some(broker) = cluster.broker() else { anyhow::bail!("it runs") };
                broker.faults().inject(*api, 1_000_000, fault);
                let started = Instant::now();
                let part = collect(&admin, &topic).await;
                broker.faults().clear();
                ensure!(started.elapsed() < CALL * 12, "{case}: {:?}", started.elapsed());
                let found = gaps(&part)?;
                let shows = |path: &String| path.contains(needs) && known.get(path) != found.get(path);
                ensure!(found.keys().any(shows), "{case} hides {needs}: {found:#?}");
                ensure_nothing_passes_unseen(&report, &judged(&part))
                    .map_err(|error| error.context(case.clone()))?;
            }
        }
        Ok(())
    }
}

mod on_real_kafka {
    use klamm_testkit::{Controller, eventually, run_on_real};

    use super::*;

    /// All that is not whole is so because of broker 2, or of what only it held.
    fn ensure_only_broker_2(whole: &Evidence, part: &Evidence) -> Result<()> {
        let (known, found) = (gaps(whole)?, gaps(part)?);
        let new: Vec<_> = found.iter().filter(|(path, why)| known.get(*path) != Some(*why)).collect();
        ensure!(!new.is_empty(), "broker 2 is missing somewhere");
        for (path, why) in new {
            ensure!(why.contains("broker 2") || path.contains("brokers.2."), "{path}: {why}");
        }
        ensure_nothing_passes_unseen(&judged(whole), &judged(part))
    }

    #[test]
    fn a_broker_that_falls_silent_costs_bounded_time_and_is_named() -> Result<()> {
        run_on_real(3, Controller::Apart, async |cluster| {
            let topic = unique("silent");
            let admin = connect(&cluster, None).await?;
            fill(&admin, &topic, 6).await?;
            let whole = collect(&admin, &topic).await;
            cluster.pause(2).await?;
            let started = Instant::now();
            let part = collect(&admin, &topic).await;
            let took = started.elapsed();
            cluster.resume(2).await?;
            ensure!(took < CALL * 15, "{took:?}");
            ensure_only_broker_2(&whole, &part)
        })
    }

    #[test]
    fn a_broker_that_is_killed_halfway_is_named() -> Result<()> {
        run_on_real(3, Controller::Apart, async |cluster| {
            let topic = unique("killed");
            let admin = connect(&cluster, None).await?;
            fill(&admin, &topic, 6).await?;
            let whole = collect(&admin, &topic).await;
            // Slow enough that the kill comes between the requests.
            let slow = connect(&cluster, Some(12)).await?;
            let asked = || slow.requests_sent().get(&2).copied().unwrap_or(0);
            let started = Instant::now();
            let (part, killed) = tokio::join!(collect(&slow, &topic), async {
                eventually(Duration::from_secs(30), "broker 2 is asked", async || asked() >= 3).await?;
                cluster.kill(2).await
            });
            killed?;
            ensure!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
            ensure_only_broker_2(&whole, &part)
        })
    }
}
