//! One look at all groups: who is in them, and what they are doing.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use klamm_admin::{Admin, AdminError, AdminErrorKind, GroupDescription, GroupListing, GroupProtocol};
use klamm_rules::Seen;
use klamm_rules::evidence::Group;
use tokio::time::Instant;

use crate::live::{DESCRIBE_CLUSTER, lacking, of_brokers, why};

/// Kafka's word for a group without members.
const EMPTY: &str = "Empty";

/// All groups at one moment.
pub(super) struct Look {
    /// Milliseconds since the first look.
    pub(super) at_ms: i64,
    pub(super) groups: BTreeMap<String, Known>,
    /// Which brokers did not list theirs, and why.
    pub(super) missing: Vec<String>,
    /// Nobody listed any: why.
    failed: Option<Seen<Vec<Group>>>,
}

/// A group that a broker has listed.
pub(super) struct Known {
    pub(super) coordinator: i32,
    pub(super) protocol: GroupProtocol,
    pub(super) protocol_type: String,
    /// State and members, or why they cannot be had.
    pub(super) described: Result<GroupDescription, String>,
}

impl Look {
    pub(super) async fn take(admin: &Admin, started: Instant) -> Look {
        let at_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (listed, missing) = match of_brokers(admin.groups_by_broker().await, DESCRIBE_CLUSTER) {
            Seen::Full(listed) => (listed, Vec::new()),
            Seen::Partial { value, missing } => (value, missing),
            other => {
                let missing = match &other {
                    Seen::Denied { permission } => vec![lacking(permission)],
                    Seen::Failed { why } => vec![why.clone()],
                    _ => Vec::new(),
                };
                let failed = Some(other.map(|_| Vec::new()));
                return Look { at_ms, groups: BTreeMap::new(), missing, failed };
            }
        };
        let each = join_all(listed.into_iter().map(|(broker, listed)| describe(admin, broker, listed))).await;
        Look { at_ms, groups: each.into_iter().flatten().collect(), missing, failed: None }
    }

    /// What is returned when not one broker listed its groups.
    pub(super) fn nothing(&self) -> Option<Seen<Vec<Group>>> {
        self.failed.clone()
    }
}

/// Groups of one coordinator. One that the list calls empty has no members to describe.
async fn describe(admin: &Admin, broker: i32, listed: Vec<GroupListing>) -> Vec<(String, Known)> {
    let mut by_protocol = BTreeMap::<GroupProtocol, Vec<String>>::new();
    for listing in listed.iter().filter(|listing| listing.state != EMPTY) {
        by_protocol.entry(listing.protocol).or_default().push(listing.group.clone());
    }
    let mut described = BTreeMap::new();
    for (protocol, names) in &by_protocol {
        match admin.describe_groups(broker, *protocol, names).await {
            Ok(told) => described.extend(told.into_iter().map(|(name, told)| {
                let reason = |error: AdminError| match error.kind() {
                    AdminErrorKind::Denied { resource, .. } if resource.starts_with("topics of ") => {
                        lacking("DESCRIBE on a topic that it reads")
                    }
                    AdminErrorKind::Denied { .. } => lacking(&format!("DESCRIBE on Group:{name}")),
                    _ => why(&error),
                };
                let told = told.map_err(reason);
                (name, told)
            })),
            Err(error) => {
                described.extend(names.iter().map(|name| (name.clone(), Err(why(&error)))));
            }
        }
    }
    let known = |listing: GroupListing| {
        let described = described.remove(&listing.group).unwrap_or_else(|| Ok(empty(&listing)));
        // The listing of a version that does not tell protocols is corrected by the description.
        let protocol = described.as_ref().map_or(listing.protocol, |described| described.protocol);
        let GroupListing { group, protocol_type, .. } = listing;
        (group, Known { coordinator: broker, protocol, protocol_type, described })
    };
    listed.into_iter().map(known).collect()
}

fn empty(listing: &GroupListing) -> GroupDescription {
    GroupDescription {
        group: listing.group.clone(),
        protocol: listing.protocol,
        protocol_type: listing.protocol_type.clone(),
        state: listing.state.clone(),
        epoch: None,
        assignor: String::new(),
        members: Vec::new(),
        rights: None,
    }
}
