//! Transactions: both outcomes, fencing, a reader of committed records, consume-transform-produce.

use anyhow::{Result, bail, ensure};
use krafka::Record;
use krafka::consumer::{ConsumerRecord, IsolationLevel};
use krafka::producer::{TopicPartitionOffset, TransactionalProducer};

use crate::groups::Wait;
use crate::session::{POLL, Session, same, text, values};

impl Session {
    async fn transactional_producer(&self, id: &str) -> Result<TransactionalProducer> {
        Ok(self.kafka.producer().build_transactional(format!("{}-{id}", self.name)).await?)
    }

    pub async fn transactional(&self) -> Result<()> {
        let topic = self.topic("transactional", 1).await?;
        let producer = self.transactional_producer("transactional").await?;
        for (prefix, count) in [("first", 10), ("aborted", 10), ("last", 10), ("zombie", 1)] {
            producer.begin()?;
            for value in values(prefix, count) {
                let _ = producer.send(Record::new(&topic, value).partition(0)).await?;
            }
            match prefix {
                "aborted" => producer.abort().await?,
                "zombie" => {}
                _ => producer.commit().await?,
            }
        }
        // A second holder of the id ends the open transaction of the first, which can do nothing any more.
        let second = self.transactional_producer("transactional").await?;
        let end = producer.commit().await;
        second.close().await?;
        match end {
            Ok(()) => bail!("a fenced producer committed"),
            Err(error) => {
                let told = format!("{error:?}");
                ensure!(told.contains("Fenced") || told.contains("InvalidProducerEpoch"), "fenced by {told}");
                Ok(())
            }
        }
    }

    pub async fn read_committed(&self) -> Result<()> {
        let topic = format!("{}-transactional", self.name);
        let committed = [values("first", 10), values("last", 10)].concat();
        same(
            &committed,
            &self.read_to(&topic, "last9", IsolationLevel::ReadCommitted).await?,
            "read_committed",
        )?;
        let whole =
            [values("first", 10), values("aborted", 10), values("last", 10), values("zombie", 1)].concat();
        same(
            &whole,
            &self.read_to(&topic, "zombie0", IsolationLevel::ReadUncommitted).await?,
            "read_uncommitted",
        )
    }

    /// Copies 20 records in transactions of at most five; the second is aborted and done again.
    pub async fn transform(&self, protocol: &str) -> Result<()> {
        let from = self.topic(&format!("transform-from-{protocol}"), 1).await?;
        let to = self.topic(&format!("transform-to-{protocol}"), 1).await?;
        self.fill(&from, &values("v", 20)).await?;
        let producer = self.transactional_producer(&format!("transform-{protocol}")).await?;
        let consumer = self.member("transform", protocol, &from).await?;
        let (mut transactions, mut done) = (0, 0);
        let mut wait = Wait::new("all transformed");
        while done < 20 {
            wait.on()?;
            let records: Vec<ConsumerRecord> = consumer.poll(POLL).await?;
            let (Some(first), Some(last)) = (records.first(), records.last()) else { continue };
            producer.begin()?;
            for record in &records {
                let copy = format!("copy of {}", text(record.value.as_deref()));
                let _ = producer.send(Record::new(&to, copy).partition(0)).await?;
            }
            let Some(metadata) = consumer.group_metadata().await else { bail!("not a member") };
            producer
                .send_offsets(&[TopicPartitionOffset::new(&*from, 0, last.offset + 1)], &metadata)
                .await?;
            transactions += 1;
            if transactions == 2 {
                producer.abort().await?;
                consumer.seek(&from, 0, first.offset).await?;
            } else {
                producer.commit().await?;
                done += records.len();
            }
        }
        consumer.close().await?;
        producer.close().await?;
        let committed = self.read_to(&to, "copy of v19", IsolationLevel::ReadCommitted).await?;
        same(&values("copy of v", 20), &committed, "what was written")?;
        let everything = self.read_to(&to, "copy of v19", IsolationLevel::ReadUncommitted).await?;
        ensure!(everything.len() > 20, "the aborted copies are in the log");
        let mut wait = Wait::new("the committed offset is 20");
        // Kafka answers the end of a transaction before the group's coordinator has its marker.
        while self.committed("transform", protocol, &from).await? != Some(20) {
            wait.on()?;
        }
        Ok(())
    }
}
