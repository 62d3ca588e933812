//! A transaction that nobody is going to end.

use anyhow::{Context, Result, ensure};
use klamm_admin::{Admin, ProducerStamp};
use klamm_testkit::eventually;
use klamm_wire::batch::{BatchBuilder, Compression};
use klamm_wire::protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use klamm_wire::protocol::messages::{ProduceRequest, TopicName, TransactionalId};
use klamm_wire::protocol::protocol::StrBytes;
use klamm_wire::{CallOptions, ConnectOptions, Connection, Security};

use super::SHOWS;

/// Brokers refuse records of transactions that their coordinator does not know, unless they are told otherwise.
const VERIFY: &str = "transaction.partition.verification.enable";

/// Leaves an open transaction in partition 0 of a topic, as a client before 2.5 does whose request comes late.
pub async fn leave_open(admin: &Admin, topic: &str) -> Result<()> {
    let verify = async |value: Option<&str>| {
        admin.alter_all_brokers_configs(&[(VERIFY.to_owned(), value.map(str::to_owned))]).await
    };
    let stamp = admin.init_producer("late").await?;
    verify(Some("false")).await?;
    let written = eventually(SHOWS, "the record is taken", async || write(admin, topic, stamp).await).await;
    verify(None).await?;
    written
}

async fn write(admin: &Admin, topic: &str, stamp: ProducerStamp) -> Result<()> {
    let leader = admin.leaders(&[topic.to_owned()]).await?[topic][&0].context("a leader")?;
    let node = admin.nodes().into_iter().find(|node| node.id == leader).context("the leader")?;
    let address = format!("{}:{}", node.host, node.port);
    let leader = Connection::connect(&address, &Security::default(), &ConnectOptions::default()).await?;
    let mut batch = BatchBuilder::new(Compression::None).producer(stamp).transactional();
    batch.append(1_700_000_000_000, None, Some(b"late"), &[]);
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch.finish()?.into()));
    let name = TopicName(StrBytes::from_string(topic.to_owned()));
    let request = ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("late"))))
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![TopicProduceData::default().with_name(name).with_partition_data(vec![data])]);
    // From version 12 on the leader adds the partition to the transaction by itself.
    let old = CallOptions { max_version: Some(11), timeout: None };
    let answer = leader.call_with(&request, old).await?;
    let stored = answer.responses.first().and_then(|topic| topic.partition_responses.first());
    let code = stored.context("an answer")?.error_code;
    ensure!(code == 0, "error {code}");
    Ok(())
}
