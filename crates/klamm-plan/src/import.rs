//! From a cluster to a spec whose plan changes nothing: what is there in the words of needs, and what had to be guessed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use klamm_contract::Consistency;
use klamm_contract::facts::{ClusterFacts, ConfigSource, TopicFacts};
use klamm_kafka::{in_sync_floor, topic_config};

use crate::spec::{SpecSet, parse};
use crate::text::quoted;
use crate::{ChangeKind, Diagnostic, PlanOptions, diff, plan};

/// What is imported beside topics.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Name of the service that is to own the topics.
    pub service: String,
    /// Addresses of the cluster.
    pub bootstrap: Vec<String>,
    /// Groups with the topics that they have committed offsets of.
    pub groups: BTreeMap<String, BTreeSet<String>>,
}

/// A spec of what a cluster has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The spec, with a comment at each guess.
    pub text: String,
    /// Topics that no spec can say, each with why.
    pub left_out: Vec<(String, String)>,
}

/// Writes the spec of the topics in `facts`. Kafka's own topics are left to Kafka.
///
/// # Errors
/// What is wrong with the spec that was written: a fault of klamm, told instead of a spec that does not hold.
pub fn import(facts: &ClusterFacts, options: &ImportOptions) -> Result<Imported, Vec<Diagnostic>> {
    let mut left_out = Vec::new();
    let mut topics = BTreeMap::new();
    for (name, live) in facts.topics.iter().filter(|(_, live)| !live.internal) {
        match Topic::of(live) {
            Ok(topic) => drop(topics.insert(name.as_str(), topic)),
            Err(why) => left_out.push((name.clone(), why)),
        }
    }
    // What the plan would change is insisted on instead; twice, because what is insisted on may change what is planned.
    for _ in 0..2 {
        let text = write(facts, options, &topics, &left_out);
        let set = SpecSet::from(parse("klamm.yaml", &text)?);
        let plan = plan(&set, &PlanOptions { facts: Some(facts), ..PlanOptions::default() })?;
        let difference = diff(&plan, facts);
        if difference.is_empty() {
            return Ok(Imported { text, left_out });
        }
        for conflict in difference.conflicts {
            topics.remove(conflict.topic.as_str());
            left_out.push((
                conflict.topic,
                format!("{} is {}: {}", conflict.setting, conflict.has, conflict.why),
            ));
        }
        for change in difference.changes {
            match (change.kind, topics.get_mut(change.topic.as_str())) {
                (ChangeKind::SetConfig { name, from: Some(from), .. }, Some(topic)) => {
                    topic.settings.insert(name, from);
                }
                (kind, Some(_)) => {
                    let why = format!("no spec says it: {kind:?}");
                    topics.remove(change.topic.as_str());
                    left_out.push((change.topic, why));
                }
                _ => {}
            }
        }
    }
    let text = write(facts, options, &topics, &left_out);
    Ok(Imported { text, left_out })
}

/// One topic in the words of a spec.
struct Topic {
    consistency: Consistency,
    survives: u32,
    copies: u32,
    partitions: usize,
    retain: String,
    keyed: bool,
    settings: BTreeMap<String, String>,
}

impl Topic {
    fn of(live: &TopicFacts) -> Result<Topic, String> {
        let configs = live.configs.as_ref().ok_or("its configuration may not be read (DESCRIBE_CONFIGS)")?;
        let value = |name: &str| -> String {
            let known = configs.get(name).and_then(|fact| fact.value.clone());
            known.unwrap_or_else(|| {
                topic_config(name).map_or(String::new(), |config| config.default.to_owned())
            })
        };
        let number = |name: &str| value(name).trim().parse::<i64>().unwrap_or(-1);
        let copies: BTreeSet<usize> =
            live.partitions.iter().map(|partition| partition.replicas.len()).collect();
        let (Some(least), Some(most)) = (copies.first(), copies.last()) else {
            return Err("it has no partition".to_owned());
        };
        if least != most {
            return Err(format!("its partitions have {least} to {most} copies"));
        }
        let copies = *least as u32;
        let asked = u32::try_from(number("min.insync.replicas")).unwrap_or(1).max(1);
        let floor = in_sync_floor(asked, copies);
        let unclean = value("unclean.leader.election.enable") == "true";
        // Strong data is lost only with as many brokers as the floor has; writes go on with what is above it.
        let strong = !unclean && (floor > 1 || copies == 1);
        let survives = if strong { (floor - 1).min(copies - floor) } else { copies - floor };
        let mut settings = BTreeMap::new();
        let own = configs.iter().filter(|(_, fact)| fact.source == ConfigSource::Topic);
        for (name, fact) in own.filter(|(name, _)| topic_config(name).is_some() && !said_otherwise(name)) {
            settings.extend(fact.value.clone().map(|value| (name.clone(), value)));
        }
        let compact = value("cleanup.policy").contains("compact");
        let retain = retain(
            &value("cleanup.policy"),
            number("retention.ms"),
            number("retention.bytes"),
            live.partitions.len(),
        )?;
        if value("message.timestamp.type") == "LogAppendTime" {
            settings.insert(APPEND.to_owned(), String::new());
        }
        let consistency = if strong { Consistency::Strong } else { Consistency::Eventual };
        Ok(Topic {
            consistency,
            survives,
            copies,
            partitions: live.partitions.len(),
            retain,
            keyed: compact,
            settings,
        })
    }
}

