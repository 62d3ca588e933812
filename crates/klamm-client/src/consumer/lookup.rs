//! Positions that only a leader knows: where a log begins and ends, and where the records of a leader epoch do.

use std::time::{SystemTime, UNIX_EPOCH};

use klamm_admin::{Admin, AdminError};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use klamm_wire::protocol::messages::{BrokerId, ListOffsetsRequest, OffsetForLeaderEpochRequest, TopicName};
use klamm_wire::protocol::protocol::StrBytes;

use crate::fetch::{Leader, Next};
use crate::{Isolation, OffsetReset, TopicPartition};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Why there is no answer to build on.
#[derive(Debug)]
pub(super) enum Failure {
    /// The leader's answer.
    Refused(ErrorCode),
    /// There was none.
    Unanswered(AdminError),
}

impl<E: Into<AdminError>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Unanswered(error.into())
    }
}

/// Where a reader without a position begins.
pub(super) async fn offset(
    admin: &Admin,
    partition: &TopicPartition,
    leader: Leader,
    reset: OffsetReset,
    isolation: Isolation,
) -> Result<Next, Failure> {
    let timestamp = match reset {
        OffsetReset::Earliest => EARLIEST,
        OffsetReset::Latest | OffsetReset::Error => LATEST,
        OffsetReset::ByDuration(ago) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(now.saturating_sub(ago).as_millis()).unwrap_or(0)
        }
    };
    match at(admin, partition, leader, timestamp, isolation).await? {
        // Every record is older.
        Next { offset: ..0, .. } => at(admin, partition, leader, LATEST, isolation).await,
        found => Ok(found),
    }
}

async fn at(
    admin: &Admin,
    partition: &TopicPartition,
    leader: Leader,
    timestamp: i64,
    isolation: Isolation,
) -> Result<Next, Failure> {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition.partition)
        .with_current_leader_epoch(leader.epoch)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name(partition)).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
        .with_topics(vec![topic]);
    let answer = admin.connection(leader.broker).await?.call(&request).await?;
    let told = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let told = told.ok_or(Failure::Refused(ErrorCode::UNKNOWN_SERVER_ERROR))?;
    ErrorCode::from(told.error_code).ok().map_err(Failure::Refused)?;
    // The epoch that is told is that of the record at the offset, not of the one before it.
    Ok(Next { offset: told.offset, epoch: None })
}

/// Where the records of `epoch`, or of the last epoch before it, end in the leader's log; `None` if it knows of no such epoch.
pub(super) async fn epoch_end(
    admin: &Admin,
    partition: &TopicPartition,
    leader: Leader,
    epoch: i32,
) -> Result<Option<Next>, Failure> {
    let asked = OffsetForLeaderPartition::default()
        .with_partition(partition.partition)
        .with_current_leader_epoch(leader.epoch)
        .with_leader_epoch(epoch);
    let topic = OffsetForLeaderTopic::default().with_topic(name(partition)).with_partitions(vec![asked]);
    let request =
        OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    let answer = admin.connection(leader.broker).await?.call(&request).await?;
    let told = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let told = told.ok_or(Failure::Refused(ErrorCode::UNKNOWN_SERVER_ERROR))?;
    ErrorCode::from(told.error_code).ok().map_err(Failure::Refused)?;
    let known = told.end_offset >= 0 && told.leader_epoch >= 0;
    Ok(known.then_some(Next { offset: told.end_offset, epoch: Some(told.leader_epoch) }))
}

fn name(partition: &TopicPartition) -> TopicName {
    TopicName(StrBytes::from_string(partition.topic.to_string()))
}
