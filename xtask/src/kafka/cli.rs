//! `cargo xtask kafka …`: the same clusters, by hand.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::jars::Jars;
use super::state::{self, Listener};
use super::{Controller, Kafka, KafkaOptions, Lifetime, Listeners, RELEASES, VERSION, properties};
use crate::clients::Clients;
use crate::{matrix, paths};

/// Real Kafka on loopback.
#[derive(Debug, Args)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start a cluster and return when it is ready; a cluster that runs already is left as it is
    Up(Up),
    /// End a cluster and remove its data
    Down {
        #[command(flatten)]
        which: Which,
        /// Every cluster, whoever started it
        #[arg(long)]
        all: bool,
    },
    /// End a node by SIGKILL
    Kill(Node),
    /// End a node by SIGTERM: leaders move away first
    Stop(Node),
    /// Start a node that was killed or stopped
    Start(Node),
    /// Freeze a node by SIGSTOP: its connections stay open and silent
    Pause(Node),
    /// Let a frozen node go on
    Resume(Node),
    /// Show what runs
    Status(Which),
    /// Fetch what the tests run into the cache, if it is not there: the jars of every version, and other languages' clients
    Fetch,
}

#[derive(Debug, Args)]
struct Up {
    #[command(flatten)]
    which: Which,
    /// How many brokers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    brokers: u8,
    /// Where the metadata quorum runs: in the brokers, or in a node of its own (100)
    #[arg(long, value_enum, default_value = "combined")]
    controller: Controller,
    /// Also listen with TLS and SASL
    #[arg(long)]
    security: bool,
    /// Another version of Apache Kafka
    #[arg(long = "kafka-version", default_value = VERSION)]
    version: String,
    /// Added to every node's server.properties
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

#[derive(Debug, Args)]
struct Which {
    /// The cluster's name
    #[arg(long, default_value = "dev")]
    name: String,
    /// The folder that holds clusters [default: kafka in Cargo's target folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Node {
    /// The node's id
    node: i32,
    #[command(flatten)]
    which: Which,
}

impl Which {
    fn root(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(state::default_root)
    }

    fn open(&self) -> Result<Kafka> {
        Kafka::open(&self.root().join(&self.name)).with_context(|| {
            format!("cluster {} is not up\nhint: cargo xtask kafka up --name {0}", self.name)
        })
    }
}

/// Carries the command out.
pub fn run(command: Command) -> Result<()> {
    match command.action {
        Action::Up(up) => start(up),
        Action::Down { which, all } => down(&which, all),
        Action::Kill(node) => node.which.open()?.kill(node.node),
        Action::Stop(node) => node.which.open()?.stop_node(node.node),
        Action::Start(node) => node.which.open()?.start_node(node.node),
        Action::Pause(node) => node.which.open()?.pause(node.node),
        Action::Resume(node) => node.which.open()?.resume(node.node),
        Action::Status(which) => status(&which),
        Action::Fetch => fetch(),
    }
}

/// All of it at once, so that no test waits for the network.
fn fetch() -> Result<()> {
    for release in RELEASES {
        Jars::ensure_broker(release)?;
    }
    Jars::ensure_strimzi()?;
    Clients::ensure(&paths::root())?;
    matrix::clients::fetch(&paths::root())?;
    println!("{}", Jars::ensure(VERSION)?.libs.display());
    Ok(())
}

fn start(up: Up) -> Result<()> {
    if let Ok(kafka) = up.which.open()
        && !kafka.state().running(kafka.dir()).is_empty()
    {
        eprintln!("cluster {} runs already", up.which.name);
        return show(&kafka, up.which.json);
    }
    let options = KafkaOptions {
        name: up.which.name,
        root: up.which.dir,
        brokers: up.brokers,
        controller: up.controller,
        listeners: if up.security { Listeners::Secured } else { Listeners::Plaintext },
        properties: up.settings,
        lifetime: Lifetime::Detached,
        version: up.version,
        ..KafkaOptions::default()
    };
    show(&Kafka::start(options)?, up.which.json)
}

fn down(which: &Which, all: bool) -> Result<()> {
    let known = state::list(&which.root());
    let chosen: Vec<_> = known.into_iter().filter(|(_, state)| all || state.name == which.name).collect();
    if chosen.is_empty() {
        eprintln!("nothing to end");
    }
    for (dir, state) in chosen {
        Kafka::open(&dir)?.down()?;
        eprintln!("ended cluster {}", state.name);
    }
    Ok(())
}

fn status(which: &Which) -> Result<()> {
    let known = state::list(&which.root());
    if known.is_empty() && !which.json {
        println!("no cluster");
    }
    known.iter().try_for_each(|(dir, _)| show(&Kafka::open(dir)?, which.json))
}

fn show(kafka: &Kafka, json: bool) -> Result<()> {
    let state = kafka.state();
    let nodes: Vec<_> = state
        .nodes
        .iter()
        .map(|(id, node)| {
            let pid = kafka.process(*id).ok().map(|process| process.pid);
            json!({ "id": id, "role": node.role, "pid": pid, "ports": node.ports })
        })
        .collect();
    if json {
        let report = json!({
            "name": state.name,
            "cluster_id": state.cluster_id,
            "version": state.version,
            "dir": kafka.dir(),
            "bootstrap": kafka.bootstrap(),
            "ssl": kafka.bootstrap_of(Listener::Ssl),
            "sasl_plaintext": kafka.bootstrap_of(Listener::SaslPlaintext),
            "sasl_ssl": kafka.bootstrap_of(Listener::SaslSsl),
            "certificates": state.certificates,
            "nodes": nodes,
        });
        println!("{report}");
        return Ok(());
    }

    println!("cluster    {} ({}, Apache Kafka {})", state.name, state.cluster_id, state.version);
    println!("bootstrap  {}", kafka.bootstrap());
    for (title, listener) in
        [("SSL", Listener::Ssl), ("SASL", Listener::SaslPlaintext), ("SASL+SSL", Listener::SaslSsl)]
    {
        if let Some(addresses) = kafka.bootstrap_of(listener) {
            println!("{title:<10} {addresses}");
        }
    }
    if let Some(certificates) = &state.certificates {
        println!("CA         {}", certificates.ca.display());
        println!("client     {} with {}", certificates.client.display(), certificates.client_key.display());
        println!("users      {}/{} may do everything", properties::USER, properties::PASSWORD);
        println!("           {}/{} nothing", properties::POWERLESS_USER, properties::POWERLESS_PASSWORD);
        println!("mechanisms PLAIN, SCRAM-SHA-256, SCRAM-SHA-512");
    }
    for node in &nodes {
        let pid = node["pid"].as_i64().map_or("not running".into(), |pid| format!("pid {pid}"));
        println!("node {:<5} {} {pid}", node["id"], node["role"].as_str().unwrap_or_default());
    }
    println!("end it     cargo xtask kafka down --name {}", state.name);
    Ok(())
}

fn setting(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("`{text}` is not NAME=VALUE"),
    }
}
