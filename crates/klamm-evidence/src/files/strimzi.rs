//! Resources of Kubernetes: Strimzi's, and config maps that hold configuration files.

use klamm_rules::evidence::{BrokerFile, Client, Library, Role, TopicFile};

use super::names::Dialect;
use super::settings::{File, literal};
use super::tree::{At, Node, Pair};
use super::{clients, mirror, yaml};

/// Reads a resource; `false` when it is none of these.
pub(super) fn read(node: &Node, file: &mut File<'_>) -> bool {
    let kind = node.text_at(&["kind"]).unwrap_or_default();
    let group = node.text_at(&["apiVersion"]).unwrap_or_default();
    let empty = Node { at: node.at, kind: super::tree::Kind::Null };
    let spec = node.get("spec").unwrap_or(&empty);
    match kind {
        "List" => node.get("items").map(Node::items).unwrap_or_default().iter().for_each(|item| {
            super::document(item, file);
        }),
        "ConfigMap" | "Secret" if group == "v1" => config_map(node, file),
        _ if !group.starts_with("kafka.strimzi.io/") => return false,
        "Kafka" => kafka(node, spec, file),
        "KafkaNodePool" => node_pool(node, spec, file),
        "KafkaTopic" => topic(node, spec, file),
        "KafkaConnect" => connect(node, spec, file),
        "KafkaConnector" => connector(node, spec, file),
        "KafkaMirrorMaker2" => mirror::resource(spec, file),
        _ => {}
    }
    true
}

fn name(node: &Node) -> String {
    node.text_at(&["metadata", "name"]).and_then(literal).unwrap_or_default()
}

fn at(node: &Node) -> At {
    At { line: node.at.line, column: 0 }
}

fn kafka(node: &Node, spec: &Node, file: &mut File<'_>) {
    let Some(kafka) = spec.get("kafka") else { return };
    let mut pairs = kafka.get("config").map(Node::pairs).unwrap_or_default();
    pairs.extend(listeners(kafka));
    if let Some(authorization) = kafka.get("authorization") {
        pairs.extend(authorizer(authorization));
    }
    let nodes = kafka.number_at(&["replicas"]);
    let settings = file.settings(&pairs, Dialect::Java);
    let place = file.place(at(kafka));
    file.into.brokers.push(BrokerFile { name: name(node), place, nodes, settings, open: false });
}

/// The operator makes these settings of the resource's listeners.
fn listeners(kafka: &Node) -> Vec<Pair> {
    let Some(listeners) = kafka.get("listeners") else { return Vec::new() };
    let mut addresses = Vec::new();
    let mut protocols = Vec::new();
    let mut named = Vec::new();
    for listener in listeners.items() {
        let (Some(name), Some(port)) = (listener.text_at(&["name"]), listener.text_at(&["port"])) else {
            continue;
        };
        let tls = listener.get("tls").is_some_and(Node::is_true);
        let sasl = match listener.text_at(&["authentication", "type"]) {
            None | Some("tls") => false,
            Some("scram-sha-512" | "oauth") => true,
            Some(_) => listener.path(&["authentication", "sasl"]).is_some_and(Node::is_true),
        };
        let protocol = match (sasl, tls) {
            (false, false) => "PLAINTEXT",
            (false, true) => "SSL",
            (true, false) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        };
        // The operator asks clients of such a listener for a certificate.
        if tls && listener.text_at(&["authentication", "type"]) == Some("tls") {
            let name = format!("listener.name.{}-{port}.ssl.client.auth", name.to_ascii_lowercase());
            named.push(Pair::new(name, "required", listener.at));
        }
        let upper = name.to_ascii_uppercase();
        addresses.push(format!("{upper}-{port}://0.0.0.0:{port}"));
        protocols.push(format!("{upper}-{port}:{protocol}"));
    }
    if addresses.is_empty() {
        return Vec::new();
    }
    let pair = |name: &str, texts: &[String]| Pair::new(name, texts.join(","), listeners.at);
    named.extend([pair("listeners", &addresses), pair("listener.security.protocol.map", &protocols)]);
    named
}

