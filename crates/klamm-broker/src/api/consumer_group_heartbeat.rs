//! `ConsumerGroupHeartbeat` of the `consumer` protocol (KIP-848): joins, stays, leaves. The assignors `uniform` and `range` run
//! here. `SubscribedTopicRegex` is matched with Rust's `regex`, which has no `\Q…\E`, `\C` and octal escapes as RE2/J has.

use klamm_kafka::{ErrorCode, ResourceType};
use klamm_wire::protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use klamm_wire::protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use uuid::Uuid;

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, UUID, plain, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::group::{Assignor, Beat, BeatAnswer, LEFT_FOR_NOW};

/// The first version in which members make their own ids (KIP-1082).
const OWN_MEMBER_ID: i16 = 1;
/// `member_epoch` of a member that leaves for good.
const LEAVING: i32 = -1;
/// No value, where a number is optional.
const UNSET: i32 = -1;

pub(crate) struct ConsumerGroupHeartbeat;

impl Handler for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    type Response = ConsumerGroupHeartbeatResponse;

    const REQUEST: Shape = Shape {
        flexible: 0,
        fields: &[
            TEXT,
            TEXT,
            INT32,
            TEXT,
            TEXT,
            INT32,
            plain(&TEXT),
            TEXT.since(1),
            TEXT,
            structs(&[UUID, plain(&INT32)]),
        ],
    };

    async fn handle(call: &Call<'_>, request: Self::Request) -> Self::Response {
        if let Err(error) = check_rights(call, &request) {
            return Self::refuse(call, request, error);
        }
        let group = request.group_id.to_string();
        let beat = check(&request, call.version).map(|()| beat(call, request));
        let (groups, topics) = (&call.node.groups, &call.node.topics);
        let may_describe = |topic: &str| call.authorize(Right::Describe, ResourceType::Topic, topic);
        let answer = beat.and_then(|beat| groups.consumer_heartbeat(&group, beat, topics, &may_describe));
        match answer {
            Ok((answer, interval_ms)) => respond(answer, interval_ms),
            Err(refusal) => ConsumerGroupHeartbeatResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        }
    }

    fn throttled(response: &mut Self::Response, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: Self::Request, error: ErrorCode) -> Self::Response {
        ConsumerGroupHeartbeatResponse::default().with_error_code(error.code())
    }
}

/// The group is read, and every topic that is named must be visible.
fn check_rights(call: &Call<'_>, request: &ConsumerGroupHeartbeatRequest) -> Result<(), ErrorCode> {
    call.check_group(Right::Read, &request.group_id)?;
    let mut named = request.subscribed_topic_names.iter().flatten();
    named.try_for_each(|topic| call.check_topic(Right::Describe, topic))
}

fn check(request: &ConsumerGroupHeartbeatRequest, version: i16) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let blank = |text: &str| text.trim().is_empty();
    let epoch = request.member_epoch;
    if blank(&request.member_id) && (version >= OWN_MEMBER_ID || epoch > 0 || epoch == LEAVING) {
        return invalid("MemberId can't be empty.");
    }
    if blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if request.instance_id.as_deref().is_some_and(blank) {
        return invalid("InstanceId can't be empty.");
    }
    if request.rack_id.as_deref().is_some_and(blank) {
        return invalid("RackId can't be empty.");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == UNSET {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            );
        }
    } else if epoch == LEFT_FOR_NOW && request.instance_id.is_none() {
        return invalid("InstanceId can't be null.");
    } else if epoch < LEFT_FOR_NOW {
        return invalid("MemberEpoch is invalid.");
    }
    match request.server_assignor.as_deref() {
        Some(name) if Assignor::parse(name).is_none() => {
            let message =
                format!("ServerAssignor {name} is not supported. Supported assignors: uniform, range.");
            Err(Refusal::new(ErrorCode::UNSUPPORTED_ASSIGNOR, message))
        }
        _ => Ok(()),
    }
}

fn beat(call: &Call<'_>, request: ConsumerGroupHeartbeatRequest) -> Beat {
    let member_id = match request.member_id.is_empty() {
        true => Uuid::new_v4().to_string(),
        false => request.member_id.to_string(),
    };
    let owned = request.topic_partitions.map(|owned| {
        let topics = owned.into_iter().map(|one| (one.topic_id, one.partitions.into_iter().collect()));
        topics.collect()
    });
    Beat {
        member_id,
        epoch: request.member_epoch,
        instance_id: request.instance_id.map(|id| id.to_string()),
        rack_id: request.rack_id.map(|id| id.to_string()),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|timeout| *timeout != UNSET),
        topics: request.subscribed_topic_names.map(|names| names.iter().map(|n| n.to_string()).collect()),
        regex: request.subscribed_topic_regex.map(|regex| regex.to_string()),
        server_assignor: request.server_assignor.map(|name| name.to_string()),
        owned,
        client_id: call.client_id.to_owned(),
        client_host: format!("/{}", call.peer.ip()),
    }
}

fn respond(answer: BeatAnswer, interval_ms: i32) -> ConsumerGroupHeartbeatResponse {
    let assignment = answer.assignment.map(|assignment| {
        let topics = assignment.into_iter().map(|(topic, partitions)| {
            TopicPartitions::default().with_topic_id(topic).with_partitions(partitions.into_iter().collect())
        });
        Assignment::default().with_topic_partitions(topics.collect())
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(text(answer.member_id)))
        .with_member_epoch(answer.epoch)
        .with_heartbeat_interval_ms(interval_ms)
        .with_assignment(assignment)
}
