//! Classic groups over the protocol, and committed offsets.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use klamm_broker::{Broker, BrokerConfig, Clock};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use klamm_wire::protocol::messages::leave_group_request::MemberIdentity;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm_wire::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use klamm_wire::protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest,
};

use crate::client::*;

fn group() -> GroupId {
    GroupId(text("g"))
}

fn join(client: &mut Client, member_id: &str) -> JoinGroupResponse {
    join_for(client, member_id, 10_000)
}

fn join_for(client: &mut Client, member_id: &str, session_timeout_ms: i32) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"subscription"));
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(session_timeout_ms)
        .with_rebalance_timeout_ms(30_000)
        .with_member_id(text(member_id))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    client.call(9, &request)
}

/// Joins as a new member: the first answer only hands out the id.
fn join_anew(client: &mut Client) -> JoinGroupResponse {
    join_anew_for(client, 10_000)
}

pub fn join_anew_for(client: &mut Client, session_timeout_ms: i32) -> JoinGroupResponse {
    let answer = join(client, "");
    assert_eq!(answer.error_code, ErrorCode::MEMBER_ID_REQUIRED.code());
    join_for(client, &answer.member_id, session_timeout_ms)
}

pub fn sync(
    client: &mut Client,
    joined: &JoinGroupResponse,
    assignments: &[(&str, &'static str)],
) -> (i16, Bytes) {
    let assignments = assignments.iter().map(|(member, part)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from_static(part.as_bytes()))
    });
    let request = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(assignments.collect());
    let answer = client.call(5, &request);
    (answer.error_code, answer.assignment)
}

pub fn heartbeat(client: &mut Client, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    client.call(4, &request).error_code
}

fn commit(client: &mut Client, generation: i32, member: &str, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("note")));
    let topic = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member))
        .with_topics(vec![topic]);
    client.call(9, &request).topics[0].partitions[0].error_code
}

