//! Applying a plan: once, twice, over something else, and not at all.

use anyhow::{Context, Result, bail, ensure};
use klamm_admin::{Admin, ClientOptions, Mode as AdminMode, NewTopic};
use klamm_apply::{ApplyErrorKind, ApplyOptions, Existing, Mode, apply};
use klamm_contract::Profile;
use klamm_plan::spec::{SpecSet, parse};
use klamm_plan::{Plan, PlanOptions, plan};

use crate::{Cluster, unique};

pub const ADJUST: ApplyOptions = ApplyOptions { existing: Existing::Adjust, mode: Mode::Apply };
pub const REFUSE: ApplyOptions = ApplyOptions { existing: Existing::Refuse, mode: Mode::Apply };

pub async fn admin(cluster: &Cluster) -> Result<Admin> {
    Ok(Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?)
}

/// A spec of one topic with four partitions.
pub fn spec(topic: &str) -> String {
    format!(
        "klamm: 1\nservice: shop\ntopics:\n  {topic}:\n    consistency: strong\n    survive: {{ brokers: 1 }}\n    \
         key: id\n    order: per_key\n    partitions: 4\n    write: {{ rate: 1 MB/s, record: 1 KB }}\n    retain: 2h\n\
         consumers:\n  {topic}-view:\n    reads: [{topic}]\n    delivery: at_least_once\n"
    )
}

/// The plan of [`spec`] for the cluster at hand; under `dev`, so that one broker is enough.
pub async fn planned(admin: &Admin, topic: &str) -> Result<Plan> {
    let facts = admin.facts(&[topic.to_owned()]).await?;
    derive(topic, &PlanOptions { profile: Some(Profile::Dev), facts: Some(&facts), ..PlanOptions::default() })
}

pub fn derive(topic: &str, options: &PlanOptions<'_>) -> Result<Plan> {
    let problems = |problems| anyhow::anyhow!("{problems:#?}");
    let spec = parse("klamm.yaml", &spec(topic)).map_err(problems)?;
    plan(&SpecSet::from(spec), options).map_err(problems)
}

async fn exists(admin: &Admin, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
    let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let new = NewTopic { name: topic.to_owned(), partitions, replication_factor: 1, configs };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(&[topic.to_owned()], std::time::Duration::from_secs(30)).await?;
    Ok(())
}

pub async fn a_second_apply_changes_nothing(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("orders");
    let plan = planned(&admin, &topic).await?;
    let first = apply(&admin, &plan, &REFUSE).await?;
    ensure!(first.done.len() == 1 && first.unchanged.is_empty(), "{first:?}");
    ensure!(first.done[0].undo.as_ref().is_some_and(|undo| undo.contains(&topic)), "{first:?}");
    let second = apply(&admin, &plan, &REFUSE).await?;
    ensure!(second.done.is_empty() && second.unchanged == [topic.clone()], "{second:?}");

    // The plan made anew from what is there is the same plan.
    let anew = planned(&admin, &topic).await?;
    ensure!(apply(&admin, &anew, &ADJUST).await?.done.is_empty());
    let json = serde_json::to_string(&first)?;
    ensure!(
        serde_json::from_str::<klamm_apply::Receipt>(&json)? == first,
        "a receipt is read back as written"
    );
    Ok(())
}

pub async fn a_dry_run_changes_nothing(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("dry");
    let plan = planned(&admin, &topic).await?;
    let dry = ApplyOptions { mode: Mode::DryRun, ..REFUSE };
    let receipt = apply(&admin, &plan, &dry).await?;
    ensure!(receipt.dry_run && receipt.done.len() == 1, "{receipt:?}");
    ensure!(!admin.list_topics().await?.contains(&topic));
    Ok(())
}

pub async fn a_topic_with_other_settings_is_left_alone_unless_asked(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("other");
    let plan = planned(&admin, &topic).await?;
    // Of the copies that the plan asks for, since those cannot be adjusted.
    let copies =
        i16::try_from(plan.topic(&topic).context("planned")?.contract.layer_topic.replication_factor)?;
    let configs = vec![("retention.ms".to_owned(), "86400000".to_owned())];
    let new = NewTopic { name: topic.clone(), partitions: 2, replication_factor: copies, configs };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&topic), std::time::Duration::from_secs(30)).await?;

    let refused = apply(&admin, &plan, &REFUSE).await.err().context("it differs")?;
    let ApplyErrorKind::Differs { changes } = refused.kind() else { bail!("{refused:?}") };
    ensure!(changes.len() >= 2, "partitions and retention at least: {changes:?}");
    ensure!(refused.done().done.is_empty() && refused.to_string().contains(&topic), "{refused}");
    let facts = admin.facts(std::slice::from_ref(&topic)).await?;
    ensure!(facts.topics[&topic].partitions.len() == 2, "nothing was changed");

    let adjusted = apply(&admin, &plan, &ADJUST).await?;
    ensure!(adjusted.done.len() >= 2, "{adjusted:?}");
    let back = adjusted.done.iter().find(|done| done.what.contains("retention.ms")).context("retention")?;
    let undo = back.undo.as_ref().context("can be taken back")?;
    ensure!(undo.ends_with("--add-config retention.ms=86400000"), "{undo}");
    ensure!(apply(&admin, &plan, &REFUSE).await?.done.is_empty(), "now it is as planned");
    Ok(())
}

pub async fn what_cannot_be_changed_in_place_is_a_conflict(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("conflict");
    let plan = planned(&admin, &topic).await?;
    exists(&admin, &topic, 9, &[]).await?;
    let error = apply(&admin, &plan, &ADJUST).await.err().context("partitions cannot be taken away")?;
    let ApplyErrorKind::Conflict { conflicts } = error.kind() else { bail!("{error:?}") };
    ensure!(
        conflicts.iter().any(|conflict| conflict.has == "9" && !conflict.fix.is_empty()),
        "{conflicts:?}"
    );
    ensure!(error.done().done.is_empty());
    Ok(())
}

pub async fn a_plan_for_another_cluster_is_refused(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("elsewhere");
    let mut plan = planned(&admin, &topic).await?;
    plan.cluster.cluster_id = Some("another".to_owned());
    let error = apply(&admin, &plan, &ADJUST).await.err().context("another cluster")?;
    ensure!(matches!(error.kind(), ApplyErrorKind::OtherCluster { .. }), "{error:?}");
    ensure!(!admin.list_topics().await?.contains(&topic));
    Ok(())
}

/// For a cluster of one broker.
pub async fn a_weak_cluster_is_refused_before_anything_changes(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("weak");
    let plan = derive(&topic, &PlanOptions { profile: Some(Profile::Prod), ..PlanOptions::default() })?;
    let error = apply(&admin, &plan, &ADJUST).await.err().context("one broker survives nothing")?;
    let ApplyErrorKind::Weak { breaches } = error.kind() else { bail!("{error:?}") };
    let named = |(about, breach): &(String, klamm_contract::Breach)| {
        *about == topic && !breach.consequence.is_empty() && !breach.fix.is_empty()
    };
    ensure!(breaches.iter().all(named) && !breaches.is_empty(), "{breaches:?}");
    ensure!(!admin.list_topics().await?.contains(&topic));
    Ok(())
}
