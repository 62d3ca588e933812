//! `DescribeAcls`: `SECURITY_DISABLED` where no authorizer was asked for.

use std::collections::BTreeMap;

use klamm_kafka::{Acl, ErrorCode, Pattern, ResourceType};
use klamm_wire::protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use klamm_wire::protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::acl_filter::AclFilter;
use super::rights::Right;
use super::shape::{INT8, Shape, TEXT};
use super::{Call, Handler, text};
use crate::error::Refusal;

pub(crate) struct DescribeAcls;

impl Handler for DescribeAcls {
    type Request = DescribeAclsRequest;
    type Response = DescribeAclsResponse;

    const REQUEST: Shape = Shape { flexible: 2, fields: &[INT8, TEXT, INT8, TEXT, TEXT, INT8, INT8] };

    async fn handle(call: &Call<'_>, request: DescribeAclsRequest) -> DescribeAclsResponse {
        match find(call, &request) {
            Ok(acls) => DescribeAclsResponse::default().with_resources(by_resource(&acls)),
            Err(refusal) => DescribeAclsResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        }
    }

    fn throttled(response: &mut DescribeAclsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: DescribeAclsRequest, error: ErrorCode) -> DescribeAclsResponse {
        DescribeAclsResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}

fn find(call: &Call<'_>, request: &DescribeAclsRequest) -> Result<Vec<Acl>, Refusal> {
    call.check_cluster(Right::Describe)?;
    if !call.node.security.has_authorizer() {
        let message = "No Authorizer is configured on the broker";
        return Err(Refusal::new(ErrorCode::SECURITY_DISABLED, message));
    }
    let filter = AclFilter::of_describe(request)?;
    Ok(call.node.security.store.read().acls.iter().filter(|acl| filter.takes(acl)).cloned().collect())
}

fn by_resource(acls: &[Acl]) -> Vec<DescribeAclsResource> {
    let mut resources: BTreeMap<(ResourceType, Pattern, &str), Vec<AclDescription>> = BTreeMap::new();
    for acl in acls {
        let description = AclDescription::default()
            .with_principal(text(acl.principal.as_str()))
            .with_host(text(acl.host.as_str()))
            .with_operation(acl.operation.code())
            .with_permission_type(acl.permission.code());
        resources.entry((acl.resource_type, acl.pattern, &acl.resource)).or_default().push(description);
    }
    let resource = |((resource_type, pattern, name), acls): ((ResourceType, Pattern, &str), _)| {
        DescribeAclsResource::default()
            .with_resource_type(resource_type.code())
            .with_resource_name(text(name))
            .with_pattern_type(pattern.code())
            .with_acls(acls)
    };
    resources.into_iter().map(resource).collect()
}
