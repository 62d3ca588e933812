//! Layers beside topics: access rules, users, quotas, and broker settings that change while brokers run.

use std::collections::{BTreeMap, BTreeSet};

use klamm_admin::{Admin, AdminError};
use klamm_contract::facts::ClusterFacts;
use klamm_kafka::Mechanism;
use klamm_plan::{
    AccessFacts, Change, ChangeKind, Plan, access_changes, broker_changes, password_changes, user_of,
};
use klamm_wire::sasl::Hash;

/// Layers beside topics that are brought to the plan: others may own them, so nothing is changed unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layers {
    /// Access rules, users and quotas.
    pub access: bool,
    /// Passwords of users that the brokers know already, set again.
    pub passwords: bool,
    /// Broker settings that change while brokers run.
    pub brokers: bool,
}

impl Layers {
    /// Topics alone.
    pub const NONE: Layers = Layers { access: false, passwords: false, brokers: false };
}

/// What is to be changed beside topics, and what is to be known about the rest.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub changes: Vec<Change>,
    pub remarks: Vec<String>,
}

/// Changes of the layers that were asked for.
pub(crate) async fn beside_topics(
    admin: &Admin,
    plan: &Plan,
    layers: Layers,
    facts: &ClusterFacts,
) -> Result<Beside, AdminError> {
    let mut beside = Beside::default();
    if layers.brokers {
        let (dynamic, restarts) = broker_changes(plan, facts);
        beside.changes.extend(dynamic);
        beside.remarks.extend(restarts);
    }
    let users: BTreeSet<String> =
        plan.access.iter().filter_map(|service| Some(service.user.as_ref()?.name.clone())).collect();
    if layers.passwords {
        let live = AccessFacts { users: known_users(admin, &users).await?, ..AccessFacts::default() };
        beside.changes.extend(password_changes(plan, &live));
    }
    if layers.access {
        let limited = plan.access.iter().filter(|service| service.has_quota());
        let mut live = quotas(admin, limited.map(|service| service.principal.as_str())).await?;
        live.acls = admin.acls().await?;
        live.users = known_users(admin, &users).await?;
        if live.users.is_none() {
            beside.remarks.push("the brokers keep no SCRAM users: none was made".to_owned());
        }
        if live.acls.is_none() {
            beside.remarks.push(
                "the brokers have no authorizer: access rules are not asked, and none was set".to_owned(),
            );
        }
        if plan.access.iter().any(|service| service.has_quota()) && live.quotas.is_empty() {
            beside.remarks.push("the brokers keep no quotas: none was set".to_owned());
        }
        beside.changes.extend(access_changes(plan, &live));
    }
    Ok(beside)
}

/// Who may do what now, as far as `changes` are about it.
pub(crate) async fn access_of(admin: &Admin, changes: &[&ChangeKind]) -> Result<AccessFacts, AdminError> {
    let rules = |kind: &&ChangeKind| matches!(kind, ChangeKind::Allow { .. } | ChangeKind::Revoke { .. });
    let limited = changes.iter().filter_map(|kind| match kind {
        ChangeKind::SetQuota { principal, .. } => Some(principal.as_str()),
        _ => None,
    });
    let users = changes.iter().filter_map(|kind| match kind {
        ChangeKind::SetPassword { user, .. } => Some(user.clone()),
        _ => None,
    });
    let mut facts = quotas(admin, limited).await?;
    if changes.iter().any(rules) {
        facts.acls = admin.acls().await?;
    }
    facts.users = known_users(admin, &users.collect()).await?;
    Ok(facts)
}

/// Mechanisms of `users`; asks nobody when there are none.
async fn known_users(
    admin: &Admin,
    users: &BTreeSet<String>,
) -> Result<Option<BTreeMap<String, BTreeSet<Mechanism>>>, AdminError> {
    if users.is_empty() {
        return Ok(Some(BTreeMap::new()));
    }
    let known = admin.scram_users(users).await?;
    let of = |hashes: Vec<Hash>| hashes.into_iter().map(Hash::mechanism).collect();
    Ok(known.map(|known| known.into_iter().map(|(user, hashes)| (user, of(hashes))).collect()))
}

async fn quotas<'a>(
    admin: &Admin,
    limited: impl Iterator<Item = &'a str>,
) -> Result<AccessFacts, AdminError> {
    let mut facts = AccessFacts::default();
    for principal in limited {
        let Some(quotas) = admin.quotas(user_of(principal)).await? else { continue };
        // Quotas are decimal numbers there; bytes a second below 2^53 are exact.
        let quotas = quotas.into_iter().map(|(name, rate)| (name, rate as u64)).collect();
        facts.quotas.insert(principal.to_owned(), quotas);
    }
    Ok(facts)
}
