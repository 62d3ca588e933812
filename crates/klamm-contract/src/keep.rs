//! Do given layers keep a contract?

use std::collections::{BTreeMap, BTreeSet};

use klamm_kafka::in_sync_floor;
use serde::{Deserialize, Serialize};

use crate::facts::{ClusterFacts, ConfigFact, ConfigSource, TopicFacts};
use crate::placement::{Loss, Unit, worst_loss};
use crate::{Acks, Consistency, Layer, Order, Profile, Retention, TopicContract};

/// One place where the layers do not keep the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// Layer at fault.
    pub layer: Layer,
    /// Setting or fact, in Kafka's words (`min.insync.replicas`, `replication factor`, `brokers`).
    pub setting: String,
    /// What was seen.
    pub value: String,
    /// What the contract needs.
    pub needed: String,
    /// What would be lost, in plain words.
    pub consequence: String,
    /// The command or configuration that mends it.
    pub fix: String,
}

/// Compares `contract` with the cluster as it was seen. Empty means that it is kept.
///
/// A topic that the facts do not hold does not exist yet: it is judged by the brokers that are there. Under
/// [`Profile::Dev`] exactly the survival demands (copies, racks, in-sync floor) are not asked for.
///
/// A broker that is down right now is no breach as long as writes go on without it: a service must be able to start
/// again during the outage that it is built to survive.
pub fn keeps(contract: &TopicContract, facts: &ClusterFacts) -> Vec<Breach> {
    let judge = Judge { contract, facts };
    let mut breaches = judge.promise();
    match facts.topics.get(&contract.topic) {
        Some(topic) => judge.topic(topic, &mut breaches),
        None => judge.absent_topic(&mut breaches),
    }
    breaches
}

struct Judge<'a> {
    contract: &'a TopicContract,
    facts: &'a ClusterFacts,
}

