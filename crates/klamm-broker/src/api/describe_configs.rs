//! `DescribeConfigs` of topics and of this broker, with sources and synonyms (KIP-226).
//!
//! Of the several broker settings that may stand behind one of a topic (`log.retention.ms`, `.minutes`, `.hours`) only the
//! first is listed. Documentation texts are not told.

use klamm_kafka::{ErrorCode, ValueType};
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use klamm_wire::protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::shape::{BOOL, INT8, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::node::{ConfigResource, Node};
use crate::settings::Described;

/// The first version with the type of a value (KIP-569).
const TYPES: i16 = 3;

pub(crate) struct DescribeConfigs;

impl Handler for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    type Response = DescribeConfigsResponse;

    const REQUEST: Shape =
        Shape { flexible: 4, fields: &[structs(&[INT8, TEXT, plain(&TEXT)]), BOOL, BOOL.since(3)] };

    async fn handle(call: &Call<'_>, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let synonyms = request.include_synonyms;
        respond(request, |wanted| {
            let keys = wanted.configuration_keys.as_ref();
            let all = describe(call.node, wanted)?;
            let asked = all
                .into_iter()
                .filter(|described| keys.is_none_or(|keys| keys.iter().any(|key| **key == *described.name)));
            Ok(asked.map(|described| result(&described, synonyms, call.version)).collect())
        })
    }

    fn refuse(_: &Call<'_>, request: DescribeConfigsRequest, error: ErrorCode) -> DescribeConfigsResponse {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn describe(node: &Node, wanted: &DescribeConfigsResource) -> Result<Vec<Described>, Refusal> {
    let broker = node.topics.broker_settings();
    match node.config_resource(wanted.resource_type, &wanted.resource_name)? {
        ConfigResource::Topic(topic) => Ok(broker.describe_topic(&topic.values())),
        ConfigResource::ThisBroker => Ok(broker.describe()),
        // Asked for the defaults of all brokers, Kafka tells only what is set there.
        ConfigResource::AllBrokers => Ok(broker.describe_dynamic_defaults()),
    }
}

fn respond(
    request: DescribeConfigsRequest,
    one: impl Fn(&DescribeConfigsResource) -> Result<Vec<DescribeConfigsResourceResult>, Refusal>,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|wanted| {
        let result = match one(&wanted) {
            Ok(configs) => DescribeConfigsResult::default().with_configs(configs),
            Err(refusal) => DescribeConfigsResult::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        };
        result.with_resource_type(wanted.resource_type).with_resource_name(wanted.resource_name)
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn result(described: &Described, synonyms: bool, version: i16) -> DescribeConfigsResourceResult {
    let synonyms = described.synonyms.iter().filter(|synonym| synonyms && synonym.value.is_some());
    let synonyms = synonyms.map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(text(synonym.name))
            .with_value(synonym.value.as_deref().map(text))
            .with_source(synonym.source as i8)
    });
    let result = DescribeConfigsResourceResult::default()
        .with_name(text(described.name))
        .with_value(described.value().map(text))
        .with_read_only(described.read_only)
        .with_config_source(described.source() as i8)
        .with_synonyms(synonyms.collect());
    if version < TYPES {
        return result;
    }
    result.with_config_type(match described.value_type {
        ValueType::Bool => 1,
        ValueType::Text => 2,
        ValueType::Int => 3,
        ValueType::Long => 5,
        ValueType::Double => 6,
        ValueType::List => 7,
    })
}
