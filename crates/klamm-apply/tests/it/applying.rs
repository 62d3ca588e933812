//! Applying a plan: once, twice, over something else, and not at all.

use anyhow::{Context, Result, bail, ensure};
use klamm_admin::{Admin, ClientOptions, Mode as AdminMode, NewTopic};
use klamm_apply::{ApplyErrorKind, ApplyOptions, DataLoss, Existing, Journaling, Mode, SavedPlan, apply};
use klamm_contract::Profile;
use klamm_plan::spec::{SpecSet, parse};
use klamm_plan::{Plan, PlanOptions, plan};

use klamm_testkit::eventually;
use klamm_wire::batch::{BatchBuilder, Compression};

use crate::{Cluster, unique};

/// Scenarios share a real cluster, and its journal lets one change it at a time: those about it are in `undoing`.
pub const ADJUST: ApplyOptions = ApplyOptions {
    existing: Existing::Adjust,
    mode: Mode::Apply,
    data_loss: DataLoss::Refuse,
    journal: Journaling::Without,
    layers: klamm_apply::Layers::NONE,
    throttle: None,
};
pub const REFUSE: ApplyOptions = ApplyOptions { existing: Existing::Refuse, ..ADJUST };

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
    let configs = vec![("segment.ms".to_owned(), "600000".to_owned())];
    let new = NewTopic { name: topic.clone(), partitions: 4, replication_factor: copies, configs };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&topic), std::time::Duration::from_secs(30)).await?;

    let refused = apply(&admin, &plan, &REFUSE).await.err().context("it differs")?;
    let ApplyErrorKind::Differs { changes } = refused.kind() else { bail!("{refused:?}") };
    ensure!(changes.iter().any(|change| change.to_string().contains("segment.ms")), "{changes:?}");
    ensure!(refused.done().done.is_empty() && refused.to_string().contains(&topic), "{refused}");

    let adjusted = apply(&admin, &plan, &ADJUST).await?;
    let back = adjusted.done.iter().find(|done| done.what.contains("segment.ms")).context("segments")?;
    let undo = back.undo.as_ref().context("can be taken back")?;
    ensure!(undo.ends_with("--add-config segment.ms=600000"), "{undo}");
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

/// A topic as planned, but with these partitions and this retention; holds records that are a day and an hour old.
async fn written_to(admin: &Admin, plan: &Plan, topic: &str, partitions: i32, retention: &str) -> Result<()> {
    let promise = &plan.topic(topic).context("planned")?.contract.layer_topic;
    let configs = vec![("retention.ms".to_owned(), retention.to_owned())];
    let replication_factor = i16::try_from(promise.replication_factor)?;
    let new = NewTopic { name: topic.to_owned(), partitions, replication_factor, configs };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(&[topic.to_owned()], std::time::Duration::from_secs(30)).await?;
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    for age_hours in [24, 1] {
        let mut batch = BatchBuilder::new(Compression::None);
        for _ in 0..5 {
            batch.append(now - age_hours * 3_600_000, Some(b"key"), Some(b"value"), &[]);
        }
        admin.append(topic, 0, batch.finish()?).await?;
    }
    Ok(())
}

pub async fn partitions_are_not_added_to_a_keyed_topic(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("keyed");
    let plan = planned(&admin, &topic).await?;
    written_to(&admin, &plan, &topic, 2, "7200000").await?;
    let error = apply(&admin, &plan, &ADJUST).await.err().context("keys would move")?;
    let ApplyErrorKind::Conflict { conflicts } = error.kind() else { bail!("{error:?}") };
    let found = conflicts.iter().find(|conflict| conflict.setting == "partitions").context("partitions")?;
    ensure!(found.has == "2" && found.wants == "4" && found.fix.contains("partitions: 2"), "{found:?}");
    let facts = admin.facts(std::slice::from_ref(&topic)).await?;
    ensure!(facts.topics[&topic].partitions.len() == 2, "nothing was changed");
    Ok(())
}

