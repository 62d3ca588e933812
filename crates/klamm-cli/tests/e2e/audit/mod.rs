//! `klamm audit`, `klamm explain` and `klamm txn`, as people and build servers run them.

mod broken;
mod input;
mod live;
mod live_data;
mod readme;
mod reports;
mod zoo;

use anyhow::{Context, Result};
use klamm_testkit::Cluster;
use serde_json::Value;

use crate::harness::{Finished, Place};

/// `klamm audit` on this cluster.
pub async fn audit(place: &Place, cluster: &Cluster, more: &[&str]) -> Result<Finished> {
    let bootstrap = cluster.bootstrap();
    place.run(&[&["audit", "--bootstrap", &bootstrap], more].concat()).await
}

/// The report of a run with `--json`.
pub fn report(run: &Finished) -> Result<Value> {
    run.event("audit")
}

/// Findings of one rule in a report.
pub fn findings<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    let all = report["findings"].as_array().into_iter().flatten();
    all.filter(|finding| finding["rule"] == rule).collect()
}

/// What a rule came to: `finding`, `pass`, `nothing_to_check`, `not_evaluated`.
pub fn status<'a>(report: &'a Value, rule: &str) -> Result<&'a str> {
    let all = report["verdicts"].as_array().into_iter().flatten();
    let verdict = all.into_iter().find(|verdict| verdict["rule"] == rule);
    verdict.and_then(|verdict| verdict["status"].as_str()).with_context(|| format!("no verdict of {rule}"))
}