/// Stands among the settings for `timestamps: append`.
const APPEND: &str = "";

/// Settings that other fields of a spec say, and those that moves set and take away.
fn said_otherwise(name: &str) -> bool {
    matches!(name, "cleanup.policy" | "retention.ms" | "retention.bytes" | "message.timestamp.type")
        || name.ends_with(".throttled.replicas")
}

fn retain(policy: &str, ms: i64, bytes: i64, partitions: usize) -> Result<String, String> {
    if policy.contains("compact") {
        return match policy.trim() {
            "compact" => Ok("compact".to_owned()),
            both => Err(format!("cleanup.policy={both}: a spec has one of them")),
        };
    }
    match (ms, bytes) {
        (..0, ..0) => Ok("forever".to_owned()),
        (0..60_000, ..0) => Err(format!("retention.ms={ms}: under a minute")),
        (_, ..0) => Ok(format!("{ms} ms")),
        (..0, 0..) => {
            let total = u128::from(bytes.unsigned_abs()) * partitions as u128;
            if total < 1 << 20 {
                Err(format!("retention.bytes={bytes}: less than a segment"))
            } else {
                Ok(format!("{total} B"))
            }
        }
        (0.., 0..) => Err(format!("retention.ms={ms} and retention.bytes={bytes}: a spec has one of them")),
    }
}

fn write(
    facts: &ClusterFacts,
    options: &ImportOptions,
    topics: &BTreeMap<&str, Topic>,
    left_out: &[(String, String)],
) -> String {
    let mut text = format!(
        "# What cluster {} has: made by klamm import. What it could not know is marked \"guess\": say it, and the plan follows.\n\
         klamm: 1\nservice: {}  # guess\n\ncluster:\n  bootstrap: [{}]\n  brokers: {}\n",
        facts.cluster_id,
        quoted(&options.service),
        options.bootstrap.iter().map(|address| quoted(address)).collect::<Vec<_>>().join(", "),
        facts.brokers.len()
    );
    let racks: BTreeSet<&String> = facts.brokers.iter().filter_map(|broker| broker.rack.as_ref()).collect();
    if !racks.is_empty() {
        let names: Vec<String> = racks.iter().map(|rack| quoted(rack)).collect();
        let _ = writeln!(text, "  racks: [{}]", names.join(", "));
    }
    for (name, why) in left_out {
        let _ = writeln!(text, "# left out: {}: {why}", quoted(name));
    }
    if !topics.is_empty() {
        text.push_str("\ntopics:\n");
    }
    for (name, topic) in topics {
        let _ = write!(
            text,
            "  {}:\n    consistency: {}\n    survive: {{ brokers: {} }}\n    copies: {}\n    partitions: {}\n    retain: {}\n",
            quoted(name),
            if topic.consistency == Consistency::Strong { "strong" } else { "eventual" },
            topic.survives,
            topic.copies,
            topic.partitions,
            topic.retain
        );
        if topic.keyed {
            text.push_str("    key: key  # guess: it is compacted, so records have one\n");
        } else {
            text.push_str("    # key: …  # guess: no order is promised until a key is named\n");
        }
        text.push_str(
            "    # write: { rate: …, record: …, peak: … }  # guess: nobody says how much is written\n",
        );
        if topic.settings.contains_key(APPEND) {
            text.push_str("    timestamps: append\n");
        }
        let mut settings = topic.settings.iter().filter(|(name, _)| *name != APPEND).peekable();
        if settings.peek().is_some() {
            text.push_str("    settings:\n");
        }
        settings.for_each(|(name, value)| text.push_str(&format!("      {name}: {}\n", quoted(value))));
    }
    write_groups(&mut text, options, topics);
    text
}

