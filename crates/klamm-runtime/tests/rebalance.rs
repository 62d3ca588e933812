//! Several members of one group.

use std::time::Duration;

use klamm_client::Assignor;
use klamm_runtime::{ConsumerLoop, Handler, LoopOptions};
use klamm_testkit::anyhow::{Result, ensure};
use klamm_testkit::{Cluster, eventually, scenarios};
use klamm_track::RecordId;

use crate::setup::{self, Judge, SOON, assert_held};

scenarios!(
    a_revoke_with_work_in_flight_neither_loses_nor_repeats,
    members_that_come_and_go_lose_nothing,
    a_cooperative_group_hands_over_one_partition_at_a_time,
);

fn slow(judge: &Judge) -> impl Handler + use<> {
    judge.handler(|_: RecordId| async {
        // tidy: allow(the work takes time, which nobody waits for)
        tokio::time::sleep(Duration::from_millis(12)).await;
        Ok(())
    })
}

async fn a_revoke_with_work_in_flight_neither_loses_nor_repeats(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 4, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 20, 0, 50).await?;
    let first = setup::start(&cluster, &topic, slow(&judge)).await?;
    judge.processes(50).await?;
    let second = setup::start(&cluster, &topic, slow(&judge)).await?;
    judge.processes(1_000).await?;
    let moved = second.stats().processed;
    ensure!(first.stop(SOON).await.is_clean() && second.stop(SOON).await.is_clean());
    let verdict = judge.verdict(&cluster, &topic).await?;
    assert_held(&verdict);
    ensure!(moved > 0, "the second member got no work");
    // Work is drained and committed inside of the revoke.
    ensure!(verdict.repeated == 0, "{verdict}");
    Ok(())
}

async fn members_that_come_and_go_lose_nothing(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 4, 1).await?;
    let judge = Judge::new();
    let stays = setup::start(&cluster, &topic, slow(&judge)).await?;
    for round in 0..4 {
        judge.send(&cluster, &topic, 20, round * 10, 10).await?;
        let comes = setup::start(&cluster, &topic, slow(&judge)).await?;
        judge.processes(round * 200 + 100).await?;
        // Every other one is killed.
        if round % 2 == 0 {
            drop(comes);
        } else {
            comes.stop(SOON).await;
        }
    }
    judge.processes(800).await?;
    ensure!(stays.stop(SOON).await.is_clean());
    assert_held(&judge.verdict(&cluster, &topic).await?);
    Ok(())
}

async fn a_cooperative_group_hands_over_one_partition_at_a_time(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 4, 1).await?;
    let judge = Judge::new();
    judge.send(&cluster, &topic, 20, 0, 20).await?;
    let options = LoopOptions { assignor: Assignor::CooperativeSticky, ..setup::loop_options() };
    let start = async || {
        let contract = setup::group(&topic);
        ConsumerLoop::start(&setup::options(&cluster), &contract, options.clone(), slow(&judge)).await
    };
    let first = start().await?;
    judge.processes(40).await?;
    let second = start().await?;
    eventually(SOON, "two partitions each", async || {
        let counts = [&first, &second].map(|member| member.stats().partitions.len());
        (counts == [2, 2]).then_some(()).ok_or(format!("{counts:?}"))
    })
    .await?;
    judge.processes(400).await?;
    ensure!(first.stop(SOON).await.is_clean() && second.stop(SOON).await.is_clean());
    assert_held(&judge.verdict(&cluster, &topic).await?);
    Ok(())
}
