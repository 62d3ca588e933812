//! What a spec can ask for beyond copies and retention, and what of it is refused.

use klamm_contract::{Acks, Layer};
use klamm_kafka::ResourceType;
use klamm_plan::{Plan, PlanOptions, Risk, compare};

use crate::{ORDERS, planned, problems};

/// A spec of one keyed topic and one group, with lines of its own for each.
fn spec(cluster: &str, topic: &str, consumer: &str, more: &str) -> String {
    format!(
        "klamm: 1\nservice: s\ncluster:\n  brokers: 3\n{cluster}topics:\n  t:\n    key: k\n    write: {{ rate: 10 MB/s, record: 1 KB, peak: 2x }}\n{topic}\
         consumers:\n  g:\n    reads: [t]\n    work: {{ p50: 100 us, p99: 1 ms }}\n{consumer}{more}"
    )
}

fn refused(text: &str) -> (String, String) {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    (
        problems[0].code.to_owned(),
        format!("{} | {}", problems[0].message, problems[0].help.clone().unwrap_or_default()),
    )
}

fn plan(text: &str) -> Plan {
    planned(text, &PlanOptions::default())
}

fn value<'a>(plan: &'a Plan, layer: Layer, name: &str) -> Option<&'a str> {
    let topics = plan.topics.iter().flat_map(|topic| &topic.settings);
    let all = topics.chain(plan.consumers.iter().flat_map(|c| &c.settings)).chain(&plan.brokers);
    let all = all.chain(plan.streams.iter().flat_map(|s| &s.settings));
    all.into_iter().find(|s| s.layer == layer && s.name == name).map(|s| s.value.as_str())
}

#[test]
fn every_planned_setting_says_what_goes_wrong_otherwise() {
    let text = spec(
        "  racks: [a, b, c]\n",
        "    survive: { racks: 1 }\n    timestamps: append\n",
        "",
        "streams:\n  app:\n    reads: [t]\n    state: 20 GB\nrecovery:\n  rpo: 30 s\n  rto: 15 min\n  to: { bootstrap: [b:9092] }\n",
    );
    let compacted = spec("", "    retain: compact\n", "    protocol: consumer\n", "");
    for plan in [plan(&text), plan(&compacted), plan(&spec("", "    retain: 5 GB\n", "", ""))] {
        let topics = plan.topics.iter().flat_map(|topic| &topic.settings);
        let all = topics.chain(plan.consumers.iter().flat_map(|c| &c.settings)).chain(&plan.brokers);
        let all = all.chain(plan.streams.iter().flat_map(|s| &s.settings));
        for setting in all.chain(plan.recovery.iter().flat_map(|recovery| &recovery.settings)) {
            assert!(!setting.otherwise.is_empty() && !setting.reason.is_empty(), "{setting:?}");
        }
    }
}

#[test]
fn a_key_that_scatters_or_is_too_hot_is_refused_with_what_would_do() {
    let (code, text) = refused(&ORDERS.replace("key: order_id", "key: user_id:created_at"));
    assert_eq!(code, "key-scatters");
    assert!(text.contains("created_at") && text.contains("lose their order"), "{text}");
    let hot = |within: &str| {
        refused(&spec("", &format!("    keys: {{ distinct: 1M, hottest: 80%{within} }}\n"), "", ""))
    };
    let (code, text) = hot(", within: session_id");
    assert_eq!(code, "hot-key");
    assert!(text.contains("80% of 20 MB/s at the peak = 16 MB/s") && text.contains("k:session_id"), "{text}");
    assert!(hot(", within: session_id, within_distinct: 1").1.contains("do not spread it"));
    assert!(hot("").1.contains("keys.within"));
    let plan = plan(&spec("", "    keys: { distinct: 40, hottest: 20% }\n", "", ""));
    assert!(plan.notes.iter().any(|note| note.contains("more partitions do not help")), "{:?}", plan.notes);
}

