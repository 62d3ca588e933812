//! `IncrementalAlterConfigs` (KIP-339): set, delete, and for lists append and subtract. A resource is changed as a whole or,
//! with any error, not at all.

use std::collections::HashSet;

use klamm_kafka::{ErrorCode, TopicConfig, ValueType, topic_config};
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use klamm_wire::protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::shape::{BOOL, INT8, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::node::{ConfigResource, Node};
use crate::settings::{self, Values};

pub(crate) struct IncrementalAlterConfigs;

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    type Response = IncrementalAlterConfigsResponse;

    const REQUEST: Shape =
        Shape { flexible: 1, fields: &[structs(&[INT8, TEXT, structs(&[TEXT, INT8, TEXT])]), BOOL] };

    async fn handle(call: &Call<'_>, request: IncrementalAlterConfigsRequest) -> Self::Response {
        let validate_only = request.validate_only;
        respond(request, |resource| alter(call.node, resource, validate_only))
    }

    fn refuse(_: &Call<'_>, request: IncrementalAlterConfigsRequest, error: ErrorCode) -> Self::Response {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn alter(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let mut names = HashSet::new();
    if !resource.configs.iter().all(|config| names.insert(&config.name)) {
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Error due to duplicate config keys"));
    }
    let target = node.config_resource(resource.resource_type, &resource.resource_name)?;
    let broker = node.topics.broker_settings();
    let mut values = match &target {
        ConfigResource::Topic(topic) => topic.values(),
        ConfigResource::ThisBroker => broker.dynamic_node.clone(),
        ConfigResource::AllBrokers => broker.dynamic_default.clone(),
    };
    for change in &resource.configs {
        let config = match &target {
            ConfigResource::Topic(_) => topic_config(&change.name),
            _ => settings::dynamic_broker_setting(&change.name),
        };
        let config = config.ok_or_else(|| unknown(&target, &change.name))?;
        apply(change, config, &mut values, |config| match &target {
            ConfigResource::Topic(topic) => {
                let all = broker.describe_topic(&topic.values());
                let described = all.into_iter().find(|described| described.name == config.name);
                described.and_then(|d| d.value().map(str::to_owned)).unwrap_or_default()
            }
            _ => config.default.to_owned(),
        })?;
    }
    if validate_only { Ok(()) } else { node.set_config_values(&target, values) }
}

fn apply(
    change: &AlterableConfig,
    config: &TopicConfig,
    values: &mut Values,
    current: impl Fn(&TopicConfig) -> String,
) -> Result<(), Refusal> {
    let name = change.name.to_string();
    let operation = change.config_operation;
    if operation == Operation::DELETE {
        values.remove(&name);
        return Ok(());
    }
    let value = change.value.as_ref().ok_or_else(|| {
        Refusal::new(ErrorCode::INVALID_REQUEST, format!("Null value not supported for : {name}"))
    })?;
    let value = match operation {
        Operation::SET => value.to_string(),
        Operation::APPEND | Operation::SUBTRACT => {
            if config.value_type != ValueType::List {
                let what = if operation == Operation::APPEND { "APPEND" } else { "SUBTRACT" };
                let message = format!("Can't {what} to key {name} because its type is not LIST.");
                return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
            }
            let before = values.get(&name).cloned().unwrap_or_else(|| current(config));
            change_list(&before, value, operation)
        }
        other => {
            let message = format!("Unknown operation type {other}.");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
    };
    settings::check_value(config, &name, &value)?;
    values.insert(name, value);
    Ok(())
}

/// `AlterConfigOp.OpType`.
struct Operation;

impl Operation {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
}

fn change_list(before: &str, change: &str, operation: i8) -> String {
    let items = |text: &str| -> Vec<String> {
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    let (mut list, change) = (items(before), items(change));
    match operation {
        Operation::APPEND => {
            let new: Vec<_> = change.into_iter().filter(|item| !list.contains(item)).collect();
            list.extend(new);
        }
        _ => list.retain(|item| !change.contains(item)),
    }
    list.join(",")
}

pub(super) fn unknown(target: &ConfigResource, name: &str) -> Refusal {
    match target {
        ConfigResource::Topic(_) => settings::unknown_topic_setting(name),
        _ => {
            let message = format!("Cannot update these configs dynamically: {name}");
            Refusal::new(ErrorCode::INVALID_REQUEST, message)
        }
    }
}

fn respond(
    request: IncrementalAlterConfigsRequest,
    one: impl Fn(&AlterConfigsResource) -> Result<(), Refusal>,
) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let response = match one(&resource) {
            Ok(()) => AlterConfigsResourceResponse::default(),
            Err(refusal) => AlterConfigsResourceResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        };
        response.with_resource_type(resource.resource_type).with_resource_name(resource.resource_name)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}
