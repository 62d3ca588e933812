//! Changes that an audit proposes, made through the journal.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, Mode as AdminMode, NewTopic};
use klamm_apply::{ApplyErrorKind, ApplyOptions, Journaling, amend, undo};
use klamm_contract::facts::ConfigSource;
use klamm_plan::{Change, ChangeKind, Risk};

use crate::applying::{ADJUST, admin};
use crate::{Cluster, unique};

const KEEP: ApplyOptions =
    ApplyOptions { journal: Journaling::Keep { lock_timeout: Duration::from_secs(90) }, ..ADJUST };

fn retention(topic: &str, from: &str, to: &str) -> Change {
    let kind = ChangeKind::SetConfig {
        name: "retention.ms".to_owned(),
        from: Some(from.to_owned()),
        to: to.to_owned(),
        from_source: Some(ConfigSource::Topic),
    };
    Change { topic: topic.to_owned(), kind, risk: Risk::Safe }
}

async fn now(admin: &Admin, topic: &str) -> Result<Option<String>> {
    let facts = admin.facts(&[topic.to_owned()]).await?;
    let configs = facts.topics.get(topic).and_then(|topic| topic.configs.clone()).context("no configs")?;
    Ok(configs.get("retention.ms").and_then(|fact| fact.value.clone()))
}

pub async fn a_proposed_change_is_made_once_and_taken_back(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let topic = unique("amended");
    let configs = vec![("retention.ms".to_owned(), "3600000".to_owned())];
    let new = NewTopic { name: topic.clone(), partitions: 1, replication_factor: 1, configs };
    admin.create_topics(&[new], AdminMode::Execute).await?;
    admin.wait_until_ready(std::slice::from_ref(&topic), Duration::from_secs(30)).await?;
    let wanted = [retention(&topic, "3600000", "7200000")];

    let refused =
        amend(&admin, "another-cluster", "audit", &wanted, &KEEP).await.expect_err("another cluster");
    ensure!(matches!(refused.kind(), ApplyErrorKind::OtherCluster { .. }), "{refused:?}");

    let made = amend(&admin, &admin.cluster_id(), "audit", &wanted, &KEEP).await?;
    ensure!(made.done.len() == 1 && now(&admin, &topic).await?.as_deref() == Some("7200000"), "{made:?}");
    let again = amend(&admin, &admin.cluster_id(), "audit", &wanted, &KEEP).await?;
    ensure!(again.done.is_empty() && again.run.is_none(), "{again:?}");

    let stale = [retention(&topic, "3600000", "9000000")];
    let changed =
        amend(&admin, &admin.cluster_id(), "audit", &stale, &KEEP).await.expect_err("changed since");
    ensure!(matches!(changed.kind(), ApplyErrorKind::Conflict { .. }), "{changed:?}");
    ensure!(now(&admin, &topic).await?.as_deref() == Some("7200000"));

    let loss = [retention(&topic, "7200000", "1000")];
    ensure!(
        amend(&admin, &admin.cluster_id(), "audit", &loss, &KEEP).await.is_ok(),
        "an empty topic loses nothing"
    );
    undo(&admin, made.run.context("it was journalled")?, &KEEP).await.expect_err("changed again since");
    Ok(())
}
