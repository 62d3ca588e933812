//! Who may do what: the least that each service needs, from what it reads and writes.

use std::collections::HashSet;
use std::path::Path;

use klamm_contract::Delivery;
use klamm_kafka::{Operation, Pattern, ResourceType};
use serde::{Deserialize, Serialize};

use crate::spec::{Mechanism, SecretRef, Spec, StreamsSpec};

/// What one service may do and take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPlan {
    /// The service.
    pub service: String,
    /// Who it is to the cluster: `User:orders`.
    pub principal: String,
    /// The user behind the principal, when the brokers are to keep its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserPlan>,
    /// What it is allowed, each with its reason.
    pub grants: Vec<Grant>,
    /// `producer_byte_rate` of each broker, when it is limited.
    pub producer_byte_rate: Option<u64>,
    /// `consumer_byte_rate` of each broker, when it is limited.
    pub consumer_byte_rate: Option<u64>,
}

/// The user that a principal names (`User:orders` is orders): quotas and passwords are the user's, not the principal's.
/// Kafka's own authorizer knows no other kind of principal.
pub fn user_of(principal: &str) -> &str {
    principal.strip_prefix("User:").unwrap_or(principal)
}

/// A user that the brokers are to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPlan {
    /// Name, without `User:`.
    pub name: String,
    /// SCRAM mechanism.
    pub mechanism: Mechanism,
    /// Where the password is: never the password.
    pub password: SecretRef,
}

impl AccessPlan {
    /// Some quota is planned.
    pub fn has_quota(&self) -> bool {
        self.producer_byte_rate.is_some() || self.consumer_byte_rate.is_some()
    }
}

/// One allowance: an ACL of Kafka's, from any host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Kind of what it is about.
    pub resource_type: ResourceType,
    /// Name, or its beginning.
    pub resource: String,
    /// How the name is meant.
    pub pattern: Pattern,
    /// What is allowed.
    pub operation: Operation,
    /// Why.
    pub reason: String,
}

#[derive(Default)]
struct Grants {
    grants: Vec<Grant>,
    seen: HashSet<(ResourceType, String, Pattern, Operation)>,
}

impl Grants {
    fn add(&mut self, what: (ResourceType, &str, Pattern), operation: Operation, reason: String) {
        let (resource_type, resource, pattern) = what;
        let resource = resource.to_owned();
        if self.seen.insert((resource_type, resource.clone(), pattern, operation)) {
            self.grants.push(Grant { resource_type, resource, pattern, operation, reason });
        }
    }

    fn topic(&mut self, name: &str, operation: Operation, reason: String) {
        self.add((ResourceType::Topic, name, Pattern::Literal), operation, reason);
    }
}

/// What `spec` needs. READ and WRITE imply DESCRIBE in Kafka's authorizer, so that is not said twice.
pub(crate) fn access(spec: &Spec) -> AccessPlan {
    let mut grants = Grants::default();
    for topic in &spec.topics {
        grants.topic(
            &topic.name.value,
            Operation::Write,
            "owns it and writes it; idempotent producers need no more since 3.0 (KIP-679)".to_owned(),
        );
        grants.topic(
            &topic.name.value,
            Operation::DescribeConfigs,
            "the durable producer looks at the floor before its first send".to_owned(),
        );
    }
    for topic in &spec.writes {
        grants.topic(&topic.value, Operation::Write, "writes: says so".to_owned());
    }
    for consumer in &spec.consumers {
        for topic in &consumer.reads {
            grants.topic(&topic.value, Operation::Read, format!("group {} reads it", consumer.group.value));
        }
        grants.add(
            (ResourceType::Group, &consumer.group.value, Pattern::Literal),
            Operation::Read,
            "joins the group and commits its offsets".to_owned(),
        );
        if consumer.delivery == Delivery::ExactlyOnce {
            transactional(&mut grants, &consumer.group.value);
        }
    }
    for streams in &spec.streams {
        self::streams(&mut grants, streams);
    }
    AccessPlan {
        service: spec.service.value.clone(),
        principal: spec.principal.clone(),
        user: spec.user.as_ref().map(|user| UserPlan {
            name: user_of(&spec.principal).to_owned(),
            mechanism: user.mechanism,
            password: user.password.within(Path::new(&spec.file).parent().unwrap_or(Path::new(""))),
        }),
        grants: grants.grants,
        producer_byte_rate: spec.quota.write,
        consumer_byte_rate: spec.quota.read,
    }
}

fn transactional(grants: &mut Grants, name: &str) {
    for operation in [Operation::Write, Operation::Describe] {
        grants.add(
            (ResourceType::TransactionalId, name, Pattern::Prefixed),
            operation,
            "its transactions are named after it".to_owned(),
        );
    }
}

fn streams(grants: &mut Grants, streams: &StreamsSpec) {
    let application = streams.application.value.as_str();
    for topic in &streams.reads {
        grants.topic(&topic.value, Operation::Read, format!("application {application} reads it"));
    }
    for topic in &streams.writes {
        grants.topic(&topic.value, Operation::Write, format!("application {application} writes it"));
    }
    for operation in
        [Operation::Create, Operation::Read, Operation::Write, Operation::Delete, Operation::DescribeConfigs]
    {
        let reason = "changelogs and repartition topics are named after the application".to_owned();
        grants.add((ResourceType::Topic, application, Pattern::Prefixed), operation, reason);
    }
    grants.add(
        (ResourceType::Group, application, Pattern::Literal),
        Operation::Read,
        "the application is a group".to_owned(),
    );
    if streams.delivery == Delivery::ExactlyOnce {
        transactional(grants, application);
    }
}
