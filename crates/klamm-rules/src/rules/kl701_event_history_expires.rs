//! A topic that is the history of events deletes them after a time.
//!
//! ## What it does
//! Takes topics that the spec keeps for ever and looks for a retention by time or size on the cluster (`live`). Tiered storage does not change it: remote segments go by the same retention.
//!
//! ## Why it hurts
//! Whoever rebuilds a read model from the events gets one without the deleted ones, and nobody notices: there is no error, only a balance that is wrong.
//!
//! ## Example
//!     retention.ms=604800000 on account.events
//!
//! ## Use instead
//!     retention.ms=-1, retention.bytes=-1
//!
//! ## Severity
//! Error: events are lost.

use klamm_plan::Risk;

use crate::amend::{configs, set_topic};
use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::subject;
use crate::text::{duration, number, source_of, value};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    for (name, promise) in spec.topics.iter().filter(|(_, promise)| promise.forever) {
        let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
        let Some(topic) = topics.get(name) else { continue };
        let Some(configs) = configs(out, name, topic) else { continue };
        let (Some(policy), Some(ms), Some(bytes)) = (
            value(configs, "cleanup.policy"),
            number(configs, "retention.ms"),
            number(configs, "retention.bytes"),
        ) else {
            out.unclear(&subject(name), "its cleanup policy and retention were not told");
            continue;
        };
        out.judged();
        if !policy.contains("delete") || (ms < 0 && bytes < 0) {
            continue;
        }
        let mut fix = Fix::new(format!("keep the events of {name} for ever"), Risk::Safe);
        let mut kept = Vec::new();
        for (setting, limit) in [("retention.ms", ms), ("retention.bytes", bytes)] {
            if limit >= 0 {
                fix = set_topic(cx, fix, name, configs, setting, "-1");
                kept.push(setting);
            }
        }
        let after = if ms >= 0 { duration(ms) } else { format!("{bytes} bytes a partition") };
        let mut finding = Finding::new(
            Severity::Error,
            subject(name),
            format!("it is a history of events and deletes them after {after}"),
        )
        .fact("kept", "for ever", format!("spec, {}", promise.place))
        .consequence(format!(
            "a read model that is built anew from {name} lacks the deleted events, without an error"
        ))
        .fix(fix)
        .next("are the deleted events kept elsewhere, in an archive or a backup?")
        .weighed(cx.weight(name));
        for setting in kept {
            finding = finding.fact(
                setting,
                value(configs, setting).unwrap_or_default(),
                source_of(configs, setting),
            );
        }
        out.found(finding);
    }
}