impl Judge<'_> {
    /// Is the contract sound in itself? Contracts may come from code, not only from the planner.
    fn promise(&self) -> Vec<Breach> {
        let producer = &self.contract.layer_producer;
        let mut breaches = Vec::new();
        if self.is_strong() && producer.acks != Acks::All {
            breaches.push(Breach {
                layer: Layer::Producer,
                setting: "acks".to_owned(),
                value: "1".to_owned(),
                needed: "all".to_owned(),
                consequence:
                    "records that only the leader had when it fails are lost although they were acknowledged"
                        .to_owned(),
                fix: "acks=all".to_owned(),
            });
        }
        if self.is_strong() && !producer.idempotence {
            breaches.push(Breach {
                layer: Layer::Producer,
                setting: "enable.idempotence".to_owned(),
                value: "false".to_owned(),
                needed: "true".to_owned(),
                consequence: "a retry can store a record twice or behind a later one".to_owned(),
                fix: "enable.idempotence=true".to_owned(),
            });
        }
        if producer.idempotence && producer.max_in_flight > 5 {
            breaches.push(Breach {
                layer: Layer::Producer,
                setting: "max.in.flight.requests.per.connection".to_owned(),
                value: producer.max_in_flight.to_string(),
                needed: "at most 5".to_owned(),
                consequence:
                    "brokers remember five batches of a producer: a retry of an older one breaks order"
                        .to_owned(),
                fix: "max.in.flight.requests.per.connection=5".to_owned(),
            });
        }
        breaches
    }

    fn absent_topic(&self, breaches: &mut Vec<Breach>) {
        if self.contract.profile == Profile::Dev {
            return;
        }
        let promise = &self.contract.layer_topic;
        if promise.replication_factor < self.copies_needed() {
            let fix = format!("ask for {} copies, or to survive less", self.copies_needed());
            breaches.push(self.too_few_copies(promise.replication_factor, fix));
        }
        let live = self.facts.brokers.len() as u32;
        let wanted = promise.replication_factor.max(self.copies_needed());
        if live < wanted {
            breaches.push(Breach {
                layer: Layer::Broker,
                setting: "brokers".to_owned(),
                value: live.to_string(),
                needed: format!("{wanted}, one for each copy of {:?}", self.contract.topic),
                consequence: format!(
                    "{live} broker{} cannot hold {wanted} copies: {}",
                    plural(live),
                    self.consequence_of_loss()
                ),
                fix: "start the missing brokers, or use --profile dev if losing this data is fine".to_owned(),
            });
        }
        let homes: BTreeSet<&String> =
            self.facts.brokers.iter().filter_map(|broker| broker.rack.as_ref()).collect();
        let racks = self.contract.durability.survive.racks;
        let racks_needed = if racks == 0 { 0 } else { self.copies_for(racks) };
        if (homes.len() as u32) < racks_needed {
            breaches.push(Breach {
                layer: Layer::Broker,
                setting: "broker.rack".to_owned(),
                value: format!("{} racks", homes.len()),
                needed: format!("{racks_needed} racks"),
                consequence: format!(
                    "with {racks} rack{} down writes stop or records are lost",
                    plural(racks)
                ),
                fix: "set broker.rack in each broker's server.properties and restart it".to_owned(),
            });
        }
        self.floor(promise.min_insync_replicas, promise.replication_factor, "planned", breaches);
    }

    fn topic(&self, topic: &TopicFacts, breaches: &mut Vec<Breach>) {
        let copies =
            topic.partitions.iter().map(|partition| partition.replicas.len() as u32).min().unwrap_or(0);
        let prod = self.contract.profile == Profile::Prod;
        if prod {
            self.replication_factor(copies, breaches);
        }
        match &topic.configs {
            None => breaches.push(self.unreadable()),
            Some(configs) => {
                self.unclean_election(configs, breaches);
                self.message_size(configs, breaches);
                self.retention(configs, topic.partitions.len() as u64, breaches);
                if prod {
                    let asked = number(configs, "min.insync.replicas").unwrap_or(1) as u32;
                    let source =
                        configs.get("min.insync.replicas").map_or(ConfigSource::Default, |fact| fact.source);
                    self.floor(asked, copies, source_name(source), breaches);
                    self.in_sync_now(topic, asked, breaches);
                    self.placement(topic, asked, breaches);
                }
            }
        }
        if self.contract.order == Order::Global && topic.partitions.len() > 1 {
            breaches.push(Breach {
                layer: Layer::Topic,
                setting: "partitions".to_owned(),
                value: topic.partitions.len().to_string(),
                needed: "1".to_owned(),
                consequence: "records of different partitions have no order among each other".to_owned(),
                fix: format!("a new topic of one partition in place of {:?}", self.contract.topic),
            });
        }
    }

    fn unreadable(&self) -> Breach {
        Breach {
            layer: Layer::Topic,
            setting: "configuration".to_owned(),
            value: "not readable".to_owned(),
            needed: "permission DESCRIBE_CONFIGS on the topic".to_owned(),
            consequence: "whether acknowledged records can be lost cannot be told".to_owned(),
            fix: format!(
                "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:… --operation DescribeConfigs --topic {}",
                self.bootstrap(),
                self.contract.topic
            ),
        }
    }

    fn unclean_election(&self, configs: &Configs, breaches: &mut Vec<Breach>) {
        let Some(fact) = configs.get(UNCLEAN) else { return };
        if !self.is_strong() || fact.value.as_deref() != Some("true") {
            return;
        }
        breaches.push(Breach {
            layer: layer_of(fact.source),
            setting: UNCLEAN.to_owned(),
            value: format!("true ({})", source_name(fact.source)),
            needed: "false".to_owned(),
            consequence:
                "when all in-sync copies are down, an old copy may lead and acknowledged records are gone"
                    .to_owned(),
            fix: self.alter(UNCLEAN, "false"),
        });
    }

    fn message_size(&self, configs: &Configs, breaches: &mut Vec<Breach>) {
        let Some(limit) = number(configs, "max.message.bytes") else { return };
        let needed = self.contract.layer_topic.max_message_bytes;
        if limit < 0 || limit as u64 >= needed {
            return;
        }
        let source = configs.get("max.message.bytes").map_or(ConfigSource::Default, |fact| fact.source);
        breaches.push(Breach {
            layer: layer_of(source),
            setting: "max.message.bytes".to_owned(),
            value: format!("{limit} ({})", source_name(source)),
            needed: format!("at least {needed}"),
            consequence: format!("batches above {limit} bytes are refused (MESSAGE_TOO_LARGE)"),
            fix: self.alter("max.message.bytes", &needed.to_string()),
        });
    }

    fn retention(&self, configs: &Configs, partitions: u64, breaches: &mut Vec<Breach>) {
        let policy =
            configs.get("cleanup.policy").and_then(|fact| fact.value.clone()).unwrap_or("delete".to_owned());
        let (deletes, compacts) = (policy.contains("delete"), policy.contains("compact"));
        let promised = self.contract.layer_topic.retention;
        if compacts && !matches!(promised, Retention::Compact) {
            breaches.push(self.shorter(
                "cleanup.policy",
                &policy,
                "delete",
                "all but the newest record of each key go",
            ));
        }
        if !deletes {
            return;
        }
        let keeps_ms = number(configs, "retention.ms").unwrap_or(KAFKA_RETENTION_MS);
        let keeps_bytes = number(configs, "retention.bytes").unwrap_or(-1);
        if matches!(promised, Retention::Compact) {
            // With neither limit nothing is deleted, whatever the policy.
            if keeps_ms >= 0 || keeps_bytes >= 0 {
                let consequence = "the newest record of a key goes when it is old";
                breaches.push(self.shorter("cleanup.policy", &policy, "compact", consequence));
            }
            return;
        }
        let (needs_ms, needs_bytes) = match promised {
            Retention::Time { ms } => (Some(ms), None),
            Retention::Size { bytes } => (None, Some(bytes / partitions.max(1))),
            Retention::Forever | Retention::Compact => (None, None),
        };
        let forever = matches!(promised, Retention::Forever);
        // -1 is without end, for both settings.
        let ends_early =
            |has: i64, needs: Option<u64>| has >= 0 && needs.is_none_or(|needs| (has as u64) < needs);
        if (forever || needs_ms.is_some()) && ends_early(keeps_ms, needs_ms) {
            let needed = needs_ms.map_or("-1".to_owned(), |ms| ms.to_string());
            let consequence = format!("records are deleted after {keeps_ms} ms");
            breaches.push(self.shorter("retention.ms", &keeps_ms.to_string(), &needed, &consequence));
        }
        if ends_early(keeps_bytes, needs_bytes) {
            let needed = needs_bytes.map_or("-1".to_owned(), |bytes| bytes.to_string());
            let consequence = format!("records are deleted once a partition holds {keeps_bytes} bytes");
            breaches.push(self.shorter("retention.bytes", &keeps_bytes.to_string(), &needed, &consequence));
        }
    }

    fn shorter(&self, setting: &str, value: &str, needed: &str, consequence: &str) -> Breach {
        Breach {
            layer: Layer::Topic,
            setting: setting.to_owned(),
            value: value.to_owned(),
            needed: needed.to_owned(),
            consequence: format!("{consequence}, earlier than promised"),
            fix: self.alter(setting, needed),
        }
    }

    fn replication_factor(&self, copies: u32, breaches: &mut Vec<Breach>) {
        let needed = self.copies_needed();
        if copies < needed {
            let fix = format!(
                "kafka-reassign-partitions.sh --bootstrap-server {} --reassignment-json-file FILE --execute, with {needed} \
                 replicas for each partition of {}",
                self.bootstrap(),
                self.contract.topic
            );
            breaches.push(self.too_few_copies(copies, fix));
        }
    }

    fn too_few_copies(&self, copies: u32, fix: String) -> Breach {
        Breach {
            layer: Layer::Topic,
            setting: "replication factor".to_owned(),
            value: copies.to_string(),
            needed: self.copies_needed().to_string(),
            consequence: self.consequence_of_loss(),
            fix,
        }
    }

    /// The floor against what is to be survived: below it records can be lost, above it writes stop.
    fn floor(&self, asked: u32, copies: u32, source: &str, breaches: &mut Vec<Breach>) {
        if copies < self.copies_needed() {
            return; // more copies come first: no floor can mend it
        }
        let brokers = self.contract.durability.survive.brokers;
        let floor = in_sync_floor(asked, copies);
        if self.is_strong() && floor <= brokers {
            breaches.push(Breach {
                layer: Layer::Topic,
                setting: MIN_ISR.to_owned(),
                value: format!("{asked} ({source})"),
                needed: (brokers + 1).to_string(),
                consequence: format!(
                    "acks=all may mean {floor} cop{}: a record acknowledged there is lost with {brokers} broker{}",
                    if floor == 1 { "y" } else { "ies" },
                    plural(brokers)
                ),
                fix: self.alter(MIN_ISR, &(brokers + 1).to_string()),
            });
        } else if copies - floor < brokers {
            let best = (copies - brokers).max(1);
            breaches.push(Breach {
                layer: Layer::Topic,
                setting: MIN_ISR.to_owned(),
                value: format!("{asked} of {copies} copies ({source})"),
                needed: format!("at most {best}"),
                consequence: format!(
                    "{brokers} broker{} down stops all writes (NOT_ENOUGH_REPLICAS)",
                    plural(brokers)
                ),
                fix: self.alter(MIN_ISR, &best.to_string()),
            });
        }
    }

    fn in_sync_now(&self, topic: &TopicFacts, asked: u32, breaches: &mut Vec<Breach>) {
        let short: Vec<_> = topic
            .partitions
            .iter()
            .filter(|partition| {
                let floor = in_sync_floor(asked, partition.replicas.len() as u32);
                partition.leader.is_none() || (partition.isr.len() as u32) < floor
            })
            .collect();
        let Some(first) = short.first() else { return };
        breaches.push(Breach {
            layer: Layer::Broker,
            setting: "in-sync replicas".to_owned(),
            value: format!(
                "{} of {} in partition {}{}",
                first.isr.len(),
                first.replicas.len(),
                first.index,
                and_others(short.len())
            ),
            needed: format!(
                "a leader and at least {} in sync",
                in_sync_floor(asked, first.replicas.len() as u32)
            ),
            consequence: "writes to these partitions are refused until brokers return".to_owned(),
            fix: format!(
                "start brokers {:?}",
                first.replicas.iter().filter(|id| !first.isr.contains(id)).collect::<Vec<_>>()
            ),
        });
    }

    /// The proof over the actual placement: the worst set of brokers or racks for each partition.
    fn placement(&self, topic: &TopicFacts, asked: u32, breaches: &mut Vec<Breach>) {
        let survive = self.contract.durability.survive;
        if survive.racks == 0 {
            // For brokers the worst loss depends only on copies and floor, which are judged above (tested).
            return;
        }
        let racks: BTreeMap<i32, String> =
            self.facts.brokers.iter().filter_map(|broker| Some((broker.id, broker.rack.clone()?))).collect();
        let homeless: Vec<i32> = self
            .facts
            .brokers
            .iter()
            .filter(|broker| broker.rack.is_none())
            .map(|broker| broker.id)
            .collect();
        if !homeless.is_empty() {
            breaches.push(Breach {
                layer: Layer::Broker,
                setting: "broker.rack".to_owned(),
                value: format!("not set on brokers {homeless:?}"),
                needed: "set on every broker".to_owned(),
                consequence: "copies may share a rack without anybody knowing".to_owned(),
                fix: "set broker.rack in each broker's server.properties and restart it".to_owned(),
            });
        }
        let bad: Vec<(i32, Loss)> = topic
            .partitions
            .iter()
            .filter_map(|partition| {
                let loss = worst_loss(&partition.replicas, &racks, Unit::Rack, survive.racks);
                let floor = in_sync_floor(asked, partition.replicas.len() as u32);
                let kept = loss.keeps_writes(floor) && (!self.is_strong() || loss.keeps_records(floor));
                (!kept).then_some((partition.index, loss))
            })
            .collect();
        let Some((index, loss)) = bad.first() else { return };
        breaches.push(Breach {
            layer: Layer::Topic,
            setting: "replica placement".to_owned(),
            value: format!(
                "partition {index}{} has {} of {} copies in {}",
                and_others(bad.len()),
                loss.copies_lost,
                loss.copies_lost + loss.copies_left,
                loss.lost.join(", ")
            ),
            needed: format!("goes on with any {} rack{} down", survive.racks, plural(survive.racks)),
            consequence: "with that rack down writes stop or acknowledged records are lost".to_owned(),
            fix: format!(
                "kafka-reassign-partitions.sh --bootstrap-server {} --reassignment-json-file FILE --execute, with the \
                 replicas of each partition in different racks",
                self.bootstrap()
            ),
        });
    }

    fn is_strong(&self) -> bool {
        self.contract.durability.consistency == Consistency::Strong
    }

    fn copies_needed(&self) -> u32 {
        let survive = self.contract.durability.survive;
        self.copies_for(survive.brokers.max(survive.racks))
    }

    /// Strong data needs a floor of `lost + 1` that is still reached when `lost` are gone; eventual data needs one copy.
    fn copies_for(&self, lost: u32) -> u32 {
        let lost = lost.min(1 << 20);
        if self.is_strong() { 2 * lost + 1 } else { lost + 1 }
    }

    fn consequence_of_loss(&self) -> String {
        let brokers = self.contract.durability.survive.brokers;
        if self.is_strong() {
            format!(
                "with {brokers} broker{} down writes stop or acknowledged records are lost",
                plural(brokers)
            )
        } else {
            format!("with {brokers} broker{} down the topic cannot be written or read", plural(brokers))
        }
    }

    fn alter(&self, setting: &str, value: &str) -> String {
        format!(
            "kafka-configs.sh --bootstrap-server {} --entity-type topics --entity-name {} --alter --add-config {setting}={value}",
            self.bootstrap(),
            self.contract.topic
        )
    }

    fn bootstrap(&self) -> String {
        match self.facts.brokers.first() {
            Some(broker) => format!("{}:{}", broker.host, broker.port),
            None => "HOST:PORT".to_owned(),
        }
    }
}

type Configs = BTreeMap<String, ConfigFact>;

const UNCLEAN: &str = "unclean.leader.election.enable";
const MIN_ISR: &str = "min.insync.replicas";
/// Kafka's default of `retention.ms`: seven days.
const KAFKA_RETENTION_MS: i64 = 604_800_000;

fn number(configs: &Configs, name: &str) -> Option<i64> {
    configs.get(name)?.value.as_deref()?.trim().parse().ok()
}

fn layer_of(source: ConfigSource) -> Layer {
    match source {
        ConfigSource::Topic => Layer::Topic,
        _ => Layer::Broker,
    }
}

fn source_name(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "set on the topic",
        ConfigSource::DynamicBroker => "set on a broker at run time",
        ConfigSource::DynamicDefaultBroker => "set for all brokers at run time",
        ConfigSource::StaticBroker => "set in server.properties",
        ConfigSource::Default => "Kafka's default",
        ConfigSource::Other => "from an unknown source",
    }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn and_others(count: usize) -> String {
    if count > 1 { format!(" and {} other{}", count - 1, plural(count as u32 - 1)) } else { String::new() }
}
