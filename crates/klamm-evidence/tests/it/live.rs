//! The cluster as it is seen.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions, Mode, NewTopic};
use klamm_evidence::live::{LiveOptions, collect};
use klamm_rules::Seen;
use klamm_testkit::Tier;
use klamm_wire::batch::{BatchBuilder, Compression};

use crate::{Cluster, unique};

pub async fn admin(cluster: &Cluster) -> Result<Admin> {
    Ok(Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?)
}

pub async fn create(admin: &Admin, name: &str, partitions: i32) -> Result<()> {
    let topic = NewTopic { name: name.to_owned(), partitions, replication_factor: 1, configs: Vec::new() };
    admin.create_topics(&[topic], Mode::Execute).await?;
    admin.wait_until_ready(&[name.to_owned()], Duration::from_secs(30)).await?;
    Ok(())
}

pub async fn write(admin: &Admin, topic: &str, partition: i32, records: usize) -> Result<()> {
    let mut batch = BatchBuilder::new(Compression::None);
    for _ in 0..records {
        batch.append(now_ms(), None, Some(b"value"), &[]);
    }
    admin.append(topic, partition, batch.finish()?).await?;
    Ok(())
}

pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

fn full<'a, T: std::fmt::Debug>(what: &str, seen: &'a Seen<T>) -> Result<&'a T> {
    match seen {
        Seen::Full(value) => Ok(value),
        other => anyhow::bail!("{what}: {:?}", other.gap()),
    }
}

pub async fn each_part_is_whole_or_says_why_not(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let name = unique("live");
    create(&admin, &name, 3).await?;
    write(&admin, &name, 1, 5).await?;
    let options = LiveOptions { bootstrap: cluster.bootstrap(), ..LiveOptions::default() };
    let live = collect(&admin, &options).await;

    let seen = full("cluster", &live.cluster)?;
    ensure!(seen.protocol == "PLAINTEXT" && seen.anonymous && !seen.id.is_empty(), "{seen:?}");
    ensure!(seen.embedded == (cluster.tier() == Tier::Embedded));
    let brokers = full("brokers", &live.brokers)?;
    ensure!(brokers.len() == cluster.brokers());
    for broker in brokers {
        full("the configuration of a broker", &broker.configs)?;
    }
    let topics = full("topics", &live.topics)?;
    let topic = topics.get(&name).context("the topic")?;
    ensure!(topic.partitions.len() == 3 && !topic.internal);
    ensure!(full("topic configs", &topic.configs)?.contains_key("retention.ms"));
    let offsets = full("offsets", &live.offsets)?.get(&name).context("offsets")?;
    ensure!(
        offsets.iter().map(|at| (at.start, at.end, at.stable)).collect::<Vec<_>>()
            == [(0, 0, 0), (0, 5, 5), (0, 0, 0)],
        "{offsets:?}"
    );
    ensure!(live.certificates == Seen::NotAsked);
    all_is_told(&live, &name)?;
    let json = serde_json::to_string(&live)?;
    ensure!(serde_json::from_str::<klamm_rules::evidence::Live>(&json)? == live, "it is kept as it was");
    admin.delete_topics(&[name]).await?;
    Ok(())
}

pub async fn the_newest_record_of_each_wanted_topic_is_dated(cluster: Cluster) -> Result<()> {
    let admin = admin(&cluster).await?;
    let name = unique("dated");
    let (copy, empty, other) = (format!("east.{name}"), format!("west.{name}"), unique("dated"));
    for topic in [&name, &copy, &empty, &other] {
        create(&admin, topic, 2).await?;
    }
    let at = |topic: &str, partition: i32, time: i64| {
        let mut batch = BatchBuilder::new(Compression::None);
        batch.append(time, None, Some(b"value"), &[]);
        let (admin, topic, batch) = (admin.clone(), topic.to_owned(), batch.finish());
        async move { anyhow::Ok(admin.append(&topic, partition, batch?).await?) }
    };
    // The newest is neither the last one nor in the last partition.
    let now = now_ms();
    for (topic, partition, time) in
        [(&name, 0, now - 1_000), (&name, 0, now - 9_000), (&name, 1, now - 5_000), (&copy, 1, now - 7_000)]
    {
        at(topic, partition, time).await?;
    }
    let live = collect(&admin, &LiveOptions::default()).await;
    ensure!(live.newest == Seen::NotAsked, "it is asked of both clusters at once, later");
    let wanted = [name.clone(), unique("nowhere")].into();
    let newest = klamm_evidence::live::newest(&admin, &live, &wanted).await;
    let expected = [(name.clone(), now - 1_000), (copy.clone(), now - 7_000), (empty.clone(), -1)].into();
    ensure!(newest == Seen::Full(expected), "{newest:?}");
    let nothing = klamm_rules::evidence::Live::default();
    ensure!(klamm_evidence::live::newest(&admin, &nothing, &wanted).await == Seen::NotAsked);
    admin.delete_topics(&[name, copy, empty, other]).await?;
    Ok(())
}

