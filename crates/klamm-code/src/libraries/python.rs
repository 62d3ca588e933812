//! confluent-kafka, kafka-python and aiokafka.

use klamm_rules::evidence::{EffectKind, Library, Role};

use super::{Does, From, Key, Make, Method, Record, Report, Send, Sent, Table, librdkafka};
use crate::meaning::{Raw, ScopeId, Scopes};
use crate::tree::{Call, ExprKind};

const LANGUAGES: &[&str] = &["python"];

pub(crate) static CONFLUENT: Table = Table {
    library: Library::Librdkafka,
    languages: LANGUAGES,
    imports: &["confluent_kafka"],
    makes: &[
        Make { call: "Producer", role: Role::Producer, settings: From::Arg(0) },
        Make { call: "SerializingProducer", role: Role::Producer, settings: From::Arg(0) },
        Make { call: "AvroProducer", role: Role::Producer, settings: From::Arg(0) },
        Make { call: "Consumer", role: Role::Consumer, settings: From::Arg(0) },
        Make { call: "DeserializingConsumer", role: Role::Consumer, settings: From::Arg(0) },
        Make { call: "AvroConsumer", role: Role::Consumer, settings: From::Arg(0) },
        Make { call: "AdminClient", role: Role::Admin, settings: From::Arg(0) },
    ],
    types: &[
        ("Producer", Role::Producer),
        ("SerializingProducer", Role::Producer),
        ("Consumer", Role::Consumer),
        ("DeserializingConsumer", Role::Consumer),
        ("AdminClient", Role::Admin),
    ],
    methods: &[
        Method { of: Role::Producer, name: "produce", does: Does::Send(PRODUCE) },
        Method { of: Role::Producer, name: "poll", does: Does::Nothing },
        Method { of: Role::Producer, name: "flush", does: Does::Nothing },
        Method {
            of: Role::Producer,
            name: "send_offsets_to_transaction",
            does: Does::Effect(EffectKind::Mark),
        },
        Method { of: Role::Producer, name: "commit_transaction", does: Does::Effect(EffectKind::Commit) },
        Method { of: Role::Consumer, name: "poll", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "consume", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "commit", does: Does::Depends(commit) },
        Method { of: Role::Consumer, name: "store_offsets", does: Does::Effect(EffectKind::Mark) },
        Method { of: Role::Consumer, name: "pause", does: Does::Effect(EffectKind::Pause) },
        Method { of: Role::Consumer, name: "subscribe", does: Does::Subscribe(0) },
    ],
    translate: librdkafka::translate,
};

pub(crate) static KAFKA_PYTHON: Table = Table {
    library: Library::KafkaPython,
    languages: LANGUAGES,
    imports: &["kafka"],
    makes: &[
        Make { call: "KafkaProducer", role: Role::Producer, settings: From::Named },
        Make { call: "KafkaConsumer", role: Role::Consumer, settings: From::Named },
        Make { call: "KafkaAdminClient", role: Role::Admin, settings: From::Named },
    ],
    types: &[
        ("KafkaProducer", Role::Producer),
        ("KafkaConsumer", Role::Consumer),
        ("KafkaAdminClient", Role::Admin),
    ],
    methods: &[
        Method { of: Role::Producer, name: "send", does: Does::Send(SEND) },
        Method { of: Role::Producer, name: "flush", does: Does::Nothing },
        Method { of: Role::Consumer, name: "poll", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "commit", does: Does::Effect(EffectKind::Commit) },
        Method { of: Role::Consumer, name: "commit_async", does: Does::Effect(EffectKind::CommitAsync) },
        Method { of: Role::Consumer, name: "pause", does: Does::Effect(EffectKind::Pause) },
        Method { of: Role::Consumer, name: "subscribe", does: Does::Subscribe(0) },
    ],
    translate: keywords,
};

pub(crate) static AIOKAFKA: Table = Table {
    library: Library::Aiokafka,
    languages: LANGUAGES,
    imports: &["aiokafka"],
    makes: &[
        Make { call: "AIOKafkaProducer", role: Role::Producer, settings: From::Named },
        Make { call: "AIOKafkaConsumer", role: Role::Consumer, settings: From::Named },
    ],
    types: &[("AIOKafkaProducer", Role::Producer), ("AIOKafkaConsumer", Role::Consumer)],
    methods: &[
        Method { of: Role::Producer, name: "send", does: Does::Send(LATER) },
        Method { of: Role::Producer, name: "send_and_wait", does: Does::Send(AND_WAIT) },
        Method { of: Role::Producer, name: "flush", does: Does::Nothing },
        Method { of: Role::Consumer, name: "getone", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "getmany", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "commit", does: Does::Effect(EffectKind::Commit) },
        Method { of: Role::Consumer, name: "pause", does: Does::Effect(EffectKind::Pause) },
        Method { of: Role::Consumer, name: "subscribe", does: Does::Subscribe(0) },
    ],
    translate: keywords,
};

/// `produce(topic, value, key, partition, on_delivery)`: `flush` alone tells nobody that a record was lost.
const PRODUCE: Send = Send {
    record,
    report: Report::Callback { names: &["on_delivery", "callback"], at: 4, error: 0, setting: "on_delivery" },
};
const SEND: Send = Send { record, report: Report::Future(None) };
const LATER: Send = Send { record, report: Report::LaterFuture };
const AND_WAIT: Send = Send { record, report: Report::Promise };

/// All three: `(topic, value, key, …)`, except `SerializingProducer`'s `(topic, key, value)`, where a key without name stays unknown.
fn record<'t>(_: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let call = sent.call;
    let topic = call.named("topic").or_else(|| call.positional(0));
    let key = match (call.named("key"), call.positional(2)) {
        _ if call.args.iter().any(|arg| arg.spread) => Key::Unknown,
        (Some(key), _) => Key::At(key),
        (None, Some(_)) => Key::Unknown,
        (None, None) => Key::Missing,
    };
    Record { topic, scope, key }
}

/// `commit()` is asynchronous by default.
fn commit(call: &Call) -> EffectKind {
    match call.named("asynchronous").map(|value| &value.kind) {
        None | Some(ExprKind::Bool(true)) => EffectKind::CommitAsync,
        _ => EffectKind::Commit,
    }
}

/// Keywords are Java's names with underscores.
fn keywords(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    if matches!(
        name,
        "loop" | "kafka_client" | "api_version" | "metric_reporters" | "ssl_context" | "selector"
    ) || name.ends_with("serializer")
    {
        return None;
    }
    let java = match name {
        "sasl_plain_username" => "sasl.username".to_owned(),
        "sasl_plain_password" => "sasl.password".to_owned(),
        "ssl_password" => "ssl.key.password".to_owned(),
        "ssl_check_hostname" => {
            let off = value.text().is_some_and(|value| value == "false");
            let algorithm = if off { String::new() } else { "https".to_owned() };
            return Some((
                "ssl.endpoint.identification.algorithm".to_owned(),
                value.text().map(|_| algorithm),
            ));
        }
        "max_batch_size" => "batch.size".to_owned(),
        other => other.replace('_', "."),
    };
    let value = value.text().map(|value| match (java.as_str(), value.as_str()) {
        ("acks", "-1") => "all".to_owned(),
        _ => value,
    });
    Some((java, value))
}
