//! Configuration files in a folder. Each format is recognised by its name and by what it holds: a file that has nothing to do with Kafka
//! yields nothing. Secrets are left out here, and noted.

mod channels;
mod clients;
mod containers;
mod helm;
mod mirror;
mod names;
mod nested;
mod properties;
mod secrets;
mod settings;
mod spring;
mod strimzi;
mod terraform;
mod tree;
mod yaml;

use std::path::Path;

use klamm_rules::Seen;
use klamm_rules::evidence::{FileEvidence, Skipped};

use self::clients::Source;
use self::settings::File;
use self::tree::{Node, Pair};
use crate::code::Versions;
use crate::walk;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Properties,
    Ini,
    Yaml,
    Json,
    Terraform,
}

/// The format by the file's name; endings of templates are looked through.
fn format(path: &str) -> Option<Format> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    if matches!(name.as_str(), "package.json" | "package-lock.json" | "tsconfig.json" | "pnpm-lock.yaml") {
        return None;
    }
    let templates = [".j2", ".tmpl", ".tpl", ".template", ".erb"];
    let plain = templates.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    match plain.rsplit_once('.')?.1 {
        "properties" => Some(Format::Properties),
        "conf" | "config" | "cfg" | "ini" => Some(Format::Ini),
        "yml" | "yaml" => Some(Format::Yaml),
        "json" => Some(Format::Json),
        "tf" => Some(Format::Terraform),
        _ => None,
    }
}

/// Everything that the configuration files of a folder say about Kafka. Blocks while it reads.
pub fn collect(dir: &Path) -> Seen<FileEvidence> {
    let wanted = |path: &str| format(path).is_some() || Versions::reads(path);
    let walked = match walk::files(dir, &wanted) {
        Ok(walked) => walked,
        Err(why) => return Seen::Failed { why },
    };
    let mut found = FileEvidence::default();
    // A file that somebody named is not passed over without a word.
    for file in walked.files.iter().filter(|file| !wanted(&file.path)) {
        let why = "klamm does not know the format of a file with such a name".to_owned();
        found.skipped.push(Skipped { file: file.path.clone(), why });
    }
    found.skipped.extend(walked.skipped.into_iter().filter(|skipped| {
        // A build file that is not read only leaves a version out.
        !Versions::reads(&skipped.file) || format(&skipped.file).is_some()
    }));
    let mut versions = Versions::default();
    for file in &walked.files {
        match file.text() {
            Ok(text) => {
                if Versions::reads(&file.path) {
                    versions.read(&file.path, &text);
                }
                read(&file.path, &text, &mut found);
            }
            Err(why) if format(&file.path).is_some() => {
                found.skipped.push(Skipped { file: file.path.clone(), why });
            }
            Err(_) => {}
        }
    }
    versions.fill(&mut found.clients);
    let missing = walk::missing(&found.skipped);
    Seen::from_parts(found, missing)
}

/// Reads one file into what was found. Text that is broken is named in `skipped`, if it may have to do with Kafka.
pub fn read(path: &str, text: &str, into: &mut FileEvidence) {
    let Some(format) = format(path) else { return };
    into.read += 1;
    // Most files have nothing to do with Kafka, and need not be parsed to know that.
    if !hints(text) {
        return;
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut file = File { path, lines: &lines, into };
    let broken = match format {
        Format::Properties => {
            flat(&properties::properties(text), Source::JavaFile, &mut file);
            None
        }
        Format::Ini => {
            ini(text, &mut file);
            None
        }
        Format::Yaml => documents(yaml::documents(text), &mut file),
        Format::Json => documents(yaml::json(text), &mut file),
        Format::Terraform => terraform::read(text, &mut file).err(),
    };
    if let Some(why) = broken {
        into.skipped.push(Skipped { file: path.to_owned(), why });
    }
}

/// Words without which nothing is found.
fn hints(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "kafka",
        "Kafka",
        "KAFKA",
        "bootstrap",
        "BOOTSTRAP",
        "connector.class",
        "broker",
        "mp.messaging",
        "log.dir",
        "serializer",
        "group.id",
        "acks",
        "process.roles",
        "node.id",
        "zookeeper.connect",
        "clusters",
    ];
    WORDS.iter().any(|word| text.contains(word))
}