fn all_is_told(live: &klamm_rules::evidence::Live, topic: &str) -> Result<()> {
    let quorum = full("quorum", &live.quorum)?;
    ensure!(quorum.voters.iter().any(|voter| voter.id == quorum.leader) && quorum.leader > 0);
    for voter in quorum.voters.iter().filter(|voter| voter.id != quorum.leader) {
        ensure!(voter.fetched_ms_ago.is_some_and(|ago| ago < 60_000), "{voter:?}");
        ensure!(voter.caught_up_ms_ago.is_some_and(|ago| ago < 60_000), "{voter:?}");
    }
    let brokers = full("brokers", &live.brokers)?;
    let leader = brokers.iter().find(|broker| broker.id == quorum.leader).context("a combined node")?;
    let (ahead, bound) = leader.clock_ahead_ms.context("its clock")?;
    ensure!(ahead.abs() <= bound + 1, "the same machine has the same clock: {ahead} ± {bound}");
    let dirs = full("log directories", &live.log_dirs)?;
    ensure!(dirs.iter().all(|dir| dir.error.is_none() && dir.total_bytes.is_some_and(|total| total > 0)));
    ensure!(dirs.iter().flat_map(|dir| &dir.replicas).filter(|copy| copy.topic == topic).count() == 3);
    ensure!(!full("access rules", &live.acls)?.authorizer);
    let features = full("features", &live.features)?;
    let version = features.iter().find(|level| level.name == "metadata.version").context("a version")?;
    ensure!(version.finalized.is_some_and(|level| level > 0 && level <= version.supported), "{version:?}");
    full("quotas", &live.quotas)?;
    full("users", &live.scram)?;
    full("reassignments", &live.reassignments)?;
    full("transactions", &live.transactions)?;
    full("producers", &live.producers)?;
    Ok(())
}

