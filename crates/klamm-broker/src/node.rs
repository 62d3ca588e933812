//! The one node: everything that connections share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use klamm_kafka::ErrorCode;

use crate::clock::millis;
use crate::config::BrokerConfig;
use crate::error::Refusal;
use crate::faults::Faults;
use crate::group::Coordinator;
use crate::offsets::Offsets;
use crate::settings::Values;
use crate::sync::lock;
use crate::topics::{BrokerScope, Topic, Topics};

/// Id of the only node.
pub(crate) const NODE_ID: i32 = 1;

/// `offsets.retention.minutes`, 7 days.
const OFFSETS_RETENTION_MS: i64 = 7 * 24 * 3_600_000;

/// `producer.id.expiration.ms`, a day.
const PRODUCER_ID_EXPIRATION_MS: i64 = 24 * 3_600_000;

/// The broker's state.
#[derive(Debug)]
pub(crate) struct Node {
    pub config: BrokerConfig,
    pub cluster_id: String,
    pub topics: Topics,
    pub offsets: Offsets,
    pub groups: Coordinator,
    pub faults: Faults,
    pub closures: Closures,
    /// The last failure of the storage.
    pub storage_failure: Mutex<Option<String>>,
}

/// What a configuration request is about.
#[derive(Debug)]
pub(crate) enum ConfigResource {
    Topic(Arc<Topic>),
    ThisBroker,
    AllBrokers,
}

/// Why connections were closed: kept so that a test or a person can ask, because a client is told nothing.
#[derive(Debug, Default)]
pub(crate) struct Closures {
    recent: Mutex<VecDeque<String>>,
}

impl Closures {
    const KEPT: usize = 32;

    pub fn note(&self, peer: SocketAddr, why: &str) {
        let mut recent = lock(&self.recent);
        if recent.len() == Self::KEPT {
            recent.pop_front();
        }
        recent.push_back(format!("{peer}: {why}"));
    }

    pub fn recent(&self) -> Vec<String> {
        lock(&self.recent).iter().cloned().collect()
    }
}

impl Node {
    pub fn default_partitions(&self) -> usize {
        usize::try_from(self.config.default_partitions).unwrap_or(1).max(1)
    }

    /// The resource with this type (2 topic, 4 broker) and name.
    pub fn config_resource(&self, resource_type: i8, name: &str) -> Result<ConfigResource, Refusal> {
        const TOPIC: i8 = 2;
        const BROKER: i8 = 4;
        match resource_type {
            TOPIC => match self.topics.get(name) {
                Some(topic) => Ok(ConfigResource::Topic(topic)),
                None => {
                    let message = format!("The topic '{name}' does not exist.");
                    Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message))
                }
            },
            BROKER if name.is_empty() => Ok(ConfigResource::AllBrokers),
            BROKER if name.parse() == Ok(NODE_ID) => Ok(ConfigResource::ThisBroker),
            BROKER => {
                let message = format!("Unexpected broker id, expected {NODE_ID}, but received {name}");
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
            }
            other => {
                let message = format!("resource type {other} has no configuration here");
                Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
            }
        }
    }

    /// Replaces what is set for a resource.
    pub fn set_config_values(&self, resource: &ConfigResource, values: Values) -> Result<(), Refusal> {
        match resource {
            ConfigResource::Topic(topic) => self.topics.set_topic_values(topic, values),
            ConfigResource::ThisBroker => self.topics.set_broker_values(BrokerScope::ThisNode, values),
            ConfigResource::AllBrokers => self.topics.set_broker_values(BrokerScope::AllNodes, values),
        }
    }

    /// Removes, from time to time, what retention no longer keeps. Runs until it is cancelled.
    pub async fn watch_retention(&self) {
        let clock = &self.config.clock;
        let interval_ms = millis(self.config.retention_check_interval).max(1);
        loop {
            clock.sleep_until(clock.monotonic_ms().saturating_add(interval_ms)).await;
            let now_ms = clock.now_ms();
            // A failure here loses nothing: the next round tries again.
            let _ = self.topics.apply_retention(now_ms, PRODUCER_ID_EXPIRATION_MS);
            let _ = self.offsets.remove_where(|group, committed| {
                let old = now_ms.saturating_sub(committed.at_ms) > OFFSETS_RETENTION_MS;
                old && !self.groups.is_active(group)
            });
        }
    }
}
