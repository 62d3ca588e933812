//! `klamm bench partition`: what one partition of this cluster takes and gives, from this machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use klamm_admin::{Admin, Mode, NewTopic};
use klamm_client::Record;
use klamm_contract::{ConsumerContract, TopicContract};
use klamm_runtime::{ConsumerLoop, DurableProducer, HandlerError, LoopOptions, Pending, Work};
use rand::RngCore;
use serde_json::json;
use tokio::sync::Notify;

use crate::args::BenchPartitionArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::{connect, screen};

/// Records on their way at once: enough to keep a connection busy, few enough to stop quickly.
const IN_FLIGHT: usize = 20_000;
/// Random bytes that values are cut from: records that do not compress are the honest case.
const POOL: usize = 4 << 20;
/// Share of what was measured that is worth planning with, in percent: the rest is for peaks and for catching up.
const PLAN_WITH: u64 = 60;
/// For the topic to be there, and for what is on its way at the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a topic of one partition, writes for a while with the durable producer, reads it all with the consumer loop, and
/// removes the topic whatever happens.
pub async fn partition(args: &BenchPartitionArgs) -> Outcome {
    let options = connect::options_of_plan(&args.cluster)?;
    let admin = connect::connect(&options).await?;
    let failed = |error| connect::failed(&error);
    let facts = admin.facts(&[]).await.map_err(failed)?;
    let topic = format!("klamm.bench.{}", std::process::id());
    let contract = contract(&topic, facts.brokers.len());
    let promise = &contract.layer_topic;
    let new = NewTopic {
        name: topic.clone(),
        partitions: 1,
        replication_factor: promise.replication_factor as i16,
        configs: vec![("min.insync.replicas".to_owned(), promise.min_insync_replicas.to_string())],
    };
    admin.create_topics(&[new], Mode::Execute).await.map_err(failed)?;
    let measured = tokio::select! {
        measured = measure(&admin, &options, &contract, args) => measured,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted").hint("the topic is removed; nothing was measured")),
    };
    admin.delete_topics(std::slice::from_ref(&topic)).await.map_err(failed)?;
    let Measured { written, write_rate, read_rate } = measured?;
    let plan_with = write_rate.min(read_rate) * PLAN_WITH / 100;
    if args.output.json {
        screen::say_json(&json!({
            "event": "partition", "copies": promise.replication_factor, "record_bytes": args.record, "bytes": written,
            "write_bytes_per_second": write_rate, "read_bytes_per_second": read_rate, "plan_with": plan_with,
        }));
    } else {
        screen::say_text(&format!(
            "partition {} copies, records of {} that do not compress, {} in all\n  \
             write     {}/s acknowledged by all in sync, one producer\n  read      {}/s, one consumer\n  \
             for the spec ({PLAN_WITH}% of the slower): cluster: {{ partition: {} B/s }}\n",
            promise.replication_factor,
            screen::bytes(args.record),
            screen::bytes(written),
            screen::bytes(write_rate),
            screen::bytes(read_rate),
            plan_with
        ));
    }
    Ok(Exit::Clean)
}

struct Measured {
    written: u64,
    write_rate: u64,
    read_rate: u64,
}

/// As many copies as strong data has, where there are brokers for them.
fn contract(topic: &str, brokers: usize) -> TopicContract {
    let contract = TopicContract::strong(topic).partitions(1);
    let mut contract = if brokers < 3 { contract.dev() } else { contract };
    contract.layer_producer.compression = "none".to_owned();
    contract.layer_producer.batch_bytes = 512 << 10;
    contract
}

async fn measure(
    admin: &Admin,
    options: &klamm_client::ClientOptions,
    contract: &TopicContract,
    args: &BenchPartitionArgs,
) -> Result<Measured, Failure> {
    let topic = contract.topic.as_str();
    admin.wait_until_ready(&[topic.to_owned()], PATIENCE).await.map_err(|error| connect::failed(&error))?;
    let producer = DurableProducer::connect(options, contract.clone())
        .await
        .map_err(|error| cannot("produce", &error))?;
    let (records, elapsed) = write(&producer, topic, args).await?;
    producer.close(PATIENCE).await.map_err(|error| cannot("finish producing", &error))?;
    let written = records * args.record;
    let reading = read(options, topic, records).await?;
    Ok(Measured { written, write_rate: rate(written, elapsed), read_rate: rate(written, reading) })
}

fn rate(bytes: u64, time: Duration) -> u64 {
    (bytes as f64 / time.as_secs_f64().max(0.001)) as u64
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot {what}: {error}")).hint("`klamm doctor` tries what it takes, one by one")
}

/// Records that were acknowledged, and the time from the first send to the last acknowledgement.
async fn write(
    producer: &DurableProducer,
    topic: &str,
    args: &BenchPartitionArgs,
) -> Result<(u64, Duration), Failure> {
    let mut pool = vec![0; POOL + args.record as usize];
    rand::rng().fill_bytes(&mut pool);
    let mut on_their_way: VecDeque<Pending> = VecDeque::with_capacity(IN_FLIGHT);
    let (start, mut records) = (Instant::now(), 0_u64);
    while start.elapsed() < args.run_for {
        // A prime step, so that no two neighbours share bytes.
        let at = (records as usize).wrapping_mul(7_919) % POOL;
        let value = &pool[at..at + args.record as usize];
        let pending = producer.send(Record::new(topic).value(value)).await;
        on_their_way.push_back(pending.map_err(|error| cannot("send", &error))?);
        records += 1;
        if on_their_way.len() == IN_FLIGHT
            && let Some(oldest) = on_their_way.pop_front()
        {
            oldest.await.map_err(|error| cannot("store a record", &error))?;
        }
    }
    for pending in on_their_way {
        pending.await.map_err(|error| cannot("store a record", &error))?;
    }
    Ok((records, start.elapsed()))
}

/// Time from the first record to the last.
async fn read(options: &klamm_client::ClientOptions, topic: &str, records: u64) -> Result<Duration, Failure> {
    let group = format!("{topic}.reader");
    let (seen, first, all) =
        (Arc::new(AtomicU64::new(0)), Arc::new(std::sync::OnceLock::new()), Arc::new(Notify::new()));
    let handler = {
        let (seen, first, all) = (Arc::clone(&seen), Arc::clone(&first), Arc::clone(&all));
        move |work: Work| {
            first.get_or_init(Instant::now);
            let count = work.records().count() as u64;
            if seen.fetch_add(count, Ordering::Relaxed) + count >= records {
                all.notify_one();
            }
            async { Ok::<_, HandlerError>(()) }
        }
    };
    let contract = ConsumerContract::at_least_once(group, [topic]);
    let consumer = ConsumerLoop::start(options, &contract, LoopOptions::default(), handler)
        .await
        .map_err(|error| cannot("consume", &error))?;
    let outcome = tokio::time::timeout(PATIENCE, all.notified()).await;
    let end = Instant::now();
    consumer.stop(PATIENCE).await;
    outcome.map_err(|_| {
        Failure::new(format!("read {} of {records} records in {PATIENCE:?}", seen.load(Ordering::Relaxed)))
    })?;
    Ok(first.get().map_or(Duration::ZERO, |first| end.duration_since(*first)))
}
