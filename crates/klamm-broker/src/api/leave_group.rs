//! `LeaveGroup` of the classic protocol: one member, or from version 3 several (KIP-345).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::leave_group_response::MemberResponse;
use klamm_wire::protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

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
        let leave = |identity: Identity| {
            let result = call.node.groups.leave(&request.group_id, &identity);
            result.err().unwrap_or(ErrorCode::NONE).code()
        };
        if call.version < SEVERAL {
            let identity = Identity { member_id: request.member_id.to_string(), instance_id: None };
            return LeaveGroupResponse::default().with_error_code(leave(identity));
        }
        let members = request.members.iter().map(|member| {
            let identity = Identity {
                member_id: member.member_id.to_string(),
                instance_id: member.group_instance_id.as_deref().map(str::to_owned),
            };
            MemberResponse::default()
                .with_member_id(member.member_id.clone())
                .with_group_instance_id(member.group_instance_id.clone())
                .with_error_code(leave(identity))
        });
        LeaveGroupResponse::default().with_members(members.collect())
    }

    fn refuse(_: &Call<'_>, _: LeaveGroupRequest, error: ErrorCode) -> LeaveGroupResponse {
        LeaveGroupResponse::default().with_error_code(error.code())
    }
}
