//! Channels that a framework binds to topics: Spring Cloud Stream's bindings, and MicroProfile's channels of Quarkus.
//! Both frameworks set more than is written, so that no default may be taken.

use std::collections::BTreeMap;

use klamm_rules::evidence::{Client, Library, Role};

use super::names::Dialect;
use super::settings::{File, literal, topics};
use super::tree::{Pair, below, last};

/// Finds channels.
pub(super) fn read(pairs: &[Pair], file: &mut File<'_>) {
    bindings(pairs, file);
    messaging(pairs, file);
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "")
}

/// `spring.cloud.stream.bindings.orders-out-0.destination`.
fn bindings(pairs: &[Pair], file: &mut File<'_>) {
    let all = below(pairs, "spring.cloud.stream.");
    let kafka = below(&all, "kafka.");
    if kafka.is_empty() {
        return;
    }
    let binder = below(&kafka, "binder.");
    let mut named: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
    for pair in below(&all, "bindings.").iter().chain(&below(&kafka, "bindings.")) {
        if let Some((name, rest)) = pair.name.split_once('.') {
            named.entry(name.to_owned()).or_default().push(pair.named(rest));
        }
    }
    for (name, own) in named {
        let writes = name.contains("-out-") || own.iter().any(|pair| pair.name.starts_with("producer."));
        let reads = name.contains("-in-") || own.iter().any(|pair| pair.name.starts_with("consumer."));
        let (role, part) = match (writes, reads) {
            (true, false) => (Role::Producer, "producer"),
            (false, true) => (Role::Consumer, "consumer"),
            _ => continue,
        };
        let mut settings = Vec::new();
        for pair in &binder {
            match lower(&pair.name).as_str() {
                "brokers" => settings.push(pair.named("bootstrap.servers")),
                "requiredacks" if role == Role::Producer => settings.push(pair.named("acks")),
                _ => {}
            }
        }
        settings.extend(below(&binder, "configuration."));
        for spelling in [format!("{part}-properties."), format!("{part}Properties.")] {
            settings.extend(below(&binder, &spelling));
        }
        settings.extend(below(&own, &format!("{part}.configuration.")));
        let group = last(&own, "group").filter(|_| role == Role::Consumer);
        settings.extend(group.map(|group| group.named("group.id")));
        let destination = last(&own, "destination").map(|pair| topics(&pair.text)).unwrap_or_default();
        channel(role, &name, destination, &settings, own.first(), file);
    }
}

/// `mp.messaging.incoming.orders.topic`.
fn messaging(pairs: &[Pair], file: &mut File<'_>) {
    // Of Quarkus's profiles only the one that runs in production counts.
    let pairs: Vec<Pair> = pairs
        .iter()
        .filter_map(|pair| match pair.name.strip_prefix('%') {
            Some(rest) => rest.strip_prefix("prod.").map(|name| pair.named(name)),
            None => Some(pair.clone()),
        })
        .collect();
    let shared = below(&pairs, "kafka.");
    for (direction, role) in [("incoming", Role::Consumer), ("outgoing", Role::Producer)] {
        let mut named: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
        for pair in below(&pairs, &format!("mp.messaging.{direction}.")) {
            if let Some((name, rest)) = pair.name.split_once('.') {
                named.entry(name.trim_matches('"').to_owned()).or_default().push(pair.named(rest));
            }
        }
        for (name, own) in named {
            let connector = last(&own, "connector").map(|pair| pair.text.as_str());
            if connector.map_or(shared.is_empty(), |connector| connector != "smallrye-kafka") {
                continue;
            }
            let reads = match last(&own, "topic").or_else(|| last(&own, "topics")) {
                Some(pair) => topics(&pair.text),
                None => literal(&name).into_iter().collect(),
            };
            let first = own.first().cloned();
            let not_kafkas = ["connector", "topic", "topics"];
            let mut settings = shared.clone();
            settings.extend(own.into_iter().filter(|pair| !not_kafkas.contains(&pair.name.as_str())));
            channel(role, &name, reads, &settings, first.as_ref(), file);
        }
    }
}

fn channel(
    role: Role,
    name: &str,
    topics: Vec<String>,
    pairs: &[Pair],
    first: Option<&Pair>,
    file: &mut File<'_>,
) {
    let client = Client {
        role,
        library: Library::Java,
        name: name.to_owned(),
        place: file.place(first.map(|pair| pair.at).unwrap_or_default()),
        topics,
        settings: file.settings(pairs, Dialect::Java),
        open: true,
        ..Client::default()
    };
    file.into.clients.push(client);
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::FileEvidence;

    use super::super::read;
    use super::*;

    #[test]
    fn bindings_become_clients_of_their_topics() {
        let text = "spring:\n  cloud:\n    stream:\n      kafka:\n        binder: { brokers: h:9092, requiredAcks: 1, configuration: { security.protocol: SSL } }\n        bindings:\n          in-in-0: { consumer: { configuration: { max.poll.records: 5 } } }\n      bindings:\n        in-in-0: { destination: orders, group: g }\n        out-out-0: { destination: bills }\n";
        let mut found = FileEvidence::default();
        read("application.yml", text, &mut found);
        let [reader, writer] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!((reader.role, reader.topics.as_slice()), (Role::Consumer, &["orders".to_owned()][..]));
        assert_eq!(reader.settings["max.poll.records"].value.as_deref(), Some("5"));
        assert_eq!(reader.settings["group.id"].value.as_deref(), Some("g"));
        assert_eq!((writer.role, writer.settings["acks"].value.as_deref()), (Role::Producer, Some("1")));
        assert!(reader.open && writer.open);
    }

    #[test]
    fn channels_of_quarkus_become_clients() {
        let text = "kafka.bootstrap.servers=h:1\nmp.messaging.outgoing.prices.connector=smallrye-kafka\nmp.messaging.outgoing.prices.topic=p\n%prod.mp.messaging.outgoing.prices.acks=1\n%dev.mp.messaging.outgoing.prices.acks=0\nmp.messaging.incoming.mail.connector=smallrye-amqp\n";
        let mut found = FileEvidence::default();
        read("src/main/resources/application.properties", text, &mut found);
        let [writer] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!(writer.settings["acks"].value.as_deref(), Some("1"));
        assert_eq!(writer.topics, ["p"]);
    }
    #[test]
    fn what_a_channel_does_with_failures_is_kept() {
        let text = "mp.messaging.incoming.orders.connector=smallrye-kafka\nmp.messaging.incoming.orders.failure-strategy=ignore\n";
        let mut found = FileEvidence::default();
        read("application.properties", text, &mut found);
        let [reader] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!(reader.settings["failure-strategy"].value.as_deref(), Some("ignore"));
        assert_eq!(reader.settings["failure-strategy"].place.line, 2);
    }
}
