//! A topic's floor of in-sync replicas is as high as its number of copies.
//!
//! ## What it does
//! Compares `min.insync.replicas` of each topic (`live`, or a topic that a file declares) with its number of copies, and in files of brokers with
//! `default.replication.factor`. Kafka's effective floor is the lower of both (KAFKA-15583), so a floor above the copies counts as equal. Topics with
//! one copy are KL501's. Where more than three topics have the floor from the brokers, that is one finding, fixed there.
//!
//! ## Why it hurts
//! With as many in-sync replicas demanded as there are copies, one broker that restarts is enough: every write with
//! `acks=all` is refused with `NOT_ENOUGH_REPLICAS` until it is back. It makes no record safer than a floor of one less
//! does while a broker is down, because then nothing is accepted at all.
//!
//! ## Example
//!     replication.factor=3, min.insync.replicas=3
//!
//! ## Use instead
//!     replication.factor=3, min.insync.replicas=2
//!
//! ## Severity
//! Error where the data is strong, warning where it is eventual: availability is lost, no record.
//!
//! ## References
//! - Apache Kafka, topic configuration `min.insync.replicas`

use std::collections::BTreeSet;

use klamm_contract::facts::ConfigSource;
use klamm_plan::{Change, ChangeKind, Risk};

use crate::brokers::{Wanted, file_fix, live_values, report, subject};
use crate::check::{Cx, Out};
use crate::cluster::{copies, topics_text};
use crate::evidence::{BrokerFile, Topic, TopicFile};
use crate::finding::{Finding, Fix, Severity};
use crate::lines::replace;
use crate::text::{number, source_of};

const FLOOR: &str = "min.insync.replicas";

/// A topic whose floor is too high.
struct High<'a> {
    name: &'a str,
    topic: &'a Topic,
    floor: i64,
    copies: usize,
    source: Option<ConfigSource>,
}

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) {
        let (mut high, mut least) = (Vec::new(), usize::MAX);
        for (name, topic) in topics {
            let (copies, found) = (copies(topic), check_topic(out, name, topic));
            // The most copies of a topic that has its floor from the brokers and is right with it.
            if copies >= 2 && found.is_none() && !is_own(topic) {
                least = least.min(copies);
            }
            high.extend(found);
        }
        layer(cx, out, high, least);
    }
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return };
    files.topics.iter().for_each(|file| check_file(cx, out, file));
    files.brokers.iter().for_each(|file| check_broker(cx, out, file));
}

fn is_own(topic: &Topic) -> bool {
    let fact = topic.configs.value().and_then(|configs| configs.get(FLOOR));
    fact.is_none_or(|fact| fact.source == ConfigSource::Topic)
}

fn check_topic<'a>(out: &mut Out, name: &'a str, topic: &'a Topic) -> Option<High<'a>> {
    let copies = copies(topic);
    if copies < 2 {
        return None;
    }
    let configs = out.see(&format!("configuration of topic {name}"), &topic.configs)?;
    let Some(floor) = number(configs, FLOOR) else {
        out.unclear(&format!("topic {name}"), format!("{FLOOR} was not told"));
        return None;
    };
    out.judged();
    let source = configs.get(FLOOR).map(|fact| fact.source);
    (floor >= copies as i64).then_some(High { name, topic, floor, copies, source })
}

