//! Whether a value is allowed, in Kafka's words when it is not.

use klamm_kafka::{ErrorCode, TopicConfig, topic_config};

use super::Values;
use super::table::{BrokerSetting, SettingType};
use crate::error::Refusal;

/// The longest value that Kafka stores.
const MAX_VALUE_BYTES: usize = i16::MAX as usize;

/// Checks the values that a topic is to have.
///
/// # Errors
/// `INVALID_CONFIG` that names the setting, the value and what is allowed.
pub(crate) fn check_topic_values(values: &Values) -> Result<(), Refusal> {
    for name in values.keys() {
        topic_config(name).ok_or_else(|| unknown_topic_setting(name))?;
    }
    for (name, value) in values {
        if let Some(config) = topic_config(name) {
            check_value(config, name, value)?;
        }
    }
    check_together(values)
}

/// What Kafka checks of several settings at once.
fn check_together(values: &Values) -> Result<(), Refusal> {
    let value = |name: &str| {
        let default = topic_config(name).map_or("", |config| config.default);
        values.get(name).map_or(default, String::as_str).trim()
    };
    let lag = |name: &str| value(name).parse::<i64>().unwrap_or_default();
    let refused = |message: String| Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
    let (least, most) = (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"));
    if least > most {
        return refused(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})"
        ));
    }
    if value("remote.storage.enable").eq_ignore_ascii_case("true") {
        let message = "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
                       remote log storage.";
        return refused(message.to_owned());
    }
    Ok(())
}

/// The error for a topic setting that does not exist.
pub(crate) fn unknown_topic_setting(name: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_CONFIG, format!("Unknown topic config name: {name}"))
}

/// Checks `value` against the type and range of a topic's `config`. `name` is what the client calls it.
pub(crate) fn check_value(config: &TopicConfig, name: &str, value: &str) -> Result<(), Refusal> {
    check_size(value)?;
    check_type_and_range(config.value_type.into(), config.valid, name, value)
        .map_err(|message| Refusal::new(ErrorCode::INVALID_CONFIG, message))
}

/// Checks `value` against the type and range of a broker's setting. Kafka answers `INVALID_REQUEST` here.
pub(crate) fn check_broker_value(setting: &BrokerSetting, value: &str) -> Result<(), Refusal> {
    check_size(value)?;
    check_type_and_range(setting.setting_type, setting.valid, setting.name, value)
        .map_err(|message| Refusal::new(ErrorCode::INVALID_REQUEST, message))
}

fn check_size(value: &str) -> Result<(), Refusal> {
    if value.len() <= MAX_VALUE_BYTES {
        return Ok(());
    }
    let message = format!(
        "The configuration value cannot be added because it exceeds the maximum value size of {MAX_VALUE_BYTES} bytes."
    );
    Err(Refusal::new(ErrorCode::INVALID_CONFIG, message))
}

