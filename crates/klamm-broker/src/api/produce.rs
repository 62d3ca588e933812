//! `Produce`: batches are checked and stored as they came. The first batch of a transaction in a partition is verified with its
//! coordinator, or from version 12 on lets the partition join (KIP-890).
//!
//! With one replica, `acks=1` and `acks=all` are the same; the floor is min(min.insync.replicas, 1). `compression.type` of a
//! topic is not enforced: nothing is recompressed.

use bytes::Bytes;
use klamm_kafka::ErrorCode;
use klamm_wire::batch::BatchView;
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use klamm_wire::protocol::messages::{ProduceRequest, ProduceResponse};

use super::rights::Right;
use super::shape::{BLOB, INT16, INT32, Shape, TEXT, UUID, structs};
use super::{Call, Handler, name_or_id, text};
use crate::log::{AppendError, Appended, PartitionLog, TransactionVersion, Verified};
use crate::topics::Topic;
use crate::transactions::Operation;

/// The first version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// The first version that knows `TRANSACTION_ABORTABLE`.
const ABORTABLE: i16 = 11;
/// The first version of transactions version 2.
const ADDS: i16 = 12;

pub(crate) struct Produce;

impl Handler for Produce {
    type Request = ProduceRequest;
    type Response = ProduceResponse;

    const REQUEST: Shape = Shape {
        flexible: 9,
        fields: &[TEXT, INT16, INT32, structs(&[TEXT.until(12), UUID.since(13), structs(&[INT32, BLOB])])],
    };

