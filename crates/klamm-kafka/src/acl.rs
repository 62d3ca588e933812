//! Access rules and what they decide, as Kafka's `StandardAuthorizer` does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acl {
    /// `User:name`, or `User:*`.
    pub principal: String,
    /// Host that it holds for, or `*`.
    pub host: String,
    /// Kind of what it is about.
    pub resource_type: ResourceType,
    /// Its name, the beginning of names, or `*` for all.
    pub resource: String,
    /// How the name is meant.
    pub pattern: Pattern,
    /// What is done.
    pub operation: Operation,
    /// Whether it may be.
    pub permission: Permission,
}

/// Kinds of what rules are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(i8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A consumer group.
    Group = 3,
    /// The cluster as a whole.
    Cluster = 4,
    /// A transactional id.
    TransactionalId = 5,
    /// A delegation token.
    DelegationToken = 6,
    /// A user.
    User = 7,
}

/// How a name is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(i8)]
pub enum Pattern {
    /// The name itself, or `*` for all.
    Literal = 3,
    /// All names that begin so.
    Prefixed = 4,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(i8)]
pub enum Operation {
    /// Every operation.
    All = 2,
    /// Fetch, join a group, commit offsets.
    Read = 3,
    /// Produce, use a transactional id.
    Write = 4,
    /// Make a topic.
    Create = 5,
    /// Delete a topic, its records, a group.
    Delete = 6,
    /// Add partitions, move copies, change rules.
    Alter = 7,
    /// Look.
    Describe = 8,
    /// What brokers do among each other.
    ClusterAction = 9,
    /// Read configurations.
    DescribeConfigs = 10,
    /// Change configurations.
    AlterConfigs = 11,
    /// Produce without duplicates (before 3.0).
    IdempotentWrite = 12,
    /// Make delegation tokens for a user.
    CreateTokens = 13,
    /// Look at delegation tokens of a user.
    DescribeTokens = 14,
    /// Keep transactions prepared (KIP-939).
    TwoPhaseCommit = 15,
}

/// Whether something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(i8)]
pub enum Permission {
    /// It may not be.
    Deny = 2,
    /// It may be.
    Allow = 3,
}

/// Kafka's codes and words; the code is the number behind the variant.
macro_rules! coded {
    ($Type:ident: $($variant:ident $word:literal),*) => {
        impl $Type {
            /// From the code of the protocol.
            pub fn from_code(code: i8) -> Option<Self> {
                [$($Type::$variant),*].into_iter().find(|one| *one as i8 == code)
            }

            /// The code of the protocol.
            pub fn code(self) -> i8 {
                self as i8
            }
        }

        impl fmt::Display for $Type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($Type::$variant => $word),* })
            }
        }
    };
}

coded!(ResourceType: Topic "TOPIC", Group "GROUP", Cluster "CLUSTER", TransactionalId "TRANSACTIONAL_ID",
    DelegationToken "DELEGATION_TOKEN", User "USER");
coded!(Pattern: Literal "LITERAL", Prefixed "PREFIXED");
coded!(Operation: All "ALL", Read "READ", Write "WRITE", Create "CREATE", Delete "DELETE", Alter "ALTER",
    Describe "DESCRIBE", ClusterAction "CLUSTER_ACTION", DescribeConfigs "DESCRIBE_CONFIGS",
    AlterConfigs "ALTER_CONFIGS", IdempotentWrite "IDEMPOTENT_WRITE", CreateTokens "CREATE_TOKENS",
    DescribeTokens "DESCRIBE_TOKENS", TwoPhaseCommit "TWO_PHASE_COMMIT");
coded!(Permission: Deny "DENY", Allow "ALLOW");

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Acl { principal, host, resource_type, resource, pattern, operation, permission } = self;
        let prefix = if *pattern == Pattern::Prefixed { "*" } else { "" };
        write!(f, "{permission} {operation} on {resource_type} {resource}{prefix} to {principal}")?;
        if host != "*" { write!(f, " from {host}") } else { Ok(()) }
    }
}

