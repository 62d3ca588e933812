//! `JoinGroup` of the classic protocol: waits until the next generation begins.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::join_group_response::JoinGroupResponseMember;
use klamm_wire::protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use uuid::Uuid;

use super::rights::Right;
use super::shape::{BLOB, INT32, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::clock::millis;
use crate::group::{Identity, JoinAnswer, JoinRequest};

/// `group.max.session.timeout.ms`.
const MAX_SESSION_TIMEOUT_MS: i64 = 1_800_000;
/// The first version in which a new member must come back with its id (KIP-394).
const KNOWN_MEMBER_ID: i16 = 4;
/// The first version in which the protocol's name may be null.
const NULLABLE_PROTOCOL: i16 = 7;
/// The first version with `skip_assignment` (KIP-814).
const SKIP_ASSIGNMENT: i16 = 9;

pub(crate) struct JoinGroup;

impl Handler for JoinGroup {
    type Request = JoinGroupRequest;
    type Response = JoinGroupResponse;

    const REQUEST: Shape = Shape {
        flexible: 6,
        fields: &[
            TEXT,
            INT32,
            INT32.since(1),
            TEXT,
            TEXT.since(5),
            TEXT,
            structs(&[TEXT, BLOB]),
            TEXT.since(8),
        ],
    };

    async fn handle(call: &Call<'_>, request: JoinGroupRequest) -> JoinGroupResponse {
        if let Err(error) = call.check_group(Right::Read, &request.group_id) {
            return Self::refuse(call, request, error);
        }
        let session_timeout_ms = i64::from(request.session_timeout_ms);
        let least = millis(call.node.config.group_min_session_timeout);
        if request.group_id.is_empty() {
            return Self::refuse(call, request, ErrorCode::INVALID_GROUP_ID);
        }
        if !(least..=MAX_SESSION_TIMEOUT_MS).contains(&session_timeout_ms) {
            return Self::refuse(call, request, ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        // Version 0 has only the session timeout.
        let rebalance_timeout_ms = match call.version {
            0 => session_timeout_ms,
            _ => i64::from(request.rebalance_timeout_ms).max(0),
        };
        let prefix = request.group_instance_id.as_deref().unwrap_or(call.client_id);
        let join = JoinRequest {
            fresh_member_id: format!("{prefix}-{}", Uuid::new_v4()),
            identity: Identity {
                member_id: request.member_id.to_string(),
                instance_id: request.group_instance_id.as_deref().map(str::to_owned),
            },
            client_id: call.client_id.to_owned(),
            client_host: format!("/{}", call.peer.ip()),
            session_timeout_ms,
            rebalance_timeout_ms,
            protocol_type: request.protocol_type.to_string(),
            protocols: request.protocols.into_iter().map(|p| (p.name.to_string(), p.metadata)).collect(),
            requires_known_member_id: call.version >= KNOWN_MEMBER_ID,
            supports_skip_assignment: call.version >= SKIP_ASSIGNMENT,
        };
        respond(call, call.node.groups.join(&request.group_id, join, &call.node.topics).await)
    }

    fn throttled(response: &mut JoinGroupResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(call: &Call<'_>, request: JoinGroupRequest, error: ErrorCode) -> JoinGroupResponse {
        let member_id = request.member_id.to_string();
        respond(call, JoinAnswer { error: Some(error), generation: -1, member_id, ..JoinAnswer::default() })
    }
}

fn respond(call: &Call<'_>, answer: JoinAnswer) -> JoinGroupResponse {
    let members = answer.members.into_iter().map(|(identity, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(identity.member_id))
            .with_group_instance_id(identity.instance_id.map(text))
            .with_metadata(metadata)
    });
    let protocol = match answer.protocol {
        None if call.version < NULLABLE_PROTOCOL => Some(String::new()),
        protocol => protocol,
    };
    JoinGroupResponse::default()
        .with_error_code(answer.error.unwrap_or(ErrorCode::NONE).code())
        .with_generation_id(answer.generation)
        .with_protocol_type(answer.protocol_type.map(text))
        .with_protocol_name(protocol.map(text))
        .with_leader(text(answer.leader))
        .with_skip_assignment(answer.skip_assignment)
        .with_member_id(text(answer.member_id))
        .with_members(members.collect())
}
