//! A subject's compatibility level promises less than the spec asks, or nothing at all.
//!
//! ## What it does
//! Compares the level that holds for each subject (`schema registry`) with the level that the spec asks for its topic. `NONE` counts without a spec, too.
//!
//! ## Why it hurts
//! The registry accepts a schema with which consumers cannot read what is written, or what was written before.
//!
//! ## Example
//!     orders-value: NONE
//!
//! ## Use instead
//!     orders-value: BACKWARD_TRANSITIVE
//!
//! ## Severity
//! Error where the spec says that the data is strong, else warning.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::Subject;
use crate::finding::{Finding, Fix};
use crate::samples::{grade, promise};
use crate::schemas::{level_source, promises, registry, set_level, topic_of};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(registry) = registry(cx, out) else { return };
    for subject in &registry.subjects {
        let topic = topic_of(&subject.name).unwrap_or(&subject.name);
        let wants = promise(cx, out, topic).and_then(|promise| promise.compatibility.clone());
        out.judged();
        let none = subject.compatibility.eq_ignore_ascii_case("none");
        let (wants, source) = match wants {
            Some(wants) if !promises(&subject.compatibility, &wants) => (wants, "spec"),
            None if none => ("BACKWARD".to_owned(), "the registry's usual level"),
            _ => continue,
        };
        out.found(finding(cx, subject, topic, &wants, source));
    }
}

fn finding(cx: &Cx<'_>, subject: &Subject, topic: &str, wants: &str, source: &str) -> Finding {
    let weight = cx.weight(topic);
    let (set, back) = set_level(subject, wants);
    let fix = Fix::new(format!("set the level of {} to {wants}", subject.name), Risk::RefusesWrites)
        .command(set)
        .undo(back);
    Finding::new(
        grade(&weight),
        format!("subject {}", subject.name),
        format!("its compatibility is {}, {wants} is wanted", subject.compatibility),
    )
    .fact("compatibility", subject.compatibility.clone(), level_source(subject))
    .fact("wanted", wants, source)
    .consequence(format!("the registry accepts a schema that breaks who reads {topic}"))
    .fix(fix)
    .next(format!(
        "do the {} versions of {} that are registered hold to {wants} among themselves?",
        subject.version, subject.name
    ))
    .weighed(weight)
}
