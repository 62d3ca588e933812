//! `Fetch`: long poll over any number of partitions.
//!
//! Fetch sessions (KIP-227) are declined: every answer has session id 0, so that clients send full requests. A read_committed reader
//! sees up to the last stable offset, and is told the aborted transactions of what it gets.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use klamm_wire::protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
use klamm_wire::protocol::messages::{FetchRequest, ProducerId};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::answer::{Fetched, FetchedPartition, FetchedTopic};
use super::rights::Right;
use super::shape::{INT8, INT32, INT64, Shape, TEXT, UUID, plain, structs, structure};
use super::{Call, Handler, name_or_id};
use crate::log::{Aborted, Bounds, Isolation, LEADER_EPOCH, PartitionLog, Slice};

/// The first version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// `fetch.max.bytes` of a broker: the most that one answer carries, whatever the client asks for.
const MAX_BYTES: usize = 55 * 1024 * 1024;
/// Less than this is copied into the answer: that takes less than asking the system to send it.
const LEAST_STORED_BYTES: usize = 16 * 1024;
/// The longest that a fetch waits, whatever the client asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);

pub(crate) struct Fetch;

impl Handler for Fetch {
    type Request = FetchRequest;
    type Response = Fetched;

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
                structs(&[
                    INT32,
                    INT32.since(9),
                    INT64,
                    INT32.since(12),
                    INT64.since(5),
                    INT32,
                    UUID.since(17).tagged(0),
                    INT64.since(18).tagged(1),
                ]),
            ]),
            structs(&[TEXT.until(12), UUID.since(13), plain(&INT32)]).since(7),
            TEXT.since(11),
            TEXT.since(12).tagged(0),
            structure(&[INT32, INT64]).since(15).tagged(1),
        ],
    };

    async fn handle(call: &Call<'_>, request: FetchRequest) -> Fetched {
        if request.session_id != 0 {
            let error_code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND.code();
            return Fetched { error_code, ..Fetched::default() };
        }
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
        let deadline = Instant::now() + wait;
        let most =
            usize::try_from(request.max_bytes).unwrap_or(0).min(MAX_BYTES).min(call.fetch_quota_bytes());
        let min_bytes = usize::try_from(request.min_bytes).unwrap_or(0).min(most);
        let logs = resolve(call, &request.topics);
        let appended = Arc::new(Notify::new());
        loop {
            // Before looking: an append after the look then wakes the wait.
            for log in logs.iter().flatten().filter_map(|found| found.as_ref().ok()) {
                log.watch(&appended);
            }
            let found = look(&request, &logs, most);
            if found.complete || found.bytes >= min_bytes || Instant::now() >= deadline {
                return respond(&request, found);
            }
            // The end of the wait is not an error: the next look answers with what is there.
            let _ = timeout_at(deadline, appended.notified()).await;
        }
    }

    fn throttled(response: &mut Fetched, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(call: &Call<'_>, request: &FetchRequest) -> Vec<String> {
        request.topics.iter().filter_map(|topic| name_or_id(call, &topic.topic, topic.topic_id)).collect()
    }

    fn refuse(_: &Call<'_>, request: FetchRequest, error: ErrorCode) -> Fetched {
        let topics = request.topics.iter().map(|topic| {
            let refused =
                |partition: &FetchPartition| failed(partition.partition, Failed { error, found: false });
            of_topic(topic, topic.partitions.iter().map(refused).collect())
        });
        Fetched { topics: topics.collect(), ..Fetched::default() }
    }
}

/// The log of each partition asked for, in the request's shape.
type Logs = Vec<Vec<Result<Arc<PartitionLog>, ErrorCode>>>;

