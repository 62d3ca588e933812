//! What groups obey: the broker's settings, and those that a group was given as configuration resource of type GROUP (32).

use std::collections::BTreeMap;

use klamm_kafka::{ErrorCode, ValueType};

use super::assign::Assignor;
use super::consumer::ConsumerSettings;
use super::state::ClassicSettings;
use crate::clock::millis;
use crate::config::BrokerConfig;
use crate::error::Refusal;
use crate::settings::Values;

/// A setting of groups.
#[derive(Debug)]
pub(crate) struct GroupSetting {
    pub name: &'static str,
    pub value_type: ValueType,
    pub default: &'static str,
    /// The broker's setting behind it.
    pub broker_synonym: Option<&'static str>,
    allowed: Allowed,
}

#[derive(Debug, Clone, Copy)]
enum Allowed {
    /// Between the broker's `min` and `max` of the same name.
    Range {
        least: i64,
        most: i64,
    },
    OneOf(&'static [&'static str]),
}

const fn number(
    name: &'static str,
    default: &'static str,
    broker_synonym: &'static str,
    least: i64,
    most: i64,
) -> GroupSetting {
    let allowed = Allowed::Range { least, most };
    GroupSetting { name, value_type: ValueType::Int, default, broker_synonym: Some(broker_synonym), allowed }
}

const fn choice(
    name: &'static str,
    value_type: ValueType,
    default: &'static str,
    allowed: &'static [&'static str],
) -> GroupSetting {
    GroupSetting { name, value_type, default, broker_synonym: None, allowed: Allowed::OneOf(allowed) }
}

const SESSION: &str = "consumer.session.timeout.ms";
const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
pub(super) const ASSIGNMENT_INTERVAL: &str = "consumer.assignment.interval.ms";

/// The settings of `GroupConfig`, by name. Those of share and streams groups are kept and told, and mean nothing here.
pub(crate) const GROUP_SETTINGS: &[GroupSetting] = &[
    number(ASSIGNMENT_INTERVAL, "1000", "group.consumer.assignment.interval.ms", 0, 15_000),
    number(HEARTBEAT, "5000", "group.consumer.heartbeat.interval.ms", 5_000, 15_000),
    number(SESSION, "45000", "group.consumer.session.timeout.ms", 45_000, 60_000),
    number("share.assignment.interval.ms", "1000", "group.share.assignment.interval.ms", 0, 15_000),
    choice("share.auto.offset.reset", ValueType::Text, "latest", &[]),
    number("share.delivery.count.limit", "5", "group.share.delivery.count.limit", 2, 10),
    number("share.heartbeat.interval.ms", "5000", "group.share.heartbeat.interval.ms", 5_000, 15_000),
    choice(
        "share.isolation.level",
        ValueType::Text,
        "read_uncommitted",
        &["read_committed", "read_uncommitted"],
    ),
    number("share.partition.max.record.locks", "2000", "group.share.partition.max.record.locks", 100, 4_000),
    number("share.record.lock.duration.ms", "30000", "group.share.record.lock.duration.ms", 15_000, 60_000),
    choice("share.renew.acknowledge.enable", ValueType::Bool, "true", &["true", "false"]),
    number("share.session.timeout.ms", "45000", "group.share.session.timeout.ms", 45_000, 60_000),
    number("streams.assignment.interval.ms", "1000", "group.streams.assignment.interval.ms", 0, 15_000),
    number("streams.heartbeat.interval.ms", "5000", "group.streams.heartbeat.interval.ms", 5_000, 15_000),
    number(
        "streams.initial.rebalance.delay.ms",
        "3000",
        "group.streams.initial.rebalance.delay.ms",
        0,
        i32::MAX as i64,
    ),
    number("streams.num.standby.replicas", "0", "group.streams.num.standby.replicas", 0, 2),
    number("streams.session.timeout.ms", "45000", "group.streams.session.timeout.ms", 45_000, 60_000),
];

/// The setting of this name.
fn group_setting(name: &str) -> Option<&'static GroupSetting> {
    GROUP_SETTINGS.iter().find(|setting| setting.name == name)
}

/// What all groups obey.
#[derive(Debug, Clone)]
pub(crate) struct GroupSettings {
    pub classic: ClassicSettings,
    pub consumer: ConsumerSettings,
    /// Least and most of a group's own settings, where the broker was told others than Kafka's.
    limits: BTreeMap<&'static str, (i64, i64)>,
    pub offsets_retention_ms: i64,
}

impl GroupSettings {
    pub fn new(config: &BrokerConfig) -> Self {
        let own = &config.consumer_groups;
        let heartbeat_interval_ms = i32::try_from(millis(own.heartbeat_interval)).unwrap_or(i32::MAX);
        Self {
            classic: ClassicSettings {
                initial_delay_ms: millis(config.group_initial_rebalance_delay),
                max_size: config.group_max_size,
            },
            consumer: ConsumerSettings {
                session_timeout_ms: millis(own.session_timeout),
                heartbeat_interval_ms,
                assignment_interval_ms: millis(own.assignment_interval),
                max_size: own.max_size,
                regex_refresh_interval_ms: millis(own.regex_refresh_interval),
                migration: own.migration_policy,
                classic_max_size: config.group_max_size,
                assignors: Assignor::ALL.to_vec(),
            },
            limits: BTreeMap::from([
                (SESSION, (millis(own.min_session_timeout), millis(own.max_session_timeout))),
                (HEARTBEAT, (millis(own.min_heartbeat_interval), millis(own.max_heartbeat_interval))),
            ]),
            offsets_retention_ms: millis(config.offsets_retention),
        }
    }

