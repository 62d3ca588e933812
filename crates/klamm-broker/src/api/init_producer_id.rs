//! `InitProducerId` for idempotent producers (KIP-98). A transactional id is answered with
//! `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`: transactions are not offered yet, and this error ends a client's attempt at once
//! instead of making it wait for a coordinator.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::shape::{INT16, INT32, INT64, Shape, TEXT};
use super::{Call, Handler};

pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;

    const REQUEST: Shape = Shape { flexible: 2, fields: &[TEXT, INT32, INT64.since(3), INT16.since(3)] };

    async fn handle(call: &Call<'_>, request: InitProducerIdRequest) -> InitProducerIdResponse {
        match &request.transactional_id {
            Some(id) if id.is_empty() => return Self::refuse(call, request, ErrorCode::INVALID_REQUEST),
            Some(_) => {
                return Self::refuse(call, request, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
            }
            None => {}
        }
        // Without a transactional id Kafka ignores the id and epoch that a client brings (KIP-360): it gets new ones.
        match call.node.topics.next_producer_id() {
            Ok(id) => {
                InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0)
            }
            Err(_) => Self::refuse(call, request, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    fn refuse(_: &Call<'_>, _: InitProducerIdRequest, error: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    }
}
