//! Versions of an aggregate's events have gaps or forks: more than one writer decided at the same time.
//!
//! ## What it does
//! Looks at the versions of events by key in samples (`data`). Compacted topics are left out: gaps are normal there.
//!
//! ## Why it hurts
//! Two events with the same version mean that two writers decided on the same state: one of them decided on a state that was no longer true. A gap means that an event was lost or written elsewhere. Either way the state that is
//! built from the events is not the one that was decided on.
//!
//! ## Severity
//! Error where the data is strong, warning where it is eventual.

use klamm_plan::Risk;

use crate::amend::configs;
use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::samples;
use crate::text::{listed, value};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for sampled in samples(cx, out) {
        let topic = sampled.topic();
        if let Some(live) = cx.evidence.live.topics.value().and_then(|topics| topics.get(topic)) {
            let compacted = configs(out, topic, live)
                .and_then(|configs| value(configs, "cleanup.policy"))
                .is_some_and(|policy| policy.contains("compact"));
            if compacted {
                continue;
            }
        }
        out.judged();
        let gaps = &sampled.sample.version_gaps;
        if gaps.is_empty() {
            continue;
        }
        let weight = cx.weight(topic);
        let fix = Fix::new(
            format!(
                "let one writer at a time decide on an aggregate of \
        {topic}"
            ),
            Risk::RestartsClients,
        )
        .ask(
            "route commands of an aggregate to one instance (by its key, through a topic), or fence \
            the writers with a transactional id for each partition; refuse an event whose version is not \
            the next one",
        )
        .undo_by("let any instance decide again");
        let finding = Finding::new(
            weight.choose(Severity::Error, Severity::Warning),
            sampled.subject(),
            format!("versions of events have gaps or forks: {}", listed(gaps, 2)),
        )
        .fact("gaps and forks", listed(gaps, 10), format!("sample of {} records", sampled.sample.records))
        .consequence("the state that is built from these events is not the one that their writers decided on")
        .fix(fix)
        .next("which instances wrote these versions, and when?")
        .weighed(weight);
        out.found(finding);
    }
}
