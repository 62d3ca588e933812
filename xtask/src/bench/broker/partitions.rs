//! Ten thousand partitions: from the requests to create them until metadata shows all of them with a leader, and the last one takes a
//! record. Each round starts both anew.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::command_line;
use super::side::{NAMES, Side};
use crate::bench::report::{Better, Comparison, Sample};
use crate::kafka::raw::Raw;

const TOPICS: usize = 100;
const PARTITIONS: i32 = 100;
/// Kafka's controller takes at most 10,000 records at once, and a topic has one of its own.
const TOPICS_A_REQUEST: usize = 10;
const ALL: usize = 10_000;
/// Beyond it a broker is given up.
const BOUND: Duration = Duration::from_secs(600);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn partitions(root: &Path, rounds: u32) -> Result<()> {
    let title = format!("broker: create {TOPICS} topics x {PARTITIONS} partitions");
    let mut created = Comparison::new(&title, "s", Better::Lower, NAMES);
    let mut memory = Comparison::new("broker: memory with 10000 partitions", "MiB RSS", Better::Lower, NAMES);
    let title = "broker: one record into each of 10000 partitions, one after the other";
    let mut filled = Comparison::new(title, "s", Better::Lower, NAMES);
    for _ in 0..rounds {
        let [ours, peer] = [look(&Side::klamm()?)?, look(&Side::kafka()?)?];
        created.add([ours.created, peer.created]);
        memory.add([ours.memory, peer.memory]);
        filled.add([ours.filled, peer.filled]);
    }
    let command = command_line("partitions", rounds);
    [created, memory, filled].iter().try_for_each(|comparison| comparison.publish(root, &command))
}

/// What a round finds on one side.
struct Found {
    created: Sample,
    memory: Sample,
    /// Ours makes a partition's file with its first record.
    filled: Sample,
}

fn look(side: &Side) -> Result<Found> {
    let process = side.process()?;
    let before = process.cpu_seconds()?;
    let names: Vec<String> = (0..TOPICS).map(|index| format!("many-{index:03}")).collect();
    let begin = Instant::now();
    let mut broker = Raw::connect_for(side.port()?, BOUND)?;
    for names in names.chunks(TOPICS_A_REQUEST) {
        broker.create_topics(names, PARTITIONS, 1)?;
    }
    wait(begin, || Ok(broker.led_partitions()? == ALL))?;
    let last = names.last().map_or("", String::as_str);
    wait(begin, || Ok(broker.produce_to(last, PARTITIONS - 1, b"hello").is_ok()))?;
    let created = sample(side, begin, before)?;
    let memory = Sample { value: process.rss_mib()?, cpu_seconds: None, ..created };

    let (before, begin) = (process.cpu_seconds()?, Instant::now());
    for name in &names {
        for partition in 0..PARTITIONS {
            // Kafka tells a leader before that leader knows.
            wait(begin, || Ok(broker.produce_to(name, partition, b"hello").is_ok()))?;
        }
    }
    Ok(Found { created, memory, filled: sample(side, begin, before)? })
}

fn sample(side: &Side, begin: Instant, cpu_before: f64) -> Result<Sample> {
    let seconds = begin.elapsed().as_secs_f64();
    let cpu_seconds = Some(side.process()?.cpu_seconds()? - cpu_before);
    Ok(Sample { value: seconds, seconds, cpu_seconds })
}

fn wait(start: Instant, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    while !done()? {
        if start.elapsed() > BOUND {
            bail!("10,000 partitions are not there after {BOUND:?}");
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
