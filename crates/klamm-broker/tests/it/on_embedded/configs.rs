//! Settings as Kafka describes and changes them.

use klamm_broker::{Broker, BrokerConfig};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::client::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

fn describe(client: &mut Client, kind: i8, name: &str) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    client.call(4, &request).results.remove(0)
}

fn find(result: &DescribeConfigsResult, name: &str) -> DescribeConfigsResourceResult {
    result.configs.iter().find(|config| *config.name == *name).expect(name).clone()
}

fn resource(kind: i8, name: &str, changes: &[(i8, &str, Option<&str>)]) -> AlterConfigsResource {
    let configs = changes.iter().map(|(operation, name, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    });
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect())
}

fn alter(client: &mut Client, resources: Vec<AlterConfigsResource>, only_check: bool) -> Vec<(i16, String)> {
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(resources).with_validate_only(only_check);
    let answers = client.call(1, &request).responses.into_iter();
    answers.map(|a| (a.error_code, a.error_message.map(|m| m.to_string()).unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_tells_every_setting_that_kafka_has_with_its_source() {
    let mut config = BrokerConfig::default();
    config.set("log.retention.hours", "48").unwrap();
    config.set("num.partitions", "3").unwrap();
    let broker = Broker::start(config).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let all = describe(&mut client, BROKER, "1");
    assert!(all.configs.len() >= 340, "{}", all.configs.len());
    let told = |name: &str| {
        let config = find(&all, name);
        let value = config.value.map(|value| value.to_string());
        (value, config.config_source, config.config_type, config.read_only, config.is_sensitive)
    };
    let value = |text: &str| Some(text.to_owned());
    assert_eq!(told("num.partitions"), (value("3"), 4, 3, true, false));
    assert_eq!(told("num.io.threads"), (value("8"), 5, 3, false, false));
    assert_eq!(told("ssl.key.password"), (None, 5, 9, false, true));
    assert_eq!(told("offsets.topic.replication.factor"), (value("3"), 5, 4, true, false));
    assert_eq!(told("log.retention.ms"), (None, 5, 5, false, false));
    client.create("t", 1, &[]);
    let topic = describe(&mut client, TOPIC, "t");
    let retention = find(&topic, "retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("172800000"), 5));
    assert_eq!(topic.configs.len(), 33);
    assert_eq!(describe(&mut client, BROKER, "").configs.len(), 0, "nothing is set for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_that_do_not_exist_are_refused() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let mut error = |kind, name: &str| {
        let result = describe(&mut client, kind, name);
        (result.error_code, result.error_message.map(|m| m.to_string()).unwrap_or_default())
    };
    let invalid = ErrorCode::INVALID_REQUEST.code();
    assert_eq!(error(TOPIC, "none").0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code());
    assert_eq!(error(TOPIC, "a b").0, ErrorCode::INVALID_TOPIC_EXCEPTION.code());
    let why = "Unexpected broker id, expected 1 or empty string, but received 9";
    assert_eq!(error(BROKER, "9"), (invalid, why.to_owned()));
    assert_eq!(error(BROKER, "x"), (invalid, "Broker id must be an integer, but it is: x".to_owned()));
    assert_eq!(error(BROKER_LOGGER, ""), (invalid, "Broker id must not be empty".to_owned()));
    assert_eq!(error(BROKER_LOGGER, "1"), (0, String::new()));
    assert_eq!(error(16, "metrics").0, invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_whole_or_only_checked_or_refused_in_kafkas_words() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    let two: &[_] = &[(SET, "retention.ms", Some("5")), (SET, "segment.ms", Some("0"))];
    let refused = alter(&mut client, vec![resource(TOPIC, "t", two)], false);
    let why = "Invalid value 0 for configuration segment.ms: Value must be at least 1";
    assert_eq!(refused, [(ErrorCode::INVALID_CONFIG.code(), why.to_owned())]);
    let one: &[_] = &[(SET, "retention.ms", Some("5"))];
    assert_eq!(alter(&mut client, vec![resource(TOPIC, "t", one)], true)[0].0, 0);
    let untouched = find(&describe(&mut client, TOPIC, "t"), "retention.ms");
    assert_eq!((untouched.value.as_deref(), untouched.config_source), (Some("604800000"), 5));

    let mut error = |kind, name: &str, change: (i8, &str, Option<&str>)| {
        alter(&mut client, vec![resource(kind, name, &[change])], false).remove(0)
    };
    let (invalid, config) = (ErrorCode::INVALID_REQUEST.code(), ErrorCode::INVALID_CONFIG.code());
    let unknown = error(TOPIC, "t", (SET, "nope", Some("1")));
    assert_eq!(unknown, (config, "Unknown topic config name: nope".to_owned()));
    assert_eq!(error(TOPIC, "t", (DELETE, "nope", None)).0, 0, "what is not set can be deleted");
    assert_eq!(error(TOPIC, "", (SET, "retention.ms", Some("1"))).0, invalid);
    let missing = error(TOPIC, "none", (SET, "retention.ms", Some("1")));
    let why = "The topic 'none' does not exist.".to_owned();
    assert_eq!(missing, (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code(), why));
    let null = error(TOPIC, "t", (SET, "retention.ms", None));
    assert_eq!(null, (invalid, "Null value not supported for : retention.ms".to_owned()));
    let append = error(BROKER, "1", (APPEND, "message.max.bytes", Some("1")));
    let why = "Config value append is not allowed for config key: message.max.bytes".to_owned();
    assert_eq!(append, (config, why));
    let read_only = error(BROKER, "", (SET, "num.partitions", Some("1")));
    let why = "Cannot update these configs dynamically: [num.partitions]".to_owned();
    assert_eq!(read_only, (invalid, why));
    let logger = error(BROKER_LOGGER, "1", (SET, "kafka", Some("INFO")));
    assert_eq!(logger, (config, "Logger kafka does not exist!".to_owned()));

    let twice = vec![resource(TOPIC, "t", one), resource(TOPIC, "t", one)];
    let why = "Each resource must appear at most once.".to_owned();
    assert_eq!(alter(&mut client, twice, false), vec![(invalid, why); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_back_from_its_topics_creation_as_it_was_sent_and_is_described_as_it_is_read() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    let answer = client.create_response("t", 1, 1, &[("cleanup.policy", "delete, delete")]);
    let configs = answer.topics[0].configs.as_ref().unwrap();
    let told = configs.iter().find(|config| &*config.name == "cleanup.policy").unwrap();
    assert_eq!(told.value.as_deref(), Some("delete, delete"));
    let described = find(&describe(&mut client, TOPIC, "t"), "cleanup.policy");
    assert_eq!(described.value.as_deref(), Some("delete"));
}
