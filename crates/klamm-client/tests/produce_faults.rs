//! Whatever happens to requests and brokers, each record is in the log once and in order.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use klamm_broker::{Api, Fault, Faults};
use klamm_client::{
    Acks, BatchPending, ClientOptions, Compression, OffsetReset, PartitionReader, Producer, ProducerOptions,
    ReadOptions, Record, RecordSet, Start, TopicPartition,
};
use klamm_kafka::{ERRORS, ErrorCode};
use klamm_testkit::Cluster;
use klamm_testkit::anyhow::{Context, Result, bail, ensure};
use tokio::task::JoinSet;

use crate::setup::{self, SOON};

/// Records that each case sends to its partition.
const RECORDS: usize = 60;

pub fn options() -> ProducerOptions {
    // Small batches, so that several are on their way.
    ProducerOptions {
        delivery_timeout: Duration::from_secs(60),
        batch_bytes: 400,
        linger: Duration::from_millis(1),
        ..setup::producer_options()
    }
}

fn value(seq: usize) -> String {
    format!("{seq:040}")
}

/// Sends records `from..upto` to one partition, five at a time.
pub async fn send(
    producer: &Producer,
    topic: &str,
    partition: i32,
    from: usize,
    upto: usize,
) -> Result<Vec<BatchPending>> {
    let mut pending = Vec::new();
    for start in (from..upto).step_by(5) {
        let set = (start..upto.min(start + 5)).map(value).collect::<Vec<_>>();
        let set: RecordSet =
            set.iter().map(|value| Record::new(topic).partition(partition).value(value)).collect();
        pending.push(producer.send_batch(&set).await?);
    }
    Ok(pending)
}

/// All are acknowledged, each at its own place.
async fn acknowledged(pending: Vec<BatchPending>) -> Result<usize> {
    let mut seq = 0;
    for set in pending {
        let acks: Acks = set.await;
        for receipt in acks.into_receipts()? {
            // A broker may only know that it has the record.
            ensure!([seq, -1].contains(&receipt.offset), "record {seq} is at {}", receipt.offset);
            seq += 1;
        }
    }
    Ok(usize::try_from(seq)?)
}

/// The partitions hold the records `0..count` each, in order and once, and nothing behind them.
pub async fn judge(cluster: &Cluster, topic: &str, counts: &BTreeMap<i32, usize>) -> Result<()> {
    let judge = setup::producer(cluster).await?;
    for (partition, count) in counts {
        let end = judge.send(Record::new(topic).partition(*partition).value("end")).await?.await?;
        ensure!(end.offset == i64::try_from(*count)?, "{partition} ends at {}, not {count}", end.offset);
    }
    let read = ReadOptions { reset: OffsetReset::Earliest, ..ReadOptions::default() };
    let mut reader = PartitionReader::open(&setup::options(cluster), &read).await?;
    reader.assign(counts.keys().map(|partition| (TopicPartition::new(topic, *partition), Start::Reset)));
    let mut seen: BTreeMap<i32, usize> = BTreeMap::new();
    let mut left: usize = counts.values().sum();
    while left > 0 {
        let batch = match tokio::time::timeout(SOON, reader.next()).await.context("nothing came")? {
            Err(error) if error.is_retryable() => continue,
            outcome => outcome?,
        };
        let partition = batch.partition().partition;
        let seen = seen.entry(partition).or_default();
        for record in batch.records() {
            let count = counts.get(&partition).copied().unwrap_or(0);
            if *seen < count {
                let found = record.value.unwrap_or_default();
                ensure!(found == value(*seen).as_bytes(), "{partition} has {found:?} at {seen}");
                *seen += 1;
                left -= 1;
            }
        }
    }
    Ok(())
}

