//! Defaults of client libraries by version, and how each library spells a setting: a client without settings is not the same in each.
//!
//! Each default is a span of versions. Sources, by library:
//! - Java: `ProducerConfig` and `ConsumerConfig` of kafka-clients; 2.1 (KIP-91) brought `delivery.timeout.ms` and endless retries, 3.0
//!   (KIP-679, KIP-735) `acks=all`, idempotence and the session timeout of 45 s, 4.0 (KIP-1030) the linger of 5 ms.
//! - librdkafka: `CONFIGURATION.md`, through `klamm-kafka`.
//! - kafka-python: `DEFAULT_CONFIG` of `KafkaProducer` and `KafkaConsumer` in 1.4.7, 2.0.2, 2.0.6, 2.1.0, 2.1.6, 2.2.0, 2.2.15, 2.3.0, 3.0.0
//!   and 3.0.12. 2.2 brought idempotence (off) and endless retries, 3.0 durable producers.
//! - aiokafka: the signatures of `AIOKafkaProducer` and `AIOKafkaConsumer` in 0.14.0; its sender keeps one request in flight to a broker.
//! - KafkaJS: `src/index.js`, `src/producer`, `src/consumer` and `src/retry/defaults.js` of 2.2.4.
//! - Sarama: `NewConfig` of 1.61.1.
//! - kafka-go: `Writer`, `WriterConfig` and `ReaderConfig` of 0.4.51. `acks` is 0 in `Writer{}` and all in `NewWriter`, and whether offsets are
//!   committed depends on the call (`ReadMessage`, `FetchMessage`): neither has one default.
//! - franz-go: `defaultCfg` of 1.22.3.

use klamm_kafka::{consumer_config, producer_config};

use crate::evidence::{Library, Role};

/// What a library does when nobody sets a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Default {
    /// The value in Java's words; empty when it has none.
    pub value: &'static str,
    /// Whose default it is: `default of the Java client 2.8`.
    pub source: String,
}

/// Major and minor number of a library's version.
type Release = (u16, u16);

/// Defaults by the release from which on they hold, oldest first.
type Spans = &'static [(Release, &'static str)];

/// Endless, as Java writes it.
const ENDLESS: &str = "2147483647";
const ALWAYS: Release = (0, 0);

/// The default of a setting (Java's name); `None` when it is not known, also when it differs between versions and the version is not
/// known.
pub fn default_of(library: Library, version: Option<&str>, role: Role, name: &str) -> Option<Default> {
    let release = version.and_then(release);
    let value = match spans(library, role, name) {
        Some(spans) => in_spans(spans, release, oldest(library))?,
        None => planned(library, role, name)?,
    };
    let of = version.map_or_else(|| library.to_string(), |version| format!("{library} {version}"));
    Some(Default {
        value: unapplied(library, version, name).unwrap_or(value),
        source: format!("default of {of}"),
    })
}

/// The oldest release that is thought of when the version is not known. Kafka 4 speaks to no Java client before 2.1 (KIP-896).
fn oldest(library: Library) -> Release {
    match library {
        Library::Java => (2, 1),
        _ => ALWAYS,
    }
}

/// 3.0.0 and 3.1.0 document idempotence as their default and do not apply it (KAFKA-13598).
fn unapplied(library: Library, version: Option<&str>, name: &str) -> Option<&'static str> {
    let hit = library == Library::Java
        && name == "enable.idempotence"
        && matches!(version, Some("3.0.0" | "3.1.0" | "3.0" | "3.1"));
    hit.then_some("false")
}

/// Settings that the planner knows have their defaults in `klamm-kafka`.
fn planned(library: Library, role: Role, name: &str) -> Option<&'static str> {
    let config = match role {
        Role::Producer => producer_config(name)?,
        Role::Consumer => consumer_config(name)?,
        _ => return None,
    };
    match library {
        // Where Java's defaults differ between 3 and 4 they have spans below.
        Library::Java if config.java3 == config.java4 => Some(config.java4),
        Library::Librdkafka => Some(config.librdkafka),
        _ => None,
    }
}

fn release(version: &str) -> Option<Release> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']);
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

fn in_spans(spans: Spans, release: Option<Release>, oldest: Release) -> Option<&'static str> {
    let at =
        |release: Release| spans.iter().rev().find(|(since, _)| *since <= release).map(|(_, value)| *value);
    match release {
        Some(release) => at(release),
        None => {
            let first = at(oldest)?;
            let same = spans.iter().filter(|(since, _)| *since > oldest).all(|(_, value)| *value == first);
            same.then_some(first)
        }
    }
}

