//! Offsets of partitions: first, next, or by time.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::{BrokerId, ListOffsetsRequest};

use crate::Admin;
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::retry::Repeat;

/// Which offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first that is stored (log start).
    Earliest,
    /// One after the last that is committed (high watermark).
    Latest,
    /// One after the last that belongs to no open transaction (last stable offset).
    LatestStable,
    /// The first whose record is not older than this, in milliseconds since the epoch; the latest if there is none.
    Timestamp(i64),
}

impl Admin {
    /// The offset that `spec` names, in each partition of `topic`, by partition.
    pub async fn list_offsets(&self, topic: &str, spec: OffsetSpec) -> Result<Vec<(i32, i64)>, AdminError> {
        let what = format!("list offsets of topic {topic}");
        let mut found = self.retry(&what, Repeat::Always, || self.offsets(topic, spec)).await?;
        if matches!(spec, OffsetSpec::Timestamp(_)) && found.values().any(|offset| *offset < 0) {
            // Kafka answers -1 when every record is older.
            let latest =
                self.retry(&what, Repeat::Always, || self.offsets(topic, OffsetSpec::Latest)).await?;
            for (partition, offset) in found.iter_mut().filter(|(_, offset)| **offset < 0) {
                *offset = latest.get(partition).copied().unwrap_or(0);
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn offsets(&self, topic: &str, spec: OffsetSpec) -> Result<BTreeMap<i32, i64>, AdminError> {
        let meta = self.cluster.topic(topic).await?;
        let mut by_leader: BTreeMap<i32, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for partition in &meta.partitions {
            let wanted = ListOffsetsPartition::default()
                .with_partition_index(partition.index)
                .with_current_leader_epoch(-1)
                .with_timestamp(match spec {
                    OffsetSpec::Latest | OffsetSpec::LatestStable => -1,
                    OffsetSpec::Earliest => -2,
                    OffsetSpec::Timestamp(ms) => ms.max(0),
                });
            by_leader.entry(meta.leader_of(partition.index)?).or_default().push(wanted);
        }
        let mut offsets = BTreeMap::new();
        for (leader, partitions) in by_leader {
            let wanted = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(partitions);
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_isolation_level(i8::from(spec == OffsetSpec::LatestStable))
                .with_timeout_ms(self.options().broker_timeout_ms())
                .with_topics(vec![wanted]);
            let answer = self.cluster.broker(leader).await?.call(&request).await?;
            for told in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                let resource = format!("topic {topic} partition {}", told.partition_index);
                let refused = |code| AdminError::kafka(code, None, "describe", &resource);
                ErrorCode::from(told.error_code).ok().map_err(refused)?;
                offsets.insert(told.partition_index, told.offset);
            }
        }
        Ok(offsets)
    }
}
