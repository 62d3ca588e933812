//! Committed offsets expire before the records that they point to.
//!
//! ## What it does
//! Compares `offsets.retention.minutes` of brokers with the retention of each topic that a group has committed offsets of.
//!
//! ## Why it hurts
//! A group that is away for longer than that has no offsets when it is back: `auto.offset.reset` decides. `latest` skips what was not read although
//! it is still there, `earliest` reads everything again.
//!
//! ## Example
//!     offsets.retention.minutes=10080 (7 d), retention.ms of orders 30 d
//!
//! ## Use instead
//!     offsets.retention.minutes as long as the longest retention
//!
//! ## Severity
//! Info: it takes a group that is away for that long.
//!
//! ## References
//! - KIP-211: semantics of the expiration of committed offsets

use std::collections::BTreeSet;

use klamm_plan::Risk;

use crate::brokers::{Wanted, live_values, report};
use crate::check::{Cx, Out};
use crate::cluster::topics_text;
use crate::finding::Severity;
use crate::text::{duration, number};

const NAME: &str = "offsets.retention.minutes";
const MINUTE_MS: i64 = 60_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(groups) = out.see("groups", &cx.evidence.groups) else { return };
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let values = live_values(cx, out, NAME);
    let shortest = values.iter().filter_map(|value| value.number()).min();
    let Some(kept_ms) = shortest.map(|minutes| minutes.saturating_mul(MINUTE_MS)) else { return };
    // A group of which something was not seen may read more topics than it shows.
    for group in groups.iter().filter(|group| !group.missing.is_empty()) {
        out.unclear(&format!("group {}", group.name), group.missing.join("; "));
    }
    let read: BTreeSet<&str> =
        groups.iter().flat_map(|group| &group.offsets).map(|offset| offset.topic.as_str()).collect();
    let mut longer: Vec<(&str, i64)> = Vec::new();
    for name in read {
        let Some(topic) = topics.get(name) else { continue };
        let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else {
            continue;
        };
        let Some(retention) = number(configs, "retention.ms") else { continue };
        out.judged();
        // Without end is kept on purpose, and no retention of offsets is as long.
        if retention > kept_ms {
            longer.push((name, retention));
        }
    }
    let Some(longest) = longer.iter().map(|(_, retention)| *retention).max() else { return };
    let names: Vec<&str> = longer.iter().map(|(name, _)| *name).collect();
    let minutes = longest.saturating_add(MINUTE_MS - 1) / MINUTE_MS;
    let wanted = Wanted {
        name: NAME,
        to: &minutes.to_string(),
        severity: Severity::Info,
        what: format!("offsets expire after {}, records later", duration(kept_ms)),
        consequence: format!(
            "a group that is away longer than {} loses its place in {}, though the records are still there",
            duration(kept_ms),
            topics_text(&names)
        ),
        risk: Risk::Safe,
        next: format!(
            "kafka-consumer-groups.sh --bootstrap-server {} --describe --all-groups --state",
            cx.bootstrap()
        ),
    };
    report(cx, out, &values, &wanted, |finding| {
        finding.fact(
            "longest retention of a topic that is read",
            duration(longest),
            "live configuration of topics",
        )
    });
}
