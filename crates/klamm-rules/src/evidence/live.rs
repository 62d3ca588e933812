//! What a live cluster says.

use std::collections::BTreeMap;

use klamm_contract::facts::{ConfigFact, PartitionFacts};
use klamm_kafka::Acl;
use serde::{Deserialize, Serialize};

use crate::Seen;

/// Effective settings by name, each with the layer that it comes from.
pub type Configs = BTreeMap<String, ConfigFact>;

/// Everything that was asked of a cluster. Each part is a call, or one to each broker, that can be denied by itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// Addresses that it was asked through, comma-separated: for commands that are printed.
    pub bootstrap: String,
    /// It was asked with TLS or a name: printed commands need a file with the same.
    pub secured: bool,
    /// The cluster as a whole.
    pub cluster: Seen<Cluster>,
    /// Its brokers.
    pub brokers: Seen<Vec<Broker>>,
    /// Its topics by name, internal ones among them.
    pub topics: Seen<BTreeMap<String, Topic>>,
    /// Offsets of each partition, by topic; in the order of the partitions.
    pub offsets: Seen<BTreeMap<String, Vec<PartitionOffsets>>>,
    /// Time stamp of the newest record of each topic, in milliseconds since 1970 (ListOffsets for the highest time stamp, KIP-734). Asked of
    /// both clusters where one is replicated to the other: the difference is how far behind the copy is.
    pub newest: Seen<BTreeMap<String, i64>>,
    /// Moves that are under way.
    pub reassignments: Seen<Vec<Reassignment>>,
    /// The metadata quorum.
    pub quorum: Seen<Quorum>,
    /// Log directories of all brokers.
    pub log_dirs: Seen<Vec<LogDir>>,
    /// Access rules.
    pub acls: Seen<Acls>,
    /// Features, with what is finalized and what every broker supports.
    pub features: Seen<Vec<FeatureLevel>>,
    /// Quotas of clients.
    pub quotas: Seen<Vec<Quota>>,
    /// SCRAM users.
    pub scram: Seen<Vec<Scram>>,
    /// Transactions that coordinators know.
    pub transactions: Seen<Vec<Transaction>>,
    /// Producers that have an open transaction in a partition.
    pub producers: Seen<Vec<ActiveProducer>>,
    /// Certificates that TLS listeners show.
    pub certificates: Seen<Vec<Certificate>>,
}

/// A cluster as a whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// `cluster.id`.
    pub id: String,
    /// It is klamm's embedded broker.
    pub embedded: bool,
    /// The auditing client reached it in clear (`PLAINTEXT`, `SASL_PLAINTEXT`), or over TLS.
    pub protocol: String,
    /// The auditing client was let in without saying who it is.
    pub anonymous: bool,
}

/// One broker that is alive.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// `node.id`.
    pub id: i32,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Effective configuration.
    pub configs: Seen<Configs>,
    /// Its clock less the auditing machine's, in milliseconds, when a probe measured it; with the bound of the error.
    pub clock_ahead_ms: Option<(i64, i64)>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topic {
    /// Kafka's own topic.
    pub internal: bool,
    /// Partitions by index.
    pub partitions: Vec<PartitionFacts>,
    /// Effective configuration.
    pub configs: Seen<Configs>,
}

/// Offsets of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionOffsets {
    /// Partition.
    pub partition: i32,
    /// First offset that is stored.
    pub start: i64,
    /// High watermark.
    pub end: i64,
    /// Last stable offset.
    pub stable: i64,
}

/// A move of copies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reassignment {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Node ids that are being filled.
    pub adding: Vec<i32>,
    /// Node ids that will be dropped.
    pub removing: Vec<i32>,
}

/// The metadata quorum as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quorum {
    /// Node id of the active controller.
    pub leader: i32,
    /// Controllers that vote.
    pub voters: Vec<QuorumNode>,
    /// Nodes that only follow: brokers.
    pub observers: Vec<QuorumNode>,
}

/// A node of the metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuorumNode {
    /// Node id.
    pub id: i32,
    /// End of its log.
    pub log_end: i64,
    /// Milliseconds, by the leader's clock, since it last fetched; `None` when it never did, or an old version does not tell.
    pub fetched_ms_ago: Option<i64>,
    /// Milliseconds since it last had the whole log.
    pub caught_up_ms_ago: Option<i64>,
}

/// A log directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogDir {
    /// Broker.
    pub broker: i32,
    /// Path there.
    pub path: String,
    /// Kafka's error, when it has failed.
    pub error: Option<String>,
    /// Size of the volume (since 3.3).
    pub total_bytes: Option<u64>,
    /// Bytes that are free on the volume.
    pub usable_bytes: Option<u64>,
    /// Copies in it.
    pub replicas: Vec<ReplicaSize>,
}

/// A copy in a log directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplicaSize {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Bytes.
    pub bytes: u64,
    /// How far it is behind, in records.
    pub lag: i64,
}

/// Access rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acls {
    /// The brokers have an authorizer.
    pub authorizer: bool,
    /// The rules.
    pub rules: Vec<Acl>,
}

/// A feature of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureLevel {
    /// `metadata.version`, `transaction.version`, `group.version`, `share.version`, `eligible.leader.replicas.version`, `kraft.version`.
    pub name: String,
    /// Level that is finalized; `None` when it is not.
    pub finalized: Option<i16>,
    /// Highest level that every broker supports.
    pub supported: i16,
}

/// A quota.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Whom it binds: `user`, `client-id`, `ip` with their names; `None` is the default for all.
    pub entity: Vec<(String, Option<String>)>,
    /// `producer_byte_rate` and so on.
    pub values: BTreeMap<String, f64>,
}

/// Credentials of a SCRAM user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scram {
    /// Name.
    pub user: String,
    /// `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// Iterations.
    pub iterations: i32,
}

/// A transaction that a coordinator knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transaction {
    /// `transactional.id`.
    pub id: String,
    /// Kafka's words: `Ongoing`, `PrepareAbort`, `CompleteCommit` …
    pub state: String,
    /// Producer id.
    pub producer_id: i64,
    /// Epoch.
    pub epoch: i16,
    /// `transaction.timeout.ms` of the producer.
    pub timeout_ms: i32,
    /// Began at, in milliseconds since 1970 by the coordinator's clock.
    pub started_ms: Option<i64>,
    /// Topics and partitions in it.
    pub partitions: Vec<(String, i32)>,
}

/// A producer with an open transaction in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActiveProducer {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Broker that said so.
    pub broker: i32,
    /// Producer id.
    pub producer_id: i64,
    /// Epoch.
    pub epoch: i32,
    /// Epoch of the coordinator that wrote the last marker; -1 if none did.
    pub coordinator_epoch: i32,
    /// First offset of the open transaction.
    pub transaction_start: i64,
    /// Time of its last record, in milliseconds since 1970.
    pub last_timestamp_ms: i64,
}

/// The certificate that a listener shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// `host:port`, or the file that it was read from.
    pub at: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Names that it is for.
    pub names: Vec<String>,
    /// Valid until, in milliseconds since 1970.
    pub not_after_ms: i64,
    /// Host that it was met at; empty for a file.
    pub host: String,
}
