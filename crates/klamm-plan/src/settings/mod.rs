//! Settings, each with its layer, its reason and where the reason comes from.

mod about;
mod broker;
mod consumer;
mod insisted;
mod producer;
mod streams;
mod topic;

use klamm_contract::Layer;
use serde::{Deserialize, Serialize};

pub(crate) use self::broker::{Internal, brokers, mark, topic_needs as broker};
pub(crate) use self::consumer::{consumer, contract as consumer_contract};
pub(crate) use self::insisted::{Refused, consumer as insist_on_consumer, topic as insist_on_topic};
pub(crate) use self::producer::{producer, promise as producer_promise};
pub(crate) use self::streams::{state_disk, streams};
pub(crate) use self::topic::{Segments, promise as topic_promise, topic};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Where it lives.
    pub layer: Layer,
    /// Kafka's name (Java's, for clients).
    pub name: String,
    /// Value as Kafka reads it.
    pub value: String,
    /// Why this value, with the numbers of this spec.
    pub reason: String,
    /// Where the reason comes from: a KIP, an issue, or a section of Kafka's documentation.
    pub source: String,
    /// What goes wrong otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub otherwise: String,
    /// Versions that it holds for; empty when for all that are planned for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub since: String,
    /// Who sets it, when whoever reads the plan cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
}

impl Setting {
    pub(crate) fn new(
        layer: Layer,
        name: &str,
        value: impl ToString,
        reason: impl Into<String>,
        source: &str,
    ) -> Self {
        let (otherwise, since) = about::about(layer, name);
        Setting {
            layer,
            name: name.to_owned(),
            value: value.to_string(),
            reason: reason.into(),
            source: source.to_owned(),
            otherwise: otherwise.to_owned(),
            since: since.to_owned(),
            set_by: None,
        }
    }
}

/// Collects the settings of one layer.
pub(crate) struct Settings {
    layer: Layer,
    pub(crate) settings: Vec<Setting>,
}

impl Settings {
    pub(crate) fn of(layer: Layer) -> Self {
        Settings { layer, settings: Vec::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl ToString, reason: impl Into<String>, source: &str) {
        self.settings.push(Setting::new(self.layer, name, value, reason, source));
    }
}
