//! Access rules and quotas.

use std::collections::BTreeMap;

use klamm_kafka::{Acl, ErrorCode, Operation, Pattern, Permission, ResourceType};
use klamm_wire::protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use klamm_wire::protocol::messages::create_acls_request::AclCreation;
use klamm_wire::protocol::messages::delete_acls_request::DeleteAclsFilter;
use klamm_wire::protocol::messages::describe_client_quotas_request::ComponentData;
use klamm_wire::protocol::messages::describe_client_quotas_response::{
    EntityData as EntityPart, EntryData as QuotaEntry,
};
use klamm_wire::protocol::messages::{
    AlterClientQuotasRequest, CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest,
    DescribeClientQuotasRequest,
};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::error::AdminError;
use crate::retry::{Repeat, is_unsupported};

/// Kafka's code for "any", in filters.
const ANY: i8 = 1;
/// `MatchType.EXACT` of quota filters.
const EXACT: i8 = 0;

/// Quotas of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientQuota {
    /// Whom they bind: `user`, `client-id`, `ip`, each with a name; `None` is the default of its kind.
    pub entity: Vec<(String, Option<String>)>,
    /// By Kafka's names: `producer_byte_rate`, `consumer_byte_rate`, `request_percentage` …
    pub values: BTreeMap<String, f64>,
}

impl Admin {
    /// All access rules; `None` when the brokers have no authorizer (the embedded one knows of none). Rules of kinds that are not known are left out.
    pub async fn acls(&self) -> Result<Option<Vec<Acl>>, AdminError> {
        match self.describe_acls().await {
            Err(error) if is_unsupported(&error) => Ok(None),
            other => other,
        }
    }

    /// All access rules; `None` when the brokers have no authorizer. Rules of kinds that are not known are left out. Needs
    /// DESCRIBE on the cluster.
    ///
    /// # Errors
    /// [`AdminError::unsupported`] when the broker does not know the request, and so says nothing.
    pub async fn describe_acls(&self) -> Result<Option<Vec<Acl>>, AdminError> {
        let request = &DescribeAclsRequest::default()
            .with_resource_type_filter(ANY)
            .with_resource_name_filter(None)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_pattern_type_filter(ANY)
            .with_operation(ANY)
            .with_permission_type(ANY);
        self.retry("read the access rules", Repeat::Always, || async move {
            let answer = self.cluster.any().await?.call(request).await?;
            let code = ErrorCode::from(answer.error_code);
            if code == ErrorCode::SECURITY_DISABLED {
                return Ok(None);
            }
            let refused = |code| {
                AdminError::kafka(code, answer.error_message.as_deref(), "describe ACLs", "the cluster")
            };
            code.ok().map_err(refused)?;
            let mut acls = Vec::new();
            for resource in &answer.resources {
                for rule in &resource.acls {
                    acls.extend(known(
                        resource.resource_type,
                        &resource.resource_name,
                        resource.pattern_type,
                        rule,
                    ));
                }
            }
            acls.sort_unstable();
            Ok(Some(acls))
        })
        .await
    }

