//! SARIF 2.1.0, for code scanning. Findings without a file are given a logical location.

use klamm_rules::evidence::Place;
use klamm_rules::{Finding, RULES, Rule, Severity, Status, Step, Verdict};
use serde_json::{Value, json};

use super::{Shown, gap_text, name_of, step_text};

/// One run with all rules, all findings, and a notification for each rule that was not evaluated.
pub fn sarif(shown: &Shown<'_>) -> Value {
    let results: Vec<Value> = shown
        .report
        .verdicts
        .iter()
        .flat_map(|verdict| &verdict.findings)
        .map(|finding| result(shown, finding))
        .collect();
    let notifications: Vec<Value> = shown
        .report
        .verdicts
        .iter()
        .filter(|verdict| verdict.status == Status::NotEvaluated)
        .map(notification)
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "klamm",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().map(rule).collect::<Vec<_>>(),
            }},
            "originalUriBaseIds": { "ROOT": { "description": { "text": "the folder of --files or --code" } } },
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notifications }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.code(),
        "name": rule.name(),
        "shortDescription": { "text": rule.summary() },
        "help": { "text": rule.page(), "markdown": rule.page() },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn result(shown: &Shown<'_>, finding: &Finding) -> Value {
    let facts =
        finding.evidence.iter().map(|fact| format!("{} = {} ({})", fact.what, fact.value, fact.source));
    let seen = facts.collect::<Vec<_>>().join("; ");
    let steps = finding.fix.steps.iter().map(step_text).collect::<Vec<_>>().join("\n");
    let text = format!(
        "{}: {}. {}. Seen: {seen}. Fix: {}\n{steps}",
        finding.subject, finding.what, finding.consequence, finding.fix.what
    );
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": RULES.iter().position(|rule| rule.code() == finding.rule),
        "level": level(finding.severity),
        "message": { "text": text },
        "locations": [location(finding)],
        "partialFingerprints": { "klamm/v1": finding.fingerprint() },
        "properties": { "risk": finding.fix.risk, "next": finding.next },
    });
    if shown.compared {
        result["baselineState"] = if shown.is_old(finding) { "unchanged" } else { "new" }.into();
    }
    if let Some(why) = &finding.suppressed {
        result["suppressions"] = json!([{ "kind": "external", "justification": why }]);
    }
    let fixes = fixes(finding);
    if !fixes.is_empty() {
        result["fixes"] = fixes.into();
    }
    result
}

fn location(finding: &Finding) -> Value {
    match &finding.place {
        Some(place) => json!({ "physicalLocation": physical(place) }),
        None => {
            json!({ "logicalLocations": [{ "fullyQualifiedName": finding.subject, "kind": "resource" }] })
        }
    }
}

fn physical(place: &Place) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(&place.file), "uriBaseId": "ROOT" } });
    if place.line > 0 {
        physical["region"] = json!({ "startLine": place.line, "startColumn": place.column.max(1) });
    }
    physical
}

/// Whole lines that are replaced; advice in words is part of the message.
fn fixes(finding: &Finding) -> Vec<Value> {
    let patch = |step: &Step| match step {
        Step::Patch { place, from, to } if place.line > 0 => Some(json!({
            "description": { "text": finding.fix.what },
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(&place.file), "uriBaseId": "ROOT" },
                "replacements": [{
                    "deletedRegion": region(place, from),
                    "insertedContent": { "text": if from.is_empty() { format!("{to}\n") } else { to.clone() } },
                }],
            }],
        })),
        _ => None,
    };
    finding.fix.steps.iter().filter_map(patch).collect()
}

/// The line that is replaced; what is only added stands before it.
fn region(place: &Place, from: &str) -> Value {
    match from.is_empty() {
        true => {
            json!({ "startLine": place.line, "startColumn": 1, "endLine": place.line, "endColumn": 1 })
        }
        false => json!({ "startLine": place.line }),
    }
}

fn notification(verdict: &Verdict) -> Value {
    let gaps = verdict.unseen.iter().map(|(what, gap)| format!("{what}: {}", gap_text(gap)));
    let text = format!(
        "{} {} is not evaluated: {}",
        verdict.rule,
        name_of(verdict),
        gaps.collect::<Vec<_>>().join("; ")
    );
    json!({ "level": "note", "message": { "text": text }, "associatedRule": { "id": verdict.rule } })
}

/// A relative reference: everything but what paths are made of is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
