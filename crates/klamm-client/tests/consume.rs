//! Groups, positions and batches.

use std::time::Duration;

use klamm_client::{Event, Position, Record, RecordSet, TopicPartition};
use klamm_testkit::anyhow::{Result, bail, ensure};
use klamm_testkit::{Cluster, scenarios};

use crate::setup::{self, Reader};

scenarios!(
    a_restarted_member_goes_on_where_it_committed,
    a_held_batch_stops_the_fetching_of_its_partition_only,
    a_second_member_gets_partitions_after_the_first_let_go,
    a_paused_partition_hands_nothing_over,
    a_partition_that_comes_back_delivers_again,
);

/// Fills each partition with `each` records whose values are their offsets.
async fn fill(cluster: &Cluster, topic: &str, partitions: i32, each: usize) -> Result<()> {
    let producer = setup::producer(cluster).await?;
    let mut set = RecordSet::new();
    for index in 0..each {
        for partition in 0..partitions {
            set.push(&Record::new(topic).partition(partition).value(&format!("{index:0100}")));
        }
    }
    producer.send_batch(&set).await?.await.into_receipts()?;
    Ok(())
}

async fn a_restarted_member_goes_on_where_it_committed(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    fill(&cluster, &topic, 1, 100).await?;
    let mut first = Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    first.read(100).await?;
    let partition = TopicPartition::new(topic.as_str(), 0);
    first.consumer.commit(vec![Position { partition: partition.clone(), offset: 40 }]).await?;
    ensure!(first.consumer.close(setup::SOON).await, "closing took too long");

    let mut second = Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    second.read(60).await?;
    let offsets: Vec<i64> = second.read[&partition].iter().map(|(offset, _)| *offset).collect();
    ensure!(offsets == (40..100).collect::<Vec<_>>(), "{offsets:?}");
    Ok(())
}

async fn a_held_batch_stops_the_fetching_of_its_partition_only(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    fill(&cluster, &topic, 2, 3_000).await?;
    let mut options = setup::consumer_options(&topic, &topic);
    (options.partition_bytes, options.batch_records) = (50_000, 100);
    let mut reader = Reader::join(&cluster, options).await?;
    // Batches of partition 0 are kept, those of partition 1 are dropped.
    let (mut held, mut dropped) = (Vec::new(), 0);
    while dropped < 3_000 {
        match reader.event().await? {
            Event::Batch(batch) if batch.partition().partition == 0 => held.push(batch),
            Event::Batch(batch) => dropped += batch.len(),
            _ => {}
        }
    }
    let records: usize = held.iter().map(klamm_client::FetchedBatch::len).sum();
    let bytes: usize = held.iter().map(klamm_client::FetchedBatch::size_bytes).sum();
    ensure!(records < 3_000, "fetching went on over the bound: {bytes} bytes");
    held.clear();
    let mut rest = 0;
    while records + rest < 3_000 {
        if let Event::Batch(batch) = reader.event().await? {
            rest += batch.len();
        }
    }
    Ok(())
}

async fn a_second_member_gets_partitions_after_the_first_let_go(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    fill(&cluster, &topic, 2, 10).await?;
    let mut first = Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    first.read(20).await?;
    let mut second = Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    // The first one commits inside the revoke, so the second one finds nothing left to read.
    loop {
        if let Event::Revoking(revoking) = first.event().await? {
            let positions = revoking
                .partitions()
                .iter()
                .map(|partition| Position { partition: partition.clone(), offset: 10 });
            let positions = positions.collect();
            revoking.finish(positions).await?;
            break;
        }
    }
    let Event::Assigned(partitions) = second.event().await? else {
        bail!("the second member was not assigned")
    };
    ensure!(partitions.len() == 1, "{partitions:?}");
    fill(&cluster, &topic, 2, 1).await?;
    second.read(1).await?;
    let offsets: Vec<i64> = second.read.values().flatten().map(|(offset, _)| *offset).collect();
    ensure!(offsets == [10], "{offsets:?}");
    Ok(())
}

async fn a_paused_partition_hands_nothing_over(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    fill(&cluster, &topic, 2, 1).await?;
    let mut reader = Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    reader.read(2).await?;
    let paused = TopicPartition::new(topic.as_str(), 0);
    reader.consumer.pause([paused.clone()]);
    fill(&cluster, &topic, 2, 1).await?;
    reader.read(3).await?;
    // Partition 1 delivered in that time; partition 0 has the same and must stay silent for as long again.
    let silence = tokio::time::timeout(Duration::from_millis(500), reader.consumer.next()).await;
    ensure!(silence.is_err() && reader.read[&paused].len() == 1, "{:?}", reader.read);
    reader.consumer.resume([&paused]);
    reader.read(4).await?;
    ensure!(reader.read[&paused].len() == 2);
    Ok(())
}

async fn a_partition_that_comes_back_delivers_again(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    fill(&cluster, &topic, 2, 1).await?;
    let mut stays = Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    stays.read(2).await?;
    let all = |offset| {
        let position =
            |partition| Position { partition: TopicPartition::new(topic.as_str(), partition), offset };
        vec![position(0), position(1)]
    };
    stays.consumer.commit(all(1)).await?;
    // Another member comes, takes one of the two partitions, and goes.
    let mut other = Reader::join(&cluster, setup::consumer_options(&topic, &topic)).await?;
    let mut owned = 2;
    while owned != 1 {
        if let Event::Assigned(partitions) = stays.event().await? {
            owned = partitions.len();
        }
    }
    let Event::Assigned(_) = other.event().await? else { bail!("the other member was not assigned") };
    ensure!(other.consumer.close(setup::SOON).await, "closing took too long");
    while owned != 2 {
        if let Event::Assigned(partitions) = stays.event().await? {
            owned = partitions.len();
        }
    }
    fill(&cluster, &topic, 2, 1).await?;
    stays.read(4).await?;
    ensure!(stays.read.values().all(|records| records.len() == 2), "{:?}", stays.read);
    Ok(())
}
