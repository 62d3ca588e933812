//! What every cluster must do alike.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{
    Admin, AdminError, AdminErrorKind, ClientOptions, Mode, NewTopic, OffsetSpec, TopicRights,
};
use klamm_contract::facts::ConfigSource;
use klamm_kafka::ErrorCode;
use klamm_wire::batch::{BatchBuilder, Compression, Header};

use crate::{Cluster, unique};

pub async fn admin(cluster: &Cluster) -> Result<Admin> {
    Ok(Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?)
}

fn topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions, replication_factor: 1, configs: Vec::new() }
}

async fn create(admin: &Admin, name: &str, partitions: i32) -> Result<()> {
    admin.create_topics(&[topic(name, partitions)], Mode::Execute).await?;
    admin.wait_until_ready(&[name.to_owned()], Duration::from_secs(30)).await?;
    Ok(())
}

pub async fn topics_are_created_changed_and_deleted(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let name = unique("life");
    let names = [name.clone()];
    let mut new = topic(&name, 3);
    new.configs.push(("retention.ms".to_owned(), "3600000".to_owned()));

    admin.create_topics(std::slice::from_ref(&new), Mode::ValidateOnly).await?;
    ensure!(!admin.facts(&names).await?.topics.contains_key(&name), "validating creates nothing");
    admin.create_topics(&[new], Mode::Execute).await?;
    admin.wait_until_ready(&names, Duration::from_secs(30)).await?;
    ensure!(admin.list_topics().await?.contains(&name));

    admin.create_partitions(&name, 5).await?;
    let change = |value: Option<&str>| [("retention.ms".to_owned(), value.map(str::to_owned))];
    admin.alter_configs(&name, &change(Some("7200000"))).await?;
    admin.wait_until_ready(&names, Duration::from_secs(30)).await?;
    let facts = admin.facts(&names).await?;
    let seen = facts.topics.get(&name).context("the topic")?;
    ensure!(seen.partitions.len() == 5, "{seen:?}");
    ensure!(seen.partitions.iter().all(|partition| partition.leader.is_some() && partition.isr.len() == 1));
    retention_becomes(&admin, &name, Some("7200000")).await?;
    admin.alter_configs(&name, &change(None)).await?;
    retention_becomes(&admin, &name, None).await?;

    admin.delete_topics(&names).await?;
    crate::eventually(Duration::from_secs(30), "the topic is gone", async || {
        admin.list_topics().await.is_ok_and(|topics| !topics.contains(&name))
    })
    .await
}

/// The controller has taken a change before each broker shows it.
async fn retention_becomes(admin: &Admin, topic: &str, own: Option<&str>) -> Result<()> {
    crate::eventually(Duration::from_secs(30), "the configuration shows", async || {
        let facts = admin.facts(&[topic.to_owned()]).await?;
        let configs = facts.topics.get(topic).and_then(|topic| topic.configs.as_ref()).context("configs")?;
        let fact = configs.get("retention.ms").context("retention.ms")?;
        let found = fact.value.as_deref().filter(|_| fact.source == ConfigSource::Topic);
        ensure!(found == own, "it is {fact:?}");
        anyhow::Ok(())
    })
    .await
}

pub async fn facts_name_the_brokers_and_leave_out_what_does_not_exist(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let facts = admin.facts(&[unique("nowhere")]).await?;
    ensure!(facts.topics.is_empty());
    ensure!(!facts.cluster_id.is_empty() && facts.cluster_id == admin.cluster_id());
    ensure!(!facts.brokers.is_empty());
    for broker in &facts.brokers {
        ensure!(
            broker.configs.contains_key("min.insync.replicas"),
            "broker {} tells its configuration",
            broker.id
        );
    }
    ensure!(admin.probe().await?.iter().all(|listener| listener.outcome.is_ok()));
    let address = cluster.bootstrap();
    let first = address.split(',').next().unwrap_or(&address);
    let probe = Admin::probe_address(admin.options(), first).await?;
    ensure!(probe.unspoken.is_empty(), "everything that is needed is spoken: {:?}", probe.unspoken);
    Ok(())
}

/// Offset, key and value.
type Stored = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

