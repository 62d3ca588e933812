//! Loads one broker as hard as a few connections can, for measurements of the broker: everything that a client computes is computed
//! before the clock starts, and what comes back is counted and thrown away.
//!
//! `bench_load produce|fetch --bootstrap HOST:PORT --topic T --partitions N ...`; each connection has its own part of the topic's partitions.
//! Prints `{"records", "bytes", "seconds"}` as its last line.

mod connection;
mod fetch;
mod produce;

use std::collections::HashMap;
use std::error::Error;
use std::ops::AddAssign;
use std::str::FromStr;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What is asked for on the command line.
struct Flags(HashMap<String, String>);

impl Flags {
    fn read(args: impl Iterator<Item = String>) -> Result<Flags> {
        let mut flags = HashMap::new();
        let mut args = args;
        while let Some(flag) = args.next() {
            let name = flag.strip_prefix("--").ok_or_else(|| format!("{flag} is not a flag"))?.to_owned();
            let value = args.next().ok_or_else(|| format!("{flag} takes a value"))?;
            flags.insert(name, value);
        }
        Ok(Flags(flags))
    }

    fn text(&self, name: &str) -> Result<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("--{name} is missing"))?)
    }

    fn number<N: FromStr>(&self, name: &str) -> Result<N> {
        let text = self.text(name)?;
        text.parse().map_err(|_| format!("--{name} {text} is not a number that fits").into())
    }
}

/// What a connection has moved.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Moved {
    records: u64,
    bytes: u64,
}

impl AddAssign for Moved {
    fn add_assign(&mut self, other: Moved) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// One connection's work, prepared: it only has to be run.
trait Work: Send {
    fn run(&mut self) -> Result<Moved>;
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let what = args.next().ok_or("produce or fetch?")?;
    let flags = Flags::read(args)?;
    let connections: i32 = flags.number("connections")?;
    let all: i32 = flags.number("partitions")?;
    let mut works: Vec<Box<dyn Work>> = Vec::new();
    for index in 0..connections {
        let own: Vec<i32> = (0..all).filter(|partition| partition % connections == index).collect();
        works.push(match what.as_str() {
            "produce" => Box::new(produce::Produce::prepare(&flags, &own, all)?),
            "fetch" => Box::new(fetch::Fetch::prepare(&flags, own, connections)?),
            other => return Err(format!("{other} is neither produce nor fetch").into()),
        });
    }
    let begin = Arc::new(Barrier::new(works.len() + 1));
    let start = |mut work: Box<dyn Work>| {
        let begin = begin.clone();
        thread::spawn(move || {
            begin.wait();
            work.run()
        })
    };
    let threads: Vec<_> = works.into_iter().map(start).collect();
    begin.wait();
    let started = Instant::now();
    let mut moved = Moved::default();
    for thread in threads {
        moved += thread.join().map_err(|_| "a connection's thread panicked")??;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(r#"{{"records": {}, "bytes": {}, "seconds": {seconds}}}"#, moved.records, moved.bytes);
    Ok(())
}
