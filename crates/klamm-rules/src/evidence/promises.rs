//! What the specs promise: the part of `klamm.yaml` that rules ask for.

use std::collections::BTreeMap;

use klamm_contract::{Consistency, Delivery, Order};
use serde::{Deserialize, Serialize};

use super::client::Place;

/// Promises of all specs together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Promises {
    /// Topics by name.
    pub topics: BTreeMap<String, TopicPromise>,
    /// Groups by `group.id`.
    pub groups: BTreeMap<String, GroupPromise>,
    /// Kafka Streams applications by `application.id`.
    pub streams: BTreeMap<String, StreamsPromise>,
    /// What is left when the cluster is lost.
    pub recovery: Option<RecoveryPromise>,
    /// Findings that are accepted.
    pub suppressions: Vec<Suppression>,
    /// The files, as they were named.
    pub files: Vec<String>,
    /// The profile is dev: what the specs ask to survive is not asked for, here too.
    pub relaxed: bool,
}

/// What a topic's data needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicPromise {
    /// Where it is written.
    pub place: Place,
    /// May an acknowledged record be lost?
    pub consistency: Consistency,
    /// Brokers that may be down.
    pub survive_brokers: u32,
    /// Racks that may be down.
    pub survive_racks: u32,
    /// Field that is the key.
    pub key: Option<String>,
    /// Which records keep their order.
    pub order: Order,
    /// Records stay for so long; `None` for ever, or with `compact` as long as their key's newest.
    pub retention_ms: Option<u64>,
    /// Bytes that are kept; `None` when time decides.
    pub retention_bytes: Option<u64>,
    /// The newest record of each key stays.
    pub compact: bool,
    /// All records stay for ever: the history of events.
    pub forever: bool,
    /// Bytes a second that are written at the peak; `None` when the spec does not say.
    pub peak_bytes: Option<u64>,
    /// Largest record in bytes.
    pub largest_bytes: Option<u64>,
    /// Different keys.
    pub distinct_keys: Option<u64>,
    /// Compatibility level that subjects must have.
    pub compatibility: Option<String>,
}

impl Default for TopicPromise {
    fn default() -> Self {
        TopicPromise {
            place: Place::default(),
            consistency: Consistency::Strong,
            survive_brokers: 1,
            survive_racks: 0,
            key: None,
            order: Order::None,
            retention_ms: None,
            retention_bytes: None,
            compact: false,
            forever: false,
            peak_bytes: None,
            largest_bytes: None,
            distinct_keys: None,
            compatibility: None,
        }
    }
}

/// What a group reads, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupPromise {
    /// Where it is written.
    pub place: Place,
    /// Topics that it reads.
    pub reads: Vec<String>,
    /// How often a record may be worked on.
    pub delivery: Delivery,
    /// Processes.
    pub instances: Option<u32>,
    /// Threads in each.
    pub threads: u32,
    /// 99 of 100 records are worked on in so many microseconds.
    pub work_p99_us: Option<u64>,
    /// The longest time that the group may be away, in milliseconds.
    pub outage_ms: Option<u64>,
    /// How far behind it may be, in milliseconds.
    pub lag_ms: u64,
    /// Classic or consumer protocol: `classic`, `consumer`.
    pub protocol: String,
}

impl Default for GroupPromise {
    fn default() -> Self {
        GroupPromise {
            place: Place::default(),
            reads: Vec::new(),
            delivery: Delivery::AtLeastOnce,
            instances: None,
            threads: 1,
            work_p99_us: None,
            outage_ms: None,
            lag_ms: 300_000,
            protocol: "classic".to_owned(),
        }
    }
}

/// A Kafka Streams application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamsPromise {
    /// Where it is written.
    pub place: Place,
    /// Topics that it reads.
    pub reads: Vec<String>,
    /// Topics that it writes.
    pub writes: Vec<String>,
    /// How often a record may have an effect.
    pub delivery: Delivery,
    /// It keeps state of so many bytes; `None` when the spec does not say.
    pub state_bytes: Option<u64>,
    /// Copies of the state that stand by.
    pub standbys: u32,
    /// Where the state is kept.
    pub state_dir: String,
}

impl Default for StreamsPromise {
    fn default() -> Self {
        StreamsPromise {
            place: Place::default(),
            reads: Vec::new(),
            writes: Vec::new(),
            delivery: Delivery::ExactlyOnce,
            state_bytes: None,
            standbys: 1,
            state_dir: String::new(),
        }
    }
}

/// What is left when the whole cluster is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecoveryPromise {
    /// Where it is written.
    pub place: Place,
    /// The newest records that may be lost, in milliseconds.
    pub rpo_ms: u64,
    /// The time in which the service works again, in milliseconds.
    pub rto_ms: u64,
    /// Name of this cluster in topics of the second one.
    pub alias: String,
    /// Bytes a second between the clusters.
    pub link_bytes: Option<u64>,
}

/// A finding that is accepted, for a reason and until a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Suppression {
    /// Where it is written.
    pub place: Place,
    /// The rule's code.
    pub rule: String,
    /// Subject, as findings name it (`topic orders`), or the beginning of it with a `*`; `None` is all of the rule's.
    pub subject: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// The last day that it holds, in milliseconds since 1970 (the end of that day, UTC).
    pub until_ms: i64,
    /// The same as it is written.
    pub until: String,
}
