//! `AlterPartitionReassignments` (KIP-455): a partition can be assigned to the one broker, where it is already; there is never
//! a reassignment to cancel.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use klamm_wire::protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use klamm_wire::protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};

use super::rights::Right;
use super::shape::{BOOL, INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::placement::check_assignment;

pub(crate) struct AlterPartitionReassignments;

impl Handler for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    type Response = AlterPartitionReassignmentsResponse;

    const REQUEST: Shape = Shape {
        flexible: 0,
        fields: &[INT32, BOOL.since(1), structs(&[TEXT, structs(&[INT32, plain(&INT32)])])],
    };

    async fn handle(call: &Call<'_>, request: Self::Request) -> AlterPartitionReassignmentsResponse {
        if let Err(error) = call.check_cluster(Right::Alter) {
            return Self::refuse(call, request, error);
        }
        respond(request, |topic, partition| assign(call, topic, partition))
    }

    fn throttled(response: &mut AlterPartitionReassignmentsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: Self::Request, error: ErrorCode) -> AlterPartitionReassignmentsResponse {
        respond(request, |_, _| Err(Refusal::new(error, error.meaning())))
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}

fn assign(call: &Call<'_>, name: &str, wanted: &ReassignablePartition) -> Result<(), Refusal> {
    let unknown = |message| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message);
    let topic = call.node.topics.get(name);
    let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let index = wanted.partition_index;
    topic.partition(index).ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
    match &wanted.replicas {
        Some(replicas) => check_assignment(replicas),
        None => Err(Refusal::new(
            ErrorCode::NO_REASSIGNMENT_IN_PROGRESS,
            "No partition reassignment is in progress.",
        )),
    }
}

fn respond(
    request: AlterPartitionReassignmentsRequest,
    one: impl Fn(&str, &ReassignablePartition) -> Result<(), Refusal>,
) -> AlterPartitionReassignmentsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer =
                ReassignablePartitionResponse::default().with_partition_index(wanted.partition_index);
            match one(&topic.name, wanted) {
                Ok(()) => answer.with_error_message(None),
                Err(refusal) => answer
                    .with_error_code(refusal.code.code())
                    .with_error_message(Some(text(refusal.message))),
            }
        });
        let partitions = partitions.collect();
        ReassignableTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_error_message(None)
        .with_responses(topics.collect())
}
