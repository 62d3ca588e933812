//! From starting a broker's program to its first acknowledged record: ours beside a JVM's. Both are asked by the same
//! few lines, on storage that is prepared beforehand.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::build_release;
use super::report::{Better, Comparison, Sample};
use crate::kafka::raw::Raw;
use crate::kafka::state::free_ports;
use crate::kafka::{Jvm, Kafka, KafkaOptions};
use crate::paths;

const BOUND: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(1);

pub(super) fn broker_start(root: &Path, rounds: u32) -> Result<()> {
    build_release(root, &["-p", "klamm-cli"])?;
    let title = "broker start to first acknowledged record";
    let mut comparison = Comparison::new(title, "ms", Better::Lower, ["klamm broker", "Kafka on the JVM"]);
    for _ in 0..rounds {
        comparison.add([klamm()?, jvm()?]);
    }
    comparison.publish(root, &format!("cargo xtask bench broker-start --rounds {rounds}"))
}

fn klamm() -> Result<Sample> {
    let data = tempfile::tempdir()?;
    let port = *free_ports(1)?.first().context("no free port")?;
    let mut command = Command::new(paths::target().join("release/klamm"));
    command.args(["broker", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(data.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut broker = Ended(command.spawn().context("cannot start klamm broker")?);
    let took = first_record(port, start, || broker.0.try_wait().is_ok_and(|status| status.is_some()))?;
    Ok(sample(took))
}

fn jvm() -> Result<Sample> {
    let kafka = Kafka::prepare(KafkaOptions {
        name: "bench-start".into(),
        jvm: Jvm::Fast,
        ..KafkaOptions::default()
    })?;
    let start = Instant::now();
    kafka.launch(1)?;
    first_record(kafka.port(1)?, start, || kafka.process(1).is_err()).map(sample)
}

fn sample(took: Duration) -> Sample {
    Sample { value: took.as_secs_f64() * 1000.0, seconds: took.as_secs_f64(), cpu_seconds: None }
}

/// Creates a topic and writes a record, again and again until both have worked.
fn first_record(port: u16, start: Instant, mut has_ended: impl FnMut() -> bool) -> Result<Duration> {
    let attempt = || {
        let mut broker = Raw::connect(port)?;
        broker.create_topic("first", 1, 1, &[])?;
        broker.produce_one("first", b"hello")
    };
    loop {
        let outcome = attempt();
        let took = start.elapsed();
        match outcome {
            Ok(_) => return Ok(took),
            Err(error) if took > BOUND => return Err(error.context("no record was acknowledged in time")),
            Err(error) if has_ended() => bail!("the broker ended before its first record: {error:#}"),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Ends its process when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ended_by_itself = self.0.kill();
        let _status_does_not_matter = self.0.wait();
    }
}
