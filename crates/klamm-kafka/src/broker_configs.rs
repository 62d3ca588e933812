//! How broker configurations change: while the broker runs, or with a restart.

/// How a broker configuration can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpdateMode {
    /// While the brokers run, for all of them at once.
    ClusterWide,
    /// While the broker runs, for each by itself.
    PerBroker,
    /// In `server.properties`, with a restart.
    ReadOnly,
}

/// Configurations that change while brokers run, for all at once, in Kafka 3.9 to 4.4. `DynamicBrokerConfig` of Apache
/// Kafka lists them; a test asks real brokers whether each can be set.
const CLUSTER_WIDE: &[&str] = &[
    "background.threads",
    "compression.type",
    "log.cleaner.threads",
    "log.retention.bytes",
    "log.retention.ms",
    "log.roll.ms",
    "log.segment.bytes",
    "message.max.bytes",
    "min.insync.replicas",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "unclean.leader.election.enable",
];

/// Configurations that change while a broker runs, for it alone.
const PER_BROKER: &[&str] = &[
    "advertised.listeners",
    "listeners",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.truststore.location",
];

/// How the broker configuration `name` changes. What is not known needs a restart: the careful answer.
pub fn update_mode(name: &str) -> UpdateMode {
    if CLUSTER_WIDE.contains(&name) {
        UpdateMode::ClusterWide
    } else if PER_BROKER.contains(&name) {
        UpdateMode::PerBroker
    } else {
        UpdateMode::ReadOnly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_looked_up_and_the_unknown_needs_a_restart() {
        assert_eq!(update_mode("min.insync.replicas"), UpdateMode::ClusterWide);
        assert_eq!(update_mode("listeners"), UpdateMode::PerBroker);
        assert_eq!(update_mode("auto.create.topics.enable"), UpdateMode::ReadOnly);
        assert_eq!(update_mode("no.such.thing"), UpdateMode::ReadOnly);
    }
}
