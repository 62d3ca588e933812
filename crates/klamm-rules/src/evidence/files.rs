//! What configuration files say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::client::{Client, Place, Setting};
use super::code::Skipped;

/// Everything that was found in the folder of `--files`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileEvidence {
    /// Files that were read.
    pub read: u64,
    /// Files that look like configuration and could not be read, or not wholly.
    pub skipped: Vec<Skipped>,
    /// Configured clients: Java and Spring, librdkafka, kafka-python, KafkaJS, Connect, MirrorMaker, Streams.
    pub clients: Vec<Client>,
    /// Brokers and controllers: server.properties, Strimzi's Kafka, Compose and Helm.
    pub brokers: Vec<BrokerFile>,
    /// Topics: Strimzi's KafkaTopic, Terraform, Spring.
    pub topics: Vec<TopicFile>,
    /// Replication flows of MirrorMaker 2, one a source and target.
    pub mirrors: Vec<MirrorFlow>,
    /// Secrets that stand in clear.
    pub secrets: Vec<SecretPlace>,
}

/// A broker or controller as a file configures it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerFile {
    /// What people call it: `broker-1`, the name of the resource.
    pub name: String,
    /// Where.
    pub place: Place,
    /// How many such nodes the file makes, when it tells (Strimzi, Helm).
    pub nodes: Option<u32>,
    /// Settings under the names of `server.properties`.
    pub settings: BTreeMap<String, Setting>,
    /// Settings may be added that were not seen.
    pub open: bool,
}

/// A topic as a file declares it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicFile {
    /// Name.
    pub topic: String,
    /// Where.
    pub place: Place,
    /// Partitions.
    pub partitions: Option<u32>,
    /// Copies.
    pub replication_factor: Option<u32>,
    /// Topic configuration.
    pub configs: BTreeMap<String, Setting>,
}

/// One replication flow of MirrorMaker 2, `source->target`, with what applies to it: its own settings over the common ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MirrorFlow {
    /// Alias of the source.
    pub source: String,
    /// Alias of the target.
    pub target: String,
    /// Where.
    pub place: Place,
    /// Effective settings without the prefix `source->target.`.
    pub settings: BTreeMap<String, Setting>,
}

/// A secret that stands in clear. The secret itself is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretPlace {
    /// Where.
    pub place: Place,
    /// What holds it: `sasl.jaas.config`, `ssl.keystore.password`, a variable.
    pub name: String,
    /// What kind it is: `password`, `private key`, `token`.
    pub kind: String,
}
