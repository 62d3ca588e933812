//! `LeaveGroup` of the classic protocol: one member, or from version 3 several (KIP-345).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::leave_group_request::MemberIdentity;
use klamm_wire::protocol::messages::leave_group_response::MemberResponse;
use klamm_wire::protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::rights::Right;
use super::shape::{Shape, TEXT, structs};
use super::{Call, Handler};
use crate::group::Identity;

/// The first version with several members.
const SEVERAL: i16 = 3;

pub(crate) struct LeaveGroup;

impl Handler for LeaveGroup {
    type Request = LeaveGroupRequest;
    type Response = LeaveGroupResponse;

    const REQUEST: Shape =
        Shape { flexible: 4, fields: &[TEXT, TEXT.until(2), structs(&[TEXT, TEXT, TEXT.since(5)]).since(3)] };

    async fn handle(call: &Call<'_>, request: LeaveGroupRequest) -> LeaveGroupResponse {
        if let Err(error) = call.check_group(Right::Read, &request.group_id) {
            return Self::refuse(call, request, error);
        }
        if request.group_id.is_empty() {
            return Self::refuse(call, request, ErrorCode::INVALID_GROUP_ID);
        }
        let leave = |identities: &[Identity]| {
            let results = call.node.groups.leave(&request.group_id, identities, &call.node.topics);
            results.into_iter().map(|result| result.err().unwrap_or(ErrorCode::NONE).code())
        };
        if call.version < SEVERAL {
            let identity = Identity { member_id: request.member_id.to_string(), instance_id: None };
            return LeaveGroupResponse::default()
                .with_error_code(leave(&[identity]).next().unwrap_or(ErrorCode::NONE.code()));
        }
        let identity = |member: &MemberIdentity| Identity {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_deref().map(str::to_owned),
        };
        let identities: Vec<_> = request.members.iter().map(identity).collect();
        let members = request.members.iter().zip(leave(&identities)).map(|(member, error)| {
            MemberResponse::default()
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
                .with_error_code(error)
        });
        LeaveGroupResponse::default().with_members(members.collect())
    }

    fn throttled(response: &mut LeaveGroupResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: LeaveGroupRequest, error: ErrorCode) -> LeaveGroupResponse {
        LeaveGroupResponse::default().with_error_code(error.code())
    }
}
