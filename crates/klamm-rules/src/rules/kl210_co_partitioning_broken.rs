//! Topics that one Streams application reads together differ in their number of partitions or in who places their keys.
//!
//! ## What it does
//! Takes the topics that a Kafka Streams application reads (`spec`, or members of its group) and compares their numbers of partitions (`live`) and the partitioner that their sampled
//! keys fit (`data`). Numbers are not compared for an application that runs: Streams would have refused to join them. Its internal topics are left out.
//!
//! ## Why it hurts
//! A join looks for a key in the same partition of both topics. With different numbers Streams refuses to start; with the same number and different partitioners it starts, and finds only
//! what lies together by chance.
//!
//! ## Example
//!     orders has 12 partitions, customers has 6, and the application joins them
//!
//! ## Use instead
//!     klamm repartition customers --partitions 12
//!
//! ## Severity
//! Different partitioners: error where the spec says that the data is strong, else warning. Different numbers: info, since nobody sees
//! whether the topics are joined, or one is a global table.

use std::collections::{BTreeMap, BTreeSet};

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{grade, placed, samples};
use crate::streams::{App, apps, subject};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let placers = placers(cx, out);
    for (id, app) in apps(cx, out) {
        let reads = reads(&id, &app);
        let counts: BTreeMap<&str, usize> = reads
            .iter()
            .filter_map(|name| Some((name.as_str(), topics.get(name)?.partitions.len())))
            .filter(|(_, count)| *count > 0)
            .collect();
        if counts.len() < 2 {
            continue;
        }
        out.judged();
        let runs = app.group.is_some_and(|group| !group.members.is_empty());
        if !runs && counts.values().collect::<BTreeSet<_>>().len() > 1 {
            out.found(other_numbers(cx, &id, &counts));
            continue;
        }
        let by: BTreeMap<&str, &str> =
            counts.keys().filter_map(|name| Some((*name, *placers.get(*name)?))).collect();
        if by.values().collect::<BTreeSet<_>>().len() > 1 {
            out.found(other_partitioners(cx, &id, &by));
        }
    }
}

/// Who places the keys of each sampled topic, where one partitioner alone explains them.
fn placers<'a>(cx: &Cx<'a>, out: &mut Out) -> BTreeMap<&'a str, &'static str> {
    let mut by = BTreeMap::new();
    for sampled in samples(cx, out) {
        let placement = &sampled.sample.placement;
        if placement.checked < 100 || sampled.partitions < 2 {
            continue;
        }
        let placed = placed(placement, sampled.partitions);
        if placement.murmur2 * 100 >= placement.checked * 95 {
            by.insert(sampled.topic(), "murmur2");
        } else if let (false, Some(partitioner)) = (placed.mixed, placed.partitioner) {
            by.insert(sampled.topic(), partitioner);
        }
    }
    by
}

fn reads(id: &str, app: &App<'_>) -> BTreeSet<String> {
    let mut reads: BTreeSet<String> =
        app.promise.iter().flat_map(|promise| promise.reads.iter().cloned()).collect();
    if let Some(group) = app.group {
        let assigned = group.members.iter().flat_map(|member| member.assigned.iter().flatten());
        reads.extend(assigned.map(|one| one.topic.clone()));
        reads.extend(group.members.iter().flat_map(|member| member.subscribed.iter().cloned()));
    }
    reads.retain(|name| !name.starts_with(&format!("{id}-")));
    reads
}

fn other_numbers(cx: &Cx<'_>, id: &str, counts: &BTreeMap<&str, usize>) -> Finding {
    let most = counts.values().max().copied().unwrap_or(0);
    let mut fix = Fix::new(format!("give all topics that {id} joins {most} partitions"), Risk::CopiesData);
    for (name, _) in counts.iter().filter(|(_, count)| **count != most) {
        let run = format!("klamm repartition {name} --partitions {most} --bootstrap {}", cx.bootstrap());
        fix = fix.command(run.clone()).undo(format!("{run} --roll-back"));
    }
    let mut finding = Finding::new(
        Severity::Info,
        subject(id),
        format!(
            "reads {} with different numbers of partitions",
            listed(&counts.keys().collect::<Vec<_>>(), 4)
        ),
    )
    .consequence("Streams refuses to start when it joins them without repartitioning")
    .fix(fix)
    .next("are these topics joined by key, or is one of them a global table (which needs no equal number)?");
    for (name, count) in counts {
        finding = finding.fact(format!("partitions of {name}"), count.to_string(), "placement of the topic");
    }
    finding
}

fn other_partitioners(cx: &Cx<'_>, id: &str, by: &BTreeMap<&str, &str>) -> Finding {
    let topics: Vec<String> = by.keys().map(|name| (*name).to_owned()).collect();
    let weight = cx.weight_of_all(&topics);
    let others: Vec<&str> = by.iter().filter(|(_, by)| **by != "murmur2").map(|(name, _)| *name).collect();
    let fix = Fix::new(format!("place the keys of {} by murmur2", listed(&others, 4)), Risk::MovesKeys)
        .ask(format!("set partitioner=murmur2_random in the librdkafka producers of {}", listed(&others, 4)))
        .ask(
            "bring the older records to their places: klamm repartition TOPIC --partitions N --misplaced \
        copy",
        )
        .undo_by("set the former partitioner again");
    let mut finding = Finding::new(
        grade(&weight),
        subject(id),
        "reads topics whose keys are placed by \
    different partitioners",
    )
    .consequence(
        "a key is in different partitions of these topics: a join by key finds it only by \
        chance, and says nothing",
    )
    .fix(fix)
    .next("klamm explain KL206")
    .weighed(weight);
    for (name, by) in by {
        finding = finding.fact(format!("partitioner of {name}"), *by, "sample");
    }
    finding
}
