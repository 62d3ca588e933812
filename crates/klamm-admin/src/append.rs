//! Raw writes: encoded batches to one partition, and the epochs that fence those who wrote before.

use klamm_kafka::ErrorCode;
use klamm_wire::CallOptions;
use klamm_wire::batch::{BatchBuilder, BatchView, Compression, ProducerStamp};
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::{InitProducerIdRequest, ProduceRequest, ProducerId, TransactionalId};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::error::AdminError;
use crate::groups::Coordinated;
use crate::metadata::topic_name;
use crate::retry::Repeat;

/// Kafka's default of `transaction.timeout.ms`. No transaction is opened; brokers insist on a value.
const TRANSACTION_TIMEOUT_MS: i32 = 60_000;

impl Admin {
    /// The producer id of `transactional_id` with a new epoch: who holds an earlier one is fenced, by the coordinator at
    /// once, by a partition from the first batch of the new epoch on. A transaction that was open is aborted.
    pub async fn init_producer(&self, transactional_id: &str) -> Result<ProducerStamp, AdminError> {
        self.epoch_after(transactional_id, None).await
    }

    /// The epoch after `held`, if nobody has taken a later one (KIP-360).
    ///
    /// # Errors
    /// PRODUCER_FENCED or INVALID_PRODUCER_EPOCH when somebody has.
    pub async fn next_epoch(
        &self,
        transactional_id: &str,
        held: ProducerStamp,
    ) -> Result<ProducerStamp, AdminError> {
        self.epoch_after(transactional_id, Some(held)).await
    }

    async fn epoch_after(
        &self,
        transactional_id: &str,
        held: Option<ProducerStamp>,
    ) -> Result<ProducerStamp, AdminError> {
        let id = TransactionalId(StrBytes::from_string(transactional_id.to_owned()));
        let request = &InitProducerIdRequest::default()
            .with_transactional_id(Some(id))
            .with_transaction_timeout_ms(TRANSACTION_TIMEOUT_MS)
            .with_producer_id(ProducerId(held.map_or(-1, |held| held.id)))
            .with_producer_epoch(held.map_or(-1, |held| held.epoch));
        let resource = &format!("transactional id {transactional_id}");
        self.retry(&format!("take over {resource}"), Repeat::Always, || async move {
            let coordinator = self.coordinator_of(Coordinated::TransactionalId, transactional_id).await?;
            let answer = coordinator.call(request).await?;
            ErrorCode::from(answer.error_code)
                .ok()
                .map_err(|code| AdminError::kafka(code, None, "take over", resource))?;
            Ok(ProducerStamp { id: answer.producer_id.0, epoch: answer.producer_epoch, base_sequence: 0 })
        })
        .await
    }

    /// Appends records, each a key and a value (`None` is a tombstone), as one batch under `stamp`, and gives the offset of
    /// the first. The next batch has a `base_sequence` that is higher by the number of records.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH when a later holder of the transactional id has written. After any error the fate of the
    /// batch is not known, and so neither is the next sequence: take a new epoch.
    pub async fn append_under(
        &self,
        stamp: ProducerStamp,
        topic: &str,
        partition: i32,
        records: &[(&[u8], Option<&[u8]>)],
        timestamp_ms: i64,
    ) -> Result<i64, AdminError> {
        let mut builder = BatchBuilder::new(Compression::None).producer(stamp);
        for (key, value) in records {
            builder.append(timestamp_ms, Some(key), *value, &[]);
        }
        let batch = builder.finish().map_err(|error| AdminError::unexpected(error.to_string()))?;
        self.append(topic, partition, batch).await
    }

    /// Appends one encoded record batch with acks=all and gives the offset of its first record.
    ///
    /// A batch with the stamp of a producer is repeated until its fate is known: the broker recognises it by its
    /// sequence. One without is not repeated when it may be stored, and an error may hide that it was
    /// ([`AdminError::effect`]).
    pub async fn append(&self, topic: &str, partition: i32, batch: Vec<u8>) -> Result<i64, AdminError> {
        let stamped = BatchView::parse_single(&batch).is_ok_and(|view| view.producer().is_some());
        let repeat = if stamped { Repeat::Always } else { Repeat::IfNothingHappened };
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.into()));
        let data = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
        let request = &ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(self.options().broker_timeout_ms())
            .with_topic_data(vec![data]);
        self.retry("append a batch", repeat, || async move {
            let leader = self.cluster.topic(topic).await?.leader_of(partition)?;
            // From version 13 on topics are named by id.
            let capped = CallOptions { max_version: Some(12), timeout: None };
            let answer = self.cluster.broker(leader).await?.call_with(request, capped).await?;
            let stored = answer.responses.first().and_then(|topic| topic.partition_responses.first());
            let stored = stored.ok_or_else(|| {
                AdminError::unexpected(format!("the answer says nothing about topic {topic}"))
            })?;
            let resource = format!("topic {topic} partition {partition}");
            match ErrorCode::from(stored.error_code).ok() {
                Ok(()) => Ok(stored.base_offset),
                Err(code) => {
                    Err(AdminError::kafka(code, stored.error_message.as_deref(), "write", &resource))
                }
            }
        })
        .await
    }
}
