//! One handle for both kinds of cluster.

use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use klamm_broker::{Broker, BrokerConfig};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use xtask::kafka::{Controller, Kafka, KafkaOptions};

use crate::eventually;

/// Names a cluster's folder that `cargo xtask kafka up` has made: tests share that one instead of starting their own.
pub const SHARED_CLUSTER: &str = "KLAMM_TEST_CLUSTER";

/// Brokers of the real cluster that scenarios share.
const SHARED_BROKERS: u8 = 3;

/// How long a dropped embedded broker may take to be gone.
const GONE_BOUND: Duration = Duration::from_secs(10);

/// Where a scenario runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// `klamm-broker` in this process.
    Embedded,
    /// Apache Kafka.
    Real,
}

/// A cluster to test against. Dropping it ends it, unless it is shared.
#[derive(Debug)]
pub struct Cluster {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Embedded(Box<Embedded>),
    Real { kafka: Arc<Kafka>, shared: bool },
}

impl Cluster {
    /// A fresh embedded broker with a data directory of its own.
    pub async fn embedded() -> Result<Cluster> {
        Cluster::embedded_with(BrokerConfig::default()).await
    }

    /// An embedded broker as configured; a missing data directory is made, so that the broker can be started again.
    pub async fn embedded_with(config: BrokerConfig) -> Result<Cluster> {
        Ok(Cluster { inner: Inner::Embedded(Box::new(Embedded::start(config).await?)) })
    }

    /// A real cluster that belongs to this test alone, which may kill its nodes.
    pub async fn real(brokers: u8, controller: Controller) -> Result<Cluster> {
        let options = KafkaOptions { name: "test".into(), brokers, controller, ..KafkaOptions::default() };
        Cluster::real_with(options).await
    }

    /// A real cluster as the options say.
    pub async fn real_with(options: KafkaOptions) -> Result<Cluster> {
        let kafka = Arc::new(spawn_blocking(move || Kafka::start(options)).await??);
        Ok(Cluster { inner: Inner::Real { kafka, shared: false } })
    }

    /// The real cluster that the scenarios of this process share, or that all test processes share when
    /// `KLAMM_TEST_CLUSTER` names its folder. Its nodes are nobody's to stop.
    pub async fn shared() -> Result<Cluster> {
        static SHARED: OnceCell<Arc<Kafka>> = OnceCell::const_new();
        let kafka =
            SHARED.get_or_try_init(|| async { spawn_blocking(start_shared).await?.map(Arc::new) }).await?;
        Ok(Cluster { inner: Inner::Real { kafka: kafka.clone(), shared: true } })
    }

    /// Which kind it is.
    pub fn tier(&self) -> Tier {
        match &self.inner {
            Inner::Embedded(_) => Tier::Embedded,
            Inner::Real { .. } => Tier::Real,
        }
    }

    /// The brokers' addresses, comma-separated. They stay the same when nodes stop and start.
    pub fn bootstrap(&self) -> String {
        match &self.inner {
            Inner::Embedded(embedded) => embedded.address.clone(),
            Inner::Real { kafka, .. } => kafka.bootstrap(),
        }
    }

    /// How many brokers it has, running or not.
    pub fn brokers(&self) -> usize {
        match &self.inner {
            Inner::Embedded(_) => 1,
            Inner::Real { kafka, .. } => kafka.broker_ids().len(),
        }
    }

    /// The embedded broker, for its faults; `None` on a real cluster, and while it is stopped.
    pub fn broker(&self) -> Option<Arc<Broker>> {
        match &self.inner {
            Inner::Embedded(embedded) => embedded.broker(),
            Inner::Real { .. } => None,
        }
    }

    /// Real Kafka's handle; `None` on an embedded cluster.
    pub fn kafka(&self) -> Option<&Kafka> {
        match &self.inner {
            Inner::Embedded(_) => None,
            Inner::Real { kafka, .. } => Some(kafka),
        }
    }