/// Dotted settings of one file.
fn flat(pairs: &[Pair], source: Source, file: &mut File<'_>) {
    if is_application(pairs) {
        application(&[pairs.to_vec()], file);
    } else {
        clients::read(pairs, source, file);
    }
}

fn is_application(pairs: &[Pair]) -> bool {
    let of_channels = |name: &str| name.starts_with("spring.cloud.stream.") || name.contains("mp.messaging.");
    spring::applies(pairs) || pairs.iter().any(|pair| of_channels(&pair.name))
}

/// The documents of an application's settings.
fn application(documents: &[Vec<Pair>], file: &mut File<'_>) {
    spring::read(documents, file);
    channels::read(&documents.concat(), file);
}

fn ini(text: &str, file: &mut File<'_>) {
    let sections = properties::sections(text);
    let shares = |name: &str| {
        ["", "default", "global", "common", "kafka"].contains(&name.to_ascii_lowercase().as_str())
    };
    let shared: Vec<Pair> =
        sections.iter().filter(|section| shares(&section.name)).flat_map(|s| s.pairs.clone()).collect();
    let parts: Vec<(String, Vec<Pair>)> = sections
        .into_iter()
        .filter(|section| !shares(&section.name) && !section.pairs.is_empty())
        .map(|section| (section.name, section.pairs))
        .collect();
    // kafka-python's names have underscores; they are found as in a mapping.
    let snake = |pairs: &[Pair]| pairs.iter().any(|pair| pair.name == "bootstrap_servers");
    if snake(&shared) || parts.iter().any(|(_, pairs)| snake(pairs)) {
        let parts = if parts.is_empty() { vec![(String::new(), Vec::new())] } else { parts };
        for (name, pairs) in parts {
            nested::underscored(&name, &[shared.as_slice(), &pairs].concat(), file);
        }
    } else {
        clients::with_parts(&shared, &parts, file);
    }
}

fn documents((nodes, error): (Vec<Node>, Option<String>), file: &mut File<'_>) -> Option<String> {
    let pairs: Vec<Vec<Pair>> = nodes.iter().map(Node::pairs).collect();
    if pairs.iter().any(|pairs| is_application(pairs)) {
        application(&pairs, file);
    } else {
        nodes.iter().for_each(|node| document(node, file));
        strimzi::join_pools(&nodes, file);
    }
    error
}