fn authorizer(node: &Node) -> Vec<Pair> {
    let pair = |name: &str, text: &str, at: At| Pair::new(name, text, at);
    let class = match node.text_at(&["type"]) {
        Some("simple") => "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        // It has one, whose name is in the operator or elsewhere in the resource.
        _ => "${authorizer}",
    };
    let mut pairs = vec![pair("authorizer.class.name", class, node.at)];
    if let Some(users) = node.get("superUsers").filter(|users| !users.items().is_empty()) {
        let names: Vec<String> = users.items().iter().filter_map(Node::text).map(user).collect();
        pairs.push(pair("super.users", &names.join(";"), users.at));
    }
    pairs
}

fn user(name: &str) -> String {
    if name.starts_with("User:") { name.to_owned() } else { format!("User:{name}") }
}

fn node_pool(node: &Node, spec: &Node, file: &mut File<'_>) {
    let roles = spec.get("roles").map(Node::pairs).unwrap_or_default();
    let pairs: Vec<Pair> = roles.iter().map(|pair| pair.named("process.roles")).collect();
    let settings = file.settings(&pairs, Dialect::Java);
    let place = file.place(at(node));
    let nodes = spec.number_at(&["replicas"]);
    // Its other settings are in the `Kafka` that it belongs to.
    file.into.brokers.push(BrokerFile { name: name(node), place, nodes, settings, open: true });
}

/// Pools take the settings of the cluster that they name, where it stands in the same file; its nodes are then theirs.
pub(super) fn join_pools(nodes: &[Node], file: &mut File<'_>) {
    let mut joined = Vec::new();
    for node in nodes.iter().filter(|node| node.text_at(&["kind"]) == Some("KafkaNodePool")) {
        let Some(cluster) = node.text_at(&["metadata", "labels", "strimzi.io/cluster"]) else { continue };
        let brokers = &mut file.into.brokers;
        let here = |broker: &BrokerFile, name: &str| broker.place.file == file.path && broker.name == name;
        let Some(of) = brokers.iter().find(|broker| here(broker, cluster) && !broker.open).cloned() else {
            continue;
        };
        let pool = name(node);
        let Some(pool) = brokers.iter_mut().find(|broker| here(broker, &pool) && broker.open) else {
            continue;
        };
        let own = std::mem::take(&mut pool.settings);
        // Listeners of the resource are those of brokers; the operator encrypts the controllers' own.
        let roles = own.get("process.roles").and_then(|roles| roles.value.as_deref());
        let serves = roles.is_none_or(|roles| roles.contains("broker"));
        let taken = of.settings.into_iter().filter(|(name, _)| serves || !name.starts_with("listener"));
        pool.settings = taken.chain(own).collect();
        pool.name = format!("{cluster}-{}", pool.name);
        pool.open = of.open;
        joined.push(cluster.to_owned());
    }
    file.into.brokers.retain(|broker| broker.place.file != file.path || !joined.contains(&broker.name));
}

fn topic(node: &Node, spec: &Node, file: &mut File<'_>) {
    let topic = spec.text_at(&["topicName"]).and_then(literal).unwrap_or_else(|| name(node));
    let configs = spec.get("config").map(Node::pairs).unwrap_or_default();
    let configs = file.settings(&configs, Dialect::Java);
    let place = file.place(at(node));
    let (partitions, replication_factor) = (spec.number_at(&["partitions"]), spec.number_at(&["replicas"]));
    if !topic.is_empty() {
        file.into.topics.push(TopicFile { topic, place, partitions, replication_factor, configs });
    }
}

