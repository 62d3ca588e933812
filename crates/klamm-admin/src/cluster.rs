//! The brokers of one cluster, and a connection to each that was needed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use klamm_wire::{Connection, WireError, WireErrorKind};

use crate::error::{AdminError, AdminErrorKind};
use crate::options::ClientOptions;
use crate::pace::{Gates, Peer};

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

/// Partitions of a topic, each with its leader.
type LedBy = Arc<[(i32, i32)]>;

pub(crate) struct Cluster {
    options: ClientOptions,
    view: RwLock<Arc<View>>,
    /// The connection that needs no particular broker.
    seed: Slot,
    /// One a broker; those of brokers that have left are dropped with the next view.
    slots: Mutex<BTreeMap<i32, Slot>>,
    /// Some advertised address has worked.
    reached: AtomicBool,
    gates: Gates,
    /// Leaders as the newest metadata of each topic had them: a guess that saves a question.
    leaders: Mutex<BTreeMap<String, LedBy>>,
}

impl Cluster {
    pub(crate) async fn connect(options: ClientOptions) -> Result<Self, AdminError> {
        let cluster = Cluster {
            gates: Gates::new(options.requests_per_second),
            leaders: Mutex::default(),
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
    pub(crate) async fn any(&self) -> Result<Peer, AdminError> {
        let mut seed = self.seed.lock().await;
        if let Some(connection) = seed.as_ref().filter(|connection| connection.is_usable()) {
            return Ok(self.peer(connection));
        }
        let known = self.view();
        let known = known.brokers.values().map(Node::address);
        let mut tried: Vec<WireError> = Vec::new();
        for address in self.options.bootstrap.iter().cloned().chain(known) {
            if tried.iter().any(|error| error.address() == address) {
                continue;
            }
            match self.dial(&address).await {
                Ok(connection) => return Ok(self.peer(seed.insert(connection))),
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
    pub(crate) async fn broker(&self, id: i32) -> Result<Peer, AdminError> {
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
            return Ok(self.peer(connection));
        }
        match self.dial(&address).await {
            Ok(connection) => {
                self.reached.store(true, Ordering::Relaxed);
                Ok(self.peer(slot.insert(connection)))
            }
            Err(error) => Err(at_listener(id, &node, error)),
        }
    }

    pub(crate) fn has_reached_a_listener(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// The controller, or whoever passes requests on to it (KRaft).
    pub(crate) async fn controller(&self) -> Result<Peer, AdminError> {
        match self.view().controller {
            Some(id) => self.broker(id).await,
            None => self.any().await,
        }
    }

    /// Requests that have left for each broker, by node id; those to addresses that no broker advertises by -1.
    pub(crate) fn requests_sent(&self) -> BTreeMap<i32, u64> {
        let view = self.view();
        let who = |address: &str| view.brokers.iter().find(|(_, node)| node.address() == address);
        let mut sent = BTreeMap::new();
        for (address, passed) in self.gates.passed() {
            *sent.entry(who(&address).map_or(-1, |(id, _)| *id)).or_default() += passed;
        }
        sent
    }

    /// Leaders of topics that metadata has just told.
    pub(crate) fn learn_leaders(&self, topic: &str, leaders: LedBy) {
        let mut known = self.leaders.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(topic.to_owned(), leaders);
    }

    /// Who led the partition when metadata was last asked about its topic.
    pub(crate) fn last_leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let known = self.leaders.lock().unwrap_or_else(PoisonError::into_inner);
        let leaders = known.get(topic)?;
        leaders.iter().find(|(index, _)| *index == partition).map(|(_, leader)| *leader)
    }

    fn peer(&self, connection: &Connection) -> Peer {
        Peer::new(connection.clone(), self.gates.of(connection.address()))
    }

    pub(crate) async fn dial(&self, address: &str) -> Result<Connection, WireError> {
        let gate = self.gates.of(address);
        for _ in 0..self.options.handshake_requests() {
            gate.pass().await;
        }
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
