//! What a plan would change beside topics: access rules, quotas, and broker settings that change while brokers run.

use std::collections::{BTreeMap, BTreeSet};

use klamm_contract::facts::{ClusterFacts, ConfigFact, ConfigSource};
use klamm_kafka::{Acl, Permission, ResourceType, UpdateMode, allows, update_mode};
use serde::{Deserialize, Serialize};

use crate::{AccessPlan, Change, ChangeKind, Grant, Plan, Risk, UserPlan};
use klamm_kafka::Mechanism;

/// Who may do what on a live cluster, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessFacts {
    /// All rules; `None` when the brokers have no authorizer.
    pub acls: Option<Vec<Acl>>,
    /// Mechanisms of each user of the plan; `None` when the brokers keep no users.
    pub users: Option<BTreeMap<String, BTreeSet<Mechanism>>>,
    /// Quotas of each principal of the plan, by Kafka's names, in bytes a second; of none when the brokers keep none.
    pub quotas: BTreeMap<String, BTreeMap<String, u64>>,
}

/// The rules that the plan asks for.
pub fn planned_acls(plan: &Plan) -> Vec<Acl> {
    let rule = |principal: &str, grant: &Grant| Acl {
        principal: principal.to_owned(),
        host: "*".to_owned(),
        resource_type: grant.resource_type,
        resource: grant.resource.clone(),
        pattern: grant.pattern,
        operation: grant.operation,
        permission: Permission::Allow,
    };
    let of = |service: &AccessPlan| -> Vec<Acl> {
        service.grants.iter().map(|grant| rule(&service.principal, grant)).collect()
    };
    plan.access.iter().flat_map(of).collect()
}

/// Rules to add and quotas to set. Rules are never taken away: others may count on them.
pub fn access_changes(plan: &Plan, facts: &AccessFacts) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(live) = &facts.acls {
        for acl in planned_acls(plan).into_iter().filter(|acl| !live.contains(acl)) {
            let first = !live
                .iter()
                .any(|other| other.resource_type == acl.resource_type && other.resource == acl.resource);
            let risk = if first { Risk::ClosesToOthers } else { Risk::Safe };
            changes.push(of_cluster(ChangeKind::Allow { acl }, risk));
        }
    }
    for user in plan.access.iter().filter_map(|service| service.user.as_ref()) {
        if let Some(live) = &facts.users
            && !live.get(&user.name).is_some_and(|mechanisms| mechanisms.contains(&user.mechanism))
        {
            changes.push(of_cluster(set_password(user, false), Risk::Safe));
        }
    }
    for service in &plan.access {
        let Some(live) = facts.quotas.get(&service.principal) else { continue };
        for (name, to) in [
            ("producer_byte_rate", service.producer_byte_rate),
            ("consumer_byte_rate", service.consumer_byte_rate),
        ] {
            let from = live.get(name).copied();
            if to.is_some() && from != to {
                let (principal, name) = (service.principal.clone(), name.to_owned());
                let risk =
                    if from.is_none_or(|from| to < Some(from)) { Risk::SlowsClients } else { Risk::Safe };
                changes.push(of_cluster(ChangeKind::SetQuota { principal, name, from, to }, risk));
            }
        }
    }
    changes
}

/// Every user's password, set again where the brokers know the user: they do not tell passwords, so nothing can be
/// compared.
pub fn password_changes(plan: &Plan, facts: &AccessFacts) -> Vec<Change> {
    let Some(live) = &facts.users else { return Vec::new() };
    let users = plan.access.iter().filter_map(|service| service.user.as_ref());
    let known = |user: &&UserPlan| live.get(&user.name).is_some_and(|found| found.contains(&user.mechanism));
    users.filter(known).map(|user| of_cluster(set_password(user, true), Risk::DeniesClients)).collect()
}

fn set_password(user: &UserPlan, exists: bool) -> ChangeKind {
    let UserPlan { name, mechanism, password } = user.clone();
    ChangeKind::SetPassword { user: name, mechanism, password, exists }
}

