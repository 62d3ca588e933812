//! Producer, topic and brokers together survive fewer losses than the spec asks.
//!
//! ## What it does
//! For each topic whose records may not be lost, by the spec: counts the brokers, and the racks, that may be lost before an acknowledged record may be
//! gone, and the brokers before writes stop; by its producers' `acks`, its `min.insync.replicas`, unclean election and the placement of its weakest
//! partition. Fires when the spec's `survive` asks more. Without a producer in sight it counts what the cluster allows.
//!
//! ## Why it hurts
//! Each layer looks right by itself. `acks=all` on a topic with `min.insync.replicas=1` waits for one copy when the others are behind; three copies
//! help nothing with `acks=1`.
//!
//! ## Example
//!     acks=all, replication.factor=3, min.insync.replicas=1   # an acknowledged record survives 0 brokers
//!
//! ## Use instead
//!     acks=all, replication.factor=3, min.insync.replicas=2   # it survives 1
//!
//! ## Severity
//! Error: an acknowledged record can be lost where the spec says that it may not.
//!
//! ## References
//! - Apache Kafka, topic configuration `min.insync.replicas`; KAFKA-15583

use std::collections::BTreeMap;

use klamm_contract::Consistency;
use klamm_contract::facts::PartitionFacts;
use klamm_plan::Risk;

use crate::advice;
use crate::amend::set_topic;
use crate::check::{Cx, Out};
use crate::client::Effective;
use crate::evidence::{Client, Configs, Topic, TopicPromise};
use crate::finding::{Finding, Fix, Severity};
use crate::producers::{acks, producers, survives, waits_for_all};
use crate::text::{number, source_of, value};

const FLOOR: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let writers = producers(cx, out);
    for (name, promise) in &spec.topics {
        let Some(topic) = topics.get(name) else { continue };
        if promise.consistency != Consistency::Strong {
            continue;
        }
        let writers = writers.iter().filter(|client| client.topics.contains(name)).copied();
        check_topic(cx, out, (name, promise, topic), &writers.collect::<Vec<_>>());
    }
}

fn check_topic(cx: &Cx<'_>, out: &mut Out, subject: (&str, &TopicPromise, &Topic), writers: &[&Client]) {
    let (name, promise, topic) = subject;
    let Some(configs) = out.see(&format!("configuration of topic {name}"), &topic.configs) else { return };
    let Some((kept, writable)) = survives(topic) else {
        out.unclear(&format!("topic {name}"), format!("{FLOOR} or its partitions were not told"));
        return;
    };
    let unclean = value(configs, UNCLEAN) == Some("true");
    let acks: Vec<(&Client, Effective)> = writers.iter().map(|client| (*client, acks(client))).collect();
    for (client, effective) in &acks {
        if effective.value().is_none() {
            out.unclear(&client.subject(), format!("acks: {}", effective.source()));
        }
    }
    let weak = acks.iter().find(|(_, acks)| acks.value().is_some_and(|acks| !waits_for_all(acks)));
    let durable = if weak.is_some() || unclean { 0 } else { kept };
    let racks = racks_survived(cx, topic, durable + 1);
    if promise.survive_racks > 0 && racks.is_none() {
        out.unclear(&format!("topic {name}"), "racks of its brokers were not told");
    }
    out.judged();
    let asked = i64::from(promise.survive_brokers);
    let racks_short = racks.is_some_and(|racks| racks < i64::from(promise.survive_racks));
    if durable >= asked && writable >= asked && !racks_short {
        return;
    }
    let floor = number(configs, FLOOR).unwrap_or(1);
    let what = match () {
        () if durable < asked => {
            format!("an acknowledged record survives {durable} lost brokers, and the spec asks {asked}")
        }
        () if writable < asked => {
            format!("writes go on after {writable} lost brokers, and the spec asks {asked}")
        }
        () => format!(
            "an acknowledged record survives {} lost racks, and the spec asks {}",
            racks.unwrap_or(0),
            promise.survive_racks
        ),
    };
    let mut finding = Finding::new(Severity::Error, format!("topic {name}"), what)
        .at(&promise.place)
        .fact("survive.brokers", asked.to_string(), promise.place.to_string())
        .fact(FLOOR, floor.to_string(), source_of(configs, FLOOR))
        .fact(
            "copies of the weakest partition",
            (durable.max(floor - 1) + 1 + writable).to_string(),
            "placement of the topic",
        )
        .consequence(format!("a loss that {name} is promised to survive loses records or stops writes"))
        .next(format!("klamm can-stop --bootstrap {} 1", cx.bootstrap()))
        .weighed(cx.weight(name));
    if let Some((client, acks)) = weak {
        finding = finding.fact(
            format!("acks of {}", client.subject()),
            acks.value().unwrap_or_default(),
            acks.source(),
        );
    }
    if unclean {
        finding = finding.fact(UNCLEAN, "true", source_of(configs, UNCLEAN));
    }
    let weak = weak.map(|(client, _)| *client);
    out.found(finding.fix(fix(cx, subject, configs, (kept, writable), (weak, unclean))));
}

