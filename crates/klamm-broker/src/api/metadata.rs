//! `Metadata`: one broker that leads everything.
//!
//! A topic that is created on demand is there in the same answer; Kafka answers `UNKNOWN_TOPIC_OR_PARTITION` once and lets
//! the client ask again.

use std::sync::Arc;

use klamm_kafka::{ErrorCode, check_topic_name};
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use klamm_wire::protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};

use super::shape::{BOOL, Shape, TEXT, UUID, structs};
use super::{Call, Handler, operations, text};
use crate::log::LEADER_EPOCH;
use crate::node::{NODE_ID, Node};
use crate::topics::Topic;

/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
const TOPIC_OPERATIONS: &[u8] = &[3, 4, 5, 6, 7, 8, 10, 11];

/// CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE, and the tokens' two.
pub(super) const CLUSTER_OPERATIONS: &[u8] = &[5, 7, 8, 9, 10, 11, 12];

pub(crate) struct Metadata;

impl Handler for Metadata {
    type Request = MetadataRequest;
    type Response = MetadataResponse;

    const REQUEST: Shape = Shape {
        flexible: 9,
        fields: &[structs(&[UUID.since(10), TEXT]), BOOL.since(4), BOOL.since(8).until(10), BOOL.since(8)],
    };

    async fn handle(call: &Call<'_>, request: MetadataRequest) -> MetadataResponse {
        let may_create = call.version < 4 || request.allow_auto_topic_creation;
        let asked = request.include_topic_authorized_operations;
        let topics = match request.topics {
            Some(topics) if call.version > 0 || !topics.is_empty() => {
                topics.into_iter().map(|wanted| one(call, wanted, may_create, asked)).collect()
            }
            _ => call.node.topics.all().iter().map(|topic| describe(topic, asked)).collect(),
        };
        let asked = request.include_cluster_authorized_operations;
        cluster(call)
            .with_topics(topics)
            .with_cluster_authorized_operations(operations(asked, CLUSTER_OPERATIONS))
    }

    fn refuse(call: &Call<'_>, request: MetadataRequest, error: ErrorCode) -> MetadataResponse {
        let topics = request.topics.unwrap_or_default().into_iter().map(|wanted| failed(&wanted, error));
        cluster(call).with_topics(topics.collect()).with_error_code(error.code())
    }
}

fn cluster(call: &Call<'_>) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(text(call.local.ip().to_string()))
        .with_port(call.local.port().into());
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(call.node.cluster_id.as_str())))
        .with_controller_id(BrokerId(NODE_ID))
}

fn one(
    call: &Call<'_>,
    wanted: MetadataRequestTopic,
    may_create: bool,
    asked: bool,
) -> MetadataResponseTopic {
    let found = match &wanted.name {
        Some(name) => find_or_create(call.node, name, may_create),
        None => call.node.topics.get_by_id(wanted.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    };
    match found {
        Ok(topic) => describe(&topic, asked),
        Err(error) => failed(&wanted, error),
    }
}

fn find_or_create(node: &Node, name: &str, may_create: bool) -> Result<Arc<Topic>, ErrorCode> {
    if let Some(topic) = node.topics.get(name) {
        return Ok(topic);
    }
    check_topic_name(name).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
    if !may_create || !node.config.auto_create_topics {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    match node.topics.create(name, node.default_partitions(), Default::default()) {
        Ok(topic) => Ok(topic),
        // Another connection was faster.
        Err(refusal) if refusal.code == ErrorCode::TOPIC_ALREADY_EXISTS => {
            node.topics.get(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        }
        Err(refusal) => Err(refusal.code),
    }
}

fn describe(topic: &Topic, asked: bool) -> MetadataResponseTopic {
    let partition = |index: usize| {
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name.as_str()))))
        .with_topic_id(topic.id)
        .with_partitions((0..topic.partition_count()).map(partition).collect())
        .with_topic_authorized_operations(operations(asked, TOPIC_OPERATIONS))
}

fn failed(wanted: &MetadataRequestTopic, error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_name(wanted.name.clone())
        .with_topic_id(wanted.topic_id)
        .with_error_code(error.code())
}
