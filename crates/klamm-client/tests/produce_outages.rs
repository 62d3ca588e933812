//! Brokers that die, freeze and come back under producers at work.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use klamm_admin::Admin;
use klamm_client::{BatchPending, ClientOptions, Compression, Producer, ProducerOptions};
use klamm_testkit::anyhow::{Context, Result, bail, ensure};
use klamm_testkit::{Cluster, Controller, eventually, run_on_real};
use tokio::task::JoinSet;

use crate::produce_faults::{judge, options, send};
use crate::setup;

/// How long a test waits for a cluster to notice and to recover: seconds, but many on a busy machine.
const RECOVERY: Duration = Duration::from_secs(90);

/// Senders, one a partition, until they are told to stop.
struct Load {
    senders: JoinSet<Result<(i32, usize)>>,
    over: Arc<AtomicBool>,
    /// Acknowledged records of each partition.
    done: Arc<[AtomicUsize]>,
}

impl Load {
    fn start(producer: &Producer, topic: &str, partitions: i32) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let done: Arc<[AtomicUsize]> = (0..partitions).map(|_| AtomicUsize::new(0)).collect();
        let mut senders = JoinSet::new();
        for (index, partition) in (0..partitions).enumerate() {
            let (producer, topic) = (producer.clone(), topic.to_owned());
            let (over, done) = (Arc::clone(&over), Arc::clone(&done));
            senders.spawn(async move {
                let sent = work(&producer, &topic, partition, &over, &done[index]).await?;
                Ok((partition, sent))
            });
        }
        Load { senders, over, done }
    }

    /// More is acknowledged in each partition.
    async fn goes_on(&mut self) -> Result<()> {
        let Load { senders, done, .. } = self;
        let now = || done.iter().map(|done| done.load(Ordering::Acquire)).collect::<Vec<_>>();
        let before = now();
        let ended = eventually(RECOVERY, "records of each partition to be acknowledged", async || {
            let (ended, more) = (senders.try_join_next(), now());
            let all = before.iter().zip(&more).all(|(before, more)| *more >= before + 50);
            if ended.is_some() || all { Ok(ended) } else { Err(format!("from {before:?} to {more:?}")) }
        });
        match ended.await? {
            None => Ok(()),
            // It has an error, or ended too early.
            Some(sender) => bail!("{:?}", sender??),
        }
    }

    /// What was sent to each partition, and acknowledged.
    async fn stop(mut self) -> Result<BTreeMap<i32, usize>> {
        self.over.store(true, Ordering::Release);
        let mut counts = BTreeMap::new();
        while let Some(sender) = self.senders.join_next().await {
            let (partition, sent) = sender??;
            counts.insert(partition, sent);
        }
        Ok(counts)
    }
}

/// Sends sets of five, with at most twenty sets on their way.
async fn work(
    producer: &Producer,
    topic: &str,
    partition: i32,
    over: &AtomicBool,
    done: &AtomicUsize,
) -> Result<usize> {
    let (mut sent, mut seen) = (0, 0);
    let mut pending = VecDeque::new();
    loop {
        let ending = over.load(Ordering::Acquire);
        if !ending {
            pending.extend(send(producer, topic, partition, sent, sent + 5).await?);
            sent += 5;
            let load = producer.in_flight();
            ensure!(load.bytes <= load.capacity_bytes, "{load:?}");
        }
        while pending.len() > if ending { 0 } else { 20 } {
            let set: BatchPending = pending.pop_front().context("there are some")?;
            for receipt in set.await.into_receipts()? {
                // A broker may only know that it has the record.
                ensure!([seen, -1].contains(&receipt.offset), "{seen}: {receipt:?}");
                seen += 1;
            }
            done.fetch_add(5, Ordering::AcqRel);
        }
        if ending {
            return Ok(sent);
        }
    }
}

/// Little memory and compression on top of small batches.
fn tight() -> ProducerOptions {
    let compression = Compression::Lz4;
    ProducerOptions { buffer_bytes: 64 << 10, compression, batch_bytes: 4 << 10, ..options() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stops_and_starts_under_load_loses_and_doubles_nothing_on_embedded() -> Result<()> {
    let cluster = Cluster::embedded().await?;
    let topic = setup::topic(&cluster, 3).await?;
    let producer = Producer::open(&setup::options(&cluster), tight()).await?;
    let mut load = Load::start(&producer, &topic, 3);
    load.goes_on().await?;
    for hard in [false, true, false, true] {
        if hard {
            cluster.kill(1).await?
        } else {
            cluster.stop(1).await?
        }
        cluster.start(1).await?;
        load.goes_on().await?;
    }
    let counts = load.stop().await?;
    ensure!(producer.in_flight().bytes == 0, "memory is not free: {:?}", producer.in_flight());
    judge(&cluster, &topic, &counts).await
}

#[test]
fn on_real_kafka_leaders_that_die_and_freeze_under_load_lose_and_double_nothing() -> Result<()> {
    run_on_real(3, Controller::Apart, async |cluster| {
        let topic = setup::topic(&cluster, 6).await?;
        // A frozen broker must not cost half a minute each time.
        let reach = ClientOptions {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(4),
            ..setup::options(&cluster)
        };
        let options = ProducerOptions {
            delivery_timeout: RECOVERY,
            request_timeout: Duration::from_secs(4),
            ..tight()
        };
        let producer = Producer::open(&reach, options).await?;
        let mut load = Load::start(&producer, &topic, 6);
        load.goes_on().await?;
        for (node, frozen) in [(1, false), (2, true), (3, false), (1, true)] {
            if frozen {
                cluster.pause(node).await?
            } else {
                cluster.kill(node).await?
            }
            others_lead(&reach, &topic, node).await?;
            load.goes_on().await?;
            if frozen {
                cluster.resume(node).await?
            } else {
                cluster.start(node).await?
            }
            load.goes_on().await?;
        }
        let counts = load.stop().await?;
        judge(&cluster, &topic, &counts).await
    })
}

async fn others_lead(reach: &ClientOptions, topic: &str, node: i32) -> Result<()> {
    let topic = topic.to_owned();
    eventually(RECOVERY, "the others lead", async || {
        let routes = Admin::connect(reach).await?.routes(std::slice::from_ref(&topic)).await?;
        let Some(Ok(route)) = routes.get(&topic) else { bail!("no route") };
        let moved = route.leaders.values().all(|leader| leader.is_ok_and(|leader| leader.broker != node));
        ensure!(moved, "{route:?}");
        Ok(())
    })
    .await
}