/// One finding where the brokers are the cause for many topics, and lowering it there lowers nothing that is right.
fn layer(cx: &Cx<'_>, out: &mut Out, high: Vec<High<'_>>, right: usize) {
    let (own, inherited): (Vec<_>, Vec<_>) =
        high.into_iter().partition(|one| one.source.is_none_or(|source| source == ConfigSource::Topic));
    own.iter().for_each(|one| alone(cx, out, one));
    let counts: BTreeSet<usize> = inherited.iter().map(|one| one.copies).collect();
    let same = counts.first().filter(|_| counts.len() == 1 && inherited.len() > 3 && right == usize::MAX);
    let values = if same.is_some() { live_values(cx, out, FLOOR) } else { Vec::new() };
    let Some(copies) = same.filter(|_| !values.is_empty()) else {
        return inherited.iter().for_each(|one| alone(cx, out, one));
    };
    let names: Vec<&str> = inherited.iter().map(|one| one.name).collect();
    let weight = cx.weight_of_all(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let wanted = Wanted {
        name: FLOOR,
        to: &(copies - 1).to_string(),
        severity: weight.choose(Severity::Error, Severity::Warning),
        what: format!("brokers demand as many in-sync replicas as topics have copies ({copies})"),
        consequence: format!(
            "losing any one broker that has a copy stops writes with acks=all to {}",
            topics_text(&names)
        ),
        risk: Risk::Safe,
        next: format!("klamm can-stop --bootstrap {} 1", cx.bootstrap()),
    };
    report(cx, out, &values, &wanted, |finding| {
        finding
            .fact("topics that inherit it", topics_text(&names), "live configuration of topics")
            .weighed(weight.clone())
    });
}

fn alone(cx: &Cx<'_>, out: &mut Out, high: &High<'_>) {
    let High { name, topic, floor, copies, source } = high;
    let weight = cx.weight(name);
    let lower = (copies - 1).to_string();
    let own = *source == Some(ConfigSource::Topic);
    let kind = ChangeKind::SetConfig {
        name: FLOOR.to_owned(),
        from: Some(floor.to_string()),
        to: lower.clone(),
        from_source: *source,
    };
    let fix = Fix::new(format!("lower {FLOOR} of topic {name} to {lower}"), Risk::Safe)
        .command(cx.set_topic(name, FLOOR, &lower))
        .undo(if own { cx.set_topic(name, FLOOR, &floor.to_string()) } else { cx.unset_topic(name, FLOOR) })
        .change(Change { topic: (*name).to_owned(), kind, risk: Risk::Safe });
    let what = format!("{FLOOR} is {floor} with {copies} copies");
    let source = topic.configs.value().map_or("not told", |configs| source_of(configs, FLOOR));
    out.found(
        Finding::new(weight.choose(Severity::Error, Severity::Warning), format!("topic {name}"), what)
            .fact(FLOOR, floor.to_string(), source)
            .fact("copies", copies.to_string(), "placement of the topic")
            .consequence(format!(
                "losing any one broker that has a copy stops writes with acks=all to {name}"
            ))
            .fix(fix)
            .next(format!("klamm can-stop --bootstrap {} 1", cx.bootstrap()))
            .weighed(weight),
    );
}

fn check_file(cx: &Cx<'_>, out: &mut Out, file: &TopicFile) {
    let Some(setting) = file.configs.get(FLOOR) else { return };
    let subject = format!("topic {} in {}", file.topic, file.place.file);
    let floor = setting.value.as_deref().and_then(|value| value.trim().parse::<u32>().ok());
    let (Some(floor), Some(copies)) = (floor, file.replication_factor) else {
        return out.unclear(&subject, format!("{FLOOR} or the number of copies is no constant there"));
    };
    out.judged();
    if copies < 2 || floor < copies {
        return;
    }
    let (place, weight) = (&setting.place, cx.weight(&file.topic));
    let fix = Fix::new(format!("lower {FLOOR} to {}", copies - 1), Risk::Safe);
    out.found(
        Finding::new(
            weight.choose(Severity::Error, Severity::Warning),
            subject,
            format!("{FLOOR} is {floor} with {copies} copies"),
        )
        .fact(FLOOR, floor.to_string(), place.to_string())
        .fact("copies", copies.to_string(), file.place.to_string())
        .consequence(format!(
            "losing any one broker that has a copy stops writes with acks=all to {}",
            file.topic
        ))
        .fix(replace(fix, setting, FLOOR, &(copies - 1).to_string()))
        .next(format!("klamm can-stop --bootstrap {} 1", cx.bootstrap()))
        .at(place)
        .weighed(weight),
    );
}

fn check_broker(cx: &Cx<'_>, out: &mut Out, file: &BrokerFile) {
    let get = |name: &str| {
        let setting = file.settings.get(name)?;
        Some((setting, setting.value.as_deref()?.trim().parse::<u32>().ok()?))
    };
    // Kafka's defaults are 1 and 1, so that a floor of two with one copy accepts writes: KL501's.
    let Some((setting, floor)) = get(FLOOR) else { return };
    let Some((copies_setting, copies)) = get("default.replication.factor") else { return };
    out.judged();
    if copies < 2 || floor < copies {
        return;
    }
    out.found(
        Finding::new(
            Severity::Warning,
            subject(file),
            format!("{FLOOR} is {floor} where new topics get {copies} copies"),
        )
        .fact(FLOOR, floor.to_string(), setting.place.to_string())
        .fact("default.replication.factor", copies.to_string(), copies_setting.place.to_string())
        .consequence(
            "losing any one broker stops writes with acks=all to every topic that is created with defaults",
        )
        .fix(file_fix(file, Some(setting), FLOOR, &(copies - 1).to_string()))
        .next(format!("klamm can-stop --bootstrap {} 1", cx.bootstrap()))
        .at(&setting.place),
    );
}
