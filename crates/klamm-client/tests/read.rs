//! Partitions that the application chooses itself, read without a group over our own wire path.

use std::collections::BTreeMap;
use std::time::Duration;

use klamm_admin::{Admin, Mode};
use klamm_client::{
    ConsumeErrorKind, FetchedBatch, Isolation, OffsetReset, PartitionReader, ReadOptions, Record, RecordSet,
    Start, TopicPartition,
};
use klamm_testkit::anyhow::{Context, Result, bail, ensure};
use klamm_testkit::{Cluster, Controller, eventually, run_on_real, scenarios};
use tokio::time::timeout;

use crate::setup::{self, SOON};

scenarios!(
    every_partition_is_read_from_its_start_to_its_end,
    a_record_comes_back_with_all_its_fields,
    a_seek_goes_on_there_and_a_pause_holds,
    a_batch_that_is_held_stops_its_partition_only,
    an_offset_that_is_gone_follows_the_reset_policy,
    a_released_partition_hands_nothing_over,
);

fn partitions(topic: &str, count: i32) -> impl Iterator<Item = TopicPartition> {
    (0..count).map(move |index| TopicPartition::new(topic, index))
}

fn earliest() -> ReadOptions {
    ReadOptions { reset: OffsetReset::Earliest, ..ReadOptions::default() }
}

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

async fn next(reader: &mut PartitionReader) -> Result<FetchedBatch> {
    loop {
        match timeout(SOON, reader.next()).await.context("nothing came")? {
            Err(error) if error.is_retryable() => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Reads until `count` records have come, which must be in order and say their own offsets.
async fn read(reader: &mut PartitionReader, count: usize) -> Result<BTreeMap<i32, Vec<i64>>> {
    let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    while offsets.values().map(Vec::len).sum::<usize>() < count {
        let batch = next(reader).await?;
        for record in batch.records() {
            let value = str::from_utf8(record.value.context("a value")?)?;
            ensure!(value.parse::<i64>()? == record.offset, "{value} at {}", record.offset);
            offsets.entry(batch.partition().partition).or_default().push(record.offset);
        }
    }
    Ok(offsets)
}

async fn every_partition_is_read_from_its_start_to_its_end(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 6).await?;
    fill(&cluster, &topic, 6, 1_000).await?;
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
        let options = ReadOptions { isolation, ..earliest() };
        let mut reader = PartitionReader::open(&setup::options(&cluster), &options).await?;
        reader.assign(partitions(&topic, 6).map(|partition| (partition, Start::Reset)));
        let all = read(&mut reader, 6_000).await?;
        ensure!(all.len() == 6 && all.values().all(|offsets| offsets.iter().copied().eq(0..1_000)));
    }
    Ok(())
}

async fn a_record_comes_back_with_all_its_fields(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    let producer = setup::producer(&cluster).await?;
    let record = Record::new(&topic)
        .key("k")
        .value("")
        .header("h", "1")
        .null_header("h")
        .timestamp_ms(1_700_000_000_000);
    producer.send(record).await?.await?;
    producer.send(Record::new(&topic)).await?.await?;
    let mut reader = PartitionReader::open(&setup::options(&cluster), &earliest()).await?;
    reader.assign([(TopicPartition::new(topic.as_str(), 0), Start::Reset)]);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let batch = next(&mut reader).await?;
        seen.extend(batch.records().map(|record| {
            let headers =
                record.headers().map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)));
            (
                record.offset,
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
                headers.collect::<Vec<_>>(),
            )
        }));
        if let Some(first) = batch.record(0).filter(|record| record.offset == 0) {
            ensure!(first.timestamp_ms == Some(1_700_000_000_000), "{first:?}");
        }
    }
    let headers = vec![("h".to_owned(), Some(b"1".to_vec())), ("h".to_owned(), None)];
    ensure!(
        seen == [(0, Some(b"k".to_vec()), Some(Vec::new()), headers), (1, None, None, Vec::new())],
        "{seen:?}"
    );
    Ok(())
}

async fn a_seek_goes_on_there_and_a_pause_holds(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    fill(&cluster, &topic, 2, 100).await?;
    let mut reader = PartitionReader::open(&setup::options(&cluster), &earliest()).await?;
    let [first, second] = [0, 1].map(|index| TopicPartition::new(topic.as_str(), index));
    reader.assign([(first.clone(), Start::At(40)), (second.clone(), Start::Reset)]);
    let all = read(&mut reader, 160).await?;
    ensure!(all[&0].iter().copied().eq(40..100) && all[&1].iter().copied().eq(0..100), "{all:?}");
    // Paused: what the other partition gets comes, and nothing of this one.
    reader.pause([first.clone()]);
    reader.seek(first.clone(), 10);
    reader.seek(second, 20);
    let all = read(&mut reader, 80).await?;
    ensure!(all.len() == 1 && all[&1].iter().copied().eq(20..100), "{all:?}");
    reader.resume([first]);
    let all = read(&mut reader, 90).await?;
    ensure!(all.len() == 1 && all[&0].iter().copied().eq(10..100), "{all:?}");
    Ok(())
}

