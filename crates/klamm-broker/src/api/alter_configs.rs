//! `AlterConfigs`: the legacy call that replaces everything that is set for a resource.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_configs_request::AlterConfigsResource;
use klamm_wire::protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use klamm_wire::protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::incremental_alter_configs::{TWICE, check_keys, check_no_null};
use super::repeated::repeated;
use super::rights::Right;
use super::shape::{BOOL, INT8, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::config_resource::{self, Target};
use crate::error::Refusal;
use crate::node::Node;

pub(crate) struct AlterConfigs;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;
    type Response = AlterConfigsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[INT8, TEXT, structs(&[TEXT, TEXT])]), BOOL] };

    async fn handle(call: &Call<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let validate_only = request.validate_only;
        let named =
            |resource: &AlterConfigsResource| (resource.resource_type, resource.resource_name.clone());
        let twice = repeated(request.resources.iter().map(named));
        respond(request, |resource| {
            if twice.contains(&named(resource)) {
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, TWICE));
            }
            call.check_config(Right::AlterConfigs, resource.resource_type, &resource.resource_name)?;
            replace(call.node, resource, validate_only)
        })
    }

    fn throttled(response: &mut AlterConfigsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: AlterConfigsRequest, error: ErrorCode) -> AlterConfigsResponse {
        respond(request, |_| Err(Refusal::new(error, error.meaning())))
    }
}

fn replace(node: &Node, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    check_keys(resource.configs.iter().map(|config| &config.name))?;
    let null = resource.configs.iter().filter(|config| config.value.is_none());
    check_no_null(null.map(|config| &config.name))?;
    let target = match config_resource::target(resource.resource_type, &resource.resource_name)? {
        // The levels of loggers came after this call, and are not offered by it.
        Target::Logger => {
            let message = format!("Unknown resource type {}", resource.resource_type);
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
        target => target,
    };
    let values = resource
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_deref().unwrap_or_default().to_owned()));
    config_resource::set(node, target, values.collect(), validate_only)
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
