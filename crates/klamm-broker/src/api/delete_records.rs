//! `DeleteRecords` (KIP-107): moves the log start; -1 means up to the high watermark.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::delete_records_request::DeleteRecordsPartition;
use klamm_wire::protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use klamm_wire::protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::rights::Right;
use super::shape::{INT32, INT64, Shape, TEXT, structs};
use super::{Call, Handler, names};

pub(crate) struct DeleteRecords;

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;
    type Response = DeleteRecordsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[TEXT, structs(&[INT32, INT64])]), INT32] };

    async fn handle(call: &Call<'_>, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        respond(request, |name, wanted| {
            call.check_topic(Right::Delete, name)?;
            let topic = call.node.topics.get(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            let settings = topic.settings();
            if settings.compact && !settings.delete {
                return Err(ErrorCode::POLICY_VIOLATION);
            }
            call.node.topics.delete_records(&topic, wanted.partition_index, wanted.offset)
        })
    }

    fn throttled(response: &mut DeleteRecordsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &DeleteRecordsRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.name))
    }

    fn refuse(_: &Call<'_>, request: DeleteRecordsRequest, error: ErrorCode) -> DeleteRecordsResponse {
        respond(request, |_, _| Err(error))
    }
}

fn respond(
    request: DeleteRecordsRequest,
    one: impl Fn(&str, &DeleteRecordsPartition) -> Result<i64, ErrorCode>,
) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let (low_watermark, error) = match one(&topic.name, wanted) {
                Ok(low_watermark) => (low_watermark, ErrorCode::NONE),
                Err(error) => (-1, error),
            };
            DeleteRecordsPartitionResult::default()
                .with_partition_index(wanted.partition_index)
                .with_low_watermark(low_watermark)
                .with_error_code(error.code())
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}
