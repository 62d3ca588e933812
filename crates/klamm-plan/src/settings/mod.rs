//! Settings, each with its layer, its reason and where the reason comes from.

mod broker;
mod consumer;
mod producer;
mod topic;

use klamm_contract::Layer;
use serde::{Deserialize, Serialize};

pub(crate) use self::broker::broker;
pub(crate) use self::consumer::{consumer, contract as consumer_contract};
pub(crate) use self::producer::{producer, promise as producer_promise};
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
}

/// Collects the settings of one layer.
struct Settings {
    layer: Layer,
    settings: Vec<Setting>,
}

impl Settings {
    fn of(layer: Layer) -> Self {
        Settings { layer, settings: Vec::new() }
    }

    fn set(&mut self, name: &str, value: impl ToString, reason: impl Into<String>, source: &str) {
        self.settings.push(Setting {
            layer: self.layer,
            name: name.to_owned(),
            value: value.to_string(),
            reason: reason.into(),
            source: source.to_owned(),
        });
    }
}
