//! From specs and facts to a plan.

use std::collections::{BTreeSet, HashMap};

use klamm_contract::facts::ClusterFacts;
use klamm_contract::{Consistency, Delivery, Durability, Layer, Profile, TopicContract};
use klamm_kafka::Version;

use crate::capacity::{self, Burden};
use crate::copies::{Copies, NoRoom, Room, copies};
use crate::plan::{ClusterPlan, ConsumerPlan, Known, Plan, PlanOptions, StreamsPlan, TopicPlan, VERSION};
use crate::recovery::{self, Mirrored};
use crate::settings::{self, Internal, Segments};
use crate::sizing::{self, Demand, Load, PartitionRate, Sizing};
use crate::spec::{ClusterSpec, ConsumerSpec, Protocol, Spec, SpecSet, TopicSpec};
use crate::survival::{self, Placement};
use crate::text::{self, nearest};
use crate::{Diagnostic, Span, access, keys, upgrade};

/// What is assumed when neither spec nor cluster says how many brokers there are.
const ASSUMED_BROKERS: u32 = 3;
/// A quorum that goes on with one of them down.
const ASSUMED_CONTROLLERS: u32 = 3;

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
    }
    let partitions: HashMap<&str, u32> =
        topics.iter().map(|topic: &TopicPlan| (topic.name(), topic.sizing.partitions)).collect();
    for spec in specs.specs() {
        for consumer in &spec.consumers {
            consumers.push(planner.consumer(spec, consumer, &partitions));
        }
    }
    let internal = planner.internal(&topics);
    let streams = planner.streams(internal);
    let brokers = planner.brokers(internal, &topics);
    let capacity = planner.capacity(&topics);
    let recovery = planner.recovery(internal, &topics);
    let access = specs.specs().iter().map(access::access).collect();
    let upgrade = planner
        .described
        .and_then(|cluster| cluster.upgrade)
        .map_or(Vec::new(), |to| upgrade::upgrade(planner.cluster.version, to, planner.cluster.kind, specs));
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
        streams,
        brokers,
        capacity,
        access,
        recovery,
        upgrade,
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
    /// Topics that the specs own, by name.
    owned: HashMap<&'a str, &'a TopicSpec>,
    /// Groups that read a topic, by its name.
    readers: HashMap<&'a str, Vec<&'a ConsumerSpec>>,
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
        let topics = specs.specs().iter().flat_map(|spec| &spec.topics);
        let owned = topics.map(|topic| (topic.name.value.as_str(), topic)).collect();
        let mut readers: HashMap<&str, Vec<&ConsumerSpec>> = HashMap::new();
        for consumer in specs.specs().iter().flat_map(|spec| &spec.consumers) {
            for topic in &consumer.reads {
                readers.entry(&topic.value).or_default().push(consumer);
            }
        }
        let (facts, notes, diagnostics) = (options.facts, Vec::new(), Vec::new());
        Planner {
            specs,
            facts,
            described,
            profile,
            cluster,
            meant_brokers,
            owned,
            readers,
            notes,
            diagnostics,
        }
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
        let copies = copies(topic.consistency, topic.survive.value, room, self.profile);
        let copies = copies.and_then(|copies| insist_on_copies(topic, copies, room, self.profile)).map_err(
            |no_room| {
                let message = format!("{name}: {}", no_room.message);
                self.refuse(no_room.code, owner, topic.survive.span, message, no_room.help, Cause::Room);
            },
        );
        let demand = self.demand(topic);
        let keys = keys::keeps_order(topic)
            .and_then(|()| keys::hottest(topic, Load::of(&topic.write), &demand.groups, demand.rate));
        let _ = keys
            .map_err(|bad| self.refuse(bad.code, owner, key_span(topic), bad.message, bad.help, Cause::Load));
        let sized = sizing::partitions(&demand).map_err(|refusal| {
            let span =
                if refusal.code == "global-order-too-fast" { topic.order.span } else { topic.write.span };
            self.refuse(refusal.code, owner, span, refusal.message, refusal.help, Cause::Load);
        });
        let (Ok(copies), Ok((partitions, needs, because))) = (copies, sized) else { return None };
        self.notes.extend(keys::remark(topic, partitions));
        let load = Load::of(&topic.write);
        let retain = &topic.retain.value;
        let segments = Segments::of(retain, partitions);
        let distinct =
            topic.keys.as_ref().and_then(|keys| keys.distinct.as_ref()).map(|distinct| distinct.count());
        let values = distinct.map(|distinct| distinct.saturating_mul(topic.write.record.bytes()));
        let disk = sizing::disk(retain, load, segments, partitions, copies.replication_factor, values);
        let peak_bytes_per_second = load.peak_bytes_per_second;
        let sizing = Sizing { partitions, needs, because, disk, peak_bytes_per_second };
        Some(self.layers(owner, topic, &copies, sizing))
    }

    /// The layers of a topic whose size and copies are known.
    fn layers(&mut self, owner: &Spec, topic: &TopicSpec, copies: &Copies, sizing: Sizing) -> TopicPlan {
        let (load, partitions) = (Load::of(&topic.write), sizing.partitions);
        let layer_producer = settings::producer_promise(topic, load, partitions);
        let layer_topic =
            settings::topic_promise(topic, copies, partitions, layer_producer.max_request_bytes);
        let floor = layer_topic.min_insync_replicas;
        let mut settings = settings::producer(topic, &layer_producer, load, partitions, floor);
        settings.extend(settings::topic(topic, &layer_topic, copies, &sizing));
        settings.extend(settings::broker(topic));
        let durability = Durability { consistency: topic.consistency, survive: topic.survive.value };
        let mut contract = TopicContract {
            topic: topic.name.value.clone(),
            profile: self.profile,
            durability,
            order: topic.order.value,
            key: topic.key.clone(),
            layer_topic,
            layer_producer,
        };
        for (layer, insisted) in [(Layer::Topic, &topic.settings), (Layer::Producer, &topic.producer)] {
            let (notes, refused) = settings::insist_on_topic(insisted, layer, &mut contract, &mut settings);
            self.notes.extend(notes);
            self.refuse_settings(owner, refused);
        }
        settings::mark(&mut settings, self.cluster.kind);
        let mut plan = TopicPlan {
            service: owner.service.value.clone(),
            survives: copies.survives.clone(),
            survival: Vec::new(),
            smallest_change: None,
            after_all_are_down: String::new(),
            contract,
            sizing,
            settings,
        };
        self.survival(&mut plan);
        plan
    }

    /// Tries every loss on the live placement, or on the one that Kafka makes for a new topic.
    fn survival(&self, plan: &mut TopicPlan) {
        let promise = &plan.contract.layer_topic;
        let (copies, floor) = (promise.replication_factor, promise.min_insync_replicas);
        let live = self.facts.and_then(|facts| Some((facts, facts.topics.get(&plan.contract.topic)?)));
        let placement = match live {
            Some((facts, topic)) => Placement {
                partitions: topic.partitions.iter().map(|partition| partition.replicas.clone()).collect(),
                racks: facts
                    .brokers
                    .iter()
                    .filter_map(|broker| Some((broker.id, broker.rack.clone()?)))
                    .collect(),
            },
            None => Placement::fresh(self.cluster.brokers, &self.cluster.racks, promise.partitions, copies),
        };
        plan.survival = survival::survivals(&placement, floor);
        plan.after_all_are_down = survival::after_all_are_down(self.cluster.version, copies, floor);
        if !survival::holds(&plan.survival, plan.contract.durability) {
            let room = (self.cluster.brokers, self.cluster.racks.as_slice());
            plan.smallest_change =
                Some(match survival::smallest_change(room, copies, floor, plan.contract.durability) {
                    Some(same) if same == (copies, floor) => {
                        "where the copies are: klamm apply moves them to what is planned".to_owned()
                    }
                    Some((copies, floor)) => {
                        format!("{} with min.insync.replicas {floor}", text::copies(copies))
                    }
                    None => "more brokers, or more racks: no number of copies does it with these".to_owned(),
                });
        }
    }

    fn demand<'t>(&self, topic: &'t TopicSpec) -> Demand<'t>
    where
        'a: 't,
    {
        let name = topic.name.value.as_str();
        let groups = self
            .readers
            .get(name)
            .into_iter()
            .flatten()
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
            growth: topic.growth.clone(),
            rate: PartitionRate::of(self.described.and_then(|cluster| cluster.partition)),
        }
    }

    fn consumer(
        &mut self,
        owner: &Spec,
        consumer: &ConsumerSpec,
        partitions: &HashMap<&str, u32>,
    ) -> ConsumerPlan {
        let mut contract = settings::consumer_contract(consumer);
        let group = contract.group.clone();
        if consumer.delivery == Delivery::ExactlyOnce {
            let note =
                format!("{group}: exactly_once is planned, but this release's runtime does not run it yet");
            self.notes.push(note);
        }
        if consumer.delivery == Delivery::AtMostOnce {
            let read = contract.topics.iter().filter_map(|name| self.owned.get(name.as_str()));
            let strong = read.filter(|topic| topic.consistency == Consistency::Strong);
            let names: Vec<&str> = strong.map(|topic| topic.name.value.as_str()).collect();
            if !names.is_empty() {
                let note = format!(
                    "{group}: at_most_once skips records of {} in a crash, though they are stored",
                    text::list(&names)
                );
                self.notes.push(note);
            }
        }
        self.readable(owner, consumer, partitions);
        let mut settings = settings::consumer(consumer, &contract);
        let (notes, refused) = settings::insist_on_consumer(consumer, &mut contract, &mut settings);
        self.notes.extend(notes.into_iter().map(|note| format!("{group}: {note}")));
        self.refuse_settings(owner, refused);
        if consumer.protocol.value == Protocol::Consumer && !self.cluster.version.has_consumer_protocol() {
            let message =
                format!("group {group}: protocol consumer needs Kafka 4.0, this is {}", self.cluster.version);
            self.refuse(
                "protocol-too-new",
                owner,
                consumer.protocol.span,
                message,
                "say protocol: classic".to_owned(),
                Cause::Load,
            );
        }
        let lag_budget_ms = consumer.lag.millis();
        ConsumerPlan { service: owner.service.value.clone(), contract, lag_budget_ms, settings }
    }

    /// Can the group keep up, and does what it missed still exist when it comes back?
    fn readable(&mut self, owner: &Spec, consumer: &ConsumerSpec, partitions: &HashMap<&str, u32>) {
        for read in &consumer.reads {
            let Some(spec) = self.owned.get(read.value.as_str()).copied() else { continue };
            let partitions = partitions.get(read.value.as_str()).copied().unwrap_or(0);
            match sizing::keeping_up(consumer, spec, partitions) {
                Ok(note) => self.notes.extend(note),
                Err(slow) => self.refuse(slow.code, owner, slow.span, slow.message, slow.help, Cause::Load),
            }
        }
    }

    /// Copies and floor of Kafka's own topics: those of the most careful topic.
    fn internal(&self, topics: &[TopicPlan]) -> Internal {
        let most = topics
            .iter()
            .map(|topic| &topic.contract.layer_topic)
            .max_by_key(|topic| (topic.replication_factor, topic.min_insync_replicas));
        let few = self.cluster.brokers.clamp(1, 3);
        match most {
            Some(topic) => Internal {
                copies: topic.replication_factor.max(few),
                floor: topic.min_insync_replicas.max(few.div_ceil(2)),
            },
            None => Internal { copies: few, floor: few.div_ceil(2) },
        }
    }

    fn streams(&mut self, internal: Internal) -> Vec<StreamsPlan> {
        let names = |topics: &[crate::spec::Spanned<String>]| {
            topics.iter().map(|topic| topic.value.clone()).collect()
        };
        let version = self.cluster.version;
        let all = self
            .specs
            .specs()
            .iter()
            .flat_map(|spec| spec.streams.iter().map(move |streams| (spec, streams)));
        all.map(|(spec, streams)| StreamsPlan {
            service: spec.service.value.clone(),
            application: streams.application.value.clone(),
            reads: names(&streams.reads),
            writes: names(&streams.writes),
            disk: settings::state_disk(streams),
            settings: settings::streams(streams, internal, version),
        })
        .collect()
    }

    fn brokers(&self, internal: Internal, topics: &[TopicPlan]) -> Vec<settings::Setting> {
        let consumers = self.specs.specs().iter().flat_map(|spec| &spec.consumers);
        let away = consumers
            .filter_map(|consumer| consumer.outage.as_ref())
            .map(|outage| outage.value.millis())
            .max();
        let largest =
            topics.iter().map(|topic| topic.contract.layer_topic.max_message_bytes).max().unwrap_or(0);
        let racks = self.cluster.racks.len();
        let mut brokers =
            settings::brokers(self.cluster.version, internal, racks, away.unwrap_or(0), largest);
        settings::mark(&mut brokers, self.cluster.kind);
        brokers
    }

    fn capacity(&mut self, topics: &[TopicPlan]) -> capacity::Capacity {
        let readers = |name: &str| {
            let groups = self.readers.get(name).map_or(0, Vec::len);
            let specs = self.specs.specs().iter();
            let streams = specs
                .flat_map(|spec| &spec.streams)
                .filter(|s| s.reads.iter().any(|read| read.value == name));
            let mirror = self.specs.specs().iter().any(|spec| spec.recovery.is_some());
            groups as u64 + streams.count() as u64 + u64::from(mirror)
        };
        let burdens: Vec<Burden> = topics
            .iter()
            .map(|topic| Burden {
                partitions: topic.sizing.partitions.into(),
                copies: topic.contract.layer_topic.replication_factor.into(),
                peak: topic.sizing.peak_bytes_per_second,
                disk: topic.sizing.disk.total_bytes,
                segment_bytes: topic
                    .setting(Layer::Topic, "segment.bytes")
                    .and_then(|s| s.value.parse().ok())
                    .unwrap_or(1 << 30),
                readers: readers(topic.name()),
            })
            .collect();
        let machine = self.described.map(|cluster| cluster.machine.clone()).unwrap_or_default();
        let (capacity, problems) =
            capacity::capacity(&burdens, self.cluster.brokers, self.cluster.controllers, &machine);
        for problem in problems {
            match (self.profile, self.described) {
                (Profile::Prod, Some(cluster)) => {
                    let diagnostic = Diagnostic::at(
                        "too-much-for-the-brokers",
                        &cluster.file,
                        cluster.span,
                        problem.message,
                    );
                    self.diagnostics.push(diagnostic.help(problem.help));
                }
                _ => self.notes.push(format!("{}: {}", problem.message, problem.help)),
            }
        }
        capacity
    }

    fn recovery(&mut self, internal: Internal, topics: &[TopicPlan]) -> Option<recovery::RecoveryPlan> {
        let owner = self.specs.specs().iter().find(|spec| spec.recovery.is_some())?;
        let spec = owner.recovery.as_ref()?;
        let consumers = self.specs.specs().iter().flat_map(|spec| &spec.consumers);
        let mean = |topic: &TopicSpec| Load::of(&topic.write).bytes_per_second;
        let what = Mirrored {
            topics: topics.iter().map(|topic| topic.name().to_owned()).collect(),
            groups: consumers.map(|consumer| consumer.group.value.clone()).collect(),
            peak: topics.iter().fold(0, |sum, topic| topic.sizing.peak_bytes_per_second.saturating_add(sum)),
            mean: self
                .specs
                .specs()
                .iter()
                .flat_map(|spec| &spec.topics)
                .fold(0, |sum, topic| mean(topic).saturating_add(sum)),
            partitions: topics.iter().map(|topic| topic.sizing.partitions).sum(),
        };
        recovery::recovery(spec, what, internal)
            .map_err(|(code, message, help)| self.refuse(code, owner, spec.span, message, help, Cause::Load))
            .ok()
    }

    fn refuse_settings(&mut self, owner: &Spec, refused: Vec<settings::Refused>) {
        for one in refused {
            self.refuse("setting-refused", owner, one.span, one.message, one.help, Cause::Load);
        }
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

/// As many copies as the spec insists on: more than it needs by itself, or none of this.
fn insist_on_copies(
    topic: &TopicSpec,
    copies: Copies,
    room: Room,
    profile: Profile,
) -> Result<Copies, NoRoom> {
    let Some(asked) = topic.copies.as_ref().map(|copies| copies.value) else { return Ok(copies) };
    if asked < copies.wanted && profile == Profile::Prod {
        return Err(NoRoom {
            code: "too-few-copies",
            message: format!(
                "{} are fewer than the {} that surviving it takes",
                text::copies(asked),
                copies.wanted
            ),
            help: "leave copies out, or ask to survive less".to_owned(),
        });
    }
    if asked > room.brokers && profile == Profile::Prod {
        return Err(NoRoom {
            code: "too-few-brokers",
            message: format!("{} do not fit on {}", text::copies(asked), text::count(room.brokers, "broker")),
            help: "copies of a partition are on different brokers".to_owned(),
        });
    }
    Ok(Copies { replication_factor: asked.min(room.brokers).max(1), ..copies })
}

fn key_span(topic: &TopicSpec) -> Span {
    topic.keys.as_ref().map_or(topic.name.span, |keys| keys.span)
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
    let stated = described.and_then(|cluster| cluster.brokers.as_ref()).map(|brokers| brokers.value);
    let racks =
        described.and_then(|cluster| cluster.racks.as_ref()).map_or(Vec::new(), |racks| racks.value.clone());
    let sasl = described.and_then(|cluster| cluster.security.sasl.as_ref());
    let mut cluster = ClusterPlan {
        cluster_id: None,
        bootstrap: described.map_or(Vec::new(), |cluster| cluster.bootstrap.clone()),
        // As many racks as are named need at least as many brokers.
        brokers: stated.unwrap_or(ASSUMED_BROKERS.max(racks.len() as u32)),
        known: if stated.is_some() { Known::Spec } else { Known::Assumed },
        racks,
        kind: described.map(|cluster| cluster.kind).unwrap_or_default(),
        version: described.and_then(|cluster| cluster.version).unwrap_or(Version::ASSUMED),
        controllers: described.and_then(|cluster| cluster.controllers).unwrap_or(ASSUMED_CONTROLLERS),
        tls: described.is_some_and(|cluster| cluster.security.tls.is_some()),
        ca: described.and_then(|cluster| cluster.security.tls.as_ref()).and_then(|tls| tls.ca.clone()),
        sasl: sasl.map(|sasl| sasl.mechanism),
        username: sasl.map_or(String::new(), |sasl| sasl.username.clone()),
        password: sasl.map(|sasl| sasl.password.clone()),
    };
    if let Some(facts) = facts.filter(|facts| !facts.brokers.is_empty()) {
        let racks: BTreeSet<&String> =
            facts.brokers.iter().filter_map(|broker| broker.rack.as_ref()).collect();
        cluster.cluster_id = Some(facts.cluster_id.clone());
        cluster.brokers = brokers_known(facts);
        cluster.known = Known::Cluster;
        cluster.racks = racks.into_iter().cloned().collect();
    }
    cluster
}
