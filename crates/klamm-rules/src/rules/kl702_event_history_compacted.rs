//! A topic that is the history of events is compacted.
//!
//! ## What it does
//! Takes topics that the spec keeps for ever, not compacted, and looks for `compact` in their cleanup policy (`live`).
//!
//! ## Why it hurts
//! Compaction keeps the newest record of each key and deletes the others. Of an aggregate's events only the last one stays: what came before can never be told again.
//!
//! ## Example
//!     cleanup.policy=compact on account.events, keyed by the account
//!
//! ## Use instead
//!     cleanup.policy=delete, retention.ms=-1, retention.bytes=-1
//!
//! ## Severity
//! Error: events are lost.

use klamm_plan::Risk;

use crate::amend::{configs, set_topic_all};
use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::subject;
use crate::text::{source_of, value};

const POLICY: &str = "cleanup.policy";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    for (name, promise) in spec.topics.iter().filter(|(_, promise)| promise.forever && !promise.compact) {
        let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
        let Some(topic) = topics.get(name) else { continue };
        let Some(configs) = configs(out, name, topic) else { continue };
        let Some(policy) = value(configs, POLICY) else {
            out.unclear(&subject(name), format!("{POLICY} was not told"));
            continue;
        };
        out.judged();
        if !policy.contains("compact") {
            continue;
        }
        // The limits go first: with `delete` and Kafka's seven days older events would be gone at once.
        let settings = [("retention.ms", "-1"), ("retention.bytes", "-1"), (POLICY, "delete")];
        let fix = Fix::new(format!("keep every event of {name}"), Risk::Safe);
        let finding =
            Finding::new(Severity::Error, subject(name), "it is a history of events and is compacted")
                .fact(POLICY, policy, source_of(configs, POLICY))
                .fact("kept", "all records, for ever", format!("spec, {}", promise.place))
                .consequence(format!(
                    "of each key of {name} only the newest event stays: the history of the others is deleted"
                ))
                .fix(set_topic_all(cx, fix, name, configs, &settings))
                .next("are the compacted events kept elsewhere, in an archive or a backup?")
                .weighed(cx.weight(name));
        out.found(finding);
    }
}