/// Retriable errors, and connections that are lost before, in and after the answer.
fn faults() -> Vec<Fault> {
    let retriable = ERRORS.iter().filter(|error| error.retriable).map(|error| ErrorCode::from(error.code));
    retriable.map(Fault::Error).chain([Fault::CloseBefore, Fault::CloseAfter, Fault::CutAnswer]).collect()
}

/// One producer a fault, each with a partition of its own; `case` says what is done to its requests.
async fn each_fault<F>(case: impl Fn(Producer, String, i32, Faults, String, Fault) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let cluster = Cluster::embedded().await?;
    let faults_of = cluster.broker().context("no broker")?.faults().clone();
    let all = faults();
    let topic = setup::topic(&cluster, i32::try_from(all.len())?).await?;
    let mut cases = JoinSet::new();
    for (partition, fault) in (0..).zip(all.clone()) {
        let client_id = format!("case-{partition}");
        let cluster_options = ClientOptions { client_id: client_id.clone(), ..setup::options(&cluster) };
        let producer = Producer::open(&cluster_options, options()).await?;
        let case = case(producer, topic.clone(), partition, faults_of.clone(), client_id, fault);
        cases.spawn(async move { case.await.with_context(|| format!("{fault:?}")) });
    }
    while let Some(outcome) = cases.join_next().await {
        outcome??;
    }
    let unmet: Vec<_> = faults_of.list().into_iter().filter(|rule| rule.hits == 0).collect();
    ensure!(unmet.is_empty(), "{unmet:?}");
    let counts = (0..).zip(&all).map(|(partition, _)| (partition, RECORDS)).collect();
    judge(&cluster, &topic, &counts).await
}

mod on_embedded {
    use super::*;

    #[tokio::test]
    async fn each_fault_of_a_produce_request_leaves_each_record_once() -> Result<()> {
        each_fault(async move |producer, topic, partition, faults, client_id, fault| {
            let mut pending = send(&producer, &topic, partition, 0, RECORDS / 2).await?;
            faults.inject_for_client(&client_id, Api::Produce, 2, fault);
            pending.extend(send(&producer, &topic, partition, RECORDS / 2, RECORDS).await?);
            ensure!(acknowledged(pending).await? == RECORDS);
            Ok(())
        })
        .await
    }

    #[tokio::test]
    async fn each_fault_of_a_question_for_an_id_leaves_each_record_once() -> Result<()> {
        each_fault(async move |producer, topic, partition, faults, client_id, fault| {
            faults.inject_for_client(&client_id, Api::InitProducerId, 2, fault);
            let pending = send(&producer, &topic, partition, 0, RECORDS).await?;
            ensure!(acknowledged(pending).await? == RECORDS);
            Ok(())
        })
        .await
    }

    #[tokio::test]
    async fn each_fault_of_a_question_for_metadata_leaves_each_record_once() -> Result<()> {
        each_fault(async move |producer, topic, partition, faults, client_id, fault| {
            faults.inject_for_client(&client_id, Api::Metadata, 2, fault);
            let mut pending = send(&producer, &topic, partition, 0, RECORDS / 2).await?;
            // Whoever is told that it asked the wrong broker asks for the right one.
            faults.inject_for_client(&client_id, Api::Metadata, 2, fault);
            let moved = Fault::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            faults.inject_for_client(&client_id, Api::Produce, 2, moved);
            pending.extend(send(&producer, &topic, partition, RECORDS / 2, RECORDS).await?);
            ensure!(acknowledged(pending).await? == RECORDS);
            Ok(())
        })
        .await
    }

    #[tokio::test]
    async fn a_request_without_an_answer_is_sent_again_after_its_timeout() -> Result<()> {
        let cluster = Cluster::embedded().await?;
        let topic = setup::topic(&cluster, 1).await?;
        let options = ProducerOptions { request_timeout: Duration::from_millis(500), ..options() };
        let producer = Producer::open(&setup::options(&cluster), options).await?;
        let faults = cluster.broker().context("no broker")?.faults().clone();
        let mut pending = Vec::new();
        for (round, fault) in [Fault::DropRequest, Fault::DropAnswer].into_iter().enumerate() {
            faults.inject(Api::Produce, 1, fault);
            pending.extend(send(&producer, &topic, 0, round * 20, round * 20 + 20).await?);
            producer.flush(SOON).await?;
        }
        ensure!(acknowledged(pending).await? == 40);
        judge(&cluster, &topic, &BTreeMap::from([(0, 40)])).await
    }

