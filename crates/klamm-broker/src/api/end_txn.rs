//! `EndTxn`: commits or aborts a transaction; all its markers are written when the answer comes. Version 5 raises the producer's epoch (KIP-890).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};

use super::rights::Right;
use super::shape::{BOOL, INT16, INT64, Shape, TEXT};
use super::{Call, Handler};
use crate::log::{Outcome, TransactionVersion};
use crate::transactions::fenced_since;

/// The first version with `PRODUCER_FENCED` (KIP-588).
const FENCED: i16 = 2;
/// The first version of transactions version 2.
const BUMPS: i16 = 5;

pub(crate) struct EndTxn;

impl Handler for EndTxn {
    type Request = EndTxnRequest;
    type Response = EndTxnResponse;

    const REQUEST: Shape = Shape { flexible: 3, fields: &[TEXT, INT64, INT16, BOOL] };

    async fn handle(call: &Call<'_>, request: EndTxnRequest) -> EndTxnResponse {
        if let Err(error) = call.check_transactional_id(Right::Write, &request.transactional_id) {
            return Self::refuse(call, request, error);
        }
        let id = request.transactional_id.as_str();
        let holder = (request.producer_id.0, request.producer_epoch);
        let outcome = if request.committed { Outcome::Commit } else { Outcome::Abort };
        let version = match call.version {
            BUMPS.. => TransactionVersion::Two,
            _ => TransactionVersion::Classic,
        };
        let ended = match id.is_empty() {
            true => Err(ErrorCode::INVALID_REQUEST),
            false => call.node.transactions.end(call.node, id, holder, outcome, version),
        };
        match ended {
            Ok((id, epoch)) => respond(ErrorCode::NONE, id, epoch),
            Err(error) => Self::refuse(call, request, fenced_since(FENCED, call.version, error)),
        }
    }

    fn throttled(response: &mut EndTxnResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: EndTxnRequest, error: ErrorCode) -> EndTxnResponse {
        respond(error, -1, -1)
    }
}

fn respond(error: ErrorCode, id: i64, epoch: i16) -> EndTxnResponse {
    EndTxnResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch)
}
