//! Copies are not in sync.
//!
//! ## What it does
//! Looks for copies that are not among the in-sync replicas, apart from those that a move is filling, and puts them together by the broker that has them:
//! one that is gone is one finding, however many partitions it is missing from. Metrics tell whether in-sync sets keep shrinking.
//!
//! ## Why it hurts
//! A copy that is behind protects nothing. At the floor (`min.insync.replicas`) the next failure stops writes; under it they are refused
//! already, and the high watermark stands still for every level of acks.
//!
//! ## Example
//!     replicas 1,2,3 with in-sync replicas 1,2
//!
//! ## Use instead
//!     start broker 3; in-sync replicas 1,2,3
//!
//! ## Severity
//! Error when a partition of strong data is at or under its floor, else warning.
//!
//! ## References
//! - KAFKA-15583: the high watermark moves only with min.insync.replicas in-sync copies

use std::collections::{BTreeMap, BTreeSet};

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::cluster::{counted, floor_of, min_isr, topics_text};
use crate::finding::{Finding, Fix, Severity};

/// What one broker has not in sync.
#[derive(Default)]
struct Behind<'a> {
    partitions: usize,
    topics: BTreeSet<&'a str>,
    at_floor: BTreeSet<&'a str>,
    under_floor: BTreeSet<&'a str>,
}

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    let Some(topics) = out.see("topics of the cluster", &live.topics) else { return };
    let moves = out.see("reassignments", &live.reassignments).map(Vec::as_slice).unwrap_or_default();
    let filled: BTreeSet<(&str, i32, i32)> = moves
        .iter()
        .flat_map(|step| step.adding.iter().map(|id| (step.topic.as_str(), step.partition, *id)))
        .collect();
    let mut behind: BTreeMap<i32, Behind<'_>> = BTreeMap::new();
    for (name, topic) in topics {
        out.judged();
        for partition in &topic.partitions {
            let missing = partition.replicas.iter().filter(|id| {
                !partition.isr.contains(id) && !filled.contains(&(name.as_str(), partition.index, **id))
            });
            for id in missing {
                let entry = behind.entry(*id).or_default();
                entry.partitions += 1;
                entry.topics.insert(name);
                let Some(floor) = min_isr(out, name, topic) else { continue };
                match partition.isr.len().cmp(&floor_of(partition, floor)) {
                    std::cmp::Ordering::Less => entry.under_floor.insert(name),
                    std::cmp::Ordering::Equal => entry.at_floor.insert(name),
                    std::cmp::Ordering::Greater => false,
                };
            }
        }
    }
    if behind.is_empty() {
        return;
    }
    let brokers = out.see("brokers of the cluster", &live.brokers);
    for (id, behind) in behind {
        let alive = brokers.is_none_or(|brokers| brokers.iter().any(|broker| broker.id == id));
        found(cx, out, id, &behind, if alive { State::Slow } else { State::Gone });
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Slow,
    Gone,
}

fn found(cx: &Cx<'_>, out: &mut Out, id: i32, behind: &Behind<'_>, state: State) {
    let list = |set: &BTreeSet<&str>| set.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let weight = cx.weight_of_all(&[list(&behind.under_floor), list(&behind.at_floor)].concat());
    let tight = !behind.under_floor.is_empty() || !behind.at_floor.is_empty();
    let severity = if tight { weight.choose(Severity::Error, Severity::Warning) } else { Severity::Warning };
    let names = |set: &BTreeSet<&str>| topics_text(&set.iter().copied().collect::<Vec<_>>());
    let consequence = match (behind.under_floor.is_empty(), behind.at_floor.is_empty()) {
        (false, _) => format!("writes with acks=all to {} are refused now", names(&behind.under_floor)),
        (true, false) => format!("the next broker that is lost stops writes to {}", names(&behind.at_floor)),
        (true, true) => format!("one copy less protects {}", names(&behind.topics)),
    };
    let partitions = counted(behind.partitions, "partition");
    let (what, step) = match state {
        State::Gone => (
            format!("it is gone, and with it copies of {partitions}"),
            format!("start broker {id} again; its log says why it stopped"),
        ),
        State::Slow => (
            format!("its copies of {partitions} are not in sync"),
            format!(
                "look for what holds broker {id} back: its log (fetcher errors, log directory), disk, network, garbage collection; then restart it"
            ),
        ),
    };
    let metrics = cx.evidence.host.value().map(|host| host.hosts.as_slice()).unwrap_or_default();
    let shrinks =
        metrics.iter().filter_map(|host| host.isr_shrinks_thousandths).max().filter(|rate| *rate > 0);
    let server = cx.bootstrap();
    let mut finding = Finding::new(severity, format!("broker {id}"), what)
        .fact(
            "partitions with a copy that is not in sync",
            behind.partitions.to_string(),
            "metadata of the cluster",
        )
        .fact("topics under their floor", behind.under_floor.len().to_string(), "metadata of the cluster")
        .fact("topics at their floor", behind.at_floor.len().to_string(), "metadata of the cluster")
        .consequence(consequence)
        .fix(
            Fix::new(format!("bring the copies of broker {id} back into sync"), Risk::Safe)
                .ask(step)
                .command(format!(
                    "kafka-topics.sh --bootstrap-server {server} --describe --under-replicated-partitions"
                ))
                .undo_by(
                    "nothing to take back: in-sync sets grow by themselves once the copies have caught up",
                ),
        )
        .next(format!("kafka-topics.sh --bootstrap-server {server} --describe --under-min-isr-partitions"));
    if let Some(rate) = shrinks {
        finding = finding.fact(
            "in-sync sets that shrink",
            format!("{:.1} a second", rate as f64 / 1000.0),
            "metrics",
        );
    }
    out.found(if tight { finding.weighed(weight) } else { finding });
}
