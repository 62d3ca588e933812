//! One failure stops writes.
//!
//! ## What it does
//! Takes each broker away, then each rack, and counts the partitions that are writable now and would not be: whose other in-sync copies are fewer
//! than min(`min.insync.replicas`, copies). It tries them all; nothing is estimated.
//!
//! ## Why it hurts
//! Brokers restart with every upgrade, racks lose power: what stops then is known now.
//!
//! ## Example
//!     losing broker 2 or 3 stops writes to 14 topics (orders, payments and 12 more)
//!
//! ## Use instead
//!     three copies in three racks, with a floor of two
//!
//! ## Severity
//! Brokers: error where strong data stops, else warning. Racks: error where a spec promises to survive one, else warning.
//!
//! ## References
//! - KAFKA-15583: the effective floor is min(min.insync.replicas, replication factor)

use std::collections::{BTreeMap, BTreeSet};

use klamm_contract::facts::PartitionFacts;
use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::cluster::{floor_of, min_isr, racks, topics_text};
use crate::finding::{Finding, Fix, Severity};
use crate::text::listed;

/// Topics that stop, by what is lost.
type Stopped<'a> = BTreeMap<String, BTreeSet<&'a str>>;

/// Topics that stop, by why.
#[derive(Default)]
struct Causes<'a> {
    single: BTreeSet<&'a str>,
    floor: BTreeSet<&'a str>,
    behind: BTreeSet<&'a str>,
    close: BTreeSet<&'a str>,
}

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    if live.cluster.value().is_some_and(|cluster| cluster.embedded) {
        return;
    }
    let Some(topics) = out.see("topics of the cluster", &live.topics) else { return };
    let Some(brokers) = out.see("brokers of the cluster", &live.brokers) else { return };
    if brokers.len() < 2 {
        return; // KL501 says that one broker is not enough.
    }
    let racks = racks(brokers);
    let several = racks.values().collect::<BTreeSet<_>>().len() > 1;
    let (mut by_broker, mut by_rack) = (Stopped::new(), Stopped::new());
    let mut causes = Causes::default();
    for (name, topic) in topics {
        let Some(floor) = min_isr(out, name, topic) else { continue };
        out.judged();
        for partition in &topic.partitions {
            let floor = floor_of(partition, floor);
            if partition.leader.is_none() || partition.isr.len() < floor {
                continue; // It is not writable now: KL503 and KL519.
            }
            if partition.isr.len() == floor {
                for id in &partition.isr {
                    by_broker.entry(id.to_string()).or_default().insert(name);
                }
                causes.add(name, partition, floor);
            }
            let mut lost: BTreeMap<&str, usize> = BTreeMap::new();
            for rack in partition.isr.iter().filter_map(|id| racks.get(id)).filter(|_| several) {
                *lost.entry(rack).or_default() += 1;
            }
            for (rack, copies) in lost {
                if partition.isr.len() - copies < floor {
                    by_rack.entry(rack.to_owned()).or_default().insert(name);
                    // Where one broker is enough, the cause is that.
                    if partition.isr.len() > floor {
                        causes.close.insert(name);
                    }
                }
            }
        }
    }
    // What only a rack stops is no part of what a broker stops.
    let close = std::mem::take(&mut causes.close);
    found(cx, out, "broker", &by_broker, &causes);
    // What already stops with a single broker of the rack is said once.
    let single: BTreeSet<&str> = by_broker.values().flatten().copied().collect();
    by_rack.values_mut().for_each(|names| names.retain(|name| !single.contains(name)));
    by_rack.retain(|_, names| !names.is_empty());
    found(cx, out, "rack", &by_rack, &Causes { close, ..Causes::default() });
}

impl<'a> Causes<'a> {
    fn add(&mut self, name: &'a str, partition: &PartitionFacts, floor: usize) {
        let copies = partition.replicas.len();
        match () {
            () if copies == 1 => self.single.insert(name),
            () if floor == copies => self.floor.insert(name),
            () => self.behind.insert(name),
        };
    }

    fn steps(&self, mut fix: Fix) -> Fix {
        let sets = [
            (&self.single, "give them three copies", "KL501"),
            (&self.floor, "lower min.insync.replicas to one less than the copies", "KL507"),
            (&self.behind, "bring the copies that are behind back into sync", "KL503"),
            (&self.close, "spread their copies over racks, or add a rack", "KL502"),
        ];
        for (names, what, rule) in sets.iter().filter(|(names, ..)| !names.is_empty()) {
            let names: Vec<&str> = names.iter().copied().collect();
            fix = fix.ask(format!("{}: {what} ({rule} prints the commands)", topics_text(&names)));
        }
        fix
    }
}

/// `losing broker 2 or 3 stops writes to 14 topics (…)`, a clause for each set of topics.
fn sentence(noun: &str, stopped: &Stopped<'_>) -> String {
    let mut same: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for (lost, names) in stopped {
        same.entry(names.iter().copied().collect()).or_default().push(lost);
    }
    let mut clauses: Vec<(Vec<&str>, Vec<&str>)> = same.into_iter().collect();
    clauses.sort_by_key(|(names, _)| std::cmp::Reverse(names.len()));
    let more = clauses.len().saturating_sub(3);
    let shown = clauses.iter().take(3).map(|(names, lost)| {
        let lost = listed(lost, 6).replace(" and ", " or ");
        format!("losing {noun} {lost} stops writes to {}", topics_text(names))
    });
    let text = shown.collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{text}; {more} others stop fewer") } else { text }
}

fn found(cx: &Cx<'_>, out: &mut Out, noun: &str, stopped: &Stopped<'_>, causes: &Causes<'_>) {
    let all: BTreeSet<&str> = stopped.values().flatten().copied().collect();
    let Some(first) = stopped.keys().next() else { return };
    let names: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
    let weight = cx.weight_of_all(&names);
    let promised = cx.evidence.spec.value().is_some_and(|spec| {
        names.iter().any(|name| spec.topics.get(name).is_some_and(|promise| promise.survive_racks > 0))
    });
    let severity = match noun {
        "rack" if !promised => Severity::Warning,
        "rack" => Severity::Error,
        _ => weight.choose(Severity::Error, Severity::Warning),
    };
    let what = format!(
        "one {noun} that is lost stops writes to {}",
        topics_text(&all.iter().copied().collect::<Vec<_>>())
    );
    let mut finding = Finding::new(severity, format!("cluster, by {noun}"), what);
    for (lost, names) in stopped.iter().take(12) {
        let names: Vec<&str> = names.iter().copied().collect();
        finding = finding.fact(
            format!("without {noun} {lost}"),
            topics_text(&names),
            "in-sync replicas and floors",
        );
    }
    let fix =
        causes.steps(Fix::new(format!("let every topic go on without any one {noun}"), Risk::CopiesData));
    let next = match noun {
        "broker" => format!("klamm can-stop --bootstrap {} {first}", cx.bootstrap()),
        _ => format!("which topics have to go on without rack {first}?"),
    };
    out.found(
        finding
            .consequence(sentence(noun, stopped))
            .fix(fix.undo_by("each of those findings has its own way back"))
            .next(next)
            .weighed(weight),
    );
}
