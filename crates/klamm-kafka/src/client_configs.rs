//! The client settings that the planner sets, with what a client does when nobody sets them.
//!
//! Java's defaults changed twice: 3.0 made producers durable (KIP-679), 4.0 gave them a linger (KIP-1030). librdkafka
//! has its own, and its names and meanings differ; they are translated in meaning by the exporters, not copied.

/// A client library, in the versions whose defaults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Client {
    /// Apache Kafka's Java client 3.x (3.0.0 and 3.1.0 did not apply idempotence: KAFKA-13598).
    Java3,
    /// Apache Kafka's Java client 4.x.
    Java4,
    /// librdkafka 2.x.
    Librdkafka,
}

/// One client setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientConfig {
    /// Java's name.
    pub name: &'static str,
    /// librdkafka's name; `None` when it has no such setting.
    pub librdkafka_name: Option<&'static str>,
    /// Default of Java 3.x; empty when there is none.
    pub java3: &'static str,
    /// Default of Java 4.x; empty when there is none.
    pub java4: &'static str,
    /// Default of librdkafka; empty when there is none.
    pub librdkafka: &'static str,
}

impl ClientConfig {
    /// What `client` does when the setting is not given.
    pub fn default_of(&self, client: Client) -> &'static str {
        match client {
            Client::Java3 => self.java3,
            Client::Java4 => self.java4,
            Client::Librdkafka => self.librdkafka,
        }
    }
}

/// The producer setting with this Java name.
pub fn producer_config(name: &str) -> Option<&'static ClientConfig> {
    PRODUCER_CONFIGS.iter().find(|config| config.name == name)
}

/// The consumer setting with this Java name.
pub fn consumer_config(name: &str) -> Option<&'static ClientConfig> {
    CONSUMER_CONFIGS.iter().find(|config| config.name == name)
}

/// Does Java's producer know a setting of this name? By the list that its 4.3.1 answered.
pub fn is_producer_config(name: &str) -> bool {
    lists(include_str!("../tests/golden/producer-configs-4.3.1.tsv"), name)
}

/// Does Java's consumer know a setting of this name? By the list that its 4.3.1 answered.
pub fn is_consumer_config(name: &str) -> bool {
    lists(include_str!("../tests/golden/consumer-configs-4.3.1.tsv"), name)
}

fn lists(table: &str, name: &str) -> bool {
    table.lines().any(|line| line.split('\t').next() == Some(name))
}

/// Producer settings that the planner sets.
pub static PRODUCER_CONFIGS: &[ClientConfig] = &[
    row("acks", Some("acks"), "all", "all", "all"),
    row("batch.size", Some("batch.size"), "16384", "16384", "1000000"),
    row("buffer.memory", Some("queue.buffering.max.kbytes"), "33554432", "33554432", "1048576"),
    row("compression.type", Some("compression.type"), "none", "none", "none"),
    row("delivery.timeout.ms", Some("delivery.timeout.ms"), "120000", "120000", "300000"),
    row("enable.idempotence", Some("enable.idempotence"), "true", "true", "false"),
    row("linger.ms", Some("linger.ms"), "0", "5", "5"),
    row(
        "max.in.flight.requests.per.connection",
        Some("max.in.flight.requests.per.connection"),
        "5",
        "5",
        "1000000",
    ),
    row("max.request.size", Some("message.max.bytes"), "1048576", "1048576", "1000000"),
    row("request.timeout.ms", Some("request.timeout.ms"), "30000", "30000", "30000"),
    row("retries", Some("retries"), "2147483647", "2147483647", "2147483647"),
];

/// Consumer settings that the planner sets.
pub static CONSUMER_CONFIGS: &[ClientConfig] = &[
    row("auto.offset.reset", Some("auto.offset.reset"), "latest", "latest", "largest"),
    row("enable.auto.commit", Some("enable.auto.commit"), "true", "true", "true"),
    row("fetch.max.bytes", Some("fetch.max.bytes"), "52428800", "52428800", "52428800"),
    row("group.id", Some("group.id"), "", "", ""),
    row("group.instance.id", Some("group.instance.id"), "", "", ""),
    row("group.protocol", Some("group.protocol"), "classic", "classic", "classic"),
    row("heartbeat.interval.ms", Some("heartbeat.interval.ms"), "3000", "3000", "3000"),
    row("isolation.level", Some("isolation.level"), "read_uncommitted", "read_uncommitted", "read_committed"),
    row("max.poll.interval.ms", Some("max.poll.interval.ms"), "300000", "300000", "300000"),
    row("max.poll.records", None, "500", "500", ""),
    row(
        "partition.assignment.strategy",
        Some("partition.assignment.strategy"),
        "class org.apache.kafka.clients.consumer.RangeAssignor,class org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        "class org.apache.kafka.clients.consumer.RangeAssignor,class org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        "range,roundrobin",
    ),
    row("session.timeout.ms", Some("session.timeout.ms"), "45000", "45000", "45000"),
];

const fn row(
    name: &'static str,
    librdkafka_name: Option<&'static str>,
    java3: &'static str,
    java4: &'static str,
    librdkafka: &'static str,
) -> ClientConfig {
    ClientConfig { name, librdkafka_name, java3, java4, librdkafka }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_defaults_are_those_that_java_answers() {
        for (configs, golden) in [
            (PRODUCER_CONFIGS, include_str!("../tests/golden/producer-configs-4.3.1.tsv")),
            (CONSUMER_CONFIGS, include_str!("../tests/golden/consumer-configs-4.3.1.tsv")),
        ] {
            for config in configs {
                let line = golden.lines().find(|line| line.split('\t').next() == Some(config.name));
                let default = line
                    .and_then(|line| line.split('\t').nth(2))
                    .map(|text| if text == "-" { "" } else { text });
                assert_eq!(default, Some(config.java4), "{}", config.name);
            }
        }
    }

    #[test]
    fn an_untouched_librdkafka_producer_is_not_durable_and_java_is() {
        let idempotence = producer_config("enable.idempotence").expect("in the table");
        assert_eq!(idempotence.default_of(Client::Java4), "true");
        assert_eq!(idempotence.default_of(Client::Librdkafka), "false");
    }
}
