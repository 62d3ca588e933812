//! Samples of records, on every kind of cluster.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ClientOptions, Mode, NewTopic, OffsetSpec};
use klamm_evidence::data::{SampleOptions, collect};
use klamm_kafka::partition_for_key;
use klamm_rules::Seen;
use klamm_rules::evidence::{Live, PartitionOffsets, Topic, TopicSample};
use klamm_testkit::{Cluster, unique};
use klamm_wire::batch::{BatchBuilder, Compression};

/// Records of one batch.
const BATCH: usize = 500;

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

async fn admin(cluster: &Cluster) -> Result<Admin> {
    Ok(Admin::connect(&ClientOptions::new([cluster.bootstrap()])).await?)
}

async fn create(admin: &Admin, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
    let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let topic = NewTopic { name: name.to_owned(), partitions, replication_factor: 1, configs };
    admin.create_topics(&[topic], Mode::Execute).await?;
    admin.wait_until_ready(&[name.to_owned()], Duration::from_secs(30)).await?;
    Ok(())
}

/// A key and a value, and the partition where they go.
type Placed = (i32, String, String);

async fn write(admin: &Admin, topic: &str, codec: Compression, records: &[Placed]) -> Result<()> {
    let mut partitions: BTreeMap<i32, Vec<&Placed>> = BTreeMap::new();
    for record in records {
        partitions.entry(record.0).or_default().push(record);
    }
    let now = now_ms();
    for (partition, records) in partitions {
        for some in records.chunks(BATCH) {
            let mut batch = BatchBuilder::new(codec);
            for (_, key, value) in some {
                batch.append(now, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
            }
            admin.append(topic, partition, batch.finish()?).await?;
        }
    }
    Ok(())
}

/// What the live collector would have seen of one topic.
async fn live(admin: &Admin, topic: &str) -> Result<Live> {
    let facts = admin.facts(&[topic.to_owned()]).await?;
    let topics = facts.topics.into_iter().map(|(name, facts)| {
        let configs = facts.configs.map_or(Seen::NotAsked, Seen::Full);
        (name, Topic { internal: facts.internal, partitions: facts.partitions, configs })
    });
    Ok(Live { topics: Seen::Full(topics.collect()), ..Live::default() })
}

async fn sample(admin: &Admin, topic: &str, options: &SampleOptions) -> Result<TopicSample> {
    match collect(admin, &live(admin, topic).await?, options).await {
        Seen::Full(mut samples) => samples.pop().context("a sample"),
        other => anyhow::bail!("{other:?}"),
    }
}

pub async fn skewed_and_hot_keys_are_found(cluster: Cluster) -> Result<()> {
    let (admin, topic) = (admin(&cluster).await?, unique("hot"));
    create(&admin, &topic, 6, &[]).await?;
    let key = |number: u32| match number % 10 {
        0..4 => "customer-hot".to_owned(),
        _ => format!("customer-{number}"),
    };
    let placed = |number| (partition_for_key(key(number).as_bytes(), 6), key(number), "x".repeat(100));
    let records: Vec<_> = (0..6_000).map(placed).collect();
    write(&admin, &topic, Compression::Lz4, &records).await?;

    let options = SampleOptions { records: 3_000, ..SampleOptions::default() };
    let found = sample(&admin, &topic, &options).await?;
    ensure!((2_900..=3_000).contains(&found.records), "{found:?}");
    let hot = found.keys.heavy.first().context("a heavy key")?;
    ensure!(hot.key == "customer-hot", "{hot:?}");
    let share = |records: u64| records as f64 / found.records as f64;
    ensure!(share(hot.records) > 0.36 && share(hot.records - hot.error) < 0.44, "{hot:?}");
    ensure!((found.placement.murmur2, found.placement.keys_in_several) == (found.keys.keyed, 0), "{found:?}");
    ensure!(found.keys.per_record == 0 && found.cut.is_none(), "{found:?}");
    let busiest = found.partitions.iter().map(|partition| partition.records).max().unwrap_or(0);
    ensure!(share(busiest) > 0.4, "the sample is as skewed as the topic: {:?}", found.partitions);
    ensure!(found.partitions.len() == 6, "something of each partition");

    let all = sample(&admin, &topic, &SampleOptions::default()).await?;
    ensure!(all.records == 6_000 && all.keys.seen == 3_601, "{:?}", all.keys);
    ensure!(all.keys.distinct >= 3_601);
    Ok(())
}

pub async fn mixed_partitioners_are_found(cluster: Cluster) -> Result<()> {
    let (admin, topic) = (admin(&cluster).await?, unique("mixed"));
    create(&admin, &topic, 6, &[]).await?;
    // Every customer is written by both: a Java service, and one on librdkafka with its defaults.
    let by = |number: u32| {
        let key = format!("customer-{}", number % 500);
        let crc = i32::try_from(crc32fast::hash(key.as_bytes()) % 6).unwrap_or(0);
        let partition = if number < 1_000 { partition_for_key(key.as_bytes(), 6) } else { crc };
        (partition, key, "{}".to_owned())
    };
    write(&admin, &topic, Compression::None, &(0..2_000).map(by).collect::<Vec<_>>()).await?;
    let found = sample(&admin, &topic, &SampleOptions::default()).await?;
    let placement = &found.placement;
    ensure!(placement.checked == 2_000 && placement.earlier.is_empty(), "{placement:?}");
    ensure!((1_000..1_250).contains(&placement.murmur2), "{placement:?}");
    ensure!(placement.crc32 == 2_000 - placement.murmur2 && placement.fnv1a == 0, "{placement:?}");
    ensure!((350..500).contains(&placement.keys_in_several), "{placement:?}");
    ensure!(found.json == 2_000, "{found:?}");
    Ok(())
}

pub async fn events_with_a_missing_version_are_found(cluster: Cluster) -> Result<()> {
    let (admin, topic) = (admin(&cluster).await?, unique("events"));
    create(&admin, &topic, 1, &[("cleanup.policy", "delete")]).await?;
    let event = |version: u32| {
        let value = format!("{{\"aggregateId\":\"order-7\",\"version\":{version},\"type\":\"changed\"}}");
        (0, "order-7".to_owned(), value)
    };
    let records: Vec<_> = (1..=40).filter(|version| *version != 30).map(event).collect();
    write(&admin, &topic, Compression::Zstd, &records).await?;
    let found = sample(&admin, &topic, &SampleOptions::default()).await?;
    let expected = ["key order-7: version 31 follows 29 (partition 0 offset 29)"];
    ensure!(found.version_gaps == expected, "{:?}", found.version_gaps);
    Ok(())
}

pub async fn batches_tell_codecs_times_and_schemas(cluster: Cluster) -> Result<()> {
    let (admin, topic) = (admin(&cluster).await?, unique("framed"));
    create(&admin, &topic, 1, &[("message.timestamp.type", "LogAppendTime")]).await?;
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Snappy] {
        let mut batch = BatchBuilder::new(codec);
        batch.append(now_ms(), Some(b"a@example.org"), Some(&[0, 0, 0, 0, 42, 6]), &[]);
        batch.append(now_ms(), None, None, &[]);
        admin.append(&topic, 0, batch.finish()?).await?;
    }
    let found = sample(&admin, &topic, &SampleOptions::default()).await?;
    ensure!(found.codecs == BTreeMap::from([("gzip".to_owned(), 1), ("snappy".to_owned(), 2)]), "{found:?}");
    ensure!(found.log_append_time && found.newest_ahead_ms < 60_000, "{found:?}");
    ensure!((found.framed, found.schema_ids.get(&42)) == (3, Some(&3)), "{found:?}");
    ensure!((found.tombstones, found.keys.unkeyed, found.keys.mutable) == (3, 3, 3), "{found:?}");
    ensure!((found.size_max, found.bytes) == (19, 57), "{found:?}");
    Ok(())
}

