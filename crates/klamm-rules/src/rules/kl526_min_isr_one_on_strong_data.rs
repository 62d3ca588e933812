//! Records that may not be lost are acknowledged with a single copy.
//!
//! ## What it does
//! Looks for `min.insync.replicas=1` on topics with more than one copy whose data is strong: by a spec that asks them to survive a broker, or inferred from
//! transactions, compaction and names. Live topics of a spec are KL104's, Kafka's own topics are left alone. Of files: topics that they declare, and brokers
//! that give new topics several copies and a floor of one. Where more than three topics have the floor from the brokers, that is one finding, fixed there.
//!
//! ## Why it hurts
//! `acks=all` waits for the copies that are in sync, and with a floor of one the leader alone is enough. While the others are behind or down, every
//! acknowledged record is on one disk: the next loss takes it, and nobody was refused a write that would have told of it.
//!
//! ## Example
//!     replication.factor=3, min.insync.replicas=1
//!
//! ## Use instead
//!     replication.factor=3, min.insync.replicas=2
//!
//! ## Severity
//! Error where a spec says that the data is strong, warning where it is inferred or where brokers make topics so.
//!
//! ## References
//! - Apache Kafka, topic configuration `min.insync.replicas`

use klamm_contract::facts::ConfigSource;
use klamm_plan::Risk;

use crate::amend::set_topic;
use crate::brokers::{Wanted, change_file, file_fix, file_values, live_values, report, subject};
use crate::check::{Cx, Out};
use crate::cluster::{copies, topics_text};
use crate::evidence::{BrokerFile, Topic, TopicFile};
use crate::finding::{Finding, Fix, Severity, Weight};
use crate::text::{number, source_of};

const FLOOR: &str = "min.insync.replicas";
const COPIES: &str = "default.replication.factor";
const SO: &str = "while its other copies are behind, an acknowledged record is on one disk, and lost with it";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) {
        let low: Vec<_> = topics.iter().filter(|(name, topic)| is_low(cx, out, name, topic)).collect();
        let (own, inherited): (Vec<_>, Vec<_>) = low
            .into_iter()
            .partition(|(_, topic)| source(topic).is_none_or(|from| from == ConfigSource::Topic));
        own.iter().for_each(|(name, topic)| alone(cx, out, name, topic));
        let names: Vec<&str> = inherited.iter().map(|(name, _)| name.as_str()).collect();
        let values = if names.len() > 3 { live_values(cx, out, FLOOR) } else { Vec::new() };
        let values: Vec<_> = values.into_iter().filter(|value| value.number() == Some(1)).collect();
        match values.is_empty() {
            true => inherited.iter().for_each(|(name, topic)| alone(cx, out, name, topic)),
            false => {
                let wanted = Wanted {
                    name: FLOOR,
                    to: "2",
                    severity: Severity::Warning,
                    what: format!("brokers let {} be acknowledged with one copy", topics_text(&names)),
                    consequence: SO.to_owned(),
                    risk: Risk::RefusesWrites,
                    next: "klamm explain KL507".to_owned(),
                };
                report(cx, out, &values, &wanted, |finding| {
                    finding.fact(
                        "topics that inherit it",
                        topics_text(&names),
                        "live configuration of topics",
                    )
                });
            }
        }
    }
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return };
    files.topics.iter().for_each(|file| check_file(cx, out, file));
    files
        .brokers
        .iter()
        .filter(|file| crate::brokers::is_broker(file))
        .for_each(|file| check_broker(out, file));
}

fn source(topic: &Topic) -> Option<ConfigSource> {
    topic.configs.value().and_then(|configs| configs.get(FLOOR)).map(|fact| fact.source)
}

/// The data is strong, and no spec says that it need not survive the loss of a broker.
fn counts(cx: &Cx<'_>, name: &str) -> Option<Weight> {
    let promise = cx.evidence.spec.value().and_then(|spec| spec.topics.get(name));
    let weight = cx.weight(name);
    (weight.strong && promise.is_none_or(|promise| promise.survive_brokers > 0)).then_some(weight)
}

fn is_low(cx: &Cx<'_>, out: &mut Out, name: &str, topic: &Topic) -> bool {
    let promised = cx.evidence.spec.value().is_some_and(|spec| spec.topics.contains_key(name));
    if promised || topic.internal || name.starts_with("__") || copies(topic) < 2 {
        return false;
    }
    let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else {
        return false;
    };
    let Some(floor) = number(configs, FLOOR) else {
        out.unclear(&format!("topic {name}"), format!("{FLOOR} was not told"));
        return false;
    };
    out.judged();
    floor <= 1 && counts(cx, name).is_some()
}

