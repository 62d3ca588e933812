//! `CreatePartitions` (KIP-195).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use klamm_wire::protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::shape::{BOOL, INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::node::NODE_ID;
use crate::topics::MAX_PARTITIONS_A_REQUEST;

pub(crate) struct CreatePartitions;

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;
    type Response = CreatePartitionsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[TEXT, INT32, structs(&[plain(&INT32)])]), INT32, BOOL] };

    async fn handle(call: &Call<'_>, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let validate_only = request.validate_only;
        respond(request, |topic| add(call, topic, validate_only))
    }

    fn refuse(_: &Call<'_>, request: CreatePartitionsRequest, error: ErrorCode) -> CreatePartitionsResponse {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn add(call: &Call<'_>, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = call.node.topics.get(&wanted.name).ok_or_else(|| Refusal::new(unknown, unknown.meaning()))?;
    let present = topic.partition_count();
    let total = usize::try_from(wanted.count).unwrap_or(0);
    let added = total.saturating_sub(present);
    if added > MAX_PARTITIONS_A_REQUEST {
        let message = format!("Excessively large number of partitions per request: {added}");
        return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
    }
    if let Some(assignments) = &wanted.assignments {
        let here = assignments.iter().all(|a| a.broker_ids.iter().map(|id| id.0).eq([NODE_ID]));
        if assignments.len() != added || !here {
            let message = format!("{added} new partition(s) need an assignment each, to the only broker");
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
    }
    if validate_only && total > present {
        return Ok(());
    }
    call.node.topics.add_partitions(&topic, total)
}

fn respond(
    request: CreatePartitionsRequest,
    mut one: impl FnMut(&CreatePartitionsTopic) -> Result<(), Refusal>,
) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|topic| {
        let result = match one(&topic) {
            Ok(()) => CreatePartitionsTopicResult::default(),
            Err(refusal) => CreatePartitionsTopicResult::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        };
        result.with_name(topic.name)
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}
