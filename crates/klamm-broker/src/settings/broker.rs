//! The broker's own settings: where each value comes from, and what topics inherit.

use std::collections::BTreeMap;

use klamm_kafka::{TOPIC_CONFIGS, TopicConfig, topic_config};

use super::table::{BrokerSetting, SettingType, Update, broker_setting, broker_settings, names_of, unit_ms};
use super::{Described, LogSettings, Source, Synonym, Values};
use crate::config::BrokerConfig;
use crate::disk::Disk;
use crate::group::{GROUP_SETTINGS, GroupSetting};
use crate::security::ListenerTexts;

/// The broker's own settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokerSettings {
    /// What the broker was started with.
    fixed: BTreeMap<&'static str, String>,
    /// Set by `IncrementalAlterConfigs` for all nodes.
    pub dynamic_default: Values,
    /// Set by `IncrementalAlterConfigs` for this node; these outrank the former.
    pub dynamic_node: Values,
    /// The disk under the data directory, for the logs of the topics.
    pub disk: Disk,
}

impl BrokerSettings {
    pub fn new(config: &BrokerConfig, node_id: i32, listeners: &ListenerTexts, data_dir: &str) -> Self {
        let millis = |duration: std::time::Duration| duration.as_millis().to_string();
        let groups = &config.consumer_groups;
        let always = [
            ("advertised.listeners", listeners.advertised.clone()),
            ("broker.id", node_id.to_string()),
            ("listeners", listeners.own.clone()),
            ("log.dirs", data_dir.to_owned()),
            ("node.id", node_id.to_string()),
            ("process.roles", "broker,controller".to_owned()),
        ];
        let unless_default = [
            ("auto.create.topics.enable", config.auto_create_topics.to_string()),
            ("connections.max.idle.ms", millis(config.max_idle)),
            ("group.initial.rebalance.delay.ms", millis(config.group_initial_rebalance_delay)),
            ("group.consumer.assignment.interval.ms", millis(groups.assignment_interval)),
            ("group.consumer.heartbeat.interval.ms", millis(groups.heartbeat_interval)),
            ("group.consumer.max.heartbeat.interval.ms", millis(groups.max_heartbeat_interval)),
            ("group.consumer.max.session.timeout.ms", millis(groups.max_session_timeout)),
            ("group.consumer.max.size", groups.max_size.to_string()),
            ("group.consumer.migration.policy", groups.migration_policy.name().to_owned()),
            ("group.consumer.min.heartbeat.interval.ms", millis(groups.min_heartbeat_interval)),
            ("group.consumer.min.session.timeout.ms", millis(groups.min_session_timeout)),
            ("group.consumer.session.timeout.ms", millis(groups.session_timeout)),
            ("group.max.size", config.group_max_size.to_string()),
            ("group.min.session.timeout.ms", millis(config.group_min_session_timeout)),
            ("log.retention.check.interval.ms", millis(config.retention_check_interval)),
            ("max.connections", config.max_connections.to_string()),
            ("max.connections.per.ip", config.max_connections_per_ip.to_string()),
            ("offset.metadata.max.bytes", config.offset_metadata_max_bytes.to_string()),
            ("offsets.retention.check.interval.ms", millis(config.offsets_retention_check_interval)),
            ("offsets.retention.minutes", (config.offsets_retention.as_secs() / 60).to_string()),
            ("num.partitions", config.default_partitions.to_string()),
            (
                "transaction.abort.timed.out.transaction.cleanup.interval.ms",
                millis(config.transaction_check_interval),
            ),
            ("transaction.max.timeout.ms", millis(config.transaction_max_timeout)),
            ("socket.request.max.bytes", config.max_request_bytes.to_string()),
        ];
        let is_default = |name: &str, value: &str| {
            broker_setting(name).is_some_and(|setting| setting.default == Some(value))
        };
        let changed = unless_default.into_iter().filter(|(name, value)| !is_default(name, value));
        let mut fixed: BTreeMap<_, _> = always.into_iter().chain(changed).collect();
        for (name, value) in &config.settings {
            if let Some(setting) = broker_setting(name) {
                fixed.entry(setting.name).or_insert_with(|| setting.setting_type.canonical(value));
            }
        }
        Self { fixed, ..Self::default() }
    }

