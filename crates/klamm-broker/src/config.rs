//! What a broker is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;

/// How an embedded broker is started. [`Default`] is what a test wants: a free port, nothing left behind.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerConfig {
    /// Address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where data is kept. `None`: a temporary folder that is removed on shutdown or drop.
    pub data_dir: Option<PathBuf>,
    /// `num.partitions`: partitions of topics that are created without a number.
    pub default_partitions: i32,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// Flush to the disk before acknowledging: extends "nothing acknowledged is lost" from a killed process to
    /// power loss.
    pub fsync: bool,
    /// `socket.request.max.bytes`: a larger request closes its connection.
    pub max_request_bytes: usize,
    /// `max.connections`: further connections are closed at once.
    pub max_connections: usize,
    /// `connections.max.idle.ms`: a connection without a request for this long is closed.
    pub max_idle: Duration,
    /// `group.initial.rebalance.delay.ms`. Kafka's default is 3 s; here 0, because one developer waits for it.
    pub group_initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout: Duration,
    /// `log.retention.check.interval.ms`: how often old segments and expired offsets are looked for.
    pub retention_check_interval: Duration,
    /// The clock; a test may hold it.
    pub clock: Clock,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: None,
            default_partitions: 1,
            auto_create_topics: true,
            fsync: false,
            max_request_bytes: 100 * 1024 * 1024,
            max_connections: 2_000,
            max_idle: Duration::from_secs(600),
            group_initial_rebalance_delay: Duration::ZERO,
            group_min_session_timeout: Duration::from_secs(6),
            retention_check_interval: Duration::from_secs(300),
            clock: Clock::system(),
        }
    }
}
