//! What every check needs: clients, names of its own, bounded waits; and the checks on producing.

use std::fmt::{self, Debug, Display};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use krafka::Compression;
use krafka::admin::{
    AdminClient, CreateTopicsOptions, DescribeTopicsOptions, ListOffsetsOptions, NewTopic, OffsetSpec,
    TopicPartition,
};
use krafka::consumer::IsolationLevel;
use krafka::{Kafka, Record};

/// How long anything that is waited for may take.
pub const BOUND: Duration = Duration::from_secs(40);
/// A short poll.
pub const POLL: Duration = Duration::from_millis(200);

/// What a check answers that the client cannot do.
#[derive(Debug)]
pub struct Skipped(pub &'static str);

impl Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Skipped {}

pub struct Session {
    pub bootstrap: String,
    pub kafka: Kafka,
    pub admin: AdminClient,
    pub name: String,
}

impl Session {
    pub async fn new(bootstrap: &str, name: String) -> Result<Session> {
        let kafka = Kafka::builder(bootstrap).client_id("krafka").connect().await?;
        let admin = kafka.admin();
        Ok(Session { bootstrap: bootstrap.to_owned(), kafka, admin, name })
    }

    pub async fn topic(&self, what: &str, partitions: i32) -> Result<String> {
        let topic = format!("{}-{what}", self.name);
        for (_, created) in self
            .admin
            .create_topics([NewTopic::new(&topic, partitions, 1)?], CreateTopicsOptions::default())
            .await?
        {
            created?;
        }
        // A broker learns of a new topic a moment after the controller has acknowledged it.
        let (start, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(20)));
        while self.partitions(&topic).await != Some(partitions as usize) {
            ensure!(start.elapsed() < BOUND, "{topic} is not described");
            pause.tick().await;
        }
        Ok(topic)
    }

    pub async fn partitions(&self, topic: &str) -> Option<usize> {
        let described = self.admin.describe_topics([topic], DescribeTopicsOptions::default()).await.ok()?;
        Some(described.get(topic)?.as_ref().ok()?.partitions.len())
    }

    pub async fn fill(&self, topic: &str, values: &[String]) -> Result<()> {
        let producer = self.kafka.producer().build().await?;
        for value in values {
            let _ = producer.send(Record::new(topic, value.clone()).partition(0)).await?;
        }
        Ok(producer.close().await?)
    }

    pub async fn offset(&self, topic: &str, spec: OffsetSpec) -> Result<(i64, Option<i64>)> {
        let place = TopicPartition::new(topic, 0);
        // krafka asks again until its time is over where Kafka knows no offset.
        let options = ListOffsetsOptions::default().timeout(Duration::from_secs(3));
        let mut found = self.admin.list_offsets([(place.clone(), spec)], options).await?;
        let Some(found) = found.remove(&place) else { bail!("no answer for {topic}") };
        let found = found?;
        Ok((found.offset, found.timestamp))
    }

    /// The values of a partition from its start, until the condition holds for them.
    pub async fn read(
        &self,
        topic: &str,
        partition: i32,
        isolation: IsolationLevel,
        enough: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>> {
        let consumer = self.kafka.consumer_without_group().isolation_level(isolation).build().await?;
        consumer.assign(topic, vec![partition]).await?;
        consumer.seek_to_beginning(topic, partition).await?;
        let (start, mut found) = (Instant::now(), Vec::new());
        while !enough(&found) {
            ensure!(start.elapsed() < BOUND, "not read to the end of {topic}: {} values", found.len());
            for record in consumer.poll(POLL).await? {
                found.push(text(record.value.as_deref()));
            }
        }
        consumer.close().await?;
        Ok(found)
    }

    pub async fn read_to(&self, topic: &str, last: &str, isolation: IsolationLevel) -> Result<Vec<String>> {
        self.read(topic, 0, isolation, |found| found.iter().any(|value| value == last)).await
    }

    pub async fn produce(&self, codec: &str, compression: Compression) -> Result<()> {
        let topic = self.topic(codec, 1).await?;
        let texts = values(&"the same words again and again ".repeat(20), 100);
        let producer =
            self.kafka.producer().compression(compression).linger(Duration::from_millis(20)).build().await?;
        let mut sent = Vec::new();
        for value in &texts {
            sent.push(producer.enqueue(Record::new(&topic, value.clone()).partition(0)).await?);
        }
        for handle in sent {
            let _ = handle.await?;
        }
        producer.close().await?;
        same(
            &texts,
            &self.read_to(&topic, &texts[99], IsolationLevel::ReadUncommitted).await?,
            "what was read",
        )
    }

    /// Small batches to three partitions with requests in flight: nothing lost, nothing twice, nothing out of order.
    pub async fn idempotent(&self) -> Result<()> {
        let topic = self.topic("idempotent", 3).await?;
        let producer = self.kafka.producer().idempotent(true).batch_size(200).build().await?;
        let mut sent = Vec::new();
        for number in 0..600_i32 {
            let record = Record::new(&topic, number.to_string()).partition(number % 3);
            if number < 3 {
                // A broker that does not know the new topic yet may refuse the first batch of a producer and take the second.
                let _ = producer.send(record).await?;
            } else {
                sent.push(producer.enqueue(record).await?);
            }
        }
        for handle in sent {
            let _ = handle.await?;
        }
        producer.close().await?;
        for partition in 0..3 {
            let expected: Vec<String> = (0..200).map(|index| (partition + 3 * index).to_string()).collect();
            let found = self
                .read(&topic, partition, IsolationLevel::ReadUncommitted, |found| found.len() >= 200)
                .await?;
            same(&expected, &found, "what was read")?;
        }
        Ok(())
    }
}

pub fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

pub fn values(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

pub fn same<T: PartialEq + Debug + ?Sized>(expected: &T, found: &T, what: &str) -> Result<()> {
    ensure!(expected == found, "{what}: {found:?} instead of {expected:?}");
    Ok(())
}
