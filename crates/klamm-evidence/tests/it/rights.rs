//! The rights that `docs/audit.md` names are enough, and each one that is missing shows only where it is needed.

mod on_real_kafka {
    use std::fs;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, ClientOptions, Mechanism, Mode, NewTopic, ProducerStamp, Sasl, Security};
    use klamm_evidence::data::SampleOptions;
    use klamm_evidence::live::LiveOptions;
    use klamm_kafka::{Acl, Operation, Pattern, Permission, ResourceType};
    use klamm_rules::Seen;
    use klamm_rules::evidence::{Evidence, Promises, TopicPromise};
    use klamm_testkit::{Cluster, KafkaOptions, Listeners, eventually, run_on_real_with};
    use klamm_wire::batch::{BatchBuilder, Compression};
    use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use klamm_wire::protocol::messages::{ProduceRequest, TopicName, TransactionalId};
    use klamm_wire::protocol::protocol::StrBytes;
    use klamm_wire::sasl::Hash;
    use klamm_wire::{CallOptions, ConnectOptions, Connection};
    use xtask::kafka::state::Listener;

    use crate::it::gaps::{ensure_gaps, ensure_nothing_passes_unseen, gaps, judged};
    use crate::it::group::coordinator;
    use crate::it::group::on_real_kafka::{join_consumer_group, join_share_group};
    use crate::it::live::{admin, now_ms};

    const TOPIC: &str = "orders";
    const PASSWORD: &str = "audit-secret";
    const CLUSTER: &str = "DESCRIBE on Cluster:kafka-cluster";
    const CLUSTER_CONFIGS: &str = "DESCRIBE_CONFIGS on Cluster:kafka-cluster";

    /// Rights that a user does not get, and each piece that is not whole then, with what is said about it.
    type Case = (&'static [(ResourceType, Operation)], &'static [(&'static str, &'static str)]);

    const CASES: &[Case] = &[
        (
            &[(ResourceType::Cluster, Operation::Describe)],
            &[
                ("live.quorum", CLUSTER),
                ("live.log_dirs", CLUSTER),
                ("live.acls", CLUSTER),
                ("live.scram", CLUSTER),
                ("live.reassignments", CLUSTER),
            ],
        ),
        (
            &[(ResourceType::Cluster, Operation::DescribeConfigs)],
            &[("live.brokers.*.configs", CLUSTER_CONFIGS), ("live.quotas", CLUSTER_CONFIGS)],
        ),
        (
            // READ stands for DESCRIBE.
            &[(ResourceType::Topic, Operation::Describe), (ResourceType::Topic, Operation::Read)],
            &[
                ("live.topics", "DESCRIBE on Topic:*"),
                ("live.offsets", "DESCRIBE on Topic:*"),
                ("live.producers", "DESCRIBE on Topic:*"),
                ("live.transactions", "DESCRIBE on Topic:*"),
                ("data", "DESCRIBE on Topic:*"),
                ("groups.*.missing", "hidden from this user"),
            ],
        ),
        (
            &[(ResourceType::Topic, Operation::DescribeConfigs)],
            &[("live.topics.*.configs", "DESCRIBE_CONFIGS on Topic:")],
        ),
        (
            &[(ResourceType::Topic, Operation::Read)],
            &[
                ("live.producers", "READ on Topic:*"),
                ("data", "READ on Topic:orders"),
                ("groups.classic.missing", "READ on Topic:"),
            ],
        ),
        (&[(ResourceType::Group, Operation::Describe)], &[("groups.*.missing", "DESCRIBE on Group:")]),
        (
            &[(ResourceType::Group, Operation::DescribeConfigs)],
            &[
                ("groups.consumer.configs", "DESCRIBE_CONFIGS on Group:consumer"),
                ("groups.share.configs", "DESCRIBE_CONFIGS on Group:share"),
            ],
        ),
        (
            &[(ResourceType::TransactionalId, Operation::Describe)],
            &[("live.transactions", "DESCRIBE on TransactionalId:*")],
        ),
    ];

    #[test]
    fn the_documented_rights_are_enough_and_each_is_needed_where_it_says() -> Result<()> {
        let options = KafkaOptions {
            listeners: Listeners::Secured,
            properties: vec![("transaction.partition.verification.enable".into(), "false".into())],
            ..KafkaOptions::default()
        };
        run_on_real_with(options, withhold_each_right)
    }

    async fn withhold_each_right(cluster: Cluster) -> Result<()> {
        let powerful = admin(&cluster).await?;
        fill(&cluster, &powerful).await?;
        let rights = documented()?;
        for (number, (withheld, _)) in CASES.iter().enumerate() {
            let given: Vec<_> = rights.iter().filter(|right| !withheld.contains(right)).copied().collect();
            ensure!(given.len() + withheld.len() == rights.len(), "{withheld:?} are among {rights:?}");
            make_user(&powerful, &format!("audit-{number}"), &given).await?;
        }
        // The last one that is made: as it may do all, so may the others do theirs.
        make_user(&powerful, "audit", &rights).await?;
        let mut whole = Evidence::default();
        eventually(Duration::from_secs(30), "all is seen", async || {
            whole = collect(&cluster, "audit").await?;
            ensure_gaps(&gaps(&whole)?, &[])
        })
        .await?;
        let report = judged(&whole);
        for (number, (withheld, expected)) in CASES.iter().enumerate() {
            let part = collect(&cluster, &format!("audit-{number}")).await?;
            let without = || format!("without {withheld:?}");
            ensure_gaps(&gaps(&part)?, expected).with_context(without)?;
            ensure_nothing_passes_unseen(&report, &judged(&part)).with_context(without)?;
        }
        Ok(())
    }

    /// The rules of `docs/audit.md`.
    fn documented() -> Result<Vec<(ResourceType, Operation)>> {
        let page = fs::read_to_string(xtask::paths::root().join("docs/audit.md"))?;
        let mut rights = Vec::new();
        for line in page.lines().filter(|line| line.trim_start().starts_with("kafka-acls.sh ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let resource_type = match &words[words.len() - 2..] {
                [_, "--cluster"] => ResourceType::Cluster,
                ["--topic", "'*'"] => ResourceType::Topic,
                ["--group", "'*'"] => ResourceType::Group,
                ["--transactional-id", "'*'"] => ResourceType::TransactionalId,
                other => anyhow::bail!("{other:?}"),
            };
            for pair in words.windows(2).filter(|pair| pair[0] == "--operation") {
                let operation = match pair[1] {
                    "Describe" => Operation::Describe,
                    "DescribeConfigs" => Operation::DescribeConfigs,
                    "Read" => Operation::Read,
                    other => anyhow::bail!("{other} does not only read"),
                };
                rights.push((resource_type, operation));
            }
        }
        ensure!(rights.len() == 8, "{rights:?}");
        Ok(rights)
    }

    async fn make_user(powerful: &Admin, name: &str, rights: &[(ResourceType, Operation)]) -> Result<()> {
        powerful.set_scram_password(name, Hash::Sha256, PASSWORD).await?;
        let rule = |(resource_type, operation): &(ResourceType, Operation)| Acl {
            principal: format!("User:{name}"),
            host: "*".to_owned(),
            resource_type: *resource_type,
            resource: if *resource_type == ResourceType::Cluster { "kafka-cluster" } else { "*" }.to_owned(),
            pattern: Pattern::Literal,
            operation: *operation,
            permission: Permission::Allow,
        };
        powerful.create_acls(&rights.iter().map(rule).collect::<Vec<_>>()).await?;
        Ok(())
    }

    async fn collect(cluster: &Cluster, name: &str) -> Result<Evidence> {
        let at = cluster.kafka().and_then(|kafka| kafka.bootstrap_of(Listener::SaslPlaintext));
        let (username, password) = (name.to_owned(), PASSWORD.to_owned());
        let sasl = Sasl { mechanism: Mechanism::ScramSha256, username, password };
        let security = Security { tls: None, sasl: Some(sasl) };
        let admin = Admin::connect(&ClientOptions { security, ..ClientOptions::new(at) }).await?;
        let live = klamm_evidence::live::collect(&admin, &LiveOptions::default()).await;
        let groups = klamm_evidence::group::collect(&admin, &live, Duration::from_millis(500)).await;
        let data = klamm_evidence::data::collect(&admin, &live, &SampleOptions::default()).await;
        let topics = [(TOPIC.to_owned(), TopicPromise::default())].into();
        let spec = Seen::Full(Promises { topics, ..Promises::default() });
        Ok(Evidence { at_ms: now_ms(), spec, live, groups, data, ..Evidence::default() })
    }

    /// A topic with records and an open transaction, and a group of each protocol.
    async fn fill(cluster: &Cluster, powerful: &Admin) -> Result<()> {
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: 2,
            replication_factor: 1,
            configs: vec![("retention.ms".to_owned(), "86400000".to_owned())],
        };
        powerful.create_topics(&[topic], Mode::Execute).await?;
        powerful.wait_until_ready(&[TOPIC.to_owned()], Duration::from_secs(30)).await?;
        let mut batch = BatchBuilder::new(Compression::None);
        for key in 0..20_u8 {
            batch.append(now_ms(), Some(&[key]), Some(b"value"), &[]);
        }
        powerful.append(TOPIC, 0, batch.finish()?).await?;
        eventually(Duration::from_secs(60), "coordinators", async || {
            join_consumer_group(&coordinator(cluster, powerful, "consumer").await?, "consumer", TOPIC)
                .await?;
            join_share_group(&coordinator(cluster, powerful, "share").await?, "share", TOPIC).await?;
            powerful.commit_offsets("classic", &[(TOPIC.to_owned(), 0, 5)]).await?;
            anyhow::Ok(())
        })
        .await?;
        let stamp = powerful.init_producer("id").await?;
        eventually(Duration::from_secs(30), "a record in a transaction", async || {
            ensure!(begin(cluster, stamp).await? == 0);
            anyhow::Ok(())
        })
        .await
    }

    /// Writes into partition 1 within a transaction that stays open.
    async fn begin(cluster: &Cluster, stamp: ProducerStamp) -> Result<i16> {
        let options = ConnectOptions::default();
        let leader = Connection::connect(&cluster.bootstrap(), &Security::default(), &options).await?;
        let mut batch = BatchBuilder::new(Compression::None).producer(stamp).transactional();
        batch.append(now_ms(), Some(b"key"), Some(b"open"), &[]);
        let data = PartitionProduceData::default().with_index(1).with_records(Some(batch.finish()?.into()));
        let name = TopicName(StrBytes::from_static_str(TOPIC));
        let data = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("id"))))
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        // From version 12 on the leader adds the partition to the transaction by itself.
        let old = CallOptions { max_version: Some(11), timeout: None };
        let answer = leader.call_with(&request, old).await?;
        let stored = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        Ok(stored.context("an answer")?.error_code)
    }
}