    /// Every place that has a value under one of `names`, the one that counts first.
    fn places(&self, names: &'static [&'static str]) -> Vec<Synonym> {
        let synonym = |name: &'static str, value: Option<String>, source| {
            value.map(|value| Synonym { name, value: Some(value), source })
        };
        let node = names.iter().map(|name| (name, self.dynamic_node.get(*name), Source::DynamicNode));
        let all = names.iter().map(|name| (name, self.dynamic_default.get(*name), Source::DynamicDefault));
        let fixed = names.iter().map(|name| (name, self.fixed.get(name), Source::Static));
        let set = node.chain(all).chain(fixed);
        let set = set.filter_map(|(name, value, source)| synonym(name, value.cloned(), source));
        let defaults = names.iter().filter_map(|name| {
            let default = broker_setting(name)?.default?;
            synonym(name, Some(default.to_owned()), Source::Default)
        });
        set.chain(defaults).collect()
    }

    /// The places of `name`, from the first that has its very name on: as Kafka lists synonyms.
    fn synonyms(&self, name: &'static str) -> Vec<Synonym> {
        let places = self.places(names_of(name));
        places.into_iter().skip_while(|place| place.name != name).collect()
    }

    /// The value that is in force, in the unit of `name`: that of a longer unit counts if nothing nearer is set.
    fn in_force(&self, name: &'static str) -> Option<String> {
        let names = names_of(name);
        let places = self.places(names);
        // Kafka asks for each name in turn, and for each of them where it is set.
        let first = names.iter().find_map(|name| places.iter().find(|place| place.name == *name))?;
        let value = first.value.as_deref()?;
        match unit_ms(first.name) / unit_ms(name) {
            0 | 1 => Some(value.to_owned()),
            times => value.trim().parse::<i64>().ok().map(|units| match units {
                ..0 => units.to_string(),
                0.. => units.saturating_mul(times).to_string(),
            }),
        }
    }

    /// A number that is in force.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.in_force(broker_setting(name)?.name)?.trim().parse().ok()
    }

    /// All settings of the broker, by name, with those that somebody set although Kafka does not know them.
    pub fn describe(&self) -> Vec<Described> {
        let known = broker_settings().iter().map(|setting| self.describe_broker_setting(setting));
        let unknown = self.dynamic_node.iter().chain(&self.dynamic_default).filter_map(unknown_setting);
        let mut all: Vec<_> = known.chain(unknown).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.dedup_by(|a, b| a.name == b.name);
        all
    }

    fn describe_broker_setting(&self, setting: &BrokerSetting) -> Described {
        let synonyms = self.synonyms(setting.name);
        let own = synonyms.iter().find(|place| place.name == setting.name);
        let value = own.and_then(|place| place.value.clone());
        Described {
            name: setting.name.to_owned(),
            setting_type: setting.setting_type,
            read_only: setting.update == Update::ReadOnly,
            value: value.map(|value| setting.setting_type.canonical(&value)),
            synonyms,
        }
    }

    /// What is set for all nodes, by name.
    pub fn describe_dynamic_defaults(&self) -> Vec<Described> {
        let described = self.dynamic_default.iter().filter_map(|(name, value)| {
            let Some(setting) = broker_setting(name) else { return unknown_setting((name, value)) };
            let synonym =
                Synonym { name: setting.name, value: Some(value.clone()), source: Source::DynamicDefault };
            Some(Described {
                name: name.clone(),
                setting_type: setting.setting_type,
                read_only: setting.update == Update::ReadOnly,
                value: Some(value.clone()),
                synonyms: vec![synonym],
            })
        });
        described.collect()
    }

    /// All settings of a topic that has set `values`, by name.
    pub fn describe_topic(&self, values: &Values) -> Vec<Described> {
        TOPIC_CONFIGS.iter().map(|config| self.describe_topic_setting(config, values)).collect()
    }

    fn describe_topic_setting(&self, config: &'static TopicConfig, values: &Values) -> Described {
        let setting_type = SettingType::from(config.value_type);
        let own = values.get(config.name).map(|value| Synonym {
            name: config.name,
            value: Some(setting_type.canonical(value)),
            source: Source::Topic,
        });
        let below = config.broker_synonym.and_then(broker_setting).map(|setting| setting.name);
        let value = own.as_ref().and_then(|own| own.value.clone());
        let value = value.or_else(|| below.and_then(|name| self.in_force(name)));
        let inherited = below.map(|name| self.synonyms(name)).unwrap_or_default();
        Described {
            name: config.name.to_owned(),
            setting_type,
            read_only: false,
            value: Some(setting_type.canonical(&value.unwrap_or_else(|| config.default.to_owned()))),
            synonyms: own.into_iter().chain(inherited).collect(),
        }
    }

    /// All settings of a group that was given `values` of its own, by name.
    pub fn describe_group(&self, values: &Values) -> Vec<Described> {
        GROUP_SETTINGS.iter().map(|setting| self.describe_group_setting(setting, values)).collect()
    }

    fn describe_group_setting(&self, setting: &'static GroupSetting, values: &Values) -> Described {
        let setting_type = SettingType::from(setting.value_type);
        let own = values.get(setting.name).map(|value| Synonym {
            name: setting.name,
            value: Some(setting_type.canonical(value)),
            source: Source::Group,
        });
        let inherited = match setting.broker_synonym.and_then(broker_setting) {
            Some(below) => self.synonyms(below.name),
            None => {
                let value = Some(setting.default.to_owned());
                vec![Synonym { name: setting.name, value, source: Source::Default }]
            }
        };
        let synonyms: Vec<_> = own.into_iter().chain(inherited).collect();
        Described {
            name: setting.name.to_owned(),
            setting_type,
            read_only: false,
            value: synonyms.first().and_then(|synonym| synonym.value.clone()),
            synonyms,
        }
    }

    /// What the log of a topic obeys that has set `values`.
    pub fn log_settings(&self, values: &Values) -> LogSettings {
        let settings = LogSettings::from_values(|name| {
            let described = topic_config(name).map(|config| self.describe_topic_setting(config, values));
            described.and_then(|described| described.value).unwrap_or_default()
        });
        LogSettings { disk: self.disk.clone(), ..settings }
    }
}

