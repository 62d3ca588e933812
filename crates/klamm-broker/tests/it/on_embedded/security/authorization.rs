//! Each API asks the authorizer: without the right nothing happens, and with it nothing more is needed.

use std::collections::BTreeSet;

use klamm_broker::{Api, Broker};
use klamm_kafka::{Acl, Operation as O, Permission, ResourceType};
use klamm_wire::protocol::messages::delete_acls_request::DeleteAclsFilter;
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use klamm_wire::protocol::messages::*;
use uuid::Uuid;

use super::acls::all_acls;
use super::rights::{CLUSTER, GROUP, TOPIC, TXN, cases};
use super::{allow, create_acls, login, start};
use crate::client::*;

/// Those that need no right of their own: they leave out, or say less of, what may not be seen.
const FILTERED: [Api; 4] = [Api::ListGroups, Api::ListTransactions, Api::DescribeCluster, Api::ApiVersions];

/// Those that come before there is anybody to ask about.
const BEFORE: [Api; 2] = [Api::SaslHandshake, Api::SaslAuthenticate];

#[test]
fn every_api_is_tested_for_its_rights() {
    let tested: BTreeSet<_> = cases().map(|case| case.api).chain(FILTERED).chain(BEFORE).collect();
    let missing: Vec<_> = Api::ALL.iter().filter(|api| !tested.contains(api)).collect();
    assert!(missing.is_empty(), "{missing:?} have no line in rights.rs");
}

/// Topics t and d, a group g with an offset, and a transactional id x.
fn fill(admin: &mut Client) {
    for name in ["t", "d"] {
        admin.create(name, 1, &[]);
        assert_eq!(admin.produce(name, 0, batch(&["one", "two"])).error_code, 0);
    }
    for api in [Api::OffsetCommit, Api::InitProducerId] {
        for case in cases().filter(|case| case.api == api) {
            assert_eq!((case.ask)(admin), [0], "{api:?}");
        }
    }
}

