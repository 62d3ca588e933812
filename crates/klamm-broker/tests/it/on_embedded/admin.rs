//! Admin requests, answered truthfully for one node.

use std::collections::BTreeMap;

use klamm_broker::Broker;
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use klamm_wire::protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use klamm_wire::protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use klamm_wire::protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use klamm_wire::protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use klamm_wire::protocol::messages::elect_leaders_request::TopicPartitions;
use klamm_wire::protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use klamm_wire::protocol::messages::update_features_request::FeatureUpdateKey;
use klamm_wire::protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, ApiVersionsRequest, BrokerId,
    CreateTopicsRequest, DeleteTopicsRequest, DescribeLogDirsRequest, DescribeQuorumRequest,
    DescribeTopicPartitionsRequest, ElectLeadersRequest, ListConfigResourcesRequest,
    ListPartitionReassignmentsRequest, OffsetForLeaderEpochRequest, UpdateFeaturesRequest,
};

use crate::client::*;

const OK: i16 = 0;

fn code(error: ErrorCode) -> i16 {
    error.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_epoch_ends_at_the_log_end_and_a_later_one_is_not_known() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    client.produce("t", 0, batch(&["a", "b"]));
    let mut ask = |partition, current, epoch| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(topic("t")).with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let mut answers = Vec::new();
        for version in 2..=4 {
            let answer = client.call(version, &request).topics.remove(0).partitions.remove(0);
            answers.push((answer.error_code, answer.leader_epoch, answer.end_offset));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        answers[0]
    };
    assert_eq!(ask(0, -1, 0), (OK, 0, 2));
    assert_eq!(ask(0, 0, 7), (OK, -1, -1));
    assert_eq!(ask(0, 1, 0), (code(ErrorCode::UNKNOWN_LEADER_EPOCH), -1, -1));
    assert_eq!(ask(3, -1, 0), (code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), -1, -1));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_dirs_tell_the_bytes_of_each_partition_and_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(kept_in(dir.path())).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[]);
    let stored = batch(&["hello"]);
    client.produce("t", 1, stored.clone());
    for version in 1..=4 {
        let answer = client.call(version, &DescribeLogDirsRequest::default().with_topics(None));
        assert_eq!(answer.error_code, OK);
        let only = &answer.results[0];
        assert_eq!(&*only.log_dir, dir.path().to_str().unwrap());
        let sizes: Vec<_> =
            only.topics[0].partitions.iter().map(|p| (p.partition_index, p.partition_size)).collect();
        assert_eq!(sizes, [(0, 0), (1, stored.len() as i64)]);
        if version >= 4 {
            assert!(only.total_bytes >= only.usable_bytes && only.usable_bytes > 0);
        }
    }
    let topic = DescribableLogDirTopic::default().with_topic(topic("t")).with_partitions(vec![1, 9]);
    let request = DescribeLogDirsRequest::default().with_topics(Some(vec![topic]));
    assert_eq!(client.call(4, &request).results[0].topics[0].partitions.len(), 1);

    let mut alter = |path: &str, partition| {
        let topic = AlterReplicaLogDirTopic::default()
            .with_name(crate::client::topic("t"))
            .with_partitions(vec![partition]);
        let dir = AlterReplicaLogDir::default().with_path(text(path)).with_topics(vec![topic]);
        let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
        client.call(2, &request).results[0].partitions[0].error_code
    };
    assert_eq!(alter(dir.path().to_str().unwrap(), 0), OK);
    assert_eq!(alter("/elsewhere", 0), code(ErrorCode::LOG_DIR_NOT_FOUND));
    let unknown = alter(dir.path().to_str().unwrap(), 9);
    assert_eq!(unknown, code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_election_is_needed_and_no_reassignment_ever_in_progress() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let mut elect = |kind, partition| {
        let wanted = TopicPartitions::default().with_topic(topic("t")).with_partitions(vec![partition]);
        let request =
            ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(Some(vec![wanted]));
        let answer = client.call(2, &request);
        (answer.error_code, answer.replica_election_results[0].partition_result[0].error_code)
    };
    assert_eq!(elect(0, 0), (OK, code(ErrorCode::ELECTION_NOT_NEEDED)));
    assert_eq!(elect(1, 5), (OK, code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)));
    assert_eq!(elect(9, 0), (code(ErrorCode::INVALID_REQUEST), code(ErrorCode::INVALID_REQUEST)));
    let all = client.call(1, &ElectLeadersRequest::default().with_topic_partitions(None));
    assert!(all.replica_election_results.iter().all(|topic| topic.partition_result.is_empty()));

    let mut assign = |replicas: Option<&[i32]>| {
        let replicas = replicas.map(|ids| ids.iter().map(|id| BrokerId(*id)).collect());
        let partition = ReassignablePartition::default().with_replicas(replicas);
        let wanted = ReassignableTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![wanted]);
        client.call(1, &request).responses[0].partitions[0].error_code
    };
    assert_eq!(assign(Some(&[1])), OK);
    assert_eq!(assign(Some(&[1, 2])), code(ErrorCode::INVALID_REPLICA_ASSIGNMENT));
    assert_eq!(assign(None), code(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS));
    let list = client.call(0, &ListPartitionReassignmentsRequest::default().with_topics(None));
    assert_eq!((list.error_code, list.topics.len()), (OK, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quorum_is_this_node() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let mut ask = |version, name: &str| {
        let wanted =
            TopicData::default().with_topic_name(topic(name)).with_partitions(vec![PartitionData::default()]);
        client.call(version, &DescribeQuorumRequest::default().with_topics(vec![wanted]))
    };
    for version in 0..=2 {
        let answer = ask(version, "__cluster_metadata");
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((answer.error_code, partition.error_code, partition.leader_id.0), (OK, OK, 1));
        assert_eq!(partition.current_voters.iter().map(|v| v.replica_id.0).collect::<Vec<_>>(), [1]);
        assert_eq!(answer.nodes.len(), usize::from(version >= 2));
    }
    let other = ask(2, "t").topics[0].partitions[0].error_code;
    assert_eq!(other, code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_told_and_stay_where_they_are() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let answer = client.call(4, &ApiVersionsRequest::default());
    let finalized: BTreeMap<_, _> =
        answer.finalized_features.iter().map(|f| (f.name.to_string(), f.max_version_level)).collect();
    assert_eq!(finalized.get("metadata.version"), Some(&30));
    let old = client.call(3, &ApiVersionsRequest::default());
    assert!(old.supported_features.iter().all(|feature| feature.min_version > 0), "KIP-1022");

    let mut update = |name: &str, level| {
        let update = FeatureUpdateKey::default().with_feature(text(name)).with_max_version_level(level);
        let answer = client.call(2, &UpdateFeaturesRequest::default().with_feature_updates(vec![update]));
        (answer.error_code, answer.error_message.map(|message| message.to_string()))
    };
    assert_eq!(update("metadata.version", 30), (OK, None));
    let (error, why) = update("metadata.version", 99);
    assert_eq!(error, code(ErrorCode::INVALID_UPDATE_VERSION));
    assert!(why.unwrap().ends_with("Local controller 1 only supports versions 7-30"));
    assert!(update("no.such", 1).1.unwrap().ends_with("does not support this feature."));
    assert!(update("metadata.version", 29).1.unwrap().contains("Can't downgrade"));
}

#[tokio::test(flavor = "multi_thread")]
async fn config_resources_are_the_topics_and_this_broker() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let mut list = |version, kinds: &[i8]| {
        let request = ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec());
        let answer = client.call(version, &request);
        let all = answer.config_resources.iter().map(|r| (r.resource_type, r.resource_name.to_string()));
        (answer.error_code, all.collect::<Vec<_>>())
    };
    let named = |kind, name: &str| (kind, name.to_owned());
    assert_eq!(list(1, &[]), (OK, vec![named(8, "1"), named(4, "1"), named(2, "t")]));
    assert_eq!(list(1, &[2]), (OK, vec![named(2, "t")]));
    assert_eq!(list(1, &[99]), (code(ErrorCode::UNSUPPORTED_VERSION), vec![]));
    assert_eq!(list(0, &[]), (OK, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_described_a_page_at_a_time() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("a", 3, &[]);
    client.create("b", 2, &[]);
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let request = DescribeTopicPartitionsRequest::default()
            .with_response_partition_limit(2)
            .with_cursor(cursor.take());
        let answer = client.call(0, &request);
        let page = answer.topics.iter().flat_map(|t| {
            let name = t.name.as_ref().unwrap().to_string();
            t.partitions.iter().map(move |p| format!("{name}{}", p.partition_index))
        });
        pages.push(page.collect::<Vec<_>>());
        let Some(next) = answer.next_cursor else { break };
        cursor = Some(
            Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index),
        );
    }
    assert_eq!(pages, [vec!["a0", "a1"], vec!["a2", "b0"], vec!["b1"]]);

    let wanted = ["b", "missing", "no/slash"].map(|name| TopicRequest::default().with_name(topic(name)));
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(wanted.to_vec())
        .with_response_partition_limit(100)
        .with_cursor(None);
    let errors: Vec<_> = client.call(0, &request).topics.iter().map(|topic| topic.error_code).collect();
    let (unknown, invalid) = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(errors, [OK, code(unknown), code(invalid)]);
    let bad = Cursor::default().with_topic_name(topic("c"));
    let errors: Vec<_> =
        client.call(0, &request.with_cursor(Some(bad))).topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(errors, [code(ErrorCode::INVALID_REQUEST); 3]);
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = assignments.iter().map(|(index, brokers)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(*index)
            .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect())
    });
    CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(assignments.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_with_assigned_partitions_are_checked_as_kafka_does() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let mut create = |topics: Vec<CreatableTopic>, validate_only| {
        let request = CreateTopicsRequest::default().with_topics(topics).with_validate_only(validate_only);
        let answer = client.call(7, &request);
        answer.topics.into_iter().map(|t| (t.error_code, t.num_partitions)).collect::<Vec<_>>()
    };
    let two: &[(i32, &[i32])] = &[(0, &[1]), (1, &[1])];
    assert_eq!(create(vec![assigned("t", two)], true), [(OK, 2)]);
    assert_eq!(create(vec![assigned("t", two)], false), [(OK, 2)], "validate_only created nothing");
    assert_eq!(create(vec![assigned("t", two)], true), [(code(ErrorCode::TOPIC_ALREADY_EXISTS), -1)]);
    let wrong = code(ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    let cases: [&[(i32, &[i32])]; 4] = [&[(0, &[2])], &[(1, &[1])], &[(0, &[1]), (0, &[1])], &[(0, &[])]];
    for case in cases {
        assert_eq!(create(vec![assigned("u", case)], false), [(wrong, -1)], "{case:?}");
    }
    let both = assigned("u", two).with_num_partitions(2);
    assert_eq!(create(vec![both], false), [(code(ErrorCode::INVALID_REQUEST), -1)]);
    let twice = vec![assigned("u", two), assigned("u", two)];
    assert_eq!(create(twice, false), [(code(ErrorCode::INVALID_REQUEST), -1)]);
    let metadata = vec![assigned("__cluster_metadata", two)];
    assert_eq!(create(metadata, false), [(code(ErrorCode::INVALID_REQUEST), -1)]);
    let many = |name: &str| assigned(name, &[]).with_num_partitions(6_000);
    let policy = (code(ErrorCode::POLICY_VIOLATION), -1);
    assert_eq!(create(vec![many("x"), many("y")], false), [policy, policy]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_deleted_by_name_or_by_id_but_said_once() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let id = client.create_response("t", 1, 1, &[]).topics[0].topic_id;
    let by_name = |name: &str| DeleteTopicState::default().with_name(Some(topic(name)));
    let by_id = |id| DeleteTopicState::default().with_name(None).with_topic_id(id);
    let mut delete = |topics: Vec<DeleteTopicState>| {
        let answer = client.call(6, &DeleteTopicsRequest::default().with_topics(topics));
        answer.responses.into_iter().map(|topic| topic.error_code).collect::<Vec<_>>()
    };
    let invalid = code(ErrorCode::INVALID_REQUEST);
    assert_eq!(delete(vec![by_name("t"), by_name("t")]), [invalid]);
    assert_eq!(delete(vec![by_name("t"), by_id(id)]), [invalid]);
    assert_eq!(delete(vec![by_name("t").with_topic_id(id)]), [invalid]);
    assert_eq!(delete(vec![DeleteTopicState::default().with_name(None)]), [invalid]);
    assert_eq!(delete(vec![by_id(id)]), [OK], "none of these deleted it");
    assert_eq!(delete(vec![by_id(id)]), [code(ErrorCode::UNKNOWN_TOPIC_ID)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_partitions_are_created_in_seconds_and_have_no_folders() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(kept_in(dir.path())).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let before = std::time::Instant::now();
    assert_eq!(client.create("large", 10_000, &[]), OK);
    let one_topic = before.elapsed();
    let before = std::time::Instant::now();
    let topics = (0..100).map(|index| assigned(&format!("t{index}"), &[]).with_num_partitions(100));
    let request = CreateTopicsRequest::default().with_topics(topics.collect());
    assert!(client.call(7, &request).topics.iter().all(|topic| topic.error_code == OK));
    let many_topics = before.elapsed();
    println!("one topic {one_topic:?}, a hundred topics {many_topics:?}");
    assert!(one_topic.as_secs() < 5 && many_topics.as_secs() < 5, "{one_topic:?} {many_topics:?}");
    let folders = std::fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), 0);
    assert_eq!(client.produce("large", 9_999, batch(&["last"])).error_code, OK);
}
