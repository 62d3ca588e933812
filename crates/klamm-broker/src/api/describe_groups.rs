//! `DescribeGroups` of the classic protocol. A group that nobody knows, or of the other protocol, is `Dead`, and from
//! version 6 an error (KIP-1043).

use std::collections::HashSet;

use klamm_kafka::ErrorCode;
use klamm_kafka::ResourceType;
use klamm_wire::protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use klamm_wire::protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::rights::Right;
use super::shape::{BOOL, Shape, TEXT, plain};
use super::{Call, Handler, text};
use crate::group::Described;

/// The first version with an error for a group that does not exist.
const GROUP_ID_NOT_FOUND: i16 = 6;

pub(crate) struct DescribeGroups;

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;
    type Response = DescribeGroupsResponse;

    const REQUEST: Shape = Shape { flexible: 5, fields: &[plain(&TEXT), BOOL.since(3)] };

    async fn handle(call: &Call<'_>, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let asked = request.include_authorized_operations;
        let mut seen = HashSet::new();
        // A group that is there twice is answered once: an answer is no larger than what there is.
        let once = request.groups.into_iter().filter(|group| seen.insert(group.clone()));
        let groups = once.map(|group| {
            match call.check_group(Right::Describe, &group) {
                Ok(()) => {
                    let operations = call.operations(asked, ResourceType::Group, &group);
                    describe(call, &group).with_authorized_operations(operations)
                }
                Err(error) => DescribedGroup::default().with_error_code(error.code()),
            }
            .with_group_id(group)
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }

    fn throttled(response: &mut DescribeGroupsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: DescribeGroupsRequest, error: ErrorCode) -> DescribeGroupsResponse {
        let refused = |group| DescribedGroup::default().with_group_id(group).with_error_code(error.code());
        DescribeGroupsResponse::default().with_groups(request.groups.into_iter().map(refused).collect())
    }
}

fn dead(call: &Call<'_>, why: String) -> DescribedGroup {
    let dead = DescribedGroup::default().with_group_state(text("Dead"));
    if call.version < GROUP_ID_NOT_FOUND {
        return dead;
    }
    dead.with_error_code(ErrorCode::GROUP_ID_NOT_FOUND.code()).with_error_message(Some(text(why)))
}

fn describe(call: &Call<'_>, group: &str) -> DescribedGroup {
    let description = match call.node.groups.describe(group) {
        Described::Classic(description) => description,
        Described::Unknown => return dead(call, format!("Group {group} not found.")),
        Described::NotClassic => return dead(call, format!("Group {group} is not a classic group.")),
    };
    let members = description.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(member.identity.member_id))
            .with_group_instance_id(member.identity.instance_id.map(text))
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.subscription)
            .with_member_assignment(member.assignment)
    });
    DescribedGroup::default()
        .with_group_state(text(description.state))
        .with_protocol_type(text(description.protocol_type))
        .with_protocol_data(text(description.protocol))
        .with_members(members.collect())
}
