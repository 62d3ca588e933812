//! Clients whose settings are code: kafka-python, KafkaJS and this project's own library.
//!
//! Each has names of its own and misses some settings; what is missing is said in a comment, never left out silently.

use std::fmt::Write;

use klamm_contract::{Acks, Consistency, Layer, Order, Profile, Retention, TopicContract};

use super::ExportFile;
use super::properties::{plan_hash, protocol};
use crate::spec::SecretRef;
use crate::text::quoted;
use crate::{Plan, Setting, text};

const WIDTH: usize = 100;

/// What one client calls a setting, and how it writes the value.
enum Named {
    /// Another name; the value as it is.
    Is(&'static str, Form),
    /// There is no such setting; what to do instead.
    Missing(&'static str),
}

#[derive(Clone, Copy)]
enum Form {
    Number,
    Text,
    Bool,
}

use Form::{Bool, Number, Text};
use Named::{Is, Missing};

/// kafka-python 3: Java's names with underscores, most of them.
fn python(name: &str) -> Named {
    match name {
        "acks" => Is("acks", Text),
        "enable.idempotence" => Is("enable_idempotence", Bool),
        "max.in.flight.requests.per.connection" => Is("max_in_flight_requests_per_connection", Number),
        "retries" => Is("retries", Number),
        "delivery.timeout.ms" => Is("delivery_timeout_ms", Number),
        "request.timeout.ms" => Is("request_timeout_ms", Number),
        "linger.ms" => Is("linger_ms", Number),
        "batch.size" => Is("batch_size", Number),
        "compression.type" => Is("compression_type", Text),
        "max.request.size" => Is("max_request_size", Number),
        "group.id" => Is("group_id", Text),
        "enable.auto.commit" => Is("enable_auto_commit", Bool),
        "auto.offset.reset" => Is("auto_offset_reset", Text),
        "isolation.level" => Is("isolation_level", Text),
        "max.poll.records" => Is("max_poll_records", Number),
        "max.poll.interval.ms" => Is("max_poll_interval_ms", Number),
        "session.timeout.ms" => Is("session_timeout_ms", Number),
        "fetch.min.bytes" => Is("fetch_min_bytes", Number),
        "group.instance.id" => Missing("pass group_instance_id, one fixed id for each instance"),
        "partition.assignment.strategy" => {
            Missing("assignors are classes there: pass partition_assignment_strategy")
        }
        _ => Missing("kafka-python has no such setting"),
    }
}

/// KafkaJS 2.2: what it has of the producer stands in producer() and in send(), of the consumer in consumer() and run().
fn kafkajs(name: &str) -> Named {
    match name {
        "acks" => Is("acks", Number),
        "enable.idempotence" => Is("idempotent", Bool),
        "max.in.flight.requests.per.connection" => Is("maxInFlightRequests", Number),
        "compression.type" => {
            Missing("CompressionTypes.GZIP is built in; lz4 and zstd are packages of their own")
        }
        "request.timeout.ms" => Is("requestTimeout", Number),
        "group.id" => Is("groupId", Text),
        "enable.auto.commit" => Is("autoCommit", Bool),
        "auto.offset.reset" => Is("fromBeginning", Bool),
        "isolation.level" => Is("readUncommitted", Bool),
        "session.timeout.ms" => Is("sessionTimeout", Number),
        "linger.ms" | "batch.size" => Missing("a batch is what the program gives to one send()"),
        "delivery.timeout.ms" | "retries" => Missing("retry.retries and retry.maxRetryTime bound the tries"),
        "max.poll.interval.ms" => Missing("call heartbeat() while the work takes long"),
        "max.poll.records" => Missing("maxBytesPerPartition bounds a batch"),
        "group.instance.id" => Missing("KafkaJS has no static membership: each deployment moves partitions"),
        "partition.assignment.strategy" => Missing("round robin is what it has"),
        _ => Missing("KafkaJS has no such setting"),
    }
}

fn shown(form: Form, value: &str, words: (&str, &str)) -> String {
    match (form, value) {
        (Number, _) if value.parse::<i64>().is_ok() => value.to_owned(),
        (Bool, "true") => words.0.to_owned(),
        (Bool, "false") => words.1.to_owned(),
        _ => quoted(value),
    }
}

pub(super) fn python_files(plan: &Plan) -> Vec<ExportFile> {
    let mut out = format!(
        "\"\"\"Settings of kafka-python for service {}: made by klamm from plan {}; change the spec and export again.\"\"\"\n\nimport os  # noqa: F401\nimport subprocess  # noqa: F401\n\nCONNECTION = {{\n",
        plan.service.replace(['"', '\\'], ""),
        plan_hash(plan)
    );
    let _ = writeln!(out, "    \"bootstrap_servers\": {},", json(&plan.cluster.bootstrap));
    if let Some(mechanism) = &plan.cluster.sasl {
        let protocol = protocol(plan).unwrap_or("PLAINTEXT");
        let _ = writeln!(
            out,
            "    \"security_protocol\": \"{protocol}\",\n    \"sasl_mechanism\": \"{mechanism}\","
        );
        let _ = writeln!(out, "    \"sasl_plain_username\": {},", json(&plan.cluster.username));
        let secret = match &plan.cluster.password {
            Some(SecretRef::Env(env)) => format!("os.environ[{}]", json(env)),
            Some(SecretRef::File(file)) => format!("open({}).read().strip()", json(file)),
            Some(SecretRef::Command(words)) => {
                format!("subprocess.check_output({}, text=True).strip()", json(words))
            }
            None => "\"\"".to_owned(),
        };
        let _ = writeln!(out, "    \"sasl_plain_password\": {secret},");
    } else if plan.cluster.tls {
        out.push_str("    \"security_protocol\": \"SSL\",\n");
    }
    if let Some(ca) = &plan.cluster.ca {
        let _ = writeln!(out, "    \"ssl_cafile\": {},", json(ca));
    }
    out.push_str(
        "}\n\n# The default partitioner is Java's: the same keys on the same partitions.\nPRODUCERS = {\n",
    );
    let words = ("True", "False");
    for topic in &plan.topics {
        block(
            &mut out,
            "#",
            topic.name(),
            &producer_settings(&topic.settings),
            python,
            |name, form, value| {
                let value = if (name, value) == ("acks", "all") { "all" } else { value };
                format!("\"{name}\": {},", shown(form, value, words))
            },
        );
    }
    out.push_str("}\n\n# Commit after the work: consumer.commit() when every record of a poll is done.\nCONSUMERS = {\n");
    for group in &plan.consumers {
        block(&mut out, "#", &group.contract.group, &group.settings, python, |name, form, value| {
            format!("\"{name}\": {},", shown(form, value, words))
        });
    }
    out.push_str("}\n");
    vec![ExportFile { path: "kafka_settings.py".to_owned(), text: out }]
}

/// How KafkaJS connects.
fn kafkajs_security(out: &mut String, plan: &Plan) {
    match &plan.cluster.ca {
        Some(ca) => {
            let _ = writeln!(
                out,
                "  ssl: {{ ca: [require(\"node:fs\").readFileSync({}, \"utf8\")] }},",
                json(ca)
            );
        }
        None if plan.cluster.tls => out.push_str("  ssl: true,\n"),
        None => {}
    }
    if let Some(mechanism) = &plan.cluster.sasl {
        let secret = match &plan.cluster.password {
            Some(SecretRef::Env(env)) => format!("process.env[{}]", json(env)),
            Some(SecretRef::File(file)) => {
                format!("require(\"node:fs\").readFileSync({}, \"utf8\").trim()", json(file))
            }
            Some(SecretRef::Command(words)) => format!(
                "require(\"node:child_process\").execFileSync({}, {}, {{ encoding: \"utf8\" }}).trim()",
                json(&words[0]),
                json(&words[1..].to_vec())
            ),
            None => "\"\"".to_owned(),
        };
        let _ = writeln!(
            out,
            "  sasl: {{ mechanism: \"{}\", username: {}, password: {secret} }},",
            mechanism.name().to_lowercase(),
            json(&plan.cluster.username)
        );
    }
}

pub(super) fn kafkajs_files(plan: &Plan) -> Vec<ExportFile> {
    let mut out = format!(
        "// Settings of KafkaJS for service {}: made by klamm from plan {}; change the spec and export again.\n\"use strict\";\n\nconst {{ Partitioners }} = require(\"kafkajs\");\n\nexports.connection = {{\n",
        plan.service,
        plan_hash(plan)
    );
    let _ = writeln!(out, "  brokers: {},", json(&plan.cluster.bootstrap));
    kafkajs_security(&mut out, plan);
    out.push_str("};\n\n// producer({ ...settings }) takes idempotent, maxInFlightRequests and createPartitioner; send() takes acks.\nexports.producers = {\n");
    let words = ("true", "false");
    for topic in &plan.topics {
        block(
            &mut out,
            "//",
            topic.name(),
            &producer_settings(&topic.settings),
            kafkajs,
            |name, form, value| {
                // -1 is the whole in-sync set.
                let value = if name == "acks" { "-1" } else { value };
                format!("{name}: {},", shown(form, value, words))
            },
        );
        // After the block's last setting: the partitioner that agrees with Java.
        let end = out.rfind("  },\n").unwrap_or(out.len());
        out.insert_str(end, "    // Java's murmur2: the same keys on the same partitions. The legacy one puts negative hashes elsewhere.\n    createPartitioner: Partitioners.DefaultPartitioner,\n");
    }
    out.push_str("};\n\n// consumer({ groupId, sessionTimeout, readUncommitted }), subscribe({ fromBeginning }), run({ autoCommit }).\nexports.consumers = {\n");
    for group in &plan.consumers {
        block(&mut out, "//", &group.contract.group, &group.settings, kafkajs, |name, form, value| {
            let value = match (name, value) {
                ("fromBeginning", "earliest") | ("readUncommitted", "read_uncommitted") => "true",
                ("fromBeginning" | "readUncommitted", _) => "false",
                (_, value) => value,
            };
            format!("{name}: {},", shown(form, value, words))
        });
    }
    out.push_str("};\n");
    vec![ExportFile { path: "kafka-settings.js".to_owned(), text: out }]
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn producer_settings(settings: &[Setting]) -> Vec<Setting> {
    settings.iter().filter(|setting| setting.layer == Layer::Producer).cloned().collect()
}

fn block(
    out: &mut String,
    mark: &str,
    name: &str,
    settings: &[Setting],
    names: fn(&str) -> Named,
    write: impl Fn(&str, Form, &str) -> String,
) {
    let (step, open) = if mark == "#" { ("    ", "{") } else { ("  ", "{") };
    let _ = writeln!(out, "{step}{}: {open}", json(&name));
    for setting in settings {
        let remark = |out: &mut String, words: &str| {
            for line in text::wrap(words, WIDTH) {
                let _ = writeln!(out, "{step}{step}{mark} {line}");
            }
        };
        match names(&setting.name) {
            Is(..) if setting.value.starts_with('<') => {
                remark(out, &format!("No value for {}: {}", setting.name, setting.value));
            }
            Is(name, form) => {
                remark(out, &format!("{} [{}]", setting.reason, setting.source));
                let _ = writeln!(out, "{step}{step}{}", write(name, form, &setting.value));
            }
            Missing(instead) => {
                remark(out, &format!("No {} here ({} is planned): {instead}.", setting.name, setting.value))
            }
        }
    }
    let _ = writeln!(out, "{step}}},");
}

/// Contracts as values, for `klamm::DurableProducer` and its like, which hold to them by themselves.
pub(super) fn rust_files(plan: &Plan) -> Vec<ExportFile> {
    let mut out = format!(
        "//! Contracts of service {}: made by klamm from plan {}; change the spec and export again.\n\n\
         use klamm::contract::{{\n    Acks, Consistency, ConsumerContract, Delivery, Durability, Order, ProducerPromise, Profile, Retention, Survive,\n    TopicContract, TopicPromise,\n}};\n",
        plan.service,
        plan_hash(plan)
    );
    for topic in &plan.topics {
        out.push_str(&topic_function(&topic.contract, &topic.survives));
    }
    for group in &plan.consumers {
        let c = &group.contract;
        let _ = write!(
            out,
            "\n/// Group {}: reads {}.\npub fn {}() -> ConsumerContract {{\n    ConsumerContract {{\n        group: {}.to_owned(),\n        topics: [{}].map(str::to_owned).to_vec(),\n        delivery: Delivery::{:?},\n        max_poll_interval_ms: {},\n        session_timeout_ms: {},\n        max_poll_records: {},\n        read_committed: {},\n    }}\n}}\n",
            one_line(&c.group),
            one_line(&c.topics.join(", ")),
            identifier("group", &c.group),
            literal(&c.group),
            c.topics.iter().map(|topic| literal(topic)).collect::<Vec<_>>().join(", "),
            c.delivery,
            c.max_poll_interval_ms,
            c.session_timeout_ms,
            c.max_poll_records,
            c.read_committed
        );
    }
    vec![ExportFile { path: "contracts.rs".to_owned(), text: out }]
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn literal(text: &str) -> String {
    format!("{text:?}")
}

/// `topic_orders_events`.
pub(crate) fn identifier(kind: &str, name: &str) -> String {
    let plain: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{kind}_{plain}")
}

fn topic_function(contract: &TopicContract, survives: &str) -> String {
    let (topic, producer) = (&contract.layer_topic, &contract.layer_producer);
    let retention = match topic.retention {
        Retention::Time { ms } => format!("Retention::Time {{ ms: {ms} }}"),
        Retention::Size { bytes } => format!("Retention::Size {{ bytes: {bytes} }}"),
        Retention::Forever => "Retention::Forever".to_owned(),
        Retention::Compact => "Retention::Compact".to_owned(),
    };
    let profile = if contract.profile == Profile::Prod { "Prod" } else { "Dev" };
    let consistency =
        if contract.durability.consistency == Consistency::Strong { "Strong" } else { "Eventual" };
    let order = match contract.order {
        Order::None => "None",
        Order::PerKey => "PerKey",
        Order::Global => "Global",
    };
    let acks = if producer.acks == Acks::All { "All" } else { "Leader" };
    let key =
        contract.key.as_ref().map_or("None".to_owned(), |key| format!("Some({}.to_owned())", literal(key)));
    format!(
        "\n/// Topic {}: {}.\npub fn {}() -> TopicContract {{\n    TopicContract {{\n        topic: {}.to_owned(),\n        profile: Profile::{profile},\n        durability: Durability {{\n            consistency: Consistency::{consistency},\n            survive: Survive {{ brokers: {}, racks: {} }},\n        }},\n        order: Order::{order},\n        key: {key},\n        layer_topic: TopicPromise {{\n            partitions: {},\n            replication_factor: {},\n            min_insync_replicas: {},\n            unclean_leader_election: {},\n            max_message_bytes: {},\n            retention: {retention},\n        }},\n        layer_producer: ProducerPromise {{\n            acks: Acks::{acks},\n            idempotence: {},\n            max_in_flight: {},\n            delivery_timeout_ms: {},\n            request_timeout_ms: {},\n            linger_ms: {},\n            batch_bytes: {},\n            compression: {}.to_owned(),\n            max_request_bytes: {},\n        }},\n    }}\n}}\n",
        one_line(&contract.topic),
        one_line(survives),
        identifier("topic", &contract.topic),
        literal(&contract.topic),
        contract.durability.survive.brokers,
        contract.durability.survive.racks,
        topic.partitions,
        topic.replication_factor,
        topic.min_insync_replicas,
        topic.unclean_leader_election,
        topic.max_message_bytes,
        producer.idempotence,
        producer.max_in_flight,
        producer.delivery_timeout_ms,
        producer.request_timeout_ms,
        producer.linger_ms,
        producer.batch_bytes,
        literal(&producer.compression),
        producer.max_request_bytes
    )
}
