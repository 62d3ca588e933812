//! The journal, its lock, and the way back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ErrorCode, Mode as AdminMode, NewTopic, OffsetSpec};
use klamm_apply::journal::{self, History, RunState, StepState};
use klamm_apply::{ApplyErrorKind, ApplyOptions, DataLoss, Journaling, Receipt, apply, undo};
use klamm_contract::facts::ConfigSource;
use klamm_testkit::eventually;
use klamm_wire::batch::{BatchBuilder, Compression};

use crate::applying::{ADJUST, admin, planned};
use crate::{Cluster, unique};

const SETTLES: Duration = Duration::from_secs(30);
/// The tests of this file take turns on the journal of the cluster that they share.
const KEEP: ApplyOptions = ApplyOptions {
    journal: Journaling::Keep { lock_timeout: Duration::from_secs(90) },
    layers: klamm_apply::Layers::NONE,
    ..ADJUST
};

async fn history(admin: &Admin) -> Result<History> {
    let history = journal::history(admin).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    history.context("there is no journal")
}

/// A topic that exists with a setting of its own, brought to the plan: the run changes settings and nothing else.
async fn adjusted(admin: &Admin, topic: &str) -> Result<Receipt> {
    let configs = vec![("retention.ms".to_owned(), "3600000".to_owned())];
    let new = NewTopic { name: topic.to_owned(), partitions: 4, replication_factor: 1, configs };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(&[topic.to_owned()], Duration::from_secs(30)).await?;
    let dev = planned_with_copies(admin, topic).await?;
    Ok(apply(admin, &dev, &KEEP).await?)
}

/// The plan, for the copies that the topic has: copies are not what these tests are about.
async fn planned_with_copies(admin: &Admin, topic: &str) -> Result<klamm_plan::Plan> {
    let mut plan = planned(admin, topic).await?;
    plan.topics[0].contract.layer_topic.replication_factor = 1;
    Ok(plan)
}

async fn retention(admin: &Admin, topic: &str) -> Result<(Option<String>, Option<ConfigSource>)> {
    let facts = admin.facts(&[topic.to_owned()]).await?;
    let configs = facts.topics.get(topic).and_then(|topic| topic.configs.clone()).context("no configs")?;
    let fact = configs.get("retention.ms");
    Ok((fact.and_then(|fact| fact.value.clone()), fact.map(|fact| fact.source)))
}

pub async fn a_run_is_taken_back_and_once_only(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("back");
    let changed = adjusted(&admin, &topic).await?;
    let run = changed.run.context("it was journalled")?;
    ensure!(retention(&admin, &topic).await?.0.as_deref() == Some("7200000"));
    let record = history(&admin).await?.runs.remove(&run).context("the run is in the journal")?;
    ensure!(record.run.state == RunState::Done && record.steps.len() == changed.done.len(), "{record:?}");
    ensure!(record.steps.values().all(|step| step.state == StepState::Made), "{record:?}");

    let back = undo(&admin, run, &KEEP).await?;
    ensure!(back.done.len() == changed.done.len() && back.undoes == Some(run), "{back:?}");
    let (value, source) = retention(&admin, &topic).await?;
    ensure!(
        value.as_deref() == Some("3600000") && source == Some(ConfigSource::Topic),
        "{value:?} {source:?}"
    );
    let facts = admin.facts(std::slice::from_ref(&topic)).await?;
    let configs = facts.topics[&topic].configs.clone().context("no configs")?;
    let own: Vec<&String> =
        configs.iter().filter(|(_, fact)| fact.source == ConfigSource::Topic).map(|(name, _)| name).collect();
    ensure!(own == ["retention.ms"], "what was inherited is inherited again: {own:?}");
    ensure!(history(&admin).await?.runs[&run].run.undone_by == back.run);

    let again = undo(&admin, run, &KEEP).await?;
    ensure!(again.done.is_empty() && again.run.is_none(), "{again:?}");
    // And back again: an undo is a run like any other.
    let forth = undo(&admin, back.run.context("it was journalled")?, &KEEP).await?;
    ensure!(forth.done.len() == changed.done.len(), "{forth:?}");
    ensure!(retention(&admin, &topic).await?.0.as_deref() == Some("7200000"));
    Ok(())
}

pub async fn a_topic_with_records_is_taken_back_only_when_that_is_allowed(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("made");
    let run = apply(&admin, &planned(&admin, &topic).await?, &KEEP).await?.run.context("journalled")?;
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(now_ms(), Some(b"k"), Some(b"v"), &[]);
    admin.append(&topic, 2, batch.finish()?).await?;
    let refused = undo(&admin, run, &KEEP).await.expect_err("the topic holds a record");
    let ApplyErrorKind::LosesData { losses } = refused.kind() else { panic!("{refused:?}") };
    ensure!(losses.len() == 1 && losses[0].1.records == Some(1), "{losses:?}");
    let latest = admin.list_offsets(&topic, OffsetSpec::Latest).await?;
    ensure!(latest.iter().map(|(_, offset)| offset).sum::<i64>() == 1, "nothing was touched: {latest:?}");
    let allowed = ApplyOptions { data_loss: DataLoss::Allow, ..KEEP };
    ensure!(undo(&admin, run, &allowed).await?.done.len() == 1);
    eventually(SETTLES, "the topic is gone", async || {
        admin.list_topics().await.is_ok_and(|topics| !topics.contains(&topic))
    })
    .await
}

