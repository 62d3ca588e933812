//! The plan: one value from which everything else follows.

use std::collections::BTreeSet;

use klamm_contract::facts::ClusterFacts;
use klamm_contract::{Consistency, ConsumerContract, Delivery, Durability, Layer, Profile, TopicContract};
use klamm_kafka::topic_config;
use serde::{Deserialize, Serialize};

use crate::copies::{Room, copies};
use crate::settings::{self, Segments, Setting};
use crate::sizing::{self, Demand, Load, Sizing};
use crate::spec::{ClusterSpec, ConsumerSpec, Spec, SpecSet, TopicSpec};
use crate::text::{self, nearest};
use crate::{Diagnostic, Span};

/// Version of the plan's JSON form; later releases read earlier ones.
const VERSION: u32 = 1;
/// What is assumed when neither spec nor cluster says how many brokers there are.
const ASSUMED_BROKERS: u32 = 3;

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
    /// Its size and where that comes from.
    pub sizing: Sizing,
    /// Settings of producer, topic and broker.
    pub settings: Vec<Setting>,
}

/// One consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerPlan {
    /// Service that runs it.
    pub service: String,
    /// What it promises.
    pub contract: ConsumerContract,
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
            .filter(|setting| topic_config(&setting.name).is_some())
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

/// Derives the plan of `specs`. What cannot hold is an error with its arithmetic; all of it is told together.
pub fn plan(specs: &SpecSet, options: &PlanOptions<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let specs = &in_environment(specs, options.environment.as_deref())?;
    let mut planner = Planner::new(specs, options);
    planner.cluster_notes();
    let mut topics = Vec::new();
    let mut consumers = Vec::new();
    for spec in specs.specs() {
        for topic in &spec.topics {
            topics.extend(planner.topic(spec, topic));
        }
        for consumer in &spec.consumers {
            consumers.push(planner.consumer(spec, consumer));
        }
    }
    if !planner.diagnostics.is_empty() {
        return Err(planner.diagnostics);
    }
    let services: Vec<&str> = specs.specs().iter().map(|spec| spec.service.value.as_str()).collect();
    Ok(Plan {
        version: VERSION,
        service: services.join(", "),
        environment: options.environment.clone(),
        profile: planner.profile,
        cluster: planner.cluster,
        topics,
        consumers,
        notes: planner.notes,
    })
}

/// The specs with what `environment` varies put in place.
fn in_environment(specs: &SpecSet, environment: Option<&str>) -> Result<SpecSet, Vec<Diagnostic>> {
    let Some(name) = environment else { return Ok(specs.clone()) };
    let names = specs.environment_names();
    if !names.contains(&name) {
        let meant = nearest(name, names.iter().copied())
            .map_or(String::new(), |near| format!(", did you mean {near:?}?"));
        let message = format!("the spec has no environment {name:?}{meant}");
        let known =
            if names.is_empty() { "it has none".to_owned() } else { format!("known: {}", names.join(", ")) };
        return Err(vec![Diagnostic::general("unknown-environment", message).help(known)]);
    }
    let mut varied = specs.specs().to_vec();
    for spec in &mut varied {
        let found = spec.environments.iter().find(|found| found.name.value == name).cloned();
        let Some(found) = found else { continue };
        spec.cluster = found.cluster.or(spec.cluster.take());
        spec.profile = found.profile.unwrap_or(spec.profile);
        for (topic, rate, peak) in found.rates {
            if let Some(topic) = spec.topics.iter_mut().find(|owned| owned.name.value == topic.value) {
                topic.write.assumed &= rate.is_none();
                topic.write.rate = rate.unwrap_or_else(|| topic.write.rate.clone());
                topic.write.peak = peak.unwrap_or_else(|| topic.write.peak.clone());
            }
        }
    }
    SpecSet::new(varied)
}

