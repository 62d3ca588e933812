//! Go: Sarama, kafka-go, franz-go and confluent-kafka-go.

use klamm_rules::evidence::{EffectKind, Library, Role};

use super::{Does, From, Key, Make, Method, Record, Report, Send, Sent, Table, hidden, librdkafka};
use crate::meaning::{Raw, ScopeId, Scopes};
use crate::tree::{Entry, Expr, ExprKind};

const LANGUAGES: &[&str] = &["go"];

const fn effect(of: Role, name: &'static str, kind: EffectKind) -> Method {
    Method { of, name, does: Does::Effect(kind) }
}

const fn producer(call: &'static str, settings: From) -> Make {
    Make { call, role: Role::Producer, settings }
}

const fn consumer(call: &'static str, settings: From) -> Make {
    Make { call, role: Role::Consumer, settings }
}

pub(crate) static SARAMA: Table = Table {
    library: Library::Sarama,
    languages: LANGUAGES,
    imports: &["github.com/IBM/sarama", "github.com/Shopify/sarama"],
    makes: &[
        producer("NewSyncProducer", From::Arg(1)),
        producer("NewAsyncProducer", From::Arg(1)),
        producer("NewSyncProducerFromClient", From::Nowhere),
        producer("NewAsyncProducerFromClient", From::Nowhere),
        consumer("NewConsumer", From::Arg(1)),
        consumer("NewConsumerFromClient", From::Nowhere),
        consumer("NewConsumerGroup", From::Arg(2)),
        consumer("NewConsumerGroupFromClient", From::Nowhere),
        Make { call: "NewClusterAdmin", role: Role::Admin, settings: From::Arg(1) },
    ],
    types: &[
        ("SyncProducer", Role::Producer),
        ("AsyncProducer", Role::Producer),
        ("ConsumerGroup", Role::Consumer),
        ("ConsumerGroupClaim", Role::Consumer),
        ("ConsumerGroupSession", Role::Consumer),
        ("PartitionConsumer", Role::Consumer),
        ("ClusterAdmin", Role::Admin),
    ],
    methods: &[
        Method { of: Role::Producer, name: "SendMessage", does: Does::Send(SARAMA_SEND) },
        Method { of: Role::Producer, name: "SendMessages", does: Does::Send(SARAMA_SEND) },
        Method { of: Role::Producer, name: "Input", does: Does::Send(SARAMA_INPUT) },
        effect(Role::Consumer, "Messages", EffectKind::Poll),
        effect(Role::Consumer, "MarkMessage", EffectKind::Mark),
        effect(Role::Consumer, "MarkOffset", EffectKind::Mark),
        effect(Role::Consumer, "Commit", EffectKind::Commit),
        effect(Role::Consumer, "Pause", EffectKind::Pause),
        effect(Role::Consumer, "PauseAll", EffectKind::Pause),
        Method { of: Role::Consumer, name: "Consume", does: Does::Subscribe(1) },
    ],
    translate: sarama,
};

const SARAMA_SEND: Send = Send { record: sarama_message, report: Report::Error };
const SARAMA_INPUT: Send =
    Send { record: sarama_message, report: Report::Events { method: "Errors", at: None } };

pub(crate) static KAFKA_GO: Table = Table {
    library: Library::KafkaGo,
    languages: LANGUAGES,
    imports: &["github.com/segmentio/kafka-go"],
    makes: &[
        producer("kafka.Writer", From::Fields),
        producer("NewWriter", From::Arg(0)),
        consumer("NewReader", From::Arg(0)),
    ],
    types: &[("Writer", Role::Producer), ("Reader", Role::Consumer)],
    methods: &[
        Method { of: Role::Producer, name: "WriteMessages", does: Does::Send(KAFKA_GO_WRITE) },
        effect(Role::Consumer, "FetchMessage", EffectKind::Poll),
        Method { of: Role::Consumer, name: "ReadMessage", does: Does::PollAndCommit { group: "GroupID" } },
        effect(Role::Consumer, "CommitMessages", EffectKind::Commit),
    ],
    translate: kafka_go,
};

const KAFKA_GO_WRITE: Send = Send {
    record: kafka_go_message,
    report: Report::ErrorUnless { setting: "Async", callback: "Completion" },
};

