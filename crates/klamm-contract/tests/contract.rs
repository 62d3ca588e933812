//! When does a cluster keep a contract?

use std::collections::{BTreeMap, BTreeSet};

use klamm_contract::facts::{
    BrokerFacts, ClusterFacts, ConfigFact, ConfigSource, PartitionFacts, TopicFacts,
};
use klamm_contract::{Acks, Consistency, Layer, Order, Retention, TopicContract, Unit, keeps, worst_loss};
use proptest::prelude::*;

const TOPIC: &str = "orders.events";

/// A cluster of brokers in racks, with one topic whose partitions have the given replicas, all in sync.
fn cluster(racks: &[Option<&str>], partitions: &[&[i32]], configs: &[(&str, &str)]) -> ClusterFacts {
    let brokers = racks
        .iter()
        .enumerate()
        .map(|(index, rack)| BrokerFacts {
            id: index as i32 + 1,
            host: "kafka".to_owned(),
            port: 9092,
            rack: rack.map(str::to_owned),
            configs: BTreeMap::new(),
        })
        .collect();
    let partitions = partitions
        .iter()
        .enumerate()
        .map(|(index, replicas)| PartitionFacts {
            index: index as i32,
            leader: replicas.first().copied(),
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
        })
        .collect();
    let configs = configs
        .iter()
        .map(|(name, value)| {
            (name.to_string(), ConfigFact { value: Some(value.to_string()), source: ConfigSource::Topic })
        })
        .collect();
    let topic = TopicFacts { id: None, internal: false, partitions, configs: Some(configs) };
    let topics = BTreeMap::from([(TOPIC.to_owned(), topic)]);
    ClusterFacts { cluster_id: "c".to_owned(), embedded: false, brokers, topics }
}

fn three_brokers(configs: &[(&str, &str)]) -> ClusterFacts {
    cluster(&[None; 3], &[&[1, 2, 3], &[2, 3, 1]], configs)
}

fn settings(contract: &TopicContract, facts: &ClusterFacts) -> Vec<String> {
    keeps(contract, facts).into_iter().map(|breach| breach.setting).collect()
}

#[test]
fn three_copies_with_a_floor_of_two_keep_a_strong_contract() {
    assert_eq!(keeps(&TopicContract::strong(TOPIC), &three_brokers(&[("min.insync.replicas", "2")])), []);
}

#[test]
fn kafkas_default_floor_of_one_is_a_breach_that_names_what_is_lost() {
    let breaches = keeps(&TopicContract::strong(TOPIC), &three_brokers(&[]));
    assert_eq!(breaches.len(), 1, "{breaches:#?}");
    assert_eq!((breaches[0].layer, breaches[0].setting.as_str()), (Layer::Topic, "min.insync.replicas"));
    assert_eq!(breaches[0].value, "1 (Kafka's default)");
    assert!(breaches[0].consequence.contains("1 copy"), "{}", breaches[0].consequence);
    assert!(
        breaches[0].fix.starts_with("kafka-configs.sh --bootstrap-server kafka:9092"),
        "{}",
        breaches[0].fix
    );
    assert!(breaches[0].fix.ends_with("min.insync.replicas=2"));
}

#[test]
fn a_floor_as_high_as_the_copies_stops_writes() {
    let breaches = keeps(&TopicContract::strong(TOPIC), &three_brokers(&[("min.insync.replicas", "3")]));
    assert_eq!(breaches.len(), 1, "{breaches:#?}");
    assert!(breaches[0].consequence.contains("stops all writes"));
    assert_eq!(breaches[0].needed, "at most 2");
}

#[test]
fn two_copies_are_too_few_for_strong_data_and_enough_for_eventual() {
    let facts = cluster(&[None; 3], &[&[1, 2]], &[("min.insync.replicas", "1")]);
    assert_eq!(settings(&TopicContract::strong(TOPIC), &facts), ["replication factor"]);
    assert_eq!(settings(&TopicContract::eventual(TOPIC), &facts), [] as [&str; 0]);
}

#[test]
fn unclean_election_is_refused_under_every_profile_with_its_source_named() {
    let mut facts = cluster(&[None], &[&[1]], &[("unclean.leader.election.enable", "true")]);
    let config = |facts: &mut ClusterFacts, source| {
        let configs = facts.topics.get_mut(TOPIC).and_then(|topic| topic.configs.as_mut());
        configs
            .and_then(|configs| configs.get_mut("unclean.leader.election.enable"))
            .expect("it is set")
            .source = source;
    };
    config(&mut facts, ConfigSource::StaticBroker);
    let breaches = keeps(&TopicContract::strong(TOPIC).dev(), &facts);
    assert_eq!(breaches.len(), 1, "{breaches:#?}");
    assert_eq!(
        (breaches[0].layer, breaches[0].value.as_str()),
        (Layer::Broker, "true (set in server.properties)")
    );
    assert_eq!(keeps(&TopicContract::eventual(TOPIC).dev(), &facts), []);
}

