//! A topic has fewer different keys than partitions.
//!
//! ## What it does
//! Compares the number of different keys (`data`: estimated from a sample of at least 1,000 records with keys; `spec`: `distinct keys`) with the number of
//! partitions of the topic.
//!
//! ## Why it hurts
//! A key lives in one partition. With four keys no more than four of twelve partitions ever get a record, and consumers of the
//! others have nothing to do, however many there are.
//!
//! ## Example
//!     key = country, three countries, 12 partitions
//!
//! ## Use instead
//!     key = orderId
//!
//! ## Severity
//! Warning: it costs throughput, no record.

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::{enough, promise, samples, subject};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let mut sampled_topics = Vec::new();
    for sampled in samples(cx, out) {
        let keys = &sampled.sample.keys;
        if sampled.partitions < 2 || keys.keyed <= keys.unkeyed || !enough(cx, out, &sampled, keys.keyed) {
            continue;
        }
        out.judged();
        let topic = sampled.topic();
        sampled_topics.push(topic.to_owned());
        promise(cx, out, topic);
        let distinct = keys.distinct.max(keys.seen);
        if distinct < sampled.partitions {
            let seen = format!("sample of {} records with keys", keys.keyed);
            out.found(finding(cx, topic, distinct, sampled.partitions, &seen));
        }
    }
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    for (topic, promise) in &spec.topics {
        let Some(distinct) = promise.distinct_keys.filter(|_| !sampled_topics.contains(topic)) else {
            continue;
        };
        let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
        let Some(partitions) = topics.get(topic).map(|topic| topic.partitions.len() as u64) else { continue };
        out.judged();
        if distinct < partitions {
            out.found(finding(cx, topic, distinct, partitions, &format!("spec, {}", promise.place)));
        }
    }
}

fn finding(cx: &Cx<'_>, topic: &str, distinct: u64, partitions: u64, source: &str) -> Finding {
    let idle = partitions - distinct;
    let fix = Fix::new(format!("write {topic} with a finer key"), Risk::MovesKeys)
        .command(format!("klamm keys {topic} --bootstrap {}", cx.bootstrap()))
        .ask(
            "take the id of the thing whose order matters as the key, in every producer at once: the \
        order across its former key is given up",
        )
        .undo_by("write with the former key again");
    Finding::new(
        Severity::Warning,
        subject(topic),
        format!("{distinct} different keys for {partitions} partitions"),
    )
    .fact("different keys", distinct.to_string(), source)
    .fact("partitions", partitions.to_string(), "placement of the topic")
    .consequence(format!(
        "at least {idle} partitions of {topic} never get a record with a key, and their consumers are idle"
    ))
    .fix(fix)
    .next(format!("which field of a record of {topic} is the thing whose order matters?"))
    .weighed(cx.weight(topic))
}
