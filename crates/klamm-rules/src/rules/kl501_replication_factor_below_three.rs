//! A topic has fewer copies than its data needs.
//!
//! ## What it does
//! Counts the copies of each topic (`live`, or a topic that a file declares), Kafka's own topics among them, and looks at the settings that
//! brokers make internal and automatic topics with: `offsets.topic.replication.factor`, `transaction.state.log.replication.factor`,
//! `transaction.state.log.min.isr`, and `default.replication.factor` where topics are created by themselves. Where a spec promises what a topic survives, that decides: strong data
//! needs two copies more than brokers may be down beside the leader, three for one; eventual data one more. Without a spec three are asked for.
//! A cluster of one or two brokers is one finding.
//!
//! ## Why it hurts
//! With one copy a broker that restarts takes the topic with it, and a disk that dies its records. With two copies one of both has to be
//! given up while a broker is away: writes (a floor of two), or safety (a floor of one: a record that is acknowledged may be on a single disk).
//!
//! ## Example
//!     offsets.topic.replication.factor=1
//!
//! ## Use instead
//!     offsets.topic.replication.factor=3
//!
//! ## Severity
//! Error where the data is strong; warning where it is eventual and has one copy, else info.
//!
//! ## References
//! - Apache Kafka, broker configuration `offsets.topic.replication.factor`, `default.replication.factor`

use klamm_plan::placement::Move;

use crate::Weight;
use crate::brokers::{Home, Value, Wanted, is_broker, report, subject, values};
use crate::check::{Cx, Out};
use crate::cluster::{Placer, copies, counted, reassign};
use crate::evidence::{Broker, BrokerFile, Topic, TopicFile};
use crate::finding::{Finding, Fix, Severity};

use klamm_plan::Risk;

/// Settings that copies of topics come from: name, Kafka's default, the least that is safe, what is made with it.
const SETTINGS: [(&str, &str, i64, &str); 4] = [
    ("offsets.topic.replication.factor", "3", 3, "committed offsets of all groups"),
    ("transaction.state.log.replication.factor", "3", 3, "the state of all transactions"),
    ("transaction.state.log.min.isr", "2", 2, "the state of all transactions"),
    ("default.replication.factor", "1", 3, "topics that are created without a number of copies"),
];

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    if live.cluster.value().is_some_and(|cluster| cluster.embedded) {
        return;
    }
    let brokers = out.see("brokers of the cluster", &live.brokers).map(Vec::as_slice).unwrap_or_default();
    if (1..3).contains(&brokers.len()) && !one_is_down(cx, brokers) {
        return few_brokers(out, brokers);
    }
    if let Some(topics) = out.see("topics of the cluster", &live.topics) {
        let mut placer = Placer::new(brokers, topics);
        for (name, topic) in topics {
            check_topic(cx, out, &mut placer, name, topic);
        }
    }
    if let Some(files) = out.see("configuration files", &cx.evidence.files) {
        for file in &files.topics {
            check_file(cx, out, file);
        }
    }
    let single = only_broker(cx);
    if let Some(file) = single {
        few_of_file(out, file);
    }
    for setting in SETTINGS {
        check_setting(cx, out, setting, single);
    }
}

/// The one broker of files that make a whole cluster: a resource, services of Compose, or a node that is its own quorum.
fn only_broker<'a>(cx: &Cx<'a>) -> Option<&'a BrokerFile> {
    let files = cx.evidence.files.value()?;
    let mut brokers = files.brokers.iter().filter(|file| is_broker(file));
    let (Some(only), None) = (brokers.next(), brokers.next()) else { return None };
    let get = |name: &str| only.settings.get(name).and_then(|setting| setting.value.as_deref());
    let resource = [".yml", ".yaml"].iter().any(|end| only.place.file.ends_with(end));
    let voters = get("controller.quorum.voters").or(get("controller.quorum.bootstrap.servers"));
    let both = get("process.roles").is_some_and(|roles| roles.contains("controller"));
    let alone = both && voters.is_some_and(|voters| !voters.contains(','));
    let nodes = only.nodes.unwrap_or(1);
    // Of a chart or a resource whose pools stand elsewhere the number of nodes is not known.
    let mut variables = only.settings.values().filter_map(|setting| setting.written.as_deref());
    let known = only.nodes.is_some() || alone || variables.any(|name| name.starts_with("KAFKA_"));
    (nodes == 1 && known && (resource || alone)).then_some(only)
}

