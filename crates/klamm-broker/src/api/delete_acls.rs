//! `DeleteAcls`: what each filter takes goes, and is listed.

use klamm_kafka::{Acl, ErrorCode};
use klamm_wire::protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use klamm_wire::protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::acl_filter::AclFilter;
use super::rights::Right;
use super::shape::{INT8, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::security::store::{Change, State};

pub(crate) struct DeleteAcls;

impl Handler for DeleteAcls {
    type Request = DeleteAclsRequest;
    type Response = DeleteAclsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[INT8, TEXT, INT8, TEXT, TEXT, INT8, INT8])] };

    async fn handle(call: &Call<'_>, request: DeleteAclsRequest) -> DeleteAclsResponse {
        if let Err(error) = call.check_cluster(Right::Alter) {
            return Self::refuse(call, request, error);
        }
        let security = &call.node.security;
        if !security.has_authorizer() {
            let refusal = || Refusal::new(ErrorCode::SECURITY_DISABLED, "No Authorizer is configured.");
            return respond(request.filters.iter().map(|_| Err(refusal())));
        }
        let filters: Vec<_> = request.filters.iter().map(AclFilter::of_delete).collect();
        match security.store.change(|state| find(state, filters)) {
            Ok(results) => respond(results.into_iter()),
            Err(_) => Self::refuse(call, request, ErrorCode::KAFKA_STORAGE_ERROR),
        }
    }

    fn throttled(response: &mut DeleteAclsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: DeleteAclsRequest, error: ErrorCode) -> DeleteAclsResponse {
        respond(request.filters.iter().map(|_| Err(Refusal::from(error))))
    }
}

type Taken = Vec<Result<Vec<Acl>, Refusal>>;

fn find(state: &State, filters: Vec<Result<AclFilter, Refusal>>) -> (Vec<Change>, Taken) {
    let mut changes = Vec::new();
    let one = |filter: Result<AclFilter, Refusal>| {
        let filter = filter?;
        let acls: Vec<_> = state.acls.iter().filter(|acl| filter.takes(acl)).cloned().collect();
        changes.extend(acls.iter().cloned().map(Change::AclRemoved));
        Ok(acls)
    };
    let taken = filters.into_iter().map(one).collect();
    (changes, taken)
}

fn respond(results: impl Iterator<Item = Result<Vec<Acl>, Refusal>>) -> DeleteAclsResponse {
    let results = results.map(|result| match result {
        Ok(acls) => {
            DeleteAclsFilterResult::default().with_matching_acls(acls.into_iter().map(taken).collect())
        }
        Err(refusal) => DeleteAclsFilterResult::default()
            .with_error_code(refusal.code.code())
            .with_error_message(Some(text(refusal.message))),
    });
    DeleteAclsResponse::default().with_filter_results(results.collect())
}

fn taken(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_resource_type(acl.resource_type.code())
        .with_resource_name(text(acl.resource))
        .with_pattern_type(acl.pattern.code())
        .with_principal(text(acl.principal))
        .with_host(text(acl.host))
        .with_operation(acl.operation.code())
        .with_permission_type(acl.permission.code())
}
