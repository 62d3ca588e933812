//! One key takes more than a whole partition should carry.
//!
//! ## What it does
//! Takes the most used key of each sample (`data`), with the bound of its counting error subtracted and sampling noise taken off, and compares it with
//! what one of the topic's partitions should carry. It fires when the key alone is above 1.5 times that. Samples below 1,000 records do not tell.
//! Topics with fewer keys than partitions are KL202's.
//!
//! ## Why it hurts
//! All records of a key go to one partition, and one consumer of a group reads it. More partitions or more consumers do not help that one: it falls
//! behind while the others are idle, and its broker carries the load alone.
//!
//! ## Example
//!     key = tenantId, and one tenant writes 40% of the records of 12 partitions
//!
//! ## Use instead
//!     key = tenantId:accountId, when only the order within an account matters
//!
//! ## Severity
//! Warning: it costs throughput, no record.
//!
//! ## References
//! - Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams (the counting error)

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{Sampled, enough, percent, samples};

/// A key alone above so many times of an even partition is hot.
const TIMES: f64 = 1.5;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for sampled in samples(cx, out) {
        let keys = &sampled.sample.keys;
        let few = keys.distinct < sampled.partitions;
        if sampled.partitions >= 2 && keys.keyed > 0 && !few && enough(cx, out, &sampled, keys.keyed) {
            check_topic(cx, out, &sampled);
        }
    }
}

fn check_topic(cx: &Cx<'_>, out: &mut Out, sampled: &Sampled<'_>) {
    let sample = sampled.sample;
    out.judged();
    let Some(heavy) = sample.keys.heavy.first() else { return };
    let records = sample.records.max(sample.keys.keyed);
    let sure = heavy.records.saturating_sub(heavy.error);
    // Three standard deviations below what was counted: the share in the topic is hardly less.
    let least = sure as f64 - 3.0 * (sure as f64).sqrt();
    if least <= TIMES * records as f64 / sampled.partitions as f64 {
        return;
    }
    let topic = sampled.topic();
    let share = percent(sure, records);
    let even = percent(1, sampled.partitions);
    let fix = Fix::new(
        format!(
            "split the key {:?} of {topic} where its order allows \
    it",
            heavy.key
        ),
        Risk::MovesKeys,
    )
    .command(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
    .ask(
        "take a composite key with a field inside the entity (klamm keys names one that spreads), so \
        that only the order within it is kept",
    )
    .undo_by("write with the former key again: from then on its records are in one partition as before");
    let finding = Finding::new(
        Severity::Warning,
        sampled.subject(),
        format!(
            "one key has at least {share} of the records, a partition of {} should carry \
        {even}",
            sampled.partitions
        ),
    )
    .fact("most used key", heavy.key.clone(), "sample")
    .fact("records with it", format!("{} (at most {} too many)", heavy.records, heavy.error), "sample")
    .fact("records looked at", records.to_string(), "sample")
    .fact("partitions", sampled.partitions.to_string(), "placement of the topic")
    .consequence(format!(
        "the partition of this key, its consumer and its broker carry {share} of {topic}; neither \
         partitions nor consumers that are added take any of it"
    ))
    .fix(fix)
    .next(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
    .weighed(cx.weight(topic));
    out.found(finding);
}