fn few_of_file(out: &mut Out, file: &BrokerFile) {
    out.judged();
    let told =
        SETTINGS.iter().filter_map(|(name, ..)| Some((*name, file.settings.get(*name)?.value.as_deref()?)));
    let finding = few(Severity::Warning, subject(file), 1).fact("brokers", "1", file.place.to_string());
    let finding =
        told.fold(finding, |finding, (name, value)| finding.fact(name, value, file.place.file.clone()));
    out.found(finding.at(&file.place));
}

/// Copies are on a broker that is not there now: the cluster has more brokers than were met.
fn one_is_down(cx: &Cx<'_>, brokers: &[Broker]) -> bool {
    let topics = cx.evidence.live.topics.value().into_iter().flat_map(|topics| topics.values());
    let mut replicas = topics.flat_map(|topic| &topic.partitions).flat_map(|partition| &partition.replicas);
    replicas.any(|id| brokers.iter().all(|broker| broker.id != *id))
}

fn few_brokers(out: &mut Out, brokers: &[Broker]) {
    out.judged();
    let finding = few(Severity::Warning, "cluster".to_owned(), brokers.len());
    out.found(finding.fact("brokers", brokers.len().to_string(), "metadata of the cluster"));
}

fn few(severity: Severity, subject: String, brokers: usize) -> Finding {
    let what = format!("{} cannot hold three copies", counted(brokers, "broker"));
    Finding::new(severity, subject, what)
        .consequence(
            "every broker that is lost takes records or writes with it: no topic can be made safe here",
        )
        .fix(
            Fix::new("add brokers until there are three, in three racks if there are such", Risk::CopiesData)
                .ask("start brokers with the next node.id and the controllers of this cluster")
                .ask("run the audit again: it prints the moves that give topics three copies")
                .undo_by("klamm broker drain NODE empties a broker that was added; then it can be stopped"),
        )
        .next("is this a cluster for development? Then accept it in the spec, with a reason and a day")
}

/// Copies that a topic should have.
fn wanted(cx: &Cx<'_>, name: &str) -> usize {
    match cx.evidence.spec.value().and_then(|spec| spec.topics.get(name)) {
        None => 3,
        Some(promise) => {
            let strong = promise.consistency == klamm_contract::Consistency::Strong;
            let survive = promise.survive_brokers.max(promise.survive_racks) as usize;
            if strong && survive > 0 { survive + 2 } else { survive + 1 }
        }
    }
}

fn severity(weight: &Weight, copies: usize) -> Severity {
    weight.choose(Severity::Error, if copies < 2 { Severity::Warning } else { Severity::Info })
}

fn consequence(name: &str, copies: usize) -> String {
    match copies {
        0 | 1 => {
            format!("losing the one broker that has it stops {name}, and its disk takes the records with it")
        }
        _ => format!(
            "while one broker is away, {name} either refuses writes or keeps new records on a single disk"
        ),
    }
}

fn check_topic(cx: &Cx<'_>, out: &mut Out, placer: &mut Placer, name: &str, topic: &Topic) {
    out.judged();
    let (has, wants) = (copies(topic), wanted(cx, name).min(3));
    if has >= wants || topic.partitions.is_empty() {
        return;
    }
    let weight = cx.weight(name);
    let fix = if placer.brokers() < wants {
        Fix::new(format!("give topic {name} {wants} copies"), Risk::CopiesData)
            .ask("audit with --bootstrap, so that the brokers are known, or bring brokers back: then the moves are printed")
            .undo_by("the printed moves come with their way back")
    } else {
        let moves = topic.partitions.iter().filter(|partition| partition.replicas.len() < wants).map(|p| {
            Move { partition: p.index, from: p.replicas.clone(), to: placer.grow(&p.replicas, wants) }
        });
        reassign(cx, format!("give topic {name} {wants} copies"), name, moves.collect())
    };
    let finding = Finding::new(severity(&weight, has), format!("topic {name}"), counted_copies(has))
        .fact("copies", has.to_string(), "placement of the topic")
        .fact("partitions", topic.partitions.len().to_string(), "metadata of the cluster")
        .consequence(consequence(name, has))
        .fix(fix)
        .next(format!("kafka-topics.sh --bootstrap-server {} --describe --topic {name}", cx.bootstrap()))
        .weighed(weight);
    out.found(finding);
}

