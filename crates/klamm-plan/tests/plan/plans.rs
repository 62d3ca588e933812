//! What is planned, and what is refused as impossible.

use std::collections::BTreeMap;

use klamm_contract::facts::{BrokerFacts, ClusterFacts};
use klamm_contract::{Layer, Profile, keeps};
use klamm_plan::{Known, Plan, PlanOptions, diff, plan};

use crate::{ORDERS, planned, problems, set};

/// A live cluster of `brokers` without topics.
pub(crate) fn live(brokers: i32, embedded: bool) -> ClusterFacts {
    let broker =
        |id| BrokerFacts { id, host: "kafka".to_owned(), port: 9092, rack: None, configs: BTreeMap::new() };
    ClusterFacts {
        cluster_id: "a-cluster".to_owned(),
        embedded,
        brokers: (1..=brokers).map(broker).collect(),
        topics: BTreeMap::new(),
    }
}

fn value<'a>(plan: &'a Plan, layer: Layer, name: &str) -> Option<&'a str> {
    plan.topics[0].setting(layer, name).map(|setting| setting.value.as_str())
}

#[test]
fn orders_survive_a_broker() {
    let plan = planned(ORDERS, &PlanOptions::default());
    let topic = &plan.topics[0];
    assert_eq!(topic.survives, "any 1 broker of 3 down: writes go on and no acknowledged record is lost");
    assert_eq!(topic.sizing.partitions, 12, "{:#?}", topic.sizing);
    assert_eq!(value(&plan, Layer::Producer, "acks"), Some("all"));
    assert_eq!(value(&plan, Layer::Topic, "replication.factor"), Some("3"));
    assert_eq!(value(&plan, Layer::Topic, "min.insync.replicas"), Some("2"));
    assert_eq!(value(&plan, Layer::Topic, "retention.ms"), Some("604800000"));
    assert_eq!(topic.sizing.disk.total_bytes, Some(20_000_000 * (604_800 + 75_600) * 3));
    assert_eq!((plan.cluster.brokers, plan.cluster.known), (3, Known::Spec));
    assert_eq!(plan.consumers[0].contract.max_poll_records, 500);
}

#[test]
fn every_setting_has_a_reason_and_a_source() {
    let plan = planned(ORDERS, &PlanOptions::default());
    let settings =
        plan.topics.iter().flat_map(|t| &t.settings).chain(plan.consumers.iter().flat_map(|c| &c.settings));
    for setting in settings {
        assert!(!setting.reason.is_empty() && !setting.source.is_empty(), "{setting:?}");
        assert!(!setting.reason.ends_with('.'), "{setting:?}");
    }
}

#[test]
fn what_is_planned_keeps_its_own_contract() {
    let facts = live(3, false);
    let plan = planned(ORDERS, &PlanOptions { facts: Some(&facts), ..PlanOptions::default() });
    assert_eq!(keeps(&plan.topics[0].contract, &facts), []);
}

#[test]
fn the_embedded_broker_is_planned_for_under_dev_with_the_same_partitions() {
    let facts = live(1, true);
    let plan = planned(ORDERS, &PlanOptions { facts: Some(&facts), ..PlanOptions::default() });
    let contract = &plan.topics[0].contract;
    assert_eq!((plan.profile, contract.profile), (Profile::Dev, Profile::Dev));
    assert_eq!((contract.layer_topic.replication_factor, contract.layer_topic.min_insync_replicas), (1, 1));
    assert_eq!(contract.durability.survive.brokers, 1, "what was asked stays in the contract");
    assert_eq!(contract.layer_topic.partitions, 12);
    assert!(
        plan.topics[0].survives.starts_with("dev profile: 1 copy on 1 broker"),
        "{}",
        plan.topics[0].survives
    );
    assert_eq!(keeps(contract, &facts), []);
}

