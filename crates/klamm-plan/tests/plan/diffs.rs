//! What a plan would change.

use std::collections::BTreeMap;

use klamm_contract::facts::{ClusterFacts, ConfigFact, ConfigSource, PartitionFacts, TopicFacts};
use klamm_contract::{Profile, keeps};
use klamm_plan::{ChangeKind, Plan, PlanOptions, Risk, TopicPlan, diff, plan};
use proptest::prelude::*;

use crate::plans::live;
use crate::{ORDERS, planned, set};

fn orders() -> Plan {
    planned(ORDERS, &PlanOptions::default())
}

/// The cluster as it is after the plan was applied, with some configurations set otherwise.
fn applied(plan: &Plan, partitions: i32, copies: usize, otherwise: &[(&str, &str)]) -> ClusterFacts {
    let mut facts = live(3, false);
    let shape = |_: &TopicPlan| (partitions, copies);
    place(plan, &mut facts, &shape, otherwise);
    facts
}

/// Creates the topics of `plan` as Kafka would: copies on consecutive brokers.
fn place(
    plan: &Plan,
    facts: &mut ClusterFacts,
    shape: &dyn Fn(&TopicPlan) -> (i32, usize),
    otherwise: &[(&str, &str)],
) {
    let ids: Vec<i32> = facts.brokers.iter().map(|broker| broker.id).collect();
    for topic in &plan.topics {
        let fact = |value: &str| ConfigFact { value: Some(value.to_owned()), source: ConfigSource::Topic };
        let mut configs: BTreeMap<String, ConfigFact> =
            topic.configs().iter().map(|(name, value)| (name.clone(), fact(value))).collect();
        configs.extend(otherwise.iter().map(|(name, value)| (name.to_string(), fact(value))));
        let (partitions, copies) = shape(topic);
        let partition = |index: i32| {
            let replicas: Vec<i32> = ids.iter().copied().cycle().skip(index as usize).take(copies).collect();
            PartitionFacts { index, leader: replicas.first().copied(), isr: replicas.clone(), replicas }
        };
        let partitions = (0..partitions).map(partition).collect();
        let topic_facts = TopicFacts { id: None, internal: false, partitions, configs: Some(configs) };
        facts.topics.insert(topic.name().to_owned(), topic_facts);
    }
}

#[test]
fn a_cluster_without_the_topic_gets_it() {
    let diff = diff(&orders(), &live(3, false));
    assert_eq!(diff.changes.len(), 1);
    assert_eq!(diff.changes[0].risk, Risk::Safe);
    assert_eq!(diff.changes[0].to_string(), "create orders.events with 12 partitions, 3 copies");
    let ChangeKind::CreateTopic { configs, .. } = &diff.changes[0].kind else { panic!("{diff:?}") };
    assert!(configs.contains(&("min.insync.replicas".to_owned(), "2".to_owned())));
    assert!(!configs.iter().any(|(name, _)| name == "partitions" || name == "replication.factor"));
}

#[test]
fn what_was_applied_needs_no_change() {
    let plan = orders();
    let diff = diff(&plan, &applied(&plan, 12, 3, &[]));
    assert!(diff.is_empty(), "{diff:#?}");
    assert_eq!(diff.unchanged, ["orders.events"]);
}

#[test]
fn changed_settings_are_set_with_their_risk() {
    let plan = orders();
    let otherwise =
        [("min.insync.replicas", "1"), ("retention.ms", "-1"), ("unclean.leader.election.enable", "true")];
    let found: Vec<(String, Risk)> = diff(&plan, &applied(&plan, 12, 3, &otherwise))
        .changes
        .iter()
        .map(|change| (change.to_string(), change.risk))
        .collect();
    let expected = [
        ("set min.insync.replicas of orders.events from 1 to 2".to_owned(), Risk::RefusesWrites),
        ("set unclean.leader.election.enable of orders.events from true to false".to_owned(), Risk::Safe),
        ("set retention.ms of orders.events from -1 to 604800000".to_owned(), Risk::LosesData),
    ];
    assert_eq!(found, expected);
}

#[test]
fn growing_a_keyed_topic_moves_keys() {
    let plan = orders();
    let diff = diff(&plan, &applied(&plan, 6, 3, &[]));
    assert_eq!(diff.changes[0].kind, ChangeKind::AddPartitions { from: 6, to: 12 });
    assert_eq!(diff.changes[0].risk, Risk::MovesKeys);
}

