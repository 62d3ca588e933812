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
mod config_resource;
mod data_dir;
mod disk;
mod error;
mod faults;
mod features;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod journal;
mod log;
mod node;
mod offsets;
mod open_files;
mod outlet;
mod placement;
mod quota;
mod resource_type;
mod security;
mod server;
mod settings;
mod sync;
mod topic_name;
mod topics;
mod transactions;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use api::Api;
pub use clock::Clock;
pub use config::{BrokerConfig, ConsumerGroupConfig, MigrationPolicy};
pub use error::{BrokerError, BrokerErrorKind};
pub use faults::{Fault, FaultHandle, FaultRule, FaultStatus, Faults};
pub use open_files::raise_open_files;
pub use security::config::{
    AuthorizerConfig, ClientAuth, Listener, OauthConfig, SaslConfig, SaslMechanism, SecurityConfig,
    SecurityProtocol, ServerTls,
};

use data_dir::DataDir;
use group::{Coordinator, GroupSettings};
use journal::Durability;
use node::{Closures, NODE_ID, Node};
use offsets::Offsets;
use quota::Usage;
use security::{ListenerTexts, Security};
use settings::BrokerSettings;
use topics::Topics;
use transactions::Transactions;

/// A broker that runs in this process, on the tokio runtime that started it.
///
/// Dropping it stops it at once, which is what a test wants; what was acknowledged is in its files then too.
/// [`Broker::shutdown`] also flushes them to the disk and spares the next start the check of its log.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    listeners: Vec<Arc<Listener>>,
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
        let bound = security::bind(&config).await?;
        let listeners: Vec<_> = bound.iter().map(|bound| bound.listener.clone()).collect();
        let opened = tokio::task::spawn_blocking({
            let listeners = listeners.clone();
            move || open(config, &listeners)
        });
        let opened = opened.await;
        let (data_dir, node) = opened.map_err(|error| BrokerErrorKind::Io {
            what: "opening the data directory".to_owned(),
            source: io::Error::other(error),
        })??;
        let disk = node.faults.disk();
        node.topics.attach(disk);
        node.offsets.attach(disk);
        node.groups.attach(disk);
        node.transactions.attach(disk);
        node.security.store.attach(disk);
        let node = Arc::new(node);
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server::serve(bound, node.clone(), stopped));
        Ok(Self { node, listeners, stop, server: Some(server), data_dir })
    }

    /// Host and port of the first listener, as clients want it in `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.listeners.first().map_or_else(String::new, |listener| security::bootstrap(listener))
    }

    /// Host and port of the listener with this name.
    pub fn bootstrap_of(&self, listener: &str) -> Option<String> {
        self.listeners.iter().find(|other| other.name == listener).map(|found| security::bootstrap(found))
    }

    /// The address of the first listener.
    pub fn addr(&self) -> SocketAddr {
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        self.listeners.first().map_or(none, |listener| listener.addr)
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

    /// How many connections ended because their handler panicked. Always 0: anything else is a bug of this crate.
    pub fn handler_panics(&self) -> u64 {
        self.node.closures.panics()
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

    /// Ends the session of a member of a classic group now, as if it had been silent for its session timeout: the group goes on
    /// without it. Gives whether there was such a member.
    ///
    /// A member that waits in a join or sync has no session that could end; the answer is `false` then too.
    pub fn expire_session(&self, group: &str, member_id: &str) -> bool {
        self.node.groups.expire_session(group, member_id)
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
            node.groups.sync_journal()?;
            node.offsets.sync()?;
            node.security.store.sync()?;
            node.transactions.sync()
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
        // Before the data directory is given free.
        self.node.faults.disk().end();
    }
}

fn open(config: BrokerConfig, listeners: &[Arc<Listener>]) -> Result<(DataDir, Node), BrokerError> {
    let new_cluster_id = || format!("klamm-embedded-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let data_dir = DataDir::open(config.data_dir.as_deref(), new_cluster_id)?;
    let durability = if config.fsync { Durability::Disk } else { Durability::PageCache };
    let path = data_dir.path();
    let texts = ListenerTexts::new(listeners);
    let log_dir = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let settings = BrokerSettings::new(&config, NODE_ID, &texts, &log_dir);
    let node = Node {
        cluster_id: data_dir.cluster_id.clone(),
        log_dir,
        topics: Topics::open(path, settings, durability, data_dir.was_clean, config.clock.now_ms())?,
        offsets: Offsets::open(path, durability)?,
        transactions: Transactions::open(path, durability)?,
        groups: Coordinator::open(path, durability, config.clock.clone(), GroupSettings::new(&config))?,
        security: Security::open(config.security.clone(), path, durability)?,
        usage: Usage::default(),
        faults: Faults::default(),
        closures: Closures::default(),
        dir_lock: data_dir.lock(),
        storage_failure: Mutex::default(),
        config,
    };
    node.groups.adopt(node.offsets.known_groups());
    node.transactions.finish_prepared(&node);
    Ok((data_dir, node))
}
