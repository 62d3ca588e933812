//! Memory of a broker that has just started, with a thousand idle connections, and after a load. Each round starts both anew: a JVM
//! gives back little of what it once took.

use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::command_line;
use super::load::{Records, fetched, new_topic, produced};
use super::side::{NAMES, Side};
use crate::bench::report::{Better, Comparison, Sample};
use crate::kafka::raw::Raw;

const CONNECTIONS: usize = 1_000;
const TOPIC: &str = "memory";
const LOAD: Records = Records { count: 5_000_000, size: 100 };

/// What a round finds on one side.
struct Found {
    idle: Sample,
    added: Sample,
    answer: Sample,
    loaded: Sample,
}

pub(super) fn memory(root: &Path, rounds: u32) -> Result<()> {
    more_files()?;
    let comparison = |title: &str, unit: &str| Comparison::new(title, unit, Better::Lower, NAMES);
    let mut idle = comparison("broker: memory, idle", "MiB RSS");
    let mut added = comparison("broker: memory that 1000 idle connections add", "MiB RSS");
    let mut answer = comparison("broker: connect and ask for metadata beside 1000 idle connections", "ms");
    let mut loaded = comparison(
        "broker: memory at the most, after producing 5000000 x 100 B and fetching 4 GiB",
        "MiB RSS",
    );
    for _ in 0..rounds {
        let [ours, peer] = [look(&Side::klamm()?)?, look(&Side::kafka()?)?];
        idle.add([ours.idle, peer.idle]);
        added.add([ours.added, peer.added]);
        answer.add([ours.answer, peer.answer]);
        loaded.add([ours.loaded, peer.loaded]);
    }
    let command = command_line("memory", rounds);
    [idle, added, answer, loaded].iter().try_for_each(|comparison| comparison.publish(root, &command))
}

fn look(side: &Side) -> Result<Found> {
    let process = side.process()?;
    let begin = Instant::now();
    let sample = |value: f64, begin: Instant| Sample {
        value,
        seconds: begin.elapsed().as_secs_f64(),
        cpu_seconds: None,
    };
    let before = process.rss_mib()?;
    let idle = sample(before, begin);

    let begin = Instant::now();
    let connections = idle_connections(side)?;
    let added = sample((process.rss_mib()? - before).max(0.0), begin);
    let begin = Instant::now();
    side.raw()?.live_brokers().context("no answer beside idle connections")?;
    let answer = sample(begin.elapsed().as_secs_f64() * 1000.0, begin);
    drop(connections);

    let begin = Instant::now();
    new_topic(side, TOPIC)?;
    produced(side, TOPIC, LOAD)?;
    fetched(side, TOPIC)?;
    let loaded = sample(process.peak_mib()?, begin);
    Ok(Found { idle, added, answer, loaded })
}

/// Connections that were answered once, and then say nothing.
fn idle_connections(side: &Side) -> Result<Vec<TcpStream>> {
    let one = |_| {
        let mut connection = side.raw()?;
        connection.live_brokers()?;
        anyhow::Ok(connection)
    };
    (0..CONNECTIONS).map(one).map(|raw| raw.map(Raw::into_stream)).collect()
}

/// As many open files as this process may have: each connection is one.
fn more_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("cannot raise the limit of open files")
}
