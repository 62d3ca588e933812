//! Settings of producers and consumers, validated once. The defaults are Java's where librdkafka's differ.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use klamm_contract::{Acks, ConsumerContract, ProducerPromise};

use crate::ClientError;

/// `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// `none`.
    #[default]
    None,
    /// `gzip`.
    Gzip,
    /// `snappy`.
    Snappy,
    /// `lz4`.
    Lz4,
    /// `zstd`.
    Zstd,
}

impl Compression {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = ClientError;

    fn from_str(name: &str) -> Result<Compression, ClientError> {
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
            .into_iter()
            .find(|compression| compression.name() == name)
            .ok_or_else(|| {
                ClientError::setting("compression.type", name, "allowed are none, gzip, snappy, lz4 and zstd")
            })
    }
}

/// Settings of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerOptions {
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`: retries neither duplicate nor reorder. Needs `acks` of all and at most 5 in flight.
    pub idempotence: bool,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u32,
    /// `delivery.timeout.ms`: every send has its outcome by then.
    pub delivery_timeout: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `linger.ms`: how long a batch waits for more records.
    pub linger: Duration,
    /// `batch.size` in bytes.
    pub batch_bytes: usize,
    /// `compression.type`.
    pub compression: Compression,
    /// `max.request.size` in bytes: the largest record.
    pub max_request_bytes: usize,
    /// `buffer.memory` in bytes: what all records on their way may take. A sender waits while it is full.
    pub buffer_bytes: usize,
    /// `metadata.max.age.ms`: how long a topic's number of partitions is believed.
    pub metadata_max_age: Duration,
}

impl Default for ProducerOptions {
    fn default() -> ProducerOptions {
        ProducerOptions {
            acks: Acks::All,
            idempotence: true,
            max_in_flight: 5,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            linger: Duration::from_millis(5),
            batch_bytes: 16_384,
            compression: Compression::None,
            max_request_bytes: 1_048_576,
            buffer_bytes: 32 << 20,
            metadata_max_age: Duration::from_secs(300),
        }
    }
}

impl ProducerOptions {
    /// The options that a contract's producer layer asks for.
    pub fn from_promise(promise: &ProducerPromise) -> Result<ProducerOptions, ClientError> {
        let defaults = ProducerOptions::default();
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Ok(ProducerOptions {
            acks: promise.acks,
            idempotence: promise.idempotence,
            max_in_flight: promise.max_in_flight,
            delivery_timeout: Duration::from_millis(promise.delivery_timeout_ms),
            request_timeout: Duration::from_millis(promise.request_timeout_ms),
            linger: Duration::from_millis(promise.linger_ms),
            batch_bytes: bytes(promise.batch_bytes),
            compression: promise.compression.parse()?,
            max_request_bytes: bytes(promise.max_request_bytes),
            // Room for a few of the largest requests, so that one of them never waits for an empty buffer.
            buffer_bytes: defaults.buffer_bytes.max(bytes(promise.max_request_bytes).saturating_mul(4)),
            metadata_max_age: defaults.metadata_max_age,
        })
    }

    /// Checks what Kafka's own producer would refuse (KIP-679), naming the setting.
    pub(crate) fn validate(&self) -> Result<(), ClientError> {
        if self.idempotence && self.acks != Acks::All {
            return Err(ClientError::setting("acks", 1, "enable.idempotence=true needs acks=all"));
        }
        if self.max_in_flight == 0 || (self.idempotence && self.max_in_flight > 5) {
            let name = "max.in.flight.requests.per.connection";
            return Err(ClientError::setting(
                name,
                self.max_in_flight,
                "1 to 5 with enable.idempotence=true",
            ));
        }
        if self.delivery_timeout < self.linger + self.request_timeout {
            let least = self.linger + self.request_timeout;
            return Err(ClientError::setting(
                "delivery.timeout.ms",
                self.delivery_timeout.as_millis(),
                format!("must be at least linger.ms + request.timeout.ms = {}", least.as_millis()),
            ));
        }
        if !(1_000..=1_000_000_000).contains(&self.max_request_bytes) {
            let problem = "must be between 1000 and 1000000000 bytes";
            return Err(ClientError::setting("max.request.size", self.max_request_bytes, problem));
        }
        if self.buffer_bytes < 1_024 || u32::try_from(self.buffer_bytes).is_err() {
            return Err(ClientError::setting(
                "buffer.memory",
                self.buffer_bytes,
                "must be between 1 KiB and 4 GiB",
            ));
        }
        Ok(())
    }
}

/// `auto.offset.reset`: where to start when the group has no usable offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffsetReset {
    /// At the first record that is kept.
    Earliest,
    /// At the end: records that are there are skipped.
    Latest,
    /// At the first record that is not older than this (KIP-1106); at the end if all are.
    ByDuration(Duration),
    /// Nowhere: an error says so. The default, because the other two either repeat or skip records in silence.
    #[default]
    Error,
}

/// `isolation.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// All records; Java's default.
    #[default]
    ReadUncommitted,
    /// Without those of transactions that are open or aborted.
    ReadCommitted,
}

