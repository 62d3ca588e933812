//! `DeleteGroups` (KIP-229): groups without members, with their offsets.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::delete_groups_response::DeletableGroupResult;
use klamm_wire::protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::rights::Right;
use super::shape::{Shape, TEXT, plain};
use super::{Call, Handler};

pub(crate) struct DeleteGroups;

impl Handler for DeleteGroups {
    type Request = DeleteGroupsRequest;
    type Response = DeleteGroupsResponse;

    const REQUEST: Shape = Shape { flexible: 2, fields: &[plain(&TEXT)] };

    async fn handle(call: &Call<'_>, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        respond(request, |group| delete(call, group))
    }

    fn throttled(response: &mut DeleteGroupsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: DeleteGroupsRequest, error: ErrorCode) -> DeleteGroupsResponse {
        respond(request, |_| Err(error))
    }
}

fn delete(call: &Call<'_>, group: &str) -> Result<(), ErrorCode> {
    call.check_group(Right::Delete, group)?;
    call.node.groups.delete(group)?;
    call.node.offsets.remove_group(group).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

fn respond(
    request: DeleteGroupsRequest,
    one: impl Fn(&str) -> Result<(), ErrorCode>,
) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|group| {
        let error = one(&group).err().unwrap_or(ErrorCode::NONE);
        DeletableGroupResult::default().with_group_id(group).with_error_code(error.code())
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
