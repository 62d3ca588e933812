//! `klamm apply`: asks, does, remembers what it was shown for.

use anyhow::{Result, ensure};
use klamm_testkit::{Cluster, scenarios};
use serde_json::Value;

use crate::harness::Place;

scenarios!(
    nothing_is_changed_before_somebody_agreed,
    a_saved_plan_is_applied_once_and_then_refused,
    records_are_deleted_only_when_that_is_allowed,
);

/// `apply` on this cluster, under `dev` so that one broker is enough.
async fn apply(place: &Place, cluster: &Cluster, more: &[&str]) -> Result<crate::harness::Finished> {
    let bootstrap = cluster.bootstrap();
    let saved = more.contains(&"--plan");
    let profile: &[&str] = if saved { &[] } else { &["--profile", "dev"] };
    // Scenarios share a real cluster, whose journal lets one change it at a time.
    let patient = ["--lock-timeout", "90s"];
    place.run(&[&["apply", "--bootstrap", &bootstrap], &patient[..], profile, more].concat()).await
}

fn changes(run: &crate::harness::Finished, event: &str) -> Result<usize> {
    Ok(run.event(event)?["receipt"]["done"].as_array().map_or(0, Vec::len))
}

async fn nothing_is_changed_before_somebody_agreed(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    // Nobody sits at the standard input of a test.
    apply(&place, &cluster, &[]).await?.failed_with(&["1 changes are pending", "--yes"])?;
    let dry = apply(&place, &cluster, &["--dry-run", "--json"]).await?;
    ensure!(dry.code == Some(1) && changes(&dry, "preview")? == 1, "{dry:?}");
    let done = apply(&place, &cluster, &["--yes", "--json"]).await?;
    ensure!(done.code == Some(0) && changes(&done, "receipt")? == 1, "{done:?}");
    let again = apply(&place, &cluster, &["--json"]).await?;
    ensure!(again.code == Some(0) && changes(&again, "receipt")? == 0, "{again:?}");
    Ok(())
}

async fn a_saved_plan_is_applied_once_and_then_refused(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let saved = apply(&place, &cluster, &["--dry-run", "--out", "plan.json"]).await?;
    ensure!(saved.code == Some(1), "{saved:?}");
    let text: Value = serde_json::from_str(&std::fs::read_to_string(place.file("plan.json"))?)?;
    ensure!(text["version"] == 1 && text["changes"].as_array().map_or(0, Vec::len) == 1, "{text}");
    let done = apply(&place, &cluster, &["--yes", "--plan", "plan.json"]).await?;
    ensure!(done.code == Some(0), "{done:?}");
    let again = apply(&place, &cluster, &["--yes", "--plan", "plan.json"]).await?;
    again.failed_with(&[&place.topic, "exists by now", "plan again"])?;
    std::fs::write(place.file("plan.json"), "{}")?;
    apply(&place, &cluster, &["--plan", "plan.json"]).await?.failed_with(&["not a saved plan"])?;
    Ok(())
}

async fn records_are_deleted_only_when_that_is_allowed(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let bootstrap = cluster.bootstrap();
    let run = ["up", "--json", "--bootstrap", &bootstrap, "--profile", "dev", "--records", "500"];
    place.run(&run).await?.held()?;
    let spec = std::fs::read_to_string(place.file("klamm.yaml"))?.replace("retain: 7d", "retain: compact");
    std::fs::write(place.file("klamm.yaml"), spec)?;
    let refused = apply(&place, &cluster, &["--yes"]).await?;
    refused.failed_with(&[&place.topic, "cleanup.policy", "--allow-data-loss"])?;
    Ok(())
}
