//! Topic and broker settings: what is allowed, where a value comes from, and what the log makes of it.
//!
//! A topic's value is its own, else the broker's dynamic one for this node, else the dynamic one for all nodes, else what
//! the broker was started with, else Kafka's default: the order in which `DescribeConfigs` lists synonyms (KIP-226).

mod broker;
mod check;
mod table;

use std::collections::BTreeMap;

use klamm_kafka::topic_config;
use klamm_wire::batch::TimestampType;

use crate::disk::Disk;
pub(crate) use broker::BrokerSettings;
pub(crate) use check::{check_broker_value, check_topic_values};
pub(crate) use table::{SettingType, Update, broker_setting};

/// Names and values that somebody set.
pub(crate) type Values = BTreeMap<String, String>;

/// What the log of a topic obeys.
#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    pub max_message_bytes: u64,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub segment_bytes: u64,
    pub segment_ms: i64,
    pub index_interval_bytes: u64,
    /// `None`: kept for ever.
    pub retention_ms: Option<i64>,
    /// `None`: any size.
    pub retention_bytes: Option<u64>,
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub compact: bool,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub min_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// The disk that the log is on.
    pub disk: Disk,
}

impl LogSettings {
    /// Reads the settings that count from `value`, which has been validated.
    fn from_values(value: impl Fn(&str) -> String) -> Self {
        let long = |name: &str| value(name).trim().parse::<i64>().unwrap_or_default();
        let size = |name: &str| u64::try_from(long(name)).unwrap_or_default();
        let policy = value("cleanup.policy");
        let has = |wanted: &str| policy.split(',').any(|item| item.trim() == wanted);
        Self {
            max_message_bytes: size("max.message.bytes"),
            timestamp_type: match value("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            segment_bytes: size("segment.bytes"),
            segment_ms: long("segment.ms"),
            index_interval_bytes: size("index.interval.bytes"),
            retention_ms: Some(long("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(long("retention.bytes")).ok(),
            delete: has("delete"),
            compact: has("compact"),
            delete_retention_ms: long("delete.retention.ms"),
            min_dirty_ratio: value("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            disk: Disk::default(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self::from_values(|name| {
            topic_config(name).map_or_else(String::new, |config| config.default.to_owned())
        })
    }
}

/// Where a value comes from; the numbers are those of `DescribeConfigsResponse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Topic = 1,
    DynamicNode = 2,
    DynamicDefault = 3,
    Static = 4,
    Default = 5,
    Group = 8,
}

/// One setting as `DescribeConfigs` reports it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub name: String,
    pub setting_type: SettingType,
    pub read_only: bool,
    /// The value that is in force. `None`: there is none.
    pub value: Option<String>,
    /// Every place that has a value under this name, or under another that stands in for it, the one that counts first.
    pub synonyms: Vec<Synonym>,
}

/// One place that has a value for a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synonym {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: Source,
}

impl Described {
    /// Where the value comes from, as Kafka tells it: a default, when only a setting of a longer unit has it.
    pub fn source(&self) -> Source {
        self.synonyms.first().map_or(Source::Default, |synonym| synonym.source)
    }

    /// The value as clients may see it.
    pub fn visible_value(&self) -> Option<&str> {
        self.value.as_deref().filter(|_| !self.setting_type.is_sensitive())
    }
}