    /// Adds rules. One that is there already stays as it is.
    pub async fn create_acls(&self, acls: &[Acl]) -> Result<(), AdminError> {
        let creation = |acl: &Acl| {
            AclCreation::default()
                .with_resource_type(acl.resource_type.code())
                .with_resource_name(StrBytes::from_string(acl.resource.clone()))
                .with_resource_pattern_type(acl.pattern.code())
                .with_principal(StrBytes::from_string(acl.principal.clone()))
                .with_host(StrBytes::from_string(acl.host.clone()))
                .with_operation(acl.operation.code())
                .with_permission_type(acl.permission.code())
        };
        let request = &CreateAclsRequest::default().with_creations(acls.iter().map(creation).collect());
        self.retry("create access rules", Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            for (result, acl) in answer.results.iter().zip(acls) {
                let message = result.error_message.as_deref();
                let refused = |code| AdminError::kafka(code, message, "create ACL", &acl.to_string());
                ErrorCode::from(result.error_code).ok().map_err(refused)?;
            }
            Ok(())
        })
        .await
    }

    /// Removes exactly these rules. One that is gone already is no error.
    pub async fn delete_acls(&self, acls: &[Acl]) -> Result<(), AdminError> {
        let filter = |acl: &Acl| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(acl.resource_type.code())
                .with_resource_name_filter(Some(StrBytes::from_string(acl.resource.clone())))
                .with_pattern_type_filter(acl.pattern.code())
                .with_principal_filter(Some(StrBytes::from_string(acl.principal.clone())))
                .with_host_filter(Some(StrBytes::from_string(acl.host.clone())))
                .with_operation(acl.operation.code())
                .with_permission_type(acl.permission.code())
        };
        let request = &DeleteAclsRequest::default().with_filters(acls.iter().map(filter).collect());
        self.retry("delete access rules", Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            for (result, acl) in answer.filter_results.iter().zip(acls) {
                let message = result.error_message.as_deref();
                let refused = |code| AdminError::kafka(code, message, "delete ACL", &acl.to_string());
                ErrorCode::from(result.error_code).ok().map_err(refused)?;
            }
            Ok(())
        })
        .await
    }

    /// Quotas of one user, by Kafka's names, in bytes a second; `None` when the brokers keep none (the embedded one).
    pub async fn quotas(&self, user: &str) -> Result<Option<BTreeMap<String, f64>>, AdminError> {
        let component = ComponentData::default()
            .with_entity_type(StrBytes::from_static_str("user"))
            .with_match_type(EXACT)
            .with_match(Some(StrBytes::from_string(user.to_owned())));
        let request = DescribeClientQuotasRequest::default().with_components(vec![component]);
        match self.quotas_of(&format!("user {user}"), &request.with_strict(true)).await {
            Ok(quotas) => Ok(Some(quotas.into_iter().flat_map(|quota| quota.values).collect())),
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All quotas of users, clients and addresses (KIP-546). Needs DESCRIBE_CONFIGS on the cluster.
    ///
    /// # Errors
    /// [`AdminError::unsupported`] when the broker does not know the request.
    pub async fn all_quotas(&self) -> Result<Vec<ClientQuota>, AdminError> {
        self.quotas_of("all clients", &DescribeClientQuotasRequest::default()).await
    }

    async fn quotas_of(
        &self,
        whom: &str,
        request: &DescribeClientQuotasRequest,
    ) -> Result<Vec<ClientQuota>, AdminError> {
        self.retry(&format!("read the quotas of {whom}"), Repeat::Always, || async move {
            let answer = self.cluster.any().await?.call(request).await?;
            let message = answer.error_message.as_deref();
            let refused = |code| AdminError::kafka(code, message, "describe quotas", whom);
            ErrorCode::from(answer.error_code).ok().map_err(refused)?;
            let quota = |entry: &QuotaEntry| ClientQuota {
                entity: entry.entity.iter().map(part).collect(),
                values: entry.values.iter().map(|value| (value.key.to_string(), value.value)).collect(),
            };
            Ok(answer.entries.iter().flatten().map(quota).collect())
        })
        .await
    }

    /// Sets or, with `None`, unsets one quota of a user.
    pub async fn alter_quota(&self, user: &str, name: &str, value: Option<f64>) -> Result<(), AdminError> {
        let entity = EntityData::default()
            .with_entity_type(StrBytes::from_static_str("user"))
            .with_entity_name(Some(StrBytes::from_string(user.to_owned())));
        let operation = OpData::default()
            .with_key(StrBytes::from_string(name.to_owned()))
            .with_value(value.unwrap_or(0.0))
            .with_remove(value.is_none());
        let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![operation]);
        let request = &AlterClientQuotasRequest::default().with_entries(vec![entry]);
        self.retry(&format!("alter the quota of user {user}"), Repeat::Always, || async move {
            let answer = self.cluster.controller().await?.call(request).await?;
            let said = answer.entries.first();
            let said = said.ok_or_else(|| AdminError::unexpected("the answer about the quota is empty"))?;
            let message = said.error_message.as_deref();
            let refused = |code| AdminError::kafka(code, message, "alter quota", user);
            ErrorCode::from(said.error_code).ok().map_err(refused)
        })
        .await
    }
}

fn part(part: &EntityPart) -> (String, Option<String>) {
    (part.entity_type.to_string(), part.entity_name.as_ref().map(ToString::to_string))
}

fn known(
    resource_type: i8,
    name: &StrBytes,
    pattern: i8,
    rule: &klamm_wire::protocol::messages::describe_acls_response::AclDescription,
) -> Option<Acl> {
    Some(Acl {
        principal: rule.principal.to_string(),
        host: rule.host.to_string(),
        resource_type: ResourceType::from_code(resource_type)?,
        resource: name.to_string(),
        pattern: Pattern::from_code(pattern)?,
        operation: Operation::from_code(rule.operation)?,
        permission: Permission::from_code(rule.permission_type)?,
    })
}
