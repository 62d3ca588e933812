//! What the words of a spec stand for, where the contract has no type of its own for it.

use serde::{Deserialize, Serialize};

/// Who runs a cluster, and so which layers can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// Whoever reads this.
    #[default]
    #[serde(rename = "self")]
    Own,
    /// The Strimzi operator.
    Strimzi,
    /// Amazon MSK.
    Msk,
    /// Confluent Cloud.
    ConfluentCloud,
}

/// What producers are tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Produce {
    /// Kafka's own balance.
    #[default]
    Durable,
    /// Bytes a second.
    Throughput,
    /// The time of one record.
    LowLatency,
}

/// Which time a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timestamps {
    /// The producer's.
    #[default]
    Create,
    /// The broker's.
    Append,
}

/// Where the results of a consumer's work go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// A store that can keep the offset beside the result.
    #[default]
    Database,
    /// Topics of the same cluster.
    Kafka,
    /// A call that cannot be taken back.
    Http,
}

/// Whether members keep their name over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// A restart moves partitions.
    Dynamic,
    /// A restart moves none.
    Static,
}

/// Who assigns partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// The clients.
    #[default]
    Classic,
    /// The broker (KIP-848).
    Consumer,
}
