//! The embedded broker beside one node of Kafka: start, memory, produce, fetch, many partitions, idle connections.
//!
//! Both are processes of their own with their data on the same file system, and both are asked by the same program. "CPU s" is the
//! broker's here, not the client's.

mod load;
mod memory;
mod partitions;
mod side;

use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{Rounds, build_release, start};

/// What of the broker is measured.
#[derive(Debug, Clone, Args)]
pub(super) struct Selection {
    /// Only these parts
    #[arg(value_enum)]
    parts: Vec<Part>,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From its start to its first acknowledged record
    Start,
    /// Memory: idle, with 1,000 idle connections, and under load
    Memory,
    /// lz4 batches that were compressed beforehand
    Produce,
    /// Large fetches of what is in the page cache
    Fetch,
    /// 10,000 partitions created
    Partitions,
}

impl Selection {
    pub(super) fn all(rounds: u32) -> Selection {
        Selection { parts: Vec::new(), rounds: Rounds { rounds } }
    }
}

/// Measures the parts that are selected: all of them, if none is.
pub(super) fn broker(root: &Path, selection: &Selection) -> Result<()> {
    build_release(root, &["-p", "klamm-cli"])?;
    build_release(root, &["-p", "klamm-wire", "--example", "bench_load"])?;
    let rounds = selection.rounds.rounds;
    for &part in Part::value_variants() {
        if !selection.parts.is_empty() && !selection.parts.contains(&part) {
            continue;
        }
        match part {
            Part::Start => start::broker_start(root, rounds)?,
            Part::Memory => memory::memory(root, rounds)?,
            Part::Produce => load::produce(root, rounds)?,
            Part::Fetch => load::fetch(root, rounds)?,
            Part::Partitions => partitions::partitions(root, rounds)?,
        }
    }
    Ok(())
}

fn command_line(part: &str, rounds: u32) -> String {
    format!("cargo xtask bench broker {part} --rounds {rounds}")
}