    /// Ends a node with no chance to say goodbye: SIGKILL, or the drop of the embedded broker.
    pub async fn kill(&self, node: i32) -> Result<()> {
        match &self.inner {
            Inner::Embedded(embedded) => embedded.end(node, End::Drop).await,
            Inner::Real { .. } => self.on_own_node(node, Kafka::kill).await,
        }
    }

    /// Ends a node in good order.
    pub async fn stop(&self, node: i32) -> Result<()> {
        match &self.inner {
            Inner::Embedded(embedded) => embedded.end(node, End::Shutdown).await,
            Inner::Real { .. } => self.on_own_node(node, Kafka::stop_node).await,
        }
    }

    /// Starts a node again on its old data and address, and waits until it serves.
    pub async fn start(&self, node: i32) -> Result<()> {
        match &self.inner {
            Inner::Embedded(embedded) => embedded.restart(node).await,
            Inner::Real { .. } => self.on_own_node(node, Kafka::start_node).await,
        }
    }

    /// Freezes a node: its connections stay open and silent. Only real ones can be.
    pub async fn pause(&self, node: i32) -> Result<()> {
        self.on_own_node(node, Kafka::pause).await
    }

    /// Lets a frozen node go on.
    pub async fn resume(&self, node: i32) -> Result<()> {
        self.on_own_node(node, Kafka::resume).await
    }

    async fn on_own_node(&self, node: i32, action: fn(&Kafka, i32) -> Result<()>) -> Result<()> {
        let Inner::Real { kafka, shared } = &self.inner else { bail!("an embedded broker cannot do that") };
        ensure!(!shared, "node {node} belongs to a shared cluster: take one of your own with Cluster::real");
        let kafka = kafka.clone();
        spawn_blocking(move || action(&kafka, node)).await?
    }
}

fn start_shared() -> Result<Kafka> {
    if let Some(dir) = env::var_os(SHARED_CLUSTER).filter(|dir| !dir.is_empty()) {
        return Kafka::open(Path::new(&dir)).with_context(|| format!("{SHARED_CLUSTER} names no cluster"));
    }
    Kafka::start(KafkaOptions { name: "shared".into(), brokers: SHARED_BROKERS, ..KafkaOptions::default() })
}

/// An embedded broker that can be stopped and started again at the same address.
#[derive(Debug)]
struct Embedded {
    config: BrokerConfig,
    address: String,
    broker: Mutex<Option<Arc<Broker>>>,
    _data: Option<TempDir>,
}

enum End {
    Drop,
    Shutdown,
}

impl Embedded {
    async fn start(mut config: BrokerConfig) -> Result<Embedded> {
        let mut data = None;
        if config.data_dir.is_none() {
            let dir = tempfile::tempdir()?;
            config.data_dir = Some(dir.path().to_path_buf());
            data = Some(dir);
        }
        let broker = Broker::start(config.clone()).await?;
        let address = broker.bootstrap();
        config.listen = address.parse().with_context(|| format!("{address} is not an address"))?;
        Ok(Embedded { config, address, broker: Mutex::new(Some(Arc::new(broker))), _data: data })
    }

    fn broker(&self) -> Option<Arc<Broker>> {
        self.slot().clone()
    }

    async fn end(&self, node: i32, how: End) -> Result<()> {
        ensure!(node == 1, "no node {node}: an embedded cluster has only node 1");
        let broker = self.slot().take().context("the broker does not run")?;
        let Some(broker) = Arc::into_inner(broker) else { bail!("a test still holds the broker's handle") };
        match how {
            End::Drop => {
                drop(broker);
                // A drop does not block: the listener goes when its task next runs.
                eventually(GONE_BOUND, "the broker to be gone", async || {
                    TcpStream::connect(&self.address).await.is_err()
                })
                .await?;
            }
            End::Shutdown => broker.shutdown().await?,
        }
        Ok(())
    }

    async fn restart(&self, node: i32) -> Result<()> {
        ensure!(node == 1, "no node {node}: an embedded cluster has only node 1");
        ensure!(self.broker().is_none(), "the broker runs already");
        let broker = Broker::start(self.config.clone()).await?;
        *self.slot() = Some(Arc::new(broker));
        Ok(())
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Broker>>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
