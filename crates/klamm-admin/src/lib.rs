//! Live cluster facts and every administrative call, straight on the wire.
//!
//! [`Admin`] knows which broker to ask (any, the controller, a partition's leader, a group's coordinator), asks again
//! when the answer says that another try may do better, and gives up at [`ClientOptions::api_timeout`] with what it
//! last heard. One connection a broker is kept and shared.
//!
//! Every future may be dropped at any moment: a request that has left may still be carried out by the broker, and
//! nothing else is left behind.

mod access;
mod append;
mod cluster;
mod configs;
mod consumer_protocol;
mod describe_groups;
mod each;
mod error;
mod facts;
mod features;
mod groups;
mod log_dirs;
mod metadata;
mod offset_commits;
mod offset_fetch;
mod offsets;
mod options;
mod pace;
mod peek;
mod probe;
mod producers;
mod quorum;
mod read;
mod reassign;
mod retry;
mod rights;
mod routes;
mod streams_groups;
mod topics;
mod transactions;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use access::ClientQuota;
pub use configs::Configs;
pub use consumer_protocol::Assignment;
pub use describe_groups::{GroupDescription, GroupListing, GroupMember, GroupProtocol};
pub use each::{Leaders, PerBroker, PerPartition};
pub use error::{AdminError, AdminErrorKind};
pub use facts::TopicsFound;
pub use features::Features;
pub use groups::CommittedOffset;
/// Kafka's error codes, as [`AdminError::code`] gives them.
pub use klamm_kafka::{ErrorCode, Operation};
/// The stamp of an idempotent producer, as [`Admin::init_producer`] gives it.
pub use klamm_wire::batch::ProducerStamp;
/// What errors of a connection are made of, so that callers need not name `klamm-wire` for it.
pub use klamm_wire::{Effect, Mechanism, Sasl, Security, Tls, WireError, WireErrorKind};
pub use log_dirs::{LogDir, LogDirReplica};
pub use offset_commits::{CONSUMER_OFFSETS, OffsetCommit};
pub use offset_fetch::Committed;
pub use offsets::OffsetSpec;
pub use options::ClientOptions;
pub use probe::{AddressProbe, ListenerProbe};
pub use producers::{Hanging, HangingTransaction, ProducerState};
pub use quorum::{LeaderClock, Quorum, QuorumDescription, QuorumReplica};
pub use read::{BatchFetch, BatchesRead};
pub use reassign::{Ongoing, Reassign};
pub use rights::{Rights, TopicRights};
pub use routes::{Leader, Routes, TopicRoute};
pub use topics::{Mode, NewTopic, TopicOutcome};
pub use transactions::{TransactionDescription, TransactionListing};
pub use users::ScramCredential;

/// A handle on a cluster. Cheap to clone; clones share connections, which end with the last of them.
#[derive(Clone)]
pub struct Admin {
    cluster: Arc<cluster::Cluster>,
    api_timeout: Duration,
}

impl Admin {
    /// Finds the cluster: tries each bootstrap address once, in turn, until one answers.
    ///
    /// # Errors
    /// When none answers: `Unreachable`, or what the most telling of them said (TLS, authentication, not Kafka).
    pub async fn connect(options: &ClientOptions) -> Result<Admin, AdminError> {
        let cluster = cluster::Cluster::connect(options.clone()).await?;
        Ok(Admin { cluster: Arc::new(cluster), api_timeout: options.api_timeout })
    }

    /// The same handle, whose calls take no longer than `api_timeout`, retries included.
    #[must_use]
    pub fn with_api_timeout(&self, api_timeout: Duration) -> Admin {
        Admin { cluster: Arc::clone(&self.cluster), api_timeout }
    }

    /// Requests that have left for each broker so far, by node id, those of all clones together; -1 is an address that no
    /// broker advertises: a load balancer, a broker that has left.
    pub fn requests_sent(&self) -> BTreeMap<i32, u64> {
        self.cluster.requests_sent()
    }

    /// Node ids of the brokers that the last metadata had.
    pub fn brokers(&self) -> Vec<i32> {
        self.cluster.view().brokers.keys().copied().collect()
    }

    /// The options that it was connected with.
    pub fn options(&self) -> &ClientOptions {
        self.cluster.options()
    }

    /// `cluster.id`, as the last metadata had it.
    pub fn cluster_id(&self) -> String {
        self.cluster.view().cluster_id.clone()
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("bootstrap", &self.options().bootstrap).finish_non_exhaustive()
    }
}
