//! What of an evidence was not seen, and that no rule passes on it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use klamm_rules::evidence::Evidence;
use klamm_rules::{Report, Status, all_rules, audit};
use serde_json::Value;

/// Each piece that is not whole by its path, with what is said about it: `live.topics.orders.configs`.
pub fn gaps(evidence: &Evidence) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    walk(&serde_json::to_value(evidence)?, "", &mut found);
    Ok(found)
}

fn walk(value: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    let join = |name: &str| format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "denied" | "failed" if fields.len() == 1 => {
                        found.insert(path.to_owned(), value.to_string());
                    }
                    "full" if fields.len() == 1 => walk(value, path, found),
                    "partial" if fields.len() == 1 => {
                        found.insert(path.to_owned(), value["missing"].to_string());
                        walk(&value["value"], path, found);
                    }
                    "missing" if value.as_array().is_some_and(|lines| !lines.is_empty()) => {
                        found.insert(join(name), value.to_string());
                    }
                    _ => walk(value, &join(name), found),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let named = item["name"].as_str().or_else(|| item["topic"].as_str()).map(str::to_owned);
                let numbered = || item["id"].as_i64().map_or_else(|| index.to_string(), |id| id.to_string());
                walk(item, &join(&named.unwrap_or_else(numbered)), found);
            }
        }
        _ => {}
    }
}

/// Whether `text` is `pattern`, in which a `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

/// Exactly these pieces are not whole, each for the reason that is expected of it.
pub fn ensure_gaps(found: &BTreeMap<String, String>, expected: &[(&str, &str)]) -> Result<()> {
    for (path, why) in found {
        let known = expected.iter().any(|(pattern, reason)| fits(pattern, path) && why.contains(reason));
        ensure!(known, "{path}: {why}");
    }
    for (pattern, reason) in expected {
        ensure!(
            found.keys().any(|path| fits(pattern, path)),
            "{pattern} is whole without {reason}: {found:#?}"
        );
    }
    Ok(())
}

/// What all rules say.
pub fn judged(evidence: &Evidence) -> Report {
    audit(evidence, &all_rules())
}

/// A rule that passes with less evidence judged all that it judges with the whole.
pub fn ensure_nothing_passes_unseen(whole: &Report, part: &Report) -> Result<()> {
    for (whole, part) in whole.verdicts.iter().zip(&part.verdicts) {
        let passes = matches!(part.status, Status::Pass | Status::NothingToCheck);
        let same = (whole.status, whole.checked) == (part.status, part.checked);
        ensure!(
            !passes || same,
            "{} says {} of {} without what makes it say {} of {}: {:?}",
            part.rule,
            part.status,
            part.checked,
            whole.status,
            whole.checked,
            part.unseen
        );
    }
    Ok(())
}
