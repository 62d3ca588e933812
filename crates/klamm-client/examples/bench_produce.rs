//! Produces keyed records as fast as it can and prints what that took, as one line of JSON.
//!
//! `acks=all`, idempotent, warm: a tenth of the records go first and are not counted. The topic must exist.

mod shared;

use std::time::{Duration, Instant};

use clap::Parser;
use klamm_client::{BatchPending, ClientOptions, Compression, Producer, ProducerOptions, Record, RecordSet};

/// Records handed over at once, as a service would that has a batch of work in its hands.
const SET: usize = 500;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 1_000_000)]
    records: usize,
    /// Bytes of each value.
    #[arg(long, default_value_t = 100)]
    size: usize,
    #[arg(long, default_value = "lz4")]
    compression: Compression,
    #[arg(long, default_value_t = 5)]
    linger_ms: u64,
    #[arg(long, default_value_t = 512 << 10)]
    batch_bytes: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let options = ProducerOptions {
        compression: args.compression,
        linger: Duration::from_millis(args.linger_ms),
        batch_bytes: args.batch_bytes,
        buffer_bytes: 256 << 20,
        ..ProducerOptions::default()
    };
    let producer = Producer::open(&ClientOptions::new([args.bootstrap.clone()]), options).await?;
    produce(&producer, &args, args.records / 10).await?;
    let (started, cpu) = (Instant::now(), shared::cpu_seconds());
    produce(&producer, &args, args.records).await?;
    shared::report(args.records, started, cpu);
    producer.close(Duration::from_secs(10)).await?;
    Ok(())
}

/// Sends `records` records and checks every receipt.
async fn produce(producer: &Producer, args: &Args, records: usize) -> Result<(), Box<dyn std::error::Error>> {
    let values = shared::values(args.size);
    let mut pending: Vec<BatchPending> = Vec::with_capacity(records / SET + 1);
    let mut set = RecordSet::new();
    for start in (0..records).step_by(SET) {
        set.clear();
        for index in start..records.min(start + SET) {
            let key = ((index * 7_919) % 1_000_003).to_string();
            let value = &values[index % values.len()];
            set.push(&Record::new(&args.topic).key(&key).value(value));
        }
        pending.push(producer.send_batch(&set).await?);
    }
    for batch in pending {
        batch.await.into_receipts()?;
    }
    Ok(())
}
