//! Groups: idle members, lag and its causes, offsets and records that are about to go.

use anyhow::{Context, Result, ensure};
use klamm_admin::OffsetSpec;
use serde_json::{Value, json};

use super::{Site, asked, find, found};

/// Promises about a topic of [`super::data`], and about how far a group may be behind.
pub const SPEC: &str = "klamm: 1\nservice: orders\ncluster:\n  bootstrap: [localhost:9092]\n\
    topics:\n  timed:\n    consistency: eventual\n    key: order_id\n    order: per_key\n    write: { rate: 100 KB/s, record: 200 B }\n  \
    flow:\n    consistency: eventual\n    write: { rate: 100 KB/s, record: 200 B }\n\
    consumers:\n  promised:\n    reads: [flow]\n    lag: 1s\n";

const FLOW: &str = "flow";
const NARROW: &str = "narrow";
const SHORT: &str = "short";
const QUIET: &str = "quiet";
const PARTITIONS: i32 = 6;
const BACKLOG: u64 = 4_000;
/// Records a second that come, and that one slow member reads.
const COMES: &str = "200";
const SLOW: &str = "40";
const WINDOW: [&str; 2] = ["--window", "12s"];

/// A group commits and rests: by the time that its offsets are looked at they are about to expire.
pub async fn rest(site: &Site) -> Result<()> {
    site.topics(&[(QUIET, 1, &[])]).await?;
    site.write(&json!([{ "topic": QUIET, "records": 10, "keys": "orders" }])).await?;
    Ok(site.admin.commit_offsets("resting", &[(QUIET.to_owned(), 0, 4)]).await?)
}

pub async fn mistakes(site: &Site) -> Result<()> {
    site.topics(&[(FLOW, PARTITIONS, &[]), (NARROW, 2, &[]), (SHORT, 1, &[("retention.ms", "3600000")])])
        .await?;
    site.write(&json!([
        { "topic": FLOW, "records": BACKLOG, "keys": "orders", "settings": { "partitioner": "murmur2_random" } },
        { "topic": NARROW, "records": 100, "keys": "orders" },
        { "topic": SHORT, "records": 100, "keys": "orders", "age_ms": 3_420_000 },
    ]))
    .await?;
    let begin: Vec<_> = (0..PARTITIONS).map(|partition| (FLOW.to_owned(), partition, 0)).collect();
    for group in ["slow", "promised", "stopped"] {
        site.admin.commit_offsets(group, &begin).await?;
    }
    site.admin.commit_offsets("late", &[(SHORT.to_owned(), 0, 0)]).await?;
    // Until the surge begins this one has read everything.
    let ends = site.admin.list_offsets(FLOW, OffsetSpec::Latest).await?;
    let ends: Vec<_> = ends.into_iter().map(|(partition, end)| (FLOW.to_owned(), partition, end)).collect();
    site.admin.commit_offsets("surged", &ends).await?;

    let idle = site.client(&["read", "idle", NARROW, "4", "0"])?;
    let _slow = site.client(&["read", "slow", FLOW, "1", SLOW])?;
    let promised = site.client(&["read", "promised", FLOW, "1", SLOW])?;
    let _surged = site.client(&["read", "surged", FLOW, "1", SLOW])?;
    for (group, members) in [("idle", 4), ("slow", 1), ("promised", 1), ("surged", 1)] {
        site.has_members(group, members).await?;
    }
    let _flow = site.client(&["flow", FLOW, COMES])?;
    let seen = site.audit("KL401,KL409,KL411,KL419", &[&["klamm.yaml"], &WINDOW[..]].concat()).await?;
    told(&seen)?;
    site.run_fix(found(&seen, "KL411", "group late on topic short", "oldest unread record is deleted in")?)
        .await?;

    // As told: two consumers, a reader for what stood still, members up to the partitions, faster work.
    ended(site, idle, "idle").await?;
    ended(site, promised, "promised").await?;
    let _mended = [
        site.client(&["read", "idle", NARROW, "2", "0"])?,
        site.client(&["read", "stopped", FLOW, "1", "0"])?,
        site.client(&["read", "slow", FLOW, "5", SLOW])?,
        site.client(&["read", "surged", FLOW, "5", SLOW])?,
        site.client(&["read", "promised", FLOW, "2", "0"])?,
    ];
    for (group, members) in [("idle", 2), ("slow", 6), ("surged", 6), ("promised", 2)] {
        site.has_members(group, members).await?;
    }
    let gone = [
        ("KL401", "group idle"),
        ("KL409", "group slow"),
        ("KL409", "group stopped"),
        ("KL409", "group surged"),
        ("KL411", "group late on topic short"),
        ("KL419", "group promised"),
    ];
    let gone = gone.map(|(rule, subject)| (rule, subject.to_owned()));
    site.gone(&gone, &[&["klamm.yaml"], &WINDOW[..]].concat()).await?;
    expiring(site).await
}

/// Each mistake is found, with its cause and what to do.
fn told(seen: &Value) -> Result<()> {
    for (rule, group, says, told) in [
        ("KL401", "idle", "2 of 4 members have no partition", "from 4 to 2 consumers"),
        ("KL409", "slow", "it reads less than comes", "run up to 6 members of slow instead of 1"),
        ("KL409", "stopped", "nobody reads, it has no members", "start the processes of stopped"),
        ("KL409", "surged", "it had kept up until then", "run up to 6 members of surged instead of 1"),
        ("KL419", "promised", "the spec allows 1 s", "work on one record faster"),
    ] {
        let asked = asked(found(seen, rule, &format!("group {group}"), says)?);
        // Text in the source is broken with spaces; what is said counts.
        ensure!(
            asked.contains(told) || asked.replace("  ", " ").contains(told),
            "{told:?} is not in {asked}"
        );
    }
    Ok(())
}

async fn ended(site: &Site, mut client: tokio::process::Child, group: &str) -> Result<()> {
    client.kill().await?;
    // Killed members said no goodbye: the coordinator waits for the session.
    site.has_members(group, 0).await
}

async fn expiring(site: &Site) -> Result<()> {
    let subject = "group resting".to_owned();
    let seen = klamm_testkit::eventually(super::SHOWS, "offsets about to expire", async || {
        let seen = site.audit("KL408", &[]).await?;
        find(&seen, "KL408", &subject).cloned()
    })
    .await?;
    ensure!(seen.to_string().contains("its offsets expire in"), "{seen}");
    ensure!(asked(&seen).contains("start resting, so that it commits"), "{seen}");
    let _started = site.client(&["read", "resting", QUIET, "1", "0"]).context("a reader")?;
    site.has_members("resting", 1).await?;
    site.gone(&[("KL408", subject)], &[]).await
}
