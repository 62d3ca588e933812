//! `InitProducerId`: for idempotent producers, and for transactional ids: each call raises the epoch and fences who held it before (KIP-98, KIP-360). A
//! transaction that is open is aborted first; the producer is told to ask again.

use klamm_kafka::{ErrorCode, ResourceType};
use klamm_wire::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::rights::Right;
use super::shape::{INT16, INT32, INT64, Shape, TEXT};
use super::{Call, Handler};
use crate::clock::millis;
use crate::transactions::fenced_since;

/// The first version with `PRODUCER_FENCED` (KIP-588).
const FENCED: i16 = 4;

pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;

    const REQUEST: Shape = Shape { flexible: 2, fields: &[TEXT, INT32, INT64.since(3), INT16.since(3)] };

    async fn handle(call: &Call<'_>, request: InitProducerIdRequest) -> InitProducerIdResponse {
        match init(call, &request) {
            Ok((id, epoch)) => {
                InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(epoch)
            }
            Err(error) => Self::refuse(call, request, fenced_since(FENCED, call.version, error)),
        }
    }

    fn throttled(response: &mut InitProducerIdResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: InitProducerIdRequest, error: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    }
}

fn init(call: &Call<'_>, request: &InitProducerIdRequest) -> Result<(i64, i16), ErrorCode> {
    match request.transactional_id.as_deref() {
        Some(id) => call.check_transactional_id(Right::Write, id)?,
        // Who may write any topic may do so without duplicates (KIP-679).
        None if call.authorize_any(Right::Write, ResourceType::Topic) => {}
        None => call.check_cluster(Right::IdempotentWrite)?,
    }
    let held = match (request.producer_id.0, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Err(ErrorCode::INVALID_REQUEST),
        held => Some(held),
    };
    // Without a transactional id Kafka ignores the id and epoch that a client brings: it gets new ones.
    let Some(id) = request.transactional_id.as_deref() else { return Ok((call.node.new_producer_id()?, 0)) };
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let timeout_ms = request.transaction_timeout_ms;
    let most = millis(call.node.config.transaction_max_timeout);
    if timeout_ms <= 0 || i64::from(timeout_ms) > most {
        return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    call.node.transactions.init(call.node, id, held, timeout_ms)
}
