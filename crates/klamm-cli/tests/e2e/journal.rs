//! What `klamm apply` changed is in the cluster's journal, whatever becomes of the process, and can be taken back.

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions, OffsetSpec};
use klamm_testkit::{Cluster, Dice, eventually, scenarios, unique};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Finished, Place};

scenarios!(
    an_apply_that_is_killed_at_any_step_converges_and_is_taken_back,
    a_run_is_listed_shown_and_taken_back
);

/// How long what is done may take to be seen.
const GROWS: std::time::Duration = std::time::Duration::from_secs(60);
/// Topics of the spec: each is one change. Where the brokers keep quotas, a quota is one more.
const TOPICS: usize = 6;

/// A spec of several topics, so that a run has several steps.
fn place() -> Result<(Place, Vec<String>)> {
    let topics: Vec<String> = (0..TOPICS).map(|index| unique(&format!("step{index}"))).collect();
    let body: String =
        topics.iter().map(|topic| format!("  {topic}:\n    partitions: 2\n    retain: 2h\n")).collect();
    let principal = unique("shop");
    let place = Place::with_spec(&format!(
        "klamm: 1\nservice: shop\nprofile: dev\nprincipal: User:{principal}\nquota: {{ write: 7 MB/s }}\ntopics:\n{body}"
    ))?;
    Ok((place, topics))
}

async fn klamm(place: &Place, cluster: &Cluster, args: &[&str]) -> Result<Finished> {
    let bootstrap = cluster.bootstrap();
    place.run(&[args, &["--bootstrap", &bootstrap]].concat()).await
}

const ACCESS: [&str; 2] = ["--with", "access"];
const APPLY: [&str; 4] = ["apply", "--yes", "--lock-timeout", "90s"];

async fn a_run_is_listed_shown_and_taken_back(cluster: Cluster) -> Result<()> {
    let (place, topics) = place()?;
    let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
    let done = klamm(&place, &cluster, &[&APPLY[..], &["--json"]].concat()).await?;
    ensure!(done.code == Some(0), "{done:?}");
    let run =
        done.event("receipt")?["receipt"]["run"].as_u64().context("the receipt names the run")?.to_string();
    let listed = klamm(&place, &cluster, &["journal"]).await?;
    ensure!(listed.code == Some(0) && listed.stdout.contains(&format!("run {run}")), "{listed:?}");
    let shown = klamm(&place, &cluster, &["journal", &run]).await?;
    ensure!(topics.iter().all(|topic| shown.stdout.contains(topic)), "{shown:?}");
    ensure!(shown.stdout.contains("6 of 6 changes made, done"), "{shown:?}");

    let undo = ["apply", "--undo", &run, "--lock-timeout", "90s"];
    let dry = klamm(&place, &cluster, &[&undo[..], &["--dry-run"]].concat()).await?;
    ensure!(dry.code == Some(1) && dry.stdout.contains("would change 6 things"), "{dry:?}");
    let undone = klamm(&place, &cluster, &[&undo[..], &["--yes"]].concat()).await?;
    ensure!(undone.code == Some(0), "{undone:?}");
    are_gone(&admin, &topics).await?;
    let again = klamm(&place, &cluster, &[&undo[..], &["--yes"]].concat()).await?;
    ensure!(again.code == Some(0) && again.stdout.contains("nothing is left to take back"), "{again:?}");
    klamm(&place, &cluster, &["apply", "--undo", "999999999"]).await?.failed_with(&["no run 999999999"])?;
    klamm(&place, &cluster, &["journal", "999999999"]).await?.failed_with(&["no run 999999999"])
}

/// The controller has deleted them; the broker that is asked may learn so a moment later.
async fn are_gone(admin: &Admin, topics: &[String]) -> Result<()> {
    eventually(GROWS, "the topics to be gone", async || {
        admin.list_topics().await.is_ok_and(|left| topics.iter().all(|topic| !left.contains(topic)))
    })
    .await
}

/// Kills the process once the journal has grown by 1, 2, 3, … records, which is after each of its steps and before the
/// next, and a moment later for what lies between.
async fn an_apply_that_is_killed_at_any_step_converges_and_is_taken_back(cluster: Cluster) -> Result<()> {
    let admin = Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?;
    let mut dice = Dice::new();
    let (warm, _) = place()?;
    ensure!(klamm(&warm, &cluster, &APPLY).await?.code == Some(0), "the journal exists from here on");
    // Lock and run, then six intentions, then six results, then the quota's two (on real Kafka), then ids, end and release: killed after each kind of them.
    for grown in [1, 3, 8, 9, 14, 15, 16, 20] {
        let (place, topics) = place()?;
        let before = end(&admin).await?;
        let bootstrap = cluster.bootstrap();
        let run = place.start(&[&APPLY[..], &ACCESS[..], &["--bootstrap", &bootstrap]].concat())?;
        eventually(GROWS, "the journal has grown", async || {
            end(&admin).await.is_ok_and(|end| end >= before + grown)
        })
        .await?;
        // Somewhere between this step and the next: so many requests take a part of a millisecond each.
        for _ in 0..dice.among(0..8) {
            end(&admin).await?;
        }
        // It may have ended by itself: then there is nothing to kill.
        let _ = run.signal(Signal::KILL);
        run.finish().await?;

        let again = klamm(&place, &cluster, &[&APPLY[..], &ACCESS[..], &["--json"]].concat()).await?;
        ensure!(again.code == Some(0), "killed after {grown} records: {again:?}");
        let there = admin.list_topics().await?;
        ensure!(topics.iter().all(|topic| there.contains(topic)), "killed after {grown} records");
        let settled = klamm(&place, &cluster, &[&["apply", "--dry-run"], &ACCESS[..]].concat()).await?;
        ensure!(settled.code == Some(0), "killed after {grown} records: {settled:?}");
        take_all_back(&place, &cluster, &topics)
            .await
            .with_context(|| format!("killed after {grown} records"))?;
        are_gone(&admin, &topics).await.with_context(|| format!("killed after {grown} records"))?;
    }
    Ok(())
}

/// Takes back every run that has a step about one of `topics`, the newest first.
async fn take_all_back(place: &Place, cluster: &Cluster, topics: &[String]) -> Result<()> {
    let listed = klamm(place, cluster, &["journal", "--json"]).await?;
    let journal = listed.event("journal")?;
    let runs = journal["journal"]["runs"].as_object().context("no runs")?;
    let about = |record: &Value| {
        let steps = record["steps"].as_object();
        let mut names = steps.into_iter().flatten().map(|(_, step)| step["change"]["topic"].as_str());
        names.any(|name| topics.iter().any(|topic| Some(topic.as_str()) == name))
    };
    let mut ours: Vec<u64> =
        runs.iter().filter(|(_, record)| about(record)).filter_map(|(id, _)| id.parse().ok()).collect();
    ours.sort_unstable();
    ensure!(!ours.is_empty(), "no run of ours in {journal}");
    for run in ours.iter().rev() {
        let undone =
            klamm(place, cluster, &["apply", "--undo", &run.to_string(), "--yes", "--lock-timeout", "90s"])
                .await?;
        ensure!(undone.code == Some(0), "{undone:?}");
    }
    Ok(())
}

async fn end(admin: &Admin) -> Result<i64> {
    let offsets = admin.list_offsets("klamm.journal", OffsetSpec::Latest).await?;
    Ok(offsets.first().map_or(0, |(_, offset)| *offset))
}
