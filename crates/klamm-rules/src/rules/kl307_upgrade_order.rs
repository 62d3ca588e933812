//! A changed schema needs consumers, or producers, to be upgraded first, and groups still read with the old one.
//!
//! ## What it does
//! Takes the schema checker's verdicts (`file`, `schema registry`): who must be upgraded first, and which groups still read with an older version.
//!
//! ## Why it hurts
//! BACKWARD means that the new schema reads what was written with the old one: consumers first. FORWARD means that the old schema reads what is written with the new one: producers first. In the wrong order
//! consumers meet records that they cannot read.
//!
//! ## Severity
//! Warning while groups are known to be old, else info.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::schemas::{registry, topic_of};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(registry) = registry(cx, out) else { return };
    for verdict in &registry.verdicts {
        out.judged();
        let old = &verdict.old_groups;
        // What breaks the level is KL303's, and when producers go first old groups are as they should be.
        if verdict.first.is_empty()
            || !verdict.breaks.is_empty()
            || (verdict.first == "producers" && old.is_empty())
        {
            continue;
        }
        let topic = topic_of(&verdict.subject).unwrap_or(&verdict.subject);
        let wait = verdict.first == "consumers" && !old.is_empty();
        let severity = if wait { Severity::Warning } else { Severity::Info };
        let (first, then) = if verdict.first == "producers" {
            ("producers", "consumers")
        } else {
            ("consumers", "producers")
        };
        let groups = if old.is_empty() { "none known".to_owned() } else { listed(old, 10) };
        let fix =
            Fix::new(format!("upgrade the {first} of {topic} first, then its {then}"), Risk::RestartsClients)
                .ask(format!(
                    "deploy the {first} with {}, see that they run, then deploy the {then}",
                    verdict.place.file
                ))
                .undo_by(format!("in reverse: the {then} back first, then the {first}"));
        let finding = Finding::new(
            severity,
            format!("schema {} for subject {}", verdict.place.file, verdict.subject),
            format!("the {first} must have it first"),
        )
        .fact("first", first, verdict.place.to_string())
        .fact("groups on an older version", groups, "schema checker")
        .consequence(format!("in the other order consumers of {topic} meet records that they cannot read"))
        .fix(fix)
        .next(format!("which version of their schema do the groups of {topic} run with?"))
        .at(&verdict.place)
        .weighed(cx.weight(topic));
        out.found(finding);
    }
}
