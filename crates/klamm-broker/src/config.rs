//! What a broker is started with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use klamm_kafka::TOPIC_CONFIGS;

use crate::clock::Clock;
use crate::security::config::{Listener, SecurityConfig, SecurityProtocol};
use crate::settings::{broker_setting, check_broker_value};

/// How an embedded broker is started. [`Default`] is what a test wants: a free port, nothing left behind.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerConfig {
    /// Address to listen on without security; port 0 lets the system choose. Only where `listeners` is empty.
    pub listen: SocketAddr,
    /// `listeners`: several addresses, each with a name and a security protocol. The first is what
    /// [`Broker::bootstrap`](crate::Broker::bootstrap) tells.
    pub listeners: Vec<Listener>,
    /// Certificates, SASL and the authorizer.
    pub security: SecurityConfig,
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
    /// `max.connections.per.ip`: further connections from one address are closed at once.
    pub max_connections_per_ip: usize,
    /// A client that takes nothing of an answer for this long is closed. Kafka has no setting for it.
    pub max_write_stall: Duration,
    /// `connections.max.idle.ms`: a connection without a request for this long is closed.
    pub max_idle: Duration,
    /// `group.initial.rebalance.delay.ms`. Kafka's default is 3 s; here 0, because one developer waits for it.
    pub group_initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout: Duration,
    /// `group.max.size` of the classic protocol.
    pub group_max_size: usize,
    /// `group.consumer.*`: what groups of the `consumer` protocol obey that have no setting of their own.
    pub consumer_groups: ConsumerGroupConfig,
    /// `offsets.retention.minutes`: how long committed offsets are kept that nobody uses.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often expired offsets are looked for.
    pub offsets_retention_check_interval: Duration,
    /// `offset.metadata.max.bytes`: characters that a commit may come with for each partition.
    pub offset_metadata_max_bytes: usize,
    /// `log.retention.check.interval.ms`: how often old segments are looked for.
    pub retention_check_interval: Duration,
    /// `log.cleaner.backoff.ms`: how often partitions that want compaction are looked for.
    pub cleaner_interval: Duration,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: how often transactions that take too long are looked for.
    pub transaction_check_interval: Duration,
    /// `transaction.max.timeout.ms`: the longest that a producer may ask for.
    pub transaction_max_timeout: Duration,
    /// Kafka's own broker settings by their names, as in `server.properties`: those that topics inherit (`log.retention.hours`,
    /// `message.max.bytes`, ...) and `producer.id.expiration.ms`. What has a field above is set
    /// there; see [`BrokerConfig::set`].
    pub settings: BTreeMap<String, String>,
    /// The clock; a test may hold it.
    pub clock: Clock,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            listeners: Vec::new(),
            security: SecurityConfig::default(),
            data_dir: None,
            default_partitions: 1,
            auto_create_topics: true,
            fsync: false,
            max_request_bytes: 100 * 1024 * 1024,
            max_connections: 2_000,
            max_connections_per_ip: i32::MAX as usize,
            max_write_stall: Duration::from_secs(60),
            max_idle: Duration::from_secs(600),
            group_initial_rebalance_delay: Duration::ZERO,
            group_min_session_timeout: Duration::from_secs(6),
            group_max_size: i32::MAX as usize,
            consumer_groups: ConsumerGroupConfig::default(),
            offsets_retention: Duration::from_secs(7 * 24 * 3_600),
            offsets_retention_check_interval: Duration::from_secs(600),
            offset_metadata_max_bytes: 4096,
            retention_check_interval: Duration::from_secs(300),
            cleaner_interval: Duration::from_secs(15),
            transaction_check_interval: Duration::from_secs(10),
            transaction_max_timeout: Duration::from_secs(15 * 60),
            settings: BTreeMap::new(),
            clock: Clock::system(),
        }
    }
}

