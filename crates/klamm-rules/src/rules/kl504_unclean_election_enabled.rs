//! A copy that lacks records may become the leader.
//!
//! ## What it does
//! Looks for `unclean.leader.election.enable=true` at every layer: a topic, all brokers, one broker, a file of a broker, a file that declares a topic. What
//! topics inherit from brokers is one finding, with the topics.
//!
//! ## Why it hurts
//! When all in-sync replicas are gone, one that was behind takes over, and what it had not copied is deleted everywhere, although it was
//! acknowledged with acks=all. Consumers see offsets jump back.
//!
//! ## Example
//!     unclean.leader.election.enable=true
//!
//! ## Use instead
//!     unclean.leader.election.enable=false
//!
//! ## Severity
//! Error where the data is strong, info where a topic of eventual data sets it itself, else warning.
//!
//! ## References
//! - KIP-106: the default is false since 0.11; KIP-966: eligible leader replicas

use klamm_contract::facts::ConfigSource;
use klamm_plan::{Change, ChangeKind, Risk};

use crate::brokers::{Wanted, report, values};
use crate::check::{Cx, Out};
use crate::cluster::topics_text;
use crate::finding::{Finding, Fix, Severity};
use crate::lines::replace;
use crate::text::value;

const NAME: &str = "unclean.leader.election.enable";
const LOST: &str =
    "when its in-sync copies are gone, acknowledged records that another copy had not fetched are deleted";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let mut inherited = Vec::new();
    if let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) {
        for (name, topic) in topics {
            let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else {
                continue;
            };
            if value(configs, NAME).is_none() {
                out.unclear(&format!("topic {name}"), format!("{NAME} was not told"));
                continue;
            }
            out.judged();
            match (value(configs, NAME), configs.get(NAME).map(|fact| fact.source)) {
                (Some("true"), Some(ConfigSource::Topic)) => own(cx, out, name),
                (Some("true"), _) => inherited.push(name.as_str()),
                _ => {}
            }
        }
    }
    if let Some(files) = out.see("configuration files", &cx.evidence.files) {
        for file in &files.topics {
            out.judged();
            let set = file.configs.get(NAME).filter(|setting| setting.value.as_deref() == Some("true"));
            let Some(setting) = set else { continue };
            let (place, weight) = (&setting.place, cx.weight(&file.topic));
            let subject = format!("topic {} in {}", file.topic, file.place.file);
            out.found(
                Finding::new(
                    weight.choose(Severity::Error, Severity::Info),
                    subject,
                    "it allows unclean elections",
                )
                .fact(NAME, "true", place.to_string())
                .consequence(LOST)
                .fix(replace(Fix::new("forbid unclean elections", Risk::Safe), setting, NAME, "false"))
                .next("may acknowledged records of this topic be lost? Then say so in the spec")
                .at(place)
                .weighed(weight),
            );
        }
    }
    brokers(cx, out, &inherited);
}

fn own(cx: &Cx<'_>, out: &mut Out, name: &str) {
    let weight = cx.weight(name);
    let kind = ChangeKind::SetConfig {
        name: NAME.to_owned(),
        from: Some("true".to_owned()),
        to: "false".to_owned(),
        from_source: Some(ConfigSource::Topic),
    };
    let fix = Fix::new(format!("forbid unclean elections of topic {name}"), Risk::Safe)
        .command(cx.set_topic(name, NAME, "false"))
        .undo(cx.set_topic(name, NAME, "true"))
        .change(Change { topic: name.to_owned(), kind, risk: Risk::Safe });
    out.found(
        Finding::new(
            weight.choose(Severity::Error, Severity::Info),
            format!("topic {name}"),
            "it allows unclean elections",
        )
        .fact(NAME, "true", "set on the topic")
        .consequence(LOST)
        .fix(fix)
        .next(format!("kafka-topics.sh --bootstrap-server {} --describe --topic {name}", cx.bootstrap()))
        .weighed(weight),
    );
}

fn brokers(cx: &Cx<'_>, out: &mut Out, inherited: &[&str]) {
    let mut bad = Vec::new();
    for value in values(cx, out, NAME, "false") {
        out.judged();
        if value.is_true() {
            bad.push(value);
        }
    }
    let names: Vec<String> = inherited.iter().map(|name| (*name).to_owned()).collect();
    let weight = cx.weight_of_all(&names);
    // Nobody may have asked a cluster which topics there are.
    let seen = cx.evidence.live.topics.value().is_some();
    let wanted = Wanted {
        name: NAME,
        to: "false",
        severity: weight.choose(Severity::Error, Severity::Warning),
        what: "brokers allow unclean elections of every topic that does not forbid them".to_owned(),
        consequence: match seen {
            true => format!("{} can lose records: {LOST}", topics_text(inherited)),
            false => format!("topics that inherit it can lose records: {LOST}"),
        },
        risk: Risk::Safe,
        next: format!(
            "kafka-topics.sh --bootstrap-server {} --describe --at-min-isr-partitions",
            cx.bootstrap()
        ),
    };
    report(cx, out, &bad, &wanted, |finding| {
        let finding = finding.weighed(weight.clone());
        match seen {
            true => {
                finding.fact("topics that inherit it", topics_text(inherited), "live configuration of topics")
            }
            false => finding,
        }
    });
}