/// Broker settings to change for all brokers at once, and those that need a restart, each in a sentence.
pub fn broker_changes(plan: &Plan, facts: &ClusterFacts) -> (Vec<Change>, Vec<String>) {
    let (mut changes, mut restarts) = (Vec::new(), Vec::new());
    for setting in
        plan.brokers.iter().filter(|setting| !setting.value.starts_with('<') && setting.set_by.is_none())
    {
        let live: Vec<(i32, &ConfigFact)> = facts
            .brokers
            .iter()
            .filter_map(|broker| Some((broker.id, broker.configs.get(&setting.name)?)))
            .collect();
        let differs =
            |fact: &ConfigFact| fact.value.as_deref().is_some_and(|value| value.trim() != setting.value);
        let other: Vec<(i32, &ConfigFact)> = live.into_iter().filter(|(_, fact)| differs(fact)).collect();
        let Some((id, first)) = other.first() else { continue };
        let value = first.value.clone().unwrap_or_default();
        let by_itself = other.iter().find(|(_, fact)| fact.source == ConfigSource::DynamicBroker);
        match (update_mode(&setting.name), by_itself) {
            (UpdateMode::ClusterWide, None) => {
                let (name, to) = (setting.name.clone(), Some(setting.value.clone()));
                // What all brokers were told before comes back by telling it again; anything else by taking this away.
                let told = first.source == ConfigSource::DynamicDefaultBroker;
                let kind = ChangeKind::SetBrokers { name, from: Some(value), told, to };
                changes.push(of_cluster(kind, Risk::Safe));
            }
            (UpdateMode::ClusterWide, Some((id, fact))) => restarts.push(format!(
                "{}={} is set on broker {id} by itself, which outranks what all brokers are told: unset it there (planned: {})",
                setting.name,
                fact.value.as_deref().unwrap_or_default(),
                setting.value
            )),
            _ => restarts.push(format!(
                "{}={value} on broker {id}{}, planned is {}: in server.properties, with a restart",
                setting.name,
                if other.len() > 1 { format!(" and {} more", other.len() - 1) } else { String::new() },
                setting.value
            )),
        }
    }
    (changes, restarts)
}

fn of_cluster(kind: ChangeKind, risk: Risk) -> Change {
    Change { topic: String::new(), kind, risk }
}

/// Who may do what on one resource, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who.
    pub principal: String,
    /// `TOPIC orders.events`.
    pub resource: String,
    /// Operations that are allowed now.
    pub now: Vec<String>,
    /// Operations that are allowed with the plan's rules.
    pub then: Vec<String>,
}

/// Answers for every principal that a rule or the plan names, on every resource that the plan is about.
pub fn simulate(plan: &Plan, live: &[Acl]) -> Vec<Answer> {
    let planned = planned_acls(plan);
    let mut after = live.to_vec();
    after.extend(planned.iter().filter(|acl| !live.contains(acl)).cloned());
    let principals: BTreeSet<&str> = after.iter().map(|acl| acl.principal.as_str()).collect();
    let named = planned.iter().map(|acl| (acl.resource_type, acl.resource.as_str()));
    let owned = plan.topics.iter().map(|topic| (ResourceType::Topic, topic.name()));
    let resources: BTreeSet<(ResourceType, &str)> = named.chain(owned).collect();
    let mut answers = Vec::new();
    for principal in principals {
        for resource in &resources {
            let may = |acls: &[Acl]| -> Vec<String> {
                let operations = resource.0.operations().iter().copied();
                let allowed =
                    operations.filter(|operation| allows(acls, principal, "*", *operation, *resource));
                allowed.map(|operation| operation.to_string()).collect()
            };
            let (now, then) = (may(live), may(&after));
            if !now.is_empty() || !then.is_empty() {
                let resource = format!("{} {}", resource.0, resource.1);
                answers.push(Answer { principal: principal.to_owned(), resource, now, then });
            }
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use klamm_kafka::Operation;

    use super::*;
    use crate::spec::{SpecSet, parse};
    use crate::{PlanOptions, plan};

    fn orders() -> Plan {
        let text = "klamm: 1\nservice: orders\nquota: { write: 5 MB/s }\ntopics:\n  t:\n    key: k\nconsumers:\n  g: { reads: [t] }\n";
        let spec = parse("klamm.yaml", text).unwrap_or_else(|problems| panic!("{problems:?}"));
        plan(&SpecSet::from(spec), &PlanOptions::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn what_is_missing_is_added_and_nothing_is_taken_away() {
        let plan = orders();
        let mut facts = AccessFacts { acls: Some(Vec::new()), ..AccessFacts::default() };
        facts.quotas.insert("User:orders".to_owned(), BTreeMap::new());
        let changes = access_changes(&plan, &facts);
        assert_eq!(changes.len(), planned_acls(&plan).len() + 1, "{changes:?}");
        assert!(changes.iter().any(|change| change.risk == Risk::ClosesToOthers));
        facts.acls = Some(planned_acls(&plan));
        let quotas = BTreeMap::from([("producer_byte_rate".to_owned(), 5_000_000)]);
        facts.quotas.insert("User:orders".to_owned(), quotas);
        assert_eq!(access_changes(&plan, &facts), []);
        facts.acls = None;
        assert_eq!(access_changes(&plan, &facts), [], "without an authorizer there is nothing to allow");
    }

    #[test]
    fn a_simulation_says_what_is_allowed_before_and_after() {
        let plan = orders();
        let denied = Acl {
            permission: Permission::Deny,
            operation: Operation::Read,
            ..planned_acls(&plan)[0].clone()
        };
        let answers = simulate(&plan, &[denied]);
        let topic = answers.iter().find(|answer| answer.resource == "TOPIC t").expect("an answer");
        assert_eq!((topic.principal.as_str(), topic.now.len()), ("User:orders", 0));
        assert_eq!(topic.then, ["WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"], "the denial stays");
    }
}
