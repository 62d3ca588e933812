//! Records name schema ids that the registry does not have.
//!
//! ## What it does
//! Compares schema ids in sampled records (`data`) with all ids of the registry (`schema registry`). Topics of which fewer than nine in ten values begin like framed ones are left out: what looks like an id there may be none.
//!
//! ## Why it hurts
//! No consumer can read these records: its deserializer asks the registry, is told 404, and fails on each of them. It happens when a registry is restored from an old backup, or records come from a
//! cluster with another registry.
//!
//! ## Severity
//! Error where the data is strong, warning where it is eventual.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::samples;
use crate::schemas::registry;
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let samples = samples(cx, out);
    let Some(registry) = registry(cx, out) else { return };
    for sampled in samples {
        let sample = sampled.sample;
        let values = sample.records.saturating_sub(sample.tombstones);
        if sample.schema_ids.is_empty() || sample.framed * 10 < values * 9 {
            continue;
        }
        out.judged();
        let unknown: Vec<(u32, u64)> = sample
            .schema_ids
            .iter()
            .map(|(id, records)| (*id, *records))
            .filter(|(id, _)| !registry.ids.contains(id))
            .collect();
        if unknown.is_empty() {
            continue;
        }
        let ids: Vec<u32> = unknown.iter().map(|(id, _)| *id).collect();
        let records: u64 = unknown.iter().map(|(_, records)| records).sum();
        let topic = sampled.topic();
        let weight = cx.weight(topic);
        let mut fix = Fix::new("bring the missing schemas back under their ids", Risk::Safe)
            .ask(
                "find the registry that gave these ids out: a backup, or the registry of the cluster that \
            the records come from",
            )
            .undo_by("delete what was registered for it");
        if let Some(id) = ids.first() {
            fix = fix.command(format!("curl -sS \"$SCHEMA_REGISTRY/schemas/ids/{id}\""));
        }
        let finding = Finding::new(
            weight.choose(Severity::Error, Severity::Warning),
            sampled.subject(),
            format!("{records} records name schemas that the registry does not have: {}", listed(&ids, 5)),
        )
        .fact("unknown ids", listed(&ids, 20), format!("sample of {} records", sample.records))
        .fact("ids of the registry", registry.ids.len().to_string(), "schema registry")
        .consequence(format!("no consumer of {topic} can read these records"))
        .fix(fix)
        .next("was the registry restored, or are these records copied from another cluster?")
        .weighed(weight);
        out.found(finding);
    }
}
