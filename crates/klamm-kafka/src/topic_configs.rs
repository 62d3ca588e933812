//! Topic configurations of Apache Kafka 4.x: type, default, range, and the broker setting that they fall back to.
//!
//! Names, types, defaults, ranges and synonyms are those of `org.apache.kafka.storage.internals.log.LogConfig` and
//! `ServerTopicConfigSynonyms` 4.3.1; a test compares. Every topic configuration can be changed while the cluster runs.

use ValueType::{Bool, Double, Int, List, Long, Text};

/// Type of a configuration value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// `true` or `false`.
    Bool,
    /// 32-bit signed number.
    Int,
    /// 64-bit signed number.
    Long,
    /// Floating-point number.
    Double,
    /// Text.
    Text,
    /// Texts with commas between them.
    List,
}

/// One topic configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicConfig {
    /// Kafka's name.
    pub name: &'static str,
    /// Type of its value.
    pub value_type: ValueType,
    /// Kafka's default.
    pub default: &'static str,
    /// Valid range as Kafka words it; empty when any value of the type goes.
    pub valid: &'static str,
    /// Broker setting that gives the default of topics that do not set it; `None` when there is none.
    pub broker_synonym: Option<&'static str>,
}

impl TopicConfig {
    /// Do two texts mean the same value? Kafka ignores blanks around list items and their case for booleans.
    pub fn same_value(&self, one: &str, other: &str) -> bool {
        match self.value_type {
            Bool => one.trim().eq_ignore_ascii_case(other.trim()),
            Int | Long => {
                one.trim().parse::<i64>().ok() == other.trim().parse::<i64>().ok() && is_number(one)
            }
            Double => one.trim().parse::<f64>().ok() == other.trim().parse::<f64>().ok() && is_number(one),
            Text => one.trim() == other.trim(),
            List => sorted_items(one) == sorted_items(other),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok()
}

fn sorted_items(text: &str) -> Vec<&str> {
    let mut items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    items.sort_unstable();
    items
}

/// The configuration called `name`.
pub fn topic_config(name: &str) -> Option<&'static TopicConfig> {
    let at = TOPIC_CONFIGS.binary_search_by(|config| config.name.cmp(name)).ok()?;
    TOPIC_CONFIGS.get(at)
}

/// All topic configurations, by name.
pub static TOPIC_CONFIGS: &[TopicConfig] = &[
    row("cleanup.policy", List, "delete", "[compact, delete]", Some("log.cleanup.policy")),
    row("compression.gzip.level", Int, "-1", "[1,...,9] or -1", Some("compression.gzip.level")),
    row("compression.lz4.level", Int, "9", "[1,...,17]", Some("compression.lz4.level")),
    row(
        "compression.type",
        Text,
        "producer",
        "[uncompressed, zstd, lz4, snappy, gzip, producer]",
        Some("compression.type"),
    ),
    row("compression.zstd.level", Int, "3", "[-131072,...,22]", Some("compression.zstd.level")),
    row("delete.retention.ms", Long, "86400000", "[0,...]", Some("log.cleaner.delete.retention.ms")),
    row("file.delete.delay.ms", Long, "60000", "[0,...]", Some("log.segment.delete.delay.ms")),
    row("flush.messages", Long, "9223372036854775807", "[1,...]", Some("log.flush.interval.messages")),
    row("flush.ms", Long, "9223372036854775807", "[0,...]", Some("log.flush.interval.ms")),
    row(
        "follower.replication.throttled.replicas",
        List,
        "",
        "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
        None,
    ),
    row("index.interval.bytes", Int, "4096", "[0,...]", Some("log.index.interval.bytes")),
    row(
        "leader.replication.throttled.replicas",
        List,
        "",
        "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
        None,
    ),
    row("local.retention.bytes", Long, "-2", "[-2,...]", Some("log.local.retention.bytes")),
    row("local.retention.ms", Long, "-2", "[-2,...]", Some("log.local.retention.ms")),
    row(
        "max.compaction.lag.ms",
        Long,
        "9223372036854775807",
        "[1,...]",
        Some("log.cleaner.max.compaction.lag.ms"),
    ),
    row("max.message.bytes", Int, "1048588", "[0,...]", Some("message.max.bytes")),
    row(
        "message.timestamp.after.max.ms",
        Long,
        "3600000",
        "[0,...]",
        Some("log.message.timestamp.after.max.ms"),
    ),
    row(
        "message.timestamp.before.max.ms",
        Long,
        "9223372036854775807",
        "[0,...]",
        Some("log.message.timestamp.before.max.ms"),
    ),
    row(
        "message.timestamp.type",
        Text,
        "CreateTime",
        "[CreateTime, LogAppendTime]",
        Some("log.message.timestamp.type"),
    ),
    row("min.cleanable.dirty.ratio", Double, "0.5", "[0,...,1]", Some("log.cleaner.min.cleanable.ratio")),
    row("min.compaction.lag.ms", Long, "0", "[0,...]", Some("log.cleaner.min.compaction.lag.ms")),
    row("min.insync.replicas", Int, "1", "[1,...]", Some("min.insync.replicas")),
    row("preallocate", Bool, "false", "", Some("log.preallocate")),
    row("remote.log.copy.disable", Bool, "false", "", None),
    row("remote.log.delete.on.disable", Bool, "false", "", None),
    row("remote.storage.enable", Bool, "false", "", None),
    row("retention.bytes", Long, "-1", "", Some("log.retention.bytes")),
    row("retention.ms", Long, "604800000", "[-1,...]", Some("log.retention.ms")),
    row("segment.bytes", Int, "1073741824", "[1048576,...]", Some("log.segment.bytes")),
    row("segment.index.bytes", Int, "10485760", "[4,...]", Some("log.index.size.max.bytes")),
    row("segment.jitter.ms", Long, "0", "[0,...]", Some("log.roll.jitter.ms")),
    row("segment.ms", Long, "604800000", "[1,...]", Some("log.roll.ms")),
    row("unclean.leader.election.enable", Bool, "false", "", Some("unclean.leader.election.enable")),
];

const fn row(
    name: &'static str,
    value_type: ValueType,
    default: &'static str,
    valid: &'static str,
    broker_synonym: Option<&'static str>,
) -> TopicConfig {
    TopicConfig { name, value_type, default, valid, broker_synonym }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_apache_kafka() {
        let golden = include_str!("../tests/golden/topic-configs-4.3.1.tsv");
        assert_eq!(golden.lines().count(), TOPIC_CONFIGS.len());
        for (line, config) in golden.lines().zip(TOPIC_CONFIGS) {
            let fields: Vec<&str> = line.split('\t').collect();
            let absent = |text: &'static str| if matches!(text, "-" | "\"\"") { "" } else { text };
            let kind = match config.value_type {
                Text => "STRING".to_owned(),
                Bool => "BOOLEAN".to_owned(),
                other => format!("{other:?}").to_uppercase(),
            };
            assert_eq!((config.name, kind.as_str()), (fields[0], fields[1]));
            assert_eq!(
                (config.default, config.valid),
                (absent(fields[2]), absent(fields[3])),
                "{}",
                config.name
            );
            let synonym = fields[4].split(',').next().map(absent).filter(|name| !name.is_empty());
            assert_eq!(config.broker_synonym, synonym, "{}", config.name);
        }
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        for config in TOPIC_CONFIGS {
            assert_eq!(topic_config(config.name), Some(config));
        }
        assert_eq!(topic_config("retention.hours"), None);
    }

    #[test]
    fn values_are_compared_by_meaning() {
        let same =
            |name: &str, a: &str, b: &str| topic_config(name).is_some_and(|config| config.same_value(a, b));
        assert!(same("cleanup.policy", "compact,delete", "delete, compact"));
        assert!(same("unclean.leader.election.enable", "FALSE", "false"));
        assert!(same("retention.ms", "604800000", " 604800000"));
        assert!(!same("retention.ms", "x", "y"));
        assert!(!same("min.insync.replicas", "1", "2"));
    }
}
