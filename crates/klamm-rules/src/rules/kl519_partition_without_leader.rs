//! A partition has no leader.
//!
//! ## What it does
//! Looks for partitions that nobody leads.
//!
//! ## Why it hurts
//! Such a partition is neither written nor read. Producers keep its records until their delivery timeout, and then lose them; consumers wait.
//!
//! ## Example
//!     orders-3: leader none, replicas 2,3, in-sync 3
//!
//! ## Use instead
//!     start the last broker that was in sync
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-966: eligible leader replicas, who may lead once the in-sync set was empty

use std::collections::BTreeSet;

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::cluster::counted;
use crate::finding::{Finding, Fix, Severity};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let brokers = cx.evidence.live.brokers.value();
    for (name, topic) in topics {
        out.judged();
        let offline: Vec<_> =
            topic.partitions.iter().filter(|partition| partition.leader.is_none()).collect();
        let Some(first) = offline.first() else { continue };
        let alive = |id: &i32| brokers.is_some_and(|brokers| brokers.iter().any(|broker| broker.id == *id));
        let last: BTreeSet<i32> =
            offline.iter().flat_map(|partition| partition.isr.iter().copied()).collect();
        let down: Vec<i32> = last.iter().copied().filter(|id| !alive(id)).collect();
        let copies: BTreeSet<i32> =
            offline.iter().flat_map(|partition| partition.replicas.iter().copied()).collect();
        let away: Vec<i32> = copies.into_iter().filter(|id| !alive(id)).collect();
        let clean = match (last.is_empty(), down.is_empty()) {
            (true, _) if away.is_empty() => "all its copies are on brokers that are alive: look for an offline log directory (KL512) and at the active controller's log".to_owned(),
            (true, _) => format!("start broker {}, which has a copy: eligible leader replicas keep who may lead cleanly while the in-sync set is empty", listed(&away, 9)),
            (false, false) => format!("start broker {}: it was in sync last, and nothing is lost then", listed(&down, 9)),
            (false, true) => format!("broker {} is in sync and alive: look for an offline log directory (KL512) and at the active controller's log", listed(&last.iter().collect::<Vec<_>>(), 9)),
        };
        let server = cx.bootstrap();
        let weight = cx.weight(name);
        let partitions: Vec<i32> = offline.iter().map(|partition| partition.index).collect();
        out.found(
            Finding::new(Severity::Error, format!("topic {name}"), format!("{} without a leader", counted(offline.len(), "partition")))
                .fact("partitions without a leader", listed(&partitions, 10), "metadata of the cluster")
                .fact(format!("replicas of partition {}", first.index), format!("{:?}", first.replicas), "metadata of the cluster")
                .fact(format!("in-sync replicas of partition {}", first.index), format!("{:?}", first.isr), "metadata of the cluster")
                .consequence(format!("{} of {name} can be neither written nor read", counted(offline.len(), "partition")))
                .fix(
                    Fix::new("bring a copy back that has every record", Risk::Safe)
                        .ask(clean)
                        .ask(format!(
                            "only if that copy is lost for good: kafka-leader-election.sh --bootstrap-server {server} --election-type unclean --topic {name} --partition {} lets another copy lead, and acknowledged records that it lacks are gone",
                            first.index
                        ))
                        .undo_by("nothing to take back after a clean start; an unclean election cannot be taken back"),
                )
                .next(format!("kafka-topics.sh --bootstrap-server {server} --describe --unavailable-partitions"))
                .weighed(weight),
        );
    }
}
