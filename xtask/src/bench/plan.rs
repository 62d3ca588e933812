//! Planning a large spec: ours from the start of the program to the last byte of the plan. Nothing else plans; the peer
//! is Python with libyaml, which loads the same file and does nothing with it.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::build_release;
use super::report::{Better, Comparison, Sample};
use crate::clients::Clients;
use crate::kafka::jars::run;
use crate::paths;

const TOPICS: usize = 1_000;
/// Each run of a side plans so often: one alone is too short to be measured well.
const TIMES: u32 = 10;
const LOAD: &str = "import sys, yaml; topics = yaml.load(open(sys.argv[1]), Loader=yaml.CSafeLoader)['topics']; print(len(topics), 'topics')";

pub(super) fn plan(root: &Path, rounds: u32) -> Result<()> {
    build_release(root, &["-p", "klamm-cli"])?;
    let clients = Clients::ensure(root)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("klamm.yaml");
    std::fs::write(&file, spec()?)?;
    let title = format!("plan a spec of {TOPICS} topics and {TOPICS} groups");
    let names = ["klamm plan --json", "PyYAML (libyaml), loading alone"];
    let mut planned = Comparison::new(&title, "ms", Better::Lower, names);
    for _ in 0..rounds {
        let ours = timed(|| {
            let mut klamm = Command::new(paths::target().join("release/klamm"));
            klamm.args(["plan", "--json"]).arg(&file);
            klamm
        })?;
        let theirs = timed(|| {
            let mut python = clients.python_at(Path::new("-c"));
            python.arg(LOAD).arg(&file);
            python
        })?;
        planned.add([ours, theirs]);
    }
    planned.publish(root, &format!("cargo xtask bench plan --rounds {rounds}"))
}

fn timed(command: impl Fn() -> Command) -> Result<Sample> {
    let start = Instant::now();
    for _ in 0..TIMES {
        let output = run(&mut command())?;
        ensure!(!output.stdout.is_empty(), "nothing was printed");
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Sample { value: seconds * 1_000.0 / f64::from(TIMES), seconds, cpu_seconds: None })
}

fn spec() -> Result<String> {
    let mut text = "klamm: 1\nservice: many\ncluster:\n  bootstrap: [localhost:9092]\n  brokers: 12\n  racks: [a, b, c]\ntopics:\n".to_owned();
    for index in 0..TOPICS {
        writeln!(
            text,
            "  many.events.{index:04}:\n    key: entity_id\n    write: {{ rate: 200 KB/s, record: 500 B, peak: 2x }}\n    survive: {{ brokers: 1, racks: 1 }}\n    retain: 2h"
        )?;
    }
    text.push_str("consumers:\n");
    for index in 0..TOPICS {
        writeln!(
            text,
            "  many-{index:04}:\n    reads: [many.events.{index:04}]\n    work: {{ p50: 100 us, p99: 1 ms }}"
        )?;
    }
    Ok(text)
}
