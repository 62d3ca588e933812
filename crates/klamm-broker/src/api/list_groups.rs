//! `ListGroups`, filtered by state (KIP-518) and type (KIP-848): every group here is classic.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::list_groups_response::ListedGroup;
use klamm_wire::protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};

use super::shape::{Shape, TEXT, plain};
use super::{Call, Handler, text};
use crate::group::GroupListing;

const TYPE: &str = "classic";

pub(crate) struct ListGroups;

impl Handler for ListGroups {
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;

    const REQUEST: Shape = Shape { flexible: 3, fields: &[plain(&TEXT).since(4), plain(&TEXT).since(5)] };

    async fn handle(call: &Call<'_>, request: ListGroupsRequest) -> ListGroupsResponse {
        let mut groups = call.node.groups.list();
        for id in call.node.offsets.groups() {
            if !groups.iter().any(|group| group.id == id) {
                groups.push(GroupListing { id, protocol_type: String::new(), state: "Empty" });
            }
        }
        groups.sort_by(|one, other| one.id.cmp(&other.id));
        let (states, types) = (&request.states_filter, &request.types_filter);
        let type_wanted = types.is_empty() || types.iter().any(|wanted| wanted.eq_ignore_ascii_case(TYPE));
        groups.retain(|group| {
            let state_wanted =
                states.is_empty() || states.iter().any(|wanted| wanted.eq_ignore_ascii_case(group.state));
            type_wanted && state_wanted
        });
        let listed = groups.into_iter().map(|group| {
            ListedGroup::default()
                .with_group_id(GroupId(text(group.id)))
                .with_protocol_type(text(group.protocol_type))
                .with_group_state(text(group.state))
                .with_group_type(text(TYPE))
        });
        ListGroupsResponse::default().with_groups(listed.collect())
    }

    fn refuse(_: &Call<'_>, _: ListGroupsRequest, error: ErrorCode) -> ListGroupsResponse {
        ListGroupsResponse::default().with_error_code(error.code())
    }
}
