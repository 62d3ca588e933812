//! Client settings anywhere in YAML or JSON: dotted (Java, librdkafka), with underscores (kafka-python, aiokafka), in camel case (KafkaJS),
//! and connectors as Connect's REST interface takes them.

use klamm_kafka::{is_consumer_config, is_producer_config};
use klamm_rules::evidence::{Client, Library, Role};

use super::clients;
use super::names::Dialect;
use super::settings::{File, literal};
use super::tree::{Node, Pair, last};

/// Deeper there are no settings.
const MAX_DEPTH: usize = 10;

/// Looks into `node` and what hangs below it.
pub(super) fn search(node: &Node, depth: usize, file: &mut File<'_>) {
    if depth > MAX_DEPTH {
        return;
    }
    if let Some(config) = node.get("config").filter(|config| config.get("connector.class").is_some()) {
        let name = node.text_at(&["name"]).and_then(literal).unwrap_or_default();
        clients::connector(&config.pairs(), &name, file);
        return;
    }
    let own = node.own_pairs();
    if clients::is_connector(&own) {
        clients::connector(&node.pairs(), "", file);
        return;
    }
    match style(node, &own) {
        Some(Dialect::Java | Dialect::Librdkafka) => dotted(node, &own, file),
        Some(dialect) => named(node, &own, dialect, file),
        None => {
            for item in node.items() {
                search(item, depth + 1, file);
            }
            for entry in node.entries() {
                search(&entry.value, depth + 1, file);
            }
        }
    }
}

fn style(node: &Node, own: &[Pair]) -> Option<Dialect> {
    let has = |name: &str| last(own, name).is_some();
    if has("bootstrap.servers") || has("metadata.broker.list") {
        return Some(Dialect::Java);
    }
    let known = |pairs: &[Pair]| {
        pairs.iter().any(|pair| {
            let java = pair.name.replace('_', ".");
            pair.name != "bootstrap_servers" && (is_producer_config(&java) || is_consumer_config(&java))
        })
    };
    if has("bootstrap_servers") && (known(own) || parts(node).iter().any(|(_, pairs)| known(pairs))) {
        return Some(Dialect::Python);
    }
    let camel = ["groupId", "ssl", "sasl", "connectionTimeout", "requestTimeout", "retry"];
    let any_camel = camel.iter().any(|name| node.get(name).is_some()) || !parts(node).is_empty();
    (node.get("brokers").is_some_and(|brokers| brokers.text().is_some() || !brokers.items().is_empty())
        && has("clientId")
        && any_camel)
        .then_some(Dialect::Kafkajs)
}

/// Mappings right below that are for producers or consumers.
fn parts(node: &Node) -> Vec<(String, Vec<Pair>)> {
    let is_part = |key: &str| {
        let key = key.to_ascii_lowercase();
        key.contains("producer") || key.contains("consumer")
    };
    let maps = node.entries().iter().filter(|entry| is_part(&entry.key) && !entry.value.entries().is_empty());
    maps.map(|entry| (entry.key.clone(), entry.value.pairs())).collect()
}

fn dotted(node: &Node, own: &[Pair], file: &mut File<'_>) {
    let parts = parts(node);
    if parts.is_empty() {
        clients::read(own, clients::Source::AnyFile, file);
    } else {
        clients::with_parts(own, &parts, file);
    }
}

/// Settings whose names tell the library.
fn named(node: &Node, own: &[Pair], dialect: Dialect, file: &mut File<'_>) {
    let parts = parts(node);
    // What KafkaJS nests (`sasl`, `retry`) belongs to the client as a whole.
    let mut shared = own.to_vec();
    for name in ["ssl", "sasl", "retry"] {
        if let Some(below) = node.get(name).filter(|_| dialect == Dialect::Kafkajs) {
            shared.extend(below.pairs().iter().map(|pair| pair.named(format!("{name}.{}", pair.name))));
        }
    }
    if parts.is_empty() {
        push("", &shared, dialect, file);
    }
    for (name, pairs) in parts {
        push(&name, &[shared.as_slice(), &pairs].concat(), dialect, file);
    }
}

/// Settings of kafka-python or aiokafka that stand together.
pub(super) fn underscored(part: &str, pairs: &[Pair], file: &mut File<'_>) {
    if last(pairs, "bootstrap_servers").is_some() && pairs.len() > 1 {
        push(part, pairs, Dialect::Python, file);
    }
}

