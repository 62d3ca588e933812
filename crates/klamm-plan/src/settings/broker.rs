//! Brokers and controllers. What can be changed while they run `klamm apply` sets; the rest is written as files.

use klamm_contract::Layer;
use klamm_kafka::Version;

use super::topic::DEFAULT_MESSAGE_BYTES;
use super::{Setting, Settings};
use crate::spec::{ClusterKind, TopicSpec};
use crate::text;

/// Copies and floor of Kafka's own topics: as many as the most careful topic of the plan has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Internal {
    pub(crate) copies: u32,
    pub(crate) floor: u32,
}

const DOCS: &str = "Kafka documentation: Broker Configs";
/// The default of `offsets.retention.minutes`: 7 days.
const OFFSETS_RETENTION_MIN: u64 = 10_080;

/// What one topic expects of the brokers.
pub(crate) fn topic_needs(topic: &TopicSpec) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Broker);
    s.set(
        "auto.create.topics.enable",
        "false",
        format!("a misspelt {} would become a topic of one copy", topic.name.value),
        "Kafka documentation: Broker Configs, auto.create.topics.enable",
    );
    s.set(
        "replica.lag.time.max.ms",
        30_000,
        "a replica that is behind for so long leaves the in-sync set and writes go on without it",
        "Kafka documentation: Broker Configs, replica.lag.time.max.ms",
    );
    if topic.survive.value.racks > 0 {
        s.set(
            "broker.rack",
            "<rack of each broker>",
            "copies are spread over racks only when brokers say theirs",
            "KIP-36",
        );
    }
    s.settings
}

/// What all brokers are set to. `away_ms` is the longest time that a group may be away, when one says it.
pub(crate) fn brokers(
    version: Version,
    internal: Internal,
    racks: usize,
    away_ms: u64,
    largest: u64,
) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Broker);
    new_topics(&mut s, version, internal);
    internal_topics(&mut s, version, internal, away_ms);
    for (name, value, reason, source) in [
        (
            "replica.lag.time.max.ms",
            "30000",
            "a replica that is behind for so long leaves the in-sync set",
            DOCS,
        ),
        (
            "num.recovery.threads.per.data.dir",
            "4",
            "after a crash segments are read by four threads a disk",
            "KIP-1030",
        ),
        ("num.replica.fetchers", "2", "a broker that comes back catches up with two threads a source", DOCS),
        (
            "auto.leader.rebalance.enable",
            "true",
            "leaders go back to where they were planned, after five minutes",
            DOCS,
        ),
        ("controlled.shutdown.enable", "true", "a broker that is stopped hands its leaders over first", DOCS),
    ] {
        s.set(name, value, reason, source);
    }
    if largest > DEFAULT_MESSAGE_BYTES {
        s.set("message.max.bytes", largest, "the largest batch of the plan; the topics say it, too", DOCS);
    }
    if racks > 0 {
        s.set(
            "broker.rack",
            "<rack of each broker>",
            format!("copies are spread over {racks} racks"),
            "KIP-36",
        );
    }
    s.settings
}

/// What topics are that nobody planned.
fn new_topics(s: &mut Settings, version: Version, internal: Internal) {
    let Internal { copies, floor } = internal;
    s.set(
        "auto.create.topics.enable",
        "false",
        "topics come from the plan, not from a slip of the pen",
        DOCS,
    );
    s.set(
        "unclean.leader.election.enable",
        "false",
        "no topic loses records because nobody set it",
        "KIP-106",
    );
    s.set(
        "default.replication.factor",
        copies,
        "topics that the plan does not know are as safe as its own",
        DOCS,
    );
    let elr = if version.has_elr() {
        "; with eligible leader replicas it is a dynamic default of the cluster, which outranks server.properties"
    } else {
        ""
    };
    let reason = format!("topics that the plan does not know acknowledge on {}{elr}", text::copies(floor));
    s.set("min.insync.replicas", floor, reason, "KIP-966");
    s.set(
        "num.partitions",
        6,
        "Kafka's 1 cannot be shared; six is even over one, two, three and six members",
        DOCS,
    );
}

/// Kafka's own topics.
fn internal_topics(s: &mut Settings, version: Version, internal: Internal, away_ms: u64) {
    let Internal { copies, floor } = internal;
    for (name, what) in [
        ("offsets.topic.replication.factor", "committed offsets are as safe as the records"),
        ("transaction.state.log.replication.factor", "transactions go on when the records do"),
    ] {
        s.set(name, copies, what, DOCS);
    }
    s.set(
        "transaction.state.log.min.isr",
        floor,
        "an outcome is acknowledged on as many copies as a record",
        DOCS,
    );
    if version >= Version::new(4, 1) {
        let (factor, isr) =
            ("share.coordinator.state.topic.replication.factor", "share.coordinator.state.topic.min.isr");
        s.set(factor, copies, "share groups go on when the records do", "KIP-932");
        s.set(isr, floor, "what is finished is acknowledged on as many copies", "KIP-932");
    }
    let minutes = OFFSETS_RETENTION_MIN.max(away_ms.div_ceil(60_000).saturating_mul(2));
    let away = if minutes > OFFSETS_RETENTION_MIN {
        "twice the longest time that a group may be away"
    } else {
        "Kafka's 7 days; classic groups count from when they are empty"
    };
    s.set("offsets.retention.minutes", minutes, away, "KIP-186, KIP-211");
}

/// Marks the settings that whoever reads the plan cannot make, by who runs the cluster.
pub(crate) fn mark(settings: &mut [Setting], kind: ClusterKind) {
    for setting in settings {
        setting.set_by = who_sets(kind, setting.layer, &setting.name).map(str::to_owned);
    }
}

fn who_sets(kind: ClusterKind, layer: Layer, name: &str) -> Option<&'static str> {
    match (kind, layer) {
        (ClusterKind::Own, _) | (_, Layer::Producer | Layer::Consumer | Layer::Streams | Layer::Mirror) => {
            None
        }
        (ClusterKind::Strimzi, Layer::Topic) => {
            Some("the KafkaTopic resource (klamm export --format strimzi)")
        }
        (ClusterKind::Strimzi, _) => Some("the Kafka resource (klamm export --format strimzi)"),
        (ClusterKind::Msk, Layer::Topic) => None,
        (ClusterKind::Msk, Layer::Controller) => Some("Amazon"),
        (ClusterKind::Msk, _) if matches!(name, "broker.rack" | "controlled.shutdown.enable") => {
            Some("Amazon")
        }
        (ClusterKind::Msk, _) => Some("the MSK configuration of the cluster"),
        (ClusterKind::ConfluentCloud, Layer::Topic) => {
            // What Confluent Cloud lets a topic set: cluster settings page of its documentation.
            let fixed = matches!(
                name,
                "replication.factor" | "unclean.leader.election.enable" | "min.cleanable.dirty.ratio"
            );
            fixed.then_some("Confluent, fixed")
        }
        (ClusterKind::ConfluentCloud, _) => Some("Confluent, fixed"),
    }
}
