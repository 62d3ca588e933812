//! Every setting of a Kafka 4.3.1 broker: type, default, range, and whether it changes while the broker runs.
//!
//! The table beside this file has one line for each name in `AbstractKafkaConfig.CONFIG_DEF` that is not internal, with the
//! update mode of `DynamicBrokerConfig`: name, type, mode, default and range, with tabs between them; `-` is nothing, `""` is
//! the empty text.

use std::sync::LazyLock;

use klamm_kafka::ValueType;

const TABLE: &str = include_str!("broker-settings-4.3.1.tsv");

/// Type of a setting, numbered as `DescribeConfigsResponse` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettingType {
    Unknown = 0,
    Bool = 1,
    Text = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

impl From<ValueType> for SettingType {
    fn from(value_type: ValueType) -> Self {
        match value_type {
            ValueType::Bool => Self::Bool,
            ValueType::Int => Self::Int,
            ValueType::Long => Self::Long,
            ValueType::Double => Self::Double,
            ValueType::Text => Self::Text,
            ValueType::List => Self::List,
        }
    }
}

impl SettingType {
    fn parse(name: &str) -> Self {
        match name {
            "boolean" => Self::Bool,
            "string" => Self::Text,
            "int" => Self::Int,
            "short" => Self::Short,
            "long" => Self::Long,
            "double" => Self::Double,
            "list" => Self::List,
            "class" => Self::Class,
            "password" => Self::Password,
            _ => Self::Unknown,
        }
    }

    /// Whether its values are never told.
    pub fn is_sensitive(self) -> bool {
        matches!(self, Self::Password | Self::Unknown)
    }

    /// `value` as Kafka prints it after parsing.
    pub fn canonical(self, value: &str) -> String {
        match self {
            Self::Bool => value.trim().to_ascii_lowercase(),
            Self::List => {
                let mut items: Vec<&str> = Vec::new();
                for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                    // What is said twice counts once (KIP-1161).
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                items.join(",")
            }
            _ => value.trim().to_owned(),
        }
    }
}

/// How a setting can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    /// Only before the broker starts.
    ReadOnly,
    /// While it runs, for one broker.
    PerBroker,
    /// While it runs, for one listener, with the listener's prefix.
    PerListener,
    /// While it runs, for one broker or for all.
    ClusterWide,
}

/// One setting of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokerSetting {
    pub name: &'static str,
    pub setting_type: SettingType,
    pub update: Update,
    /// Kafka's default, if it has one.
    pub default: Option<&'static str>,
    /// Allowed values as Kafka words them; empty when any value of the type goes.
    pub valid: &'static str,
}

static SETTINGS: LazyLock<Vec<BrokerSetting>> = LazyLock::new(|| TABLE.lines().filter_map(row).collect());

fn row(line: &'static str) -> Option<BrokerSetting> {
    let mut fields = line.split('\t');
    let (name, setting_type) = (fields.next()?, SettingType::parse(fields.next()?));
    let update = match fields.next()? {
        "cluster-wide" => Update::ClusterWide,
        "per-broker" => Update::PerBroker,
        "per-listener" => Update::PerListener,
        _ => Update::ReadOnly,
    };
    let default = match fields.next()? {
        "-" => None,
        "\"\"" => Some(""),
        text => Some(text),
    };
    let valid = fields.next().filter(|valid| *valid != "-").unwrap_or("");
    Some(BrokerSetting { name, setting_type, update, default, valid })
}

/// All of them, by name.
pub(crate) fn broker_settings() -> &'static [BrokerSetting] {
    &SETTINGS
}

/// The setting of this name.
pub(crate) fn broker_setting(name: &str) -> Option<&'static BrokerSetting> {
    let at = SETTINGS.binary_search_by(|setting| setting.name.cmp(name)).ok()?;
    SETTINGS.get(at)
}

/// The names under which a value may be set, the one that counts first: `DynamicBrokerConfig.brokerConfigSynonyms`.
pub(crate) fn names_of(name: &'static str) -> &'static [&'static str] {
    const RETENTION: &[&str] = &["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    const ROLL: &[&str] = &["log.roll.ms", "log.roll.hours"];
    const JITTER: &[&str] = &["log.roll.jitter.ms", "log.roll.jitter.hours"];
    const FLUSH: &[&str] = &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];
    for chain in [RETENTION, ROLL, JITTER] {
        if chain.contains(&name) {
            return chain;
        }
    }
    match broker_setting(name) {
        _ if name == FLUSH[0] => FLUSH,
        Some(setting) => std::slice::from_ref(&setting.name),
        None => &[],
    }
}

/// Milliseconds in one unit of the setting: 1 unless its name ends in a longer unit.
pub(crate) fn unit_ms(name: &str) -> i64 {
    match name.rsplit('.').next() {
        Some("hours") => 3_600_000,
        Some("minutes") => 60_000,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_kafka::TOPIC_CONFIGS;

    #[test]
    fn a_list_is_told_without_spaces_and_repetitions() {
        assert_eq!(SettingType::List.canonical(" delete, compact,delete"), "delete,compact");
    }

    #[test]
    fn the_table_is_read_whole_and_in_order() {
        assert_eq!(broker_settings().len(), TABLE.lines().count());
        assert!(broker_settings().is_sorted_by_key(|setting| setting.name));
        assert!(broker_settings().iter().all(|setting| setting.setting_type != SettingType::Unknown));
    }

    #[test]
    fn what_stands_behind_a_topic_setting_is_in_the_table_and_changes_while_the_broker_runs() {
        for config in TOPIC_CONFIGS {
            let Some(name) = config.broker_synonym else { continue };
            let setting = broker_setting(name).unwrap();
            assert_eq!(setting.update, Update::ClusterWide, "{name}");
            assert_eq!(setting.setting_type, config.value_type.into(), "{name}");
            assert_eq!(names_of(setting.name)[0], name);
        }
    }
}
