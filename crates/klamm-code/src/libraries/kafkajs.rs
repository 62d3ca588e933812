//! KafkaJS.

use klamm_rules::evidence::{EffectKind, Library, Role};

use super::{Does, From, Key, Make, Method, Record, Report, Send, Sent, Table, hidden, librdkafka};
use crate::meaning::{Raw, ScopeId, Scopes, collect_returns};
use crate::tree::{Entry, Expr, ExprKind};

pub(crate) static KAFKAJS: Table = Table {
    library: Library::Kafkajs,
    languages: &["javascript", "typescript"],
    imports: &["kafkajs"],
    makes: &[
        Make { call: ".producer", role: Role::Producer, settings: From::ReceiverAndArg },
        Make { call: ".consumer", role: Role::Consumer, settings: From::ReceiverAndArg },
        Make { call: ".admin", role: Role::Admin, settings: From::ReceiverAndArg },
    ],
    types: &[("Producer", Role::Producer), ("Consumer", Role::Consumer), ("Admin", Role::Admin)],
    methods: &[
        Method { of: Role::Producer, name: "send", does: Does::Send(SEND) },
        Method { of: Role::Producer, name: "sendBatch", does: Does::Send(BATCH) },
        Method { of: Role::Consumer, name: "commitOffsets", does: Does::Effect(EffectKind::Commit) },
        Method { of: Role::Consumer, name: "pause", does: Does::Effect(EffectKind::Pause) },
        Method { of: Role::Consumer, name: "subscribe", does: Does::Subscribe(0) },
        Method { of: Role::Consumer, name: "run", does: Does::Run(&["eachMessage", "eachBatch"]) },
    ],
    translate,
};

/// Confluent's client with the same calls: settings stand under `kafkaJS`, or are librdkafka's.
pub(crate) static CONFLUENT: Table = Table {
    library: Library::Librdkafka,
    languages: &["javascript", "typescript"],
    imports: &["@confluentinc/kafka-javascript"],
    makes: KAFKAJS.makes,
    types: KAFKAJS.types,
    methods: KAFKAJS.methods,
    translate: confluent,
};

fn confluent(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    match name.strip_prefix("kafkaJS.") {
        Some(own) => translate(own, value),
        None if name == "kafkaJS" || !name.contains('.') && name != "acks" => None,
        None => librdkafka::translate(name, value),
    }
}

const SEND: Send = Send { record: sent, report: Report::Promise };
const BATCH: Send = Send { record: batch, report: Report::Promise };

fn field<'t>(entries: &'t [Entry], name: &str) -> Option<&'t Expr> {
    let is = |entry: &&Entry| matches!(entry.key.as_ref().map(|key| &key.kind), Some(ExprKind::Text(text)) if text == name);
    entries.iter().find(is).map(|entry| &entry.value)
}

/// `send({ topic, messages: [{ key, value }] })`.
fn sent<'t>(scopes: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let Some(given) = sent.call.positional(0) else { return hidden(scope) };
    let (given, scope) = scopes.origin(given, scope);
    let ExprKind::Map { entries, .. } = &given.kind else { return hidden(scope) };
    let topic = field(entries, "topic");
    let Some(messages) = field(entries, "messages") else { return Record { topic, ..hidden(scope) } };
    let (message, inner) = message(scopes, messages, scope);
    let key = match &message.kind {
        ExprKind::Map { entries, .. } => match field(entries, "key") {
            Some(key) => Key::At(key),
            None if entries.iter().any(|entry| entry.key.is_none()) => Key::Unknown,
            None => Key::Missing,
        },
        _ => Key::Unknown,
    };
    let topic_here = inner == scope;
    // A topic of another scope than the key's stays unknown rather than being looked up in the wrong one.
    Record {
        topic: topic.filter(|topic| topic_here || matches!(topic.kind, ExprKind::Text(_))),
        scope: inner,
        key,
    }
}

/// The one message of a list, or what each of a list is made into.
fn message<'t>(scopes: &Scopes<'t>, messages: &'t Expr, scope: ScopeId) -> (&'t Expr, ScopeId) {
    let (list, scope) = scopes.origin(messages, scope);
    match &list.kind {
        ExprKind::List(items) => match items.first() {
            Some(first) => scopes.origin(first, scope),
            None => (list, scope),
        },
        ExprKind::Call(call) if call.method() == "map" => match call.positional(0).map(|given| &given.kind) {
            Some(ExprKind::Lambda(function)) => {
                let mut returns = Vec::new();
                collect_returns(&function.body, &mut returns);
                match returns.as_slice() {
                    [one] => (one, scopes.of_function(function)),
                    _ => (list, scope),
                }
            }
            _ => (list, scope),
        },
        _ => (list, scope),
    }
}

fn batch<'t>(_: &Scopes<'t>, scope: ScopeId, _: Sent<'t>) -> Record<'t> {
    hidden(scope)
}

/// KafkaJS's names as Java's.
fn translate(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    let java = match name {
        "clientId" => "client.id",
        "brokers" => "bootstrap.servers",
        "groupId" => "group.id",
        "acks" => "acks",
        "idempotent" => "enable.idempotence",
        "maxInFlightRequests" => "max.in.flight.requests.per.connection",
        "transactionalId" => "transactional.id",
        "retry.retries" => "retries",
        "sessionTimeout" => "session.timeout.ms",
        "heartbeatInterval" => "heartbeat.interval.ms",
        "rebalanceTimeout" => "max.poll.interval.ms",
        "requestTimeout" => "request.timeout.ms",
        "autoCommit" => "enable.auto.commit",
        "autoCommitInterval" => "auto.commit.interval.ms",
        "sasl.mechanism" => "sasl.mechanism",
        "sasl.username" => "sasl.username",
        "sasl.password" => "sasl.password",
        "maxWaitTimeInMs" => "fetch.max.wait.ms",
        "fromBeginning" => {
            let reset =
                value.text().map(|value| if value == "true" { "earliest" } else { "latest" }.to_owned());
            return Some(("auto.offset.reset".to_owned(), reset));
        }
        "readUncommitted" => {
            let level = value
                .text()
                .map(|value| if value == "true" { "read_uncommitted" } else { "read_committed" }.to_owned());
            return Some(("isolation.level".to_owned(), level));
        }
        "ssl.rejectUnauthorized" => {
            let algorithm = value.text().map(|value| if value == "false" { "" } else { "https" }.to_owned());
            return Some(("ssl.endpoint.identification.algorithm".to_owned(), algorithm));
        }
        _ => return None,
    };
    let value = value.text().map(|value| match (java, value.as_str()) {
        ("acks", "-1") => "all".to_owned(),
        ("sasl.mechanism", _) => value.to_uppercase(),
        _ => value,
    });
    Some((java.to_owned(), value))
}
