//! A group's lag can be seen, and nothing of the hosts that it runs on.
//!
//! ## What it does
//! Fires where metrics were asked for, and none of them comes from a host of a group's members.
//!
//! ## Why it hurts
//! Lag says that a group is slow and not why. Whether CPU, memory or a quota holds it back is then guessed, in the middle of the incident.
//!
//! ## Example
//!     members on 10.0.0.7 and 10.0.0.8; metrics only of brokers
//!
//! ## Use instead
//!     a node exporter and a JMX exporter on the hosts of consumers
//!
//! ## Severity
//! Info.
//!
//! ## References
//! - Apache Kafka, monitoring: consumer metrics

use std::collections::BTreeSet;

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::reading_groups;
use crate::finding::{Finding, Fix, Severity};
use crate::lag::hosts_of;
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let groups = reading_groups(cx, out);
    if out.see("metrics of clients", &cx.evidence.host).is_none() {
        return;
    }
    for group in groups.iter().filter(|group| !group.members.is_empty()) {
        let hosts: BTreeSet<&str> =
            group.members.iter().map(|member| member.host.trim_start_matches('/')).collect();
        let hosts: Vec<&str> = hosts.into_iter().filter(|host| !host.is_empty()).collect();
        if hosts.is_empty() {
            out.unclear(&format!("group {}", group.name), "the hosts of its members were not told");
            continue;
        }
        out.judged();
        if !hosts_of(cx, group).is_empty() {
            continue;
        }
        let finding = Finding::new(
            Severity::Info,
            format!("group {}", group.name),
            "no metrics come from the hosts of its members",
        )
        .fact("hosts of members", listed(&hosts, 3), "the group's coordinator")
        .fact("metrics from them", "none", "the endpoints that were asked")
        .consequence("when its lag grows nobody can tell whether CPU, memory or a quota holds it back")
        .fix(
            Fix::new("watch the hosts beside the lag", Risk::Safe)
                .ask(format!("run a node exporter, and for Java a JMX exporter, on {}", listed(&hosts, 3)))
                .ask("and audit with them: klamm audit --metrics http://HOST:9100/metrics")
                .undo_by("stop the exporters"),
        )
        .next("does its own dashboard show CPU, memory and throttle time?");
        out.found(finding);
    }
}
