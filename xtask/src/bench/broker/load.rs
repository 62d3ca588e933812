//! Produce and fetch at full speed. The client is `bench_load` of klamm-wire, which compresses and encodes before the clock starts, so that
//! on a small machine as much as possible of the processor is the broker's.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::command_line;
use super::side::{NAMES, Side};
use crate::bench::report::{Better, Comparison, Sample};
use crate::java::json_answer;
use crate::paths;

const PARTITIONS: i32 = 12;
const CONNECTIONS: u32 = 4;
/// Of a batch, before compression.
const BATCH_BYTES: u32 = 64 << 10;
/// The most of an answer to a fetch.
const FETCH_BYTES: u32 = 8 << 20;
/// What all fetches of a round bring.
const ALL_FETCHED_BYTES: u64 = 4 << 30;

/// Records of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Records {
    pub(super) count: u64,
    pub(super) size: u32,
}

/// A gigabyte of small ones, and two of larger ones.
const LOADS: [Records; 2] =
    [Records { count: 10_000_000, size: 100 }, Records { count: 2_000_000, size: 1000 }];

pub(super) fn produce(root: &Path, rounds: u32) -> Result<()> {
    let sides = [Side::klamm()?, Side::kafka()?];
    for records in LOADS {
        let title = format!(
            "broker: produce {} x {} B, lz4, batches of {} KiB, idempotent, acks=all",
            records.count,
            records.size,
            BATCH_BYTES >> 10
        );
        let mut comparison = Comparison::new(&title, "records/s", Better::Higher, NAMES);
        for round in 0..=rounds {
            let topic = format!("produce-{}-{round}", records.size);
            let samples = both(&sides, |side| {
                new_topic(side, &topic)?;
                let sample = produced(side, &topic, records)?;
                side.raw()?.delete_topic(&topic)?;
                Ok(sample)
            })?;
            // The first round warms the JVM.
            if round > 0 {
                comparison.add(samples);
            }
        }
        comparison.publish(root, &command_line("produce", rounds))?;
    }
    Ok(())
}

pub(super) fn fetch(root: &Path, rounds: u32) -> Result<()> {
    let sides = [Side::klamm()?, Side::kafka()?];
    for records in LOADS {
        let topic = format!("fetch-{}", records.size);
        for side in &sides {
            new_topic(side, &topic)?;
            produced(side, &topic, records)?;
        }
        let title =
            format!("broker: fetch {} GiB of {} B records, lz4", ALL_FETCHED_BYTES >> 30, records.size);
        let mut comparison = Comparison::new(&title, "MB/s", Better::Higher, NAMES);
        for round in 0..=rounds {
            let samples = both(&sides, |side| fetched(side, &topic))?;
            if round > 0 {
                comparison.add(samples);
            }
        }
        comparison.publish(root, &command_line("fetch", rounds))?;
    }
    Ok(())
}

/// Creates a topic, and waits until each of its partitions takes a record: Kafka answers before its broker knows of them.
pub(super) fn new_topic(side: &Side, name: &str) -> Result<()> {
    const BOUND: Duration = Duration::from_secs(30);
    const PAUSE: Duration = Duration::from_millis(20);
    let mut broker = side.raw()?;
    broker.create_topic(name, PARTITIONS, 1, &[])?;
    let deadline = Instant::now() + BOUND;
    for partition in 0..PARTITIONS {
        while let Err(error) = broker.produce_to(name, partition, b"first") {
            ensure!(Instant::now() < deadline, "partition {partition} of {name} takes nothing: {error:#}");
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Records a second into a topic that is there, and what they cost the broker.
pub(super) fn produced(side: &Side, topic: &str, records: Records) -> Result<Sample> {
    let mut client = client("produce", side, topic)?;
    client.args(["--records", &records.count.to_string(), "--size", &records.size.to_string()]);
    client.args(["--batch-bytes", &BATCH_BYTES.to_string()]);
    measured(side, &mut client, |moved| moved.records / moved.seconds)
}

/// Megabytes a second out of a topic that has records, and what they cost the broker.
pub(super) fn fetched(side: &Side, topic: &str) -> Result<Sample> {
    let mut client = client("fetch", side, topic)?;
    client.args(["--bytes", &ALL_FETCHED_BYTES.to_string(), "--fetch-bytes", &FETCH_BYTES.to_string()]);
    measured(side, &mut client, |moved| moved.bytes / moved.seconds / 1e6)
}

fn client(what: &str, side: &Side, topic: &str) -> Result<Command> {
    let mut client = Command::new(paths::target().join("release/examples/bench_load"));
    client.args([what, "--bootstrap", &format!("127.0.0.1:{}", side.port()?), "--topic", topic]);
    client.args(["--partitions", &PARTITIONS.to_string(), "--connections", &CONNECTIONS.to_string()]);
    Ok(client)
}

/// What the client says that it moved.
struct Moved {
    records: f64,
    bytes: f64,
    seconds: f64,
}

fn measured(side: &Side, client: &mut Command, value: impl Fn(&Moved) -> f64) -> Result<Sample> {
    let process = side.process()?;
    let before = process.cpu_seconds()?;
    let answer = json_answer(client)?;
    let cpu_seconds = process.cpu_seconds()? - before;
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("no `{name}` in {answer}"));
    let moved = Moved { records: number("records")?, bytes: number("bytes")?, seconds: number("seconds")? };
    ensure!(moved.seconds > 0.0 && moved.records > 0.0, "nothing was moved: {answer}");
    Ok(Sample { value: value(&moved), seconds: moved.seconds, cpu_seconds: Some(cpu_seconds) })
}

/// Ours first, then Kafka.
pub(super) fn both<T>(sides: &[Side; 2], mut one: impl FnMut(&Side) -> Result<T>) -> Result<[T; 2]> {
    let [ours, peer] = sides;
    Ok([one(ours)?, one(peer)?])
}
