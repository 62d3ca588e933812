//! Throttles of a move are still there after it.
//!
//! ## What it does
//! With no reassignment running, looks for `leader.replication.throttled.rate`, `follower.replication.throttled.rate` and
//! `replica.alter.log.dirs.io.max.bytes.per.second` of brokers, and for `leader.replication.throttled.replicas` and `follower.replication.throttled.replicas`
//! of topics. While a reassignment runs, they are in use.
//!
//! ## Why it hurts
//! Kafka's tool takes them away only when `--verify` is run after the move. Until then the copies that are listed catch up no faster than
//! that: after a restart they stay out of the in-sync set for hours, and the next move of those topics crawls.
//!
//! ## Example
//!     follower.replication.throttled.rate=1000000 on broker 2, follower.replication.throttled.replicas=0:2 on topic orders
//!
//! ## Use instead
//!     kafka-reassign-partitions.sh --verify, or delete the four configurations
//!
//! ## Severity
//! Warning where rate and list meet, else info: one without the other throttles nothing now.
//!
//! ## References
//! - KIP-73: replication quotas

use klamm_contract::facts::ConfigSource;
use klamm_plan::{Change, ChangeKind, Risk};

use crate::brokers::of_broker;
use crate::check::{Cx, Out};
use crate::cluster::topics_text;
use crate::evidence::Configs;
use crate::finding::{Finding, Fix, Severity};
use crate::text::source_of;

const RATES: [&str; 3] = [
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];
const LISTS: [&str; 2] = ["follower.replication.throttled.replicas", "leader.replication.throttled.replicas"];

/// A rate that somebody set at run time: where (`None` is all brokers), name, value, layer in words.
type Rate<'a> = (Option<i32>, &'static str, &'a str, &'static str);

/// A topic with lists of throttled replicas.
type Lists<'a> = (&'a str, Vec<(&'static str, &'a str)>);

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    let Some(moves) = out.see("reassignments", &live.reassignments) else { return };
    let Some(brokers) = out.see("brokers of the cluster", &live.brokers) else { return };
    let Some(topics) = out.see("topics of the cluster", &live.topics) else { return };
    let mut rates: Vec<Rate<'_>> = Vec::new();
    for broker in brokers {
        let Some(configs) = out.see(&format!("configuration of broker {}", broker.id), &broker.configs)
        else {
            continue;
        };
        out.judged();
        for rate in rates_of(broker.id, configs) {
            if !rates.contains(&rate) {
                rates.push(rate);
            }
        }
    }
    let mut lists: Vec<Lists<'_>> = Vec::new();
    for (name, topic) in topics {
        let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else {
            continue;
        };
        out.judged();
        let set = LISTS.iter().filter_map(|list| {
            let fact = configs.get(*list).filter(|fact| fact.source == ConfigSource::Topic)?;
            Some((*list, fact.value.as_deref().filter(|value| !value.is_empty())?))
        });
        let set: Vec<_> = set.collect();
        if !set.is_empty() {
            lists.push((name, set));
        }
    }
    if moves.is_empty() && (!rates.is_empty() || !lists.is_empty()) {
        found(cx, out, &rates, &lists);
    }
}

fn rates_of(id: i32, configs: &Configs) -> Vec<Rate<'_>> {
    let set = RATES.iter().filter_map(|name| {
        let fact = configs.get(*name)?;
        let home = match fact.source {
            ConfigSource::DynamicBroker => Some(id),
            ConfigSource::DynamicDefaultBroker => None,
            _ => return None,
        };
        Some((home, *name, fact.value.as_deref()?, source_of(configs, name)))
    });
    set.collect()
}