fn check_type_and_range(
    setting_type: SettingType,
    valid: &str,
    name: &str,
    value: &str,
) -> Result<(), String> {
    let text = value.trim();
    let invalid = |value: &str, why: &str| format!("Invalid value {value} for configuration {name}: {why}");
    let refused = |why: &str| Err(invalid(value, why));
    match setting_type {
        SettingType::Bool if !matches!(text.to_ascii_lowercase().as_str(), "true" | "false") => {
            refused("Expected value to be either true or false")
        }
        SettingType::Int if text.parse::<i32>().is_err() => refused("Not a number of type INT"),
        SettingType::Short if text.parse::<i16>().is_err() => refused("Not a number of type SHORT"),
        SettingType::Long if text.parse::<i64>().is_err() => refused("Not a number of type LONG"),
        SettingType::Double if !text.parse::<f64>().is_ok_and(f64::is_finite) => {
            refused("Not a number of type DOUBLE")
        }
        SettingType::List if name.ends_with(".replication.throttled.replicas") => {
            let pair = |item: &str| {
                item.split_once(':').is_some_and(|(partition, broker)| {
                    [partition, broker]
                        .iter()
                        .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
                })
            };
            match text == "*" || text.is_empty() || text.split(',').map(str::trim).all(pair) {
                true => Ok(()),
                false => Err(format!(
                    "{name} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                )),
            }
        }
        _ => Valid::parse(valid).check(setting_type, text).map_err(|(value, why)| invalid(&value, &why)),
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

    /// The part of the value that is wrong, and why.
    fn check(&self, setting_type: SettingType, text: &str) -> Result<(), (String, String)> {
        let refused = |value: &str, why: String| Err((value.to_owned(), why));
        match self {
            Self::Anything => Ok(()),
            Self::OneOf(allowed) => {
                let items = match setting_type {
                    // No policy at all is a policy: everything is kept.
                    SettingType::List if text.is_empty() => Vec::new(),
                    SettingType::List => text.split(',').map(str::trim).collect(),
                    _ => vec![text],
                };
                match items.iter().find(|item| !allowed.contains(item)) {
                    Some(item) => refused(item, format!("String must be one of: {}", allowed.join(", "))),
                    None => Ok(()),
                }
            }
            Self::Range { least, most, or } => {
                let Ok(number) = text.parse::<f64>() else { return refused(text, "Not a number".to_owned()) };
                if *or == Some(number) {
                    return Ok(());
                }
                if number < *least {
                    return refused(text, format!("Value must be at least {least}"));
                }
                match most {
                    Some(most) if number > *most => {
                        refused(text, format!("Value must be no more than {most}"))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klamm_kafka::TOPIC_CONFIGS;

    fn check(name: &str, value: &str) -> bool {
        check_topic_values(&Values::from([(name.to_owned(), value.to_owned())])).is_ok()
    }

    #[test]
    fn every_default_of_kafka_is_allowed() {
        for config in TOPIC_CONFIGS {
            let checked = check_value(config, config.name, config.default);
            assert_eq!(checked, Ok(()), "{} {}", config.name, config.default);
        }
        for setting in super::super::table::broker_settings() {
            let default = setting.default.unwrap_or("1");
            if !matches!(setting.setting_type, SettingType::List | SettingType::Text) {
                assert_eq!(
                    check_broker_value(setting, &default.replace("null", "1")).map_err(|e| e.message),
                    Ok(())
                );
            }
        }
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        assert!(check("cleanup.policy", "compact, delete") && !check("cleanup.policy", "shred"));
        assert!(check("cleanup.policy", "") && !check("compression.type", ""));
        assert!(check("min.insync.replicas", "2") && !check("min.insync.replicas", "0"));
        assert!(check("retention.ms", "-1") && !check("retention.ms", "-2") && !check("retention.ms", "1h"));
        assert!(check("compression.gzip.level", "-1") && !check("compression.gzip.level", "0"));
        assert!(check("min.cleanable.dirty.ratio", "0.7") && !check("min.cleanable.dirty.ratio", "1.5"));
        assert!(
            check("unclean.leader.election.enable", "TRUE")
                && !check("unclean.leader.election.enable", "yes")
        );
        assert!(!check("segment.bytes", "1024") && !check("retention.hours", "1"));
        let throttled = "leader.replication.throttled.replicas";
        assert!(check(throttled, "*") && check(throttled, "0:1,1:1") && !check(throttled, "0"));
        assert!(
            !check("min.compaction.lag.ms", "9223372036854775807") || check("max.compaction.lag.ms", "1")
        );
        assert!(!check("remote.storage.enable", "true"));
        assert!(!check("compression.type", &"x".repeat(40_000)));
    }

    #[test]
    fn the_words_are_kafkas() {
        let why = |name: &str, value: &str| {
            check_topic_values(&Values::from([(name.to_owned(), value.to_owned())])).unwrap_err().message
        };
        assert_eq!(why("a", "b"), "Unknown topic config name: a");
        assert_eq!(
            why("retention.ms", "-2"),
            "Invalid value -2 for configuration retention.ms: Value must be at least -1"
        );
        assert_eq!(
            why("cleanup.policy", "delete,shred"),
            "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"
        );
    }
}
