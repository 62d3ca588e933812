//! Many topics: planned, applied to one real broker, and compared with it again. Ours is the program from its start to its
//! end, the peer Java's Admin inside a JVM that is already up: it plans nothing and compares nothing.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::build_release;
use super::report::{Better, Comparison, Sample};
use crate::java::{Programs, json_answer};
use crate::kafka::jars::run;
use crate::kafka::{Jvm, Kafka, KafkaOptions};
use crate::paths;

const TOPICS: usize = 2_000;
const PARTITIONS: usize = 5;

pub(super) fn many(root: &Path, rounds: u32) -> Result<()> {
    build_release(root, &["-p", "klamm-cli"])?;
    let programs = Programs::compile(root)?;
    let kafka = Kafka::start(KafkaOptions {
        name: "bench-many".into(),
        jvm: Jvm::Fast,
        properties: vec![
            // Two maps a segment: small indexes let one small machine hold 20,000 partitions.
            ("log.index.size.max.bytes".into(), "4096".into()),
            ("log.segment.delete.delay.ms".into(), "1000".into()),
        ],
        ..KafkaOptions::default()
    })?;
    let bench = Bench { folder: tempfile::tempdir()?, kafka, programs };
    let title = |what: &str| format!("{what} {TOPICS} topics x {PARTITIONS} partitions");
    let names = ["klamm", "Java Admin, warm"];
    let mut created = Comparison::new(&title("apply"), "s", Better::Lower, names);
    let mut looked = Comparison::new(&title("diff again, nothing to change,"), "s", Better::Lower, names);
    for round in 1..=rounds {
        let ours = format!("klamm{round}");
        let spec = bench.spec(&ours)?;
        let klamm = bench.klamm(&["apply", "--yes", &spec], "would change 2000 things")?;
        looked.add([
            bench.klamm(&["apply", "--dry-run", &spec], "nothing to change")?,
            bench.java("look", &ours)?,
        ]);
        bench.java("delete", &ours)?;
        let theirs = format!("java{round}");
        created.add([klamm, bench.java("create", &theirs)?]);
        bench.java("delete", &theirs)?;
    }
    let command = format!("cargo xtask bench many --rounds {rounds}");
    created.publish(root, &command)?;
    looked.publish(root, &command)
}

struct Bench {
    folder: tempfile::TempDir,
    kafka: Kafka,
    programs: Programs,
}

impl Bench {
    fn spec(&self, prefix: &str) -> Result<String> {
        let mut text = "klamm: 1\nservice: many\nprofile: dev\ntopics:\n".to_owned();
        for index in 0..TOPICS {
            writeln!(text, "  {prefix}.{index:04}:\n    partitions: {PARTITIONS}\n    retain: 2h")?;
        }
        let file = self.folder.path().join(format!("{prefix}.yaml"));
        std::fs::write(&file, text)?;
        Ok(file.display().to_string())
    }

    fn klamm(&self, args: &[&str], says: &str) -> Result<Sample> {
        let mut command = Command::new(paths::target().join("release/klamm"));
        command.args(args).args(["--timeout", "120s", "--bootstrap", &self.kafka.bootstrap()]);
        let start = Instant::now();
        let output = run(&mut command)?;
        let seconds = start.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            text.contains(says),
            "klamm {args:?} did not say {says:?}: {}",
            text.lines().last().unwrap_or("")
        );
        Ok(Sample { value: seconds, seconds, cpu_seconds: None })
    }

    fn java(&self, what: &str, prefix: &str) -> Result<Sample> {
        let mut command = self.programs.java("BenchAdmin");
        command.args(["--bootstrap", &self.kafka.bootstrap(), "--what", what, "--prefix", prefix]);
        command.args(["--topics", &TOPICS.to_string(), "--partitions", &PARTITIONS.to_string()]);
        let answer = json_answer(&mut command)?;
        let seconds = answer["seconds"].as_f64().with_context(|| format!("no `seconds` in {answer}"))?;
        Ok(Sample { value: seconds, seconds, cpu_seconds: None })
    }
}