/// What there is, in words: equal before and after where nothing happened.
fn everything(admin: &mut Client) -> String {
    let topics = admin.call(12, &MetadataRequest::default().with_topics(None)).topics;
    let topics: Vec<_> = topics.iter().map(|topic| (topic.name.clone(), topic.partitions.len())).collect();
    let group = OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g"))).with_topics(None);
    let offsets = admin.call(8, &OffsetFetchRequest::default().with_groups(vec![group]));
    let resource = |kind, name| {
        DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(text(name))
    };
    let resources = vec![resource(2, "t"), resource(4, "1"), resource(32, "g")];
    let configs = admin.call(4, &DescribeConfigsRequest::default().with_resources(resources));
    let bounds: Vec<_> = [0, 1].map(|offset| admin.fetch("t", 0, offset, Default::default())).into();
    let quotas = admin.call(1, &DescribeClientQuotasRequest::default());
    let users = admin.call(0, &DescribeUserScramCredentialsRequest::default());
    let transaction =
        DescribeTransactionsRequest::default().with_transactional_ids(vec![TransactionalId(text("x"))]);
    let transactions = admin.call(0, &transaction);
    let acls = all_acls(admin);
    format!("{topics:?} {offsets:?} {configs:?} {bounds:?} {quotas:?} {users:?} {transactions:?} {acls:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_right_each_api_is_refused_and_nothing_happens() {
    let broker = start().await;
    let (mut admin, mut alice) = (login(&broker, "admin"), login(&broker, "alice"));
    fill(&mut admin);
    let before = everything(&mut admin);
    for case in cases() {
        let codes = (case.ask)(&mut alice);
        assert_eq!(codes[0], case.refused, "{:?}: {codes:?}", case.api);
        assert_eq!(everything(&mut admin), before, "{:?} did something", case.api);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_that_kafka_asks_for_is_enough_and_each_of_several_is_needed() {
    for case in cases() {
        let broker = start().await;
        let (mut admin, mut alice) = (login(&broker, "admin"), login(&broker, "alice"));
        fill(&mut admin);
        let denials = [TOPIC, GROUP, CLUSTER, TXN];
        let grant = |(operation, resource_type, name): &(O, ResourceType, &str)| {
            allow("alice", *operation, *resource_type, name)
        };
        for left_out in 0..case.rights.len() {
            let rest = case.rights.iter().enumerate().filter(|(index, _)| *index != left_out);
            create_acls(&mut admin, &rest.map(|(_, right)| grant(right)).collect::<Vec<_>>());
            let codes = (case.ask)(&mut alice);
            assert!(codes.iter().any(|code| denials.contains(code)), "{:?}: {codes:?}", case.api);
            remove_acls(&mut admin);
        }
        create_acls(&mut admin, &case.rights.iter().map(grant).collect::<Vec<_>>());
        let codes = (case.ask)(&mut alice);
        assert!(!codes.iter().any(|code| denials.contains(code)), "{:?}: {codes:?}", case.api);
    }
}

fn remove_acls(admin: &mut Client) {
    let all = DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_resource_name_filter(None)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    admin.call(3, &DeleteAclsRequest::default().with_filters(vec![all]));
}

async fn two() -> (Broker, Client, Client) {
    let broker = start().await;
    let (mut admin, alice) = (login(&broker, "admin"), login(&broker, "alice"));
    fill(&mut admin);
    (broker, admin, alice)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_described_is_left_out_of_lists() {
    let (_broker, mut admin, mut alice) = two().await;
    let topics =
        |client: &mut Client| client.call(12, &MetadataRequest::default().with_topics(None)).topics.len();
    let groups = |client: &mut Client| client.call(4, &ListGroupsRequest::default()).groups.len();
    let transactions =
        |client: &mut Client| client.call(0, &ListTransactionsRequest::default()).transaction_states.len();
    assert_eq!((topics(&mut alice), groups(&mut alice), transactions(&mut alice)), (0, 0, 0));
    assert_eq!((topics(&mut admin), groups(&mut admin), transactions(&mut admin)), (2, 1, 1));
    let acls = [
        allow("alice", O::Read, ResourceType::Topic, "t"),
        allow("alice", O::Describe, ResourceType::Cluster, "kafka-cluster"),
        allow("alice", O::Write, ResourceType::TransactionalId, "*"),
    ];
    create_acls(&mut admin, &acls);
    assert_eq!((topics(&mut alice), groups(&mut alice), transactions(&mut alice)), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_topic_exists_is_not_told_to_who_may_not_describe_it() {
    let (_broker, mut admin, mut alice) = two().await;
    let ask = |client: &mut Client, wanted: MetadataRequestTopic| {
        let request =
            MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(true);
        let answer = client.call(12, &request).topics.remove(0);
        (answer.error_code, answer.name.map(|name| name.to_string()), answer.topic_id)
    };
    let by_name = |name: &str| MetadataRequestTopic::default().with_name(Some(topic(name)));
    for name in ["t", "missing"] {
        assert_eq!(ask(&mut alice, by_name(name)), (TOPIC, Some(name.to_owned()), Uuid::nil()));
    }
    let (_, _, id) = ask(&mut admin, by_name("t"));
    let by_id = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
    assert_eq!(ask(&mut alice, by_id), (TOPIC, None, id), "ids are no secret, names are");
    // Deleting by id tells the name only to who may describe it.
    let delete = |client: &mut Client| {
        let wanted = DeleteTopicState::default().with_name(None).with_topic_id(id);
        let answer =
            client.call(6, &DeleteTopicsRequest::default().with_topics(vec![wanted])).responses.remove(0);
        (answer.error_code, answer.name.map(|name| name.to_string()))
    };
    assert_eq!(delete(&mut alice), (TOPIC, None));
    create_acls(&mut admin, &[allow("alice", O::Describe, ResourceType::Topic, "t")]);
    assert_eq!(delete(&mut alice), (TOPIC, Some("t".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_on_demand_only_for_who_may_create_it() {
    let (_broker, mut admin, mut alice) = two().await;
    create_acls(&mut admin, &[allow("alice", O::Describe, ResourceType::Topic, "*")]);
    let ask = |client: &mut Client| {
        let wanted = vec![MetadataRequestTopic::default().with_name(Some(topic("demand")))];
        let request =
            MetadataRequest::default().with_topics(Some(wanted)).with_allow_auto_topic_creation(true);
        client.call(12, &request).topics[0].error_code
    };
    assert_eq!(ask(&mut alice), TOPIC);
    create_acls(&mut admin, &[allow("alice", O::Create, ResourceType::Topic, "demand")]);
    assert_eq!(ask(&mut alice), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn authorized_operations_are_those_of_who_asks() {
    let (_broker, mut admin, mut alice) = two().await;
    let denied = Acl { permission: Permission::Deny, ..allow("alice", O::Write, ResourceType::Topic, "t") };
    let group = allow("alice", O::Describe, ResourceType::Group, "g");
    create_acls(&mut admin, &[allow("alice", O::All, ResourceType::Topic, "t"), denied, group]);
    let bits = |operations: &[O]| operations.iter().map(|one| 1 << one.code()).sum::<i32>();
    let wanted = vec![MetadataRequestTopic::default().with_name(Some(topic("t")))];
    let metadata = MetadataRequest::default()
        .with_topics(Some(wanted))
        .with_include_topic_authorized_operations(true)
        .with_include_cluster_authorized_operations(true);
    let answer = alice.call(10, &metadata);
    let all_but_write =
        [O::Read, O::Create, O::Delete, O::Alter, O::Describe, O::DescribeConfigs, O::AlterConfigs];
    assert_eq!(answer.topics[0].topic_authorized_operations, bits(&all_but_write));
    assert_eq!(answer.cluster_authorized_operations, 0, "who may not describe the cluster is told of none");
    let describe = DescribeGroupsRequest::default()
        .with_groups(vec![GroupId(text("g"))])
        .with_include_authorized_operations(true);
    assert_eq!(alice.call(5, &describe).groups[0].authorized_operations, bits(&[O::Describe]));
    let cluster = DescribeClusterRequest::default()
        .with_endpoint_type(1)
        .with_include_cluster_authorized_operations(true);
    assert_eq!(alice.call(1, &cluster).cluster_authorized_operations, 0);
    create_acls(&mut admin, &[allow("alice", O::Alter, ResourceType::Cluster, "kafka-cluster")]);
    assert_eq!(alice.call(1, &cluster).cluster_authorized_operations, bits(&[O::Alter, O::Describe]));
}
