//! Who may do what: the rules of Kafka's `StandardAuthorizer`.

use std::collections::BTreeSet;

use klamm_kafka::{Acl, Operation, Pattern, Permission, ResourceType, allows};

use super::config::AuthorizerConfig;

/// The name of the one resource of type CLUSTER.
pub(crate) const CLUSTER: &str = "kafka-cluster";

/// Who asks, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// `User:name`.
    pub principal: &'a str,
    pub host: &'a str,
}

/// Super users first, then any rule that denies, then any that allows; what no rule is about is for
/// `allow.everyone.if.no.acl.found`.
pub(crate) fn may(
    config: &AuthorizerConfig,
    acls: &BTreeSet<Acl>,
    asker: Asker<'_>,
    operation: Operation,
    resource: (ResourceType, &str),
) -> bool {
    if config.super_users.contains(asker.principal) {
        return true;
    }
    if !acls.iter().any(|acl| acl.covers(resource.0, resource.1)) {
        return config.allow_everyone_if_no_acl_found;
    }
    allows(acls, asker.principal, asker.host, operation, resource)
}

/// Whether `operation` is allowed on any resource of the type (KIP-679): an idempotent producer needs a topic to write to.
pub(crate) fn may_on_any(
    config: &AuthorizerConfig,
    acls: &BTreeSet<Acl>,
    asker: Asker<'_>,
    operation: Operation,
    resource_type: ResourceType,
) -> bool {
    // The name that Kafka tries: it finds super users, and rules about every name.
    if may(config, acls, asker, operation, (resource_type, "hardcode")) {
        return true;
    }
    let counts = |acl: &&Acl| {
        acl.resource_type == resource_type
            && (acl.host == asker.host || acl.host == "*")
            && (acl.principal == asker.principal || acl.principal == "User:*")
            && (acl.operation == operation || acl.operation == Operation::All)
    };
    let (denied, allowed): (Vec<_>, Vec<_>) =
        acls.iter().filter(counts).partition(|acl| acl.permission == Permission::Deny);
    if denied.iter().any(|acl| acl.pattern == Pattern::Literal && acl.resource == "*") {
        return false;
    }
    allowed.iter().any(|acl| {
        let every = acl.pattern == Pattern::Literal && acl.resource == "*";
        every
            || !denied.iter().any(|deny| match deny.pattern {
                Pattern::Prefixed => acl.resource.starts_with(&deny.resource),
                Pattern::Literal => acl.pattern == Pattern::Literal && acl.resource == deny.resource,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 4] = ["a", "ab", "abc", "b"];
    const OPERATIONS: [Operation; 8] = [
        Operation::All,
        Operation::Read,
        Operation::Write,
        Operation::Delete,
        Operation::Alter,
        Operation::Describe,
        Operation::DescribeConfigs,
        Operation::AlterConfigs,
    ];

    fn acls() -> impl Strategy<Value = BTreeSet<Acl>> {
        let acl = (
            prop::sample::select(vec!["User:alice", "User:bob", "User:*", "Group:alice"]),
            prop::sample::select(vec!["*", "10.0.0.1", "10.0.0.2"]),
            prop::sample::select(vec![ResourceType::Topic, ResourceType::Group]),
            prop::sample::select(vec!["*", "a", "ab", "b", "x"]),
            any::<bool>(),
            prop::sample::select(OPERATIONS.to_vec()),
            prop::sample::select(vec![Permission::Deny, Permission::Allow, Permission::Allow]),
        );
        let acl =
            acl.prop_map(|(principal, host, resource_type, resource, prefixed, operation, permission)| Acl {
                principal: principal.to_owned(),
                host: host.to_owned(),
                resource_type,
                resource: resource.to_owned(),
                pattern: if prefixed { Pattern::Prefixed } else { Pattern::Literal },
                operation,
                permission,
            });
        prop::collection::btree_set(acl, 0..8)
    }

    /// The rule in other words, taken from the description of KIP-11 and KIP-290 rather than from the code above.
    fn naive(
        config: &AuthorizerConfig,
        acls: &BTreeSet<Acl>,
        who: Asker<'_>,
        wanted: Operation,
        name: &str,
    ) -> bool {
        if config.super_users.iter().any(|user| user == who.principal) {
            return true;
        }
        let mut found = false;
        let mut allowed = false;
        let mut denied = false;
        for acl in acls {
            let matches_name = match (acl.pattern, acl.resource.as_str()) {
                (Pattern::Literal, "*") => true,
                (Pattern::Literal, own) => own == name,
                (Pattern::Prefixed, own) => name.len() >= own.len() && &name[..own.len()] == own,
            };
            if acl.resource_type != ResourceType::Topic || !matches_name {
                continue;
            }
            found = true;
            let who_matches = ["User:*", who.principal].contains(&acl.principal.as_str());
            let host_matches = ["*", who.host].contains(&acl.host.as_str());
            if !who_matches || !host_matches {
                continue;
            }
            let covered: Vec<Operation> = match (acl.permission, acl.operation) {
                (_, Operation::All) => OPERATIONS.to_vec(),
                (
                    Permission::Allow,
                    one @ (Operation::Read | Operation::Write | Operation::Delete | Operation::Alter),
                ) => {
                    vec![one, Operation::Describe]
                }
                (Permission::Allow, Operation::AlterConfigs) => {
                    vec![Operation::AlterConfigs, Operation::DescribeConfigs]
                }
                (_, one) => vec![one],
            };
            if covered.contains(&wanted) {
                match acl.permission {
                    Permission::Deny => denied = true,
                    Permission::Allow => allowed = true,
                }
            }
        }
        if found { allowed && !denied } else { config.allow_everyone_if_no_acl_found }
    }

    proptest! {
        #[test]
        fn any_rules_decide_any_request_as_the_plain_reading_says(
            acls in acls(),
            principal in prop::sample::select(vec!["User:alice", "User:bob", "User:root", "Group:alice"]),
            host in prop::sample::select(vec!["10.0.0.1", "10.0.0.2"]),
            wanted in prop::sample::select(OPERATIONS[1..].to_vec()),
            everyone in any::<bool>(),
        ) {
            let config = AuthorizerConfig {
                super_users: BTreeSet::from(["User:root".to_owned()]),
                allow_everyone_if_no_acl_found: everyone,
            };
            let who = Asker { principal, host };
            for name in NAMES {
                let decided = may(&config, &acls, who, wanted, (ResourceType::Topic, name));
                prop_assert_eq!(decided, naive(&config, &acls, who, wanted, name), "{} {:?}", name, acls);
            }
        }

        #[test]
        fn what_is_allowed_on_some_name_is_allowed_on_any(
            acls in acls(), principal in prop::sample::select(vec!["User:alice", "User:bob"]),
        ) {
            let config = AuthorizerConfig::default();
            let who = Asker { principal, host: "10.0.0.1" };
            let names = NAMES.iter().copied().chain(["hardcode", "x", "xy", "aa", "ba", "*", "*z"]);
            let some = names.into_iter().any(|name| may(&config, &acls, who, Operation::Write, (ResourceType::Topic, name)));
            let any = may_on_any(&config, &acls, who, Operation::Write, ResourceType::Topic);
            // Kafka answers no where one rule denies all names; so does `may` for each of them.
            prop_assert!(!some || any, "{:?}", acls);
        }
    }
}
