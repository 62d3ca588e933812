//! For each API a request, the right that Kafka asks for, and the error without it.

use std::time::Duration;

use klamm_broker::Api;
use klamm_kafka::{Operation as O, ResourceType};
use klamm_wire::protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use klamm_wire::protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::describe_producers_request::TopicRequest;
use klamm_wire::protocol::messages::leave_group_request::MemberIdentity;
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use klamm_wire::protocol::messages::*;

use super::admin_rights::OF_ADMINS;
use crate::client::*;

pub const TOPIC: i16 = 29;
pub const GROUP: i16 = 30;
pub const CLUSTER: i16 = 31;
pub const TXN: i16 = 53;

/// A right to one of the things that a case is about.
pub type Right = (O, ResourceType, &'static str);

/// Sends a request and gives the error codes of the answer.
pub type Ask = fn(&mut Client) -> Vec<i16>;

pub struct Case {
    pub api: Api,
    /// All of these are needed, and nothing else.
    pub rights: &'static [Right],
    /// What is told without any of them.
    pub refused: i16,
    pub ask: Ask,
}

pub const fn case(api: Api, rights: &'static [Right], refused: i16, ask: Ask) -> Case {
    Case { api, rights, refused, ask }
}

pub const fn t(operation: O) -> Right {
    (operation, ResourceType::Topic, "t")
}

pub const fn g(operation: O) -> Right {
    (operation, ResourceType::Group, "g")
}

pub const fn x(operation: O) -> Right {
    (operation, ResourceType::TransactionalId, "x")
}

pub const fn c(operation: O) -> Right {
    (operation, ResourceType::Cluster, "kafka-cluster")
}

pub fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

fn id() -> TransactionalId {
    TransactionalId(text("x"))
}

/// Every case.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    OF_CLIENTS.iter().chain(OF_ADMINS)
}