#[test]
fn three_copies_on_two_brokers_are_refused_at_both_places() {
    let text = ORDERS.replace("brokers: 3 ", "brokers: 2 ");
    let problems = problems(&text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].code, "too-few-brokers");
    assert!(problems[0].message.contains("3 copies (2 x 1 + 1"), "{}", problems[0].message);
    assert_eq!(problems[0].secondary[0].label, "the number of brokers");
}

#[test]
fn the_live_cluster_outranks_the_spec() {
    let facts = live(2, false);
    let options = PlanOptions { facts: Some(&facts), ..PlanOptions::default() };
    let problems = plan(&set(ORDERS), &options).expect_err("two brokers are too few");
    assert_eq!(problems[0].code, "too-few-brokers");
    let options = PlanOptions { profile: Some(Profile::Dev), ..options };
    assert_eq!(planned(ORDERS, &options).topics[0].contract.layer_topic.replication_factor, 2);
}

#[test]
fn refusals_of_several_topics_are_told_together() {
    let text = "klamm: 1
service: s
cluster: { brokers: 2, racks: [a, b] }
topics:
  fast: { order: global, survive: { brokers: 0 }, write: { rate: 50 MB/s } }
  safe: { survive: { brokers: 1 } }
  wide: { survive: { brokers: 0, racks: 1 } }
";
    let found: Vec<&str> = problems(text).iter().map(|problem| problem.code).collect();
    assert_eq!(found, ["global-order-too-fast", "too-few-brokers", "too-few-racks"]);
}

#[test]
fn an_environment_varies_cluster_rates_and_profile() {
    let text = format!(
        "{ORDERS}
environments:
  laptop:
    profile: dev
    cluster: {{ bootstrap: [localhost:1], brokers: 1 }}
    rates: {{ orders.events: {{ rate: 1 MB/s, peak: 1x }} }}
"
    );
    let options = PlanOptions { environment: Some("laptop".to_owned()), ..PlanOptions::default() };
    let plan = planned(&text, &options);
    assert_eq!((plan.profile, plan.cluster.brokers, plan.topics[0].sizing.partitions), (Profile::Dev, 1, 6));
    assert_eq!(planned(&text, &PlanOptions::default()).topics[0].sizing.partitions, 12);

    let options = PlanOptions { environment: Some("labtop".to_owned()), ..PlanOptions::default() };
    let problems = klamm_plan::plan(&set(&text), &options).expect_err("no such environment");
    assert_eq!(problems[0].message, "the spec has no environment \"labtop\", did you mean \"laptop\"?");
}

#[test]
fn exactly_once_is_planned_and_said_not_to_run_yet() {
    let plan = planned(&ORDERS.replace("at_least_once", "exactly_once"), &PlanOptions::default());
    assert!(plan.notes.iter().any(|note| note.contains("does not run it yet")), "{:?}", plan.notes);
}

#[test]
fn long_work_takes_fewer_records_a_poll() {
    let text = ORDERS.replace("p50: 100 us, p99: 1 ms", "p50: 1 us, p99: 10 s").replace("20 MB/s", "1 B/s");
    let plan = planned(&text, &PlanOptions::default());
    assert_eq!(plan.consumers[0].contract.max_poll_records, 15);
}

#[test]
fn a_plan_reads_back_and_matches_its_golden_file() {
    let json = planned(ORDERS, &PlanOptions::default()).to_json();
    crate::documents::golden("tests/golden/orders.plan.json", &json);
    let back: Plan = serde_json::from_str(&json).expect("a plan");
    assert_eq!(back.to_json(), json);
}

#[test]
fn a_thousand_topics_plan_quickly() {
    let topics: String = (0..1_000)
        .map(|n| format!("  topic.{n}: {{ key: id, write: {{ rate: {} KB/s }} }}\n", n + 1))
        .collect();
    let text = format!("klamm: 1\nservice: s\ncluster: {{ brokers: 3 }}\ntopics:\n{topics}");
    let plan = planned(&text, &PlanOptions::default());
    assert_eq!(diff(&plan, &live(3, false)).changes.len(), 1_000);
}
