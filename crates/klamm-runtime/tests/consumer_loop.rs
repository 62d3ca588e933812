//! One member: order, retries, failures, restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use klamm_contract::{ConsumerContract, Delivery};
use klamm_runtime::{ConnectErrorKind, ConsumerLoop, HandlerError, LoopOptions, Retries, Work};
use klamm_testkit::anyhow::{Context, Result, ensure};
use klamm_testkit::{Cluster, eventually, scenarios};
use klamm_track::RecordId;

use crate::setup::{self, Judge, SOON, assert_held};

scenarios!(
    everything_is_processed_once_and_committed_at_the_end,
    a_killed_consumer_resumes_without_loss,
    a_handler_that_fails_for_a_while_is_called_again,
    a_handler_that_fails_for_good_stops_its_partition_only,
    a_panic_is_caught,
    a_handler_over_its_budget_is_abandoned_and_repeated,
    at_most_once_commits_before_the_work,
    lag_is_told_and_goes_to_zero,
    exactly_once_is_refused,
);

async fn everything_is_processed_once_and_committed_at_the_end(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 3, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 20, 0, 50).await?;
    let consumer = setup::start(&cluster, &topic, judge.handler(|_| async { Ok(()) })).await?;
    judge.processes(1_000).await?;
    let report = consumer.stop(SOON).await;
    ensure!(report.is_clean() && report.left_group && report.processed == 1_000, "{report:?}");
    ensure!(setup::committed(&cluster, &topic).await? == 1_000);
    let verdict = judge.verdict(&cluster, &topic).await?;
    assert_held(&verdict);
    ensure!(verdict.repeated == 0, "{verdict}");
    Ok(())
}

async fn a_killed_consumer_resumes_without_loss(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 10, 0, 50).await?;
    let slow = |_: RecordId| async {
        // tidy: allow(the work takes time, which nobody waits for)
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    };
    let first = setup::start(&cluster, &topic, judge.handler(slow)).await?;
    judge.processes(100).await?;
    // No drain, no commit: as if it were killed.
    drop(first);
    let second = setup::start(&cluster, &topic, judge.handler(slow)).await?;
    judge.send(&cluster, &topic, 10, 50, 10).await?;
    judge.processes(600).await?;
    let report = second.stop(SOON).await;
    ensure!(report.is_clean(), "{report:?}");
    assert_held(&judge.verdict(&cluster, &topic).await?);
    Ok(())
}

async fn a_handler_that_fails_for_a_while_is_called_again(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 1, 0, 10).await?;
    let failures = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&failures);
    let flaky = move |id: RecordId| {
        let fails = id.seq == 4 && counted.fetch_add(1, Ordering::Relaxed) < 3;
        async move { if fails { Err(HandlerError::retry("the service is away")) } else { Ok(()) } }
    };
    let consumer = setup::start(&cluster, &topic, judge.handler(flaky)).await?;
    judge.processes(10).await?;
    let stats = consumer.stats();
    ensure!(
        stats.failed_calls == 3 && stats.last_error.as_deref() == Some("the service is away"),
        "{stats:?}"
    );
    ensure!(consumer.stop(SOON).await.is_clean());
    let verdict = judge.verdict(&cluster, &topic).await?;
    assert_held(&verdict);
    // What was finished before the failure was not done again.
    ensure!(verdict.repeated == 0, "{verdict}");
    Ok(())
}

async fn a_handler_that_fails_for_good_stops_its_partition_only(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 20, 0, 10).await?;
    // One record of one key cannot be worked on.
    let poisoned = |id: RecordId| async move {
        if (id.key, id.seq) == (3, 5) { Err(HandlerError::stop("cannot be read")) } else { Ok(()) }
    };
    let consumer = setup::start(&cluster, &topic, judge.handler(poisoned)).await?;
    let failure =
        eventually(SOON, "a failed partition", async || consumer.stats().failures.first().cloned()).await?;
    ensure!(failure.error == "cannot be read" && failure.attempts == 1, "{failure:?}");
    let other = 1 - failure.partition.partition;
    let done = eventually(SOON, "the other partition", async || {
        let stats = consumer.stats();
        let lag = stats
            .partitions
            .iter()
            .find(|one| one.partition.partition == other)
            .and_then(|one| one.lag_records);
        (lag == Some(0)).then_some(stats.processed).ok_or(format!("lag {lag:?}"))
    });
    let done = done.await?;
    ensure!(done < 200, "the partition went on over the record");
    let report = consumer.stop(SOON).await;
    ensure!(report.failures == [failure.clone()] && !report.is_clean(), "{report:?}");
    // The next start begins with the very record.
    let again = setup::start(&cluster, &topic, judge.handler(|_| async { Ok(()) })).await?;
    judge.processes(200).await?;
    ensure!(again.stop(SOON).await.is_clean());
    let verdict = judge.verdict(&cluster, &topic).await?;
    assert_held(&verdict);
    Ok(())
}

