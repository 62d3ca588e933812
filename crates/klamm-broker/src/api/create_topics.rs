//! `CreateTopics`: with one node every replication factor above 1 is refused, as Kafka does with one broker.

use std::collections::{BTreeSet, HashSet};

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::create_topics_request::CreatableTopic;
use klamm_wire::protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use klamm_wire::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use uuid::Uuid;

use super::repeated::repeated;
use super::rights::Right;
use super::shape::{BOOL, INT16, INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, names, text};
use crate::error::Refusal;
use crate::placement::check_assignment;
use crate::settings::{Values, check_topic_values};
use crate::topics::MAX_PARTITIONS_A_REQUEST;

/// The first version that tells the configuration and the number of partitions (KIP-525).
const CONFIGS: i16 = 5;

/// The topic of Kafka's metadata log, which nobody creates.
const METADATA_TOPIC: &str = "__cluster_metadata";

pub(crate) struct CreateTopics;

impl Handler for CreateTopics {
    type Request = CreateTopicsRequest;
    type Response = CreateTopicsResponse;

    const REQUEST: Shape = Shape {
        flexible: 5,
        fields: &[
            structs(&[TEXT, INT32, INT16, structs(&[INT32, plain(&INT32)]), structs(&[TEXT, TEXT])]),
            INT32,
            BOOL,
        ],
    };

    async fn handle(call: &Call<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let twice = repeated(request.topics.iter().map(|topic| topic.name.clone()));
        let once = |topic: &&CreatableTopic| {
            let counts = !twice.contains(&topic.name) && *topic.name != *METADATA_TOPIC;
            counts && may_create(call, &topic.name)
        };
        let default = call.node.default_partitions();
        let total =
            request.topics.iter().filter(once).map(|topic| wanted_partitions(topic, default)).sum::<usize>();
        if total > MAX_PARTITIONS_A_REQUEST {
            let refusal = Refusal::new(
                ErrorCode::POLICY_VIOLATION,
                "Excessively large number of partitions per request.",
            );
            return respond(request, |_| Err(refusal.clone()));
        }
        let validate_only = request.validate_only;
        respond(request, |topic| {
            let refused = |message: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            if twice.contains(&topic.name) {
                refused("Duplicate topic name.")
            } else if *topic.name == *METADATA_TOPIC {
                refused("Creation of internal topic __cluster_metadata is prohibited.")
            } else if !may_create(call, &topic.name) {
                Err(Refusal::new(ErrorCode::TOPIC_AUTHORIZATION_FAILED, "Authorization failed."))
            } else {
                create(call, topic, validate_only)
            }
        })
    }

    fn throttled(response: &mut CreateTopicsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(_: &Call<'_>, request: &CreateTopicsRequest) -> Vec<String> {
        names(request.topics.iter().map(|topic| &topic.name))
    }

    fn refuse(_: &Call<'_>, request: CreateTopicsRequest, error: ErrorCode) -> CreateTopicsResponse {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

/// Answers each topic once, even a name that is there twice.
fn respond(
    request: CreateTopicsRequest,
    one: impl Fn(&CreatableTopic) -> Result<CreatableTopicResult, Refusal>,
) -> CreateTopicsResponse {
    let mut answered = HashSet::new();
    let topics = request.topics.iter().filter(|topic| answered.insert(&topic.name)).map(|topic| {
        let failed = |refusal: Refusal| {
            CreatableTopicResult::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message)))
                .with_configs(Some(Vec::new()))
        };
        one(topic).unwrap_or_else(failed).with_name(topic.name.clone())
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn may_create(call: &Call<'_>, name: &str) -> bool {
    call.check_cluster(Right::Create).is_ok() || call.check_topic(Right::Create, name).is_ok()
}

/// The checks in Kafka's order: name, existence, settings, then partitions and replicas.
fn create(
    call: &Call<'_>,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let topics = &call.node.topics;
    let null: Vec<&str> =
        topic.configs.iter().filter(|config| config.value.is_none()).map(|config| &*config.name).collect();
    let values = topic
        .configs
        .iter()
        .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())));
    let values: Values = values.collect();
    topics.check_name(&topic.name)?;
    if !null.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", null.join(","));
        return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
    }
    check_topic_values(&values)?;
    let partitions = partition_count(topic, call.node.default_partitions())?;
    let id = match validate_only {
        // Kafka gives an id here too, which means nothing.
        true => Uuid::new_v4(),
        false => topics.create(&topic.name, partitions, values.clone())?.id,
    };
    let result = CreatableTopicResult::default().with_topic_id(id).with_error_message(None);
    if call.version < CONFIGS {
        return Ok(result);
    }
    if let Err(error) = call.check_topic(Right::DescribeConfigs, &topic.name) {
        return Ok(result.with_topic_config_error_code(error.code()));
    }
    let configs = topics.broker_settings().describe_topic(&values).into_iter().map(|described| {
        // What the topic sets is told as it came here, and as it is read by DescribeConfigs.
        let own = values.get(&described.name).map(String::as_str);
        CreatableTopicConfigs::default()
            .with_name(text(described.name.as_str()))
            .with_value(own.or(described.visible_value()).map(text))
            .with_read_only(described.read_only)
            .with_config_source(described.source() as i8)
    });
    Ok(result
        .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
        .with_replication_factor(1)
        .with_configs(Some(configs.collect())))
}

/// How many partitions the topic asks for, as far as the limit of a request counts them.
fn wanted_partitions(topic: &CreatableTopic, default: usize) -> usize {
    match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len(),
        -1 => default,
        count => usize::try_from(count).unwrap_or(0),
    }
}

fn partition_count(topic: &CreatableTopic, default: usize) -> Result<usize, Refusal> {
    if !topic.assignments.is_empty() {
        return check_assignments(topic).map(|()| topic.assignments.len());
    }
    let factor = topic.replication_factor;
    let wrong_factor = |message: String| Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
    match (factor, topic.num_partitions) {
        (..=-2 | 0, _) => wrong_factor(
            "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
        ),
        (_, ..=-2 | 0) => {
            let message = "Number of partitions was set to an invalid non-positive value.";
            Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message))
        }
        (-1 | 1, -1) => Ok(default),
        (-1 | 1, count) => Ok(usize::try_from(count).unwrap_or(default)),
        _ => wrong_factor(format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} \
             cannot be reached because only 1 broker(s) are registered or some brokers have all their log \
             directories cordoned."
        )),
    }
}

fn check_assignments(topic: &CreatableTopic) -> Result<(), Refusal> {
    let not_default = |what: &str| {
        let message = format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
    };
    if topic.replication_factor != -1 {
        return not_default("replication factor");
    }
    if topic.num_partitions != -1 {
        return not_default("numPartitions");
    }
    let refused = |message: String| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    let mut indexes = BTreeSet::new();
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if !indexes.insert(index) {
            return refused(format!("Found multiple manual partition assignments for partition {index}"));
        }
        check_assignment(&assignment.broker_ids)?;
    }
    match indexes.iter().zip(0..).all(|(index, expected)| *index == expected) {
        true => Ok(()),
        false => refused("partitions should be a consecutive 0-based integer sequence".to_owned()),
    }
}
