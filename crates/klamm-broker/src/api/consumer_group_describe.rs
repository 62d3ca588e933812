//! `ConsumerGroupDescribe` of the `consumer` protocol (KIP-848): epochs, and each member's assignment and target.

use klamm_kafka::{ErrorCode, ResourceType};
use klamm_wire::protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use klamm_wire::protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, TopicName,
};

use super::rights::{NOT_ASKED, Right};
use super::shape::{BOOL, Shape, TEXT, plain};
use super::{Call, Handler, text};
use crate::group;

/// The first version with the type of a member.
const MEMBER_TYPE: i16 = 1;

pub(crate) struct ConsumerGroupDescribe;

impl Handler for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    type Response = ConsumerGroupDescribeResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[plain(&TEXT), BOOL] };

    async fn handle(call: &Call<'_>, request: Self::Request) -> Self::Response {
        let asked = request.include_authorized_operations;
        let groups = request.group_ids.into_iter().map(|id| match describe(call, &id) {
            Ok(described) => {
                let operations = call.operations(asked, ResourceType::Group, &id);
                described.with_authorized_operations(operations).with_group_id(id)
            }
            Err((error, why)) => failed(error, why).with_group_id(id),
        });
        ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
    }

    fn throttled(response: &mut Self::Response, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: Self::Request, error: ErrorCode) -> Self::Response {
        let groups = request.group_ids.into_iter().map(|id| failed(error, None).with_group_id(id));
        ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
    }
}

fn failed(error: ErrorCode, why: Option<String>) -> DescribedGroup {
    DescribedGroup::default()
        .with_error_code(error.code())
        .with_error_message(why.map(text))
        .with_authorized_operations(NOT_ASKED)
}

fn describe(call: &Call<'_>, id: &str) -> Result<DescribedGroup, (ErrorCode, Option<String>)> {
    call.check_group(Right::Describe, id).map_err(|error| (error, None))?;
    if id.is_empty() {
        return Err((ErrorCode::INVALID_GROUP_ID, None));
    }
    let groups = &call.node.groups;
    let Some(group) = groups.describe_consumer(id) else {
        let why = match groups.is_classic(id) {
            true => format!("Group {id} is not a consumer group."),
            false => format!("Group {id} not found."),
        };
        return Err((ErrorCode::GROUP_ID_NOT_FOUND, Some(why)));
    };
    let members: Vec<_> = group
        .members
        .into_iter()
        .map(|(member, target)| {
            let held = assignment(call, member.held());
            let kind = if member.classic.is_some() { 0 } else { 1 };
            Member::default()
                .with_member_id(text(member.id))
                .with_instance_id(member.instance_id.map(text))
                .with_rack_id(member.rack_id.map(text))
                .with_member_epoch(member.epoch)
                .with_client_id(text(member.client_id))
                .with_client_host(text(member.client_host))
                .with_subscribed_topic_names(member.topics.into_iter().map(|t| TopicName(text(t))).collect())
                .with_subscribed_topic_regex(Some(text(member.regex)))
                .with_assignment(held)
                .with_target_assignment(assignment(call, target))
                .with_member_type(if call.version >= MEMBER_TYPE { kind } else { -1 })
        })
        .collect();
    check_topics(call, &members)?;
    Ok(DescribedGroup::default()
        .with_group_state(text(group.state))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.target_epoch)
        .with_assignor_name(text(group.assignor))
        .with_members(members))
}

/// As in Kafka, one topic that may not be described hides the group.
fn check_topics(call: &Call<'_>, members: &[Member]) -> Result<(), (ErrorCode, Option<String>)> {
    let assignments = members.iter().flat_map(|member| [&member.assignment, &member.target_assignment]);
    let mut topics = assignments.flat_map(|assignment| &assignment.topic_partitions);
    topics.try_for_each(|topic| call.check_topic(Right::Describe, &topic.topic_name)).map_err(|error| {
        let why = "The group has described topic(s) that the client is not authorized to describe.";
        (error, Some(why.to_owned()))
    })
}

/// Partitions of topics that exist: what was deleted has no name to tell.
fn assignment(call: &Call<'_>, assignment: group::Assignment) -> Assignment {
    let topics = assignment.into_iter().filter_map(|(id, partitions)| {
        let topic = call.node.topics.get_by_id(id)?;
        Some(
            TopicPartitions::default()
                .with_topic_id(id)
                .with_topic_name(TopicName(text(topic.name.as_str())))
                .with_partitions(partitions.into_iter().collect()),
        )
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
