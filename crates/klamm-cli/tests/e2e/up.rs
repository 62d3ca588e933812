//! `klamm up`, whole.

use anyhow::{Result, ensure};
use klamm_testkit::{Cluster, Tier, scenarios};
use rustix::process::Signal;

use crate::harness::Place;

fn bootstrap(cluster: &Cluster) -> Vec<String> {
    vec!["up".into(), "--json".into(), "--bootstrap".into(), cluster.bootstrap()]
}

fn args<'a>(base: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    base.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

async fn up_proves_every_record_and_exits_with_0(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let run = place.run(&args(&bootstrap(&cluster), &["--records", "20000"])).await?;
    let verdict = run.held()?;
    for count in ["sent", "acknowledged", "stored", "processed"] {
        ensure!(verdict["counts"][count] == 20_000, "{count}: {verdict}");
    }
    let target = run.event("target")?;
    let profile = if cluster.tier() == Tier::Embedded { "dev" } else { "prod" };
    ensure!(target["profile"] == profile, "{target}");
    ensure!(run.event("receipt")?["receipt"]["cluster_id"] == target["cluster_id"]);
    Ok(())
}

async fn a_second_up_changes_nothing_and_goes_on_with_the_view(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let base = bootstrap(&cluster);
    let first = place.run(&args(&base, &["--records", "5000"])).await?.held()?;
    let second = place.run(&args(&base, &["--records", "5000"])).await?;
    let verdict = second.held()?;
    let changed = second.event("receipt")?["receipt"]["done"].as_array().map_or(0, Vec::len);
    ensure!(changed == 0, "the second run changed {changed} things");
    ensure!(orders(&verdict["view"]) > orders(&first["view"]), "{first}\n{verdict}");
    Ok(())
}

async fn an_up_that_was_killed_is_followed_by_one_whose_view_is_whole(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let base = bootstrap(&cluster);
    let mut run = place.start(&args(&base, &["--rate", "3000"]))?;
    run.wait_for_processed(4_000).await?;
    run.signal(Signal::KILL)?;
    let killed = run.finish().await?;
    ensure!(killed.code.is_none(), "{killed:?}");
    let verdict = place.run(&args(&base, &["--records", "3000"])).await?.held()?;
    let expected = crate::faults::view_of_log(&cluster, &place.topic).await?;
    ensure!(verdict["view"] == expected, "view {} and log {expected}", verdict["view"]);
    Ok(())
}

async fn ctrl_c_drains_commits_and_prints_the_verdict(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let mut run = place.start(&args(&bootstrap(&cluster), &[]))?;
    run.wait_for_processed(2_000).await?;
    run.signal(Signal::INT)?;
    let verdict = run.finish().await?.held()?;
    ensure!(verdict["counts"]["sent"] == verdict["counts"]["processed"], "{verdict}");
    Ok(())
}

scenarios!(
    up_proves_every_record_and_exits_with_0,
    a_second_up_changes_nothing_and_goes_on_with_the_view,
    an_up_that_was_killed_is_followed_by_one_whose_view_is_whole,
    ctrl_c_drains_commits_and_prints_the_verdict,
);

fn orders(view: &serde_json::Value) -> u64 {
    ["placed", "paid", "shipped", "cancelled"].iter().filter_map(|state| view[state].as_u64()).sum()
}

#[tokio::test]
async fn without_arguments_the_built_in_example_runs_on_the_embedded_broker() -> Result<()> {
    let folder = Place::with_spec("")?;
    std::fs::remove_file(folder.file("klamm.yaml"))?;
    let run = folder.run(&["up", "--for", "2s", "--json"]).await?;
    let verdict = run.held()?;
    ensure!(verdict["counts"]["sent"].as_u64() >= Some(1_000), "{verdict}");
    ensure!(folder.file(".klamm").is_dir(), "data is kept");
    Ok(())
}

#[tokio::test]
async fn the_embedded_broker_keeps_its_data_when_up_is_killed() -> Result<()> {
    let place = Place::new()?;
    let mut run = place.start(&["up", "--json", "--rate", "3000"])?;
    run.wait_for_processed(3_000).await?;
    run.signal(Signal::KILL)?;
    run.finish().await?;
    let again = place.run(&["up", "--json", "--records", "2000"]).await?;
    let verdict = again.held()?;
    ensure!(orders(&verdict["view"]) > 1_000, "the records before the kill are in the view: {verdict}");
    Ok(())
}

#[tokio::test]
async fn ephemeral_leaves_nothing_behind() -> Result<()> {
    let place = Place::new()?;
    place.run(&["up", "--json", "--ephemeral", "--records", "1000"]).await?.held()?;
    ensure!(!place.file(".klamm").exists());
    Ok(())
}

#[tokio::test]
async fn text_output_says_dev_on_every_screen() -> Result<()> {
    let place = Place::new()?;
    let run = place.run(&["up", "--records", "2000"]).await?;
    ensure!(run.code == Some(0), "{run:?}");
    for screen in ["cluster ", "plan ", "receipt ", "verdict "] {
        let line = run.stdout.lines().find(|line| line.starts_with(screen));
        ensure!(line.is_some_and(|line| line.contains("profile dev")), "{screen}: {line:?}\n{}", run.stdout);
    }
    Ok(())
}