    async fn handle(call: &Call<'_>, request: ProduceRequest) -> ProduceResponse {
        if !matches!(request.acks, -1..=1) {
            return Self::refuse(call, request, ErrorCode::INVALID_REQUIRED_ACKS);
        }
        if let Err(error) = check_transaction(call, &request) {
            return Self::refuse(call, request, error);
        }
        let mut responses = Vec::with_capacity(request.topic_data.len());
        let id = request.transactional_id.as_ref().map(|id| id.as_str());
        for topic in request.topic_data {
            let found = match call.version {
                TOPIC_IDS.. => call
                    .node
                    .topics
                    .get_by_id(topic.topic_id)
                    .ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
                    .and_then(|found| call.check_topic(Right::Write, &found.name).map(|()| found)),
                // Whether a topic exists that may not be written is not told.
                _ => call.check_topic(Right::Write, &topic.name).and_then(|()| {
                    call.node.topics.get(&topic.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                }),
            };
            let mut partitions = Vec::with_capacity(topic.partition_data.len());
            for data in &topic.partition_data {
                partitions.push(match &found {
                    Ok(found) => append(call, id, found, data).await,
                    Err(error) => failed(data.index, AppendError::new(*error, error.meaning())),
                });
            }
            responses.push(of_topic(&topic, partitions));
        }
        ProduceResponse::default().with_responses(responses)
    }

    fn throttled(response: &mut ProduceResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(call: &Call<'_>, request: &ProduceRequest) -> Vec<String> {
        request.topic_data.iter().filter_map(|topic| name_or_id(call, &topic.name, topic.topic_id)).collect()
    }

    fn refuse(_: &Call<'_>, request: ProduceRequest, error: ErrorCode) -> ProduceResponse {
        let topics = request.topic_data.iter().map(|topic| {
            let refused =
                |data: &PartitionProduceData| failed(data.index, AppendError::new(error, error.meaning()));
            of_topic(topic, topic.partition_data.iter().map(refused).collect())
        });
        ProduceResponse::default().with_responses(topics.collect())
    }

    fn is_answered(request: &ProduceRequest) -> bool {
        request.acks != 0
    }
}

/// Batches of a transaction need the right to its id, or nothing of the request is taken.
fn check_transaction(call: &Call<'_>, request: &ProduceRequest) -> Result<(), ErrorCode> {
    let is_transactional = |data: &PartitionProduceData| {
        let header = data.records.as_ref().and_then(|records| BatchView::parse_header(records).ok());
        header.is_some_and(|(batch, _)| batch.is_transactional())
    };
    if !request.topic_data.iter().flat_map(|topic| &topic.partition_data).any(is_transactional) {
        return Ok(());
    }
    match request.transactional_id.as_deref() {
        Some(id) => call.check_transactional_id(Right::Write, id),
        // So it is in Kafka with no authorizer too.
        None => Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    }
}

async fn append(
    call: &Call<'_>,
    id: Option<&str>,
    topic: &Topic,
    data: &PartitionProduceData,
) -> PartitionProduceResponse {
    let Some(log) = topic.partition(data.index) else {
        let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        return failed(data.index, AppendError::new(error, error.meaning()));
    };
    let records = data.records.clone().unwrap_or_default();
    let appended = write(call, id, (topic, &log), data.index, &records);
    let durable = match appended {
        // A duplicate may be the repetition of a batch whose flush failed: flush for it too.
        Ok(appended) if call.node.config.fsync => flush(&log).await.map(|()| appended),
        result => result,
    };
    match durable {
        Ok(appended) => written(data.index, appended),
        Err(error) => {
            if error.code == ErrorCode::KAFKA_STORAGE_ERROR {
                call.node.note_storage_failure(error.message.clone());
            }
            failed(data.index, error)
        }
    }
}

/// Appends, within the transaction that the batch says it belongs to.
fn write(
    call: &Call<'_>,
    id: Option<&str>,
    (topic, log): (&Topic, &PartitionLog),
    partition: i32,
    records: &Bytes,
) -> Result<Appended, AppendError> {
    let append = |verified| log.append(records, &topic.settings(), call.node.config.clock.now_ms(), verified);
    let header = BatchView::parse_header(records).ok();
    let transactional = header.filter(|(batch, _)| batch.is_transactional());
    let Some(stamp) = transactional.and_then(|(batch, _)| batch.producer()) else {
        return append(Verified::No);
    };
    let version = match call.version {
        ADDS.. => TransactionVersion::Two,
        _ => TransactionVersion::Classic,
    };
    if !log.wants_verification(stamp, version, call.node.config.clock.now_ms())? {
        return append(Verified::No);
    }
    let operation = match call.version {
        ADDS.. => Operation::Add,
        ABORTABLE.. => Operation::VerifyAbortable,
        _ => Operation::Verify,
    };
    let (holder, place) = ((stamp.id, stamp.epoch), (topic.name.clone(), partition));
    let written = call.node.transactions.within(call.node, id, holder, place, operation, append);
    written.unwrap_or_else(|error| Err(refused(error, operation)))
}

/// What a producer is told about a transaction that does not take its batch.
fn refused(error: ErrorCode, operation: Operation) -> AppendError {
    match error {
        ErrorCode::INVALID_TXN_STATE => AppendError::new(error, "Partition was not added to the transaction"),
        // Older clients would not try this again.
        ErrorCode::CONCURRENT_TRANSACTIONS if operation != Operation::Add => not_verified(error),
        ErrorCode::COORDINATOR_NOT_AVAILABLE => not_verified(error),
        error => AppendError::new(error, error.meaning()),
    }
}

fn not_verified(error: ErrorCode) -> AppendError {
    let message = format!(
        "Unable to verify the partition has been added to the transaction. Underlying error: {error}"
    );
    AppendError::new(ErrorCode::NOT_ENOUGH_REPLICAS, message)
}

/// Waits for the disk on a thread that may wait.
async fn flush(log: &PartitionLog) -> Result<(), AppendError> {
    let Some(file) = log.active_file() else { return Ok(()) };
    match tokio::task::spawn_blocking(move || file.sync_data()).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(AppendError::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())),
    }
}

fn written(index: i32, appended: Appended) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_base_offset(appended.base_offset)
        .with_log_append_time_ms(appended.log_append_time_ms)
        .with_log_start_offset(appended.log_start)
}

fn failed(index: i32, error: AppendError) -> PartitionProduceResponse {
    let records = error.records.into_iter().map(|(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(text(message)))
    });
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(error.code.code())
        .with_base_offset(-1)
        .with_error_message(Some(text(error.message)))
        .with_record_errors(records.collect())
}

fn of_topic(topic: &TopicProduceData, partitions: Vec<PartitionProduceResponse>) -> TopicProduceResponse {
    TopicProduceResponse::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_partition_responses(partitions)
}
