//! `CreatePartitions` (KIP-195).

use std::collections::HashSet;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use klamm_wire::protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::repeated::repeated;
use super::rights::Right;
use super::shape::{BOOL, INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, names, text};
use crate::error::Refusal;
use crate::placement::check_assignment;
use crate::topics::MAX_PARTITIONS_A_REQUEST;

pub(crate) struct CreatePartitions;

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;
    type Response = CreatePartitionsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[TEXT, INT32, structs(&[plain(&INT32)])]), INT32, BOOL] };

    async fn handle(call: &Call<'_>, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let validate_only = request.validate_only;
        let twice = repeated(request.topics.iter().map(|topic| topic.name.clone()));
        let mut answered = HashSet::new();
        let mut once = request;
        once.topics.retain(|topic| answered.insert(topic.name.clone()));
        respond(once, |topic| match twice.contains(&topic.name) {
            false => add(call, topic, validate_only),
            true => Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.")),
        })
    }

    fn throttled(response: &mut CreatePartitionsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &CreatePartitionsRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.name))
    }

    fn refuse(_: &Call<'_>, request: CreatePartitionsRequest, error: ErrorCode) -> CreatePartitionsResponse {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn add(call: &Call<'_>, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    call.check_topic(Right::Alter, &wanted.name)?;
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = call.node.topics.get(&wanted.name).ok_or_else(|| Refusal::new(unknown, unknown.meaning()))?;
    let present = topic.partition_count();
    let total = usize::try_from(wanted.count).unwrap_or(0);
    let added = total.saturating_sub(present);
    if added > MAX_PARTITIONS_A_REQUEST {
        let message = format!("Excessively large number of partitions per request: {added}");
        return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
    }
    if total > present
        && let Some(assignments) = &wanted.assignments
    {
        if assignments.len() != added {
            let message = format!(
                "Attempted to add {added} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        assignments.iter().try_for_each(|assignment| check_assignment(&assignment.broker_ids))?;
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
