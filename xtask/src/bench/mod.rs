//! `cargo xtask bench`: ours beside Java's on the same machine and cluster, interleaved; only the ratio counts.

mod audit;
mod broker;
mod load;
mod many;
mod plan;
mod processes;
mod report;
mod start;

use std::path::Path;
use std::process::Command as Process;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

/// Measure beside Java.
#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A keyed, idempotent producer beside a warm Java producer, on three brokers
    Produce(Load),
    /// A consumer group of one beside ConsumerPerformance, on three brokers
    Consume(Load),
    /// From starting a broker to its first acknowledged record, beside a JVM broker
    BrokerStart(Rounds),
    /// The embedded broker beside one node of Kafka: start, memory, produce, fetch, 10,000 partitions
    Broker(broker::Selection),
    /// Thousands of topics applied and compared, beside Java's Admin, on one broker
    Many(Rounds),
    /// A spec of a thousand topics planned, beside PyYAML loading the same file
    Plan(Rounds),
    /// A cluster of 10,000 partitions audited, beside Java's Admin that asks for the same and judges nothing
    Audit(Rounds),
    /// A million lines of code audited, beside Semgrep with one rule
    AuditCode(Rounds),
    /// All of them
    All,
}

#[derive(Debug, Clone, Args)]
struct Load {
    /// How many records each run moves
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 100)]
    size: u32,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, default_value = "lz4")]
    compression: String,
    /// How long a batch waits for more
    #[arg(long, default_value_t = 5)]
    linger_ms: u32,
    /// `batch.size` of both; ours sends at least 512 KiB whatever is asked, see docs/client.md
    #[arg(long, default_value_t = 512 << 10)]
    batch_bytes: u32,
    #[command(flatten)]
    rounds: Rounds,
}

#[derive(Debug, Clone, Copy, Args)]
struct Rounds {
    /// How many runs of each side
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
}

impl Default for Load {
    fn default() -> Self {
        let rounds = Rounds { rounds: 5 };
        Load {
            records: 1_000_000,
            size: 100,
            compression: "lz4".into(),
            linger_ms: 5,
            batch_bytes: 512 << 10,
            rounds,
        }
    }
}

/// Measures, prints, and appends to `docs/benchmarks.md`.
pub fn run(root: &Path, command: Command) -> Result<()> {
    match command.what {
        What::Produce(load) => load::produce(root, &load),
        What::Consume(load) => load::consume(root, &load),
        What::BrokerStart(rounds) => start::broker_start(root, rounds.rounds),
        What::Broker(selection) => broker::broker(root, &selection),
        What::Plan(rounds) => plan::plan(root, rounds.rounds),
        What::Audit(rounds) => audit::cluster(root, rounds.rounds),
        What::AuditCode(rounds) => audit::code(root, rounds.rounds),
        What::Many(rounds) => many::many(root, rounds.rounds),
        What::All => {
            broker::broker(root, &broker::Selection::all(5))?;
            load::produce(root, &Load::default())?;
            // As Java's users have it who set nothing.
            load::produce(root, &Load { batch_bytes: 16_384, ..Load::default() })?;
            load::produce(root, &Load { records: 300_000, size: 1000, ..Load::default() })?;
            load::consume(root, &Load::default())?;
            many::many(root, 5)?;
            plan::plan(root, 5)?;
            audit::cluster(root, 5)?;
            audit::code(root, 5)
        }
    }
}

/// Builds in release: nothing else in the repository does.
fn build_release(root: &Path, arguments: &[&str]) -> Result<()> {
    eprintln!("building {} (release)", arguments.join(" "));
    let mut cargo = Process::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let status = cargo.current_dir(root).args(["build", "--release", "-q"]).args(arguments).status();
    ensure!(status.context("cannot run cargo")?.success(), "the release build failed");
    Ok(())
}