pub async fn what_was_changed_again_is_not_taken_back(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("again");
    let run = adjusted(&admin, &topic).await?.run.context("journalled")?;
    admin.alter_configs(&topic, &[("retention.ms".to_owned(), Some("86400000".to_owned()))]).await?;
    eventually(SETTLES, "the brokers show the third value", async || {
        retention(&admin, &topic).await.is_ok_and(|(value, _)| value.as_deref() == Some("86400000"))
    })
    .await?;
    let refused = undo(&admin, run, &KEEP).await.expect_err("somebody set a third value");
    let ApplyErrorKind::Conflict { conflicts } = refused.kind() else { panic!("{refused:?}") };
    ensure!(conflicts.len() == 1 && conflicts[0].has == "86400000", "{conflicts:?}");
    let unknown = undo(&admin, u64::MAX, &KEEP).await.expect_err("there is no such run");
    ensure!(matches!(unknown.kind(), ApplyErrorKind::UnknownRun { .. }), "{unknown}");

    // A topic of the same name that was made later is another one.
    let made = unique("remade");
    let plan = planned(&admin, &made).await?;
    let run = apply(&admin, &plan, &KEEP).await?.run.context("journalled")?;
    admin.delete_topics(std::slice::from_ref(&made)).await?;
    eventually(SETTLES, "the topic is gone", async || {
        admin.list_topics().await.is_ok_and(|topics| !topics.contains(&made))
    })
    .await?;
    apply(&admin, &plan, &ADJUST).await?;
    let refused = undo(&admin, run, &KEEP).await.expect_err("the topic is not the one that the run made");
    ensure!(refused.to_string().contains("topic id"), "{refused}");
    Ok(())
}

pub async fn the_second_of_two_is_told_who_holds_the_lock(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let held = journal::Held::take(&admin, "shop", Duration::from_secs(90)).await;
    let held = held.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let topic = unique("second");
    let plan = planned(&admin, &topic).await?;
    let hasty = ApplyOptions {
        journal: Journaling::Keep { lock_timeout: Duration::ZERO },
        layers: klamm_apply::Layers::NONE,
        ..ADJUST
    };
    let refused = apply(&admin, &plan, &hasty).await.expect_err("somebody holds the lock");
    let ApplyErrorKind::Locked { lock } = refused.kind() else { panic!("{refused:?}") };
    ensure!(lock.run == held.id() && lock.holder.pid == std::process::id(), "{lock:?}");
    ensure!(!admin.list_topics().await?.contains(&topic), "nothing was changed");
    held.release().await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    ensure!(apply(&admin, &plan, &KEEP).await?.done.len() == 1);
    Ok(())
}

pub async fn many_at_once_take_turns(cluster: Cluster) -> Result<()> {
    let mut runs = Vec::new();
    for _ in 0..4 {
        let admin = admin(&cluster).await?;
        let topic = unique("turn");
        let plan = planned(&admin, &topic).await?;
        runs.push(tokio::spawn(async move { apply(&admin, &plan, &KEEP).await }));
    }
    let mut ids = Vec::new();
    for run in runs {
        let receipt = run.await??;
        ensure!(receipt.done.len() == 1, "{receipt:?}");
        ids.push(receipt.run.context("journalled")?);
    }
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() == 4, "each run has a number of its own: {ids:?}");
    Ok(())
}

pub async fn a_holder_that_was_overtaken_is_fenced_before_its_next_change(cluster: Cluster) -> Result<()> {
    // Two producers of a transactional id of their own: the journal's lock stays out of it.
    let admin = admin(&cluster).await?;
    let topic = unique("fence");
    let new = NewTopic { name: topic.clone(), partitions: 1, replication_factor: 1, configs: Vec::new() };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&topic), Duration::from_secs(30)).await?;
    let slow = admin.init_producer(&topic).await?;
    let quick = admin.init_producer(&topic).await?;
    ensure!(slow.id == quick.id && slow.epoch < quick.epoch, "{slow:?} {quick:?}");
    let record: &[(&[u8], Option<&[u8]>)] = &[(b"k", Some(b"v"))];
    admin.append_under(quick, &topic, 0, record, now_ms()).await?;
    let fenced = admin.append_under(slow, &topic, 0, record, now_ms()).await.expect_err("it was overtaken");
    ensure!(fenced.code() == Some(ErrorCode::INVALID_PRODUCER_EPOCH), "{fenced:?}");
    Ok(())
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