pub(crate) static FRANZ_GO: Table = Table {
    library: Library::FranzGo,
    languages: LANGUAGES,
    imports: &["github.com/twmb/franz-go/pkg/kgo"],
    // One client does both; `role_of` tells by its options what it is.
    makes: &[producer("kgo.NewClient", From::Options)],
    types: &[("Client", Role::Producer)],
    methods: &[
        Method { of: Role::Producer, name: "Produce", does: Does::Send(FRANZ_PROMISE) },
        Method { of: Role::Producer, name: "TryProduce", does: Does::Send(FRANZ_PROMISE) },
        Method { of: Role::Producer, name: "ProduceSync", does: Does::Send(FRANZ_SYNC) },
        effect(Role::Producer, "PollFetches", EffectKind::Poll),
        effect(Role::Producer, "PollRecords", EffectKind::Poll),
        effect(Role::Producer, "CommitRecords", EffectKind::Commit),
        effect(Role::Producer, "CommitUncommittedOffsets", EffectKind::Commit),
        effect(Role::Producer, "CommitMarkedOffsets", EffectKind::Commit),
        effect(Role::Producer, "CommitOffsetsSync", EffectKind::Commit),
        effect(Role::Producer, "CommitOffsets", EffectKind::CommitAsync),
        effect(Role::Producer, "MarkCommitRecords", EffectKind::Mark),
        effect(Role::Producer, "PauseFetchTopics", EffectKind::Pause),
        effect(Role::Producer, "PauseFetchPartitions", EffectKind::Pause),
    ],
    translate: franz_go,
};

const FRANZ_PROMISE: Send =
    Send { record: franz_record, report: Report::Callback { names: &[], at: 2, error: 1, setting: "" } };
const FRANZ_SYNC: Send = Send { record: franz_record, report: Report::Error };

pub(crate) static CONFLUENT: Table = Table {
    library: Library::Librdkafka,
    languages: LANGUAGES,
    imports: &["github.com/confluentinc/confluent-kafka-go"],
    makes: &[
        producer("NewProducer", From::Arg(0)),
        consumer("NewConsumer", From::Arg(0)),
        Make { call: "NewAdminClient", role: Role::Admin, settings: From::Arg(0) },
    ],
    types: &[("Producer", Role::Producer), ("Consumer", Role::Consumer), ("AdminClient", Role::Admin)],
    methods: &[
        Method { of: Role::Producer, name: "Produce", does: Does::Send(CONFLUENT_SEND) },
        effect(Role::Consumer, "Poll", EffectKind::Poll),
        effect(Role::Consumer, "ReadMessage", EffectKind::Poll),
        effect(Role::Consumer, "Commit", EffectKind::Commit),
        effect(Role::Consumer, "CommitMessage", EffectKind::Commit),
        effect(Role::Consumer, "CommitOffsets", EffectKind::Commit),
        effect(Role::Consumer, "StoreMessage", EffectKind::Mark),
        effect(Role::Consumer, "StoreOffsets", EffectKind::Mark),
        effect(Role::Consumer, "Pause", EffectKind::Pause),
        Method { of: Role::Consumer, name: "Subscribe", does: Does::Subscribe(0) },
        Method { of: Role::Consumer, name: "SubscribeTopics", does: Does::Subscribe(0) },
    ],
    translate: librdkafka::translate,
};

const CONFLUENT_SEND: Send =
    Send { record: confluent_message, report: Report::Events { method: "Events", at: Some(1) } };

/// The fields of the struct literal that an expression is, or that its variable holds.
fn fields<'t>(
    scopes: &Scopes<'t>,
    scope: ScopeId,
    expr: &'t Expr,
    ty: &str,
) -> Option<(&'t [Entry], ScopeId)> {
    let (made, scope) = scopes.origin(expr, scope);
    match &made.kind {
        ExprKind::Map { ty: Some(name), entries } if name.rsplit('.').next() == Some(ty) => {
            Some((entries, scope))
        }
        // Elements of a list of structs have no type of their own.
        ExprKind::Map { ty: None, entries } => Some((entries, scope)),
        ExprKind::List(items) => fields(scopes, scope, items.first()?, ty),
        _ => None,
    }
}

fn field<'t>(entries: &'t [Entry], name: &str) -> Option<&'t Expr> {
    let named = |entry: &&Entry| matches!(entry.key.as_ref().map(|key| &key.kind), Some(ExprKind::Text(key)) if key == name);
    entries.iter().find(named).map(|entry| &entry.value)
}

