//! `ListPartitionReassignments` (KIP-455): none is ever in progress.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, plain, structs};
use super::{Call, Handler, text};

pub(crate) struct ListPartitionReassignments;

impl Handler for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    type Response = ListPartitionReassignmentsResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[INT32, structs(&[TEXT, plain(&INT32)])] };

    async fn handle(call: &Call<'_>, request: Self::Request) -> ListPartitionReassignmentsResponse {
        if let Err(error) = call.check_cluster(Right::Describe) {
            return Self::refuse(call, request, error);
        }
        ListPartitionReassignmentsResponse::default().with_error_message(None)
    }

    fn throttled(response: &mut ListPartitionReassignmentsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: Self::Request, error: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}