impl BrokerConfig {
    /// The listeners, or the one that stands for them.
    pub(crate) fn all_listeners(&self) -> Vec<Listener> {
        if self.listeners.is_empty() {
            let plain = Listener::local(SecurityProtocol::Plaintext);
            return vec![Listener { addr: self.listen, ..plain }];
        }
        self.listeners.clone()
    }

    /// Sets one of Kafka's own broker settings by its name, as `server.properties` would.
    ///
    /// # Errors
    /// Kafka does not know it, this broker does not honour it, or the value is not allowed. The text says which.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let setting =
            broker_setting(name).ok_or_else(|| format!("Apache Kafka has no broker setting {name}"))?;
        check_broker_value(setting, value).map_err(|refusal| refusal.message)?;
        let value = value.trim();
        let number = || value.parse::<i64>().map_err(|_| format!("{name}={value} is not a number"));
        let count = || usize::try_from(number()?).map_err(|_| format!("{name}={value} is negative"));
        let millis = || Ok::<_, String>(Duration::from_millis(u64::try_from(number()?).unwrap_or(u64::MAX)));
        match name {
            "auto.create.topics.enable" => self.auto_create_topics = value.eq_ignore_ascii_case("true"),
            "connections.max.idle.ms" => self.max_idle = millis()?,
            "group.initial.rebalance.delay.ms" => self.group_initial_rebalance_delay = millis()?,
            "group.consumer.assignment.interval.ms" => self.consumer_groups.assignment_interval = millis()?,
            "group.consumer.heartbeat.interval.ms" => self.consumer_groups.heartbeat_interval = millis()?,
            "group.consumer.max.heartbeat.interval.ms" => {
                self.consumer_groups.max_heartbeat_interval = millis()?;
            }
            "group.consumer.max.session.timeout.ms" => self.consumer_groups.max_session_timeout = millis()?,
            "group.consumer.max.size" => self.consumer_groups.max_size = count()?,
            "group.consumer.migration.policy" => {
                self.consumer_groups.migration_policy = MigrationPolicy::parse(value);
            }
            "group.consumer.min.heartbeat.interval.ms" => {
                self.consumer_groups.min_heartbeat_interval = millis()?;
            }
            "group.consumer.min.session.timeout.ms" => self.consumer_groups.min_session_timeout = millis()?,
            "group.consumer.session.timeout.ms" => self.consumer_groups.session_timeout = millis()?,
            "group.max.size" => self.group_max_size = count()?,
            "group.min.session.timeout.ms" => self.group_min_session_timeout = millis()?,
            "log.retention.check.interval.ms" => self.retention_check_interval = millis()?,
            "max.connections" => self.max_connections = count()?,
            "max.connections.per.ip" => self.max_connections_per_ip = count()?,
            "offset.metadata.max.bytes" => self.offset_metadata_max_bytes = count()?,
            "offsets.retention.check.interval.ms" => self.offsets_retention_check_interval = millis()?,
            "offsets.retention.minutes" => {
                let minutes = u64::try_from(number()?).unwrap_or(u64::MAX);
                self.offsets_retention = Duration::from_secs(minutes.saturating_mul(60));
            }
            "num.partitions" => self.default_partitions = i32::try_from(number()?).unwrap_or(i32::MAX),
            "transaction.abort.timed.out.transaction.cleanup.interval.ms" => {
                self.transaction_check_interval = millis()?;
            }
            "transaction.max.timeout.ms" => self.transaction_max_timeout = millis()?,
            "socket.request.max.bytes" => self.max_request_bytes = count()?,
            _ if is_inherited(name) => drop(self.settings.insert(name.to_owned(), value.to_owned())),
            _ => {
                return Err(format!(
                    "{name} is a setting of Apache Kafka that the embedded broker does not honour"
                ));
            }
        }
        Ok(())
    }
}

