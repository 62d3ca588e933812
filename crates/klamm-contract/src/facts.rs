//! What a live cluster was seen to be. Filled by `klamm-admin`, read by planner, apply and preflight.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One look at a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// `cluster.id`: a plan is bound to it.
    pub cluster_id: String,
    /// The broker is klamm's embedded one (it says so in its cluster id, `klamm-embedded-…`).
    pub embedded: bool,
    /// Brokers that are alive, by node id.
    pub brokers: Vec<BrokerFacts>,
    /// Topics that were asked for and exist, by name.
    pub topics: BTreeMap<String, TopicFacts>,
}

/// One live broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerFacts {
    /// `node.id`.
    pub id: i32,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Effective configuration, when it could be read; empty when describing was denied.
    pub configs: BTreeMap<String, ConfigFact>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicFacts {
    /// Topic id as Kafka prints it (base64).
    pub id: Option<String>,
    /// Kafka's own topic.
    pub internal: bool,
    /// Partitions by index.
    pub partitions: Vec<PartitionFacts>,
    /// Effective configuration; `None` when DESCRIBE_CONFIGS was denied.
    pub configs: Option<BTreeMap<String, ConfigFact>>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionFacts {
    /// Partition index.
    pub index: i32,
    /// Node id of the leader, if there is one.
    pub leader: Option<i32>,
    /// Node ids of the replicas, preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of the in-sync replicas.
    pub isr: Vec<i32>,
}

/// One effective setting and the layer that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFact {
    /// Value; `None` when Kafka hides it (sensitive) or it is null.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
}

/// Kafka's `ConfigSource` of DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigSource {
    /// Set on the topic (1).
    Topic,
    /// Set on this broker at run time (2).
    DynamicBroker,
    /// Set for all brokers at run time (3).
    DynamicDefaultBroker,
    /// `server.properties` (4).
    StaticBroker,
    /// Kafka's default (5).
    Default,
    /// Any other source.
    Other,
}
