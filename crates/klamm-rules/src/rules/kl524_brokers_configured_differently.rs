//! Brokers disagree about a setting that should be one for all.
//!
//! ## What it does
//! Compares settings that decide how records are kept and topics are made over all live brokers.
//!
//! ## Why it hurts
//! What holds for a partition then depends on which broker leads it now, or which one is asked: a batch is accepted here and refused there, the
//! same topic expires after another time since a restart. It shows as a fault that comes and goes.
//!
//! ## Example
//!     message.max.bytes 1048588 on brokers 1 and 2, 5242880 on broker 3
//!
//! ## Use instead
//!     one value, set for all brokers at run time or in every file
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - KIP-226: dynamic broker configuration

use std::collections::BTreeMap;

use klamm_plan::Risk;

use crate::brokers::{Value, Wanted, facts, report};
use crate::check::{Cx, Out};
use crate::evidence::{Broker, Configs};
use crate::finding::{Finding, Severity};
use crate::text::value;

/// Settings that should be the same everywhere. Those of hosts (listeners, threads, directories) may differ.
const SAME: [&str; 20] = [
    "auto.create.topics.enable",
    "compression.type",
    "default.replication.factor",
    "delete.topic.enable",
    "log.cleanup.policy",
    "log.message.timestamp.type",
    "log.retention.bytes",
    "log.retention.hours",
    "log.retention.minutes",
    "log.retention.ms",
    "log.segment.bytes",
    "message.max.bytes",
    "min.insync.replicas",
    "num.partitions",
    "offsets.retention.minutes",
    "offsets.topic.replication.factor",
    "replica.lag.time.max.ms",
    "transaction.max.timeout.ms",
    "transaction.state.log.min.isr",
    "unclean.leader.election.enable",
];

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    let mut read: Vec<&Broker> = Vec::new();
    for broker in brokers {
        if out.see(&format!("configuration of broker {}", broker.id), &broker.configs).is_some() {
            read.push(broker);
        }
    }
    if read.len() < 2 {
        return;
    }
    out.judged();
    for name in SAME {
        check_setting(cx, out, &read, name);
    }
}

/// The finest of the three units counts.
fn outranked(configs: &Configs, name: &str) -> bool {
    let finer: &[&str] = match name {
        "log.retention.hours" => &["log.retention.minutes", "log.retention.ms"],
        "log.retention.minutes" => &["log.retention.ms"],
        _ => return false,
    };
    finer.iter().any(|finer| value(configs, finer).is_some_and(|value| !value.is_empty()))
}

fn check_setting(cx: &Cx<'_>, out: &mut Out, brokers: &[&Broker], name: &str) {
    let values: Vec<Value<'_>> = brokers
        .iter()
        .filter_map(|broker| {
            let configs = broker.configs.value()?;
            if outranked(configs, name) {
                return None;
            }
            let home = crate::brokers::Home::Live(broker, configs.get(name)?.source);
            Some(Value { home, value: value(configs, name)? })
        })
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in &values {
        *counts.entry(value.value).or_default() += 1;
    }
    if counts.len() < 2 {
        return;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count).map_or("", |(value, _)| *value);
    let other: Vec<Value<'_>> = values.iter().copied().filter(|value| value.value != most).collect();
    let wanted = Wanted {
        name,
        to: most,
        severity: Severity::Warning,
        what: format!("brokers have {} values of {name}", counts.len()),
        consequence: format!(
            "which {name} holds for a partition or a new topic depends on the broker that leads or is asked"
        ),
        risk: Risk::Safe,
        next: "which of the values was meant? The printed fix takes the one that most brokers have"
            .to_owned(),
    };
    report(cx, out, &other, &wanted, |mut finding: Finding| {
        finding.subject = format!("{name} of cluster");
        finding.evidence.clear();
        facts(finding, name, &values)
    });
}
