//! `DescribeQuorum` (KIP-595, KIP-836, KIP-853): this node is the only voter and leads. There is no metadata log; its offsets are
//! the number of changes to the metadata that the journal holds, and its listener is the broker's.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_quorum_response::{
    Listener, Node as QuorumNode, PartitionData, ReplicaState, TopicData,
};
use klamm_wire::protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::node::NODE_ID;

/// The topic of Kafka's metadata log.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Epoch of the only leader that the quorum ever has.
const EPOCH: i32 = 1;

/// The first version that lists the nodes.
const NODES: i16 = 2;

pub(crate) struct DescribeQuorum;

impl Handler for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    type Response = DescribeQuorumResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[structs(&[TEXT, structs(&[INT32])])] };

    async fn handle(call: &Call<'_>, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
        if let Err(error) = call.check_cluster(Right::Describe) {
            return Self::refuse(call, request, error);
        }
        let only_metadata = match &request.topics[..] {
            [topic] if *topic.topic_name == *METADATA_TOPIC => {
                matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
            }
            _ => false,
        };
        if !only_metadata {
            return each_partition(request, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let topics = request.topics.into_iter().map(|topic| {
            TopicData::default().with_topic_name(topic.topic_name).with_partitions(vec![partition(call)])
        });
        let answer = DescribeQuorumResponse::default().with_error_message(None).with_topics(topics.collect());
        if call.version < NODES { answer } else { answer.with_nodes(vec![node(call)]) }
    }

    fn refuse(_: &Call<'_>, _: DescribeQuorumRequest, error: ErrorCode) -> DescribeQuorumResponse {
        DescribeQuorumResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}

fn partition(call: &Call<'_>) -> PartitionData {
    let end_offset = call.node.topics.metadata_changes();
    let now_ms = call.node.config.clock.now_ms();
    let leader = ReplicaState::default()
        .with_replica_id(BrokerId(NODE_ID))
        .with_replica_directory_id(if call.version < NODES {
            uuid::Uuid::nil()
        } else {
            call.node.directory_id()
        })
        .with_log_end_offset(end_offset)
        .with_last_fetch_timestamp(now_ms)
        .with_last_caught_up_timestamp(now_ms);
    PartitionData::default()
        .with_error_message(None)
        .with_leader_id(BrokerId(NODE_ID))
        .with_leader_epoch(EPOCH)
        .with_high_watermark(end_offset)
        .with_current_voters(vec![leader])
}

fn node(call: &Call<'_>) -> QuorumNode {
    let (host, port) = call.advertised();
    let name = text(call.session.listener.name.as_str());
    let listener = Listener::default().with_name(name).with_host(host).with_port(port);
    QuorumNode::default().with_node_id(BrokerId(NODE_ID)).with_listeners(vec![listener])
}

fn each_partition(request: DescribeQuorumRequest, error: ErrorCode) -> DescribeQuorumResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
                .with_error_message(Some(text(error.meaning())))
        });
        let partitions = partitions.collect();
        TopicData::default().with_topic_name(topic.topic_name).with_partitions(partitions)
    });
    DescribeQuorumResponse::default().with_error_message(None).with_topics(topics.collect())
}