#[test]
fn advice_in_circulation_is_refused_by_name() {
    for (topic, consumer, words) in [
        ("    settings: { min.insync.replicas: 3 }\n", "", "one broker down stops all writes"),
        ("    settings: { min.insync.replicas: 1 }\n", "", "acks=all waits for those that are in sync"),
        ("    settings: { unclean.leader.election.enable: true }\n", "", "lacks acknowledged records"),
        ("    settings: { retention.ms: 5 }\n", "", "retain: says"),
        ("    settings: { segment.bytes: 1GB }\n", "", "it is no int"),
        ("    settings: { retention.hours: 5 }\n", "", "Kafka knows no topic setting"),
        ("    producer: { acks: 1 }\n", "", "gone with the leader"),
        ("    producer: { enable.idempotence: false }\n", "", "stored twice"),
        ("    producer: { max.in.flight.requests.per.connection: 6 }\n", "", "remember 5 batches"),
        ("    producer: { delivery.timeout.ms: 10000 }\n", "", "linger.ms + request.timeout.ms = 30005"),
        ("", "    settings: { enable.auto.commit: true }\n", "at most once, whatever it is called"),
        ("", "    settings: { max.poll.records: 1000000 }\n", "take longer than the 5 min between polls"),
        ("", "    protocol: consumer\n    settings: { session.timeout.ms: 1000 }\n", "KIP-848"),
    ] {
        let (code, text) = refused(&spec("", topic, consumer, ""));
        assert_eq!(code, "setting-refused", "{text}");
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_is_insisted_on_reaches_settings_and_contract() {
    let text = spec(
        "",
        "    settings: { max.message.bytes: 3000000 }\n    producer: { max.in.flight.requests.per.connection: 1, linger.ms: 7 }\n",
        "    settings: { max.poll.records: 50, fetch.min.bytes: 1000 }\n",
        "",
    );
    let plan = plan(&text);
    let contract = &plan.topics[0].contract;
    assert_eq!((contract.layer_topic.max_message_bytes, contract.layer_producer.linger_ms), (3_000_000, 7));
    assert_eq!((contract.layer_producer.acks, contract.layer_producer.max_in_flight), (Acks::All, 1));
    assert_eq!(plan.consumers[0].contract.max_poll_records, 50);
    assert_eq!(value(&plan, Layer::Consumer, "fetch.min.bytes"), Some("1000"));
    assert!(plan.notes.iter().any(|note| note.contains("advice in circulation")), "{:?}", plan.notes);
}

#[test]
fn what_cannot_hold_is_refused_with_its_arithmetic() {
    let recovery = |fields: &str| format!("recovery:\n  to: {{ bootstrap: [b:9092] }}\n{fields}");
    for (text, code, words) in [
        (
            spec("", "", "    delivery: exactly_once\n    effect: http\n", ""),
            "exactly-once-http",
            "cannot be taken back",
        ),
        (spec("", "", "", &recovery("  rpo: 0.5 s\n  rto: 1h\n")), "rpo-too-small", "5 s behind at best"),
        (spec("", "", "", &recovery("  rpo: 1 min\n  rto: 1 min\n")), "rto-too-small", "2 min"),
        (
            spec("", "", "", &recovery("  rpo: 1 min\n  rto: 1h\n  link: 20 MB/s\n")),
            "link-too-slow",
            "40 MB/s",
        ),
        (spec("", "", "    instances: 1\n", ""), "group-too-slow", "falls behind for good"),
        (
            spec("", "    retain: 1d\n", "    outage: 3d\n", ""),
            "retention-too-short-for-group",
            "gone before they are read",
        ),
        (
            spec("  version: \"3.9\"\n", "", "    protocol: consumer\n", ""),
            "protocol-too-new",
            "needs Kafka 4.0",
        ),
        (spec("  version: \"2.8\"\n", "", "", ""), "unknown-kafka", "3.9 to 4.4"),
        (spec("  controllers: 2\n", "", "", ""), "bad-controllers", "a quorum has 3 or 5"),
        (spec("  machine: { disk: 1 TB }\n", "", "", ""), "too-much-for-the-brokers", "75% = 750 GB"),
        (
            spec("", "", "", "streams:\n  app: { reads: [t], standbys: 2 }\n"),
            "too-many-standbys",
            "need 3 instances",
        ),
        (spec("", "    keys: { distinct: 10, hottest: 1% }\n", "", ""), "bad-keys", "at least 10.000%"),
    ] {
        let (found, said) = refused(&text);
        assert_eq!(found, code, "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn who_runs_the_cluster_decides_what_can_be_set() {
    let set_by = |kind: &str| -> Vec<Option<String>> {
        let plan = plan(&spec(&format!("  kind: {kind}\n"), "", "", ""));
        let by = |layer, name: &str| {
            let all = plan.topics[0].settings.iter().chain(&plan.brokers);
            all.into_iter().find(|s| s.layer == layer && s.name == name).and_then(|s| s.set_by.clone())
        };
        vec![
            by(Layer::Producer, "acks"),
            by(Layer::Topic, "replication.factor"),
            by(Layer::Broker, "num.partitions"),
        ]
    };
    assert_eq!(set_by("self"), [None, None, None]);
    assert!(set_by("strimzi")[1].as_ref().is_some_and(|by| by.contains("KafkaTopic")));
    assert!(
        set_by("msk")[1].is_none()
            && set_by("msk")[2].as_ref().is_some_and(|by| by.contains("MSK configuration"))
    );
    assert!(set_by("confluent-cloud")[1..].iter().all(Option::is_some));
}

#[test]
fn a_service_is_allowed_what_it_needs_and_no_more() {
    let text = spec(
        "",
        "",
        "",
        "uses: [theirs]\nwrites: [audit]\nprincipal: User:alice\nquota: { write: 50 MB/s }\nstreams:\n  app: { reads: [theirs], writes: [audit] }\n",
    );
    let plan = plan(&text);
    let access = &plan.access[0];
    let has = |kind: &str, name: &str, operation: &str| {
        access.grants.iter().any(|g| {
            (g.resource_type.to_string().as_str(), g.resource.as_str(), g.operation.to_string().as_str())
                == (kind, name, operation)
        })
    };
    assert_eq!((access.principal.as_str(), access.producer_byte_rate), ("User:alice", Some(50_000_000)));
    assert!(has("TOPIC", "t", "WRITE") && has("TOPIC", "t", "READ") && has("GROUP", "g", "READ"));
    assert!(
        has("TOPIC", "audit", "WRITE")
            && has("TOPIC", "theirs", "READ")
            && has("TRANSACTIONAL_ID", "app", "WRITE")
    );
    assert!(
        !has("TOPIC", "audit", "READ") && !has("TOPIC", "theirs", "WRITE") && !has("TOPIC", "t", "DELETE")
    );
    assert!(access.grants.iter().all(|grant| grant.resource_type != ResourceType::Cluster));
}

#[test]
fn an_upgrade_has_its_order_and_its_point_of_no_return() {
    let plan = plan(&spec("  version: \"3.9\"\n  upgrade: \"4.3\"\n", "", "", ""));
    let of = |words: &str| plan.upgrade.iter().position(|step| step.what.contains(words)).expect(words);
    assert!(of("clients older than 2.1") < of("controllers to 4.3"));
    assert!(of("controllers to 4.3") < of("brokers to 4.3") && of("brokers to 4.3") < of("kafka-features"));
    assert!(!plan.upgrade[of("--release-version")].reversible && plan.upgrade[of("brokers to")].reversible);
    assert!(of("eligible.leader.replicas") < of("clients to 4.3"));
}

#[test]
fn two_plans_are_compared_with_what_the_way_costs() {
    let old = plan(&spec("", "", "", ""));
    let longer = plan(&spec(
        "",
        "    retain: 1d\n    survive: { brokers: 0 }\n",
        "    settings: { max.poll.records: 5 }\n",
        "",
    ));
    let changes = compare(&old, &longer).changes;
    let effect = |setting: &str| changes.iter().find(|c| c.setting == setting).map(|c| c.effect);
    assert_eq!(effect("retention.ms"), Some(Risk::LosesData));
    assert_eq!(effect("replication.factor"), Some(Risk::CopiesData));
    assert_eq!(effect("max.poll.records"), Some(Risk::RestartsClients));
    assert!(compare(&old, &old).changes.is_empty() && compare(&old, &old).figures.is_empty());
    let back = compare(&longer, &old);
    let copied = back.changes.iter().find(|c| c.setting == "replication.factor").and_then(|c| c.cost.clone());
    assert!(copied.is_some_and(|cost| cost.contains("to copy")));
    assert!(
        back.figures.iter().any(|figure| figure.what == "disk used of a broker" && figure.to > figure.from)
    );
}

#[test]
fn the_largest_numbers_that_can_be_written_neither_panic_nor_wrap() {
    let text = "klamm: 1\nservice: s\ncluster:\n  brokers: 10000\n  partition: 9000 PB/s\n  \
        machine: { disk: 9000 PB, memory: 9000 PB, network: 9000 PB/s }\n\
        topics:\n  t:\n    key: k\n    partitions: 9000\n    keys: { distinct: 9000000000G, hottest: 100% }\n    growth: 9000000x\n    \
        write: { rate: 9000 PB/s, record: 1 GiB, peak: 9000000x, largest: 1 GiB }\n    retain: RETAIN\n\
        consumers:\n  g:\n    reads: [t]\n    work: { p50: 0.001 ms, p99: 1000w }\n    instances: 4294967295\n    threads: 4294967295\n    \
        outage: 9000w\n    lag: 9000w\n\
        streams:\n  a: { reads: [t], state: 9000 PB, standbys: 7, instances: 4294967295, threads: 4294967295 }\n\
        recovery: { rpo: 9000w, rto: 9000w, link: 9000 PB/s, to: { bootstrap: [b:9092] } }\n";
    let crowd = problems(&text.replace("RETAIN", "1d").replace("brokers: 10000", "brokers: 4294967295"));
    assert!(crowd.iter().any(|problem| problem.code == "too-many-brokers"), "{crowd:?}");
    for retain in ["9000w", "9000 PB", "forever", "compact"] {
        for profile in ["prod", "dev"] {
            let text = text
                .replace("RETAIN", retain)
                .replace("service: s", &format!("service: s\nprofile: {profile}"));
            // Refused or planned: either way with numbers that mean something.
            for problem in problems(&text) {
                assert!(!problem.message.is_empty(), "{problem:?}");
            }
        }
    }
}