fn found(cx: &Cx<'_>, out: &mut Out, rates: &[Rate<'_>], lists: &[Lists<'_>]) {
    let both = !rates.is_empty() && !lists.is_empty();
    let mut finding = Finding::new(
        if both { Severity::Warning } else { Severity::Info },
        "cluster",
        "throttles are left without a move",
    );
    for (home, name, value, source) in rates.iter().take(12) {
        let source = home.map_or((*source).to_owned(), |id| format!("broker {id}, {source}"));
        finding = finding.fact(*name, *value, source);
    }
    for (topic, set) in lists.iter().take(12) {
        for (name, value) in set {
            finding = finding.fact(*name, cut(value), format!("set on topic {topic}"));
        }
    }
    let names: Vec<&str> = lists.iter().map(|(name, _)| *name).collect();
    let consequence = match (rates.is_empty(), names.is_empty()) {
        (false, false) => format!(
            "copies of {} catch up no faster than that after a restart, and stay out of sync meanwhile",
            topics_text(&names)
        ),
        (true, false) => {
            format!("the next rate that somebody sets slows copies of {} down, too", topics_text(&names))
        }
        _ => "the next move is throttled to this rate, whatever it asks for".to_owned(),
    };
    out.found(
        finding
            .consequence(consequence)
            .fix(fix(cx, rates, lists))
            .next(format!("kafka-reassign-partitions.sh --bootstrap-server {} --list", cx.bootstrap())),
    );
}

/// A value for people: lists of replicas can be long.
fn cut(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((at, _)) => format!("{} …", &value[..at]),
        None => value.to_owned(),
    }
}

fn fix(cx: &Cx<'_>, rates: &[Rate<'_>], lists: &[Lists<'_>]) -> Fix {
    let mut fix = Fix::new("take the throttles away", Risk::Safe);
    let mut homes: Vec<Option<i32>> = rates.iter().map(|(home, ..)| *home).collect();
    homes.sort_unstable();
    homes.dedup();
    for home in homes {
        let here: Vec<_> = rates.iter().filter(|(at, ..)| *at == home).collect();
        let names = here.iter().map(|(_, name, ..)| *name).collect::<Vec<_>>().join(",");
        let back =
            here.iter().map(|(_, name, value, _)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
        fix =
            match home {
                Some(id) => fix
                    .command(of_broker(cx, id, &format!("--delete-config {names}")))
                    .undo(of_broker(cx, id, &format!("--add-config {back}"))),
                None => here.iter().fold(fix, |fix, (_, name, value, _)| {
                    fix.command(cx.unset_brokers(name)).undo(cx.set_brokers(name, value))
                }),
            };
    }
    for (topic, set) in lists {
        let names = set.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",");
        fix = fix.command(cx.unset_topic(topic, &names));
        fix = set.iter().fold(fix, |fix, (name, value)| fix.undo(cx.set_topic(topic, name, value)));
    }
    changes(rates, lists).into_iter().fold(fix, Fix::change)
}

/// The same for apply: it takes away the lists of a topic, and from each broker a rate that it is told.
fn changes(rates: &[Rate<'_>], lists: &[Lists<'_>]) -> Vec<Change> {
    let own: Vec<(i32, u64)> = rates
        .iter()
        .filter(|(_, name, ..)| *name != RATES[2])
        .filter_map(|(home, _, value, _)| Some(((*home)?, value.parse().ok()?)))
        .collect();
    let mut values: Vec<u64> = own.iter().map(|(_, rate)| *rate).collect();
    values.sort_unstable();
    values.dedup();
    if values.is_empty() {
        values.push(0);
    }
    let change = |topic: &str, throttle: u64| {
        let mut brokers: Vec<i32> =
            own.iter().filter(|(_, rate)| *rate == throttle).map(|(id, _)| *id).collect();
        brokers.sort_unstable();
        brokers.dedup();
        let kind = ChangeKind::Unthrottle { brokers, throttle };
        Change { topic: topic.to_owned(), kind, risk: Risk::Safe }
    };
    let Some((first, _)) = lists.first() else { return Vec::new() };
    let mut all: Vec<Change> = values.iter().map(|rate| change(first, *rate)).collect();
    all.extend(lists.iter().skip(1).map(|(topic, _)| change(topic, values.first().copied().unwrap_or(0))));
    all
}
