//! Topics, offsets, settings, deleted records.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use krafka::Record;
use krafka::admin::{
    ConfigOp, ConfigResource, CreateTopicsOptions, DeleteRecordsOptions, DescribeConfigsOptions,
    IncrementalAlterConfigsOptions, ListTopicsOptions, NewTopic, OffsetSpec, TopicPartition,
};
use krafka::consumer::IsolationLevel;

use crate::session::{BOUND, Session, same, values};

/// `ConfigSource` in Kafka's protocol.
const DEFAULT_CONFIG: i8 = 5;
const DYNAMIC_TOPIC_CONFIG: i8 = 1;

impl Session {
    pub async fn create_topic(&self) -> Result<()> {
        let topic = self.topic("created", 3).await?;
        ensure!(self.admin.list_topics(ListTopicsOptions::default()).await?.contains(&topic), "not listed");
        let again =
            self.admin.create_topics([NewTopic::new(&topic, 3, 1)?], CreateTopicsOptions::default()).await?;
        match again.get(&topic) {
            Some(Err(error)) if format!("{error:?}").contains("TopicAlreadyExists") => Ok(()),
            other => bail!("created again: {other:?}"),
        }
    }

    pub async fn offsets_by_time(&self) -> Result<()> {
        let topic = self.topic("times", 1).await?;
        let base = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64 - 100_000;
        let producer = self.kafka.producer().build().await?;
        for number in 0..10 {
            let _ =
                producer.send(Record::new(&topic, "v").partition(0).timestamp(base + number * 1000)).await?;
        }
        producer.close().await?;
        same(&0, &self.offset(&topic, OffsetSpec::Earliest).await?.0, "earliest")?;
        same(&10, &self.offset(&topic, OffsetSpec::Latest).await?.0, "latest")?;
        let exact = self.offset(&topic, OffsetSpec::Timestamp(base + 5000)).await?;
        same(&(5, Some(base + 5000)), &exact, "at an exact time")?;
        let between = self.offset(&topic, OffsetSpec::Timestamp(base + 5001)).await?;
        same(&6, &between.0, "between two times")?;
        same(&9, &self.offset(&topic, OffsetSpec::MaxTimestamp).await?.0, "the largest time")?;
        let after = self.offset(&topic, OffsetSpec::Timestamp(base + 60_000)).await;
        ensure!(after.is_err(), "after all: {after:?}");
        Ok(())
    }

    pub async fn configs(&self) -> Result<()> {
        let topic = self.topic("configs", 1).await?;
        self.becomes(&topic, "604800000", DEFAULT_CONFIG).await?;
        self.alter(&topic, ConfigOp::set("retention.ms", "7200000")).await?;
        self.becomes(&topic, "7200000", DYNAMIC_TOPIC_CONFIG).await?;
        self.alter(&topic, ConfigOp::delete("retention.ms")).await?;
        self.becomes(&topic, "604800000", DEFAULT_CONFIG).await
    }

    async fn alter(&self, topic: &str, change: ConfigOp) -> Result<()> {
        let changes = [(ConfigResource::topic(topic), vec![change])];
        let answers =
            self.admin.incremental_alter_configs(changes, IncrementalAlterConfigsOptions::default());
        for (_, answer) in answers.await? {
            answer?;
        }
        Ok(())
    }

    async fn becomes(&self, topic: &str, value: &str, source: i8) -> Result<()> {
        let resource = ConfigResource::topic(topic);
        let (start, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(50)));
        loop {
            let described =
                self.admin.describe_configs([resource.clone()], DescribeConfigsOptions::default()).await?;
            for (_, entries) in described {
                let entries = entries?;
                let entry = entries.iter().find(|entry| entry.name == "retention.ms");
                if entry.is_some_and(|entry| {
                    entry.value.as_deref() == Some(value) && entry.config_source == source
                }) {
                    return Ok(());
                }
            }
            ensure!(start.elapsed() < BOUND, "retention.ms is not {value} from {source}");
            pause.tick().await;
        }
    }

    pub async fn delete_records(&self) -> Result<()> {
        let topic = self.topic("deleted", 1).await?;
        self.fill(&topic, &values("v", 10)).await?;
        let before = [(TopicPartition::new(&topic, 0), 5)];
        for (_, low) in self.admin.delete_records(before, DeleteRecordsOptions::default()).await? {
            same(&5, &low?, "low watermark")?;
        }
        same(&5, &self.offset(&topic, OffsetSpec::Earliest).await?.0, "earliest")?;
        let left = self.read_to(&topic, "v9", IsolationLevel::ReadUncommitted).await?;
        same(&values("v", 10)[5..], &left[..], "what is left")
    }
}
