//! `Heartbeat` of the classic protocol.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT};
use super::{Call, Handler};
use crate::group::Identity;

pub(crate) struct Heartbeat;

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;
    type Response = HeartbeatResponse;

    const REQUEST: Shape = Shape { flexible: 4, fields: &[TEXT, INT32, TEXT, TEXT.since(3)] };

    async fn handle(call: &Call<'_>, request: HeartbeatRequest) -> HeartbeatResponse {
        if let Err(error) = call.check_group(Right::Read, &request.group_id) {
            return Self::refuse(call, request, error);
        }
        if request.group_id.is_empty() {
            return Self::refuse(call, request, ErrorCode::INVALID_GROUP_ID);
        }
        let identity = Identity {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_deref().map(str::to_owned),
        };
        let result = call.node.groups.heartbeat(&request.group_id, &identity, request.generation_id);
        Self::refuse(call, request, result.err().unwrap_or(ErrorCode::NONE))
    }

    fn throttled(response: &mut HeartbeatResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: HeartbeatRequest, error: ErrorCode) -> HeartbeatResponse {
        HeartbeatResponse::default().with_error_code(error.code())
    }
}
