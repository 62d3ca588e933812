//! `server.properties` of a node: Kafka's own defaults, except where a small machine or a test needs something else.

use std::fmt::Write;
use std::path::Path;

use super::certificates::CLIENT_NAME;
use super::state::{ClusterState, Listener, NodeState, node_dir};

/// The user that may do everything on the SASL listeners.
pub const USER: &str = "alice";
/// Her password.
pub const PASSWORD: &str = "alice-secret";
/// The user that authenticates but may do nothing.
pub const POWERLESS_USER: &str = "bob";
/// His password.
pub const POWERLESS_PASSWORD: &str = "bob-secret";

/// SCRAM users as `StorageTool format --add-scram` takes them.
pub fn scram_users() -> Vec<String> {
    let mut users = Vec::new();
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for (name, password) in [(USER, PASSWORD), (POWERLESS_USER, POWERLESS_PASSWORD)] {
            users.push(format!("{mechanism}=[name={name},password={password}]"));
        }
    }
    users
}

/// The whole file for one node; `extra` goes last and so wins.
pub fn server_properties(
    cluster: &ClusterState,
    dir: &Path,
    id: i32,
    node: &NodeState,
    extra: &[(String, String)],
) -> String {
    let mut file = Properties::default();
    identity(&mut file, cluster, dir, id, node);
    small_machine(&mut file, cluster);
    if cluster.certificates.is_some() {
        security(&mut file, cluster);
    }
    for (name, value) in extra {
        file.set(name, value);
    }
    file.text
}

#[derive(Default)]
struct Properties {
    text: String,
}

impl Properties {
    fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        let _infallible = writeln!(self.text, "{name}={value}");
    }
}

fn identity(file: &mut Properties, cluster: &ClusterState, dir: &Path, id: i32, node: &NodeState) {
    let roles = match (node.role.is_broker(), node.role.is_controller()) {
        (true, true) => "broker,controller",
        (false, _) => "controller",
        (true, false) => "broker",
    };
    file.set("process.roles", roles);
    file.set("node.id", id);
    file.set("log.dirs", node_dir(dir, id).join("data").display());

    let url = |listener: &Listener, port: &u16| format!("{}://127.0.0.1:{port}", listener.name());
    let all: Vec<String> = node.ports.iter().map(|(listener, port)| url(listener, port)).collect();
    file.set("listeners", all.join(","));
    let clients = node.ports.iter().filter(|(listener, _)| **listener != Listener::Controller);
    let advertised: Vec<String> = clients.map(|(listener, port)| url(listener, port)).collect();
    if node.role.is_broker() {
        file.set("advertised.listeners", advertised.join(","));
        file.set("inter.broker.listener.name", Listener::Plaintext.name());
        file.set("broker.rack", rack(id));
    }
    file.set("controller.listener.names", Listener::Controller.name());
    file.set(
        "listener.security.protocol.map",
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
    );
    let voters: Vec<String> = cluster
        .nodes
        .iter()
        .filter_map(|(id, node)| Some(format!("{id}@127.0.0.1:{}", node.ports.get(&Listener::Controller)?)))
        .collect();
    file.set("controller.quorum.voters", voters.join(","));
}

fn rack(id: i32) -> char {
    (b'a'..=b'z').nth(usize::try_from(id - 1).unwrap_or(0) % 26).map_or('a', char::from)
}

fn small_machine(file: &mut Properties, cluster: &ClusterState) {
    let brokers = cluster.nodes.values().filter(|node| node.role.is_broker()).count();
    file.set("auto.create.topics.enable", false);
    for internal in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        file.set(&format!("{internal}.replication.factor"), brokers.min(3));
    }
    file.set("transaction.state.log.min.isr", brokers.min(2));
    file.set("share.coordinator.state.topic.min.isr", brokers.min(2));
    file.set("offsets.topic.num.partitions", 8);
    file.set("transaction.state.log.num.partitions", 8);
    file.set("share.coordinator.state.topic.num.partitions", 4);
    file.set("group.initial.rebalance.delay.ms", 0);
    // The default of 9 s is how long a killed broker counts as alive; tests wait for exactly that.
    file.set("broker.session.timeout.ms", 6000);
    file.set("broker.heartbeat.interval.ms", 1000);
    file.set("num.network.threads", 2);
    file.set("num.io.threads", 4);
    file.set("log.cleaner.dedupe.buffer.size", 16 << 20);
}

fn security(file: &mut Properties, cluster: &ClusterState) {
    let Some(certificates) = &cluster.certificates else { return };
    file.set("ssl.keystore.type", "PEM");
    file.set("ssl.keystore.location", certificates.broker.display());
    file.set("ssl.truststore.type", "PEM");
    file.set("ssl.truststore.location", certificates.ca.display());
    file.set("ssl.client.auth", "requested");

    file.set("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512");
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        let plain = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_{USER}=\"{PASSWORD}\" user_{POWERLESS_USER}=\"{POWERLESS_PASSWORD}\";"
        );
        file.set(&format!("listener.name.{listener}.plain.sasl.jaas.config"), plain);
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            file.set(
                &format!("listener.name.{listener}.{mechanism}.sasl.jaas.config"),
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            );
        }
    }

    // Anonymous, that is PLAINTEXT, TLS without a certificate and the nodes themselves, keeps every right.
    file.set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
    file.set("super.users", format!("User:ANONYMOUS;User:{USER};User:CN={CLIENT_NAME}"));
}
