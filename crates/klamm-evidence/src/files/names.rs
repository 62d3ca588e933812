//! Settings of other libraries under Java's names, and their values in Java's words. What has no like in Java keeps its name.

/// How a library writes its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Java's own, dotted.
    Java,
    /// librdkafka's, dotted.
    Librdkafka,
    /// kafka-python's and aiokafka's, with underscores.
    Python,
    /// KafkaJS's, in camel case.
    Kafkajs,
}

const LIBRDKAFKA: &[(&str, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers"),
    ("request.required.acks", "acks"),
    ("message.send.max.retries", "retries"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("compression.codec", "compression.type"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("message.max.bytes", "max.request.size"),
    ("fetch.wait.max.ms", "fetch.max.wait.ms"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("sasl.mechanisms", "sasl.mechanism"),
];

const PYTHON: &[(&str, &str)] = &[
    ("bootstrap_server", "bootstrap.servers"),
    ("max_batch_size", "batch.size"),
    ("retries", "retries"),
    ("sasl_plain_username", "sasl.username"),
    ("sasl_plain_password", "sasl.password"),
    ("ssl_check_hostname", "ssl.endpoint.identification.algorithm"),
    ("receive_buffer_bytes", "receive.buffer.bytes"),
    ("max_request_size", "max.request.size"),
];

const KAFKAJS: &[(&str, &str)] = &[
    ("brokers", "bootstrap.servers"),
    ("clientId", "client.id"),
    ("groupId", "group.id"),
    ("idempotent", "enable.idempotence"),
    ("transactionalId", "transactional.id"),
    ("transactionTimeout", "transaction.timeout.ms"),
    ("maxInFlightRequests", "max.in.flight.requests.per.connection"),
    ("requestTimeout", "request.timeout.ms"),
    ("sessionTimeout", "session.timeout.ms"),
    ("heartbeatInterval", "heartbeat.interval.ms"),
    ("metadataMaxAge", "metadata.max.age.ms"),
    ("maxBytesPerPartition", "max.partition.fetch.bytes"),
    ("minBytes", "fetch.min.bytes"),
    ("maxBytes", "fetch.max.bytes"),
    ("maxWaitTimeInMs", "fetch.max.wait.ms"),
    ("readUncommitted", "isolation.level"),
    ("fromBeginning", "auto.offset.reset"),
    ("autoCommit", "enable.auto.commit"),
    ("autoCommitInterval", "auto.commit.interval.ms"),
    ("rackId", "client.rack"),
    ("retry.retries", "retries"),
    ("sasl.mechanism", "sasl.mechanism"),
    ("sasl.username", "sasl.username"),
    ("sasl.password", "sasl.password"),
    ("ssl.rejectUnauthorized", "ssl.endpoint.identification.algorithm"),
    ("allowAutoTopicCreation", "allow.auto.create.topics"),
];

impl Dialect {
    /// Name and value as Java has them; a value that Java has no word for is `None`.
    pub fn java(self, name: &str, value: &str) -> (String, Option<String>) {
        let java = match self {
            Dialect::Java => name.to_owned(),
            Dialect::Librdkafka => {
                looked_up(LIBRDKAFKA, name).unwrap_or_else(|| topic_level(name).to_owned())
            }
            Dialect::Python => looked_up(PYTHON, name).unwrap_or_else(|| name.replace('_', ".")),
            Dialect::Kafkajs => looked_up(KAFKAJS, name).unwrap_or_else(|| name.to_owned()),
        };
        let value = self.value(name, &java, value.trim());
        (java, value)
    }

    fn value(self, written: &str, java: &str, value: &str) -> Option<String> {
        let flag = value.eq_ignore_ascii_case("true");
        let known = |text: &str| Some(text.to_owned());
        match (java, value) {
            ("acks", "-1") => return known("all"),
            ("acks", value) => return Some(value.to_ascii_lowercase()),
            _ if self == Dialect::Java => return known(value),
            ("enable.auto.commit" | "enable.idempotence", value) => return Some(value.to_ascii_lowercase()),
            ("security.protocol" | "sasl.mechanism", value) => return Some(value.to_ascii_uppercase()),
            ("auto.offset.reset", "smallest" | "beginning") => return known("earliest"),
            ("auto.offset.reset", "largest" | "end") => return known("latest"),
            ("auto.offset.reset", "error") => return known("none"),
            ("partition.assignment.strategy", value) => return assignors(value),
            _ => {}
        }
        match (self, written) {
            (Dialect::Librdkafka, "ssl.endpoint.identification.algorithm") if value == "none" => known(""),
            (Dialect::Python, "ssl_check_hostname") | (Dialect::Kafkajs, "ssl.rejectUnauthorized") => {
                known(if flag { "https" } else { "" })
            }
            (Dialect::Kafkajs, "readUncommitted") => {
                known(if flag { "read_uncommitted" } else { "read_committed" })
            }
            (Dialect::Kafkajs, "fromBeginning") => known(if flag { "earliest" } else { "latest" }),
            _ => known(value),
        }
    }
}

fn looked_up(names: &[(&str, &str)], name: &str) -> Option<String> {
    names.iter().find(|(written, _)| *written == name).map(|(_, java)| (*java).to_owned())
}

/// Old configurations put topic settings below a prefix.
fn topic_level(name: &str) -> &str {
    let plain = name.strip_prefix("default.topic.config.").unwrap_or(name);
    if plain == "request.required.acks" { "acks" } else { plain }
}

/// librdkafka's words for assignors as Java's classes.
fn assignors(value: &str) -> Option<String> {
    let classes: Vec<String> = value
        .split(',')
        .map(|word| match word.trim() {
            "range" => "org.apache.kafka.clients.consumer.RangeAssignor".to_owned(),
            "roundrobin" => "org.apache.kafka.clients.consumer.RoundRobinAssignor".to_owned(),
            "cooperative-sticky" => "org.apache.kafka.clients.consumer.CooperativeStickyAssignor".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    Some(classes.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_become_javas() {
        for (dialect, name, value, java, translated) in [
            (Dialect::Librdkafka, "request.required.acks", "-1", "acks", "all"),
            (Dialect::Librdkafka, "auto.offset.reset", "smallest", "auto.offset.reset", "earliest"),
            (Dialect::Librdkafka, "security.protocol", "sasl_ssl", "security.protocol", "SASL_SSL"),
            (Dialect::Librdkafka, "enable.auto.offset.store", "false", "enable.auto.offset.store", "false"),
            (
                Dialect::Python,
                "max_in_flight_requests_per_connection",
                "5",
                "max.in.flight.requests.per.connection",
                "5",
            ),
            (Dialect::Python, "enable_auto_commit", "False", "enable.auto.commit", "false"),
            (Dialect::Kafkajs, "idempotent", "true", "enable.idempotence", "true"),
            (Dialect::Kafkajs, "readUncommitted", "true", "isolation.level", "read_uncommitted"),
            (
                Dialect::Kafkajs,
                "ssl.rejectUnauthorized",
                "false",
                "ssl.endpoint.identification.algorithm",
                "",
            ),
            (Dialect::Java, "acks", "-1", "acks", "all"),
        ] {
            assert_eq!(dialect.java(name, value), (java.to_owned(), Some(translated.to_owned())), "{name}");
        }
    }
}
