//! Groups of the `consumer` protocol (KIP-848) over the protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use klamm_broker::{Broker, BrokerConfig, Clock};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::consumer_group_describe_response::DescribedGroup;
use klamm_wire::protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    CreatePartitionsRequest, DeleteGroupsRequest, DescribeConfigsRequest, DescribeGroupsRequest, GroupId,
    IncrementalAlterConfigsRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest,
};

use crate::client::*;

mod migration;

fn group() -> GroupId {
    GroupId(text("g"))
}

/// Partitions by topic id, as answers tell them.
type Parts = BTreeMap<String, Vec<i32>>;

pub fn joining(member: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(30_000)
        .with_subscribed_topic_names(Some(topics.iter().map(|name| topic(name)).collect()))
        .with_topic_partitions(Some(Vec::new()))
}

fn staying(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

/// A heartbeat that repeats what the last answer told to have.
pub fn owning(member: &str, last: &ConsumerGroupHeartbeatResponse) -> ConsumerGroupHeartbeatRequest {
    let told = last.assignment.clone().unwrap_or_default().topic_partitions;
    let owned = told
        .into_iter()
        .map(|one| TopicPartitions::default().with_topic_id(one.topic_id).with_partitions(one.partitions));
    staying(member, last.member_epoch).with_topic_partitions(Some(owned.collect()))
}

pub fn beat(client: &mut Client, request: &ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
    client.call(1, request)
}

/// Numbers of partitions told, without topics.
pub fn partitions(answer: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let assignment = answer.assignment.as_ref()?;
    let mut all: Vec<_> =
        assignment.topic_partitions.iter().flat_map(|one| one.partitions.iter().copied()).collect();
    all.sort_unstable();
    Some(all)
}

fn describe(client: &mut Client) -> DescribedGroup {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()]);
    client.call(1, &request).groups.remove(0)
}

fn assigned(described: &DescribedGroup) -> BTreeMap<String, Parts> {
    let parts = |member: &klamm_wire::protocol::messages::consumer_group_describe_response::Member| {
        let topics = member.assignment.topic_partitions.iter();
        topics.map(|one| (one.topic_name.to_string(), one.partitions.clone())).collect()
    };
    described.members.iter().map(|member| (member.member_id.to_string(), parts(member))).collect()
}

fn commit(client: &mut Client, version: i16, member: &str, epoch: i32, partition: i32) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(7)
        .with_committed_metadata(Some(text("")));
    let topic = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(epoch)
        .with_member_id(text(member))
        .with_topics(vec![topic]);
    client.call(version, &request).topics[0].partitions[0].error_code
}

fn fetch(client: &mut Client, member: Option<&str>, epoch: i32) -> (i16, Option<i64>) {
    let topic = OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let wanted = OffsetFetchRequestGroup::default()
        .with_group_id(group())
        .with_member_id(member.map(text))
        .with_member_epoch(epoch)
        .with_topics(Some(vec![topic]));
    let answer = client.call(9, &OffsetFetchRequest::default().with_groups(vec![wanted])).groups.remove(0);
    (answer.error_code, answer.topics.first().map(|topic| topic.partitions[0].committed_offset))
}

