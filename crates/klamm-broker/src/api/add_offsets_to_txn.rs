//! `AddOffsetsToTxn`: a transaction will bring offsets of a group (KIP-98). Clients of transactions version 2 do without it.

use std::collections::BTreeSet;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::rights::Right;
use super::shape::{INT16, INT64, Shape, TEXT};
use super::{Call, Handler};
use crate::log::TransactionVersion;
use crate::transactions::{fenced_since, offsets_place};

/// The first version with `PRODUCER_FENCED` (KIP-588).
const FENCED: i16 = 2;

pub(crate) struct AddOffsetsToTxn;

impl Handler for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    type Response = AddOffsetsToTxnResponse;

    const REQUEST: Shape = Shape { flexible: 3, fields: &[TEXT, INT64, INT16, TEXT] };

    async fn handle(call: &Call<'_>, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
        let rights = call
            .check_transactional_id(Right::Write, &request.transactional_id)
            .and_then(|()| call.check_group(Right::Read, &request.group_id));
        if let Err(error) = rights {
            return Self::refuse(call, request, error);
        }
        let id = request.transactional_id.as_str();
        let holder = (request.producer_id.0, request.producer_epoch);
        let places = BTreeSet::from([offsets_place(&request.group_id)]);
        let added = match id.is_empty() {
            true => Err(ErrorCode::INVALID_REQUEST),
            // Who asks this does not speak version 2.
            false => call.node.transactions.add(call.node, id, holder, &places, TransactionVersion::Classic),
        };
        match added {
            Ok(()) => AddOffsetsToTxnResponse::default(),
            Err(error) => Self::refuse(call, request, fenced_since(FENCED, call.version, error)),
        }
    }

    fn throttled(response: &mut AddOffsetsToTxnResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: AddOffsetsToTxnRequest, error: ErrorCode) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse::default().with_error_code(error.code())
    }
}
