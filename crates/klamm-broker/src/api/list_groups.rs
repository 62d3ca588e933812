//! `ListGroups`, filtered by state (KIP-518) and type (KIP-848): `classic` or `consumer`.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_groups_response::ListedGroup;
use klamm_wire::protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use klamm_wire::protocol::protocol::StrBytes;

use super::rights::Right;
use super::shape::{Shape, TEXT, plain};
use super::{Call, Handler, text};

pub(crate) struct ListGroups;

impl Handler for ListGroups {
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;

    const REQUEST: Shape = Shape { flexible: 3, fields: &[plain(&TEXT).since(4), plain(&TEXT).since(5)] };

    async fn handle(call: &Call<'_>, request: ListGroupsRequest) -> ListGroupsResponse {
        let mut groups = call.node.groups.list();
        if call.check_cluster(Right::Describe).is_err() {
            groups.retain(|group| call.check_group(Right::Describe, &group.id).is_ok());
        }
        groups.sort_by(|one, other| one.id.cmp(&other.id));
        let (states, types) = (&request.states_filter, &request.types_filter);
        let wanted = |filter: &[StrBytes], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(value))
        };
        groups.retain(|group| wanted(states, group.state) && wanted(types, group.kind));
        let listed = groups.into_iter().map(|group| {
            ListedGroup::default()
                .with_group_id(GroupId(text(group.id)))
                .with_protocol_type(text(group.protocol_type))
                .with_group_state(text(group.state))
                .with_group_type(text(group.kind))
        });
        ListGroupsResponse::default().with_groups(listed.collect())
    }

    fn throttled(response: &mut ListGroupsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: ListGroupsRequest, error: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse::default().with_error_code(error.code())
    }
}