/// A setting that Kafka does not know. Its type is not known either, so its value is not told.
fn unknown_setting((name, _): (&String, &String)) -> Option<Described> {
    broker_setting(name).is_none().then(|| Described {
        name: name.clone(),
        setting_type: SettingType::Unknown,
        read_only: true,
        value: None,
        synonyms: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(
        broker: &BrokerSettings,
        values: &Values,
        name: &str,
    ) -> (String, Source, Vec<&'static str>) {
        let all = broker.describe_topic(values);
        let described = all.into_iter().find(|described| described.name == name).unwrap();
        let names = described.synonyms.iter().map(|synonym| synonym.name).collect();
        (described.value.clone().unwrap(), described.source(), names)
    }

    #[test]
    fn a_value_comes_from_the_nearest_place() {
        let mut broker = BrokerSettings::new(&BrokerConfig::default(), 1, &ListenerTexts::default(), "");
        let mut own = Values::new();
        let value = |broker: &BrokerSettings, own: &Values| {
            let (value, source, _) = described(broker, own, "max.message.bytes");
            (value, source)
        };
        assert_eq!(value(&broker, &own), ("1048588".into(), Source::Default));
        broker.dynamic_default.insert("message.max.bytes".into(), "1".into());
        assert_eq!(value(&broker, &own), ("1".into(), Source::DynamicDefault));
        broker.dynamic_node.insert("message.max.bytes".into(), "2".into());
        assert_eq!(value(&broker, &own), ("2".into(), Source::DynamicNode));
        own.insert("max.message.bytes".into(), "3".into());
        assert_eq!(value(&broker, &own), ("3".into(), Source::Topic));
        assert_eq!(broker.log_settings(&own).max_message_bytes, 3);
    }

    #[test]
    fn retention_in_longer_units_counts_when_nothing_nearer_is_set() {
        let config = BrokerConfig {
            settings: Values::from([("log.retention.hours".into(), "2".into())]),
            ..BrokerConfig::default()
        };
        let mut broker = BrokerSettings::new(&config, 1, &ListenerTexts::default(), "");
        let retention = |broker: &BrokerSettings| described(broker, &Values::new(), "retention.ms");
        assert_eq!(retention(&broker), ("7200000".into(), Source::Default, vec![]), "as Kafka tells it");
        broker.dynamic_node.insert("log.retention.ms".into(), "5".into());
        let places = vec!["log.retention.ms", "log.retention.hours", "log.retention.hours"];
        assert_eq!(retention(&broker), ("5".into(), Source::DynamicNode, places));
    }

    #[test]
    fn passwords_and_what_kafka_does_not_know_are_sensitive() {
        let mut broker = BrokerSettings::new(&BrokerConfig::default(), 1, &ListenerTexts::default(), "/d");
        broker.dynamic_node.insert("my.own".into(), "secret".into());
        let all = broker.describe();
        let find = |name: &str| all.iter().find(|described| described.name == name).unwrap();
        assert!(find("ssl.key.password").setting_type.is_sensitive());
        assert_eq!((find("my.own").value.as_deref(), find("my.own").read_only), (None, true));
        assert_eq!(find("log.dirs").source(), Source::Static);
        assert_eq!(find("auto.create.topics.enable").source(), Source::Default);
        assert!(!find("log.retention.ms").read_only && find("log.retention.hours").read_only);
    }
}
