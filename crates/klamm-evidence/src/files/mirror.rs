//! MirrorMaker 2: one flow for each source and target, with what applies to it.

use std::collections::BTreeMap;

use klamm_rules::evidence::{Client, Library, MirrorFlow, Role, Setting};

use super::names::Dialect;
use super::settings::{File, literal};
use super::tree::{At, Node, Pair, below, last};

/// `connect-mirror-maker.properties`.
pub(super) fn read(pairs: &[Pair], file: &mut File<'_>) {
    let aliases: Vec<String> = last(pairs, "clusters")
        .map(|clusters| clusters.text.split(',').filter_map(literal).collect())
        .unwrap_or_default();
    let mut flows: Vec<(String, String, At)> = Vec::new();
    for pair in pairs {
        let Some((source, target)) = flow_of(&pair.name) else { continue };
        if !flows.iter().any(|(s, t, _)| (s.as_str(), t.as_str()) == (source, target)) {
            flows.push((source.to_owned(), target.to_owned(), pair.at));
        }
    }
    let belongs = |name: &str| {
        name.contains("->")
            || aliases.iter().any(|a| name.strip_prefix(a.as_str()).is_some_and(|r| r.starts_with('.')))
    };
    let common: Vec<Pair> =
        pairs.iter().filter(|pair| !belongs(&pair.name) && pair.name != "clusters").cloned().collect();
    for (source, target, at) in flows {
        let mut effective = common.clone();
        for (alias, prefix) in [(&source, "source.cluster."), (&target, "target.cluster.")] {
            let own = below(pairs, &format!("{alias}."));
            effective.extend(own.iter().map(|pair| pair.named(format!("{prefix}{}", pair.name))));
        }
        effective.extend(below(pairs, &format!("{source}->{target}.")));
        let settings = as_written(file.settings(&effective, Dialect::Java));
        let place = file.place(at);
        file.into.mirrors.push(MirrorFlow { source, target, place, settings });
    }
    let client = Client {
        role: Role::MirrorMaker,
        library: Library::Java,
        place: file.place(At::default()),
        settings: file.settings(pairs, Dialect::Java),
        ..Client::default()
    };
    file.into.clients.push(client);
}

/// `source->target.…`.
fn flow_of(name: &str) -> Option<(&str, &str)> {
    let (source, rest) = name.split_once("->")?;
    let target = rest.split('.').next().filter(|target| target.len() < rest.len())?;
    (!source.is_empty() && !target.is_empty() && !source.contains('.')).then_some((source, target))
}

fn as_written(mut settings: BTreeMap<String, Setting>) -> BTreeMap<String, Setting> {
    settings.values_mut().for_each(|setting| setting.written = None);
    settings
}

/// Strimzi's `KafkaMirrorMaker2`.
pub(super) fn resource(spec: &Node, file: &mut File<'_>) {
    let aliases = spec.get("clusters").map(Node::items).unwrap_or_default();
    let cluster = |alias: &str| aliases.iter().find(|cluster| cluster.text_at(&["alias"]) == Some(alias));
    for mirror in spec.get("mirrors").map(Node::items).unwrap_or_default() {
        // Until v1 of the resource the clusters stood apart; since then each mirror has its source.
        let source = mirror.text_at(&["sourceCluster"]).or_else(|| mirror.text_at(&["source", "alias"]));
        let target = mirror.text_at(&["targetCluster"]).or_else(|| spec.text_at(&["target", "alias"]));
        let (Some(source), Some(target)) = (source, target) else { continue };
        let mut pairs = Vec::new();
        for (alias, other, prefix) in [
            (source, mirror.get("source"), "source.cluster."),
            (target, spec.get("target"), "target.cluster."),
        ] {
            let Some(node) = cluster(alias).or(other) else { continue };
            if let Some(servers) = node.get("bootstrapServers") {
                pairs.extend(
                    servers.pairs().iter().map(|pair| pair.named(format!("{prefix}bootstrap.servers"))),
                );
            }
            let config = node.get("config").map(Node::pairs).unwrap_or_default();
            pairs.extend(config.iter().map(|pair| pair.named(format!("{prefix}{}", pair.name))));
        }
        for connector in ["heartbeatConnector", "checkpointConnector", "sourceConnector"] {
            let Some(node) = mirror.get(connector) else { continue };
            pairs.extend(node.get("config").map(Node::pairs).unwrap_or_default());
            if let Some(tasks) = node.get("tasksMax") {
                pairs.extend(tasks.pairs().iter().map(|pair| pair.named("tasks.max")));
            }
        }
        for (field, name) in [
            ("topicsPattern", "topics"),
            ("groupsPattern", "groups"),
            ("topicsExcludePattern", "topics.exclude"),
            ("groupsExcludePattern", "groups.exclude"),
        ] {
            let node = mirror.get(field);
            pairs.extend(node.map(Node::pairs).unwrap_or_default().iter().map(|pair| pair.named(name)));
        }
        // Each part runs only where the resource has it.
        let said = |name: &str, connector: &str| {
            Pair::new(name, mirror.get(connector).is_some().to_string(), mirror.at)
        };
        pairs.insert(0, said("emit.heartbeats.enabled", "heartbeatConnector"));
        pairs.insert(0, said("emit.checkpoints.enabled", "checkpointConnector"));
        pairs.insert(0, said("enabled", "sourceConnector"));
        let settings = as_written(file.settings(&pairs, Dialect::Java));
        let place = file.place(mirror.at);
        let (source, target) = (source.to_owned(), target.to_owned());
        file.into.mirrors.push(MirrorFlow { source, target, place, settings });
    }
}
