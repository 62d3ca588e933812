//! `DescribeCluster` (KIP-700): this node. Asked for controllers (KIP-919) it answers `UNSUPPORTED_ENDPOINT_TYPE`, as a
//! Kafka broker does.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_cluster_response::DescribeClusterBroker;
use klamm_wire::protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::shape::{BOOL, INT8, Shape};
use super::{Call, Handler, text};
use crate::node::NODE_ID;

const BROKERS: i8 = 1;

pub(crate) struct DescribeCluster;

impl Handler for DescribeCluster {
    type Request = DescribeClusterRequest;
    type Response = DescribeClusterResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[BOOL, INT8.since(1), BOOL.since(2)] };

    async fn handle(call: &Call<'_>, request: DescribeClusterRequest) -> DescribeClusterResponse {
        if request.endpoint_type != BROKERS {
            return Self::refuse(call, request, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE);
        }
        let (host, port) = call.advertised();
        let broker = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(NODE_ID))
            .with_host(host)
            .with_port(port.into());
        let asked = request.include_cluster_authorized_operations;
        DescribeClusterResponse::default()
            .with_cluster_id(text(call.node.cluster_id.as_str()))
            .with_controller_id(BrokerId(NODE_ID))
            .with_brokers(vec![broker])
            .with_cluster_authorized_operations(call.cluster_operations(asked))
    }

    fn throttled(response: &mut DescribeClusterResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: DescribeClusterRequest, error: ErrorCode) -> DescribeClusterResponse {
        DescribeClusterResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}
