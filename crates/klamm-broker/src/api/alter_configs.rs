//! `AlterConfigs`: the legacy call that replaces everything that is set for a resource.

use klamm_kafka::{ErrorCode, topic_config};
use klamm_wire::protocol::messages::alter_configs_request::AlterConfigsResource;
use klamm_wire::protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use klamm_wire::protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::incremental_alter_configs::unknown;
use super::shape::{BOOL, INT8, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::node::{ConfigResource, Node};
use crate::settings::{self, Values};

pub(crate) struct AlterConfigs;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;
    type Response = AlterConfigsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[INT8, TEXT, structs(&[TEXT, TEXT])]), BOOL] };

    async fn handle(call: &Call<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let validate_only = request.validate_only;
        respond(request, |resource| replace(call.node, resource, validate_only))
    }

    fn refuse(_: &Call<'_>, request: AlterConfigsRequest, error: ErrorCode) -> AlterConfigsResponse {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn replace(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let target = node.config_resource(resource.resource_type, &resource.resource_name)?;
    let mut values = Values::new();
    for change in &resource.configs {
        let config = match &target {
            ConfigResource::Topic(_) => topic_config(&change.name),
            _ => settings::dynamic_broker_setting(&change.name),
        };
        let config = config.ok_or_else(|| unknown(&target, &change.name))?;
        let value = change.value.as_ref().ok_or_else(|| {
            let message = format!("Null value not supported for : {}", &*change.name);
            Refusal::new(ErrorCode::INVALID_REQUEST, message)
        })?;
        settings::check_value(config, &change.name, value)?;
        values.insert(change.name.to_string(), value.to_string());
    }
    if validate_only { Ok(()) } else { node.set_config_values(&target, values) }
}

fn respond(
    request: AlterConfigsRequest,
    one: impl Fn(&AlterConfigsResource) -> Result<(), Refusal>,
) -> AlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let response = match one(&resource) {
            Ok(()) => AlterConfigsResourceResponse::default(),
            Err(refusal) => AlterConfigsResourceResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        };
        response.with_resource_type(resource.resource_type).with_resource_name(resource.resource_name)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}
