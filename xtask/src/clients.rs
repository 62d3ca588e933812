//! Clients in other languages, each as its users install it: kafka-python and librdkafka by pip, KafkaJS by npm. They are
//! fetched once into the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::kafka::jars::run;
use crate::paths;

/// What pip installs: confluent-kafka is librdkafka; kafka-python reads lz4 and zstd with packages of their own; PyYAML is
/// a peer of benchmarks; junitparser and html5lib read reports.
const PIP: [&str; 7] = [
    "kafka-python==3.0.12",
    "confluent-kafka==2.12.2",
    "lz4==4.4.5",
    "zstandard==0.25.0",
    "pyyaml==6.0.3",
    "junitparser==5.0.3",
    "html5lib==1.1",
];
/// What npm installs: a client, and the schema of SARIF with what validates against it.
const NPM: [&str; 2] = ["kafkajs@2.2.4", "@microsoft/jest-sarif@1.0.0-beta.0"];

/// The clients, installed.
#[derive(Debug, Clone)]
pub struct Clients {
    home: PathBuf,
    programs: PathBuf,
}

impl Clients {
    /// Installs what the cache does not have yet.
    pub fn ensure(root: &Path) -> Result<Clients> {
        let name = format!("clients-{}-{}", PIP.join("-"), NPM.join("-"));
        let name = name.replace("==", "-").replace("@microsoft/", "");
        let home = paths::cache().join(name);
        fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
        // Several test programs may start at once: one fetches, the others wait.
        let lock = File::create(home.join("lock"))?;
        lock.lock().context("cannot lock the cache of clients")?;
        if !home.join("complete").exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home.join("python")))?;
            run(Command::new(home.join("python/bin/pip")).args(["install", "-q"]).args(PIP))
                .context("cannot install the Python clients")?;
            let mut npm = Command::new("npm");
            run(npm
                .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                .arg(&home)
                .args(NPM))
            .context("cannot install what Node runs")?;
            fs::write(home.join("complete"), "")?;
        }
        Ok(Clients { home, programs: root.join("tests/clients") })
    }

    /// A command that runs `program` of `tests/clients` with Python.
    pub fn python(&self, program: &str) -> Command {
        self.python_at(&self.programs.join(program))
    }

    /// A command that runs a program elsewhere with Python and the clients.
    pub fn python_at(&self, program: &Path) -> Command {
        let mut command = Command::new(self.home.join("python/bin/python"));
        command.arg(program);
        command
    }

    /// A command that runs `program` of `tests/clients` with Node.
    pub fn node(&self, program: &str) -> Command {
        let mut command = Command::new("node");
        command.env("NODE_PATH", self.home.join("node_modules")).arg(self.programs.join(program));
        command
    }
}
