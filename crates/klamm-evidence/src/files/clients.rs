//! Flat settings, wherever they were written: brokers, Connect workers, connectors, clients. Recognised by their names.

use klamm_kafka::{is_consumer_config, is_producer_config};
use klamm_rules::evidence::{BrokerFile, Client, Library, Role};

use super::mirror;
use super::names::Dialect;
use super::settings::{File, literal, topics};
use super::tree::{At, Pair, below, last};

/// Whether anything but a Kafka program would take defaults for what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A file that a Java program is started with.
    JavaFile,
    /// A file whose reader is not known: it may add settings.
    AnyFile,
}

/// Finds out what flat settings are for, and keeps it. Settings that have nothing to do with Kafka yield nothing.
pub(super) fn read(pairs: &[Pair], source: Source, file: &mut File<'_>) {
    let has = |name: &str| last(pairs, name).is_some();
    if has("clusters") && pairs.iter().any(|pair| pair.name.contains("->")) {
        mirror::read(pairs, file);
    } else if is_connector(pairs) {
        connector(pairs, "", file);
    } else if is_worker(pairs) {
        worker(pairs, file);
    } else if is_broker(pairs) {
        broker(pairs, file);
    } else if has("bootstrap.servers") || has("metadata.broker.list") {
        client(pairs, source, file);
    } else if source == Source::JavaFile && by_file_name(file.path).is_some() {
        // Settings without an address are Kafka's only if the file's name says so, too.
        let known = pairs.iter().filter(|pair| is_client_config(&pair.name)).count();
        if known >= 2 && known * 2 >= pairs.len() {
            client(pairs, source, file);
        }
    }
}

fn is_client_config(name: &str) -> bool {
    is_producer_config(name) || is_consumer_config(name)
}

fn by_file_name(path: &str) -> Option<Role> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let role = [("producer", Role::Producer), ("consumer", Role::Consumer), ("streams", Role::Streams)];
    role.into_iter().find(|(word, _)| name.contains(word)).map(|(_, role)| role)
}

/// `server.properties`: a node that has a role or an id, and something else that only nodes have.
pub(super) fn is_broker(pairs: &[Pair]) -> bool {
    let has = |name: &str| last(pairs, name).is_some();
    let id = has("node.id") || has("broker.id") || has("process.roles");
    let node = [
        "log.dirs",
        "log.dir",
        "listeners",
        "zookeeper.connect",
        "controller.quorum.voters",
        "controller.quorum.bootstrap.servers",
        "advertised.listeners",
    ];
    id && node.iter().any(|name| has(name))
        || has("listeners") && (has("log.dirs") || has("log.dir"))
        || has("zookeeper.connect") && (has("log.dirs") || has("log.dir"))
}

/// A broker or controller.
pub(super) fn broker(pairs: &[Pair], file: &mut File<'_>) {
    let value = |name: &str| last(pairs, name).and_then(|pair| literal(&pair.text));
    let roles = value("process.roles").unwrap_or_default();
    let what = if roles.trim() == "controller" { "controller" } else { "broker" };
    let id = value("node.id").or_else(|| value("broker.id"));
    let name = id.map_or_else(|| what.to_owned(), |id| format!("{what}-{id}"));
    let settings = file.settings(pairs, Dialect::Java);
    let place = file.place(At::default());
    file.into.brokers.push(BrokerFile { name, place, nodes: None, settings, open: false });
}

pub(super) fn is_connector(pairs: &[Pair]) -> bool {
    last(pairs, "connector.class").is_some_and(|class| !class.text.trim().is_empty())
}

/// A connector; `name` is what its resource or request calls it.
pub(super) fn connector(pairs: &[Pair], name: &str, file: &mut File<'_>) {
    let own = last(pairs, "name").and_then(|pair| literal(&pair.text)).unwrap_or_default();
    let reads = last(pairs, "topics").map(|pair| topics(&pair.text)).unwrap_or_default();
    let at = pairs.first().map_or(At::default(), |first| first.at);
    let client = Client {
        role: Role::Connector,
        library: Library::Java,
        name: if name.is_empty() { own } else { name.to_owned() },
        place: file.place(at),
        topics: reads,
        settings: file.settings(pairs, Dialect::Java),
        ..Client::default()
    };
    let name = client.name.clone();
    file.into.clients.push(client);
    within_connect(pairs, "override.", &name, file);
}

fn is_worker(pairs: &[Pair]) -> bool {
    let has = |name: &str| last(pairs, name).is_some();
    has("key.converter") && (has("bootstrap.servers") || has("offset.storage.topic"))
        || has("config.storage.topic") && has("offset.storage.topic")
}

/// A Connect worker.
pub(super) fn worker(pairs: &[Pair], file: &mut File<'_>) {
    let name = last(pairs, "group.id").and_then(|pair| literal(&pair.text)).unwrap_or_default();
    let client = Client {
        role: Role::ConnectWorker,
        library: Library::Java,
        name,
        place: file.place(At::default()),
        settings: file.settings(pairs, Dialect::Java),
        ..Client::default()
    };
    let name = client.name.clone();
    file.into.clients.push(client);
    within_connect(pairs, "", &name, file);
}

/// Producers and consumers that Connect makes for its connectors, where somebody told them something of their own. Connect has defaults of
/// its own for them, so that none is assumed.
fn within_connect(pairs: &[Pair], end: &str, name: &str, file: &mut File<'_>) {
    for (part, role) in [("producer", Role::Producer), ("consumer", Role::Consumer)] {
        let told = below(pairs, &format!("{part}.{end}"));
        let of_connection = ["security.", "ssl.", "sasl.", "bootstrap.", "interceptor.", "override."];
        let own = told.iter().filter(|pair| !of_connection.iter().any(|begin| pair.name.starts_with(begin)));
        let Some(first) = own.min_by_key(|pair| pair.at.line) else { continue };
        let place = file.place(first.at);
        let settings = file.settings(&told, Dialect::Java);
        let (name, library) = (name.to_owned(), Library::Java);
        let client = Client { role, library, name, place, settings, open: true, ..Client::default() };
        file.into.clients.push(client);
    }
}

