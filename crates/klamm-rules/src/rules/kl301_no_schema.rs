//! Records of a topic name no schema, where other topics do or the spec asks for one.
//!
//! ## What it does
//! Looks at samples (`data`) of at least 100 records with values: it fires when none begins like one that a schema-aware serializer wrote (Confluent's framing), and the spec asks a compatibility level
//! for the topic, or at least two other sampled topics carry schema ids. With a registry at hand, a topic whose spec asks for a level and that has no subject counts, too. Topics of Connect, Streams and Kafka itself are left
//! out.
//!
//! ## Why it hurts
//! Nobody checks what producers write: the first changed field is found by the consumers that break on it.
//!
//! ## Severity
//! Where the spec asks for a schema: error if the data is strong, else warning. Info where only other topics have schemas.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{grade, promise, samples, subject};
use crate::schemas::registry;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let samples = samples(cx, out);
    let with: Vec<&str> =
        samples.iter().filter(|one| !one.sample.schema_ids.is_empty()).map(|one| one.topic()).collect();
    for sampled in &samples {
        let sample = sampled.sample;
        let values = sample.records.saturating_sub(sample.tombstones);
        if values < 100 || framework(sampled.topic()) {
            continue;
        }
        out.judged();
        let asked = promise(cx, out, sampled.topic()).and_then(|promise| promise.compatibility.clone());
        let framed = sample.framed > 0 || !sample.schema_ids.is_empty();
        if framed || (asked.is_none() && with.len() < 2) {
            continue;
        }
        let facts = [
            ("values that name a schema", "0".to_owned(), format!("sample of {values} values")),
            match &asked {
                Some(level) => ("compatibility", level.clone(), "spec".to_owned()),
                None => ("topics whose records name schemas", with.len().to_string(), "samples".to_owned()),
            },
        ];
        out.found(finding(cx, sampled.topic(), asked.is_some(), "no record names a schema", facts));
    }
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    for (topic, promise) in spec.topics.iter().filter(|(_, promise)| promise.compatibility.is_some()) {
        let Some(registry) = registry(cx, out) else { return };
        out.judged();
        let wanted = format!("{topic}-value");
        let sampled = samples
            .iter()
            .any(|one| one.topic() == topic && one.sample.framed == 0 && one.sample.records > 0);
        if sampled || registry.subjects.iter().any(|subject| subject.name == wanted) {
            continue;
        }
        let facts = [
            (wanted.as_str(), "not registered".to_owned(), "schema registry".to_owned()),
            (
                "compatibility",
                promise.compatibility.clone().unwrap_or_default(),
                format!("spec, {}", promise.place),
            ),
        ];
        out.found(finding(cx, topic, true, "no schema is registered", facts));
    }
}

fn finding(cx: &Cx<'_>, topic: &str, asked: bool, what: &str, facts: [(&str, String, String); 2]) -> Finding {
    let weight = cx.weight(topic);
    let fix = Fix::new(format!("write {topic} with a registered schema"), Risk::RestartsClients)
        .ask(format!(
            "register the schema of {topic} as subject {topic}-value, then switch its consumers \
        and after them its producers to the schema-aware (de)serializer"
        ))
        .undo_by("switch the producers back first, then the consumers");
    let severity = if asked { grade(&weight) } else { Severity::Info };
    let mut finding = Finding::new(severity, subject(topic), what)
        .consequence(format!(
            "a producer of {topic} can change any field, and its consumers are the first to notice"
        ))
        .fix(fix)
        .next(format!("who decides what a record of {topic} looks like?"))
        .weighed(weight);
    for (what, value, source) in facts {
        finding = finding.fact(what, value, source);
    }
    finding
}

/// Topics whose form a framework decides.
fn framework(topic: &str) -> bool {
    let ends = ["-changelog", "-repartition", "-offsets", "-configs", "-status", ".internal", "heartbeats"];
    topic.starts_with('_') || ends.iter().any(|end| topic.ends_with(end))
}
