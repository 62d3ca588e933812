//! The rights that administration asks for.

use klamm_broker::Api;
use klamm_kafka::{Operation as O, ResourceType};
use klamm_wire::protocol::messages::alter_client_quotas_request as quotas;
use klamm_wire::protocol::messages::alter_configs_request as alter;
use klamm_wire::protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use klamm_wire::protocol::messages::alter_user_scram_credentials_request::ScramCredentialDeletion;
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::delete_acls_request::DeleteAclsFilter;
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::describe_topic_partitions_request::TopicRequest;
use klamm_wire::protocol::messages::incremental_alter_configs_request as incremental;
use klamm_wire::protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use klamm_wire::protocol::messages::*;

use super::rights::{CLUSTER, Case, GROUP, TOPIC, c, case, g, group, t};
use super::{allow, create_acls};
use crate::client::*;

pub const OF_ADMINS: &[Case] = &[
    case(Api::DescribeAcls, &[c(O::Describe)], CLUSTER, |client| {
        vec![client.call(3, &DescribeAclsRequest::default().with_resource_type_filter(1)).error_code]
    }),
    case(Api::CreateAcls, &[c(O::Alter)], CLUSTER, |client| {
        create_acls(client, &[allow("carl", O::Read, ResourceType::Topic, "t")])
    }),
    case(Api::DeleteAcls, &[c(O::Alter)], CLUSTER, |client| {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(1)
            .with_pattern_type_filter(1)
            .with_principal_filter(Some(text("User:carl")))
            .with_operation(1)
            .with_permission_type(1);
        let answer = client.call(3, &DeleteAclsRequest::default().with_filters(vec![filter]));
        vec![answer.filter_results[0].error_code]
    }),
    case(Api::DescribeConfigs, &[t(O::DescribeConfigs)], TOPIC, |client| {
        let wanted = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("t"));
        vec![
            client.call(4, &DescribeConfigsRequest::default().with_resources(vec![wanted])).results[0]
                .error_code,
        ]
    }),
    case(Api::DescribeConfigs, &[c(O::DescribeConfigs)], CLUSTER, |client| {
        let wanted = DescribeConfigsResource::default().with_resource_type(4).with_resource_name(text("1"));
        vec![
            client.call(4, &DescribeConfigsRequest::default().with_resources(vec![wanted])).results[0]
                .error_code,
        ]
    }),
    case(Api::AlterConfigs, &[t(O::AlterConfigs)], TOPIC, |client| {
        let config =
            alter::AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("5")));
        let wanted = alter::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(vec![config]);
        vec![
            client.call(2, &AlterConfigsRequest::default().with_resources(vec![wanted])).responses[0]
                .error_code,
        ]
    }),
    case(Api::IncrementalAlterConfigs, &[c(O::AlterConfigs)], CLUSTER, |client| {
        let config = incremental::AlterableConfig::default()
            .with_name(text("log.retention.ms"))
            .with_value(Some(text("5")));
        let wanted = incremental::AlterConfigsResource::default()
            .with_resource_type(4)
            .with_resource_name(text("1"))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![wanted]);
        vec![client.call(1, &request).responses[0].error_code]
    }),
    case(Api::DescribeConfigs, &[g(O::DescribeConfigs)], GROUP, |client| {
        let wanted = DescribeConfigsResource::default().with_resource_type(32).with_resource_name(text("g"));
        let request = DescribeConfigsRequest::default().with_resources(vec![wanted]);
        vec![client.call(4, &request).results[0].error_code]
    }),
    case(Api::IncrementalAlterConfigs, &[g(O::AlterConfigs)], GROUP, |client| {
        let config = incremental::AlterableConfig::default()
            .with_name(text("consumer.session.timeout.ms"))
            .with_value(Some(text("50000")));
        let wanted = incremental::AlterConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name(text("g"))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![wanted]);
        vec![client.call(1, &request).responses[0].error_code]
    }),
    case(Api::CreatePartitions, &[t(O::Alter)], TOPIC, |client| {
        let wanted =
            CreatePartitionsTopic::default().with_name(topic("t")).with_count(2).with_assignments(None);
        vec![
            client.call(3, &CreatePartitionsRequest::default().with_topics(vec![wanted])).results[0]
                .error_code,
        ]
    }),
    case(Api::DeleteGroups, &[g(O::Delete)], GROUP, |client| {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group("g")]);
        vec![client.call(2, &request).results[0].error_code]
    }),
    case(Api::DescribeClientQuotas, &[c(O::DescribeConfigs)], CLUSTER, |client| {
        vec![client.call(1, &DescribeClientQuotasRequest::default()).error_code]
    }),
    case(Api::AlterClientQuotas, &[c(O::AlterConfigs)], CLUSTER, |client| {
        let entity =
            quotas::EntityData::default().with_entity_type(text("user")).with_entity_name(Some(text("z")));
        let op = quotas::OpData::default().with_key(text("producer_byte_rate")).with_value(1e9);
        let entry = quotas::EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
        vec![
            client.call(1, &AlterClientQuotasRequest::default().with_entries(vec![entry])).entries[0]
                .error_code,
        ]
    }),
    case(Api::DescribeUserScramCredentials, &[c(O::Describe)], CLUSTER, |client| {
        vec![client.call(0, &DescribeUserScramCredentialsRequest::default()).error_code]
    }),
    case(Api::AlterUserScramCredentials, &[c(O::Alter)], CLUSTER, |client| {
        let deletion = ScramCredentialDeletion::default().with_name(text("admin")).with_mechanism(1);
        let request = AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion]);
        vec![client.call(0, &request).results[0].error_code]
    }),
    case(Api::OffsetForLeaderEpoch, &[t(O::Describe)], TOPIC, epoch),
    case(Api::OffsetForLeaderEpoch, &[c(O::ClusterAction)], TOPIC, epoch),
    case(Api::AlterReplicaLogDirs, &[c(O::Alter)], CLUSTER, |client| {
        let wanted = AlterReplicaLogDirTopic::default().with_name(topic("t")).with_partitions(vec![0]);
        let dir = AlterReplicaLogDir::default().with_path(text("/x")).with_topics(vec![wanted]);
        let answer = client.call(2, &AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]));
        vec![answer.results[0].partitions[0].error_code]
    }),
    case(Api::DescribeLogDirs, &[c(O::Describe)], CLUSTER, |client| {
        vec![client.call(4, &DescribeLogDirsRequest::default().with_topics(None)).error_code]
    }),
    case(Api::ElectLeaders, &[c(O::Alter)], CLUSTER, |client| {
        vec![client.call(2, &ElectLeadersRequest::default().with_topic_partitions(None)).error_code]
    }),
    case(Api::AlterPartitionReassignments, &[c(O::Alter)], CLUSTER, |client| {
        vec![client.call(1, &AlterPartitionReassignmentsRequest::default()).error_code]
    }),
    case(Api::ListPartitionReassignments, &[c(O::Describe)], CLUSTER, |client| {
        vec![client.call(0, &ListPartitionReassignmentsRequest::default().with_topics(None)).error_code]
    }),
    case(Api::DescribeQuorum, &[c(O::Describe)], CLUSTER, |client| {
        vec![client.call(1, &DescribeQuorumRequest::default()).error_code]
    }),
    case(Api::UpdateFeatures, &[c(O::Alter)], CLUSTER, |client| {
        vec![client.call(1, &UpdateFeaturesRequest::default()).error_code]
    }),
    case(Api::ListConfigResources, &[c(O::DescribeConfigs)], CLUSTER, |client| {
        vec![client.call(1, &ListConfigResourcesRequest::default()).error_code]
    }),
    case(Api::DescribeTopicPartitions, &[t(O::Describe)], TOPIC, |client| {
        let wanted = TopicRequest::default().with_name(topic("t"));
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(vec![wanted])
            .with_response_partition_limit(10)
            .with_cursor(None);
        vec![client.call(0, &request).topics[0].error_code]
    }),
];

fn epoch(client: &mut Client) -> Vec<i16> {
    let wanted = OffsetForLeaderTopic::default()
        .with_topic(topic("t"))
        .with_partitions(vec![OffsetForLeaderPartition::default().with_current_leader_epoch(-1)]);
    let answer = client.call(4, &OffsetForLeaderEpochRequest::default().with_topics(vec![wanted]));
    vec![answer.topics[0].partitions[0].error_code]
}
