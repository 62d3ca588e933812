//! What was seen of a Kafka and of what uses it. Collectors fill it in, rules read it; it is also the form in which an
//! audit is kept (`klamm audit --save-evidence`) and in which fixtures give it.

mod client;
mod code;
mod data;
mod files;
mod group;
mod host;
mod live;
mod promises;
mod schema;

use serde::{Deserialize, Serialize};

pub use client::{Client, Library, Line, Place, Role, Setting};
pub use code::{
    CodeEvidence, Effect, EffectKind, KeyShape, PollLoop, ResultUse, SendSite, Skipped, SourceUnit,
};
pub use data::{HeavyKey, KeyStats, PartitionSample, Placement, TopicSample};
pub use files::{BrokerFile, FileEvidence, MirrorFlow, SecretPlace, TopicFile};
pub use group::{AssignedPartitions, Group, GroupKind, GroupOffset, Member, StateSample};
pub use host::{HostEvidence, HostMetrics, HostRole};
pub use live::{
    Acls, ActiveProducer, Broker, Certificate, Cluster, Configs, FeatureLevel, Live, LogDir,
    PartitionOffsets, Quorum, QuorumNode, Quota, Reassignment, ReplicaSize, Scram, Topic, Transaction,
};
pub use promises::{GroupPromise, Promises, RecoveryPromise, StreamsPromise, Suppression, TopicPromise};
pub use schema::{SchemaEvidence, SchemaVerdict, Subject};

use crate::Seen;

/// Version of the form in which evidence is kept.
pub const EVIDENCE_VERSION: u32 = 1;

/// Everything that an audit has looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// Version of this form.
    pub version: u32,
    /// When it was looked at, in milliseconds since 1970 by the auditing machine's clock.
    pub at_ms: i64,
    /// What the specs promise.
    pub spec: Seen<Promises>,
    /// Configuration files.
    pub files: Seen<FileEvidence>,
    /// Source code.
    pub code: Seen<CodeEvidence>,
    /// The cluster.
    pub live: Live,
    /// The second cluster, to which this one is replicated.
    pub second: Live,
    /// Consumer groups of the cluster, of all protocols.
    pub groups: Seen<Vec<Group>>,
    /// Samples of records, a topic each.
    pub data: Seen<Vec<TopicSample>>,
    /// Metrics of brokers, clients and their hosts.
    pub host: Seen<HostEvidence>,
    /// What a schema registry holds, with the schema checker's verdicts.
    pub schemas: Seen<SchemaEvidence>,
}
