//! Two plans beside each other: what changes, what it does to those who run, and what it costs.

use std::collections::BTreeMap;

use klamm_contract::{Layer, Order};
use klamm_kafka::{UpdateMode, topic_config, update_mode};
use serde::Serialize;

use crate::plan::{Plan, TopicPlan};
use crate::{Risk, Setting, risk_of, text};

/// What changes from one plan to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Changes, by what they are about.
    pub changes: Vec<PlanChange>,
    /// Figures of the brokers that move: what, before, after, unit.
    pub figures: Vec<FigureChange>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanChange {
    /// What it is about: `topic orders.events`, `group order-view`, `brokers`.
    pub what: String,
    /// Setting, or `added` and `removed`.
    pub setting: String,
    /// Value before; `None` when there was none.
    pub from: Option<String>,
    /// Value after; `None` when there is none.
    pub to: Option<String>,
    /// What it does.
    pub effect: Risk,
    /// The cost in words, where there is one.
    pub cost: Option<String>,
}

/// One figure that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FigureChange {
    /// What is counted.
    pub what: String,
    /// Before.
    pub from: u64,
    /// After.
    pub to: u64,
    /// `bytes`, `bytes/s`, `seconds`, `percent`, or what is counted.
    pub unit: String,
}

/// What changes from `old` to `new`.
pub fn compare(old: &Plan, new: &Plan) -> Comparison {
    let mut changes = Vec::new();
    for topic in &old.topics {
        let what = format!("topic {}", topic.name());
        match new.topic(topic.name()) {
            Some(now) => settings(&what, (&topic.settings, &now.settings), Some((topic, now)), &mut changes),
            None => changes
                .push(gone(&what, "the topic stays until somebody deletes it: klamm never deletes unasked")),
        }
    }
    for topic in new.topics.iter().filter(|topic| old.topic(topic.name()).is_none()) {
        let disk = topic
            .sizing
            .disk
            .total_bytes
            .map(|bytes| format!("{} of disk when it is full", text::bytes(bytes.into())));
        changes.push(added(format!("topic {}", topic.name()), disk));
    }
    let groups = |plan: &Plan| -> BTreeMap<String, Vec<Setting>> {
        let consumers =
            plan.consumers.iter().map(|c| (format!("group {}", c.contract.group), c.settings.clone()));
        consumers
            .chain(
                plan.streams.iter().map(|s| (format!("application {}", s.application), s.settings.clone())),
            )
            .collect()
    };
    let (before, after) = (groups(old), groups(new));
    for (what, was) in &before {
        match after.get(what) {
            Some(now) => settings(what, (was, now), None, &mut changes),
            None => changes.push(gone(what, "its offsets stay until they expire")),
        }
    }
    changes.extend(
        after.keys().filter(|what| !before.contains_key(*what)).map(|what| added(what.clone(), None)),
    );
    settings("brokers", (&old.brokers, &new.brokers), None, &mut changes);
    let figures = old.capacity.figures.iter().filter_map(|was| {
        let now = new.capacity.figures.iter().find(|now| now.what == was.what && now.value != was.value)?;
        Some(FigureChange { what: was.what.clone(), from: was.value, to: now.value, unit: was.unit.clone() })
    });
    Comparison { changes, figures: figures.collect() }
}

fn gone(what: &str, why: &str) -> PlanChange {
    let (what, cost) = (what.to_owned(), Some(why.to_owned()));
    PlanChange { what, setting: "removed".to_owned(), from: None, to: None, effect: Risk::Safe, cost }
}

fn added(what: String, cost: Option<String>) -> PlanChange {
    PlanChange { what, setting: "added".to_owned(), from: None, to: None, effect: Risk::Safe, cost }
}

fn settings(
    what: &str,
    (old, new): (&[Setting], &[Setting]),
    topics: Option<(&TopicPlan, &TopicPlan)>,
    changes: &mut Vec<PlanChange>,
) {
    let find = |settings: &[Setting], one: &Setting| -> Option<String> {
        let same = settings.iter().find(|other| other.layer == one.layer && other.name == one.name);
        same.map(|setting| setting.value.clone())
    };
    let removed = old.iter().filter(|one| find(new, one).is_none());
    for setting in new.iter().chain(removed) {
        let (from, to) = (find(old, setting), find(new, setting));
        if from == to {
            continue;
        }
        let effect = effect(setting, from.as_deref(), to.as_deref(), topics);
        let cost = topics.and_then(|topics| cost(&setting.name, effect, topics));
        changes.push(PlanChange {
            what: what.to_owned(),
            setting: setting.name.clone(),
            from,
            to,
            effect,
            cost,
        });
    }
}

fn effect(
    setting: &Setting,
    from: Option<&str>,
    to: Option<&str>,
    topics: Option<(&TopicPlan, &TopicPlan)>,
) -> Risk {
    match setting.layer {
        Layer::Producer | Layer::Consumer | Layer::Streams | Layer::Mirror => Risk::RestartsClients,
        Layer::Broker | Layer::Controller => match update_mode(&setting.name) {
            UpdateMode::ReadOnly => Risk::NeedsBrokerRestart,
            UpdateMode::ClusterWide | UpdateMode::PerBroker => Risk::Safe,
        },
        Layer::Topic => match (setting.name.as_str(), topics) {
            ("partitions", Some((_, now))) if now.contract.order != Order::None => Risk::MovesKeys,
            ("replication.factor", _) => Risk::CopiesData,
            // What is unset is Kafka's default again.
            (name, _) => {
                let default = topic_config(name).map_or("", |config| config.default);
                risk_of(name, from.or(Some(default)), to.unwrap_or(default))
            }
        },
    }
}

fn cost(name: &str, effect: Risk, (old, new): (&TopicPlan, &TopicPlan)) -> Option<String> {
    let disk = |topic: &TopicPlan| topic.sizing.disk.total_bytes;
    match effect {
        Risk::CopiesData => {
            let (was, now) =
                (old.contract.layer_topic.replication_factor, new.contract.layer_topic.replication_factor);
            let copied = disk(old)? / u64::from(was.max(1)) * u64::from(now.saturating_sub(was));
            Some(if copied == 0 {
                "copies are dropped".to_owned()
            } else {
                format!("{} to copy", text::bytes(copied.into()))
            })
        }
        Risk::LosesData => {
            let less = disk(old)?.checked_sub(disk(new)?)?;
            Some(format!(
                "up to {} over all copies go; klamm apply counts the records",
                text::bytes(less.into())
            ))
        }
        Risk::MovesKeys => Some("refused in place: klamm apply says how to do it".to_owned()),
        Risk::Safe if name.starts_with("retention") => {
            let more = disk(new)?.checked_sub(disk(old)?)?;
            Some(format!("{} more disk when it is full", text::bytes(more.into())))
        }
        _ => None,
    }
}
