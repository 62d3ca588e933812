//! `SyncGroup` of the classic protocol: waits for the leader's assignment.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::rights::Right;
use super::shape::{BLOB, INT32, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::group::{Identity, SyncAnswer, SyncRequest};

/// The first version that must say which protocol it speaks (KIP-559).
const PROTOCOL_NAMED: i16 = 5;

pub(crate) struct SyncGroup;

impl Handler for SyncGroup {
    type Request = SyncGroupRequest;
    type Response = SyncGroupResponse;

    const REQUEST: Shape = Shape {
        flexible: 4,
        fields: &[TEXT, INT32, TEXT, TEXT.since(3), TEXT.since(5), TEXT.since(5), structs(&[TEXT, BLOB])],
    };

    async fn handle(call: &Call<'_>, request: SyncGroupRequest) -> SyncGroupResponse {
        let named = request.protocol_type.is_some() && request.protocol_name.is_some();
        if call.version >= PROTOCOL_NAMED && !named {
            return Self::refuse(call, request, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if let Err(error) = call.check_group(Right::Read, &request.group_id) {
            return Self::refuse(call, request, error);
        }
        if request.group_id.is_empty() {
            return Self::refuse(call, request, ErrorCode::INVALID_GROUP_ID);
        }
        let sync = SyncRequest {
            identity: Identity {
                member_id: request.member_id.to_string(),
                instance_id: request.group_instance_id.as_deref().map(str::to_owned),
            },
            generation: request.generation_id,
            protocol_type: request.protocol_type.as_deref().map(str::to_owned),
            protocol: request.protocol_name.as_deref().map(str::to_owned),
            assignments: request
                .assignments
                .into_iter()
                .map(|part| (part.member_id.to_string(), part.assignment))
                .collect(),
        };
        respond(call.node.groups.sync(&request.group_id, sync, &call.node.topics).await)
    }

    fn throttled(response: &mut SyncGroupResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: SyncGroupRequest, error: ErrorCode) -> SyncGroupResponse {
        respond(SyncAnswer { error: Some(error), ..SyncAnswer::default() })
    }
}

fn respond(answer: SyncAnswer) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(answer.error.unwrap_or(ErrorCode::NONE).code())
        .with_protocol_type(answer.protocol_type.map(text))
        .with_protocol_name(answer.protocol.map(text))
        .with_assignment(answer.assignment)
}