pub async fn a_sample_leaves_offsets_and_groups_alone(cluster: Cluster) -> Result<()> {
    let (admin, topic, group) = (admin(&cluster).await?, unique("alone"), unique("readers"));
    create(&admin, &topic, 2, &[]).await?;
    let records: Vec<_> = (0..100).map(|number| (number % 2, format!("k{number}"), String::new())).collect();
    write(&admin, &topic, Compression::None, &records).await?;
    admin.commit_offsets(&group, &[(topic.clone(), 0, 7)]).await?;
    let committed = admin.group_offsets(&group, &[]).await?;
    let latest = admin.list_offsets(&topic, OffsetSpec::Latest).await?;

    let found = sample(&admin, &topic, &SampleOptions::default()).await?;
    ensure!(found.records == 100);
    ensure!(admin.group_offsets(&group, &[]).await? == committed, "offsets are as they were");
    ensure!(admin.list_offsets(&topic, OffsetSpec::Latest).await? == latest, "nothing was written");
    let members = admin.describe_group(&group).await?;
    ensure!(members.members.is_empty(), "nobody joined: {members:?}");
    if cluster.broker().is_some() {
        ensure!(admin.list_groups().await? == [group], "no other group came to be");
    }
    Ok(())
}

pub async fn a_sample_ends_at_its_bounds(cluster: Cluster) -> Result<()> {
    let (admin, topic) = (admin(&cluster).await?, unique("large"));
    create(&admin, &topic, 2, &[]).await?;
    let records: Vec<_> =
        (0..4_000).map(|number| (number % 2, format!("k{number}"), "x".repeat(500))).collect();
    write(&admin, &topic, Compression::None, &records).await?;

    let narrow = SampleOptions { total_bytes: 300_000, fetch_bytes: 100_000, ..SampleOptions::default() };
    let found = sample(&admin, &topic, &narrow).await?;
    ensure!(found.cut.as_deref() == Some("300000 bytes were read"), "{:?}", found.cut);
    // A batch comes whole, whatever was asked for: some 250 kB of them here.
    ensure!(found.records > 0 && found.bytes < 900_000, "{} records, {} bytes", found.records, found.bytes);

    let hasty = SampleOptions { total_time: Duration::ZERO, ..SampleOptions::default() };
    let Seen::Partial { value, missing } = collect(&admin, &live(&admin, &topic).await?, &hasty).await else {
        anyhow::bail!("there was no time")
    };
    ensure!(
        value.is_empty() && missing == [format!("topic {topic}: not sampled: 0 s were over")],
        "{missing:?}"
    );

    let few = SampleOptions { records: 10, ..SampleOptions::default() };
    ensure!(sample(&admin, &topic, &few).await?.records == 10);
    let other = SampleOptions { topics: vec!["none-*".to_owned()], ..SampleOptions::default() };
    ensure!(collect(&admin, &live(&admin, &topic).await?, &other).await == Seen::Full(Vec::new()));
    Ok(())
}

