//! What a configuration request is about, and how a change of it is checked and made.

use std::sync::Arc;

use klamm_kafka::ErrorCode;

use crate::error::Refusal;
use crate::node::{NODE_ID, Node};
use crate::resource_type;
use crate::settings::{self, Update, Values, broker_setting};
use crate::topic_name;
use crate::topics::{BrokerScope, Topic};

/// Something that has settings.
#[derive(Debug)]
pub(crate) enum Described {
    Topic(Arc<Topic>),
    Broker(BrokerScope),
    /// The levels of this broker's loggers. It has none that could be set.
    Logger,
    /// A group by its name, which need not exist.
    Group(String),
}

/// Something whose settings are to be changed. Whether a topic exists is asked last, as Kafka does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    Topic(&'a str),
    Broker(BrokerScope),
    Logger,
    Group(&'a str),
}

fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::INVALID_REQUEST, message)
}

/// What `DescribeConfigs` is asked about.
pub(crate) fn described(node: &Node, kind: i8, name: &str) -> Result<Described, Refusal> {
    let check_id = |expected: &str| match name.parse() {
        Ok(NODE_ID) => Ok(()),
        Ok(_) => Err(invalid(format!("Unexpected broker id, expected {expected}, but received {name}"))),
        Err::<i32, _>(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
    };
    match kind {
        resource_type::TOPIC => {
            topic_name::check(name)?;
            let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            let topic = node.topics.get(name);
            topic.map(Described::Topic).ok_or_else(|| Refusal::new(unknown, unknown.meaning()))
        }
        resource_type::BROKER if name.is_empty() => Ok(Described::Broker(BrokerScope::AllNodes)),
        resource_type::BROKER => {
            check_id(&format!("{NODE_ID} or empty string")).map(|()| Described::Broker(BrokerScope::ThisNode))
        }
        resource_type::BROKER_LOGGER if name.is_empty() => {
            Err(invalid("Broker id must not be empty".to_owned()))
        }
        resource_type::BROKER_LOGGER => check_id(&NODE_ID.to_string()).map(|()| Described::Logger),
        resource_type::GROUP if name.is_empty() => Err(invalid("Group name must not be empty".to_owned())),
        resource_type::GROUP => Ok(Described::Group(name.to_owned())),
        other => Err(invalid(format!("Unsupported resource type: {other}"))),
    }
}

/// What a change is asked for.
pub(crate) fn target(kind: i8, name: &str) -> Result<Target<'_>, Refusal> {
    let check_id = |words: &str| match name.parse() {
        Ok(NODE_ID) => Ok(()),
        Ok(_) => Err(invalid(format!("{words} {NODE_ID}, but received {name}"))),
        Err::<i32, _>(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    };
    match kind {
        resource_type::TOPIC => Ok(Target::Topic(name)),
        resource_type::BROKER if name.is_empty() => Ok(Target::Broker(BrokerScope::AllNodes)),
        resource_type::BROKER => {
            check_id("Unexpected broker id, expected").map(|()| Target::Broker(BrokerScope::ThisNode))
        }
        resource_type::BROKER_LOGGER => check_id("Unexpected node id. Expected").map(|()| Target::Logger),
        resource_type::GROUP => Ok(Target::Group(name)),
        other => Err(invalid(format!("Unknown resource type {other}"))),
    }
}

/// What is set for the target at present; nothing for a topic that does not exist.
pub(crate) fn current(node: &Node, target: Target<'_>) -> Values {
    match target {
        Target::Topic(name) => node.topics.get(name).map(|topic| topic.values()).unwrap_or_default(),
        Target::Broker(BrokerScope::ThisNode) => node.topics.broker_settings().dynamic_node,
        Target::Broker(BrokerScope::AllNodes) => node.topics.broker_settings().dynamic_default,
        Target::Logger => Values::new(),
        Target::Group(name) => node.groups.own_values(name),
    }
}

/// Checks the values that the target is to have, and unless `validate_only` sets them.
pub(crate) fn set(
    node: &Node,
    target: Target<'_>,
    values: Values,
    validate_only: bool,
) -> Result<(), Refusal> {
    match target {
        Target::Topic(name) => {
            if name.is_empty() {
                return Err(invalid("Default topic resources are not allowed.".to_owned()));
            }
            topic_name::check(name)?;
            settings::check_topic_values(&values)?;
            let topic = node.topics.get(name).ok_or_else(|| {
                let message = format!("The topic '{name}' does not exist.");
                Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message)
            })?;
            if validate_only { Ok(()) } else { node.topics.set_topic_values(&topic, values) }
        }
        Target::Broker(scope) => {
            check_broker_values(&values, scope)?;
            if validate_only { Ok(()) } else { node.topics.set_broker_values(scope, values) }
        }
        Target::Logger => Ok(()),
        Target::Group("") => Err(invalid("Default group resources are not allowed.".to_owned())),
        Target::Group(_) if validate_only => node.groups.settings().check(&values),
        Target::Group(name) => node.groups.set_own_values(name, values),
    }
}

/// `DynamicBrokerConfig.validateConfigs`, and that what is changed has an effect here. Names that Kafka does not know are
/// kept without effect, as Kafka does.
fn check_broker_values(values: &Values, scope: BrokerScope) -> Result<(), Refusal> {
    let refuse_any = |words: &str, wrong: &dyn Fn(&str) -> bool| {
        let names: Vec<&str> = values.keys().map(String::as_str).filter(|name| wrong(name)).collect();
        if names.is_empty() { Ok(()) } else { Err(invalid(format!("{words}: [{}]", names.join(", ")))) }
    };
    let updates = |name: &str, update| broker_setting(name).is_some_and(|setting| setting.update == update);
    refuse_any("Cannot update these configs dynamically", &|name| updates(name, Update::ReadOnly))?;
    let words =
        "These security configs can be dynamically updated only per-listener using the listener prefix";
    refuse_any(words, &|name| updates(name, Update::PerListener))?;
    for (name, value) in values {
        if let Some(setting) = broker_setting(name) {
            settings::check_broker_value(setting, value)?;
        }
    }
    if scope == BrokerScope::AllNodes {
        let words = "Cannot update these configs at default cluster level, broker id must be specified";
        refuse_any(words, &|name| updates(name, Update::PerBroker))?;
    }
    refuse_any("Cannot update these configs while an embedded broker runs", &|name| {
        updates(name, Update::PerBroker) || name.starts_with("listener.name.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_settings_are_refused_in_kafkas_words() {
        let why = |name: &str, value: &str, scope| {
            let values = Values::from([(name.to_owned(), value.to_owned())]);
            check_broker_values(&values, scope).map_err(|refusal| (refusal.code, refusal.message))
        };
        let (node, all) = (BrokerScope::ThisNode, BrokerScope::AllNodes);
        let refused = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
        assert_eq!(why("message.max.bytes", "5", all), Ok(()));
        assert_eq!(why("not.of.kafka", "5", node), Ok(()));
        assert_eq!(
            why("num.partitions", "5", node),
            refused("Cannot update these configs dynamically: [num.partitions]")
        );
        assert_eq!(
            why("message.max.bytes", "x", node),
            refused("Invalid value x for configuration message.max.bytes: Not a number of type INT")
        );
        assert!(
            why("ssl.keystore.location", "x", node).is_err_and(|(_, why)| why.contains("listener prefix"))
        );
        assert!(
            why("listeners", "x", all).is_err_and(|(_, why)| why.contains("broker id must be specified"))
        );
        assert!(why("listeners", "x", node).is_err_and(|(_, why)| why.contains("embedded broker")));
    }
}