async fn a_batch_that_is_held_stops_its_partition_only(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    fill(&cluster, &topic, 2, 3_000).await?;
    let options = ReadOptions {
        partition_bytes: 50_000,
        partition_fetch_bytes: 10_000,
        batch_records: 50,
        ..earliest()
    };
    let mut reader = PartitionReader::open(&setup::options(&cluster), &options).await?;
    reader.assign(partitions(&topic, 2).map(|partition| (partition, Start::Reset)));
    let (mut held, mut dropped) = (Vec::new(), 0);
    while dropped < 3_000 {
        let batch = next(&mut reader).await?;
        match batch.partition().partition {
            0 => held.push(batch),
            _ => dropped += batch.len(),
        }
    }
    let bytes: usize = held.iter().map(FetchedBatch::size_bytes).sum();
    let records: usize = held.iter().map(FetchedBatch::len).sum();
    // One batch of the log may be larger than what is left.
    ensure!(
        bytes < 50_000 + 600_000 && records < 3_000 || records == 3_000,
        "{bytes} bytes, {records} records are held"
    );
    held.clear();
    let left = 3_000 - records;
    if left > 0 {
        let rest = read(&mut reader, left).await?;
        ensure!(rest.len() == 1 && rest[&0].last() == Some(&2_999), "{rest:?}");
    }
    Ok(())
}

async fn an_offset_that_is_gone_follows_the_reset_policy(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1).await?;
    fill(&cluster, &topic, 1, 100).await?;
    let admin = Admin::connect(&setup::options(&cluster)).await?;
    admin.delete_records(&topic, &[(0, 60)]).await?;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let mut reader = PartitionReader::open(&setup::options(&cluster), &earliest()).await?;
    reader.assign([(partition.clone(), Start::At(5))]);
    let all = read(&mut reader, 40).await?;
    ensure!(all[&0].iter().copied().eq(60..100), "{all:?}");

    let mut strict = PartitionReader::open(&setup::options(&cluster), &ReadOptions::default()).await?;
    strict.assign([(partition, Start::At(5))]);
    let error = timeout(SOON, strict.next()).await?.err().context("records came")?;
    ensure!(error.kind() == ConsumeErrorKind::OffsetOutOfRange && !error.is_retryable(), "{error}");
    ensure!(error.to_string().contains("offset 5 is not in the log"), "{error}");
    Ok(())
}

async fn a_released_partition_hands_nothing_over(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 2).await?;
    fill(&cluster, &topic, 2, 500).await?;
    let mut reader = PartitionReader::open(&setup::options(&cluster), &earliest()).await?;
    let [first, second] = [0, 1].map(|index| TopicPartition::new(topic.as_str(), index));
    reader.assign([(first.clone(), Start::Reset)]);
    let batch = next(&mut reader).await?;
    ensure!(!batch.is_stale());
    reader.release([first.clone()]).await;
    ensure!(batch.is_stale(), "its partition is released");
    reader.assign([(second, Start::Reset)]);
    let mut others = 0;
    while others < 500 {
        let batch = next(&mut reader).await?;
        match batch.partition() == &first {
            true => ensure!(batch.is_stale(), "it was on its way"),
            false => others += batch.len(),
        }
    }
    Ok(())
}

#[test]
fn a_topic_that_comes_later_is_read_on_embedded() -> Result<()> {
    klamm_testkit::run(klamm_testkit::Tier::Embedded, async |cluster: Cluster| {
        let mut reader = PartitionReader::open(&setup::options(&cluster), &earliest()).await?;
        let topic = klamm_testkit::unique("later");
        reader.assign([(TopicPartition::new(topic.as_str(), 0), Start::Reset)]);
        let admin = Admin::connect(&setup::options(&cluster)).await?;
        let new = klamm_admin::NewTopic {
            name: topic.clone(),
            partitions: 1,
            replication_factor: 1,
            configs: Vec::new(),
        };
        admin.create_topics(&[new], Mode::Execute).await?;
        fill(&cluster, &topic, 1, 10).await?;
        let all = read(&mut reader, 10).await?;
        ensure!(all[&0].iter().copied().eq(0..10), "{all:?}");
        Ok(())
    })
}

/// Each broker dies in its turn while records come; every record is read once, in order.
#[test]
fn on_real_kafka_leaders_that_die_in_turn_lose_and_repeat_nothing() -> Result<()> {
    run_on_real(3, Controller::Apart, async |cluster| {
        const EACH: usize = 200;
        let topic = setup::topic(&cluster, 6).await?;
        let mut reader = PartitionReader::open(&setup::options(&cluster), &earliest()).await?;
        reader.assign(partitions(&topic, 6).map(|partition| (partition, Start::Reset)));
        let mut all: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for round in 0..4 {
            let producer = setup::producer(&cluster).await?;
            let mut set = RecordSet::new();
            for index in round * EACH..(round + 1) * EACH {
                for partition in 0..6 {
                    set.push(&Record::new(&topic).partition(partition).value(&format!("{index:0100}")));
                }
            }
            producer.send_batch(&set).await?.await.into_receipts()?;
            for (partition, offsets) in read(&mut reader, 6 * EACH).await? {
                all.entry(partition).or_default().extend(offsets);
            }
            if round < 3 {
                let node = i32::try_from(round)? + 1;
                cluster.kill(node).await?;
                eventually(Duration::from_secs(60), "the others lead", async || {
                    let admin = Admin::connect(&setup::options(&cluster)).await?;
                    let routes = admin.routes(std::slice::from_ref(&topic)).await?;
                    let Some(Ok(route)) = routes.get(&topic) else { bail!("no route") };
                    let moved =
                        route.leaders.values().all(|leader| leader.is_ok_and(|leader| leader.broker != node));
                    ensure!(moved, "{route:?}");
                    Ok(())
                })
                .await?;
                cluster.start(node).await?;
            }
        }
        ensure!(
            all.len() == 6 && all.values().all(|offsets| offsets.iter().copied().eq(0..4 * EACH as i64)),
            "{all:?}"
        );
        let waited = Duration::from_millis(1);
        ensure!(timeout(waited, reader.next()).await.is_err(), "there is nothing more to read");
        Ok(())
    })
}
