//! Settings of Kafka Streams, Connect and MirrorMaker, with the defaults of 4.3.1.

use crate::check::{Cx, Out};
use crate::client::Effective;
use crate::evidence::{Client, Library, Role};

const CLASS: &str = "connector.class";

/// Defaults by `ConfigDef` of StreamsConfig, DistributedConfig, ConnectorConfig and the connectors of MirrorMaker.
const DEFAULTS: &[(Role, &str, &str)] = &[
    (Role::Streams, "processing.guarantee", "at_least_once"),
    (Role::Streams, "num.standby.replicas", "0"),
    (Role::Streams, "replication.factor", "-1"),
    (Role::Streams, "group.protocol", "classic"),
    (Role::Streams, "state.dir", "${java.io.tmpdir}/kafka-streams"),
    (Role::ConnectWorker, "exactly.once.source.support", "disabled"),
    (Role::ConnectWorker, "config.storage.replication.factor", "3"),
    (Role::ConnectWorker, "offset.storage.replication.factor", "3"),
    (Role::ConnectWorker, "status.storage.replication.factor", "3"),
    (Role::Connector, "tasks.max", "1"),
    (Role::Connector, "errors.tolerance", "none"),
    (Role::Connector, "errors.log.enable", "false"),
    (Role::Connector, "errors.deadletterqueue.topic.name", ""),
    (Role::MirrorMaker, "sync.group.offsets.enabled", "false"),
    (Role::MirrorMaker, "emit.heartbeats.enabled", "true"),
    (Role::MirrorMaker, "emit.checkpoints.enabled", "true"),
    (Role::MirrorMaker, "emit.offset-syncs.enabled", "true"),
    (Role::MirrorMaker, "replication.factor", "2"),
    (Role::MirrorMaker, "offset-syncs.topic.replication.factor", "3"),
    (Role::MirrorMaker, "checkpoints.topic.replication.factor", "3"),
    (Role::MirrorMaker, "heartbeats.topic.replication.factor", "3"),
];

/// What a framework does about a setting: told, or its default.
pub(crate) fn told(client: &Client, name: &str) -> Effective {
    let known = client.effective(name);
    if client.open || client.setting(name).is_some() || known.value().is_some() {
        return known;
    }
    let default = DEFAULTS.iter().find(|(role, setting, _)| *role == client.role && *setting == name);
    default.map_or(known, |(_, _, value)| Effective::Default {
        value: (*value).to_owned(),
        source: format!("default of {}", framework(client.role)),
    })
}

/// The same as text; what is not known is written down.
pub(crate) fn told_text(client: &Client, name: &str, out: &mut Out) -> Option<(String, String)> {
    let told = told(client, name);
    let value = told.value().map(|value| value.trim().to_owned());
    if value.is_none() {
        out.unclear(&client.subject(), told.source());
    }
    Some((value?, told.source().to_owned()))
}

fn framework(role: Role) -> &'static str {
    match role {
        Role::Streams => "Kafka Streams",
        Role::ConnectWorker | Role::Connector => "Kafka Connect",
        _ => "MirrorMaker",
    }
}

/// A connector that writes to Kafka or reads from it, by its class; `None` when that is not known.
pub(crate) fn sinks(connector: &Client) -> Option<bool> {
    let class = connector.setting(CLASS).and_then(|setting| setting.value.as_deref());
    let class = class.map(|class| class.rsplit('.').next().unwrap_or(class).to_ascii_lowercase());
    match class {
        Some(class) if class.contains("sink") => Some(true),
        Some(class) if class.contains("source") || class.starts_with("mirror") => Some(false),
        // Only sinks have topics by pattern or a dead letter queue.
        _ if connector.setting("topics.regex").is_some() => Some(true),
        _ if connector.setting("errors.deadletterqueue.topic.name").is_some() => Some(true),
        _ => None,
    }
}

/// Topics that a connector reads or writes, as far as its settings name them.
pub(crate) fn connector_topics(connector: &Client) -> Vec<String> {
    let named = ["topics", "topic", "kafka.topic"]
        .iter()
        .filter_map(|name| connector.setting(name)?.value.as_deref());
    let listed = named.flat_map(|value| value.split(',')).map(|topic| topic.trim().to_owned());
    let mut topics: Vec<String> =
        connector.topics.iter().cloned().chain(listed).filter(|topic| !topic.is_empty()).collect();
    topics.sort();
    topics.dedup();
    topics
}

/// Flows of MirrorMaker, each as a client of that part.
///
/// In a Connect cluster of its own a flow is several connectors: `class` is the one that reads the settings which are asked for.
pub(crate) fn flows(cx: &Cx<'_>, out: &mut Out, class: &str) -> Vec<Client> {
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return Vec::new() };
    let own = files.mirrors.iter().map(|flow| Client {
        role: Role::MirrorMaker,
        library: Library::Java,
        name: format!("{}->{}", flow.source, flow.target),
        place: flow.place.clone(),
        settings: flow.settings.clone(),
        ..Client::default()
    });
    // In MirrorMaker's own file a flow runs only when it says so; the other formats have no such switch.
    let runs = |flow: &Client| match flow.setting("enabled") {
        Some(enabled) => {
            !enabled.value.as_deref().is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
        }
        None => !flow.place.file.ends_with(".properties"),
    };
    let told =
        |connector: &Client, name: &str| connector.setting(name).and_then(|setting| setting.value.clone());
    let connectors = files.clients.iter().filter(|client| client.role == Role::Connector);
    let connectors =
        connectors.filter(|client| told(client, CLASS).is_some_and(|name| name.ends_with(class)));
    let as_flow = |connector: &Client| {
        let alias =
            |end: &str| told(connector, &format!("{end}.cluster.alias")).unwrap_or_else(|| end.to_owned());
        let name = format!("{}->{}", alias("source"), alias("target"));
        Client { role: Role::MirrorMaker, name, ..connector.clone() }
    };
    own.filter(runs).chain(connectors.map(as_flow)).collect()
}

/// A setting's name as the file of a flow must have it.
pub(crate) fn of_flow(flow: &Client, name: &str) -> String {
    let own = flow.place.file.ends_with(".properties") && flow.setting(CLASS).is_none();
    if own { format!("{}.{name}", flow.name) } else { name.to_owned() }
}

/// Sets a setting of a flow: where it stands when it is told, else with the flow's prefix.
pub(crate) fn set_flow(fix: crate::finding::Fix, flow: &Client, name: &str, to: &str) -> crate::finding::Fix {
    match flow.setting(name) {
        Some(_) => crate::amend::set_client(fix, flow, name, to),
        None => crate::amend::set_client(fix, flow, &of_flow(flow, name), to),
    }
}

/// A group of which something was not seen may read more than it shows: that is no pass.
pub(crate) fn unclear_if_missing(out: &mut crate::check::Out, group: &crate::evidence::Group) {
    if !group.missing.is_empty() {
        out.unclear(&format!("group {}", group.name), group.missing.join("; "));
    }
}
