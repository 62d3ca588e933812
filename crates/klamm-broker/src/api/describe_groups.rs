//! `DescribeGroups` of the classic protocol. A group that nobody knows is `Dead`, and from version 6 an error (KIP-1043).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use klamm_wire::protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::shape::{BOOL, Shape, TEXT, plain};
use super::{Call, Handler, operations, text};

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
const GROUP_OPERATIONS: &[u8] = &[3, 6, 8, 10, 11];

/// The first version with an error for a group that does not exist.
const GROUP_ID_NOT_FOUND: i16 = 6;

pub(crate) struct DescribeGroups;

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;
    type Response = DescribeGroupsResponse;

    const REQUEST: Shape = Shape { flexible: 5, fields: &[plain(&TEXT), BOOL.since(3)] };

    async fn handle(call: &Call<'_>, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let operations = operations(request.include_authorized_operations, GROUP_OPERATIONS);
        let groups = request
            .groups
            .into_iter()
            .map(|group| describe(call, &group).with_group_id(group).with_authorized_operations(operations));
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }

    fn refuse(_: &Call<'_>, request: DescribeGroupsRequest, error: ErrorCode) -> DescribeGroupsResponse {
        let refused = |group| DescribedGroup::default().with_group_id(group).with_error_code(error.code());
        DescribeGroupsResponse::default().with_groups(request.groups.into_iter().map(refused).collect())
    }
}

fn describe(call: &Call<'_>, group: &str) -> DescribedGroup {
    let Some(description) = call.node.groups.describe(group) else {
        return match (call.node.offsets.has_group(group), call.version) {
            // Only offsets were committed, or the broker was restarted.
            (true, _) => DescribedGroup::default().with_group_state(text("Empty")),
            (false, GROUP_ID_NOT_FOUND..) => DescribedGroup::default()
                .with_group_state(text("Dead"))
                .with_error_code(ErrorCode::GROUP_ID_NOT_FOUND.code())
                .with_error_message(Some(text(format!("Group {group} not found.")))),
            (false, _) => DescribedGroup::default().with_group_state(text("Dead")),
        };
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