fn committed(client: &mut Client) -> i64 {
    let topic = OffsetFetchRequestTopics::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let wanted = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topic]));
    let answer = client.call(9, &OffsetFetchRequest::default().with_groups(vec![wanted]));
    answer.groups[0].topics[0].partitions[0].committed_offset
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_rebalance_and_one_takes_over_when_the_other_leaves() {
    let broker = start().await;
    let (mut a, mut b) = (Client::connect(&broker.bootstrap()), Client::connect(&broker.bootstrap()));
    let alone = join_anew(&mut a);
    assert_eq!((alone.error_code, alone.generation_id), (0, 1));
    assert_eq!(sync(&mut a, &alone, &[(&alone.member_id, "all")]), (0, Bytes::from_static(b"all")));

    let joining = thread::spawn(move || (join_anew(&mut b), b));
    eventually("the rebalance", || heartbeat(&mut a, &alone) == ErrorCode::REBALANCE_IN_PROGRESS.code());
    let leader = join(&mut a, &alone.member_id);
    let (follower, mut b) = joining.join().unwrap();
    assert_eq!((leader.generation_id, follower.generation_id), (2, 2));
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    assert_eq!(follower.leader, leader.member_id);
    let waiting = thread::spawn({
        let follower = follower.clone();
        move || (sync(&mut b, &follower, &[]), b)
    });
    let parts = [(&*leader.member_id, "half"), (&*follower.member_id, "other half")];
    assert_eq!(sync(&mut a, &leader, &parts).1, "half");
    let (answer, mut b) = waiting.join().unwrap();
    assert_eq!(answer.1, "other half");

    let gone = MemberIdentity::default().with_member_id(leader.member_id.clone());
    let leave = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![gone]);
    assert_eq!(a.call(5, &leave).members[0].error_code, 0);
    assert_eq!(heartbeat(&mut b, &follower), ErrorCode::REBALANCE_IN_PROGRESS.code());
    let alone = join(&mut b, &follower.member_id);
    assert_eq!((alone.generation_id, &alone.leader), (3, &follower.member_id));
    assert_eq!(heartbeat(&mut a, &leader), ErrorCode::UNKNOWN_MEMBER_ID.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_member_is_out_when_its_session_ends() {
    let clock = Clock::held(NOW);
    let mut config = BrokerConfig::default();
    config.clock = clock.clone();
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let joined = join_anew(&mut client);
    sync(&mut client, &joined, &[]);
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(heartbeat(&mut client, &joined), 0);
    clock.advance(Duration::from_millis(10_000));
    eventually("the end of the session", || {
        let request = DescribeGroupsRequest::default().with_groups(vec![group()]);
        &*client.call(5, &request).groups[0].group_state == "Empty"
    });
    assert_eq!(heartbeat(&mut client, &joined), ErrorCode::UNKNOWN_MEMBER_ID.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_by_members_or_while_the_group_is_empty() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    assert_eq!(committed(&mut client), -1);
    assert_eq!(commit(&mut client, -1, "", 5), 0, "from outside");
    assert_eq!(commit(&mut client, 1, "x", 6), ErrorCode::UNKNOWN_MEMBER_ID.code());
    let joined = join_anew(&mut client);
    assert_eq!(commit(&mut client, 1, &joined.member_id, 7), ErrorCode::REBALANCE_IN_PROGRESS.code());
    sync(&mut client, &joined, &[]);
    assert_eq!(commit(&mut client, 1, &joined.member_id, 8), 0);
    assert_eq!(commit(&mut client, 0, &joined.member_id, 9), ErrorCode::ILLEGAL_GENERATION.code());
    assert_eq!(commit(&mut client, -1, "", 10), ErrorCode::UNKNOWN_MEMBER_ID.code());
    assert_eq!(committed(&mut client), 8);

    let all = OffsetFetchRequest::default().with_group_id(group()).with_topics(None);
    let answer = client.call(7, &all);
    assert_eq!(answer.topics[0].partitions[0].metadata.as_deref(), Some("note"));
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_found_listed_described_and_deleted() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let keys = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
    let coordinator = client.call(4, &keys).coordinators.remove(0);
    assert_eq!(format!("{}:{}", &*coordinator.host, coordinator.port), broker.bootstrap());

    let joined = join_anew(&mut client);
    sync(&mut client, &joined, &[(&joined.member_id, "part")]);
    commit(&mut client, 1, &joined.member_id, 1);
    let listed = client.call(5, &ListGroupsRequest::default()).groups.remove(0);
    let listed = (listed.group_id.to_string(), listed.group_state.to_string(), listed.group_type.to_string());
    assert_eq!(listed, ("g".into(), "Stable".into(), "classic".into()));
    let none = ListGroupsRequest::default().with_states_filter(vec![text("Empty")]);
    assert!(client.call(5, &none).groups.is_empty());
    let described =
        client.call(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).groups.remove(0);
    assert_eq!((&*described.protocol_data, described.members.len()), ("range", 1));
    assert_eq!(described.members[0].member_assignment, "part");

    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    assert_eq!(client.call(2, &delete).results[0].error_code, ErrorCode::NON_EMPTY_GROUP.code());
    let gone = MemberIdentity::default().with_member_id(joined.member_id.clone());
    client.call(5, &LeaveGroupRequest::default().with_group_id(group()).with_members(vec![gone]));
    assert_eq!(client.call(2, &delete).results[0].error_code, 0);
    assert_eq!(client.call(2, &delete).results[0].error_code, ErrorCode::GROUP_ID_NOT_FOUND.code());
    assert_eq!(committed(&mut client), -1);
    let unknown =
        client.call(6, &DescribeGroupsRequest::default().with_groups(vec![group()])).groups.remove(0);
    assert_eq!(unknown.error_code, ErrorCode::GROUP_ID_NOT_FOUND.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stable_group_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::held(NOW);
    let config = || kept_and_held(dir.path(), &clock);
    let broker = Broker::start(config()).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let joined = join_anew(&mut client);
    assert_eq!(sync(&mut client, &joined, &[(&joined.member_id, "all")]).0, 0);
    // Dropped as by a kill: nothing is flushed or marked.
    drop(broker);

    let broker = Broker::start(config()).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let described =
        client.call(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).groups.remove(0);
    assert_eq!((&*described.group_state, &*described.protocol_data), ("Stable", "range"));
    assert_eq!(described.members[0].member_metadata, "subscription");
    assert_eq!(heartbeat(&mut client, &joined), 0, "it need not join again");
    assert_eq!(sync(&mut client, &joined, &[]), (0, Bytes::from_static(b"all")));
    clock.advance(Duration::from_secs(10));
    // Not by a heartbeat: that would prolong it.
    eventually("the end of the session", || {
        let request = DescribeGroupsRequest::default().with_groups(vec![group()]);
        &*client.call(5, &request).groups[0].group_state == "Empty"
    });
    drop(broker);

    let broker = Broker::start(config()).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let described =
        client.call(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).groups.remove(0);
    assert_eq!((&*described.group_state, described.members.len()), ("Empty", 0));
    assert_eq!(join_anew(&mut client).generation_id, 3, "generations go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_takes_nobody_in() {
    let mut config = BrokerConfig::default();
    config.group_max_size = 1;
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let joined = join_anew(&mut client);
    sync(&mut client, &joined, &[]);
    assert_eq!(join(&mut client, "").error_code, ErrorCode::GROUP_MAX_SIZE_REACHED.code());
    assert_eq!(heartbeat(&mut client, &joined), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_can_be_ended_on_purpose() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let joined = join_anew(&mut client);
    assert_eq!(sync(&mut client, &joined, &[(&joined.member_id, "all")]).0, 0);
    assert_eq!(heartbeat(&mut client, &joined), 0);
    assert!(!broker.expire_session("g", "somebody else") && !broker.expire_session("h", &joined.member_id));
    assert!(broker.expire_session("g", &joined.member_id));
    assert_eq!(heartbeat(&mut client, &joined), ErrorCode::UNKNOWN_MEMBER_ID.code());
    assert_ne!(join_anew(&mut client).member_id, joined.member_id);
}