pub async fn a_shorter_retention_is_counted_and_done_only_when_allowed(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("shorter");
    let plan = planned(&admin, &topic).await?;
    // Two days now, two hours to be: the five records of yesterday would go.
    written_to(&admin, &plan, &topic, 4, "172800000").await?;
    let error = apply(&admin, &plan, &ADJUST).await.err().context("records would go")?;
    let ApplyErrorKind::LosesData { losses } = error.kind() else { bail!("{error:?}") };
    let (change, loss) = losses.first().context("a loss")?;
    ensure!(change.topic == topic && loss.records == Some(5), "{losses:?}");
    ensure!(loss.unread == [(format!("{topic}-view"), 5)], "{losses:?}");
    ensure!(error.to_string().contains("deletes 5 records"), "{error}");

    let dry = apply(&admin, &plan, &ApplyOptions { mode: Mode::DryRun, ..ADJUST }).await?;
    ensure!(dry.done.iter().any(|done| done.loses.is_some()), "a dry run says it too: {dry:?}");
    let allowed = ApplyOptions { data_loss: DataLoss::Allow, ..ADJUST };
    ensure!(apply(&admin, &plan, &allowed).await?.done.len() == dry.done.len());
    ensure!(apply(&admin, &plan, &REFUSE).await?.done.is_empty(), "now it is as planned");
    Ok(())
}

pub async fn a_saved_plan_is_for_the_cluster_as_it_was(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("saved");
    let topics = std::slice::from_ref(&topic);
    let plan = planned(&admin, &topic).await?;
    let saved = SavedPlan::of(plan.clone(), &admin.facts(topics).await?);
    let saved = SavedPlan::from_json(&saved.to_json()).map_err(anyhow::Error::msg)?;
    ensure!(saved.changed(&admin.facts(topics).await?).is_empty(), "nothing has changed yet");
    apply(&admin, &saved.plan, &ADJUST).await?;
    let changed = saved.changed(&admin.facts(topics).await?);
    ensure!(changed.iter().any(|what| what.contains("exists by now")), "{changed:?}");

    let saved = SavedPlan::of(plan.clone(), &admin.facts(topics).await?);
    admin.delete_topics(topics).await?;
    eventually(std::time::Duration::from_secs(30), "the topic is gone", async || {
        admin.list_topics().await.is_ok_and(|topics| !topics.contains(&topic))
    })
    .await?;
    ensure!(saved.changed(&admin.facts(topics).await?).iter().any(|what| what.contains("is gone")));
    eventually(std::time::Duration::from_secs(30), "it is made again", async || {
        apply(&admin, &plan, &ADJUST).await.map(|_| ())
    })
    .await?;
    let changed = saved.changed(&admin.facts(topics).await?);
    ensure!(changed.iter().any(|what| what.contains("made again")), "{changed:?}");
    Ok(())
}

pub async fn a_failure_carries_the_receipt_of_what_was_done(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let (one, two) = (unique("one"), unique("two"));
    let mut plan = planned(&admin, &one).await?;
    plan.topics.extend(planned(&admin, &two).await?.topics);
    let sound = plan.clone();
    let settings = &mut plan.topics.last_mut().context("two topics")?.settings;
    settings.iter_mut().find(|setting| setting.name == "retention.ms").context("retention")?.value =
        "soon".into();

    let error = apply(&admin, &plan, &REFUSE).await.err().context("the second is refused")?;
    ensure!(
        matches!(error.kind(), ApplyErrorKind::Admin(_)) && error.to_string().contains(&two),
        "{error:?}"
    );
    ensure!(error.done().done.len() == 1 && error.done().done[0].change.topic == one, "{error:?}");
    eventually(std::time::Duration::from_secs(30), "every broker knows the first", async || {
        admin.wait_until_ready(std::slice::from_ref(&one), std::time::Duration::from_secs(1)).await
    })
    .await?;
    let again = apply(&admin, &sound, &REFUSE).await?;
    ensure!(again.done.len() == 1 && again.unchanged == [one], "{again:?}");
    Ok(())
}
