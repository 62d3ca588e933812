//! Reads a topic from its beginning as fast as it can and prints what that took, as one line of JSON.
//!
//! Each record's value is looked at; offsets are not committed. The first tenth warms up and is not counted, and so is the
//! time that joining the group takes. The topic must hold the records.

mod shared;

use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use klamm_client::{ClientOptions, Consumer, ConsumerOptions, Event, OffsetReset};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 1_000_000)]
    records: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let options = ConsumerOptions {
        reset: OffsetReset::Earliest,
        batch_records: 5_000,
        partition_bytes: 16 << 20,
        ..ConsumerOptions::new(format!("bench-{now}"), [args.topic.clone()])
    };
    let mut consumer = Consumer::open(&ClientOptions::new([args.bootstrap.clone()]), options).await?;
    let warm_up = args.records / 10;
    let (mut seen, mut counted, mut value_bytes) = (0, 0, 0);
    let mut begin = None;
    while seen < args.records {
        let Some(event) = consumer.next().await else { break };
        match event {
            Event::Batch(batch) => {
                value_bytes +=
                    batch.records().map(|record| record.value.map_or(0, <[u8]>::len)).sum::<usize>();
                seen += batch.len();
                counted += if begin.is_some() { batch.len() } else { 0 };
                if seen >= warm_up && begin.is_none() {
                    begin = Some((Instant::now(), shared::cpu_seconds()));
                }
            }
            Event::Error(error) if !error.is_retryable() => return Err(error.into()),
            _ => {}
        }
    }
    let (started, cpu) = begin.unwrap_or_else(|| (Instant::now(), shared::cpu_seconds()));
    shared::report(counted, started, cpu);
    if value_bytes == 0 {
        return Err("the topic holds no values".into());
    }
    consumer.close(Duration::from_secs(10)).await;
    Ok(())
}
