//! `ListConfigResources` (KIP-1142; version 0 is KIP-714's list of metric subscriptions, of which there are none): topics, groups
//! with settings of their own, and this broker. Settings of clients' metrics are not kept, so none is listed.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_config_resources_response::ConfigResource;
use klamm_wire::protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::rights::Right;
use super::shape::{INT8, Shape, plain};
use super::{Call, Handler, text};
use crate::node::NODE_ID;
use crate::resource_type;

pub(crate) struct ListConfigResources;

impl Handler for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    type Response = ListConfigResourcesResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[plain(&INT8).since(1)] };

    async fn handle(call: &Call<'_>, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
        if let Err(error) = call.check_cluster(Right::DescribeConfigs) {
            return Self::refuse(call, request, error);
        }
        let supported: &[i8] = match call.version {
            0 => &[resource_type::CLIENT_METRICS],
            _ => resource_type::ALL,
        };
        let asked = request.resource_types.as_slice();
        if !asked.iter().all(|kind| supported.contains(kind)) {
            return Self::refuse(call, request, ErrorCode::UNSUPPORTED_VERSION);
        }
        let wanted = |kind| supported.contains(&kind) && (asked.is_empty() || asked.contains(&kind));
        let this_broker = [resource_type::BROKER_LOGGER, resource_type::BROKER];
        let mut resources: Vec<_> = this_broker
            .into_iter()
            .filter(|kind| wanted(*kind))
            .map(|kind| resource(kind, NODE_ID.to_string()))
            .collect();
        if wanted(resource_type::TOPIC) {
            let topics = call.node.topics.all();
            resources.extend(topics.iter().map(|topic| resource(resource_type::TOPIC, topic.name.clone())));
        }
        if wanted(resource_type::GROUP) {
            let groups = call.node.groups.groups_with_values();
            resources.extend(groups.into_iter().map(|group| resource(resource_type::GROUP, group)));
        }
        ListConfigResourcesResponse::default().with_config_resources(resources)
    }

    fn throttled(response: &mut ListConfigResourcesResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: ListConfigResourcesRequest, error: ErrorCode) -> ListConfigResourcesResponse {
        ListConfigResourcesResponse::default().with_error_code(error.code())
    }
}

fn resource(kind: i8, name: String) -> ConfigResource {
    ConfigResource::default().with_resource_type(kind).with_resource_name(text(name))
}