    /// What a group with these settings of its own obeys. Values outside the broker's limits count as the nearest inside.
    pub fn of(&self, own: &Values) -> ConsumerSettings {
        let mut settings = self.consumer.clone();
        let value = |name: &str| {
            let (least, most) = self.limits(group_setting(name)?)?;
            Some(own.get(name)?.trim().parse::<i64>().ok()?.clamp(least, most))
        };
        if let Some(value) = value(SESSION) {
            settings.session_timeout_ms = value;
        }
        if let Some(value) = value(HEARTBEAT).and_then(|value| i32::try_from(value).ok()) {
            settings.heartbeat_interval_ms = value;
        }
        if let Some(value) = value(ASSIGNMENT_INTERVAL) {
            settings.assignment_interval_ms = value;
        }
        settings
    }

    fn limits(&self, setting: &GroupSetting) -> Option<(i64, i64)> {
        let Allowed::Range { least, most } = setting.allowed else { return None };
        Some(self.limits.get(setting.name).copied().unwrap_or((least, most)))
    }

    /// Checks one value.
    ///
    /// # Errors
    /// `INVALID_CONFIG` that names the setting and what is allowed.
    pub fn check_value(&self, setting: &GroupSetting, value: &str) -> Result<(), Refusal> {
        let refused = |message: String| Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
        let invalid =
            |why: &str| refused(format!("Invalid value {value} for configuration {}: {why}", setting.name));
        match setting.allowed {
            Allowed::OneOf(allowed) if !allowed.is_empty() && !allowed.contains(&value) => {
                invalid(&format!("String must be one of: {}", allowed.join(", ")))
            }
            Allowed::OneOf(_) => Ok(()),
            Allowed::Range { .. } => {
                let Ok(number) = value.trim().parse::<i32>() else {
                    return invalid("Not a number of type INT");
                };
                let (least, most) = self.limits(setting).unwrap_or((i64::MIN, i64::MAX));
                let synonym = setting.broker_synonym.unwrap_or_default();
                let bound = |bound: &str| {
                    let (group, name) = synonym.split_at("group.".len());
                    let (kind, name) = name.split_once('.').unwrap_or(("", name));
                    format!("{group}{kind}.{bound}.{name}")
                };
                if i64::from(number) < least {
                    return refused(format!(
                        "{} must be greater than or equal to {}",
                        setting.name,
                        bound("min")
                    ));
                }
                if i64::from(number) > most {
                    return refused(format!(
                        "{} must be less than or equal to {}",
                        setting.name,
                        bound("max")
                    ));
                }
                Ok(())
            }
        }
    }

    /// Checks all values that a group is to have.
    ///
    /// # Errors
    /// `INVALID_CONFIG`, for one of them or for a session that is not longer than the heartbeat's interval.
    pub fn check(&self, own: &Values) -> Result<(), Refusal> {
        for (name, value) in own {
            let setting = group_setting(name).ok_or_else(|| unknown_group_setting(name))?;
            self.check_value(setting, value)?;
        }
        let settings = self.of(own);
        if settings.session_timeout_ms > i64::from(settings.heartbeat_interval_ms) {
            return Ok(());
        }
        let message = format!("{SESSION} must be greater than {HEARTBEAT}");
        Err(Refusal::new(ErrorCode::INVALID_CONFIG, message))
    }
}

/// The error for a setting of groups that does not exist.
fn unknown_group_setting(name: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_CONFIG, format!("Unknown group config name: {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[(&str, &str)]) -> Result<(), String> {
        let own = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        GroupSettings::new(&BrokerConfig::default()).check(&own).map_err(|refusal| refusal.message)
    }

    #[test]
    fn every_default_of_kafka_is_allowed() {
        let settings = GroupSettings::new(&BrokerConfig::default());
        for setting in GROUP_SETTINGS {
            assert_eq!(settings.check_value(setting, setting.default), Ok(()), "{}", setting.name);
        }
    }

    #[test]
    fn values_outside_the_brokers_limits_are_refused_by_name() {
        assert_eq!(check(&[(SESSION, "50000"), (HEARTBEAT, "6000")]), Ok(()));
        assert_eq!(
            check(&[(SESSION, "44999")]).unwrap_err(),
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"
        );
        assert_eq!(
            check(&[(HEARTBEAT, "15001")]).unwrap_err(),
            "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms"
        );
        assert!(check(&[(HEARTBEAT, "soon")]).is_err());
        assert_eq!(check(&[("retention.ms", "1")]).unwrap_err(), "Unknown group config name: retention.ms");
    }

    #[test]
    fn a_session_must_outlast_the_heartbeats_interval() {
        let mut config = BrokerConfig::default();
        config.consumer_groups.min_session_timeout = std::time::Duration::from_secs(1);
        let own = Values::from([(SESSION.to_owned(), "5000".to_owned())]);
        let refused = GroupSettings::new(&config).check(&own).unwrap_err();
        assert_eq!(
            refused.message,
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"
        );
    }
}
