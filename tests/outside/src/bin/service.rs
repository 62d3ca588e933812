//! A producer and a consumer that hold to the contract: `produce` reads lines of KEY, tab, VALUE; `consume` prints them.

#[path = "../contracts.rs"]
mod contracts;

use std::time::Duration;

use klamm::{ClientOptions, ConsumerLoop, DurableProducer, HandlerError, LoopOptions, Record, Work};
use tokio::signal::unix::{SignalKind, signal};

/// What is in work when the service is stopped gets as long.
const DRAIN: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = std::env::var("KAFKA_BOOTSTRAP").unwrap_or_else(|_| "localhost:9092".to_owned());
    let cluster = ClientOptions::new(bootstrap.split(',').map(str::to_owned));
    match std::env::args().nth(1).as_deref() {
        Some("produce") => produce(&cluster).await,
        Some("consume") => consume(&cluster).await,
        _ => Err("usage: service produce|consume".into()),
    }
}

async fn produce(cluster: &ClientOptions) -> Result<(), Box<dyn std::error::Error>> {
    let contract = contracts::topic_orders_events();
    let topic = contract.topic.clone();
    // Refuses a cluster that would not keep the contract, layer by layer.
    let producer = DurableProducer::connect(cluster, contract).await?;
    let mut on_their_way = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line?;
        let (key, value) = line.split_once('\t').unwrap_or((&line, ""));
        on_their_way.push(producer.send(Record::new(&topic).key(key).value(value)).await?);
    }
    for pending in on_their_way {
        pending.await?;
    }
    producer.close(DRAIN).await?;
    Ok(())
}

async fn consume(cluster: &ClientOptions) -> Result<(), Box<dyn std::error::Error>> {
    // Commits what is finished and no other: a crash repeats records and skips none, so the work has to bear a repetition.
    let handler = |work: Work| async move {
        for record in work.records() {
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
            println!("{}\t{}", text(record.key), text(record.value));
        }
        Ok::<_, HandlerError>(())
    };
    let contract = contracts::group_order_view();
    let consumer = ConsumerLoop::start(cluster, &contract, LoopOptions::default(), handler).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    let report = consumer.stop(DRAIN).await;
    if report.is_clean() { Ok(()) } else { Err("not all work was finished and committed".into()) }
}
