//! `ListOffsets`: earliest (-2), latest (-1), by time, by largest timestamp (-3, KIP-734), earliest local (-4, KIP-405: the
//! same as earliest here), latest tiered (-5: there is none).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use klamm_wire::protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::rights::Right;
use super::shape::{INT8, INT32, INT64, Shape, TEXT, structs};
use super::{Call, Handler, names};
use crate::log::{Isolation, LEADER_EPOCH};
use crate::topics::Topic;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// The first version with leader epochs (KIP-320).
const LEADER_EPOCHS: i16 = 4;

pub(crate) struct ListOffsets;

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;
    type Response = ListOffsetsResponse;

    const REQUEST: Shape = Shape {
        flexible: 6,
        fields: &[
            INT32,
            INT8.since(2),
            structs(&[TEXT, structs(&[INT32, INT32.since(4), INT64])]),
            INT32.since(10),
        ],
    };

    async fn handle(call: &Call<'_>, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let isolation = Isolation::from_code(request.isolation_level);
        respond(request, |topic, partition| {
            call.check_topic(Right::Describe, topic)?;
            if !is_known(partition.timestamp, call.version) {
                return Err(ErrorCode::UNSUPPORTED_VERSION);
            }
            let topic = call.node.topics.get(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            let (timestamp, offset) = find(&topic, partition, isolation)?.unwrap_or((-1, -1));
            let epoch = if call.version >= LEADER_EPOCHS && offset >= 0 { LEADER_EPOCH } else { -1 };
            Ok(ListOffsetsPartitionResponse::default()
                .with_timestamp(timestamp)
                .with_offset(offset)
                .with_leader_epoch(epoch))
        })
    }

    fn throttled(response: &mut ListOffsetsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &ListOffsetsRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.name))
    }

    fn refuse(_: &Call<'_>, request: ListOffsetsRequest, error: ErrorCode) -> ListOffsetsResponse {
        respond(request, |_, _| Err(error))
    }
}

/// Whether this version has the question that a negative timestamp stands for.
fn is_known(timestamp: i64, version: i16) -> bool {
    match timestamp {
        0.. | LATEST | EARLIEST => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        _ => false,
    }
}

fn find(
    topic: &Topic,
    wanted: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Option<(i64, i64)>, ErrorCode> {
    let log = topic.partition(wanted.partition_index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if wanted.current_leader_epoch > LEADER_EPOCH {
        return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
    }
    let bounds = log.bounds();
    // What a read_committed reader cannot fetch yet is not found either.
    let end = bounds.end(isolation);
    let before_end = |found: &(i64, i64)| found.1 < end;
    let found = match wanted.timestamp {
        LATEST => Ok(Some((-1, end))),
        EARLIEST | EARLIEST_LOCAL => Ok(Some((-1, bounds.log_start))),
        LATEST_TIERED => Ok(None),
        MAX_TIMESTAMP => log.max_timestamp().map(|found| found.filter(before_end)),
        0.. => log.offset_for_timestamp(wanted.timestamp).map(|found| found.filter(before_end)),
        _ => return Err(ErrorCode::UNSUPPORTED_VERSION),
    };
    found.map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)
}

fn respond(
    request: ListOffsetsRequest,
    one: impl Fn(&str, &ListOffsetsPartition) -> Result<ListOffsetsPartitionResponse, ErrorCode>,
) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic: ListOffsetsTopic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let failed = |error: ErrorCode| {
                ListOffsetsPartitionResponse::default()
                    .with_error_code(error.code())
                    .with_timestamp(-1)
                    .with_offset(-1)
            };
            one(&topic.name, partition).unwrap_or_else(failed).with_partition_index(partition.partition_index)
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}
