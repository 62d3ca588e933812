//! Topic and broker settings: what is allowed, where a value comes from, and what the log makes of it.
//!
//! A topic's value is its own, else the broker's dynamic one for this node, else the dynamic one for all nodes, else what
//! the broker was started with, else Kafka's default: the order in which `DescribeConfigs` lists synonyms (KIP-226).

use std::collections::BTreeMap;

use klamm_kafka::{ErrorCode, TOPIC_CONFIGS, TopicConfig, ValueType, topic_config};
use klamm_wire::batch::TimestampType;

use crate::config::BrokerConfig;
use crate::error::Refusal;

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
}

/// One setting as `DescribeConfigs` reports it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub name: &'static str,
    pub value_type: ValueType,
    pub read_only: bool,
    /// Every place that has a value, the one that counts first. Never empty.
    pub synonyms: Vec<Synonym>,
}

/// One place that has a value for a setting.
#[derive(Debug, Clone)]
pub(crate) struct Synonym {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: Source,
}

impl Described {
    pub fn value(&self) -> Option<&str> {
        self.synonyms.first()?.value.as_deref()
    }

    pub fn source(&self) -> Source {
        self.synonyms.first().map_or(Source::Default, |synonym| synonym.source)
    }
}

/// The broker's own settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokerSettings {
    /// What the broker was started with.
    fixed: BTreeMap<&'static str, String>,
    /// Set by `IncrementalAlterConfigs` for all nodes.
    pub dynamic_default: Values,
    /// Set by `IncrementalAlterConfigs` for this node; these outrank the former.
    pub dynamic_node: Values,
}

impl BrokerSettings {
    pub fn new(config: &BrokerConfig, node_id: i32, listener: &str, data_dir: &str) -> Self {
        let millis = |duration: std::time::Duration| duration.as_millis().to_string();
        let fixed = BTreeMap::from([
            ("advertised.listeners", listener.to_owned()),
            ("auto.create.topics.enable", config.auto_create_topics.to_string()),
            ("broker.id", node_id.to_string()),
            ("connections.max.idle.ms", millis(config.max_idle)),
            ("group.initial.rebalance.delay.ms", millis(config.group_initial_rebalance_delay)),
            ("group.min.session.timeout.ms", millis(config.group_min_session_timeout)),
            ("listeners", listener.to_owned()),
            ("log.dirs", data_dir.to_owned()),
            ("log.retention.check.interval.ms", millis(config.retention_check_interval)),
            ("max.connections", config.max_connections.to_string()),
            ("node.id", node_id.to_string()),
            ("num.partitions", config.default_partitions.to_string()),
            ("process.roles", "broker,controller".to_owned()),
            ("socket.request.max.bytes", config.max_request_bytes.to_string()),
        ]);
        Self { fixed, ..Self::default() }
    }

    /// Every place of the broker that has a value for the setting `name`, the one that counts first.
    fn places(&self, name: &'static str, default: Option<&str>) -> Vec<Synonym> {
        let set = [
            (self.dynamic_node.get(name), Source::DynamicNode),
            (self.dynamic_default.get(name), Source::DynamicDefault),
            (self.fixed.get(name), Source::Static),
        ];
        let set = set.into_iter().filter_map(|(value, source)| Some((Some(value?.clone()), source)));
        let default = std::iter::once((default.map(str::to_owned), Source::Default));
        set.chain(default).map(|(value, source)| Synonym { name, value, source }).collect()
    }

    /// All settings of the broker, by name.
    pub fn describe(&self) -> Vec<Described> {
        let own = BROKER_SETTINGS.iter().map(|(name, value_type, default)| Described {
            name,
            value_type: *value_type,
            read_only: true,
            synonyms: self.places(name, *default),
        });
        let of_topics = TOPIC_CONFIGS.iter().filter_map(|config| {
            let name = config.broker_synonym?;
            Some(Described {
                name,
                value_type: config.value_type,
                read_only: false,
                synonyms: self.places(name, broker_default(name, config)),
            })
        });
        let mut all: Vec<_> = own.chain(of_topics).collect();
        all.sort_by_key(|described| described.name);
        all
    }

    /// What is set for all nodes, by name.
    pub fn describe_dynamic_defaults(&self) -> Vec<Described> {
        let of_topics = self.dynamic_default.iter().filter_map(|(name, value)| {
            let config = dynamic_broker_setting(name)?;
            let (name, value) = (config.broker_synonym?, Some(value.clone()));
            let synonyms = vec![Synonym { name, value, source: Source::DynamicDefault }];
            Some(Described { name, value_type: config.value_type, read_only: false, synonyms })
        });
        of_topics.collect()
    }

