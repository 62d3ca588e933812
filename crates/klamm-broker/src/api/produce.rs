//! `Produce`: batches are checked and stored as they came.
//!
//! With one replica, `acks=1` and `acks=all` are the same; the floor is min(min.insync.replicas, 1). `compression.type` of a
//! topic is not enforced: nothing is recompressed.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use klamm_wire::protocol::messages::{ProduceRequest, ProduceResponse};

use super::shape::{BLOB, INT16, INT32, Shape, TEXT, UUID, structs};
use super::{Call, Handler, text};
use crate::log::{AppendError, Appended, PartitionLog};
use crate::sync::lock;
use crate::topics::Topic;

/// The first version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;

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
        let mut responses = Vec::with_capacity(request.topic_data.len());
        for topic in request.topic_data {
            let found = match call.version {
                TOPIC_IDS.. => call.node.topics.get_by_id(topic.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
                _ => call.node.topics.get(&topic.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            };
            let mut partitions = Vec::with_capacity(topic.partition_data.len());
            for data in &topic.partition_data {
                partitions.push(match &found {
                    Ok(found) => append(call, found, data).await,
                    Err(error) => failed(data.index, AppendError::new(*error, error.meaning())),
                });
            }
            responses.push(of_topic(&topic, partitions));
        }
        ProduceResponse::default().with_responses(responses)
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

async fn append(call: &Call<'_>, topic: &Topic, data: &PartitionProduceData) -> PartitionProduceResponse {
    let Some(log) = topic.partition(data.index) else {
        let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        return failed(data.index, AppendError::new(error, error.meaning()));
    };
    let records = data.records.clone().unwrap_or_default();
    let appended = log.append(&records, &topic.settings(), call.node.config.clock.now_ms());
    let durable = match appended {
        // A duplicate may be the repetition of a batch whose flush failed: flush for it too.
        Ok(appended) if call.node.config.fsync => flush(&log).await.map(|()| appended),
        result => result,
    };
    match durable {
        Ok(appended) => written(data.index, appended),
        Err(error) => {
            if error.code == ErrorCode::KAFKA_STORAGE_ERROR {
                *lock(&call.node.storage_failure) = Some(error.message.clone());
            }
            failed(data.index, error)
        }
    }
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