async fn held() -> (Broker, Clock) {
    let clock = Clock::held(NOW);
    let mut config = BrokerConfig::default();
    config.clock = clock.clone();
    (Broker::start(config).await.unwrap(), clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_partitions_and_one_takes_over() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 4, &[]);
    let a = beat(&mut client, &joining("a", &["t"]));
    assert_eq!((a.error_code, a.member_epoch, a.heartbeat_interval_ms), (0, 2, 5_000));
    assert_eq!(partitions(&a), Some(vec![0, 1, 2, 3]));
    let b = beat(&mut client, &joining("b", &["t"]));
    assert_eq!((b.member_epoch, partitions(&b)), (3, Some(vec![])));

    let told = beat(&mut client, &owning("a", &a));
    assert_eq!((told.member_epoch, partitions(&told)), (2, Some(vec![0, 1])));
    assert_eq!(&*describe(&mut client).group_state, "Reconciling");
    assert_eq!(beat(&mut client, &owning("a", &told)).member_epoch, 3);
    let got = beat(&mut client, &staying("b", 3));
    assert_eq!(partitions(&got), Some(vec![2, 3]));

    let described = describe(&mut client);
    assert_eq!((&*described.group_state, &*described.assignor_name), ("Stable", "uniform"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (3, 3));
    let parts = |all: &[i32]| Parts::from([("t".to_owned(), all.to_vec())]);
    assert_eq!(
        assigned(&described),
        BTreeMap::from([("a".to_owned(), parts(&[0, 1])), ("b".to_owned(), parts(&[2, 3]))])
    );
    let member = &described.members[0];
    assert_eq!((&*member.client_id, &*member.client_host, member.member_type), ("test", "/127.0.0.1", 1));

    let left = beat(&mut client, &staying("a", -1));
    assert_eq!((left.error_code, left.member_epoch), (0, -1));
    let all = beat(&mut client, &owning("b", &got));
    assert_eq!((all.member_epoch, partitions(&all)), (4, Some(vec![0, 1, 2, 3])));
    assert_eq!(beat(&mut client, &staying("a", 3)).error_code, ErrorCode::UNKNOWN_MEMBER_ID.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_partitions_and_topics_are_assigned_with_the_next_heartbeat() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    assert_eq!(beat(&mut client, &joining("a", &["t", "u"])).member_epoch, 2);
    client.create("u", 1, &[]);
    let came = beat(&mut client, &staying("a", 2));
    assert_eq!((came.member_epoch, partitions(&came)), (3, Some(vec![0, 0])));
    let grow = CreatePartitionsTopic::default().with_name(topic("t")).with_count(3).with_assignments(None);
    client.call(3, &CreatePartitionsRequest::default().with_topics(vec![grow]));
    let grew = beat(&mut client, &staying("a", 3));
    assert_eq!((grew.member_epoch, partitions(&grew)), (4, Some(vec![0, 0, 1, 2])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_brings_the_topics_that_match() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    for name in ["orders-eu", "orders-us", "other"] {
        client.create(name, 1, &[]);
    }
    let matching = |epoch| {
        let regex = Some(text("orders-.*"));
        joining("a", &[])
            .with_member_epoch(epoch)
            .with_subscribed_topic_names(None)
            .with_subscribed_topic_regex(regex)
    };
    assert_eq!(beat(&mut client, &matching(0)).member_epoch, 1, "resolved after this one");
    let answer = beat(&mut client, &matching(0));
    assert_eq!((answer.member_epoch, partitions(&answer)), (2, Some(vec![0, 0])));
    let unsound = matching(0).with_member_id(text("b")).with_subscribed_topic_regex(Some(text("(")));
    let refused = beat(&mut client, &unsound);
    assert_eq!(refused.error_code, ErrorCode::INVALID_REGULAR_EXPRESSION.code());
    assert!(refused.error_message.unwrap().contains("SubscribedTopicRegex `(`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_heartbeat_may_not_say_is_refused_by_name() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let mut refused = |request: ConsumerGroupHeartbeatRequest| {
        let answer = client.call(1, &request);
        (answer.error_code, answer.error_message.unwrap_or_default().to_string())
    };
    let invalid = |why: &str| (ErrorCode::INVALID_REQUEST.code(), why.to_owned());
    assert_eq!(refused(joining("", &["t"])), invalid("MemberId can't be empty."));
    assert_eq!(
        refused(joining("a", &["t"]).with_group_id(GroupId(text(" ")))),
        invalid("GroupId can't be empty.")
    );
    assert_eq!(
        refused(joining("a", &["t"]).with_topic_partitions(None)),
        invalid("TopicPartitions must be empty when (re-)joining.")
    );
    assert_eq!(refused(staying("a", -2)), invalid("InstanceId can't be null."));
    assert_eq!(refused(staying("a", -3)), invalid("MemberEpoch is invalid."));
    let assignor = joining("a", &["t"]).with_server_assignor(Some(text("mine")));
    assert_eq!(refused(assignor).0, ErrorCode::UNSUPPORTED_ASSIGNOR.code());
    assert_eq!(refused(staying("a", 2)).0, ErrorCode::GROUP_ID_NOT_FOUND.code());
    let unnamed = client.call(0, &joining("", &["t"]));
    assert!(!unnamed.member_id.unwrap().is_empty(), "in version 0 the broker makes the id");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_session_and_a_static_member_may_come_back_before() {
    let (broker, clock) = held().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[]);
    let fixed = |id: &str| joining(id, &["t"]).with_instance_id(Some(text("i")));
    beat(&mut client, &fixed("a"));
    assert_eq!(beat(&mut client, &fixed("b")).error_code, ErrorCode::UNRELEASED_INSTANCE_ID.code());
    let away = staying("a", -2).with_instance_id(Some(text("i")));
    assert_eq!(beat(&mut client, &away).member_epoch, -2);
    clock.advance(Duration::from_secs(44));
    let back = beat(&mut client, &fixed("b"));
    assert_eq!((back.member_epoch, partitions(&back)), (2, Some(vec![0, 1])), "no epoch began");
    clock.advance(Duration::from_secs(45));
    eventually("the end of the session", || &*describe(&mut client).group_state == "Empty");
    let gone = staying("b", 2).with_instance_id(Some(text("i")));
    assert_eq!(beat(&mut client, &gone).error_code, ErrorCode::UNKNOWN_MEMBER_ID.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_give_up_partitions_in_time_is_fenced() {
    let (broker, clock) = held().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[]);
    let a = beat(&mut client, &joining("a", &["t"]));
    beat(&mut client, &joining("b", &["t"]));
    beat(&mut client, &owning("a", &a));
    clock.advance(Duration::from_secs(29));
    assert_eq!(beat(&mut client, &owning("a", &a)).error_code, 0);
    clock.advance(Duration::from_secs(1));
    eventually("the end of the rebalance timeout", || describe(&mut client).members.len() == 1);
    assert_eq!(partitions(&beat(&mut client, &staying("b", 3))), Some(vec![0, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_and_fetched_at_the_members_epoch() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[]);
    assert_eq!(commit(&mut client, 9, "a", 2, 0), ErrorCode::GROUP_ID_NOT_FOUND.code());
    assert_eq!(commit(&mut client, 8, "a", 2, 0), ErrorCode::ILLEGAL_GENERATION.code());
    let a = beat(&mut client, &joining("a", &["t"]));
    assert_eq!(commit(&mut client, 9, "a", 2, 0), 0);
    assert_eq!(commit(&mut client, 8, "a", 2, 0), ErrorCode::UNSUPPORTED_VERSION.code());
    assert_eq!(commit(&mut client, 9, "a", 3, 0), ErrorCode::STALE_MEMBER_EPOCH.code());
    assert_eq!(commit(&mut client, 9, "x", 2, 0), ErrorCode::UNKNOWN_MEMBER_ID.code());
    assert_eq!(commit(&mut client, 9, "", -1, 0), ErrorCode::UNKNOWN_MEMBER_ID.code(), "it has members");
    assert_eq!(fetch(&mut client, Some("a"), 2), (0, Some(7)));
    assert_eq!(fetch(&mut client, Some("a"), 3), (ErrorCode::STALE_MEMBER_EPOCH.code(), None));
    assert_eq!(fetch(&mut client, Some("x"), 2), (ErrorCode::UNKNOWN_MEMBER_ID.code(), None));
    assert_eq!(fetch(&mut client, None, -1), (0, Some(7)), "an administrator");

    // The second member takes a partition; the first one's earlier epoch still holds for what it has kept.
    beat(&mut client, &joining("b", &["t"]));
    let told = beat(&mut client, &owning("a", &a));
    assert_eq!(beat(&mut client, &owning("a", &told)).member_epoch, 3);
    let got = beat(&mut client, &staying("b", 3));
    let (kept, lost) = if partitions(&got) == Some(vec![1]) { (0, 1) } else { (1, 0) };
    assert_eq!(commit(&mut client, 9, "a", 2, kept), 0);
    assert_eq!(commit(&mut client, 9, "a", 2, lost), ErrorCode::STALE_MEMBER_EPOCH.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_and_deleted_by_type_and_state() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    beat(&mut client, &joining("a", &["t"]));
    let listed = |client: &mut Client, kind: &str| {
        let request = ListGroupsRequest::default().with_types_filter(vec![text(kind)]);
        let groups = client.call(5, &request).groups;
        groups.iter().map(|g| (g.group_type.to_string(), g.group_state.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut client, "Consumer"), [("consumer".to_owned(), "Stable".to_owned())]);
    assert_eq!(listed(&mut client, "classic"), []);
    let classic =
        client.call(6, &DescribeGroupsRequest::default().with_groups(vec![group()])).groups.remove(0);
    assert_eq!(classic.error_code, ErrorCode::GROUP_ID_NOT_FOUND.code());
    assert_eq!(classic.error_message.as_deref(), Some("Group g is not a classic group."));

    let subscribed = OffsetDeleteRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    let offsets = OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![subscribed]);
    commit(&mut client, 9, "a", 2, 0);
    let delete_offsets = |client: &mut Client| {
        let answer = client.call(0, &offsets);
        (answer.error_code, answer.topics.first().map(|topic| topic.partitions[0].error_code))
    };
    let in_use = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC.code();
    assert_eq!(delete_offsets(&mut client), (0, Some(in_use)));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    assert_eq!(client.call(2, &delete).results[0].error_code, ErrorCode::NON_EMPTY_GROUP.code());
    beat(&mut client, &staying("a", -1));
    assert_eq!(fetch(&mut client, None, -1).1, Some(7));
    assert_eq!(delete_offsets(&mut client), (0, Some(0)));
    assert_eq!(fetch(&mut client, None, -1).1, Some(-1));
    assert_eq!(client.call(2, &delete).results[0].error_code, 0);
    assert_eq!(delete_offsets(&mut client).0, ErrorCode::GROUP_ID_NOT_FOUND.code());
    assert_eq!(describe(&mut client).error_code, ErrorCode::GROUP_ID_NOT_FOUND.code());
}

const GROUP_RESOURCE: i8 = 32;

fn alter(client: &mut Client, name: &str, value: &str) -> (i16, String) {
    let change = AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(GROUP_RESOURCE)
        .with_resource_name(text("g"))
        .with_configs(vec![change]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.call(1, &request).responses.remove(0);
    (answer.error_code, answer.error_message.unwrap_or_default().to_string())
}

fn setting(client: &mut Client, name: &str) -> (String, i8) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(GROUP_RESOURCE)
        .with_resource_name(text("g"))
        .with_configuration_keys(Some(vec![text(name)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let config = client.call(4, &request).results.remove(0).configs.remove(0);
    (config.value.unwrap().to_string(), config.config_source)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_obeys_its_own_settings() {
    let (broker, clock) = held().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let session = "consumer.session.timeout.ms";
    assert_eq!(setting(&mut client, session), ("45000".to_owned(), 5));
    assert_eq!(alter(&mut client, session, "60000"), (0, String::new()));
    assert_eq!(alter(&mut client, "consumer.heartbeat.interval.ms", "6000"), (0, String::new()));
    assert_eq!(setting(&mut client, session), ("60000".to_owned(), 8));
    let (error, why) = alter(&mut client, session, "1000");
    assert_eq!(error, ErrorCode::INVALID_CONFIG.code(), "{why}");
    assert_eq!(alter(&mut client, "retention.ms", "1").1, "Unknown group config name: retention.ms");

    assert_eq!(beat(&mut client, &joining("a", &["t"])).heartbeat_interval_ms, 6_000);
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(beat(&mut client, &staying("a", 2)).error_code, 0, "after 45 s it is still there");
    clock.advance(Duration::from_secs(60));
    eventually("the end of the session", || describe(&mut client).members.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_members_and_assignments_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::held(NOW);
    let config = || kept_and_held(dir.path(), &clock);
    let broker = Broker::start(config()).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 4, &[]);
    let a = beat(&mut client, &joining("a", &["t"]));
    beat(&mut client, &joining("b", &["t"]).with_instance_id(Some(text("i"))));
    let told = beat(&mut client, &owning("a", &a));
    alter(&mut client, "consumer.heartbeat.interval.ms", "7000");
    let before = describe(&mut client);
    // Dropped as by a kill: nothing is flushed or marked.
    drop(broker);

    let broker = Broker::start(config()).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(describe(&mut client), before);
    let done = beat(&mut client, &owning("a", &told));
    assert_eq!((done.error_code, done.member_epoch, done.heartbeat_interval_ms), (0, 3, 7_000));
    let got = beat(&mut client, &staying("b", 3).with_instance_id(Some(text("i"))));
    assert_eq!(partitions(&got), Some(vec![2, 3]));
    clock.advance(Duration::from_secs(45));
    eventually("the end of the sessions", || &*describe(&mut client).group_state == "Empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_expire_when_nobody_uses_them() {
    let clock = Clock::held(NOW);
    let mut config = BrokerConfig::default();
    config.clock = clock.clone();
    config.offsets_retention = Duration::from_secs(60);
    config.offsets_retention_check_interval = Duration::from_secs(10);
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    beat(&mut client, &joining("a", &["t"]));
    assert_eq!(commit(&mut client, 9, "a", 2, 0), 0);
    for _ in 0..10 {
        clock.advance(Duration::from_secs(10));
        assert_eq!(beat(&mut client, &staying("a", 2)).error_code, 0);
    }
    assert_eq!(fetch(&mut client, None, -1).1, Some(7), "a member is subscribed");
    beat(&mut client, &staying("a", -1));
    eventually("the expiry", || {
        clock.advance(Duration::from_secs(10));
        fetch(&mut client, None, -1).1 == Some(-1)
    });
    eventually("the end of the unused group", || {
        clock.advance(Duration::from_secs(10));
        describe(&mut client).error_code == ErrorCode::GROUP_ID_NOT_FOUND.code()
    });
}

/// A request of version 10, which the generated messages do not have: header version 2, then `body`.
fn raw(client: &mut Client, key: i16, body: &[u8]) -> Bytes {
    let mut frame = key.to_be_bytes().to_vec();
    frame.extend(10_i16.to_be_bytes());
    frame.extend(77_i32.to_be_bytes());
    // No client id, no tagged fields.
    frame.extend([0xff, 0xff, 0]);
    frame.extend(body);
    client.send_raw(&frame).unwrap();
    let answer = client.receive_raw().unwrap();
    assert_eq!(answer[..5], [0, 0, 0, 77, 0], "correlation id and no tagged fields");
    // After the header and the throttle time.
    answer.slice(9..)
}

#[tokio::test(flavor = "multi_thread")]
async fn version_10_names_topics_by_their_ids() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let id = client.create_response("t", 1, 1, &[]).topics[0].topic_id;
    let stranger = [7_u8; 16];
    let commit = |topic: &[u8; 16]| {
        let mut body = b"\x02g".to_vec();
        // Epoch -1, no member, no instance, one topic.
        body.extend([0xff, 0xff, 0xff, 0xff, 1, 0, 2]);
        body.extend(topic);
        // One partition, 0, at offset 7, leader epoch -1, no metadata; tagged fields.
        body.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        body
    };
    let committed = |topic: &[u8; 16], error: ErrorCode| {
        let mut body = vec![2];
        body.extend(topic);
        body.extend([2, 0, 0, 0, 0]);
        body.extend(error.code().to_be_bytes());
        body.extend([0, 0, 0]);
        body
    };
    let answer = raw(&mut client, 8, &commit(id.as_bytes()));
    assert_eq!(answer, committed(id.as_bytes(), ErrorCode::NONE));
    let answer = raw(&mut client, 8, &commit(&stranger));
    assert_eq!(answer, committed(&stranger, ErrorCode::UNKNOWN_TOPIC_ID));

    let fetch = |topics: &[u8]| {
        // One group without a member.
        let mut body = b"\x02\x02g\x00\xff\xff\xff\xff".to_vec();
        body.extend(topics);
        body.extend([0, 0, 0]);
        body
    };
    let fetched = |topic: &[u8; 16], offset: i64, error: ErrorCode| {
        let mut body = b"\x02\x02g\x02".to_vec();
        body.extend(topic);
        body.extend([2, 0, 0, 0, 0]);
        body.extend(offset.to_be_bytes());
        body.extend([0xff, 0xff, 0xff, 0xff, 1]);
        body.extend(error.code().to_be_bytes());
        body.extend([0, 0, 0, 0, 0, 0]);
        body
    };
    let one = |topic: &[u8; 16]| [&[2], &topic[..], &[2, 0, 0, 0, 0, 0]].concat();
    let answer = raw(&mut client, 9, &fetch(&one(id.as_bytes())));
    assert_eq!(answer, fetched(id.as_bytes(), 7, ErrorCode::NONE));
    let answer = raw(&mut client, 9, &fetch(&one(&stranger)));
    assert_eq!(answer, fetched(&stranger, -1, ErrorCode::UNKNOWN_TOPIC_ID));
    let answer = raw(&mut client, 9, &fetch(&[0]));
    assert_eq!(answer, fetched(id.as_bytes(), 7, ErrorCode::NONE), "all topics");
}
