//! Containers that are configured by environment variables: Docker Compose, and workloads of Kubernetes.

use klamm_rules::evidence::{BrokerFile, Role};

use super::clients::{environment, worker};
use super::names::Dialect;
use super::settings::File;
use super::spring;
use super::tree::{At, Node, Pair, last};

/// Variables of the images' scripts, which are no settings of the broker.
const SCRIPTS: [&str; 17] = [
    "heap.opts",
    "opts",
    "jvm.performance.opts",
    "jmx.",
    "log4j.",
    "gc.log.opts",
    "cluster.id",
    "kraft.",
    "version",
    "home",
    "tools.log4j.",
    "enable.kraft",
    "debug",
    "scala.",
    "create.topics",
    "clusters.",
    "run.",
];

/// Services of a Compose file; `false` when it is none.
pub(super) fn compose(node: &Node, file: &mut File<'_>) -> bool {
    let services = node.get("services").map(Node::entries).unwrap_or_default();
    let is_service = |node: &Node| node.get("image").is_some() || node.get("build").is_some();
    if !services.iter().any(|service| is_service(&service.value)) {
        return false;
    }
    for service in services {
        let image = service.value.text_at(&["image"]).unwrap_or_default();
        let pairs = service.value.get("environment").map(variables).unwrap_or_default();
        let nodes = service.value.number_at(&["deploy", "replicas"]);
        let elsewhere = service.value.get("env_file").is_some();
        container(
            &Container { name: &service.key, at: service.at, image, pairs: &pairs, nodes, elsewhere },
            file,
        );
    }
    true
}

/// Containers of a Pod, or of what makes Pods; `false` when it is none.
pub(super) fn workload(node: &Node, file: &mut File<'_>) -> bool {
    const PODS: [&[&str]; 3] =
        [&["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"], &["spec"]];
    let mut pods = PODS.iter().filter_map(|path| node.path(path));
    let Some(pod) = pods.find(|pod| pod.get("containers").is_some_and(|list| !list.items().is_empty()))
    else {
        return false;
    };
    let containers = ["initContainers", "containers"].iter().filter_map(|list| pod.get(list));
    for item in containers.flat_map(Node::items) {
        let image = item.text_at(&["image"]).unwrap_or_default();
        let pairs = item.get("env").map(variables).unwrap_or_default();
        let name = node.text_at(&["metadata", "name"]).unwrap_or_default();
        let nodes = node.number_at(&["spec", "replicas"]);
        let elsewhere = item.get("envFrom").is_some();
        container(&Container { name, at: item.at, image, pairs: &pairs, nodes, elsewhere }, file);
    }
    true
}

/// `{A: b}`, `[A=b]` or `[{name: A, value: b}]`. A value that comes from elsewhere is a reference.
fn variables(node: &Node) -> Vec<Pair> {
    let mut pairs = node.own_pairs();
    if !node.items().is_empty() {
        pairs.clear();
    }
    for item in node.items() {
        if let Some((name, text)) = item.text().and_then(|text| text.split_once('=')) {
            pairs.push(Pair::new(name.trim(), text, item.at));
        } else if let Some(name) = item.text_at(&["name"]) {
            let value = item.get("value");
            let text = value.map_or("${valueFrom}", |value| value.text().unwrap_or_default());
            pairs.push(Pair::new(name, text, value.map_or(item.at, |value| value.at)));
        }
    }
    pairs
}

struct Container<'a> {
    name: &'a str,
    at: At,
    image: &'a str,
    pairs: &'a [Pair],
    nodes: Option<u32>,
    elsewhere: bool,
}

fn container(container: &Container<'_>, file: &mut File<'_>) {
    let Container { name, at, image, pairs, nodes, elsewhere } = *container;
    for pair in pairs.iter().filter(|pair| is_of_kafka(&pair.name)) {
        file.look_for_secret(pair);
    }
    spring::environment(pairs, name, file);
    let connect = environment(pairs, "CONNECT_");
    if last(&connect, "bootstrap.servers").is_some() {
        let before = file.into.clients.len();
        worker(&connect, file);
        let place = file.place(at);
        for client in &mut file.into.clients[before..] {
            client.name = name.to_owned();
            if client.role == Role::ConnectWorker {
                (client.place, client.open) = (place.clone(), elsewhere);
            }
        }
        return;
    }
    let bitnami = environment(pairs, "KAFKA_CFG_");
    let plain = environment(pairs, "KAFKA_");
    let of_bitnami = !bitnami.is_empty();
    let settings = if of_bitnami { bitnami } else { plain };
    let is_script = |name: &str| {
        SCRIPTS.iter().any(|script| name == *script || script.ends_with('.') && name.starts_with(script))
    };
    let settings: Vec<Pair> = settings.into_iter().filter(|pair| !is_script(&pair.name)).collect();
    let has = |name: &str| last(&settings, name).is_some();
    // Consoles and bridges have variables that begin alike; only brokers have listeners or roles.
    let is_broker = has("listeners") || has("advertised.listeners") || has("process.roles");
    if !is_broker && !(is_broker_image(image) && (of_bitnami || has("broker.id") || has("node.id"))) {
        return;
    }
    let settings = file.settings(&settings, Dialect::Java);
    let place = file.place(at);
    // Bitnami's image has defaults of its own.
    let open = elsewhere || of_bitnami;
    file.into.brokers.push(BrokerFile { name: name.to_owned(), place, nodes, settings, open });
}

