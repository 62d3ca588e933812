//! What the clients speak to: the embedded broker in a process of its own, or real Kafka.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::kafka::{Kafka, KafkaOptions, Listeners};
use crate::paths;

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// `klamm-broker`, from the tree.
    Embedded,
    /// Apache Kafka, one node.
    Real,
}

impl Tier {
    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Tier::Embedded => "the embedded broker",
            Tier::Real => "real Kafka",
        }
    }
}

/// With which features the embedded broker is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Its own: the quickest from nothing.
    Crate,
    /// Those of the whole workspace, so that what the other stages compiled is used.
    Workspace,
}

/// A broker that runs until this is dropped.
#[derive(Debug)]
pub enum Target {
    /// Somebody else's.
    Running(String),
    /// The embedded broker.
    Embedded {
        /// It ends when its standard input does.
        process: Child,
        /// Where it listens.
        bootstrap: String,
    },
    /// Apache Kafka.
    Real(Box<Kafka>),
}

impl Target {
    /// Starts one and returns when it serves.
    pub fn start(root: &Path, tier: Tier, build: Build) -> Result<Target> {
        match tier {
            Tier::Embedded => embedded(root, build),
            Tier::Real => {
                let options = KafkaOptions {
                    name: "clients".into(),
                    listeners: Listeners::Secured,
                    // Half a second instead of five until a KIP-848 member hears of a change.
                    properties: [
                        "group.consumer.min.heartbeat.interval.ms",
                        "group.consumer.heartbeat.interval.ms",
                    ]
                    .map(|name| (name.to_owned(), "500".to_owned()))
                    .into(),
                    ..KafkaOptions::default()
                };
                Ok(Target::Real(Box::new(Kafka::start(options)?)))
            }
        }
    }

    /// `HOST:PORT`.
    pub fn bootstrap(&self) -> String {
        match self {
            Target::Running(bootstrap) | Target::Embedded { bootstrap, .. } => bootstrap.clone(),
            Target::Real(kafka) => kafka.bootstrap(),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Target::Embedded { process, .. } = self {
            drop(process.stdin.take());
            // Best effort: nothing here can wait for, or mend, a broker that does not end.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn embedded(root: &Path, build: Build) -> Result<Target> {
    let packages: &[&str] = match build {
        Build::Crate => &["-p", "klamm-broker"],
        Build::Workspace => &["--workspace"],
    };
    let mut cargo = crate::ci::cargo(root, &["build", "--locked", "--example", "serve"]);
    ensure!(cargo.args(packages).status()?.success(), "the embedded broker does not compile");
    let mut command = Command::new(paths::target().join("debug/examples/serve"));
    // Clients without a name may do everything; their ACLs are kept and told.
    let mut process = command
        .args(["--super-user", "User:ANONYMOUS"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the embedded broker")?;
    let output = process.stdout.take().context("no output")?;
    let mut bootstrap = String::new();
    BufReader::new(output).read_line(&mut bootstrap)?;
    let bootstrap = bootstrap.trim().to_owned();
    let target = Target::Embedded { process, bootstrap };
    ensure!(target.bootstrap().contains(':'), "the embedded broker did not tell its address");
    Ok(target)
}
