//! Resources of the Strimzi operator, API `kafka.strimzi.io/v1`.

use std::fmt::Write;

use klamm_contract::Layer;
use klamm_kafka::{Pattern, ResourceType};

use super::ExportFile;
use super::properties::{comment, plan_hash};
use crate::text::quoted;
use crate::{Plan, Setting, text};

const WIDTH: usize = 110;

pub(super) fn files(plan: &Plan) -> Vec<ExportFile> {
    let cluster = name_of(&plan.service);
    let mut files = vec![ExportFile { path: "kafka.yaml".to_owned(), text: kafka(plan, &cluster) }];
    files.push(ExportFile { path: "topics.yaml".to_owned(), text: topics(plan, &cluster) });
    if plan.cluster.sasl.is_some() || plan.cluster.tls {
        files.push(ExportFile { path: "users.yaml".to_owned(), text: users(plan, &cluster) });
    }
    files
}

/// A name that Kubernetes takes: lower case, digits, `-` and `.`.
fn name_of(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    let trimmed = plain.trim_matches(['-', '.']).to_owned();
    if trimmed.is_empty() { "kafka".to_owned() } else { trimmed }
}

fn head(plan: &Plan, what: &str) -> String {
    let mut text = String::new();
    comment(
        &mut text,
        &format!("{what}: made by klamm from plan {}; change the spec and export again.", plan_hash(plan)),
    );
    text
}

fn config(text: &mut String, indent: &str, settings: &[&Setting]) {
    for setting in settings.iter().filter(|setting| !setting.value.starts_with('<')) {
        for line in text::wrap(&format!("{} [{}]", setting.reason, setting.source), WIDTH) {
            let _ = writeln!(text, "{indent}# {line}");
        }
        let _ = writeln!(text, "{indent}{}: {}", setting.name, quoted(&setting.value));
    }
}

/// Settings that the operator makes itself and refuses to be given.
fn owned_by_operator(setting: &Setting) -> bool {
    ["broker.rack", "controlled.shutdown.enable", "listeners", "log.dirs"].contains(&setting.name.as_str())
}

fn kafka(plan: &Plan, cluster: &str) -> String {
    let mut text = head(plan, "The cluster");
    let gib = |bytes: u64| bytes.div_ceil(1 << 30).max(1);
    let figure = |what: &str| {
        plan.capacity.figures.iter().find(|figure| figure.what == what).map_or(0, |figure| figure.value)
    };
    let storage = gib(figure("disk of a broker")).max(10);
    for (pool, role, replicas, storage) in [
        ("controllers", "controller", plan.cluster.controllers, 10),
        ("brokers", "broker", plan.cluster.brokers, storage),
    ] {
        let _ = write!(
            text,
            "apiVersion: kafka.strimzi.io/v1\nkind: KafkaNodePool\nmetadata:\n  name: {pool}\n  labels:\n    strimzi.io/cluster: {cluster}\nspec:\n  \
             replicas: {replicas}\n  roles:\n    - {role}\n  storage:\n    type: jbod\n    volumes:\n      - id: 0\n        type: persistent-claim\n        \
             size: {storage}Gi\n        kraftMetadata: shared\n        deleteClaim: false\n  jvmOptions:\n    \"-Xms\": 6g\n    \"-Xmx\": 6g\n---\n"
        );
    }
    let _ = write!(
        text,
        "apiVersion: kafka.strimzi.io/v1\nkind: Kafka\nmetadata:\n  name: {cluster}\nspec:\n  kafka:\n    version: {}.0\n    listeners:\n      - name: clients\n        port: 9092\n        type: internal\n        tls: {}\n",
        plan.cluster.version, plan.cluster.tls
    );
    match (&plan.cluster.sasl, plan.cluster.tls) {
        (Some(_), _) => text.push_str("        authentication:\n          type: scram-sha-512\n"),
        (None, true) => text.push_str("        authentication:\n          type: tls\n"),
        (None, false) => {}
    }
    if plan.cluster.sasl.is_some() || plan.cluster.tls {
        text.push_str("    authorization:\n      type: simple\n");
    }
    if !plan.cluster.racks.is_empty() {
        text.push_str("    rack:\n      topologyKey: topology.kubernetes.io/zone\n");
    }
    text.push_str("    config:\n");
    let settings: Vec<&Setting> = plan.brokers.iter().filter(|setting| !owned_by_operator(setting)).collect();
    config(&mut text, "      ", &settings);
    text.push_str("  entityOperator:\n    topicOperator: {}\n    userOperator: {}\n");
    text
}

fn topics(plan: &Plan, cluster: &str) -> String {
    let mut text = head(plan, "The topics");
    for topic in &plan.topics {
        let promise = &topic.contract.layer_topic;
        let _ = write!(
            text,
            "---\napiVersion: kafka.strimzi.io/v1\nkind: KafkaTopic\nmetadata:\n  name: {}\n  labels:\n    strimzi.io/cluster: {cluster}\nspec:\n  topicName: {}\n  partitions: {}\n  replicas: {}\n  config:\n",
            name_of(topic.name()),
            quoted(topic.name()),
            promise.partitions,
            promise.replication_factor
        );
        let of_topic = |setting: &&Setting| {
            setting.layer == Layer::Topic && klamm_kafka::topic_config(&setting.name).is_some()
        };
        let settings: Vec<&Setting> = topic.settings.iter().filter(of_topic).collect();
        config(&mut text, "    ", &settings);
    }
    text
}

fn users(plan: &Plan, cluster: &str) -> String {
    let mut text = head(plan, "The users: the operator makes their secrets");
    let kind = if plan.cluster.sasl.is_some() { "scram-sha-512" } else { "tls" };
    for service in &plan.access {
        let _ = write!(
            text,
            "---\napiVersion: kafka.strimzi.io/v1\nkind: KafkaUser\nmetadata:\n  name: {}\n  labels:\n    strimzi.io/cluster: {cluster}\nspec:\n  authentication:\n    type: {kind}\n",
            name_of(service.principal.trim_start_matches("User:"))
        );
        if let (None, None) = (service.producer_byte_rate, service.consumer_byte_rate) {
        } else {
            text.push_str("  quotas:\n");
            for (name, rate) in [
                ("producerByteRate", service.producer_byte_rate),
                ("consumerByteRate", service.consumer_byte_rate),
            ] {
                rate.iter().for_each(|rate| text.push_str(&format!("    {name}: {rate}\n")));
            }
        }
        text.push_str("  authorization:\n    type: simple\n    acls:\n");
        for grant in &service.grants {
            let kind = match grant.resource_type {
                ResourceType::Topic => "topic",
                ResourceType::Group => "group",
                ResourceType::TransactionalId => "transactionalId",
                _ => "cluster",
            };
            let pattern = if grant.pattern == Pattern::Prefixed { "prefix" } else { "literal" };
            for line in text::wrap(&grant.reason, WIDTH) {
                let _ = writeln!(text, "      # {line}");
            }
            let _ = write!(
                text,
                "      - resource:\n          type: {kind}\n          name: {}\n          patternType: {pattern}\n        operations:\n          - {}\n",
                quoted(&grant.resource),
                operation(&grant.operation.to_string())
            );
        }
    }
    text
}

/// `DESCRIBE_CONFIGS` is `DescribeConfigs` there.
fn operation(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| first.to_string() + &letters.as_str().to_lowercase())
    };
    name.split('_').map(word).collect()
}
