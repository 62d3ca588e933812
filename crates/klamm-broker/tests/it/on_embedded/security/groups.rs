//! What groups show only to who may see the topics, and what comes first in an answer.

use klamm_kafka::{ErrorCode, Operation as O, ResourceType};
use klamm_wire::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::*;

use super::rights::{GROUP, TOPIC, group};
use super::{allow, create_acls, login, start};
use crate::client::*;

fn beat(epoch: i32, regex: Option<&str>) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("g"))
        .with_member_id(text("m"))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(30_000)
        .with_subscribed_topic_names(None)
        .with_subscribed_topic_regex(regex.map(text))
        .with_topic_partitions(Some(Vec::new()))
}

fn describe(client: &mut Client) -> consumer_group_describe_response::DescribedGroup {
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(vec![group("g")])
        .with_include_authorized_operations(true);
    client.call(1, &request).groups.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_matches_only_topics_that_the_member_may_describe() {
    let broker = start().await;
    let (mut admin, mut alice) = (login(&broker, "admin"), login(&broker, "alice"));
    for name in ["orders.eu", "orders.us"] {
        admin.create(name, 1, &[]);
    }
    let group = allow("alice", O::Read, ResourceType::Group, "g");
    create_acls(&mut admin, &[group, allow("alice", O::Read, ResourceType::Topic, "orders.eu")]);
    assert_eq!(alice.call(1, &beat(0, Some("orders.*"))).error_code, 0);
    // Topics of an expression come with the next heartbeat.
    let answer = alice.call(1, &beat(0, Some("orders.*")));
    let eu = admin.call(12, &MetadataRequest::default().with_topics(None)).topics;
    let eu = eu.iter().find(|one| one.name.as_ref() == Some(&topic("orders.eu"))).unwrap().topic_id;
    let assigned = answer.assignment.unwrap_or_default().topic_partitions;
    assert_eq!(assigned.iter().map(|one| one.topic_id).collect::<Vec<_>>(), [eu]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_a_topic_that_may_not_be_described_is_not_described() {
    let broker = start().await;
    let (mut admin, mut alice) = (login(&broker, "admin"), login(&broker, "alice"));
    admin.create("t", 1, &[]);
    let join = beat(0, None).with_subscribed_topic_names(Some(vec![topic("t")]));
    assert_eq!(admin.call(1, &join).error_code, 0);
    assert_eq!(describe(&mut alice).error_code, GROUP);
    create_acls(&mut admin, &[allow("alice", O::Describe, ResourceType::Group, "g")]);
    let hidden = describe(&mut alice);
    assert_eq!((hidden.error_code, hidden.members.len()), (TOPIC, 0));
    assert_eq!(hidden.authorized_operations, i32::MIN);
    create_acls(&mut admin, &[allow("alice", O::Describe, ResourceType::Topic, "t")]);
    let shown = describe(&mut alice);
    assert_eq!((shown.error_code, shown.members.len()), (0, 1));
    assert_eq!(shown.authorized_operations, 1 << O::Describe.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_refuses_a_commit_only_where_the_topic_may_be_read() {
    let broker = start().await;
    let (mut admin, mut alice) = (login(&broker, "admin"), login(&broker, "alice"));
    for name in ["secret", "t"] {
        admin.create(name, 1, &[]);
    }
    let group_right = allow("alice", O::Read, ResourceType::Group, "g");
    create_acls(&mut admin, &[group_right, allow("alice", O::Read, ResourceType::Topic, "t")]);
    let wanted = ["secret", "t"].map(|name| {
        let partitions = vec![OffsetCommitRequestPartition::default()];
        OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(partitions)
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(group("g"))
        .with_generation_id_or_member_epoch(3)
        .with_member_id(text("nobody"))
        .with_topics(wanted.into());
    let answer = alice.call(9, &request);
    let codes: Vec<_> = answer.topics.iter().map(|one| one.partitions[0].error_code).collect();
    assert_eq!(codes, [TOPIC, ErrorCode::GROUP_ID_NOT_FOUND.code()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_asked_before_anything_else_about_a_request() {
    let broker = start().await;
    let (mut admin, mut alice) = (login(&broker, "admin"), login(&broker, "alice"));
    admin.create("t", 1, &[]);
    let heartbeat = HeartbeatRequest::default().with_group_id(group(""));
    let leave = LeaveGroupRequest::default().with_group_id(group(""));
    let sync = SyncGroupRequest::default().with_group_id(group(""));
    let codes = |client: &mut Client| {
        [
            client.call(4, &heartbeat).error_code,
            client.call(4, &leave).error_code,
            client.call(4, &sync).error_code,
        ]
    };
    assert_eq!(codes(&mut alice), [GROUP; 3]);
    assert_eq!(codes(&mut admin), [ErrorCode::INVALID_GROUP_ID.code(); 3]);
    // Version 1 has no latest timestamp (-3).
    let partitions = vec![ListOffsetsPartition::default().with_timestamp(-3)];
    let wanted = ListOffsetsTopic::default().with_name(topic("t")).with_partitions(partitions);
    let offsets = ListOffsetsRequest::default().with_topics(vec![wanted]);
    let code = |client: &mut Client| client.call(1, &offsets).topics[0].partitions[0].error_code;
    assert_eq!((code(&mut alice), code(&mut admin)), (TOPIC, ErrorCode::UNSUPPORTED_VERSION.code()));
}
