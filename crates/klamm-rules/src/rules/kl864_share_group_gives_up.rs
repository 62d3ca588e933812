//! A share group on strong data gives a record up after few attempts, and keeps it nowhere.
//!
//! ## What it does
//! Reads how often a share group delivers a record before it is archived (`share.delivery.count.limit` of the group, `group.share.delivery.count.limit` of the brokers: 5 by default) and fires where a topic that it reads is strong by the spec.
//!
//! ## Why it hurts
//! A record whose work fails, or whose members die, so many times is archived: it is never delivered again, and Kafka has no dead letter queue for share groups. A database that is down for a minute is enough: five attempts
//! go by in seconds.
//!
//! ## Severity
//! Warning: the application may keep such records by itself.

use klamm_plan::Risk;

use crate::amend::set_group;
use crate::check::{Cx, Out};
use crate::evidence::{Group, GroupKind};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::unclear_if_missing;
use crate::streams::read_by;
use crate::text::{listed, number, source_of};

const OF_GROUP: &str = "share.delivery.count.limit";
const OF_BROKER: &str = "group.share.delivery.count.limit";
/// Above that somebody thought about it; Kafka's own upper bound is 10 by default.
const LOW: i64 = 5;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(groups) = out.see("groups", &cx.evidence.groups) else { return };
    for group in groups.iter().filter(|group| group.kind == GroupKind::Share) {
        unclear_if_missing(out, group);
        let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
        let strong: Vec<String> = read_by(group)
            .into_iter()
            .filter(|topic| spec.topics.contains_key(topic) && cx.weight(topic).strong)
            .collect();
        if !strong.is_empty() {
            check_group(cx, out, group, &strong);
        }
    }
}

fn check_group(cx: &Cx<'_>, out: &mut Out, group: &Group, strong: &[String]) {
    let name = &group.name;
    let own = group
        .configs
        .value()
        .and_then(|configs| Some((number(configs, OF_GROUP)?, source_of(configs, OF_GROUP), OF_GROUP)));
    let (limit, source, setting) = match own {
        Some(own) => own,
        None => {
            let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
            let Some(broker) = brokers.first() else { return };
            let Some(configs) = out.see(&format!("configuration of broker {}", broker.id), &broker.configs)
            else {
                return;
            };
            let Some(limit) = number(configs, OF_BROKER) else {
                out.unclear(&format!("group {name}"), format!("{OF_BROKER} was not told"));
                return;
            };
            (limit, source_of(configs, OF_BROKER), OF_BROKER)
        }
    };
    out.judged();
    if limit > LOW {
        return;
    }
    let topics = listed(strong, 3);
    let fix = Fix::new(format!("keep records that {name} gives up"), Risk::RestartsClients).ask(
        "let the application count attempts (ConsumerRecord.deliveryCount()) and write the last one \
        to a topic for dead letters before it rejects the record",
    );
    let empty = std::collections::BTreeMap::new();
    let configs = group.configs.value().unwrap_or(&empty);
    // Kafka 4.3 has the limit by group; before that it is the brokers', who read it when they start.
    let fix = if own.is_some() {
        set_group(cx, fix, name, configs, OF_GROUP, "10")
    } else {
        fix.ask(format!(
            "meanwhile raise {OF_BROKER} to 10 in server.properties of every broker, and \
        restart them one by one"
        ))
        .undo_by(format!("set {OF_BROKER} back to {limit}"))
    };
    let finding = Finding::new(
        Severity::Warning,
        format!("group {name}"),
        format!("a record of {topics} is given up after {limit} attempts"),
    )
    .fact(setting, limit.to_string(), source)
    .fact("strong topics", topics.clone(), "spec")
    .consequence(format!(
        "a record whose work fails {limit} times is archived: it is never delivered again and is kept nowhere"
    ))
    .fix(fix)
    .next("does the application write what it rejects to a topic of its own?")
    .weighed(cx.weight_of_all(strong));
    out.found(finding);
}