/// Variables of what talks to Kafka; a database beside it has secrets of its own.
fn is_of_kafka(variable: &str) -> bool {
    const WORDS: [&str; 7] =
        ["KAFKA", "SASL", "JAAS", "CONNECT_", "SCHEMA_REGISTRY", "CONFLUENT", "BOOTSTRAP"];
    let upper = variable.to_ascii_uppercase();
    WORDS.iter().any(|word| upper.contains(word))
}

fn is_broker_image(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    let name = name.split([':', '@']).next().unwrap_or_default();
    ["kafka", "cp-kafka", "cp-server", "kafka-native", "confluent-local"].contains(&name)
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::{FileEvidence, Role};

    fn found(text: &str) -> FileEvidence {
        let mut into = FileEvidence::default();
        super::super::read("docker-compose.yml", text, &mut into);
        into
    }

    #[test]
    fn variables_become_settings() {
        let text = "x-env: &env\n  KAFKA_MIN_INSYNC_REPLICAS: 1\nservices:\n  k1:\n    image: apache/kafka:4.0.0\n    environment:\n      <<: *env\n      KAFKA_NODE_ID: 1\n      KAFKA_LISTENERS: PLAINTEXT://:9092\n      KAFKA_HEAP_OPTS: -Xmx1g\n      KAFKA_LOG_DIRS: ${DIRS}\n  k2:\n    image: bitnami/kafka\n    environment:\n      - KAFKA_CFG_PROCESS_ROLES=broker\n      - KAFKA_CFG_AUTO_CREATE_TOPICS_ENABLE=false\n  ui:\n    image: provectuslabs/kafka-ui\n    environment: { KAFKA_CLUSTERS_0_NAME: local, KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS: k1:9092 }\n  app:\n    image: app\n    environment: { KAFKA_BOOTSTRAP_SERVERS: k1:9092, KAFKA_BROKER_ID: 1 }\n";
        let found = found(text);
        let [one, two] = found.brokers.as_slice() else { panic!("{found:?}") };
        assert_eq!(one.settings["min.insync.replicas"].value.as_deref(), Some("1"));
        assert_eq!(
            (one.settings["min.insync.replicas"].place.line, one.settings["log.dirs"].value.as_deref()),
            (2, None)
        );
        assert!(!one.settings.contains_key("heap.opts") && !one.open);
        assert_eq!(two.settings["auto.create.topics.enable"].value.as_deref(), Some("false"));
        assert!(two.open);
    }

    #[test]
    fn what_an_application_is_told_by_variables_is_read() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: shop }\nspec:\n  template:\n    spec:\n      containers:\n        - name: app\n          image: shop\n          env:\n            - name: SPRING_KAFKA_PRODUCER_ACKS\n              value: \"1\"\n            - name: SPRING_KAFKA_PROPERTIES_SASL_JAAS_CONFIG\n              value: 'X required username=\"u\" password=\"inlinepw99\";'\n            - name: KAFKA_SASL_PASSWORD\n              value: hunter2\n            - name: KAFKA_SSL_PASSWORD\n              valueFrom: { secretKeyRef: { name: s, key: k } }\n            - name: POSTGRES_PASSWORD\n              value: other\n";
        let found = found(text);
        let [client] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!((client.role, client.name.as_str(), client.open), (Role::Producer, "shop", true));
        let acks = &client.settings["acks"];
        assert_eq!(acks.written.as_deref(), Some("SPRING_KAFKA_PRODUCER_ACKS"));
        assert_eq!(acks.line.with("all").as_deref(), Some("              value: \"all\""));
        let secrets: Vec<&str> = found.secrets.iter().map(|secret| secret.name.as_str()).collect();
        assert_eq!(secrets, ["SPRING_KAFKA_PROPERTIES_SASL_JAAS_CONFIG", "KAFKA_SASL_PASSWORD"]);
        assert!(!format!("{found:?}").contains("hunter2") && !format!("{found:?}").contains("inlinepw99"));
    }

    #[test]
    fn what_connect_tells_its_connectors_clients_is_read() {
        let text = "services:\n  c:\n    image: confluentinc/cp-kafka-connect\n    environment:\n      CONNECT_BOOTSTRAP_SERVERS: k:9092\n      CONNECT_GROUP_ID: g\n      CONNECT_PRODUCER_ACKS: \"1\"\n      CONNECT_PRODUCER_SECURITY_PROTOCOL: SSL\n";
        let found = found(text);
        let [_, producer] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!((producer.role, producer.settings["acks"].value.as_deref()), (Role::Producer, Some("1")));
        assert_eq!(producer.settings["acks"].written.as_deref(), Some("CONNECT_PRODUCER_ACKS"));
    }

    #[test]
    fn connect_and_secrets() {
        let text = "services:\n  c:\n    image: confluentinc/cp-kafka-connect\n    environment:\n      CONNECT_BOOTSTRAP_SERVERS: k:9092\n      CONNECT_GROUP_ID: g\n      CONNECT_SASL_JAAS_CONFIG: X required username=\"u\" password=\"hunter2\";\n";
        let found = found(text);
        assert_eq!((found.clients[0].name.as_str(), found.secrets.len()), ("c", 1));
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}