    #[tokio::test]
    async fn a_producer_that_is_dropped_while_its_broker_is_away_delivers_what_was_accepted() -> Result<()> {
        let cluster = Cluster::embedded().await?;
        let topic = setup::topic(&cluster, 1).await?;
        let options = ProducerOptions { linger: Duration::from_secs(20), ..options() };
        let producer = Producer::open(&setup::options(&cluster), options).await?;
        let mut pending = send(&producer, &topic, 0, 0, 5).await?;
        producer.flush(SOON).await?;
        cluster.kill(1).await?;
        pending.extend(send(&producer, &topic, 0, 5, 40).await?);
        drop(producer);
        cluster.start(1).await?;
        let started = Instant::now();
        ensure!(acknowledged(pending).await? == 40);
        ensure!(started.elapsed() < Duration::from_secs(15), "it lingers for nobody");
        judge(&cluster, &topic, &BTreeMap::from([(0, 40)])).await
    }

    #[tokio::test]
    async fn what_waits_for_memory_does_not_wait_for_a_linger() -> Result<()> {
        let cluster = Cluster::embedded().await?;
        let topic = setup::topic(&cluster, 1).await?;
        let linger = Duration::from_secs(20);
        let options = ProducerOptions { linger, buffer_bytes: 8 << 10, batch_bytes: 1 << 20, ..options() };
        let producer = Producer::open(&setup::options(&cluster), options).await?;
        let started = Instant::now();
        let pending = send(&producer, &topic, 0, 0, 200).await?;
        producer.flush(SOON).await?;
        ensure!(acknowledged(pending).await? == 200 && started.elapsed() < linger, "{:?}", started.elapsed());
        Ok(())
    }

    #[tokio::test]
    async fn every_codec_is_read_back_from_large_batches() -> Result<()> {
        let cluster = Cluster::embedded().await?;
        let codecs =
            [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
        let topic = setup::topic(&cluster, i32::try_from(codecs.len())?).await?;
        for (partition, compression) in (0..).zip(codecs) {
            let options = ProducerOptions {
                compression,
                batch_bytes: 256 << 10,
                linger: Duration::from_secs(1),
                ..options()
            };
            let producer = Producer::open(&setup::options(&cluster), options).await?;
            let values: Vec<String> = (0..10_000).map(value).collect();
            let set: RecordSet =
                values.iter().map(|value| Record::new(&topic).partition(partition).value(value)).collect();
            ensure!(acknowledged(vec![producer.send_batch(&set).await?]).await? == 10_000);
        }
        let counts = (0..).zip(codecs).map(|(partition, _)| (partition, 10_000)).collect();
        judge(&cluster, &topic, &counts).await
    }

    #[tokio::test]
    async fn a_closed_producer_ends_what_a_broker_does_not_answer() -> Result<()> {
        let cluster = Cluster::embedded().await?;
        let topic = setup::topic(&cluster, 1).await?;
        let producer = Producer::open(&setup::options(&cluster), options()).await?;
        cluster.broker().context("no broker")?.faults().inject(Api::Produce, 1_000, Fault::DropRequest);
        let pending = send(&producer, &topic, 0, 0, 10).await?;
        let Err(error) = producer.close(Duration::from_millis(100)).await else { bail!("nobody answers") };
        ensure!(error.outstanding == 10, "{error}");
        for set in pending {
            ensure!(set.await.iter().all(|outcome| outcome.is_err()));
        }
        Ok(())
    }
}
