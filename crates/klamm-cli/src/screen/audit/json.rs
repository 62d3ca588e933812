//! For programs: one object with everything.

use serde_json::{Value, json};

use super::Shown;

/// Version of the report's JSON form.
const VERSION: u32 = 1;

/// Everything, with what an earlier audit needs to be compared with (`fingerprints`).
pub fn json(shown: &Shown<'_>) -> Value {
    let evidence = shown.evidence;
    let findings: Vec<Value> = shown
        .report
        .findings()
        .map(|finding| {
            let mut value = serde_json::to_value(finding).unwrap_or_default();
            if let Some(object) = value.as_object_mut() {
                object.insert("fingerprint".to_owned(), finding.fingerprint().into());
                object.insert("new".to_owned(), (!shown.is_old(finding)).into());
            }
            value
        })
        .collect();
    let verdicts: Vec<Value> = shown.report.verdicts.iter().map(|verdict| {
        json!({
            "rule": verdict.rule, "name": super::name_of(verdict), "status": verdict.status, "checked": verdict.checked,
            "unseen": verdict.unseen,
            "accepted": verdict.findings.iter().filter(|finding| finding.suppressed.is_some()).collect::<Vec<_>>(),
        })
    }).collect();
    let fingerprints: Vec<String> = shown.report.findings().map(klamm_rules::Finding::fingerprint).collect();
    json!({
        "event": "audit",
        "version": VERSION,
        "at_ms": evidence.at_ms,
        "cluster_id": evidence.live.cluster.value().map(|cluster| &cluster.id),
        "scope": shown.scope(),
        "summary": shown.summary(),
        "fails": shown.fails(),
        "nothing_judged": shown.nothing_judged().is_some(),
        "findings": findings,
        "verdicts": verdicts,
        "notes": shown.report.notes,
        "fingerprints": fingerprints,
        "fingerprint_form": klamm_rules::FINGERPRINT_FORM,
    })
}