fn severity(weight: &Weight) -> Severity {
    if weight.inferred.is_none() { Severity::Error } else { Severity::Warning }
}

fn alone(cx: &Cx<'_>, out: &mut Out, name: &str, topic: &Topic) {
    let (Some(configs), copies, weight) = (topic.configs.value(), copies(topic), cx.weight(name)) else {
        return;
    };
    let mut fix = Fix::new(format!("raise {FLOOR} of topic {name} to 2"), Risk::RefusesWrites);
    if copies < 3 {
        fix = fix.ask(
            "give it a third copy first, else one broker that restarts stops the writes: klamm explain KL501",
        );
    }
    let fix = set_topic(cx, fix, name, configs, FLOOR, "2");
    out.found(
        Finding::new(
            severity(&weight),
            format!("topic {name}"),
            format!("{FLOOR} is 1 with {copies} copies"),
        )
        .fact(FLOOR, "1", source_of(configs, FLOOR))
        .fact("copies", copies.to_string(), "placement of the topic")
        .consequence(SO)
        .fix(fix)
        .next(format!("klamm can-stop --bootstrap {} 1", cx.bootstrap()))
        .weighed(weight),
    );
}

/// The floor that brokers of the files give to a topic that has none; `None` when that is not known.
fn given(cx: &Cx<'_>) -> Option<i64> {
    let mut unseen = Out::new("");
    let values = file_values(cx, &mut unseen, FLOOR, "1");
    let numbers: Option<Vec<i64>> = values.iter().map(|value| value.number()).collect();
    numbers.filter(|_| unseen.all_seen()).and_then(|numbers| numbers.into_iter().min())
}

fn check_file(cx: &Cx<'_>, out: &mut Out, file: &TopicFile) {
    let subject = format!("topic {} in {}", file.topic, file.place.file);
    let Some(weight) = counts(cx, &file.topic) else { return out.judged() };
    let setting = file.configs.get(FLOOR);
    let floor = match setting {
        Some(setting) => setting.value.as_deref().and_then(|value| value.trim().parse::<i64>().ok()),
        None => given(cx),
    };
    let (Some(floor), Some(copies)) = (floor, file.replication_factor) else {
        return out.unclear(&subject, format!("its {FLOOR} or its number of copies is not told there"));
    };
    out.judged();
    if copies < 2 || floor > 1 {
        return;
    }
    let place = setting.map_or(&file.place, |setting| &setting.place);
    let source = if setting.is_some() { place.to_string() } else { "the brokers of these files".to_owned() };
    let fix = Fix::new(format!("raise {FLOOR} to 2"), Risk::RefusesWrites);
    out.found(
        Finding::new(severity(&weight), subject, format!("{FLOOR} is 1 with {copies} copies"))
            .fact(FLOOR, "1", source)
            .fact("copies", copies.to_string(), file.place.to_string())
            .consequence(SO)
            .fix(change_file(fix, &file.configs, &file.place, FLOOR, "2"))
            .next(format!("klamm can-stop --bootstrap {} 1", cx.bootstrap()))
            .at(place)
            .weighed(weight),
    );
}

/// New topics get several copies there, and are acknowledged with one.
fn check_broker(out: &mut Out, file: &BrokerFile) {
    let told = |name: &str| {
        let setting = file.settings.get(name)?;
        Some((setting, setting.value.as_deref()?.trim().parse::<i64>().ok()?))
    };
    let Some((setting, floor)) = told(FLOOR) else {
        if file.open || file.settings.contains_key(FLOOR) {
            out.unclear(&subject(file), format!("{FLOOR} may be set where nobody looked"));
        }
        return;
    };
    let Some((copies_setting, copies)) = told(COPIES) else {
        if file.open || file.settings.contains_key(COPIES) {
            out.unclear(&subject(file), format!("{COPIES} may be set where nobody looked"));
        }
        return;
    };
    out.judged();
    if copies < 2 || floor > 1 {
        return;
    }
    out.found(
        Finding::new(
            Severity::Warning,
            subject(file),
            format!("{FLOOR} is {floor} where new topics get {copies} copies"),
        )
        .fact(FLOOR, floor.to_string(), setting.place.to_string())
        .fact(COPIES, copies.to_string(), copies_setting.place.to_string())
        .consequence("topics that say nothing else are acknowledged with one copy, and lose records with it")
        .fix(file_fix(file, Some(setting), FLOOR, "2"))
        .next("which topics may lose records? They can have a floor of their own")
        .at(&setting.place),
    );
}
