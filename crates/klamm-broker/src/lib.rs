//! The embedded single-node broker: a Kafka for the first minute, for development and for tests, and never for production.
//!
//! It speaks Kafka's protocol over TCP and keeps its log in files. One node leads every partition, so there is no
//! replication; what it offers is what `ApiVersions` says ([`Api`]), and `docs/broker.md` lists where it differs.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), klamm_broker::BrokerError> {
//! use klamm_broker::{Broker, BrokerConfig};
//!
//! let broker = Broker::start(BrokerConfig::default()).await?;
//! println!("bootstrap.servers={}", broker.bootstrap());
//! broker.shutdown().await?;
//! # Ok(())
//! # }
//! ```

mod api;
mod clock;
mod config;
mod data_dir;
mod error;
mod faults;
mod group;
mod journal;
mod log;
mod node;
mod offsets;
mod server;
mod settings;
mod sync;
mod topics;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use api::Api;
pub use clock::Clock;
pub use config::BrokerConfig;
pub use error::{BrokerError, BrokerErrorKind};
pub use faults::{Fault, Faults};

use data_dir::DataDir;
use group::Coordinator;
use journal::Durability;
use node::{Closures, NODE_ID, Node};
use offsets::Offsets;
use settings::BrokerSettings;
use topics::Topics;

/// A broker that runs in this process, on the tokio runtime that started it.
///
/// Dropping it stops it at once, which is what a test wants; what was acknowledged is in its files then too.
/// [`Broker::shutdown`] also flushes them to the disk and spares the next start the check of its log.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
    data_dir: DataDir,
}

impl Broker {
    /// Opens the data directory, recovers what is in it, and listens.
    ///
    /// Cancelling leaves the data directory as it is after a kill: sound, and unlocked.
    ///
    /// # Errors
    /// The address or the data directory is in use, was written by a later version, is corrupt beyond a torn end, or
    /// its disk is full.
    pub async fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        let listener =
            TcpListener::bind(config.listen).await.map_err(|error| bind_failed(config.listen, error))?;
        let addr = listener.local_addr().map_err(|error| bind_failed(config.listen, error))?;
        let opened = tokio::task::spawn_blocking(move || open(config, addr)).await;
        let (data_dir, node) = opened.map_err(|error| BrokerErrorKind::Io {
            what: "opening the data directory".to_owned(),
            source: io::Error::other(error),
        })??;
        let node = Arc::new(node);
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server::serve(listener, node.clone(), stopped));
        Ok(Self { node, addr, stop, server: Some(server), data_dir })
    }

    /// Host and port, as clients want it in `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.addr.to_string()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The cluster id. It begins with `klamm-embedded-`, so that nobody takes it for a real cluster.
    pub fn cluster_id(&self) -> &str {
        &self.node.cluster_id
    }

    /// Where the data is kept.
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// Why the broker closed connections that were not closed by their clients: the last few reasons, oldest first.
    pub fn recent_closures(&self) -> Vec<String> {
        self.node.closures.recent()
    }

    /// What the storage said last when it could not take a record: a full disk, most of all. Clients are told
    /// KAFKA_STORAGE_ERROR and try again; who runs the broker can mend it.
    pub fn storage_failure(&self) -> Option<String> {
        sync::lock(&self.node.storage_failure).clone()
    }

    /// The handle for faults on purpose.
    pub fn faults(&self) -> &Faults {
        &self.node.faults
    }

    /// Stops, flushes everything to the disk and gives the data directory free.
    ///
    /// Cancelling leaves it stopped or stopping; nothing that was acknowledged is lost.
    ///
    /// # Errors
    /// Flushing failed. The broker is stopped all the same.
    pub async fn shutdown(mut self) -> Result<(), BrokerError> {
        self.stop.send_replace(true);
        if let Some(server) = self.server.take() {
            // It cannot fail but by a panic, which was reported where it happened.
            let _ = server.await;
        }
        let node = self.node.clone();
        let flushed = tokio::task::spawn_blocking(move || {
            node.topics.sync()?;
            node.offsets.sync()
        });
        let flushed = flushed.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        flushed
            .and_then(|()| self.data_dir.mark_clean())
            .map_err(|error| BrokerError::io("flushing", self.data_dir.path(), error))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

fn open(config: BrokerConfig, addr: SocketAddr) -> Result<(DataDir, Node), BrokerError> {
    let new_cluster_id = || format!("klamm-embedded-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let data_dir = DataDir::open(config.data_dir.as_deref(), new_cluster_id)?;
    let durability = if config.fsync { Durability::Disk } else { Durability::PageCache };
    let path = data_dir.path();
    let listener = format!("PLAINTEXT://{addr}");
    let settings = BrokerSettings::new(&config, NODE_ID, &listener, &path.display().to_string());
    let node = Node {
        cluster_id: data_dir.cluster_id.clone(),
        topics: Topics::open(path, settings, durability, data_dir.was_clean, config.clock.now_ms())?,
        offsets: Offsets::open(path, durability)?,
        groups: Coordinator::new(config.clock.clone(), clock::millis(config.group_initial_rebalance_delay)),
        faults: Faults::default(),
        closures: Closures::default(),
        storage_failure: Mutex::default(),
        config,
    };
    Ok((data_dir, node))
}

fn bind_failed(addr: SocketAddr, source: io::Error) -> BrokerError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BrokerErrorKind::PortTaken { addr }.into(),
        _ => BrokerErrorKind::Io { what: format!("listening on {addr}"), source }.into(),
    }
}