#[test]
fn dev_asks_for_no_copies_no_racks_and_no_floor() {
    let mut contract = TopicContract::strong(TOPIC).dev();
    contract.durability.survive.racks = 1;
    assert_eq!(keeps(&contract, &cluster(&[None], &[&[1]], &[])), []);
}

#[test]
fn a_small_message_limit_and_a_short_retention_are_breaches_also_under_dev() {
    let configs = [("max.message.bytes", "1000"), ("retention.ms", "3600000")];
    let contract = TopicContract::strong(TOPIC).dev();
    assert_eq!(
        settings(&contract, &cluster(&[None], &[&[1]], &configs)),
        ["max.message.bytes", "retention.ms"]
    );
}

#[test]
fn retention_is_held_against_what_is_promised() {
    let holds = |retention, configs: &[(&str, &str)]| {
        let mut contract = TopicContract::strong(TOPIC).dev();
        contract.layer_topic.retention = retention;
        settings(&contract, &cluster(&[None], &[&[1], &[1]], configs))
    };
    let none: [&str; 0] = [];
    assert_eq!(holds(Retention::Forever, &[]), ["retention.ms"]);
    assert_eq!(holds(Retention::Forever, &[("retention.ms", "-1")]), none);
    assert_eq!(holds(Retention::Compact, &[("cleanup.policy", "compact")]), none);
    assert_eq!(holds(Retention::Compact, &[]), ["cleanup.policy"]);
    let both = [("cleanup.policy", "compact,delete"), ("retention.ms", "-1")];
    assert_eq!(holds(Retention::Compact, &both), none);
    assert_eq!(holds(Retention::Time { ms: 1000 }, &[("cleanup.policy", "compact")]), ["cleanup.policy"]);
    let size = Retention::Size { bytes: 2_000 };
    assert_eq!(holds(size, &[("retention.bytes", "1000"), ("retention.ms", "-1")]), none);
    assert_eq!(holds(size, &[("retention.bytes", "999"), ("retention.ms", "-1")]), ["retention.bytes"]);
}

#[test]
fn a_broker_that_is_down_is_no_breach_until_writes_stop() {
    let mut facts = three_brokers(&[("min.insync.replicas", "2")]);
    facts.brokers.pop();
    let isr = |facts: &mut ClusterFacts, isr: &[i32]| {
        for partition in &mut facts.topics.get_mut(TOPIC).expect("the topic").partitions {
            partition.isr = isr.to_vec();
            partition.leader = isr.first().copied();
        }
    };
    isr(&mut facts, &[1, 2]);
    assert_eq!(keeps(&TopicContract::strong(TOPIC), &facts), []);
    isr(&mut facts, &[1]);
    let breaches = keeps(&TopicContract::strong(TOPIC), &facts);
    assert_eq!(breaches.len(), 1, "{breaches:#?}");
    assert_eq!(breaches[0].value, "1 of 3 in partition 0 and 1 other");
}

#[test]
fn racks_are_judged_by_where_the_copies_are() {
    let mut contract = TopicContract::strong(TOPIC);
    contract.durability.survive.racks = 1;
    let racks = [Some("a"), Some("a"), Some("b"), Some("c")];
    let floor = [("min.insync.replicas", "2")];
    assert_eq!(keeps(&contract, &cluster(&racks, &[&[1, 3, 4], &[2, 3, 4]], &floor)), []);
    let breaches = keeps(&contract, &cluster(&racks, &[&[1, 3, 4], &[1, 2, 3]], &floor));
    assert_eq!(breaches.len(), 1, "{breaches:#?}");
    assert_eq!(breaches[0].value, "partition 1 has 2 of 3 copies in a");
    let breaches = settings(&contract, &cluster(&[None, Some("b"), Some("c")], &[&[1, 2, 3]], &floor));
    assert_eq!(breaches, ["broker.rack"]);
}

#[test]
fn a_topic_that_does_not_exist_is_judged_by_the_brokers() {
    let mut facts = three_brokers(&[]);
    facts.topics.clear();
    assert_eq!(keeps(&TopicContract::strong(TOPIC), &facts), []);
    facts.brokers.pop();
    assert_eq!(settings(&TopicContract::strong(TOPIC), &facts), ["brokers"]);
    assert_eq!(keeps(&TopicContract::strong(TOPIC).dev(), &facts), []);
}

#[test]
fn a_contract_that_contradicts_itself_is_not_kept() {
    let mut facts = three_brokers(&[]);
    facts.topics.clear();
    let mut contract = TopicContract::strong(TOPIC);
    contract.layer_topic.replication_factor = 1;
    assert_eq!(settings(&contract, &facts), ["replication factor"]);
    let mut contract = TopicContract::strong(TOPIC);
    contract.layer_producer.acks = Acks::Leader;
    contract.layer_producer.max_in_flight = 6;
    assert_eq!(settings(&contract, &facts), ["acks", "max.in.flight.requests.per.connection"]);
}

