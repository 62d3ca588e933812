//! What the brokers are expected to be set to. Klamm does not change them here; `doctor` and `audit` look.

use klamm_contract::Layer;

use super::{Setting, Settings};
use crate::spec::TopicSpec;

pub(crate) fn broker(topic: &TopicSpec) -> Vec<Setting> {
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