fn connect(node: &Node, spec: &Node, file: &mut File<'_>) {
    let mut pairs = spec.get("config").map(Node::pairs).unwrap_or_default();
    for (field, java) in [
        ("bootstrapServers", "bootstrap.servers"),
        ("groupId", "group.id"),
        ("configStorageTopic", "config.storage.topic"),
        ("offsetStorageTopic", "offset.storage.topic"),
        ("statusStorageTopic", "status.storage.topic"),
    ] {
        let found = spec.get(field).map(Node::pairs).unwrap_or_default();
        pairs.extend(found.iter().map(|pair| pair.named(java)));
    }
    // The operator adds converters and what the listener's security needs.
    let client = Client {
        role: Role::ConnectWorker,
        library: Library::Java,
        name: name(node),
        place: file.place(at(node)),
        settings: file.settings(&pairs, Dialect::Java),
        open: true,
        ..Client::default()
    };
    file.into.clients.push(client);
}

fn connector(node: &Node, spec: &Node, file: &mut File<'_>) {
    let mut pairs = Vec::new();
    for (field, java) in [("class", "connector.class"), ("tasksMax", "tasks.max")] {
        let found = spec.get(field).map(Node::pairs).unwrap_or_default();
        pairs.extend(found.iter().map(|pair| pair.named(java)));
    }
    pairs.extend(spec.get("config").map(Node::pairs).unwrap_or_default());
    clients::connector(&pairs, &name(node), file);
}

