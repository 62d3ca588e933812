//! The brokers of one cluster, and a connection to each that was needed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use klamm_wire::{Connection, WireError, WireErrorKind};

use crate::error::{AdminError, AdminErrorKind};
use crate::options::ClientOptions;

/// What the newest metadata said about the cluster as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) cluster_id: String,
    pub(crate) controller: Option<i32>,
    pub(crate) brokers: BTreeMap<i32, Node>,
}

/// Where a broker says that it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) rack: Option<String>,
}

impl Node {
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The mutex is held while connecting: that is its purpose, so that many callers open one connection.
type Slot = Arc<tokio::sync::Mutex<Option<Connection>>>;

pub(crate) struct Cluster {
    options: ClientOptions,
    view: RwLock<Arc<View>>,
    /// The connection that needs no particular broker.
    seed: Slot,
    /// One a broker; those of brokers that have left are dropped with the next view.
    slots: Mutex<BTreeMap<i32, Slot>>,
    /// Some advertised address has worked.
    reached: AtomicBool,
}

impl Cluster {
    pub(crate) async fn connect(options: ClientOptions) -> Result<Self, AdminError> {
        let cluster = Cluster {
            options,
            view: RwLock::default(),
            seed: Slot::default(),
            slots: Mutex::default(),
            reached: AtomicBool::default(),
        };
        cluster.refresh().await?;
        Ok(cluster)
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes newer metadata, and lets go of brokers that are not in it.
    pub(crate) fn learn(&self, view: View) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|id, _| view.brokers.contains_key(id));
        drop(slots);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// A connection to whichever broker answers: the one at hand, bootstrap in turn, then the brokers last known.
    pub(crate) async fn any(&self) -> Result<Connection, AdminError> {
        let mut seed = self.seed.lock().await;
        if let Some(connection) = seed.as_ref().filter(|connection| connection.is_usable()) {
            return Ok(connection.clone());
        }
        let known = self.view();
        let known = known.brokers.values().map(Node::address);
        let mut tried: Vec<WireError> = Vec::new();
        for address in self.options.bootstrap.iter().cloned().chain(known) {
            if tried.iter().any(|error| error.address() == address) {
                continue;
            }
            match self.dial(&address).await {
                Ok(connection) => return Ok(seed.insert(connection).clone()),
                Err(error) => tried.push(error),
            }
        }
        // Somebody who answers and refuses tells more than a port where nobody is.
        let telling = tried.iter().find(|error| !is_absence(error.kind()));
        Err(telling
            .cloned()
            .map_or_else(|| AdminError::new(AdminErrorKind::Unreachable { tried }), AdminError::from))
    }

    /// A connection to the broker with this node id, at its advertised address.
    pub(crate) async fn broker(&self, id: i32) -> Result<Connection, AdminError> {
        let gone = || AdminError::new(AdminErrorKind::BrokerGone { broker: id });
        let node = self.view().brokers.get(&id).cloned().ok_or_else(gone)?;
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(id).or_default())
        };
        let mut slot = slot.lock().await;
        let address = node.address();
        let usable = |connection: &&Connection| connection.is_usable() && connection.address() == address;
        if let Some(connection) = slot.as_ref().filter(usable) {
            return Ok(connection.clone());
        }
        match self.dial(&address).await {
            Ok(connection) => {
                self.reached.store(true, Ordering::Relaxed);
                Ok(slot.insert(connection).clone())
            }
            Err(error) => Err(at_listener(id, &node, error)),
        }
    }

    pub(crate) fn has_reached_a_listener(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// The controller, or whoever passes requests on to it (KRaft).
    pub(crate) async fn controller(&self) -> Result<Connection, AdminError> {
        match self.view().controller {
            Some(id) => self.broker(id).await,
            None => self.any().await,
        }
    }

    pub(crate) async fn dial(&self, address: &str) -> Result<Connection, WireError> {
        Connection::connect(address, &self.options.security, &self.options.connection()).await
    }
}

/// What a failure at an advertised address is: that of a listener, unless the broker there refused the credentials.
pub(crate) fn at_listener(id: i32, node: &Node, source: WireError) -> AdminError {
    use WireErrorKind as K;
    match source.kind() {
        K::AuthenticationFailed { .. }
        | K::MechanismUnsupported { .. }
        | K::SaslExpected { .. }
        | K::Security { .. } => AdminError::from(source),
        _ => {
            let Node { host, port, .. } = node.clone();
            AdminError::new(AdminErrorKind::ListenerUnreachable { broker: id, host, port, source })
        }
    }
}

fn is_absence(kind: &WireErrorKind) -> bool {
    use WireErrorKind as K;
    matches!(
        kind,
        K::Refused
            | K::Unreachable { .. }
            | K::Dns { .. }
            | K::Closed { .. }
            | K::Timeout { .. }
            | K::Io { .. }
    )
}
