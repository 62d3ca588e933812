//! Layers beside topics: access rules, quotas, and broker settings that change while brokers run.

use klamm_admin::{Admin, AdminError};
use klamm_contract::facts::ClusterFacts;
use klamm_plan::{AccessFacts, Change, ChangeKind, Plan, access_changes, broker_changes};

/// Layers beside topics that are brought to the plan: others may own them, so nothing is changed unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layers {
    /// Access rules and quotas.
    pub access: bool,
    /// Broker settings that change while brokers run.
    pub brokers: bool,
}

impl Layers {
    /// Topics alone.
    pub const NONE: Layers = Layers { access: false, brokers: false };
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
    if layers.access {
        let limited = plan.access.iter().filter(|service| service.has_quota());
        let live = access(admin, limited.map(|service| service.principal.as_str())).await?;
        if live.acls.is_none() {
            beside.remarks.push(
                "the brokers have no authorizer: access rules are not asked, and none was set".to_owned(),
            );
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
    if changes.iter().any(rules) { access(admin, limited).await } else { quotas(admin, limited).await }
}

async fn access<'a>(
    admin: &Admin,
    limited: impl Iterator<Item = &'a str>,
) -> Result<AccessFacts, AdminError> {
    Ok(AccessFacts { acls: admin.acls().await?, ..quotas(admin, limited).await? })
}

async fn quotas<'a>(
    admin: &Admin,
    limited: impl Iterator<Item = &'a str>,
) -> Result<AccessFacts, AdminError> {
    let mut facts = AccessFacts::default();
    for principal in limited {
        let quotas = admin.quotas(user(principal)).await?;
        // Quotas are decimal numbers there; bytes a second below 2^53 are exact.
        let quotas = quotas.into_iter().map(|(name, rate)| (name, rate as u64)).collect();
        facts.quotas.insert(principal.to_owned(), quotas);
    }
    Ok(facts)
}

/// The user that a principal names: quotas and passwords are the user's, not the principal's.
pub(crate) fn user(principal: &str) -> &str {
    principal.strip_prefix("User:").unwrap_or(principal)
}
