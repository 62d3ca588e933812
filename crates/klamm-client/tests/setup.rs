//! What the tests share.

use std::collections::BTreeMap;
use std::time::Duration;

use klamm_admin::{Admin, Mode, NewTopic};
use klamm_client::{
    ClientOptions, Consumer, ConsumerOptions, Event, OffsetReset, Producer, ProducerOptions, TopicPartition,
};
use klamm_testkit::anyhow::{Result, bail};
use klamm_testkit::{Cluster, unique};

/// How long a test waits for what should come at once.
pub const SOON: Duration = Duration::from_secs(30);

pub fn options(cluster: &Cluster) -> ClientOptions {
    ClientOptions::new(cluster.bootstrap().split(','))
}

/// A new topic that takes writes.
pub async fn topic(cluster: &Cluster, partitions: i32) -> Result<String> {
    topic_with(cluster, partitions, Vec::new()).await
}

/// The same with settings of its own.
pub async fn topic_with(
    cluster: &Cluster,
    partitions: i32,
    configs: Vec<(String, String)>,
) -> Result<String> {
    let name = unique("client");
    let admin = Admin::connect(&options(cluster)).await?;
    let replication_factor = i16::try_from(cluster.brokers().min(3))?;
    let topic = NewTopic { name: name.clone(), partitions, replication_factor, configs };
    admin.create_topics(&[topic], Mode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&name), SOON).await?;
    Ok(name)
}

pub async fn producer(cluster: &Cluster) -> Result<Producer> {
    Ok(Producer::open(&options(cluster), producer_options()).await?)
}

/// Java's defaults, except that a send ends within ten seconds.
pub fn producer_options() -> ProducerOptions {
    ProducerOptions {
        delivery_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(5),
        ..ProducerOptions::default()
    }
}

pub fn consumer_options(group: &str, topic: &str) -> ConsumerOptions {
    ConsumerOptions {
        reset: OffsetReset::Earliest,
        session_timeout: Duration::from_secs(6),
        heartbeat_interval: Duration::from_millis(500),
        ..ConsumerOptions::new(group, [topic])
    }
}

/// A consumer that has joined.
pub struct Reader {
    pub consumer: Consumer,
    /// What was read of each partition: offset and value.
    pub read: BTreeMap<TopicPartition, Vec<(i64, Vec<u8>)>>,
}

impl Reader {
    pub async fn join(cluster: &Cluster, options: ConsumerOptions) -> Result<Reader> {
        Ok(Reader {
            consumer: Consumer::open(&self::options(cluster), options).await?,
            read: BTreeMap::new(),
        })
    }

    /// The next event that is no passing trouble.
    pub async fn event(&mut self) -> Result<Event> {
        loop {
            match tokio::time::timeout(SOON, self.consumer.next()).await? {
                Some(Event::Error(error)) if error.is_retryable() => {}
                Some(event) => return Ok(event),
                None => bail!("the consumer ended"),
            }
        }
    }

    /// Reads until there are `records` records in all.
    pub async fn read(&mut self, records: usize) -> Result<()> {
        while self.read.values().map(Vec::len).sum::<usize>() < records {
            if let Event::Batch(batch) = self.event().await? {
                let read = self.read.entry(batch.partition().clone()).or_default();
                read.extend(
                    batch.records().map(|record| (record.offset, record.value.unwrap_or_default().to_vec())),
                );
            }
        }
        Ok(())
    }
}
