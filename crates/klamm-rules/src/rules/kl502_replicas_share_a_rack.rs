//! Copies of a partition are in fewer racks than they could be.
//!
//! ## What it does
//! Compares the racks of each partition's copies with `broker.rack` of all live brokers: as many racks as there are copies, or as there are
//! racks, can be reached. Brokers without a rack beside brokers with one are a finding, and a cluster of three and more brokers without any.
//!
//! ## Why it hurts
//! A rack, a zone or a host fails as one. Copies that share it fail together: writes stop, or acknowledged records are gone, although
//! there are as many copies as were asked for.
//!
//! ## Example
//!     broker 1: rack a, broker 2: rack a, broker 3: rack b; orders-0 is on 1 and 2
//!
//! ## Use instead
//!     orders-0 on 1 and 3
//!
//! ## Severity
//! Strong data: error when losing one rack stops writes, else warning; eventual data: one less. No rack at all: info.
//!
//! ## References
//! - KIP-36: rack aware replica assignment

use std::collections::BTreeMap;

use klamm_contract::{Unit, worst_loss};
use klamm_plan::placement::Move;

use crate::brokers::restart_fix;
use crate::check::{Cx, Out};
use crate::cluster::{Placer, counted, floor_of, min_isr, racks, racks_of, reassign};
use crate::evidence::{Broker, Topic};
use crate::finding::{Finding, Severity};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    let racks = racks(brokers);
    let without: Vec<i32> =
        brokers.iter().filter(|broker| broker.rack.is_none()).map(|broker| broker.id).collect();
    if brokers.len() >= 3 {
        out.judged();
        check_brokers(cx, out, brokers, &without);
    }
    if racks.is_empty() {
        return;
    }
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let mut placer = Placer::new(brokers, topics);
    let reach = racks_of(&brokers.iter().map(|broker| broker.id).collect::<Vec<_>>(), &racks);
    for (name, topic) in topics {
        check_topic(cx, out, &mut placer, (name, topic), (&racks, reach));
    }
}

fn check_brokers(cx: &Cx<'_>, out: &mut Out, brokers: &[Broker], without: &[i32]) {
    if without.is_empty() {
        return;
    }
    let none = without.len() == brokers.len();
    let what = match none {
        true => "no broker says in which rack it is".to_owned(),
        false => format!("brokers {} do not say in which rack they are, others do", listed(without, 5)),
    };
    let fix = restart_fix(cx, without, "broker.rack=NAME", "no broker.rack")
        .ask("NAME is what fails as one: a zone, a rack, a host of virtual machines");
    out.found(
        Finding::new(if none { Severity::Info } else { Severity::Warning }, "cluster", what)
            .fact("brokers without broker.rack", listed(without, 20), "metadata of the cluster")
            .fact("brokers", brokers.len().to_string(), "metadata of the cluster")
            .consequence(
                "Kafka places copies without looking at what fails together: one rack can take all of a partition",
            )
            .fix(fix)
            .next("which brokers share power, a switch or a host?"),
    );
}

fn check_topic(
    cx: &Cx<'_>,
    out: &mut Out,
    placer: &mut Placer,
    (name, topic): (&str, &Topic),
    (racks, reach): (&BTreeMap<i32, String>, usize),
) {
    out.judged();
    let known = |ids: &[i32]| ids.iter().all(|id| racks.contains_key(id));
    let close = topic.partitions.iter().filter(|partition| {
        known(&partition.replicas)
            && racks_of(&partition.replicas, racks) < partition.replicas.len().min(reach)
    });
    let close: Vec<_> = close.collect();
    let Some(first) = close.first() else { return };
    let floor = min_isr(out, name, topic).unwrap_or(1);
    let worst = |replicas: &[i32]| worst_loss(replicas, racks, Unit::Rack, 1);
    let stops = close.iter().filter(|p| !worst(&p.replicas).keeps_writes(floor_of(p, floor) as u32)).count();
    let weight = cx.weight(name);
    let severity = match stops {
        0 => weight.choose(Severity::Warning, Severity::Info),
        _ => weight.choose(Severity::Error, Severity::Warning),
    };
    let moves = close.iter().map(|partition| Move {
        partition: partition.index,
        from: partition.replicas.clone(),
        to: placer.spread(&partition.replicas),
    });
    let moves: Vec<Move> = moves.filter(|step| step.from != step.to).collect();
    let lost = worst(&first.replicas);
    let consequence = match stops {
        0 => format!(
            "losing rack {} takes {} of one partition at once",
            lost.lost.join(", "),
            lost.copies_lost
        ),
        _ => format!(
            "losing a rack, such as {}, stops writes to {} of {name}",
            lost.lost.join(", "),
            counted(stops, "partition")
        ),
    };
    let homes: Vec<&str> = first.replicas.iter().filter_map(|id| racks.get(id).map(String::as_str)).collect();
    let fix = reassign(cx, format!("spread the copies of topic {name} over racks"), name, moves);
    out.found(
        Finding::new(
            severity,
            format!("topic {name}"),
            format!("copies of {} share a rack", counted(close.len(), "partition")),
        )
        .fact(format!("racks of partition {}", first.index), homes.join(", "), "placement of the topic")
        .fact("racks that there are", reach.to_string(), "metadata of the cluster")
        .consequence(consequence)
        .fix(fix)
        .next(format!("kafka-topics.sh --bootstrap-server {} --describe --topic {name}", cx.bootstrap()))
        .weighed(weight),
    );
}
