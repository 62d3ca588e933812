//! `DescribeConfigs` of topics, groups and this broker, with sources and synonyms (KIP-226): every setting that Kafka 4.3.1 has, with
//! Kafka's default where nothing is set, whether or not it has an effect here.
//!
//! The broker has no loggers whose levels could be told. Documentation texts are not told. Settings of clients'
//! metrics are not offered.

use std::collections::HashSet;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use klamm_wire::protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::rights::Right;
use super::shape::{BOOL, INT8, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};
use crate::config_resource::{self, Described as Resource};
use crate::error::Refusal;
use crate::node::Node;
use crate::settings::Described;
use crate::topics::BrokerScope;

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
        let mut seen = HashSet::new();
        let mut request = request;
        // A resource that is there twice is answered once: an answer is no larger than what there is.
        request.resources.retain(|wanted| seen.insert((wanted.resource_type, wanted.resource_name.clone())));
        respond(request, |wanted| {
            let keys = wanted.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
            call.check_config(Right::DescribeConfigs, wanted.resource_type, &wanted.resource_name)?;
            let all = describe(call.node, wanted)?;
            let asked = all
                .into_iter()
                .filter(|described| keys.is_none_or(|keys| keys.iter().any(|key| **key == *described.name)));
            Ok(asked.map(|described| result(&described, synonyms, call.version)).collect())
        })
    }

    fn throttled(response: &mut DescribeConfigsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: DescribeConfigsRequest, error: ErrorCode) -> DescribeConfigsResponse {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn describe(node: &Node, wanted: &DescribeConfigsResource) -> Result<Vec<Described>, Refusal> {
    let broker = node.topics.broker_settings();
    Ok(match config_resource::described(node, wanted.resource_type, &wanted.resource_name)? {
        Resource::Topic(topic) => broker.describe_topic(&topic.values()),
        Resource::Broker(BrokerScope::ThisNode) => broker.describe(),
        // Asked for the defaults of all brokers, Kafka tells only what is set there.
        Resource::Broker(BrokerScope::AllNodes) => broker.describe_dynamic_defaults(),
        Resource::Logger => Vec::new(),
        Resource::Group(group) => broker.describe_group(&node.groups.own_values(&group)),
    })
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
    let sensitive = described.setting_type.is_sensitive();
    let synonyms = described.synonyms.iter().filter(|_| synonyms).map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(text(synonym.name))
            .with_value(synonym.value.as_deref().filter(|_| !sensitive).map(text))
            .with_source(synonym.source as i8)
    });
    let result = DescribeConfigsResourceResult::default()
        .with_name(text(described.name.as_str()))
        .with_value(described.visible_value().map(text))
        .with_read_only(described.read_only)
        .with_config_source(described.source() as i8)
        .with_is_sensitive(sensitive)
        .with_synonyms(synonyms.collect());
    if version < TYPES {
        return result;
    }
    result.with_config_type(described.setting_type as i8)
}
