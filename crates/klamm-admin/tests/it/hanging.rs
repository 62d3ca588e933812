//! A transaction that nobody is going to end: made, found, ended.

mod on_real_kafka {
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_admin::{Admin, Mode, NewTopic, OffsetSpec, ProducerStamp};
    use klamm_testkit::{Tier, eventually, run, unique};
    use klamm_wire::batch::{BatchBuilder, Compression};
    use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use klamm_wire::protocol::messages::{ProduceRequest, TopicName, TransactionalId};
    use klamm_wire::protocol::protocol::StrBytes;
    use klamm_wire::{CallOptions, ConnectOptions, Connection, Security};

    use crate::it::scenarios::admin;

    /// Brokers since 3.6 refuse records of transactions that their coordinator does not know, unless told otherwise.
    async fn verify(admin: &Admin, verify: Option<&str>) -> Result<()> {
        let name = "transaction.partition.verification.enable".to_owned();
        Ok(admin.alter_all_brokers_configs(&[(name, verify.map(str::to_owned))]).await?)
    }

    /// Writes into a transaction that the coordinator has never heard of, as a client before 2.5 with a late request.
    async fn write(admin: &Admin, topic: &str, id: &str, stamp: ProducerStamp) -> Result<i16> {
        let names = [topic.to_owned()];
        let leader = admin.leaders(&names).await?[topic][&0].context("a leader")?;
        let node = admin.nodes().into_iter().find(|node| node.id == leader).context("the leader")?;
        let address = format!("{}:{}", node.host, node.port);
        let leader = Connection::connect(&address, &Security::default(), &ConnectOptions::default()).await?;
        let mut batch = BatchBuilder::new(Compression::None).producer(stamp).transactional();
        batch.append(1_700_000_000_000, None, Some(b"lost"), &[]);
        let data = PartitionProduceData::default().with_index(0).with_records(Some(batch.finish()?.into()));
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let data = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(StrBytes::from_string(id.to_owned()))))
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        // From version 12 on the leader adds the partition to the transaction by itself.
        let old = CallOptions { max_version: Some(11), timeout: None };
        let answer = leader.call_with(&request, old).await?;
        let stored = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        Ok(stored.context("an answer")?.error_code)
    }

    #[test]
    fn a_hanging_transaction_is_found_and_ended() -> Result<()> {
        run(Tier::Real, async |cluster| {
            let admin = admin(&cluster).await?;
            let (name, id) = (unique("hanging"), unique("id"));
            let names = [name.clone()];
            let topic =
                NewTopic { name: name.clone(), partitions: 1, replication_factor: 1, configs: vec![] };
            admin.create_topics(&[topic], Mode::Execute).await?;
            admin.wait_until_ready(&names, Duration::from_secs(30)).await?;
            let stamp = admin.init_producer(&id).await?;
            verify(&admin, Some("false")).await?;
            let written = eventually(Duration::from_secs(30), "the record is taken", async || {
                write(&admin, &name, &id, stamp).await.is_ok_and(|code| code == 0)
            })
            .await;
            verify(&admin, None).await?;
            written?;

            let idle = Duration::from_secs(900);
            let hanging = admin.find_hanging_transactions(&names, idle).await?;
            ensure!(hanging.missing.is_empty(), "{:?}", hanging.missing);
            let [found] = &hanging.found[..] else { anyhow::bail!("{:?}", hanging.found) };
            ensure!(found.producer.producer_id == stamp.id && found.producer.transaction_start == Some(0));
            ensure!(found.transactional_id.as_ref() == Some(&id), "{found:?}");
            ensure!(admin.list_offsets(&name, OffsetSpec::LatestStable).await? == [(0, 0)]);

            let missed = admin.abort_transaction(&name, 0, 7).await.err().context("none starts there")?;
            ensure!(missed.to_string().contains("no open transaction that starts at offset 7"), "{missed}");
            admin.abort_transaction(&name, 0, 0).await?;
            eventually(Duration::from_secs(30), "the stable offset passes the marker", async || {
                admin.list_offsets(&name, OffsetSpec::LatestStable).await.is_ok_and(|at| at[0].1 >= 2)
            })
            .await?;
            ensure!(admin.find_hanging_transactions(&names, idle).await?.found.is_empty());
            Ok(())
        })
    }
}
