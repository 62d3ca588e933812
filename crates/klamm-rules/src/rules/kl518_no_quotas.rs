//! Several users share a cluster without any quota.
//!
//! ## What it does
//! Counts the users that access rules and SCRAM credentials name, and looks for quotas of clients. Two users and no quota are a finding.
//!
//! ## Why it hurts
//! One client in a loop, or one backfill, takes the network and the disks of the brokers from all others. Kafka limits nobody by itself.
//!
//! ## Example
//!     12 users, no quota
//!
//! ## Use instead
//!     a default for all users, high enough that only mistakes meet it, and more for those that need it
//!
//! ## Severity
//! Info.
//!
//! ## References
//! - KIP-13, KIP-546: quotas of clients

use std::collections::BTreeSet;

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    let Some(quotas) = out.see("quotas", &live.quotas) else { return };
    if !quotas.is_empty() {
        return out.judged();
    }
    let mut users: BTreeSet<&str> = BTreeSet::new();
    if let Some(acls) = out.see("access rules", &live.acls) {
        let names = acls.rules.iter().map(|rule| rule.principal.as_str());
        users.extend(names.filter_map(|name| name.strip_prefix("User:")).filter(|name| *name != "*"));
    }
    if let Some(scram) = out.see("SCRAM users", &live.scram) {
        users.extend(scram.iter().map(|user| user.user.as_str()));
    }
    out.judged();
    if users.len() < 2 {
        return;
    }
    let server = cx.bootstrap();
    let entity = "--entity-type users --entity-default";
    let rates = ["producer_byte_rate", "consumer_byte_rate"];
    out.found(
        Finding::new(Severity::Info, "cluster", format!("{} users and no quota", users.len()))
            .fact("users", users.len().to_string(), "access rules and SCRAM users")
            .fact("quotas", "0", "quotas of the cluster")
            .consequence("one client in a loop takes network and disk of the brokers from all others")
            .fix(
                Fix::new("limit what a user takes of each broker", Risk::SlowsClients)
                    .command(format!(
                        "kafka-configs.sh --bootstrap-server {server} --alter {entity} --add-config {0}=50000000,{1}=100000000",
                        rates[0], rates[1]
                    ))
                    .ask("look first at what the busiest user takes of a broker: the default should be above it")
                    .undo(format!(
                        "kafka-configs.sh --bootstrap-server {server} --alter {entity} --delete-config {},{}",
                        rates[0], rates[1]
                    )),
            )
            .next(format!("kafka-configs.sh --bootstrap-server {server} --describe --entity-type users")),
    );
}