    /// All settings of a topic that has set `values`, by name.
    pub fn describe_topic(&self, values: &Values) -> Vec<Described> {
        TOPIC_CONFIGS.iter().map(|config| self.describe_topic_setting(config, values)).collect()
    }

    fn describe_topic_setting(&self, config: &'static TopicConfig, values: &Values) -> Described {
        let own = values.get(config.name).map(|value| Synonym {
            name: config.name,
            value: Some(value.clone()),
            source: Source::Topic,
        });
        let below = self.places(config.broker_synonym.unwrap_or(config.name), Some(config.default));
        Described {
            name: config.name,
            value_type: config.value_type,
            read_only: false,
            synonyms: own.into_iter().chain(below).collect(),
        }
    }

    /// What the log of a topic obeys that has set `values`.
    pub fn log_settings(&self, values: &Values) -> LogSettings {
        LogSettings::from_values(|name| {
            let described = topic_config(name).map(|config| self.describe_topic_setting(config, values));
            described.and_then(|d| d.value().map(str::to_owned)).unwrap_or_default()
        })
    }

    /// `offset.metadata.max.bytes`.
    pub const OFFSET_METADATA_MAX_BYTES: usize = 4096;
}

/// Kafka leaves the `.ms` variants unset and takes the hours from elsewhere.
fn broker_default(name: &str, config: &TopicConfig) -> Option<&'static str> {
    let unset = matches!(name, "log.retention.ms" | "log.roll.ms" | "log.roll.jitter.ms");
    (!unset).then_some(config.default)
}

/// The topic configuration behind a broker setting that may be changed while the broker runs.
pub(crate) fn dynamic_broker_setting(name: &str) -> Option<&'static TopicConfig> {
    TOPIC_CONFIGS.iter().find(|config| config.broker_synonym == Some(name))
}

/// Broker settings that are told but cannot be changed while it runs; the rest are synonyms of topic settings.
const BROKER_SETTINGS: &[(&str, ValueType, Option<&str>)] = &[
    ("advertised.listeners", ValueType::List, None),
    ("auto.create.topics.enable", ValueType::Bool, Some("true")),
    ("broker.id", ValueType::Int, Some("-1")),
    ("broker.rack", ValueType::Text, None),
    ("connections.max.idle.ms", ValueType::Long, Some("600000")),
    ("default.replication.factor", ValueType::Int, Some("1")),
    ("delete.topic.enable", ValueType::Bool, Some("true")),
    ("group.initial.rebalance.delay.ms", ValueType::Int, Some("3000")),
    ("group.max.session.timeout.ms", ValueType::Int, Some("1800000")),
    ("group.max.size", ValueType::Int, Some("2147483647")),
    ("group.min.session.timeout.ms", ValueType::Int, Some("6000")),
    ("listeners", ValueType::List, None),
    ("log.dirs", ValueType::List, None),
    ("log.retention.check.interval.ms", ValueType::Long, Some("300000")),
    ("log.retention.hours", ValueType::Int, Some("168")),
    ("log.roll.hours", ValueType::Int, Some("168")),
    ("max.connections", ValueType::Int, Some("2147483647")),
    ("node.id", ValueType::Int, None),
    ("num.partitions", ValueType::Int, Some("1")),
    ("offset.metadata.max.bytes", ValueType::Int, Some("4096")),
    ("offsets.retention.minutes", ValueType::Int, Some("10080")),
    ("process.roles", ValueType::List, None),
    ("producer.id.expiration.ms", ValueType::Int, Some("86400000")),
    ("replica.lag.time.max.ms", ValueType::Long, Some("30000")),
    ("socket.request.max.bytes", ValueType::Int, Some("104857600")),
];

/// Checks the values that a topic is to have.
///
/// # Errors
/// `INVALID_CONFIG` that names the setting, the value and what is allowed.
pub(crate) fn check_topic_values(values: &Values) -> Result<(), Refusal> {
    for (name, value) in values {
        let config = topic_config(name).ok_or_else(|| unknown_topic_setting(name))?;
        check_value(config, name, value)?;
    }
    Ok(())
}

/// The error for a topic setting that does not exist.
pub(crate) fn unknown_topic_setting(name: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_CONFIG, format!("Unknown topic config name: {name}"))
}

