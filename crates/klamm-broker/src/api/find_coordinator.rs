//! `FindCoordinator`: this node, for every group and transactional id.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::find_coordinator_response::Coordinator;
use klamm_wire::protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

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
        let error = match request.key_type {
            GROUP | TRANSACTION => ErrorCode::NONE,
            _ => ErrorCode::INVALID_REQUEST,
        };
        Self::refuse(call, request, error)
    }

    fn refuse(call: &Call<'_>, request: FindCoordinatorRequest, error: ErrorCode) -> FindCoordinatorResponse {
        let message = (!error.is_ok()).then(|| text(error.meaning()));
        let (id, host, port) = match error.is_ok() {
            true => (NODE_ID, text(call.local.ip().to_string()), call.local.port().into()),
            false => (-1, text(""), -1),
        };
        if call.version < SEVERAL {
            return FindCoordinatorResponse::default()
                .with_error_code(error.code())
                .with_error_message(message)
                .with_node_id(BrokerId(id))
                .with_host(host)
                .with_port(port);
        }
        let coordinators = request.coordinator_keys.into_iter().map(|key| {
            Coordinator::default()
                .with_key(key)
                .with_error_code(error.code())
                .with_error_message(message.clone())
                .with_node_id(BrokerId(id))
                .with_host(host.clone())
                .with_port(port)
        });
        FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
    }
}