fn counted_copies(has: usize) -> String {
    if has == 1 { "it has 1 copy".to_owned() } else { format!("it has {has} copies") }
}

fn check_file(cx: &Cx<'_>, out: &mut Out, file: &TopicFile) {
    let TopicFile { topic, place, replication_factor, .. } = file;
    let Some(has) = replication_factor.map(|copies| copies as usize) else {
        out.unclear(&format!("topic {topic} in {}", place.file), "it does not say how many copies");
        return;
    };
    out.judged();
    let wants = wanted(cx, topic).min(3);
    if has >= wants {
        return;
    }
    let weight = cx.weight(topic);
    let fix = Fix::new(format!("ask for {wants} copies of topic {topic}"), Risk::CopiesData);
    let form = match place.file.rsplit('.').next() {
        Some("tf") => format!(": `replication_factor = {wants}`"),
        Some("yaml" | "yml") => format!(": `replicas: {wants}`"),
        _ => String::new(),
    };
    out.found(
        Finding::new(severity(&weight, has), format!("topic {topic} in {}", place.file), counted_copies(has))
            .fact("replication factor", has.to_string(), place.to_string())
            .consequence(consequence(topic, has))
            .fix(
                fix.code(place, format!("replication factor {wants} instead of {has}{form}"))
                    .undo_by(format!("replication factor {has} at {place} again")),
            )
            .next(format!("kafka-topics.sh --bootstrap-server {} --describe --topic {topic}", cx.bootstrap()))
            .at(place)
            .weighed(weight),
    );
}

/// Topics are created there by themselves, as far as is known.
fn creates(value: &Value<'_>) -> bool {
    let name = "auto.create.topics.enable";
    let told = match value.home {
        Home::Live(broker, _) => broker.configs.value().and_then(|configs| crate::text::value(configs, name)),
        Home::File(file, _) => file.settings.get(name).and_then(|setting| setting.value.as_deref()),
    };
    told != Some("false")
}

fn check_setting(
    cx: &Cx<'_>,
    out: &mut Out,
    (name, default, least, makes): (&str, &str, i64, &str),
    single: Option<&BrokerFile>,
) {
    let mut low = Vec::new();
    for value in values(cx, out, name, default) {
        out.judged();
        // Where nothing is created by itself, whoever creates a topic says how many copies.
        let used = name != "default.replication.factor" || creates(&value);
        // A cluster of one broker is one finding: it could not hold more copies.
        let alone = matches!(value.home, Home::File(file, _) if single.is_some_and(|one| one == file));
        if used && !alone && value.number().is_some_and(|number| number < least) {
            low.push(value);
        }
    }
    let internal = !name.starts_with("default");
    report(
        cx,
        out,
        &low,
        &Wanted {
            name,
            to: &least.to_string(),
            severity: if internal { Severity::Error } else { Severity::Warning },
            what: format!("{name} is below {least}"),
            consequence: format!("one broker that is lost can take {makes} with it, or stop them"),
            risk: Risk::Safe,
            next: format!("kafka-topics.sh --bootstrap-server {} --describe", cx.bootstrap()),
        },
        // Several settings about one subject would be one finding to a baseline.
        |mut finding| {
            finding.subject = format!("{name} of {}", finding.subject);
            finding.fix.steps.extend(internal.then(|| {
                crate::Step::Ask(
                    "topics that exist keep their copies: each is a finding of its own".to_owned(),
                )
            }));
            finding
        },
    );
}
