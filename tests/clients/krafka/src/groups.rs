//! Groups of one protocol: `classic` or `consumer` (KIP-848).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use krafka::admin::{
    ConsumerGroupDescription, DeleteConsumerGroupsOptions, DescribeConsumerGroupsOptions,
    ListConsumerGroupOffsetsOptions, ListConsumerGroupsOptions, TopicPartition,
};
use krafka::consumer::{AutoOffsetReset, Consumer, GroupProtocol, IsolationLevel, OffsetAndMetadata};
use krafka::{Kafka, Record};

use crate::session::{BOUND, Session, same, text, values};

impl Session {
    pub fn group(&self, what: &str, protocol: &str) -> String {
        format!("{}-{what}-{protocol}", self.name)
    }

    pub async fn member(&self, what: &str, protocol: &str, topic: &str) -> Result<Consumer> {
        let protocol_of =
            if protocol == "consumer" { GroupProtocol::Consumer } else { GroupProtocol::Classic };
        // Members that share a pool share the connection to their coordinator, where one's heartbeat waits behind the other's JoinGroup.
        let kafka = Kafka::builder(&self.bootstrap).client_id("krafka").connect().await?;
        let builder = kafka.consumer(self.group(what, protocol)).group_protocol(protocol_of);
        let builder = builder.auto_offset_reset(AutoOffsetReset::Earliest).enable_auto_commit(false);
        let consumer =
            builder.isolation_level(IsolationLevel::ReadCommitted).max_poll_records(5).build().await?;
        consumer.subscribe([topic]).await?;
        Ok(consumer)
    }

    pub async fn rebalance(&self, protocol: &str) -> Result<()> {
        let topic = self.topic(&format!("rebalance-{protocol}"), 4).await?;
        let producer = self.kafka.producer().build().await?;
        for partition in 0..4 {
            let _ = producer.send(Record::new(&topic, format!("p{partition}")).partition(partition)).await?;
        }
        producer.close().await?;
        let mut seen = BTreeSet::new();
        let first = self.member("rebalance", protocol, &topic).await?;
        let mut wait = Wait::new("the first member has all");
        while poll(&first, &mut seen).await? != 4 {
            wait.on()?;
        }
        let second = self.member("rebalance", protocol, &topic).await?;
        let mut wait = Wait::new("two members share");
        loop {
            let (one, other) = tokio::join!(poll(&first, &mut seen), count(&second));
            if (one?, other?) == (2, 2) {
                break;
            }
            wait.on()?;
        }
        let mut both: Vec<i32> = [owns(&first, &topic).await, owns(&second, &topic).await].concat();
        both.sort_unstable();
        same(&vec![0, 1, 2, 3], &both, "partitions that somebody has")?;
        second.close().await?;
        let mut wait = Wait::new("the first member has all again");
        while poll(&first, &mut seen).await? != 4 {
            wait.on()?;
        }
        Ok(first.close().await?)
    }

    pub async fn resume(&self, protocol: &str) -> Result<()> {
        let topic = self.topic(&format!("resume-{protocol}"), 1).await?;
        self.fill(&topic, &values("v", 20)).await?;
        let first = self.member("resume", protocol, &topic).await?;
        let (mut seen, mut wait) = (BTreeSet::new(), Wait::new("20 records"));
        while poll(&first, &mut seen).await? != 1 || seen.len() < 20 {
            wait.on()?;
        }
        first.commit_offsets([(TopicPartition::new(&topic, 0), OffsetAndMetadata::new(10))]).await?;
        first.close().await?;
        same(&Some(10), &self.committed("resume", protocol, &topic).await?, "committed")?;
        let second = self.member("resume", protocol, &topic).await?;
        let (mut seen, mut wait) = (BTreeSet::new(), Wait::new("the other ten"));
        while poll(&second, &mut seen).await? != 1 || seen.len() < 10 {
            wait.on()?;
        }
        second.close().await?;
        same(&values("v", 20)[10..].iter().cloned().collect(), &seen, "resumed with")
    }

    pub async fn committed(&self, what: &str, protocol: &str, topic: &str) -> Result<Option<i64>> {
        let options = ListConsumerGroupOffsetsOptions::default();
        let mut found = self.admin.list_consumer_group_offsets(self.group(what, protocol), options).await?;
        let found = found.remove(&TopicPartition::new(topic, 0)).context("nothing is committed")??;
        Ok(found.offset)
    }

    pub async fn described(&self, protocol: &str) -> Result<()> {
        let topic = self.topic(&format!("described-{protocol}"), 2).await?;
        let group = self.group("described", protocol);
        let reader = self.member("described", protocol, &topic).await?;
        let mut wait = Wait::new("assigned");
        while count(&reader).await? != 2 {
            wait.on()?;
        }
        let found = self.description(&group).await?;
        let about = (found.state.as_str(), found.members.len(), found.group_type.to_string());
        same(&("Stable", 1, protocol.to_owned()), &about, "described")?;
        ensure!(self.listed(&group).await?, "not listed");
        reader.close().await?;
        let found = self.description(&group).await?;
        same(&("Empty", 0), &(found.state.as_str(), found.members.len()), "described when all left")?;
        for (_, deleted) in
            self.admin.delete_consumer_groups([&group], DeleteConsumerGroupsOptions::default()).await?
        {
            deleted?;
        }
        ensure!(!self.listed(&group).await?, "still listed");
        Ok(())
    }

    async fn description(&self, group: &str) -> Result<ConsumerGroupDescription> {
        let options = DescribeConsumerGroupsOptions::default();
        let mut found = self.admin.describe_consumer_groups([group], options).await?;
        Ok(found.remove(group).context("not described")??)
    }

    async fn listed(&self, group: &str) -> Result<bool> {
        let mut listed = false;
        for (_, groups) in self.admin.list_consumer_groups(ListConsumerGroupsOptions::default()).await? {
            listed |= groups?.iter().any(|found| found.group_id == group);
        }
        Ok(listed)
    }
}

async fn owns(consumer: &Consumer, topic: &str) -> Vec<i32> {
    consumer.assignment().await.remove(topic).unwrap_or_default()
}

/// How many partitions the member has, after a poll. It must be long enough for a whole rebalance: a poll that ends before gives it up.
async fn poll(consumer: &Consumer, seen: &mut BTreeSet<String>) -> Result<usize> {
    for record in consumer.poll(Duration::from_secs(3)).await? {
        seen.insert(text(record.value.as_deref()));
    }
    Ok(consumer.assignment().await.values().map(Vec::len).sum())
}

async fn count(consumer: &Consumer) -> Result<usize> {
    poll(consumer, &mut BTreeSet::new()).await
}

/// A bounded wait.
pub struct Wait {
    what: &'static str,
    start: Instant,
}

impl Wait {
    pub fn new(what: &'static str) -> Wait {
        Wait { what, start: Instant::now() }
    }

    pub fn on(&mut self) -> Result<()> {
        let spent: Duration = self.start.elapsed();
        ensure!(spent < BOUND, "{}: not within {BOUND:?}", self.what);
        Ok(())
    }
}
