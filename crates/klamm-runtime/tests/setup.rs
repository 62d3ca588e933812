//! What the tests share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use klamm_admin::{Admin, Mode, NewTopic, OffsetSpec};
use klamm_client::{ClientOptions, Effect, Receipt, Record, RecordSet};
use klamm_contract::{ConsumerContract, TopicContract};
use klamm_runtime::{ConsumerLoop, Handler, HandlerError, LoopOptions, SendError, Work};
use klamm_testkit::anyhow::{Context, Result};
use klamm_testkit::{Cluster, eventually, unique};
use klamm_track::{Checker, Delivery, RecordId, SendEffect, Verdict};

/// How long a test waits for what should come at once.
pub const SOON: Duration = Duration::from_secs(30);

pub fn options(cluster: &Cluster) -> ClientOptions {
    ClientOptions::new(cluster.bootstrap().split(','))
}

pub async fn topic(cluster: &Cluster, partitions: i32, replication_factor: i16) -> Result<String> {
    let name = unique("runtime");
    let admin = Admin::connect(&options(cluster)).await?;
    let topic = NewTopic { name: name.clone(), partitions, replication_factor, configs: Vec::new() };
    admin.create_topics(&[topic], Mode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&name), SOON).await?;
    Ok(name)
}

/// What one broker can keep.
pub fn contract(topic: &str) -> TopicContract {
    TopicContract::strong(topic).dev().partitions(1)
}

pub fn group(topic: &str) -> ConsumerContract {
    ConsumerContract { session_timeout_ms: 6_000, ..ConsumerContract::at_least_once(topic, [topic]) }
}

/// Commits often, so that tests need not wait for it.
pub fn loop_options() -> LoopOptions {
    LoopOptions {
        commit_interval: Duration::from_millis(50),
        lag_interval: Duration::from_millis(100),
        ..LoopOptions::default()
    }
}

/// A checker that producers, handlers and a final read of the log report to.
#[derive(Clone)]
pub struct Judge {
    checker: Arc<Mutex<Checker>>,
}

impl Judge {
    pub fn new() -> Judge {
        Judge { checker: Arc::new(Mutex::new(Checker::new(RUN))) }
    }

    pub fn with<T>(&self, report: impl FnOnce(&mut Checker) -> T) -> T {
        report(&mut self.checker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends `each` records for each of `keys` keys, starting with sequence number `from`.
    pub async fn send(&self, cluster: &Cluster, topic: &str, keys: u64, from: u64, each: u64) -> Result<()> {
        let producer = klamm_runtime::DurableProducer::connect(&options(cluster), contract(topic)).await?;
        for seq in from..from + each {
            let ids: Vec<RecordId> = (0..keys).map(|key| RecordId { run: RUN, key, seq }).collect();
            let mut set = RecordSet::new();
            for id in &ids {
                self.with(|checker| checker.sent(*id));
                set.push(&Record::new(topic).key(&id.key.to_string()).value(&id.to_bytes()));
            }
            let receipts = producer.send_batch(&set).await?.await.into_receipts()?;
            for (id, receipt) in ids.iter().zip(receipts) {
                self.with(|checker| checker.acknowledged(*id, receipt.partition, receipt.offset));
            }
        }
        producer.close(SOON).await?;
        Ok(())
    }

    /// A handler that reports each record as processed once `work` is done with it.
    pub fn handler<F>(&self, work: F) -> impl Handler + use<F>
    where
        F: AsyncWork,
    {
        let judge = self.clone();
        let work = Arc::new(work);
        move |batch: Work| {
            let (judge, work) = (judge.clone(), Arc::clone(&work));
            async move {
                for record in batch.records() {
                    let id = record
                        .value
                        .and_then(RecordId::from_prefix)
                        .ok_or_else(|| HandlerError::stop("no id"))?;
                    work.work(id).await?;
                    judge.with(|checker| checker.processed(id));
                    batch.finish_through(record.offset);
                }
                Ok(())
            }
        }
    }

    pub fn processed(&self) -> u64 {
        self.with(|checker| checker.verdict().processed)
    }

    /// Waits until so many different records are processed.
    pub async fn processes(&self, records: u64) -> Result<()> {
        eventually(SOON, &format!("{records} processed records"), async || {
            let processed = self.processed();
            (processed >= records).then_some(()).ok_or_else(|| format!("{processed}"))
        })
        .await
    }

    /// Reports how a send ended.
    pub fn outcome(&self, id: RecordId, outcome: Result<Receipt, SendError>) -> Result<(), SendError> {
        self.with(|checker| match &outcome {
            Ok(receipt) => checker.acknowledged(id, receipt.partition, receipt.offset),
            Err(error) if error.effect() == Effect::None => checker.failed(id, SendEffect::None),
            Err(_) => checker.failed(id, SendEffect::Unknown),
        });
        outcome.map(drop)
    }

    /// Reads the log back and judges.
    pub async fn verdict(&self, cluster: &Cluster, topic: &str) -> Result<Verdict> {
        let admin = Admin::connect(&options(cluster)).await?;
        for (partition, end) in admin.list_offsets(topic, OffsetSpec::Latest).await? {
            let mut found = Vec::new();
            let mut each = |record: klamm_wire::batch::RecordView<'_>| {
                found.extend(record.value.and_then(RecordId::from_prefix).map(|id| (id, record.offset)));
            };
            admin.read(topic, partition, 0, end, &mut each).await?;
            found
                .iter()
                .for_each(|(id, offset)| self.with(|checker| checker.stored(*id, partition, *offset)));
        }
        Ok(self.with(|checker| checker.verdict()))
    }
}

/// The run that all records carry.
pub const RUN: u64 = 42;

/// The work on one record.
pub trait AsyncWork: Send + Sync + 'static {
    fn work(&self, id: RecordId) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<F, Fut> AsyncWork for F
where
    F: Fn(RecordId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    fn work(&self, id: RecordId) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(id)
    }
}

pub async fn start(cluster: &Cluster, topic: &str, handler: impl Handler) -> Result<ConsumerLoop> {
    Ok(ConsumerLoop::start(&options(cluster), &group(topic), loop_options(), handler).await?)
}

/// The sum of what the group has committed.
pub async fn committed(cluster: &Cluster, topic: &str) -> Result<i64> {
    let admin = Admin::connect(&options(cluster)).await?;
    let offsets = admin.group_offsets(topic, &[topic.to_owned()]).await.context("group offsets")?;
    Ok(offsets.iter().map(|offset| offset.offset).sum())
}

/// Did the run keep at-least-once, with nothing left out?
pub fn assert_held(verdict: &Verdict) {
    assert!(verdict.held(Delivery::AtLeastOnce), "{verdict}\n{:#?}", verdict.examples);
}
