//! `IncrementalAlterConfigs` (KIP-339): set, delete, and for lists append and subtract. A resource is changed as a whole or,
//! with any error, not at all.

use std::collections::HashSet;

use klamm_kafka::{ErrorCode, topic_config};
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use klamm_wire::protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use klamm_wire::protocol::protocol::StrBytes;

use super::repeated::repeated;
use super::rights::Right;
use super::shape::{BOOL, INT8, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::config_resource::{self, Target};
use crate::error::Refusal;
use crate::node::Node;
use crate::settings::{SettingType, Values, broker_setting};

pub(crate) struct IncrementalAlterConfigs;

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    type Response = IncrementalAlterConfigsResponse;

    const REQUEST: Shape =
        Shape { flexible: 1, fields: &[structs(&[INT8, TEXT, structs(&[TEXT, INT8, TEXT])]), BOOL] };

    async fn handle(call: &Call<'_>, request: IncrementalAlterConfigsRequest) -> Self::Response {
        let validate_only = request.validate_only;
        let named =
            |resource: &AlterConfigsResource| (resource.resource_type, resource.resource_name.clone());
        let twice = repeated(request.resources.iter().map(named));
        respond(request, |resource| {
            if twice.contains(&named(resource)) {
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, TWICE));
            }
            call.check_config(Right::AlterConfigs, resource.resource_type, &resource.resource_name)?;
            alter(call.node, resource, validate_only)
        })
    }

    fn throttled(response: &mut IncrementalAlterConfigsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: IncrementalAlterConfigsRequest, error: ErrorCode) -> Self::Response {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn alter(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    check_keys(resource.configs.iter().map(|config| &config.name))?;
    let null = resource
        .configs
        .iter()
        .filter(|config| config.config_operation != Operation::DELETE && config.value.is_none());
    check_no_null(null.map(|config| &config.name))?;
    let target = config_resource::target(resource.resource_type, &resource.resource_name)?;
    let mut values = config_resource::current(node, target);
    for change in &resource.configs {
        match target {
            Target::Logger => return Err(refuse_logger(change)),
            _ => apply(target, change, &mut values)?,
        }
    }
    config_resource::set(node, target, values, validate_only)
}

/// Kafka says of every name and operation what is wrong with it; no logger exists here.
fn refuse_logger(change: &AlterableConfig) -> Refusal {
    let not_allowed = |what: &str| {
        let message = format!("{what} operation is not allowed for the BROKER_LOGGER resource");
        Refusal::new(ErrorCode::INVALID_REQUEST, message)
    };
    match change.config_operation {
        Operation::SET | Operation::DELETE => {
            let message = format!("Logger {} does not exist!", &*change.name);
            Refusal::new(ErrorCode::INVALID_CONFIG, message)
        }
        Operation::APPEND => not_allowed("APPEND"),
        Operation::SUBTRACT => not_allowed("SUBTRACT"),
        other => {
            let message =
                format!("Unknown operation type {other} is not allowed for the BROKER_LOGGER resource");
            Refusal::new(ErrorCode::INVALID_REQUEST, message)
        }
    }
}

fn apply(target: Target<'_>, change: &AlterableConfig, values: &mut Values) -> Result<(), Refusal> {
    let name = change.name.to_string();
    let value = change.value.as_deref().unwrap_or_default();
    let value = match change.config_operation {
        Operation::SET => value.to_owned(),
        Operation::DELETE => {
            values.remove(&name);
            return Ok(());
        }
        operation @ (Operation::APPEND | Operation::SUBTRACT) => {
            let default = list_default(target, &name).ok_or_else(|| not_a_list(target, &name, operation))?;
            change_list(values.get(&name).map_or(default, String::as_str), value, operation)
        }
        other => {
            let message = format!("Unknown operations type {other}");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
    };
    values.insert(name, value);
    Ok(())
}

/// Kafka's default of a setting that is a list: what is appended to when nothing is set.
fn list_default(target: Target<'_>, name: &str) -> Option<&'static str> {
    let (setting_type, default) = match target {
        Target::Topic(_) => topic_config(name).map(|config| (config.value_type.into(), config.default))?,
        _ => broker_setting(name).map(|s| (s.setting_type, s.default.unwrap_or_default()))?,
    };
    (setting_type == SettingType::List).then_some(default)
}

fn not_a_list(target: Target<'_>, name: &str, operation: i8) -> Refusal {
    let appends = operation == Operation::APPEND;
    let message = match target {
        Target::Topic(_) => {
            let what = if appends { "APPEND" } else { "SUBTRACT" };
            format!("Can't {what} to key {name} because its type is not LIST.")
        }
        _ => {
            let what = if appends { "append" } else { "subtract" };
            format!("Config value {what} is not allowed for config key: {name}")
        }
    };
    Refusal::new(ErrorCode::INVALID_CONFIG, message)
}

/// What Kafka says of a resource that is there twice.
pub(super) const TWICE: &str = "Each resource must appear at most once.";

/// Refuses names that are there twice.
pub(super) fn check_keys<'a>(names: impl IntoIterator<Item = &'a StrBytes>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    if names.into_iter().all(|name| seen.insert(name)) {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::INVALID_REQUEST, "Error due to duplicate config keys"))
}

/// Refuses the names of values that are null.
pub(super) fn check_no_null<'a>(null: impl Iterator<Item = &'a StrBytes>) -> Result<(), Refusal> {
    let names: Vec<&str> = null.map(|name| &**name).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("Null value not supported for : {}", names.join(", "));
    Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
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