#[test]
fn what_cannot_be_read_does_not_count_as_kept() {
    let mut facts = three_brokers(&[]);
    facts.topics.get_mut(TOPIC).expect("the topic").configs = None;
    assert_eq!(settings(&TopicContract::strong(TOPIC), &facts), ["configuration"]);
}

#[test]
fn global_order_needs_one_partition() {
    let mut contract = TopicContract::strong(TOPIC);
    contract.order = Order::Global;
    assert_eq!(settings(&contract, &three_brokers(&[("min.insync.replicas", "2")])), ["partitions"]);
}

/// A cluster of up to six brokers in up to four racks, partitions of distinct replicas, and a floor.
fn any_cluster() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<i32>>, u32)> {
    (1..=6usize).prop_flat_map(|brokers| {
        let ids: Vec<i32> = (1..=brokers as i32).collect();
        let replicas = (1..=brokers).prop_flat_map(move |copies| {
            prop::collection::vec(Just(ids.clone()).prop_shuffle(), 1..4).prop_map(move |partitions| {
                partitions.into_iter().map(|ids| ids.into_iter().take(copies).collect()).collect()
            })
        });
        (prop::collection::vec(0..4u8, brokers), replicas, 1..5u32)
    })
}

/// All sets of at most `count` of `items`.
fn subsets<T: Clone + Ord>(items: &BTreeSet<T>, count: usize) -> Vec<BTreeSet<T>> {
    let mut sets = vec![BTreeSet::new()];
    for item in items {
        for at in 0..sets.len() {
            if sets[at].len() < count {
                let mut larger = sets[at].clone();
                larger.insert(item.clone());
                sets.push(larger);
            }
        }
    }
    sets
}

/// Can losing `down` lose an acknowledged record, or stop writes? Every set of copies that may have acknowledged is
/// tried, each of at least the floor.
fn survives(replicas: &[i32], down: &BTreeSet<i32>, floor: u32, consistency: Consistency) -> bool {
    let floor = floor.min(replicas.len() as u32) as usize;
    let copies: BTreeSet<i32> = replicas.iter().copied().collect();
    let writes = copies.difference(down).count() >= floor.max(1);
    let acknowledged_by = subsets(&copies, copies.len()).into_iter().filter(|set| set.len() >= floor);
    let lost = acknowledged_by.into_iter().any(|holders| holders.is_subset(down));
    writes && (consistency == Consistency::Eventual || !lost)
}

proptest! {
    #[test]
    fn a_kept_contract_survives_every_loss_that_it_names(
        (racks, partitions, floor) in any_cluster(),
        survive_brokers in 0..3u32,
        survive_racks in 0..2u32,
        strong in any::<bool>(),
    ) {
        let names: Vec<String> = racks.iter().map(|rack| format!("rack-{rack}")).collect();
        let homes: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let replicas: Vec<&[i32]> = partitions.iter().map(Vec::as_slice).collect();
        let facts = cluster(&homes, &replicas, &[("min.insync.replicas", &floor.to_string())]);
        let mut contract = if strong { TopicContract::strong(TOPIC) } else { TopicContract::eventual(TOPIC) };
        contract.durability.survive.brokers = survive_brokers;
        contract.durability.survive.racks = survive_racks;

        let ids: BTreeSet<i32> = (1..=racks.len() as i32).collect();
        let mut losses = subsets(&ids, survive_brokers as usize);
        for gone in subsets(&racks.iter().copied().collect(), survive_racks as usize) {
            losses.push(ids.iter().copied().filter(|id| gone.contains(&racks[*id as usize - 1])).collect());
        }
        let consistency = contract.durability.consistency;
        let survives_all = losses.iter().all(|down| {
            partitions.iter().all(|replicas| survives(replicas, down, floor, consistency))
        });
        prop_assert_eq!(keeps(&contract, &facts).is_empty(), survives_all, "{:#?}", keeps(&contract, &facts));
    }

    #[test]
    fn the_worst_loss_is_the_worst_of_all_sets((racks, partitions, _) in any_cluster(), count in 0..4u32) {
        let homes: BTreeMap<i32, String> =
            racks.iter().enumerate().map(|(index, rack)| (index as i32 + 1, rack.to_string())).collect();
        let names: BTreeSet<String> = homes.values().cloned().collect();
        for replicas in &partitions {
            let worst = subsets(&names, count as usize)
                .iter()
                .map(|gone| replicas.iter().filter(|id| gone.contains(&homes[*id])).count() as u32)
                .max();
            let found = worst_loss(replicas, &homes, Unit::Rack, count);
            prop_assert_eq!(Some(found.copies_lost), worst);
            prop_assert_eq!(found.copies_left + found.copies_lost, replicas.len() as u32);
        }
    }
}