fn write_groups(text: &mut String, options: &ImportOptions, topics: &BTreeMap<&str, Topic>) {
    let groups: Vec<(&String, Vec<&str>)> = options
        .groups
        .iter()
        .map(|(group, reads)| (group, topics.keys().copied().filter(|name| reads.contains(*name)).collect()))
        .filter(|(_, reads): &(_, Vec<&str>)| !reads.is_empty())
        .collect();
    if !groups.is_empty() {
        text.push_str("\nconsumers:\n");
    }
    for (group, reads) in groups {
        let names: Vec<String> = reads.iter().map(|name| quoted(name)).collect();
        let _ = write!(
            text,
            "  {}:\n    reads: [{}]\n    delivery: at_least_once  # guess\n    # work: {{ p50: …, p99: … }}  # guess: nobody says how long the work takes\n",
            quoted(group),
            names.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use klamm_contract::facts::{BrokerFacts, ConfigFact, PartitionFacts};
    use proptest::prelude::*;

    use super::*;

    fn cluster(topics: Vec<(String, TopicFacts)>) -> ClusterFacts {
        let broker = |id| BrokerFacts {
            id,
            host: "kafka".to_owned(),
            port: 9092,
            rack: None,
            configs: BTreeMap::new(),
        };
        ClusterFacts {
            cluster_id: "c".to_owned(),
            embedded: false,
            brokers: (1..=5).map(broker).collect(),
            topics: topics.into_iter().collect(),
        }
    }

    fn topic(partitions: usize, copies: usize, configs: &[(&str, String)]) -> TopicFacts {
        let replicas =
            |index: usize| (0..copies).map(|copy| ((index + copy) % 5 + 1) as i32).collect::<Vec<_>>();
        let partition = |index: usize| PartitionFacts {
            index: index as i32,
            leader: Some(replicas(index)[0]),
            replicas: replicas(index),
            isr: replicas(index),
        };
        let fact = |(name, value): &(&str, String)| {
            ((*name).to_owned(), ConfigFact { value: Some(value.clone()), source: ConfigSource::Topic })
        };
        TopicFacts {
            id: None,
            internal: false,
            partitions: (0..partitions).map(partition).collect(),
            configs: Some(configs.iter().map(fact).collect()),
        }
    }

    fn options() -> ImportOptions {
        let groups = BTreeMap::from([("g".to_owned(), BTreeSet::from(["t".to_owned(), "gone".to_owned()]))]);
        ImportOptions { service: "s".to_owned(), bootstrap: vec!["kafka:9092".to_owned()], groups }
    }

    #[test]
    fn what_a_spec_cannot_say_is_left_out_with_the_reason() {
        let both = topic(
            1,
            3,
            &[("retention.ms", "86400000".to_owned()), ("retention.bytes", "5000000".to_owned())],
        );
        let fine = topic(6, 3, &[("min.insync.replicas", "2".to_owned())]);
        let imported = import(&cluster(vec![("both".to_owned(), both), ("t".to_owned(), fine)]), &options())
            .expect("a spec");
        assert_eq!(imported.left_out.len(), 1);
        assert!(imported.left_out[0].1.contains("a spec has one of them"), "{imported:?}");
        assert!(
            imported.text.contains("# left out: \"both\"") && imported.text.contains("reads: [\"t\"]"),
            "{}",
            imported.text
        );
        assert!(
            imported.text.contains("consistency: strong\n    survive: { brokers: 1 }"),
            "{}",
            imported.text
        );
    }

    proptest! {
        #[test]
        fn the_plan_of_what_was_imported_changes_nothing(
            partitions in 1..20_usize, copies in 1..6_usize, floor in 1..7_u32, unclean in any::<bool>(),
            retention in prop_oneof![Just(-1_i64), 60_000..1_000_000_000_000_i64], bytes in prop_oneof![Just(-1_i64), (1_i64 << 21)..1 << 40],
            compact in any::<bool>(), largest in 1_000..9_000_000_u32, segment in 600_000..90_000_000_u64, append in any::<bool>(),
        ) {
            let mut configs = vec![
                ("min.insync.replicas", floor.to_string()),
                ("unclean.leader.election.enable", unclean.to_string()),
                ("max.message.bytes", largest.to_string()),
                ("segment.ms", segment.to_string()),
                ("retention.ms", retention.to_string()),
            ];
            if retention < 0 {
                configs.push(("retention.bytes", bytes.to_string()));
            }
            if compact {
                configs.push(("cleanup.policy", "compact".to_owned()));
            }
            if append {
                configs.push(("message.timestamp.type", "LogAppendTime".to_owned()));
            }
            let facts = cluster(vec![("t".to_owned(), topic(partitions, copies, &configs))]);
            let imported = import(&facts, &options()).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            prop_assert_eq!(&imported.left_out, &Vec::new());
            let set = SpecSet::from(parse("klamm.yaml", &imported.text).map_err(|p| TestCaseError::fail(format!("{p:?}")))?);
            let plan = plan(&set, &PlanOptions { facts: Some(&facts), ..PlanOptions::default() })
                .map_err(|p| TestCaseError::fail(format!("{p:?}")))?;
            prop_assert_eq!(diff(&plan, &facts).changes, Vec::new());
        }
    }
}
