//! The contract of one topic and of one consumer, as values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happens to a record when something breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// An acknowledged record may not be lost.
    Strong,
    /// A record may be late; losing the newest ones in a failure is accepted.
    Eventual,
}

/// Which records keep their order relative to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// No order is promised.
    None,
    /// Records of one key keep their order.
    PerKey,
    /// All records keep their order: one partition.
    Global,
}

/// How often a consumer may see one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Offsets are committed before the work: a crash skips records.
    AtMostOnce,
    /// Offsets are committed after the work: a crash repeats records.
    AtLeastOnce,
    /// Work and offsets are one transaction.
    ExactlyOnce,
}

/// Which demands hold. `Dev` relaxes exactly the survival demands: copies, racks, in-sync floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Everything that the spec asks.
    #[default]
    Prod,
    /// One broker is enough; said on every screen.
    Dev,
}

/// Where a setting lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The producing client.
    Producer,
    /// The topic's configuration and placement.
    Topic,
    /// The brokers' configuration and their racks.
    Broker,
    /// The consuming client.
    Consumer,
    /// A Kafka Streams application.
    Streams,
    /// The controllers' configuration.
    Controller,
    /// MirrorMaker between two clusters.
    Mirror,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layer::Producer => "producer",
            Layer::Topic => "topic",
            Layer::Broker => "broker",
            Layer::Consumer => "consumer",
            Layer::Streams => "streams",
            Layer::Controller => "controller",
            Layer::Mirror => "mirror",
        })
    }
}

/// How many losses the topic goes on through, without losing an acknowledged record and still taking writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Survive {
    /// Brokers that may be down at once.
    pub brokers: u32,
    /// Racks that may be down at once; 0 means that racks are not promised.
    pub racks: u32,
}

/// What the topic asks for, independent of any setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durability {
    /// May acknowledged records be lost?
    pub consistency: Consistency,
    /// Losses that it goes on through.
    pub survive: Survive,
}

/// How long records stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// `retention.ms`.
    Time {
        /// Milliseconds a record stays at least.
        ms: u64,
    },
    /// `retention.bytes` of the whole topic (the setting itself is per partition).
    Size {
        /// Bytes of the topic, all partitions together, one copy.
        bytes: u64,
    },
    /// Nothing is deleted.
    Forever,
    /// The newest record of each key stays (`cleanup.policy=compact`).
    Compact,
}

/// What the producing client must be set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerPromise {
    /// `acks`: "all" or "1".
    pub acks: Acks,
    /// `enable.idempotence`.
    pub idempotence: bool,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u32,
    /// `delivery.timeout.ms`: outlasts a failover.
    pub delivery_timeout_ms: u64,
    /// `request.timeout.ms`.
    pub request_timeout_ms: u64,
    /// `linger.ms`.
    pub linger_ms: u64,
    /// `batch.size` in bytes.
    pub batch_bytes: u64,
    /// `compression.type`: none, gzip, snappy, lz4, zstd.
    pub compression: String,
    /// Largest record that the producer may send, in bytes (`max.request.size`).
    pub max_request_bytes: u64,
}

/// How many replicas must have a batch before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acks {
    /// The whole current in-sync set.
    All,
    /// The leader alone.
    Leader,
}

/// What the topic must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPromise {
    /// Number of partitions.
    pub partitions: u32,
    /// Copies of each partition.
    pub replication_factor: u32,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `max.message.bytes`: largest batch in bytes.
    pub max_message_bytes: u64,
    /// How long records stay.
    pub retention: Retention,
}

/// One topic's promise across all layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicContract {
    /// Topic name.
    pub topic: String,
    /// Prod, or dev with the survival demands relaxed.
    pub profile: Profile,
    /// What is asked (as the spec says it, also under `dev`).
    pub durability: Durability,
    /// Which order is promised.
    pub order: Order,
    /// Field of the record that is the key, for people.
    pub key: Option<String>,
    /// The topic layer.
    pub layer_topic: TopicPromise,
    /// The producer layer.
    pub layer_producer: ProducerPromise,
}

/// One consumer group's promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerContract {
    /// `group.id`.
    pub group: String,
    /// Topics read.
    pub topics: Vec<String>,
    /// How often it may see a record.
    pub delivery: Delivery,
    /// `max.poll.interval.ms`.
    pub max_poll_interval_ms: u64,
    /// `session.timeout.ms` (classic groups).
    pub session_timeout_ms: u64,
    /// `max.poll.records`, the planner's bound on records in work at once.
    pub max_poll_records: u32,
    /// `isolation.level` is read_committed.
    pub read_committed: bool,
}
