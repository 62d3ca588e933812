//! Offsets of partitions: first, next, or by time.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::{BrokerId, ListOffsetsRequest};

use crate::Admin;
use crate::each::{Leaders, PerPartition, Told, Wanted};
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::pace::Peer;
use crate::retry::Repeat;

/// Partitions in one request: an answer of some 200 KB.
const PARTITIONS_PER_REQUEST: usize = 5_000;

/// The largest time stamp, in place of a time (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// The first version with it.
const NEWEST: i16 = 7;
const READ_UNCOMMITTED: i8 = 0;

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

    /// The offset that `spec` names, in each of many partitions: one request to each leader for all that it leads.
    pub async fn list_offsets_of(&self, leaders: &Leaders, spec: OffsetSpec) -> PerPartition<i64> {
        self.at_leaders("list offsets", leaders, PARTITIONS_PER_REQUEST, &|peer, wanted| async move {
            self.ask_offsets(&peer, &wanted, spec).await
        })
        .await
    }

    /// Time stamp of the newest record of each partition, in milliseconds since the epoch (KIP-734); `None` without records.
    pub async fn newest_times_of(&self, leaders: &Leaders) -> PerPartition<Option<i64>> {
        self.at_leaders("ask for the newest time stamps", leaders, PARTITIONS_PER_REQUEST, &|peer, wanted| {
            self.ask_newest(peer, wanted)
        })
        .await
    }

    async fn ask_newest(&self, peer: Peer, wanted: Wanted) -> Result<Told<Option<i64>>, AdminError> {
        if peer.version_of::<ListOffsetsRequest>(None)? < NEWEST {
            let since = Some("brokers tell the newest time stamp since 3.0");
            return Err(AdminError::kafka(ErrorCode::UNSUPPORTED_VERSION, since, "describe", "partitions"));
        }
        let told = self.ask_times(&peer, &wanted, MAX_TIMESTAMP, READ_UNCOMMITTED).await?;
        let newest = told.into_iter().map(|(topic, partition, told)| {
            (topic, partition, told.map(|(time, _)| Some(time).filter(|time| *time >= 0)))
        });
        Ok(newest.collect())
    }

    async fn offsets(&self, topic: &str, spec: OffsetSpec) -> Result<BTreeMap<i32, i64>, AdminError> {
        let meta = self.cluster.topic(topic).await?;
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in &meta.partitions {
            by_leader.entry(meta.leader_of(partition.index)?).or_default().push(partition.index);
        }
        let mut offsets = BTreeMap::new();
        for (leader, partitions) in by_leader {
            let peer = self.cluster.broker(leader).await?;
            for (_, partition, told) in
                self.ask_offsets(&peer, &[(topic.to_owned(), partitions)].into(), spec).await?
            {
                offsets.insert(partition, told?);
            }
        }
        Ok(offsets)
    }

    async fn ask_offsets(
        &self,
        peer: &Peer,
        wanted: &Wanted,
        spec: OffsetSpec,
    ) -> Result<Told<i64>, AdminError> {
        let timestamp = match spec {
            OffsetSpec::Latest | OffsetSpec::LatestStable => -1,
            OffsetSpec::Earliest => -2,
            OffsetSpec::Timestamp(ms) => ms.max(0),
        };
        let isolation = i8::from(spec == OffsetSpec::LatestStable);
        let told = self.ask_times(peer, wanted, timestamp, isolation).await?;
        let offsets = told
            .into_iter()
            .map(|(topic, partition, told)| (topic, partition, told.map(|(_, offset)| offset)));
        Ok(offsets.collect())
    }

    /// Time stamp and offset of each partition.
    async fn ask_times(
        &self,
        peer: &Peer,
        wanted: &Wanted,
        timestamp: i64,
        isolation: i8,
    ) -> Result<Told<(i64, i64)>, AdminError> {
        let of_partition = |partition: &i32| {
            ListOffsetsPartition::default()
                .with_partition_index(*partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp)
        };
        let of_topic = |(topic, partitions): (&String, &Vec<i32>)| {
            ListOffsetsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.iter().map(of_partition).collect())
        };
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(isolation)
            .with_timeout_ms(self.options().broker_timeout_ms())
            .with_topics(wanted.iter().map(of_topic).collect());
        let answer = peer.call(&request).await?;
        let told = answer.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|told| {
                let resource = format!("topic {} partition {}", topic.name.0, told.partition_index);
                let refused = |code| AdminError::kafka(code, None, "describe", &resource);
                let found = ErrorCode::from(told.error_code).ok().map_err(refused);
                let found = found.map(|()| (told.timestamp, told.offset));
                (topic.name.0.to_string(), told.partition_index, found)
            })
        });
        Ok(told.collect())
    }
}
