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
mod error;
mod facts;
mod groups;
mod log_dirs;
mod metadata;
mod offsets;
mod options;
mod probe;
mod quorum;
mod read;
mod reassign;
mod retry;
mod rights;
mod topics;
mod users;

use std::sync::Arc;

pub use error::{AdminError, AdminErrorKind};
pub use groups::{CommittedOffset, GroupDescription, GroupMember};
/// Kafka's error codes, as [`AdminError::code`] gives them.
pub use klamm_kafka::{ErrorCode, Operation};
/// The stamp of an idempotent producer, as [`Admin::init_producer`] gives it.
pub use klamm_wire::batch::ProducerStamp;
/// What errors of a connection are made of, so that callers need not name `klamm-wire` for it.
pub use klamm_wire::{Effect, Mechanism, Sasl, Security, Tls, WireError, WireErrorKind};
pub use offsets::OffsetSpec;
pub use options::ClientOptions;
pub use probe::{AddressProbe, ListenerProbe};
pub use quorum::Quorum;
pub use reassign::{Ongoing, Reassign};
pub use rights::{Rights, TopicRights};
pub use topics::{Mode, NewTopic, TopicOutcome};

/// A handle on a cluster. Cheap to clone; clones share connections, which end with the last of them.
#[derive(Clone)]
pub struct Admin {
    cluster: Arc<cluster::Cluster>,
}

impl Admin {
    /// Finds the cluster: tries each bootstrap address once, in turn, until one answers.
    ///
    /// # Errors
    /// When none answers: `Unreachable`, or what the most telling of them said (TLS, authentication, not Kafka).
    pub async fn connect(options: &ClientOptions) -> Result<Admin, AdminError> {
        let cluster = cluster::Cluster::connect(options.clone()).await?;
        Ok(Admin { cluster: Arc::new(cluster) })
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