pub async fn requests_keep_to_the_pace(cluster: Cluster) -> Result<()> {
    let options =
        ClientOptions { requests_per_second: Some(30), ..ClientOptions::new([cluster.bootstrap()]) };
    let admin = Admin::connect(&options).await?;
    collect(&admin, &LiveOptions::default()).await;
    let sent = admin.requests_sent();
    // Some hundred topics of other tests at most: all fits into the first second.
    ensure!(sent.values().all(|sent| *sent <= 40), "{sent:?}");
    Ok(())
}

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Result, ensure};
    use klamm_admin::{Admin, ClientOptions, Mechanism, Sasl, Security};
    use klamm_evidence::live::{LiveOptions, collect};
    use klamm_rules::{Gap, Seen};
    use klamm_testkit::{
        Cluster, Controller, KafkaOptions, Listeners, run_on_real, run_on_real_with, unique,
    };
    use xtask::kafka::state::Listener;

    use super::{create, full};

    fn denied<T>(what: &str, seen: &Seen<T>, permission: &str) -> Result<()> {
        let expected = Gap::Denied { permission: permission.to_owned() };
        ensure!(seen.gap() == Some(expected), "{what}: {:?}", seen.gap());
        Ok(())
    }

    async fn user(cluster: &Cluster, name: &str) -> Result<Admin> {
        let at = cluster.kafka().and_then(|kafka| kafka.bootstrap_of(Listener::SaslPlaintext));
        let sasl = Sasl {
            mechanism: Mechanism::Plain,
            username: name.to_owned(),
            password: format!("{name}-secret"),
        };
        let security = Security { tls: None, sasl: Some(sasl) };
        Ok(Admin::connect(&ClientOptions { security, ..ClientOptions::new(at) }).await?)
    }

    #[test]
    fn each_part_that_is_denied_names_the_right_that_would_show_it() -> Result<()> {
        let options = KafkaOptions { listeners: Listeners::Secured, ..KafkaOptions::default() };
        run_on_real_with(options, what_each_user_sees)
    }

    async fn what_each_user_sees(cluster: Cluster) -> Result<()> {
        let (alice, bob) = (user(&cluster, "alice").await?, user(&cluster, "bob").await?);
        let name = unique("secret");
        create(&alice, &name, 1).await?;
        alice.commit_offsets(&unique("group"), &[(name.clone(), 0, 0)]).await?;
        alice.init_producer(&unique("id")).await?;

        let live = collect(&bob, &LiveOptions::default()).await;
        const CLUSTER: &str = "DESCRIBE on Cluster:kafka-cluster";
        const CONFIGS: &str = "DESCRIBE_CONFIGS on Cluster:kafka-cluster";
        denied("topics", &live.topics, "DESCRIBE on Topic:*")?;
        denied("offsets", &live.offsets, "DESCRIBE on Topic:*")?;
        denied("producers", &live.producers, "DESCRIBE on Topic:*")?;
        denied("quorum", &live.quorum, CLUSTER)?;
        denied("log directories", &live.log_dirs, CLUSTER)?;
        denied("access rules", &live.acls, CLUSTER)?;
        denied("users", &live.scram, CLUSTER)?;
        denied("reassignments", &live.reassignments, CLUSTER)?;
        denied("quotas", &live.quotas, CONFIGS)?;
        denied("transactions", &live.transactions, "DESCRIBE on TransactionalId:*")?;
        for broker in full("brokers", &live.brokers)? {
            denied("the configuration of a broker", &broker.configs, CONFIGS)?;
        }
        let cluster_seen = full("cluster", &live.cluster)?;
        ensure!(cluster_seen.protocol == "SASL_PLAINTEXT" && !cluster_seen.anonymous);
        let groups = klamm_evidence::group::collect(&bob, &live, Duration::ZERO).await;
        denied("groups", &groups, CLUSTER)?;

        let live = collect(&alice, &LiveOptions::default()).await;
        ensure!(full("topics", &live.topics)?.contains_key(&name));
        ensure!(full("access rules", &live.acls)?.authorizer);
        full("offsets", &live.offsets)?;
        full("quorum", &live.quorum)?;
        ensure!(full("transactions", &live.transactions)?.len() == 1);
        let groups = klamm_evidence::group::collect(&alice, &live, Duration::ZERO).await;
        ensure!(full("groups", &groups)?.len() == 1);
        some_rights_show_some(&cluster, &alice, &bob, &name).await
    }

    /// With a right on one topic and on the cluster, what is still hidden is named.
    async fn some_rights_show_some(cluster: &Cluster, alice: &Admin, bob: &Admin, name: &str) -> Result<()> {
        let other = unique("hidden");
        create(alice, &other, 1).await?;
        let rule = |text: &str| -> Result<klamm_kafka::Acl> { parse(text, name) };
        alice.create_acls(&[rule("topic")?, rule("cluster")?]).await?;
        klamm_testkit::eventually(Duration::from_secs(30), "the rules hold", async || {
            let live = collect(bob, &LiveOptions::default()).await;
            let Seen::Partial { value, missing } = &live.topics else {
                anyhow::bail!("{:?}", live.topics.gap())
            };
            ensure!(value.contains_key(name) && !value.contains_key(&other));
            ensure!(
                missing.iter().any(|line| line.contains("DESCRIBE on the topic is missing")),
                "{missing:?}"
            );
            let configs = value.get(name).map(|topic| topic.configs.gap());
            let permission = format!("DESCRIBE_CONFIGS on Topic:{name}");
            ensure!(configs == Some(Some(Gap::Denied { permission })), "{configs:?}");
            full("log directories", &live.log_dirs)?;
            ensure!(matches!(live.offsets, Seen::Partial { .. }), "{:?}", live.offsets.gap());
            anyhow::Ok(())
        })
        .await?;
        ensure!(cluster.brokers() == 1);
        Ok(())
    }

    fn parse(what: &str, topic: &str) -> Result<klamm_kafka::Acl> {
        use klamm_kafka::{Acl, Operation, Pattern, Permission, ResourceType};
        let (resource_type, resource) = match what {
            "topic" => (ResourceType::Topic, topic),
            _ => (ResourceType::Cluster, "kafka-cluster"),
        };
        Ok(Acl {
            principal: "User:bob".to_owned(),
            host: "*".to_owned(),
            resource_type,
            resource: resource.to_owned(),
            pattern: Pattern::Literal,
            operation: Operation::Describe,
            permission: Permission::Allow,
        })
    }

    #[test]
    fn a_broker_that_dies_leaves_what_the_others_say() -> Result<()> {
        run_on_real(3, Controller::Apart, a_broker_dies)
    }

    async fn a_broker_dies(cluster: Cluster) -> Result<()> {
        let admin = super::admin(&cluster).await?;
        create(&admin, &unique("left"), 6).await?;
        cluster.kill(2).await?;
        let options = LiveOptions { call_timeout: Duration::from_secs(3), ..LiveOptions::default() };
        let live = collect(&admin, &options).await;
        // It is advertised until its session ends.
        let Seen::Partial { value, missing } = &live.log_dirs else {
            anyhow::bail!("{:?}", live.log_dirs.gap())
        };
        ensure!(value.iter().any(|dir| dir.broker == 1) && value.iter().any(|dir| dir.broker == 3));
        ensure!(missing.len() == 1 && missing[0].starts_with("broker 2: "), "{missing:?}");
        let brokers = full("brokers", &live.brokers)?;
        ensure!(brokers.iter().any(|broker| broker.id == 2 && matches!(broker.configs, Seen::Failed { .. })));
        ensure!(matches!(live.offsets, Seen::Partial { .. }), "{:?}", live.offsets.gap());
        full("access rules", &live.acls)?;
        Ok(())
    }
}
