//! One of the two brokers, running until it is dropped.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::processes::Process;
use crate::kafka::raw::Raw;
use crate::kafka::state::free_ports;
use crate::kafka::{Jvm, Kafka, KafkaOptions};
use crate::paths;

const START_BOUND: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// How the two are called.
pub(super) const NAMES: [&str; 2] = ["klamm broker", "Kafka"];

/// A broker that serves.
#[derive(Debug)]
pub(super) enum Side {
    Klamm { process: Child, port: u16, _data: tempfile::TempDir },
    Kafka(Box<Kafka>),
}

impl Side {
    /// Ours, with its data where Kafka's is too.
    pub(super) fn klamm() -> Result<Side> {
        let data = tempfile::Builder::new().prefix("bench-broker-").tempdir_in(paths::target())?;
        let port = *free_ports(1)?.first().context("no free port")?;
        let mut command = Command::new(paths::target().join("release/klamm"));
        command.args(["broker", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(data.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().context("cannot start klamm broker")?;
        let mut side = Side::Klamm { process, port, _data: data };
        let deadline = Instant::now() + START_BOUND;
        while Raw::connect(port).and_then(|mut broker| broker.live_brokers()).is_err() {
            if let Side::Klamm { process, .. } = &mut side {
                ensure!(process.try_wait()?.is_none(), "klamm broker ended while it started");
            }
            if Instant::now() > deadline {
                bail!("klamm broker does not serve after {START_BOUND:?}");
            }
            thread::sleep(PAUSE);
        }
        Ok(side)
    }

    /// One node of Kafka, as its own script starts it.
    pub(super) fn kafka() -> Result<Side> {
        let properties = [
            // Topics of finished rounds must not fill the disk.
            ("log.segment.delete.delay.ms", "1000"),
            // Two maps a segment: small indexes let one small machine hold 10,000 partitions.
            ("log.index.size.max.bytes", "1048576"),
        ];
        let options = KafkaOptions {
            name: "bench-broker".into(),
            jvm: Jvm::Fast,
            properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..KafkaOptions::default()
        };
        Ok(Side::Kafka(Box::new(Kafka::start(options)?)))
    }

    /// The port that clients connect to.
    pub(super) fn port(&self) -> Result<u16> {
        match self {
            Side::Klamm { port, .. } => Ok(*port),
            Side::Kafka(kafka) => kafka.port(1),
        }
    }

    /// A connection spoken by hand.
    pub(super) fn raw(&self) -> Result<Raw> {
        Raw::connect(self.port()?)
    }

    /// The broker's process.
    pub(super) fn process(&self) -> Result<Process> {
        match self {
            Side::Klamm { process, .. } => Ok(Process(process.id())),
            Side::Kafka(kafka) => Ok(Process(u32::try_from(kafka.process(1)?.pid)?)),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if let Side::Klamm { process, .. } = self {
            let _ended_by_itself = process.kill();
            let _status_does_not_matter = process.wait();
        }
    }
}