#[test]
fn fewer_partitions_conflict_and_copies_are_added_where_they_are_missing() {
    let plan = orders();
    let facts = applied(&plan, 24, 2, &[]);
    let diff = diff(&plan, &facts);
    let settings: Vec<&str> = diff.conflicts.iter().map(|conflict| conflict.setting.as_str()).collect();
    assert_eq!(settings, ["partitions"]);
    assert_eq!(diff.changes.len(), 1);
    assert_eq!(diff.changes[0].risk, Risk::CopiesData);
    assert_eq!(
        diff.changes[0].to_string(),
        format!("bring 24 partitions of {} from 2 copies to 3 copies", plan.topics[0].name())
    );
    let ChangeKind::Reassign { moves, throttle } = &diff.changes[0].kind else { panic!("{diff:?}") };
    assert!(moves.iter().all(|step| step.to.len() == 3 && step.to.starts_with(&step.from)), "{moves:?}");
    assert!(*throttle >= 2 * plan.topics[0].sizing.peak_bytes_per_second);
}

#[test]
fn copies_that_the_live_brokers_cannot_hold_are_a_conflict() {
    let plan = orders();
    let mut facts = applied(&plan, 12, 2, &[]);
    facts.brokers.truncate(2);
    let diff = diff(&plan, &facts);
    assert_eq!(diff.conflicts.len(), 1, "{diff:?}");
    assert!(diff.conflicts[0].why.starts_with("2 live brokers"), "{diff:?}");
}

#[test]
fn planned_against_the_live_topic_more_partitions_stay() {
    let facts = applied(&orders(), 24, 3, &[]);
    let plan = planned(ORDERS, &PlanOptions { facts: Some(&facts), ..PlanOptions::default() });
    assert_eq!(plan.topics[0].sizing.partitions, 24);
    assert!(diff(&plan, &facts).is_empty());
}

#[test]
fn a_broker_that_is_down_does_not_shrink_the_plan() {
    let mut facts = applied(&orders(), 12, 3, &[]);
    facts.brokers.pop();
    let plan = planned(ORDERS, &PlanOptions { facts: Some(&facts), ..PlanOptions::default() });
    assert_eq!(plan.topics[0].contract.layer_topic.replication_factor, 3);
}

proptest! {
    /// Plan, apply, look again: the contract is kept and nothing is left to change, whatever was asked.
    #[test]
    fn what_is_planned_and_applied_keeps_the_contract_and_needs_no_change(
        brokers in 1..9i32, racks in 0..4usize, survive_brokers in 0..3u32, survive_racks in 0..2u32,
        strong in any::<bool>(), dev in any::<bool>(), retain in 0..4usize, largest in 1..4_000u64, rate in 1..90u64,
    ) {
        let consistency = if strong { "strong" } else { "eventual" };
        let retain = ["1h", "3 GB", "forever", "compact"][retain];
        let text = format!(
            "klamm: 1\nservice: s\ntopics:\n  t:\n    consistency: {consistency}\n    key: k\n    retain: {retain}\n    \
             survive: {{ brokers: {survive_brokers}, racks: {survive_racks} }}\n    \
             write: {{ rate: {rate} MB/s, largest: {largest} KB }}\n"
        );
        let mut facts = live(brokers, false);
        if racks > 0 {
            // Racks alternate, as Kafka's own placement would alternate over them.
            for (index, broker) in facts.brokers.iter_mut().enumerate() {
                broker.rack = Some(format!("r{}", index % racks));
            }
        }
        let profile = Some(if dev { Profile::Dev } else { Profile::Prod });
        // Consecutive brokers are spread evenly over racks only when these divide the brokers.
        prop_assume!(racks == 0 || (brokers as usize).is_multiple_of(racks));
        let options = PlanOptions { profile, facts: Some(&facts), environment: None };
        if let Ok(plan) = plan(&set(&text), &options) {
            prop_assert_eq!(keeps(&plan.topics[0].contract, &facts), []);
            let promise = &plan.topics[0].contract.layer_topic;
            let shape = (promise.partitions as i32, promise.replication_factor as usize);
            place(&plan, &mut facts, &|_| shape, &[]);
            prop_assert_eq!(keeps(&plan.topics[0].contract, &facts), []);
            prop_assert!(diff(&plan, &facts).is_empty());
        } else {
            prop_assert!(!dev, "dev refuses no lack of brokers");
        }
    }
}