/// Settings that the broker reads where they are needed: those that topics inherit, and a few others.
fn is_inherited(name: &str) -> bool {
    const OTHERS: &[&str] = &[
        "log.retention.hours",
        "log.retention.minutes",
        "log.roll.hours",
        "log.roll.jitter.hours",
        "producer.id.expiration.ms",
        "transactional.id.expiration.ms",
    ];
    OTHERS.contains(&name) || TOPIC_CONFIGS.iter().any(|config| config.broker_synonym == Some(name))
}

/// Settings of groups of the `consumer` protocol (KIP-848), in Kafka's words without `group.consumer.`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerGroupConfig {
    /// `session.timeout.ms`: a member that is silent for so long is fenced.
    pub session_timeout: Duration,
    /// `min.session.timeout.ms` for a group's `consumer.session.timeout.ms`.
    pub min_session_timeout: Duration,
    /// `max.session.timeout.ms` for a group's `consumer.session.timeout.ms`.
    pub max_session_timeout: Duration,
    /// `heartbeat.interval.ms`: how often members are told to send heartbeats.
    pub heartbeat_interval: Duration,
    /// `min.heartbeat.interval.ms` for a group's `consumer.heartbeat.interval.ms`.
    pub min_heartbeat_interval: Duration,
    /// `max.heartbeat.interval.ms` for a group's `consumer.heartbeat.interval.ms`.
    pub max_heartbeat_interval: Duration,
    /// `assignment.interval.ms`: least time between two target assignments. Kafka's default is 1 s; here 0, because one
    /// developer waits for it.
    pub assignment_interval: Duration,
    /// `max.size`: members of one group.
    pub max_size: usize,
    /// `migration.policy`: whether groups with members may change their protocol.
    pub migration_policy: MigrationPolicy,
    /// `regex.refresh.interval.ms`: how often regular expressions are matched again with no new topic.
    pub regex_refresh_interval: Duration,
}

impl Default for ConsumerGroupConfig {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(45),
            min_session_timeout: Duration::from_secs(45),
            max_session_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(5),
            min_heartbeat_interval: Duration::from_secs(5),
            max_heartbeat_interval: Duration::from_secs(15),
            assignment_interval: Duration::ZERO,
            max_size: i32::MAX as usize,
            migration_policy: MigrationPolicy::Bidirectional,
            regex_refresh_interval: Duration::from_secs(600),
        }
    }
}

/// `group.consumer.migration.policy`. Groups without members change their protocol under each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MigrationPolicy {
    /// From classic to `consumer` with the first member of the latter, and back with its last.
    #[default]
    Bidirectional,
    /// Only from classic to `consumer`.
    Upgrade,
    /// Only from `consumer` to classic.
    Downgrade,
    /// Neither; and classic members may not join a `consumer` group.
    Disabled,
}

impl MigrationPolicy {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bidirectional => "bidirectional",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Disabled => "disabled",
        }
    }

    /// As Kafka reads it: in any case of letters, and what is no policy is [`MigrationPolicy::Disabled`].
    fn parse(name: &str) -> Self {
        let all = [Self::Bidirectional, Self::Upgrade, Self::Downgrade, Self::Disabled];
        all.into_iter().find(|policy| policy.name().eq_ignore_ascii_case(name)).unwrap_or(Self::Disabled)
    }

    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_settings_are_taken_when_they_are_honoured() {
        let mut config = BrokerConfig::default();
        config.set("num.partitions", "3").unwrap();
        config.set("log.retention.hours", "2").unwrap();
        config.set("connections.max.idle.ms", "-1").unwrap();
        assert_eq!((config.default_partitions, config.settings.len()), (3, 1));
        assert!(config.max_idle > Duration::from_secs(1 << 40), "for ever");
        let refused = |name: &str, value: &str| BrokerConfig::default().set(name, value).unwrap_err();
        assert!(refused("no.such", "1").contains("no broker setting"));
        assert!(refused("num.io.threads", "8").contains("does not honour"));
        assert!(refused("num.partitions", "0").contains("at least 1"));
        assert!(refused("max.connections", "-1").contains("at least 0"));
    }
}