fn push(part: &str, pairs: &[Pair], dialect: Dialect, file: &mut File<'_>) {
    let settings = file.settings(pairs, dialect);
    let part_name = part.to_ascii_lowercase();
    let count = |only: fn(&str) -> bool, not: fn(&str) -> bool| {
        settings.keys().filter(|name| only(name) && !not(name)).count()
    };
    let role = match (
        count(is_producer_config, is_consumer_config),
        count(is_consumer_config, is_producer_config),
    ) {
        _ if part_name.contains("producer") => Role::Producer,
        _ if part_name.contains("consumer") => Role::Consumer,
        (0, 1..) => Role::Consumer,
        (1.., 0) => Role::Producer,
        _ => Role::Unknown,
    };
    let name = ["client.id", "group.id"].iter().find_map(|name| settings.get(*name)?.value.clone());
    let has = |name: &str| last(pairs, name).is_some();
    let library = match dialect {
        Dialect::Kafkajs => Library::Kafkajs,
        Dialect::Python if has("max_batch_size") => Library::Aiokafka,
        Dialect::Python
            if [
                "batch_size",
                "buffer_memory",
                "api_version_auto_timeout_ms",
                "ssl_cafile",
                "max_in_flight_requests_per_connection",
            ]
            .iter()
            .any(|name| has(name)) =>
        {
            Library::KafkaPython
        }
        _ => Library::Unknown,
    };
    let place = file.place(pairs.iter().map(|pair| pair.at).min_by_key(|at| at.line).unwrap_or_default());
    let name = name.unwrap_or_else(|| part.to_owned());
    let client = Client { role, library, name, place, settings, open: true, ..Client::default() };
    file.into.clients.push(client);
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::FileEvidence;

    use super::super::read;
    use super::*;

    fn found(path: &str, text: &str) -> FileEvidence {
        let mut into = FileEvidence::default();
        read(path, text, &mut into);
        into
    }

    #[test]
    fn librdkafka_in_json_with_parts() {
        let text = "{\n\t\"kafka\": {\n\t\t\"bootstrap.servers\": \"h:1\", \"sasl.password\": \"hunter2\",\n\t\t\"producer\": {\"request.required.acks\": -1},\n\t\t\"consumer\": {\"auto.offset.reset\": \"smallest\", \"group.id\": \"g\"}\n\t}\n}";
        let found = found("config.json", text);
        let [producer, consumer] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!((producer.role, producer.library), (Role::Producer, Library::Librdkafka));
        assert_eq!(producer.settings["acks"].value.as_deref(), Some("all"));
        assert_eq!(producer.settings["acks"].written.as_deref(), Some("request.required.acks"));
        assert_eq!(
            (consumer.role, consumer.settings["auto.offset.reset"].value.as_deref()),
            (Role::Consumer, Some("earliest"))
        );
        assert_eq!(found.secrets.len(), 1);
        assert!(consumer.open && !format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn kafka_python_and_kafkajs() {
        let python = found("c.yaml", "kafka:\n  bootstrap_servers: [h:1]\n  acks: 1\n  max_batch_size: 5\n");
        assert_eq!((python.clients[0].library, python.clients[0].role), (Library::Aiokafka, Role::Producer));
        assert_eq!(python.clients[0].settings["batch.size"].value.as_deref(), Some("5"));
        let js = found(
            "c.json",
            "{\"kafka\":{\"clientId\":\"a\",\"brokers\":[\"h:1\"],\"sasl\":{\"password\":\"p1\"},\"consumer\":{\"groupId\":\"g\",\"sessionTimeout\":9}}}",
        );
        let [consumer] = js.clients.as_slice() else { panic!("{js:?}") };
        assert_eq!((consumer.library, consumer.role), (Library::Kafkajs, Role::Consumer));
        assert_eq!(consumer.settings["session.timeout.ms"].value.as_deref(), Some("9"));
        assert_eq!(js.secrets[0].name, "sasl.password");
    }

    #[test]
    fn connectors_as_rest_takes_them() {
        let text = "[{\"name\": \"sink\", \"config\": {\"connector.class\": \"X\", \"topics\": \"a, b\", \"tasks.max\": 2}}]";
        let found = found("connectors.json", text);
        let [sink] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!((sink.role, sink.name.as_str()), (Role::Connector, "sink"));
        assert_eq!(sink.topics, ["a", "b"]);
    }

    #[test]
    fn what_only_sounds_alike_yields_nothing() {
        for text in [
            "kafka:\n  brokers: 3\n  clientId: x\n",
            "bootstrap_servers: x\nname: kafka\n",
            "kafka: { password: p }\n",
            "{\"dependencies\": {\"kafkajs\": \"^2\"}}",
        ] {
            let found = found("x.yaml", text);
            assert!(
                found.clients.is_empty() && found.brokers.is_empty() && found.secrets.is_empty(),
                "{text}: {found:?}"
            );
        }
    }
}
