//! Leaders are not where they should be.
//!
//! ## What it does
//! Counts partitions whose preferred leader (the first of its replicas) is in sync and does not lead, and partitions that each broker is the
//! preferred leader of. It fires when more than a tenth of a broker's partitions are led elsewhere (Kafka's own bound for moving
//! them back), and when a broker is preferred for more than half again its share, and five partitions, too many.
//!
//! ## Why it hurts
//! Leaders take all writes and most reads. Crowded, one broker is the bottleneck of the cluster, while others only copy.
//!
//! ## Example
//!     broker 1 leads 60 of 90 partitions, brokers 2 and 3 lead 15 each
//!
//! ## Use instead
//!     kafka-leader-election.sh --election-type preferred --all-topic-partitions
//!
//! ## Severity
//! Warning: nothing is lost, throughput is.
//!
//! ## References
//! - Apache Kafka, operations: balancing leadership

use std::collections::BTreeMap;

use klamm_plan::Risk;
use klamm_plan::placement::Move;

use crate::check::{Cx, Out};
use crate::cluster::{counted, reassign};
use crate::evidence::Topic;
use crate::finding::{Finding, Fix, Severity};
use crate::text::value;

/// Kafka's own bound, in percent (`leader.imbalance.per.broker.percentage`, until 4.0 a setting).
const BOUND_PERCENT: usize = 10;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let live = &cx.evidence.live;
    let Some(topics) = out.see("topics of the cluster", &live.topics) else { return };
    let Some(brokers) = out.see("brokers of the cluster", &live.brokers) else { return };
    // Preferred, and of those led elsewhere although the broker is in sync.
    let mut shares: BTreeMap<i32, (usize, usize)> =
        brokers.iter().map(|broker| (broker.id, (0, 0))).collect();
    let mut all = 0;
    for partition in topics.values().flat_map(|topic| &topic.partitions) {
        let Some(preferred) = partition.replicas.first() else { continue };
        let Some((count, away)) = shares.get_mut(preferred) else { continue };
        all += 1;
        *count += 1;
        if partition.leader != Some(*preferred) && partition.isr.contains(preferred) {
            *away += 1;
        }
    }
    out.judged();
    let away: Vec<(i32, usize, usize)> = shares
        .iter()
        .map(|(id, (count, away))| (*id, *count, *away))
        .filter(|(_, count, away)| away * 100 > count * BOUND_PERCENT)
        .collect();
    if !away.is_empty() {
        not_leading(cx, out, &away);
    }
    let mean = all / shares.len().max(1);
    let full = shares.iter().map(|(id, (count, _))| (*id, *count)).max_by_key(|(_, count)| *count);
    if let Some((id, count)) =
        full.filter(|(_, count)| shares.len() > 1 && *count * 2 > mean * 3 && *count > mean + 5)
    {
        crowded(cx, out, topics, &shares, (id, count, mean));
    }
}

fn not_leading(cx: &Cx<'_>, out: &mut Out, away: &[(i32, usize, usize)]) {
    let total = away.iter().map(|(.., away)| away).sum::<usize>();
    let command = format!(
        "kafka-leader-election.sh --bootstrap-server {} --election-type preferred --all-topic-partitions",
        cx.bootstrap()
    );
    let mut finding = Finding::new(
        Severity::Warning,
        "cluster",
        format!("{} are not led by their preferred leader", counted(total, "partition")),
    );
    for (id, count, away) in away.iter().take(20) {
        let what = format!("partitions of broker {id} that another one leads");
        finding = finding.fact(what, format!("{away} of {count}"), "metadata of the cluster");
    }
    let brokers = cx.evidence.live.brokers.value().into_iter().flatten();
    let name = "auto.leader.rebalance.enable";
    if let Some(off) = brokers.filter_map(|b| value(b.configs.value()?, name)).find(|value| *value == "false")
    {
        finding = finding.fact(name, off, "configuration of brokers");
    }
    out.found(
        finding
            .consequence(
                "the brokers that lead in their place carry their writes and reads besides their own",
            )
            .fix(Fix::new("make preferred leaders lead", Risk::Safe).command(command).undo_by(
                "nothing to take back: leaders move with every restart, and clients follow by themselves",
            ))
            .next("which broker was restarted last, and is auto.leader.rebalance.enable on?"),
    );
}

/// Gives first places of the crowded broker to the copies whose brokers lead least.
fn crowded(
    cx: &Cx<'_>,
    out: &mut Out,
    topics: &BTreeMap<String, Topic>,
    shares: &BTreeMap<i32, (usize, usize)>,
    (full, count, mean): (i32, usize, usize),
) {
    let mut leads: BTreeMap<i32, usize> = shares.iter().map(|(id, (count, _))| (*id, *count)).collect();
    let mut moves: BTreeMap<&str, Vec<Move>> = BTreeMap::new();
    for (name, topic) in topics {
        for partition in topic.partitions.iter().filter(|partition| partition.replicas.first() == Some(&full))
        {
            let led = |id: &i32| leads.get(id).copied().unwrap_or(usize::MAX);
            let least = partition.replicas.iter().copied().min_by_key(led);
            let Some(least) = least.filter(|id| led(&full) > mean && led(id) < mean) else { continue };
            let mut to = vec![least];
            to.extend(partition.replicas.iter().copied().filter(|id| *id != least));
            leads.entry(full).and_modify(|count| *count -= 1);
            leads.entry(least).and_modify(|count| *count += 1);
            moves.entry(name).or_default().push(Move {
                partition: partition.index,
                from: partition.replicas.clone(),
                to,
            });
        }
    }
    let mut fix = Fix::new(format!("give preferred leaders of broker {full} to other copies"), Risk::Safe);
    if moves.is_empty() {
        fix = fix
            .ask(format!("klamm broker drain moves copies; topics whose only copies are on broker {full} need more copies first (KL501)"))
            .undo_by("moves of klamm are in its journal: klamm apply --undo takes them back");
    }
    for (topic, moves) in moves {
        let step = reassign(cx, String::new(), topic, moves);
        fix.steps.extend(step.steps);
        fix.undo.extend(step.undo);
        fix.changes.extend(step.changes);
    }
    fix = fix.command(format!(
        "kafka-leader-election.sh --bootstrap-server {} --election-type preferred --all-topic-partitions",
        cx.bootstrap()
    ));
    out.found(
        Finding::new(Severity::Warning, format!("broker {full}"), format!("it is the preferred leader of {count} partitions, the mean is {mean}"))
            .fact("preferred leader of", count.to_string(), "placement of all topics")
            .fact("mean of all brokers", mean.to_string(), "placement of all topics")
            .consequence(format!("broker {full} takes more writes and reads than others, and is full before them"))
            .fix(fix)
            .next("do its partitions carry as much as others? See the bytes of each partition: kafka-log-dirs.sh --describe"),
    );
}