/// `partition.assignment.strategy` of a classic group: every member must offer the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assignor {
    /// Ranges of partitions topic by topic: what Java's default list comes to.
    #[default]
    Range,
    /// In turn.
    RoundRobin,
    /// Moves as few partitions as possible, and only those stop (KIP-429).
    CooperativeSticky,
}

/// `group.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// The members assign; timeouts are the client's.
    #[default]
    Classic,
    /// The broker assigns (KIP-848); timeouts are the broker's.
    Consumer,
}

/// Settings of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// `group.id`.
    pub group: String,
    /// Topics to read.
    pub topics: Vec<String>,
    /// `auto.offset.reset`.
    pub reset: OffsetReset,
    /// `isolation.level`.
    pub isolation: Isolation,
    /// `group.protocol`.
    pub protocol: GroupProtocol,
    /// `partition.assignment.strategy`.
    pub assignor: Assignor,
    /// `group.instance.id`: a member that keeps its partitions over a restart (KIP-345).
    pub instance: Option<String>,
    /// `client.rack`: read from a replica in this rack (KIP-392).
    pub rack: Option<String>,
    /// `session.timeout.ms` (classic).
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms` (classic).
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: Duration,
    /// Most records in a batch that is handed over (`max.poll.records` is about the same thing).
    pub batch_records: usize,
    /// Most bytes of one partition that are handed over and not dropped yet; its fetching stops there.
    pub partition_bytes: usize,
    /// The same for all partitions together.
    pub total_bytes: usize,
    /// How long the application may drain its work when partitions are revoked.
    pub revoke_budget: Duration,
}

impl ConsumerOptions {
    /// Java's defaults for a group, except that a missing offset is an error.
    pub fn new<T: Into<String>>(
        group: impl Into<String>,
        topics: impl IntoIterator<Item = T>,
    ) -> ConsumerOptions {
        ConsumerOptions {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            reset: OffsetReset::default(),
            isolation: Isolation::default(),
            protocol: GroupProtocol::default(),
            assignor: Assignor::default(),
            instance: None,
            rack: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            batch_records: 500,
            partition_bytes: 4 << 20,
            total_bytes: 64 << 20,
            revoke_budget: Duration::from_secs(10),
        }
    }

    /// The options that a consumer's contract asks for.
    pub fn from_contract(contract: &ConsumerContract) -> ConsumerOptions {
        let defaults = ConsumerOptions::new(contract.group.clone(), contract.topics.iter().cloned());
        let session_timeout = Duration::from_millis(contract.session_timeout_ms);
        ConsumerOptions {
            isolation: if contract.read_committed {
                Isolation::ReadCommitted
            } else {
                Isolation::ReadUncommitted
            },
            session_timeout,
            // At most a third, so that two lost heartbeats do not end the session.
            heartbeat_interval: defaults.heartbeat_interval.min(session_timeout / 3),
            max_poll_interval: Duration::from_millis(contract.max_poll_interval_ms),
            batch_records: usize::try_from(contract.max_poll_records).unwrap_or(usize::MAX).max(1),
            revoke_budget: defaults
                .revoke_budget
                .min(Duration::from_millis(contract.max_poll_interval_ms) / 2),
            ..defaults
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ClientError> {
        if self.group.is_empty() {
            return Err(ClientError::setting("group.id", "", "must not be empty"));
        }
        if self.topics.is_empty() {
            return Err(ClientError::setting("topics", "[]", "a consumer needs at least one topic"));
        }
        if let OffsetReset::ByDuration(_) = self.reset {
            let problem = "a group cannot begin by duration yet: earliest, latest and error can be";
            return Err(ClientError::setting("auto.offset.reset", "by_duration", problem));
        }
        if self.revoke_budget >= self.max_poll_interval {
            let problem =
                format!("must be below max.poll.interval.ms={}", self.max_poll_interval.as_millis());
            return Err(ClientError::setting("revoke budget", self.revoke_budget.as_millis(), problem));
        }
        if self.protocol == GroupProtocol::Classic && self.session_timeout > self.max_poll_interval {
            let problem =
                format!("must not be above max.poll.interval.ms={}", self.max_poll_interval.as_millis());
            return Err(ClientError::setting(
                "session.timeout.ms",
                self.session_timeout.as_millis(),
                problem,
            ));
        }
        if self.batch_records == 0 || self.partition_bytes == 0 || self.total_bytes == 0 {
            return Err(ClientError::setting("consumer bounds", 0, "records and bytes must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        ProducerOptions::default().validate().unwrap();
        ConsumerOptions::new("g", ["t"]).validate().unwrap();
    }

    #[test]
    fn a_refused_setting_is_named_with_its_value() {
        let options =
            ProducerOptions { delivery_timeout: Duration::from_secs(1), ..ProducerOptions::default() };
        let text = options.validate().unwrap_err().to_string();
        assert!(text.starts_with("delivery.timeout.ms=1000: "), "{text}");
        assert!(
            "brotli".parse::<Compression>().unwrap_err().to_string().starts_with("compression.type=brotli")
        );
    }

    #[test]
    fn idempotence_needs_acks_of_all() {
        let options = ProducerOptions { acks: Acks::Leader, ..ProducerOptions::default() };
        assert!(options.validate().is_err());
        ProducerOptions { idempotence: false, ..options }.validate().unwrap();
    }
}
