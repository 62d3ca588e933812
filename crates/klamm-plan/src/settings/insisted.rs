//! Settings that a spec insists on: taken over, or refused with what they would break.
//!
//! Much of what is refused here is advice in circulation: it is named as such, with what is right.

use klamm_contract::{Consistency, ConsumerContract, Delivery, Layer, Order, TopicContract};
use klamm_kafka::{ValueType, is_consumer_config, is_producer_config, topic_config};

use super::Setting;
use crate::Span;
use crate::spec::{ConsumerSpec, Insisted, Protocol};
use crate::text::{self, nearest};

/// Why a setting cannot be had.
pub(crate) struct Refused {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// What is said of one insisted setting.
enum Answer {
    Take,
    Note(String),
    Refuse(String, String),
}

fn refuse(message: impl Into<String>, help: impl Into<String>) -> Answer {
    Answer::Refuse(message.into(), help.into())
}

/// Puts the insisted settings of one layer among the planned ones. Notes are for the plan.
pub(crate) fn topic(
    insisted: &[Insisted],
    layer: Layer,
    contract: &mut TopicContract,
    settings: &mut Vec<Setting>,
) -> (Vec<String>, Vec<Refused>) {
    let known = |name: &str| {
        if layer == Layer::Topic { topic_config(name).is_some() } else { is_producer_config(name) }
    };
    let (notes, refused) = put(insisted, layer, settings, known, |one| match layer {
        Layer::Topic => judge_topic(one, contract),
        _ => judge_producer(one, contract),
    });
    if refused.is_empty() {
        install(insisted, contract);
    }
    let name = &contract.topic;
    (notes.into_iter().map(|note| format!("{name}: {note}")).collect(), refused)
}

/// The same for a consumer group.
pub(crate) fn consumer(
    spec: &ConsumerSpec,
    contract: &mut ConsumerContract,
    settings: &mut Vec<Setting>,
) -> (Vec<String>, Vec<Refused>) {
    let known = is_consumer_config;
    let (notes, refused) =
        put(&spec.settings, Layer::Consumer, settings, known, |one| judge_consumer(one, spec, contract));
    for one in spec.settings.iter().filter(|_| refused.is_empty()) {
        match (one.name.value.as_str(), one.value.value.parse::<u64>()) {
            ("max.poll.records", Ok(number)) => contract.max_poll_records = number as u32,
            ("max.poll.interval.ms", Ok(number)) => contract.max_poll_interval_ms = number,
            ("session.timeout.ms", Ok(number)) => contract.session_timeout_ms = number,
            ("isolation.level", _) => contract.read_committed = one.value.value == "read_committed",
            _ => {}
        }
    }
    (notes, refused)
}

fn put(
    insisted: &[Insisted],
    layer: Layer,
    settings: &mut Vec<Setting>,
    known: impl Fn(&str) -> bool,
    judge: impl Fn(&Insisted) -> Answer,
) -> (Vec<String>, Vec<Refused>) {
    let (mut notes, mut refused) = (Vec::new(), Vec::new());
    for one in insisted {
        let (name, value) = (one.name.value.as_str(), one.value.value.as_str());
        if !known(name) {
            let meant = nearest(name, settings.iter().filter(|s| s.layer == layer).map(|s| s.name.as_str()))
                .map_or(String::new(), |near| format!(", did you mean {near:?}?"));
            let message = format!("Kafka knows no {layer} setting {name:?}{meant}");
            refused.push(Refused {
                span: one.name.span,
                message,
                help: "Kafka's own names are asked for".to_owned(),
            });
            continue;
        }
        match judge(one) {
            Answer::Refuse(message, help) => {
                refused.push(Refused {
                    span: one.value.span,
                    message: format!("{name}={value}: {message}"),
                    help,
                });
                continue;
            }
            Answer::Note(note) => notes.push(format!("{name}={value}: {note}")),
            Answer::Take => {}
        }
        let found = settings.iter_mut().find(|setting| setting.layer == layer && setting.name == name);
        match found {
            Some(setting) if setting.value == value => {}
            Some(setting) => {
                setting.reason =
                    format!("the spec insists; planned was {}: {}", setting.value, setting.reason);
                setting.value = value.to_owned();
            }
            None => settings.push(Setting::new(layer, name, value, "the spec insists", "the spec")),
        }
    }
    (notes, refused)
}

fn install(insisted: &[Insisted], contract: &mut TopicContract) {
    for one in insisted {
        let number = one.value.value.parse::<u64>();
        let producer = &mut contract.layer_producer;
        match (one.name.value.as_str(), number) {
            ("min.insync.replicas", Ok(number)) => contract.layer_topic.min_insync_replicas = number as u32,
            ("max.message.bytes", Ok(number)) => contract.layer_topic.max_message_bytes = number,
            ("max.in.flight.requests.per.connection", Ok(number)) => producer.max_in_flight = number as u32,
            ("delivery.timeout.ms", Ok(number)) => producer.delivery_timeout_ms = number,
            ("request.timeout.ms", Ok(number)) => producer.request_timeout_ms = number,
            ("linger.ms", Ok(number)) => producer.linger_ms = number,
            ("batch.size", Ok(number)) => producer.batch_bytes = number,
            ("max.request.size", Ok(number)) => producer.max_request_bytes = number,
            ("compression.type", _) if one.value.value != "producer" => {
                producer.compression.clone_from(&one.value.value)
            }
            _ => {}
        }
    }
}

/// Is `value` one of the type that Kafka reads?
fn is_of_type(value: &str, kind: ValueType) -> bool {
    match kind {
        ValueType::Bool => matches!(value, "true" | "false"),
        ValueType::Int => value.parse::<i32>().is_ok(),
        ValueType::Long => value.parse::<i64>().is_ok(),
        ValueType::Double => value.parse::<f64>().is_ok_and(f64::is_finite),
        ValueType::Text | ValueType::List => true,
    }
}

fn judge_topic(one: &Insisted, contract: &TopicContract) -> Answer {
    let config = topic_config(&one.name.value);
    if let Some(config) = config.filter(|config| !is_of_type(&one.value.value, config.value_type)) {
        let kind = format!("{:?}", config.value_type).to_lowercase();
        let valid = if config.valid.is_empty() { String::new() } else { format!(": {}", config.valid) };
        return refuse(format!("it is no {kind}"), format!("Kafka takes a {kind}{valid}"));
    }
    let strong = contract.durability.consistency == Consistency::Strong;
    let (rf, floor) = (contract.layer_topic.replication_factor, contract.layer_topic.min_insync_replicas);
    match (one.name.value.as_str(), one.value.value.as_str()) {
        ("min.insync.replicas", value) => match value.parse::<u32>() {
            Ok(0) | Err(_) => refuse("it is a number from 1", "leave it out: it follows from consistency and survive"),
            Ok(asked) if asked >= rf && rf > 1 && contract.durability.survive.brokers > 0 => refuse(
                format!("with {} one broker down stops all writes, and the spec asks to go on", text::copies(rf)),
                format!("a floor as high as the number of copies is advice in circulation and wrong: {floor} of {rf} loses nothing either"),
            ),
            Ok(asked) if asked < floor && strong => refuse(
                format!("an acknowledged record would be on {} at least, and {} may be lost", text::copies(asked), contract.durability.survive.brokers),
                format!("acks=all waits for those that are in sync, and this is how few they may be: keep {floor}"),
            ),
            Ok(_) => Answer::Take,
        },
        ("unclean.leader.election.enable", value) if value != "false" && strong => refuse(
            "a copy that lacks acknowledged records could lead",
            "say consistency: eventual if losing the newest records is fine",
        ),
        ("retention.ms" | "retention.bytes" | "cleanup.policy", _) => {
            refuse("retain: says how long records stay", "say it there: 7d, 500 GB, forever, compact")
        }
        ("flush.messages" | "flush.ms", _) => Answer::Note(
            "copies on other brokers make records durable, not fsync: this costs throughput and saves none that the copies do not"
                .to_owned(),
        ),
        ("message.timestamp.type", _) => refuse("timestamps: says which time a record carries", "create or append"),
        _ => Answer::Take,
    }
}

fn judge_producer(one: &Insisted, contract: &TopicContract) -> Answer {
    let producer = &contract.layer_producer;
    let number = one.value.value.parse::<u64>();
    match (one.name.value.as_str(), one.value.value.as_str()) {
        ("acks", value) if !matches!(value, "all" | "-1") => refuse(
            "a record that only the leader had is gone with the leader, and an idempotent producer needs all",
            "acks=all waits for the copies in sync; where one is enough, consistency: eventual has a floor of 1",
        ),
        ("enable.idempotence", value) if value != "true" => refuse(
            "a retry could be stored twice, or behind later records",
            "it costs a few bytes a batch; brokers keep track of 5 batches a producer",
        ),
        ("max.in.flight.requests.per.connection", _) => match number {
            Ok(1) if contract.order != Order::None => Answer::Note(
                "order does not need it: with idempotence it holds up to 5 in flight, that it needs 1 is advice in circulation".to_owned(),
            ),
            Ok(1..=5) => Answer::Take,
            _ => refuse("brokers remember 5 batches of an idempotent producer", "take 1 to 5"),
        },
        ("retries", "0") => refuse("a failover would be an error in the program", "delivery.timeout.ms bounds a record's tries"),
        ("delivery.timeout.ms", _) => {
            let least = producer.linger_ms + producer.request_timeout_ms;
            match number {
                Ok(ms) if ms >= least => Answer::Take,
                _ => refuse(
                    format!("it is less than linger.ms + request.timeout.ms = {least} ms: Java refuses it, and no failover ends in it"),
                    "a broker counts as dead after 9 s, and its successor has to answer",
                ),
            }
        }
        ("partitioner.class", value) if value.contains("RoundRobin") && contract.order == Order::PerKey => {
            refuse("records of one key would go to all partitions", "leave it out: keys decide")
        }
        ("transactional.id", _) => refuse("it belongs to one instance, not to a topic", "set it where the instance is known"),
        _ => Answer::Take,
    }
}

fn judge_consumer(one: &Insisted, spec: &ConsumerSpec, contract: &ConsumerContract) -> Answer {
    let number = one.value.value.parse::<u64>();
    match (one.name.value.as_str(), one.value.value.as_str()) {
        ("group.id", _) => refuse("the group is the name above", "change it there"),
        ("enable.auto.commit", "true") if contract.delivery != Delivery::AtMostOnce => refuse(
            "offsets of records that are handed over but not finished would be committed: a crash skips them",
            "committing first and working from a queue in memory is at most once, whatever it is called: commit after the work, up \
             to the first record that is not finished",
        ),
        ("auto.offset.reset", _) => refuse("start: says where a group begins", "earliest or latest"),
        ("isolation.level", value)
            if value != "read_committed" && contract.delivery == Delivery::ExactlyOnce =>
        {
            refuse("results of transactions that were taken back would be counted", "leave it out")
        }
        ("session.timeout.ms" | "heartbeat.interval.ms" | "partition.assignment.strategy", _)
            if spec.protocol.value == Protocol::Consumer =>
        {
            refuse(
                "with protocol: consumer the broker decides it, and the client refuses to be told (KIP-848)",
                "set group.consumer.session.timeout.ms and its like on the broker or the group",
            )
        }
        ("max.poll.records", _) => {
            let p99 = spec.work.as_ref().map_or(0, |work| work.p99.micros());
            match number {
                Ok(records) if records.saturating_mul(p99) / 1_000 < contract.max_poll_interval_ms => {
                    Answer::Take
                }
                Ok(records) => refuse(
                    format!(
                        "{records} records x {} p99 take longer than the {} between polls",
                        text::micros(p99),
                        text::millis(contract.max_poll_interval_ms)
                    ),
                    format!("{} fit", contract.max_poll_records),
                ),
                Err(_) => refuse("it is a number", "leave it out to have it derived"),
            }
        }
        _ => Answer::Take,
    }
}
