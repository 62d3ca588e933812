//! Apache Kafka's Java client, and Spring for Apache Kafka on top of it; for Java and Kotlin.

use klamm_rules::evidence::{EffectKind, Library, Role};

use super::{Does, From, Key, Make, Method, Record, Report, Send, Sent, Table, as_written, hidden};
use crate::meaning::{ScopeId, Scopes};
use crate::tree::{Call, ExprKind};

const LANGUAGES: &[&str] = &["java", "kotlin"];

pub(crate) static KAFKA: Table = Table {
    library: Library::Java,
    languages: LANGUAGES,
    imports: &["org.apache.kafka"],
    makes: &[
        Make { call: "KafkaProducer", role: Role::Producer, settings: From::Arg(0) },
        Make { call: "KafkaConsumer", role: Role::Consumer, settings: From::Arg(0) },
        Make { call: "KafkaStreams", role: Role::Streams, settings: From::Arg(1) },
        Make { call: "AdminClient.create", role: Role::Admin, settings: From::Arg(0) },
        Make { call: "Admin.create", role: Role::Admin, settings: From::Arg(0) },
        Make { call: "KafkaAdminClient.create", role: Role::Admin, settings: From::Arg(0) },
    ],
    types: &[
        ("KafkaProducer", Role::Producer),
        ("Producer", Role::Producer),
        ("KafkaConsumer", Role::Consumer),
        ("Consumer", Role::Consumer),
        ("KafkaStreams", Role::Streams),
        ("AdminClient", Role::Admin),
        ("Admin", Role::Admin),
    ],
    methods: &[
        Method { of: Role::Producer, name: "send", does: Does::Send(SEND) },
        Method { of: Role::Producer, name: "flush", does: Does::Nothing },
        Method { of: Role::Producer, name: "sendOffsetsToTransaction", does: Does::Effect(EffectKind::Mark) },
        Method { of: Role::Producer, name: "commitTransaction", does: Does::Effect(EffectKind::Commit) },
        Method { of: Role::Producer, name: "beginTransaction", does: Does::Nothing },
        Method { of: Role::Consumer, name: "poll", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "commitSync", does: Does::Effect(EffectKind::Commit) },
        Method { of: Role::Consumer, name: "commitAsync", does: Does::Effect(EffectKind::CommitAsync) },
        Method { of: Role::Consumer, name: "pause", does: Does::Effect(EffectKind::Pause) },
        Method { of: Role::Consumer, name: "subscribe", does: Does::Subscribe(0) },
    ],
    translate: as_written,
};

pub(crate) static SPRING: Table = Table {
    library: Library::Java,
    languages: LANGUAGES,
    imports: &["org.springframework.kafka"],
    makes: &[
        Make { call: "DefaultKafkaProducerFactory", role: Role::Producer, settings: From::Arg(0) },
        Make { call: "DefaultKafkaConsumerFactory", role: Role::Consumer, settings: From::Arg(0) },
        Make { call: "KafkaStreamsConfiguration", role: Role::Streams, settings: From::Arg(0) },
        Make { call: "KafkaAdmin", role: Role::Admin, settings: From::Arg(0) },
    ],
    types: &[("KafkaTemplate", Role::Producer), ("KafkaOperations", Role::Producer)],
    methods: &[
        Method { of: Role::Producer, name: "send", does: Does::Send(TEMPLATE) },
        Method { of: Role::Producer, name: "sendDefault", does: Does::Send(TEMPLATE_DEFAULT) },
    ],
    translate: as_written,
};

const SEND: Send = Send { record: sent, report: Report::Future(Some(1)) };
const TEMPLATE: Send = Send { record: template, report: Report::Future(None) };
const TEMPLATE_DEFAULT: Send = Send { record: template_default, report: Report::Future(None) };

/// `send(record, callback)`.
fn sent<'t>(scopes: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let Some(argument) = sent.call.positional(0) else { return hidden(scope) };
    let (made, scope) = scopes.origin(argument, scope);
    match &made.kind {
        ExprKind::Call(record) if record.new || record.method() == "ProducerRecord" => {
            producer_record(record, scope)
        }
        _ => hidden(scope),
    }
}

/// `new ProducerRecord<>(topic, [partition, [timestamp,]] [key,] value [, headers])`.
fn producer_record<'t>(record: &'t Call, scope: ScopeId) -> Record<'t> {
    if !record.function.path().is_some_and(|path| path.ends_with("ProducerRecord")) {
        return hidden(scope);
    }
    let key = match record.args.len() {
        2 => Key::Missing,
        3 => at(record, 1),
        4 => at(record, 2),
        6 => at(record, 3),
        _ => Key::Unknown,
    };
    Record { topic: record.positional(0), scope, key }
}

/// `send(topic, value)`, `send(topic, key, value)`, `send(topic, partition, key, value)`, `send(record)`, `send(message)`.
fn template<'t>(scopes: &Scopes<'t>, scope: ScopeId, this: Sent<'t>) -> Record<'t> {
    let call = this.call;
    let key = match call.args.len() {
        1 => return sent(scopes, scope, this),
        2 => Key::Missing,
        3 => at(call, 1),
        4 => at(call, 2),
        5 => at(call, 3),
        _ => Key::Unknown,
    };
    Record { topic: call.positional(0), scope, key }
}

/// `sendDefault(value)`, `sendDefault(key, value)`.
fn template_default<'t>(_: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let call = sent.call;
    let key = match call.args.len() {
        1 => Key::Missing,
        2 => at(call, 0),
        3 => at(call, 1),
        _ => Key::Unknown,
    };
    Record { topic: None, scope, key }
}

fn at(call: &Call, position: usize) -> Key<'_> {
    call.positional(position).map_or(Key::Unknown, Key::At)
}
