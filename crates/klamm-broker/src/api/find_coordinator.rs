//! `FindCoordinator`: this node, for every group and transactional id.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::find_coordinator_response::Coordinator;
use klamm_wire::protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use klamm_wire::protocol::protocol::StrBytes;

use super::rights::Right;
use super::shape::{INT8, Shape, TEXT, plain};
use super::{Call, Handler, text};
use crate::node::NODE_ID;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// The first version that asks for several keys at once (KIP-699).
const SEVERAL: i16 = 4;

pub(crate) struct FindCoordinator;

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;

    const REQUEST: Shape =
        Shape { flexible: 3, fields: &[TEXT.until(3), INT8.since(1), plain(&TEXT).since(4)] };

    async fn handle(call: &Call<'_>, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let check = |key: &str| match request.key_type {
            GROUP => call.check_group(Right::Describe, key),
            TRANSACTION => call.check_transactional_id(Right::Describe, key),
            _ => Err(ErrorCode::INVALID_REQUEST),
        };
        respond(call, &request, |key| check(key).err().unwrap_or(ErrorCode::NONE))
    }

    fn throttled(response: &mut FindCoordinatorResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(call: &Call<'_>, request: FindCoordinatorRequest, error: ErrorCode) -> FindCoordinatorResponse {
        respond(call, &request, |_| error)
    }
}

fn respond(
    call: &Call<'_>,
    request: &FindCoordinatorRequest,
    error: impl Fn(&str) -> ErrorCode,
) -> FindCoordinatorResponse {
    let coordinator = |key: &StrBytes| {
        let error = error(key);
        let coordinator = Coordinator::default().with_key(key.clone()).with_error_code(error.code());
        if !error.is_ok() {
            let message = Some(text(error.meaning()));
            return coordinator.with_error_message(message).with_node_id(BrokerId(-1)).with_port(-1);
        }
        let (host, port) = call.advertised();
        coordinator.with_node_id(BrokerId(NODE_ID)).with_host(host).with_port(port.into())
    };
    if call.version < SEVERAL {
        let one = coordinator(&request.key);
        return FindCoordinatorResponse::default()
            .with_error_code(one.error_code)
            .with_error_message(one.error_message)
            .with_node_id(one.node_id)
            .with_host(one.host)
            .with_port(one.port);
    }
    let coordinators = request.coordinator_keys.iter().map(coordinator).collect();
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}