/// A record whose fields are called `Topic` and `Key`.
fn plain<'t>(entries: &'t [Entry], scope: ScopeId) -> Record<'t> {
    let key = match field(entries, "Key") {
        None => Key::Missing,
        Some(key) => Key::At(inner(key)),
    };
    Record { topic: field(entries, "Topic"), scope, key }
}

/// `sarama.StringEncoder(id)` is about `id`.
fn inner(key: &Expr) -> &Expr {
    match key.as_call() {
        Some(call) if matches!(call.method(), "StringEncoder" | "ByteEncoder") => {
            call.positional(0).unwrap_or(key)
        }
        _ => key,
    }
}

fn sarama_message<'t>(scopes: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let message = sent.into.or_else(|| sent.call.positional(0));
    let found = message.and_then(|message| fields(scopes, scope, message, "ProducerMessage"));
    found.map_or_else(|| hidden(scope), |(entries, scope)| plain(entries, scope))
}

fn kafka_go_message<'t>(scopes: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let found = sent.call.positional(1).and_then(|message| fields(scopes, scope, message, "Message"));
    found.map_or_else(|| hidden(scope), |(entries, scope)| plain(entries, scope))
}

/// `&kgo.Record{…}`, `kgo.StringRecord(v)`, `kgo.KeyStringRecord(k, v)`.
fn franz_record<'t>(scopes: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let Some(given) = sent.call.positional(1) else { return hidden(scope) };
    let (made, inside) = scopes.origin(given, scope);
    match made.as_call() {
        Some(call) if matches!(call.method(), "KeyStringRecord" | "KeySliceRecord") => {
            let key = call.positional(0).map_or(Key::Unknown, Key::At);
            Record { topic: None, scope: inside, key }
        }
        Some(call) if matches!(call.method(), "StringRecord" | "SliceRecord") => {
            Record { topic: None, scope: inside, key: Key::Missing }
        }
        _ => match fields(scopes, scope, given, "Record") {
            Some((entries, scope)) => plain(entries, scope),
            None => hidden(scope),
        },
    }
}

fn confluent_message<'t>(scopes: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let Some((entries, scope)) =
        sent.call.positional(0).and_then(|message| fields(scopes, scope, message, "Message"))
    else {
        return hidden(scope);
    };
    let made = plain(entries, scope);
    let target =
        field(entries, "TopicPartition").and_then(|target| fields(scopes, scope, target, "TopicPartition"));
    Record { topic: target.and_then(|(entries, _)| field(entries, "Topic")), ..made }
}

/// A value under one of these names is this word of Java's; numbers and texts stay.
fn word(value: &Raw, words: &[(&str, &str)]) -> Option<String> {
    let (Raw::Text(name) | Raw::Symbol(name)) = value else { return None };
    let known = words.iter().find(|(own, _)| own == name).map(|(_, java)| (*java).to_owned());
    known.or_else(|| value.text())
}

fn sarama(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    let (java, value) = match name {
        "Producer.RequiredAcks" => (
            "acks",
            word(value, &[("WaitForAll", "all"), ("WaitForLocal", "1"), ("NoResponse", "0"), ("-1", "all")]),
        ),
        "Producer.Idempotent" => ("enable.idempotence", value.text()),
        "Producer.Retry.Max" => ("retries", value.text()),
        "Producer.MaxMessageBytes" => ("max.request.size", value.text()),
        "Producer.Transaction.ID" => ("transactional.id", value.text()),
        "Producer.Timeout" => ("request.timeout.ms", None),
        "Producer.Compression" => ("compression.type", word(value, COMPRESSIONS)),
        "Net.MaxOpenRequests" => ("max.in.flight.requests.per.connection", value.text()),
        "Net.SASL.User" => ("sasl.username", value.text()),
        "Net.SASL.Password" => ("sasl.password", value.text()),
        "ClientID" => ("client.id", value.text()),
        "Consumer.Offsets.Initial" => {
            let words = [
                ("OffsetOldest", "earliest"),
                ("OffsetNewest", "latest"),
                ("-2", "earliest"),
                ("-1", "latest"),
            ];
            ("auto.offset.reset", word(value, &words))
        }
        "Consumer.Offsets.AutoCommit.Enable" => ("enable.auto.commit", value.text()),
        "Consumer.Offsets.AutoCommit.Interval" => ("auto.commit.interval.ms", None),
        "Consumer.Group.InstanceId" => ("group.instance.id", value.text()),
        "Consumer.Group.Session.Timeout" => ("session.timeout.ms", None),
        "Consumer.IsolationLevel" => {
            let words = [("ReadCommitted", "read_committed"), ("ReadUncommitted", "read_uncommitted")];
            ("isolation.level", word(value, &words))
        }
        _ => return None,
    };
    Some((java.to_owned(), value))
}