/// Settings that only one of the libraries has.
fn library(pairs: &[Pair], source: Source) -> Library {
    const LIBRDKAFKA: [&str; 17] = [
        "metadata.broker.list",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "socket.keepalive.enable",
        "queue.buffering.max.ms",
        "queue.buffering.max.messages",
        "statistics.interval.ms",
        "enable.auto.offset.store",
        "message.timeout.ms",
        "compression.codec",
        "api.version.request",
        "enable.partition.eof",
        "broker.address.family",
        "message.send.max.retries",
    ];
    const JAVA: [&str; 14] = [
        "key.serializer",
        "value.serializer",
        "key.deserializer",
        "value.deserializer",
        "sasl.jaas.config",
        "ssl.truststore.location",
        "ssl.keystore.location",
        "application.id",
        "interceptor.classes",
        "max.poll.records",
        "partitioner.class",
        "sasl.login.callback.handler.class",
        "default.api.timeout.ms",
        "buffer.memory",
    ];
    let any = |names: &[&str]| pairs.iter().any(|pair| names.contains(&pair.name.as_str()));
    match (any(&LIBRDKAFKA), any(&JAVA)) {
        (true, false) => Library::Librdkafka,
        (false, true) => Library::Java,
        (false, false) if source == Source::JavaFile => Library::Java,
        _ => Library::Unknown,
    }
}

fn role(pairs: &[Pair], path: &str) -> Role {
    const PRODUCER: [&str; 7] = [
        "message.timeout.ms",
        "request.required.acks",
        "queue.buffering.max.ms",
        "queue.buffering.max.messages",
        "message.send.max.retries",
        "compression.codec",
        "linger.ms",
    ];
    const CONSUMER: [&str; 3] = ["enable.auto.offset.store", "enable.partition.eof", "fetch.wait.max.ms"];
    let count = |role: &dyn Fn(&str) -> bool| pairs.iter().filter(|pair| role(&pair.name)).count();
    if last(pairs, "application.id").is_some() {
        return Role::Streams;
    }
    let writes =
        count(&|name| PRODUCER.contains(&name) || is_producer_config(name) && !is_consumer_config(name));
    let reads =
        count(&|name| CONSUMER.contains(&name) || is_consumer_config(name) && !is_producer_config(name));
    match (writes, reads) {
        (0, 0) => by_file_name(path).filter(|role| *role != Role::Streams).unwrap_or_default(),
        (_, 0) => Role::Producer,
        (0, _) => Role::Consumer,
        _ => Role::Unknown,
    }
}

/// A client with all its settings in one place.
pub(super) fn client(pairs: &[Pair], source: Source, file: &mut File<'_>) {
    let library = library(pairs, source);
    let role = role(pairs, file.path);
    let dialect = if library == Library::Librdkafka { Dialect::Librdkafka } else { Dialect::Java };
    let has = |name: &str| last(pairs, name).is_some();
    // What lacks what Java demands gets it from a program, which may set more.
    let whole = match role {
        Role::Producer => has("key.serializer") && has("value.serializer"),
        Role::Consumer => has("key.deserializer") && has("value.deserializer"),
        Role::Streams => has("default.key.serde") || has("default.value.serde"),
        _ => false,
    };
    let name =
        ["client.id", "application.id", "group.id"].iter().find_map(|name| literal(&last(pairs, name)?.text));
    let first = pairs.iter().map(|pair| pair.at.line).min().unwrap_or(0);
    let at = if source == Source::JavaFile { At::default() } else { At { line: first, column: 0 } };
    let client = Client {
        role,
        library,
        name: name.unwrap_or_default(),
        place: file.place(at),
        settings: file.settings(pairs, dialect),
        open: source == Source::AnyFile || !whole,
        ..Client::default()
    };
    file.into.clients.push(client);
}

/// Settings of several clients in one file: what all share, and sections or mappings for producers and consumers.
pub(super) fn with_parts(shared: &[Pair], parts: &[(String, Vec<Pair>)], file: &mut File<'_>) {
    let mut any = false;
    for (name, pairs) in parts {
        let part = [shared, pairs].concat();
        if last(&part, "bootstrap.servers").is_some() || last(&part, "metadata.broker.list").is_some() {
            any = true;
            client(&part, Source::AnyFile, file);
            let Some(client) = file.into.clients.last_mut() else { continue };
            let lower = name.to_ascii_lowercase();
            match client.role {
                Role::Unknown if lower.contains("producer") => client.role = Role::Producer,
                Role::Unknown if lower.contains("consumer") => client.role = Role::Consumer,
                _ => {}
            }
            if client.name.is_empty() {
                client.name.clone_from(name);
            }
        }
    }
    if !any {
        read(shared, Source::AnyFile, file);
    }
}

/// Environment variables of an image: `KAFKA_LOG_DIRS` is `log.dirs`, `__` is an underscore and `___` a dash.
pub(super) fn environment(pairs: &[Pair], prefix: &str) -> Vec<Pair> {
    let name = |rest: &str| {
        let marked = rest.to_ascii_lowercase().replace("___", "\u{1}").replace("__", "\u{2}");
        marked.replace('_', ".").replace('\u{1}', "-").replace('\u{2}', "_")
    };
    below(pairs, prefix).iter().map(|pair| pair.named(name(&pair.name))).collect()
}
