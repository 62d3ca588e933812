//! A schema in a file breaks the level of its subject against the versions that are registered.
//!
//! ## What it does
//! Takes the schema checker's verdicts about schemas in files (`file`, `schema registry`) and names each path that breaks, with the rule that it breaks.
//!
//! ## Why it hurts
//! The registry refuses the schema when it is deployed: the producer that needs it does not start. Where the registry does not check, consumers break.
//!
//! ## Severity
//! Error where the spec says that the data is strong, else warning.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix};
use crate::samples::grade;
use crate::schemas::{registry, topic_of};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(registry) = registry(cx, out) else { return };
    for verdict in &registry.verdicts {
        out.judged();
        if verdict.breaks.is_empty() {
            continue;
        }
        let topic = topic_of(&verdict.subject).unwrap_or(&verdict.subject);
        let weight = cx.weight(topic);
        let level = registry.subjects.iter().find(|subject| subject.name == verdict.subject);
        let level = level.map_or("unknown", |subject| subject.compatibility.as_str());
        let fix = Fix::new("change the schema so that it holds to the level", Risk::Safe)
            .code(&verdict.place, format!("undo or soften: {}", listed(&verdict.breaks, 5)))
            .undo_by(format!("restore {} as it is now", verdict.place.file));
        let finding = Finding::new(
            grade(&weight),
            format!("schema {} for subject {}", verdict.place.file, verdict.subject),
            format!("it breaks {level}: {}", listed(&verdict.breaks, 3)),
        )
        .fact("breaks", listed(&verdict.breaks, 10), verdict.place.to_string())
        .fact("compatibility", level, "schema registry")
        .consequence(format!("the registry refuses it, and a producer of {topic} that needs it cannot write"))
        .fix(fix)
        .next("can the change be made in two steps, each of them compatible?")
        .at(&verdict.place)
        .weighed(weight);
        out.found(finding);
    }
}
