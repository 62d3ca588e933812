//! Values of Bitnami's Kafka chart. Its templates set more than the values tell, so that no default may be taken.

use klamm_rules::evidence::BrokerFile;

use super::names::Dialect;
use super::properties::properties;
use super::settings::File;
use super::tree::{At, Node, Pair};

/// The chart's own names for broker settings, as older versions have them.
const NAMES: &[(&str, &str)] = &[
    ("autoCreateTopicsEnable", "auto.create.topics.enable"),
    ("defaultReplicationFactor", "default.replication.factor"),
    ("deleteTopicEnable", "delete.topic.enable"),
    ("logRetentionHours", "log.retention.hours"),
    ("maxMessageBytes", "message.max.bytes"),
    ("numPartitions", "num.partitions"),
    ("offsetsTopicReplicationFactor", "offsets.topic.replication.factor"),
    ("transactionStateLogReplicationFactor", "transaction.state.log.replication.factor"),
    ("transactionStateLogMinIsr", "transaction.state.log.min.isr"),
    ("authorizerClassName", "authorizer.class.name"),
    ("allowEveryoneIfNoAclFound", "allow.everyone.if.no.acl.found"),
    ("superUsers", "super.users"),
];

/// Reads values, also where the chart is another one's part; `false` when they are of no such chart.
pub(super) fn read(node: &Node, file: &mut File<'_>) -> bool {
    if chart("kafka", node, file) {
        return true;
    }
    node.get("kafka").is_some_and(|part| chart("kafka", part, file))
}

fn is_chart(node: &Node) -> bool {
    let settings =
        node.get("extraConfig").is_some_and(|config| config.text().is_some_and(|t| t.contains('=')))
            || node.get("overrideConfiguration").is_some()
            || NAMES.iter().any(|(name, _)| node.get(name).is_some());
    let ours = node.get("listeners").is_some_and(|listeners| listeners.get("client").is_some())
        || node.get("kraft").is_some()
        || node.text_at(&["image", "repository"]).is_some_and(|name| name.ends_with("/kafka"))
        || node.path(&["controller", "replicaCount"]).is_some()
        || NAMES.iter().filter(|(name, _)| node.get(name).is_some()).count() >= 2;
    ours && (settings || node.path(&["listeners", "client", "protocol"]).is_some())
}

fn chart(name: &str, node: &Node, file: &mut File<'_>) -> bool {
    if !is_chart(node) {
        return false;
    }
    // Fields like `existingSecret` and `passwordsSecret` name a secret, and are none.
    let names_one = |pair: &&Pair| {
        let name = pair.name.to_ascii_lowercase();
        name.ends_with("secret") || name.contains("existingsecret")
    };
    for pair in node.pairs().iter().filter(|pair| !names_one(pair)) {
        file.look_for_secret(pair);
    }
    let shared = configured(node);
    let mut any = false;
    for part in ["controller", "broker"] {
        let Some(below) = node.get(part) else { continue };
        let nodes = below.number_at(&["replicaCount"]);
        if nodes == Some(0) {
            continue;
        }
        any = true;
        let pairs = [shared.as_slice(), &configured(below)].concat();
        push(&format!("{name}-{part}"), node, nodes, &pairs, file);
    }
    if !any {
        push(name, node, node.number_at(&["replicaCount"]), &shared, file);
    }
    true
}

fn push(name: &str, node: &Node, nodes: Option<u32>, pairs: &[Pair], file: &mut File<'_>) {
    let settings = file.settings(pairs, Dialect::Java);
    let place = file.place(At { line: node.at.line, column: 0 });
    file.into.brokers.push(BrokerFile { name: name.to_owned(), place, nodes, settings, open: true });
}

fn configured(node: &Node) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (name, java) in NAMES {
        let found = node.get(name).map(Node::pairs).unwrap_or_default();
        // An empty value leaves it to the chart.
        pairs.extend(found.iter().filter(|pair| !pair.text.is_empty()).map(|pair| pair.named(*java)));
    }
    let listeners = node.get("listeners").map(Node::entries).unwrap_or_default();
    let protocol = |entry: &super::tree::Entry| {
        let name =
            entry.value.text_at(&["name"]).map_or_else(|| entry.key.to_ascii_uppercase(), str::to_owned);
        Some(format!("{name}:{}", entry.value.text_at(&["protocol"])?.to_ascii_uppercase()))
    };
    let map: Vec<String> = listeners.iter().filter_map(protocol).collect();
    if let (false, Some(first)) = (map.is_empty(), listeners.first()) {
        pairs.push(Pair::new("listener.security.protocol.map", map.join(","), first.at));
    }
    for field in ["config", "extraConfig"] {
        let Some(entry) = node.entries().iter().find(|entry| entry.key == field) else { continue };
        let text = entry.value.text().unwrap_or_default();
        let moved = |pair: Pair| Pair { at: At { line: pair.at.line + entry.at.line, column: 0 }, ..pair };
        pairs.extend(properties(text).into_iter().map(moved));
    }
    pairs.extend(node.get("overrideConfiguration").map(Node::pairs).unwrap_or_default());
    pairs
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::FileEvidence;

    fn found(text: &str) -> FileEvidence {
        let mut into = FileEvidence::default();
        super::super::read("chart/values-prod.yaml", text, &mut into);
        into
    }

    #[test]
    fn values_of_the_chart_become_brokers() {
        let text = "kafka:\n  listeners:\n    client: { protocol: PLAINTEXT }\n  controller: { replicaCount: 3 }\n  extraConfig: |\n    min.insync.replicas=1\n  overrideConfiguration:\n    unclean.leader.election.enable: true\n";
        let found = found(text);
        let [broker] = found.brokers.as_slice() else { panic!("{found:?}") };
        assert_eq!((broker.nodes, broker.open), (Some(3), true));
        assert_eq!(broker.settings["min.insync.replicas"].place.line, 6);
        assert_eq!(broker.settings["unclean.leader.election.enable"].value.as_deref(), Some("true"));
        assert_eq!(
            broker.settings["listener.security.protocol.map"].value.as_deref(),
            Some("CLIENT:PLAINTEXT")
        );
    }

    #[test]
    fn passwords_of_the_chart_are_noted() {
        let text = "listeners:\n  client: { protocol: SASL_SSL }\nsasl:\n  existingSecret: kafka-users\n  client:\n    users: [u]\n    passwords: \"plaintextpass1\"\n  interbroker: { password: \"\" }\ntls: { passwordsSecret: tls-passwords, keystorePassword: \"{{ .Values.x }}\" }\n";
        let found = found(text);
        let names: Vec<&str> = found.secrets.iter().map(|secret| secret.name.as_str()).collect();
        assert_eq!(names, ["sasl.client.passwords"]);
        assert!(!format!("{found:?}").contains("plaintextpass1"));
    }

    #[test]
    fn values_of_others_yield_nothing() {
        let found = found("kafka:\n  enabled: true\nextraConfig: |\n  a=b\nreplicaCount: 2\n");
        assert!(found.brokers.is_empty(), "{found:?}");
    }
}