async fn a_panic_is_caught(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    Judge::new().send(&cluster, &topic, 1, 0, 1).await?;
    let retries = Retries { attempts: 2, first_pause: Duration::from_millis(1), ..Retries::default() };
    let options = LoopOptions { retries, ..setup::loop_options() };
    let panics = |_: Work| async { panic!("out of cheese") };
    let consumer =
        ConsumerLoop::start(&setup::options(&cluster), &setup::group(&topic), options, panics).await?;
    let failure =
        eventually(SOON, "a failed partition", async || consumer.stats().failures.first().cloned()).await?;
    ensure!(failure.error == "the handler panicked: out of cheese" && failure.attempts == 2, "{failure:?}");
    consumer.stop(SOON).await;
    ensure!(setup::committed(&cluster, &topic).await? <= 0, "the record was committed");
    Ok(())
}

async fn a_handler_over_its_budget_is_abandoned_and_repeated(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 1, 0, 5).await?;
    let hangs = |id: RecordId| async move { if id.seq == 3 { std::future::pending().await } else { Ok(()) } };
    let consumer = setup::start(&cluster, &topic, judge.handler(hangs)).await?;
    judge.processes(3).await?;
    let report = consumer.stop(Duration::from_secs(3)).await;
    ensure!(report.abandoned == 1 && report.committed.is_ok(), "{report:?}");
    ensure!(setup::committed(&cluster, &topic).await? == 3);
    let again = setup::start(&cluster, &topic, judge.handler(|_| async { Ok(()) })).await?;
    judge.processes(5).await?;
    ensure!(again.stop(SOON).await.is_clean());
    assert_held(&judge.verdict(&cluster, &topic).await?);
    Ok(())
}

async fn at_most_once_commits_before_the_work(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    Judge::new().send(&cluster, &topic, 1, 0, 5).await?;
    let contract = ConsumerContract { delivery: Delivery::AtMostOnce, ..setup::group(&topic) };
    let fails = |_: Work| async { Err::<(), _>(HandlerError::retry("lost")) };
    let consumer =
        ConsumerLoop::start(&setup::options(&cluster), &contract, setup::loop_options(), fails).await?;
    let failure =
        eventually(SOON, "a failed partition", async || consumer.stats().failures.first().cloned()).await?;
    ensure!(failure.attempts == 1, "worked on more than once: {failure:?}");
    consumer.stop(SOON).await;
    ensure!(setup::committed(&cluster, &topic).await? > 0, "nothing was committed before the work");
    Ok(())
}

async fn lag_is_told_and_goes_to_zero(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 1, 0, 20).await?;
    let gate = Arc::new(tokio::sync::Semaphore::new(5));
    let passing = Arc::clone(&gate);
    let gated = move |_: RecordId| {
        let gate = Arc::clone(&passing);
        async move {
            gate.acquire().await?.forget();
            Ok(())
        }
    };
    let consumer = setup::start(&cluster, &topic, judge.handler(gated)).await?;
    let lag_is = async |lag: u64| {
        eventually(SOON, &format!("a lag of {lag}"), async || {
            let stats = consumer.stats();
            (stats.lag_records() == lag && !stats.partitions.is_empty())
                .then_some(())
                .ok_or(format!("{stats:?}"))
        })
        .await
    };
    lag_is(15).await?;
    gate.add_permits(15);
    lag_is(0).await?;
    ensure!(consumer.stop(SOON).await.is_clean());
    Ok(())
}

async fn exactly_once_is_refused(cluster: Cluster) -> Result<()> {
    let contract = ConsumerContract { delivery: Delivery::ExactlyOnce, ..setup::group("any") };
    let handler = |_: Work| async { Ok(()) };
    let refused =
        ConsumerLoop::start(&setup::options(&cluster), &contract, setup::loop_options(), handler).await;
    let error = refused.err().context("exactly_once was accepted")?;
    ensure!(matches!(error.kind(), ConnectErrorKind::Unsupported { .. }), "{error}");
    Ok(())
}
