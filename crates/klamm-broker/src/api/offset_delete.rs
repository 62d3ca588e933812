//! `OffsetDelete` (KIP-496): offsets of topics that no member of the group is subscribed to.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use klamm_wire::protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, structs};
use super::{Call, Handler, names};

pub(crate) struct OffsetDelete;

impl Handler for OffsetDelete {
    type Request = OffsetDeleteRequest;
    type Response = OffsetDeleteResponse;

    const REQUEST: Shape = Shape { flexible: i16::MAX, fields: &[TEXT, structs(&[TEXT, structs(&[INT32])])] };

    async fn handle(call: &Call<'_>, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        let group = request.group_id.to_string();
        if let Err(error) = call.check_group(Right::Delete, &group) {
            return Self::refuse(call, request, error);
        }
        if group.is_empty() {
            return Self::refuse(call, request, ErrorCode::INVALID_GROUP_ID);
        }
        if let Err(error) = call.node.groups.check_delete_offsets(&group) {
            return Self::refuse(call, request, error);
        }
        let mut deleted = Vec::new();
        let mut answers = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let visible = call.check_topic(Right::Read, &topic.name);
            let known = call.node.topics.get(&topic.name);
            let in_use = call.node.groups.is_subscribed_to(&group, &topic.name);
            let partitions = topic.partitions.iter().map(|partition| {
                let index = partition.partition_index;
                let error = match known.as_ref().and_then(|topic| topic.partition(index)) {
                    _ if visible.is_err() => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some(_) if in_use => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
                    Some(_) => {
                        deleted.push((topic.name.to_string(), index));
                        ErrorCode::NONE
                    }
                };
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(error.code())
            });
            let partitions = partitions.collect();
            answers
                .push(OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions));
        }
        if call.node.offsets.remove(&group, deleted).is_err() {
            return OffsetDeleteResponse::default()
                .with_error_code(ErrorCode::COORDINATOR_NOT_AVAILABLE.code());
        }
        OffsetDeleteResponse::default().with_topics(answers)
    }

    fn throttled(response: &mut OffsetDeleteResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &OffsetDeleteRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.name))
    }

    fn refuse(_: &Call<'_>, _: OffsetDeleteRequest, error: ErrorCode) -> OffsetDeleteResponse {
        OffsetDeleteResponse::default().with_error_code(error.code())
    }
}
