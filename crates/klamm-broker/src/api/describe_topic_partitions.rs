//! `DescribeTopicPartitions` (KIP-966): topics by name, a page at a time. With one replica no other could be eligible to lead.

use std::collections::BTreeSet;

use klamm_kafka::{ErrorCode, ResourceType, check_topic_name};
use klamm_wire::protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use klamm_wire::protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, nullable, structs};
use super::{Call, Handler, names, text};
use crate::log::LEADER_EPOCH;
use crate::node::NODE_ID;
use crate::topics::Topic;

/// `max.request.partition.size.limit`: partitions in one answer.
const MAX_PARTITIONS: usize = 2_000;

pub(crate) struct DescribeTopicPartitions;

impl Handler for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    type Response = DescribeTopicPartitionsResponse;

    const REQUEST: Shape =
        Shape { flexible: 0, fields: &[structs(&[TEXT]), INT32, nullable(&[TEXT, INT32])] };

    async fn handle(call: &Call<'_>, request: Self::Request) -> DescribeTopicPartitionsResponse {
        let all = request.topics.is_empty();
        let (from, mut skip) = match &request.cursor {
            Some(cursor) => (cursor.topic_name.to_string(), usize::try_from(cursor.partition_index).ok()),
            None => (String::new(), Some(0)),
        };
        let mut names: BTreeSet<String> = match all {
            true => call.node.topics.all().iter().map(|topic| topic.name.clone()).collect(),
            false => request.topics.iter().map(|topic| topic.name.to_string()).collect(),
        };
        names.retain(|name| *name >= from);
        let may = |name: &str| call.check_topic(Right::Describe, name).is_ok();
        let cursor_is_listed = request.cursor.is_none() || all || names.contains(&from);
        let (true, Some(skip)) = (cursor_is_listed, skip.take()) else {
            return Self::refuse(call, request, ErrorCode::INVALID_REQUEST);
        };
        let mut left =
            usize::try_from(request.response_partition_limit).unwrap_or(1).clamp(1, MAX_PARTITIONS);
        let mut answer = DescribeTopicPartitionsResponse::default().with_next_cursor(None);
        let (names, hidden): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| may(name));
        // Whether a topic exists that may not be described is not told.
        let hidden = hidden.iter().filter(|_| !all);
        let hidden: Vec<_> = hidden.map(|name| failed(name, ErrorCode::TOPIC_AUTHORIZATION_FAILED)).collect();
        for name in names {
            if left == 0 {
                answer.topics.extend(hidden);
                return answer.with_next_cursor(Some(cursor(&name, 0)));
            }
            match call.node.topics.get(&name) {
                Some(topic) => {
                    let first = if name == from { skip } else { 0 };
                    let end = topic.partition_count().min(first.saturating_add(left));
                    answer.topics.push(describe(call, &topic, first, end));
                    if end < topic.partition_count() {
                        answer.topics.extend(hidden);
                        return answer.with_next_cursor(Some(cursor(&name, end)));
                    }
                    left -= end.saturating_sub(first);
                }
                None if all => {}
                None => answer.topics.push(
                    failed(&name, why_unknown(&name)).with_topic_authorized_operations(call.operations(
                        true,
                        ResourceType::Topic,
                        &name,
                    )),
                ),
            }
        }
        answer.topics.extend(hidden);
        answer
    }

    fn throttled(response: &mut DescribeTopicPartitionsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &DescribeTopicPartitionsRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.name))
    }

    fn refuse(_: &Call<'_>, request: Self::Request, error: ErrorCode) -> DescribeTopicPartitionsResponse {
        let topics = request.topics.iter().map(|topic| failed(&topic.name, error));
        DescribeTopicPartitionsResponse::default().with_next_cursor(None).with_topics(topics.collect())
    }
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    Cursor::default()
        .with_topic_name(TopicName(text(topic)))
        .with_partition_index(i32::try_from(partition).unwrap_or(i32::MAX))
}

fn why_unknown(name: &str) -> ErrorCode {
    match check_topic_name(name) {
        Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
    }
}

fn describe(
    call: &Call<'_>,
    topic: &Topic,
    first: usize,
    end: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let here = vec![BrokerId(NODE_ID)];
    let partition = |index: usize| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(here.clone())
            .with_isr_nodes(here.clone())
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    };
    named(&topic.name)
        .with_topic_id(topic.id)
        .with_partitions((first..end).map(partition).collect())
        .with_topic_authorized_operations(call.operations(true, ResourceType::Topic, &topic.name))
}

fn failed(name: &str, error: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    named(name).with_error_code(error.code())
}

fn named(name: &str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default().with_name(Some(TopicName(text(name))))
}
