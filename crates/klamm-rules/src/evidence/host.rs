//! Metrics of brokers, clients and the hosts that they run on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What exporters or a Prometheus server told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostEvidence {
    /// An endpoint or instance each.
    pub hosts: Vec<HostMetrics>,
}

/// What a host is to Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostRole {
    /// A broker or controller.
    Broker,
    /// A client.
    Client,
    /// Not known.
    #[default]
    Unknown,
}

/// Metrics of one endpoint, read twice: rates are per second between the looks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostMetrics {
    /// Endpoint or instance.
    pub at: String,
    /// Host without port, as group members and brokers name theirs.
    pub host: String,
    /// What it is.
    pub role: HostRole,
    /// Share of CPU that is used, in thousandths.
    pub cpu_thousandths: Option<u64>,
    /// Memory that is available.
    pub memory_available_bytes: Option<u64>,
    /// Memory in all.
    pub memory_bytes: Option<u64>,
    /// Volumes by mount point: size, free, and how fast it fills in bytes a second.
    pub disks: BTreeMap<String, (u64, u64, i64)>,
    /// Failed authentications a second, in thousandths.
    pub failed_authentications_thousandths: Option<u64>,
    /// Failed authentications since the process started.
    pub failed_authentications: Option<u64>,
    /// Requests that the authorizer denied since the process started.
    pub denied_requests: Option<u64>,
    /// Connections by client software: (`name version`, connections).
    pub clients: Option<Vec<(String, u64)>>,
    /// Requests of versions that 4.0 does not serve, by API.
    pub deprecated_requests: Option<BTreeMap<String, u64>>,
    /// Longest time between polls of a consumer, in milliseconds, with its `max.poll.interval.ms` when that is known.
    pub poll_interval_max_ms: Option<u64>,
    /// Partitions that the log cleaner has given up on.
    pub uncleanable_partitions: Option<u64>,
    /// The longest time since the cleaner last cleaned what is dirty, in seconds.
    pub cleaner_stalled_seconds: Option<u64>,
    /// Producers that were fenced since the process started.
    pub fenced_producers: Option<u64>,
    /// Producer or consumer time that quotas took, in thousandths.
    pub throttled_thousandths: Option<u64>,
    /// Network handlers idle, in thousandths.
    pub network_idle_thousandths: Option<u64>,
    /// Request handlers idle, in thousandths.
    pub handler_idle_thousandths: Option<u64>,
    /// Open file descriptors and their limit.
    pub files: Option<(u64, u64)>,
    /// Rate of in-sync sets that shrank, in thousandths a second.
    pub isr_shrinks_thousandths: Option<u64>,
}