fn resolve(call: &Call<'_>, topics: &[FetchTopic]) -> Logs {
    let of_topic = |topic: &FetchTopic| {
        let found = match call.version {
            TOPIC_IDS.. => call
                .node
                .topics
                .get_by_id(topic.topic_id)
                .ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
                .and_then(|found| call.check_topic(Right::Read, &found.name).map(|()| found)),
            // Whether a topic exists that may not be read is not told.
            _ => call.check_topic(Right::Read, &topic.topic).and_then(|()| {
                call.node.topics.get(&topic.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }),
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

/// Where a partition's records are.
struct Place {
    bounds: Bounds,
    /// `None` at the end of what the reader sees.
    slice: Option<Slice>,
    /// Transactions that a read_committed reader must leave out.
    aborted: Option<Vec<Aborted>>,
}

/// Why a partition has nothing to give.
struct Failed {
    error: ErrorCode,
    /// The partition is there: Kafka then leaves out the list of aborted transactions, else it is empty.
    found: bool,
}

/// What a look at the logs found: places, not yet bytes.
struct Found {
    /// In the request's shape.
    partitions: Vec<Vec<Result<Place, Failed>>>,
    bytes: usize,
    /// An error, or nothing was asked for: there is no point in waiting.
    complete: bool,
}

fn look(request: &FetchRequest, logs: &Logs, most: usize) -> Found {
    let isolation = Isolation::from_code(request.isolation_level);
    let mut left = most;
    let mut found = Found { partitions: Vec::with_capacity(logs.len()), bytes: 0, complete: false };
    for (topic, logs) in request.topics.iter().zip(logs) {
        let mut partitions = Vec::with_capacity(logs.len());
        for (partition, log) in topic.partitions.iter().zip(logs) {
            let place =
                log.as_ref().map_err(|error| Failed { error: *error, found: false }).and_then(|log| {
                    let most = usize::try_from(partition.partition_max_bytes).unwrap_or(0).min(left);
                    // The first batch of an answer is given whatever its size, so that every reader makes progress.
                    let slice = log.slice(partition.fetch_offset, isolation, most, found.bytes == 0);
                    let slice = slice.map_err(|error| Failed { error, found: true })?;
                    let aborted = match (isolation, &slice) {
                        (Isolation::ReadUncommitted, _) => None,
                        (_, None) => Some(Vec::new()),
                        (_, Some(slice)) => Some(log.aborted(partition.fetch_offset, slice)),
                    };
                    Ok(Place { bounds: log.bounds(), slice, aborted })
                });
            if let Ok(Place { slice: Some(slice), .. }) = &place {
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

fn respond(request: &FetchRequest, found: Found) -> Fetched {
    let topics = request.topics.iter().zip(found.partitions).map(|(topic, places)| {
        let partitions = topic.partitions.iter().zip(places).map(|(partition, place)| {
            let read = place.and_then(|place| data(partition.partition, place));
            read.unwrap_or_else(|why| failed(partition.partition, why))
        });
        of_topic(topic, partitions.collect())
    });
    Fetched { topics: topics.collect(), ..Fetched::default() }
}

fn data(partition: i32, Place { bounds, slice, aborted }: Place) -> Result<FetchedPartition, Failed> {
    let (stored, copied) = match slice {
        Some(slice) if slice.len() >= LEAST_STORED_BYTES => (Some(slice), None),
        slice => (None, slice),
    };
    let records = copied.map_or_else(|| Ok(Bytes::new()), |slice| slice.read());
    let aborted = aborted.map(|all| {
        let one = |aborted: &Aborted| {
            AbortedTransaction::default()
                .with_producer_id(ProducerId(aborted.producer_id))
                .with_first_offset(aborted.first_offset)
        };
        all.iter().map(one).collect()
    });
    let records = records.map_err(|_| Failed { error: ErrorCode::KAFKA_STORAGE_ERROR, found: true })?;
    let data = PartitionData::default()
        .with_partition_index(partition)
        .with_high_watermark(bounds.high_watermark)
        .with_last_stable_offset(bounds.last_stable)
        .with_log_start_offset(bounds.log_start)
        .with_aborted_transactions(aborted)
        .with_records(Some(records));
    Ok(FetchedPartition { data, stored })
}

fn failed(partition: i32, Failed { error, found }: Failed) -> FetchedPartition {
    let data = PartitionData::default()
        .with_partition_index(partition)
        .with_error_code(error.code())
        .with_high_watermark(-1)
        .with_aborted_transactions((!found).then(Vec::new))
        .with_records(Some(Bytes::new()));
    FetchedPartition { data, stored: None }
}

fn of_topic(topic: &FetchTopic, partitions: Vec<FetchedPartition>) -> FetchedTopic {
    FetchedTopic { name: topic.topic.clone(), id: topic.topic_id, partitions }
}