pub async fn large_records_of_one_topic_take_nothing_from_another(cluster: Cluster) -> Result<()> {
    let (admin, large, small) = (admin(&cluster).await?, unique("a-large"), unique("b-small"));
    create(&admin, &large, 1, &[]).await?;
    create(&admin, &small, 2, &[]).await?;
    let records: Vec<_> = (0..5_000).map(|number| (0, format!("k{number}"), "x".repeat(200))).collect();
    write(&admin, &large, Compression::None, &records).await?;
    let records: Vec<_> = (0..200).map(|number| (number % 2, format!("k{number}"), String::new())).collect();
    write(&admin, &small, Compression::None, &records).await?;

    let mut both = live(&admin, &large).await?;
    let other = live(&admin, &small).await?;
    if let (Seen::Full(all), Seen::Full(other)) = (&mut both.topics, other.topics) {
        all.extend(other);
    }
    let narrow = SampleOptions { total_bytes: 400_000, fetch_bytes: 100_000, ..SampleOptions::default() };
    let Seen::Full(found) = collect(&admin, &both, &narrow).await else { anyhow::bail!("not whole") };
    let of = |name: &String| found.iter().find(|sample| sample.topic == *name).context("a sample");
    ensure!(of(&large)?.cut.is_some() && of(&large)?.records > 1_000, "{:?}", of(&large)?);
    ensure!(of(&small)?.cut.is_none() && of(&small)?.records == 200, "{:?}", of(&small)?);
    Ok(())
}