/// Checks `value` against the type and range of `config`. `name` is what the client calls it.
pub(crate) fn check_value(config: &TopicConfig, name: &str, value: &str) -> Result<(), Refusal> {
    let refused = |why: String| {
        let message = format!("Invalid value {value} for configuration {name}: {why}");
        Err(Refusal::new(ErrorCode::INVALID_CONFIG, message))
    };
    let text = value.trim();
    match config.value_type {
        ValueType::Bool if !matches!(text.to_ascii_lowercase().as_str(), "true" | "false") => {
            refused("Expected value to be either true or false".to_owned())
        }
        ValueType::Int if text.parse::<i32>().is_err() => refused("Not a number of type INT".to_owned()),
        ValueType::Long if text.parse::<i64>().is_err() => refused("Not a number of type LONG".to_owned()),
        ValueType::Double if !text.parse::<f64>().is_ok_and(f64::is_finite) => {
            refused("Not a number of type DOUBLE".to_owned())
        }
        _ => match Valid::parse(config.valid).check(config.value_type, text) {
            Ok(()) => Ok(()),
            Err(why) => refused(why),
        },
    }
}

/// The allowed values of a setting, read from how Kafka words them.
#[derive(Debug, PartialEq)]
enum Valid<'a> {
    Anything,
    OneOf(Vec<&'a str>),
    Range { least: f64, most: Option<f64>, or: Option<f64> },
}

impl<'a> Valid<'a> {
    fn parse(text: &'a str) -> Self {
        let (list, or) = text.split_once(" or ").map_or((text, None), |(list, or)| (list, or.parse().ok()));
        let Some(list) = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')) else {
            return Self::Anything;
        };
        match list.split_once(",...") {
            Some((least, rest)) => match least.parse() {
                Ok(least) => Self::Range { least, most: rest.trim_start_matches(',').parse().ok(), or },
                // `[partitionId]:[brokerId],...`
                Err(_) => Self::Anything,
            },
            None if list.contains(':') => Self::Anything,
            None => Self::OneOf(list.split(", ").collect()),
        }
    }

    fn check(&self, value_type: ValueType, text: &str) -> Result<(), String> {
        match self {
            Self::Anything => Ok(()),
            Self::OneOf(allowed) => {
                let items = match value_type {
                    ValueType::List => text.split(',').map(str::trim).collect(),
                    _ => vec![text],
                };
                match items.iter().find(|item| !allowed.contains(item)) {
                    Some(_) => Err(format!("String must be one of: {}", allowed.join(", "))),
                    None => Ok(()),
                }
            }
            Self::Range { least, most, or } => {
                let number: f64 = text.parse().map_err(|_| "Not a number".to_owned())?;
                if *or == Some(number) {
                    return Ok(());
                }
                if number < *least {
                    return Err(format!("Value must be at least {least}"));
                }
                match most {
                    Some(most) if number > *most => Err(format!("Value must be no more than {most}")),
                    _ => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> bool {
        check_topic_values(&Values::from([(name.to_owned(), value.to_owned())])).is_ok()
    }

    #[test]
    fn every_default_of_kafka_is_allowed() {
        for config in TOPIC_CONFIGS {
            assert!(
                check_value(config, config.name, config.default).is_ok(),
                "{} {}",
                config.name,
                config.default
            );
        }
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        assert!(check("cleanup.policy", "compact, delete") && !check("cleanup.policy", "shred"));
        assert!(check("min.insync.replicas", "2") && !check("min.insync.replicas", "0"));
        assert!(check("retention.ms", "-1") && !check("retention.ms", "-2") && !check("retention.ms", "1h"));
        assert!(check("compression.gzip.level", "-1") && !check("compression.gzip.level", "0"));
        assert!(check("min.cleanable.dirty.ratio", "0.7") && !check("min.cleanable.dirty.ratio", "1.5"));
        assert!(
            check("unclean.leader.election.enable", "TRUE")
                && !check("unclean.leader.election.enable", "yes")
        );
        assert!(!check("segment.bytes", "1024") && !check("retention.hours", "1"));
    }

    #[test]
    fn a_value_comes_from_the_nearest_place() {
        let mut broker = BrokerSettings::new(&BrokerConfig::default(), 1, "", "");
        let name = |source| (source, "max.message.bytes");
        let value = |broker: &BrokerSettings, values: &Values| {
            let all = broker.describe_topic(values);
            let described = all.into_iter().find(|d| d.name == "max.message.bytes").unwrap();
            (described.value().unwrap().to_owned(), (described.source(), described.name))
        };
        assert_eq!(value(&broker, &Values::new()), ("1048588".into(), name(Source::Default)));
        broker.dynamic_default.insert("message.max.bytes".into(), "1".into());
        assert_eq!(value(&broker, &Values::new()), ("1".into(), name(Source::DynamicDefault)));
        broker.dynamic_node.insert("message.max.bytes".into(), "2".into());
        assert_eq!(value(&broker, &Values::new()), ("2".into(), name(Source::DynamicNode)));
        let own = Values::from([("max.message.bytes".into(), "3".into())]);
        assert_eq!(value(&broker, &own), ("3".into(), name(Source::Topic)));
        assert_eq!(broker.log_settings(&own).max_message_bytes, 3);
    }
}
