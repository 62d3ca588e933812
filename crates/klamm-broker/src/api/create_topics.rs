//! `CreateTopics`: with one node every replication factor above 1 is refused, as Kafka does with one broker.

use std::collections::HashMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::create_topics_request::CreatableTopic;
use klamm_wire::protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use klamm_wire::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use uuid::Uuid;

use super::shape::{BOOL, INT16, INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::node::NODE_ID;
use crate::settings::Values;
use crate::topics::MAX_PARTITIONS_A_REQUEST;

/// The first version that tells the configuration and the number of partitions (KIP-525).
const CONFIGS: i16 = 5;

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
        let mut times = HashMap::<TopicName, usize>::new();
        request.topics.iter().for_each(|topic| *times.entry(topic.name.clone()).or_default() += 1);
        let mut created_partitions = 0;
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            // A name that is there twice is answered once.
            let Some(count) = times.remove(&topic.name) else { continue };
            let result = match count {
                1 => create(call, &topic, request.validate_only, &mut created_partitions),
                _ => Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.")),
            };
            results.push(result.unwrap_or_else(failed).with_name(topic.name));
        }
        CreateTopicsResponse::default().with_topics(results)
    }

    fn refuse(_: &Call<'_>, request: CreateTopicsRequest, error: ErrorCode) -> CreateTopicsResponse {
        let refused =
            |topic: CreatableTopic| failed(Refusal::new(error, error.meaning())).with_name(topic.name);
        CreateTopicsResponse::default().with_topics(request.topics.into_iter().map(refused).collect())
    }
}

fn create(
    call: &Call<'_>,
    topic: &CreatableTopic,
    validate_only: bool,
    created_partitions: &mut usize,
) -> Result<CreatableTopicResult, Refusal> {
    let topics = &call.node.topics;
    let partitions = partition_count(topic, call.node.default_partitions())?;
    check_replication(topic)?;
    let mut values = Values::new();
    for config in &topic.configs {
        let value = config.value.as_ref().ok_or_else(|| {
            let message = format!("Null value not supported for topic configs: {}", &*config.name);
            Refusal::new(ErrorCode::INVALID_CONFIG, message)
        })?;
        values.insert(config.name.to_string(), value.to_string());
    }
    topics.check_create(&topic.name, partitions, &values)?;
    *created_partitions += partitions;
    if *created_partitions > MAX_PARTITIONS_A_REQUEST {
        let message = format!("Excessively large number of partitions per request: {created_partitions}");
        return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
    }
    let id = match validate_only {
        true => Uuid::nil(),
        false => topics.create(&topic.name, partitions, values.clone())?.id,
    };
    let result = CreatableTopicResult::default().with_topic_id(id);
    if call.version < CONFIGS {
        return Ok(result.with_configs(None));
    }
    let configs = topics.broker_settings().describe_topic(&values).into_iter().map(|described| {
        CreatableTopicConfigs::default()
            .with_name(text(described.name))
            .with_value(described.value().map(text))
            .with_read_only(described.read_only)
            .with_config_source(described.source() as i8)
    });
    Ok(result
        .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
        .with_replication_factor(1)
        .with_configs(Some(configs.collect())))
}

fn partition_count(topic: &CreatableTopic, default: usize) -> Result<usize, Refusal> {
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let message = "A manual partition assignment was specified, but numPartitions or \
                           replicationFactor was not set to -1.";
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
        return Ok(topic.assignments.len());
    }
    match topic.num_partitions {
        -1 => Ok(default),
        count => usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
            let message = "Number of partitions was set to an invalid non-positive value.";
            Refusal::new(ErrorCode::INVALID_PARTITIONS, message)
        }),
    }
}

fn check_replication(topic: &CreatableTopic) -> Result<(), Refusal> {
    let wrong = |message: String| Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
    match topic.replication_factor {
        -1 | 1 => {}
        ..=0 => {
            return wrong(
                "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
            );
        }
        factor => {
            return wrong(format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} \
                 cannot be reached because only 1 broker(s) are registered."
            ));
        }
    }
    let mut indexes: Vec<_> = topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
    indexes.sort_unstable();
    let consecutive = indexes.iter().zip(0..).all(|(index, expected)| *index == expected);
    let here = topic.assignments.iter().all(|a| a.broker_ids.iter().map(|id| id.0).eq([NODE_ID]));
    if consecutive && here {
        return Ok(());
    }
    let message = "partitions must be numbered from 0 and be assigned to the only broker";
    Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
}

fn failed(refusal: Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_error_code(refusal.code.code())
        .with_error_message(Some(text(refusal.message)))
        .with_configs(None)
}
