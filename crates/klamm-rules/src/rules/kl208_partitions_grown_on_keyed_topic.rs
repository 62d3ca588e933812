//! Partitions were added to a topic that has keys: older records of a key are in another partition than newer ones.
//!
//! ## What it does
//! Looks in samples (`data`) for records that are where murmur2 puts their key for a lower number of partitions than today's, in a number that chance does not explain.
//!
//! ## Why it hurts
//! Kafka does not move records when partitions are added. A key's new records go to another partition than its old ones, and whoever reads both reads them in no order. In a compacted
//! topic the former partition keeps a stale value of the key for ever.
//!
//! ## Example
//!     kafka-topics.sh --alter --topic orders --partitions 12      # it had 6, and keys
//!
//! ## Use instead
//!     klamm repartition orders --partitions 12
//!
//! ## Severity
//! Error where the spec says that the data is strong and keeps an order, else warning.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{Sampled, grade, keeps_order, percent, placed, promise, samples};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for sampled in samples(cx, out) {
        if sampled.partitions < 2 || sampled.sample.placement.checked == 0 {
            continue;
        }
        out.judged();
        let grown = placed(&sampled.sample.placement, sampled.partitions).earlier;
        if let Some((former, records)) = grown.iter().max_by_key(|(_, records)| *records) {
            found(cx, out, &sampled, *former, *records);
        }
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, sampled: &Sampled<'_>, former: i32, records: u64) {
    let topic = sampled.topic();
    let placement = &sampled.sample.placement;
    let weight = cx.weight(topic);
    let ordered = keeps_order(promise(cx, out, topic));
    let copy = format!(
        "klamm repartition {topic} --partitions {} --misplaced copy --bootstrap {}",
        sampled.partitions,
        cx.bootstrap()
    );
    let fix =
        Fix::new(format!("copy {topic} to a topic in which each key has one partition"), Risk::CopiesData)
            .command(copy.clone())
            .ask(format!(
                "stop the producers, let the groups read to the end and stop them, then: {copy} --cut-over"
            ))
            .undo(format!("{copy} --roll-back"));
    let chance = placement.checked.saturating_sub(placement.murmur2) / sampled.partitions.max(1);
    let finding = Finding::new(
        if ordered { grade(&weight) } else { Severity::Warning },
        sampled.subject(),
        format!(
            "{} of the keyed records are where {former} partitions put them, there are {} now",
            percent(records, placement.checked),
            sampled.partitions
        ),
    )
    .fact("records checked", placement.checked.to_string(), "sample")
    .fact(
        format!("placed for {former} partitions"),
        records.to_string(),
        format!("sample; chance explains about {chance}"),
    )
    .fact("keys in more than one partition", placement.keys_in_several.to_string(), "sample")
    .fact("partitions", sampled.partitions.to_string(), "placement of the topic")
    .consequence(format!(
        "older and newer records of a key are in two partitions of {topic}, and are read in no order"
    ))
    .fix(fix)
    .next(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
    .weighed(weight);
    out.found(finding);
}
