//! `Fetch`: long poll over any number of partitions.
//!
//! Fetch sessions (KIP-227) are declined: every answer has session id 0, so that clients send full requests. There are no
//! transactions yet, so the last stable offset is the high watermark.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use klamm_wire::protocol::messages::{FetchRequest, FetchResponse};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::shape::{INT8, INT32, INT64, Shape, TEXT, UUID, plain, structs};
use super::{Call, Handler};
use crate::log::{Bounds, LEADER_EPOCH, PartitionLog, Slice};

/// The first version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// `fetch.max.bytes` of a broker: the most that one answer carries, whatever the client asks for.
const MAX_BYTES: usize = 55 * 1024 * 1024;
/// The longest that a fetch waits, whatever the client asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);
const READ_COMMITTED: i8 = 1;

pub(crate) struct Fetch;

impl Handler for Fetch {
    type Request = FetchRequest;
    type Response = FetchResponse;

    const REQUEST: Shape = Shape {
        flexible: 12,
        fields: &[
            INT32.until(14),
            INT32,
            INT32,
            INT32,
            INT8,
            INT32.since(7),
            INT32.since(7),
            structs(&[
                TEXT.until(12),
                UUID.since(13),
                structs(&[INT32, INT32.since(9), INT64, INT32.since(12), INT64.since(5), INT32]),
            ]),
            structs(&[TEXT.until(12), UUID.since(13), plain(&INT32)]).since(7),
            TEXT.since(11),
        ],
    };

    async fn handle(call: &Call<'_>, request: FetchRequest) -> FetchResponse {
        if request.session_id != 0 {
            return FetchResponse::default().with_error_code(ErrorCode::FETCH_SESSION_ID_NOT_FOUND.code());
        }
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
        let deadline = Instant::now() + wait;
        let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0);
        let logs = resolve(call, &request.topics);
        let appended = Arc::new(Notify::new());
        loop {
            // Before looking: an append after the look then wakes the wait.
            for log in logs.iter().flatten().filter_map(|found| found.as_ref().ok()) {
                log.watch(&appended);
            }
            let found = look(&request, &logs);
            if found.complete || found.bytes >= min_bytes || Instant::now() >= deadline {
                return respond(&request, found);
            }
            // The end of the wait is not an error: the next look answers with what is there.
            let _ = timeout_at(deadline, appended.notified()).await;
        }
    }

    fn refuse(_: &Call<'_>, request: FetchRequest, error: ErrorCode) -> FetchResponse {
        let topics = request.topics.iter().map(|topic| {
            let refused = |partition: &FetchPartition| failed(partition.partition, error);
            of_topic(topic, topic.partitions.iter().map(refused).collect())
        });
        FetchResponse::default().with_responses(topics.collect())
    }
}

/// The log of each partition asked for, in the request's shape.
type Logs = Vec<Vec<Result<Arc<PartitionLog>, ErrorCode>>>;

fn resolve(call: &Call<'_>, topics: &[FetchTopic]) -> Logs {
    let of_topic = |topic: &FetchTopic| {
        let found = match call.version {
            TOPIC_IDS.. => call.node.topics.get_by_id(topic.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
            _ => call.node.topics.get(&topic.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        };
        let of_partition = |partition: &FetchPartition| {
            let topic = found.as_ref().map_err(|error| *error)?;
            if partition.current_leader_epoch > LEADER_EPOCH {
                return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
            }
            topic.partition(partition.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        };
        topic.partitions.iter().map(of_partition).collect()
    };
    topics.iter().map(of_topic).collect()
}

/// Where a partition's records are; none at its end.
type Place = Result<(Bounds, Option<Slice>), ErrorCode>;

/// What a look at the logs found: places, not yet bytes.
struct Found {
    /// In the request's shape.
    partitions: Vec<Vec<Place>>,
    bytes: usize,
    /// An error, or nothing was asked for: there is no point in waiting.
    complete: bool,
}

fn look(request: &FetchRequest, logs: &Logs) -> Found {
    let mut left = usize::try_from(request.max_bytes).unwrap_or(0).min(MAX_BYTES);
    let mut found = Found { partitions: Vec::with_capacity(logs.len()), bytes: 0, complete: false };
    for (topic, logs) in request.topics.iter().zip(logs) {
        let mut partitions = Vec::with_capacity(logs.len());
        for (partition, log) in topic.partitions.iter().zip(logs) {
            let place = log.as_ref().map_err(|error| *error).and_then(|log| {
                let most = usize::try_from(partition.partition_max_bytes).unwrap_or(0).min(left);
                // The first batch of an answer is given whatever its size, so that every reader makes progress.
                let slice = log.slice(partition.fetch_offset, most, found.bytes == 0)?;
                Ok((log.bounds(), slice))
            });
            if let Ok((_, Some(slice))) = &place {
                found.bytes += slice.len();
                left = left.saturating_sub(slice.len());
            }
            partitions.push(place);
        }
        found.partitions.push(partitions);
    }
    let mut all = found.partitions.iter().flatten().peekable();
    found.complete = all.peek().is_none() || all.any(Result::is_err);
    found
}

fn respond(request: &FetchRequest, found: Found) -> FetchResponse {
    let topics = request.topics.iter().zip(found.partitions).map(|(topic, places)| {
        let partitions = topic.partitions.iter().zip(places).map(|(partition, place)| {
            let read = place.and_then(|(bounds, slice)| {
                let records = slice.map_or_else(|| Ok(Bytes::new()), |slice| slice.read());
                Ok((bounds, records.map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?))
            });
            match read {
                Ok((bounds, records)) => data(partition, request.isolation_level, bounds, records),
                Err(error) => failed(partition.partition, error),
            }
        });
        of_topic(topic, partitions.collect())
    });
    FetchResponse::default().with_responses(topics.collect())
}

fn data(partition: &FetchPartition, isolation_level: i8, bounds: Bounds, records: Bytes) -> PartitionData {
    PartitionData::default()
        .with_partition_index(partition.partition)
        .with_high_watermark(bounds.high_watermark)
        .with_last_stable_offset(bounds.high_watermark)
        .with_log_start_offset(bounds.log_start)
        .with_aborted_transactions((isolation_level == READ_COMMITTED).then(Vec::new))
        .with_records(Some(records))
}

fn failed(partition: i32, error: ErrorCode) -> PartitionData {
    PartitionData::default()
        .with_partition_index(partition)
        .with_error_code(error.code())
        .with_high_watermark(-1)
        .with_aborted_transactions(None)
        .with_records(Some(Bytes::new()))
}

fn of_topic(topic: &FetchTopic, partitions: Vec<PartitionData>) -> FetchableTopicResponse {
    FetchableTopicResponse::default()
        .with_topic(topic.topic.clone())
        .with_topic_id(topic.topic_id)
        .with_partitions(partitions)
}
