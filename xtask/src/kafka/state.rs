//! What is remembered about a cluster in its folder, so that another shell, or the next start, can find and end it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::certificates::Certificates;
use super::process::ProcessId;
use crate::paths;

const FILE: &str = "cluster.json";

/// A cluster as its folder describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterState {
    /// The name that `down`, `kill` and the others take.
    pub name: String,
    /// The id that the cluster was formatted with.
    pub cluster_id: String,
    /// The version of Kafka.
    pub version: String,
    /// The process that the cluster must not outlive; `None` for one that somebody started by hand.
    pub owner: Option<ProcessId>,
    /// Every node, by id.
    pub nodes: BTreeMap<i32, NodeState>,
    /// The test certificates, if there are listeners that need them.
    pub certificates: Option<Certificates>,
}

/// One node of a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeState {
    /// What it does.
    pub role: Role,
    /// The port of each of its listeners.
    pub ports: BTreeMap<Listener, u16>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds data only.
    Broker,
    /// Holds the cluster's metadata only.
    Controller,
    /// Both.
    Combined,
}

impl Role {
    /// Whether clients can talk to it.
    pub fn is_broker(self) -> bool {
        self != Role::Controller
    }

    /// Whether it has a vote in the metadata quorum.
    pub fn is_controller(self) -> bool {
        self != Role::Broker
    }
}

/// A listener, named as in Kafka's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Listener {
    /// The metadata quorum's own.
    Controller,
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl Listener {
    /// The name in Kafka's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Listener::Controller => "CONTROLLER",
            Listener::Plaintext => "PLAINTEXT",
            Listener::Ssl => "SSL",
            Listener::SaslPlaintext => "SASL_PLAINTEXT",
            Listener::SaslSsl => "SASL_SSL",
        }
    }
}

impl ClusterState {
    /// Reads the description in a cluster's folder.
    pub fn read(dir: &Path) -> Result<ClusterState> {
        let file = dir.join(FILE);
        let text = fs::read_to_string(&file).with_context(|| format!("no cluster at {}", dir.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))
    }

    /// Writes it.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        let file = dir.join(FILE);
        fs::write(&file, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// The processes of the nodes that run.
    pub fn running(&self, dir: &Path) -> Vec<(i32, ProcessId)> {
        let alive = |id: i32| ProcessId::read(&pid_file(dir, id)).filter(|process| process.is_alive());
        self.nodes.keys().filter_map(|&id| alive(id).map(|process| (id, process))).collect()
    }
}

/// Where clusters live unless somebody says otherwise.
pub fn default_root() -> PathBuf {
    paths::target().join("kafka")
}

/// The folder of one node.
pub fn node_dir(dir: &Path, id: i32) -> PathBuf {
    dir.join(format!("node-{id}"))
}

/// The file that holds a node's process.
pub fn pid_file(dir: &Path, id: i32) -> PathBuf {
    node_dir(dir, id).join("pid")
}

/// The clusters under a folder.
pub fn list(root: &Path) -> Vec<(PathBuf, ClusterState)> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let dir = entry.ok()?.path();
            ClusterState::read(&dir).ok().map(|state| (dir, state))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Free ports on loopback. They lie below the range that the kernel hands out for outgoing connections, so that a node
/// that is down for a while finds its port still free when it returns.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    const FIRST: u16 = 20_000;
    const LAST: u16 = 32_000;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    let span = LAST - FIRST;
    // Programs that start at the same moment must not look at the same ports in the same order.
    let offset = (clock / 1000).wrapping_add(std::process::id().wrapping_mul(7919)) % u32::from(span);
    // A node binds its ports seconds later: until then nobody else in this program may be given them.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut held = Vec::new();
    for step in 0..span {
        let port = FIRST + (offset as u16 + step) % span;
        if given.contains(&port) {
            continue;
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((listener, port));
        }
        if held.len() == count {
            given.extend(held.iter().map(|(_, port)| *port));
            return Ok(held.into_iter().map(|(_, port)| port).collect());
        }
    }
    bail!("fewer than {count} free ports between {FIRST} and {LAST} on 127.0.0.1")
}
