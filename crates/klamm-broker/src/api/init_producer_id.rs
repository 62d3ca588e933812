//! `InitProducerId` for idempotent producers (KIP-98), and for transactional ids as far as they fence: each call raises the
//! epoch, which survives a restart, and batches of an earlier epoch are refused. Transactions themselves are not offered.

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
        let answer = match &request.transactional_id {
            Some(name) if name.is_empty() => return Self::refuse(call, request, ErrorCode::INVALID_REQUEST),
            Some(name) => {
                let held = (request.producer_id.0, request.producer_epoch);
                call.node.topics.next_epoch(name, (held.0 >= 0).then_some(held))
            }
            // Without a transactional id Kafka ignores the id and epoch that a client brings (KIP-360): it gets new ones.
            None => call.node.topics.next_producer_id().map(|id| Some((id, 0))),
        };
        match answer {
            Ok(Some((id, epoch))) => {
                InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(epoch)
            }
            // Since version 4 a fenced producer has an error of its own (KIP-588).
            Ok(None) if call.version >= 4 => Self::refuse(call, request, ErrorCode::PRODUCER_FENCED),
            Ok(None) => Self::refuse(call, request, ErrorCode::INVALID_PRODUCER_EPOCH),
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