fn spans(library: Library, role: Role, name: &str) -> Option<Spans> {
    let table = match (library, role) {
        (Library::Java, Role::Producer) => JAVA_PRODUCER,
        (Library::Java, Role::Consumer) => JAVA_CONSUMER,
        (Library::Librdkafka, Role::Producer) => LIBRDKAFKA_PRODUCER,
        (Library::Librdkafka, Role::Consumer) => LIBRDKAFKA_CONSUMER,
        (Library::KafkaPython, Role::Producer) => KAFKA_PYTHON_PRODUCER,
        (Library::KafkaPython, Role::Consumer) => KAFKA_PYTHON_CONSUMER,
        (Library::Aiokafka, Role::Producer) => AIOKAFKA_PRODUCER,
        (Library::Aiokafka, Role::Consumer) => AIOKAFKA_CONSUMER,
        (Library::Kafkajs, Role::Producer) => KAFKAJS_PRODUCER,
        (Library::Kafkajs, Role::Consumer) => KAFKAJS_CONSUMER,
        (Library::Sarama, Role::Producer) => SARAMA_PRODUCER,
        (Library::Sarama, Role::Consumer) => SARAMA_CONSUMER,
        (Library::KafkaGo, Role::Producer) => KAFKA_GO_PRODUCER,
        (Library::KafkaGo, Role::Consumer) => KAFKA_GO_CONSUMER,
        (Library::FranzGo, Role::Producer) => FRANZ_GO_PRODUCER,
        (Library::FranzGo, Role::Consumer) => FRANZ_GO_CONSUMER,
        _ => return None,
    };
    table.iter().find(|(known, _)| *known == name).map(|(_, spans)| *spans)
}

type Table = &'static [(&'static str, Spans)];

