//! What a bounded sample of records says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A sample of one topic. Nothing of it is a record: counts, and a few keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSample {
    /// Topic.
    pub topic: String,
    /// Records that were looked at.
    pub records: u64,
    /// Their bytes: keys, values, headers.
    pub bytes: u64,
    /// The sample was cut off by its bound on bytes or time before it had all that was asked for.
    pub cut: Option<String>,
    /// A partition each.
    pub partitions: Vec<PartitionSample>,
    /// Keys.
    pub keys: KeyStats,
    /// Where keys are.
    pub placement: Placement,
    /// Ids of schemas (Confluent's framing), with the number of records.
    pub schema_ids: BTreeMap<u32, u64>,
    /// Records whose value begins like a framed one.
    pub framed: u64,
    /// Values that are JSON.
    pub json: u64,
    /// Records without a value.
    pub tombstones: u64,
    /// Codecs with the number of batches: `none`, `lz4` …
    pub codecs: BTreeMap<String, u64>,
    /// Size of records in bytes: half are no larger.
    pub size_p50: u64,
    /// 99 of 100 are no larger.
    pub size_p99: u64,
    /// The largest.
    pub size_max: u64,
    /// Time stamps are the broker's (`LogAppendTime`).
    pub log_append_time: bool,
    /// The newest time stamp less the auditing machine's clock, in milliseconds: above 0 lies in the future.
    pub newest_ahead_ms: i64,
    /// Records that are older than one before them in the same partition by more than a minute.
    pub backwards: u64,
    /// Records of transactions.
    pub transactional: u64,
    /// Gaps and forks in the versions of events by aggregate (a `version` or `sequence` beside a key), if there are such: texts.
    pub version_gaps: Vec<String>,
}

/// A sample of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionSample {
    /// Partition.
    pub partition: i32,
    /// Records of it in the sample.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Oldest time stamp, in milliseconds since 1970.
    pub oldest_ms: i64,
    /// Newest time stamp.
    pub newest_ms: i64,
}

/// Keys of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyStats {
    /// Records with a key.
    pub keyed: u64,
    /// Records without.
    pub unkeyed: u64,
    /// Different keys that were seen, or at least so many when counting was bounded.
    pub seen: u64,
    /// Different keys in the topic, estimated; no fewer than `seen`.
    pub distinct: u64,
    /// The most used keys, heaviest first.
    pub heavy: Vec<HeavyKey>,
    /// Records whose key looks like one for each record: a UUID, a time, a counter.
    pub per_record: u64,
    /// What such keys look like: `uuid`, `timestamp`, `counter`.
    pub per_record_kind: Option<String>,
    /// Keys that hold an attribute that changes: an e-mail address.
    pub mutable: u64,
    /// Keys that look like windowed ones of Kafka Streams or a foreign-key join: they have a partitioner of their own.
    pub windowed: u64,
}

/// A key that is used much.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeavyKey {
    /// As text, cut to 60 characters.
    pub key: String,
    /// Records with it: at most so many.
    pub records: u64,
    /// By how many `records` may be too high (Space-Saving).
    pub error: u64,
}

/// Where keys are, by partitioner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// Records with a key that were checked.
    pub checked: u64,
    /// Of them where murmur2 (Java's partitioner) puts them, for today's number of partitions.
    pub murmur2: u64,
    /// Of the rest those that it puts there for an earlier, lower number of partitions; with that number.
    pub earlier: BTreeMap<i32, u64>,
    /// Of the rest those that CRC32 puts there (librdkafka's `consistent_random`).
    pub crc32: u64,
    /// Of the rest those that FNV-1a puts there (Sarama's hash partitioner).
    pub fnv1a: u64,
    /// Keys that are in more than one partition.
    pub keys_in_several: u64,
}