struct Planner<'a> {
    specs: &'a SpecSet,
    facts: Option<&'a ClusterFacts>,
    described: Option<&'a ClusterSpec>,
    profile: Profile,
    cluster: ClusterPlan,
    /// Brokers that the data is meant for: under dev the cluster at hand may be smaller than the one that is described.
    meant_brokers: u32,
    notes: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Planner<'a> {
    fn new(specs: &'a SpecSet, options: &PlanOptions<'a>) -> Self {
        let described = specs.cluster(None);
        let embedded = options.facts.is_some_and(|facts| facts.embedded);
        let any_dev = specs.specs().iter().any(|spec| spec.profile == Profile::Dev);
        let asked = options.profile.unwrap_or(if any_dev { Profile::Dev } else { Profile::Prod });
        let profile = if embedded { Profile::Dev } else { asked };
        let cluster = cluster(described, options.facts);
        let meant = described.and_then(|cluster| cluster.brokers.as_ref()).map(|brokers| brokers.value);
        let meant_brokers = match profile {
            Profile::Prod => cluster.brokers,
            Profile::Dev => meant.unwrap_or(if embedded { ASSUMED_BROKERS } else { cluster.brokers }),
        };
        let (facts, notes, diagnostics) = (options.facts, Vec::new(), Vec::new());
        Planner { specs, facts, described, profile, cluster, meant_brokers, notes, diagnostics }
    }

    fn cluster_notes(&mut self) {
        let described =
            self.described.and_then(|cluster| cluster.brokers.as_ref()).map(|brokers| brokers.value);
        match (self.cluster.known, described) {
            (Known::Assumed, _) => {
                let note = format!("nobody says how many brokers there are: {ASSUMED_BROKERS} are assumed");
                self.notes.push(note);
            }
            (Known::Cluster, Some(said)) if said != self.cluster.brokers && self.profile == Profile::Prod => {
                let live = text::count(self.cluster.brokers, "broker");
                self.notes
                    .push(format!("the spec says {}, the cluster has {live}", text::count(said, "broker")));
            }
            _ => {}
        }
        if self.profile == Profile::Dev {
            self.notes.push("dev profile: copies, racks and the in-sync floor are not asked for".to_owned());
        }
    }

    fn topic(&mut self, owner: &Spec, topic: &TopicSpec) -> Option<TopicPlan> {
        let name = topic.name.value.as_str();
        let racks = (!self.cluster.racks.is_empty()).then_some(self.cluster.racks.len() as u32);
        let room = Room { brokers: self.cluster.brokers, racks };
        let copies = copies(topic.consistency, topic.survive.value, room, self.profile).map_err(|no_room| {
            let message = format!("{name}: {}", no_room.message);
            self.refuse(no_room.code, owner, topic.survive.span, message, no_room.help, Cause::Room);
        });
        let demand = self.demand(topic);
        let sized = sizing::partitions(&demand).map_err(|refusal| {
            let span =
                if refusal.code == "global-order-too-fast" { topic.order.span } else { topic.write.span };
            self.refuse(refusal.code, owner, span, refusal.message, refusal.help, Cause::Load);
        });
        let (Ok(copies), Ok((partitions, needs, because))) = (copies, sized) else { return None };

        let load = Load::of(&topic.write);
        let retain = &topic.retain.value;
        let segments = Segments::of(retain, partitions);
        let disk = sizing::disk(retain, load, segments, partitions, copies.replication_factor);
        let peak_bytes_per_second = load.peak_bytes_per_second;
        let sizing = Sizing { partitions, needs, because, disk, peak_bytes_per_second };
        let layer_producer = settings::producer_promise(topic, load, partitions);
        let layer_topic =
            settings::topic_promise(topic, &copies, partitions, layer_producer.max_request_bytes);
        let floor = layer_topic.min_insync_replicas;
        let mut settings = settings::producer(topic, &layer_producer, load, partitions, floor);
        settings.extend(settings::topic(topic, &layer_topic, &copies, &sizing));
        settings.extend(settings::broker(topic));
        let durability = Durability { consistency: topic.consistency, survive: topic.survive.value };
        let contract = TopicContract {
            topic: name.to_owned(),
            profile: self.profile,
            durability,
            order: topic.order.value,
            key: topic.key.clone(),
            layer_topic,
            layer_producer,
        };
        Some(TopicPlan {
            service: owner.service.value.clone(),
            contract,
            survives: copies.survives,
            sizing,
            settings,
        })
    }

    fn demand<'t>(&self, topic: &'t TopicSpec) -> Demand<'t>
    where
        'a: 't,
    {
        let name = topic.name.value.as_str();
        let readers = self.specs.specs().iter().flat_map(|spec| &spec.consumers);
        let readers = readers.filter(|consumer| consumer.reads.iter().any(|read| read.value == name));
        let groups = readers
            .filter_map(|consumer| Some((consumer.group.value.as_str(), consumer.work.as_ref()?)))
            .collect();
        let live =
            self.facts.and_then(|facts| facts.topics.get(name)).map(|topic| topic.partitions.len() as u32);
        Demand {
            topic: name,
            order: topic.order.value,
            write: &topic.write,
            groups,
            brokers: self.meant_brokers,
            asked: topic.partitions.as_ref().map(|partitions| partitions.value),
            live,
        }
    }

    fn consumer(&mut self, owner: &Spec, consumer: &ConsumerSpec) -> ConsumerPlan {
        let contract = settings::consumer_contract(consumer);
        let group = &contract.group;
        if consumer.delivery == Delivery::ExactlyOnce {
            let note =
                format!("{group}: exactly_once is planned, but this release's runtime does not run it yet");
            self.notes.push(note);
        }
        if consumer.delivery == Delivery::AtMostOnce {
            let topics = self.specs.specs().iter().flat_map(|spec| &spec.topics);
            let strong = topics.filter(|topic| topic.consistency == Consistency::Strong);
            let names: Vec<&str> = strong
                .map(|topic| topic.name.value.as_str())
                .filter(|name| contract.topics.iter().any(|t| t == name))
                .collect();
            if !names.is_empty() {
                let note = format!(
                    "{group}: at_most_once skips records of {} in a crash, though they are stored",
                    text::list(&names)
                );
                self.notes.push(note);
            }
        }
        let settings = settings::consumer(consumer, &contract);
        ConsumerPlan { service: owner.service.value.clone(), contract, settings }
    }

    fn refuse(
        &mut self,
        code: &'static str,
        owner: &Spec,
        span: Span,
        message: String,
        help: String,
        cause: Cause,
    ) {
        let mut diagnostic = Diagnostic::at(code, &owner.file, span, message).help(help);
        let stated = self.described.and_then(|cluster| Some((cluster, cluster.brokers.as_ref()?)));
        if let (Cause::Room, Known::Spec, Some((cluster, brokers))) = (cause, self.cluster.known, stated) {
            diagnostic = diagnostic.also(&cluster.file, brokers.span, "the number of brokers");
        }
        self.diagnostics.push(diagnostic);
    }
}

