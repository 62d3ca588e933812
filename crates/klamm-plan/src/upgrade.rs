//! The way from one version of Kafka to the next: what first, and from where there is no way back.

use klamm_kafka::Version;
use serde::{Deserialize, Serialize};

use crate::spec::{ClusterKind, Protocol, SpecSet};

/// One step of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What to do.
    pub what: String,
    /// Why, and what to look at.
    pub because: String,
    /// It can be taken back.
    pub reversible: bool,
}

/// The steps from `from` to `to`, in their order.
pub(crate) fn upgrade(from: Version, to: Version, kind: ClusterKind, specs: &SpecSet) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |what: String, because: &str, reversible| {
        steps.push(Step { what, because: because.to_owned(), reversible });
    };
    let crosses = |version: Version| from < version && version <= to;
    if crosses(Version::new(4, 0)) {
        step(
            "look for clients older than 2.1, and for ZooKeeper".to_owned(),
            "4.0 takes neither: BrokerTopicMetrics and request logs name the API versions that are used; a cluster with ZooKeeper goes to KRaft on 3.9 first (KIP-896, KIP-866)",
            true,
        );
        step(
            "set what 4.0 changes by default where you count on the old value".to_owned(),
            "linger.ms 5, message.timestamp.after.max.ms 1 h (records from a clock that is ahead are refused), segment.bytes at least 1 MiB (KIP-1030)",
            true,
        );
    }
    brokers(to, kind, &mut step);
    if kind != ClusterKind::ConfluentCloud {
        step(
            "run like this for a week".to_owned(),
            "as long as the features are not raised, the old version starts again",
            true,
        );
        step(
            format!("kafka-features upgrade --release-version {to}"),
            "metadata.version, transaction.version, group.version: records of the new format are written from now on, and the old version does not read them (KIP-584)",
            false,
        );
    }
    if crosses(Version::new(4, 1)) {
        step(
            "kafka-features upgrade --feature eligible.leader.replicas.version=1".to_owned(),
            "on in new clusters only; min.insync.replicas becomes a dynamic default of the cluster, which outranks server.properties (KIP-966)",
            true,
        );
    }
    step(
        format!("clients to {to}: consumers and producers in any order"),
        "brokers take older and newer clients; read what their defaults changed",
        true,
    );
    let classic = specs
        .specs()
        .iter()
        .flat_map(|spec| &spec.consumers)
        .filter(|consumer| consumer.protocol.value == Protocol::Consumer);
    for consumer in classic {
        if from < Version::new(4, 0) {
            step(
                format!("group {}: group.protocol=consumer, one member after another", consumer.group.value),
                "the group changes over while it runs, and back as long as a classic member is left; assignor and session settings go to the broker first (KIP-848)",
                true,
            );
        }
    }
    steps
}

/// Brokers and controllers, by who runs them.
fn brokers(to: Version, kind: ClusterKind, step: &mut impl FnMut(String, &str, bool)) {
    match kind {
        ClusterKind::Own => {
            step(
                format!("controllers to {to}, one at a time, the active one last"),
                "each has to catch up before the next: klamm doctor, kafka-metadata-quorum describe",
                true,
            );
            step(
                format!("brokers to {to}, one at a time; the broker whose controller is active last"),
                "klamm can-stop BROKER before each one; the old version's features stay in use, so going back is still possible",
                true,
            );
        }
        ClusterKind::Strimzi => step(
            format!("spec.kafka.version: {to} in the Kafka resource, metadataVersion as it is"),
            "the operator rolls the pods in its order",
            true,
        ),
        ClusterKind::Msk => step(
            format!("update-cluster-kafka-version to {to}"),
            "Amazon rolls the brokers; it cannot be taken back there",
            false,
        ),
        ClusterKind::ConfluentCloud => {
            step("nothing: Confluent upgrades brokers".to_owned(), "only clients are yours", true)
        }
    }
}
