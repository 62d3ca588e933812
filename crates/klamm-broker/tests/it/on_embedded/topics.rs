//! Topics, partitions, settings.

use klamm_broker::{Broker, BrokerConfig};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::{
    CreatePartitionsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest, MetadataResponse,
};

use crate::client::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn metadata(client: &mut Client, names: &[&str]) -> MetadataResponse {
    let topics = names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(topic(name))));
    client.call(12, &MetadataRequest::default().with_topics(Some(topics.collect())))
}

fn describe(client: &mut Client, kind: i8, resource: &str, name: &str) -> DescribeConfigsResourceResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configuration_keys(Some(vec![text(name)]));
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    client.call(4, &request).results.remove(0).configs.remove(0)
}

fn alter(
    client: &mut Client,
    kind: i8,
    resource: &str,
    operation: i8,
    name: &str,
    value: Option<&str>,
) -> i16 {
    let change = AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(operation)
        .with_value(value.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configs(vec![change]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(1, &request).responses[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_once_and_grow() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.create("t", 2, &[]), 0);
    assert_eq!(client.create("t", 2, &[]), ErrorCode::TOPIC_ALREADY_EXISTS.code());
    assert_eq!(client.create("with space", 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION.code());
    assert_eq!(client.create("a.b", 1, &[]), 0);
    assert_eq!(client.create("a_b", 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION.code());
    assert_eq!(client.create("x", 0, &[]), ErrorCode::INVALID_PARTITIONS.code());
    assert_eq!(client.create("x", 10_001, &[]), ErrorCode::POLICY_VIOLATION.code());
    assert_eq!(client.create("x", 1, &[("retention.hours", "1")]), ErrorCode::INVALID_CONFIG.code());
    let refused = client.create_response("x", 1, 3, &[]).topics.remove(0);
    assert_eq!(refused.error_code, ErrorCode::INVALID_REPLICATION_FACTOR.code());
    assert!(refused.error_message.unwrap().contains("only 1 broker(s)"));

    let mut grow = |count| {
        let topic =
            CreatePartitionsTopic::default().with_name(topic("t")).with_count(count).with_assignments(None);
        client.call(3, &CreatePartitionsRequest::default().with_topics(vec![topic])).results[0].error_code
    };
    assert_eq!(grow(2), ErrorCode::INVALID_PARTITIONS.code());
    assert_eq!(grow(5), 0);
    let answer = metadata(&mut client, &["t"]);
    assert_eq!(answer.topics[0].partitions.len(), 5);
    assert_eq!(answer.cluster_id.as_deref(), Some(broker.cluster_id()));
    assert_eq!(client.produce("t", 4, batch(&["new partition"])).error_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_has_none_of_the_old_records() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    client.produce("t", 0, batch(&["old"]));
    let before = metadata(&mut client, &["t"]).topics[0].topic_id;
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
    assert_eq!(client.call(5, &delete).responses[0].error_code, 0);
    assert_eq!(client.call(5, &delete).responses[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code());
    client.create("t", 1, &[]);
    assert_ne!(metadata(&mut client, &["t"]).topics[0].topic_id, before);
    assert_eq!(client.values("t", 0, 0), Vec::<String>::new());
    assert_eq!(client.produce("t", 0, batch(&["new"])).base_offset, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_topics_are_created_on_demand_only_where_that_is_allowed() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let answer = metadata(&mut client, &["wanted"]);
    assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions.len()), (0, 1));

    let mut config = BrokerConfig::default();
    config.auto_create_topics = false;
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let error = metadata(&mut client, &["wanted"]).topics[0].error_code;
    assert_eq!(error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code());
    let all = client.call(12, &MetadataRequest::default().with_topics(None));
    assert!(all.topics.is_empty());
    let id = MetadataRequestTopic::default()
        .with_topic_id("00000000-0000-4000-8000-000000000000".parse().unwrap());
    let request = MetadataRequest::default().with_topics(Some(vec![id.with_name(None)]));
    assert_eq!(client.call(12, &request).topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_told_with_their_source_and_changed_while_it_runs() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[("retention.ms", "1000")]);
    let own = describe(&mut client, TOPIC, "t", "retention.ms");
    assert_eq!((own.value.as_deref(), own.config_source, own.config_type), (Some("1000"), 1, 5));
    let synonyms: Vec<_> = own.synonyms.iter().map(|s| (s.name.to_string(), s.source)).collect();
    assert_eq!(synonyms, [("retention.ms".to_owned(), 1)], "Kafka's default is in hours, and not told");

    // A broker's dynamic default reaches the topics, and what was set for the topic outranks it.
    assert_eq!(alter(&mut client, BROKER, "", 0, "message.max.bytes", Some("100")), 0);
    let inherited = describe(&mut client, TOPIC, "t", "max.message.bytes");
    assert_eq!((inherited.value.as_deref(), inherited.config_source), (Some("100"), 3));
    let large = || batch(&[&"x".repeat(200)]);
    assert_eq!(client.produce("t", 0, large()).error_code, ErrorCode::MESSAGE_TOO_LARGE.code());
    assert_eq!(alter(&mut client, TOPIC, "t", 0, "max.message.bytes", Some("1000")), 0);
    assert_eq!(client.produce("t", 0, large()).error_code, 0);
    assert_eq!(alter(&mut client, TOPIC, "t", 1, "max.message.bytes", None), 0);
    assert_eq!(client.produce("t", 0, large()).error_code, ErrorCode::MESSAGE_TOO_LARGE.code());

    assert_eq!(alter(&mut client, TOPIC, "t", 2, "cleanup.policy", Some("compact")), 0);
    let policy = describe(&mut client, TOPIC, "t", "cleanup.policy");
    assert_eq!(policy.value.as_deref(), Some("delete,compact"));
    assert_eq!(alter(&mut client, TOPIC, "t", 3, "cleanup.policy", Some("delete")), 0);
    assert_eq!(describe(&mut client, TOPIC, "t", "cleanup.policy").value.as_deref(), Some("compact"));
    let invalid = ErrorCode::INVALID_CONFIG.code();
    assert_eq!(alter(&mut client, TOPIC, "t", 0, "min.insync.replicas", Some("0")), invalid);
    assert_eq!(alter(&mut client, TOPIC, "t", 2, "retention.ms", Some("1")), invalid);
    let read_only = alter(&mut client, BROKER, "1", 0, "num.partitions", Some("2"));
    assert_eq!(read_only, ErrorCode::INVALID_REQUEST.code());
    let node = describe(&mut client, BROKER, "1", "node.id");
    assert_eq!((node.value.as_deref(), node.config_source, node.read_only), (Some("1"), 4, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_deleted_up_to_an_offset() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    client.produce("t", 0, batch(&["a", "b", "c"]));
    let mut delete = |offset| {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
        let answer = client.call(2, &DeleteRecordsRequest::default().with_topics(vec![topic]));
        (answer.topics[0].partitions[0].error_code, answer.topics[0].partitions[0].low_watermark)
    };
    assert_eq!(delete(2), (0, 2));
    assert_eq!(delete(9), (ErrorCode::OFFSET_OUT_OF_RANGE.code(), -1));
    assert_eq!(delete(-1), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_one_broker_that_says_what_it_is() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let answer = client.call(1, &DescribeClusterRequest::default());
    assert!(answer.cluster_id.starts_with("klamm-embedded-"), "{:?}", answer.cluster_id);
    assert_eq!((answer.brokers.len(), answer.controller_id), (1, answer.brokers[0].broker_id));
    let controllers = client.call(1, &DescribeClusterRequest::default().with_endpoint_type(2));
    assert_eq!(controllers.error_code, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE.code());
}