/// What a refusal is about, and so which other place explains it.
enum Cause {
    Room,
    Load,
}

/// Live brokers, and those that are down but hold copies: an outage is no reason to plan for a smaller cluster.
fn brokers_known(facts: &ClusterFacts) -> u32 {
    let partitions = facts.topics.values().flat_map(|topic| &topic.partitions);
    let holders = partitions.flat_map(|partition| partition.replicas.iter().copied());
    let ids: BTreeSet<i32> = facts.brokers.iter().map(|broker| broker.id).chain(holders).collect();
    ids.len() as u32
}

fn cluster(described: Option<&ClusterSpec>, facts: Option<&ClusterFacts>) -> ClusterPlan {
    let bootstrap = described.map_or(Vec::new(), |cluster| cluster.bootstrap.clone());
    if let Some(facts) = facts.filter(|facts| !facts.brokers.is_empty()) {
        let racks: BTreeSet<&String> =
            facts.brokers.iter().filter_map(|broker| broker.rack.as_ref()).collect();
        return ClusterPlan {
            cluster_id: Some(facts.cluster_id.clone()),
            bootstrap,
            brokers: brokers_known(facts),
            known: Known::Cluster,
            racks: racks.into_iter().cloned().collect(),
        };
    }
    let stated = described.and_then(|cluster| cluster.brokers.as_ref()).map(|brokers| brokers.value);
    let racks =
        described.and_then(|cluster| cluster.racks.as_ref()).map_or(Vec::new(), |racks| racks.value.clone());
    // As many racks as are named need at least as many brokers.
    let brokers = stated.unwrap_or(ASSUMED_BROKERS.max(racks.len() as u32));
    let known = if stated.is_some() { Known::Spec } else { Known::Assumed };
    ClusterPlan { cluster_id: None, bootstrap, brokers, known, racks }
}
