//! The topic: copies, floor, retention, segments, message size.

use klamm_contract::{Consistency, Layer, Retention, TopicPromise};

use super::{Setting, Settings};
use crate::copies::Copies;
use crate::sizing::Sizing;
use crate::spec::{Retain, Timestamps, TopicSpec};
use crate::text;

/// Kafka's default: 1 MiB and a log entry's 12 bytes.
pub(super) const DEFAULT_MESSAGE_BYTES: u64 = 1_048_588;
const DEFAULT_SEGMENT_BYTES: u64 = 1 << 30;
const MIN_SEGMENT_BYTES: u64 = 1 << 20;
const MIN_SEGMENT_MS: u64 = 600_000;
const WEEK_MS: u64 = 604_800_000;
/// Retention is made of about this many segments: what is kept too long is at most an eighth.
const SEGMENTS_KEPT: u64 = 8;

/// When a segment closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segments {
    /// `segment.ms`.
    pub(crate) ms: u64,
    /// `segment.bytes`.
    pub(crate) bytes: u64,
}

impl Segments {
    /// Segments are deleted whole, so they have to be small against what is retained: with Kafka's seven days, one hour
    /// of retention can mean seven days and one hour.
    pub(crate) fn of(retain: &Retain, partitions: u32) -> Segments {
        match retain {
            Retain::Time(time) => Segments {
                ms: (time.millis() / SEGMENTS_KEPT).clamp(MIN_SEGMENT_MS, WEEK_MS),
                bytes: DEFAULT_SEGMENT_BYTES,
            },
            Retain::Size(size) => Segments {
                ms: WEEK_MS,
                bytes: (per_partition(size.bytes(), partitions) / SEGMENTS_KEPT)
                    .clamp(MIN_SEGMENT_BYTES, DEFAULT_SEGMENT_BYTES),
            },
            Retain::Forever | Retain::Compact => Segments { ms: WEEK_MS, bytes: DEFAULT_SEGMENT_BYTES },
        }
    }
}

fn per_partition(bytes: u64, partitions: u32) -> u64 {
    bytes.div_ceil(u64::from(partitions.max(1)))
}

pub(crate) fn promise(
    topic: &TopicSpec,
    copies: &Copies,
    partitions: u32,
    max_request_bytes: u64,
) -> TopicPromise {
    TopicPromise {
        partitions,
        replication_factor: copies.replication_factor,
        min_insync_replicas: copies.min_insync,
        unclean_leader_election: false,
        max_message_bytes: DEFAULT_MESSAGE_BYTES.max(max_request_bytes),
        retention: match &topic.retain.value {
            Retain::Time(time) => Retention::Time { ms: time.millis() },
            Retain::Size(size) => Retention::Size { bytes: size.bytes() },
            Retain::Forever => Retention::Forever,
            Retain::Compact => Retention::Compact,
        },
    }
}

pub(crate) fn topic(
    spec: &TopicSpec,
    promise: &TopicPromise,
    copies: &Copies,
    sizing: &Sizing,
) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Topic);
    s.set(
        "partitions",
        promise.partitions,
        &sizing.because,
        "Kafka documentation: Basic Kafka Operations, Adding topics",
    );
    let rf = promise.replication_factor;
    let copies_reason = if rf < copies.wanted {
        format!("dev profile: as many as there are brokers for, the spec needs {}", copies.wanted)
    } else {
        copies.survives.clone()
    };
    s.set("replication.factor", rf, copies_reason, "Kafka documentation: Design, Replication");
    s.set(
        "min.insync.replicas",
        promise.min_insync_replicas,
        floor_reason(spec, promise, copies),
        "KAFKA-15583, KIP-966",
    );
    let unclean = match spec.consistency {
        Consistency::Strong => "an out-of-sync copy must never lead: it lacks acknowledged records",
        Consistency::Eventual => "Kafka's default, said on the topic so that no broker setting changes it",
    };
    s.set("unclean.leader.election.enable", "false", unclean, "KIP-106");
    retention(&mut s, spec, promise.partitions);
    if spec.timestamps == Timestamps::Append {
        s.set(
            "message.timestamp.type",
            "LogAppendTime",
            "timestamps: append, the broker's clock decides retention and windows",
            "KIP-32",
        );
    }
    s.set(
        "max.message.bytes",
        promise.max_message_bytes,
        format!(
            "takes a batch with the largest record ({}) and what the producer may send",
            spec.write.largest
        ),
        "Kafka documentation: Topic Configs, max.message.bytes",
    );
    s.settings
}

fn floor_reason(spec: &TopicSpec, promise: &TopicPromise, copies: &Copies) -> String {
    let (floor, rf) = (promise.min_insync_replicas, promise.replication_factor);
    if rf < copies.wanted {
        return "dev profile: writes go on with what is there".to_owned();
    }
    match spec.consistency {
        Consistency::Strong => format!(
            "{floor} of {rf}: a record is acknowledged on {} at least, and {} may be away before writes stop",
            text::copies(floor),
            text::copies(rf - floor)
        ),
        Consistency::Eventual => format!("{floor} of {rf}: writes go on as long as one copy is left"),
    }
}

fn retention(s: &mut Settings, spec: &TopicSpec, partitions: u32) {
    let retain = &spec.retain.value;
    let segments = Segments::of(retain, partitions);
    let docs = "Kafka documentation: Topic Configs";
    let policy = if *retain == Retain::Compact { "compact" } else { "delete" };
    s.set("cleanup.policy", policy, format!("retain: {retain}"), docs);
    match retain {
        Retain::Time(time) => {
            s.set("retention.ms", time.millis(), format!("retain: {time}"), docs);
            s.set("retention.bytes", -1, "time alone decides", docs);
            let reason = format!(
                "segments are deleted whole: a record goes between {time} and {time} + {}",
                text::millis(segments.ms)
            );
            s.set("segment.ms", segments.ms, reason, docs);
        }
        Retain::Size(size) => {
            let share = per_partition(size.bytes(), partitions);
            s.set("retention.ms", -1, "size alone decides", docs);
            let reason = format!(
                "retain: {size} over {}; the setting is per partition",
                text::count(partitions, "partition")
            );
            s.set("retention.bytes", share, reason, docs);
            s.set(
                "segment.bytes",
                segments.bytes,
                "an eighth of a partition's share: segments are deleted whole",
                docs,
            );
        }
        Retain::Forever => {
            s.set("retention.ms", -1, "retain: forever", docs);
            s.set("retention.bytes", -1, "retain: forever", docs);
        }
        Retain::Compact => {
            let key = spec.key.as_deref().unwrap_or("key");
            let reason = format!("the newest record of each {key} stays for good");
            s.set("min.cleanable.dirty.ratio", "0.5", reason, "Kafka documentation: Design, Log Compaction");
        }
    }
}
