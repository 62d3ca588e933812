//! Which ACLs a request means: the filter of `DescribeAcls` and `DeleteAcls`.

use klamm_kafka::{Acl, ErrorCode, Operation, Pattern, Permission, ResourceType};
use klamm_wire::protocol::messages::DescribeAclsRequest;
use klamm_wire::protocol::messages::delete_acls_request::DeleteAclsFilter;
use klamm_wire::protocol::protocol::StrBytes;

use crate::error::Refusal;

/// What a request says for "whichever" (`ResourceType.ANY` and its like).
const ANY: i8 = 1;
/// `PatternType.MATCH`: every pattern that is about the name.
const MATCH: i8 = 2;

/// A filter; `None` takes everything.
#[derive(Debug)]
pub(super) struct AclFilter {
    resource_type: Option<ResourceType>,
    name: Option<String>,
    pattern: PatternFilter,
    principal: Option<String>,
    host: Option<String>,
    operation: Option<Operation>,
    permission: Option<Permission>,
}

#[derive(Debug)]
enum PatternFilter {
    Any,
    Match,
    One(Pattern),
}

impl AclFilter {
    pub fn of_describe(request: &DescribeAclsRequest) -> Result<Self, Refusal> {
        Self::new(
            (request.resource_type_filter, &request.resource_name_filter, request.pattern_type_filter),
            (&request.principal_filter, &request.host_filter),
            (request.operation, request.permission_type),
        )
    }

    pub fn of_delete(filter: &DeleteAclsFilter) -> Result<Self, Refusal> {
        Self::new(
            (filter.resource_type_filter, &filter.resource_name_filter, filter.pattern_type_filter),
            (&filter.principal_filter, &filter.host_filter),
            (filter.operation, filter.permission_type),
        )
    }

    fn new(
        (resource_type, name, pattern): (i8, &Option<StrBytes>, i8),
        (principal, host): (&Option<StrBytes>, &Option<StrBytes>),
        (operation, permission): (i8, i8),
    ) -> Result<Self, Refusal> {
        let owned = |text: &Option<StrBytes>| text.as_deref().map(str::to_owned);
        Ok(Self {
            resource_type: code(resource_type, ResourceType::from_code, "resource type")?,
            name: owned(name),
            pattern: match pattern {
                ANY => PatternFilter::Any,
                MATCH => PatternFilter::Match,
                code => PatternFilter::One(Pattern::from_code(code).ok_or_else(|| unknown("pattern type"))?),
            },
            principal: owned(principal),
            host: owned(host),
            operation: code(operation, Operation::from_code, "operation")?,
            permission: code(permission, Permission::from_code, "permission type")?,
        })
    }

    pub fn takes(&self, acl: &Acl) -> bool {
        let same = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|wanted| wanted == own);
        self.resource_type.is_none_or(|wanted| wanted == acl.resource_type)
            && self.takes_name(acl)
            && same(&self.principal, &acl.principal)
            && same(&self.host, &acl.host)
            && self.operation.is_none_or(|wanted| wanted == acl.operation)
            && self.permission.is_none_or(|wanted| wanted == acl.permission)
    }

    fn takes_name(&self, acl: &Acl) -> bool {
        let name = self.name.as_deref();
        match self.pattern {
            PatternFilter::Any => name.is_none_or(|name| name == acl.resource),
            PatternFilter::One(pattern) => {
                pattern == acl.pattern && name.is_none_or(|name| name == acl.resource)
            }
            PatternFilter::Match => name.is_none_or(|name| acl.covers(acl.resource_type, name)),
        }
    }
}

fn code<T>(code: i8, parse: fn(i8) -> Option<T>, what: &str) -> Result<Option<T>, Refusal> {
    match code {
        ANY => Ok(None),
        code => parse(code).map(Some).ok_or_else(|| unknown(what)),
    }
}

fn unknown(what: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_REQUEST, format!("The filter has an unknown {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_in_patterns_only_when_matches_are_asked_for() {
        let acl = |resource: &str, pattern| Acl {
            principal: "User:a".to_owned(),
            host: "*".to_owned(),
            resource_type: ResourceType::Topic,
            resource: resource.to_owned(),
            pattern,
            operation: Operation::Read,
            permission: Permission::Allow,
        };
        let acls =
            [acl("orders", Pattern::Literal), acl("ord", Pattern::Prefixed), acl("*", Pattern::Literal)];
        let taken = |pattern: i8, name: Option<&'static str>| {
            let request = DescribeAclsRequest::default()
                .with_resource_type_filter(2)
                .with_pattern_type_filter(pattern)
                .with_resource_name_filter(name.map(StrBytes::from_static_str))
                .with_principal_filter(None)
                .with_host_filter(None)
                .with_operation(ANY)
                .with_permission_type(ANY);
            let filter = AclFilter::of_describe(&request).unwrap();
            acls.iter().map(|acl| filter.takes(acl)).collect::<Vec<_>>()
        };
        assert_eq!(taken(ANY, None), [true, true, true]);
        assert_eq!(taken(ANY, Some("orders")), [true, false, false]);
        assert_eq!(taken(MATCH, Some("orders")), [true, true, true]);
        assert_eq!(taken(3, Some("ord")), [false, false, false]);
        assert_eq!(taken(4, Some("ord")), [false, true, false]);
        let unknown = DescribeAclsRequest::default().with_resource_type_filter(99);
        assert_eq!(AclFilter::of_describe(&unknown).unwrap_err().code, ErrorCode::INVALID_REQUEST);
    }
}