/// APIs of producers and consumers, and topics and groups.
const OF_CLIENTS: &[Case] = &[
    case(Api::Produce, &[t(O::Write)], TOPIC, |client| {
        vec![client.produce("t", 0, batch(&["v"])).error_code]
    }),
    case(Api::Fetch, &[t(O::Read)], TOPIC, |client| vec![client.fetch("t", 0, 0, Duration::ZERO).error_code]),
    case(Api::ListOffsets, &[t(O::Describe)], TOPIC, |client| {
        let partitions = vec![ListOffsetsPartition::default().with_timestamp(-1)];
        let wanted = ListOffsetsTopic::default().with_name(topic("t")).with_partitions(partitions);
        let answer = client.call(7, &ListOffsetsRequest::default().with_topics(vec![wanted]));
        vec![answer.topics[0].partitions[0].error_code]
    }),
    case(Api::Metadata, &[t(O::Describe)], TOPIC, |client| {
        let wanted = MetadataRequestTopic::default().with_name(Some(topic("t")));
        let answer = client.call(12, &MetadataRequest::default().with_topics(Some(vec![wanted])));
        vec![answer.topics[0].error_code]
    }),
    case(Api::OffsetCommit, &[g(O::Read), t(O::Read)], GROUP, |client| {
        let partitions = vec![OffsetCommitRequestPartition::default().with_committed_offset(7)];
        let wanted = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(partitions);
        let request = OffsetCommitRequest::default()
            .with_group_id(group("g"))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![wanted]);
        vec![client.call(8, &request).topics[0].partitions[0].error_code]
    }),
    case(Api::OffsetFetch, &[g(O::Describe), t(O::Describe)], GROUP, |client| {
        let wanted =
            OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0]);
        let of = OffsetFetchRequestGroup::default().with_group_id(group("g")).with_topics(Some(vec![wanted]));
        let answer = client.call(8, &OffsetFetchRequest::default().with_groups(vec![of]));
        let of = &answer.groups[0];
        let partitions = of.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code);
        std::iter::once(of.error_code).chain(partitions).collect()
    }),
    case(Api::FindCoordinator, &[g(O::Describe)], GROUP, |client| {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
        vec![client.call(4, &request).coordinators[0].error_code]
    }),
    case(Api::FindCoordinator, &[x(O::Describe)], TXN, |client| {
        vec![
            client
                .call(3, &FindCoordinatorRequest::default().with_key(text("x")).with_key_type(1))
                .error_code,
        ]
    }),
    case(Api::JoinGroup, &[g(O::Read)], GROUP, |client| {
        let request = JoinGroupRequest::default()
            .with_group_id(group("g"))
            .with_session_timeout_ms(10_000)
            .with_protocol_type(text("consumer"));
        vec![client.call(7, &request).error_code]
    }),
    case(Api::Heartbeat, &[g(O::Read)], GROUP, |client| {
        vec![client.call(4, &HeartbeatRequest::default().with_group_id(group("g"))).error_code]
    }),
    case(Api::LeaveGroup, &[g(O::Read)], GROUP, |client| {
        let members = vec![MemberIdentity::default().with_member_id(text("m"))];
        let request = LeaveGroupRequest::default().with_group_id(group("g")).with_members(members);
        vec![client.call(4, &request).error_code]
    }),
    case(Api::SyncGroup, &[g(O::Read)], GROUP, |client| {
        vec![client.call(4, &SyncGroupRequest::default().with_group_id(group("g"))).error_code]
    }),
    case(Api::DescribeGroups, &[g(O::Describe)], GROUP, |client| {
        vec![
            client.call(5, &DescribeGroupsRequest::default().with_groups(vec![group("g")])).groups[0]
                .error_code,
        ]
    }),
    case(Api::ConsumerGroupHeartbeat, &[g(O::Read), t(O::Describe)], GROUP, |client| {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group("g"))
            .with_member_id(text("m"))
            .with_rebalance_timeout_ms(30_000)
            .with_subscribed_topic_names(Some(vec![topic("t")]))
            .with_topic_partitions(Some(Vec::new()));
        vec![client.call(1, &request).error_code]
    }),
    case(Api::ConsumerGroupDescribe, &[g(O::Describe)], GROUP, |client| {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g")]);
        vec![client.call(1, &request).groups[0].error_code]
    }),
    case(Api::OffsetDelete, &[g(O::Delete), t(O::Read)], GROUP, |client| {
        let partitions = vec![OffsetDeleteRequestPartition::default()];
        let wanted = OffsetDeleteRequestTopic::default().with_name(topic("t")).with_partitions(partitions);
        let request = OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![wanted]);
        let answer = client.call(0, &request);
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code);
        std::iter::once(answer.error_code).chain(partitions).collect()
    }),
    case(Api::CreateTopics, &[(O::Create, ResourceType::Topic, "new")], TOPIC, |client| {
        vec![client.create("new", 1, &[])]
    }),
    case(Api::CreateTopics, &[c(O::Create)], TOPIC, |client| vec![client.create("newer", 1, &[])]),
    case(Api::DeleteTopics, &[(O::Delete, ResourceType::Topic, "d")], TOPIC, |client| {
        let wanted = DeleteTopicState::default().with_name(Some(topic("d")));
        vec![
            client.call(6, &DeleteTopicsRequest::default().with_topics(vec![wanted])).responses[0].error_code,
        ]
    }),
    case(Api::DeleteRecords, &[t(O::Delete)], TOPIC, |client| {
        let partitions = vec![DeleteRecordsPartition::default().with_offset(1)];
        let wanted = DeleteRecordsTopic::default().with_name(topic("t")).with_partitions(partitions);
        let answer = client.call(2, &DeleteRecordsRequest::default().with_topics(vec![wanted]));
        vec![answer.topics[0].partitions[0].error_code]
    }),
    case(Api::InitProducerId, &[c(O::IdempotentWrite)], CLUSTER, |client| {
        vec![client.call(4, &InitProducerIdRequest::default().with_transactional_id(None)).error_code]
    }),
    case(Api::InitProducerId, &[(O::Write, ResourceType::Topic, "any")], CLUSTER, |client| {
        vec![client.call(4, &InitProducerIdRequest::default().with_transactional_id(None)).error_code]
    }),
    case(Api::InitProducerId, &[x(O::Write)], TXN, |client| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        vec![client.call(4, &request).error_code]
    }),
    case(Api::AddPartitionsToTxn, &[x(O::Write), t(O::Write)], TXN, |client| {
        let wanted = AddPartitionsToTxnTopic::default().with_name(topic("t")).with_partitions(vec![0]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id())
            .with_v3_and_below_topics(vec![wanted]);
        let answer = client.call(3, &request);
        vec![answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code]
    }),
    case(Api::AddPartitionsToTxn, &[c(O::ClusterAction)], CLUSTER, |client| {
        vec![client.call(4, &AddPartitionsToTxnRequest::default()).error_code]
    }),
    case(Api::AddOffsetsToTxn, &[x(O::Write), g(O::Read)], TXN, |client| {
        let request = AddOffsetsToTxnRequest::default().with_transactional_id(id()).with_group_id(group("g"));
        vec![client.call(3, &request).error_code]
    }),
    case(Api::EndTxn, &[x(O::Write)], TXN, |client| {
        vec![client.call(3, &EndTxnRequest::default().with_transactional_id(id())).error_code]
    }),
    case(Api::WriteTxnMarkers, &[c(O::Alter)], CLUSTER, markers),
    case(Api::WriteTxnMarkers, &[c(O::ClusterAction)], CLUSTER, markers),
    case(Api::TxnOffsetCommit, &[x(O::Write), g(O::Read), t(O::Read)], TXN, |client| {
        let partitions = vec![TxnOffsetCommitRequestPartition::default().with_committed_offset(9)];
        let wanted = TxnOffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(partitions);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id())
            .with_group_id(group("g"))
            .with_topics(vec![wanted]);
        vec![client.call(3, &request).topics[0].partitions[0].error_code]
    }),
    case(Api::DescribeProducers, &[t(O::Read)], TOPIC, |client| {
        let wanted = TopicRequest::default().with_name(topic("t")).with_partition_indexes(vec![0]);
        let answer = client.call(0, &DescribeProducersRequest::default().with_topics(vec![wanted]));
        vec![answer.topics[0].partitions[0].error_code]
    }),
    case(Api::DescribeTransactions, &[x(O::Describe)], TXN, |client| {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]);
        vec![client.call(0, &request).transaction_states[0].error_code]
    }),
];

fn markers(client: &mut Client) -> Vec<i16> {
    let wanted = WritableTxnMarkerTopic::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let marker = WritableTxnMarker::default().with_producer_id(ProducerId(99)).with_topics(vec![wanted]);
    let answer = client.call(1, &WriteTxnMarkersRequest::default().with_markers(vec![marker]));
    vec![answer.markers[0].topics[0].partitions[0].error_code]
}
