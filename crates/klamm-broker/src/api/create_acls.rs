//! `CreateAcls`: those that can be made are, the others are answered one by one.

use klamm_kafka::{Acl, ErrorCode, Operation, Pattern, Permission, ResourceType};
use klamm_wire::protocol::messages::create_acls_request::AclCreation;
use klamm_wire::protocol::messages::create_acls_response::AclCreationResult;
use klamm_wire::protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::rights::Right;
use super::shape::{INT8, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::security::authorizer::CLUSTER;
use crate::security::store::Change;

pub(crate) struct CreateAcls;

impl Handler for CreateAcls {
    type Request = CreateAclsRequest;
    type Response = CreateAclsResponse;

    const REQUEST: Shape =
        Shape { flexible: 2, fields: &[structs(&[INT8, TEXT, INT8, TEXT, TEXT, INT8, INT8])] };

    async fn handle(call: &Call<'_>, request: CreateAclsRequest) -> CreateAclsResponse {
        if let Err(error) = call.check_cluster(Right::Alter) {
            return Self::refuse(call, request, error);
        }
        let security = &call.node.security;
        if !security.has_authorizer() {
            let refusal = || Refusal::new(ErrorCode::SECURITY_DISABLED, "No Authorizer is configured.");
            return respond(request.creations.iter().map(|_| Err(refusal())));
        }
        let read: Vec<_> = request.creations.iter().map(acl).collect();
        let valid = read.iter().flatten().cloned().map(Change::AclAdded).collect();
        match security.store.change(|_| (valid, ())) {
            Ok(()) => respond(read.into_iter().map(|result| result.map(drop))),
            Err(_) => Self::refuse(call, request, ErrorCode::KAFKA_STORAGE_ERROR),
        }
    }

    fn throttled(response: &mut CreateAclsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: CreateAclsRequest, error: ErrorCode) -> CreateAclsResponse {
        respond(request.creations.iter().map(|_| Err(Refusal::from(error))))
    }
}

fn acl(creation: &AclCreation) -> Result<Acl, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::INVALID_REQUEST, message);
    let resource_type = ResourceType::from_code(creation.resource_type)
        .ok_or_else(|| invalid("Invalid resourceType".to_owned()))?;
    if resource_type == ResourceType::Cluster && *creation.resource_name != *CLUSTER {
        return Err(invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER}")));
    }
    if creation.resource_name.is_empty() {
        return Err(invalid("Invalid empty resource name".to_owned()));
    }
    if !creation.principal.contains(':') {
        return Err(invalid(format!(
            "Could not parse principal from `{}` (no colon is present separating the principal type from the \
             principal name)",
            &*creation.principal
        )));
    }
    Ok(Acl {
        principal: creation.principal.to_string(),
        host: creation.host.to_string(),
        resource_type,
        resource: creation.resource_name.to_string(),
        pattern: Pattern::from_code(creation.resource_pattern_type)
            .ok_or_else(|| invalid("Invalid patternType".to_owned()))?,
        operation: Operation::from_code(creation.operation)
            .ok_or_else(|| invalid("Invalid operation".to_owned()))?,
        permission: Permission::from_code(creation.permission_type)
            .ok_or_else(|| invalid("Invalid permissionType".to_owned()))?,
    })
}

fn respond(results: impl Iterator<Item = Result<(), Refusal>>) -> CreateAclsResponse {
    let results = results.map(|result| match result {
        Ok(()) => AclCreationResult::default(),
        Err(refusal) => AclCreationResult::default()
            .with_error_code(refusal.code.code())
            .with_error_message(Some(text(refusal.message))),
    });
    CreateAclsResponse::default().with_results(results.collect())
}