pub async fn fetches_from_a_broker_are_paced(cluster: Cluster) -> Result<()> {
    let (admin, topic) = (admin(&cluster).await?, unique("paced"));
    create(&admin, &topic, 6, &[]).await?;
    let records: Vec<_> = (0..6).map(|number| (number, format!("k{number}"), String::new())).collect();
    write(&admin, &topic, Compression::None, &records).await?;
    let live = live(&admin, &topic).await?;
    let leaders = live.topics.value().and_then(|topics| topics.get(&topic)).context("the topic")?;
    let mut fetches: BTreeMap<Option<i32>, u32> = BTreeMap::new();
    leaders.partitions.iter().for_each(|partition| *fetches.entry(partition.leader).or_default() += 1);
    let most = fetches.into_values().max().unwrap_or(0);

    let slow = SampleOptions { requests_per_second: 10, ..SampleOptions::default() };
    let started = std::time::Instant::now();
    let Seen::Full(found) = collect(&admin, &live, &slow).await else { anyhow::bail!("all of it") };
    ensure!(found.first().is_some_and(|sample| sample.records == 6), "{found:?}");
    let least = Duration::from_millis(100) * (most - 1);
    ensure!(most > 1 && started.elapsed() >= least, "{most} fetches took {:?}", started.elapsed());
    Ok(())
}

mod on_real_kafka {
    use klamm_admin::{Mechanism, Sasl, Security, Tls};
    use klamm_evidence::certificates;
    use klamm_rules::evidence::Broker;
    use xtask::kafka::state::Listener;
    use xtask::kafka::{Kafka, KafkaOptions, Listeners};

    use super::*;

    /// Certificates of the brokers' TLS listeners, met without any right there.
    async fn certificates_are_read(at: String, ca_pem: std::path::PathBuf) -> Result<()> {
        let security = Security { tls: Some(Tls { ca_pem: Some(ca_pem), client: None }), sasl: None };
        let options = ClientOptions { security: security.clone(), ..ClientOptions::new([at]) };
        let facts = Admin::connect(&options).await?.facts(&[]).await?;
        let brokers = facts.brokers.into_iter().map(|broker| Broker {
            id: broker.id,
            host: broker.host,
            port: broker.port,
            ..Broker::default()
        });
        let live = Live { brokers: Seen::Full(brokers.collect()), ..Live::default() };
        let Seen::Full(found) = certificates::collect(&live, &security).await else {
            anyhow::bail!("every broker shows one")
        };
        let one = found.first().context("a certificate")?;
        ensure!(one.not_after_ms > now_ms() && one.issuer != one.subject, "{one:?}");
        ensure!(one.names.contains(&one.host), "{one:?}");
        Ok(())
    }

    #[test]
    fn a_secured_cluster_tells_its_certificates_and_the_permission_that_is_missing() -> Result<()> {
        let name = "evidence-secured".to_owned();
        let kafka =
            Kafka::start(KafkaOptions { name, listeners: Listeners::Secured, ..KafkaOptions::default() })?;
        let at = kafka.bootstrap_of(Listener::SaslPlaintext).context("a listener")?;
        let ssl = kafka.bootstrap_of(Listener::Ssl).context("a listener")?;
        let ca = kafka.state().certificates.clone().context("certificates")?.ca;
        let user = |name: &str| {
            let (username, password) = (name.to_owned(), format!("{name}-secret"));
            let sasl = Some(Sasl { mechanism: Mechanism::Plain, username, password });
            ClientOptions { security: Security { tls: None, sasl }, ..ClientOptions::new([at.clone()]) }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            certificates_are_read(ssl, ca).await?;
            let (alice, bob) = (Admin::connect(&user("alice")).await?, Admin::connect(&user("bob")).await?);
            let topic = unique("secret");
            create(&alice, &topic, 3, &[]).await?;
            write(&alice, &topic, Compression::None, &[(0, "k".to_owned(), "v".to_owned())]).await?;
            let seen = collect(&bob, &live(&alice, &topic).await?, &SampleOptions::default()).await;
            let Seen::Partial { value, missing } = seen else { anyhow::bail!("{seen:?}") };
            ensure!(value.is_empty() && missing == [format!("READ on Topic:{topic}")], "{missing:?}");
            // The same when the offsets are known, so that only reading is denied.
            let mut live = live(&alice, &topic).await?;
            let offsets =
                |partition, end| PartitionOffsets { partition, end, stable: end, ..Default::default() };
            let offsets = vec![offsets(0, 1), offsets(1, 0), offsets(2, 0)];
            live.offsets = Seen::Full(BTreeMap::from([(topic.clone(), offsets)]));
            let seen = collect(&bob, &live, &SampleOptions::default()).await;
            let Seen::Partial { missing, .. } = seen else { anyhow::bail!("{seen:?}") };
            ensure!(missing == [format!("READ on Topic:{topic}")], "{missing:?}");
            Ok(())
        })
    }
}