/// Files in a `ConfigMap`, or in a `Secret` that is written in clear.
fn config_map(node: &Node, file: &mut File<'_>) {
    let document = name(node);
    let of_kafka = |text: &str| {
        let lower = text.to_ascii_lowercase();
        ["kafka", "sasl", "jaas", "confluent"].iter().any(|word| lower.contains(word))
    };
    for field in ["data", "stringData"] {
        let entries = node.get(field).map(Node::entries).unwrap_or_default();
        // What stands there in Base64 stands there in clear.
        let mine = of_kafka(&document)
            || entries.iter().any(|entry| of_kafka(&entry.key) || entry.value.text().is_some_and(of_kafka));
        let is_file = |key: &str| {
            [".properties", ".conf", ".yml", ".yaml", ".json", ".xml"].iter().any(|end| key.ends_with(end))
        };
        for entry in entries.iter().filter(|entry| mine && !is_file(&entry.key)) {
            let text = entry.value.text().unwrap_or_default();
            file.look_for_secret(&Pair::new(&entry.key, text, entry.at));
        }
        for entry in entries {
            let Some(text) = entry.value.text().filter(|text| text.contains('\n')) else { continue };
            // The text begins on the line below its name; how far it is moved in is not known here.
            let below = |at: At| At { line: at.line + entry.at.line, column: 0 };
            let name = entry.key.to_ascii_lowercase();
            let before = file.into.clients.len();
            if name.ends_with(".properties") || name.ends_with(".conf") {
                let pairs = super::properties::properties(text);
                let pairs: Vec<Pair> =
                    pairs.into_iter().map(|pair| Pair { at: below(pair.at), ..pair }).collect();
                pairs.iter().filter(|_| mine).for_each(|pair| file.look_for_secret(pair));
                super::flat(&pairs, clients::Source::JavaFile, file);
            } else if name.ends_with(".yml") || name.ends_with(".yaml") {
                let documents: Vec<Vec<Pair>> = yaml::documents(text).0.iter().map(Node::pairs).collect();
                let moved = documents.into_iter().map(|pairs| {
                    pairs.into_iter().map(|pair| Pair { at: below(pair.at), ..pair }).collect::<Vec<Pair>>()
                });
                super::application(&moved.collect::<Vec<_>>(), file);
            }
            // Several documents of one file may have clients without a name of their own.
            for client in file.into.clients[before..].iter_mut().filter(|client| client.name.is_empty()) {
                client.name = format!("{document}/{}", entry.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::FileEvidence;

    fn found(text: &str) -> FileEvidence {
        let mut into = FileEvidence::default();
        super::super::read("deploy/kafka.yaml", text, &mut into);
        into
    }

    #[test]
    fn a_cluster_its_pools_and_its_topics() {
        let text = "apiVersion: kafka.strimzi.io/v1beta2\nkind: Kafka\nmetadata: { name: main }\nspec:\n  kafka:\n    replicas: 3\n    config:\n      min.insync.replicas: 2\n    listeners:\n      - { name: plain, port: 9092, tls: false }\n      - { name: tls, port: 9093, tls: true, authentication: { type: scram-sha-512 } }\n    authorization: { type: simple, superUsers: [admin] }\n---\napiVersion: kafka.strimzi.io/v1beta2\nkind: KafkaTopic\nmetadata: { name: orders }\nspec: { partitions: 6, replicas: 3, config: { retention.ms: 1000 } }\n---\napiVersion: kafka.strimzi.io/v1beta2\nkind: KafkaNodePool\nmetadata: { name: pool }\nspec: { replicas: 3, roles: [broker, controller] }\n";
        let found = found(text);
        let broker = &found.brokers[0];
        let value = |name: &str| broker.settings[name].value.clone().unwrap_or_default();
        assert_eq!((broker.name.as_str(), broker.nodes), ("main", Some(3)));
        assert_eq!(value("min.insync.replicas"), "2");
        assert_eq!(broker.settings["min.insync.replicas"].place.line, 8);
        assert_eq!(value("listener.security.protocol.map"), "PLAIN-9092:PLAINTEXT,TLS-9093:SASL_SSL");
        assert_eq!(value("super.users"), "User:admin");
        assert_eq!(found.topics[0].replication_factor, Some(3));
        assert_eq!(found.topics[0].configs["retention.ms"].value.as_deref(), Some("1000"));
        assert_eq!(found.brokers[1].settings["process.roles"].value.as_deref(), Some("broker,controller"));
        assert!(found.brokers[1].open);
    }

    #[test]
    fn a_listener_with_tls_authentication_requires_certificates() {
        let text = "apiVersion: kafka.strimzi.io/v1\nkind: Kafka\nmetadata: { name: main }\nspec:\n  kafka:\n    listeners:\n      - { name: tls, port: 9093, tls: true, authentication: { type: tls } }\n      - { name: open, port: 9094, tls: true }\n";
        let found = found(text);
        let settings = &found.brokers[0].settings;
        let asked = &settings["listener.name.tls-9093.ssl.client.auth"];
        assert_eq!(asked.value.as_deref(), Some("required"));
        assert!(!settings.contains_key("listener.name.open-9094.ssl.client.auth"));
    }

    #[test]
    fn pools_take_the_settings_of_their_cluster() {
        let text = "apiVersion: kafka.strimzi.io/v1\nkind: KafkaNodePool\nmetadata: { name: pool, labels: { strimzi.io/cluster: main } }\nspec: { replicas: 5, roles: [broker] }\n---\napiVersion: kafka.strimzi.io/v1\nkind: Kafka\nmetadata: { name: main }\nspec: { kafka: { config: { min.insync.replicas: 2 } } }\n";
        let found = found(text);
        let [pool] = found.brokers.as_slice() else { panic!("{found:?}") };
        assert_eq!((pool.name.as_str(), pool.nodes, pool.open), ("main-pool", Some(5), false));
        assert_eq!(pool.settings["min.insync.replicas"].value.as_deref(), Some("2"));
        assert_eq!(pool.settings["process.roles"].value.as_deref(), Some("broker"));
    }

    #[test]
    fn pools_of_controllers_have_no_listeners_for_clients() {
        let text = "apiVersion: kafka.strimzi.io/v1\nkind: KafkaNodePool\nmetadata: { name: pool, labels: { strimzi.io/cluster: main } }\nspec: { replicas: 3, roles: [controller] }\n---\napiVersion: kafka.strimzi.io/v1\nkind: Kafka\nmetadata: { name: main }\nspec: { kafka: { config: { min.insync.replicas: 2 }, listeners: [{ name: plain, port: 9092, tls: false }] } }\n";
        let found = found(text);
        let [pool] = found.brokers.as_slice() else { panic!("{found:?}") };
        let names: Vec<&str> = pool.settings.keys().map(String::as_str).collect();
        assert_eq!(names, ["min.insync.replicas", "process.roles"]);
    }

    #[test]
    fn connect_and_mirrors() {
        let text = "apiVersion: kafka.strimzi.io/v1beta2\nkind: KafkaConnector\nmetadata: { name: sink }\nspec: { class: X, tasksMax: 2, config: { topics: a, connection.password: p4ss } }\n---\napiVersion: kafka.strimzi.io/v1beta2\nkind: KafkaMirrorMaker2\nspec:\n  clusters:\n    - { alias: a, bootstrapServers: a:1 }\n    - { alias: b, bootstrapServers: b:1, config: { acks: 1 } }\n  mirrors:\n    - sourceCluster: a\n      targetCluster: b\n      topicsPattern: \".*\"\n      sourceConnector: { config: { replication.factor: 1 } }\n";
        let found = found(text);
        assert_eq!(found.clients[0].settings["tasks.max"].value.as_deref(), Some("2"));
        assert_eq!(found.secrets[0].name, "connection.password");
        let [flow] = found.mirrors.as_slice() else { panic!("{found:?}") };
        assert_eq!((flow.source.as_str(), flow.target.as_str()), ("a", "b"));
        let value = |name: &str| flow.settings[name].value.clone().unwrap_or_default();
        assert_eq!((value("topics"), value("replication.factor")), (".*".into(), "1".into()));
        assert_eq!(
            (value("emit.checkpoints.enabled"), value("target.cluster.acks")),
            ("false".into(), "1".into())
        );
    }

    #[test]
    fn files_in_a_config_map_keep_their_lines() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c }\ndata:\n  server.properties: |\n    node.id=1\n    log.dirs=/x\n    unclean.leader.election.enable=true\n";
        let found = found(text);
        assert_eq!(found.brokers[0].settings["unclean.leader.election.enable"].place.line, 8);
    }

    #[test]
    fn clients_of_several_config_maps_are_told_apart() {
        let map = |name: &str, acks: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata:\n  producer.properties: |\n    bootstrap.servers=h:1\n    acks={acks}\n"
            )
        };
        let found = found(&format!("{}---\n{}", map("one", "0"), map("two", "1")));
        let names: Vec<&str> = found.clients.iter().map(|client| client.name.as_str()).collect();
        assert_eq!(names, ["one/producer.properties", "two/producer.properties"]);
        assert_eq!(found.clients[1].settings["acks"].line.with("all").as_deref(), Some("    acks=all"));
    }

    #[test]
    fn secrets_that_are_written_in_clear_are_noted() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: { name: kafka-client }\nstringData:\n  password: hunter2\n  empty.password: \"\"\n  client.properties: |\n    sasl.jaas.config=X required password=\"s3cr3t\";\n    security.protocol=SASL_SSL\n";
        let found = found(text);
        let lines: Vec<u32> = found.secrets.iter().map(|secret| secret.place.line).collect();
        assert_eq!(lines, [5, 8], "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2") && !format!("{found:?}").contains("s3cr3t"));
    }

    #[test]
    fn other_resources_yield_nothing() {
        let found = found(
            "apiVersion: apps/v1\nkind: Deployment\nspec: { kafka: { config: { a: 1 } } }\n---\nkind: Kafka\napiVersion: other/v1\nspec: { kafka: { replicas: 1 } }\n",
        );
        assert!(found.brokers.is_empty() && found.topics.is_empty());
    }
}
