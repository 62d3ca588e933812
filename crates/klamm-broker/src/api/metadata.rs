//! `Metadata`: one broker that leads everything.
//!
//! A topic that is created on demand is there in the same answer; Kafka answers `UNKNOWN_TOPIC_OR_PARTITION` once and lets
//! the client ask again.

use std::collections::HashSet;
use std::sync::Arc;

use klamm_kafka::ResourceType;
use klamm_kafka::{ErrorCode, check_topic_name};
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use klamm_wire::protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};

use super::rights::Right;
use super::shape::{BOOL, Shape, TEXT, UUID, structs};
use super::{Call, Handler, name_or_id, text};
use crate::log::LEADER_EPOCH;
use crate::node::NODE_ID;
use crate::topics::Topic;

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
                let mut seen = HashSet::new();
                let once =
                    topics.into_iter().filter(|topic| seen.insert((topic.name.clone(), topic.topic_id)));
                once.map(|wanted| one(call, wanted, may_create, asked)).collect()
            }
            // Topics that may not be described are left out.
            _ => {
                let all = call.node.topics.all();
                let visible = all
                    .iter()
                    .filter(|topic| call.authorize(Right::Describe, ResourceType::Topic, &topic.name));
                visible.map(|topic| describe(call, topic, asked)).collect()
            }
        };
        let asked = request.include_cluster_authorized_operations;
        cluster(call).with_topics(topics).with_cluster_authorized_operations(call.cluster_operations(asked))
    }

    fn throttled(response: &mut MetadataResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(call: &Call<'_>, request: &MetadataRequest) -> Vec<String> {
        let topics = request.topics.iter().flatten();
        let name = |topic: &MetadataRequestTopic| topic.name.clone().unwrap_or_default();
        topics.filter_map(|topic| name_or_id(call, &name(topic), topic.topic_id)).collect()
    }

    fn refuse(call: &Call<'_>, request: MetadataRequest, error: ErrorCode) -> MetadataResponse {
        let topics = request.topics.unwrap_or_default().into_iter().map(|wanted| failed(&wanted, error));
        cluster(call).with_topics(topics.collect()).with_error_code(error.code())
    }
}

fn cluster(call: &Call<'_>) -> MetadataResponse {
    let (host, port) = call.advertised();
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(host)
        .with_port(port.into());
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
        // Whether a topic exists that may not be described is not told.
        Some(name) => {
            call.check_topic(Right::Describe, name).and_then(|()| find_or_create(call, name, may_create))
        }
        None => call
            .node
            .topics
            .get_by_id(wanted.topic_id)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
            .and_then(|topic| call.check_topic(Right::Describe, &topic.name).map(|()| topic)),
    };
    match found {
        Ok(topic) => describe(call, &topic, asked),
        Err(error) => failed(&wanted, error),
    }
}

fn find_or_create(call: &Call<'_>, name: &str, may_create: bool) -> Result<Arc<Topic>, ErrorCode> {
    let node = call.node;
    if let Some(topic) = node.topics.get(name) {
        return Ok(topic);
    }
    check_topic_name(name).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
    if !may_create || !node.config.auto_create_topics {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    if call.check_cluster(Right::Create).is_err() {
        call.check_topic(Right::Create, name)?;
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

fn describe(call: &Call<'_>, topic: &Topic, asked: bool) -> MetadataResponseTopic {
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
        .with_topic_authorized_operations(call.operations(asked, ResourceType::Topic, &topic.name))
}

fn failed(wanted: &MetadataRequestTopic, error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_name(wanted.name.clone())
        .with_topic_id(wanted.topic_id)
        .with_error_code(error.code())
}