pub async fn records_come_back_exactly_as_they_were_stored(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let name = unique("log");
    create(&admin, &name, 2).await?;
    let header = Header { key: b"h", value: Some(b"x") };
    let mut expected: Vec<Stored> = Vec::new();
    for (round, compression) in Compression::ALL.into_iter().enumerate() {
        let mut builder = BatchBuilder::new(compression);
        let key = format!("key-{round}").into_bytes();
        builder.append(1_700_000_000_000, Some(&key), None, &[]);
        builder.append(1_700_000_000_001, None, Some(&[7; 300]), &[header]);
        let base = admin.append(&name, 1, builder.finish()?).await?;
        expected.push((base, Some(key), None));
        expected.push((base + 1, None, Some(vec![7; 300])));
    }
    let latest = admin.list_offsets(&name, OffsetSpec::Latest).await?;
    ensure!(latest == [(0, 0), (1, 10)], "{latest:?}");

    let mut seen = Vec::new();
    let mut each = |record: klamm_wire::batch::RecordView<'_>| {
        seen.push((record.offset, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec)));
    };
    let next = admin.read(&name, 1, 0, 10, &mut each).await?;
    ensure!(next == 10 && seen == expected, "{seen:?}");

    let mut middle = Vec::new();
    admin.read(&name, 1, 3, 6, &mut |record| middle.push(record.offset)).await?;
    ensure!(middle == [3, 4, 5], "{middle:?}");

    let by_time = admin.list_offsets(&name, OffsetSpec::Timestamp(1_700_000_000_001)).await?;
    ensure!(by_time == [(0, 0), (1, 1)], "{by_time:?}");
    let later = admin.list_offsets(&name, OffsetSpec::Timestamp(1_800_000_000_000)).await?;
    ensure!(later == latest, "later than all is the end: {later:?}");

    admin.delete_records(&name, &[(1, 4)]).await?;
    ensure!(admin.list_offsets(&name, OffsetSpec::Earliest).await? == [(0, 0), (1, 4)]);
    let error =
        admin.read(&name, 1, 0, 10, &mut |_| ()).await.err().context("what is deleted cannot be read")?;
    ensure!(error.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE), "{error}");
    ensure!(error.to_string().contains(&format!("topic {name} partition 1 offset 0")), "{error}");
    Ok(())
}

pub async fn refusals_name_the_topic_and_carry_kafkas_words(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let name = unique("twice");
    create(&admin, &name, 1).await?;
    let refused =
        async |new: NewTopic| admin.create_topics(&[new], Mode::Execute).await.err().context("refused");
    let about = |error: &AdminError, topic: &str, code: ErrorCode| {
        ensure!(error.code() == Some(code), "{error}");
        ensure!(
            error.to_string().starts_with(&format!("topic {topic}: ")) && !error.is_retryable(),
            "{error}"
        );
        Ok(())
    };
    about(&refused(topic(&name, 1)).await?, &name, ErrorCode::TOPIC_ALREADY_EXISTS)?;

    let other = unique("other");
    let many = NewTopic { replication_factor: 9, ..topic(&other, 1) };
    about(&refused(many).await?, &other, ErrorCode::INVALID_REPLICATION_FACTOR)?;
    let odd = NewTopic { configs: vec![("retention.ms".into(), "soon".into())], ..topic(&other, 1) };
    about(&refused(odd).await?, &other, ErrorCode::INVALID_CONFIG)?;
    about(&refused(topic("a b", 1)).await?, "a b", ErrorCode::INVALID_TOPIC_EXCEPTION)?;

    let fewer = admin.create_partitions(&name, 1).await.err().context("not more than before")?;
    about(&fewer, &name, ErrorCode::INVALID_PARTITIONS)?;
    let each = admin.create_topics_each(&[topic(&name, 1), topic(&other, 1)], Mode::Execute).await;
    ensure!(each.len() == 2 && each[0].result.is_err() && each[1].result.is_ok(), "{each:?}");

    let unknown = admin.delete_topics(&[unique("never")]).await.err().context("unknown")?;
    ensure!(unknown.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), "{unknown}");
    Ok(())
}

pub async fn a_group_that_does_not_exist_is_dead_and_has_no_offsets(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let group = unique("group");
    ensure!(admin.group_offsets(&group, &[]).await?.is_empty());
    let described = admin.describe_group(&group).await?;
    ensure!(described.state == "Dead" && described.members.is_empty(), "{described:?}");
    Ok(())
}

pub async fn one_handle_serves_many_tasks(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let name = unique("many");
    create(&admin, &name, 4).await?;
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let (admin, name) = (admin.clone(), name.clone());
            tokio::spawn(async move { admin.list_offsets(&name, OffsetSpec::Latest).await })
        })
        .collect();
    for task in tasks {
        ensure!(task.await??.len() == 4);
    }
    Ok(())
}

pub async fn a_topic_that_does_not_exist_is_an_error_soon(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let name = unique("nowhere");
    let started = std::time::Instant::now();
    let error = admin.list_offsets(&name, OffsetSpec::Latest).await.err().context("it does not exist")?;
    ensure!(started.elapsed() < Duration::from_secs(15), "after {:?}", started.elapsed());
    ensure!(
        matches!(error.kind(), AdminErrorKind::Kafka { .. }) && error.to_string().contains(&name),
        "{error}"
    );
    let rights = admin.topic_rights(std::slice::from_ref(&name)).await?;
    ensure!(rights.get(&name) == Some(&TopicRights::Missing), "{rights:?}");
    Ok(())
}