impl ResourceType {
    /// The operations that rules about a resource of this type know (`AclEntry.supportedOperations`).
    pub const fn operations(self) -> &'static [Operation] {
        use Operation as O;
        match self {
            ResourceType::Topic => &[
                O::Read,
                O::Write,
                O::Create,
                O::Delete,
                O::Alter,
                O::Describe,
                O::DescribeConfigs,
                O::AlterConfigs,
            ],
            ResourceType::Group => &[O::Read, O::Delete, O::Describe, O::DescribeConfigs, O::AlterConfigs],
            ResourceType::Cluster => &[
                O::Create,
                O::Alter,
                O::Describe,
                O::ClusterAction,
                O::DescribeConfigs,
                O::AlterConfigs,
                O::IdempotentWrite,
            ],
            ResourceType::TransactionalId => &[O::Write, O::Describe, O::TwoPhaseCommit],
            ResourceType::DelegationToken => &[O::Describe],
            ResourceType::User => &[O::CreateTokens, O::DescribeTokens],
        }
    }
}

impl Acl {
    /// It is about the resource of this type and name.
    pub fn covers(&self, resource_type: ResourceType, name: &str) -> bool {
        self.resource_type == resource_type
            && match self.pattern {
                Pattern::Literal => self.resource == name || self.resource == "*",
                Pattern::Prefixed => name.starts_with(&self.resource),
            }
    }

    fn is_for(&self, principal: &str, host: &str) -> bool {
        (self.principal == principal || self.principal == "User:*") && (self.host == host || self.host == "*")
    }
}

/// May `principal` do `operation`? One rule that denies outweighs all that allow; what no rule allows is denied. READ,
/// WRITE, DELETE and ALTER imply DESCRIBE, and ALTER_CONFIGS implies DESCRIBE_CONFIGS; ALL implies every operation.
/// Super users, and `allow.everyone.if.no.acl.found`, are the caller's to know.
pub fn allows<'a>(
    acls: impl IntoIterator<Item = &'a Acl> + Copy,
    principal: &str,
    host: &str,
    operation: Operation,
    resource: (ResourceType, &str),
) -> bool {
    let of = |permission: Permission| {
        acls.into_iter().filter(move |acl| {
            acl.permission == permission && acl.is_for(principal, host) && acl.covers(resource.0, resource.1)
        })
    };
    let same = |acl: &Acl| acl.operation == operation || acl.operation == Operation::All;
    let implied = |acl: &Acl| match operation {
        Operation::Describe => {
            matches!(acl.operation, Operation::Read | Operation::Write | Operation::Delete | Operation::Alter)
        }
        Operation::DescribeConfigs => acl.operation == Operation::AlterConfigs,
        _ => false,
    };
    !of(Permission::Deny).any(same) && of(Permission::Allow).any(|acl| same(acl) || implied(acl))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(
        principal: &str,
        resource: &str,
        pattern: Pattern,
        operation: Operation,
        permission: Permission,
    ) -> Acl {
        Acl {
            principal: principal.to_owned(),
            host: "*".to_owned(),
            resource_type: ResourceType::Topic,
            resource: resource.to_owned(),
            pattern,
            operation,
            permission,
        }
    }

    #[test]
    fn a_denial_outweighs_and_operations_imply_their_lesser_ones() {
        use Operation as O;
        use Permission::{Allow, Deny};
        let rules = [
            acl("User:a", "orders.", Pattern::Prefixed, O::Read, Allow),
            acl("User:a", "orders.secret", Pattern::Literal, O::All, Deny),
            acl("User:*", "*", Pattern::Literal, O::AlterConfigs, Allow),
        ];
        let may = |who: &str, operation, topic: &str| {
            allows(&rules, who, "10.0.0.1", operation, (ResourceType::Topic, topic))
        };
        assert!(may("User:a", O::Read, "orders.events") && may("User:a", O::Describe, "orders.events"));
        assert!(!may("User:a", O::Write, "orders.events") && !may("User:b", O::Read, "orders.events"));
        assert!(!may("User:a", O::Read, "orders.secret") && !may("User:a", O::Read, "order"));
        assert!(may("User:b", O::DescribeConfigs, "any") && !may("User:b", O::Describe, "any"));
        assert!(!allows(&rules, "User:a", "*", O::Read, (ResourceType::Group, "orders.events")));
    }

    #[test]
    fn codes_are_read_back_and_words_are_those_of_the_json_form() {
        fn same<T: fmt::Display + Serialize>(one: T) -> bool {
            serde_json::to_string(&one).is_ok_and(|json| json == format!("\"{one}\""))
        }
        for code in -2..20 {
            assert!(ResourceType::from_code(code).is_none_or(|one| one.code() == code && same(one)));
            assert!(Pattern::from_code(code).is_none_or(|one| one.code() == code && same(one)));
            assert!(Operation::from_code(code).is_none_or(|one| one.code() == code && same(one)));
            assert!(Permission::from_code(code).is_none_or(|one| one.code() == code && same(one)));
        }
    }
}