/// One document of YAML or JSON.
fn document(node: &Node, file: &mut File<'_>) {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let values = name.starts_with("values") || name.contains("-values") || name.contains(".values");
    let done = strimzi::read(node, file)
        || containers::compose(node, file)
        || containers::workload(node, file)
        || values && helm::read(node, file);
    if !done {
        nested::search(node, 0, file);
    }
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::{Library, Role};
    use proptest::prelude::*;

    use super::*;

    fn found(path: &str, text: &str) -> FileEvidence {
        let mut into = FileEvidence::default();
        read(path, text, &mut into);
        into
    }

    #[test]
    fn brokers_and_controllers() {
        let text = "process.roles=controller\nnode.id=3\ncontroller.quorum.voters=3@h:9093\nlisteners=CONTROLLER://:9093\n";
        let controller = found("config/controller.properties", text);
        assert_eq!(controller.brokers[0].name, "controller-3");
        let broker = found("server.properties.j2", "broker.id={{ id }}\nlog.dirs=/d\nzookeeper.connect=z\n");
        assert_eq!(broker.brokers[0].settings["broker.id"].value, None);
        assert_eq!(broker.brokers[0].settings["log.dirs"].place.to_string(), "server.properties.j2:2");
    }

    #[test]
    fn clients_of_java() {
        let text = "bootstrap.servers=h:1\nacks=1\nkey.serializer=K\nvalue.serializer=V\n";
        let producer = found("app.properties", text);
        let client = &producer.clients[0];
        assert_eq!((client.role, client.library, client.open), (Role::Producer, Library::Java, false));
        let consumer =
            found("app.properties", "bootstrap.servers=h:1\ngroup.id=g\nauto.offset.reset=latest\n");
        assert_eq!((consumer.clients[0].role, consumer.clients[0].open), (Role::Consumer, true));
        let streams = found("app.properties", "bootstrap.servers=h:1\napplication.id=a\nstate.dir=/tmp/x\n");
        assert_eq!((streams.clients[0].role, streams.clients[0].name.as_str()), (Role::Streams, "a"));
        let worker = found("connect.properties", "bootstrap.servers=h:1\nkey.converter=K\ngroup.id=c\n");
        assert_eq!(worker.clients[0].role, Role::ConnectWorker);
        let connector = found("sink.properties", "name=s\nconnector.class=FileStreamSink\ntopics=a,b\n");
        assert_eq!((connector.clients[0].role, connector.clients[0].topics.len()), (Role::Connector, 2));
    }

    #[test]
    fn librdkafka_and_python_in_sections() {
        let text = "[default]\nbootstrap.servers=h:1\nsecurity.protocol=SASL_SSL\nsasl.mechanisms=PLAIN\nsasl.password=hunter2\n[consumer]\ngroup.id=g\nauto.offset.reset=earliest\n";
        let conf = found("getting_started.ini", text);
        let [client] = conf.clients.as_slice() else { panic!("{conf:?}") };
        assert_eq!((client.role, client.library), (Role::Consumer, Library::Librdkafka));
        assert_eq!(conf.secrets.len(), 1);
        let python = found("kafka.cfg", "[kafka]\nbootstrap_servers = h:1\nacks = 0\nbatch_size = 1\n");
        assert_eq!(
            (python.clients[0].library, python.clients[0].role),
            (Library::KafkaPython, Role::Producer)
        );
    }

    #[test]
    fn mirrors_have_their_effective_settings() {
        let text = "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\nreplication.factor = 3\nA->B.enabled = true\nA->B.topics = orders.*\nA->B.replication.factor = 1\nB->A.enabled = false\n";
        let mirrors = found("mm2.properties", text);
        let [flow, back] = mirrors.mirrors.as_slice() else { panic!("{mirrors:?}") };
        let value = |name: &str| flow.settings[name].value.clone().unwrap_or_default();
        assert_eq!(
            (value("replication.factor"), value("target.cluster.bootstrap.servers")),
            ("1".into(), "b:1".into())
        );
        assert_eq!(back.settings["replication.factor"].value.as_deref(), Some("3"));
        assert_eq!((flow.place.line, back.place.line), (5, 8));
    }

    #[test]
    fn files_of_others_yield_nothing() {
        for (path, text) in [
            ("gradle.properties", "org.gradle.jvmargs=-Xmx1g\nkafkaVersion=3.6\nsigning.password=x\n"),
            ("log4j.properties", "log4j.logger.kafka=INFO\nlog4j.appender.kafka.file=/x\n"),
            ("nginx.conf", "server { listen 80; acks on; }"),
            ("x.yaml", "listeners: [a]\nbroker: { id: 1 }\ngroup.id: x\n"),
            ("x.json", "{\"kafka\": [1, {\"a\": null}]}"),
            ("x.yaml", "- kafka\n- 1\n"),
        ] {
            let found = found(path, text);
            let all = found.clients.len() + found.brokers.len() + found.topics.len() + found.secrets.len();
            assert_eq!((all, found.skipped.len()), (0, 0), "{path}: {found:?}");
        }
    }

    #[test]
    fn broken_files_are_named() {
        let broken = found("kafka.yaml", "kafka: [1\n");
        assert_eq!(broken.skipped.len(), 1);
        assert!(broken.skipped[0].why.contains("line"), "{broken:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(
            text in "(kafka|bootstrap\\.servers|connector\\.class|spring|clusters|A->B|resource|services|[a-c:=\\[\\]{}\\-\"'&*!|>#,~%$<@. \n\t\\\\é])*",
            ending in 0..6_usize,
        ) {
            let endings = ["properties", "conf", "yaml", "json", "tf", "ini"];
            found(&format!("kafka.{}", endings[ending]), &format!("kafka {text}"));
            found(&format!("kafka.{}", endings[ending]), &text);
        }
    }
}
