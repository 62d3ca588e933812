//! Every kind of answer that a broker can give to a send.

use std::time::{Duration, Instant};

use klamm_broker::{Api, BrokerConfig, Fault};
use klamm_client::{Effect, ProduceError, ProduceErrorKind, Producer, ProducerOptions, Receipt, Record};
use klamm_kafka::ErrorCode;
use klamm_testkit::Cluster;
use klamm_testkit::anyhow::{Context, Result, ensure};

use crate::setup;

const NOT_ENOUGH_REPLICAS: i16 = 19;
const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
const NOT_LEADER: i16 = 6;
const MESSAGE_TOO_LARGE: i16 = 10;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const INVALID_RECORD: i16 = 87;

/// More than any test lets happen.
const ALWAYS: usize = 1_000_000;

/// Sends one record while the broker answers produce requests with `fault`, `times` times.
async fn send(times: usize, fault: Fault) -> Result<(Result<Receipt, ProduceError>, Duration)> {
    let cluster = Cluster::embedded().await?;
    let topic = setup::topic(&cluster, 1).await?;
    let options = ProducerOptions {
        delivery_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(1),
        ..ProducerOptions::default()
    };
    let producer = Producer::open(&setup::options(&cluster), options).await?;
    producer.partitions(&topic).await?;
    cluster.broker().context("no broker")?.faults().inject(Api::Produce, times, fault);
    let started = Instant::now();
    let outcome = producer.send(Record::new(&topic).value("v")).await?.await;
    Ok((outcome, started.elapsed()))
}

fn code(code: i16) -> Fault {
    Fault::Error(ErrorCode::from(code))
}

#[tokio::test]
async fn the_brokers_last_answer_explains_a_timeout() -> Result<()> {
    let (outcome, took) = send(ALWAYS, code(NOT_ENOUGH_REPLICAS)).await?;
    let error = outcome.err().context("acknowledged")?;
    let ProduceErrorKind::NotEnoughReplicas { waited: Some(waited), in_doubt: false } = error.kind() else {
        panic!("{error}");
    };
    ensure!(*waited == Duration::from_secs(3) && error.effect() == Effect::None && error.is_retryable());
    ensure!(error.to_string().contains("NOT_ENOUGH_REPLICAS"), "{error}");
    ensure!(took < Duration::from_secs(10), "{took:?}");
    Ok(())
}

#[tokio::test]
async fn replicas_that_fell_away_after_the_append_leave_doubt() -> Result<()> {
    let (outcome, _) = send(ALWAYS, code(NOT_ENOUGH_REPLICAS_AFTER_APPEND)).await?;
    let error = outcome.err().context("acknowledged")?;
    ensure!(matches!(error.kind(), ProduceErrorKind::NotEnoughReplicas { in_doubt: true, .. }), "{error}");
    ensure!(error.effect() == Effect::Unknown);
    Ok(())
}

#[tokio::test]
async fn a_passing_refusal_is_retried_to_a_receipt() -> Result<()> {
    for passing in [code(NOT_ENOUGH_REPLICAS), code(NOT_LEADER), Fault::CloseBefore] {
        let (outcome, _) = send(2, passing).await?;
        ensure!(outcome.as_ref().is_ok_and(|receipt| receipt.offset == 0), "{passing:?}: {outcome:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_leaves_one_copy() -> Result<()> {
    let (outcome, _) = send(1, Fault::CloseAfter).await?;
    // The broker knows the sequence and answers the resend with the place of the first copy.
    ensure!(outcome.as_ref().is_ok_and(|receipt| receipt.offset <= 0), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn a_final_refusal_is_told_by_kind_and_has_no_effect() -> Result<()> {
    type Check = fn(&ProduceErrorKind) -> bool;
    let cases: [(i16, Check); 3] = [
        (MESSAGE_TOO_LARGE, |kind| matches!(kind, ProduceErrorKind::TooLarge { .. })),
        (TOPIC_AUTHORIZATION_FAILED, |kind| matches!(kind, ProduceErrorKind::Denied)),
        (INVALID_RECORD, |kind| matches!(kind, ProduceErrorKind::Invalid { .. })),
    ];
    for (number, is_expected) in cases {
        let (outcome, took) = send(ALWAYS, code(number)).await?;
        let error = outcome.err().context("acknowledged")?;
        ensure!(is_expected(error.kind()) && error.effect() == Effect::None, "{number}: {error}");
        ensure!(!error.is_retryable() && took < Duration::from_secs(5), "{number}: {took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_gone_ends_the_send_within_its_timeout_and_says_so() -> Result<()> {
    let cluster = Cluster::embedded().await?;
    let topic = setup::topic(&cluster, 1).await?;
    let options = ProducerOptions {
        delivery_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(1),
        ..ProducerOptions::default()
    };
    let producer = Producer::open(&setup::options(&cluster), options).await?;
    producer.send(Record::new(&topic).value("v")).await?.await?;
    cluster.kill(1).await?;
    let started = Instant::now();
    let error = producer.send(Record::new(&topic).value("v")).await?.await.err().context("acknowledged")?;
    ensure!(matches!(error.kind(), ProduceErrorKind::TimedOut { last_answer: Some(_), .. }), "{error}");
    // Whether it may be there depends on whether the old connection still took it.
    ensure!(error.is_retryable() && started.elapsed() < Duration::from_secs(10), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_told_and_not_made() -> Result<()> {
    let mut config = BrokerConfig::default();
    config.auto_create_topics = false;
    let cluster = Cluster::embedded_with(config).await?;
    let producer = setup::producer(&cluster).await?;
    let error = producer.send(Record::new("missing")).await.err().context("accepted")?;
    ensure!(matches!(error.kind(), ProduceErrorKind::UnknownTopic) && !error.is_retryable(), "{error}");
    ensure!(error.effect() == Effect::None && error.to_string().starts_with("missing: "), "{error}");
    Ok(())
}