const COMPRESSIONS: &[(&str, &str)] = &[
    ("CompressionNone", "none"),
    ("CompressionGZIP", "gzip"),
    ("CompressionSnappy", "snappy"),
    ("CompressionLZ4", "lz4"),
    ("CompressionZSTD", "zstd"),
    ("Gzip", "gzip"),
    ("Snappy", "snappy"),
    ("Lz4", "lz4"),
    ("Zstd", "zstd"),
];

fn kafka_go(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    let (java, value) = match name {
        "RequiredAcks" => {
            let words = [("RequireAll", "all"), ("RequireOne", "1"), ("RequireNone", "0"), ("-1", "all")];
            ("acks", word(value, &words))
        }
        // The first attempt is no retry.
        "MaxAttempts" => {
            let attempts = value.text().and_then(|text| text.parse::<i64>().ok());
            ("retries", attempts.map(|attempts| (attempts - 1).max(0).to_string()))
        }
        "BatchBytes" => ("max.request.size", value.text()),
        "Compression" => ("compression.type", word(value, COMPRESSIONS)),
        "GroupID" => ("group.id", value.text()),
        "StartOffset" => {
            let words =
                [("FirstOffset", "earliest"), ("LastOffset", "latest"), ("-2", "earliest"), ("-1", "latest")];
            ("auto.offset.reset", word(value, &words))
        }
        "CommitInterval" => ("auto.commit.interval.ms", None),
        "IsolationLevel" => {
            let words = [("ReadCommitted", "read_committed"), ("ReadUncommitted", "read_uncommitted")];
            ("isolation.level", word(value, &words))
        }
        "Brokers" => ("bootstrap.servers", value.text()),
        _ => return None,
    };
    Some((java.to_owned(), value))
}

fn franz_go(name: &str, value: &Raw) -> Option<(String, Option<String>)> {
    let (java, value) = match name {
        "RequiredAcks" => ("acks", word(value, &[("AllISRAcks", "all"), ("LeaderAck", "1"), ("NoAck", "0")])),
        "DisableIdempotentWrite" => ("enable.idempotence", Some("false".to_owned())),
        "MaxProduceRequestsInflightPerBroker" => ("max.in.flight.requests.per.connection", value.text()),
        "RecordRetries" => ("retries", value.text()),
        "RecordDeliveryTimeout" => ("delivery.timeout.ms", None),
        "TransactionalID" => ("transactional.id", value.text()),
        "ClientID" => ("client.id", value.text()),
        "ConsumerGroup" => ("group.id", value.text()),
        "InstanceID" => ("group.instance.id", value.text()),
        "DisableAutoCommit" => ("enable.auto.commit", Some("false".to_owned())),
        // Commits only what the program marks: neither on nor off in Java's sense.
        "AutoCommitMarks" => ("enable.auto.commit", None),
        "ConsumeResetOffset" => {
            ("auto.offset.reset", word(value, &[("AtStart", "earliest"), ("AtEnd", "latest")]))
        }
        "FetchIsolationLevel" => {
            let words = [("ReadCommitted", "read_committed"), ("ReadUncommitted", "read_uncommitted")];
            ("isolation.level", word(value, &words))
        }
        "SeedBrokers" => ("bootstrap.servers", value.text()),
        _ => return None,
    };
    Some((java.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_javas_words() {
        let symbol = |name: &str| Raw::Symbol(name.to_owned());
        assert_eq!(
            sarama("Producer.RequiredAcks", &symbol("WaitForLocal")),
            Some(("acks".to_owned(), Some("1".to_owned())))
        );
        assert_eq!(kafka_go("RequiredAcks", &symbol("RequireAll")).unwrap().1.as_deref(), Some("all"));
        assert_eq!(franz_go("RequiredAcks", &symbol("NoAck")).unwrap().1.as_deref(), Some("0"));
        assert_eq!(sarama("Producer.RequiredAcks", &Raw::Unknown).unwrap().1, None);
        assert_eq!(sarama("Producer.Return.Errors", &symbol("x")), None);
        assert_eq!(kafka_go("MaxAttempts", &Raw::Text("1".to_owned())).unwrap().1.as_deref(), Some("0"));
    }
}
