//! The plan: one value from which everything else follows.

use klamm_contract::facts::ClusterFacts;
use klamm_contract::{ConsumerContract, Layer, Profile, TopicContract};
use klamm_kafka::{Version, topic_config};
use serde::{Deserialize, Serialize};

use crate::access::AccessPlan;
use crate::capacity::Capacity;
use crate::recovery::RecoveryPlan;
use crate::settings::Setting;
use crate::sizing::Sizing;
use crate::spec::{ClusterKind, Mechanism, SecretRef};
use crate::survival::Survival;
use crate::upgrade::Step;

/// Version of the plan's JSON form; later releases read earlier ones.
pub(crate) const VERSION: u32 = 1;
/// Every setting at every layer, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form.
    pub version: u32,
    /// Service, or services with commas between them.
    pub service: String,
    /// Environment, when one was asked for.
    pub environment: Option<String>,
    /// Which demands hold.
    pub profile: Profile,
    /// The cluster that was planned for.
    pub cluster: ClusterPlan,
    /// Topics, in the order of the spec.
    pub topics: Vec<TopicPlan>,
    /// Consumer groups, in the order of the spec.
    pub consumers: Vec<ConsumerPlan>,
    /// Kafka Streams applications, in the order of the spec.
    #[serde(default)]
    pub streams: Vec<StreamsPlan>,
    /// What every broker and controller is set to.
    #[serde(default)]
    pub brokers: Vec<Setting>,
    /// What the brokers carry together.
    #[serde(default)]
    pub capacity: Capacity,
    /// Who may do what.
    #[serde(default)]
    pub access: Vec<AccessPlan>,
    /// What is left when the cluster is lost.
    #[serde(default)]
    pub recovery: Option<RecoveryPlan>,
    /// The way to the version that the spec asks for.
    #[serde(default)]
    pub upgrade: Vec<Step>,
    /// What was assumed, and what this plan does not do by itself.
    pub notes: Vec<String>,
}

/// The cluster that a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// Cluster id; a plan made from a live cluster is bound to it.
    pub cluster_id: Option<String>,
    /// Addresses that the spec names.
    pub bootstrap: Vec<String>,
    /// Number of brokers.
    pub brokers: u32,
    /// Where that number comes from.
    pub known: Known,
    /// Racks.
    pub racks: Vec<String>,
    /// Who runs it.
    #[serde(default)]
    pub kind: ClusterKind,
    /// Version of Kafka.
    #[serde(default = "assumed_version")]
    pub version: Version,
    /// Controllers.
    #[serde(default)]
    pub controllers: u32,
    /// Clients connect over TLS.
    #[serde(default)]
    pub tls: bool,
    /// Certificates that clients trust, when the spec names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// SASL mechanism that clients use, by Kafka's name.
    #[serde(default)]
    pub sasl: Option<Mechanism>,
    /// Who klamm and the exported clients are, by the spec.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Where the password is: never the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
}

fn assumed_version() -> Version {
    Version::ASSUMED
}

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// The live cluster.
    Cluster,
    /// The spec.
    Spec,
    /// Nobody said.
    Assumed,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPlan {
    /// Service that owns it.
    pub service: String,
    /// What it promises across layers.
    pub contract: TopicContract,
    /// What it survives, as a sentence.
    pub survives: String,
    /// Each loss tried on the placement: the live one, or the one that Kafka makes for a new topic.
    #[serde(default)]
    pub survival: Vec<Survival>,
    /// The least change that makes the placement hold, when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_change: Option<String>,
    /// What happens after all copies were down, which depends on the version.
    #[serde(default)]
    pub after_all_are_down: String,
    /// Its size and where that comes from.
    pub sizing: Sizing,
    /// Settings of producer, topic and broker.
    pub settings: Vec<Setting>,
}

/// One Kafka Streams application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamsPlan {
    /// Service that runs it.
    pub service: String,
    /// `application.id`.
    pub application: String,
    /// Topics that it reads.
    pub reads: Vec<String>,
    /// Topics that it writes.
    pub writes: Vec<String>,
    /// Disk for state on each instance, with its arithmetic.
    pub disk: Option<String>,
    /// Its settings.
    pub settings: Vec<Setting>,
}

/// One consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerPlan {
    /// Service that runs it.
    pub service: String,
    /// What it promises.
    pub contract: ConsumerContract,
    /// How far behind it may be before somebody is called, in milliseconds.
    #[serde(default)]
    pub lag_budget_ms: u64,
    /// Its settings.
    pub settings: Vec<Setting>,
}

/// What a plan depends on beside the spec.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions<'a> {
    /// Profile that the caller insists on.
    pub profile: Option<Profile>,
    /// Environment of the spec.
    pub environment: Option<String>,
    /// The live cluster; without it the plan is made from what the spec knows.
    pub facts: Option<&'a ClusterFacts>,
}

impl TopicPlan {
    /// Topic name.
    pub fn name(&self) -> &str {
        &self.contract.topic
    }

    /// Configuration that the topic is created with: Kafka's own topic configurations among the settings.
    pub fn configs(&self) -> Vec<(String, String)> {
        let of_topic = self.settings.iter().filter(|setting| setting.layer == Layer::Topic);
        of_topic
            .filter(|setting| topic_config(&setting.name).is_some() && setting.set_by.is_none())
            .map(|setting| (setting.name.clone(), setting.value.clone()))
            .collect()
    }

    /// The setting called `name` at `layer`.
    pub fn setting(&self, layer: Layer, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.layer == layer && setting.name == name)
    }
}

impl Plan {
    /// The plan of the topic called `name`.
    pub fn topic(&self, name: &str) -> Option<&TopicPlan> {
        self.topics.iter().find(|topic| topic.name() == name)
    }

    /// The plan as JSON, one field a line.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