const JAVA_PRODUCER: Table = &[
    ("acks", &[(ALWAYS, "1"), ((3, 0), "all")]),
    ("delivery.timeout.ms", &[((2, 1), "120000")]),
    ("enable.idempotence", &[(ALWAYS, "false"), ((3, 0), "true")]),
    ("linger.ms", &[(ALWAYS, "0"), ((4, 0), "5")]),
    ("retries", &[(ALWAYS, "0"), ((2, 1), ENDLESS)]),
    ("retry.backoff.ms", &[(ALWAYS, "100")]),
    ("transaction.timeout.ms", &[(ALWAYS, "60000")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const JAVA_CONSUMER: Table = &[
    ("auto.commit.interval.ms", &[(ALWAYS, "5000")]),
    ("group.remote.assignor", &[(ALWAYS, "")]),
    (
        "partition.assignment.strategy",
        &[
            (ALWAYS, "class org.apache.kafka.clients.consumer.RangeAssignor"),
            (
                (3, 0),
                "class org.apache.kafka.clients.consumer.RangeAssignor,class \
                    org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
            ),
        ],
    ),
    ("session.timeout.ms", &[(ALWAYS, "10000"), ((3, 0), "45000")]),
];

const LIBRDKAFKA_PRODUCER: Table = &[
    ("retry.backoff.ms", &[(ALWAYS, "100")]),
    ("transaction.timeout.ms", &[(ALWAYS, "60000")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const LIBRDKAFKA_CONSUMER: Table =
    &[("auto.commit.interval.ms", &[(ALWAYS, "5000")]), ("enable.auto.offset.store", &[(ALWAYS, "true")])];

const KAFKA_PYTHON_PRODUCER: Table = &[
    ("acks", &[(ALWAYS, "1"), ((3, 0), "all")]),
    ("batch.size", &[(ALWAYS, "16384")]),
    ("compression.type", &[(ALWAYS, "none")]),
    ("delivery.timeout.ms", &[(ALWAYS, ""), ((2, 2), "120000")]),
    ("enable.idempotence", &[(ALWAYS, "false"), ((3, 0), "true")]),
    ("linger.ms", &[(ALWAYS, "0")]),
    ("max.in.flight.requests.per.connection", &[(ALWAYS, "5")]),
    ("max.request.size", &[(ALWAYS, "1048576")]),
    ("request.timeout.ms", &[(ALWAYS, "30000")]),
    ("retries", &[(ALWAYS, "0"), ((2, 2), ENDLESS)]),
    ("retry.backoff.ms", &[(ALWAYS, "100")]),
    ("transaction.timeout.ms", &[(ALWAYS, "60000")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const KAFKA_PYTHON_CONSUMER: Table = &[
    ("auto.commit.interval.ms", &[(ALWAYS, "5000")]),
    ("auto.offset.reset", &[(ALWAYS, "latest")]),
    ("enable.auto.commit", &[(ALWAYS, "true")]),
    ("group.id", &[(ALWAYS, "")]),
    ("group.instance.id", &[(ALWAYS, "")]),
    ("group.protocol", &[(ALWAYS, "classic")]),
    ("heartbeat.interval.ms", &[(ALWAYS, "3000")]),
    ("isolation.level", &[(ALWAYS, "read_uncommitted")]),
    ("max.poll.interval.ms", &[(ALWAYS, "300000")]),
    ("max.poll.records", &[(ALWAYS, "500")]),
    ("session.timeout.ms", &[(ALWAYS, "10000"), ((3, 0), "45000")]),
];

/// With `enable_idempotence=True` an unset `acks` is -1; the rules read idempotence first.
const AIOKAFKA_PRODUCER: Table = &[
    ("acks", &[(ALWAYS, "1")]),
    ("batch.size", &[(ALWAYS, "16384")]),
    ("compression.type", &[(ALWAYS, "none")]),
    ("enable.idempotence", &[(ALWAYS, "false")]),
    ("linger.ms", &[(ALWAYS, "0")]),
    ("max.in.flight.requests.per.connection", &[(ALWAYS, "1")]),
    ("max.request.size", &[(ALWAYS, "1048576")]),
    ("request.timeout.ms", &[(ALWAYS, "40000")]),
    ("retries", &[(ALWAYS, ENDLESS)]),
    ("retry.backoff.ms", &[(ALWAYS, "100")]),
    ("transaction.timeout.ms", &[(ALWAYS, "60000")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const AIOKAFKA_CONSUMER: Table = &[
    ("auto.commit.interval.ms", &[(ALWAYS, "5000")]),
    ("auto.offset.reset", &[(ALWAYS, "latest")]),
    ("enable.auto.commit", &[(ALWAYS, "true")]),
    ("group.id", &[(ALWAYS, "")]),
    ("group.instance.id", &[(ALWAYS, "")]),
    ("group.protocol", &[(ALWAYS, "classic")]),
    ("heartbeat.interval.ms", &[(ALWAYS, "3000")]),
    ("isolation.level", &[(ALWAYS, "read_uncommitted")]),
    ("max.poll.interval.ms", &[(ALWAYS, "300000")]),
    ("session.timeout.ms", &[(ALWAYS, "10000")]),
];

/// `retries` is 5, and endless with `idempotent`; either retries. Compression is chosen for each send. No bound on requests in flight.
const KAFKAJS_PRODUCER: Table = &[
    ("acks", &[(ALWAYS, "all")]),
    ("enable.idempotence", &[(ALWAYS, "false")]),
    ("linger.ms", &[(ALWAYS, "0")]),
    ("max.in.flight.requests.per.connection", &[(ALWAYS, "")]),
    ("request.timeout.ms", &[(ALWAYS, "30000")]),
    ("retries", &[(ALWAYS, "5")]),
    ("retry.backoff.ms", &[(ALWAYS, "300")]),
    ("transaction.timeout.ms", &[(ALWAYS, "60000")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const KAFKAJS_CONSUMER: Table = &[
    ("auto.offset.reset", &[(ALWAYS, "latest")]),
    ("enable.auto.commit", &[(ALWAYS, "true")]),
    ("group.instance.id", &[(ALWAYS, "")]),
    ("group.protocol", &[(ALWAYS, "classic")]),
    ("heartbeat.interval.ms", &[(ALWAYS, "3000")]),
    ("isolation.level", &[(ALWAYS, "read_committed")]),
    ("session.timeout.ms", &[(ALWAYS, "30000")]),
];

const SARAMA_PRODUCER: Table = &[
    ("acks", &[(ALWAYS, "1")]),
    ("compression.type", &[(ALWAYS, "none")]),
    ("enable.idempotence", &[(ALWAYS, "false")]),
    ("max.in.flight.requests.per.connection", &[(ALWAYS, "5")]),
    ("max.request.size", &[(ALWAYS, "1048576")]),
    ("request.timeout.ms", &[(ALWAYS, "10000")]),
    ("retries", &[(ALWAYS, "3")]),
    ("retry.backoff.ms", &[(ALWAYS, "100")]),
    ("transaction.timeout.ms", &[(ALWAYS, "60000")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const SARAMA_CONSUMER: Table = &[
    ("auto.commit.interval.ms", &[(ALWAYS, "1000")]),
    ("auto.offset.reset", &[(ALWAYS, "latest")]),
    ("enable.auto.commit", &[(ALWAYS, "true")]),
    ("group.instance.id", &[(ALWAYS, "")]),
    ("group.protocol", &[(ALWAYS, "classic")]),
    ("heartbeat.interval.ms", &[(ALWAYS, "3000")]),
    ("isolation.level", &[(ALWAYS, "read_uncommitted")]),
    ("session.timeout.ms", &[(ALWAYS, "10000")]),
];

/// It has no idempotent producer, and sends the batches of a partition one after the other.
const KAFKA_GO_PRODUCER: Table = &[
    ("compression.type", &[(ALWAYS, "none")]),
    ("enable.idempotence", &[(ALWAYS, "false")]),
    ("linger.ms", &[(ALWAYS, "1000")]),
    ("max.in.flight.requests.per.connection", &[(ALWAYS, "1")]),
    ("max.request.size", &[(ALWAYS, "1048576")]),
    ("request.timeout.ms", &[(ALWAYS, "10000")]),
    ("retries", &[(ALWAYS, "10")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const KAFKA_GO_CONSUMER: Table = &[
    ("auto.offset.reset", &[(ALWAYS, "earliest")]),
    ("group.id", &[(ALWAYS, "")]),
    ("group.protocol", &[(ALWAYS, "classic")]),
    ("heartbeat.interval.ms", &[(ALWAYS, "3000")]),
    ("isolation.level", &[(ALWAYS, "read_uncommitted")]),
    ("session.timeout.ms", &[(ALWAYS, "30000")]),
];

/// Its linger has changed between releases and decides no rule.
const FRANZ_GO_PRODUCER: Table = &[
    ("acks", &[(ALWAYS, "all")]),
    ("compression.type", &[(ALWAYS, "snappy")]),
    ("enable.idempotence", &[(ALWAYS, "true")]),
    ("max.request.size", &[(ALWAYS, "1000012")]),
    ("request.timeout.ms", &[(ALWAYS, "10000")]),
    ("retries", &[(ALWAYS, ENDLESS)]),
    ("transaction.timeout.ms", &[(ALWAYS, "40000")]),
    ("transactional.id", &[(ALWAYS, "")]),
];

const FRANZ_GO_CONSUMER: Table = &[
    ("auto.commit.interval.ms", &[(ALWAYS, "5000")]),
    ("auto.offset.reset", &[(ALWAYS, "earliest")]),
    ("enable.auto.commit", &[(ALWAYS, "true")]),
    ("group.id", &[(ALWAYS, "")]),
    ("group.instance.id", &[(ALWAYS, "")]),
    ("heartbeat.interval.ms", &[(ALWAYS, "3000")]),
    ("isolation.level", &[(ALWAYS, "read_uncommitted")]),
    ("session.timeout.ms", &[(ALWAYS, "45000")]),
];

/// The name of a setting (Java's) as a library writes it.
pub fn spelled(library: Library, name: &str) -> String {
    if let Some((_, written)) = spellings(library).iter().find(|(java, _)| *java == name) {
        return (*written).to_owned();
    }
    match library {
        Library::KafkaPython | Library::Aiokafka => name.replace('.', "_"),
        _ => name.to_owned(),
    }
}

/// Java's name of a setting as a library writes it; a name that the library does not rename is taken as Java's.
pub fn java_name(library: Library, written: &str) -> String {
    if let Some((java, _)) = spellings(library).iter().find(|(_, known)| *known == written) {
        return (*java).to_owned();
    }
    match library {
        Library::KafkaPython | Library::Aiokafka => written.replace('_', "."),
        _ => written.to_owned(),
    }
}

fn spellings(library: Library) -> &'static [(&'static str, &'static str)] {
    match library {
        Library::Librdkafka => {
            &[("buffer.memory", "queue.buffering.max.kbytes"), ("max.request.size", "message.max.bytes")]
        }
        Library::Aiokafka => &[("batch.size", "max_batch_size")],
        Library::Kafkajs => KAFKAJS_NAMES,
        Library::Sarama => SARAMA_NAMES,
        Library::KafkaGo => KAFKA_GO_NAMES,
        Library::FranzGo => FRANZ_GO_NAMES,
        Library::Java | Library::KafkaPython | Library::Unknown => &[],
    }
}

const KAFKAJS_NAMES: &[(&str, &str)] = &[
    ("auto.commit.interval.ms", "autoCommitInterval"),
    ("auto.offset.reset", "fromBeginning"),
    ("bootstrap.servers", "brokers"),
    ("client.id", "clientId"),
    ("compression.type", "compression"),
    ("enable.auto.commit", "autoCommit"),
    ("enable.idempotence", "idempotent"),
    ("group.id", "groupId"),
    ("heartbeat.interval.ms", "heartbeatInterval"),
    ("isolation.level", "readUncommitted"),
    ("max.in.flight.requests.per.connection", "maxInFlightRequests"),
    ("partition.assignment.strategy", "partitionAssigners"),
    ("request.timeout.ms", "requestTimeout"),
    ("retries", "retry.retries"),
    ("retry.backoff.ms", "retry.initialRetryTime"),
    ("session.timeout.ms", "sessionTimeout"),
    ("transaction.timeout.ms", "transactionTimeout"),
    ("transactional.id", "transactionalId"),
];

const SARAMA_NAMES: &[(&str, &str)] = &[
    ("acks", "Producer.RequiredAcks"),
    ("auto.commit.interval.ms", "Consumer.Offsets.AutoCommit.Interval"),
    ("auto.offset.reset", "Consumer.Offsets.Initial"),
    ("client.id", "ClientID"),
    ("compression.type", "Producer.Compression"),
    ("enable.auto.commit", "Consumer.Offsets.AutoCommit.Enable"),
    ("enable.idempotence", "Producer.Idempotent"),
    ("group.instance.id", "Consumer.Group.InstanceId"),
    ("heartbeat.interval.ms", "Consumer.Group.Heartbeat.Interval"),
    ("isolation.level", "Consumer.IsolationLevel"),
    ("linger.ms", "Producer.Flush.Frequency"),
    ("max.in.flight.requests.per.connection", "Net.MaxOpenRequests"),
    ("max.request.size", "Producer.MaxMessageBytes"),
    ("partition.assignment.strategy", "Consumer.Group.Rebalance.GroupStrategies"),
    ("request.timeout.ms", "Producer.Timeout"),
    ("retries", "Producer.Retry.Max"),
    ("retry.backoff.ms", "Producer.Retry.Backoff"),
    ("session.timeout.ms", "Consumer.Group.Session.Timeout"),
    ("transaction.timeout.ms", "Producer.Transaction.Timeout"),
    ("transactional.id", "Producer.Transaction.ID"),
];

const KAFKA_GO_NAMES: &[(&str, &str)] = &[
    ("acks", "RequiredAcks"),
    ("auto.commit.interval.ms", "CommitInterval"),
    ("auto.offset.reset", "StartOffset"),
    ("bootstrap.servers", "Brokers"),
    ("compression.type", "Compression"),
    ("group.id", "GroupID"),
    ("heartbeat.interval.ms", "HeartbeatInterval"),
    ("isolation.level", "IsolationLevel"),
    ("linger.ms", "BatchTimeout"),
    ("max.request.size", "BatchBytes"),
    ("request.timeout.ms", "WriteTimeout"),
    ("retries", "MaxAttempts"),
    ("session.timeout.ms", "SessionTimeout"),
];

const FRANZ_GO_NAMES: &[(&str, &str)] = &[
    ("acks", "kgo.RequiredAcks"),
    ("auto.commit.interval.ms", "kgo.AutoCommitInterval"),
    ("auto.offset.reset", "kgo.ConsumeResetOffset"),
    ("bootstrap.servers", "kgo.SeedBrokers"),
    ("client.id", "kgo.ClientID"),
    ("compression.type", "kgo.ProducerBatchCompression"),
    ("delivery.timeout.ms", "kgo.RecordDeliveryTimeout"),
    ("enable.auto.commit", "kgo.DisableAutoCommit"),
    ("enable.idempotence", "kgo.DisableIdempotentWrite"),
    ("group.id", "kgo.ConsumerGroup"),
    ("group.instance.id", "kgo.InstanceID"),
    ("heartbeat.interval.ms", "kgo.HeartbeatInterval"),
    ("isolation.level", "kgo.FetchIsolationLevel"),
    ("linger.ms", "kgo.ProducerLinger"),
    ("max.in.flight.requests.per.connection", "kgo.MaxProduceRequestsInflightPerBroker"),
    ("max.request.size", "kgo.ProducerBatchMaxBytes"),
    ("partition.assignment.strategy", "kgo.Balancers"),
    ("request.timeout.ms", "kgo.ProduceRequestTimeout"),
    ("retries", "kgo.RecordRetries"),
    ("session.timeout.ms", "kgo.SessionTimeout"),
    ("transaction.timeout.ms", "kgo.TransactionTimeout"),
    ("transactional.id", "kgo.TransactionalID"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIBRARIES: [Library; 9] = [
        Library::Java,
        Library::Librdkafka,
        Library::KafkaPython,
        Library::Aiokafka,
        Library::Kafkajs,
        Library::Sarama,
        Library::KafkaGo,
        Library::FranzGo,
        Library::Unknown,
    ];

    fn producer(library: Library, version: &str, name: &str) -> Option<&'static str> {
        let version = (!version.is_empty()).then_some(version);
        default_of(library, version, Role::Producer, name).map(|default| default.value)
    }

    #[test]
    fn java_became_durable_with_3_0() {
        for (version, acks, idempotence) in [
            ("2.8.1", "1", "false"),
            ("3.0.0", "all", "false"),
            ("3.0.1", "all", "true"),
            ("3.1.0", "all", "false"),
            ("3.9.1", "all", "true"),
            ("4.3.1", "all", "true"),
        ] {
            assert_eq!(producer(Library::Java, version, "acks"), Some(acks), "{version}");
            assert_eq!(
                producer(Library::Java, version, "enable.idempotence"),
                Some(idempotence),
                "{version}"
            );
        }
    }

    #[test]
    fn without_a_version_only_what_all_have_is_a_default() {
        assert_eq!(producer(Library::Java, "", "acks"), None);
        assert_eq!(producer(Library::Java, "", "linger.ms"), None);
        assert_eq!(producer(Library::Java, "", "retries"), Some(ENDLESS));
        assert_eq!(producer(Library::Java, "", "request.timeout.ms"), Some("30000"));
        assert_eq!(producer(Library::KafkaPython, "", "acks"), None);
        assert_eq!(producer(Library::KafkaPython, "", "linger.ms"), Some("0"));
        assert_eq!(producer(Library::Sarama, "", "acks"), Some("1"));
        assert_eq!(producer(Library::Unknown, "1.0", "acks"), None);
    }

    #[test]
    fn kafka_python_retries_from_2_2_and_is_durable_from_3_0() {
        for (version, acks, retries) in
            [("2.0.2", "1", "0"), ("2.1.6", "1", "0"), ("2.2.0", "1", ENDLESS), ("3.0.0", "all", ENDLESS)]
        {
            assert_eq!(producer(Library::KafkaPython, version, "acks"), Some(acks), "{version}");
            assert_eq!(producer(Library::KafkaPython, version, "retries"), Some(retries), "{version}");
        }
    }

    #[test]
    fn a_source_names_library_and_version() {
        let default = default_of(Library::Java, Some("2.8.1"), Role::Producer, "acks").expect("a default");
        assert_eq!(default.source, "default of the Java client 2.8.1");
    }

    #[test]
    fn spans_are_in_order_and_start_before_what_is_thought_of() {
        for table in [JAVA_PRODUCER, JAVA_CONSUMER, KAFKA_PYTHON_PRODUCER, KAFKA_PYTHON_CONSUMER] {
            for (name, spans) in table {
                assert!(spans.windows(2).all(|pair| pair[0].0 < pair[1].0), "{name}");
                assert!(spans[0].0 <= (2, 1), "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_spelled_name_is_read_back(
            library in prop::sample::select(LIBRARIES.to_vec()),
            known in prop::sample::select(SARAMA_NAMES.to_vec()),
            other in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}",
        ) {
            for name in [known.0, other.as_str()] {
                prop_assert_eq!(java_name(library, &spelled(library, name)), name);
            }
        }

        #[test]
        fn no_version_text_breaks_the_table(version in ".{0,12}", library in prop::sample::select(LIBRARIES.to_vec())) {
            for name in ["acks", "linger.ms", "session.timeout.ms", "nonsense"] {
                let _ = default_of(library, Some(&version), Role::Producer, name);
                let _ = default_of(library, Some(&version), Role::Consumer, name);
            }
        }
    }
}
