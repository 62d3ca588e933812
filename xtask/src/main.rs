//! `cargo xtask`: see each command's help.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, ci, java, kafka, matrix, paths, tidy};

/// Automation for Klamm
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Real Apache Kafka on loopback
    Kafka(kafka::cli::Command),
    /// Check the house style: edges, purity, sizes, banned calls, dependencies (UPDATE=1 rewrites ci/ratchet.toml)
    Tidy,
    /// Compare the golden files with what Java says (UPDATE=1 rewrites them)
    Golden,
    /// Run what CI runs, stage by stage, with seconds beside ci/budget.toml
    Ci {
        /// Only these stages
        stages: Vec<String>,
    },
    /// Run the tests on real Kafka again and again, each time from another seed
    Soak {
        /// The first seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many times
        #[arg(long, default_value_t = 10)]
        count: u64,
    },
    /// Run real clients against the embedded broker, or against real Kafka
    Clients(matrix::Command),
    /// Measure ours beside Java's, into docs/benchmarks.md
    Bench(bench::Command),
}

fn main() -> ExitCode {
    let root = paths::root();
    let result = match Cli::parse().command {
        Command::Kafka(command) => kafka::cli::run(command),
        Command::Tidy => tidy::run(&root, record()),
        Command::Golden => java::golden(&root, record()),
        Command::Ci { stages } => ci::run(&root, &stages),
        Command::Soak { seed, count } => ci::soak(&root, seed, count),
        Command::Clients(command) => matrix::run(&root, &command),
        Command::Bench(command) => bench::run(&root, command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn record() -> tidy::Record {
    match std::env::var_os("UPDATE") {
        Some(_) => tidy::Record::Update,
        None => tidy::Record::Compare,
    }
}
