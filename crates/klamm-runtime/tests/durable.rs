//! The producer that asks first.

use klamm_client::{Record, RecordSet};
use klamm_contract::{Layer, TopicContract};
use klamm_runtime::{ConnectErrorKind, DurableProducer, SendErrorKind};
use klamm_testkit::anyhow::{Context, Result, ensure};
use klamm_testkit::{Cluster, scenarios};

use crate::setup::{self, SOON};

scenarios!(
    a_contract_that_is_kept_lets_records_through,
    a_weak_topic_is_refused_with_its_breaches,
    a_missing_topic_is_refused,
    another_topic_is_refused,
    an_outcome_that_nobody_looks_at_is_counted,
);

async fn a_contract_that_is_kept_lets_records_through(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    let producer = DurableProducer::connect(&setup::options(&cluster), setup::contract(&topic)).await?;
    let receipt = producer.send(Record::new(&topic).key("k").value("v")).await?.await?;
    ensure!((receipt.partition, receipt.offset) == (0, 0), "{receipt:?}");
    let set: RecordSet = (0..9).map(|_| Record::new(&topic)).collect();
    ensure!(producer.send_batch(&set).await?.await.len() == 9);
    producer.flush(SOON).await?;
    let stats = producer.stats();
    ensure!((stats.sent, stats.acknowledged, stats.failed, stats.ignored) == (10, 10, 0, 0), "{stats:?}");
    ensure!(stats.latency.count == 2 && stats.in_flight.records == 0, "{stats:?}");
    ensure!(producer.recheck().await?.is_empty());
    Ok(())
}

async fn a_weak_topic_is_refused_with_its_breaches(cluster: Cluster) -> Result<()> {
    // One copy where the contract needs three.
    let topic = setup::topic(&cluster, 1, 1).await?;
    let refused = DurableProducer::connect(&setup::options(&cluster), TopicContract::strong(&topic)).await;
    let error = refused.err().context("a weak topic was accepted")?;
    let ConnectErrorKind::Weak { breaches, .. } = error.kind() else { panic!("{error}") };
    ensure!(breaches.iter().any(|breach| breach.layer == Layer::Topic), "{breaches:#?}");
    ensure!(breaches.iter().all(|breach| !breach.consequence.is_empty()), "{breaches:#?}");
    ensure!(
        !error.is_retryable() && error.to_string().contains("replication factor is 1, needed is 3"),
        "{error}"
    );
    Ok(())
}

async fn a_missing_topic_is_refused(cluster: Cluster) -> Result<()> {
    let refused =
        DurableProducer::connect(&setup::options(&cluster), setup::contract("there-is-no-such-topic")).await;
    let error = refused.err().context("a missing topic was accepted")?;
    ensure!(matches!(error.kind(), ConnectErrorKind::TopicMissing { .. }), "{error}");
    Ok(())
}

async fn another_topic_is_refused(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    let producer = DurableProducer::connect(&setup::options(&cluster), setup::contract(&topic)).await?;
    let error = producer.send(Record::new("other")).await.err().context("accepted")?;
    ensure!(matches!(error.kind(), SendErrorKind::WrongTopic { .. }), "{error}");
    Ok(())
}

async fn an_outcome_that_nobody_looks_at_is_counted(cluster: Cluster) -> Result<()> {
    let topic = setup::topic(&cluster, 1, 1).await?;
    let producer = DurableProducer::connect(&setup::options(&cluster), setup::contract(&topic)).await?;
    drop(producer.send(Record::new(&topic)).await?);
    producer.close(SOON).await?;
    let stats = producer.stats();
    ensure!((stats.sent, stats.acknowledged, stats.ignored) == (1, 0, 1), "{stats:?}");
    Ok(())
}