/// Every layer that is too weak at once: one alone would leave the finding.
fn fix(
    cx: &Cx<'_>,
    (name, promise, topic): (&str, &TopicPromise, &Topic),
    configs: &Configs,
    (kept, writable): (i64, i64),
    (weak, unclean): (Option<&Client>, bool),
) -> Fix {
    let asked = i64::from(promise.survive_brokers);
    let copies = topic.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0) as i64;
    let raise = kept < asked && copies > 2 * asked;
    let lower = writable < asked && kept > asked;
    let to = (asked + 1).to_string();
    let parts = [
        weak.map(|_| "wait for all in-sync replicas".to_owned()),
        unclean.then(|| format!("forbid unclean elections of {name}")),
        raise.then(|| format!("raise {FLOOR} of {name} to {to}")),
        lower.then(|| format!("lower {FLOOR} of {name} to {to}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return Fix::new(
            format!("place {} copies of {name} apart", (2 * asked + 1).max(copies)),
            Risk::CopiesData,
        )
        .command(format!("klamm apply {} --bootstrap {}", cx.spec(), cx.bootstrap()))
        .undo_by("klamm apply --undo RUN: the journal of apply has the placement as it was");
    }
    let risk = match (raise, weak) {
        (true, _) => Risk::RefusesWrites,
        (false, Some(_)) => Risk::RestartsClients,
        (false, None) => Risk::Safe,
    };
    let mut fix = Fix::new(parts.join(", and "), risk);
    if let Some(client) = weak {
        let set = advice::set(client, "", &[("acks", "all")]);
        fix.steps.extend(set.steps);
        fix.undo.extend(set.undo);
    }
    if unclean {
        fix = set_topic(cx, fix, name, configs, UNCLEAN, "false");
    }
    if raise || lower {
        fix = set_topic(cx, fix, name, configs, FLOOR, &to);
    }
    fix
}

/// How many racks may be lost before a record that has `copies` copies may be gone, by the partition that is placed worst.
fn racks_survived(cx: &Cx<'_>, topic: &Topic, copies: i64) -> Option<i64> {
    let brokers = cx.evidence.live.brokers.value()?;
    let racks: BTreeMap<i32, &str> =
        brokers.iter().filter_map(|broker| Some((broker.id, broker.rack.as_deref()?))).collect();
    let of = |partition: &PartitionFacts| {
        let mut held: BTreeMap<&str, i64> = BTreeMap::new();
        for replica in &partition.replicas {
            *held.entry(*racks.get(replica)?).or_default() += 1;
        }
        let mut held: Vec<i64> = held.into_values().collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        let lost = held.iter().scan(0, |sum, copies| {
            *sum += copies;
            Some(*sum)
        });
        Some(lost.take_while(|lost| *lost < copies).count() as i64)
    };
    topic.partitions.iter().map(of).collect::<Option<Vec<i64>>>()?.into_iter().min()
}
